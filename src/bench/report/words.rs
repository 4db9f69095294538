//! Figures, dates and names as people read them.
//!
//! ```text
//!   8312.4 MB/s -> 8312        12345 waits -> 12.3k      440 ns -> 0.44 us
//!   0.436       -> 0.44        2^20 bytes  -> 1M         0.031  -> 3%
//! ```
//!
//! Three digits count: more would pretend that the next measurement gave the same,
//! fewer would hide what changed. The table, Markdown and the chart all take their
//! words from here, so that they never contradict each other; JSON and CSV take
//! none, they give what was measured.
//!
//! Dates are UTC and say so: reports of several machines are to be comparable.
//! Sizes are written as they would be typed (`1M`, and `1000` where no unit is
//! exact), so a row's name can be pasted behind `-n` and `-b`.
//!
//! All of it takes any value. What is not a number becomes `NaN`, which nobody
//! takes for a measurement.

use crate::bench::model::{Baseline, Latency, Machine, Run};
use crate::inspect::units::Typed;
use crate::segment::Size;
use std::time::{Duration, UNIX_EPOCH};

/// A figure with three digits that count: `0.44`, `8.31`, `56.2`, `8312`.
pub(super) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// A count, short: `9999`, `12.3k`, `4.56M`.
pub(super) fn count(value: f64) -> String {
    match value.abs() {
        ..9_999.5 => format!("{value:.0}"),
        ..999_500.0 => figure(value / 1e3) + "k",
        ..999_500_000.0 => figure(value / 1e6) + "M",
        _ => figure(value / 1e9) + "G",
    }
}

/// How far the repeats are from their median at most: `3%`.
pub(super) fn percent(part: Option<f64>) -> String {
    part.map_or("-".into(), |part| format!("{:.0}%", 100.0 * part))
}

/// Microseconds of p50, p99, p99.9 and the slowest: `0.44/0.87/3.10/120`.
pub(super) fn percentiles(latency: &Latency) -> String {
    let ns = [latency.p50, latency.p99, latency.p999, latency.max];
    ns.map(|ns| figure(ns as f64 / 1e3)).join("/")
}

/// Nodes by node size, as in `20x1M`.
pub(in crate::bench) fn ring_of(nodes: u32, node_size: u64) -> String {
    format!("{nodes}x{}", Typed(node_size))
}

/// What a limit was measured with: a ring's geometry, or a size alone.
pub(super) fn geometry_of(baseline: &Baseline) -> String {
    match baseline.nodes {
        Some(nodes) => ring_of(nodes, baseline.node_size),
        None => Typed(baseline.node_size).to_string(),
    }
}

/// `2026-11-23 03:52 UTC`.
pub(in crate::bench) fn date(unix_ns: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_nanos(unix_ns);
    let stamp = humantime::format_rfc3339_seconds(then).to_string();
    match (stamp.get(..10), stamp.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => stamp,
    }
}

/// The machine, in parts that go together with commas.
pub(in crate::bench) fn machine_words(machine: &Machine) -> Vec<String> {
    let mut words = vec![plain(&machine.cpu)];
    words.push(match machine.cpus {
        1 => "1 processor".into(),
        cpus => format!("{cpus} processors"),
    });
    if machine.memory_bytes > 0 {
        words.push(format!("{} of memory", Size(machine.memory_bytes)));
    }
    words.push(format!("Linux {}", plain(&machine.kernel)));
    words.push(plain(&machine.arch));
    words
}

/// What all rows have in common, so that no column needs to say it.
pub(in crate::bench) fn shared_words(runs: &[Run]) -> Vec<String> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let cell = &first.cell;
    let mut words = Vec::new();
    if same(runs, |run| &run.cell.delivery) {
        words.push(plain(&cell.delivery));
    }
    if same(runs, |run| &run.cell.wait) {
        words.push(format!("wait {}", plain(&cell.wait)));
    }
    if same(runs, |run| &run.cell.mode) {
        words.push(match cell.mode.as_str() {
            "process" => "in processes".into(),
            "thread" => "in threads".into(),
            other => plain(other),
        });
    }
    if same(runs, |run| &run.cell.in_place) {
        words.push(match cell.in_place {
            true => "in place: nothing copied in or out".into(),
            false => "copied in and out".into(),
        });
    }
    match runs.iter().map(|run| run.repeats).max() {
        Some(repeats @ 2..) => words.push(format!("medians of {repeats}")),
        _ => words.push("measured once".into()),
    }
    words
}

/// Whether all rows agree in this.
pub(super) fn same<T: PartialEq + ?Sized>(runs: &[Run], what: impl Fn(&Run) -> &T) -> bool {
    runs.windows(2).all(|pair| what(&pair[0]) == what(&pair[1]))
}

/// Text from elsewhere, in one line and without control characters.
pub(in crate::bench) fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_three_digits_that_count() {
        let shown = [0.0, 0.0449, 0.436, 9.994, 9.996, 99.94, 99.96, 8312.4, 1e6].map(figure);
        let expected = [
            "0.00", "0.04", "0.44", "9.99", "10.0", "99.9", "100", "8312", "1000000",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_large_count_is_short() {
        let shown = [
            0.0, 9_999.0, 9_999.6, 12_345.0, 999_499.0, 999_500.0, 4.56e6, 9.9e11,
        ];
        let expected = [
            "0", "9999", "10.0k", "12.3k", "999k", "1.00M", "4.56M", "990G",
        ];
        assert_eq!(shown.map(count), expected);
    }

    #[test]
    fn a_date_has_minutes_and_says_whose_clock() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(1_795_405_921_999_999_999), "2026-11-23 03:52 UTC");
        assert_eq!(date(u64::MAX), "2554-07-21 23:34 UTC");
    }

    #[test]
    fn text_from_elsewhere_is_one_plain_line() {
        assert_eq!(plain(" a\tb\r\n\x1b[1mc "), "a b [1mc");
    }
}
