//! Broadcast: every reader gets every message, and all in the same order. (With
//! writers that drop: what it has not missed.)

use super::MESSAGES;

/// Each writer's messages, in its order; all of them, if `whole`.
fn check(got: &[u64], writers: u64, whole: bool) {
    for writer in 0..writers {
        let own: Vec<u64> = got
            .iter()
            .filter(|m| **m >> 32 == writer)
            .copied()
            .collect();
        assert!(own.is_sorted_by(|a, b| a < b), "writer {writer}'s order");
        let sent = (0..MESSAGES).map(|i| writer << 32 | i);
        assert!(!whole || own.into_iter().eq(sent), "lost, or doubled");
    }
}

mod the_heap {
    use super::super::super::broadcast::gate::Gate;
    use super::super::super::broadcast::{Place, Start};
    use super::super::super::heap::Heap;
    use super::super::super::protocol::{Cursor, Take, Token};
    use super::super::the_heap::Payload;
    use super::{MESSAGES, check};
    use crate::segment::layout::READER;
    use crate::sync::atomic::{AtomicU64, Ordering};
    use std::cell::UnsafeCell;

    /// A ring with payload, and who has ended.
    struct Memory {
        heap: Heap,
        payload: Vec<UnsafeCell<Payload>>,
        committed: AtomicU64,
        writing: AtomicU64,
    }

    // SAFETY: the payload is touched by whoever the protocol says has the
    // node; that this suffices is what is tested.
    unsafe impl Sync for Memory {}

    impl Memory {
        fn write(&self, slot: u32, take: Take) {
            let core = self.heap.core();
            let counters = &self.heap.entries[slot as usize].counters;
            let (mut last, mut tail, mut gate) = (0, Cursor::default(), Gate::new(&core));
            for number in 0..MESSAGES {
                let token = loop {
                    let token = core.reserve_passed(slot, take, &mut last, &mut tail, &mut gate);
                    match token.unwrap() {
                        Some(token) => break token,
                        None => std::thread::yield_now(),
                    }
                };
                let message = u64::from(slot) << 32 | number;
                let payload = self.payload[token.node as usize].get();
                // SAFETY: the node is reserved by this thread.
                unsafe { *payload = [message, 0, 0, 0, 0, 0, 0, !message] };
                core.commit(token, 64, counters, &mut tail).unwrap();
                self.committed.fetch_add(1, Ordering::Relaxed);
            }
            self.writing.fetch_sub(1, Ordering::Release);
        }

        fn join(&self, slot: u32) -> Place {
            let state = &self.heap.entries[slot as usize].state;
            state.store(READER, Ordering::Release);
            self.heap.core().join_order(slot, Start::Newest).unwrap()
        }

        /// What this thread gets until the writers have ended, two at a time.
        fn read(&self, slot: u32, mut place: Place) -> (Vec<u64>, u64) {
            let core = self.heap.core();
            let (mut got, mut claimed) = (Vec::new(), Vec::new());
            loop {
                let ended = self.writing.load(Ordering::Acquire) == 0;
                core.claim_next(slot, &mut place, 2, u64::MAX, &mut claimed)
                    .unwrap();
                if claimed.is_empty() {
                    if ended {
                        return (got, place.missed);
                    }
                    std::thread::yield_now();
                }
                for claimed in claimed.drain(..) {
                    let Token { node, .. } = claimed.token;
                    // SAFETY: the node is in this thread's hands.
                    let [message, .., complement] = unsafe { *self.payload[node as usize].get() };
                    assert_eq!(message, !complement, "torn");
                    got.push(message);
                    core.pass(slot, &mut place, 1);
                }
            }
        }

        fn exchange(nodes: u32, writers: u32, readers: u32, take: Take) {
            let memory = Memory {
                heap: Heap::broadcast(nodes, writers + readers),
                payload: (0..nodes).map(|_| UnsafeCell::new([0; 8])).collect(),
                committed: AtomicU64::new(0),
                writing: AtomicU64::new(writers.into()),
            };
            let read: Vec<(Vec<u64>, u64)> = std::thread::scope(|scope| {
                let memory = &memory;
                // All are there before the first message.
                let reading: Vec<_> = (writers..writers + readers)
                    .map(|slot| (slot, memory.join(slot)))
                    .map(|(slot, place)| scope.spawn(move || memory.read(slot, place)))
                    .collect();
                for slot in 0..writers {
                    scope.spawn(move || memory.write(slot, take));
                }
                reading.into_iter().map(|r| r.join().unwrap()).collect()
            });
            let committed = memory.committed.load(Ordering::Relaxed);
            for (got, missed) in &read {
                check(got, writers.into(), take == Take::Free);
                assert_eq!(got.len() as u64 + missed, committed);
                assert!(take == Take::Oldest || got == &read[0].0, "one order");
            }
        }
    }

    #[test]
    fn payload_goes_from_writers_to_each_reader() {
        for (nodes, writers, readers) in [(2, 1, 2), (3, 2, 1), (5, 2, 3)] {
            Memory::exchange(nodes, writers, readers, Take::Free);
        }
    }

