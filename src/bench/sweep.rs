//! Through a plan, cell by cell, in rounds.
//!
//! ```text
//!   group 20 x 1M    round 1: pipeline | 1w 1r | 1w 2r      (and memcpy, pipe ...)
//!                    round 2: pipeline | 1w 1r | 1w 2r
//!                    ...                 --> two rows and a baseline
//!   group 20 x 1K    round 1: ...
//! ```
//!
//! The machine's limits are measured in turns with the cells of their geometry,
//! because the speed of memory changes from minute to minute: what is compared
//! was measured within the same seconds. Each repeat is compared with the
//! pipeline of its own round.
//!
//! - A cell that fails (a worker was killed, a byte was wrong) keeps the
//!   figures of the rounds before, is marked, and is not tried again. The
//!   others go on.
//! - A limit that fails is left out, with a [`Event::Warning`].
//! - Interrupted, the sweep ends with the rows that have at least one repeat.

use super::executor::{Executor, Failure};
use super::model::{Baseline, Latency, Machine, Report, Run, Spread};
use super::plan::{Group, Limits, Plan, Point, Settings};
use super::statistics::Repeat;
use hdrhistogram::Histogram;

/// What happens on the way, for whoever shows progress.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A measurement begins: so many of `of` are done.
    Step {
        /// Done before this one.
        done: u64,
        /// In all.
        of: u64,
        /// What is measured now.
        what: String,
    },
    /// Rows are complete.
    Row(&'a Run),
    /// A limit could not be measured.
    Warning(String),
}

/// Measures all of `plan`, and reports what was done.
pub fn run(
    plan: &Plan,
    machine: Machine,
    executor: &mut dyn Executor,
    progress: &mut dyn FnMut(Event<'_>),
) -> Report {
    let mut sweep = Sweep {
        settings: &plan.settings,
        executor,
        progress,
        done: 0,
        of: plan.steps(),
    };
    let mut report = Report {
        machine,
        baselines: Vec::new(),
        runs: Vec::new(),
        complete: true,
    };
    for group in &plan.groups {
        let (limits, cells, cancelled) = sweep.group(group);
        report.baselines.extend(limits);
        for run in cells {
            (sweep.progress)(Event::Row(&run));
            report.runs.push(run);
        }
        if cancelled {
            report.complete = false;
            break;
        }
    }
    report
}

struct Sweep<'a> {
    settings: &'a Settings,
    executor: &'a mut dyn Executor,
    progress: &'a mut dyn FnMut(Event<'_>),
    done: u64,
    of: u64,
}

/// What is known of a cell so far.
struct Measured {
    point: Point,
    repeats: Vec<Repeat>,
    round_trips: Option<Histogram<u64>>,
    one_ways: Option<Histogram<u64>>,
    failed: Option<String>,
}

/// What is known of a limit so far.
struct Limit {
    kind: Limits,
    rates: Vec<f64>,
    round_trips: Option<Histogram<u64>>,
    failed: bool,
}

