//! The points of a broadcast ring: a reader's place, a writer that takes a node
//! back from the past, and what is missed.
//!
//! The ring has four nodes. Another reader stays and must get everything that was
//! committed, in order, or count what it missed; writers must go on, whoever died.

use crate::bounds::{Slowest, bounded};
use crate::harness::Name;
use crate::ledger::{Item, Ledger};
use crate::queue::{Hand, write, writers_ledger_agrees};
use crate::victim::{SIZE, dies, item};
use Hand::{Arrives, Gone};
use shmkit::ring::{self, Claim, Delivery, Geometry, Reader, ReaderOptions, Start, Writer};
use shmkit::segment::{self, OpenOptions};

const NODES: u32 = 4;

/// A point of a writer, and what becomes of the item it was about to commit.
const WRITES: &[(&str, Hand)] = &[
    ("reserve/taken#1", Gone),
    ("reserve/unflagged", Gone),
    ("reserve/taking#1", Gone),
    ("reserve/taken-back#1", Gone),
    ("reserve/taking#2", Gone),
    ("commit/ready#2", Arrives),
    ("append/noted#2", Arrives),
    ("append/appended#2", Arrives),
    ("commit/signalled#2", Arrives),
    ("abort/freed", Gone),
    ("orphans/flagged#2", Gone),
];

/// A point of a writer that drops, while a reader has the oldest node in hand: and
/// how many of the four old items are dropped by then, and whether its own arrives.
const DROPS: &[(&str, u32, Hand)] = &[
    ("reserve/left", 0, Gone),
    ("drop/noted", 0, Gone),
    ("reserve/taken-back", 1, Gone),
    ("drop/counted-nodes", 1, Gone),
    ("drop/settled", 1, Gone),
    ("commit/ready", 1, Arrives),
    ("append/overtaken", 1, Arrives),
    ("append/appended", 1, Arrives),
    ("reserve/taking#3", 1, Gone),
];

/// A point of a reader, in which part.
const READS: &[(&str, &str)] = &[
    ("join/placed", "reads"),
    ("join/counted", "reads"),
    ("join/joined", "reads"),
    ("claim/announced", "reads"),
    ("claim/announced#2", "reads"),
    ("release/passed", "reads"),
    ("release/counted-nodes", "reads"),
    ("release/signalled", "reads"),
    ("leave/passed", "reads"),
    ("leave/no-place", "reads"),
    ("leave/woken-writers", "reads"),
    ("leave/unlisted", "reads"),
    ("give-back/stepped-back", "gives back"),
];

/// A recoverer's point, and where the one died, in which part, that it recovers.
const RECOVERS: &[(&str, (&str, &str))] = &[
    ("recover/not-taken", ("writes", "reserve/taking#1")),
    ("orphans/flagged", ("writes", "reserve/taking#1")),
    ("leave/passed", ("reads", "claim/announced")),
    ("leave/no-place", ("reads", "claim/announced")),
    ("recover/emptied", ("reads", "claim/announced")),
];

/// Of a reader that misses something, and of one that keeps a node from a
/// writer that died about to take it.
const MISSES: &[(&str, &str)] = &[
    ("claim/missed", "misses"),
    ("claim/counted-missed", "misses"),
    ("claim/kept", "keeps"),
];

/// All the points that the tests below visit.
pub fn visited() -> impl Iterator<Item = &'static str> {
    let writers = WRITES.iter().map(|row| row.0);
    let droppers = DROPS.iter().map(|row| row.0);
    let readers = READS.iter().chain(MISSES).map(|row| row.0);
    let recoverers = RECOVERS.iter().map(|row| row.0);
    writers.chain(droppers).chain(readers).chain(recoverers)
}

/// A ring, removed on drop.
struct Ring {
    segment: Name,
    name: segment::Name,
}

impl Ring {
    fn new() -> Ring {
        let segment = Name::unused();
        let name = segment::Name::new(&segment).unwrap();
        let geometry = Geometry {
            nodes: NODES,
            node_size: SIZE as u64,
            delivery: Delivery::Broadcast,
            ..Geometry::default()
        };
        ring::create(&name, geometry, 0o600).unwrap();
        Ring { segment, name }
    }

    /// One full of writer 1's items, who stays; and a reader that wants them all.
    fn full() -> (Ring, Writer, Reader) {
        let ring = Ring::new();
        let (mut writer, reader) = (ring.writer(), ring.reader(Start::Newest));
        (0..NODES).for_each(|sequence| write(&mut writer, (1, sequence)));
        (ring, writer, reader)
    }

    fn writer(&self) -> Writer {
        Writer::attach(&self.name, OpenOptions::default()).unwrap()
    }

    fn reader(&self, from: Start) -> Reader {
        let options = ReaderOptions {
            from,
            ..ReaderOptions::default()
        };
        Reader::attach(&self.name, &options).unwrap()
    }

    /// Nobody is in the way, each node can be used, and the next stream is clean.
    #[track_caller]
    fn is_as_good_as_new(&self) {
        let mut reader = self.reader(Start::Newest);
        let mut writer = self.writer();
        for round in 0..3 {
            // As many as there are nodes, without anybody reading: none is lost.
            (0..NODES).for_each(|sequence| write(&mut writer, (round, sequence)));
            for sequence in 0..NODES {
                assert_eq!(next(&mut reader), Some((round, sequence)));
            }
        }
        drop(writer);
        let clean = match reader.claim(1, 1, &bounded()).unwrap() {
            Claim::Nodes(_) => None,
            Claim::End { clean } => Some(clean),
        };
        assert_eq!(clean, Some(true));
        assert_eq!(reader.missed_nodes(), 0);
    }
}

