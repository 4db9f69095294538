//! What the differences between looks say.

use super::*;
use std::ops::RangeInclusive;

fn near(value: f64, expected: f64) {
    assert!(
        (value - expected).abs() < 1e-6 * expected.max(1.0),
        "{value}, not {expected}"
    );
}

#[test]
fn one_look_says_nothing_about_rates() {
    let track = track([look(0, moved(ring(20, 1000), 10, 5))]);
    assert!(track.rates.is_none() && track.latest.is_none() && track.history.is_empty());
}

#[test]
fn rates_are_those_of_the_last_second_and_samples_those_since_the_look_before() {
    // 100 nodes of 1 MB by a second, then 300, 200 ms apart.
    let written = |ms: u64| {
        if ms <= 1000 {
            ms / 10
        } else {
            100 + (ms - 1000) * 3 / 10
        }
    };
    let looks = (0..=2000).step_by(200);
    let mut followed: Option<Track> = None;
    for ms in looks {
        let look = look(ms, moved(ring(20, 1_000_000), written(ms), written(ms)));
        match &mut followed {
            None => followed = Some(Track::new(look)),
            Some(track) => track.advance(look),
        }
        let track = followed.as_ref().unwrap();
        match ms {
            1000 => near(track.rates.unwrap().written_mb, 100.0),
            1200 => {
                near(track.history.back().unwrap().written_mb, 300.0);
                near(track.rates.unwrap().written_mb, (160.0 - 20.0) / 1.0);
                near(track.latest.unwrap().0.read_nodes, 300.0);
            }
            2000 => near(track.rates.unwrap().read_mb, 300.0),
            _ => {}
        }
    }
    assert_eq!(followed.unwrap().history.len(), 10);
}

#[test]
fn the_counters_of_a_participant_are_its_own_and_not_those_of_who_had_its_entry() {
    let at = |bytes, since| Participant {
        bytes,
        since_unix_ns: since,
        waits: bytes / 1_000_000,
        ..member(3, Role::Reader, 7)
    };
    let looks = |bytes: [u64; 3], since: [u64; 3]| {
        let look = |i: usize| {
            look(
                i as u64 * 1000,
                with(ring(20, 1), &[at(bytes[i], since[i])]),
            )
        };
        track((0..3).map(look))
    };
    let same = looks([5_000_000, 6_000_000, 9_000_000], [1, 1, 1]);
    near(same.members[0].mb, 3.0);
    near(same.members[0].waits, 3.0);
    let other = looks([5_000_000, 6_000_000, 9_000_000], [1, 1, 2]);
    near(other.members[0].mb, 0.0);
    // One that came between two looks is counted from when it was first seen.
    let late = looks([0, 6_000_000, 6_500_000], [1, 2, 2]);
    near(late.members[0].mb, 0.5);
}

#[test]
fn counters_that_went_backwards_count_as_nothing() {
    let track = track([
        look(0, moved(ring(20, 1000), 500, 500)),
        look(1000, moved(ring(20, 1000), 3, 3)),
    ]);
    assert_eq!(track.rates.unwrap().written_mb, 0.0);
}

#[test]
fn an_array_counts_locks_and_the_bytes_under_them() {
    let locked = |writes, reads| {
        let mut snapshot = array(LockState::Free);
        snapshot.lock.as_mut().unwrap().counts = LockCounts {
            write_locks: writes,
            read_locks: reads,
            written_bytes: writes * 1_000_000,
            ..LockCounts::default()
        };
        snapshot
    };
    let track = track([look(0, locked(1, 1)), look(500, locked(2, 4))]);
    let rates = track.rates.unwrap();
    near(rates.written_mb, 2.0);
    near(rates.read_nodes, 6.0);
    near(track.history[0].third, 8.0);
}

#[test]
fn the_history_is_bounded_and_loses_the_oldest() {
    let looks =
        |count: RangeInclusive<u64>| count.map(|i| look(i * 10, moved(ring(20, 1), i, i - i % 7)));
    let track = track(looks(0..=5000));
    assert_eq!(track.history.len(), 1000);
    assert_eq!(track.history.back().unwrap().third, (5000 % 7) as f64);
}

#[test]
fn writers_are_marked_by_capitals_and_readers_by_small_letters() {
    let all = [
        member(0, Role::Writer, 1),
        member(1, Role::Reader, 2),
        member(26, Role::Reader, 3),
        member(2046, Role::Writer, 4),
    ];
    let track = track([look(0, with(ring(20, 1), &all))]);
    let marks: String = track.members.iter().map(|m| m.mark).collect();
    assert_eq!(marks, "AbaS");
}
