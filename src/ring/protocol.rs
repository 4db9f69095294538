//! The ring's protocol: nodes, and the order they were committed in.
//!
//! ```text
//!            reserve            commit             claim            release
//!  FREE@g ----------> WRITING@g ------> READY@g ----------> READING@g ----> FREE@g+1
//!                        | abort           |                  |  ^
//!                        v                 | append     give  |  | claim an orphan
//!                     FREE@g+1             v            back  v  |
//!                               cell[tail] = lap,g,node     ORPHAN@g
//!
//!  READY@g, ORPHAN@g ---- drop ----> WRITING@g+1: the oldest, to be written anew
//!
//!  cells   | 5:n3 | 5:n0 | 4:n2 | 4:n1 |       lap 5 begun; positions 17, 18 next
//!                          ^tail
//! ```
//!
//! A node is taken, filled and committed by one writer and only then gets its
//! place in the *order*: a circle of as many cells as there are nodes, walked
//! by two cursors. Readers claim in that order. (Most rings of nodes, the one in
//! .NET's *SharedMemory* library among them, hand out nodes in ring order *before* they are filled; there a
//! writer that stalls in between holds up everybody behind it, and one that
//! is killed holds them up for ever.)
//!
//! What holds, and why:
//!
//! * **Ownership is one word.** Taking a node and saying who has it are the
//!   same compare-and-swap. From then on only the owner, or whoever recovers
//!   a dead owner under its entry's lock, changes the word; so commit,
//!   release and abort are plain stores.
//! * **A committed node is delivered exactly once** unless a reader dies or
//!   gives it back: a claim is a compare-and-swap on the node's word with its
//!   full generation, which never recurs.
//! * **A cell is never overwritten while its node is unclaimed.** Nodes in
//!   the order are READY and each stands there once, so at most N cells are
//!   ahead of the head; for the cell to be overwritten another node had to be
//!   READY besides those N. Hence cells need no clearing: their lap tells
//!   whether they are filled, and `tail` never runs into `head`.
//! * **Cursors are hints.** Everyone keeps a private position, brings it
//!   forward by the hint and then by what the cells say. A hint may lag (its
//!   writer was stopped before a plain store) and nothing depends on it.
//! * **A writer may foresee its next cell**: in a broadcast ring, and in the smallest
//!   queues, it looks at it as soon as it has written the one before, which mostly lies
//!   in the same cache line; later, readers that wait there have taken it away. If the
//!   guess is wrong, its compare-and-swap fails, and it looks again. (In others that look
//!   only holds up the next reserve: see `super::prefetch`.)
//! * **A position is noted in the node before its cell is taken**, so one
//!   look tells whether a dead writer's READY node is in the order already.
//! * **A dropped node is a claimed one** as far as the order goes: the writer
//!   takes it by the same compare-and-swap from READY, which only one of it and
//!   the readers wins, so one that a reader has is never dropped. Its generation
//!   grows, so its old cell does not name what is then written into it. And it is
//!   counted: node, generation and the sums to be are noted first, so a recoverer
//!   sees whether the swap was made.
//!
//! Each operation is lock-free: it repeats only when another one succeeded.
//! In a damaged segment, where cells may say anything, the walk is bounded by
//! `Core::fuel` and ends in [`Corrupt`].
//!
//! # Ordering sites
//!
//! | site | pairs with | carries |
//! |---|---|---|
//! | *commit* node word, release store | *claim* node word, acquire CAS | payload and length |
//! | *append* cell, release CAS | *look* cell, acquire load | READY and the position |
//! | *release* node word, release store | *reserve* node word, acquire CAS | the reader is done with the payload |
//! | *orphan* node word, release store | *adopt* node word, acquire CAS | as *commit*, handed on |
//! | *commit*, *orphan*, as above | *drop* acquire fence, CAS | length; the others are done with the payload |
//! | *hint* head, tail, release store | *catch up* acquire load | what its writer had seen of the cells |
//! | *flag* orphans, release RMW | *unflag* orphans, acquire load | the orphan's word |
//!
//! The algorithm is our own combination of known parts: sequence-numbered
//! cells as in Vyukov's bounded queue, with the generation of a separate
//! node in place of the payload, and ownership by identity as in LMDB's
//! reader table. It is written over borrowed atomics: the same code runs in
//! shared memory, on the heap, and under the loom models.
//!
//! What both deliveries share and is called for each message ([`Core::commit`]) is compiled
//! for each, and what only broadcast does stays out of line: see `super::delivery` for
//! what that is worth.

