//! The writers' half: which node comes next, and whether anybody needs it still.
//!
//! See [`super`] for why it is right. What a writer knows of the readers is in its
//! [`Gate`]; in the steady state, with a reader that keeps up, a node costs one
//! compare-and-swap on its word, a look at `joins`, and every N nodes one at the readers.
//!
//! # What made it faster
//!
//! A writer of small nodes spends its time on cache lines that readers hold. Each step
//! alone, as 20x1K, 1 writer, 1 reader, against a queue in the same run (medians of 5 to 11;
//! the state of the machine, a virtual one with 2 cores, moves both):
//!
//! | step | before | after |
//! |---|---|---|
//! | the cell is looked at when the one before it has been written, not again for the reserve and the append: a reader that waits polls it | 0.38 | 0.65 |
//! | one short path for the foreseen node; a store in place of a second compare-and-swap | 0.71 | 0.85 |
//! | the cell is fetched for writing before the payload is copied | 0.77 | 0.85 |
//! | nodes that follow each other in the order do not lie side by side | 0.76 | 0.83 |
//! | readers that keep up are looked at before the next node is fetched, not when it is needed | 0.81 | 0.91 |
//! | the next node is fetched without a look at its word first | 0.67 | 0.80 |
//! | its descriptor is fetched one node earlier than its payload | 0.80 (64 bytes: 0.73) | 0.90 (0.91) |
//!
//! It is level with a queue where the machine's cores share no cache, and a quarter short where
//! they seem to, for a message costs 1,190 instructions in place of 864: there the
//! writer is the slower party here, and the reader in a queue. A pair whose writer is
//! slower runs close together, and each takes the other's lines (a queue whose writer pauses
//! once a node falls from 4.3 to 2.8 GB/s).
//!
//! Without effect, and left out: fetching two nodes ahead, readers that wait longer
//! between two looks, a reader that does not announce, cells with lines of their own, the
//! next cell fetched earlier, a reader that keeps what it saw of a whole line of cells, node
//! words that no reader looks at. A loss: the next payload fetched before this one is copied.

use super::super::layout::{NodeWord, OVERTAKEN, State};
use super::super::protocol::{Core, Corrupt, Cursor, ORPHANS, Take, Token, Upcoming};
use crate::sync::atomic::{Ordering, fence_after_rmw};
use crate::sync::crash_point::crash_point;

/// What a writer knows of the readers, and where it looks for its next node.
#[derive(Debug, Default)]
pub struct Gate {
    /// `joins` when `readers` was made.
    joins: Option<u64>,
    readers: Vec<u32>,
    /// All have passed the positions below.
    below: u64,
    /// How many nodes the last look at the readers gave.
    gained: u64,
    /// The next cell to look at, of those that appends are to write.
    from: Cursor,
    round: Round,
}

/// A round of looks at all nodes, in turn, while the flag says that some stand
/// nowhere in the order. When it has found none, the flag goes.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    flag: u64,
    looked_at: u32,
    /// There is an overtaken one in somebody's hands.
    left: bool,
}

impl Round {
    fn under(flag: u64) -> Round {
        Round {
            flag,
            ..Round::default()
        }
    }
}

impl Gate {
    /// That of a writer which comes. It may be the first: no node was ever used.
    pub fn new(core: &Core<'_>) -> Gate {
        core.flag_orphans();
        Gate::default()
    }
}

/// So many nodes at a look: readers keep up.
const SOME: u64 = 4;

/// What a node still is to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// All had passed it before it was TAKING, and who joins sees that: nobody keeps it.
    Past,
    /// All have passed it by now. One of them may have kept it meanwhile.
    Nobody,
    Wanted,
    InHand,
}

