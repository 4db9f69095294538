//! Counters that come round. A ring's laps and generations share 64 bits in
//! its cells, so the first of them is due after 2^32 messages: minutes. Here
//! they are preset to just before that, in the segment, by whoever knows its
//! layout; and then streams cross.
//!
//! ```text
//! cell   lap | generation | node      N = 2: 32 | 31 | 1   N = 3: 31 | 31 | 2   N = 20: 30 | 29 | 5
//! node   generation:50 | owner:11 | state:3        a commit under way: generation:44 | node:20
//! ```
//!
//! A ring is preset as one is that was used for long and stands empty, at a
//! position that begins a lap: cursors there, cells of the lap before, all
//! nodes free in the same generation, and as many nodes written and read.

use crate::harness::{Pattern, Ring, SECONDS, Store, shm, until};
use crate::{SIZE, holding, others_stream};
use shmkit::segment::layout::{Counters, DEFAULT_PARTICIPANTS, ENTRY_SIZE, Entry, HEADER_SIZE};
use shmkit::segment::structure_offset;
use std::fs::{File, OpenOptions};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

/// Where the words of a ring are, from its structure's offset on.
const TAIL: u64 = 0;
const HEAD: u64 = 128;
const STREAM: u64 = 256;
const ORPHANS: u64 = 512;
const READY: u64 = 640;
const FREE: u64 = 768;
const CELLS: u64 = 4096;

/// What a ring's counters stand at.
#[derive(Clone, Copy, Debug)]
struct Preset {
    nodes: u64,
    /// The lap about to begin; 1 is the first.
    lap: u64,
    generation: u64,
}

impl Preset {
    fn bits(nodes: u64) -> (u32, u32, u32) {
        let node = 64 - (nodes - 1).leading_zeros();
        let generation = (64 - node) / 2;
        (64 - node - generation, generation, node)
    }

    /// Up to `before` laps and generations before each of them comes round.
    fn all(nodes: u64, before: u64) -> Vec<Preset> {
        let (lap_bits, generation_bits, _) = Preset::bits(nodes);
        // Laps are compared as signed numbers: half way is an edge, too.
        let laps = [2, (1 << (lap_bits - 1)) - before, (1 << lap_bits) - before];
        let generations = [generation_bits - 1, generation_bits, 44, 50].map(|b| (1 << b) - before);
        let all = laps.into_iter().flat_map(|lap| {
            generations.into_iter().map(move |generation| Preset {
                nodes,
                lap,
                generation,
            })
        });
        all.collect()
    }

    fn position(self) -> u64 {
        (self.lap - 1) * self.nodes
    }

    /// Makes that of a fresh ring.
    fn apply(self, ring: &Ring, node_size: u64) {
        let file = file_of(&ring.path());
        let structure = structure_offset(DEFAULT_PARTICIPANTS);
        let put = |at: u64, word: u64| file.write_all_at(&word.to_le_bytes(), at).unwrap();
        let (_, generation_bits, node_bits) = Preset::bits(self.nodes);
        put(structure + TAIL, self.position());
        put(structure + HEAD, self.position());
        // Sleepers' epochs, the orphans' count, and the joins' (22 bits).
        put(structure + ORPHANS, u64::MAX - 3);
        for word in [READY, FREE] {
            let at = structure + word;
            file.write_all_at(&(u32::MAX - 5).to_le_bytes(), at)
                .unwrap();
        }
        put(structure + STREAM, (5 << 24 | 0x3f_fffe << 2) + 2);
        let stride = if node_size < 1024 { 64 } else { 8 };
        let nodes_at = (structure + CELLS + self.nodes * stride).next_multiple_of(128);
        for node in 0..self.nodes {
            let old = self.generation.wrapping_sub(1) & ((1 << generation_bits) - 1);
            let cell = (self.lap - 1) << (node_bits + generation_bits) | old << node_bits | node;
            put(structure + CELLS + node * stride, cell);
            put(nodes_at + node * 64, self.generation << 14);
        }
        let last_entry = HEADER_SIZE + u64::from(DEFAULT_PARTICIPANTS - 1) * ENTRY_SIZE;
        let counters = last_entry + offset_of!(Entry, counters) as u64;
        for counter in [
            offset_of!(Counters, written_nodes),
            offset_of!(Counters, read_nodes),
        ] {
            put(counters + counter as u64, self.position());
        }
    }

    fn ring(self, node_size: u64) -> Ring {
        let ring = Ring::new(self.nodes, &node_size.to_string());
        self.apply(&ring, node_size);
        let all = ring.inspect(); // it is not damaged
        assert_eq!(all["ring"]["written_nodes"], self.position(), "{self:?}");
        assert!(ring.is_drained());
        ring
    }
}

