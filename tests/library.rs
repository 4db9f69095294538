//! The library as somebody uses it who writes a program of their own: handles
//! and guards, time-outs and cancellation, in one process on several threads.

mod harness;

use shmkit::ring::{
    self, Claim, Delivery, Geometry, GeometryError, Reader, ReaderOptions, RingError, Wait,
    WaitStrategy, Writer,
};
use shmkit::segment::{self, Gone, Name, NameError, OpenOptions, SegmentError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A ring made through the library, removed on drop.
struct Ring {
    _unique: harness::Name,
    name: Name,
}

fn ring(nodes: u64, node_size: u64) -> Ring {
    ring_of(nodes, node_size, Delivery::Queue)
}

fn ring_of(nodes: u64, node_size: u64, delivery: Delivery) -> Ring {
    let unique = harness::Name::unused();
    let name = Name::new(&unique).unwrap();
    let geometry = Geometry::new(nodes, node_size, delivery, WaitStrategy::Futex).unwrap();
    ring::create(&name, geometry, 0o600).unwrap();
    Ring {
        _unique: unique,
        name,
    }
}

impl Ring {
    fn writer(&self) -> Writer {
        Writer::attach(&self.name, OpenOptions::default()).unwrap()
    }
    fn reader(&self) -> Reader {
        let options = ReaderOptions::default();
        Reader::attach(&self.name, &options).unwrap()
    }
}

/// The longest that a call which should succeed may block.
fn patiently() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + harness::PATIENCE),
        cancelled: None,
    }
}

fn for_a_moment() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_millis(100)),
        cancelled: None,
    }
}

/// Reads to the end: the messages, and whether the end was clean.
fn drain(reader: &mut Reader) -> (Vec<Vec<u8>>, bool) {
    let mut messages = Vec::new();
    loop {
        match reader.claim(7, usize::MAX, &patiently()).unwrap() {
            Claim::End { clean } => return (messages, clean),
            Claim::Nodes(nodes) => {
                messages.extend((0..nodes.len()).map(|i| nodes.node(i).to_vec()));
                nodes.release_all();
            }
        }
    }
}

#[test]
fn two_threads_pass_messages_in_order() {
    let ring = ring(4, 100);
    let mut reader = ring.reader();
    let mut writer = ring.writer();
    let message = |i: u32| i.to_le_bytes().repeat(1 + i as usize % 25);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..10_000 {
                writer.write(&message(i), &patiently()).unwrap();
            }
            assert_eq!(writer.stats().nodes, 10_000);
            writer.end();
        });
        let (messages, clean) = drain(&mut reader);
        assert!(clean);
        assert_eq!(messages.len(), 10_000);
        assert!(messages.iter().zip(0..).all(|(got, i)| *got == message(i)));
    });
    assert_eq!(reader.stats().nodes, 10_000);
    assert_eq!(reader.monitor().unclaimed_nodes(), 0);
    assert_eq!(reader.monitor().diff().bytes, 0);
}

#[test]
fn reserved_nodes_that_are_dropped_were_never_written() {
    let ring = ring(4, 100);
    let (mut writer, mut reader) = (ring.writer(), ring.reader());
    for _ in 0..20 {
        let mut nodes = writer.reserve(2, &patiently()).unwrap();
        assert!((1..=2).contains(&nodes.len()));
        nodes.node_mut(0).fill(b'x');
        drop(nodes);
    }
    assert!(reader.try_claim(1, usize::MAX).unwrap().is_none());
    // Some committed, the rest dropped.
    let mut nodes = writer.reserve(2, &patiently()).unwrap();
    assert_eq!(nodes.node_mut(0).len(), 100);
    nodes.node_mut(0)[..4].copy_from_slice(b"kept");
    nodes.commit_first(4).unwrap();
    drop(nodes);
    writer.end();
    assert_eq!(drain(&mut reader), (vec![b"kept".to_vec()], true));
}

#[test]
fn a_batch_is_what_was_asked_for_as_far_as_it_is_there() {
    for delivery in Delivery::ALL {
        let ring = ring_of(8, 10, delivery);
        let (mut writer, mut reader) = (ring.writer(), ring.reader());
        assert_eq!(writer.reserve(3, &patiently()).unwrap().len(), 3);
        assert_eq!(writer.try_reserve(3).unwrap().unwrap().len(), 3);
        for _ in 0..2 {
            let mut nodes = writer.reserve(100, &patiently()).unwrap();
            assert_eq!(nodes.len(), 4, "half of a {delivery} ring");
            while nodes.len() > 0 {
                nodes.commit_first(2).unwrap();
            }
        }
        // Two; three, which make up five bytes; and the rest.
        for (want, bytes, there) in [(2, usize::MAX, 2), (100, 5, 3), (100, usize::MAX, 3)] {
            let Claim::Nodes(nodes) = reader.claim(want, bytes, &patiently()).unwrap() else {
                panic!("the stream is open")
            };
            assert_eq!(
                nodes.len(),
                there,
                "{delivery}: {want} nodes, {bytes} bytes"
            );
            nodes.release_all();
        }
        assert!(reader.try_claim(100, usize::MAX).unwrap().is_none());
    }
}

