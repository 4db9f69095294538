//! The columns that the table and Markdown share.
//!
//! ```text
//!   KEYS                         FIGURES
//!   RING    W/R  (WAIT ...)  |   MB/S  SPREAD  BOTH  PIPELINE  ...  CPU S  (VERIFIED ...)
//!   20x1M   1/1              |   8312      3%  16624     1.36        1.98
//!   20x1M!  2/2              | failed       -      -        -           -
//! ```
//!
//! A column knows its headings, when it is worth showing, and what it says about a
//! row. [`KEYS`] name a row, [`FIGURES`] are what was measured. The limits have
//! columns of their own, [`LIMITS`].
//!
//! - A column that says the same of all rows, or nothing of any, is not shown; what
//!   tells two rows apart always is.
//! - A row has as many texts as there are columns, in their order, and no text is
//!   empty: `-` is what was not measured.
//! - A row that failed carries a `!` at its name, where the eye is. If not one of
//!   its repeats succeeded it has no figures, whatever its fields hold.

use super::words::{count, figure, geometry_of, percent, percentiles, plain, ring_of, same};
use crate::bench::model::{Baseline, Run};

/// One column.
pub(super) struct Column<T: 'static> {
    /// In a table.
    pub heading: &'static str,
    /// In Markdown.
    pub title: &'static str,
    /// Whether it leans to the right, as figures do.
    pub right: bool,
    worth_showing: fn(&[T]) -> bool,
    text: fn(&T) -> String,
}

impl<T> Column<T> {
    const fn key(heading: &'static str, title: &'static str, text: fn(&T) -> String) -> Self {
        Column {
            heading,
            title,
            right: false,
            worth_showing: |_| true,
            text,
        }
    }

    const fn figure(heading: &'static str, title: &'static str, text: fn(&T) -> String) -> Self {
        Column {
            right: true,
            ..Column::key(heading, title, text)
        }
    }

    /// Shown only where this holds.
    const fn when(self, worth_showing: fn(&[T]) -> bool) -> Self {
        Column {
            worth_showing,
            ..self
        }
    }
}

/// What tells one row from another.
const KEYS: &[Column<Run>] = &[
    Column::key("RING", "ring", |run: &Run| {
        let ring = ring_of(run.cell.nodes, run.cell.node_size);
        ring + if run.failed.is_some() { "!" } else { "" }
    }),
    Column::key("W/R", "w/r", |run: &Run| {
        format!("{}/{}", run.cell.writers, run.cell.readers)
    }),
    Column::key("WAIT", "wait", |run: &Run| plain(&run.cell.wait))
        .when(|runs| !same(runs, |run| &run.cell.wait)),
    Column::key("DELIVERY", "delivery", |run: &Run| {
        plain(&run.cell.delivery)
    })
    .when(|runs| !same(runs, |run| &run.cell.delivery)),
    Column::key("MODE", "mode", |run: &Run| plain(&run.cell.mode))
        .when(|runs| !same(runs, |run| &run.cell.mode)),
    Column::key("IN PLACE", "in place", |run: &Run| {
        if run.cell.in_place { "yes" } else { "no" }.into()
    })
    .when(|runs| !same(runs, |run| &run.cell.in_place)),
];

