//! Snapshots of segments built by hand, word by word.
//!
//! [`Image`] is a ring's memory without a ring: tests put into it what a
//! participant would leave behind at some moment, or what none ever would.

mod image;
mod locked;
mod named;
mod places;
mod survey;

use super::nodes::{NodeRow, States};
use super::participants::{Participant, Role};
use super::ring::Observed;
use super::{DamageReport, Snapshot, Stream, text};
use crate::ring::layout::{CellBits, NodeWord, State, StreamState, StreamWord};
use crate::segment::layout::{
    Counters, Entry, HEADER_SIZE, LAYOUT_VERSION, LEAVING, READER, WRITER,
};
use crate::segment::{Gone, Kind, SegmentError};
use image::Image;
use proptest::prelude::*;
use std::mem::offset_of;

/// A snapshot of the image with a made-up header.
fn snapshot(image: &Image) -> Snapshot {
    let observed = image.observe();
    Snapshot {
        name: "demo".to_owned(),
        kind: Kind::Ring,
        layout_version: LAYOUT_VERSION,
        size_bytes: image.layout.total,
        mode: 0o600,
        owner_uid: 1000,
        created_unix_ns: 0,
        creator_pid: 4242,
        ring: Some(observed.ring),
        array: None,
        buffer: None,
        lock: None,
        participants: observed.participants,
        node_rows: None,
        damage: observed.damage,
    }
}

fn shown(image: &Image) -> String {
    let mut out = Vec::new();
    text::write_snapshot(&mut out, &snapshot(image), 12_000_000_000).unwrap();
    String::from_utf8(out).unwrap()
}

/// A ring of 20 x 1 MiB: 24 written, 21 read, one being read, two dead.
fn busy() -> Image {
    let mut image = Image::new(20, 1 << 20);
    image.run(21, 24, 1 << 20);
    image.node(1, NodeWord::new(State::Reading, 2, 1), 1 << 20, 21);
    image.cursors(22, 24);
    image.node(7, NodeWord::new(State::Writing, 1, 1), 0, 7);
    image.stream(StreamWord::new(1, 1, StreamState::Open));
    image.attach(0, WRITER, 4242, true);
    image.counters(0, offset_of!(Counters, writer_waits), 3);
    image.attach(1, READER, 4243, false);
    image.counters(1, offset_of!(Counters, read_nodes), 21);
    image.counters(1, offset_of!(Counters, read_bytes), 21 << 20);
    image.counters(1, offset_of!(Counters, reader_waits), 12);
    image
}

#[test]
fn a_fresh_ring_is_all_free_and_waits_for_its_first_writer() {
    let observed = Image::new(20, 65_536).observe();
    assert_eq!(
        observed.ring.states,
        States {
            free: 20,
            ..States::default()
        }
    );
    assert_eq!(
        (
            observed.ring.head,
            observed.ring.tail,
            observed.ring.diff_nodes
        ),
        (0, 0, 0)
    );
    let waiting = Stream {
        state: StreamState::Waiting,
        clean: true,
        epoch: 0,
    };
    assert_eq!(observed.ring.stream, waiting);
    assert!(observed.ring.consistent && observed.damage.is_empty());
    assert!(observed.participants.is_empty());
    assert_eq!(observed.ring.map.as_deref(), Some("...................."));
}

#[test]
fn a_half_full_ring_has_a_diff_of_what_was_committed_and_not_read() {
    let image = Image::new(20, 1000);
    image.run(95, 105, 700);
    let ring = image.observe().ring;
    assert_eq!(
        (ring.written_nodes, ring.read_nodes, ring.diff_nodes),
        (105, 95, 10)
    );
    assert_eq!(
        (ring.written_bytes, ring.read_bytes, ring.diff_bytes),
        (73_500, 66_500, 7000)
    );
    assert_eq!((ring.head, ring.tail), (95, 105));
    assert_eq!(
        ring.states,
        States {
            free: 10,
            ready: 10,
            ..States::default()
        }
    );
    assert_eq!(ring.map.as_deref(), Some("#####..........#####"));
}

#[test]
fn cursors_that_lag_are_settled_by_the_cells() {
    for (head, tail) in [(95, 104), (94, 105), (90, 98), (95, 105), (3, 17), (0, 0)] {
        let image = Image::new(20, 1000);
        image.run(95, 105, 1);
        image.cursors(head, tail);
        let observed = image.observe();
        assert_eq!((observed.ring.head, observed.ring.tail), (95, 105));
        assert!(observed.damage.is_empty(), "{:?}", observed.damage);
    }
}

