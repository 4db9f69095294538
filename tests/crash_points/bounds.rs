//! How long those who survive may take, and how long they took.

use crate::harness::{PATIENCE, SECONDS};
use shmkit::ring::Wait;
use std::time::{Duration, Instant};

/// Nobody waits longer, in a test that is about to fail.
pub fn bounded() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + PATIENCE),
        ..Wait::default()
    }
}

/// How long most may take, in a debug build on a busy machine too: a slow
/// machine delays some, a slow protocol all of a kind.
const MOST_TAKE: Duration = Duration::from_secs(1);
/// The same for the next holder of a lock, of which 100 ms are promised.
const MOST_WAIT: Duration = Duration::from_millis(500);

/// How long the survivors took, each time.
pub struct Slowest(Vec<(Duration, &'static str)>, Duration);

impl Slowest {
    pub fn new() -> Slowest {
        Slowest(Vec::new(), MOST_TAKE)
    }
    /// Of those who wait for a lock.
    pub fn at_a_lock() -> Slowest {
        Slowest(Vec::new(), MOST_WAIT)
    }
    /// The others had done all they came for `until` then, a victim being dead
    /// `since`.
    #[track_caller]
    pub fn took(&mut self, at: &'static str, since: Instant, until: Instant) {
        let took = until.saturating_duration_since(since);
        assert!(took < SECONDS, "{at}: the others took {took:?}");
        self.0.push((took, at));
    }
}

impl Drop for Slowest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.0.sort();
        let visits = self.0.len();
        let (most, slow) = self.0[(visits - 1) * 3 / 4];
        let (took, at) = self.0[visits - 1];
        println!(
            "{visits} visits; the others went on within {most:.3?} mostly, {took:.3?} at {at}"
        );
        assert!(
            most < self.1,
            "a quarter took longer than {most:?} ({slow}), up to {took:?} ({at})"
        );
    }
}
