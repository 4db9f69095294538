//! The points of writers that drop: taking the oldest node from the readers, and
//! counting what found no room.
//!
//! The ring is full of another writer's items when the victim comes, and nobody
//! reads until it is dead. A drop is made or it is not, at one point; whoever
//! reads then gets exactly the items that were not dropped, and the counters say
//! how many were, also if a recoverer dies that was about to count.

use crate::bounds::Slowest;
use crate::ledger::{Item, Ledger};
use crate::queue::{Hand, Queue, read, writers_ledger_agrees};
use crate::victim::{SIZE, dies};
use Hand::{Arrives, Gone};

/// Nodes of the ring, and items in it.
const NODES: u32 = 4;

/// A point, how many of the old items are dropped by then, and whether the
/// victim's own, for which the last one was dropped, arrives.
type DropRow = (&'static str, u32, Hand);

const DROPS: &[DropRow] = &[
    ("drop/pending-nodes", 0, Gone),
    ("drop/pending-bytes", 0, Gone),
    ("drop/noted", 0, Gone),
    ("drop/taken", 1, Gone),
    ("claim/taken", 1, Gone),
    ("claim/head", 1, Gone),
    ("drop/counted-nodes", 1, Gone),
    ("drop/counted-bytes", 1, Gone),
    ("drop/settled", 1, Gone),
    ("commit/pending", 1, Gone),
    ("commit/ready", 1, Arrives),
    ("commit/signalled", 1, Arrives),
    ("drop/noted#2", 1, Gone),
    ("drop/taken#2", 2, Gone),
    ("drop/counted-nodes#3", 3, Gone),
    ("append/appended#3", 3, Arrives),
];

/// A recoverer's point, and where the one died that it recovers.
const RECOVERS: &[(&str, &str)] = &[
    ("recover/not-dropped", "drop/noted"),
    ("recover/not-dropped", "drop/noted#2"),
    ("drop/counted-nodes", "drop/taken"),
    ("drop/counted-bytes", "drop/taken"),
    ("drop/counted-bytes", "drop/counted-nodes#3"),
    ("drop/settled", "drop/taken#2"),
    ("recover/freed", "drop/taken"),
];

/// A point, and what is counted of the one message that found no room: a node,
/// and bytes.
const REFUSES: &[(&str, u64)] = &[
    ("refuse/counted-nodes", 0),
    ("refuse/counted-bytes", SIZE as u64),
];

/// All the points that the tests below visit.
pub fn visited() -> impl Iterator<Item = &'static str> {
    let drops = DROPS.iter().map(|row| row.0);
    let recovers = RECOVERS.iter().map(|row| row.0);
    drops.chain(recovers).chain(REFUSES.iter().map(|row| row.0))
}

/// A ring full of writer 1's items.
fn full() -> Queue {
    let queue = Queue::new(NODES);
    queue.writes(1, NODES);
    queue
}

/// What is left is read in order, what is dropped is counted, and all goes on.
#[track_caller]
fn all_is_accounted_for(queue: &Queue, (at, dropped, hand): DropRow, ledger: &Ledger) {
    let read = read(queue.reader());
    let others = read.items.iter().filter(|item| item.0 == 1).copied();
    let left: Vec<Item> = (dropped..NODES).map(|sequence| (1, sequence)).collect();
    assert_eq!(others.collect::<Vec<_>>(), left, "{at}");
    writers_ledger_agrees(at, ledger, hand, &read.items);
    assert!(!read.clean, "{at}: a writer died");
    let ring = queue.look().ring.unwrap();
    let bytes = u64::from(dropped) * SIZE as u64;
    assert_eq!(
        (ring.dropped_nodes, ring.dropped_bytes),
        (u64::from(dropped), bytes),
        "{at}"
    );
    assert_eq!(ring.read_nodes, read.items.len() as u64, "{at}: {ring:?}");
    assert_eq!(ring.read_bytes, (read.items.len() * SIZE) as u64, "{at}");
    assert_eq!((ring.diff_nodes, ring.diff_bytes), (0, 0), "{at}: {ring:?}");
    queue.is_as_good_as_new();
}

#[test]
fn a_writer_killed_at_each_point_of_a_drop() {
    let mut slowest = Slowest::new();
    for &row in DROPS {
        let (queue, ledger) = (full(), Ledger::new());
        let died = dies("drops", row.0, &queue.segment, &ledger);
        all_is_accounted_for(&queue, row, &ledger);
        slowest.took(row.0, died, std::time::Instant::now());
    }
}

#[test]
fn a_recoverer_killed_at_each_point_of_counting_a_drop() {
    for second in ["writes", "reads"] {
        for &(at, point) in RECOVERS {
            let (queue, ledger) = (full(), Ledger::new());
            dies("drops", point, &queue.segment, &ledger);
            dies(second, at, &queue.segment, &Ledger::new());
            let row = DROPS.iter().find(|row| row.0 == point);
            let &(_, dropped, hand) = row.expect("where the first one dies");
            all_is_accounted_for(&queue, (at, dropped, hand), &ledger);
        }
    }
}

/// The node of a drop that was not made is written later, in the same generation,
/// by who has the dead one's entry, and dies in it: in one of the rounds.
#[test]
fn what_was_noted_and_not_made_is_not_counted_at_a_later_death() {
    for nth in 1..=NODES {
        let queue = full();
        dies("drops", "drop/noted", &queue.segment, &Ledger::new());
        assert_eq!(read(queue.reader()).items.len(), NODES as usize);
        let at = format!("commit/pending#{nth}");
        let at = at.strip_suffix("#1").unwrap_or(&at);
        dies("writes on", at, &queue.segment, &Ledger::new());
        queue.writes(2, 1);
        assert_eq!(read(queue.reader()).items.len(), nth as usize, "{at}");
        assert_eq!(queue.look().ring.unwrap().dropped_nodes, 0, "{at}");
        queue.is_as_good_as_new();
    }
}

#[test]
fn a_writer_killed_as_it_counts_what_found_no_room() {
    for &(at, bytes) in REFUSES {
        let (queue, ledger) = (full(), Ledger::new());
        dies("refuses", at, &queue.segment, &ledger);
        let ring = queue.look().ring.unwrap();
        assert_eq!((ring.dropped_nodes, ring.dropped_bytes), (1, bytes), "{at}");
        assert_eq!(ring.written_nodes, u64::from(NODES) + 1, "{at}");
        assert_eq!((ring.diff_nodes, ring.read_nodes), (4, 0), "{at}");
        let read = read(queue.reader());
        let all: Vec<Item> = (0..NODES).map(|sequence| (1, sequence)).collect();
        assert_eq!((read.items, read.clean), (all, false), "{at}");
        queue.is_as_good_as_new();
    }
}
