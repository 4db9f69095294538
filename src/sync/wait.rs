//! How long to spin, and how to sleep.
//!
//! ```text
//! attempt -> spin (attempt ...) -> arm, attempt, sleep -> attempt -> ...
//!                                        |  every SLICE and after signals
//!                                        +-> look around: time-outs, deaths
//! ```
//!
//! Three strategies, recorded in the segment so that all its users agree:
//!
//! * `futex`: spin a little, then sleep on the [`EventWord`]. Right for
//!   nearly everybody.
//! * `spin`: never sleep. Lowest latency, burns a core.
//! * `event`: sleep on `raw_sync`'s event, a process-shared mutex and
//!   condition variable, like .NET's `EventWaitHandle`. Portable, but
//!   a process killed or stopped inside it can leave its mutex locked, and
//!   whoever signals next hangs; and pthread objects in memory that others may
//!   write to must be trusted. So none of the promises of the other two hold
//!   here: it is for comparison, among parties that trust each other. Its
//!   time-outs add nanoseconds without a carry, so it is only ever asked for
//!   one whole second, and every return is a reason to look again.
//!
//! # How long to spin
//!
//! A party whose turn comes within the next two microseconds does not come
//! here: the handles try some 40 times first, with nothing but a pause in
//! between. (A look at the clock costs as much as a short message.)
//!
//! Spinning pays if it ends before a sleeper could have been woken. What a
//! wake-up costs differs twenty-fold between machines (2 to 80 us), so it is
//! measured: who signals a sleeper stamps the clock, who was asleep compares.
//! The budget is that cost, and it is halved each time spinning was in vain;
//! the same stamp tells the sleeper whether the work came soon enough for a
//! full budget to have caught it, and then it gets it back. So a party whose
//! partner is fast spins, and one whose partner is slow, or stopped, sleeps.
//!
//! While it spins, a party gives its core away (`sched_yield`) as soon as the
//! first microseconds have brought nothing: on a machine with fewer cores
//! than busy processes, the one it waits for may be the one it keeps out.

use super::atomic::fence_after_rmw;
use super::event_word::{EventWord, Woken, monotonic_ns};
use super::raw_event::RawEvent;
use std::time::{Duration, Instant};

/// The longest anybody sleeps without looking around (with `event`: a
/// second).
pub const SLICE: Duration = Duration::from_millis(100);

/// How a ring's parties wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStrategy {
    /// Spin a little, then sleep on a futex.
    Futex,
    /// Never sleep.
    Spin,
    /// Sleep on `raw_sync`'s event. Not safe against `SIGKILL`.
    Event,
}

impl WaitStrategy {
    /// All of them, by their number in a header.
    pub const ALL: [WaitStrategy; 3] =
        [WaitStrategy::Futex, WaitStrategy::Spin, WaitStrategy::Event];

    /// The name users type.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitStrategy::Futex => "futex",
            WaitStrategy::Spin => "spin",
            WaitStrategy::Event => "event",
        }
    }
}

impl std::fmt::Display for WaitStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for WaitStrategy {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|w| w.as_str() == s);
        found.ok_or_else(|| format!("unknown wait strategy '{s}'; one of futex, spin, event"))
    }
}

/// How long, and until what, a call may block. The default is for ever.
#[derive(Clone, Copy, Default)]
pub struct Wait<'a> {
    /// Give up, as timed out, when it passes.
    pub deadline: Option<Instant>,
    /// Asked before each sleep, at least every 100 ms (with the `event`
    /// strategy: every second), and when a signal handler has run: `true`
    /// gives up, as cancelled.
    pub cancelled: Option<&'a dyn Fn() -> bool>,
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Something waited for.
pub trait Attempt {
    /// What an attempt yields.
    type Output;
    /// Why waiting may have to end.
    type Error;
    /// Tries to get it; does not block.
    fn attempt(&mut self) -> Result<Option<Self::Output>, Self::Error>;
    /// A cheaper try for the spin phase; may miss what `attempt` finds.
    fn peek(&mut self) -> Result<Option<Self::Output>, Self::Error> {
        self.attempt()
    }
    /// Called before each sleep, and when one ended by a signal handler or
    /// by the slice: an error ends the wait.
    fn look_around(&mut self) -> Result<(), Self::Error>;
    /// A slice ended and found work that nobody had signalled.
    fn note_unsignalled(&mut self);
}

/// A place to wait at, and to signal.
#[derive(Clone, Copy)]
pub struct Bell<'a> {
    word: &'a EventWord,
    strategy: WaitStrategy,
    event: Option<&'a RawEvent>,
}

impl<'a> Bell<'a> {
    /// The bell of that word. `event` is there exactly with the `event`
    /// strategy.
    pub fn new(word: &'a EventWord, strategy: WaitStrategy, event: Option<&'a RawEvent>) -> Self {
        Bell {
            word,
            strategy,
            event,
        }
    }

    /// Wakes up to `count` sleepers, if there are any. What made the caller's
    /// work visible was a read-modify-write; if it was a plain store, the
    /// caller puts a full fence first.
    #[inline]
    pub fn signal(&self, count: u32) {
        fence_after_rmw();
        self.word.signal(count, |count| self.wake(count));
    }

    fn wake(&self, count: u32) -> usize {
        self.word.stamp();
        match self.event {
            None => self.word.wake(count),
            Some(event) => {
                event.set();
                // Nobody can say how many that woke: stay armed.
                1
            }
        }
    }

