//! Deaths on the way in and out, and the deaths of those who recover.
//!
//! The models of [`super`] kill somebody who writes or reads. Here the victim
//! is attaching, giving back, leaving or ending the stream; and after it
//! somebody dies who was recovering it, or was about to take over its entry:
//! every pair of steps of the two. The reader that looks on sleeps without a
//! time-out, so an end that does not come is a deadlock, which loom reports.

use super::*;
use crate::sync::explore::{for_every_crash_point, for_every_pair_of_crash_points};

/// What somebody does who finds the entry `slot` without a holder, and what a
/// slice makes good: those who sleep look round.
fn sweep(ring: &Ring, slot: u32) {
    if ring.entries[slot as usize].state.load(Ordering::Acquire) != EMPTY {
        ring.core().recover(slot).unwrap();
    }
    ring.wake_everybody();
}

/// Runs a victim in `slot`, which dies before its change number `k`; then
/// `next`, which may recover it, and dies before its change number `j`; then
/// somebody who recovers what is there. Whether they died, and whether the
/// entry was a writer's when the first one had.
fn two_deaths(
    ring: &Ring,
    slot: u32,
    (k, victim): (u32, impl FnOnce()),
    (j, next): (u32, impl FnOnce()),
) -> (bool, bool, bool) {
    let first = Fuse::burn(k, victim).is_err();
    let state = ring.entries[slot as usize].state.load(Ordering::Relaxed);
    let second = Fuse::burn(j, next).is_err();
    sweep(ring, slot);
    (first, second, state == WRITER)
}

#[test]
fn loom_a_recoverer_of_a_writer_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let victim = || {
                let mut writer = Party::new(&other, 0);
                writer.write(1);
                writer.leave();
            };
            two_deaths(&other, 0, (k, victim), (j, || sweep(&other, 0)))
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let clean = ring.core().clean_since(base);
        let (first, second, was_writer) = dead.join().unwrap();
        assert_eq!(clean, !was_writer, "{got:?}");
        nothing_committed_is_lost_and_nothing_leaks(&ring, &got);
        (first, second)
    });
    assert!(pairs > 100, "only {pairs} pairs of crash points");
}

/// Who waits looks for nodes that nobody has, after each attempt. A writer that
/// comes, commits, dies and is recovered meanwhile must not look like damage.
#[test]
fn loom_no_node_of_a_dead_writer_looks_astray_twice() {
    let points = for_every_crash_point(3, |k| {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let died = Fuse::burn(k, || {
                other.join(0, WRITER);
                let mut writer = Party::new(&other, 0);
                writer.write(1);
                writer.leave();
            });
            sweep(&other, 0);
            died.is_err()
        });
        let mut reader = Party::new(&ring, 1);
        let mut before = None;
        for _ in 0..3 {
            if reader.claim().is_some() {
                break;
            }
            let stray = ring.core().stray(1, true, 0..NODES);
            assert!(stray.is_none() || stray != before, "{stray:?}");
            before = stray;
        }
        dead.join().unwrap()
    });
    assert!(points > 10, "only {points} crash points");
}

#[test]
fn loom_a_recoverer_of_a_reader_that_gives_back_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = Ring::new(3);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let mut writer = Party::new(&ring, 0);
        writer.write(1);
        writer.write(2);
        writer.leave();
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let mut done = Vec::new();
            let victim = || {
                other.join(2, READER);
                let mut reader = Party::new(&other, 2);
                if let Some(token) = reader.claim() {
                    reader.give_back(token);
                }
                while let Some(token) = reader.claim() {
                    done.push(reader.value(token));
                    reader.release(token);
                }
            };
            let died = two_deaths(&other, 2, (k, victim), (j, || sweep(&other, 2)));
            (died, done)
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let ((first, second, _), done) = dead.join().unwrap();
        let all = sorted([got.clone(), done.clone()].concat());
        let mut once = all.clone();
        once.dedup();
        assert_eq!(once, [1, 2], "{got:?} {done:?}");
        let twice = all.len() - once.len();
        assert!(twice <= usize::from(first), "{got:?} {done:?}");
        assert!(ring.core().drained());
        let mut next = Party::new(&ring, 0);
        assert!(next.reserve().is_some() && next.reserve().is_some());
        (first, second)
    });
    assert!(pairs > 40, "only {pairs} pairs of crash points");
}

