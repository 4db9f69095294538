//! Those who wait in a ring whose words are spoilt: if what they wait for cannot
//! come they are told, and while they wait they sleep.

use super::harness::{Proc, Ring, SECONDS, shm, until};
use rustix::param::clock_ticks_per_second;
use shmkit::segment::layout::DEFAULT_PARTICIPANTS;
use shmkit::segment::structure_offset;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// Gives a node of a ring of `nodes` nodes of 64 bytes another state and owner.
fn set_node(file: &File, nodes: u64, index: u64, state: u64, owner: u64) {
    let cells = structure_offset(DEFAULT_PARTICIPANTS) + 4096;
    let at = cells + nodes * 64 + index * 64;
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    let generation = u64::from_le_bytes(word) >> 14;
    let word = generation << 14 | owner << 3 | state;
    file.write_all_at(&word.to_le_bytes(), at).unwrap();
}

/// A word that is spoilt while nobody looks, so that a reader would wait for
/// a node that never comes: it is told, without a time-out.
#[test]
fn a_reader_that_would_wait_for_ever_is_told_that_the_ring_is_damaged() {
    let words = structure_offset(DEFAULT_PARTICIPANTS);
    let head = words + 128; // the second of a ring's words
    type Spoil<'a> = Box<dyn Fn(&File) + 'a>;
    let hint = |value: u64| -> Spoil<'_> {
        Box::new(move |file| file.write_all_at(&value.to_le_bytes(), head).unwrap())
    };
    let word = |state: u64, owner: u64| -> Spoil<'_> {
        Box::new(move |file| set_node(file, 4, 0, state, owner))
    };
    let table: [(&str, Spoil<'_>, i32); 11] = [
        ("nothing", Box::new(|_| ()), 0),
        ("the head is past a node", hint(1), 5),
        ("the head is past all nodes", hint(4), 5),
        ("the head is past the tail", hint(5), 5),
        ("a node is read by an entry that is empty", word(3, 6), 5),
        ("a node is read by the reader's own entry", word(3, 1), 5),
        ("a node is read by nobody", word(3, 0), 5),
        (
            "a node is read by an entry that is not there",
            word(3, 2000),
            5,
        ),
        ("a node is written by nobody", word(1, 0), 0),
        ("a node is in no state", word(7, 0), 5),
        ("a node is an orphan, and nothing says so", word(4, 0), 0),
    ];
    for (what, spoil, code) in table {
        let ring = Ring::new(4, "64");
        shm(&["write", &ring.name])
            .input(vec![7; 200])
            .run()
            .exits(0);
        spoil(&open(&ring.path()));
        let done = shm(&["read", &ring.name]).run_within(SECONDS);
        assert_eq!(done.code(), code, "{what}: {:?}", done.stderr);
    }
}

/// Of a large ring only a part is looked at each time.
#[test]
fn a_node_that_nobody_has_is_found_in_a_large_ring_too() {
    let ring = Ring::new(70_000, "64");
    shm(&["write", &ring.name])
        .input(vec![7; 200])
        .run()
        .exits(0);
    set_node(&open(&ring.path()), 70_000, 69_999, 3, 6);
    let done = shm(&["read", &ring.name]).run_within(SECONDS);
    assert_eq!(done.code(), 5, "{:?}", done.stderr);
}

/// Cells of which each seems to be filled later than the one before, all round:
/// who walks along them would never come to their end.
#[test]
fn cells_that_lead_round_in_a_circle_are_damage() {
    let ring = Ring::new(4, "64");
    let cells = structure_offset(DEFAULT_PARTICIPANTS) + 4096;
    for i in 0..4u64 {
        // The uppermost bits of a cell are its lap's.
        let cell = (i + 1) << 62;
        let file = open(&ring.path());
        file.write_all_at(&cell.to_le_bytes(), cells + i * 64)
            .unwrap();
    }
    for args in [["read", &ring.name], ["write", &ring.name]] {
        let done = shm(&args).input("a message").run_within(SECONDS);
        assert_eq!(done.code(), 5, "{args:?}: {:?}", done.stderr);
    }
}

// ---- they sleep -------------------------------------------------------------

/// How long the blocked are looked at.
const SPAN: Duration = Duration::from_secs(1);
/// Processor time that one of them may take in that, and all together: one that
/// spins has a processor to itself, many share what there is.
const ONE: Duration = Duration::from_millis(300);
const ALL: Duration = Duration::from_millis(900);

/// The processor time that a child has had so far.
fn processor_time(child: &Proc) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
    // "pid (name) state ppid ...": utime and stime are the 14th and 15th.
    let fields = stat[stat.rfind(')').unwrap() + 2..].split(' ');
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|f| f.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
}

#[test]
fn those_who_are_blocked_in_a_spoilt_ring_do_not_spin() {
    let words = structure_offset(DEFAULT_PARTICIPANTS);
    type Spoil = Box<dyn Fn(&File)>;
    // A ring's words have 128 bytes each.
    let word = |index: u64, value: u64| -> Spoil {
        let at = words + 128 * index;
        Box::new(move |file| file.write_all_at(&value.to_le_bytes(), at).unwrap())
    };
    let node = |state: u64, owner: u64| -> Spoil {
        Box::new(move |file| set_node(file, 4, 0, state, owner))
    };
    let table: [(&str, Spoil); 14] = [
        ("nothing", Box::new(|_| ())),
        ("the tail is behind", word(0, 0)),
        ("the tail is far ahead", word(0, 1 << 40)),
        ("the head is ahead", word(1, 2)),
        ("the head is far ahead", word(1, 1 << 40)),
        ("there may be orphans, but are none", word(4, 1)),
        ("there were many orphans", word(4, u64::MAX)),
        ("the readers' event is another", word(5, u64::MAX)),
        ("the readers' event is none", word(5, 0)),
        ("the writers' event is another", word(6, u64::MAX)),
        ("the writers' event is none", word(6, 0)),
        ("a node is written by nobody", node(1, 0)),
        ("a node is an orphan, and nothing says so", node(4, 0)),
        ("a node is in no state", node(7, 0)),
    ];
    let mut blocked = Vec::new();
    for (what, spoil) in &table {
        let (empty, full) = (Ring::new(4, "64"), Ring::new(4, "64"));
        let keep_open = shm(&["write", &full.name, "--keep-open"]);
        keep_open.input_file(vec![7; 256]).run().exits(0);
        let reader = shm(&["read", "--follow", &empty.name]).start();
        let writer = shm(&["write", &full.name]).input("more").start();
        until("they wait", || {
            empty.living("reader") == 1 && full.living("writer") == 1
        });
        spoil(&open(&empty.path()));
        spoil(&open(&full.path()));
        blocked.push((format!("reader: {what}"), reader, empty));
        blocked.push((format!("writer: {what}"), writer, full));
    }
    let before: Vec<_> = blocked.iter().map(|b| processor_time(&b.1)).collect();
    std::thread::sleep(SPAN);
    let (mut waiting, mut all) = (0, Duration::ZERO);
    for ((what, party, _), before) in blocked.iter_mut().zip(before) {
        if party.is_running() {
            let taken = processor_time(party) - before;
            assert!(taken < ONE, "{what}: {taken:?} of {SPAN:?}");
            (waiting, all) = (waiting + 1, all + taken);
        }
    }
    println!("{waiting} of {} wait, and took {all:?}", blocked.len());
    assert!(all < ALL, "all of them: {all:?} of {SPAN:?}");
    assert!(waiting > table.len(), "not even one for each");
}