use super::layout::{CellBits, NodeWord, NodeWords, OVERTAKEN, RingWords, State};
use crate::segment::layout::{Counters, Entry};
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::crash_point::crash_point;

/// The segment holds something that the protocol never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

/// Which nodes a writer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Those that are free: in a broadcast ring, that all readers have passed.
    Free,
    /// If there is none, the oldest that no reader has in hand, which is dropped.
    Oldest,
}

/// A node that the caller has: reserved by a writer or claimed by a reader.
///
/// Not a guard: dropping it does nothing. The guards are in
/// `super::writer` and `super::reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its index, below the node count.
    pub node: u32,
    /// Its word since it was taken.
    pub word: NodeWord,
    /// Whether another reader had it before, and died or gave it back.
    pub again: bool,
}

/// What a writer will write first, for who fetches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// The node whose payload that is: the next one.
    pub payload: u32,
    /// The node whose descriptor is wanted.
    pub descriptor: u32,
}

impl Upcoming {
    /// All of that node.
    pub fn node(node: u32) -> Upcoming {
        Upcoming {
            payload: node,
            descriptor: node,
        }
    }
}

/// A node that a reader has, and how much is in it.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    /// The node.
    pub token: Token,
    /// Its payload bytes, at most the node size.
    pub len: u64,
}

/// A place in the order, kept privately by each participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) position: u64,
    pub(super) lap: u64,
    pub(super) slot: u32,
    /// A writer's: what its cell said, looked at early: a good guess, and no more.
    pub(super) foreseen: Option<u64>,
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor {
            position: 0,
            lap: 1,
            slot: 0,
            foreseen: None,
        }
    }
}

impl Cursor {
    pub(super) fn step(&mut self, nodes: u32) {
        self.foreseen = None;
        self.position = self.position.wrapping_add(1);
        self.slot += 1;
        if self.slot == nodes {
            self.slot = 0;
            self.lap = self.lap.wrapping_add(1);
        }
    }

    pub(super) fn seek(&mut self, position: u64, nodes: u32) {
        self.foreseen = None;
        let ahead = position.wrapping_sub(self.position);
        if ahead <= 2 {
            for _ in 0..ahead {
                self.step(nodes);
            }
        } else {
            self.position = position;
            self.slot = (position % u64::from(nodes)) as u32;
            self.lap = position / u64::from(nodes) + 1;
        }
    }

    /// Forward by whole laps.
    pub(super) fn skip(&mut self, laps: u64, nodes: u32) {
        self.foreseen = None;
        self.position = self.position.wrapping_add(laps.wrapping_mul(nodes.into()));
        self.lap = self.lap.wrapping_add(laps);
    }

    /// Forward to a hint, loaded with acquire: *catch up* pairs with *hint*.
    /// (Without it, a cell might still look two laps old.) A hint that lags
    /// is ignored.
    pub(super) fn catch_up(&mut self, hint: u64, nodes: u32) {
        if hint > self.position {
            self.seek(hint, nodes);
        }
    }
}

/// Which free node a writer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// The next one in turn. The cache lines of the next node can be fetched
    /// early, and writer and reader work far apart: best for small nodes.
    RoundRobin,
    /// The lowest one: a few nodes stay warm in the cache while readers keep
    /// up. Best where the whole ring is much larger than the cache.
    Lowest,
}

