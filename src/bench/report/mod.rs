//! What a bench found, written down: one file per format.
//!
//! ```text
//!               +- columns, words, notes --+-> table     people, in a terminal
//!   Report -----+                          +-> markdown  people, in a README
//!               +--------------------------+-> json      scripts, everything
//!                                          +-> csv       spreadsheets, everything
//! ```
//!
//! JSON and CSV leave nothing out and give every figure as it was measured. In CSV
//! a nested name is joined by `_`: `latency_ns.p99` is `latency_ns_p99`. The
//! table and Markdown are for reading: rounded, with the machine above, its limits
//! first, and notes below on what a reader should know before believing a row.
//!
//! What both kinds keep:
//!
//! - A row per cell, in the order of the grid, also for one that failed. What was
//!   not measured is `null`, an empty field, `-`. The figures of a row that has
//!   failed at once (`repeats` is 0) are `-` for people; in JSON and CSV they stay
//!   numbers, 0, and `failed` says why.
//! - Columns that say nothing are left out of the table: latencies that were not
//!   measured, a ratio without a limit, a way to wait that all rows share (it
//!   stands above the table, once).
//! - A line of the table has at most 100 columns. Columns for which there is no
//!   room go on below, with the rows named again.
//! - Words that come from elsewhere (a processor's name, a reason of failure) do
//!   not break a format: control characters are blanks, and each format escapes
//!   what means something to it.
//!
//! The only errors are those of the writer.

mod columns;
mod csv;
mod json;
mod markdown;
mod notes;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub(super) use words::{date, machine_words, plain, ring_of, shared_words};

use super::model::Report;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    #[default]
    Table,
    /// One JSON object, in a line.
    Json,
    /// Comma-separated values with a line of names: limits, then rows.
    Csv,
    /// Tables in Markdown.
    Markdown,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Table, Format::Json, Format::Csv, Format::Markdown];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Markdown => "markdown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        let mut all = Format::ALL.into_iter();
        all.find(|format| format.name() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// A format that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: not a format; there are table, json, csv and markdown")]
pub struct UnknownFormat(pub String);

/// Writes a report. The only errors are those of `out`.
pub fn write(format: Format, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => table::write(report, out),
        Format::Json => json::write(report, out),
        Format::Csv => csv::write(report, out),
        Format::Markdown => markdown::write(report, out),
    }
}

/// Reads a report that was written as [`Format::Json`]. What is no such report is
/// an error of the kind [`InvalidData`](io::ErrorKind::InvalidData), or of
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if it ends too early.
pub fn read(from: &mut dyn Read) -> io::Result<Report> {
    json::read(&mut BufReader::new(from))
}
