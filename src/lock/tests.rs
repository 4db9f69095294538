//! The lock over real segments, and over the deaths that one process can play.

use super::layout::LOCK_SIZE;
use super::protocol::MOST_READS;
use super::*;
use crate::segment::layout::{DEFAULT_PARTICIPANTS, EMPTY};
use crate::segment::{self, Kind, Name, OpenOptions, Plan, structure_offset};
use crate::sync::atomic::Ordering;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A buffer of a page, removed when dropped.
struct Segment(Name);

impl Segment {
    fn new() -> Segment {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, SeqCst);
        let name = format!("lock-test-{}-{number}", std::process::id());
        let name = Name::new(&name).unwrap();
        let structure = structure_offset(DEFAULT_PARTICIPANTS);
        let payload_offset = (structure + LOCK_SIZE).next_multiple_of(PAYLOAD_ALIGN);
        let plan = Plan {
            kind: Kind::Buffer,
            participants: DEFAULT_PARTICIPANTS,
            payload_offset,
            total_size: payload_offset + 4096,
            geometry: [4096, 0, 0, 0, 0, 0, 0, 0],
            mode: 0o600,
        };
        segment::create(&name, &plan, |_| Ok(())).unwrap();
        Segment(name)
    }

    fn attach(&self) -> Locked {
        Locked::attach(&self.0, &AttachOptions::default()).unwrap()
    }

    fn attach_with(&self, passes: &str) -> Locked {
        let options = AttachOptions {
            passes: Some(passes.to_owned()),
            ..AttachOptions::default()
        };
        Locked::attach(&self.0, &options).unwrap()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = segment::remove(&self.0, true, OpenOptions::default());
    }
}

/// Without waiting.
fn at_once() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now()),
        cancelled: None,
    }
}

fn patient() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_secs(30)),
        cancelled: None,
    }
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let segment = Segment::new();
    let (mut one, mut two) = (segment.attach(), segment.attach());
    {
        let _a = one.read(&at_once()).unwrap();
        let _b = two.read(&at_once()).unwrap();
        let mut three = segment.attach();
        assert!(matches!(three.write(&at_once()), Err(LockError::TimedOut)));
        // Having waited in vain, it is not in the readers' way.
        let _c = three.read(&at_once()).unwrap();
    }
    let writing = one.write(&at_once()).unwrap();
    assert!(matches!(two.read(&at_once()), Err(LockError::TimedOut)));
    assert!(matches!(two.write(&at_once()), Err(LockError::TimedOut)));
    assert_eq!(two.stats().waits, 2);
    drop(writing);
    drop(two.write(&at_once()).unwrap());
}

#[test]
fn one_handle_may_read_twice_and_from_two_threads() {
    let segment = Segment::new();
    let one = segment.attach();
    let first = one.read(&at_once()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(one.read(&at_once()).unwrap()));
    });
    let mut other = segment.attach();
    assert!(other.write(&at_once()).is_err(), "the first is still there");
    drop(first);
    drop(other.write(&at_once()).unwrap());
}

/// For ThreadSanitizer: handles of one mapping, so that all use the same
/// addresses. Each write is a whole one, or somebody's guard let two in.
#[test]
fn threads_over_one_mapping_never_meet() {
    let segment = Segment::new();
    let first = segment.attach();
    let again = || Locked::over(first.mapping().clone(), &AttachOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for number in 1..=2 {
            let mut locked = again();
            scope.spawn(move || {
                for _ in 0..1_000 {
                    locked.write(&patient()).unwrap().bytes_mut().fill(number);
                }
            });
        }
        for _ in 0..2 {
            let locked = again();
            scope.spawn(move || {
                for _ in 0..1_000 {
                    let guard = locked.read(&patient()).unwrap();
                    let value = guard.bytes()[0];
                    assert!(guard.bytes().iter().all(|byte| *byte == value), "torn");
                }
            });
        }
    });
}