impl Reuse {
    /// Measured (2 MiB of second-level cache, a reader that keeps up), against
    /// a bare ring: 20 x 1 MiB 1.10 and 1.13 with `Lowest`, 1.02 and 1.08 with
    /// `RoundRobin`; 50 x 1 MiB 1.30 and 1.31 against 1.10 and 1.16. For
    /// all others round robin, whose next node can be fetched early.
    pub fn for_ring(nodes: u64, node_size: u64) -> Reuse {
        if node_size >= 512 << 10 && nodes * node_size >= 20_000_000 {
            Reuse::Lowest
        } else {
            Reuse::RoundRobin
        }
    }
}

/// The shared words of one ring, borrowed from wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Core<'a> {
    /// Cursors, stream word, sleepers.
    pub words: &'a RingWords,
    /// The order; cell `i` is at `i << cell_shift`.
    pub cells: &'a [AtomicU64],
    /// log2 of the words from one cell to the next.
    pub cell_shift: u32,
    /// The nodes' descriptors.
    pub nodes: &'a [NodeWords],
    /// The participant table.
    pub entries: &'a [Entry],
    /// How cells are divided.
    pub bits: CellBits,
    /// Bytes of a node: no length is larger.
    pub node_size: u64,
    /// Which free node writers take.
    pub reuse: Reuse,
    /// Whether every reader gets every node: [`super::broadcast`].
    pub broadcast: bool,
}

impl<'a> Core<'a> {
    /// How many nodes there are.
    #[inline]
    pub fn count(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Whether there are nodes enough to fetch one while another is in use.
    #[inline]
    pub fn roomy(&self) -> bool {
        self.count() >= 4
    }

    /// Whether the writer of a queue looks early at its next cell, as readers wait at
    /// that very line: there is but one for all cells, or so few nodes that nothing is
    /// fetched early.
    #[inline]
    fn foresees(&self) -> bool {
        match self.cell_shift {
            0 => self.count() <= 8,
            _ => !self.roomy(),
        }
    }

    #[inline]
    pub(super) fn cell(&self, slot: u32) -> &'a AtomicU64 {
        &self.cells[(slot as usize) << self.cell_shift]
    }

