//! Who comes late gets what is committed from then on, or what is still there; who
//! goes holds nobody; and whatever they do, nothing is missing in between.

use super::party::Party;
use super::*;
use shmkit::ring::RingError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

#[test]
fn a_late_joiner_gets_exactly_what_comes_after_it() {
    let ring = Ring::new(64, 200);
    let mut writer = ring.writer();
    publish(&mut writer, 0..5, OnFull::Block);
    let late = Party::reads(&ring.name, "newest", 3, 0);
    publish(&mut writer, 5..30, OnFull::Block);
    let oldest = Party::reads(&ring.name, "oldest", 3, 0);
    publish(&mut writer, 30..32, OnFull::Block);
    writer.end();
    for (party, first) in [(late, 5), (oldest, 0)] {
        let said = party.finish();
        assert!(said.of(0).into_iter().eq(first..32), "{said:?}");
        assert_eq!((said.missed, said.clean), (Some(0), Some(true)));
    }
    ring.is_sound();
}

#[test]
fn from_oldest_is_from_the_oldest_that_is_still_there() {
    let ring = Ring::new(8, 200);
    let mut writer = ring.writer();
    publish(&mut writer, 0..3, OnFull::Block);
    assert_eq!(take(&mut ring.reader(Start::Oldest), 3), [0, 1, 2]);
    // It has gone; what it had passed stays there until its node is wanted.
    publish(&mut writer, 3..10, OnFull::Block);
    let mut reader = ring.reader(Start::Oldest);
    assert!(take(&mut reader, 8).into_iter().eq(2..10));
    publish(&mut writer, 10..30, OnFull::DropOld);
    let mut other = ring.reader(Start::Oldest);
    assert!(take(&mut other, 8).into_iter().eq(22..30));
    // The one that was there all the time missed what was dropped.
    assert!(take(&mut reader, 8).into_iter().eq(22..30));
    assert_eq!((reader.missed_nodes(), other.missed_nodes()), (12, 0));
}

#[test]
fn the_last_reader_goes_and_another_comes() {
    let ring = Ring::new(4, 100);
    let mut writer = ring.writer();
    let mut reader = ring.reader(Start::Newest);
    publish(&mut writer, 0..4, OnFull::Block);
    assert_eq!(take(&mut reader, 2), [0, 1]);
    drop(reader);
    // Two had been passed, and two are nobody's to pass.
    publish(&mut writer, 4..6, OnFull::Block);
    let full = writer.write(b"", &for_a_moment());
    assert!(matches!(full, Err(RingError::TimedOut)), "{full:?}");
    let mut newest = ring.reader(Start::Newest);
    publish(&mut writer, 6..8, OnFull::Block);
    let mut oldest = ring.reader(Start::Oldest);
    assert_eq!(take(&mut oldest, 4), [4, 5, 6, 7]);
    assert_eq!(take(&mut newest, 2), [6, 7]);
    drop((newest, oldest));
    writer.end();
    ring.is_sound();
}

/// Says that it is over when it goes, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Against a writer that never stops: what a reader gets begins between what was
/// committed before it came and what was committed when it was there.
fn comes_and_goes(nodes: u64, from: Start, on_full: OnFull) {
    let ring = Ring::new(nodes, 200);
    let keeper = ring.reader(Start::Newest);
    let committed = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    let mut late = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = ring.writer();
            let mut sequence = 0;
            while !over.load(SeqCst) {
                // With all nodes in readers' hands there is no room for it.
                let message = message(0, sequence, 200);
                if writer.offer(&message, on_full, &patiently()).unwrap() {
                    sequence += 1;
                    committed.store(sequence, SeqCst);
                }
            }
            writer.end();
        });
        let keeper = scope.spawn(|| {
            let mut keeper = keeper;
            let mut got = Vec::new();
            while let Claim::Nodes(nodes) = keeper.claim(9, usize::MAX, &patiently()).unwrap() {
                got.extend((0..nodes.len()).map(|i| open_message(nodes.node(i), 200).1));
                nodes.release_all();
            }
            (got.len() as u64, keeper.missed_nodes())
        });
        let end = Over(&over);
        for turn in 0..40 {
            let before = committed.load(SeqCst);
            let mut reader = ring.reader(from);
            let joined = committed.load(SeqCst);
            let got = take(&mut reader, 1 + turn);
            late.push((before, joined, got, reader.missed_nodes()));
        }
        drop(end);
        let (got, missed) = keeper.join().unwrap();
        assert_eq!(got + missed, u64::from(committed.load(SeqCst)));
    });
    for (before, joined, got, missed) in late {
        let back = match from {
            Start::Newest => 0,
            Start::Oldest => nodes as u32,
        };
        let (first, last) = (got[0], got[got.len() - 1]);
        assert!(got.is_sorted_by(|a, b| a < b), "{got:?}");
        assert!(first >= before.saturating_sub(back), "{first} < {before}");
        // One message may be in the order and not yet counted here.
        assert!(u64::from(first) <= u64::from(joined) + 1 + missed);
        let gaps = u64::from(last - first + 1) - got.len() as u64;
        assert!(gaps <= missed, "{gaps} of {missed} missed: {got:?}");
        assert!(missed == 0 || on_full == OnFull::DropOld);
    }
    ring.is_sound();
}

#[test]
fn readers_that_come_and_go_miss_nothing_in_between() {
    comes_and_goes(2, Start::Newest, OnFull::Block);
    comes_and_goes(3, Start::Oldest, OnFull::Block);
    comes_and_goes(16, Start::Newest, OnFull::Block);
}

#[test]
fn readers_that_come_and_go_while_messages_are_dropped_know_what_they_missed() {
    comes_and_goes(2, Start::Oldest, OnFull::DropOld);
    comes_and_goes(3, Start::Newest, OnFull::DropOld);
    comes_and_goes(16, Start::Oldest, OnFull::DropOld);
}
