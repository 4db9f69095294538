//! Broadcast, step by step, where one thread suffices to see it.

use super::super::heap::Heap;
use super::super::layout::{NodeWord, OVERTAKEN, PlaceWord, State};
use super::super::protocol::{Claimed, Core, Corrupt, Cursor, Take, Token};
use super::gate::Gate;
use super::{Place, Start};
use crate::segment::layout::{EMPTY, READER, WRITER};
use crate::sync::atomic::Ordering;
use proptest::prelude::*;

struct Writer {
    slot: u32,
    last: u32,
    tail: Cursor,
    gate: Gate,
}

impl Writer {
    fn new(heap: &Heap, slot: u32) -> Writer {
        Writer {
            slot,
            last: heap.nodes.len() as u32 - 1,
            tail: Cursor::default(),
            gate: Gate::new(&heap.core()),
        }
    }

    fn reserve(&mut self, heap: &Heap, take: Take) -> Option<Token> {
        let core = heap.core();
        core.reserve_passed(
            self.slot,
            take,
            &mut self.last,
            &mut self.tail,
            &mut self.gate,
        )
        .unwrap()
    }

    fn commit(&mut self, heap: &Heap, token: Token, len: u64) {
        let counters = &heap.entries[self.slot as usize].counters;
        let committed = heap.core().commit(token, len, counters, &mut self.tail);
        committed.unwrap();
    }

    /// Whether there was a node for it.
    fn write(&mut self, heap: &Heap, take: Take, len: u64) -> bool {
        let token = self.reserve(heap, take);
        token.map(|token| self.commit(heap, token, len)).is_some()
    }

    fn dropped(&self, heap: &Heap) -> (u64, u64) {
        let counters = &heap.entries[self.slot as usize].counters;
        let now = |c: &crate::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
        (now(&counters.dropped_nodes), now(&counters.dropped_bytes))
    }
}

struct Reader {
    slot: u32,
    place: Place,
}

impl Reader {
    fn join(heap: &Heap, slot: u32, start: Start) -> Reader {
        let state = &heap.entries[slot as usize].state;
        state.store(READER, Ordering::Release);
        let place = heap.core().join_order(slot, start).unwrap();
        Reader { slot, place }
    }

    fn claim(&mut self, heap: &Heap, want: u32) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        heap.core()
            .claim_next(self.slot, &mut self.place, want, u64::MAX, &mut claimed)
            .unwrap();
        claimed
    }

    fn pass(&mut self, heap: &Heap, count: u32) {
        heap.core().pass(self.slot, &mut self.place, count);
    }

    /// All that is there.
    fn read(&mut self, heap: &Heap) -> Vec<u64> {
        let mut got = Vec::new();
        loop {
            let claimed = self.claim(heap, 3);
            if claimed.is_empty() {
                return got;
            }
            got.extend(claimed.iter().map(|claimed| claimed.len));
            self.pass(heap, claimed.len() as u32);
        }
    }

    fn leave(self, heap: &Heap) {
        heap.core().leave_order(self.slot);
        let state = &heap.entries[self.slot as usize].state;
        state.store(EMPTY, Ordering::Release);
    }
}

fn newest(heap: &Heap, slot: u32) -> Reader {
    Reader::join(heap, slot, Start::Newest)
}

fn oldest(heap: &Heap, slot: u32) -> Reader {
    Reader::join(heap, slot, Start::Oldest)
}

fn lens(claimed: &[Claimed]) -> Vec<u64> {
    claimed.iter().map(|claimed| claimed.len).collect()
}

