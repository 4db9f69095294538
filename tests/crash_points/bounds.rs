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

/// How long the survivors took, at the worst.
pub struct Slowest(Duration, &'static str, usize);

impl Slowest {
    pub fn new() -> Slowest {
        Slowest(Duration::ZERO, "", 0)
    }
    /// The others had done all they came for `until` then, a victim being dead
    /// `since`.
    #[track_caller]
    pub fn took(&mut self, at: &'static str, since: Instant, until: Instant) {
        let took = until.saturating_duration_since(since);
        assert!(took < SECONDS, "{at}: the others took {took:?}");
        if took >= self.0 {
            (self.0, self.1) = (took, at);
        }
        self.2 += 1;
    }
}

impl Drop for Slowest {
    fn drop(&mut self) {
        let Slowest(took, at, visits) = self;
        println!("{visits} visits; the others went on within {took:.3?}, slowest at {at}");
    }
}