#[test]
fn whoever_waits_is_woken() {
    let segment = Segment::new();
    let mut one = segment.attach();
    let writing = one.write(&at_once()).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let other = segment.attach();
            let guard = other.read(&patient()).unwrap();
            guard.bytes()[0]
        });
        let mut writing = writing;
        std::thread::sleep(Duration::from_millis(20));
        writing.bytes_mut()[0] = 7;
        drop(writing);
        assert_eq!(reader.join().unwrap(), 7);
    });
    assert_eq!(unsignalled(&one), 0);
}

fn unsignalled(locked: &Locked) -> u64 {
    let entries = locked.mapping().entries();
    let of = |entry: &crate::segment::layout::Entry| {
        entry.counters.unsignalled_slices.load(Ordering::Relaxed)
    };
    entries.iter().map(of).sum()
}

#[test]
fn no_increment_is_lost_between_threads() {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 500;
    let segment = Segment::new();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut locked = segment.attach();
                barrier.wait();
                for round in 0..ROUNDS {
                    if round % 4 == 0 {
                        let guard = locked.read(&patient()).unwrap();
                        let bytes = guard.bytes();
                        assert_eq!(bytes[..8], bytes[8..16], "never half a write");
                    }
                    let mut guard = locked.write(&patient()).unwrap();
                    let bytes = guard.bytes_mut();
                    let count = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 1;
                    bytes[..8].copy_from_slice(&count.to_le_bytes());
                    bytes[8..16].copy_from_slice(&count.to_le_bytes());
                }
            });
        }
    });
    let locked = segment.attach();
    let guard = locked.read(&at_once()).unwrap();
    let count = u64::from_le_bytes(guard.bytes()[..8].try_into().unwrap());
    assert_eq!(count, THREADS as u64 * ROUNDS);
    assert_eq!(unsignalled(&locked), 0);
}

#[test]
fn a_dead_writers_lock_goes_to_the_next_who_is_told() {
    let segment = Segment::new();
    let mut victim = segment.attach();
    let mut next = segment.attach();
    std::mem::forget(victim.write(&at_once()).unwrap());
    victim.die();
    let guard = next.read(&patient()).unwrap();
    assert!(guard.owner_died());
    drop(guard);
    let guard = next.write(&at_once()).unwrap();
    assert!(guard.owner_died(), "reading did not make it whole");
    guard.release_unwritten();
    let guard = next.write(&at_once()).unwrap();
    assert!(guard.owner_died(), "nor did writing nothing");
    drop(guard);
    assert!(!next.read(&at_once()).unwrap().owner_died());
}

#[test]
fn a_dead_reader_is_in_nobodys_way_and_no_news() {
    let segment = Segment::new();
    let victim = segment.attach();
    let mut next = segment.attach();
    std::mem::forget(victim.read(&at_once()).unwrap());
    victim.die();
    let guard = next.write(&patient()).unwrap();
    assert!(!guard.owner_died());
}

#[test]
fn marks_that_come_round_are_marks_still() {
    let segment = Segment::new();
    let mut one = segment.attach();
    one.core().words.marks.store(u32::MAX, SeqCst);
    one.write(&at_once()).unwrap().release_incomplete();
    assert!(one.write(&at_once()).unwrap().owner_died(), "it is torn");
    assert!(!one.write(&at_once()).unwrap().owner_died(), "it was whole");
}

#[test]
fn reads_without_number_do_not_come_round_to_none() {
    let segment = Segment::new();
    let (one, mut other) = (segment.attach(), segment.attach());
    let reading = &one.membership().entry().reading;
    reading.store(MOST_READS - 1, SeqCst);
    let last = one.read(&at_once()).unwrap();
    assert!(matches!(one.read(&at_once()), Err(LockError::TimedOut)));
    assert_eq!(reading.load(SeqCst), MOST_READS);
    assert!(other.write(&at_once()).is_err(), "they are all there");
    drop(last);
    drop(one.read(&at_once()).unwrap());
}

#[test]
fn attaching_recovers_the_dead() {
    let segment = Segment::new();
    let mut victim = segment.attach();
    std::mem::forget(victim.write(&at_once()).unwrap());
    let slot = victim.slot();
    victim.die();
    let next = segment.attach();
    assert!(next.read(&at_once()).unwrap().owner_died());
    let dead = &next.mapping().entries()[slot as usize];
    assert_eq!(dead.state.load(Ordering::Relaxed), EMPTY);
}

