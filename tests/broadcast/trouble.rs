//! Readers and writers killed and stopped: who is dead holds nobody for long, who is
//! stopped holds those who wait, and nobody else loses anything.

use super::harness::{SECONDS, holds_for, until, until_within};
use super::party::Party;
use super::*;
use shmkit::ring::RingError;
use std::collections::HashSet;

/// How often a quick recovery is tried: three of four must be quick, for the machine may
/// be busy.
const TRIES: usize = 4;

/// Readers killed with nothing, one or all nodes in hand: a writer that waits for
/// them goes on within a slice or so.
#[test]
fn a_killed_reader_holds_a_writer_for_a_slice_at_most() {
    for in_hand in [0, 1, 4] {
        let mut times = Vec::new();
        for _ in 0..TRIES {
            let ring = Ring::new(4, 100);
            let victim = match in_hand {
                // Has joined, and waits for what does not come.
                0 => Party::will_hold(&ring.name, 5),
                _ => Party::will_hold(&ring.name, in_hand),
            };
            let other = Party::reads(&ring.name, "newest", 2, 0);
            let writer = Party::writes(&ring.name, 0, "block", "300");
            until("the ring is full", || writer.so_far().did.len() == 4);
            if in_hand > 0 {
                victim.holds(in_hand);
            }
            until("the other one has all of it", || {
                other.so_far().got.len() == 4
            });
            let monitor = ring.monitor();
            let slowest = monitor.reader_diffs()[0];
            assert_eq!((slowest.pid, slowest.diff.nodes), (victim.pid(), 4));
            assert_eq!(u64::from(slowest.in_hand), in_hand);
            let killed = Instant::now();
            victim.kill();
            until_within(SECONDS, "the writer goes on", || {
                writer.so_far().did.len() > 4
            });
            times.push(killed.elapsed());
            assert_eq!(writer.finish().did.len(), 300);
            let other = other.finish();
            assert!(other.of(0).into_iter().eq(0..300));
            // No writer died.
            assert_eq!((other.missed, other.clean), (Some(0), Some(true)));
            ring.is_sound();
        }
        times.sort();
        assert!(times[TRIES - 2] < Duration::from_secs(1), "{times:?}");
    }
}

/// What the only reader had passed when it was killed is passed.
#[test]
fn a_killed_reader_that_was_the_only_one_leaves_room_for_a_whole_ring() {
    let ring = Ring::new(4, 100);
    let victim = Party::reads(&ring.name, "newest", 1, 0);
    let mut writer = ring.writer();
    publish(&mut writer, 0..10, OnFull::Block);
    until("all is read", || ring.monitor().diff().nodes == 0);
    assert_eq!(victim.kill().of(0).len(), 10);
    // One that knows nothing of it.
    let mut writer = ring.writer();
    publish(&mut writer, 10..14, OnFull::Block);
    let full = writer.write(b"", &for_a_moment());
    assert!(matches!(full, Err(RingError::TimedOut)), "{full:?}");
    assert_eq!(take(&mut ring.reader(Start::Oldest), 4), [10, 11, 12, 13]);
}

#[test]
fn a_stopped_reader_holds_the_writers_and_is_named_until_it_goes_on() {
    let ring = Ring::new(4, 100);
    let other = Party::reads(&ring.name, "newest", 2, 0);
    let victim = Party::reads(&ring.name, "newest", 2, 0);
    victim.stop();
    let writers = [0, 1].map(|number| Party::writes(&ring.name, number, "block", "500"));
    let written = || writers.iter().map(|w| w.so_far().did.len()).sum::<usize>();
    until("the ring is full, and read", || {
        written() == 4 && other.so_far().got.len() == 4
    });
    // For much longer than a slice: it is not dead.
    holds_for(Duration::from_millis(700), "they wait", || written() == 4);
    let readers = ring.monitor().reader_diffs();
    let lags: Vec<_> = readers.iter().map(|r| (r.pid, r.diff.nodes)).collect();
    assert_eq!(lags, [(victim.pid(), 4), (other.pid(), 0)]);
    victim.resume();
    for writer in writers {
        assert_eq!(writer.finish().did.len(), 500);
    }
    let (victim, other) = (victim.finish(), other.finish());
    assert_eq!(victim.got.len(), 1000);
    assert!(victim.got == other.got && victim.clean == Some(true));
    ring.is_sound();
}

