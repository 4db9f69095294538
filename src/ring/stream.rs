//! Streams: who may end one, and when a reader has seen all of it.
//!
//! ```text
//!            first writer joins        last writer leaves
//!  WAITING ------------------> OPEN ------------------> ENDED
//!                               ^      next writer joins  |
//!                               +-------------------------+
//! ```
//!
//! A ring carries one stream after another. The first writer to join begins
//! one, the last to leave ends it, unless told to keep it open. One word
//! holds the epoch (streams begun), a count of joins, and the state, and both
//! joining and ending are a compare-and-swap on it.
//!
//! * **Joining**: the entry says WRITER first, then the word counts the join.
//! * **Leaving**: the entry says LEAVING, then the word is read, then the
//!   table is searched for another WRITER, then the word is swapped to ENDED.
//!   A writer who joined after the search has changed the word; the swap
//!   fails, and the search begins again. Of two that leave at once, at least
//!   one sees the other LEAVING (a full fence stands between the two on each
//!   side), so one of them ends the stream.
//! * **Dying**: an entry that says WRITER and is recovered marks the stream
//!   *unclean* while the entry still counts as a writer, so the stream cannot
//!   end before it is marked. A writer that dies LEAVING has committed all it
//!   had: clean.
//!
//! Nodes that an ended stream has left unread are delivered with the next
//! one; if their stream was unclean, so is then the next.
//!
//! A reader ends when a stream that it took part in has ended and nothing is
//! left: nothing READY, no orphan, and nobody else READING (a reader that
//! dies hands its node on).

use super::layout::{NodeWord, State, StreamState, StreamWord};
use super::protocol::Core;
use crate::segment::layout::{LEAVING, WRITER};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::crash_point::crash_point;

/// Where a reader stands among the streams: it ends with the first stream
/// later than this epoch that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base(u64);

impl Core<'_> {
    /// The stream word now.
    pub fn stream(&self) -> StreamWord {
        StreamWord(self.words.stream.0.load(Ordering::Acquire))
    }

    fn swap_stream(&self, from: StreamWord, to: StreamWord) -> bool {
        let word = &self.words.stream.0;
        word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// A writer whose entry says WRITER joins the open stream or begins one.
    pub fn join_stream(&self) {
        loop {
            let now = self.stream();
            let epoch = match now.state() {
                StreamState::Open => now.epoch(),
                _ => now.epoch() + 1,
            };
            self.inherit_unclean(now, epoch);
            let joins = now.joins().wrapping_add(1);
            if self.swap_stream(now, StreamWord::new(epoch, joins, StreamState::Open)) {
                crash_point("stream/joined");
                return;
            }
        }
    }

    /// What a dead writer's stream has left unread becomes part of the next
    /// one, and so does the mark that it is incomplete.
    fn inherit_unclean(&self, ended: StreamWord, next: u64) {
        let unclean = &self.words.unclean_epoch.0;
        if ended.state() == StreamState::Ended
            && unclean.load(Ordering::Acquire) == ended.epoch()
            && !self.drained()
        {
            unclean.fetch_max(next, Ordering::AcqRel);
            crash_point("stream/inherited");
        }
    }

    /// The writer in `slot` has committed its last node. Ends the stream if
    /// no other writer is left; whether it did.
    pub fn leave_stream(&self, slot: u32) -> bool {
        self.entries[slot as usize]
            .state
            .store(LEAVING, Ordering::Release);
        crash_point("leave/leaving");
        fence(Ordering::SeqCst);
        self.end_stream(slot)
    }

    /// Ends the open stream if no entry but `slot` is a writer's.
    fn end_stream(&self, slot: u32) -> bool {
        loop {
            let now = self.stream();
            if now.state() != StreamState::Open || self.another_writer(slot) {
                return false;
            }
            let ended = StreamWord::new(now.epoch(), now.joins(), StreamState::Ended);
            if self.swap_stream(now, ended) {
                crash_point("stream/ended");
                return true;
            }
        }
    }

    fn another_writer(&self, slot: u32) -> bool {
        self.entries
            .iter()
            .enumerate()
            .any(|(i, entry)| i != slot as usize && entry.state.load(Ordering::Acquire) == WRITER)
    }

    /// A writer died in the open stream.
    pub(super) fn mark_unclean(&self) {
        let now = self.stream();
        if now.state() == StreamState::Open {
            self.words
                .unclean_epoch
                .0
                .fetch_max(now.epoch(), Ordering::AcqRel);
            crash_point("recover/unclean");
        }
    }

    /// Where a reader that attaches now stands: the open stream is its own,
    /// and so is one that has ended and left something behind.
    pub fn base(&self) -> Base {
        self.base_if(|| self.unread().0 > 0)
    }

    /// The same, for one to whom an ended stream has left something or not.
    pub(super) fn base_if(&self, left: impl FnOnce() -> bool) -> Base {
        let now = self.stream();
        Base(match now.state() {
            StreamState::Waiting => now.epoch(),
            StreamState::Open => now.epoch().saturating_sub(1),
            StreamState::Ended if left() => now.epoch().saturating_sub(1),
            StreamState::Ended => now.epoch(),
        })
    }

    /// Whether a stream since `base` has ended. To be asked *before* a claim
    /// that then finds nothing.
    pub fn ended_since(&self, base: Base) -> bool {
        let now = self.stream();
        now.state() == StreamState::Ended && now.epoch() > base.0
    }

    /// Whether no committed node is left, not even in another reader's hands.
    /// (One whose word is damaged may have been one: it is left.) Broadcast: for
    /// no reader.
    pub fn drained(&self) -> bool {
        if self.broadcast {
            return self.gate() >= self.tail().position;
        }
        self.nodes.iter().all(|node| {
            matches!(
                NodeWord(node.word.load(Ordering::Acquire)).state(),
                Some(State::Free | State::Writing)
            )
        })
    }

    /// Whether no writer died in a stream since `base`.
    pub fn clean_since(&self, base: Base) -> bool {
        self.words.unclean_epoch.0.load(Ordering::Acquire) <= base.0
    }
}
