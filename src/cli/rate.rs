//! `--rate`: a token bucket.
//!
//! Tokens are bytes. They come in at the rate and are kept up to a tenth of a
//! second's worth, which is thus the largest burst. Who finds too few waits
//! first and reserves a node afterwards, so a slow writer holds nothing while
//! it waits.

use std::time::{Duration, Instant};

/// Bytes that may be moved now, refilled at a rate.
#[derive(Debug)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    /// Below 0 after a batch that could not be cut to measure.
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket for `rate` bytes per second.
    pub fn new(rate: u64, now: Instant) -> TokenBucket {
        let rate = rate as f64;
        let burst = (rate / 10.0).max(1.0);
        TokenBucket {
            rate,
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// How long to wait until `wanted` bytes, or the largest burst where that
    /// is less, may be moved.
    pub fn wait_for(&mut self, wanted: usize, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        let missing = (wanted as f64).min(self.burst) - self.tokens;
        match missing > 1e-6 {
            true => Duration::from_secs_f64((missing / self.rate).min(3600.0)),
            false => Duration::ZERO,
        }
    }

    /// Bytes that may be moved now; at least 1, to be asked after the wait.
    pub fn available(&self) -> usize {
        (self.tokens + 1e-6).max(1.0) as usize
    }

    /// Pays for `bytes`.
    pub fn take(&mut self, bytes: usize) {
        self.tokens -= bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a bucket against a made-up clock; the seconds that `total` took.
    fn seconds(rate: u64, total: usize, step: usize) -> f64 {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = TokenBucket::new(rate, now);
        let mut left = total;
        while left > 0 {
            let wait = bucket.wait_for(step, now);
            now += wait;
            if wait.is_zero() {
                let bytes = step.min(left).min(bucket.available());
                bucket.take(bytes);
                left -= bytes;
            }
        }
        (now - start).as_secs_f64()
    }

    #[test]
    fn the_rate_is_kept_whatever_the_node_size() {
        for (rate, total, step) in [
            (1000, 10_000, 1),
            (1000, 10_000, 1 << 20),
            (7, 70, 3),
            (1 << 30, 1 << 33, 65536),
        ] {
            let ideal = total as f64 / rate as f64;
            let took = seconds(rate, total, step);
            assert!(
                (0.8 * ideal..=1.2 * ideal).contains(&took),
                "{rate} {step}: {took}, not {ideal}"
            );
        }
    }

    #[test]
    fn the_slowest_rate_still_moves() {
        assert!(seconds(1, 3, 65536) <= 4.0);
    }
}
