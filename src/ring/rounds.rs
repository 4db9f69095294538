//! What a party that has to wait looks after meanwhile: the dead, the
//! segment, its caller's limits, and damage that would have it wait for ever.
//!
//! Once per slice it recovers whoever has died, and looks for a **stray**: a
//! node that nobody will ever change, because a word of the ring was overwritten
//! (see [`Core::stray`](super::protocol::Core)). Honest parties leave none, yet one look does not
//! prove anything, for words change while they are looked at:
//!
//! * A node that is READY may have become so a moment ago. A reader should have
//!   got it in its next attempt: if it is the same one a slice later, with an attempt in
//!   between, it stands in no order.
//! * A node that an empty entry has (WRITING, READING) may have got a holder
//!   between the look at the node and the look at the entry; and again at the next
//!   look, for a node that is given back passes with the same word to the next
//!   reader in the same entry. So the look is repeated with the lock on the
//!   entry in hand: while we have that, nobody is in it.
//!
//! Then the ring is damaged, which is better said than waited for.

use super::attached::{Attached, RingError, add};
use super::layout::State;
use super::protocol::Corrupt;
use super::recovery::Stray;
use crate::segment::Membership;
use crate::segment::layout::EMPTY;
use crate::sync::atomic::Ordering;
use crate::sync::wait::{SLICE, Wait};
use std::time::Instant;

/// The looks around of one party that waits.
pub(super) struct Rounds<'a> {
    pub attached: &'a Attached,
    pub membership: &'a Membership,
    pub wait: &'a Wait<'a>,
    pub watch: &'a mut Watch,
    /// Whether it is a reader that waits: for it a READY node is one that it
    /// should have got.
    pub reads: bool,
}

/// What a handle remembers of its last look at the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    swept: Instant,
    /// A node that was a stray then.
    stray: Option<Stray>,
    /// The first of the nodes that are looked at next.
    next: u32,
}

/// Nodes that one look for strays looks at (4 MiB of descriptors, half a
/// millisecond): so that those who wait at a ring of a million nodes sleep, too.
/// Such a ring is gone through in two seconds.
const LOOKED_AT: u32 = 1 << 16;

impl Default for Watch {
    fn default() -> Self {
        Watch {
            swept: Instant::now(),
            stray: None,
            next: 0,
        }
    }
}

impl Rounds<'_> {
    /// Looks for the dead if that was last done a slice ago. Called whenever
    /// a party has to wait at all: in a stream that never pauses for as long
    /// as a slice, a dead reader's node must be handed on, too. And called
    /// after an attempt that brought nothing.
    pub fn sweep(&mut self) -> Result<(), RingError> {
        let now = Instant::now();
        if now.saturating_duration_since(self.watch.swept) >= SLICE {
            self.watch.swept = now;
            self.attached.sweep(self.membership)?;
            self.attached.check()?;
            self.look_for_strays()?;
        }
        Ok(())
    }

    /// Where there was one, once more; else at the next nodes.
    fn look_for_strays(&mut self) -> Result<(), RingError> {
        let core = self.attached.core();
        let first = self.watch.next;
        let end = core.count().min(first + LOOKED_AT);
        let stray = core.stray(self.membership.slot(), self.reads, first..end);
        if let Some(found) = stray
            && stray == self.watch.stray
            && self.is_beyond_doubt(found)
        {
            let why = "a node is held by nobody, or stands in no order";
            return Err(self.attached.corrupt(Corrupt(why)));
        }
        self.watch.stray = stray;
        if stray.is_none() {
            self.watch.next = if end < core.count() { end } else { 0 };
        }
        Ok(())
    }

    /// Whether a stray that was there twice is one.
    fn is_beyond_doubt(&self, (node, word): Stray) -> bool {
        let core = self.attached.core();
        let unchanged = || core.nodes[node as usize].word.load(Ordering::Acquire) == word.0;
        let slot = word.owner().wrapping_sub(1);
        match core.entries.get(slot as usize) {
            Some(entry)
                if matches!(
                    word.state(),
                    Some(State::Writing | State::Reading | State::Taking)
                ) && slot != self.membership.slot() =>
            {
                let lock = self.membership.adopt(slot);
                lock.is_some() && entry.state.load(Ordering::Acquire) == EMPTY && unchanged()
            }
            _ => unchanged(),
        }
    }

    /// See [`crate::sync::wait::Attempt::look_around`].
    pub fn look_around(&mut self) -> Result<(), RingError> {
        self.sweep()?;
        self.attached.gone()?;
        if self.wait.cancelled.is_some_and(|cancelled| cancelled()) {
            return Err(RingError::Cancelled);
        }
        if self
            .wait
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(RingError::TimedOut);
        }
        Ok(())
    }

    pub fn note_unsignalled(&self) {
        add(&self.membership.entry().counters.unsignalled_slices, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::layout::NodeWord;
    use crate::ring::protocol::Core;
    use crate::ring::{self, Delivery, Geometry};
    use crate::segment::layout::READER;
    use crate::segment::{self, Name, OpenOptions};
    use crate::sync::wait::WaitStrategy;

    struct Removed(Name);

    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = segment::remove(&self.0, true, OpenOptions::default());
        }
    }

    #[test]
    fn a_node_of_an_entry_that_looks_empty_is_no_stray_while_somebody_is_in_it() {
        let name = format!("test-{}-strays", std::process::id());
        let name = Removed(Name::new(&name).unwrap());
        let geometry = Geometry::new(2, 64, Delivery::Queue, WaitStrategy::Futex).unwrap();
        ring::create(&name.0, geometry, 0o600).unwrap();
        let attached = Attached::open(&name.0, OpenOptions::default()).unwrap();
        let membership = attached.join(READER).unwrap();
        // As between somebody's coming and our looks: it has the entry, and a
        // node, and seems not to be there.
        let somebody = attached.join(READER).unwrap();
        let word = NodeWord::new(State::Reading, Core::owner(somebody.slot()), 7);
        attached.core().nodes[0]
            .word
            .store(word.0, Ordering::Release);
        somebody.entry().state.store(EMPTY, Ordering::Release);

        let wait = Wait::default();
        let mut watch = Watch::default();
        let mut rounds = Rounds {
            attached: &attached,
            membership: &membership,
            wait: &wait,
            watch: &mut watch,
            reads: true,
        };
        for _ in 0..3 {
            rounds.look_for_strays().unwrap();
        }
        drop(somebody);
        let found = rounds.look_for_strays();
        assert!(matches!(found, Err(RingError::Corrupt { .. })), "{found:?}");
    }
}
