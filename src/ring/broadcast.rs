//! Broadcast delivery: every reader gets every node, and all in the same order.
//!
//! ```text
//!          reserve            commit            reserve: everybody has passed it
//!  FREE@g --------> WRITING@g ------> READY@g -----------> TAKING@g -----> WRITING@g+1
//!                       | abort         |  ^                  |
//!                       v               |  +------------------+ somebody wants it after all
//!                    FREE@g+1           v append
//!                            cell[tail] = lap,g,node
//!
//!   positions  ... 12 13 14 15 16 17 18
//!                   |     `--'     ^tail        A has done with all below 14 and has 14, 15 in hand
//!      gate: 12 = B's place   A's place         writers may take what is below 12
//! ```
//!
//! Nodes, cells, commit and append are those of [`super::protocol`]. What
//! differs is how a node comes back: no reader claims it. A reader only says where it
//! is, in one word of its own entry (its *place*: a position, and how many from
//! there on it has in hand), and a writer takes back the oldest node that
//! nobody needs. Nobody but the reader changes its place, and its position only grows.
//!
//! * **What it has in hand is never taken.** The reader says that it has the
//!   next ones in hand, passes a full fence, and then looks whether their nodes
//!   are READY and named by their cells; a writer makes a node TAKING, passes a
//!   full fence, and then looks whether somebody has it in hand. One of the two
//!   fences is first, so one of them sees the other (hazard pointers, in short).
//! * **Who finds a node TAKING keeps it** by making it READY again, with a
//!   compare-and-swap, and the writer's step from TAKING to WRITING is another (a
//!   store, if all had passed the node before: nobody keeps that one):
//!   one of the two wins, and nobody waits for the other. The writer could
//!   have died between, too: TAKING has lost nothing yet, and is made READY by
//!   whoever recovers it.
//! * **Blocking writers** take only what is below the *gate*: the lowest position of
//!   all readers or, if there is none, the word `head`, to which readers that leave
//!   raise what all had passed. They keep the gate and the list of readers to
//!   themselves, and look again when it stops them; for positions only grow, so an old
//!   gate is a low one. Only a reader that joins can make it too high. It says
//!   its position, then bumps `joins`; a writer looks at `joins` after it has
//!   made the node TAKING.
//! * **Joining** ends with a look at all nodes from its position on: a writer that
//!   did not see it has made TAKING, before, what it took; so it begins after the
//!   last one that is not READY. From then on it misses nothing, unless a writer drops.
//! * **Dropping writers** take the oldest that nobody has in hand, whoever still
//!   wants it. The reader finds out by itself, when it comes there: the cell names
//!   another node, or one that is not READY in that generation. It counts it as
//!   missed and goes on. Dropped is what somebody had yet to claim, or what no
//!   reader, with none there, ever had; counted as a queue's drops are. (Not what went
//!   by while another reader had it in hand.)
//! * **The stream goes on over a node in hand**, also for more than a lap. Its cell
//!   is then written anew, while it is READY; so whoever writes a cell marks the
//!   node that it named as *overtaken*, in its noted position. No reader
//!   can come to it any more: it is free as soon as nobody has it in hand. And
//!   no recoverer appends it again.
//! * **Who gives back has only to say so**: the nodes are its own, and it comes to them
//!   again with its next claim, if they are still there.
//!
//! Writers find nodes in two ways: the oldest in the order, which is what the cell
//! names that the next append will write; and before that, while a flag says that there
//! are nodes which stand nowhere in the order (never used, aborted, overtaken), one look
//! at another node each time. So no such node is lost, and the last N messages stay there
//! for those who join `from oldest`.
//!
//! # Ordering sites
//!
//! | site | pairs with | carries |
//! |---|---|---|
//! | *announce* place, CAS; fence | *object* fence; places, acquire loads | one sees the other |
//! | *take* node word, CAS; fence | *hold* fence; node word, acquire load | the same, the other way |
//! | *pass* place, release store | *gate*, *object* acquire loads | the reader is done with the payload |
//! | *join* joins, RMW; fence | *object* fence; joins, acquire load | its place; or the TAKING before |
//! | *leave* head, release RMW; place, release store | *gate* acquire loads | it has gone, and what was passed |
//! | *overtake* position, release CAS | `appended`, acquire load after that of the cell | the cell that was |

use super::layout::{NodeWord, OVERTAKEN, PlaceWord, State};
use super::protocol::{Claimed, Core, Corrupt, Cursor, Token};
use crate::segment::layout::READER;
use crate::sync::atomic::{Ordering, fence_after_rmw};
use crate::sync::crash_point::crash_point;

pub mod gate;
#[cfg(all(test, not(loom)))]
mod tests;

/// Where a reader of a broadcast ring begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first node committed after it has joined.
    #[default]
    Newest,
    /// With the oldest node from which on none is missing.
    Oldest,
}

