//! The deaths of those who recover, and of those who let others work under
//! their lock: every pair of steps of a victim and of its recoverer.

use super::*;
use crate::sync::explore::for_every_pair_of_crash_points;

/// A victim in entry 0 dies before its change number `k`, and who recovers it
/// before its change number `j`; a writer waits for its lock meanwhile.
fn two_deaths(k: u32, j: u32, victim: fn(&Shared)) -> (bool, bool) {
    let shared = Shared::new(2);
    shared.join_all(&[WRITER, WRITER]);
    let other = shared.clone();
    let dead = thread::spawn(move || {
        let first = Fuse::burn(k, || victim(&other)).is_err();
        let second = Fuse::burn(j, || other.recover(0)).is_err();
        other.recover(0);
        (first, second)
    });
    shared.write(1);
    let died = dead.join().unwrap();
    shared.is_free();
    let [one, two] = shared.look();
    let marks = shared.core().marks();
    assert!(one == two || marks != 0, "torn, and nobody told");
    assert!(died.0 || marks == 0, "nobody died");
    died
}

#[test]
fn loom_lock_a_recoverer_of_a_writer_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(2, |k, j| two_deaths(k, j, |s| s.write(0)));
    assert!(pairs > 30, "only {pairs} pairs of crash points");
}

#[test]
fn loom_lock_a_recoverer_of_a_reader_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(2, |k, j| two_deaths(k, j, |s| s.read_once(0)));
    assert!(pairs > 10, "only {pairs} pairs of crash points");
}

/// Writes, and lets others work under its lock.
fn grant(shared: &Shared) {
    shared.write_lock(0);
    shared.core().open_pass(0, 7);
    let marks = shared.core().marks();
    shared.increment();
    shared.core().close_pass(0);
    shared.wait_for_workers(0);
    shared.write_unlock(Written::Complete { marks });
}

#[test]
fn loom_lock_a_recoverer_of_one_who_grants_a_pass_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(2, |k, j| two_deaths(k, j, grant));
    assert!(pairs > 40, "only {pairs} pairs of crash points");
}

#[test]
fn loom_lock_who_grants_a_pass_killed_at_any_step_among_those_who_work_under_it() {
    let steps = for_every_crash_point(2, |k| {
        let shared = Shared::new(3);
        shared.join_all(&[WRITER, WRITER, WRITER]);
        let other = shared.clone();
        let grantor = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                other.write_lock(0);
                other.core().open_pass(0, 7);
                other.core().close_pass(0);
                other.wait_for_workers(0);
                other.write_unlock(Written::Nothing);
            });
            other.recover(0);
            end.is_err()
        });
        let other = shared.clone();
        let worker = thread::spawn(move || {
            if other.core().try_work(1, 0, 7, true) {
                other.increment();
                other.core().end_work(1);
            }
            other.signal_drained();
        });
        // Has to wait for the grantor, and for who works under its lock.
        shared.write(2);
        worker.join().unwrap();
        let died = grantor.join().unwrap();
        shared.is_free();
        let [one, two] = shared.look();
        assert_eq!(one, two, "nobody died in the middle of its changes");
        died
    });
    assert!(steps >= 6, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_reader_waits_for_who_stores_under_the_pass_of_a_dead_one() {
    let steps = for_every_crash_point(1, |k| {
        let shared = Shared::new(3);
        shared.join_all(&[WRITER, WRITER, READER]);
        shared.write_lock(0);
        shared.core().open_pass(0, 7);
        let other = shared.clone();
        let grantor = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                other.core().close_pass(0);
                other.wait_for_workers(0);
                other.write_unlock(Written::Nothing);
            });
            other.recover(0);
            end.is_err()
        });
        // Loom reports it if this one looks while the survivor stores.
        let other = shared.clone();
        let reader = thread::spawn(move || other.read_once(2));
        let marks = shared.core().marks();
        if shared.core().try_work(1, 0, 7, true) {
            shared.increment();
            shared.core().note(Written::Complete { marks });
            shared.core().end_work(1);
        }
        shared.signal_drained();
        shared.signal_free();
        reader.join().unwrap();
        let died = grantor.join().unwrap();
        shared.is_free();
        died
    });
    assert!(steps >= 3, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_reader_under_a_pass_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(2, |k, j| {
        let shared = Shared::new(2);
        shared.join_all(&[WRITER, READER]);
        shared.write_lock(0);
        shared.core().open_pass(0, 7);
        let other = shared.clone();
        let dead = thread::spawn(move || {
            let victim = || {
                if other.core().try_work(1, 0, 7, false) {
                    other.look();
                    other.core().end_work(1);
                }
                other.signal_drained();
            };
            let first = Fuse::burn(k, victim).is_err();
            let second = Fuse::burn(j, || other.recover(1)).is_err();
            other.recover(1);
            (first, second)
        });
        shared.core().close_pass(0);
        shared.wait_for_workers(0);
        shared.increment();
        shared.write_unlock(Written::Complete { marks: 0 });
        let died = dead.join().unwrap();
        shared.is_free();
        assert_eq!(shared.core().marks(), 0, "only a reader died");
        died
    });
    assert!(pairs > 8, "only {pairs} pairs of crash points");
}