#[test]
fn one_flipped_bit_of_a_cells_lap_blames_that_cell() {
    for bit in 34..64 {
        let image = Image::new(20, 1000);
        image.run(95, 105, 1);
        let at = image.layout.cells + 2 * image.layout.cell_stride;
        let cell = super::source::word64(&image.bytes.borrow(), at as usize);
        image.put(at, cell ^ 1 << bit);
        let damage = image.damage();
        assert_eq!(damage.len(), 1, "bit {bit}: {damage:?}");
        assert!(
            damage[0].starts_with("order cell 2: says position "),
            "{damage:?}"
        );
    }
}

#[test]
fn counters_that_contradict_the_order_are_named() {
    let image = Image::new(20, 1000);
    image.run(95, 105, 1);
    image.counters(7, offset_of!(Counters, written_nodes), 1 << 50);
    let committed = (1u64 << 50) + 105;
    let expected = format!("counters: {committed} nodes committed, the order has 105");
    assert_eq!(image.damage(), [expected]);
}

/// As seen while a node is dropped, or committed: the one counter is ahead of the other.
#[test]
fn written_is_read_dropped_and_the_diff_in_every_snapshot() {
    for (dropped, refused) in [(0, 0), (40, 0), (95, 7), (96, 0), (99, 3)] {
        let image = Image::new(20, 1000);
        image.run(95, 105, 10);
        image.counters(3, offset_of!(Counters, dropped_nodes), dropped);
        image.counters(4, offset_of!(Counters, dropped_bytes), dropped * 10);
        image.counters(4, offset_of!(Counters, refused_nodes), refused);
        image.counters(3, offset_of!(Counters, refused_bytes), refused * 10);
        let ring = image.observe().ring;
        let read = 95u64.saturating_sub(dropped);
        assert_eq!((ring.diff_nodes, ring.diff_bytes), (10, 100));
        assert_eq!((ring.read_nodes, ring.read_bytes), (read, read * 10));
        let all = dropped + refused;
        assert_eq!((ring.dropped_nodes, ring.dropped_bytes), (all, all * 10));
        let written = read + all + 10;
        assert_eq!(
            (ring.written_nodes, ring.written_bytes),
            (written, written * 10)
        );
    }
}

#[test]
fn a_full_ring_is_settled_whatever_its_size() {
    for nodes in [2, 3, 20, 1000, 5000] {
        let image = Image::new(nodes, 1);
        let tail = u64::from(nodes) * 3;
        image.run(tail - u64::from(nodes), tail, 1);
        image.cursors(tail - u64::from(nodes), tail - 1);
        let observed = image.observe();
        assert_eq!(observed.ring.diff_nodes, u64::from(nodes));
        assert_eq!(
            (observed.ring.head, observed.ring.tail),
            (tail - u64::from(nodes), tail)
        );
        assert!(observed.damage.is_empty(), "{:?}", observed.damage);
    }
}

#[test]
fn an_orphan_is_in_the_diff_and_keeps_its_position() {
    let image = Image::new(4, 10);
    image.run(2, 3, 10);
    image.node(1, NodeWord::new(State::Orphan, 0, 0), 10, 1);
    let observed = image.observe();
    let Observed { ring, damage, .. } = &observed;
    assert_eq!(
        (ring.states.orphan, ring.states.ready, ring.diff_nodes),
        (1, 1, 2)
    );
    assert_eq!((ring.written_nodes, ring.read_nodes), (3, 1));
    assert!(damage.is_empty(), "{damage:?}");
    let rows = observed.rows.unwrap();
    let orphan = NodeRow {
        node: 1,
        state: Some(State::Orphan),
        owner: None,
        generation: 0,
        len: 10,
        position: Some(1),
    };
    assert_eq!(rows[1], orphan);
    assert_eq!((rows[0].position, rows[0].len), (None, 0));
}

#[test]
fn a_node_that_is_ready_but_not_yet_in_the_order_has_no_position() {
    let image = Image::new(4, 10);
    image.run(0, 1, 10);
    image.node(2, NodeWord::new(State::Ready, 1, 5), 10, 0);
    let rows = image.observe().rows.unwrap();
    assert_eq!((rows[0].position, rows[2].position), (Some(0), None));
}

