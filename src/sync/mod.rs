//! Atomics, and waiting on them across processes.
//!
//! ```text
//! atomic      std's atomics or loom's: the one switch
//! crash_point names of steps, at each of which a test may kill the process
//! event_word  arm / look again / sleep, publish / signal: no wake-up lost
//! explore     how the models are run (in tests, under loom)
//! wait        how long to spin and how to sleep: futex, spin, event
//! ```
//!
//! Nothing here knows what is waited for: a waiter brings an
//! `Attempt`, a signaller says that trying is worth while again.

pub mod atomic;
pub mod crash_point;
pub mod event_word;
#[cfg(all(test, loom))]
pub mod explore;
#[cfg(not(loom))]
pub mod raw_event;
#[cfg(not(loom))]
pub mod wait;