#[test]
fn every_reader_gets_everything_in_one_order() {
    for nodes in [2, 3, 20] {
        let heap = Heap::broadcast(nodes, 4);
        let mut writer = Writer::new(&heap, 0);
        let mut readers = [1, 2, 3].map(|slot| newest(&heap, slot));
        for lap in 0..5u64 {
            let all: Vec<u64> = (0..nodes).map(|i| lap * 100 + u64::from(i)).collect();
            for len in &all {
                assert!(writer.write(&heap, Take::Free, *len), "N nodes hold N");
            }
            assert!(!writer.write(&heap, Take::Free, 7), "full");
            for reader in &mut readers {
                assert_eq!(heap.core().unread().0, u64::from(nodes));
                assert_eq!(reader.read(&heap), all);
            }
            assert_eq!(heap.core().unread(), (0, 0));
            assert_eq!(heap.core().unclaimed(), 0);
        }
        assert_eq!(writer.dropped(&heap), (0, 0));
        assert!(readers.iter().all(|reader| reader.place.missed == 0));
    }
}

#[test]
fn the_slowest_reader_holds_a_writer_that_waits_until_it_leaves() {
    let heap = Heap::broadcast(3, 3);
    let mut writer = Writer::new(&heap, 0);
    let (mut fast, mut slow) = (newest(&heap, 1), newest(&heap, 2));
    (0..3).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    fast.read(&heap);
    assert!(!writer.write(&heap, Take::Free, 3));
    assert_eq!(lens(&slow.claim(&heap, 2)), [0, 1]);
    assert!(!writer.write(&heap, Take::Free, 3), "it has them in hand");
    slow.pass(&heap, 1);
    assert!(writer.write(&heap, Take::Free, 3));
    assert!(!writer.write(&heap, Take::Free, 4));
    let diffs: Vec<_> = heap.core().places().map(|(_, p)| p.position()).collect();
    assert_eq!((diffs, heap.core().gate()), (vec![3, 1], 1));
    heap.core().step_back(2, &mut slow.place);
    slow.leave(&heap);
    assert!(writer.write(&heap, Take::Free, 4));
    assert_eq!(fast.read(&heap), [3, 4]);
}

#[test]
fn without_readers_a_writer_waits_once_the_ring_is_full_and_a_reader_gets_all_of_it() {
    let heap = Heap::broadcast(3, 2);
    let mut writer = Writer::new(&heap, 0);
    (0..3).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    assert!(!writer.write(&heap, Take::Free, 3));
    let mut reader = oldest(&heap, 1);
    assert_eq!(reader.read(&heap), [0, 1, 2]);
    reader.leave(&heap);
    // What one has read, those that come later do not wait for.
    (3..6).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    assert!(!writer.write(&heap, Take::Free, 6));
    assert!(newest(&heap, 1).read(&heap).is_empty());
}

#[test]
fn a_wrong_guess_about_the_next_node_costs_nothing() {
    let heap = Heap::broadcast(4, 4);
    let (mut one, mut two) = (Writer::new(&heap, 0), Writer::new(&heap, 3));
    let mut reader = newest(&heap, 1);
    let set_back = || heap.words.tail.0.fetch_sub(1, Ordering::Release);
    for lap in 0..5u64 {
        let at = lap * 10;
        for len in [at, at + 1, at + 2] {
            assert!(one.write(&heap, Take::Free, len));
        }
        assert_eq!(reader.read(&heap), [at, at + 1, at + 2]);
        // The node that the one foresees, the other takes and appends; and is stopped
        // before it says so.
        assert!(two.write(&heap, Take::Free, at + 3));
        set_back();
        assert!(one.write(&heap, Take::Free, at + 4));
        assert_eq!(reader.read(&heap), [at + 3, at + 4]);
    }
    // It is overtaken, and then passed, after the one has foreseen it.
    for len in 60..64 {
        assert!(one.write(&heap, Take::Free, len));
    }
    let in_hand = reader.claim(&heap, 1);
    assert_eq!(lens(&in_hand), [60]);
    assert!(two.write(&heap, Take::Oldest, 64));
    set_back();
    reader.pass(&heap, 1);
    for len in 65..68 {
        assert!(one.write(&heap, Take::Oldest, len));
    }
    assert_eq!(reader.read(&heap), [64, 65, 66, 67]);
    assert_eq!((reader.place.missed, one.dropped(&heap).0), (3, 2));
    assert_eq!(two.dropped(&heap).0, 1);
    for len in 68..72 {
        assert!(one.write(&heap, Take::Free, len), "no node was lost");
    }
}

