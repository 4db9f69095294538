//! The protocol, step by step, where one thread suffices to see it. (What
//! takes two is in `models`, what takes processes in `tests/`.)

use super::heap::Heap;
use super::layout::{NodeWord, State, StreamState, StreamWord};
use super::protocol::{Core, Corrupt, Cursor, Reuse, Token};
use crate::segment::layout::{EMPTY, LEAVING, READER, WRITER};
use crate::sync::atomic::Ordering;
use proptest::prelude::*;

/// A party, as the handles are.
struct Party {
    slot: u32,
    last: u32,
    tail: Cursor,
    head: Cursor,
}

impl Party {
    fn new(heap: &Heap, slot: u32) -> Party {
        let last = heap.nodes.len() as u32 - 1;
        Party {
            slot,
            last,
            tail: Cursor::default(),
            head: Cursor::default(),
        }
    }

    fn reserve(&mut self, heap: &Heap) -> Option<Token> {
        heap.core()
            .reserve(Core::owner(self.slot), &mut self.last, &mut self.head)
    }

    fn commit(&mut self, heap: &Heap, token: Token, len: u64) {
        let counters = &heap.entries[self.slot as usize].counters;
        heap.core()
            .commit(token, len, counters, &mut self.tail)
            .unwrap();
    }

    fn write(&mut self, heap: &Heap, len: u64) {
        let token = self.reserve(heap).expect("a free node");
        self.commit(heap, token, len);
    }

    fn claim(&mut self, heap: &Heap) -> Option<Token> {
        heap.core()
            .claim(Core::owner(self.slot), &mut self.head)
            .unwrap()
    }

    fn read(&mut self, heap: &Heap) -> Option<u64> {
        let token = self.claim(heap)?;
        let len = heap.core().len(token).unwrap();
        heap.core().release(token);
        Some(len)
    }
}

fn state(heap: &Heap, token: Token) -> Option<State> {
    NodeWord(heap.nodes[token.node as usize].word.load(Ordering::Relaxed)).state()
}

/// What is fetched early is no more than a hint: nothing else would notice that it
/// is the wrong thing.
#[test]
fn a_look_ahead_finds_what_will_be_claimed() {
    for n in [2u32, 3, 20] {
        let heap = Heap::new(n, 2);
        let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
        let mut order = std::collections::VecDeque::new();
        for filled in (0..=n).chain((0..=n).rev()).chain(0..=n) {
            while order.len() < filled as usize {
                let token = writer.reserve(&heap).expect("a free node");
                writer.commit(&heap, token, 1);
                order.push_back(token.node);
            }
            while order.len() > filled as usize {
                let token = reader.claim(&heap).expect("a node");
                heap.core().release(token);
                assert_eq!(Some(token.node), order.pop_front());
            }
            for ahead in 0..n {
                let seen = heap.core().peek(&reader.head, ahead);
                let there = order.get(ahead as usize).copied();
                assert_eq!(seen, there, "{n} nodes, {filled} filled, {ahead} ahead");
            }
        }
    }
}

#[test]
fn n_nodes_hold_n_messages() {
    for n in [2, 3, 20] {
        let heap = Heap::new(n, 2);
        let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
        for lap in 0..3u64 {
            (0..n).for_each(|i| writer.write(&heap, lap * 100 + u64::from(i)));
            assert!(writer.reserve(&heap).is_none(), "full");
            assert_eq!(heap.core().unclaimed(), u64::from(n));
            assert_eq!(heap.core().unread().0, u64::from(n));
            (0..n).for_each(|i| assert_eq!(reader.read(&heap), Some(lap * 100 + u64::from(i))));
            assert_eq!(reader.read(&heap), None);
            assert_eq!((heap.core().unclaimed(), heap.core().unread()), (0, (0, 0)));
        }
    }
}

