//! Waiting for the lock, and looking after whoever is in the way.
//!
//! There are four things to wait for: that no writer, nor one who stores under
//! the pass of a dead one, is in the way of a read; that no writer is in the
//! way of a write; that the last reader leaves; and, before a lock is given
//! back, that those are done who work under a pass for it. In each case it is
//! known who is in the way: an entry. Before each sleep, and after each slice of
//! 100 ms, the kernel is asked whether its holder lives, and if not, its affairs
//! are put in order on the spot. So a dead holder costs those who come one
//! `fcntl`, and those who slept already, one slice.

use super::handle::Locked;
use super::{LockError, Wait};
use crate::segment::SegmentError;
use crate::sync::atomic::Ordering;
use crate::sync::wait::{Attempt, SLICE, Spin};
use std::time::Instant;

/// As many sleepers as there are.
pub(super) const ALL: u32 = i32::MAX as u32;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A read lock.
    Read,
    /// The writer's word.
    Claim,
    /// That the last reader leaves, having the writer's word.
    Readers,
    /// That the last of those who work under our pass is done.
    Workers,
}

/// One wait.
pub(super) struct Waiting<'a> {
    locked: &'a Locked,
    wait: &'a Wait<'a>,
    what: For,
    /// When the system was last asked whether the segment is there.
    checked: Instant,
}

impl<'a> Waiting<'a> {
    pub fn new(locked: &'a Locked, what: For, wait: &'a Wait<'a>) -> Waiting<'a> {
        Waiting {
            locked,
            wait,
            what,
            checked: Instant::now(),
        }
    }

    /// Blocks until it is there.
    pub fn run(mut self) -> Result<(), LockError> {
        let bell = match self.what {
            For::Read | For::Claim => self.locked.free(),
            For::Readers | For::Workers => self.locked.drained(),
        };
        bell.wait(&mut Spin::default(), self.wait.deadline, &mut self)
    }

    /// A lock in the hands of an entry that there is not, or of the very one that
    /// waits: nobody would ever give it back. (Who forgets a guard, as by
    /// [`std::mem::forget`], and locks again hears the same.)
    fn check_holder(&self, slot: u32) -> Result<(), LockError> {
        let whose = match slot as usize {
            out if out >= self.locked.core().entries.len() => "which there is not",
            _ if slot == self.locked.slot() => "which itself waits for it",
            _ => return Ok(()),
        };
        Err(SegmentError::Corrupt {
            name: self.locked.name().clone(),
            why: format!("its lock is held by entry {slot}, {whose}"),
        }
        .into())
    }

    /// Whose holder is in the way.
    fn in_the_way(&self) -> Option<u32> {
        let (core, slot) = (self.locked.core(), self.locked.slot());
        match self.what {
            For::Read => core.writer().slot().or_else(|| core.a_survivor(slot)),
            For::Claim => core.writer().slot(),
            For::Readers => core.a_reader(),
            For::Workers => core.a_worker(slot),
        }
    }
}

impl Attempt for Waiting<'_> {
    type Output = ();
    type Error = LockError;

    fn attempt(&mut self) -> Result<Option<()>, LockError> {
        let (core, slot) = (self.locked.core(), self.locked.slot());
        let got = match self.what {
            For::Read => {
                let got = core.try_read(slot);
                if !got {
                    // A writer may have seen our flag, and sleep on it.
                    self.locked.drained().signal(ALL);
                }
                got
            }
            For::Claim => core.try_claim(slot),
            For::Readers => core.a_reader().is_none(),
            For::Workers => core.a_worker(slot).is_none(),
        };
        Ok(got.then_some(()))
    }

    fn look_around(&mut self) -> Result<(), LockError> {
        if let Some(gone) = self.locked.mapping().gone() {
            return Err(self.locked.gone_error(gone));
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.checked) >= SLICE {
            self.checked = now;
            if let Some(gone) = self.locked.gone() {
                return Err(self.locked.gone_error(gone));
            }
        }
        if let Some(slot) = self.in_the_way() {
            self.check_holder(slot)?;
            recover_if_dead(self.locked, slot);
        }
        if self.wait.cancelled.is_some_and(|cancelled| cancelled()) {
            return Err(LockError::Cancelled);
        }
        if self.wait.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(LockError::TimedOut);
        }
        Ok(())
    }

    fn note_unsignalled(&mut self) {
        let counters = &self.locked.membership().entry().counters;
        counters.unsignalled_slices.fetch_add(1, Ordering::Relaxed);
    }
}

/// Recovers the entry `slot`, if nobody holds it.
pub(super) fn recover_if_dead(locked: &Locked, slot: u32) {
    if let Some(_adopted) = locked.membership().adopt(slot) {
        locked.core().recover(slot);
        locked.wake_everybody();
    }
}