#[test]
fn claimed_nodes_that_are_dropped_come_again_first_and_in_order() {
    let ring = ring(8, 10);
    let (mut writer, mut reader) = (ring.writer(), ring.reader());
    for i in 0..6u8 {
        writer.write(&[i], &patiently()).unwrap();
    }
    for _ in 0..3 {
        let Claim::Nodes(mut nodes) = reader.claim(3, usize::MAX, &patiently()).unwrap() else {
            panic!("the stream is open")
        };
        assert_eq!(nodes.node(0), [0]);
        assert!((1..=3).contains(&nodes.len()));
        let _ = &mut nodes;
    }
    assert_eq!(reader.monitor().diff().nodes, 6);
    let Claim::Nodes(mut nodes) = reader.claim(1, usize::MAX, &patiently()).unwrap() else {
        panic!("the stream is open")
    };
    nodes.release_first();
    assert_eq!(nodes.len(), 0);
    drop(nodes);
    writer.end();
    let rest: Vec<_> = (1..6u8).map(|i| vec![i]).collect();
    assert_eq!(drain(&mut reader), (rest, true));
}

#[test]
fn another_reader_gets_what_one_gave_back_before_all_else() {
    let ring = ring(4, 10);
    let (mut writer, mut one, mut other) = (ring.writer(), ring.reader(), ring.reader());
    writer.write(b"first", &patiently()).unwrap();
    writer.write(b"second", &patiently()).unwrap();
    drop(one.claim(1, usize::MAX, &patiently()).unwrap());
    writer.end();
    let (messages, _) = drain(&mut other);
    assert_eq!(messages, [b"first".to_vec(), b"second".to_vec()]);
    drop(one);
}

#[test]
fn a_ring_of_n_nodes_holds_n_messages() {
    for nodes in [2, 3, 20] {
        let ring = ring(nodes, 1);
        let mut writer = ring.writer();
        for _ in 0..nodes {
            writer.write(b"m", &for_a_moment()).unwrap();
        }
        assert!(writer.try_reserve(1).unwrap().is_none());
        assert!(matches!(
            writer.reserve(1, &for_a_moment()),
            Err(RingError::TimedOut)
        ));
        assert_eq!(writer.monitor().unclaimed_nodes(), nodes);
    }
}

#[test]
fn waiting_has_a_deadline() {
    let ring = ring(2, 10);
    let mut reader = ring.reader();
    assert!(reader.try_claim(1, usize::MAX).unwrap().is_none());
    let begun = Instant::now();
    assert!(matches!(
        reader.claim(1, usize::MAX, &for_a_moment()),
        Err(RingError::TimedOut)
    ));
    assert!(
        begun.elapsed() >= Duration::from_millis(100),
        "not before its time"
    );
    // A deadline in the past is a look.
    let past = Wait {
        deadline: Some(begun),
        cancelled: None,
    };
    assert!(matches!(
        reader.claim(1, usize::MAX, &past),
        Err(RingError::TimedOut)
    ));
    let mut writer = ring.writer();
    writer.write(b"x", &past).unwrap();
    let claim = reader.claim(1, usize::MAX, &past);
    assert!(
        matches!(claim, Ok(Claim::Nodes(_))),
        "what is there needs no waiting"
    );
}

#[test]
fn waiting_can_be_cancelled_from_elsewhere() {
    let ring = ring(2, 10);
    let (mut reader, mut writer) = (ring.reader(), ring.writer());
    writer.write(b"x", &patiently()).unwrap();
    writer.write(b"y", &patiently()).unwrap();
    let cancelled = AtomicBool::new(false);
    let asked = || cancelled.load(Ordering::Relaxed);
    let wait = Wait {
        deadline: None,
        cancelled: Some(&asked),
    };
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            let asked = || cancelled.load(Ordering::Relaxed);
            let wait = Wait {
                deadline: None,
                cancelled: Some(&asked),
            };
            matches!(writer.reserve(1, &wait), Err(RingError::Cancelled))
        });
        cancelled.store(true, Ordering::Relaxed);
        assert!(blocked.join().unwrap());
    });
    drop(reader.claim(2, usize::MAX, &wait).map(drop)); // whether or not it looks first
    cancelled.store(false, Ordering::Relaxed);
    let Claim::Nodes(nodes) = reader.claim(2, usize::MAX, &patiently()).unwrap() else {
        panic!("the stream is open")
    };
    assert_eq!(nodes.node(0), b"x");
}