    /// The cell `ahead` places after `at`, less than a lap.
    #[inline]
    pub fn cell_after(&self, at: &Cursor, ahead: u32) -> &'a AtomicU64 {
        let slot = at.slot + ahead;
        self.cell(slot.checked_sub(self.count()).unwrap_or(slot))
    }

    /// Steps that no honest walk needs: whoever takes more is being led
    /// round by a damaged segment.
    pub(super) fn fuel(&self) -> u64 {
        // Miri takes a minute for a million.
        let least = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
        64 * u64::from(self.count()) + least
    }

    /// The owner field of participant `slot`.
    pub fn owner(slot: u32) -> u32 {
        slot + 1
    }

    // ---- writers

    /// Takes `node` if it is free.
    #[inline]
    pub(super) fn take(&self, node: u32, owner: u32) -> Option<Token> {
        let shared = &self.nodes[node as usize].word;
        let word = NodeWord(shared.load(Ordering::Relaxed));
        if !word.is(State::Free) {
            return None;
        }
        // [reserve] pairs with [release]: our stores come after its loads.
        let token = self.own(node, word, word.with(State::Writing, owner))?;
        crash_point("reserve/taken");
        Some(token)
    }

    /// Makes `node` the caller's, if its word still is `word`.
    #[inline]
    fn own(&self, node: u32, word: NodeWord, taken: NodeWord) -> Option<Token> {
        let shared = &self.nodes[node as usize].word;
        shared
            .compare_exchange(word.0, taken.0, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(Token {
                node,
                word: taken,
                again: word.is(State::Orphan),
            })
    }

    /// The node a writer looks at first, after `last`.
    #[inline]
    fn candidate(&self, last: u32) -> u32 {
        match self.reuse {
            Reuse::Lowest => 0,
            Reuse::RoundRobin if last + 1 >= self.count() => 0,
            Reuse::RoundRobin => last + 1,
        }
    }

    /// Tries only the node whose turn it is: for spinning.
    #[inline]
    pub fn reserve_next(&self, owner: u32, last: &mut u32) -> Option<Token> {
        let token = self.take(self.candidate(*last), owner)?;
        *last = token.node;
        Some(token)
    }

    /// The node after `last`, where they are taken in turn.
    #[inline]
    pub fn next_in_turn(&self, last: u32) -> Option<u32> {
        (self.reuse == Reuse::RoundRobin).then(|| self.candidate(last))
    }

    /// The word of the node that [`Core::reserve_next`] would take.
    pub fn next_word(&self, last: u32) -> NodeWord {
        let node = &self.nodes[self.candidate(last) as usize];
        NodeWord(node.word.load(Ordering::Relaxed))
    }

    /// Takes a free node; `None` if there was none. `last` is the caller's
    /// last node, for taking turns.
    pub fn reserve(&self, owner: u32, last: &mut u32, head: &mut Cursor) -> Option<Token> {
        if let Some(token) = self.reserve_next(owner, last) {
            return Some(token);
        }
        if self.full(head) {
            return None;
        }
        let first = self.candidate(*last);
        let turns = (first + 1..self.count()).chain(0..first);
        for node in turns {
            if let Some(token) = self.take(node, owner) {
                *last = node;
                return Some(token);
            }
        }
        None
    }

    /// Whether every node is READY and unclaimed, told by one look at each
    /// cursor: saves a blocked writer the scan of a large ring. `false` may
    /// also mean "don't know".
    fn full(&self, head: &mut Cursor) -> bool {
        let nodes = u64::from(self.count());
        head.catch_up(self.words.head.0.load(Ordering::Acquire), self.count());
        if self.words.tail.0.load(Ordering::Acquire) < head.position.saturating_add(nodes) {
            return false;
        }
        let cell = self.cell(head.slot).load(Ordering::Acquire);
        let node = self.bits.node(cell);
        if self.bits.laps_ahead(cell, head.lap) != 0 || node >= self.count() {
            return false;
        }
        let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Relaxed));
        word.is(State::Ready) && self.bits.names_generation(cell, word.generation())
    }

    /// Publishes a reserved node with `len` payload bytes: it is READY, and
    /// then it gets its place in the order.
    #[inline]
    pub fn commit(
        &self,
        token: Token,
        len: u64,
        counters: &Counters,
        cursor: &mut Cursor,
    ) -> Result<(), Corrupt> {
        match self.broadcast {
            false => self.commit_in::<false>(token, len, counters, cursor),
            true => self.commit_broadcast(token, len, counters, cursor),
        }
    }

    /// Out of line, so that a queue's commit is not compiled together with it.
    #[inline(never)]
    fn commit_broadcast(
        &self,
        token: Token,
        len: u64,
        counters: &Counters,
        cursor: &mut Cursor,
    ) -> Result<(), Corrupt> {
        self.commit_in::<true>(token, len, counters, cursor)
    }

    /// [`Core::commit`], compiled for each delivery.
    #[inline]
    fn commit_in<const BROADCAST: bool>(
        &self,
        token: Token,
        len: u64,
        counters: &Counters,
        cursor: &mut Cursor,
    ) -> Result<(), Corrupt> {
        let node = &self.nodes[token.node as usize];
        node.len.store(len, Ordering::Relaxed);
        crash_point("commit/length");
        // What the counters will be, noted first: if we die on the way, the
        // recoverer finds the node either still WRITING or not, and so knows
        // which counts are right. Release stores: they may not change places.
        let nodes = counters
            .written_nodes
            .load(Ordering::Relaxed)
            .wrapping_add(1);
        let bytes = counters
            .written_bytes
            .load(Ordering::Relaxed)
            .wrapping_add(len);
        counters.pending_nodes.store(nodes, Ordering::Release);
        crash_point("commit/pending-nodes");
        counters.pending_bytes.store(bytes, Ordering::Release);
        crash_point("commit/pending-bytes");
        counters
            .pending_node
            .store(pending(token.node, token.word), Ordering::Release);
        crash_point("commit/pending");
        if BROADCAST {
            node.position.store(0, Ordering::Relaxed); // none yet, and not overtaken
        }
        let ready = token.word.with(State::Ready, token.word.owner());
        // [commit] pairs with [claim].
        node.word.store(ready.0, Ordering::Release);
        crash_point("commit/ready");
        self.append_in::<BROADCAST>(token.node, ready, cursor)?;
        counters.written_nodes.store(nodes, Ordering::Release);
        crash_point("commit/counted-nodes");
        counters.written_bytes.store(bytes, Ordering::Release);
        crash_point("commit/counted-bytes");
        counters
            .pending_node
            .store(NOTHING_PENDING, Ordering::Release);
        crash_point("commit/settled");
        Ok(())
    }

    /// Gives a READY node that is in no cell its place in the order. Called
    /// by its owner, or by the recoverer of its dead owner.
    #[inline]
    pub(super) fn append(
        &self,
        node: u32,
        ready: NodeWord,
        cursor: &mut Cursor,
    ) -> Result<(), Corrupt> {
        match self.broadcast {
            false => self.append_in::<false>(node, ready, cursor),
            true => self.append_in::<true>(node, ready, cursor),
        }
    }

    /// [`Core::append`], compiled for each delivery, and into each commit.
    #[inline(always)]
    fn append_in<const BROADCAST: bool>(
        &self,
        node: u32,
        ready: NodeWord,
        cursor: &mut Cursor,
    ) -> Result<(), Corrupt> {
        let count = self.count();
        cursor.catch_up(self.words.tail.0.load(Ordering::Acquire), count);
        for _ in 0..self.fuel() {
            let cell = self.cell(cursor.slot);
            let foreseen = cursor.foreseen.take();
            let seen = foreseen.unwrap_or_else(|| cell.load(Ordering::Acquire));
            match self.bits.laps_ahead(seen, cursor.lap) {
                -1 => {
                    let position = &self.nodes[node as usize].position;
                    position.store(cursor.position, Ordering::Relaxed);
                    crash_point("append/noted");
                    if BROADCAST && cursor.lap > 1 {
                        self.overtake(seen, cursor.position.wrapping_sub(count.into()));
                    }
                    let named = self.bits.pack(cursor.lap, ready.generation(), node);
                    // [append] pairs with [look].
                    if cell
                        .compare_exchange(seen, named, Ordering::SeqCst, Ordering::Relaxed)
                        .is_ok()
                    {
                        crash_point("append/appended");
                        self.words
                            .tail
                            .0
                            .store(cursor.position.wrapping_add(1), Ordering::Release);
                        crash_point("append/tail");
                        cursor.step(count);
                        if BROADCAST || self.foresees() {
                            // [look], while its line is still here: readers wait at it.
                            let next = self.cell(cursor.slot).load(Ordering::Acquire);
                            cursor.foreseen = Some(next);
                        }
                        return Ok(());
                    }
                }
                0 => cursor.step(count),
                laps if laps > 0 => {
                    cursor.skip(laps as u64, count);
                    cursor.step(count);
                }
                _ => break,
            }
        }
        Err(Corrupt("the order's cells do not fit its tail"))
    }

    /// Whether a READY node is in the order: its cell is the one whose
    /// position was noted in it. Or was, and it was overtaken.
    pub(super) fn appended(&self, node: u32, ready: NodeWord) -> bool {
        let position = &self.nodes[node as usize].position;
        let mut at = Cursor::default();
        at.seek(position.load(Ordering::Acquire) & !OVERTAKEN, self.count());
        let named = self.bits.pack(at.lap, ready.generation(), node);
        // The cell first: who writes it anew has marked the node before.
        self.cell(at.slot).load(Ordering::Acquire) == named
            || position.load(Ordering::Acquire) & OVERTAKEN != 0
    }

    /// Takes the oldest node that is committed and that no reader has from the
    /// readers, to be written anew by `slot`, and counts it as dropped. `None` if
    /// there is none: writers and readers have them all.
    pub fn drop_oldest(&self, slot: u32, cursor: &mut Cursor) -> Result<Option<Token>, Corrupt> {
        let dropped = self.take_oldest(cursor, |node, word| self.drop_node(node, word, slot))?;
        if dropped.is_some() {
            self.count_drop(slot);
        }
        Ok(dropped)
    }

    /// Drops `node`, if its word still is `word`; it is yet to be counted.
    fn drop_node(&self, node: u32, word: NodeWord, slot: u32) -> Option<Token> {
        self.note_drop(node, word, slot);
        let dropped = word.dropped(Self::owner(slot));
        // [drop], and after the note: whoever sees the one sees the other.
        let taken = self.nodes[node as usize].word.compare_exchange(
            word.0,
            dropped.0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if taken.is_err() {
            self.forget_drop(slot);
            return None;
        }
        crash_point("drop/taken");
        Some(Token {
            node,
            word: dropped,
            again: false,
        })
    }

    /// Notes that `slot` is about to drop `node`, and what its counters will be.
    pub(super) fn note_drop(&self, node: u32, word: NodeWord, slot: u32) {
        let entry = &self.entries[slot as usize];
        let counters = &entry.counters;
        let shared = &self.nodes[node as usize];
        // [drop] pairs with [commit], [orphan]: the length is that of `word`.
        fence(Ordering::Acquire);
        let len = shared.len.load(Ordering::Relaxed).min(self.node_size);
        let nodes = counters.dropped_nodes.load(Ordering::Relaxed);
        let bytes = counters.dropped_bytes.load(Ordering::Relaxed);
        counters
            .pending_nodes
            .store(nodes.wrapping_add(1), Ordering::Release);
        crash_point("drop/pending-nodes");
        counters
            .pending_bytes
            .store(bytes.wrapping_add(len), Ordering::Release);
        crash_point("drop/pending-bytes");
        entry
            .dropping
            .store(dropping(node, word), Ordering::Release);
        crash_point("drop/noted");
    }

    /// The drop that `slot` has noted was not made.
    pub(super) fn forget_drop(&self, slot: u32) {
        let noted = &self.entries[slot as usize].dropping;
        noted.store(NOT_DROPPING, Ordering::Release);
    }

    /// Counts the drop that `slot` has noted, and made. By its owner, or by the
    /// recoverer of its dead owner.
    pub(super) fn count_drop(&self, slot: u32) {
        let entry = &self.entries[slot as usize];
        let counters = &entry.counters;
        let nodes = counters.pending_nodes.load(Ordering::Relaxed);
        let bytes = counters.pending_bytes.load(Ordering::Relaxed);
        counters.dropped_nodes.store(nodes, Ordering::Release);
        crash_point("drop/counted-nodes");
        counters.dropped_bytes.store(bytes, Ordering::Release);
        crash_point("drop/counted-bytes");
        entry.dropping.store(NOT_DROPPING, Ordering::Release);
        crash_point("drop/settled");
    }

    /// Gives a reserved node back unused.
    pub fn abort(&self, token: Token) {
        let node = &self.nodes[token.node as usize];
        // [release] as far as the next writer is concerned.
        node.word.store(token.word.freed().0, Ordering::Release);
        crash_point("abort/freed");
        if self.broadcast {
            self.flag_orphans();
        }
    }

    // ---- readers

    /// Claims the next node in order, orphans first; `None` if there is none.
    #[inline]
    pub fn claim(&self, owner: u32, cursor: &mut Cursor) -> Result<Option<Token>, Corrupt> {
        // [claim] pairs with [commit], [adopt] with [orphan].
        self.take_oldest(cursor, |node, word| {
            self.own(node, word, word.with(State::Reading, owner))
        })
    }

    /// Takes the next node in order, orphans first, by `take`, which gets it in
    /// the word it has, or not.
    #[inline]
    fn take_oldest(
        &self,
        cursor: &mut Cursor,
        take: impl Fn(u32, NodeWord) -> Option<Token>,
    ) -> Result<Option<Token>, Corrupt> {
        // [unflag] pairs with [flag].
        let orphans = self.words.orphans.0.load(Ordering::Acquire);
        if orphans & ORPHANS != 0
            && let Some(token) = self.adopt(orphans, &take)
        {
            return Ok(Some(token));
        }
        let count = self.count();
        cursor.catch_up(self.words.head.0.load(Ordering::Acquire), count);
        for _ in 0..self.fuel() {
            // [look] pairs with [append].
            let cell = self.cell(cursor.slot).load(Ordering::Acquire);
            match self.bits.laps_ahead(cell, cursor.lap) {
                0 => {
                    let node = self.bits.node(cell);
                    if node >= count {
                        return Err(Corrupt("an order cell names a node that is not there"));
                    }
                    let token = self.take_ready(node, cell, &take);
                    if token.is_some() {
                        crash_point("claim/taken");
                        self.words
                            .head
                            .0
                            .store(cursor.position.wrapping_add(1), Ordering::Release);
                        crash_point("claim/head");
                        cursor.step(count);
                        return Ok(token);
                    }
                    cursor.step(count);
                }
                -1 => return Ok(None),
                laps if laps > 0 => {
                    // The cell one lap ahead was filled, so ours was claimed.
                    cursor.skip(laps as u64 - 1, count);
                    cursor.step(count);
                }
                _ => break,
            }
        }
        Err(Corrupt("the order's cells do not fit its head"))
    }

    /// The node that stands `ahead` places after `cursor` in the order, less than a
    /// lap, if one does.
    #[inline]
    pub fn peek(&self, cursor: &Cursor, ahead: u32) -> Option<u32> {
        let cell = self.cell_after(cursor, ahead).load(Ordering::Relaxed);
        let node = self.bits.node(cell);
        let begun = u64::from(cursor.slot + ahead >= self.count());
        let lap = cursor.lap.wrapping_add(begun);
        let there = self.bits.laps_ahead(cell, lap) == 0 && node < self.count();
        there.then_some(node)
    }

    /// Takes the node that `cell` names, unless it was taken before.
    #[inline]
    fn take_ready(
        &self,
        node: u32,
        cell: u64,
        take: &impl Fn(u32, NodeWord) -> Option<Token>,
    ) -> Option<Token> {
        let shared = &self.nodes[node as usize].word;
        let word = NodeWord(shared.load(Ordering::Relaxed));
        if !word.is(State::Ready) || !self.bits.names_generation(cell, word.generation()) {
            return None;
        }
        take(node, word)
    }

    /// Takes the oldest orphan. `orphans` is the flag word that said that
    /// there may be one.
    #[cold]
    fn adopt(&self, orphans: u64, take: &impl Fn(u32, NodeWord) -> Option<Token>) -> Option<Token> {
        loop {
            let oldest = self
                .nodes
                .iter()
                .enumerate()
                .map(|(i, node)| (i as u32, node, NodeWord(node.word.load(Ordering::Acquire))))
                .filter(|(_, _, word)| word.is(State::Orphan))
                .min_by_key(|(_, node, _)| node.position.load(Ordering::Relaxed));
            let Some((node, _, word)) = oldest else {
                // Fails if another orphan was flagged since, and must.
                let flag = &self.words.orphans.0;
                let _ = flag.compare_exchange(
                    orphans,
                    orphans & !ORPHANS,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                crash_point("orphans/unflagged");
                return None;
            };
            let token = take(node, word);
            if token.is_some() {
                crash_point("orphans/claimed");
                return token;
            }
        }
    }

    /// Payload bytes of a claimed node, checked against the node size.
    #[inline]
    pub fn len(&self, token: Token) -> Result<u64, Corrupt> {
        let len = self.nodes[token.node as usize].len.load(Ordering::Relaxed);
        if len > self.node_size {
            return Err(Corrupt("a node's length is larger than a node"));
        }
        Ok(len)
    }

    /// Gives a claimed node back to the writers: it has been read.
    #[inline]
    pub fn release(&self, token: Token) {
        let node = &self.nodes[token.node as usize];
        // [release] pairs with [reserve].
        node.word.store(token.word.freed().0, Ordering::Release);
        crash_point("release/freed");
    }

    /// Hands a claimed node on to another reader.
    pub fn give_back(&self, token: Token) {
        let node = &self.nodes[token.node as usize];
        // [orphan] pairs with [adopt].
        node.word
            .store(token.word.with(State::Orphan, 0).0, Ordering::Release);
        crash_point("give-back/orphaned");
        self.flag_orphans();
    }

    /// Says that there may be orphans. After their words, never before: a
    /// reader that looked in between would take the flag down again. Whoever
    /// dies in between has an entry to recover, and that flags again.
    pub(super) fn flag_orphans(&self) {
        let flag = &self.words.orphans.0;
        let mut seen = flag.load(Ordering::Relaxed);
        loop {
            let next = seen.wrapping_add(2) | ORPHANS;
            // [flag] pairs with [unflag].
            match flag.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    crash_point("orphans/flagged");
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    // ---- looking

    /// The first position that is not filled: exact at rest.
    pub(super) fn tail(&self) -> Cursor {
        let mut tail = Cursor::default();
        self.forward(&mut tail);
        tail
    }

    /// Brings `tail` forward to the first position that is not filled.
    pub(super) fn forward(&self, tail: &mut Cursor) {
        let count = self.count();
        tail.catch_up(self.words.tail.0.load(Ordering::Acquire), count);
        for _ in 0..count {
            let cell = self.cell(tail.slot).load(Ordering::Acquire);
            match self.bits.laps_ahead(cell, tail.lap) {
                0 => tail.step(count),
                laps if laps > 0 => {
                    tail.skip(laps as u64, count);
                    tail.step(count);
                }
                _ => break,
            }
        }
    }

    /// Nodes in the order that nobody has claimed: exact at rest. Broadcast: that
    /// the slowest reader has not.
    pub fn unclaimed(&self) -> u64 {
        if self.broadcast {
            return self.unclaimed_by_slowest();
        }
        let (count, tail) = (self.count(), self.tail());
        let mut head = Cursor::default();
        head.seek(self.words.head.0.load(Ordering::Acquire), count);
        if tail.position > head.position.saturating_add(count.into()) {
            head.seek(tail.position - u64::from(count), count);
        }
        while head.position < tail.position {
            let cell = self.cell(head.slot).load(Ordering::Acquire);
            let node = self.bits.node(cell);
            if self.bits.laps_ahead(cell, head.lap) == 0 && node < count {
                let word = NodeWord(self.nodes[node as usize].word.load(Ordering::Relaxed));
                if word.is(State::Ready) && self.bits.names_generation(cell, word.generation()) {
                    break;
                }
            }
            head.step(count);
        }
        tail.position.saturating_sub(head.position)
    }

    /// Nodes committed and not yet read, and their bytes: READY, READING and
    /// ORPHAN ones. Looks at every node. Broadcast: those that the slowest reader
    /// has not.
    pub fn unread(&self) -> (u64, u64) {
        if self.broadcast {
            return self.ahead_of(self.gate());
        }
        let mut sum = (0, 0);
        for node in self.nodes {
            let state = NodeWord(node.word.load(Ordering::Acquire)).state();
            if matches!(state, Some(State::Ready | State::Reading | State::Orphan)) {
                sum.0 += 1;
                sum.1 += node.len.load(Ordering::Relaxed).min(self.node_size);
            }
        }
        sum
    }
}

/// Bit 0 of the orphans word.
pub(super) const ORPHANS: u64 = 1;
/// No commit is under way.
pub const NOTHING_PENDING: u64 = u64::MAX;

/// No drop is under way.
pub(super) const NOT_DROPPING: u64 = 0;

/// How a drop under way is noted: as a commit, and never [`NOT_DROPPING`].
pub(super) fn dropping(node: u32, word: NodeWord) -> u64 {
    pending(node, word).wrapping_add(1)
}

/// How a commit under way is noted: the node and the low 44 bits of its
/// generation.
pub(super) fn pending(node: u32, word: NodeWord) -> u64 {
    word.generation() << 20 | u64::from(node)
}
