//! Broadcast rings: what nodes are to the readers, and how far each lags.

use super::image::Image;
use super::{Counters, Entry, NodeRow, NodeWord, Role, State, States, StreamWord, WRITER};
use super::{StreamState, shown, snapshot};
use crate::ring::layout::{OVERTAKEN, PlaceWord};
use proptest::prelude::*;
use std::mem::offset_of;

/// A ring in which so many nodes of 10 bytes were committed, by entry 0.
fn run(nodes: u32, tail: u64) -> Image {
    let mut image = Image::broadcast(nodes, 10);
    image.run(0, tail, 10);
    image.attach(0, WRITER, 4242, true);
    image.stream(StreamWord::new(1, 1, StreamState::Open));
    image
}

/// The diffs of the readers, in the order of their entries.
fn diffs(image: &Image) -> Vec<u64> {
    let participants = image.observe().participants;
    let readers = participants.iter().filter(|p| p.role == Role::Reader);
    readers.map(|reader| reader.diff_nodes).collect()
}

fn row(image: &Image, node: usize) -> NodeRow {
    image.observe().rows.unwrap()[node]
}

#[test]
fn each_reader_has_a_diff_of_its_own_and_the_ring_the_largest() {
    let mut image = run(20, 24);
    image.place(1, 22, 0);
    image.place(2, 12, 0);
    image.place(3, 24, 0);
    assert_eq!(diffs(&image), [2, 12, 0]);
    let ring = image.observe().ring;
    assert_eq!((ring.diff_nodes, ring.diff_bytes), (12, 120));
    assert_eq!((ring.written_nodes, ring.read_nodes), (24, 12));
    assert_eq!((ring.head, ring.tail), (12, 24));
    assert!(ring.consistent);
    let states = States {
        free: 8,
        ready: 12,
        ..States::default()
    };
    assert_eq!(ring.states, states);
    assert_eq!(ring.map.as_deref(), Some("####........########"));
    assert!(image.damage().is_empty());
}

#[test]
fn what_all_have_passed_is_free_and_still_there() {
    let mut image = run(20, 24);
    image.place(1, 22, 0);
    let passed = row(&image, 5);
    let expected = (Some(State::Free), 10, Some(5));
    assert_eq!((passed.state, passed.len, passed.position), expected);
    assert_eq!(row(&image, 2).state, Some(State::Ready));
}

#[test]
fn what_a_reader_has_in_hand_is_being_read_and_the_reader_holds_it() {
    let mut image = run(20, 24);
    image.place(1, 21, 2);
    image.place(2, 22, 1);
    let observed = image.observe();
    assert_eq!(observed.ring.states.reading, 2);
    assert_eq!(observed.ring.states.ready, 1);
    assert_eq!(observed.ring.map.as_deref(), Some(".rr#................"));
    let held: Vec<u32> = observed.participants.iter().map(|p| p.held_nodes).collect();
    assert_eq!(held, [0, 2, 1]);
    assert_eq!(diffs(&image), [3, 2]);
}

#[test]
fn a_node_in_hand_counts_although_the_order_has_gone_on_over_it() {
    let mut image = run(4, 7);
    image.place(1, 1, 1);
    // Position 1's cell names node 0 since position 5; node 1 is still in hand.
    image.cell(5, 1, 0);
    image.node(0, NodeWord::new(State::Ready, 1, 1), 10, 5);
    image.node(1, NodeWord::new(State::Ready, 1, 0), 10, 1 | OVERTAKEN);
    let ring = image.observe().ring;
    assert_eq!((ring.states.reading, ring.states.ready), (1, 3));
    assert_eq!((ring.diff_nodes, diffs(&image)), (4, vec![4]));
    assert_eq!(row(&image, 1).position, Some(1));
    // Nobody has it any more: then it is free, and nowhere in the order.
    image.place(1, 5, 0);
    assert_eq!(row(&image, 1).state, Some(State::Free));
    assert_eq!(diffs(&image), [2]);
}

#[test]
fn without_readers_the_diff_is_what_those_who_left_had_not_passed() {
    let image = run(20, 24);
    image.cursors(10, 24);
    let ring = image.observe().ring;
    assert_eq!((ring.diff_nodes, ring.head), (14, 10));
    image.cursors(0, 24);
    assert_eq!(image.observe().ring.diff_nodes, 20, "no more are there");
}

#[test]
fn a_reader_that_was_overtaken_lags_by_what_is_there() {
    let mut image = run(20, 90);
    image.place(1, 3, 0);
    image.counters(0, offset_of!(Counters, dropped_nodes), 67);
    let ring = image.observe().ring;
    assert_eq!((ring.diff_nodes, ring.read_nodes), (20, 3));
    assert_eq!(diffs(&image), [20]);
}

#[test]
fn one_who_has_not_joined_yet_lags_behind_nobody() {
    let mut image = run(20, 24);
    image.place(1, 23, 0);
    image.place(2, u64::MAX, 0); // packs to 0: no place
    assert_eq!(diffs(&image), [1, 0]);
    assert_eq!(image.observe().ring.diff_nodes, 1);
}