#[test]
fn a_wrong_guess_hides_no_node() {
    let heap = Heap::broadcast(2, 4);
    let (mut one, mut two) = (Writer::new(&heap, 0), Writer::new(&heap, 3));
    let mut reader = newest(&heap, 1);
    assert!(one.write(&heap, Take::Free, 0) && one.write(&heap, Take::Free, 1));
    assert_eq!(lens(&reader.claim(&heap, 1)), [0]);
    assert!(two.write(&heap, Take::Oldest, 2), "the one not in hand");
    heap.words.tail.0.fetch_sub(1, Ordering::Release); // it was about to say so
    assert!(one.write(&heap, Take::Oldest, 3), "that of the other");
    reader.pass(&heap, 1);
    assert_eq!((reader.read(&heap), reader.place.missed), (vec![3], 2));
}

#[test]
fn those_who_come_late_begin_with_the_next_or_with_the_oldest_node() {
    let heap = Heap::broadcast(4, 4);
    let mut writer = Writer::new(&heap, 0);
    let mut first = newest(&heap, 1);
    for len in 0..10 {
        assert!(writer.write(&heap, Take::Free, len));
        first.read(&heap);
    }
    let (mut second, mut third) = (newest(&heap, 2), oldest(&heap, 3));
    assert_eq!(third.read(&heap), [6, 7, 8, 9], "the ring is its memory");
    assert!(writer.write(&heap, Take::Free, 10));
    for reader in [&mut first, &mut second, &mut third] {
        assert_eq!(reader.read(&heap), [10]);
        assert_eq!(reader.place.missed, 0);
    }
}

#[test]
fn a_dropping_writer_takes_the_oldest_and_readers_count_what_they_missed() {
    let heap = Heap::broadcast(3, 4);
    let mut writer = Writer::new(&heap, 0);
    let (mut slow, mut fast) = (newest(&heap, 1), newest(&heap, 2));
    for len in 0..11 {
        assert!(writer.write(&heap, Take::Oldest, len));
        assert_eq!(fast.read(&heap), [len]);
    }
    assert_eq!(writer.dropped(&heap), (8, (0..8).sum()), "each once");
    assert_eq!(slow.read(&heap), [8, 9, 10]);
    assert_eq!((slow.place.missed, fast.place.missed), (8, 0));
    let missed = |slot: usize| heap.entries[slot].missed_nodes.load(Ordering::Relaxed);
    assert_eq!((missed(1), missed(2)), (8, 0));
    // Now that all have passed everything, nothing is dropped.
    assert!(writer.write(&heap, Take::Oldest, 11));
    assert_eq!(writer.dropped(&heap).0, 8);
}

#[test]
fn without_readers_a_dropping_writer_streams_on() {
    let heap = Heap::broadcast(3, 2);
    let mut writer = Writer::new(&heap, 0);
    for len in 0..10 {
        assert!(writer.write(&heap, Take::Oldest, len));
    }
    assert_eq!(writer.dropped(&heap).0, 7);
    assert_eq!(oldest(&heap, 1).read(&heap), [7, 8, 9]);
}

