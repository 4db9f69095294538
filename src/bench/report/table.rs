//! Aligned columns for a terminal, 100 wide at most.
//!
//! ```text
//!   machine                            \
//!   version, date                       |  wrapped at commas
//!
//!     LIMIT  OF  MB/S  SPREAD           |  what the machine can do at most
//!
//!   what all rows share                 |
//!
//!     RING  W/R | MB/S  SPREAD  ...     |  a block of columns, and a further
//!                                       |  one where there is no room
//!     RING  W/R | ROUND TRIP  ...       |
//!
//!   notes                              /
//! ```
//!
//! The width is fixed and not the terminal's: what is written to a file, or pasted
//! into a mail, is the same everywhere. Columns without room are not cut; they go
//! on in a block below, where the rows are named again. Only a single text that is
//! longer than the line makes a longer line. No line ends in blanks.

use super::columns;
use super::notes;
use super::words::{date, machine_words, plain, shared_words};
use crate::bench::model::{Baseline, Report};
use crate::inspect::units::{Column, write_columns};
use std::io::{self, Write};

/// Columns of a terminal that a line may take.
pub(super) const WIDTH: usize = 100;

/// Between two columns.
const GAP: usize = 2;

const INDENT: &str = "  ";

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_wrapped(&machine_words(&report.machine), out)?;
    let version = plain(&report.machine.version);
    writeln!(out, "shm {version}, {}", date(report.machine.unix_ns))?;
    if !report.baselines.is_empty() {
        write!(out, "\nlimits of this machine\n\n")?;
        write_limits(&report.baselines, out)?;
    }
    if !report.runs.is_empty() {
        writeln!(out)?;
        write_wrapped(&shared_words(&report.runs), out)?;
        writeln!(out)?;
        write_runs(report, out)?;
    }
    let notes = notes::of(report);
    if !notes.is_empty() {
        writeln!(out)?;
    }
    notes.iter().try_for_each(|note| writeln!(out, "{note}"))
}

fn write_limits(baselines: &[Baseline], out: &mut dyn Write) -> io::Result<()> {
    let (columns, rows) = columns::limits(baselines);
    let columns = columns
        .iter()
        .map(|column| lean(column.heading, column.right));
    let columns: Vec<Column> = columns.collect();
    write_columns(out, INDENT, &columns, &rows)
}

fn lean(heading: &'static str, right: bool) -> Column {
    match right {
        true => Column::Right(heading),
        false => Column::Left(heading),
    }
}

/// The rows, in as many blocks as their columns need.
fn write_runs(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (columns, keys) = columns::of(&report.runs);
    let rows: Vec<Vec<String>> = report
        .runs
        .iter()
        .map(|run| columns::row(run, &columns, keys))
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let texts = rows.iter().map(|row| row[at].len());
            texts.max().unwrap_or(0).max(column.heading.len())
        })
        .collect();
    for (number, block) in blocks(&widths, keys).iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let column = |at: &usize| lean(columns[*at].heading, columns[*at].right);
        let columns: Vec<Column> = block.iter().map(column).collect();
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| block.iter().map(|at| row[*at].clone()).collect())
            .collect();
        write_columns(out, INDENT, &columns, &rows)?;
    }
    Ok(())
}

/// Which columns stand side by side: the first `keys` in every block, and of the
/// others as many as there is room for, but one at least.
fn blocks(widths: &[usize], keys: usize) -> Vec<Vec<usize>> {
    let named: usize = widths[..keys].iter().map(|width| width + GAP).sum();
    let mut blocks = vec![(0..keys).collect::<Vec<_>>()];
    let mut used = INDENT.len() + named;
    for (at, width) in widths.iter().enumerate().skip(keys) {
        let full = used + width > WIDTH && blocks.last().is_some_and(|block| block.len() > keys);
        if full {
            blocks.push((0..keys).collect());
            used = INDENT.len() + named;
        }
        if let Some(block) = blocks.last_mut() {
            block.push(at);
        }
        used += width + GAP;
    }
    blocks
}

/// Words with commas between them, broken where a line is full.
fn write_wrapped(words: &[String], out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 < words.len() { "," } else { "" };
        let length = line.chars().count() + word.chars().count() + comma.len() + 1;
        if !line.is_empty() && length > WIDTH {
            writeln!(out, "{line}")?;
            line = String::from(INDENT);
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        line.push_str(comma);
    }
    match line.is_empty() {
        true => Ok(()),
        false => writeln!(out, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_room_go_on_below_with_the_rows_named_again() {
        assert_eq!(blocks(&[5, 3, 10, 10], 2), [[0, 1, 2, 3]]);
        // 2 + 7 + 5 + 42 = 56, and 42 + 1 more would be 101 with the next.
        assert_eq!(
            blocks(&[5, 3, 40, 45, 10, 5], 2),
            [vec![0, 1, 2], vec![0, 1, 3, 4, 5]]
        );
        assert_eq!(blocks(&[5, 3, 40, 44], 2), [[0, 1, 2, 3]]);
        assert_eq!(blocks(&[5, 3, 200, 200], 2), [[0, 1, 2], [0, 1, 3]]);
    }

    #[test]
    fn words_are_broken_at_a_comma() {
        let words = ["a".repeat(60), "b".repeat(37), "c".into()];
        let mut out = Vec::new();
        write_wrapped(&words, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, format!("{}, {},\n  c\n", words[0], words[1]));
        assert_eq!(text.lines().next().unwrap().len(), WIDTH);
    }
}