#[test]
fn a_message_that_does_not_fit_a_node_is_an_error_and_not_a_panic() {
    let ring = ring(2, 10);
    let (mut writer, mut reader) = (ring.writer(), ring.reader());
    let refused = writer.write(&[0; 11], &patiently());
    assert!(matches!(
        refused,
        Err(RingError::TooLong {
            len: 11,
            node_size: 10,
            ..
        })
    ));
    writer.write(&[7; 10], &patiently()).unwrap();
    writer.end();
    assert_eq!(drain(&mut reader), (vec![vec![7; 10]], true));
}

#[test]
fn the_stream_ends_with_its_last_writer_and_not_when_it_is_kept_open() {
    let ring = ring(4, 10);
    let mut reader = ring.reader();
    let (mut one, mut other) = (ring.writer(), ring.writer());
    one.write(b"1", &patiently()).unwrap();
    one.end();
    other.write(b"2", &patiently()).unwrap();
    other.keep_open();
    for expected in [b"1", b"2"] {
        let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &patiently()).unwrap() else {
            panic!("the stream is open")
        };
        assert_eq!(nodes.node(0), expected);
        nodes.release_all();
    }
    assert!(matches!(
        reader.claim(1, usize::MAX, &for_a_moment()),
        Err(RingError::TimedOut)
    ));
    drop(ring.writer()); // leaves as `end` does
    assert_eq!(drain(&mut reader), (vec![], true));
}

#[test]
fn a_following_reader_is_told_of_no_end() {
    let ring = ring(4, 10);
    let options = ReaderOptions {
        follow: true,
        ..ReaderOptions::default()
    };
    let mut reader = Reader::attach(&ring.name, &options).unwrap();
    let mut writer = ring.writer();
    writer.write(b"1", &patiently()).unwrap();
    writer.end();
    let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &patiently()).unwrap() else {
        panic!("it follows")
    };
    nodes.release_all();
    assert!(matches!(
        reader.claim(1, usize::MAX, &for_a_moment()),
        Err(RingError::TimedOut)
    ));
}

#[test]
fn handles_of_one_process_are_participants_of_their_own() {
    let ring = ring(4, 10);
    let (one, two, three) = (ring.writer(), ring.writer(), ring.reader());
    let monitor = one.monitor();
    assert_eq!((monitor.writers(), monitor.readers()), (2, 1));
    // Closing one handle's descriptors must not drop the locks of another.
    drop(two);
    let four = ring.reader();
    assert_eq!((monitor.writers(), monitor.readers()), (1, 2));
    drop((one, three, four));
    let fresh = ring.reader();
    assert_eq!(
        (fresh.monitor().writers(), fresh.monitor().readers()),
        (0, 1)
    );
}

#[test]
fn a_handle_may_move_to_another_thread() {
    let ring = ring(4, 10);
    let mut writer = ring.writer();
    std::thread::spawn(move || writer.write(b"x", &patiently()).unwrap())
        .join()
        .unwrap();
    let mut reader = ring.reader();
    let drained = std::thread::spawn(move || drain(&mut reader))
        .join()
        .unwrap();
    assert_eq!(drained, (vec![b"x".to_vec()], true));
}

