//! The points of the read/write lock of arrays and buffers: taking it and
//! giving it back, working under a pass, recovery.
//!
//! A victim fills a buffer with 1, then with 2, then with 3, or reads it.
//! Whoever comes after its death sees all of one value, gets each lock in time,
//! and is told of the death if and only if the victim had the write lock.

use crate::bounds::{Slowest, bounded};
use crate::harness::{Name, until};
use crate::ledger::Ledger;
use crate::victim::dies;
use shmkit::buffer;
use shmkit::inspect::{Detail, LockState, Snapshot};
use shmkit::lock::{AttachOptions, Locked, Mode};
use shmkit::segment::{self, OpenOptions, Opened};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

// ---- the tables -------------------------------------------------------------

/// Whether the next locker is told that a writer died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Told,
    NotTold,
}
use Next::{NotTold, Told};

/// A point, the value that the buffer then has, and who is told.
type Row = (&'static str, u8, Next);

const STORES: &[Row] = &[
    ("write/claimed#2", 1, NotTold),
    ("write/alone#2", 1, NotTold),
    ("write/held#2", 1, Told),
    ("write/noted#2", 2, Told),
    ("write/freed#2", 2, NotTold),
    ("write/signalled#2", 2, NotTold),
];

/// While somebody reads, so that it waits, and then gives up.
const STORES_IN_VAIN: &[Row] = &[
    ("write/claimed", 0, NotTold),
    ("wait/armed", 0, NotTold),
    ("write/noted", 0, NotTold),
    ("write/freed", 0, NotTold),
];

const LOOKS: &[Row] = &[
    ("read/shown#2", 0, NotTold),
    ("read/hidden#2", 0, NotTold),
    ("read/signalled#2", 0, NotTold),
];

/// Under a pass of somebody who has the write lock.
const STORES_UNDER_A_PASS: &[Row] = &[
    ("work/shown#2", 1, Told),
    ("work/noted#2", 2, Told),
    ("work/hidden#2", 2, NotTold),
];
const LOOKS_UNDER_A_PASS: &[Row] = &[("work/shown#2", 0, NotTold), ("work/hidden#2", 0, NotTold)];

/// Whoever gave a pass.
const GRANTS: &[Row] = &[("pass/opened", 0, Told), ("pass/closed", 1, Told)];

const WROTE: (&str, Row) = ("stores", ("write/noted#2", 2, Told));
const CLAIMED: (&str, Row) = ("stores", ("write/claimed#2", 1, NotTold));
const LOOKED: (&str, Row) = ("looks", ("read/shown#2", 0, NotTold));

/// A recoverer, which is attaching to store or to look, dies over somebody who
/// died before: in which part, and at which row. (It comes by twice: an entry
/// that it takes is disowned before it is used.)
const RECOVERS: &[(&str, (&str, Row))] = &[
    ("recover/locked", WROTE),
    ("disown/marked", WROTE),
    ("disown/pass#2", WROTE),
    ("disown/work#2", WROTE),
    ("disown/writer", WROTE),
    ("disown/writer", CLAIMED),
    ("disown/reading#2", WROTE),
    ("disown/reading#2", LOOKED),
    ("disown/emptied", WROTE),
    ("disown/emptied", LOOKED),
    ("recover/unlocked", WROTE),
];

/// All the points that the tests below visit.
pub fn visited() -> impl Iterator<Item = &'static str> {
    let tables = [
        STORES,
        STORES_IN_VAIN,
        LOOKS,
        STORES_UNDER_A_PASS,
        LOOKS_UNDER_A_PASS,
        GRANTS,
    ];
    let rows = tables.into_iter().flatten().map(|row| row.0);
    rows.chain(RECOVERS.iter().map(|row| row.0))
}

// ---- those who survive ------------------------------------------------------

/// A buffer, removed on drop.
struct Buffer {
    segment: Name,
    name: segment::Name,
}

/// Somebody who reads a buffer all the time.
struct Looker {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Instant>,
}

