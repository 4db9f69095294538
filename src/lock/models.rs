//! Loom models of the lock: every interleaving (within a bound on
//! preemptions) of a few holders, and every crash point.
//!
//! A death is what [`Fuse`] makes of it, as in the ring's models: the victim
//! stops before its k-th change of a shared atomic, for every k, and what
//! follows in its thread is a recoverer's.
//!
//! The payload is two words that every write changes together, behind a cell
//! that reports any access which is not ordered after the one before it. The
//! words are atomics too, so that a victim can die between the two: then, and only
//! then, they may differ, and the next locker must have been told.

use super::layout::{LockWords, WriterWord};
use super::protocol::{Core, Written};
use crate::segment::layout::{Entry, READER, WRITER};
use crate::sync::atomic::{AtomicU64, Fuse, Ordering, fence, fence_after_rmw};
use crate::sync::explore::{check, for_every_crash_point};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod deaths;

struct Shared {
    words: LockWords,
    entries: Vec<Entry>,
    exclusive: UnsafeCell<()>,
    payload: [AtomicU64; 2],
}

// SAFETY: the cell is what the lock protects, and loom checks that it does.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

const ALL: u32 = 9;

impl Shared {
    fn new(entries: u32) -> Arc<Shared> {
        Arc::new(Shared {
            words: LockWords::default(),
            entries: (0..entries).map(|_| Entry::default()).collect(),
            exclusive: UnsafeCell::new(()),
            payload: Default::default(),
        })
    }

    fn core(&self) -> Core<'_> {
        Core {
            words: &self.words,
            entries: &self.entries,
        }
    }

    fn join(&self, slot: u32, state: u32) {
        self.entries[slot as usize]
            .state
            .store(state, Ordering::Release);
    }

    fn join_all(&self, roles: &[u32]) {
        (0..)
            .zip(roles)
            .for_each(|(slot, role)| self.join(slot, *role));
    }

    fn signal_free(&self) {
        fence_after_rmw();
        let free = &self.words.free.0;
        free.signal(ALL, |n| free.wake(n));
    }

    fn signal_drained(&self) {
        fence_after_rmw();
        let drained = &self.words.drained.0;
        drained.signal(ALL, |n| drained.wake(n));
    }

    fn recover(&self, slot: u32) {
        self.core().recover(slot);
        fence(Ordering::SeqCst);
        self.signal_free();
        self.signal_drained();
    }

    fn try_read(&self, slot: u32) -> bool {
        let got = self.core().try_read(slot);
        if !got {
            self.signal_drained();
        }
        got
    }

    fn read_lock(&self, slot: u32) {
        let free = &self.words.free.0;
        while !self.try_read(slot) {
            let ticket = free.arm();
            if self.try_read(slot) {
                break;
            }
            free.sleep(ticket);
        }
    }

    fn read_unlock(&self, slot: u32) {
        self.core().unread(slot);
        self.signal_drained();
    }

    fn write_lock(&self, slot: u32) {
        let (free, drained) = (&self.words.free.0, &self.words.drained.0);
        while !self.core().try_claim(slot) {
            let ticket = free.arm();
            if self.core().try_claim(slot) {
                break;
            }
            free.sleep(ticket);
        }
        while self.core().a_reader().is_some() {
            let ticket = drained.arm();
            if self.core().a_reader().is_none() {
                break;
            }
            drained.sleep(ticket);
        }
        self.core().hold();
    }

    fn write_unlock(&self, written: Written) {
        self.core().unwrite(written);
        self.signal_free();
    }

    /// Until nobody works under the lock of `slot`.
    fn wait_for_workers(&self, slot: u32) {
        let drained = &self.words.drained.0;
        while self.core().a_worker(slot).is_some() {
            let ticket = drained.arm();
            if self.core().a_worker(slot).is_none() {
                break;
            }
            drained.sleep(ticket);
        }
    }

    /// Adds 1 to both words.
    fn increment(&self) {
        for word in &self.payload {
            let value = self.exclusive.with_mut(|_| word.load(Ordering::Relaxed));
            word.store(value + 1, Ordering::Relaxed);
        }
        self.exclusive.with_mut(|_| ());
    }

    fn look(&self) -> [u64; 2] {
        self.exclusive
            .with(|_| [0, 1].map(|i| self.payload[i].load(Ordering::Relaxed)))
    }

    /// Writes, having been told whether a dead writer left the words torn.
    fn write(&self, slot: u32) {
        self.write_lock(slot);
        let marks = self.core().marks();
        let [one, two] = self.look();
        if one != two {
            assert!(marks != 0, "torn, and nobody told");
            self.payload[1].store(one, Ordering::Relaxed);
        }
        self.increment();
        self.write_unlock(Written::Complete { marks });
    }

    /// Reads; what it saw, unless it was told that it may be torn.
    fn read(&self, slot: u32) -> Option<u64> {
        self.read_lock(slot);
        let [one, two] = self.look();
        let told = self.core().marks() != 0;
        assert!(one == two || told, "torn, and nobody told");
        self.read_unlock(slot);
        (!told).then_some(one)
    }

    fn read_once(&self, slot: u32) {
        self.read(slot);
    }

    fn is_free(&self) {
        assert_eq!(self.core().writer(), WriterWord::FREE);
        assert_eq!(self.core().a_reader(), None);
    }
}

