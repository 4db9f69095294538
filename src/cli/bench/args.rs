//! What may be typed after `shm bench`, and what it means.
//!
//! Lists are typed with commas: `-n 2,5,10`. What they multiply out to, and
//! whether it makes sense, is for [`Plan`] to say; its complaints are usage
//! errors.

use crate::cli::args::{DeliveryArg, WaitArg};
use crate::cli::{help, units};
use clap::{Args, ValueEnum, ValueHint};
use shmkit::bench::plan::{Grid, Limit, Limits, Mode, Plan, PlanError, Settings};
use shmkit::bench::report::Format;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  shm bench                                 20 nodes of 1M, beside the machine's limits
  shm bench -n 2,20 -b 1K,64K,1M            a sweep: six geometries
  shm bench --sweep --chart sweep.svg       nodes, sizes, writers and readers, and a chart
  shm bench -b 64 --latency --wait futex,spin    round trips, ways to wait side by side
  shm bench -w 2 -r 2 --verify --elements 100000    is every byte right?
  shm bench -r 1,2,3 --delivery queue,broadcast     readers that share, and readers that get all
  shm bench --sweep --format json -o sweep.json     for scripts
  shm bench --from sweep.json --format csv  the same measurement once more, for a spreadsheet

Each row is the median of its repeats. The limits are measured in turns with the rows, and
PIPELINE compares a row with the ideal pipeline of its own round. MB/S is what was written, each
byte counted once, and PER READER what each reader read of it. Ctrl-C prints what is done.
A row that failed is marked, and the exit status is 1.";

/// What is swept: the product of its lists.
const GRID: &str = "Grid (each a list: 2,5,10)";
/// What is done with each of its cells.
const MEASUREMENT: &str = "Measurement";

/// Measure how fast rings are here, in sweeps over geometries
#[derive(Debug, Args)]
#[command(after_help = help::MORE, after_long_help = EXAMPLES)]
pub struct BenchArgs {
    /// Node counts, 2 to 1,048,576 each
    #[arg(
        short,
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "20",
        help_heading = GRID
    )]
    pub nodes: Vec<u64>,
    /// Bytes of a node, which are those of a message: 64, 1K, 1M
    #[arg(
        short = 'b',
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1M",
        value_parser = units::size,
        help_heading = GRID
    )]
    pub node_size: Vec<u64>,
    /// Numbers of writers
    #[arg(
        short,
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1",
        help_heading = GRID
    )]
    pub writers: Vec<u32>,
    /// Numbers of readers
    #[arg(
        short,
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1",
        help_heading = GRID
    )]
    pub readers: Vec<u32>,
    /// The grid -n 2,5,10,20,50 -b 1K,1M -w 1,2 -r 1,2
    #[arg(long, conflicts_with_all = ["nodes", "node_size", "writers", "readers"], help_heading = GRID)]
    pub sweep: bool,
    /// Ways to wait, side by side
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "futex",
        help_heading = GRID
    )]
    pub wait: Vec<WaitArg>,
    /// Who gets a node
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "queue",
        help_heading = GRID
    )]
    pub delivery: Vec<DeliveryArg>,
    /// How long each repeat takes: 200ms, 5s [default: 200ms]
    #[arg(short, long, value_name = "DUR", value_parser = units::duration, help_heading = MEASUREMENT)]
    pub duration: Option<Duration>,
    /// Move that many messages in each repeat, by all writers together
    #[arg(long, value_name = "N", conflicts_with = "duration", help_heading = MEASUREMENT)]
    pub elements: Option<u64>,
    /// How often each row is measured
    #[arg(long, value_name = "N", default_value = "5", help_heading = MEASUREMENT)]
    pub repeat: u32,
    /// Writers and readers as threads of one process, not as processes
    #[arg(long, help_heading = MEASUREMENT)]
    pub threads: bool,
    /// Copy nothing in and nothing out
    #[arg(long, help_heading = MEASUREMENT)]
    pub in_place: bool,
    /// Check every byte, and the order of each writer's messages
    #[arg(long, help_heading = MEASUREMENT)]
    pub verify: bool,
    /// Measure round trips as well, and one way: one message under way
    #[arg(long, help_heading = MEASUREMENT)]
    pub latency: bool,
    /// What is measured beside the rows [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = MEASUREMENT)]
    pub baseline: Vec<BaselineArg>,
    /// Leave it to the kernel which worker runs on which processor
    #[arg(long, help_heading = MEASUREMENT)]
    pub no_pin: bool,
    /// Go on even if there are more than a thousand rows
    #[arg(long, help_heading = MEASUREMENT)]
    pub yes: bool,
    #[command(flatten)]
    pub report: BenchReportArgs,
    /// Be a worker of another `shm bench`
    #[arg(long, hide = true, value_name = "JOB", exclusive = true)]
    pub worker: Option<String>,
}

/// Where the rows go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct BenchReportArgs {
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: FormatArg,
    /// As --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Measure nothing: write what an earlier `shm bench --json` wrote to FILE (-: stdin) once more
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = [
        "nodes", "node_size", "writers", "readers", "sweep", "wait", "delivery", "duration",
        "elements", "repeat", "threads", "in_place", "verify", "latency", "baseline", "no_pin",
        "yes", "progress",
    ])]
    pub from: Option<PathBuf>,
    /// Write them to FILE instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Draw a chart as well
    #[arg(long, value_name = "FILE.svg", value_parser = chart, value_hint = ValueHint::FilePath)]
    pub chart: Option<PathBuf>,
    /// Show progress even when stderr is not a terminal (then a line for each row)
    #[arg(long, conflicts_with = "quiet")]
    pub progress: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BaselineArg {
    /// One thread that copies messages into nodes
    Memcpy,
    /// The ideal pipeline: two processes, nothing but copies and two cursors
    Pipeline,
    /// A pipe of 1 MiB between two processes
    Pipe,
    /// A Unix stream socket between two processes
    Socket,
    /// Nothing
    None,
}