fn file_of(path: &std::path::Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Some laps of a stream, all bytes right, and afterwards a ring that is whole.
fn cross(nodes: u64, node_size: u64) {
    let count = 8 * nodes + 1;
    let pattern = Pattern::new(nodes, count * node_size - 1);
    let input = pattern.file();
    for preset in Preset::all(nodes, 3) {
        let ring = preset.ring(node_size);
        let reader = shm(&["read", &ring.name]).verify(&pattern).start();
        shm(&["write", &ring.name])
            .arg(input.path())
            .run_within(SECONDS)
            .exits(0)
            .silent();
        let done = reader.finish_within(SECONDS).exits(0).silent();
        done.verdict.unwrap().is_whole(&pattern);
        assert!(ring.is_drained(), "{preset:?}");
        let written = ring.number("written_nodes");
        assert_eq!(written, preset.position() + count, "{preset:?}");
    }
}

#[test]
fn streams_through_2_nodes_cross_every_wrap() {
    cross(2, 512);
    cross(2, 4096);
}

#[test]
fn streams_through_3_nodes_cross_every_wrap() {
    cross(3, 512);
    cross(3, 4096);
}

#[test]
fn streams_through_20_nodes_cross_every_wrap() {
    cross(20, 512);
    cross(20, 4096);
}

/// A ring filled to the brim at each wrap, and emptied, node by node.
#[test]
fn a_full_ring_is_full_and_an_empty_one_empty_at_every_wrap() {
    for nodes in [2, 3, 20] {
        for preset in Preset::all(nodes, 2) {
            let ring = preset.ring(SIZE as u64);
            for lap in 0..4 {
                let bytes = vec![lap; SIZE * nodes as usize];
                let write = ["write", &*ring.name, "--keep-open", "--timeout", "10s"];
                shm(&write).input_file(&bytes).run().exits(0);
                assert_eq!(ring.number("diff_nodes"), nodes, "{preset:?}");
                let more = ["write", &*ring.name, "--keep-open", "--timeout", "1ms"];
                shm(&more).input("more").run().fails(4);
                let read = shm(&["read", &ring.name, "--no-wait"]).run();
                assert!(read.exits(0).stdout == bytes, "{preset:?}");
                assert_eq!(ring.number("diff_nodes"), 0, "{preset:?}");
            }
        }
    }
}

/// One who had a node before the wrap, and was killed or committed it after.
#[test]
fn a_node_held_across_a_wrap_is_recovered_or_delivered() {
    for nodes in [3, 20] {
        // Where laps come round, and each kind of generation.
        let mut presets = Preset::all(nodes, 2);
        presets.retain(|preset| preset.lap == (1 << Preset::bits(nodes).0) - 2);
        assert_eq!(presets.len(), 4);
        for preset in presets {
            let ring = preset.ring(SIZE as u64);
            let victim = holding("hold-a-write", &ring.name);
            let mut late = holding("hold-a-write", &ring.name);
            others_stream(&ring, 5 * nodes as u32);
            victim.kill();
            late.feed(b"\n");
            late.finish().exits(0);
            let got = shm(&["read", &ring.name]).run_within(SECONDS);
            let got = got.exits(3).stdout;
            assert!(got == crate::record(99, 0, SIZE), "{preset:?}");
            assert_eq!(ring.number("abandoned_nodes"), 1);
            assert!(ring.is_drained());
            others_stream(&ring, 3 * nodes as u32);

            // A reader's, handed on.
            let record = crate::record(5, 5, SIZE);
            let write = shm(&["write", &ring.name]).input_file(record);
            write.run().exits(0);
            holding("hold-a-read", &ring.name).kill();
            others_stream(&ring, 3 * nodes as u32);
            assert_eq!(ring.number("redelivered_nodes"), 1);
            assert!(ring.is_drained(), "{preset:?}");
        }
    }
}

/// The event words of a lock, and its marks, at the end of their range: those
/// who wait are woken, and who finds it torn is told.
#[test]
fn a_locks_words_come_round() {
    let store = Store::array("u8", 1);
    let structure = structure_offset(DEFAULT_PARTICIPANTS);
    let put = |at: u64, word: u32| {
        let file = store.file();
        file.write_all_at(&word.to_le_bytes(), structure + at)
            .unwrap();
    };
    let (marks, free, drained) = (4, 128, 256);
    for epochs_left in [1, 3, 5] {
        put(free, u32::MAX - epochs_left);
        put(drained, u32::MAX - epochs_left);
        let holder = store.hold(&["--read"]);
        let writer = store.lock(&["--timeout", "20s"], &["true"]).start();
        until("a writer waits", || store.writer_waits());
        let readers: Vec<_> = (0..3)
            .map(|_| store.read(&["--timeout", "20s"]).start())
            .collect();
        until("readers wait", || store.living("reader") == 4);
        store.let_go(holder);
        writer.finish_within(SECONDS).exits(0);
        for reader in readers {
            reader.finish_within(SECONDS).exits(0);
        }
    }
    put(marks, u32::MAX);
    let holder = store.hold(&["--write"]);
    store.kill_holder(holder);
    until("the dead one's lock is free", || {
        store.lock_state() == "free"
    });
    let told = store.read(&["--json"]).run_within(SECONDS).exits(0);
    assert!(
        told.stderr.contains("died") || told.stderr.contains("false"),
        "{}",
        told.stderr
    );
    assert!(store.owner_died(), "2^32 torn writes are not none");
    store.write(&["1"]).run().exits(0);
    assert!(!store.owner_died());
}
