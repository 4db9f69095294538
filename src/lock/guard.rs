//! The locks that a handle has, as values: given back when dropped.
//!
//! A guard lends the payload as a slice. The lock keeps honest writers away
//! meanwhile; a peer that ignores it, or stores single elements without it,
//! can change the bytes under the slice, as with any memory that is mapped
//! from a file that others may write to. What is read is then one value or the
//! other; nothing of ours depends on it being stable.
//!
//! A guard under a pass ([`pass`](super::pass)) has no lock to give back, but
//! says in its entry that it works under one. And a guard whose lock has
//! passes out waits, when it is dropped, until those who work under them are
//! done, or dead and recovered.

use super::handle::Locked;
use super::protocol::Written;
use super::waiting::ALL;
use crate::sync::crash_point::crash_point;

/// A read lock, given back when dropped.
#[must_use = "the lock is given back when this is dropped"]
#[derive(Debug)]
pub struct ReadGuard<'a> {
    locked: &'a Locked,
    under_pass: bool,
}

impl<'a> ReadGuard<'a> {
    #[inline]
    pub(super) fn new(locked: &'a Locked) -> ReadGuard<'a> {
        let under_pass = false;
        ReadGuard { locked, under_pass }
    }

    pub(super) fn under_pass(locked: &'a Locked) -> ReadGuard<'a> {
        let under_pass = true;
        ReadGuard { locked, under_pass }
    }

    /// All the payload. See the room's docs for what others can change
    /// meanwhile.
    pub fn bytes(&self) -> &[u8] {
        bytes(self.locked)
    }

    /// Whether a writer died, or panicked, in the middle of its changes, and
    /// nobody has written since.
    pub fn owner_died(&self) -> bool {
        self.locked.core().marks() != 0
    }

    /// Counts `bytes` as read by this handle, for those who inspect.
    pub fn count(&self, bytes: u64) {
        self.locked.count(0, bytes);
    }
}

impl Drop for ReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let (core, slot) = (self.locked.core(), self.locked.slot());
        if self.under_pass {
            core.end_work(slot);
        } else {
            self.locked.take_pass_back();
            core.unread(slot);
        }
        self.locked.drained().signal(ALL);
        crash_point("read/signalled");
        self.locked.count(1, 0);
    }
}

/// The write lock, given back when dropped.
///
/// Dropped, it says that the write is complete: [`owner_died`] is cleared, if
/// it was so when the lock was taken. (What somebody tore since, under a pass,
/// is not made whole by it.) Dropped by a panic, it says the contrary.
///
/// [`owner_died`]: WriteGuard::owner_died
#[must_use = "the lock is given back when this is dropped"]
#[derive(Debug)]
pub struct WriteGuard<'a> {
    locked: &'a mut Locked,
    under_pass: bool,
    /// Those there were when the lock was taken.
    marks: u32,
    written: Written,
}

impl<'a> WriteGuard<'a> {
    #[inline]
    pub(super) fn new(locked: &'a mut Locked) -> WriteGuard<'a> {
        let marks = locked.core().marks();
        WriteGuard::of(locked, marks, false)
    }

    /// `marks` are those seen before the pass was found good.
    pub(super) fn under_pass(locked: &'a mut Locked, marks: u32) -> WriteGuard<'a> {
        WriteGuard::of(locked, marks, true)
    }

    #[inline]
    fn of(locked: &'a mut Locked, marks: u32, under_pass: bool) -> WriteGuard<'a> {
        WriteGuard {
            locked,
            under_pass,
            marks,
            written: Written::Complete { marks },
        }
    }

    /// All the payload.
    pub fn bytes(&self) -> &[u8] {
        bytes(self.locked)
    }

    /// All the payload.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (at, len) = (self.locked.payload(), self.locked.len());
        // SAFETY: the checked header says that these bytes lie within the
        // mapping, which the handle keeps; any bytes are valid. The write lock
        // keeps honest others away, and `&mut self` those with this guard; what
        // one who ignores the lock can do, the top of this file says.
        unsafe { std::slice::from_raw_parts_mut(at, len) }
    }

    /// Whether a writer died, or panicked, in the middle of its changes,
    /// before this lock was taken, and nobody has written since.
    pub fn owner_died(&self) -> bool {
        self.marks != 0
    }

    /// Counts `bytes` as written by this handle, for those who inspect.
    pub fn count(&self, bytes: u64) {
        self.locked.count(0, bytes);
    }

    /// Gives the lock back after no change, or none that makes whole what a
    /// dead writer left: `owner_died` stays as it was.
    pub fn release_unwritten(mut self) {
        self.written = Written::Nothing;
    }

    /// Gives the lock back in the middle of changes: sets `owner_died`, as if
    /// the caller had died.
    pub fn release_incomplete(mut self) {
        self.written = Written::Torn;
    }
}

impl Drop for WriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let written = match std::thread::panicking() {
            true => Written::Torn,
            false => self.written,
        };
        let core = self.locked.core();
        if self.under_pass {
            core.note(written);
            crash_point("work/noted");
            core.end_work(self.locked.slot());
            // Readers, too, if the holder is dead.
            self.locked.wake_everybody();
        } else {
            self.locked.take_pass_back();
            core.unwrite(written);
            self.locked.free().signal(ALL);
            crash_point("write/signalled");
        }
        self.locked.count(1, 0);
    }
}

fn bytes(locked: &Locked) -> &[u8] {
    // SAFETY: the checked header says that these bytes lie within the
    // mapping, which the handle keeps; any bytes are valid. The lock keeps
    // honest writers away; what one who ignores it can do, the top of this
    // file says.
    unsafe { std::slice::from_raw_parts(locked.payload(), locked.len()) }
}
