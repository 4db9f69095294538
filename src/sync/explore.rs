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

/// The same for a victim and for a second one, mostly its recoverer:
/// `model(k, j)` says of each whether it died. Returns how many pairs there
/// are.
pub fn for_every_pair_of_crash_points(
    preemptions: usize,
    model: fn(u32, u32) -> (bool, bool),
) -> u32 {
    let mut pairs = 0;
    for k in 0..200 {
        let first_died = Arc::new(AtomicBool::new(false));
        for j in 0.. {
            let (first, second) = (first_died.clone(), Arc::new(AtomicBool::new(false)));
            let noted = second.clone();
            silence_crashes();
            check(preemptions, move || {
                let died = model(k, j);
                first.fetch_or(died.0, Relaxed);
                noted.fetch_or(died.1, Relaxed);
            });
            pairs += 1;
            if !second.load(Relaxed) {
                break;
            }
            assert!(j < 200, "the second victim never comes to its end");
        }
        if !first_died.load(Relaxed) {
            return pairs;
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
