//! The lock's words, as they lie in an array or a buffer: descriptors and
//! checks, nothing else.
//!
//! ```text
//! structure_offset   LockWords    384 B, right behind the participant table
//!                    (an array's description of its elements)
//! payload_offset     payload, aligned to a page
//! ```
//!
//! The other half of the lock, each reader's flag among it, lies in the
//! participant entries ([`Entry`](crate::segment::layout::Entry): `reading`,
//! `pass`, `under_pass`).

use crate::sync::atomic::AtomicU32;
use crate::sync::event_word::EventWord;

/// Bytes of [`LockWords`].
pub const LOCK_SIZE: u64 = 384;

/// The shared words of a read/write lock. Each has cache lines of its own.
#[cfg_attr(not(loom), repr(C, align(128)))]
#[derive(Debug, Default)]
pub struct LockWords {
    /// Who has the write lock, or is waiting for the readers to leave: see
    /// [`WriterWord`].
    pub writer: AtomicU32,
    /// How many writers died, or panicked, in the middle of their changes
    /// since the last complete write. Not 0: the payload may be torn.
    pub marks: AtomicU32,
    /// Where all sleep who wait for the writer to leave.
    pub free: PaddedEvent,
    /// Where the writer sleeps that waits for the readers to leave.
    pub drained: PaddedEvent,
}

/// An event word in cache lines of its own.
#[cfg_attr(not(loom), repr(C, align(128)))]
#[derive(Debug, Default)]
pub struct PaddedEvent(pub EventWord);

/// `HELD:1 | entry + 1`, or 0 for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterWord(pub u32);

impl WriterWord {
    /// Nobody.
    pub const FREE: WriterWord = WriterWord(0);
    /// The bit of one who has seen the last reader leave.
    pub const HELD: u32 = 1 << 31;

    /// The entry that waits for the readers to leave.
    pub fn claimed_by(slot: u32) -> WriterWord {
        WriterWord(slot + 1)
    }

    /// Whether it may change the payload.
    pub fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    /// Whose it is, `None` if free; in a segment that was tampered with,
    /// perhaps an entry that there is not.
    pub fn slot(self) -> Option<u32> {
        (self != Self::FREE).then(|| (self.0 & !Self::HELD).wrapping_sub(1))
    }
}

/// What an entry's holder does under the lock of another entry, the
/// *grantor*: `grantor + 1 : 32 | storing : 1 | reads : 31`, or 0 for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderPass(pub u64);

impl UnderPass {
    /// Nothing.
    pub const NOTHING: UnderPass = UnderPass(0);
    const STORING: u64 = 1 << 31;

    /// The first thing under a lock of `grantor`.
    pub fn new(grantor: u32, storing: bool) -> UnderPass {
        let what = if storing { Self::STORING } else { 1 };
        UnderPass((u64::from(grantor) + 1) << 32 | what)
    }

    /// Whose lock it is, `None` if it does nothing; in a segment that was
    /// tampered with, perhaps an entry that there is not.
    pub fn grantor(self) -> Option<u32> {
        (self != Self::NOTHING).then(|| ((self.0 >> 32) as u32).wrapping_sub(1))
    }

    /// Whether it changes the payload.
    pub fn is_storing(self) -> bool {
        self.0 & Self::STORING != 0
    }

    /// The same with one more read; `None` if that cannot be.
    pub fn another_read(self) -> Option<UnderPass> {
        let reads = self.0 & (Self::STORING - 1);
        (!self.is_storing() && reads + 1 < Self::STORING).then_some(UnderPass(self.0 + 1))
    }

    /// The same with one read less, or without the storing.
    pub fn one_less(self) -> UnderPass {
        match self.0 & (Self::STORING - 1) {
            0 | 1 => Self::NOTHING,
            _ => UnderPass(self.0 - 1),
        }
    }
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<LockWords>() as u64 == LOCK_SIZE);
    assert!(offset_of!(LockWords, free) == 128);
    assert!(offset_of!(LockWords, drained) == 256);
};
