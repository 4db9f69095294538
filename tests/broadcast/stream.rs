//! Many writers and readers; how a stream ends; what happens without readers, and
//! when there is no entry left.

use super::party::Party;
use super::*;
use shmkit::ring::RingError;

#[test]
fn two_writers_and_three_readers_all_get_all_in_one_order() {
    const EACH: u32 = 4000;
    let ring = Ring::new(8, 1000);
    let readers = [(1, 0), (3, 0), (100, 50)].map(|(batch, dwell)| {
        Party::reads(&ring.name, "newest", batch, dwell) // one as slow as can be
    });
    let keeper = ring.writer(); // one stream, also if one of them comes late
    let writers = [0, 1].map(|number| Party::writes(&ring.name, number, "block", "4000"));
    for writer in writers {
        assert_eq!(writer.finish().did.len(), EACH as usize);
    }
    keeper.end();
    let [one, two, three] = readers.map(Party::finish);
    for reader in [&one, &two, &three] {
        for writer in [0, 1] {
            assert!(reader.of(writer).into_iter().eq(0..EACH));
        }
        assert_eq!(reader.got.len(), 2 * EACH as usize);
        assert_eq!((reader.missed, reader.clean), (Some(0), Some(true)));
    }
    assert!(one.got == two.got && two.got == three.got, "one order");
    ring.is_sound();
}

#[test]
fn two_readers_in_one_process_each_get_everything() {
    let ring = Ring::new(4, 100);
    let (mut one, mut two) = (ring.reader(Start::Newest), ring.reader(Start::Newest));
    let mut writer = ring.writer();
    std::thread::scope(|scope| {
        for reader in [&mut one, &mut two] {
            scope.spawn(|| {
                assert!(take(reader, 2000).into_iter().eq(0..2000));
                assert!(ends_clean(reader));
                assert_eq!((reader.missed_nodes(), reader.stats().nodes), (0, 2000));
            });
        }
        publish(&mut writer, 0..2000, OnFull::Block);
        writer.end();
    });
    drop((one, two));
    ring.is_sound();
}

#[test]
fn one_thread_with_two_handles_sees_that_the_slower_one_holds_the_writer() {
    let ring = Ring::new(4, 100);
    let (mut quick, mut slow) = (ring.reader(Start::Newest), ring.reader(Start::Newest));
    let mut writer = ring.writer();
    publish(&mut writer, 0..4, OnFull::Block);
    assert_eq!(take(&mut quick, 4), [0, 1, 2, 3]);
    assert_eq!(take(&mut slow, 1), [0]);
    publish(&mut writer, 4..5, OnFull::Block);
    let full = writer.write(b"", &for_a_moment());
    assert!(matches!(full, Err(RingError::TimedOut)), "{full:?}");
    let monitor = ring.monitor();
    let lags: Vec<_> = monitor
        .reader_diffs()
        .iter()
        .map(|d| d.diff.nodes)
        .collect();
    assert_eq!(lags, [4, 1], "the slowest first");
    assert_eq!((monitor.diff().nodes, monitor.unclaimed_nodes()), (4, 4));
    // What it only has in hand holds the writer, too.
    let Claim::Nodes(mut nodes) = slow.claim(4, usize::MAX, &patiently()).unwrap() else {
        panic!("four are there")
    };
    assert_eq!((nodes.len(), monitor.reader_diffs()[0].in_hand), (4, 4));
    assert!(writer.try_reserve(1).unwrap().is_none());
    nodes.release_first();
    assert!(writer.try_reserve(1).unwrap().is_some());
    drop(nodes);
    assert_eq!(take(&mut slow, 3), [2, 3, 4], "given back, and come again");
}

