//! Nodes summed up for a map, and what is brought up to date without them.

use super::super::ring::Target;
use super::super::survey::{Cell, Survey};
use super::*;

fn survey(image: &Image, nodes_per_cell: u32) -> Survey {
    let nodes = image.geometry.nodes;
    Survey::read(image, image.layout.nodes, nodes, nodes_per_cell, 0).unwrap()
}

#[test]
fn a_survey_with_a_node_to_a_cell_says_what_each_is_and_who_has_it() {
    let image = busy();
    image.node(3, NodeWord(7), 0, 0);
    let seen = survey(&image, 1);
    let ring = image.observe().ring;
    assert_eq!(seen.cells.len(), 20);
    for (cell, sign) in seen.cells.iter().zip(ring.map.unwrap().chars()) {
        let states = cell.states;
        let expected = match sign {
            '.' => states.free,
            'w' => states.writing,
            '#' => states.ready,
            'r' => states.reading,
            'o' => states.orphan,
            _ => cell.damaged,
        };
        assert_eq!((expected, cell.seen()), (1, 1), "{sign}");
    }
    let holders: Vec<_> = seen.cells.iter().map(|cell| cell.holder).collect();
    assert_eq!(
        (holders[1], holders[7], holders[2]),
        (Some(1), Some(0), None)
    );
}

#[test]
fn cells_sum_up_their_nodes_and_rows_say_the_same() {
    let image = busy();
    let rows = image.observe();
    for nodes_per_cell in [1, 3, 7, 20, 100] {
        let seen = survey(&image, nodes_per_cell);
        assert_eq!(seen.cells.len(), 20usize.div_ceil(nodes_per_cell as usize));
        let ready: u32 = seen.cells.iter().map(|cell| cell.states.ready).sum();
        assert_eq!(ready, rows.ring.states.ready);
        assert_eq!(seen.cells.iter().map(Cell::seen).sum::<u32>(), 20);
        assert_eq!(
            Survey::of_rows(rows.rows.as_ref().unwrap(), nodes_per_cell),
            seen
        );
    }
}

#[test]
fn of_a_large_cell_only_the_first_nodes_are_read() {
    let image = Image::new(1000, 64);
    for node in [0, 31, 32, 499, 500, 531] {
        image.node(node, NodeWord::new(State::Ready, 1, 0), 1, 0);
    }
    let seen = survey(&image, 500);
    let ready: Vec<u32> = seen.cells.iter().map(|cell| cell.states.ready).collect();
    assert_eq!(ready, [2, 2]);
    assert!(seen.cells.iter().all(|cell| cell.seen() == 32));
}

#[test]
fn in_a_broadcast_ring_what_all_have_passed_is_free() {
    let mut image = Image::broadcast(20, 10);
    image.run(0, 24, 10);
    image.place(1, 22, 0);
    image.place(2, 12, 0);
    let ring = image.observe().ring;
    let at = image.layout.nodes;
    let seen = Survey::read(&image, at, 20, 20, ring.head).unwrap();
    assert_eq!(seen.cells[0].states, ring.states);
    assert_eq!((ring.states.free, ring.states.ready), (8, 12));
    assert_eq!(survey(&image, 20).cells[0].states.ready, 20);
}

/// What a refresh makes of a snapshot that was taken before `change`, and what a
/// snapshot says that is taken after it.
fn refreshed(mut image: Image, change: impl Fn(&mut Image)) -> (Observed, Observed) {
    let mut observed = image.observe();
    change(&mut image);
    let target = Target {
        source: &image,
        participants: image::PARTICIPANTS,
        geometry: image.geometry,
        layout: image.layout,
        rows: false,
    };
    target
        .refresh(&mut observed.ring, &mut observed.participants)
        .unwrap();
    (observed, image.observe())
}

#[test]
fn a_refresh_brings_counters_and_participants_up_to_date_and_leaves_the_nodes() {
    let (seen, whole) = refreshed(busy(), |image| {
        image.run(23, 30, 1000);
        for (counter, value) in [
            (offset_of!(Counters, read_nodes), 20),
            (offset_of!(Counters, read_bytes), 20 * 1000),
            (offset_of!(Counters, dropped_nodes), 3),
            (offset_of!(Counters, dropped_bytes), 3 * 1000),
            (offset_of!(Counters, refused_nodes), 2),
            (offset_of!(Counters, refused_bytes), 2 * 1000),
        ] {
            image.counters(1, counter, value);
        }
        image.attach(2, READER, 4244, true);
    });
    let counted = |o: &Observed| {
        let ring = &o.ring;
        let nodes = [ring.written_nodes, ring.read_nodes, ring.dropped_nodes];
        let bytes = [ring.written_bytes, ring.read_bytes, ring.dropped_bytes];
        (nodes, bytes, [ring.diff_nodes, ring.diff_bytes])
    };
    assert_eq!(counted(&seen), counted(&whole));
    assert_eq!(seen.ring.diff_nodes, 7);
    assert_eq!(seen.participants.len(), 3);
    assert!(seen.participants.iter().all(|p| p.diff_nodes == 7));
    assert_eq!((seen.ring.head, seen.ring.tail), (23, 30));
    let before = busy().observe();
    assert_eq!(seen.ring.states, before.ring.states);
    assert_eq!(seen.ring.map, before.ring.map);
    let held = |o: &Observed| o.participants[0].held_nodes;
    assert_eq!((held(&seen), held(&before)), (1, 1));
}

#[test]
fn a_refresh_of_nonsense_stays_within_the_ring() {
    let (seen, _) = refreshed(busy(), |image| {
        image.counters(0, offset_of!(Counters, written_nodes), u64::MAX);
        image.counters(0, offset_of!(Counters, written_bytes), u64::MAX);
    });
    assert_eq!((seen.ring.diff_nodes, seen.ring.diff_bytes), (20, 20 << 20));
}

#[test]
fn a_refresh_of_a_broadcast_ring_tells_each_readers_lag() {
    let mut image = Image::broadcast(20, 10);
    image.run(0, 24, 10);
    image.attach(0, WRITER, 4242, true);
    image.place(1, 22, 0);
    image.place(2, 12, 0);
    let (seen, whole) = refreshed(image, |image| {
        image.run(0, 30, 10);
        image.place(1, 30, 0);
        image.place(2, 13, 2);
    });
    let told = |o: &Observed| {
        let lags: Vec<u64> = o.participants.iter().map(|p| p.diff_nodes).collect();
        let ring = &o.ring;
        let diff = (ring.diff_nodes, ring.diff_bytes, ring.read_nodes);
        (lags, diff, ring.head, ring.tail)
    };
    assert_eq!(told(&seen), told(&whole));
    assert_eq!(told(&seen).1, (17, 170, 13));
}