/// A reader's place in the order, kept privately: what its word says.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The first position that it has not in hand.
    pub next: Cursor,
    in_hand: u32,
    /// Positions that were gone when it came there.
    pub missed: u64,
}

impl Place {
    fn position(&self) -> u64 {
        self.next.position.wrapping_sub(self.in_hand.into())
    }

    fn word(&self) -> PlaceWord {
        PlaceWord::new(self.position(), self.in_hand)
    }
}

impl Core<'_> {
    // ---- readers

    /// Joins as a reader, whose entry says READER.
    pub fn join_order(&self, slot: u32, start: Start) -> Result<Place, Corrupt> {
        let mut place = Place {
            next: self.tail(),
            in_hand: 0,
            missed: 0,
        };
        if start == Start::Oldest {
            self.go_back(&mut place.next)?;
        }
        self.publish(slot, &place);
        crash_point("join/placed");
        // [join]: from now on no writer that looks takes what is ours.
        self.words.joins.0.fetch_add(1, Ordering::AcqRel);
        crash_point("join/counted");
        fence_after_rmw();
        // [hold]: those that did not look have made it TAKING before.
        let (mut at, tail) = (place.next, self.tail().position);
        // More than a lap behind it is gone.
        at.catch_up(tail.saturating_sub(self.count().into()), self.count());
        place.next = at;
        while at.position < tail {
            let there = self.standing(&at)?.is_some_and(|(_, w)| w.is(State::Ready));
            at.step(self.count());
            if !there {
                place.next = at;
            }
        }
        self.publish(slot, &place);
        crash_point("join/joined");
        Ok(place)
    }

    /// Back to the oldest position from which on all nodes are there.
    fn go_back(&self, next: &mut Cursor) -> Result<(), Corrupt> {
        for _ in 0..self.count().min(next.position.min(u32::MAX.into()) as u32) {
            let mut before = Cursor::default();
            before.seek(next.position - 1, self.count());
            let ready = self.standing(&before)?.filter(|(_, w)| w.is(State::Ready));
            if ready.is_none() {
                break;
            }
            *next = before;
        }
        Ok(())
    }

    /// Says in its entry where the reader is. *pass*: it has done with all before.
    fn publish(&self, slot: u32, place: &Place) {
        self.entries[slot as usize]
            .cursor
            .store(place.word().0, Ordering::Release);
    }

    /// The node that the cell of position `at` names in this lap, and its word:
    /// of the generation that it names, READY or TAKING or not yet what it will be.
    fn standing(&self, at: &Cursor) -> Result<Option<(u32, NodeWord)>, Corrupt> {
        // [look] pairs with [append].
        let cell = self.cell(at.slot).load(Ordering::Acquire);
        match self.bits.laps_ahead(cell, at.lap) {
            0 => self.named(cell),
            _ => Ok(None),
        }
    }

    /// The node that `cell` names, and its word, if that still is of the generation.
    #[inline]
    fn named(&self, cell: u64) -> Result<Option<(u32, NodeWord)>, Corrupt> {
        let node = self.bits.node(cell);
        if node >= self.count() {
            return Err(Corrupt("an order cell names a node that is not there"));
        }
        let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Acquire));
        let named = self.bits.names_generation(cell, word.generation());
        Ok(named.then_some((node, word)))
    }

    /// Claims the next nodes, up to `want` and about `want_bytes` bytes: `claimed`,
    /// which is empty if none is there. The reader has nothing in hand.
    pub fn claim_next(
        &self,
        slot: u32,
        place: &mut Place,
        want: u32,
        want_bytes: u64,
        claimed: &mut Vec<Claimed>,
    ) -> Result<(), Corrupt> {
        debug_assert_eq!(place.in_hand, 0);
        claimed.clear();
        for _ in 0..self.fuel() {
            // [look] pairs with [append].
            let cell = self.cell(place.next.slot).load(Ordering::Acquire);
            match self.bits.laps_ahead(cell, place.next.lap) {
                0 => {}
                -1 => return Ok(()),
                laps => {
                    self.fall_behind(slot, place, laps)?;
                    continue;
                }
            }
            self.look_ahead(cell, &place.next, want, want_bytes, claimed)?;
            let there = claimed.len() as u32;
            if there == 0 {
                self.miss(slot, place, 1);
                continue;
            }
            self.announce(slot, place, there)?;
            let mut got = 0;
            for claim in claimed.iter_mut() {
                let Some(word) = self.hold(claim.token) else {
                    break;
                };
                claim.token.word = word;
                match self.len(claim.token) {
                    Ok(len) => claim.len = len,
                    Err(e) if got == 0 => {
                        self.miss(slot, place, 1); // nobody can read it
                        claimed.clear();
                        return Err(e);
                    }
                    Err(_) => break, // the next claim finds it
                }
                place.next.step(self.count());
                got += 1;
            }
            place.in_hand = got;
            if got < there {
                claimed.truncate(got as usize);
                self.publish(slot, place);
            }
            if got > 0 {
                return Ok(());
            }
            self.miss(slot, place, 1);
        }
        Err(Corrupt("the order's cells do not fit a reader's place"))
    }

    /// Which nodes stand in the order from `at` on, where `cell` is, up to `want`, and
    /// `want_bytes`, of which what they say now is good enough.
    fn look_ahead(
        &self,
        mut cell: u64,
        at: &Cursor,
        want: u32,
        want_bytes: u64,
        claimed: &mut Vec<Claimed>,
    ) -> Result<(), Corrupt> {
        claimed.clear();
        let most = want.clamp(1, self.count().min(PlaceWord::MOST_IN_HAND));
        let (mut at, mut bytes) = (*at, 0u64);
        while let Some((node, word)) = self.named(cell)? {
            let len = self.nodes[node as usize].len.load(Ordering::Relaxed);
            bytes = bytes.saturating_add(len);
            let token = Token {
                node,
                word,
                again: false,
            };
            claimed.push(Claimed { token, len });
            if claimed.len() >= most as usize || bytes >= want_bytes {
                break;
            }
            at.step(self.count());
            // [look] pairs with [append].
            cell = self.cell(at.slot).load(Ordering::Acquire);
            if self.bits.laps_ahead(cell, at.lap) != 0 {
                break;
            }
        }
        Ok(())
    }

    /// Says that the reader has the next `count` positions in hand.
    fn announce(&self, slot: u32, place: &mut Place, count: u32) -> Result<(), Corrupt> {
        let shared = &self.entries[slot as usize].cursor;
        let (before, after) = (place.word(), PlaceWord::new(place.position(), count));
        // [announce] pairs with [object].
        shared
            .compare_exchange(before.0, after.0, Ordering::AcqRel, Ordering::Relaxed)
            .map_err(|_| Corrupt("somebody else changed a reader's place"))?;
        crash_point("claim/announced");
        fence_after_rmw();
        Ok(())
    }

    /// The word of a node whose position was announced, if it is still READY in the
    /// generation that its cell named: then it stays. (The cell may name another one by
    /// now. A writer that found the node in our hand may have gone round.)
    fn hold(&self, token: Token) -> Option<NodeWord> {
        for _ in 0..self.fuel() {
            // [hold] pairs with [take], and with [commit].
            let shared = &self.nodes[token.node as usize].word;
            let word = NodeWord(shared.load(Ordering::Acquire));
            if word.generation() != token.word.generation() {
                return None;
            }
            match word.state() {
                Some(State::Ready) => return Some(word),
                Some(State::Taking) => {
                    // Not from us. If that fails, the writer was faster, one way
                    // or the other.
                    self.keep(token.node, word);
                    crash_point("claim/kept");
                }
                _ => return None,
            }
        }
        None
    }

    /// Makes a node that is TAKING, in `word`, READY again.
    pub(super) fn keep(&self, node: u32, word: NodeWord) {
        let ready = word.with(State::Ready, 0);
        let shared = &self.nodes[node as usize].word;
        let _ = shared.compare_exchange(word.0, ready.0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The cell at the reader's place is not of the lap that it has come to.
    #[cold]
    fn fall_behind(&self, slot: u32, place: &mut Place, laps: i64) -> Result<(), Corrupt> {
        let count = u64::from(self.count());
        let here = place.next.position;
        // First by the hint: cells cannot tell one lap from 2^21 later ones.
        let oldest = self.words.tail.0.load(Ordering::Acquire);
        match oldest.saturating_sub(count).checked_sub(here) {
            Some(behind) if behind > 0 => self.miss(slot, place, behind),
            // The cell that many laps ahead was filled; one step after the
            // position that it had before may still be there.
            _ if laps > 0 => self.miss(slot, place, (laps as u64 - 1) * count + 1),
            _ => return Err(Corrupt("the order's cells do not fit a reader's place")),
        }
        Ok(())
    }

    /// The next `count` positions are gone.
    #[cold]
    fn miss(&self, slot: u32, place: &mut Place, count: u64) {
        place
            .next
            .seek(place.next.position.wrapping_add(count), self.count());
        place.missed = place.missed.wrapping_add(count);
        self.publish(slot, place);
        crash_point("claim/missed");
        let missed = &self.entries[slot as usize].missed_nodes;
        missed.store(
            missed.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Release,
        );
        crash_point("claim/counted-missed");
    }

    /// The reader has done with the first `count` nodes that it has in hand.
    #[inline]
    pub fn pass(&self, slot: u32, place: &mut Place, count: u32) {
        place.in_hand -= count;
        self.publish(slot, place);
        crash_point("release/passed");
    }

    /// The reader has not done with what it has in hand, and comes to it again.
    pub fn step_back(&self, slot: u32, place: &mut Place) {
        let position = place.position();
        place.next.seek(position, self.count());
        place.in_hand = 0;
        self.publish(slot, place);
        crash_point("give-back/stepped-back");
    }

    /// The reader in `slot` leaves, or is dead: nobody waits for it any more. The
    /// caller wakes the writers.
    pub fn leave_order(&self, slot: u32) {
        let shared = &self.entries[slot as usize].cursor;
        let own = PlaceWord(shared.load(Ordering::Acquire));
        if own.joined() {
            // [leave] pairs with [gate].
            let others = self.places().filter(|(other, _)| *other != slot);
            let lowest = others.map(|(_, place)| place.position()).min();
            let passed = own.position().min(lowest.unwrap_or(u64::MAX));
            // Whatever the word says: nobody has passed what is not there yet.
            let passed = passed.min(self.tail().position);
            self.words.head.0.fetch_max(passed, Ordering::AcqRel);
            crash_point("leave/passed");
            shared.store(PlaceWord::default().0, Ordering::Release);
            crash_point("leave/no-place");
        }
    }

    /// Whether nothing is there for the reader now.
    pub fn at_tail(&self, place: &Place) -> bool {
        place.next.position >= self.tail().position
    }

    // ---- looking

    /// The place of the reader in `slot`, if one is there.
    pub(super) fn place_of(&self, slot: u32) -> Option<PlaceWord> {
        let entry = &self.entries[slot as usize];
        let place = PlaceWord(entry.cursor.load(Ordering::Acquire));
        (place.joined() && entry.state.load(Ordering::Acquire) == READER).then_some(place)
    }

    /// The readers, and where they are.
    pub fn places(&self) -> impl Iterator<Item = (u32, PlaceWord)> {
        (0..self.entries.len() as u32).filter_map(|slot| Some((slot, self.place_of(slot)?)))
    }

    /// The first position that some reader has not passed.
    pub fn gate(&self) -> u64 {
        let lowest = self.places().map(|(_, place)| place.position()).min();
        lowest.unwrap_or_else(|| self.words.head.0.load(Ordering::Acquire))
    }

    /// Nodes that the slowest reader has yet to claim: exact at rest.
    pub(super) fn unclaimed_by_slowest(&self) -> u64 {
        let tail = self.tail().position;
        let claims = self.places().map(|(_, place)| {
            let in_hand = place.in_hand().into();
            place.position().wrapping_add(in_hand)
        });
        let next = claims
            .min()
            .unwrap_or_else(|| self.words.head.0.load(Ordering::Acquire));
        tail.saturating_sub(next).min(self.count().into())
    }

    /// Nodes that the reader in `slot` has yet to claim: exact at rest.
    pub(super) fn unclaimed_by(&self, slot: u32) -> u64 {
        let there = (slot as usize) < self.entries.len();
        let place = there.then(|| self.place_of(slot)).flatten();
        place.map_or(0, |place| {
            let next = place.position().wrapping_add(place.in_hand().into());
            let ahead = self.tail().position.saturating_sub(next);
            ahead.min(self.count().into())
        })
    }

    /// Nodes from `position` on, and their bytes: exact at rest. At most N: what
    /// is further behind is gone.
    pub fn ahead_of(&self, position: u64) -> (u64, u64) {
        let tail = self.tail().position;
        let nodes = tail.saturating_sub(position).min(self.count().into());
        let mut at = Cursor::default();
        at.seek(tail - nodes, self.count());
        let mut bytes = 0;
        for _ in 0..nodes {
            if let Ok(Some((node, _))) = self.standing(&at) {
                let len = &self.nodes[node as usize].len;
                bytes += len.load(Ordering::Relaxed).min(self.node_size);
            }
            at.step(self.count());
        }
        (nodes, bytes)
    }

    // ---- both

    /// The cell of `position`, which says `seen`, is about to be written anew: if
    /// its node may still be in somebody's hands, that has to be findable without.
    pub(super) fn overtake(&self, seen: u64, position: u64) {
        let Some(node) = self.nodes.get(self.bits.node(seen) as usize) else {
            return;
        };
        let word = NodeWord(node.word.load(Ordering::Acquire));
        if self.bits.names_generation(seen, word.generation())
            && matches!(word.state(), Some(State::Ready | State::Taking))
        {
            // [overtake] pairs with the look of `appended`. Fails if it was
            // overtaken already, or was taken since, and must.
            let overtaken = position | OVERTAKEN;
            let _ = node.position.compare_exchange(
                position,
                overtaken,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            crash_point("append/overtaken");
            self.flag_orphans();
        }
    }
}
