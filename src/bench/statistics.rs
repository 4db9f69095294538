//! From the repeats of a cell to its row.
//!
//! ```text
//!   repeat 1   8190 MB/s   pipeline  6010   ratio 1.363
//!   repeat 2   8420 MB/s   pipeline  6090   ratio 1.383   <- the middle rate
//!   repeat 3   8510 MB/s   pipeline  5980   ratio 1.423
//!              ---------                    -----------
//!   row        8420 (8190 to 8510)          1.383
//! ```
//!
//! Medians, not means: a repeat that the machine disturbed is far off to one side,
//! and should not move the figure. A ratio is taken within a repeat, against the
//! limit that was measured beside it, and the median is taken of the ratios.
//! The ratio of two medians would compare moments that lie further apart.
//!
//! What holds in every row, however many repeats it has and however they differ:
//!
//! - `mb_per_s` is the median of the rates, and equals `bytes` / 1,000,000 /
//!   `seconds`. So `bytes` and `nodes_moved` are those of the middle repeat, and
//!   `seconds` is what these bytes take at that rate: with an odd number of
//!   repeats of the same work, simply the time of the middle one.
//! - What tells of trouble is the worst of all repeats: the largest diff, the
//!   largest final diff, and `verified` only if every repeat was.
//! - Without any repeat, all figures are 0 and there is a reason in `failed`.
//! - No figure is infinite or not a number: a repeat that took no time at all did
//!   not measure anything and counts as none.

use super::model::{Cell, Latency, Run, Spread};

/// What one repeat of a cell did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Repeat {
    /// From the first counted message to the last.
    pub seconds: f64,
    /// Payload bytes moved, each counted once.
    pub bytes: u64,
    /// Nodes moved.
    pub nodes_moved: u64,
    /// Nodes committed and not yet read: the mean of the samples.
    pub diff_mean: f64,
    /// The largest sample.
    pub diff_max: u64,
    /// When all was over.
    pub diff_final: u64,
    /// Times a writer had to wait.
    pub writer_waits: u64,
    /// Times a reader had to wait.
    pub reader_waits: u64,
    /// Processor time of all workers together.
    pub cpu_seconds: f64,
    /// Whether all bytes were right, if that was looked at.
    pub verified: Option<bool>,
    /// The ideal pipeline of the same geometry, measured beside this repeat.
    pub pipeline_mb_per_s: Option<f64>,
}

impl Repeat {
    /// Payload bytes / 1,000,000 / s.
    pub fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    fn measured(&self) -> bool {
        self.seconds > 0.0 && self.mb_per_s().is_finite()
    }
}

/// The middle one of the values, or the mean of the two in the middle. `None`
/// where there is none, or one of them is not a number.
///
/// ```
/// use shmkit::bench::statistics::median;
/// assert_eq!(median(&[3.0, 100.0, 1.0]), Some(3.0));
/// assert_eq!(median(&[4.0, 1.0]), Some(2.5));
/// assert_eq!(median(&[]), None);
/// ```
pub fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// `above[i] / below[i]`, for as many as both have. What is not positive in
/// `below` is no limit to compare with, and gives no ratio.
pub fn ratios(above: &[f64], below: &[f64]) -> Vec<f64> {
    let pairs = above.iter().zip(below);
    let comparable = pairs.filter(|(_, below)| **below > 0.0);
    comparable.map(|(above, below)| above / below).collect()
}

impl Spread {
    /// Of these values: `None` where there is none, or one is not a number.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        // total_cmp puts NaN at the ends.
        (!lowest.is_nan() && !highest.is_nan()).then_some(Spread {
            median,
            lowest,
            highest,
        })
    }

    /// How far the values are from the median at most, as a part of it: 0.03
    /// for three percent.
    pub fn deviation(&self) -> Option<f64> {
        let furthest = (self.highest - self.median).max(self.median - self.lowest);
        (self.median > 0.0).then(|| furthest / self.median)
    }
}

impl Run {
    /// The row of a cell from its repeats, and why there are no more of them, if
    /// it failed. Latencies are those of all repeats together: percentiles have no
    /// useful median.
    pub fn of(
        cell: Cell,
        repeats: &[Repeat],
        latency_ns: Option<Latency>,
        one_way_ns: Option<Latency>,
        failed: Option<String>,
    ) -> Run {
        let mut repeats: Vec<&Repeat> = repeats.iter().filter(|r| r.measured()).collect();
        repeats.sort_by(|a, b| a.mb_per_s().total_cmp(&b.mb_per_s()));
        let all = |figure: fn(&Repeat) -> f64| -> Vec<f64> {
            repeats.iter().map(|repeat| figure(repeat)).collect()
        };
        let middle_of = |figure: fn(&Repeat) -> u64| -> u64 {
            let mut values: Vec<u64> = repeats.iter().map(|repeat| figure(repeat)).collect();
            values.sort_unstable();
            values
                .get(values.len().saturating_sub(1) / 2)
                .copied()
                .unwrap_or(0)
        };
        let worst_of = |figure: fn(&Repeat) -> u64| -> u64 {
            repeats
                .iter()
                .map(|repeat| figure(repeat))
                .max()
                .unwrap_or(0)
        };

        let rate = Spread::of(&all(Repeat::mb_per_s)).unwrap_or_default();
        let middle = repeats.get(repeats.len().saturating_sub(1) / 2);
        let (bytes, nodes_moved) = middle.map_or((0, 0), |r| (r.bytes, r.nodes_moved));
        let seconds = match rate.median > 0.0 {
            true => bytes as f64 / 1e6 / rate.median,
            false => median(&all(|r| r.seconds)).unwrap_or(0.0),
        };
        let (rates, limits): (Vec<f64>, Vec<f64>) = repeats
            .iter()
            .filter_map(|r| Some((r.mb_per_s(), r.pipeline_mb_per_s?)))
            .unzip();
        // A queue's bytes are read once, a broadcast's by every reader.
        let readers = f64::from(cell.readers);
        let copies = match cell.delivery.as_str() {
            "broadcast" => readers,
            _ => 1.0,
        };
        let verified: Vec<bool> = repeats.iter().filter_map(|r| r.verified).collect();
        Run {
            repeats: u32::try_from(repeats.len()).unwrap_or(u32::MAX),
            seconds,
            bytes,
            nodes_moved,
            mb_per_s: rate.median,
            mb_per_s_spread: rate,
            mb_per_s_per_reader: copies * rate.median / readers.max(1.0),
            mb_per_s_both_ways: (1.0 + copies) * rate.median,
            nodes_per_s: if seconds > 0.0 {
                nodes_moved as f64 / seconds
            } else {
                0.0
            },
            fraction_of_pipeline: median(&ratios(&rates, &limits)),
            diff_mean: median(&all(|r| r.diff_mean)).unwrap_or(0.0),
            diff_max: worst_of(|r| r.diff_max),
            diff_final: worst_of(|r| r.diff_final),
            writer_waits: middle_of(|r| r.writer_waits),
            reader_waits: middle_of(|r| r.reader_waits),
            latency_ns,
            one_way_ns,
            cpu_seconds: median(&all(|r| r.cpu_seconds)).unwrap_or(0.0),
            verified: (!verified.is_empty()).then(|| verified.iter().all(|right| *right)),
            failed,
            cell,
        }
    }
}

#[cfg(test)]
mod tests;
