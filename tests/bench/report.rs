//! What the bench found, for people and for scripts.

use crate::Cell;
use serde_json::json;
use shmkit::ring::WaitStrategy;

/// A cell's figures, GB/s by round.
pub struct Row {
    /// The geometry.
    pub cell: Cell,
    /// Of the ideal pipeline.
    pub ideal: Vec<f64>,
    /// Of the library's ring.
    pub ring: Vec<f64>,
}

impl Row {
    /// The ring's median by the ideal pipeline's.
    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ring)? / median(&self.ideal)?)
    }

    /// The lowest and highest ratio within one round.
    fn range(&self) -> Option<(f64, f64)> {
        let ratios = || {
            self.ring
                .iter()
                .zip(&self.ideal)
                .map(|(ring, ideal)| ring / ideal)
        };
        Some((ratios().reduce(f64::min)?, ratios().reduce(f64::max)?))
    }

    fn columns(&self) -> [String; 6] {
        let figure = |value: Option<f64>, digits: usize| {
            value.map_or("-".into(), |value| format!("{value:.digits$}"))
        };
        let ring = median(&self.ring);
        [
            self.cell.to_string(),
            figure(median(&self.ideal), 2),
            figure(ring, 2),
            figure(self.ratio(), 2),
            self.range()
                .map_or("-".into(), |(low, high)| format!("{low:.2} to {high:.2}")),
            figure(ring.map(|rate| rate * 1e3 / self.cell.size as f64), 3),
        ]
    }
}

const COLUMNS: [&str; 6] = [
    "cell",
    "ideal GB/s",
    "ring GB/s",
    "ratio",
    "range",
    "M nodes/s",
];
const WIDTHS: [usize; 6] = [8, 11, 10, 7, 14, 10];

/// How to print rows: as they come, or all at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Aligned columns.
    Text,
    /// A Markdown table.
    Markdown,
    /// One JSON object, at the end.
    Json,
}

impl Style {
    /// Prints what comes before the first row.
    pub fn begin(self) {
        self.columns(&COLUMNS);
        if self == Style::Markdown {
            self.columns(&["---"; 6]);
        }
    }

    /// Prints a row, unless it is for later.
    pub fn row(self, row: &Row) {
        self.columns(&row.columns());
    }

    /// Prints what comes after the last row.
    pub fn end(self, rows: &[Row], wait: WaitStrategy, cpus: Option<[usize; 2]>) {
        if self == Style::Json {
            let cells: Vec<_> = rows.iter().map(json_row).collect();
            println!(
                "{:#}",
                json!({ "wait": wait.as_str(), "cpus": cpus, "cells": cells })
            );
        }
    }

    fn columns(self, texts: &[impl AsRef<str>]) {
        let texts = texts.iter().map(AsRef::as_ref);
        match self {
            Style::Text => {
                let padded = texts
                    .zip(WIDTHS)
                    .map(|(text, width)| format!("{text:>width$}"));
                println!("{}", padded.collect::<String>());
            }
            Style::Markdown => println!("| {} |", texts.collect::<Vec<_>>().join(" | ")),
            Style::Json => {}
        }
    }
}

fn json_row(row: &Row) -> serde_json::Value {
    let range = row.range();
    json!({
        "cell": row.cell.to_string(), "nodes": row.cell.nodes, "node_size": row.cell.size,
        "ideal_gb_per_s": row.ideal, "ring_gb_per_s": row.ring,
        "ideal_median": median(&row.ideal), "ring_median": median(&row.ring),
        "ratio": row.ratio(),
        "ratio_min": range.map(|range| range.0), "ratio_max": range.map(|range| range.1),
    })
}

/// The middle value, or the mean of the two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}