#[test]
fn a_node_that_is_not_in_the_order_yet_is_ready_for_everybody() {
    let mut image = run(20, 3);
    image.place(1, 3, 0);
    image.node(7, NodeWord::new(State::Ready, 1, 0), 10, 0);
    let observed = image.observe();
    let ready = (observed.ring.states.ready, observed.ring.diff_nodes);
    assert_eq!((ready, diffs(&image)), ((1, 1), vec![1]));
    assert_eq!(row(&image, 7).position, None);
}

#[test]
fn missed_nodes_are_those_since_the_reader_attached_and_of_the_ring_all() {
    let mut image = run(20, 24);
    image.place(1, 22, 0);
    image.base(1, offset_of!(Entry, missed_nodes), 40);
    image.base(1, offset_of!(Entry, base_missed), 3);
    image.base(9, offset_of!(Entry, missed_nodes), 5);
    let observed = image.observe();
    assert_eq!(observed.ring.missed_nodes, Some(45));
    let missed: Vec<_> = observed
        .participants
        .iter()
        .map(|p| p.missed_nodes)
        .collect();
    assert_eq!(missed, [None, Some(37)]);
}

#[test]
fn a_lag_is_what_it_was_however_fast_the_ring_is() {
    let mut image = run(20, 24);
    image.place(1, 22, 0);
    // Between each look at the table and the words, and that at the cells, nine
    // more are committed and passed.
    image.meanwhile = Some(|image, reads| {
        if reads % 6 == 3 {
            let tail = 33 + 9 * u64::from(reads / 6);
            image.run(0, tail, 10);
            let place = PlaceWord::new(tail - 2, 0);
            image.base(1, offset_of!(Entry, cursor), place.0);
        }
    });
    let observed = image.observe();
    assert!(!observed.ring.consistent);
    assert_eq!(observed.ring.diff_nodes, 2);
}

#[test]
fn a_place_ahead_of_the_order_is_damage() {
    let mut image = run(20, 24);
    image.place(3, 25, 0);
    let expected = "participant 3: reads at position 25, the order ends at 24";
    assert_eq!(image.damage(), [expected]);
    let image = run(20, 24);
    image.cursors(25, 24);
    assert_eq!(image.damage(), ["head 25: by the order cells it is 24"]);
}

#[test]
fn a_full_broadcast_ring_names_its_slowest_reader() {
    let mut image = run(4, 8);
    image.place(1, 7, 0);
    image.place(2, 4, 1);
    image.base(2, offset_of!(Entry, missed_nodes), 3);
    let expected = "\
demo: ring of 4 x 10 B, broadcast, futex
  segment   48 KiB, mode 0600, uid 1000, layout 2, made 12s ago by pid 4242
  stream    open, clean, number 1
  written   8 nodes  80 B
  passed    4 nodes  40 B
  diff      4 nodes  40 B
  order     head 4, tail 8
  waits     writers 0, readers 0
  losses    0 abandoned, 0 redelivered, 0 dropped, 3 missed
  nodes     0 free (.)  0 writing (w)  3 ready (#)  1 reading (r)  0 orphan (o)
            r###
  full      its slowest reader is participant 2 (pid 4244), 4 nodes behind

  SLOT  ROLE     PID  STATE  NODES  BYTES  WAITS  HOLDS  DIFF  MISSED  ATTACHED
     0  writer  4242  alive      8   80 B      0      0     -       -       11s
     1  reader  4243  alive      0    0 B      0      0     1       0       10s
     2  reader  4244  alive      0    0 B      0      1     4       3        9s
";
    assert_eq!(shown(&image), expected);
    let json = serde_json::to_value(snapshot(&image)).unwrap();
    assert_eq!(json["ring"]["missed_nodes"], 3);
    assert_eq!(json["participants"][2]["missed_nodes"], 3);
    assert_eq!(json["participants"][0].get("missed_nodes"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_places_and_nodes_say_the_diffs_add_up(
        nodes in 2u32..9,
        tail in 0u64..40,
        left: u64,
        places in prop::collection::vec((any::<u64>(), 0u64..50, any::<u32>(), any::<bool>()), 0..5),
        words in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()), 9),
    ) {
        let mut image = run(nodes, tail);
        image.cursors(left, tail);
        for (slot, (wild, near, in_hand, is_near)) in (1u32..).zip(places) {
            image.place(slot, if is_near { near } else { wild }, in_hand);
        }
        for (node, (word, len, position, put)) in (0..nodes).zip(words) {
            if put {
                image.node(node, NodeWord(word), len, position);
            }
        }
        let observed = image.observe();
        let ring = &observed.ring;
        prop_assert!(ring.diff_nodes <= u64::from(nodes));
        prop_assert!(ring.diff_bytes <= 10 * u64::from(nodes));
        prop_assert!(ring.head <= ring.tail && ring.tail - ring.head <= u64::from(nodes));
        for participant in &observed.participants {
            prop_assert!(participant.diff_nodes <= ring.diff_nodes);
        }
        serde_json::to_string(&snapshot(&image))?;
    }
}
