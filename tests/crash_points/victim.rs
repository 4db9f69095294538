//! What a victim does, and its death.
//!
//! A victim is this test program itself, started anew with a part to play
//! through the library, a ledger, and the point at which it is to die.

use crate::CRASH_AT;
use crate::harness::{actor, decode_records, record, role};
use crate::ledger::{Item, Ledger, Pen};
use shmkit::lock::{Access, AttachOptions, Locked, Mode};
use shmkit::ring::{Claim, OnFull, ReadNodes, Reader, ReaderOptions, Start, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

/// Bytes of an item.
pub const SIZE: usize = 256;
/// The number of a victim that writes.
pub const VICTIM: u32 = 9;
/// Items that it writes before it leaves, and values that it stores.
const WRITES: u32 = 3;
/// Items that a victim reads before it leaves.
const READS: usize = 6;

/// Runs a victim in its part until it is killed at the point `at`; when it was
/// seen to be dead.
#[track_caller]
pub fn dies(part: &str, at: &str, name: &str, ledger: &Ledger) -> Instant {
    let done = actor("victim::part", format!("{part}|{name}"))
        .env("SHMKIT_TEST_LEDGER", ledger.path())
        .env(CRASH_AT, at)
        .run();
    let died = Instant::now();
    let signal = done.status.signal();
    assert_eq!(signal, Some(9), "{part} was not killed at {at}: {done:?}");
    died
}

/// Not a test: what a victim does. Without a part it does nothing.
#[test]
fn part() {
    let Some(part) = role() else {
        return;
    };
    let (part, rest) = part.split_once('|').unwrap();
    let (name, passes) = rest.split_once('|').unwrap_or((rest, ""));
    let name = Name::new(name).unwrap();
    let mut pen = Pen::open(std::env::var("SHMKIT_TEST_LEDGER").unwrap());
    match part {
        "writes" => writes(&name, WRITES, &mut pen),
        "drops" => offers(&name, OnFull::DropOld, &mut pen),
        "refuses" => offers(&name, OnFull::DropNew, &mut pen),
        "reads" => reads(&name, Start::Newest, READS, 2, &mut pen),
        "reads the oldest" => reads(&name, Start::Oldest, READS, 2, &mut pen),
        "misses" => misses(&name),
        "keeps" => keeps(&name),
        "reads singly" => reads(&name, Start::Newest, READS, 1, &mut pen),
        "writes on" => writes(&name, u32::MAX, &mut pen),
        "reads on" => reads(&name, Start::Newest, usize::MAX, 1, &mut pen),
        "gives back" => gives_back(&name, &mut pen),
        "stores" => stores(&name, &mut pen, passes),
        "stores in vain" => stores_in_vain(&name),
        "looks" => looks(&name, passes),
        "grants" => grants(&name, &mut pen),
        _ => panic!("no such part: {part}"),
    }
}

fn writes(name: &Name, count: u32, pen: &mut Pen) {
    let forever = Wait::default();
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    for sequence in 0..count {
        pen.note("intends", (VICTIM, sequence));
        let item = record(VICTIM, sequence, SIZE);
        writer.write(&item, &forever).unwrap();
        pen.note("wrote", (VICTIM, sequence));
    }
    drop(writer.reserve(1, &forever).unwrap());
    writer.end();
}

/// As `writes`, but never waits.
fn offers(name: &Name, on_full: OnFull, pen: &mut Pen) {
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    for sequence in 0..WRITES {
        pen.note("intends", (VICTIM, sequence));
        let item = record(VICTIM, sequence, SIZE);
        if writer.offer(&item, on_full, &Wait::default()).unwrap() {
            pen.note("wrote", (VICTIM, sequence));
        }
    }
}

/// The next nodes, noted as seen.
fn claim<'a>(reader: &'a mut Reader, want: usize, pen: &mut Pen) -> Option<ReadNodes<'a>> {
    match reader.claim(want, usize::MAX, &Wait::default()).unwrap() {
        Claim::Nodes(nodes) => {
            (0..nodes.len()).for_each(|i| pen.note("saw", item(nodes.node(i))));
            Some(nodes)
        }
        Claim::End { .. } => None,
    }
}

/// The item in a node, which must be whole.
#[track_caller]
pub fn item(node: &[u8]) -> Item {
    decode_records(node, SIZE)[0]
}

fn reads(name: &Name, from: Start, count: usize, at_once: usize, pen: &mut Pen) {
    let options = ReaderOptions {
        from,
        ..ReaderOptions::default()
    };
    let mut reader = Reader::attach(name, &options).unwrap();
    let mut seen = 0;
    while seen < count
        && let Some(nodes) = claim(&mut reader, at_once, pen)
    {
        seen += nodes.len();
        nodes.release_all();
    }
}

fn gives_back(name: &Name, pen: &mut Pen) {
    let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
    let nodes = claim(&mut reader, 1, pen).unwrap();
    let first = item(nodes.node(0));
    drop(nodes);
    pen.note("gave", first);
    for _ in 0..2 {
        claim(&mut reader, 1, pen).unwrap().release_all();
    }
}

/// Comes too late for the first nodes of a broadcast ring of four.
fn misses(name: &Name) {
    let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    for sequence in 0..6 {
        let item = record(VICTIM, sequence, SIZE);
        let published = writer.offer(&item, OnFull::DropOld, &Wait::default());
        assert!(published.unwrap());
    }
    drop(reader.claim(1, usize::MAX, &Wait::default()).unwrap());
}

/// Wants a node that a writer is about to take, which has died.
fn keeps(name: &Name) {
    let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    for sequence in 0..4 {
        let item = record(VICTIM, sequence, SIZE);
        writer.write(&item, &Wait::default()).unwrap();
    }
    dies("drops", "reserve/taking", name.as_str(), &Ledger::new());
    drop(reader.claim(1, usize::MAX, &Wait::default()).unwrap());
}

fn attach(name: &Name, access: Access, passes: &str) -> Locked {
    let options = AttachOptions {
        access,
        passes: Some(passes.to_owned()),
        ..AttachOptions::default()
    };
    Locked::attach(name, &options).unwrap()
}

/// Fills the buffer with 1, then 2, then 3.
fn stores(name: &Name, pen: &mut Pen, passes: &str) {
    let mut buffer = attach(name, Access::Write, passes);
    for value in 1..=WRITES {
        let mut guard = buffer.write(&Wait::default()).unwrap();
        pen.note("intends", (VICTIM, value));
        guard.bytes_mut().fill(value as u8);
        drop(guard);
        pen.note("wrote", (VICTIM, value));
    }
}

/// Somebody reads: it has to give up.
fn stores_in_vain(name: &Name) {
    let mut buffer = attach(name, Access::Write, "");
    let now = Wait {
        deadline: Some(Instant::now()),
        ..Wait::default()
    };
    assert!(buffer.write(&now).is_err());
}

fn looks(name: &Name, passes: &str) {
    let buffer = attach(name, Access::Read, passes);
    for _ in 0..WRITES {
        let guard = buffer.read(&Wait::default()).unwrap();
        assert!(guard.bytes().iter().all(|byte| *byte == guard.bytes()[0]));
    }
}

/// Stores as one does who lets others work under its lock.
fn grants(name: &Name, pen: &mut Pen) {
    let mut buffer = attach(name, Access::Write, "");
    buffer.pass(Mode::Write);
    let mut guard = buffer.write(&Wait::default()).unwrap();
    pen.note("intends", (VICTIM, 1));
    guard.bytes_mut().fill(1);
    drop(guard);
    pen.note("wrote", (VICTIM, 1));
}