#[test]
fn loom_lock_two_writers_and_a_reader_exclude_each_other() {
    check(2, || {
        let shared = Shared::new(3);
        shared.join_all(&[WRITER, WRITER, READER]);
        let writers = [0, 1].map(|slot| {
            let shared = shared.clone();
            thread::spawn(move || shared.write(slot))
        });
        let seen = shared.read(2);
        assert!(seen.is_some_and(|seen| seen <= 2));
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(shared.look(), [2, 2], "no increment is lost");
        shared.is_free();
    });
}

#[test]
fn loom_lock_a_writer_and_two_readers_exclude_each_other() {
    check(2, || {
        let shared = Shared::new(3);
        shared.join_all(&[WRITER, READER, READER]);
        let readers = [1, 2].map(|slot| {
            let shared = shared.clone();
            thread::spawn(move || shared.read(slot))
        });
        shared.write(0);
        for reader in readers {
            assert!(reader.join().unwrap().is_some());
        }
        shared.is_free();
    });
}

#[test]
fn loom_lock_of_one_entry_read_by_two_threads() {
    check(3, || {
        let shared = Shared::new(2);
        shared.join_all(&[WRITER, READER]);
        let other = shared.clone();
        let reader = thread::spawn(move || other.read(1));
        shared.read(1);
        shared.write(0);
        assert!(reader.join().unwrap().is_some());
        shared.is_free();
    });
}

/// A victim in entry 0 dies before its change number `k`, or comes to its
/// end; a writer and a reader go on meanwhile.
fn a_death(k: u32, victim: fn(&Shared), others: [Option<u32>; 2]) -> bool {
    let shared = Shared::new(3);
    shared.join(0, WRITER);
    let mut threads = Vec::new();
    let dying = shared.clone();
    threads.push(thread::spawn(move || {
        let end = Fuse::burn(k, || victim(&dying));
        dying.recover(0);
        Some(u64::from(end.is_err()))
    }));
    let [reader, writer] = others;
    if let Some(slot) = reader {
        shared.join(slot, READER);
        let other = shared.clone();
        threads.push(thread::spawn(move || other.read(slot)));
    }
    if let Some(slot) = writer {
        shared.join(slot, WRITER);
        shared.write(slot);
    }
    let died = threads.remove(0).join().unwrap() == Some(1);
    for thread in threads {
        thread.join().unwrap();
    }
    shared.is_free();
    let [one, two] = shared.look();
    assert!(one == two || (shared.core().marks() != 0));
    if !died {
        assert!(!(shared.core().marks() != 0), "nobody died");
    }
    died
}