#[test]
fn loom_one_of_two_who_leave_at_once_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = Ring::new(3);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        ring.join(1, WRITER);
        Party::new(&ring, 1).write(1);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let victim = || Party::new(&other, 0).leave();
            two_deaths(&other, 0, (k, victim), (j, || sweep(&other, 0)))
        });
        let last = ring.clone();
        let leaver = thread::spawn(move || Party::new(&last, 1).leave());
        let got = Party::new(&ring, 2).read_to_end(base);
        let clean = ring.core().clean_since(base);
        leaver.join().unwrap();
        let (first, second, was_writer) = dead.join().unwrap();
        assert_eq!((got, clean), (vec![1], !was_writer));
        assert_eq!(ring.core().stream().state(), StreamState::Ended);
        (first, second)
    });
    assert!(pairs > 15, "only {pairs} pairs of crash points");
}

#[test]
fn loom_a_writer_killed_at_any_step_of_joining_while_the_last_one_leaves() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = Ring::new(3);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(1, WRITER);
        Party::new(&ring, 1).write(1);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let victim = || other.join(0, WRITER);
            two_deaths(&other, 0, (k, victim), (j, || sweep(&other, 0)))
        });
        let last = ring.clone();
        let leaver = thread::spawn(move || Party::new(&last, 1).leave());
        let got = Party::new(&ring, 2).read_to_end(base);
        leaver.join().unwrap();
        let (first, second, _) = dead.join().unwrap();
        assert_eq!(got, [1]);
        assert_eq!(ring.core().stream().state(), StreamState::Ended);
        (first, second)
    });
    assert!(pairs > 8, "only {pairs} pairs of crash points");
}

#[test]
fn loom_a_newcomer_killed_at_any_step_in_a_dead_writers_entry() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let victim = || Party::new(&other, 0).write(1);
            let newcomer = || {
                sweep(&other, 0);
                other.join(0, WRITER);
                Party::new(&other, 0).write(2);
            };
            two_deaths(&other, 0, (k, victim), (j, newcomer))
        });
        let mut got = Party::new(&ring, 1).read_to_end(base);
        let (first, second, _) = dead.join().unwrap();
        // The newcomer's was a stream of its own, or the same.
        got.extend(Party::new(&ring, 1).read_to_end(base));
        assert!(got.is_sorted(), "{got:?}");
        assert!(first || got.contains(&1), "{got:?}");
        assert!(second || got.contains(&2), "{got:?}");
        assert!(!ring.core().clean_since(base), "a writer died");
        let counters = &ring.entries[0].counters;
        let counted = counters.written_nodes.load(Ordering::Relaxed);
        assert_eq!(counted, got.len() as u64, "the counters tell the truth");
        let mut next = Party::new(&ring, 0);
        assert!(next.reserve().is_some() && next.reserve().is_some());
        (first, second)
    });
    assert!(pairs > 200, "only {pairs} pairs of crash points");
}

#[test]
fn loom_a_writer_killed_at_any_step_of_inheriting_an_unclean_mark() {
    let steps = for_every_crash_point(2, |k| {
        let ring = Ring::new(3);
        ring.join(2, READER);
        let base = ring.core().base();
        // A stream whose writer died, and that has left something behind.
        ring.join(1, WRITER);
        Party::new(&ring, 1).write(1);
        ring.recover(1);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || other.join(0, WRITER));
            other.recover(0);
            end.is_err()
        });
        ring.join(1, WRITER);
        // Where one stands that comes with the new stream.
        let late = ring.core().base();
        Party::new(&ring, 1).leave();
        let died = victim.join().unwrap();
        for base in [base, late] {
            assert!(!ring.core().clean_since(base), "what is left is incomplete");
        }
        assert_eq!(Party::new(&ring, 2).read_to_end(base), [1]);
        died
    });
    assert!(steps >= 3, "only {steps} crash points were visited");
}