#[test]
fn participants_count_from_when_they_attached() {
    let mut image = busy();
    image.base(1, offset_of!(Entry, base_nodes), 20);
    image.base(1, offset_of!(Entry, base_bytes), 20 << 20);
    image.base(1, offset_of!(Entry, base_waits), 10);
    image.alive.insert(1);
    let observed = image.observe();
    let reader = Participant {
        slot: 1,
        role: Role::Reader,
        pid: 4243,
        alive: true,
        leaving: false,
        since_unix_ns: 2_000_000_000,
        nodes: 1,
        bytes: 1 << 20,
        waits: 2,
        held_nodes: 1,
        diff_nodes: 3,
        missed_nodes: None,
    };
    assert_eq!(observed.participants[1], reader);
    assert_eq!(observed.ring.reader_waits, 12);
}

#[test]
fn a_counter_below_its_base_counts_as_nothing() {
    let image = busy();
    image.base(1, offset_of!(Entry, base_nodes), u64::MAX);
    assert_eq!(image.observe().participants[1].nodes, 0);
}

#[test]
fn a_dead_participant_is_shown_as_dead() {
    let observed = busy().observe();
    let alive: Vec<bool> = observed.participants.iter().map(|p| p.alive).collect();
    assert_eq!(alive, [true, false]);
    assert!(
        observed.ring.stream.clean,
        "a reader's death leaves the stream clean"
    );
}

#[test]
fn a_writer_dead_and_not_yet_recovered_makes_the_stream_unclean() {
    let mut image = busy();
    image.alive.remove(&0);
    assert!(!image.observe().ring.stream.clean);
    image.attach(0, LEAVING, 4242, false);
    assert!(
        image.observe().ring.stream.clean,
        "it had committed its last node"
    );
}

#[test]
fn a_stream_is_unclean_when_a_writer_died_in_it_but_not_because_of_an_earlier_one() {
    let image = busy();
    image.stream(StreamWord::new(3, 9, StreamState::Ended));
    image.unclean_epoch(3);
    let ended = Stream {
        state: StreamState::Ended,
        clean: false,
        epoch: 3,
    };
    assert_eq!(image.observe().ring.stream, ended);
    image.unclean_epoch(2);
    assert!(image.observe().ring.stream.clean);
}

#[test]
fn one_who_leaves_while_being_looked_at_is_not_taken_for_dead() {
    let mut image = busy();
    image.alive.remove(&0);
    // The table is read twice, and the suspect's own entry after that.
    image.meanwhile = Some(|image, read| {
        if read >= 7 {
            image.put32(Image::entry_at(0) + offset_of!(Entry, state) as u64, 0);
        }
    });
    let observed = image.observe();
    assert_eq!(observed.participants.len(), 1);
    assert!(observed.ring.stream.clean);
}

#[test]
fn a_ring_that_laps_itself_while_it_is_read_is_not_damaged() {
    let mut image = Image::new(2, 1);
    image.run(40, 41, 1);
    // Every read finds the ring seven nodes on.
    image.meanwhile = Some(|image, read| {
        let tail = 41 + 7 * u64::from(read);
        image.run(tail - 1, tail, 1);
    });
    let observed = image.observe();
    assert!(observed.damage.is_empty(), "{:?}", observed.damage);
    assert!(!observed.ring.consistent);
    let ring = observed.ring;
    assert_eq!(ring.written_nodes - ring.diff_nodes, ring.read_nodes);
    assert!(ring.head <= ring.tail && ring.tail - ring.head <= 2);
}

#[test]
fn a_ring_that_comes_to_rest_gives_a_consistent_snapshot() {
    let mut image = Image::new(2, 1);
    image.run(40, 41, 1);
    image.meanwhile = Some(|image, read| {
        let tail = 41 + u64::from(read.min(9));
        image.run(tail - 1, tail, 1);
    });
    let observed = image.observe();
    assert!(observed.ring.consistent);
    assert_eq!(
        (observed.ring.written_nodes, observed.ring.read_nodes),
        (50, 49)
    );
}

#[test]
fn a_word_that_is_wrong_for_a_moment_is_not_believed() {
    let mut image = busy();
    image.node(9, NodeWord(7), 0, 0);
    image.meanwhile = Some(|image, read| {
        if read > 6 {
            image.node(9, NodeWord(0), 0, 0);
        }
    });
    assert!(image.observe().damage.is_empty());
}

