//! Words changed and files cut while writers and readers are at it: real
//! processes, in full swing.
//!
//! What is changed is spoilt, and what a party makes of it is its own: it may
//! go on, find the segment damaged, wait for a node that will never come until
//! its time-out, or lose the segment. But it ends, soon, with a status of the
//! contract, by itself or once the segment is removed under it; and those who
//! come meanwhile and look do, too.
//!
//! A ring that was spoilt is soon used by nobody, and changing its words proves
//! nothing. So who has ended is replaced, a ring in which nothing moves any more
//! gives way to a new one, and only what is changed while nodes are read counts.

use super::harness::{PATIENCE, Pattern, Proc, Ring, SECONDS, Store, shm, until};
use shmkit::segment::layout::{
    Counters, DEFAULT_PARTICIPANTS, ENTRY_SIZE, Entry, HEADER_SIZE, WORDS_OFFSET,
};
use shmkit::segment::structure_offset;
use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// Those who use a ring: even ones write and odd ones read. A time-out is for
/// those who would wait in a spoilt ring for ever.
fn party(ring: &Ring, number: usize, timeout: &str) -> Proc {
    let args = [&*ring.name, "--timeout", timeout];
    if number.is_multiple_of(2) {
        let write = shm(&["write"]).args(&args);
        return write.input_pattern(&Pattern::new(1, u64::MAX)).start();
    }
    let sink = File::options().write(true).open("/dev/null").unwrap();
    // Quiet: what a reader missed may be damage, too, and is told beside the error.
    shm(&["read", "--quiet"]).args(&args).stdout(sink).start()
}

/// Two writers and two readers of a ring, in full swing.
fn busy(ring: &Ring, timeout: &str) -> Vec<Proc> {
    let parties = (0..4).map(|number| party(ring, number, timeout)).collect();
    until("they are at it", || {
        let attached = (ring.living("writer"), ring.living("reader"));
        attached == (2, 2) && ring.number("read_nodes") > 10
    });
    parties
}

/// The exit status of a party, which must be one of these.
#[track_caller]
fn end(party: Proc, what: &str, codes: &[i32]) -> i32 {
    let done = party.finish_within(SECONDS);
    let code = done.code();
    if code != 0 {
        done.error_line();
    }
    assert!(codes.contains(&code), "{what}: {code}, not {codes:?}");
    code
}

/// Removes the ring under them, as somebody does who has had enough; then all
/// of them have to come to their end.
fn all_end(ring: &Ring, parties: Vec<Proc>, what: &str) {
    let remove = shm(&["remove", "--force", &ring.name]).run_within(SECONDS);
    if remove.exits_one_of(&[0, 5]).code() == 5 {
        // Its header is spoilt: nobody can say in it that it is removed.
        open(&ring.path()).set_len(0).unwrap();
    }
    for party in parties {
        end(party, what, &ENDS);
    }
}

/// Of the rings in which words are changed: nodes, their size, broadcast or not.
type Kind = (u64, u64, bool);

/// A ring in which words are changed, and those who use it.
struct Spoilt {
    ring: Ring,
    file: File,
    parties: Vec<Proc>,
    read_nodes: u64,
    /// Changes since something last moved.
    still: u64,
}

impl Spoilt {
    fn new((nodes, node_size, broadcast): Kind) -> Spoilt {
        let ring = match broadcast {
            false => Ring::new(nodes, &node_size.to_string()),
            true => Ring::broadcast(nodes, node_size),
        };
        Spoilt {
            file: open(&ring.path()),
            parties: busy(&ring, "5s"),
            ring,
            read_nodes: 0,
            still: 0,
        }
    }

