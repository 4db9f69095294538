//! Who blocks whom, from pairs of looks.

use super::*;
use crate::cli::watch::verdict::{Mood, blocked, remarks};
use shmkit::inspect::Damage;

const W: fn(u32) -> Participant = |slot| member(slot, Role::Writer, 100 + slot);
const R: fn(u32) -> Participant = |slot| member(slot, Role::Reader, 100 + slot);

/// A second passes between two states of a ring of 20 nodes: `written, read`.
fn second(then: (u64, u64), now: (u64, u64), participants: &[Participant]) -> Track {
    let at =
        |ms, (written, read)| look(ms, moved(with(ring(20, 1000), participants), written, read));
    track([at(0, then), at(1000, now)])
}

/// The only remark, and who is blocked.
#[track_caller]
fn said(track: &Track) -> (String, Option<&'static str>) {
    let mut all = remarks(track);
    assert_eq!(all.len(), 1, "{all:?}");
    let remark = all.remove(0);
    let waits = blocked(track);
    assert_eq!(remark.mood == Mood::Waits, waits.is_some());
    (remark.text, waits)
}

#[test]
fn writers_wait_when_the_ring_is_full_and_nothing_was_written() {
    let full = ((30, 10), (30, 10));
    let cases: [(&[Participant], &str); 3] = [
        (&[W(0)], "writers wait: ring full, no reader attached"),
        (
            &[W(0), R(1)],
            "writers wait: ring full, reader pid 101 takes nothing",
        ),
        (
            &[W(0), R(1), R(2)],
            "writers wait: ring full, 2 readers take nothing, pid 101 among them",
        ),
    ];
    for (participants, sentence) in cases {
        let track = second(full.0, full.1, participants);
        assert_eq!(said(&track), (sentence.to_owned(), Some("writers")));
    }
}

#[test]
fn who_is_there_and_does_not_sleep_does_not_wait() {
    // A writer that waits for its own input, or drops; a reader whose output is full.
    let awake = |ms, written, read| {
        awake(
            ms,
            moved(with(ring(20, 1000), &[W(0), R(1)]), written, read),
        )
    };
    let full = track([awake(0, 30, 10), awake(1000, 30, 10)]);
    let sentence = "ring full, reader pid 101 takes nothing";
    assert_eq!(said(&full), (sentence.to_owned(), None));
    let empty = track([awake(0, 30, 30), awake(1000, 30, 30)]);
    let sentence = "ring empty, writer pid 100 writes nothing";
    assert_eq!(said(&empty), (sentence.to_owned(), None));
}

#[test]
fn a_sleeper_that_was_killed_leaves_an_armed_word_and_is_not_believed_for_long() {
    let full = || moved(with(ring(20, 1000), &[W(0)]), 20, 0);
    let blocked_after = |seconds: u64| {
        let mut still = full();
        still.ring.as_mut().unwrap().event_words.writers = 7;
        let looks = (1..=seconds).map(|s| awake(s * 1000, still.clone()));
        blocked(&track([look(0, full())].into_iter().chain(looks)))
    };
    assert_eq!(blocked_after(1), Some("writers"));
    assert_eq!(blocked_after(3), Some("writers"));
    assert_eq!(blocked_after(4), None);
}

#[test]
fn a_word_that_changed_as_things_moved_proves_nothing() {
    let mut last = moved(with(ring(20, 1000), &[W(0)]), 20, 0);
    last.ring.as_mut().unwrap().event_words.writers = 7;
    let before = moved(with(ring(20, 1000), &[W(0)]), 15, 0);
    let track = track([look(0, before), awake(200, last.clone()), awake(400, last)]);
    let sentence = "ring full, no reader attached";
    assert_eq!(said(&track), (sentence.to_owned(), None));
}

#[test]
fn one_look_does_not_say_who_waits() {
    for (written, sentence) in [(0, "ring empty"), (20, "20 nodes (19.5 KiB) to be read")] {
        let snapshot = moved(with(ring(20, 1000), &[W(0), R(1)]), written, 0);
        let track = Track::new(look(0, snapshot));
        assert_eq!(said(&track), (sentence.to_owned(), None));
    }
}