impl Sweep<'_> {
    /// All rounds of a group; whether it was interrupted.
    fn group(&mut self, group: &Group) -> (Vec<Baseline>, Vec<Run>, bool) {
        let limit = |kind: &Limits| Limit {
            kind: *kind,
            rates: Vec::new(),
            round_trips: None,
            failed: false,
        };
        let mut limits: Vec<Limit> = group.limits.iter().map(limit).collect();
        let measured = |point: &Point| Measured {
            point: *point,
            repeats: Vec::new(),
            round_trips: None,
            one_ways: None,
            failed: None,
        };
        let mut cells: Vec<Measured> = group.cells.iter().map(measured).collect();
        let mut cancelled = false;
        for _ in 0..self.settings.repeat {
            if self.round(group, &mut limits, &mut cells) == Err(Failure::Cancelled) {
                cancelled = true;
                break;
            }
        }
        let limits = limits.iter().filter_map(|limit| {
            let spread = Spread::of(&limit.rates)?;
            Some(Baseline {
                name: limit.kind.as_str().into(),
                nodes: limit.kind.has_nodes().then_some(group.nodes),
                node_size: group.node_size,
                mb_per_s: spread.median,
                spread,
                latency_ns: limit.round_trips.as_ref().and_then(percentiles),
            })
        });
        let limits = limits.collect();
        let rows = cells
            .into_iter()
            .filter(|cell| !cell.repeats.is_empty() || cell.failed.is_some())
            .map(|cell| cell.row(self.settings));
        (limits, rows.collect(), cancelled)
    }

    /// One round. Only being interrupted ends it early.
    fn round(
        &mut self,
        group: &Group,
        limits: &mut [Limit],
        cells: &mut [Measured],
    ) -> Result<(), Failure> {
        let mut pipeline = None;
        let size = words(group.node_size);
        let (nodes, node_size) = (group.nodes, group.node_size);
        for limit in limits {
            let kind = limit.kind;
            let what = match kind.has_nodes() {
                true => format!("{} {nodes}x{size}", kind.as_str()),
                false => format!("{} {size}", kind.as_str()),
            };
            self.step(what.clone());
            if !limit.failed {
                let rate = self.executor.limit(kind, nodes, node_size, self.settings);
                if let Some(rate) = self.known(limit, &what, rate)? {
                    limit.rates.push(rate);
                    if kind == Limits::Pipeline {
                        pipeline = Some(rate);
                    }
                }
            }
            if kind != Limits::Pipeline || !self.settings.latency {
                continue;
            }
            let what = format!("{what}, latency");
            self.step(what.clone());
            if !limit.failed {
                let settings = self.settings;
                let times = self.executor.ideal_exchange(nodes, node_size, settings);
                if let Some(times) = self.known(limit, &what, times)? {
                    merge(&mut limit.round_trips, times);
                }
            }
        }
        for cell in cells {
            self.cell(cell, pipeline)?;
        }
        Ok(())
    }

    /// What was measured of a limit; a failure is warned of, and the limit
    /// not tried again.
    fn known<T>(
        &mut self,
        limit: &mut Limit,
        what: &str,
        measured: Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        match measured {
            Ok(measured) => Ok(Some(measured)),
            Err(Failure::Cancelled) => Err(Failure::Cancelled),
            Err(Failure::Failed(why)) => {
                limit.failed = true;
                (self.progress)(Event::Warning(format!("{what}: {why}")));
                Ok(None)
            }
        }
    }

    fn cell(&mut self, cell: &mut Measured, pipeline: Option<f64>) -> Result<(), Failure> {
        let what = describe(&cell.point);
        self.step(what.clone());
        if cell.failed.is_none() {
            match self.executor.transfer(&cell.point, self.settings) {
                Ok(mut moved) => {
                    moved.repeat.pipeline_mb_per_s = pipeline;
                    cell.repeats.push(moved.repeat);
                    cell.failed = moved.wrong;
                }
                Err(Failure::Cancelled) => return Err(Failure::Cancelled),
                Err(Failure::Failed(why)) => cell.failed = Some(why),
            }
        }
        if !self.settings.latency {
            return Ok(());
        }
        self.step(format!("{what}, latency"));
        if cell.failed.is_none() {
            match self.executor.exchange(&cell.point, self.settings) {
                Ok(times) => {
                    merge(&mut cell.round_trips, times.round_trips);
                    merge(&mut cell.one_ways, times.one_ways);
                }
                Err(Failure::Cancelled) => return Err(Failure::Cancelled),
                Err(Failure::Failed(why)) => cell.failed = Some(format!("latency: {why}")),
            }
        }
        Ok(())
    }

    fn step(&mut self, what: String) {
        let (done, of) = (self.done, self.of);
        (self.progress)(Event::Step { done, of, what });
        self.done += 1;
    }
}

impl Measured {
    fn row(self, settings: &Settings) -> Run {
        Run::of(
            self.point.cell(settings),
            &self.repeats,
            self.round_trips.as_ref().and_then(percentiles),
            self.one_ways.as_ref().and_then(percentiles),
            self.failed,
        )
    }
}

fn merge(into: &mut Option<Histogram<u64>>, times: Histogram<u64>) {
    match into {
        // The same bounds and precision: it fits.
        Some(all) => drop(all.add(times)),
        None => *into = Some(times),
    }
}

fn percentiles(times: &Histogram<u64>) -> Option<Latency> {
    (!times.is_empty()).then(|| Latency {
        p50: times.value_at_quantile(0.5),
        p99: times.value_at_quantile(0.99),
        p999: times.value_at_quantile(0.999),
        max: times.max(),
    })
}

/// A cell in words: `20x1M, 1 writer, 2 readers, futex`.
pub fn describe(point: &Point) -> String {
    let count = |n: u32, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let geometry = point.geometry;
    format!(
        "{}x{}, {}, {}, {}",
        geometry.nodes,
        words(geometry.node_size),
        count(point.writers, "writer"),
        count(point.readers, "reader"),
        geometry.wait
    )
}

/// A size as users type it: `64K`.
fn words(bytes: u64) -> String {
    for (shift, unit) in [(30, 'G'), (20, 'M'), (10, 'K')] {
        if bytes >> shift > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests;