#[test]
fn a_writer_that_dies_waiting_for_readers_has_torn_nothing() {
    let segment = Segment::new();
    let reader = segment.attach();
    let victim = segment.attach();
    let guard = reader.read(&at_once()).unwrap();
    assert!(victim.core().try_claim(victim.slot()));
    victim.die();
    let mut next = segment.attach();
    drop(guard);
    assert!(!next.write(&patient()).unwrap().owner_died());
}

#[test]
fn a_writer_that_panics_leaves_word() {
    let segment = Segment::new();
    let mut locked = segment.attach();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = locked.write(&at_once()).unwrap();
        std::panic::resume_unwind(Box::new("half-way"));
    }));
    assert!(caught.is_err());
    assert!(locked.read(&at_once()).unwrap().owner_died());
    locked.write(&at_once()).unwrap().release_incomplete();
    assert!(locked.write(&at_once()).unwrap().owner_died());
}

#[test]
fn a_forgotten_guard_ends_with_its_handle() {
    let segment = Segment::new();
    let mut next = segment.attach();
    let mut careless = segment.attach();
    std::mem::forget(careless.write(&at_once()).unwrap());
    drop(careless);
    assert!(next.write(&at_once()).unwrap().owner_died());
    let careless = segment.attach();
    std::mem::forget(careless.read(&at_once()).unwrap());
    drop(careless);
    assert!(!next.write(&at_once()).unwrap().owner_died());
}

#[test]
fn a_handle_for_reading_does_not_write() {
    let segment = Segment::new();
    let options = AttachOptions {
        access: Access::Read,
        ..AttachOptions::default()
    };
    let mut locked = Locked::attach(&segment.0, &options).unwrap();
    assert!(matches!(
        locked.write(&at_once()),
        Err(LockError::ReadOnly { .. })
    ));
    assert_eq!(locked.read(&at_once()).unwrap().bytes().len(), 4096);
}

#[test]
fn a_wait_ends_when_it_is_told_to() {
    let segment = Segment::new();
    let mut one = segment.attach();
    let two = segment.attach();
    let _writing = one.write(&at_once()).unwrap();
    let wait = Wait {
        deadline: None,
        cancelled: Some(&|| true),
    };
    assert!(matches!(two.read(&wait), Err(LockError::Cancelled)));
}

#[test]
fn a_removed_segment_ends_waits_and_new_locks() {
    let segment = Segment::new();
    let mut one = segment.attach();
    let two = segment.attach();
    let writing = one.write(&at_once()).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| two.read(&patient()).map(drop));
        std::thread::sleep(Duration::from_millis(20));
        let mapping = segment::remove(&segment.0, true, OpenOptions::default());
        wake_everybody(&mapping.unwrap().unwrap()).unwrap();
        assert!(matches!(
            waiter.join().unwrap(),
            Err(LockError::Gone { .. })
        ));
    });
    drop(writing);
    assert!(matches!(one.write(&at_once()), Err(LockError::Gone { .. })));
}

#[test]
fn under_a_pass_nobody_waits_for_the_lock_it_is_for() {
    let segment = Segment::new();
    let mut outer = segment.attach();
    let pass = outer.pass(Mode::Write);
    let mut inner = segment.attach_with(&format!("garbage {pass} 1:2:3:4:r"));
    assert_eq!(inner.passes().len(), 1);
    let writing = outer.write(&at_once()).unwrap();
    inner.write(&at_once()).unwrap().bytes_mut()[0] = 1;
    assert_eq!(inner.read(&at_once()).unwrap().bytes()[0], 1);
    drop(writing);

    // The lock is over, and so is the pass, also for the holder's next lock.
    let own = outer.write(&at_once()).unwrap();
    assert!(matches!(inner.read(&at_once()), Err(LockError::TimedOut)));
    drop(own);
    let mut other = segment.attach();
    let _writing = other.write(&at_once()).unwrap();
    assert!(matches!(inner.read(&at_once()), Err(LockError::TimedOut)));
    assert!(matches!(inner.write(&at_once()), Err(LockError::TimedOut)));
}