    /// Waits until `task` yields something or fails.
    ///
    /// Blocks; at most until `deadline` passes (with `event`, up to a second
    /// longer), which is for `look_around` to notice and to report.
    pub fn wait<A: Attempt>(
        &self,
        spin: &mut Spin,
        deadline: Option<Instant>,
        task: &mut A,
    ) -> Result<A::Output, A::Error> {
        if let Some(output) = task.attempt()? {
            return Ok(output);
        }
        let began_ns = monotonic_ns();
        if self.strategy == WaitStrategy::Spin {
            return self.spin_on(task);
        }
        if let Some(output) = spin.run(began_ns, task)? {
            return Ok(output);
        }
        let result = self.sleep_on(spin, began_ns, deadline, task);
        // Two signals may have fallen on one sleeper, or on one that leaves
        // without having taken anything: pass it on.
        self.signal(1);
        result
    }

    fn spin_on<A: Attempt>(&self, task: &mut A) -> Result<A::Output, A::Error> {
        let mut slice_ends = Instant::now() + SLICE;
        let mut rounds = 0u32;
        loop {
            if let Some(output) = task.attempt()? {
                return Ok(output);
            }
            rounds = rounds.wrapping_add(1);
            if !rounds.is_multiple_of(64) {
                std::hint::spin_loop();
                continue;
            }
            rustix::thread::sched_yield();
            let slice_over = Instant::now() >= slice_ends;
            task.look_around()?;
            if slice_over {
                slice_ends = Instant::now() + SLICE;
            }
        }
    }

    fn sleep_on<A: Attempt>(
        &self,
        spin: &mut Spin,
        began_ns: u64,
        deadline: Option<Instant>,
        task: &mut A,
    ) -> Result<A::Output, A::Error> {
        loop {
            let ticket = self.word.arm();
            if let Some(output) = task.attempt()? {
                return Ok(output);
            }
            task.look_around()?;
            let limit = match deadline {
                Some(at) => at.saturating_duration_since(Instant::now()).min(SLICE),
                None => SLICE,
            };
            let woken = match self.event {
                None => self.word.sleep(ticket, limit),
                Some(event) => event.wait_a_second(),
            };
            if let Some(output) = task.attempt()? {
                if woken != Woken::TimeOut {
                    spin.learn(began_ns, self.word.signalled_ns());
                } else if self.unsignalled(ticket) {
                    task.note_unsignalled();
                }
                return Ok(output);
            }
            if woken != Woken::Signal {
                task.look_around()?;
            }
        }
    }

    /// A slice ended and there was work. Was its maker about to signal, or
    /// had it forgotten? Gives it a moment.
    fn unsignalled(&self, ticket: super::event_word::Ticket) -> bool {
        let until = Instant::now() + Duration::from_millis(5);
        while Instant::now() < until {
            if !self.word.unchanged(ticket) {
                return false;
            }
            rustix::thread::sched_yield();
        }
        true
    }
}

/// How long one handle spins before it sleeps: see the top of this file.
#[derive(Clone, Copy, Debug)]
pub struct Spin {
    /// What a wake-up has lately cost, nanoseconds.
    wake_ns: u64,
    /// How often in a row spinning was in vain.
    in_vain: u32,
}

impl Default for Spin {
    fn default() -> Self {
        Spin {
            wake_ns: 30_000,
            in_vain: 0,
        }
    }
}

impl Spin {
    const SHORTEST_NS: u64 = 2_000;
    const LONGEST_NS: u64 = 100_000;
    /// Spins this long with the core kept, and then gives it away in turns.
    const KEEP_CORE_NS: u64 = 2_000;
    /// Attempts between two looks at the clock (19 ns each).
    const ROUND: u32 = 8;

    fn budget_ns(&self) -> u64 {
        (self.wake_ns >> self.in_vain.min(6)).clamp(Self::SHORTEST_NS, Self::LONGEST_NS)
    }

    fn run<A: Attempt>(
        &mut self,
        began_ns: u64,
        task: &mut A,
    ) -> Result<Option<A::Output>, A::Error> {
        let budget = self.budget_ns();
        loop {
            for _ in 0..Self::ROUND {
                std::hint::spin_loop();
                if let Some(output) = task.peek()? {
                    self.in_vain = 0;
                    return Ok(Some(output));
                }
            }
            let spent = monotonic_ns().saturating_sub(began_ns);
            if spent >= budget {
                self.in_vain = self.in_vain.saturating_add(1);
                return Ok(None);
            }
            if spent >= Self::KEEP_CORE_NS {
                rustix::thread::sched_yield();
            }
        }
    }

    /// Learns from a sleep that a signal ended.
    fn learn(&mut self, began_ns: u64, signalled_ns: u64) {
        let now = monotonic_ns();
        if signalled_ns <= began_ns || signalled_ns > now {
            return; // somebody else's signal
        }
        let cost = (now - signalled_ns).min(Self::LONGEST_NS);
        self.wake_ns = (self.wake_ns * 7 + cost) / 8;
        if signalled_ns - began_ns < self.wake_ns {
            self.in_vain = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spin_budget_follows_what_waking_costs() {
        let mut spin = Spin {
            in_vain: 3,
            ..Spin::default()
        };
        for _ in 0..100 {
            let now = monotonic_ns();
            spin.learn(now - 60_000, now - 50_000);
        }
        assert_eq!(spin.in_vain, 0, "work came within a full budget");
        assert!((40_000..100_000).contains(&spin.wake_ns), "{spin:?}");
    }

    #[test]
    fn spinning_in_vain_shrinks_the_budget_to_its_least() {
        let spin = Spin {
            wake_ns: 80_000,
            in_vain: 60,
        };
        assert_eq!(spin.budget_ns(), Spin::SHORTEST_NS);
    }

    #[test]
    fn strategies_are_known_by_their_names() {
        for strategy in WaitStrategy::ALL {
            assert_eq!(strategy.as_str().parse(), Ok(strategy));
        }
        assert!("sleep".parse::<WaitStrategy>().is_err());
    }
}
