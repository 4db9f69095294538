//! Words changed and files cut while writers and readers are at it: real
//! processes, in full swing.
//!
//! What is changed is spoilt, and what a party makes of it is its own: it may
//! go on, find the segment damaged, wait for a node that will never come until
//! its time-out, or lose the segment. But it ends, soon, with a status of the
//! contract, by itself or once the segment is removed under it; and those who
//! come meanwhile and look do, too.

use super::harness::{Pattern, Proc, Ring, SECONDS, Store, shm, until};
use shmkit::segment::layout::{DEFAULT_PARTICIPANTS, ENTRY_SIZE, HEADER_SIZE, WORDS_OFFSET};
use shmkit::segment::structure_offset;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const ENDS: [i32; 6] = [0, 1, 3, 4, 5, 6];

/// Reproducible, and the seed is in the message.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// Two writers and two readers of a ring, in full swing.
fn busy(ring: &Ring) -> Vec<Proc> {
    let sink = || File::options().write(true).open("/dev/null").unwrap();
    let mut parties = Vec::new();
    for _ in 0..2 {
        let write = shm(&["write", &ring.name, "--timeout", "1s"]);
        parties.push(write.input_pattern(&Pattern::new(1, u64::MAX)).start());
        let read = shm(&["read", &ring.name, "--timeout", "1s"]);
        parties.push(read.stdout(sink()).start());
    }
    until("they are at it", || {
        let attached = (ring.living("writer"), ring.living("reader"));
        attached == (2, 2) && ring.number("read_nodes") > 10
    });
    parties
}

/// Removes the ring under them, as somebody does who has had enough; then all
/// of them have to come to their end.
fn all_end(ring: &Ring, parties: Vec<Proc>, what: &str, codes: &[i32]) -> Vec<i32> {
    shm(&["remove", "--force", &ring.name])
        .run_within(SECONDS)
        .exits_one_of(&[0, 5]);
    let ends: Vec<_> = parties
        .into_iter()
        .map(|party| {
            let done = party.finish_within(SECONDS);
            if done.code() != 0 {
                done.error_line();
            }
            done.code()
        })
        .collect();
    let fine = ends.iter().all(|code| codes.contains(code));
    assert!(fine, "{what}: {ends:?}, and not only {codes:?}");
    ends
}

/// How long words are changed, and how often all of that is done.
fn effort() -> (Duration, u64) {
    match std::env::var("SHMKIT_HOSTILE").as_deref() {
        Ok("all") => (Duration::from_secs(5), 12),
        _ => (Duration::from_millis(700), 2),
    }
}

#[test]
fn words_changed_under_a_busy_ring_kill_and_hang_nobody() {
    let (span, rounds) = effort();
    let (mut changed, mut ends) = (0u64, Vec::new());
    for round in 0..rounds {
        for (nodes, node_size) in [(2, "64"), (5, "4K"), (20, "64K")] {
            let ring = Ring::new(nodes, node_size);
            let file = open(&ring.path());
            let words = structure_offset(DEFAULT_PARTICIPANTS);
            let (cells, nodes_end) = (words + 4096, words + 4096 + nodes * 128);
            let parties = busy(&ring);
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ round << 8 ^ nodes);
            let end = Instant::now() + span;
            while Instant::now() < end {
                // The entries in use, the ring's words, its cells and nodes;
                // once in a while anything, what does not change among it.
                let range = match random.below(20) {
                    0 => 0..nodes_end,
                    1..6 => HEADER_SIZE..HEADER_SIZE + 8 * ENTRY_SIZE,
                    6..13 => words..words + 7 * 128,
                    _ => cells..nodes_end,
                };
                let at = (range.start + random.below(range.end - range.start)) & !7;
                let mut word = [0; 8];
                file.read_exact_at(&mut word, at).unwrap();
                let word = match random.below(4) {
                    0 => random.next(),
                    1 => random.below(9),
                    _ => u64::from_le_bytes(word) ^ 1 << random.below(64),
                };
                file.write_all_at(&word.to_le_bytes(), at).unwrap();
                changed += 1;
                if changed.is_multiple_of(100) {
                    let args = ["inspect", &ring.name, "--nodes"];
                    shm(&args).run_within(SECONDS).exits_one_of(&[0, 5, 6]);
                    let args = ["read", &ring.name, "--count", "1", "--timeout", "20ms"];
                    shm(&args).run_within(SECONDS).exits_one_of(&ENDS);
                }
                std::thread::sleep(Duration::from_micros(300));
            }
            ends.extend(all_end(&ring, parties, "words changed", &ENDS));
        }
    }
    ends.sort_unstable();
    println!("{changed} words changed; ends: {ends:?}");
}