/// The next item; `None` at the end.
fn next(reader: &mut Reader) -> Option<Item> {
    match reader.claim(1, usize::MAX, &bounded()).unwrap() {
        Claim::Nodes(nodes) => {
            let item = item(nodes.node(0));
            nodes.release_all();
            Some(item)
        }
        Claim::End { .. } => None,
    }
}

fn rest(reader: &mut Reader) -> Vec<Item> {
    std::iter::from_fn(|| next(reader)).collect()
}

#[test]
fn a_writer_killed_at_each_point_of_taking_nodes_back() {
    let mut slowest = Slowest::new();
    for &(at, hand) in WRITES {
        let ring = Ring::new();
        let mut reader = ring.reader(Start::Newest);
        let mut first = ring.writer();
        // The victim comes to nodes that were never used, or were once.
        let used = match at {
            "reserve/taken#1" => 0,
            _ => NODES,
        };
        (0..used).for_each(|sequence| write(&mut first, (1, sequence)));
        (0..used).for_each(|_| assert!(next(&mut reader).is_some()));
        let reading = std::thread::spawn(move || (rest(&mut reader), reader.missed_nodes()));
        let ledger = Ledger::new();
        let died = dies("writes", at, &ring.segment, &ledger);
        drop(first);
        let (read, missed) = reading.join().unwrap();
        slowest.took(at, died, std::time::Instant::now());
        writers_ledger_agrees(at, &ledger, hand, &read);
        assert_eq!(missed, 0, "{at}");
        ring.is_as_good_as_new();
    }
}

#[test]
fn a_dropping_writer_killed_at_each_point_while_a_reader_has_a_node_in_hand() {
    for &(at, dropped, hand) in DROPS {
        let (ring, writer, mut reader) = Ring::full();
        let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &bounded()).unwrap() else {
            panic!("the ring is full")
        };
        let ledger = Ledger::new();
        dies("drops", at, &ring.segment, &ledger);
        assert_eq!(item(nodes.node(0)), (1, 0), "{at}: it stays in hand");
        nodes.release_all();
        drop(writer);
        let read = rest(&mut reader);
        let left: Vec<Item> = (1 + dropped..NODES).map(|sequence| (1, sequence)).collect();
        assert!(read.starts_with(&left), "{at}: {read:?}");
        writers_ledger_agrees(at, &ledger, hand, &read);
        assert_eq!(reader.missed_nodes(), u64::from(dropped), "{at}");
        let look = shmkit::inspect::Snapshot::take(
            &segment::Opened::open(&ring.name, OpenOptions::default()).unwrap(),
            shmkit::inspect::Detail::Summary,
        );
        let counted = look.unwrap().ring.unwrap();
        let bytes = u64::from(dropped) * SIZE as u64;
        assert_eq!(
            (counted.dropped_nodes, counted.dropped_bytes),
            (u64::from(dropped), bytes),
            "{at}"
        );
        drop(reader);
        ring.is_as_good_as_new();
    }
}

#[test]
fn a_reader_killed_at_each_point_holds_nobody_and_takes_nothing_from_the_others() {
    let mut slowest = Slowest::new();
    for &(at, part) in READS {
        let ring = Ring::new();
        let (mut writer, mut reader) = (ring.writer(), ring.reader(Start::Newest));
        let (over, told) = std::sync::mpsc::channel();
        let writing = std::thread::spawn(move || {
            let (mut written, mut more) = (0, 4 * NODES);
            while more > 0 {
                more -= u32::from(told.try_recv().is_ok() || more < 4 * NODES);
                write(&mut writer, (1, written));
                written += 1;
            }
            written
        });
        let reading = std::thread::spawn(move || (rest(&mut reader), reader.missed_nodes()));
        let died = dies(part, at, &ring.segment, &Ledger::new());
        over.send(()).unwrap();
        let written = writing.join().unwrap();
        let (read, missed) = reading.join().unwrap();
        slowest.took(at, died, std::time::Instant::now());
        let all = (0..written).map(|sequence| (1, sequence));
        assert!(read.into_iter().eq(all), "{at}: lost, or out of order");
        assert_eq!(missed, 0, "{at}");
        ring.is_as_good_as_new();
    }
}

#[test]
fn a_recoverer_killed_at_each_point_of_a_broadcast_ring() {
    for second in ["reads", "writes"] {
        for &(at, (first, point)) in RECOVERS {
            let (ring, writer, mut reader) = Ring::full();
            if first == "writes" {
                // All have passed the four, so that the victim may take one.
                (0..NODES).for_each(|_| assert!(next(&mut reader).is_some()));
            } else {
                // It claims what comes after it has come.
                drop(ring.writer());
            }
            let ledger = Ledger::new();
            if first == "reads" {
                dies("reads the oldest", point, &ring.segment, &ledger);
            } else {
                dies(first, point, &ring.segment, &ledger);
            }
            dies(second, at, &ring.segment, &Ledger::new());
            drop(writer);
            let read = rest(&mut reader);
            let due = if first == "writes" { 0 } else { NODES };
            assert!(read.into_iter().eq((0..due).map(|s| (1, s))), "{at}");
            drop(reader);
            ring.is_as_good_as_new();
        }
    }
}

#[test]
fn a_reader_killed_as_it_misses_or_keeps_a_node() {
    for &(at, part) in MISSES {
        let ring = Ring::new();
        dies(part, at, &ring.segment, &Ledger::new());
        ring.is_as_good_as_new();
    }
}
