//! When a writer has written enough; and the clocks.
//!
//! ```text
//!   more()? --left > 0--> yes                (nearly always: one comparison)
//!           --else------> the rest of the messages, or a look at the clock
//! ```
//!
//! To look at the clock takes as long as to move a small message, so a writer
//! does so only every 64 KiB of payload.

use super::plan::Limit;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Bytes of payload between two looks at the clock.
const BETWEEN_LOOKS: u64 = 64 << 10;
/// When a writer has written enough. Looks at the clock now and then.
#[derive(Debug)]
pub struct Pace {
    left: u64,
    stride: u64,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Messages(u64),
    Until(u64),
}

impl Pace {
    /// So many messages.
    pub fn messages(count: u64) -> Pace {
        Pace {
            left: 0,
            stride: u64::MAX,
            rest: Rest::Messages(count),
        }
    }

    /// From now on, for messages of `size` bytes, as one of `writers`, the
    /// `index`th.
    pub fn new(limit: Limit, size: u64, index: u32, writers: u32) -> Pace {
        match limit {
            Limit::Messages(all) => Pace::messages(share(all, index, writers)),
            Limit::Time(time) => Pace {
                left: 0,
                stride: (BETWEEN_LOOKS / size.max(1)).max(1),
                rest: Rest::Until(now_ns().saturating_add(nanoseconds(time))),
            },
        }
    }

    /// For single messages with a wait after each: looks at the clock each
    /// time.
    pub fn one_by_one(limit: Limit, index: u32, writers: u32) -> Pace {
        Pace::new(limit, BETWEEN_LOOKS, index, writers)
    }

    /// Whether there is another one to write.
    #[inline]
    pub fn more(&mut self) -> bool {
        if self.left == 0 && !self.refill() {
            return false;
        }
        self.left -= 1;
        true
    }

    #[cold]
    fn refill(&mut self) -> bool {
        match &mut self.rest {
            Rest::Messages(rest) => self.left = std::mem::take(rest).min(self.stride),
            Rest::Until(end) => self.left = if now_ns() < *end { self.stride } else { 0 },
        }
        self.left > 0
    }
}

/// What falls to one of several, so that all together do `all`.
fn share(all: u64, index: u32, of: u32) -> u64 {
    let of = u64::from(of.max(1));
    all / of + u64::from(u64::from(index) < all % of)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds of the monotonic clock, the same in every process.
#[inline]
pub fn now_ns() -> u64 {
    of_clock(ClockId::Monotonic)
}

/// Nanoseconds of a clock.
pub fn of_clock(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_share_a_number_of_messages_without_remainder() {
        for (all, writers) in [(10, 3), (2, 4), (1_000_000, 7)] {
            let sum: u64 = (0..writers).map(|i| share(all, i, writers)).sum();
            assert_eq!(sum, all);
        }
        let mut pace = Pace::new(Limit::Messages(10), 64, 0, 3);
        let mut count = 0;
        while pace.more() {
            count += 1;
        }
        assert_eq!(count, 4);
        assert!(!pace.more(), "and then it is over");
    }

    #[test]
    fn a_time_that_has_passed_ends_it() {
        let mut pace = Pace::new(Limit::Time(Duration::from_millis(1)), 64, 0, 1);
        while pace.more() {}
        assert!(!pace.more());
    }
}