impl BaselineArg {
    fn limits(self) -> Option<Limits> {
        match self {
            BaselineArg::Memcpy => Some(Limits::Memcpy),
            BaselineArg::Pipeline => Some(Limits::Pipeline),
            BaselineArg::Pipe => Some(Limits::Pipe),
            BaselineArg::Socket => Some(Limits::Socket),
            BaselineArg::None => None,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormatArg {
    /// Columns for people
    Table,
    /// One object, with all figures
    Json,
    /// A line for each row, with all figures
    Csv,
    /// A table for a README
    Markdown,
}

/// A chart is an SVG, and says so.
fn chart(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let svg = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("svg"));
    match svg {
        true => Ok(path),
        false => Err("a chart is an SVG; name the file *.svg".into()),
    }
}

impl BenchReportArgs {
    /// How rows are written.
    pub fn format(&self) -> Format {
        match self.format {
            _ if self.json => Format::Json,
            FormatArg::Table => Format::Table,
            FormatArg::Json => Format::Json,
            FormatArg::Csv => Format::Csv,
            FormatArg::Markdown => Format::Markdown,
        }
    }
}

impl BenchArgs {
    /// What was asked for, checked.
    pub fn plan(&self) -> Result<Plan, BadBench> {
        let none = self.baseline.contains(&BaselineArg::None);
        if none && self.baseline.len() > 1 {
            return Err(BadBench::NoneAndOthers);
        }
        let grid = Grid {
            waits: self.wait.iter().map(|wait| (*wait).into()).collect(),
            deliveries: self.delivery.iter().map(|how| (*how).into()).collect(),
            ..match self.sweep {
                true => Grid::sweep(),
                false => Grid {
                    nodes: self.nodes.clone(),
                    node_sizes: self.node_size.clone(),
                    writers: self.writers.clone(),
                    readers: self.readers.clone(),
                    ..Grid::default()
                },
            }
        };
        let defaults = Settings::default();
        let chosen: Vec<Limits> = self.baseline.iter().filter_map(|b| b.limits()).collect();
        let limits = Limits::ALL.into_iter();
        let settings = Settings {
            mode: match self.threads {
                true => Mode::Thread,
                false => Mode::Process,
            },
            in_place: self.in_place,
            verify: self.verify,
            latency: self.latency,
            limit: match (self.elements, self.duration) {
                (Some(elements), _) => Limit::Messages(elements),
                (None, Some(duration)) => Limit::Time(duration),
                (None, None) => defaults.limit,
            },
            repeat: self.repeat,
            limits: limits
                .filter(|limit| self.baseline.is_empty() || chosen.contains(limit))
                .collect(),
            pin: !self.no_pin,
        };
        Ok(Plan::new(&grid, &settings, self.yes)?)
    }
}

/// What was typed cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BadBench {
    /// The plan says why.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nothing, and something.
    #[error("--baseline none: goes with no other baseline")]
    NoneAndOthers,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn plan(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|e| e.to_string())?;
        line.bench.plan().map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_typed_is_20_nodes_of_1m_beside_all_limits() {
        let plan = plan("").unwrap();
        assert_eq!(plan.cells(), 1);
        let group = &plan.groups[0];
        assert_eq!((group.nodes, group.node_size), (20, 1 << 20));
        assert_eq!(group.limits, Limits::ALL);
        assert_eq!(plan.settings, Settings::default());
    }

    #[test]
    fn lists_are_multiplied_out() {
        let plan = plan("-n 2,5 -b 1K,64 -w 1,2 -r 3 --wait futex,spin").unwrap();
        assert_eq!(plan.cells(), 2 * 2 * 2 * 2);
    }

    #[test]
    fn each_flag_has_its_meaning() {
        let settings = |line| plan(line).unwrap().settings;
        assert_eq!(settings("--threads").mode, Mode::Thread);
        assert!(settings("--in-place").in_place);
        assert!(settings("--verify").verify);
        assert!(settings("--latency").latency);
        assert!(!settings("--no-pin").pin);
        assert_eq!(settings("--repeat 3").repeat, 3);
        assert_eq!(settings("--elements 7").limit, Limit::Messages(7));
        let second = Limit::Time(Duration::from_secs(1));
        assert_eq!(settings("-d 1s").limit, second);
        assert_eq!(settings("--baseline none").limits, []);
        let two = [Limits::Pipeline, Limits::Pipe];
        assert_eq!(settings("--baseline pipe,pipeline").limits, two);
        assert_eq!(plan("--sweep").unwrap().cells(), 40);
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for line in [
            "--sweep -n 2",
            "--sweep -r 2",
            "-d 1s --elements 3",
            "-d 5",
            "-d 0s",
            "--elements 0",
            "--repeat 0",
            "-n 1",
            "-n 2,,3",
            "-n x",
            "-n -3",
            "-b 0",
            "-b 2G",
            "-w 0",
            "-r 0",
            "-w 100 -r 100",
            "--baseline none,pipe",
            "--baseline fast",
            "--wait never",
            "--format xml",
            "--json --format csv",
            "--chart picture.png",
            "--verify -b 8",
            "--latency -b 15",
            "--worker {} -n 2",
            "--from f -n 2",
            "--from f --sweep",
            "--from f --repeat 5",
            "--from f --verify",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
    }
}
