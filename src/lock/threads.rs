//! Writers and readers as threads over a lock on the heap: what Miri can look
//! at. The payload is plain memory: if the protocol let a writer in beside
//! anybody, that would be a data race, and Miri and ThreadSanitizer say so.

use super::layout::LockWords;
use super::protocol::{Core, Written};
use crate::segment::layout::Entry;
use std::cell::UnsafeCell;

/// How often each party takes the lock: Miri is a thousand times slower.
const TURNS: u64 = if cfg!(miri) { 30 } else { 3_000 };

/// A lock and what is behind it.
struct Memory {
    words: LockWords,
    entries: Vec<Entry>,
    payload: UnsafeCell<[u64; 8]>,
}

// SAFETY: the payload is touched by whoever the protocol lets in; that this
// suffices is what is tested.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(entries: usize) -> Memory {
        Memory {
            words: LockWords::default(),
            entries: (0..entries).map(|_| Entry::default()).collect(),
            payload: UnsafeCell::new([0; 8]),
        }
    }

    fn core(&self) -> Core<'_> {
        Core {
            words: &self.words,
            entries: &self.entries,
        }
    }

    fn write(&self, slot: u32) {
        let core = self.core();
        while !core.try_claim(slot) {
            std::thread::yield_now();
        }
        while core.a_reader().is_some() {
            std::thread::yield_now();
        }
        core.hold();
        // SAFETY: the write lock is this thread's.
        unsafe { (*self.payload.get()).iter_mut() }.for_each(|word| *word += 1);
        core.unwrite(Written::Complete { marks: 0 });
    }

    fn read(&self, slot: u32) -> [u64; 8] {
        let core = self.core();
        while !core.try_read(slot) {
            std::thread::yield_now();
        }
        // SAFETY: a read lock is this thread's.
        let seen = unsafe { *self.payload.get() };
        core.unread(slot);
        seen
    }
}

#[test]
fn a_writer_is_alone() {
    let memory = Memory::new(4);
    std::thread::scope(|scope| {
        let memory = &memory;
        for slot in 0..2 {
            scope.spawn(move || (0..TURNS).for_each(|_| memory.write(slot)));
        }
        for slot in 2..4 {
            scope.spawn(move || {
                let mut last = 0;
                for _ in 0..TURNS {
                    let seen = memory.read(slot);
                    assert_eq!(seen, [seen[0]; 8], "torn");
                    assert!(seen[0] >= last, "an old one");
                    last = seen[0];
                }
            });
        }
    });
    assert_eq!(memory.read(2), [2 * TURNS; 8]);
}

#[test]
fn a_dead_writers_lock_is_taken_over_among_the_living() {
    let memory = Memory::new(3);
    let core = memory.core();
    assert!(core.try_claim(0));
    core.hold();
    std::thread::scope(|scope| {
        let memory = &memory;
        scope.spawn(move || (0..TURNS).for_each(|_| memory.write(1)));
        scope.spawn(move || (0..TURNS).for_each(|_| _ = memory.read(2)));
        scope.spawn(move || memory.core().recover(0));
    });
    assert_eq!(memory.read(2), [TURNS; 8]);
    assert_eq!(core.marks(), 1, "nobody wrote all of it since");
}
