//! Tables in Markdown, to be put into a README as they are.
//!
//! ```text
//!   Measured on DATE on MACHINE, by shm VERSION.
//!   Rings: WHAT ALL ROWS SHARE.
//!
//!   | limit | of | MB/s | spread |
//!   |---|---|---:|---:|
//!
//!   | ring | w/r | MB/s | ...
//!   |---|---|---:| ...
//!
//!   - NOTE
//! ```
//!
//! The columns are those of the terminal's table, but side by side however many
//! they are: whoever shows Markdown can scroll. Figures lean to the right. A table
//! carries its date and machine, because that is what gets lost when it is copied.
//!
//! Every text that is not ours is escaped, so that a name with a `|` or a `<` is
//! that name, and neither a new column nor markup.

use super::columns;
use super::notes;
use super::words::{date, machine_words, plain, shared_words};
use crate::bench::model::{Baseline, Report};
use std::io::{self, Write};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "Measured on {} on {}, by shm {}.",
        date(report.machine.unix_ns),
        escaped(&machine_words(&report.machine).join(", ")),
        escaped(&plain(&report.machine.version)),
    )?;
    if !report.runs.is_empty() {
        writeln!(
            out,
            "Rings: {}.",
            escaped(&shared_words(&report.runs).join(", "))
        )?;
    }
    if !report.baselines.is_empty() {
        writeln!(out)?;
        write_limits(&report.baselines, out)?;
    }
    if !report.runs.is_empty() {
        let (columns, keys) = columns::of(&report.runs);
        let titles: Vec<(&str, bool)> = columns.iter().map(|c| (c.title, c.right)).collect();
        let rows = report.runs.iter();
        let rows = rows.map(|run| columns::row(run, &columns, keys));
        writeln!(out)?;
        write_table(&titles, rows, out)?;
    }
    let notes = notes::of(report);
    if !notes.is_empty() {
        writeln!(out)?;
    }
    notes
        .iter()
        .try_for_each(|note| writeln!(out, "- {}", escaped(note)))
}

fn write_limits(baselines: &[Baseline], out: &mut dyn Write) -> io::Result<()> {
    let (columns, rows) = columns::limits(baselines);
    let titles: Vec<(&str, bool)> = columns.iter().map(|c| (c.title, c.right)).collect();
    write_table(&titles, rows.into_iter(), out)
}

fn write_table(
    titles: &[(&str, bool)],
    rows: impl Iterator<Item = Vec<String>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let titled: Vec<String> = titles.iter().map(|(title, _)| title.to_string()).collect();
    writeln!(out, "{}", line(&titled))?;
    let rule = titles
        .iter()
        .map(|(_, right)| if *right { "---:|" } else { "---|" });
    writeln!(out, "|{}", rule.collect::<String>())?;
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        writeln!(out, "{}", line(&cells))?;
    }
    Ok(())
}

/// Text in which nothing means anything to Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_in_a_cell_ends_it_or_becomes_a_link() {
        assert_eq!(escaped("a|b [c](d) *e*"), r"a\|b \[c\](d) \*e\*");
        assert_eq!(escaped("20x1M! 2/2"), "20x1M! 2/2");
    }
}
