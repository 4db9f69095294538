//! Putting a dead participant's affairs in order.
//!
//! The caller holds the lock on the dead one's entry, so nobody else
//! recovers it and nobody takes it over meanwhile. Every step finds out from
//! the shared words what is left to do and leaves them such that doing it
//! again changes nothing: if the recoverer dies half-way, the kernel drops
//! the lock, the entry is still there, and the next one begins anew. There is
//! one exception, a statistic: `abandoned_nodes` and `redelivered_nodes` are
//! raised before the node's word is changed, so a recoverer killed exactly between the
//! two has the next one count that node once more. (The other way round one
//! would be missing.) No node, and no other count, is affected.
//!
//! | found | done |
//! |---|---|
//! | it was a writer in an open stream | the stream is marked unclean, first of all |
//! | its counters may lack its last commit, or its last drop | they are set to the noted sums |
//! | WRITING | FREE: never committed, never delivered |
//! | READY, not in the order | its append is finished |
//! | READY, in the order | nothing: it is the readers' |
//! | READING | ORPHAN: the next reader takes it first |
//! | TAKING | READY: as it was |
//! | it was a reader of a broadcast ring | nobody waits for it any more |
//! | no other writer is left | the stream ends |
//!
//! Last of all the entry is emptied. The caller wakes everybody then: what
//! came free, was handed on or has ended may be what they wait for.

use super::layout::{NodeWord, State};
use super::protocol::{Core, Corrupt, Cursor, NOT_DROPPING, NOTHING_PENDING, dropping, pending};
use crate::segment::layout::{EMPTY, LEAVING, WRITER};
use crate::sync::atomic::Ordering;
use crate::sync::crash_point::crash_point;
use std::ops::Range;

/// A node that nobody will ever change, and its word.
pub type Stray = (u32, NodeWord);