#[test]
fn damaged_words_are_named() {
    let damaged = |damage: fn(&mut Image)| {
        let mut image = busy();
        damage(&mut image);
        image.damage().join("; ")
    };
    type Case = (fn(&mut Image), &'static str);
    let cases: [Case; 9] = [
        (
            |i| i.node(7, NodeWord(6), 0, 0),
            "node 7: state bits 6 (0 to 5 exist)",
        ),
        (
            |i| i.attach(3, 9, 1, true),
            "participant 3: state 9 (0 to 3 exist)",
        ),
        (
            |i| i.raw_cell(5, CellBits::new(20).pack(1, 0, 29)),
            "order cell 5: names node 29 of 20",
        ),
        (
            |i| i.raw_cell(5, CellBits::new(20).pack(9, 0, 5)),
            "order cell 5: says position 165, the order ends at 24",
        ),
        (
            |i| i.cursors(22, 900),
            "tail 900: by the order cells it is 24",
        ),
        (
            |i| i.cursors(900, 24),
            "head 900: by the order cells it is 22",
        ),
        (
            |i| i.node(2, NodeWord::new(State::Ready, 1, 1), 2 << 20, 22),
            "node 2: length 2097152 in a node of 1048576 bytes",
        ),
        (
            |i| i.node(7, NodeWord::new(State::Writing, 200, 1), 0, 0),
            "node 7: writing by participant 199 of 128",
        ),
        (
            |i| i.node(7, NodeWord::new(State::Writing, 0, 1), 0, 0),
            "node 7: writing, but by nobody",
        ),
    ];
    for (damage, expected) in cases {
        assert_eq!(damaged(damage), expected);
    }
    let image = busy();
    image.stream(StreamWord(3));
    assert_eq!(image.damage(), ["stream: state bits 3 (0 to 2 exist)"]);
}

#[test]
fn much_damage_is_counted_and_some_of_it_kept() {
    let image = Image::new(1000, 1);
    for node in 0..1000 {
        image.node(node, NodeWord(6), 0, 0);
    }
    let damage = image.observe().damage;
    assert_eq!(
        (damage.count(), damage.first().len()),
        (1000, DamageReport::KEPT)
    );
    let summary = damage.summary().unwrap();
    assert_eq!(summary, "node 0: state bits 6 (0 to 5 exist); and 999 more");
}

#[test]
fn a_segment_cut_short_while_it_is_read_is_gone() {
    for keep in [0, 5000, HEADER_SIZE as usize + 32_768, 41_000] {
        let image = busy();
        image.bytes.borrow_mut().truncate(keep);
        assert!(matches!(
            image.try_observe(),
            Err(SegmentError::Gone {
                gone: Gone::Truncated,
                ..
            })
        ));
    }
}

#[test]
fn a_busy_ring_reads_well() {
    let expected = "\
demo: ring of 20 x 1 MiB, queue, futex
  segment   20.0 MiB, mode 0600, uid 1000, layout 2, made 12s ago by pid 4242
  stream    open, clean, number 1
  written   24 nodes  24 MiB
  read      21 nodes  21 MiB
  diff       3 nodes   3 MiB
  order     head 22, tail 24
  waits     writers 3, readers 12
  losses    0 abandoned, 0 redelivered, 0 dropped
  nodes     16 free (.)  1 writing (w)  2 ready (#)  1 reading (r)  0 orphan (o)
            .r##...w............

  SLOT  ROLE     PID  STATE  NODES   BYTES  WAITS  HOLDS  ATTACHED
     0  writer  4242  alive     24  24 MiB      3      1       11s
     1  reader  4243  DEAD      21  21 MiB     12      1       10s
";
    assert_eq!(shown(&busy()), expected);
}

#[test]
fn a_damaged_ring_shows_what_is_wrong_beside_what_is_right() {
    let image = Image::new(2, 100);
    image.node(1, NodeWord(6), 0, 0);
    let expected = "\
demo: ring of 2 x 100 B, queue, futex
  segment   48 KiB, mode 0600, uid 1000, layout 2, made 12s ago by pid 4242
  stream    waiting for the first writer
  written   0 nodes  0 B
  read      0 nodes  0 B
  diff      0 nodes  0 B
  order     head 0, tail 0
  waits     writers 0, readers 0
  losses    0 abandoned, 0 redelivered, 0 dropped
  nodes     1 free (.)  0 writing (w)  0 ready (#)  0 reading (r)  0 orphan (o)
            .?
  DAMAGED   node 1: state bits 6 (0 to 5 exist)

  nobody is attached
";
    assert_eq!(shown(&image), expected);
}

#[test]
fn node_rows_line_up() {
    let rows = busy().observe().rows.unwrap();
    let mut out = Vec::new();
    text::write_nodes(&mut out, &[rows[0], rows[1], rows[7]]).unwrap();
    let expected = "\
\x20  NODE  STATE    OWNER  GENERATION      LEN  POSITION
      0  free         -           2        0         -
      1  reading      1           1  1048576        21
      7  writing      0           1        0         -
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn the_json_has_the_promised_fields() {
    let json = serde_json::to_value(snapshot(&busy())).unwrap();
    let expected = serde_json::json!({
        "name": "demo", "kind": "ring", "layout_version": LAYOUT_VERSION,
        "size_bytes": Image::new(20, 1 << 20).layout.total, "mode": "0600", "owner_uid": 1000,
        "created_unix_ns": 0, "creator_pid": 4242,
        "ring": {
            "delivery": "queue", "wait": "futex", "nodes": 20, "node_size": 1_048_576,
            "written_nodes": 24, "read_nodes": 21, "diff_nodes": 3,
            "written_bytes": 24 << 20, "read_bytes": 21 << 20, "diff_bytes": 3 << 20,
            "abandoned_nodes": 0, "redelivered_nodes": 0, "dropped_nodes": 0,
            "dropped_bytes": 0,
            "writer_waits": 3, "reader_waits": 12,
            "states": {"free": 16, "writing": 1, "ready": 2, "reading": 1, "orphan": 0},
            "stream": {"state": "open", "clean": true, "epoch": 1},
            "head": 22, "tail": 24, "unsignalled_slices": 0, "consistent": true,
        },
        "participants": [
            {"slot": 0, "role": "writer", "pid": 4242, "alive": true, "leaving": false,
             "since_unix_ns": 1_000_000_000u64, "nodes": 24, "bytes": 24 << 20, "waits": 3,
             "held_nodes": 1, "diff_nodes": 3},
            {"slot": 1, "role": "reader", "pid": 4243, "alive": false, "leaving": false,
             "since_unix_ns": 2_000_000_000u64, "nodes": 21, "bytes": 21 << 20, "waits": 12,
             "held_nodes": 1, "diff_nodes": 3},
        ],
    });
    assert_eq!(json, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_words_are_a_snapshot_ends_and_adds_up(
        nodes in 2u32..70,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0u8..3), 1..40),
    ) {
        let mut image = Image::new(nodes, 100);
        image.run(30, 31, 100);
        image.attach(0, WRITER, 1, true);
        let first = HEADER_SIZE / 8;
        let count = (image.layout.payload / 8 - first) as usize;
        for (at, word, how) in flips {
            let offset = (first + at.index(count) as u64) * 8;
            let old = super::source::word64(&image.bytes.borrow(), offset as usize);
            image.put(offset, match how { 0 => word, 1 => old ^ 1 << (word % 64), _ => u64::MAX });
        }
        let observed = image.observe();
        let ring = &observed.ring;
        prop_assert!(ring.diff_nodes <= u64::from(nodes));
        prop_assert!(ring.diff_bytes <= 100 * u64::from(nodes));
        prop_assert!(ring.read_nodes <= ring.written_nodes);
        prop_assert!(ring.head <= ring.tail);
        prop_assert!(ring.tail - ring.head <= u64::from(nodes));
        let snapshot = snapshot(&image);
        text::write_snapshot(&mut Vec::new(), &snapshot, 0)?;
        serde_json::to_string(&snapshot)?;
        prop_assert_eq!(snapshot.damage.is_empty(), snapshot.damage.summary().is_none());
    }

    #[test]
    fn wild_cursors_cells_and_nodes_are_survived(
        nodes in 2u32..9,
        words in prop::collection::vec(any::<u64>(), 40),
        head: u64, tail: u64, near in -4i64..40,
    ) {
        let image = Image::new(nodes, 4096);
        image.run(30, 31, 100);
        let tail = if tail % 2 == 0 { tail } else { 31u64.saturating_add_signed(near) };
        image.cursors(head % 64, tail);
        for (node, chunk) in (0..nodes).zip(words.chunks(4)) {
            if chunk[0] % 2 == 0 {
                image.node(node, NodeWord(chunk[0]), chunk[1], chunk[2]);
            }
            if chunk[3] % 3 == 0 {
                image.raw_cell(u64::from(node), chunk[3]);
            }
        }
        let observed = image.observe();
        let ring = &observed.ring;
        prop_assert!(ring.head <= ring.tail && ring.tail - ring.head <= u64::from(nodes));
        text::write_nodes(&mut Vec::new(), &observed.rows.unwrap())?;
    }
}