    /// Changes `count` words of a ring with that many nodes.
    fn change(&self, count: u64, nodes: u64, random: &mut Random) {
        let words = structure_offset(DEFAULT_PARTICIPANTS);
        let (cells, nodes_end) = (words + 4096, words + 4096 + nodes * 128);
        for _ in 0..count {
            // The entries in use, the ring's words, its cells and nodes;
            // once in a while anything, what does not change among it.
            let range = match random.below(20) {
                0 => 0..nodes_end,
                1..6 => HEADER_SIZE..HEADER_SIZE + 8 * ENTRY_SIZE,
                6..13 => words..words + 12 * 128,
                _ => cells..nodes_end,
            };
            let at = (range.start + random.below(range.end - range.start)) & !7;
            let mut word = [0; 8];
            self.file.read_exact_at(&mut word, at).unwrap();
            let word = match random.below(4) {
                0 => random.next(),
                1 => random.below(9),
                _ => u64::from_le_bytes(word) ^ 1 << random.below(64),
            };
            self.file.write_all_at(&word.to_le_bytes(), at).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Puts others in the place of those who have ended; how these ended.
    fn replace(&mut self) -> Vec<i32> {
        let mut ends = Vec::new();
        for (number, present) in self.parties.iter_mut().enumerate() {
            if !present.is_running() {
                let ended = std::mem::replace(present, party(&self.ring, number, "5s"));
                ends.push(end(ended, "words changed", &ENDS));
            }
        }
        ends
    }

    /// Were nodes read since it was last asked? (Sums over the entries in use.)
    fn moves(&mut self) -> bool {
        let counter = offset_of!(Entry, counters) + offset_of!(Counters, read_nodes);
        let mut sum = 0u64;
        for entry in 0..8 {
            let mut word = [0; 8];
            let at = HEADER_SIZE + entry * ENTRY_SIZE + counter as u64;
            self.file.read_exact_at(&mut word, at).unwrap();
            sum = sum.wrapping_add(u64::from_le_bytes(word));
        }
        std::mem::replace(&mut self.read_nodes, sum) != sum
    }
}

/// Words to be changed in each ring while nodes are read, how long a lock's
/// words are changed, and how often all of that is done.
fn effort() -> (u64, Duration, u64) {
    match std::env::var("SHMKIT_HOSTILE").as_deref() {
        Ok("all") => (3000, Duration::from_secs(5), 6),
        _ => (250, Duration::from_millis(700), 1),
    }
}

#[test]
fn words_changed_under_a_busy_ring_kill_and_hang_nobody() {
    /// Words changed between two looks, and in a ring that stands still until
    /// it has to give way.
    const STEP: u64 = 25;
    const STILL: u64 = 100;
    let (enough, _, rounds) = effort();
    let (mut under_load, mut changed, mut rings, mut ends) = (0, 0, 0, Vec::new());
    for round in 0..rounds {
        for kind in [
            (2, 64, false),
            (5, 4096, false),
            (20, 65536, false),
            (3, 4096, true),
        ] {
            let nodes = kind.0;
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ round << 8 ^ nodes);
            let mut spoilt = Spoilt::new(kind);
            let (mut moved, begun) = (0, Instant::now());
            while moved < enough {
                let bound = PATIENCE * rounds as u32;
                assert!(begun.elapsed() < bound, "{moved} changes under load");
                spoilt.change(STEP, nodes, &mut random);
                changed += STEP;
                ends.extend(spoilt.replace());
                if spoilt.moves() {
                    moved += STEP;
                    spoilt.still = 0;
                } else {
                    spoilt.still += STEP;
                }
                if changed.is_multiple_of(100) {
                    let name = &*spoilt.ring.name;
                    let args = ["inspect", name, "--nodes"];
                    shm(&args).run_within(SECONDS).exits_one_of(&[0, 5, 6]);
                    let args = ["read", name, "--quiet", "--count", "1", "--timeout", "20ms"];
                    shm(&args).run_within(SECONDS).exits_one_of(&ENDS);
                }
                if spoilt.still == STILL {
                    all_end(&spoilt.ring, spoilt.parties, "words changed");
                    spoilt = Spoilt::new(kind);
                    rings += 1;
                }
            }
            all_end(&spoilt.ring, spoilt.parties, "words changed");
            under_load += moved;
            rings += 1;
        }
    }
    ends.sort_unstable();
    let counts: Vec<_> = ends
        .chunk_by(|a, b| a == b)
        .map(|e| (e[0], e.len()))
        .collect();
    println!(
        "{changed} words changed in {rings} rings, {under_load} of them under load; \
         ends (status, how many): {counts:?}"
    );
    // Many were hit, and told so.
    let told = ends.iter().filter(|code| **code == 5).count();
    assert!(ends.len() > 12 && told > 4, "{counts:?}");
}

/// Beginning, half, end, some page edges and what is beside them.
fn cuts(total: u64) -> Vec<u64> {
    let pages = (0..).map(|page| page * 4096).take_while(|at| *at < total);
    let mut cuts = vec![0, 1, 100, total / 2, total - 1, total - 4096];
    cuts.extend(pages.step_by(if total > 60_000 { 5 } else { 2 }));
    cuts
}

#[test]
fn a_busy_ring_that_is_cut_anywhere_ends_with_6() {
    for node_size in ["64", "16K"] {
        let total = Ring::new(6, node_size).inspect()["size_bytes"]
            .as_u64()
            .unwrap();
        for cut in cuts(total) {
            let ring = Ring::new(6, node_size);
            // None of them waits for what does not come.
            let parties = busy(&ring, "20s");
            open(&ring.path()).set_len(cut).unwrap();
            shm(&["inspect", &ring.name])
                .run_within(SECONDS)
                .fails_with_one_of(&[5, 6]);
            // By themselves, before anybody removes it.
            for party in parties {
                end(party, &format!("cut to {cut} of {total}"), &[6]);
            }
        }
    }
}

#[test]
fn a_busy_ring_that_is_cut_and_grown_again_kills_and_hangs_nobody() {
    for cut in [0, 4096, 36_864, 45_056] {
        let ring = Ring::new(6, "4K");
        let parties = busy(&ring, "5s");
        let file = open(&ring.path());
        let total = file.metadata().unwrap().len();
        for _ in 0..20 {
            file.set_len(cut).unwrap();
            file.set_len(total).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        all_end(&ring, parties, &format!("cut to {cut}"));
    }
}

#[test]
fn words_changed_under_a_busy_lock_kill_and_hang_nobody() {
    let (_, span, rounds) = effort();
    for round in 0..rounds {
        for store in [Store::array("u64", 512), Store::buffer("4096")] {
            let file = store.file();
            let data = store.data_offset();
            let ended = AtomicBool::new(false);
            let again = |command: &[&str]| {
                while !ended.load(Ordering::Relaxed) {
                    let shm = store.shm(command[0]).args(&command[1..]).input("1 2 3");
                    shm.run_within(SECONDS).exits_one_of(&ENDS);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| again(&["read", "--timeout", "100ms"]));
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
                ended.store(true, Ordering::Relaxed);
            });
        }
    }
}

#[test]
fn a_busy_lock_whose_segment_is_cut_anywhere_ends_with_5_or_6() {
    let stores: [fn() -> Store; 2] = [|| Store::array("u64", 512), || Store::buffer("4096")];
    for make in stores {
        for cut in cuts(make().file().metadata().unwrap().len()) {
            let store = make();
            let (is_cut, done_before) = (AtomicBool::new(false), AtomicU32::new(0));
            // Who began before it was cut may have ended before, too.
            let again = |command: &[&str]| {
                loop {
                    let after = is_cut.load(Ordering::SeqCst);
                    let shm = store.shm(command[0]).args(&command[1..]).input("1 2 3");
                    let done = shm.run_within(SECONDS);
                    if after {
                        return done.fails_with_one_of(&[5, 6]);
                    }
                    done.exits_one_of(&[0, 5, 6]);
                    done_before.fetch_add(1, Ordering::SeqCst);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| again(&["read"]));
                scope.spawn(|| again(&["write", "--timeout", "20s"]));
                scope.spawn(|| again(&["lock", "--timeout", "20s", "--", "true"]));
                until("they are at it", || done_before.load(Ordering::SeqCst) > 3);
                store.file().set_len(cut).unwrap();
                is_cut.store(true, Ordering::SeqCst);
            });
        }
    }
}