#[test]
fn without_readers_a_ring_fills_and_then_writers_wait_or_drop() {
    let ring = Ring::new(4, 100);
    let mut writer = ring.writer();
    publish(&mut writer, 0..4, OnFull::Block);
    let full = writer.write(b"", &for_a_moment());
    assert!(matches!(full, Err(RingError::TimedOut)), "{full:?}");
    let refused = writer.offer(b"", OnFull::DropNew, &patiently()).unwrap();
    assert!(!refused);
    publish(&mut writer, 4..1000, OnFull::DropOld);
    assert_eq!(writer.stats().dropped_nodes, 996 + 1);
    assert_eq!(ring.monitor().diff().nodes, 4);
    // Who comes has room made for what follows.
    let mut reader = ring.reader(Start::Newest);
    publish(&mut writer, 1000..1004, OnFull::Block);
    assert_eq!(take(&mut reader, 4), [1000, 1001, 1002, 1003]);
}

#[test]
fn a_waiting_writer_goes_on_when_the_first_reader_comes() {
    let ring = Ring::new(4, 100);
    let writer = Party::writes(&ring.name, 0, "block", "50");
    harness::until("the ring is full", || writer.so_far().did.len() == 4);
    let reader = Party::reads(&ring.name, "oldest", 1, 0).finish();
    assert!(reader.of(0).into_iter().eq(0..50));
    assert_eq!((reader.missed, reader.clean), (Some(0), Some(true)));
    writer.finish();
    ring.is_sound();
}

#[test]
fn each_reader_ends_when_it_has_had_the_last_message() {
    let ring = Ring::new(8, 100);
    let (mut quick, mut slow) = (ring.reader(Start::Newest), ring.reader(Start::Newest));
    let mut writer = ring.writer();
    publish(&mut writer, 0..6, OnFull::Block);
    assert_eq!(take(&mut quick, 6).len(), 6);
    assert!(
        quick.try_claim(1, usize::MAX).unwrap().is_none(),
        "it is open"
    );
    writer.end();
    // One does not wait for the other.
    assert!(ends_clean(&mut quick));
    assert_eq!(take(&mut slow, 5).len(), 5);
    // Given back, the last one is not had.
    let last = slow.claim(1, usize::MAX, &patiently()).unwrap();
    assert!(matches!(last, Claim::Nodes(_)));
    drop(last);
    assert_eq!(take(&mut slow, 1), [5]);
    assert!(ends_clean(&mut slow));
    // The next stream: those who are there, and those who come, get it.
    let mut writer = ring.writer();
    let mut third = ring.reader(Start::Newest);
    publish(&mut writer, 6..9, OnFull::Block);
    writer.end();
    assert_eq!(take(&mut third, 3), [6, 7, 8]);
    assert!(ends_clean(&mut third));
    // Who has been told of the end, and asks again, goes on with it as well.
    assert_eq!(take(&mut quick, 3), [6, 7, 8]);
    drop((quick, slow, third));
    ring.is_sound();
}

#[test]
fn every_entry_can_be_a_readers_and_one_more_is_refused() {
    let ring = Ring::new(4, 64);
    let mut writer = ring.writer();
    let mut readers: Vec<_> = (1..128).map(|_| ring.reader(Start::Newest)).collect();
    let options = ReaderOptions::default();
    let refused = Reader::attach(&ring.name, &options);
    assert!(matches!(refused, Err(RingError::Segment(_))), "{refused:?}");
    for round in 0..5 {
        publish(&mut writer, 4 * round..4 * round + 4, OnFull::Block);
        assert!(
            writer.try_reserve(1).unwrap().is_none(),
            "all are to read it"
        );
        for reader in &mut readers {
            assert!(take(reader, 4).into_iter().eq(4 * round..4 * round + 4));
        }
    }
    assert_eq!(ring.monitor().reader_diffs().len(), 127);
    // The last one is as good as the first at holding it.
    publish(&mut writer, 20..24, OnFull::Block);
    for reader in &mut readers[..126] {
        take(reader, 4);
    }
    assert!(writer.try_reserve(1).unwrap().is_none());
    // A place that comes free is taken again.
    readers.pop();
    publish(&mut writer, 24..25, OnFull::Block);
    let mut next = ring.reader(Start::Newest);
    publish(&mut writer, 25..26, OnFull::Block);
    assert_eq!(take(&mut next, 1), [25]);
}