#[test]
fn the_slowest_reader_of_a_full_ring_is_named() {
    let bytes = |slot, bytes| Participant { bytes, ..R(slot) };
    let at = |ms, written, fast, slow| {
        let all = [W(0), bytes(1, fast), bytes(2, slow)];
        look(ms, moved(with(ring(20, 1000), &all), written, written - 20))
    };
    // Both read within the window; since the look before nothing was written.
    let track = track([
        at(0, 100, 0, 0),
        at(800, 200, 90_000, 10_000),
        at(1000, 200, 90_000, 10_000),
    ]);
    let sentence = "writers wait: ring full, slowest reader pid 102";
    assert_eq!(said(&track), (sentence.to_owned(), Some("writers")));
}

#[test]
fn of_a_broadcast_rings_readers_the_one_furthest_behind_is_named() {
    // However fast it reads just now.
    let bytes = |slot, bytes| Participant { bytes, ..R(slot) };
    let at = |ms, written, near, far| {
        let all = [W(0), bytes(1, near), bytes(2, far)];
        let mut snapshot = moved(with(ring(20, 1000), &all), written, written - 20);
        for (reader, diff) in snapshot.participants[1..].iter_mut().zip([3, 20]) {
            (reader.diff_nodes, reader.missed_nodes) = (diff, Some(0));
        }
        let ring = snapshot.ring.as_mut().unwrap();
        (ring.delivery, ring.missed_nodes) = ("broadcast", Some(0));
        look(ms, snapshot)
    };
    let track = track([
        at(0, 100, 0, 0),
        at(800, 200, 10_000, 90_000),
        at(1000, 200, 10_000, 90_000),
    ]);
    let sentence = "writers wait: ring full, slowest reader pid 102";
    assert_eq!(said(&track), (sentence.to_owned(), Some("writers")));
}

#[test]
fn writers_that_drop_do_not_wait_and_it_is_said() {
    let dropped = |participants: &[Participant]| {
        let at = |ms, nodes| {
            let mut snapshot = moved(with(ring(20, 1000), participants), 20 + nodes, nodes);
            let ring = snapshot.ring.as_mut().unwrap();
            (ring.dropped_nodes, ring.read_nodes) = (nodes, 0);
            look(ms, snapshot)
        };
        let track = track([at(0, 5), at(1000, 47)]);
        let all = remarks(&track);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].mood, blocked(&track)), (Mood::Waits, None));
        all[0].text.clone()
    };
    assert_eq!(
        dropped(&[W(0)]),
        "writers drop 42 nodes/s: no reader attached"
    );
    assert_eq!(
        dropped(&[W(0), R(1)]),
        "writers drop 42 nodes/s: readers are slower, slowest pid 101"
    );
}

#[test]
fn a_node_that_is_being_filled_is_not_free_for_others() {
    let mut snapshot = moved(with(ring(20, 1000), &[W(0)]), 19, 0);
    let states = &mut snapshot.ring.as_mut().unwrap().states;
    (states.free, states.writing) = (0, 1);
    let track = track([look(0, snapshot.clone()), look(1000, snapshot)]);
    assert_eq!(said(&track).1, Some("writers"));
}

#[test]
fn readers_wait_when_the_ring_is_empty_and_why() {
    let empty = |participants: &[Participant], state| {
        let at = |ms| {
            let mut snapshot = moved(with(ring(20, 1000), participants), 5, 5);
            snapshot.ring.as_mut().unwrap().stream.state = state;
            look(ms, snapshot)
        };
        said(&track([at(0), at(1000)]))
    };
    let cases: [(&[Participant], _, &str); 5] = [
        (&[R(1)], StreamState::Waiting, "no writer yet"),
        (
            &[R(1)],
            StreamState::Ended,
            "the stream has ended, no next writer yet",
        ),
        (
            &[R(1)],
            StreamState::Open,
            "ring empty, the stream kept open, no writer attached",
        ),
        (
            &[W(0), R(1)],
            StreamState::Open,
            "ring empty, writer pid 100 writes nothing",
        ),
        (
            &[W(0), R(1), W(2)],
            StreamState::Open,
            "ring empty, 2 writers attached",
        ),
    ];
    for (participants, state, why) in cases {
        let sentence = format!("readers wait: {why}");
        assert_eq!(empty(participants, state), (sentence, Some("readers")));
    }
}