#[test]
fn a_writer_that_stalls_before_it_commits_holds_nobody_back() {
    let heap = Heap::new(2, 3);
    let mut reader = Party::new(&heap, 2);
    let (mut stalled, mut writer) = (Party::new(&heap, 0), Party::new(&heap, 1));
    let held = stalled.reserve(&heap).unwrap();
    for i in 0..100 {
        writer.write(&heap, i);
        assert_eq!(reader.read(&heap), Some(i));
    }
    stalled.commit(&heap, held, 1000);
    assert_eq!(reader.read(&heap), Some(1000));
}

#[test]
fn a_reader_that_stalls_before_it_releases_holds_one_node() {
    let heap = Heap::new(2, 3);
    let mut writer = Party::new(&heap, 0);
    let (mut stalled, mut reader) = (Party::new(&heap, 1), Party::new(&heap, 2));
    writer.write(&heap, 7);
    let held = stalled.claim(&heap).unwrap();
    for i in 0..100 {
        writer.write(&heap, i);
        assert_eq!(reader.read(&heap), Some(i));
    }
    assert_eq!(heap.core().len(held), Ok(7));
    assert!(!heap.core().drained(), "it may yet be handed on");
    heap.core().release(held);
    assert!(heap.core().drained());
}

#[test]
fn orphans_are_taken_first_and_the_oldest_before_the_others() {
    let heap = Heap::new(4, 3);
    let mut writer = Party::new(&heap, 0);
    let (mut giver, mut reader) = (Party::new(&heap, 1), Party::new(&heap, 2));
    (1..=4).for_each(|len| writer.write(&heap, len));
    let held: Vec<Token> = (0..3).map(|_| giver.claim(&heap).unwrap()).collect();
    for i in [1, 2, 0] {
        heap.core().give_back(held[i]);
    }
    let first = reader.claim(&heap).unwrap();
    assert!(first.again, "a consumer may have seen it before");
    heap.core().release(first);
    assert_eq!(heap.core().len(first), Ok(1));
    assert_eq!(
        [(); 4].map(|()| reader.read(&heap)),
        [Some(2), Some(3), Some(4), None]
    );
}

#[test]
fn what_was_aborted_is_never_seen() {
    let heap = Heap::new(2, 2);
    let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    for i in 0..10 {
        let token = writer.reserve(&heap).unwrap();
        heap.core().abort(token);
        assert_eq!(reader.read(&heap), None);
        writer.write(&heap, i);
        assert_eq!(reader.read(&heap), Some(i));
    }
}

#[test]
fn warm_reuse_keeps_to_the_lowest_nodes_while_readers_keep_up() {
    let mut heap = Heap::new(20, 2);
    heap.reuse = Reuse::Lowest;
    let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    for i in 0..50 {
        let token = writer.reserve(&heap).unwrap();
        assert_eq!(token.node, 0);
        writer.commit(&heap, token, i);
        assert_eq!(reader.read(&heap), Some(i));
    }
}

#[test]
fn hints_that_lag_by_laps_do_no_harm() {
    let heap = Heap::new(3, 4);
    let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    for i in 0..30 {
        writer.write(&heap, i);
        assert_eq!(reader.read(&heap), Some(i));
    }
    // As a party that was stopped for long leaves them.
    for (tail, head) in [(0, 0), (1, 0), (28, 2), (4, 29)] {
        heap.words.tail.0.store(tail, Ordering::Relaxed);
        heap.words.head.0.store(head, Ordering::Relaxed);
        assert_eq!(heap.core().unclaimed(), 0);
        let (mut writer, mut reader) = (Party::new(&heap, 2), Party::new(&heap, 3));
        writer.write(&heap, 77);
        heap.words.head.0.store(head, Ordering::Relaxed);
        assert_eq!(heap.core().unclaimed(), 1);
        assert_eq!(reader.read(&heap), Some(77));
        assert_eq!(reader.read(&heap), None);
    }
}