impl Core<'_> {
    /// Takes a node to write to; `None` if every one is taken, or needed. One that
    /// somebody wanted is counted as dropped.
    pub fn reserve_passed(
        &self,
        slot: u32,
        take: Take,
        last: &mut u32,
        tail: &mut Cursor,
        gate: &mut Gate,
    ) -> Result<Option<Token>, Corrupt> {
        let all = self.count();
        if let Some(token) = self.reserve_next_passed(slot, last, tail, gate)? {
            return Ok(Some(token));
        }
        self.forward(tail); // from here on, no guess that is wrong
        if let Some(token) = self.take_in_order(slot, Take::Free, all, tail, gate)? {
            return Ok(Some(token));
        }
        if take == Take::Oldest
            && let Some(token) = self.take_in_order(slot, take, all, tail, gate)?
        {
            return Ok(Some(token));
        }
        Ok(self.out_of_turn(slot, last, tail, gate))
    }

    /// Tries only the node whose turn it is: for spinning. Out of line for the queues' sake.
    #[inline(never)]
    pub fn reserve_next_passed(
        &self,
        slot: u32,
        last: &mut u32,
        tail: &mut Cursor,
        gate: &mut Gate,
    ) -> Result<Option<Token>, Corrupt> {
        if let Some(token) = self.take_foreseen(slot, tail, gate) {
            return Ok(Some(token));
        }
        match self.in_turn(slot, last, tail, gate) {
            None => self.take_in_order(slot, Take::Free, 1, tail, gate),
            token => Ok(token),
        }
    }

    /// Takes the oldest node, as foreseen by the last append, if no other comes first
    /// and all have passed it. The guess is good if the node still is READY in the
    /// generation that the cell named: then it is the one of that position.
    #[inline]
    fn take_foreseen(&self, slot: u32, tail: &mut Cursor, gate: &mut Gate) -> Option<Token> {
        tail.catch_up(self.words.tail.0.load(Ordering::Acquire), self.count());
        let cell = tail.foreseen.filter(|cell| {
            tail.lap > 1
                && self.bits.laps_ahead(*cell, tail.lap) == -1
                && self.words.orphans.0.load(Ordering::Acquire) & ORPHANS == 0
        })?;
        let node = self.bits.node(cell);
        let word = NodeWord(self.nodes.get(node as usize)?.word.load(Ordering::Acquire));
        let position = tail.position.wrapping_sub(self.count().into());
        if !word.is(State::Ready)
            || !self.bits.names_generation(cell, word.generation())
            || !self.passed(position, gate)
        {
            return None;
        }
        self.take_back(node, word, position, Take::Free, slot, gate)
    }

    /// The node that the next append of this writer drives out of the order, and
    /// its word: what it waits for.
    pub fn oldest(&self, tail: &Cursor) -> Option<(u32, NodeWord)> {
        let cell = tail
            .foreseen
            .unwrap_or_else(|| self.cell(tail.slot).load(Ordering::Relaxed));
        let node = self.bits.node(cell);
        let word = self.nodes.get(node as usize)?.word.load(Ordering::Relaxed);
        Some((node, NodeWord(word)))
    }

    /// What comes after those taken, if all have passed it for sure: it may be fetched
    /// for writing. The descriptor of the node after the next, as it is wanted at once.
    /// Out of line for the queues' sake.
    #[inline(never)]
    pub fn next_passed(&self, last: u32, tail: &Cursor, gate: &mut Gate) -> Option<Upcoming> {
        if gate.round.flag & ORPHANS != 0 && tail.lap == 1 {
            return Some(Upcoming::node(self.after(last)));
        }
        let position = tail.position.wrapping_sub(self.count().into());
        // Where readers keep up the next look will open the gate: now, then, for what
        // is known to be passed can be fetched.
        let passed = match gate.gained {
            0..SOME => position < gate.below,
            _ => self.passed(position, gate),
        };
        // No look at a node itself: that would wait for the line that is to be asked for.
        let node = |cell| Some(self.bits.node(cell)).filter(|node| *node < self.count());
        let payload = node(tail.foreseen.filter(|_| passed)?)?;
        let descriptor = (position.wrapping_add(1) < gate.below)
            .then(|| self.cell_after(tail, 1).load(Ordering::Relaxed))
            .and_then(node);
        Some(Upcoming {
            payload,
            descriptor: descriptor.unwrap_or(payload),
        })
    }

    /// The node that is looked at after `node`: what was taken like that in the first lap
    /// stays the order of all others. Not its neighbour in memory, in a ring of
    /// some nodes: what the hardware fetches ahead for a reader that follows closely
    /// would be what the writer is just writing.
    fn after(&self, node: u32) -> u32 {
        // One of them does not divide a count of up to 2^20, so all have their turn.
        let step = [3, 5, 7, 11, 13, 17, 19];
        let step = step
            .into_iter()
            .find(|step| !self.count().is_multiple_of(*step));
        (node + step.filter(|_| self.count() >= 8).unwrap_or(1)) % self.count()
    }

    /// One node of those out of turn, if there are any: each call looks at
    /// another.
    #[inline]
    fn in_turn(
        &self,
        slot: u32,
        last: &mut u32,
        tail: &mut Cursor,
        gate: &mut Gate,
    ) -> Option<Token> {
        tail.catch_up(self.words.tail.0.load(Ordering::Acquire), self.count());
        if tail.foreseen.is_none() {
            self.forward(tail);
        }
        let flag = self.words.orphans.0.load(Ordering::Acquire);
        if flag & ORPHANS == 0 {
            return None;
        }
        self.flagged_in_turn(flag, slot, last, gate)
    }

    fn flagged_in_turn(
        &self,
        flag: u64,
        slot: u32,
        last: &mut u32,
        gate: &mut Gate,
    ) -> Option<Token> {
        if gate.round.flag != flag {
            gate.round = Round::under(flag);
        }
        *last = self.after(*last);
        if let Some(token) = self.take_loose(*last, slot, gate) {
            return Some(token);
        }
        let position = &self.nodes[*last as usize].position;
        gate.round.left |= position.load(Ordering::Acquire) & OVERTAKEN != 0;
        gate.round.looked_at += 1;
        if gate.round.looked_at == self.count() {
            if !gate.round.left {
                // Fails if another one was flagged since, and must.
                let _ = self.words.orphans.0.compare_exchange(
                    flag,
                    flag & !ORPHANS,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                crash_point("reserve/unflagged");
            }
            gate.round = Round::under(flag);
        }
        None
    }

    /// Any node of those out of turn, if there are any.
    fn out_of_turn(
        &self,
        slot: u32,
        last: &mut u32,
        tail: &mut Cursor,
        gate: &mut Gate,
    ) -> Option<Token> {
        (0..self.count())
            .take_while(|_| self.words.orphans.0.load(Ordering::Acquire) & ORPHANS != 0)
            .find_map(|_| self.in_turn(slot, last, tail, gate))
    }

    /// Takes `node` if it is free, or overtaken and in nobody's hands.
    fn take_loose(&self, node: u32, slot: u32, gate: &mut Gate) -> Option<Token> {
        if let Some(token) = self.take(node, Self::owner(slot)) {
            return Some(token);
        }
        let words = &self.nodes[node as usize];
        let word = NodeWord(words.word.load(Ordering::Acquire));
        let position = words.position.load(Ordering::Acquire);
        if !word.is(State::Ready) || position & OVERTAKEN == 0 {
            return None;
        }
        self.take_back(node, word, position & !OVERTAKEN, Take::Oldest, slot, gate)
    }

    /// Takes the oldest node in the order that `take` admits, looking at up to
    /// `most` of them.
    fn take_in_order(
        &self,
        slot: u32,
        take: Take,
        most: u32,
        tail: &Cursor,
        gate: &mut Gate,
    ) -> Result<Option<Token>, Corrupt> {
        let count = self.count();
        // Not again at what we have taken and not committed yet.
        let again = gate.from.position > tail.position && most > 1;
        gate.from.catch_up(tail.position, count);
        // In the first lap the oldest node stands at 0, not a lap behind.
        gate.from.catch_up(count.into(), count);
        let (mut at, end) = (gate.from, tail.position.saturating_add(count.into()));
        for _ in 0..most {
            if at.position >= end {
                break;
            }
            // [look] pairs with [append].
            let foreseen = tail.foreseen.filter(|_| at.position == tail.position);
            let cell = foreseen.unwrap_or_else(|| self.cell(at.slot).load(Ordering::Acquire));
            match self.bits.laps_ahead(cell, at.lap) {
                -1 => {
                    let node = self.bits.node(cell);
                    if node >= count {
                        return Err(Corrupt("an order cell names a node that is not there"));
                    }
                    let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Acquire));
                    if word.is(State::Ready) && self.bits.names_generation(cell, word.generation())
                    {
                        let position = at.position.wrapping_sub(count.into());
                        if take == Take::Free && !self.passed(position, gate) {
                            break;
                        }
                        if let Some(token) = self.take_back(node, word, position, take, slot, gate)
                        {
                            at.step(count);
                            gate.from = at;
                            return Ok(Some(token));
                        }
                    }
                }
                // Appended since: what stood there was taken.
                laps if laps >= 0 => at.skip(laps as u64, count),
                _ => return Err(Corrupt("the order's cells do not fit its tail")),
            }
            at.step(count);
        }
        gate.from = *tail;
        match again {
            true => self.take_in_order(slot, take, most, tail, gate),
            false => Ok(None),
        }
    }

    /// Makes `node`, READY in `word` and at `position`, the caller's, unless
    /// somebody needs it whom `take` respects.
    #[inline]
    fn take_back(
        &self,
        node: u32,
        word: NodeWord,
        position: u64,
        take: Take,
        slot: u32,
        gate: &mut Gate,
    ) -> Option<Token> {
        let shared = &self.nodes[node as usize].word;
        let taking = word.with(State::Taking, Self::owner(slot));
        // [take] pairs with [hold]; [reserve] as far as payload is concerned.
        shared
            .compare_exchange(word.0, taking.0, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        crash_point("reserve/taking");
        fence_after_rmw();
        let need = self.need(position, gate);
        let drops = need == Need::Wanted;
        if need == Need::InHand || drops && take == Take::Free {
            self.keep(node, taking);
            crash_point("reserve/left");
            return None;
        }
        if drops {
            self.note_drop(node, taking, slot);
        }
        let written = word.dropped(Self::owner(slot));
        if need == Need::Past {
            // Pairs with nothing: [take] made the node ours, [commit] hands it on. Should
            // we die before, a recoverer makes it READY, and nothing is lost.
            shared.store(written.0, Ordering::Release);
        } else {
            // [drop], and after the note, as with a queue's.
            shared
                .compare_exchange(taking.0, written.0, Ordering::AcqRel, Ordering::Relaxed)
                .inspect_err(|_| {
                    if drops {
                        self.forget_drop(slot);
                    }
                })
                .ok()?; // a reader has kept it, and may have passed it since
        }
        crash_point("reserve/taken-back");
        if drops {
            self.count_drop(slot);
        }
        Some(Token {
            node,
            word: written,
            again: false,
        })
    }

    /// Whether all readers have passed `position`.
    #[inline]
    fn passed(&self, position: u64, gate: &mut Gate) -> bool {
        if position >= gate.below {
            self.look_at_readers(gate, position);
        }
        position < gate.below
    }

    /// Who needs the node at `position`, which is TAKING now.
    #[inline]
    fn need(&self, position: u64, gate: &mut Gate) -> Need {
        // [object] pairs with [join].
        let joins = self.words.joins.0.load(Ordering::Acquire);
        if gate.joins == Some(joins) && position < gate.below {
            return Need::Past;
        }
        if self.look_at_readers(gate, position) {
            Need::InHand
        } else if position < gate.below {
            Need::Nobody
        } else {
            Need::Wanted
        }
    }

    /// Finds out who the readers are and what all have passed; and whether somebody
    /// has `position` in hand, by the same look at each.
    fn look_at_readers(&self, gate: &mut Gate, position: u64) -> bool {
        let joins = self.words.joins.0.load(Ordering::Acquire);
        if gate.joins != Some(joins) {
            gate.readers.clear();
            gate.readers.extend(self.places().map(|(slot, _)| slot));
            gate.joins = Some(joins);
        }
        let (mut below, mut in_hand) = (u64::MAX, false);
        // [gate], [object] pair with [pass], [announce], [leave].
        gate.readers.retain(|slot| {
            let place = self.place_of(*slot);
            if let Some(place) = place {
                below = below.min(place.position());
                in_hand |= place.holds(position);
            }
            place.is_some()
        });
        if gate.readers.is_empty() {
            below = self.words.head.0.load(Ordering::Acquire);
        }
        gate.gained = below.saturating_sub(position);
        gate.below = below;
        in_hand
    }
}
