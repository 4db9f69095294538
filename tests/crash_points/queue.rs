//! The points of a ring: attach, reserve, commit, claim, release, give back,
//! recover, leave, the stream's end, and waiting.
//!
//! Each point is visited in two situations. *Alone*: the victim has the ring
//! to itself but for somebody who waits for it, so what it leaves behind is
//! known to the item. *Among others*: another writer and another reader
//! stream through the same few nodes all the time.

use crate::bounds::{Slowest, bounded};
use crate::harness::{Name, record};
use crate::ledger::{Item, Ledger};
use crate::victim::{SIZE, VICTIM, dies, item};
use shmkit::inspect::{Detail, Snapshot};
use shmkit::ring::{self, Claim, Geometry, Reader, ReaderOptions, Writer};
use shmkit::segment::layout::{ENTRY_SIZE, HEADER_SIZE, READER};
use shmkit::segment::{self, OpenOptions, Opened};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

// ---- the tables -------------------------------------------------------------

/// What becomes of the item that a writer was about to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// There is none, or nobody ever sees it.
    Gone,
    /// It arrives.
    Arrives,
}

/// What a writer was to its stream when it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    /// Nobody yet.
    Nobody,
    /// Listed as a writer, but had not joined: in an open stream it counts.
    Listed,
    /// A part of it: the stream is unclean.
    Writer,
    /// On its way out, all committed: clean.
    Leaving,
}

use Hand::{Arrives, Gone};
use Was::{Leaving, Listed, Nobody};