#[test]
fn loom_lock_a_writer_killed_at_any_step_does_not_hold_up_another() {
    let steps = for_every_crash_point(3, |k| a_death(k, |s| s.write(0), [None, Some(1)]));
    assert!(steps >= 7, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_writer_killed_at_any_step_does_not_hold_up_a_reader() {
    let steps = for_every_crash_point(3, |k| a_death(k, |s| s.write(0), [Some(2), None]));
    assert!(steps >= 7, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_writer_killed_at_any_step_among_a_writer_and_a_reader() {
    let steps = for_every_crash_point(2, |k| a_death(k, |s| s.write(0), [Some(2), Some(1)]));
    assert!(steps >= 7, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_reader_killed_at_any_step_does_not_hold_up_a_writer() {
    let steps = for_every_crash_point(3, |k| a_death(k, |s| s.read_once(0), [None, Some(1)]));
    assert!(steps >= 2, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_reader_killed_at_any_step_among_a_writer_and_a_reader() {
    let steps = for_every_crash_point(2, |k| a_death(k, |s| s.read_once(0), [Some(2), Some(1)]));
    assert!(steps >= 2, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_a_recoverer_killed_at_any_step_is_made_up_for_by_the_next() {
    let steps = for_every_crash_point(3, |k| {
        let shared = Shared::new(2);
        shared.join(0, WRITER);
        shared.join(1, WRITER);
        // The first victim dies in the middle of its write.
        shared.write_lock(0);
        shared.payload[0].store(1, Ordering::Relaxed);
        let other = shared.clone();
        let second = thread::spawn(move || {
            let end = Fuse::burn(k, || other.recover(0));
            other.recover(0);
            end.is_err()
        });
        shared.write(1);
        let died = second.join().unwrap();
        shared.is_free();
        assert_eq!(shared.look(), [2, 2]);
        died
    });
    assert!(steps >= 5, "only {steps} crash points were visited");
}

/// The holder of entry 0 lets the one of entry 1 store under a pass, who
/// dies before its change number `k`; `written` is how the holder then ends.
/// A reader who waits meanwhile, and one who comes after, must be told.
fn a_death_under_a_pass(k: u32, written: Written, waits: bool) -> bool {
    let shared = Shared::new(3);
    shared.join_all(&[WRITER, WRITER, READER]);
    shared.write_lock(0);
    shared.core().open_pass(0, 7);
    let other = shared.clone();
    let victim = thread::spawn(move || {
        let end = Fuse::burn(k, || {
            if other.core().try_work(1, 0, 7, true) {
                let marks = other.core().marks();
                other.increment();
                other.core().note(Written::Complete { marks });
                other.core().end_work(1);
            }
            other.signal_drained();
        });
        other.recover(1);
        end.is_err()
    });
    let reader = waits.then(|| {
        let other = shared.clone();
        thread::spawn(move || other.read(2))
    });
    shared.core().close_pass(0);
    shared.wait_for_workers(0);
    shared.write_unlock(written);
    shared.read(if waits { 0 } else { 2 });
    let died = victim.join().unwrap();
    if let Some(reader) = reader {
        reader.join().unwrap();
    }
    shared.is_free();
    let [one, two] = shared.look();
    assert!(one == two || shared.core().marks() != 0);
    died
}

#[test]
fn loom_lock_a_victim_storing_under_a_pass_leaves_word() {
    let steps = for_every_crash_point(3, |k| a_death_under_a_pass(k, Written::Nothing, false));
    assert!(steps >= 5, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_what_was_torn_under_a_pass_is_not_forgiven_by_the_holder() {
    let steps = for_every_crash_point(3, |k| {
        a_death_under_a_pass(k, Written::Complete { marks: 0 }, false)
    });
    assert!(steps >= 5, "only {steps} crash points were visited");
}

#[test]
fn loom_lock_who_waited_is_told_of_a_death_under_a_pass() {
    let steps = for_every_crash_point(2, |k| {
        a_death_under_a_pass(k, Written::Complete { marks: 0 }, true)
    });
    assert!(steps >= 5, "only {steps} crash points were visited");
}
