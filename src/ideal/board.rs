//! The first page of the shared file: where workers meet.
//!
//! ```text
//!   meet(1)            everybody is attached, nobody has left
//!     warm-up          writers say when theirs is over; readers drain
//!   meet(2)            the clock starts
//!     counted messages
//! ```
//!
//! A board is atomics only, each in a pair of cache lines of its own, valid in
//! any state. A worker that dies before a meeting keeps the others there; the
//! engine notices and ends them. It can also [`stop`](Board::stop) them, which
//! threads need, as they cannot be killed.

use super::memory::Shared;
use rustix::fd::AsFd;
use rustix::io::{Errno, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the shared file before the first slot.
pub const BOARD_SIZE: usize = 4096;

/// Pauses before one who waits at a meeting lets others have the processor.
const SPINS: u32 = 1000;

/// A value in a pair of cache lines of its own.
#[repr(C, align(128))]
struct Line(AtomicU64);

/// What the workers share besides payload.
#[repr(C)]
struct Words {
    tail: Line,
    head: Line,
    closed: Line,
    ends: Line,
    arrivals: Line,
    warmed: Line,
    stop: Line,
}

const _: () = assert!(size_of::<Words>() <= BOARD_SIZE);
const _: () = assert!(align_of::<Words>() <= 4096, "a page is");

/// Somebody called [`Board::stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// Where workers meet: the first page of a [`Shared`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Board {
    shared: Arc<Shared>,
}

impl Board {
    /// Maps the board of a file made by [`Shared::file`].
    ///
    /// # Errors
    ///
    /// Those of [`Shared::map`].
    pub fn map(file: impl AsFd) -> Result<Board> {
        Board::over(Arc::new(Shared::map(file, BOARD_SIZE)?))
    }

    /// The board at the start of what is mapped already.
    pub(super) fn over(shared: Arc<Shared>) -> Result<Board> {
        let there = shared.has(0, size_of::<Words>());
        there.then_some(Board { shared }).ok_or(Errno::INVAL)
    }

    fn words(&self) -> &Words {
        // SAFETY: so many bytes are mapped (checked in `over`) for as long as
        // `self.shared` lives, at the start of a page; Words is made of
        // atomics, for which any bytes, and any change by another process,
        // are valid.
        unsafe { &*self.shared.at(0).cast::<Words>() }
    }

    /// Messages that the pipeline's writer has published.
    pub(super) fn tail(&self) -> &AtomicU64 {
        &self.words().tail.0
    }

    /// Messages that the pipeline's reader has released.
    pub(super) fn head(&self) -> &AtomicU64 {
        &self.words().head.0
    }

    /// Not 0 once the pipeline's writer has published its last one.
    pub(super) fn closed(&self) -> &AtomicU64 {
        &self.words().closed.0
    }

    /// Which ends of the pipeline are given out, a bit each.
    pub(super) fn ends(&self) -> &AtomicU64 {
        &self.words().ends.0
    }

    /// Waits until all `parties` have come to meeting `number`, from 1.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub fn meet(&self, parties: u64, number: u64) -> std::result::Result<(), Stopped> {
        self.arrive();
        let mut spins = 0;
        while !self.has_met(parties, number) {
            if self.stopped() {
                return Err(Stopped);
            }
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                rustix::thread::sched_yield();
            }
        }
        Ok(())
    }

    /// Comes to the next meeting, and does not wait for the others.
    pub fn arrive(&self) {
        self.words().arrivals.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all `parties` have come to meeting `number`.
    pub fn has_met(&self, parties: u64, number: u64) -> bool {
        let arrivals = self.words().arrivals.0.load(Ordering::Acquire);
        arrivals >= parties.saturating_mul(number)
    }

    /// One more writer has published the last message of its warm-up.
    pub fn warmed_up(&self) {
        self.words().warmed.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How many have.
    pub fn warm_writers(&self) -> u64 {
        self.words().warmed.0.load(Ordering::Acquire)
    }

    /// Asks all workers to end as failed.
    pub fn stop(&self) {
        self.words().stop.0.store(1, Ordering::Release);
    }

    /// Whether somebody did.
    pub fn stopped(&self) -> bool {
        self.words().stop.0.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leaves_a_meeting_before_the_last_has_come() {
        let file = Shared::file(BOARD_SIZE).unwrap();
        let board = Board::map(&file).unwrap();
        let other = Board::map(&file).unwrap();
        let late = std::thread::spawn(move || {
            assert!(!other.has_met(2, 2), "the first has not come yet");
            other.meet(2, 1).unwrap();
            other.meet(2, 2)
        });
        board.meet(2, 1).unwrap();
        assert!(board.has_met(2, 1));
        board.meet(2, 2).unwrap();
        assert_eq!(late.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_meeting_that_never_comes_about_can_be_stopped() {
        let file = Shared::file(BOARD_SIZE).unwrap();
        let board = Board::map(&file).unwrap();
        let waiting = board.clone();
        let waiter = std::thread::spawn(move || waiting.meet(2, 1));
        board.stop();
        assert_eq!(waiter.join().unwrap(), Err(Stopped));
    }
}