impl Core<'_> {
    /// Recovers the entry `slot`, whose holder is dead, and empties it.
    pub fn recover(&self, slot: u32) -> Result<(), Corrupt> {
        let entry = &self.entries[slot as usize];
        let state = entry.state.load(Ordering::Acquire);
        if state == WRITER {
            self.mark_unclean();
        }
        self.settle_drop(slot);
        self.settle_counters(slot);
        if self.broadcast {
            self.leave_order(slot);
        }
        let result = self.recover_nodes(slot);
        // It may have died between handing a node on and saying so.
        self.flag_orphans();
        if state == WRITER || state == LEAVING {
            // Not a writer any more, for one that leaves at this moment and
            // looks for others; and what there was of it is in order.
            self.leave_stream(slot);
        }
        entry.state.store(EMPTY, Ordering::Release);
        crash_point("recover/emptied");
        result
    }

    /// A node among `looked_at` that will never change by itself, for one in `slot`
    /// that has none and, if it `reads`, has just found none to claim. Honest
    /// participants leave no such node; but a word may have been overwritten, and
    /// whoever waits for that node would wait for ever.
    ///
    /// One look proves nothing; `rounds` says what does. An entry says who it is
    /// before it takes a node, and is emptied after it has none; and a READY node
    /// is in the order before its writer's entry is anything but a writer's.
    ///
    /// Orphans that the flag does not tell of are flagged.
    pub fn stray(&self, slot: u32, reads: bool, looked_at: Range<u32>) -> Option<Stray> {
        let (mut stray, mut orphans) = (None, false);
        for i in looked_at {
            let node = &self.nodes[i as usize];
            let word = NodeWord(node.word.load(Ordering::Acquire));
            let is_stray = match word.state() {
                Some(State::Free) => false,
                Some(State::Reading | State::Orphan) if self.broadcast => true,
                Some(State::Writing | State::Reading | State::Taking) => {
                    self.holder(slot, word) == EMPTY
                }
                Some(State::Ready) if self.broadcast => {
                    !self.appended(i, word) && !matches!(self.holder(slot, word), WRITER | LEAVING)
                }
                Some(State::Ready) => reads && !matches!(self.holder(slot, word), WRITER | LEAVING),
                Some(State::Orphan) => {
                    orphans = true;
                    false
                }
                None => true,
            };
            if is_stray && stray.is_none() {
                stray = Some((i, word));
            }
        }
        if orphans && reads {
            self.flag_orphans();
        }
        stray
    }

    /// What the owner of a node says that it is; not if that is `slot`, nor
    /// an entry that there is not.
    fn holder(&self, slot: u32, word: NodeWord) -> u32 {
        let owner = word.owner();
        let entry = owner.checked_sub(1).filter(|entry| *entry != slot);
        let entry = entry.and_then(|entry| self.entries.get(entry as usize));
        entry.map_or(EMPTY, |entry| entry.state.load(Ordering::Acquire))
    }

    /// A drop was made if and only if the noted node is WRITING, by `slot`, one
    /// generation on: that it stays until the drop is counted.
    fn settle_drop(&self, slot: u32) {
        let noted = self.entries[slot as usize].dropping.load(Ordering::Acquire);
        let node = (noted.wrapping_sub(1) & 0xf_ffff) as u32;
        if noted == NOT_DROPPING || node >= self.count() {
            return;
        }
        let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Acquire));
        let before = NodeWord::new(State::Ready, 0, word.generation().wrapping_sub(1));
        if word.is(State::Writing)
            && word.owner() == Self::owner(slot)
            && dropping(node, before) == noted
        {
            self.count_drop(slot);
        } else {
            // It was yet to be made, or somebody else got the node.
            self.entries[slot as usize]
                .dropping
                .store(NOT_DROPPING, Ordering::Release);
            crash_point("recover/not-dropped");
        }
    }

    fn settle_counters(&self, slot: u32) {
        let counters = &self.entries[slot as usize].counters;
        let noted = counters.pending_node.load(Ordering::Acquire);
        let node = (noted & 0xf_ffff) as u32;
        if noted == NOTHING_PENDING || node >= self.count() {
            return;
        }
        let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Acquire));
        let uncommitted = word.is(State::Writing)
            && word.owner() == Self::owner(slot)
            && pending(node, word) == noted;
        if !uncommitted {
            let nodes = counters.pending_nodes.load(Ordering::Relaxed);
            let bytes = counters.pending_bytes.load(Ordering::Relaxed);
            counters.written_nodes.store(nodes, Ordering::Release);
            crash_point("recover/counted-nodes");
            counters.written_bytes.store(bytes, Ordering::Release);
            crash_point("recover/counted-bytes");
        }
        counters
            .pending_node
            .store(NOTHING_PENDING, Ordering::Release);
        crash_point("recover/settled");
    }

    fn recover_nodes(&self, slot: u32) -> Result<(), Corrupt> {
        let counters = &self.entries[slot as usize].counters;
        let mut cursor = Cursor::default();
        let mut result = Ok(());
        for (i, node) in self.nodes.iter().enumerate() {
            let index = i as u32;
            let word = NodeWord(node.word.load(Ordering::Acquire));
            if word.owner() != Self::owner(slot) {
                continue;
            }
            match word.state() {
                Some(State::Writing) => {
                    counters.abandoned_nodes.fetch_add(1, Ordering::Relaxed);
                    crash_point("recover/abandoned");
                    node.word.store(word.freed().0, Ordering::Release);
                    crash_point("recover/freed");
                }
                Some(State::Reading) => {
                    counters.redelivered_nodes.fetch_add(1, Ordering::Relaxed);
                    crash_point("recover/redelivered");
                    let orphan = word.with(State::Orphan, 0);
                    node.word.store(orphan.0, Ordering::Release);
                    crash_point("recover/orphaned");
                }
                Some(State::Taking) => {
                    // Fails if a reader has kept it.
                    let ready = word.with(State::Ready, 0).0;
                    let _ = node.word.compare_exchange(
                        word.0,
                        ready,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    crash_point("recover/not-taken");
                }
                Some(State::Ready) if !self.appended(index, word) => {
                    // Not in the order when we looked. If a reader has it
                    // now, it was, and the word has changed.
                    let unchanged = node.word.load(Ordering::Acquire) == word.0;
                    if unchanged {
                        result = result.and(self.append(index, word, &mut cursor));
                    }
                }
                _ => {}
            }
        }
        result
    }
}
