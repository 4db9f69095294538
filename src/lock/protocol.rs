//! The lock's protocol, over borrowed atomics: in a segment, on the heap,
//! under the model checker.
//!
//! ```text
//! reader                            writer
//! [R1] own reading + 1              [W1] writer: FREE -> me
//!      fence                             fence
//! [R2] writer FREE? mine            [W2] every reading 0? mine: me | HELD
//!      else reading - 1, wait            else wait, look again
//! ...  payload                      ...  payload
//! [R3] reading - 1                  [W3] writer: FREE
//! ```
//!
//! It is the flag principle (Dekker, Peterson): each says what it wants, then
//! looks at the other. Of the two fences one is first, so a reader that came
//! too late sees the writer's word, or a writer that came too late sees the
//! reader's flag; never do both go in. A reader touches a flag of its own
//! only, so readers do not get in each other's way, which one counter for all of them
//! would make them do. The writer pays for it: it looks at every entry.
//!
//! A writer that has W1 keeps new readers out, so readers that come and go
//! cannot starve it. Nobody keeps two writers from starving a third, or readers.
//!
//! *R2* reads, with acquire, what *W3* released, and *W2* what *R3* released:
//! so the payload a reader sees is all of the last write, and a writer
//! changes it after the last read.
//!
//! # Under a pass
//!
//! Whoever has the lock may let others work under it (see `pass`): they say so
//! in their own entries, and look whether the pass still is good; the holder, before
//! it gives the lock back, takes the pass back, and waits for those who said so.
//! The same principle as above, with the same two fences:
//!
//! ```text
//! worker                                  holder
//! [P1] own under_pass = holder            [P2] own pass = 0
//!      fence                                   fence
//! [P3] holder's pass still this one?      [P4] nobody's under_pass = me? give the lock back
//!      else take it back, and wait             else wait, look again
//! ```
//!
//! # The dead
//!
//! [`Core::recover`] puts right what a dead holder left. All of it can be
//! told from words that only the dead one changed: those of its entry, and
//! `writer`, if that names it. A writer that died before it had all the lock
//! changed nothing, and nobody needs to be told: that is what HELD is for. One
//! that had it, or was storing under a pass, leaves a *mark*, set before
//! anybody can get the lock, so that whoever gets it next sees it. A complete
//! write clears the marks that there were when its lock was taken, and no
//! others: what was torn since is not whole because of it.
//!
//! A dead holder may have *survivors*, who store under its pass. The lock's word
//! is freed all the same. A writer looks at every entry, and so waits for them; a
//! reader looks for them only if there is a mark. There is one: the holder's,
//! set before its word was freed. And no survivor's own write clears it: its
//! pass is closed before the mark is set, and it saw the marks before the pass,
//! which was good.

use super::layout::{LockWords, UnderPass, WriterWord};
use crate::segment::layout::{EMPTY, Entry};
use crate::sync::atomic::{Ordering, fence_after_rmw};
use crate::sync::crash_point::crash_point;

/// The lock's shared words.
#[derive(Clone, Copy)]
pub struct Core<'a> {
    pub words: &'a LockWords,
    pub entries: &'a [Entry],
}

/// Read locks that one entry may have at a time. (More than memory has room
/// for; but guards can be forgotten, and their number must not come round to 0.)
pub const MOST_READS: u32 = u32::MAX / 2;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it was done: what was torn when the lock was taken is whole.
    Complete {
        /// The marks that there were then, as whoever took it saw them.
        marks: u32,
    },
    /// Nothing was changed.
    Nothing,
    /// It ended in the middle.
    Torn,
}

