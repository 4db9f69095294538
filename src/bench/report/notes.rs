//! What a reader should know before believing a row, each with its remedy.
//!
//! ```text
//!   20x1M! 2/2 futex failed after 3 repeats: a writer was killed
//!   2 rows with a spread above 15%: leave the machine alone meanwhile, or ...
//!   interrupted: the sweep has more cells than these
//! ```
//!
//! They stand below the rows, most important first: what failed and why, what is
//! wrong with the data, what makes figures or comparisons doubtful, what is
//! missing. A failure is
//! told for each row, since each may have its own; doubts are counted, since in a
//! restless machine nearly every row is doubtful and a list would say no more.
//!
//! A sweep in which all is well has no notes. The figures themselves are never
//! changed or left out for being doubtful: that is for the reader to decide.

use super::words::{plain, ring_of};
use crate::bench::model::{Report, Run, Spread};

/// Repeats that differ by more than this from their median say little.
const WIDE: f64 = 0.15;

/// Sentences, most important first.
pub(super) fn of(report: &Report) -> Vec<String> {
    let mut notes: Vec<String> = report.runs.iter().filter_map(failure).collect();
    let rows = |are: fn(&Run) -> bool| report.runs.iter().filter(|run| are(run)).count();
    let mut note = |count: usize, of: &str, what: &str| match count {
        0 => {}
        1 => notes.push(format!("1 {of} {what}")),
        count => notes.push(format!("{count} {of}s {what}")),
    };
    let remedy = "with a spread above 15%: leave the machine alone meanwhile, or raise --repeat";
    note(
        rows(|run| run.verified == Some(false)),
        "row",
        "with NO under verified: what was read is not what was written",
    );
    note(
        rows(|run| run.diff_final > 0),
        "row",
        "with a diff at the end: not all that was written was read",
    );
    note(rows(|run| wide(&run.mb_per_s_spread)), "row", remedy);
    let limits = report.baselines.iter();
    note(
        limits.filter(|limit| wide(&limit.spread)).count(),
        "limit",
        remedy,
    );
    note(
        rows(|run| run.cell.in_place),
        "row",
        "in place: the MB/s of bytes that nobody copied, beside limits that copy",
    );
    if report.machine.cpus < 2 && rows(|run| run.fraction_of_pipeline.is_some()) > 0 {
        let why =
            "one processor: the ideal pipeline spins where a ring sleeps; compare with a pipe";
        notes.push(why.into());
    }
    if !report.complete {
        notes.push("interrupted: the sweep has more cells than these".into());
    }
    notes
}

fn wide(spread: &Spread) -> bool {
    spread.deviation() > Some(WIDE)
}

/// `20x1M 2/2 futex failed after 3 repeats: a writer was killed`.
fn failure(run: &Run) -> Option<String> {
    let reason = plain(run.failed.as_ref()?);
    let cell = &run.cell;
    let row = format!(
        "{}! {}/{} {}",
        ring_of(cell.nodes, cell.node_size),
        cell.writers,
        cell.readers,
        plain(&cell.wait)
    );
    Some(match run.repeats {
        0 => format!("{row} failed: {reason}"),
        1 => format!("{row} failed after 1 repeat: {reason}"),
        repeats => format!("{row} failed after {repeats} repeats: {reason}"),
    })
}