    #[test]
    fn nothing_is_torn_where_writers_drop() {
        for (nodes, writers, readers) in [(3, 1, 2), (4, 2, 1), (9, 2, 2)] {
            Memory::exchange(nodes, writers, readers, Take::Oldest);
        }
    }
}

#[cfg(not(miri))]
mod one_mapping {
    use super::super::super::attached::Attached;
    use super::super::super::{
        Claim, Delivery, OnFull, Reader, ReaderOptions, WaitStrategy, Writer,
    };
    use super::super::one_mapping::{Ring, fill, message, patiently, read, write};
    use super::{MESSAGES, check};
    use crate::segment::OpenOptions;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn ring(label: &str, nodes: u64, node_size: u64, wait: WaitStrategy) -> (Ring, Attached) {
        let label = format!("broadcast-{label}");
        let ring = Ring::new(&label, nodes, node_size, Delivery::Broadcast, wait);
        let attached = Attached::open(&ring.0, OpenOptions::default()).unwrap();
        (ring, attached)
    }

    fn exchange(label: &str, nodes: u64, node_size: u64, wait: WaitStrategy, parties: (u64, u64)) {
        let (_ring, attached) = ring(label, nodes, node_size, wait);
        let got: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..parties.0)
                .map(|_| Writer::of(attached.clone()).unwrap())
                .collect();
            let reading: Vec<_> = (0..parties.1)
                .map(|_| Reader::of(attached.clone(), &ReaderOptions::default()).unwrap())
                .map(|reader| scope.spawn(move || read(reader)))
                .collect();
            for (writer, number) in writers.into_iter().zip(0..) {
                scope.spawn(move || write(writer, number, node_size));
            }
            reading.into_iter().map(|r| r.join().unwrap()).collect()
        });
        for ours in &got {
            check(ours, parties.0, true);
            assert_eq!(ours, &got[0], "one order");
        }
    }

    #[test]
    fn small_nodes() {
        exchange("small", 2, 64, WaitStrategy::Futex, (1, 2));
        exchange("small", 3, 64, WaitStrategy::Futex, (2, 3));
    }

    #[test]
    fn nodes_copied_by_lines() {
        exchange("lines", 4, 2048, WaitStrategy::Futex, (2, 2));
    }

    #[test]
    fn spinning() {
        exchange("spin", 4, 64, WaitStrategy::Spin, (1, 2));
    }

    /// Readers that stop now and then with nodes in hand, and read them where they
    /// lie, afterwards. What the writer counts as dropped is, exactly, at least what nobody
    /// got, and at most what somebody missed: what went by while the other reader had it in
    /// hand is missed and not dropped.
    #[test]
    fn a_node_in_hand_is_whole_whatever_is_dropped_meanwhile() {
        let (_ring, attached) = ring("torn", 5, 4096, WaitStrategy::Futex);
        let mut writer = Writer::of(attached.clone()).unwrap();
        let readers =
            [(); 2].map(|()| Reader::of(attached.clone(), &ReaderOptions::default()).unwrap());
        let written = writer.monitor();
        std::thread::scope(|scope| {
            let reading = readers.map(|reader| scope.spawn(move || read_with_stops(reader)));
            let mut bytes = vec![0; 4096];
            let mut published = BTreeSet::new();
            for number in 0..MESSAGES {
                fill(&mut bytes, number);
                // Two readers have at most four of the five in hand, but not the same four
                // all the time that the writer looks.
                if writer.offer(&bytes, OnFull::DropOld, &patiently()).unwrap() {
                    published.insert(number);
                }
            }
            assert!(written.reader_diffs().len() <= 2);
            let stats = writer.stats();
            let refused = MESSAGES - published.len() as u64;
            let dropped = stats.dropped_nodes - refused;
            writer.end();

            let got = reading.map(|reading| {
                let (got, missed) = reading.join().unwrap();
                check(&got, 1, false);
                let got: BTreeSet<_> = got.into_iter().collect();
                assert!(got.is_subset(&published), "refused, and read");
                assert_eq!(got.len() as u64 + missed, published.len() as u64);
                got
            });
            let [all, some] = [&got[0] & &got[1], &got[0] | &got[1]];
            let [most, least] = [all, some].map(|got| (published.len() - got.len()) as u64);
            assert!(
                (least..=most).contains(&dropped),
                "{least} to {most}: {dropped}"
            );
            assert!(dropped > 0, "nobody was slow");
        });
    }

    /// What it got, and how many it missed.
    fn read_with_stops(mut reader: Reader) -> (Vec<u64>, u64) {
        let (mut got, mut claims) = (Vec::new(), 0u32);
        while let Claim::Nodes(mut nodes) = reader.claim(2, usize::MAX, &patiently()).unwrap() {
            claims += 1;
            if claims.is_multiple_of(16) {
                std::thread::sleep(Duration::from_micros(200));
            }
            while nodes.len() > 0 {
                got.push(message(nodes.node(0)));
                nodes.release_first();
            }
        }
        assert_eq!(reader.stats().nodes, got.len() as u64);
        (got, reader.missed_nodes())
    }
}