#[test]
fn four_writers_and_four_readers_in_one_process_pass_every_message_once() {
    for (nodes, kind) in [
        (2, WaitStrategy::Futex),
        (16, WaitStrategy::Futex),
        (4, WaitStrategy::Spin),
    ] {
        let unique = harness::Name::unused();
        let name = Name::new(&unique).unwrap();
        ring::create(
            &name,
            Geometry::new(nodes, 8, Delivery::Queue, kind).unwrap(),
            0o600,
        )
        .unwrap();
        let ring = Ring {
            _unique: unique,
            name,
        };
        let count = 5_000u32;
        let mut readers: Vec<_> = (0..4).map(|_| ring.reader()).collect();
        let writers: Vec<_> = (0..4u32).map(|w| (w, ring.writer())).collect();
        let mut all: Vec<Vec<u8>> = std::thread::scope(|scope| {
            for (number, mut writer) in writers {
                scope.spawn(move || {
                    for i in 0..count {
                        let message = [number.to_be_bytes(), i.to_be_bytes()].concat();
                        writer.write(&message, &patiently()).unwrap();
                    }
                });
            }
            let reading: Vec<_> = readers
                .iter_mut()
                .map(|reader| {
                    scope.spawn(|| {
                        let (messages, clean) = drain(reader);
                        assert!(clean);
                        for number in 0..4u32 {
                            let own = messages.iter().filter(|m| m[..4] == number.to_be_bytes());
                            assert!(own.is_sorted(), "each writer's messages are in its order");
                        }
                        messages
                    })
                })
                .collect();
            reading
                .into_iter()
                .flat_map(|r| r.join().unwrap())
                .collect()
        });
        assert_eq!(all.len(), 20_000);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20_000, "none twice, none torn");
        assert_eq!(readers[0].monitor().unclaimed_nodes(), 0);
    }
}

#[test]
fn what_can_go_wrong_has_a_type() {
    let name = Name::new(&harness::Name::unused()).unwrap();
    let attach = || Writer::attach(&name, OpenOptions::default()).map(drop);
    assert!(matches!(
        attach(),
        Err(RingError::Segment(SegmentError::NotFound { .. }))
    ));
    let ring = ring(2, 10);
    let geometry = Geometry::new(2, 10, Delivery::Queue, WaitStrategy::Futex).unwrap();
    let again = ring::create(&ring.name, geometry, 0o600);
    assert!(matches!(
        again,
        Err(RingError::Segment(SegmentError::AlreadyExists { .. }))
    ));
    let huge = Geometry::new(1 << 20, 1 << 30, Delivery::Queue, WaitStrategy::Futex).unwrap();
    let refused = ring::create(&name, huge, 0o600);
    assert!(
        matches!(refused, Err(RingError::Segment(SegmentError::NoRoom { needed, free, .. })) if needed > 1 << 50 && free < needed)
    );
    let foreign = harness::Name::unused();
    std::fs::write(foreign.path(), "not a segment").unwrap();
    let foreign = Writer::attach(&Name::new(&foreign).unwrap(), OpenOptions::default()).map(drop);
    assert!(matches!(
        foreign,
        Err(RingError::Segment(SegmentError::NotOurs { .. }))
    ));
}

#[test]
fn names_and_geometries_are_checked() {
    assert_eq!(Name::new(""), Err(NameError::Empty));
    assert_eq!(Name::new(".x"), Err(NameError::LeadingDot));
    assert_eq!(Name::new("a/b"), Err(NameError::Character('/')));
    assert!(matches!(
        Name::new(&"x".repeat(201)),
        Err(NameError::TooLong(_))
    ));
    assert_eq!(Name::new("a.B_9-z").unwrap().as_str(), "a.B_9-z");
    let geometry = |n, size| Geometry::new(n, size, Delivery::Queue, WaitStrategy::Futex);
    for nodes in [0, 1, (1 << 20) + 1, u64::MAX] {
        assert!(matches!(geometry(nodes, 1), Err(GeometryError::Nodes(n)) if n == nodes));
    }
    for size in [0, (1 << 30) + 1, u64::MAX] {
        assert!(matches!(geometry(2, size), Err(GeometryError::NodeSize(s)) if s == size));
    }
    assert!(geometry(2, 1).unwrap().total_size() >= 2);
}

#[test]
fn a_ring_in_use_is_removed_by_force_only_and_its_handles_learn_of_it() {
    let ring = ring(2, 10);
    let (mut writer, mut reader) = (ring.writer(), ring.reader());
    let remove = |force| segment::remove(&ring.name, force, OpenOptions::default());
    assert!(matches!(remove(false), Err(SegmentError::InUse { .. })));
    assert_eq!(writer.monitor().gone(), None);
    remove(true).unwrap();
    assert_eq!(writer.monitor().gone(), Some(Gone::Removed));
    let claimed = reader.claim(1, usize::MAX, &patiently()).map(drop);
    assert!(
        matches!(
            claimed,
            Err(RingError::Gone {
                gone: Gone::Removed,
                ..
            })
        ),
        "{claimed:?}"
    );
    writer.write(b"1", &patiently()).ok();
    writer.write(b"2", &patiently()).ok();
    let written = writer.write(b"3", &patiently());
    assert!(
        matches!(
            written,
            Err(RingError::Gone {
                gone: Gone::Removed,
                ..
            })
        ),
        "{written:?}"
    );
}
