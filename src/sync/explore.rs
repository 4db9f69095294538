//! How the models are run: the bounds, and every crash point.

use super::atomic::Crash;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Once};

/// Explores `model` with at most that many involuntary switches between
/// threads. (Two find nearly all faults; each more costs a factor.)
pub fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Runs the model for every crash point: `model(k)` says whether its victim
/// died before it had come to an end, in at least one interleaving. Returns
/// how many points there are.
pub fn for_every_crash_point(preemptions: usize, model: fn(u32) -> bool) -> u32 {
    silence_crashes();
    for k in 0..200 {
        let died = Arc::new(AtomicBool::new(false));
        let noted = died.clone();
        check(preemptions, move || {
            if model(k) {
                noted.store(true, Relaxed);
            }
        });
        if !died.load(Relaxed) {
            return k;
        }
    }
    panic!("the victim never comes to its end");
}

/// A victim dies in silence.
pub fn silence_crashes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Crash>() {
                usual(info);
            }
        }));
    });
}