#[test]
fn under_a_pass_for_reading_nobody_writes() {
    let segment = Segment::new();
    let outer = segment.attach();
    let mut inner = segment.attach_with(&outer.pass(Mode::Read));
    let reading = outer.read(&at_once()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = segment.attach();
            assert!(writer.write(&patient()).is_ok());
        });
        // A writer waits for the outer lock, which must not wait for us.
        while outer.core().writer() == super::layout::WriterWord::FREE {
            std::thread::yield_now();
        }
        {
            let _two = (
                inner.read(&at_once()).unwrap(),
                inner.read(&at_once()).unwrap(),
            );
        }
        assert!(matches!(
            inner.write(&at_once()),
            Err(LockError::UnderReadLock { .. })
        ));
        drop(reading);
    });
}

#[test]
fn a_lock_lasts_until_those_are_done_who_work_under_it() {
    let segment = Segment::new();
    let mut outer = segment.attach();
    let inner = segment.attach_with(&outer.pass(Mode::Write));
    let other = segment.attach();
    let writing = outer.write(&at_once()).unwrap();
    let working = inner.read(&at_once()).unwrap();
    std::thread::scope(|scope| {
        let release = scope.spawn(|| drop(writing));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!release.is_finished(), "it waits for the reader under it");
        assert!(matches!(other.read(&at_once()), Err(LockError::TimedOut)));
        drop(working);
    });
    drop(other.read(&at_once()).unwrap());
    drop(inner);
    assert_eq!(unsignalled(&outer), 0);
}

#[test]
fn a_pass_of_an_entrys_former_holder_counts_for_nothing() {
    let segment = Segment::new();
    let outer = segment.attach();
    let old = outer.pass(Mode::Write);
    let slot = outer.slot();
    drop(outer);
    let mut another = segment.attach();
    assert_eq!(another.slot(), slot, "the same entry");
    another.pass(Mode::Write);
    let _writing = another.write(&at_once()).unwrap();
    let inner = segment.attach_with(&old);
    assert!(matches!(inner.read(&at_once()), Err(LockError::TimedOut)));
}

#[test]
fn who_dies_storing_under_a_pass_leaves_word_however_the_holder_ends() {
    for complete in [false, true] {
        let segment = Segment::new();
        let mut outer = segment.attach();
        let waiter = segment.attach();
        let pass = outer.pass(Mode::Write);
        let mut victim = segment.attach_with(&pass);
        let writing = outer.write(&at_once()).unwrap();
        std::mem::forget(victim.write(&at_once()).unwrap());
        victim.die();
        match complete {
            true => drop(writing),
            false => writing.release_unwritten(),
        }
        // Also one who was attached before, and only waited.
        assert!(waiter.read(&at_once()).unwrap().owner_died());
        assert!(segment.attach().read(&at_once()).unwrap().owner_died());
    }
}

#[test]
fn who_stores_under_the_pass_of_a_dead_one_keeps_readers_out() {
    let segment = Segment::new();
    let mut outer = segment.attach();
    let other = segment.attach();
    let mut inner = segment.attach_with(&outer.pass(Mode::Write));
    std::mem::forget(outer.write(&at_once()).unwrap());
    let storing = inner.write(&at_once()).unwrap();
    outer.die();
    let late = segment.attach(); // recovers the dead
    for reader in [&other, &late] {
        assert!(matches!(reader.read(&at_once()), Err(LockError::TimedOut)));
    }
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| late.read(&patient()).unwrap().owner_died());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished(), "it waits for who stores");
        drop(storing);
        assert!(waiting.join().unwrap(), "a writer died, if not this one");
    });
    assert_eq!(unsignalled(&late), 0);
    // One that dies as well is in nobody's way.
    let mut outer = segment.attach();
    let mut victim = segment.attach_with(&outer.pass(Mode::Write));
    std::mem::forget(outer.write(&at_once()).unwrap());
    std::mem::forget(victim.write(&at_once()).unwrap());
    outer.die();
    victim.die();
    assert!(late.read(&patient()).unwrap().owner_died());
}