/// What was measured.
const FIGURES: &[Column<Run>] = &[
    Column::figure("MB/S", "MB/s", |run: &Run| figure(run.mb_per_s)),
    Column::figure("SPREAD", "spread", |run: &Run| {
        percent(run.mb_per_s_spread.deviation())
    })
    .when(|runs| runs.iter().any(|run| run.repeats > 1)),
    Column::figure("PER READER", "MB/s per reader", |run: &Run| {
        figure(run.mb_per_s_per_reader)
    })
    .when(|runs| {
        let mut measured = runs.iter().filter(|run| run.repeats > 0);
        measured.any(|run| run.cell.readers > 1)
    }),
    Column::figure("BOTH", "MB/s both ways", |run: &Run| {
        figure(run.mb_per_s_both_ways)
    }),
    Column::figure("PIPELINE", "of pipeline", |run: &Run| {
        or_none(run.fraction_of_pipeline, |part| format!("{part:.2}"))
    })
    .when(|runs| runs.iter().any(|run| run.fraction_of_pipeline.is_some())),
    Column::figure("NODES/S", "nodes/s", |run: &Run| count(run.nodes_per_s)),
    Column::figure("DIFF", "diff mean", |run: &Run| figure(run.diff_mean)),
    Column::figure("MAX", "max", |run: &Run| count(run.diff_max as f64)),
    Column::figure("END", "end", |run: &Run| count(run.diff_final as f64)),
    Column::figure("WAITS W/R", "waits w/r", |run: &Run| {
        let (writers, readers) = (run.writer_waits as f64, run.reader_waits as f64);
        format!("{}/{}", count(writers), count(readers))
    }),
    Column::figure("CPU S", "CPU s", |run: &Run| figure(run.cpu_seconds)),
    Column::figure("VERIFIED", "verified", |run: &Run| {
        or_none(run.verified, |right| {
            if right { "yes" } else { "NO" }.into()
        })
    })
    .when(|runs| runs.iter().any(|run| run.verified.is_some())),
    Column::figure(
        "ROUND TRIP US: P50/P99/P99.9/MAX",
        "round trip us: p50/p99/p99.9/max",
        |run: &Run| or_none(run.latency_ns.as_ref(), percentiles),
    )
    .when(|runs| runs.iter().any(|run| run.latency_ns.is_some())),
    Column::figure(
        "ONE WAY US: P50/P99/P99.9/MAX",
        "one way us: p50/p99/p99.9/max",
        |run: &Run| or_none(run.one_way_ns.as_ref(), percentiles),
    )
    .when(|runs| runs.iter().any(|run| run.one_way_ns.is_some())),
];

/// What is said of a limit.
const LIMITS: &[Column<Baseline>] = &[
    Column::key("LIMIT", "limit", |limit| plain(&limit.name)),
    Column::key("OF", "of", geometry_of),
    Column::figure("MB/S", "MB/s", |limit| figure(limit.mb_per_s)),
    Column::figure("SPREAD", "spread", |limit: &Baseline| {
        percent(limit.spread.deviation())
    })
    // What was measured once has none.
    .when(|limits| {
        let mut spreads = limits.iter().map(|limit| limit.spread);
        spreads.any(|spread| spread.lowest < spread.highest)
    }),
    Column::figure(
        "ROUND TRIP US: P50/P99/P99.9/MAX",
        "round trip us: p50/p99/p99.9/max",
        |limit: &Baseline| or_none(limit.latency_ns.as_ref(), percentiles),
    )
    .when(|limits| limits.iter().any(|limit| limit.latency_ns.is_some())),
];

fn worth_showing<T>(columns: &'static [Column<T>], rows: &[T]) -> Vec<&'static Column<T>> {
    let shown = columns.iter().filter(|column| (column.worth_showing)(rows));
    shown.collect()
}

/// The columns worth showing, and how many of the first of them name the row.
pub(super) fn of(runs: &[Run]) -> (Vec<&'static Column<Run>>, usize) {
    let keys = worth_showing(KEYS, runs);
    let count = keys.len();
    ([keys, worth_showing(FIGURES, runs)].concat(), count)
}

/// A row's texts. One without a repeat that succeeded has no figures.
pub(super) fn row(run: &Run, columns: &[&Column<Run>], keys: usize) -> Vec<String> {
    let text = |(at, column): (usize, &&Column<Run>)| match () {
        _ if at < keys || run.repeats > 0 => (column.text)(run),
        _ if at == keys && run.failed.is_some() => "failed".into(),
        _ => "-".into(),
    };
    columns.iter().enumerate().map(text).collect()
}

/// The limits' columns worth showing, and their texts.
pub(super) fn limits(baselines: &[Baseline]) -> (Vec<&'static Column<Baseline>>, Vec<Vec<String>>) {
    let columns = worth_showing(LIMITS, baselines);
    let row = |limit| columns.iter().map(|column| (column.text)(limit)).collect();
    let rows = baselines.iter().map(row).collect();
    (columns, rows)
}

fn or_none<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or("-".into(), text)
}
