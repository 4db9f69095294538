//! Progress of a sweep: a bar with its ETA on a terminal, lines elsewhere.
//!
//! ```text
//! [==========>          ] 12/50  ETA 0:08  20x1M, 1 writer, 1 reader, futex
//! ```
//!
//! A step is one measurement. Steps last about as long as each other, so what
//! is left follows from what is done. Away from a terminal (`--progress
//! 2>log`) there is a line for each row. Warnings are always shown.

use super::args::BenchReportArgs;
use crate::cli::exit::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shmkit::bench::plan::{Plan, about};
use shmkit::bench::sweep::Event;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Between two drawings while nothing happens: seldom, as each takes a moment
/// of a processor from what is measured.
const TICK: Duration = Duration::from_secs(1);

/// What people see of a sweep.
pub enum Progress {
    /// Nothing but warnings.
    None,
    /// A line for each row.
    Lines {
        /// Rows there will be.
        rows: usize,
        /// Rows there are.
        done: usize,
    },
    /// A bar.
    Bar(ProgressBar),
}

impl Progress {
    /// As asked for.
    pub fn new(args: &BenchReportArgs, plan: &Plan) -> Progress {
        let rows = plan.cells();
        if args.quiet {
            return Progress::None;
        }
        if io::stderr().is_terminal() {
            return Progress::Bar(bar(plan));
        }
        if !args.progress {
            return Progress::None;
        }
        let time = about(plan.estimate());
        // A stderr that nobody reads changes nothing.
        let _ = writeln!(io::stderr(), "{rows} rows, {time}");
        Progress::Lines { rows, done: 0 }
    }

    /// Shows what happens.
    pub fn show(&mut self, event: &Event<'_>) {
        match (self, event) {
            (Progress::Bar(bar), Event::Step { done, of, what }) => {
                bar.set_length(*of);
                bar.set_position(*done);
                bar.set_message(what.clone());
            }
            (Progress::Bar(bar), Event::Warning(text)) => bar.suspend(|| say(text)),
            (_, Event::Warning(text)) => say(text),
            (Progress::Lines { rows, done }, Event::Row(run)) => {
                *done += 1;
                let cell = &run.cell;
                let result = match &run.failed {
                    None => format!("{:.0} MB/s", run.mb_per_s),
                    Some(why) => format!("failed: {why}"),
                };
                let _ = writeln!(
                    io::stderr(),
                    "{done}/{rows}  {} x {} bytes, {} to {}, {}: {result}",
                    cell.nodes,
                    cell.node_size,
                    cell.writers,
                    cell.readers,
                    cell.wait
                );
            }
            _ => {}
        }
    }

    /// Clears what is not a line.
    pub fn finish(self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(plan.steps()), ProgressDrawTarget::stderr());
    let template = "[{bar:24}] {pos}/{len}  ETA {eta}  {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}