#[test]
fn a_dead_writers_nodes_are_freed_or_their_append_finished() {
    let heap = Heap::new(4, 3);
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    heap.core().join_stream();
    let (mut dead, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    dead.write(&heap, 1);
    let ready = dead.reserve(&heap).unwrap();
    let writing = dead.reserve(&heap).unwrap();
    // It died between the two halves of a commit.
    let word = &heap.nodes[ready.node as usize];
    word.len.store(2, Ordering::Relaxed);
    word.word
        .store(ready.word.with(State::Ready, 1).0, Ordering::Relaxed);
    assert_eq!(heap.core().unclaimed(), 1, "not in the order yet");
    for _ in 0..2 {
        heap.core().recover(0).unwrap(); // twice is as good as once
        assert_eq!(heap.core().unclaimed(), 2);
    }
    assert_eq!(state(&heap, writing), Some(State::Free));
    assert_eq!(heap.entries[0].state.load(Ordering::Relaxed), EMPTY);
    assert_eq!(
        heap.entries[0]
            .counters
            .abandoned_nodes
            .load(Ordering::Relaxed),
        1
    );
    assert_eq!(heap.core().stream().state(), StreamState::Ended);
    let base = Heap::new(2, 1).core().base();
    assert!(heap.core().ended_since(base) && !heap.core().clean_since(base));
    assert_eq!([reader.read(&heap), reader.read(&heap)], [Some(1), Some(2)]);
}

#[test]
fn a_node_that_will_never_change_is_told_from_one_that_is_held() {
    let heap = Heap::new(6, 3);
    let be = |slot: usize, role| heap.entries[slot].state.store(role, Ordering::Relaxed);
    be(0, WRITER);
    be(1, READER);
    let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    let strays = |reads| heap.core().stray(2, reads, 0..6).map(|(node, _)| node);
    for _ in 0..3 {
        writer.write(&heap, 1);
    }
    let written = writer.reserve(&heap).unwrap();
    let read = reader.claim(&heap).unwrap();
    let orphan = reader.claim(&heap).unwrap();
    heap.core().give_back(orphan);
    let ready = (0..3).find(|node| ![read.node, orphan.node].contains(node));
    assert_eq!(strays(true), None, "each has its holder, or waits for one");
    let alone = heap.core().stray(1, true, 0..6);
    assert_eq!(alone, Some((read.node, read.word)), "I have none in hand");
    assert_eq!(heap.core().stray(1, true, 4..6), None, "that is elsewhere");

    be(0, LEAVING);
    assert_eq!(strays(true), None, "not before it has left");
    be(1, EMPTY);
    assert_eq!(strays(false), Some(read.node), "its reader is no more");
    heap.core().release(read);
    be(0, EMPTY);
    assert_eq!(strays(false), Some(written.node), "its writer is no more");
    heap.core().abort(written);
    assert_eq!(strays(false), None, "a writer does not claim");
    assert_eq!(strays(true), ready, "a reader should have got it");
}

#[test]
fn a_writer_that_dies_leaving_ends_its_stream_cleanly() {
    let heap = Heap::new(2, 2);
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    let base = heap.core().base();
    heap.core().join_stream();
    heap.entries[0].state.store(LEAVING, Ordering::Relaxed);
    heap.core().recover(0).unwrap();
    assert!(heap.core().ended_since(base) && heap.core().clean_since(base));
}

#[test]
fn the_last_of_several_writers_ends_the_stream_and_the_next_begins_another() {
    let heap = Heap::new(2, 3);
    let base = heap.core().base();
    for slot in 0..2 {
        heap.entries[slot].state.store(WRITER, Ordering::Relaxed);
        heap.core().join_stream();
    }
    heap.entries[2].state.store(READER, Ordering::Relaxed);
    assert!(!heap.core().leave_stream(0));
    assert!(!heap.core().ended_since(base));
    heap.entries[0].state.store(EMPTY, Ordering::Relaxed);
    assert!(heap.core().leave_stream(1));
    assert!(heap.core().ended_since(base));
    let late = heap.core().base();
    assert!(
        !heap.core().ended_since(late),
        "with nothing left, it is not a late reader's"
    );
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    heap.core().join_stream();
    assert!(heap.core().leave_stream(0));
    assert!(heap.core().ended_since(late));
    assert_eq!(heap.core().stream().epoch(), 2);
}

#[test]
fn streams_are_told_apart_also_beyond_2_to_the_32() {
    let heap = Heap::new(2, 2);
    let ended = StreamWord::new(u32::MAX.into(), u32::MAX, StreamState::Ended);
    heap.words.stream.0.store(ended.0, Ordering::Relaxed);
    for _ in 0..3 {
        let base = heap.core().base();
        heap.entries[0].state.store(WRITER, Ordering::Relaxed);
        heap.core().join_stream();
        assert!(!heap.core().ended_since(base));
        assert!(heap.core().leave_stream(0));
        assert!(heap.core().ended_since(base), "its reader waits for ever");
        assert!(heap.core().clean_since(base));
    }
    let base = heap.core().base();
    heap.entries[0].state.store(WRITER, Ordering::Relaxed);
    heap.core().join_stream();
    heap.core().recover(0).unwrap();
    assert!(heap.core().ended_since(base) && !heap.core().clean_since(base));
}

#[test]
fn what_a_dead_writer_left_unread_makes_the_next_stream_unclean_too() {
    let heap = Heap::new(4, 3);
    let write_and = |leave: fn(&Core<'_>)| {
        heap.entries[0].state.store(WRITER, Ordering::Relaxed);
        heap.core().join_stream();
        Party::new(&heap, 0).write(&heap, 1);
        leave(&heap.core());
        heap.entries[0].state.store(EMPTY, Ordering::Relaxed);
    };
    write_and(|core| core.recover(0).unwrap());
    write_and(|core| assert!(core.leave_stream(0)));
    // One that comes now gets the dead one's node with the second stream.
    let late = heap.core().base();
    assert!(heap.core().ended_since(late) && !heap.core().clean_since(late));
    let mut reader = Party::new(&heap, 1);
    assert_eq!(
        [(); 3].map(|()| reader.read(&heap)),
        [Some(1), Some(1), None]
    );
    // With all of it read, the next stream is clean again.
    write_and(|core| assert!(core.leave_stream(0)));
    let last = heap.core().base();
    assert!(heap.core().ended_since(last) && heap.core().clean_since(last));
}

#[test]
fn a_length_beyond_the_node_is_damage() {
    let heap = Heap::new(2, 2);
    let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
    writer.write(&heap, 1);
    heap.nodes[0].len.store(u64::MAX, Ordering::Relaxed);
    let token = reader.claim(&heap).unwrap();
    assert!(matches!(heap.core().len(token), Err(Corrupt(_))));
}

proptest! {
    /// Whatever the shared words say: no panic, no index out of range, an end
    /// in bounded time.
    #[test]
    fn damaged_words_never_lead_outside(
        nodes in 2u32..6,
        flips in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), any::<u64>()), 1..8),
        written in 0u64..9,
    ) {
        let heap = Heap::new(nodes, 3);
        let (mut writer, mut reader) = (Party::new(&heap, 0), Party::new(&heap, 1));
        for i in 0..written {
            writer.write(&heap, i);
            reader.read(&heap);
        }
        for (what, at, bits) in flips {
            let word = match what {
                0 => &heap.cells[at.index(heap.cells.len())],
                1 => &heap.nodes[at.index(heap.nodes.len())].word,
                2 => &heap.words.tail.0,
                _ => &heap.words.head.0,
            };
            word.store(bits, Ordering::Relaxed);
        }
        let (mut tail, mut head) = (Cursor::default(), Cursor::default());
        let core = heap.core();
        for _ in 0..8 {
            if let Some(token) = writer.reserve(&heap) {
                let _ = core.commit(token, 1, &heap.entries[0].counters, &mut tail);
            }
            if let Ok(Some(token)) = core.claim(Core::owner(1), &mut head) {
                let _ = core.len(token);
                core.give_back(token);
            }
        }
        core.unclaimed();
        core.unread();
        let _ = core.recover(0);
        let _ = core.recover(1);
    }
}