#[test]
fn what_was_torn_before_and_again_under_the_lock_stays_torn() {
    let segment = Segment::new();
    let mut outer = segment.attach();
    outer.write(&at_once()).unwrap().release_incomplete();
    let mut inner = segment.attach_with(&outer.pass(Mode::Write));
    let writing = outer.write(&at_once()).unwrap();
    inner.write(&at_once()).unwrap().release_incomplete();
    drop(writing);
    assert!(outer.read(&at_once()).unwrap().owner_died());
    drop(outer.write(&at_once()).unwrap());
    assert!(!outer.read(&at_once()).unwrap().owner_died());
}

#[test]
fn there_is_an_entry_for_who_comes_with_a_pass() {
    let segment = Segment::new();
    let mut outer = segment.attach();
    let pass = outer.pass(Mode::Write);
    let mut crowd = Vec::new();
    let refused = loop {
        match Locked::attach(&segment.0, &AttachOptions::default()) {
            Ok(locked) => crowd.push(locked),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(
        refused,
        LockError::Segment(segment::SegmentError::SlotsExhausted { .. })
    ));
    assert_eq!(crowd.len() + 1, DEFAULT_PARTICIPANTS as usize - 8);
    let _writing = outer.write(&at_once()).unwrap();
    drop(segment.attach_with(&pass).write(&at_once()).unwrap());
}

#[test]
fn a_lock_that_the_newcomers_own_entry_seems_to_have_is_nobodys() {
    let segment = Segment::new();
    let first = segment.attach();
    let slot = first.slot();
    let mapping = first.mapping().clone();
    drop(first);
    for word in [slot + 1, 1 << 31 | (slot + 1)] {
        let spoiler = segment.attach();
        assert_eq!(spoiler.slot(), slot);
        spoiler.core().words.writer.store(word, Ordering::Relaxed);
        mapping.entries()[slot as usize]
            .reading
            .store(3, Ordering::Relaxed);
        mapping.entries()[slot as usize]
            .under_pass
            .store(5 << 32, Ordering::Relaxed);
        spoiler.die();
        mapping.entries()[slot as usize]
            .state
            .store(EMPTY, Ordering::Relaxed);
        let mut next = segment.attach();
        assert_eq!(next.slot(), slot);
        drop(next.write(&at_once()).unwrap());
    }
}

#[test]
fn a_lock_word_that_makes_no_sense_is_damage_and_no_panic() {
    let segment = Segment::new();
    let mut locked = segment.attach();
    let own = locked.slot() + 1;
    let words = [1 << 31, u32::MAX, 0x7fff_ffff, DEFAULT_PARTICIPANTS + 1];
    for word in words.into_iter().chain([own, 1 << 31 | own]) {
        locked.core().words.writer.store(word, Ordering::Relaxed);
        for refused in [
            locked.read(&patient()).map(drop),
            locked.write(&patient()).map(drop),
        ] {
            assert!(
                matches!(
                    refused,
                    Err(LockError::Segment(segment::SegmentError::Corrupt { .. }))
                ),
                "{word:x}: {refused:?}"
            );
        }
    }
    // A read that nobody has, and that is said to be the writer's own.
    locked.core().words.writer.store(0, Ordering::Relaxed);
    let reading = &locked.core().entries[locked.slot() as usize].reading;
    reading.store(1, Ordering::Relaxed);
    let refused = locked.write(&patient()).map(drop);
    assert!(
        matches!(
            refused,
            Err(LockError::Segment(segment::SegmentError::Corrupt { .. }))
        ),
        "{refused:?}"
    );
    let reading = &locked.core().entries[locked.slot() as usize].reading;
    reading.store(0, Ordering::Relaxed);
    // An entry that nobody holds: as good as dead.
    locked.core().words.writer.store(100, Ordering::Relaxed);
    drop(locked.read(&patient()).unwrap());
}

#[test]
fn a_ring_has_no_lock() {
    let segment = Segment::new();
    let name = Name::new(&format!("{}-ring", segment.0)).unwrap();
    crate::ring::create(&name, crate::ring::Geometry::default(), 0o600).unwrap();
    let refused = Locked::attach(&name, &AttachOptions::default());
    segment::remove(&name, true, OpenOptions::default()).unwrap();
    assert!(matches!(refused, Err(LockError::NoLock { .. })));
}