#[test]
fn what_a_reader_has_in_hand_is_never_dropped_and_comes_back_for_use() {
    let heap = Heap::broadcast(4, 4);
    let mut writer = Writer::new(&heap, 0);
    let (mut holder, mut stopped) = (newest(&heap, 1), newest(&heap, 2));
    assert!(writer.write(&heap, Take::Oldest, 0));
    for lap in 0..5 {
        let held = holder.claim(&heap, 1);
        let [Claimed { token, len }] = held[..] else {
            panic!("something is there")
        };
        for i in 1..=20 {
            assert!(writer.write(&heap, Take::Oldest, lap * 100 + i));
            let word = heap.nodes[token.node as usize].word.load(Ordering::Relaxed);
            assert_eq!(NodeWord(word).generation(), token.word.generation());
            assert!(NodeWord(word).is(State::Ready), "lap {lap}, {i}");
            assert_eq!(heap.core().len(token), Ok(len));
        }
        let position = &heap.nodes[token.node as usize].position;
        assert!(position.load(Ordering::Relaxed) & OVERTAKEN != 0);
        holder.pass(&heap, 1);
    }
    // None was lost on the way, though the stopped one had not passed them.
    let mut ready = 0;
    for i in 0..8 {
        assert!(writer.write(&heap, Take::Oldest, 1000 + i));
    }
    let words = heap.nodes.iter().map(|n| n.word.load(Ordering::Relaxed));
    words.for_each(|word| ready += u32::from(NodeWord(word).is(State::Ready)));
    assert_eq!(ready, 4);
    assert_eq!(stopped.read(&heap), [1004, 1005, 1006, 1007]);
    let committed = heap.entries[0]
        .counters
        .written_nodes
        .load(Ordering::Relaxed);
    assert_eq!(stopped.place.missed + 4, committed);
}

