//! A word to sleep on: the half of waiting that two processes share.
//!
//! ```text
//! epoch:31 | armed:1
//! ```
//!
//! A waiter *arms* the word, looks once more for what it wants, and sleeps
//! until the word is no longer the one it armed. Whoever makes work
//! publishes it first and then *signals*: one load when nobody is armed. A
//! system call is made only after somebody armed: for each sleeper, and once
//! more to find that there is none left.
//!
//! # Why no wake-up is lost
//!
//! 1. The waiter's arming (a read-modify-write) is followed by a full fence
//!    and then its second look; the signaller's publishing is followed by a
//!    full fence and then its load of the word. Of two full fences one is
//!    first: either the second look sees the work, or the load sees `armed`.
//! 2. A signaller that sees `armed` moves the epoch on *before* it wakes. A
//!    waiter that armed earlier and is not asleep yet finds another word than
//!    the one it armed and does not fall asleep.
//! 3. Arming moves the epoch on too. So the signaller's disarming (a
//!    compare-and-swap from its own epoch, tried only when its wake found
//!    nobody asleep) fails if anybody armed meanwhile, and nobody can be
//!    asleep under a word that is not armed.
//!
//! Who was woken and took work after having slept signals once more: were
//! two signals to fall on one sleeper, the next one comes to look. Who leaves
//! without having taken anything (time-out, interrupt) does the same.
//!
//! What a participant swallows that is *killed or stopped* between its waking
//! and its taking is made good by the wait slice:
//! nobody sleeps longer than [`SLICE`](super::wait::SLICE) without looking.
//!
//! The futexes are process-shared ones: the word lies in the segment.

#[cfg(not(loom))]
use super::atomic::AtomicU64;
use super::atomic::{AtomicU32, Ordering, fence};
use super::crash_point::crash_point;

const ARMED: u32 = 1;
const EPOCH: u32 = 2;

/// The word, as it lies in a segment.
#[cfg_attr(not(loom), repr(C))]
#[derive(Debug, Default)]
pub struct EventWord {
    word: AtomicU32,
    /// When a sleeper was last signalled (monotonic clock, nanoseconds):
    /// tells the sleeper what its waking cost and since when there was work.
    #[cfg(not(loom))]
    signalled_ns: AtomicU64,
    #[cfg(loom)]
    queue: model::Queue,
}

/// What [`EventWord::arm`] made of the word; sleeping ends when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

impl EventWord {
    /// Declares that the caller is about to sleep. The caller looks for work
    /// once more before it does.
    pub fn arm(&self) -> Ticket {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let armed = seen.wrapping_add(EPOCH) | ARMED;
            // [W1] pairs with [S1]: this, the fence, then the second look.
            match self
                .word
                .compare_exchange(seen, armed, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => {
                    crash_point("wait/armed");
                    fence(Ordering::SeqCst);
                    return Ticket(armed);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Whether nobody signalled or armed since `ticket`.
    pub fn unchanged(&self, ticket: Ticket) -> bool {
        self.word.load(Ordering::Acquire) == ticket.0
    }

    /// If somebody is armed: moves the epoch on and wakes up to `count`
    /// sleepers with `wake`, which says how many there were.
    ///
    /// The caller has published its work, and a full fence, before: *S1*,
    /// pairs with *W1*.
    #[inline]
    pub fn signal(&self, count: u32, wake: impl FnOnce(u32) -> usize) {
        if self.word.load(Ordering::Relaxed) & ARMED != 0 {
            self.signal_armed(count, wake);
        }
    }

    #[cold]
    fn signal_armed(&self, count: u32, wake: impl FnOnce(u32) -> usize) {
        let mut seen = self.word.load(Ordering::Relaxed);
        let moved = loop {
            if seen & ARMED == 0 {
                return;
            }
            let next = seen.wrapping_add(EPOCH);
            match self
                .word
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break next,
                Err(now) => seen = now,
            }
        };
        crash_point("signal/moved");
        if wake(count) == 0 {
            // Fails if anybody armed since, and must.
            let _ = self.word.compare_exchange(
                moved,
                moved & !ARMED,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            crash_point("signal/disarmed");
        }
    }
}

#[cfg(not(loom))]
mod kernel {
    use super::{EventWord, Ordering, Ticket};
    use rustix::thread::futex;
    use rustix::time::{ClockId, Timespec, clock_gettime};
    use std::time::Duration;

    /// The monotonic clock, in nanoseconds: the same for all processes.
    pub fn monotonic_ns() -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    /// Why a sleep ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Woken {
        /// Signalled, or the word had changed already, or for no reason.
        Signal,
        /// The time was up.
        TimeOut,
        /// A signal handler ran.
        Interrupt,
    }

    impl EventWord {
        /// When a sleeper was last signalled, by [`monotonic_ns`].
        pub fn signalled_ns(&self) -> u64 {
            self.signalled_ns.load(Ordering::Relaxed)
        }

        /// Notes that a sleeper is being signalled now.
        pub fn stamp(&self) {
            self.signalled_ns.store(monotonic_ns(), Ordering::Relaxed);
        }

        /// Sleeps until signalled, at most `limit` (monotonic clock). Returns
        /// at once if the word is no longer the ticket's.
        pub fn sleep(&self, ticket: Ticket, limit: Duration) -> Woken {
            let timeout = Timespec {
                tv_sec: limit.as_secs() as i64,
                tv_nsec: limit.subsec_nanos().into(),
            };
            match futex::wait(&self.word, futex::Flags::empty(), ticket.0, Some(&timeout)) {
                Err(rustix::io::Errno::TIMEDOUT) => Woken::TimeOut,
                Err(rustix::io::Errno::INTR) => Woken::Interrupt,
                _ => Woken::Signal,
            }
        }

        /// Wakes up to `count` sleepers; how many there were.
        pub fn wake(&self, count: u32) -> usize {
            futex::wake(&self.word, futex::Flags::empty(), count).unwrap_or(0)
        }
    }
}
#[cfg(not(loom))]
pub use kernel::{Woken, monotonic_ns};

/// A futex made of a mutex and a condition variable, for the models. It has
/// no time-out: a lost wake-up is a deadlock, which loom reports.
#[cfg(loom)]
mod model {
    use super::{EventWord, Ordering, Ticket};
    use loom::sync::{Condvar, Mutex};

    #[derive(Debug)]
    pub struct Queue {
        asleep: Mutex<usize>,
        changed: Condvar,
    }

    impl Default for Queue {
        fn default() -> Self {
            Queue {
                asleep: Mutex::new(0),
                changed: Condvar::new(),
            }
        }
    }

    impl EventWord {
        /// Sleeps until woken, unless the word is no longer the ticket's.
        pub fn sleep(&self, ticket: Ticket) {
            let mut asleep = self.queue.asleep.lock().unwrap();
            if self.word.load(Ordering::SeqCst) != ticket.0 {
                return;
            }
            *asleep += 1;
            drop(self.queue.changed.wait(asleep).unwrap());
        }

        /// Wakes up to `count` sleepers; how many there were.
        pub fn wake(&self, count: u32) -> usize {
            let mut asleep = self.queue.asleep.lock().unwrap();
            let woken = (*asleep).min(count as usize);
            *asleep -= woken;
            for _ in 0..woken {
                self.queue.changed.notify_one();
            }
            woken
        }
    }
}