#[test]
fn while_data_flows_the_slower_side_is_known_by_the_fill_and_who_sleeps() {
    let flow = |diff: u64, writer_waits, reader_waits| {
        let at = |ms: u64, waits: u64| {
            let written = 100 + ms;
            let mut snapshot = moved(with(ring(20, 1000), &[W(0), R(1)]), written, written - diff);
            let ring = snapshot.ring.as_mut().unwrap();
            ring.writer_waits = waits * writer_waits;
            ring.reader_waits = waits * reader_waits;
            look(ms, snapshot)
        };
        said(&track([at(0, 0), at(1000, 1)]))
    };
    assert_eq!(
        flow(19, 50, 2).0,
        "writers waited 50 times/s: readers are slower, slowest pid 101"
    );
    assert_eq!(
        flow(1, 2, 50).0,
        "readers waited 50 times/s: writers are slower, slowest pid 100"
    );
    assert_eq!(
        flow(20, 0, 0),
        ("data flows, nobody waits".to_owned(), None)
    );
    assert_eq!(
        flow(3, 50, 0),
        ("data flows, nobody waits".to_owned(), None)
    );
}

#[test]
fn a_ring_at_rest_says_what_is_missing() {
    let rest = |written, participants: &[Participant]| {
        said(&second((written, 0), (written, 0), participants)).0
    };
    assert_eq!(rest(0, &[]), "nobody is attached");
    assert_eq!(
        rest(3, &[]),
        "nobody is attached; 3 nodes (2.93 KiB) to be read"
    );
    assert_eq!(
        rest(1, &[W(0)]),
        "no reader attached; 1 node (1000 B) to be read"
    );
    assert_eq!(rest(0, &[W(0)]), "no reader attached; nothing to be read");
    let holds = Participant {
        held_nodes: 3,
        ..R(1)
    };
    assert_eq!(
        rest(3, &[W(0), holds]),
        "nothing moves; reader pid 101 holds 3"
    );
}

#[test]
fn damage_and_the_dead_are_said_first() {
    let dead = Participant {
        alive: false,
        ..R(1)
    };
    let mut snapshot = moved(with(ring(20, 1000), &[W(0), dead.clone()]), 20, 0);
    snapshot.damage = [Damage::StreamState { bits: 3 }].into_iter().collect();
    let all = remarks(&track([look(0, snapshot.clone()), look(1000, snapshot)]));
    let texts: Vec<&str> = all.iter().map(|remark| remark.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "damaged: stream: state bits 3 (0 to 2 exist)",
            "reader pid 101 is dead, to be recovered by whoever waits or attaches next",
            "writers wait: ring full, no reader attached",
        ]
    );
    let moods: Vec<Mood> = all.iter().map(|remark| remark.mood).collect();
    assert_eq!(moods, [Mood::Wrong, Mood::Wrong, Mood::Waits]);
    let other = Participant {
        slot: 2,
        ..dead.clone()
    };
    let two = second((5, 0), (5, 0), &[W(0), dead, other]);
    assert!(
        remarks(&two)[0]
            .text
            .starts_with("2 are dead, reader pid 101 among them")
    );
}

#[test]
fn a_lock_says_who_has_it_and_who_waits() {
    let locked = |participants: &[Participant], state, writer_slot, waiting_slot, readers| {
        let mut snapshot = with(array(state), participants);
        let lock = snapshot.lock.as_mut().unwrap();
        (lock.writer_slot, lock.waiting_slot, lock.readers) = (writer_slot, waiting_slot, readers);
        said(&track([look(0, snapshot)]))
    };
    use LockState::{Free, Read, Write};
    assert_eq!(
        locked(&[], Free, None, None, 0),
        ("nobody is attached".to_owned(), None)
    );
    assert_eq!(
        locked(&[R(1)], Free, None, None, 0),
        ("the lock is free".to_owned(), None)
    );
    assert_eq!(
        locked(&[R(1)], Read, None, None, 1),
        ("1 reader has the lock".to_owned(), None)
    );
    assert_eq!(
        locked(&[R(1), R(2), W(3)], Read, None, Some(3), 2),
        (
            "pid 103 waits to write: 2 readers have the lock".to_owned(),
            Some("writers")
        )
    );
    assert_eq!(
        locked(&[W(3)], Write, Some(3), None, 0),
        ("pid 103 has the write lock".to_owned(), None)
    );
    assert_eq!(
        locked(&[W(3), R(1)], Write, Some(3), None, 0),
        (
            "1 participant behind pid 103, which has the write lock".to_owned(),
            Some("writers")
        )
    );
}

#[test]
fn torn_data_is_said() {
    let mut snapshot = array(LockState::Free);
    snapshot.lock.as_mut().unwrap().owner_died = true;
    let all = remarks(&track([look(0, snapshot)]));
    assert!(all[0].text.starts_with("torn: a writer died"), "{all:?}");
    assert_eq!(all[0].mood, Mood::Wrong);
}