impl Looker {
    fn at(buffer: &Buffer) -> Looker {
        let (locked, over) = (attach(&buffer.name), Arc::new(AtomicBool::new(false)));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            loop {
                let last = told.load(Ordering::Relaxed);
                let guard = locked.read(&bounded()).unwrap();
                assert!(is_whole(guard.bytes()) || guard.owner_died());
                drop(guard);
                if last {
                    return Instant::now();
                }
            }
        });
        Looker { over, thread }
    }

    /// Looks once more; when it had.
    fn end(self) -> Instant {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Buffer {
    fn new() -> Buffer {
        let segment = Name::unused();
        let name = segment::Name::new(&segment).unwrap();
        let spec = buffer::Spec::new(10_000).unwrap();
        buffer::create(&name, &spec, 0o600).unwrap();
        Buffer { segment, name }
    }

    /// Who comes gets each lock, finds the row's value, and is told what the row
    /// says; once it has written, nobody is.
    #[track_caller]
    fn is_as(&self, (at, value, next): Row, died: Instant, slowest: &mut Slowest) {
        let told = next == Told;
        let mut locked = attach(&self.name);
        let guard = locked.read(&bounded()).unwrap();
        assert!(is_whole(guard.bytes()), "{at}");
        assert_eq!(
            (guard.bytes()[0], guard.owner_died()),
            (value, told),
            "{at}"
        );
        drop(guard);
        let mut guard = locked.write(&bounded()).unwrap();
        assert_eq!(guard.owner_died(), told, "{at}");
        guard.bytes_mut().fill(7);
        drop(guard);
        let guard = locked.read(&bounded()).unwrap();
        assert_eq!((guard.bytes()[0], guard.owner_died()), (7, false), "{at}");
        drop(guard);
        drop(locked);
        slowest.took(at, died, Instant::now());
        let opened = Opened::open(&self.name, OpenOptions::default()).unwrap();
        let look = Snapshot::take(&opened, Detail::Summary).unwrap();
        let lock = look.lock.unwrap();
        assert_eq!((lock.state, lock.readers), (LockState::Free, 0), "{at}");
        assert!(
            look.participants.is_empty(),
            "{at}: {:?}",
            look.participants
        );
        assert!(look.damage.is_empty(), "{at}: {:?}", look.damage);
    }
}

fn attach(name: &segment::Name) -> Locked {
    Locked::attach(name, &AttachOptions::default()).unwrap()
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == bytes[0])
}

/// Nothing acknowledged is lost, and nothing is there that was not intended.
#[track_caller]
fn ledger_agrees((at, value, _): Row, ledger: &Ledger) {
    let last = |word| ledger.items(word).last().map_or(0, |item| item.1);
    let due = last("wrote")..=last("intends");
    assert!(due.contains(&u32::from(value)), "{at}: {value}, of {due:?}");
}

// ---- the deaths -------------------------------------------------------------

#[test]
fn a_holder_killed_at_each_point() {
    let mut slowest = Slowest::at_a_lock();
    for (part, rows) in [("stores", STORES), ("looks", LOOKS), ("grants", GRANTS)] {
        for &row in rows {
            let (buffer, ledger) = (Buffer::new(), Ledger::new());
            let looker = Looker::at(&buffer);
            let died = dies(part, row.0, &buffer.segment, &ledger);
            slowest.took(row.0, died, looker.end());
            ledger_agrees(row, &ledger);
            buffer.is_as(row, died, &mut slowest);
        }
    }
}

#[test]
fn a_writer_killed_while_it_waits_for_a_reader_or_gives_up() {
    let mut slowest = Slowest::at_a_lock();
    for &row in STORES_IN_VAIN {
        let buffer = Buffer::new();
        let looker = Looker::at(&buffer);
        let reader = attach(&buffer.name);
        let guard = reader.read(&bounded()).unwrap();
        let died = dies("stores in vain", row.0, &buffer.segment, &Ledger::new());
        drop(guard);
        drop(reader);
        slowest.took(row.0, died, looker.end());
        buffer.is_as(row, died, &mut slowest);
    }
}

#[test]
fn a_worker_under_a_pass_killed_at_each_point() {
    let mut slowest = Slowest::at_a_lock();
    let parts = [
        ("stores", STORES_UNDER_A_PASS),
        ("looks", LOOKS_UNDER_A_PASS),
    ];
    for (part, rows) in parts {
        for &row in rows {
            let (buffer, ledger) = (Buffer::new(), Ledger::new());
            let looker = Looker::at(&buffer);
            let (offer, offered) = mpsc::channel();
            let (name, (end, ends)) = (buffer.name.clone(), mpsc::channel::<()>());
            let holder = std::thread::spawn(move || {
                let mut locked = attach(&name);
                let pass = locked.pass(Mode::Write);
                let guard = locked.write(&bounded()).unwrap();
                offer.send(pass).unwrap();
                ends.recv().unwrap();
                // It waits for those who work under it; one is dead.
                guard.release_unwritten();
            });
            let under = format!("{}|{}", &*buffer.segment, offered.recv().unwrap());
            let died = dies(part, row.0, &under, &ledger);
            end.send(()).unwrap();
            until("the holder has let go", || holder.is_finished());
            holder.join().unwrap();
            slowest.took(row.0, died, looker.end());
            ledger_agrees(row, &ledger);
            buffer.is_as(row, died, &mut slowest);
        }
    }
}

#[test]
fn a_recoverer_of_a_lock_killed_at_each_point() {
    let mut slowest = Slowest::at_a_lock();
    for second in ["stores", "looks"] {
        for &(at, (first, row)) in RECOVERS {
            let (buffer, ledger) = (Buffer::new(), Ledger::new());
            dies(first, row.0, &buffer.segment, &ledger);
            let died = dies(second, at, &buffer.segment, &Ledger::new());
            ledger_agrees(row, &ledger);
            buffer.is_as((at, row.1, row.2), died, &mut slowest);
        }
    }
}