#[test]
fn with_all_nodes_in_hand_nothing_is_dropped() {
    let heap = Heap::broadcast(2, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    (0..2).for_each(|len| assert!(writer.write(&heap, Take::Oldest, len)));
    assert_eq!(lens(&reader.claim(&heap, 9)), [0, 1]);
    assert!(!writer.write(&heap, Take::Oldest, 2));
    assert_eq!(writer.dropped(&heap), (0, 0));
    reader.pass(&heap, 2);
    assert!(writer.write(&heap, Take::Oldest, 2));
    assert_eq!(reader.read(&heap), [2]);
}

#[test]
fn what_is_given_back_comes_again_unless_it_was_dropped_since() {
    let heap = Heap::broadcast(3, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    (0..3).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    assert_eq!(lens(&reader.claim(&heap, 3)), [0, 1, 2]);
    reader.pass(&heap, 1);
    heap.core().step_back(1, &mut reader.place);
    assert_eq!(lens(&reader.claim(&heap, 1)), [1]);
    heap.core().step_back(1, &mut reader.place);
    (3..5).for_each(|len| assert!(writer.write(&heap, Take::Oldest, len)));
    assert_eq!(reader.read(&heap), [2, 3, 4]);
    assert_eq!(reader.place.missed, 1);
}

#[test]
fn what_was_aborted_is_never_seen_and_found_again() {
    let heap = Heap::broadcast(3, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    for len in 0..10 {
        let aborted = writer.reserve(&heap, Take::Free).unwrap();
        heap.core().abort(aborted);
        assert!(reader.read(&heap).is_empty());
        assert!(writer.write(&heap, Take::Free, len));
        assert_eq!(reader.read(&heap), [len]);
    }
    // One aborted in a full ring is there for one that waits.
    (0..3).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    let mut other = Writer::new(&heap, 0);
    assert!(other.reserve(&heap, Take::Free).is_none());
    let taken = writer.reserve(&heap, Take::Oldest).unwrap();
    heap.core().abort(taken);
    assert!(other.reserve(&heap, Take::Free).is_some());
    assert!(other.reserve(&heap, Take::Free).is_none());
}

#[test]
fn a_writer_that_stalls_before_it_commits_holds_nobody_back() {
    let heap = Heap::broadcast(2, 3);
    let (mut stalled, mut writer) = (Writer::new(&heap, 0), Writer::new(&heap, 2));
    let mut reader = newest(&heap, 1);
    let held = stalled.reserve(&heap, Take::Free).unwrap();
    for len in 0..100 {
        assert!(writer.write(&heap, Take::Free, len));
        assert_eq!(reader.read(&heap), [len]);
    }
    stalled.commit(&heap, held, 1000);
    assert_eq!(reader.read(&heap), [1000]);
}

#[test]
fn who_comes_while_its_node_is_being_taken_is_respected() {
    let heap = Heap::broadcast(2, 3);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    (0..2).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    reader.read(&heap);
    // It knows the gate, and so would not look at the readers again.
    assert!(writer.write(&heap, Take::Free, 2));
    reader.read(&heap);
    let mut late = oldest(&heap, 2);
    assert!(!writer.write(&heap, Take::Free, 3), "the late one wants it");
    assert_eq!(late.read(&heap), [1, 2]);
    assert!(writer.write(&heap, Take::Free, 3));
    assert_eq!(late.place.missed + reader.place.missed, 0);
}

#[test]
fn a_reader_keeps_a_node_that_is_being_taken() {
    let heap = Heap::broadcast(2, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    (0..2).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    let word = &heap.nodes[0].word;
    let taking = NodeWord(word.load(Ordering::Relaxed)).with(State::Taking, 1);
    word.store(taking.0, Ordering::Relaxed);
    assert_eq!(lens(&reader.claim(&heap, 1)), [0]);
    assert!(NodeWord(word.load(Ordering::Relaxed)).is(State::Ready));
}

#[test]
fn a_dead_readers_place_holds_nobody_and_a_dead_takers_node_is_as_it_was() {
    let heap = Heap::broadcast(2, 3);
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    heap.core().join_stream();
    let mut writer = Writer::new(&heap, 0);
    let (mut dead, mut reader) = (newest(&heap, 1), newest(&heap, 2));
    (0..2).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    reader.read(&heap);
    assert_eq!(dead.claim(&heap, 1).len(), 1);
    assert!(!writer.write(&heap, Take::Free, 2));
    for _ in 0..2 {
        heap.core().recover(1).unwrap(); // twice is as good as once
    }
    assert_eq!(heap.entries[1].cursor.load(Ordering::Relaxed), 0);
    assert!(writer.write(&heap, Take::Free, 2));
    let word = &heap.nodes[1].word;
    let taking = NodeWord(word.load(Ordering::Relaxed)).with(State::Taking, 1);
    word.store(taking.0, Ordering::Relaxed);
    heap.core().recover(0).unwrap();
    assert!(NodeWord(word.load(Ordering::Relaxed)).is(State::Ready));
    assert_eq!(oldest(&heap, 1).read(&heap), [1, 2]);
    assert_eq!(reader.read(&heap), [2]);
}

#[test]
fn the_last_reader_leaves_behind_what_none_has_passed() {
    let heap = Heap::broadcast(4, 4);
    let mut writer = Writer::new(&heap, 0);
    let (mut fast, mut slow) = (newest(&heap, 1), newest(&heap, 2));
    (0..4).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    fast.read(&heap);
    assert_eq!(slow.claim(&heap, 1).len(), 1);
    slow.pass(&heap, 1);
    fast.leave(&heap);
    slow.leave(&heap);
    assert!(writer.write(&heap, Take::Free, 4));
    assert!(!writer.write(&heap, Take::Free, 5));
    assert_eq!(
        oldest(&heap, 1).read(&heap),
        [1, 2, 3, 4],
        "nothing is lost"
    );
}

#[test]
fn the_next_stream_is_unclean_only_if_a_reader_has_yet_to_read_the_last() {
    let heap = Heap::broadcast(4, 3);
    let stream = |leave: fn(&Core<'_>)| {
        heap.entries[0].state.store(WRITER, Ordering::Relaxed);
        heap.core().join_stream();
        assert!(Writer::new(&heap, 0).write(&heap, Take::Free, 1));
        leave(&heap.core());
        heap.entries[0].state.store(EMPTY, Ordering::Relaxed);
    };
    let mut reader = newest(&heap, 1);
    stream(|core| core.recover(0).unwrap());
    stream(|core| assert!(core.leave_stream(0)));
    let late = heap.core().base();
    assert!(!heap.core().clean_since(late));
    assert_eq!(reader.read(&heap), [1, 1]);
    stream(|core| assert!(core.leave_stream(0)));
    assert!(heap.core().clean_since(heap.core().base()));
}

#[test]
fn a_reader_that_was_stopped_for_many_laps_comes_back() {
    let heap = Heap::broadcast(2, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    assert!(writer.write(&heap, Take::Oldest, 0));
    // As after so many messages that its lap seems to be ahead of the cells.
    let far = 3u64 << 32;
    heap.words.tail.0.store(far, Ordering::Relaxed);
    let lap = far / 2 + 1;
    for (cell, node) in heap.cells.iter().zip([0, 1]) {
        let word = NodeWord(heap.nodes[node].word.load(Ordering::Relaxed));
        let named = heap
            .core()
            .bits
            .pack(lap - 1, word.generation() + 1, node as u32);
        cell.store(named, Ordering::Relaxed);
        let ready = NodeWord::new(State::Ready, 1, word.generation() + 1);
        heap.nodes[node].word.store(ready.0, Ordering::Relaxed);
        heap.nodes[node].len.store(77, Ordering::Relaxed);
    }
    assert_eq!(reader.read(&heap), [77, 77]);
    assert_eq!(reader.place.missed, far - 2);
}

#[test]
fn a_place_that_somebody_else_changed_is_damage() {
    let heap = Heap::broadcast(2, 2);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    assert!(writer.write(&heap, Take::Free, 0));
    let elsewhere = PlaceWord::new(99, 1).0;
    heap.entries[1].cursor.store(elsewhere, Ordering::Relaxed);
    let claimed = heap
        .core()
        .claim_next(1, &mut reader.place, 1, 1, &mut Vec::new());
    assert!(matches!(claimed, Err(Corrupt(_))));
}

#[test]
fn a_node_that_will_never_change_is_told_from_one_that_is_held() {
    let heap = Heap::broadcast(4, 3);
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    let mut writer = Writer::new(&heap, 0);
    let mut reader = newest(&heap, 1);
    (0..4).for_each(|len| assert!(writer.write(&heap, Take::Free, len)));
    let held = reader.claim(&heap, 1);
    let strays = || heap.core().stray(2, true, 0..4).map(|(node, _)| node);
    heap.entries[0].state.store(EMPTY, Ordering::Relaxed);
    assert_eq!(strays(), None, "they are the readers', not their writer's");
    let word = &heap.nodes[2].word;
    let ready = NodeWord(word.load(Ordering::Relaxed));
    for (state, owner) in [(State::Taking, 1), (State::Reading, 2), (State::Orphan, 0)] {
        word.store(ready.with(state, owner).0, Ordering::Relaxed);
        assert_eq!(strays(), Some(2), "{state:?}");
    }
    word.store(ready.0, Ordering::Relaxed);
    heap.cells[2].store(heap.cells[1].load(Ordering::Relaxed), Ordering::Relaxed);
    assert_eq!(strays(), Some(2), "it stands in no order");
    assert_eq!(held.len(), 1);
}

/// A reader, and what it has got since it came after so many.
struct Diary {
    reader: Reader,
    since: u64,
    got: Vec<u64>,
    in_hand: u32,
}

impl Diary {
    fn step(&mut self, heap: &Heap, what: u32) {
        match (what, self.in_hand) {
            (5 | 6, 0) => {
                let claimed = self.reader.claim(heap, what - 3);
                self.got.extend(lens(&claimed));
                self.in_hand = claimed.len() as u32;
            }
            (7, 1..) => {
                self.reader.pass(heap, 1);
                self.in_hand -= 1;
            }
            (8, 1..) => {
                heap.core()
                    .step_back(self.reader.slot, &mut self.reader.place);
                self.got.truncate(self.got.len() - self.in_hand as usize);
                self.in_hand = 0;
            }
            _ => {}
        }
    }
}

proptest! {
    /// Whatever a few writers and readers do one after the other: each reader gets
    /// what was committed since it came, in that order, but for what it missed.
    #[test]
    fn received_and_missed_is_committed(
        nodes in 2u32..6,
        steps in prop::collection::vec((0u32..9, 1u32..4), 1..120),
    ) {
        let heap = Heap::broadcast(nodes, 6);
        let mut writers = [Writer::new(&heap, 0), Writer::new(&heap, 1)];
        let mut readers: [Option<Diary>; 3] = Default::default();
        let mut committed = 0u64;
        for (what, n) in steps {
            match what {
                0..3 => for _ in 0..n {
                    let take = if what == 0 { Take::Oldest } else { Take::Free };
                    let writer = &mut writers[(what % 2) as usize];
                    if writer.write(&heap, take, committed) {
                        committed += 1;
                    }
                },
                3 => {
                    if let Some(token) = writers[0].reserve(&heap, Take::Free) {
                        heap.core().abort(token);
                    }
                }
                4 => {
                    let at = (n - 1) as usize;
                    match readers[at].take() {
                        Some(diary) => diary.reader.leave(&heap),
                        None => readers[at] = Some(Diary {
                            reader: newest(&heap, at as u32 + 2),
                            since: committed,
                            got: Vec::new(),
                            in_hand: 0,
                        }),
                    }
                }
                _ => {
                    if let Some(diary) = &mut readers[(n - 1) as usize] {
                        diary.step(&heap, what);
                    }
                }
            }
        }
        for Diary { mut reader, since, mut got, in_hand } in readers.into_iter().flatten() {
            reader.pass(&heap, in_hand);
            got.extend(reader.read(&heap));
            prop_assert!(got.is_sorted_by(|a, b| a < b), "{:?}", got);
            prop_assert!(got.iter().all(|len| *len >= since));
            prop_assert_eq!(got.len() as u64 + reader.place.missed, committed - since);
            if committed > since {
                prop_assert_eq!(got.last(), Some(&(committed - 1)));
            }
            reader.leave(&heap);
        }
        // And every node can be used.
        let mut all = Writer::new(&heap, 0);
        for _ in 0..nodes {
            prop_assert!(all.reserve(&heap, Take::Oldest).is_some());
        }
    }

    /// Whatever the shared words say: no panic, no index out of range, an end
    /// in bounded time.
    #[test]
    fn damaged_words_never_lead_outside(
        nodes in 2u32..6,
        flips in prop::collection::vec((0usize..8, any::<prop::sample::Index>(), any::<u64>()), 1..8),
        written in 0u64..9,
    ) {
        let heap = Heap::broadcast(nodes, 3);
        let mut writer = Writer::new(&heap, 0);
        let mut reader = newest(&heap, 1);
        for len in 0..written {
            writer.write(&heap, Take::Oldest, len);
            reader.read(&heap);
        }
        for (what, at, bits) in flips {
            let word = match what {
                0 => &heap.cells[at.index(heap.cells.len())],
                1 => &heap.nodes[at.index(heap.nodes.len())].word,
                2 => &heap.nodes[at.index(heap.nodes.len())].position,
                3 => &heap.words.tail.0,
                4 => &heap.words.head.0,
                5 => &heap.words.joins.0,
                6 => &heap.words.orphans.0,
                _ => &heap.entries[at.index(heap.entries.len())].cursor,
            };
            word.store(bits, Ordering::Relaxed);
        }
        let core = heap.core();
        for take in [Take::Free, Take::Oldest].repeat(4) {
            let Writer { slot, last, tail, gate } = &mut writer;
            if let Ok(Some(token)) = core.reserve_passed(*slot, take, last, tail, gate) {
                let _ = core.commit(token, 1, &heap.entries[0].counters, tail);
            }
            let mut claimed = Vec::new();
            if core.claim_next(1, &mut reader.place, 2, 9, &mut claimed).is_ok()
                && !claimed.is_empty()
            {
                core.pass(1, &mut reader.place, 1);
            }
            core.step_back(1, &mut reader.place);
        }
        core.unclaimed();
        core.unread();
        core.stray(2, true, 0..nodes);
        core.leave_order(1);
        if let Ok(mut place) = core.join_order(2, Start::Oldest) {
            let _ = core.claim_next(2, &mut place, 2, 9, &mut Vec::new());
        }
        let _ = core.recover(0);
        let _ = core.recover(1);
    }
}