#[test]
fn a_busy_ring_that_is_cut_anywhere_ends_with_6() {
    for node_size in ["64", "16K"] {
        let total = Ring::new(6, node_size).inspect()["size_bytes"]
            .as_u64()
            .unwrap();
        let pages = (0..).map(|page| page * 4096).take_while(|at| *at < total);
        // Beginning, half, end, some page edges and what is beside them.
        let mut cuts = vec![0, 1, 100, total / 2, total - 1, total - 4096];
        cuts.extend(pages.step_by(if total > 60_000 { 5 } else { 2 }));
        for cut in cuts {
            let ring = Ring::new(6, node_size);
            let parties = busy(&ring);
            open(&ring.path()).set_len(cut).unwrap();
            shm(&["inspect", &ring.name])
                .run_within(SECONDS)
                .fails_with_one_of(&[5, 6]);
            // By themselves, before anybody removes it.
            let ends: Vec<_> = parties
                .into_iter()
                .map(|party| party.finish_within(SECONDS))
                .map(|done| (done.code(), done.stderr))
                .collect();
            assert!(
                ends.iter().all(|end| end.0 == 6),
                "cut to {cut} of {total}: {ends:?}"
            );
        }
    }
}

#[test]
fn a_busy_ring_that_is_cut_and_grown_again_kills_and_hangs_nobody() {
    for cut in [0, 4096, 36_864, 45_056] {
        let ring = Ring::new(6, "4K");
        let parties = busy(&ring);
        let file = open(&ring.path());
        let total = file.metadata().unwrap().len();
        for _ in 0..20 {
            file.set_len(cut).unwrap();
            file.set_len(total).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        all_end(&ring, parties, &format!("cut to {cut}"), &ENDS);
    }
}

#[test]
fn words_changed_under_a_busy_lock_kill_and_hang_nobody() {
    let (span, rounds) = effort();
    for round in 0..rounds {
        for store in [Store::array("u64", 512), Store::buffer("4096")] {
            let file = store.file();
            let data = store.data_offset();
            let ended = std::sync::atomic::AtomicBool::new(false);
            let again = |command: &[&str]| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    let shm = store.shm(command[0]).args(&command[1..]).input("1 2 3");
                    shm.run_within(SECONDS).exits_one_of(&ENDS);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| again(&["read"]));
                scope.spawn(|| again(&["write", "--timeout", "100ms"]));
                scope.spawn(|| again(&["lock", "--timeout", "100ms", "--", "true"]));
                scope.spawn(|| again(&["inspect", "--json"]));
                let mut random = Random(0x1234_5678_9abc_def1 ^ round);
                let end = Instant::now() + span;
                while Instant::now() < end {
                    let at = (WORDS_OFFSET + random.below(data - WORDS_OFFSET)) & !7;
                    // Mostly the lock's own words and the first entries.
                    let lock = structure_offset(DEFAULT_PARTICIPANTS);
                    let at = match random.below(3) {
                        0 => at,
                        1 => lock + random.below(384) / 8 * 8,
                        _ => HEADER_SIZE + random.below(4 * ENTRY_SIZE) / 8 * 8,
                    };
                    let word = [random.next(), random.below(9), 1 << random.below(64)];
                    let word = word[random.below(3) as usize];
                    file.write_all_at(&word.to_le_bytes(), at).unwrap();
                    std::thread::sleep(Duration::from_micros(300));
                }
                ended.store(true, std::sync::atomic::Ordering::Relaxed);
            });
        }
    }
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