type WriterRow = (&'static str, Hand, Was);

/// A writer attaches, commits three items, gives a node back unused, leaves.
const WRITES: &[WriterRow] = &[
    ("join/locked", Gone, Nobody),
    ("join/filled", Gone, Nobody),
    ("join/listed", Gone, Listed),
    ("attach/swept", Gone, Listed),
    ("attach/woken", Gone, Listed),
    ("stream/joined", Gone, Was::Writer),
    ("reserve/taken#1", Gone, Was::Writer),
    ("reserve/taken#3", Gone, Was::Writer),
    ("commit/length#3", Gone, Was::Writer),
    ("commit/pending-nodes#3", Gone, Was::Writer),
    ("commit/pending-bytes#3", Gone, Was::Writer),
    ("commit/pending#3", Gone, Was::Writer),
    ("commit/ready#1", Arrives, Was::Writer),
    ("commit/ready#3", Arrives, Was::Writer),
    ("append/noted#3", Arrives, Was::Writer),
    ("append/appended#3", Arrives, Was::Writer),
    ("append/tail#3", Arrives, Was::Writer),
    ("commit/counted-nodes#3", Arrives, Was::Writer),
    ("commit/counted-bytes#3", Arrives, Was::Writer),
    ("commit/settled#3", Arrives, Was::Writer),
    ("commit/signalled#3", Arrives, Was::Writer),
    ("reserve/taken#4", Gone, Was::Writer),
    ("abort/freed", Gone, Was::Writer),
    ("abort/signalled", Gone, Was::Writer),
    ("leave/leaving", Gone, Leaving),
    ("leave/unlisted", Gone, Nobody),
    ("leave/unlocked", Gone, Nobody),
];

/// What only the last writer does.
const ENDS: &[WriterRow] = &[
    ("stream/ended", Gone, Leaving),
    ("leave/woken", Gone, Leaving),
];

/// A point, and how many items come twice: those which the victim had seen
/// and still had in hand.
type ReaderRow = (&'static str, usize);

/// A reader attaches, reads two items at a time, and leaves after six.
const READS: &[ReaderRow] = &[
    ("join/locked", 0),
    ("join/filled", 0),
    ("join/listed", 0),
    ("attach/swept", 0),
    ("attach/woken", 0),
    ("claim/taken#1", 0),
    ("claim/head#1", 0),
    ("release/freed#1", 1),
    ("release/freed#2", 0),
    ("release/counted-nodes", 0),
    ("release/counted-bytes", 0),
    ("release/signalled", 0),
    ("claim/taken#2", 0),
    ("claim/head#3", 0),
    ("release/freed#3", 1),
    ("leave/unlisted", 0),
    ("leave/unlocked", 0),
];

/// A reader gives a node back, and takes it again.
const GIVES_BACK: &[ReaderRow] = &[
    ("give-back/orphaned", 1),
    ("orphans/flagged", 1),
    ("give-back/counted", 1),
    ("give-back/signalled", 1),
    ("orphans/claimed", 0),
    ("orphans/unflagged", 0),
];

/// A recoverer, which is attaching as a writer or as a reader, dies over
/// somebody who died before: in which part, and where.
type RecoverRow = (&'static str, (&'static str, &'static str));

const RESERVED: (&str, &str) = ("writes", "reserve/taken#3");
const READY: (&str, &str) = ("writes", "commit/ready#3");
const APPENDED: (&str, &str) = ("writes", "append/tail#3");
const LEFT: (&str, &str) = ("writes", "leave/leaving");
const CLAIMED: (&str, &str) = ("reads", "claim/taken#1");

const RECOVERS: &[RecoverRow] = &[
    ("recover/locked", RESERVED),
    ("recover/unclean", RESERVED),
    ("recover/unclean", READY),
    ("recover/counted-nodes", APPENDED),
    ("recover/counted-bytes", APPENDED),
    ("recover/counted-bytes", READY),
    ("recover/settled", READY),
    ("recover/settled", ("writes", "commit/pending#3")),
    ("recover/abandoned", RESERVED),
    ("recover/freed", RESERVED),
    ("append/noted", READY),
    ("append/appended", READY),
    ("append/tail", READY),
    ("append/tail", ("writes", "append/noted#3")),
    ("recover/redelivered", CLAIMED),
    ("recover/orphaned", CLAIMED),
    ("orphans/flagged", CLAIMED),
    ("orphans/flagged", ("gives back", "give-back/orphaned")),
    ("leave/leaving", READY),
    ("recover/emptied", RESERVED),
    ("recover/emptied", CLAIMED),
    ("recover/emptied", LEFT),
    ("recover/unlocked", RESERVED),
    ("recover/unlocked", CLAIMED),
];

/// Where a recoverer that is a reader ends a dead writer's stream: one that is
/// attaching as a writer has it go on.
const RECOVERER_ENDS: &[RecoverRow] = &[("stream/ended", READY), ("stream/ended", LEFT)];

const SIGNALS: &[&str] = &["signal/moved", "signal/disarmed"];
const SLEEPS: &str = "wait/armed";
const CROWDED: &str = "join/recovered";
const INHERITS: &str = "stream/inherited";

/// All the points that the tests below visit.
pub fn visited() -> impl Iterator<Item = &'static str> {
    let writers = WRITES.iter().chain(ENDS).map(|row| row.0);
    let readers = READS.iter().chain(GIVES_BACK).map(|row| row.0);
    let recoverers = RECOVERS.iter().chain(RECOVERER_ENDS).map(|row| row.0);
    let others = [SLEEPS, CROWDED, INHERITS];
    (writers.chain(readers).chain(recoverers))
        .chain(SIGNALS.iter().copied())
        .chain(others)
}

// ---- those who survive ------------------------------------------------------

/// A ring, removed on drop.
pub struct Queue {
    pub segment: Name,
    name: segment::Name,
    nodes: u32,
}

impl Queue {
    pub fn new(nodes: u32) -> Queue {
        let segment = Name::unused();
        let name = segment::Name::new(&segment).unwrap();
        let geometry = Geometry {
            nodes,
            node_size: SIZE as u64,
            ..Geometry::default()
        };
        ring::create(&name, geometry, 0o600).unwrap();
        Queue {
            segment,
            name,
            nodes,
        }
    }

    fn writer(&self) -> Writer {
        Writer::attach(&self.name, OpenOptions::default()).unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::attach(&self.name, &ReaderOptions::default()).unwrap()
    }

    pub fn look(&self) -> Snapshot {
        let opened = Opened::open(&self.name, OpenOptions::default()).unwrap();
        Snapshot::take(&opened, Detail::Summary).unwrap()
    }

    /// A reader in a thread, attached, until its stream ends.
    fn reads_on(&self) -> JoinHandle<Read> {
        let reader = self.reader();
        std::thread::spawn(move || read(reader))
    }

    /// A writer that writes `count` items and leaves.
    pub fn writes(&self, number: u32, count: u32) {
        let mut writer = self.writer();
        (0..count).for_each(|sequence| write(&mut writer, (number, sequence)));
    }

    /// A writer in a thread, attached, that writes `count` items and leaves.
    fn writes_on(&self, number: u32, count: u32) -> JoinHandle<()> {
        let mut writer = self.writer();
        std::thread::spawn(move || {
            (0..count).for_each(|sequence| write(&mut writer, (number, sequence)));
        })
    }

    /// Nothing is left of the dead, each node can be used, and the next stream
    /// is a clean one.
    #[track_caller]
    pub fn is_as_good_as_new(&self) {
        let reader = self.reads_on();
        self.writes(7, 2 * self.nodes);
        let read = reader.join().unwrap();
        let all: Vec<Item> = (0..2 * self.nodes).map(|sequence| (7, sequence)).collect();
        assert_eq!((read.items, read.clean), (all, true));
        let look = self.look();
        let ring = look.ring.unwrap();
        assert_eq!(ring.states.free, self.nodes, "{ring:?}");
        let read = ring.read_nodes + ring.dropped_nodes;
        assert_eq!(ring.written_nodes, read, "{ring:?}");
        assert!(look.participants.is_empty(), "{:?}", look.participants);
        assert!(look.damage.is_empty(), "{:?}", look.damage);
    }
}

pub fn write(writer: &mut Writer, (number, sequence): Item) {
    let item = record(number, sequence, SIZE);
    writer.write(&item, &bounded()).unwrap();
}

/// What a reader got until the stream ended.
#[derive(Debug)]
pub struct Read {
    pub items: Vec<Item>,
    pub clean: bool,
    ended: Instant,
}

pub fn read(mut reader: Reader) -> Read {
    let mut items = Vec::new();
    loop {
        match reader.claim(1, usize::MAX, &bounded()).unwrap() {
            Claim::Nodes(nodes) => {
                items.push(item(nodes.node(0)));
                nodes.release_all();
            }
            Claim::End { clean } => {
                let ended = Instant::now();
                return Read {
                    items,
                    clean,
                    ended,
                };
            }
        }
    }
}

// ---- what must hold ---------------------------------------------------------

/// The victim's own items, as others got them.
fn of_victim(items: &[Item]) -> Vec<Item> {
    let own = items.iter().filter(|item| item.0 == VICTIM);
    own.copied().collect()
}

/// What was acknowledged to the writer, and what it had in hand if that was
/// committed: exactly this arrives, in order.
#[track_caller]
pub fn writers_ledger_agrees(at: &str, ledger: &Ledger, hand: Hand, arrived: &[Item]) {
    let (intended, wrote) = (ledger.items("intends"), ledger.items("wrote"));
    let in_hand = usize::from(hand == Arrives);
    let due = &intended[..wrote.len() + in_hand];
    assert!(due.starts_with(&wrote), "{at}: {intended:?} {wrote:?}");
    assert_eq!(of_victim(arrived), due, "{at}: acknowledged: {wrote:?}");
}

/// Each item that was `written` was seen: by the victim or by the others, by
/// both only the `twice` that it died with.
#[track_caller]
fn readers_ledger_agrees(
    at: &str,
    ledger: &Ledger,
    twice: usize,
    others: &[Item],
    written: &BTreeSet<Item>,
) {
    let mut times: BTreeMap<Item, usize> = BTreeMap::new();
    for item in others.iter().chain(&ledger.items("saw")) {
        *times.entry(*item).or_default() += 1;
    }
    // What it saw and gave back it had not read.
    for item in ledger.items("gave") {
        *times.get_mut(&item).unwrap() -= 1;
    }
    let lost: Vec<&Item> = written.iter().filter(|i| !times.contains_key(i)).collect();
    assert!(lost.is_empty(), "{at}: lost: {lost:?}");
    assert_eq!(times.len(), written.len(), "{at}: what nobody wrote");
    let doubled: Vec<_> = times.iter().filter(|(_, n)| **n != 1).collect();
    assert_eq!(doubled.len(), twice, "{at}: {doubled:?}");
    assert!(doubled.iter().all(|(_, n)| **n == 2), "{at}: {doubled:?}");
}

// ---- a writer dies ----------------------------------------------------------

#[test]
fn a_writer_killed_at_each_point_alone() {
    let mut slowest = Slowest::new();
    for &(at, hand, was) in WRITES.iter().chain(ENDS) {
        let queue = Queue::new(2);
        let reader = queue.reads_on();
        let ledger = Ledger::new();
        let died = dies("writes", at, &queue.segment, &ledger);
        let began = !ledger.items("intends").is_empty() || was == Was::Writer;
        if !began {
            // Nothing that could end: a stream is still to come.
            queue.writes(1, 3);
        }
        let read = reader.join().unwrap();
        slowest.took(at, died, read.ended);
        writers_ledger_agrees(at, &ledger, hand, &read.items);
        assert_eq!(read.clean, was != Was::Writer, "{at}");
        queue.is_as_good_as_new();
    }
}

/// Another writer and another reader, who stream while the victim comes and
/// dies.
struct Others {
    over: Arc<AtomicBool>,
    writer: JoinHandle<u32>,
    reader: JoinHandle<Read>,
}

impl Others {
    fn stream(queue: &Queue) -> Others {
        let reader = queue.reads_on();
        let over = Arc::new(AtomicBool::new(false));
        let (mut writer, told) = (queue.writer(), over.clone());
        let writer = std::thread::spawn(move || {
            let (mut written, mut more) = (0, 20);
            while more > 0 {
                more -= u32::from(told.load(Ordering::Relaxed));
                write(&mut writer, (1, written));
                written += 1;
            }
            written
        });
        Others {
            over,
            writer,
            reader,
        }
    }

    /// They stream on, and end. What was written, and what the reader got.
    fn end(self) -> (BTreeSet<Item>, Read) {
        self.over.store(true, Ordering::Relaxed);
        let written = self.writer.join().unwrap();
        let written = (0..written).map(|sequence| (1, sequence)).collect();
        (written, self.reader.join().unwrap())
    }
}

/// Of what one reader got, each writer's items are in its order.
#[track_caller]
fn in_order(at: &str, items: &[Item], written: &BTreeSet<Item>) {
    let others: Vec<Item> = items.iter().filter(|i| i.0 == 1).copied().collect();
    assert!(others.iter().eq(written), "{at}: the other writer's items");
}

#[test]
fn a_writer_killed_at_each_point_among_others() {
    let mut slowest = Slowest::new();
    for &(at, hand, was) in WRITES {
        let queue = Queue::new(3);
        let others = Others::stream(&queue);
        let ledger = Ledger::new();
        let died = dies("writes", at, &queue.segment, &ledger);
        let (written, read) = others.end();
        slowest.took(at, died, read.ended);
        writers_ledger_agrees(at, &ledger, hand, &read.items);
        assert_eq!(read.clean, matches!(was, Nobody | Leaving), "{at}");
        in_order(at, &read.items, &written);
        queue.is_as_good_as_new();
    }
}

// ---- a reader dies ----------------------------------------------------------

#[test]
fn a_reader_killed_at_each_point_alone() {
    let mut slowest = Slowest::new();
    let parts = [("reads", READS), ("gives back", GIVES_BACK)];
    for (part, &(at, twice)) in parts
        .iter()
        .flat_map(|(p, rows)| rows.iter().map(move |r| (p, r)))
    {
        let queue = Queue::new(4);
        // More than the ring holds and the victim reads: this one is blocked.
        let writer = queue.writes_on(1, 20);
        let ledger = Ledger::new();
        let died = dies(part, at, &queue.segment, &ledger);
        let read = read(queue.reader());
        writer.join().unwrap();
        slowest.took(at, died, read.ended);
        let written = (0..20).map(|sequence| (1, sequence)).collect();
        readers_ledger_agrees(at, &ledger, twice, &read.items, &written);
        assert!(read.items.is_sorted(), "{at}: the oldest first");
        assert!(read.clean, "{at}: no writer died");
        queue.is_as_good_as_new();
    }
}

#[test]
fn a_reader_killed_at_each_point_among_others() {
    let mut slowest = Slowest::new();
    for &(at, _) in READS {
        let queue = Queue::new(3);
        let others = Others::stream(&queue);
        let ledger = Ledger::new();
        let died = dies("reads singly", at, &queue.segment, &ledger);
        let (written, read) = others.end();
        slowest.took(at, died, read.ended);
        // One at a time: what it had in hand it had not seen, or released.
        readers_ledger_agrees(at, &ledger, 0, &read.items, &written);
        assert!(read.clean, "{at}: no writer died");
        queue.is_as_good_as_new();
    }
}

// ---- somebody dies about to wake or to sleep --------------------------------

#[test]
fn a_party_killed_when_it_signals_among_others() {
    let mut slowest = Slowest::new();
    for &at in SIGNALS {
        for part in ["writes on", "reads on"] {
            let queue = Queue::new(3);
            let others = Others::stream(&queue);
            let ledger = Ledger::new();
            let died = dies(part, at, &queue.segment, &ledger);
            let (written, read) = others.end();
            slowest.took(at, died, read.ended);
            if part == "reads on" {
                readers_ledger_agrees(at, &ledger, 0, &read.items, &written);
            } else {
                // It signals after a commit, and when it attaches and has slept.
                let came = of_victim(&read.items);
                let (intended, wrote) = (ledger.items("intends"), ledger.items("wrote"));
                assert!(
                    intended.starts_with(&came) && came.starts_with(&wrote),
                    "{at}"
                );
                in_order(at, &read.items, &written);
            }
            assert_eq!(read.clean, part == "reads on", "{at}");
            queue.is_as_good_as_new();
        }
    }
}

#[test]
fn a_writer_killed_when_it_is_about_to_sleep() {
    let mut slowest = Slowest::new();
    let queue = Queue::new(2);
    let ledger = Ledger::new();
    let died = dies("writes", SLEEPS, &queue.segment, &ledger);
    let read = read(queue.reader());
    slowest.took(SLEEPS, died, read.ended);
    writers_ledger_agrees(SLEEPS, &ledger, Gone, &read.items);
    assert!(!read.clean);
    queue.is_as_good_as_new();
}

#[test]
fn a_reader_killed_when_it_is_about_to_sleep() {
    let mut slowest = Slowest::new();
    let queue = Queue::new(2);
    let mut writer = queue.writer();
    let reader = queue.reads_on();
    let died = dies("reads", SLEEPS, &queue.segment, &Ledger::new());
    (0..10).for_each(|sequence| write(&mut writer, (1, sequence)));
    drop(writer);
    let read = reader.join().unwrap();
    slowest.took(SLEEPS, died, read.ended);
    assert_eq!((read.items.len(), read.clean), (10, true));
    queue.is_as_good_as_new();
}

// ---- a recoverer dies -------------------------------------------------------

#[test]
fn a_recoverer_killed_at_each_point() {
    let mut slowest = Slowest::new();
    for second in ["writes", "reads"] {
        let ends = if second == "reads" {
            RECOVERER_ENDS
        } else {
            &[]
        };
        for &(at, (first, point)) in RECOVERS.iter().chain(ends) {
            let queue = Queue::new(4);
            if first != "writes" {
                queue.writes(1, 4);
            }
            let ledger = Ledger::new();
            dies(first, point, &queue.segment, &ledger);
            let died = dies(second, at, &queue.segment, &Ledger::new());
            let read = read(queue.reader());
            slowest.took(at, died, read.ended);
            if first == "writes" {
                let row = WRITES.iter().find(|row| row.0 == point);
                let &(_, hand, was) = row.expect("where the first one dies");
                writers_ledger_agrees(at, &ledger, hand, &read.items);
                let unclean = was == Was::Writer || second == "writes" && was == Leaving;
                assert_eq!(read.clean, !unclean, "{at} after {point}");
            } else {
                let mut rows = READS.iter().chain(GIVES_BACK);
                let row = rows.find(|row| row.0 == point);
                let &(_, twice) = row.expect("where the first one dies");
                let written = (0..4).map(|sequence| (1, sequence)).collect();
                readers_ledger_agrees(at, &ledger, twice, &read.items, &written);
                assert!(read.clean, "{at} after {point}: no writer died in a stream");
            }
            queue.is_as_good_as_new();
        }
    }
}

#[test]
fn a_newcomer_killed_when_it_has_recovered_whose_entry_it_takes() {
    for part in ["writes", "reads"] {
        let queue = Queue::new(4);
        let ledger = Ledger::new();
        dies("writes", "commit/ready#3", &queue.segment, &ledger);
        // All other entries are dead ones', too: there is no empty one to take.
        let file = std::fs::File::options()
            .write(true)
            .open(queue.segment.path())
            .unwrap();
        let entries = segment::layout::DEFAULT_PARTICIPANTS;
        for slot in 1..u64::from(entries) {
            let at = HEADER_SIZE + slot * ENTRY_SIZE;
            file.write_all_at(&READER.to_le_bytes(), at).unwrap();
        }
        assert_eq!(queue.look().participants.len(), entries as usize);
        dies(part, CROWDED, &queue.segment, &Ledger::new());
        assert_eq!(queue.look().participants.len(), entries as usize - 1);
        let read = read(queue.reader());
        writers_ledger_agrees(CROWDED, &ledger, Arrives, &read.items);
        assert!(!read.clean, "{part}: a writer died");
        queue.is_as_good_as_new();
    }
}

#[test]
fn a_writer_killed_between_inheriting_an_unclean_mark_and_joining() {
    for second in [INHERITS, "stream/joined"] {
        let queue = Queue::new(4);
        let ledger = Ledger::new();
        dies("writes", "commit/ready#3", &queue.segment, &ledger);
        drop(queue.reader()); // who attaches recovers the dead, and the stream ends
        dies("writes", second, &queue.segment, &Ledger::new());
        // Who comes with the next stream did not see the death, but its nodes.
        let writer = queue.writer();
        let reader = queue.reads_on();
        drop(writer);
        let read = reader.join().unwrap();
        writers_ledger_agrees(second, &ledger, Arrives, &read.items);
        assert!(!read.clean, "{second}: what is left is incomplete");
    }
}