#[test]
fn a_stopped_reader_of_a_ring_that_drops_misses_what_it_is_told_that_it_missed() {
    for nodes in [2, 3, 16] {
        let ring = Ring::new(nodes, 100);
        let readers = [1, 3].map(|batch| Party::reads(&ring.name, "newest", batch, 0));
        readers[0].stop();
        // One stream, also if the first has ended when the second comes.
        let keeper = ring.writer();
        let writers = [0, 1].map(|number| Party::writes(&ring.name, number, "drop-old", "2000"));
        // They do not wait for it.
        let all: u64 = writers.map(|w| w.finish().committed.unwrap()).iter().sum();
        keeper.end();
        readers[0].resume();
        let [stopped, other] = readers.map(Party::finish);
        for reader in [&stopped, &other] {
            let missed = reader.missed.unwrap();
            assert_eq!(reader.got.len() as u64 + missed, all, "{nodes} nodes");
            for writer in [0, 1] {
                assert!(reader.of(writer).len() <= 2000);
            }
            assert_eq!(reader.clean, Some(true));
        }
        assert!(stopped.missed.unwrap() >= all - nodes, "{nodes} nodes");
        // One order: what both got, they got in the same.
        let both = |one: &party::Said, two: &party::Said| -> Vec<_> {
            let got: HashSet<_> = two.got.iter().copied().collect();
            let both = one.got.iter().filter(|message| got.contains(message));
            both.copied().collect()
        };
        assert_eq!(both(&stopped, &other), both(&other, &stopped));
        ring.is_sound();
    }
}

/// What a stopped reader has in hand is not touched, and the stream goes on around it.
#[test]
fn what_a_stopped_reader_has_in_hand_stays_while_others_are_dropped() {
    for (nodes, in_hand) in [(3, 1), (3, 2), (8, 3)] {
        let ring = Ring::new(nodes, 100);
        let mut reader = ring.reader(Start::Newest);
        let mut other = ring.reader(Start::Newest);
        let mut writer = ring.writer();
        publish(&mut writer, 0..3, OnFull::Block);
        let wait = patiently();
        let Claim::Nodes(nodes_in_hand) = reader.claim(in_hand, usize::MAX, &wait).unwrap() else {
            panic!("three are there")
        };
        publish(&mut writer, 3..500, OnFull::DropOld);
        for i in 0..in_hand {
            let message = open_message(nodes_in_hand.node(i), 100);
            assert_eq!(message, (0, i as u32));
        }
        let left = nodes as usize - in_hand;
        // The other one goes its way all the while.
        let newest = take_all(&mut other);
        assert!(newest.len() <= left + in_hand && newest.last() == Some(&499));
        nodes_in_hand.release_all();
        let rest = take_all(&mut reader);
        assert!(rest.iter().copied().eq(500 - left as u32..500), "{rest:?}");
        let received = in_hand + rest.len();
        assert_eq!(reader.missed_nodes() + received as u64, 500);
        assert_eq!(other.missed_nodes() + newest.len() as u64, 500);
        writer.end();
        drop((reader, other));
        ring.is_sound();
    }
}

/// A reader that is killed with nodes in hand, under writers that drop: its nodes come
/// back into use.
#[test]
fn what_a_killed_reader_had_in_hand_comes_back_to_writers_that_drop() {
    let ring = Ring::new(2, 100);
    let victim = Party::will_hold(&ring.name, 2);
    let mut writer = ring.writer();
    publish(&mut writer, 0..2, OnFull::Block);
    victim.holds(2);
    let offer = |writer: &mut Writer| {
        let message = message(0, 2, 100);
        writer
            .offer(&message, OnFull::DropOld, &patiently())
            .unwrap()
    };
    assert!(!offer(&mut writer), "both nodes are in hand");
    victim.kill();
    until_within(SECONDS, "it drops what a dead one has", || {
        offer(&mut writer)
    });
    writer.end();
    ring.is_sound();
}

#[test]
fn killed_writers_lose_nobody_anything_that_was_committed() {
    for round in 0..3 {
        let ring = Ring::new(4, 300);
        let readers = [1, 3, 100].map(|batch| Party::reads(&ring.name, "newest", batch, 0));
        let victims = [0, 1].map(|n| Party::writes(&ring.name, n, "block", "1000000"));
        let other = Party::writes(&ring.name, 2, "block", "1500");
        let enough = 100 + 150 * round;
        until("they are at it", || {
            victims.iter().all(|v| v.so_far().did.len() > enough)
        });
        let did = victims.map(|victim| victim.kill().did);
        assert_eq!(other.finish().did.len(), 1500);
        let [one, two, three] = readers.map(Party::finish);
        for reader in [&one, &two, &three] {
            for (writer, did) in did.iter().enumerate() {
                let got = reader.of(writer as u32);
                let count = got.len() as u32;
                // One more may have been committed than it had time to say.
                let said = did.len() as u32;
                assert!((said..=said + 1).contains(&count), "{count} of {said}");
                assert!(got.into_iter().eq(0..count));
            }
            assert!(reader.of(2).into_iter().eq(0..1500));
            assert_eq!((reader.missed, reader.clean), (Some(0), Some(false)));
        }
        assert!(one.got == two.got && two.got == three.got, "one order");
        // The next stream knows nothing of it.
        let mut reader = ring.reader(Start::Newest);
        let mut writer = ring.writer();
        publish(&mut writer, 0..1, OnFull::Block);
        writer.end();
        assert_eq!(take(&mut reader, 1), [0]);
        assert!(ends_clean(&mut reader));
        drop(reader);
        ring.is_sound();
    }
}