impl Core<'_> {
    /// Who has the write lock or is about to.
    #[inline]
    pub fn writer(&self) -> WriterWord {
        WriterWord(self.words.writer.load(Ordering::Acquire))
    }

    /// How many writers died in the middle of their changes.
    #[inline]
    pub fn marks(&self) -> u32 {
        self.words.marks.load(Ordering::Acquire)
    }

    /// Takes a read lock, if no writer is in the way (nor [`MOST_READS`] of its
    /// own). If it fails it may have
    /// shown its flag to a writer, who is to be woken (`drained`).
    #[inline]
    pub fn try_read(&self, slot: u32) -> bool {
        if self.writer() != WriterWord::FREE {
            return false;
        }
        let own = &self.entries[slot as usize].reading;
        let others = own.fetch_add(1, Ordering::AcqRel); // [R1] pairs with [W2]
        crash_point("read/shown");
        fence_after_rmw();
        // [R2] pairs with [W1] and [W3]
        if self.writer() == WriterWord::FREE
            && others < MOST_READS
            && self.a_survivor(slot).is_none()
        {
            return true;
        }
        self.unread(slot);
        false
    }

    /// Gives a read lock back. A writer may wait for it (`drained`).
    #[inline]
    pub fn unread(&self, slot: u32) {
        let own = &self.entries[slot as usize].reading;
        own.fetch_sub(1, Ordering::AcqRel); // [R3] pairs with [W2]
        crash_point("read/hidden");
    }

    /// Keeps other writers and new readers out, if no other writer does.
    #[inline]
    pub fn try_claim(&self, slot: u32) -> bool {
        let (free, claimed) = (WriterWord::FREE.0, WriterWord::claimed_by(slot).0);
        let word = &self.words.writer;
        let taken = word.load(Ordering::Relaxed) == free
            && word
                .compare_exchange(free, claimed, Ordering::AcqRel, Ordering::Relaxed) // [W1]
                .is_ok();
        fence_after_rmw();
        taken
    }

    /// An entry that still reads, or works under a pass: one the writer
    /// waits for.
    #[inline]
    pub fn a_reader(&self) -> Option<u32> {
        let busy = |entry: &Entry| {
            // [W2] pairs with [R1] and [R3], and with [P5]
            entry.reading.load(Ordering::Acquire) != 0
                || entry.under_pass.load(Ordering::Acquire) != 0
        };
        self.entries.iter().position(busy).map(|slot| slot as u32)
    }

    /// The claimer has seen that no reader is left: it may change the payload.
    #[inline]
    pub fn hold(&self) {
        // Not a store: the changes that follow must not come before it.
        self.words
            .writer
            .fetch_or(WriterWord::HELD, Ordering::AcqRel);
        crash_point("write/held");
    }

    /// Gives the write lock back, or the claim. All may wait for it (`free`).
    #[inline]
    pub fn unwrite(&self, written: Written) {
        self.note(written);
        crash_point("write/noted");
        // It names us: nobody else changes it meanwhile. A read-modify-write,
        // because the signal that follows wants a fence.
        self.words.writer.fetch_and(0, Ordering::AcqRel); // [W3] pairs with [R2]
        crash_point("write/freed");
    }

    /// Says how a write ended.
    #[inline]
    pub fn note(&self, written: Written) {
        let all = &self.words.marks;
        match written {
            Written::Complete { marks: 0 } | Written::Nothing => {}
            Written::Complete { marks } => {
                // Fails if there is a newer one, and must.
                let _ = all.compare_exchange(marks, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
            Written::Torn => {
                if all.fetch_add(1, Ordering::AcqRel) == u32::MAX {
                    // It came round to 0, which says that all is whole.
                    all.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }

    // ---- passes

    /// From now on `number` is good for the lock of `slot`.
    pub fn open_pass(&self, slot: u32, number: u32) {
        let pass = &self.entries[slot as usize].pass;
        pass.store(number, Ordering::Release);
        crash_point("pass/opened");
    }

    /// No more. Before the lock is given back, those who work under it are
    /// to be waited for ([`Core::a_worker`]).
    pub fn close_pass(&self, slot: u32) {
        let pass = &self.entries[slot as usize].pass;
        pass.fetch_and(0, Ordering::AcqRel); // [P2] pairs with [P3]
        crash_point("pass/closed");
        fence_after_rmw();
    }

    /// An entry that works under the lock of `grantor`.
    pub fn a_worker(&self, grantor: u32) -> Option<u32> {
        let works = |entry: &Entry| {
            let under = entry.under_pass.load(Ordering::Acquire); // [P4] pairs with [P1], [P5]
            UnderPass(under).grantor() == Some(grantor)
        };
        self.entries.iter().position(works).map(|slot| slot as u32)
    }

    /// An entry other than `slot` that stores under the pass of a holder who
    /// died, if nobody has the lock's word: one that readers wait for.
    #[inline]
    pub fn a_survivor(&self, slot: u32) -> Option<u32> {
        if self.marks() == 0 {
            return None;
        }
        let stores = |other: &u32| {
            let under = &self.entries[*other as usize].under_pass;
            // As [W2]; of a pass that was good we hear by [P1], [P3] and the fence in `disown`.
            *other != slot && UnderPass(under.load(Ordering::Acquire)).is_storing()
        };
        (0..self.entries.len() as u32).find(stores)
    }

    /// Begins to work under the lock of `grantor`, if `number` is its pass.
    /// If not, it may have been seen at it (`drained`).
    pub fn try_work(&self, slot: u32, grantor: u32, number: u32, storing: bool) -> bool {
        let own = &self.entries[slot as usize].under_pass;
        let mut seen = UnderPass(own.load(Ordering::Relaxed));
        loop {
            let next = match seen.grantor() {
                None => Some(UnderPass::new(grantor, storing)),
                Some(same) if same == grantor && !storing => seen.another_read(),
                Some(_) => None,
            };
            let Some(next) = next else { return false };
            // [P1] pairs with [P4]; and the changes that follow come after it.
            match own.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = UnderPass(now),
            }
        }
        crash_point("work/shown");
        fence_after_rmw();
        let pass = &self.entries[grantor as usize].pass;
        let good = pass.load(Ordering::Acquire) == number; // [P3] pairs with [P2]
        if !good {
            self.end_work(slot);
        }
        good
    }

    /// Ends it. The lock's holder may wait for it (`drained`).
    pub fn end_work(&self, slot: u32) {
        let own = &self.entries[slot as usize].under_pass;
        let mut seen = own.load(Ordering::Relaxed);
        // [P5] pairs with [P4] and [W2]: what was done comes before it.
        while let Err(now) = own.compare_exchange(
            seen,
            UnderPass(seen).one_less().0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            seen = now;
        }
        crash_point("work/hidden");
    }

    // ---- the dead

    /// Puts the affairs of the dead holder of `slot` in order and empties its
    /// entry. The caller holds the entry's byte lock, and wakes everybody
    /// afterwards. May be interrupted at any step and repeated.
    pub fn recover(&self, slot: u32) {
        self.disown(slot);
        let entry = &self.entries[slot as usize];
        entry.state.store(EMPTY, Ordering::Release);
        crash_point("disown/emptied");
    }

    /// The same for an entry that the caller has, and that nobody uses.
    pub fn disown(&self, slot: u32) {
        let entry = &self.entries[slot as usize];
        let word = self.writer();
        let had_all = word.slot() == Some(slot) && word.is_held();
        let under = UnderPass(entry.under_pass.load(Ordering::Acquire));
        // Whoever works under it by now, a reader will see: in place of [P2].
        entry.pass.fetch_and(0, Ordering::AcqRel);
        crash_point("disown/pass");
        fence_after_rmw();
        if had_all || under.is_storing() {
            self.note(Written::Torn);
            crash_point("disown/marked");
        }
        // Only now may anybody who waits for it go on: in place of its own
        // [P5], [W3] and [R3].
        entry.under_pass.store(0, Ordering::Release);
        crash_point("disown/work");
        if word.slot() == Some(slot) {
            self.words.writer.fetch_and(0, Ordering::AcqRel);
            crash_point("disown/writer");
        }
        entry.reading.store(0, Ordering::Release);
        crash_point("disown/reading");
    }
}
