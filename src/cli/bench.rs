//! `shm bench`: how fast rings are here.
//!
//! ```text
//!   args --> Plan --> room? outputs open? --> sweep --> Report --> table, chart
//!   (usage: 2)        (before the first row)    |
//!                              progress <-------+  stderr, a bar with its ETA
//! ```
//!
//! What can be refused is refused before the first measurement: a list that
//! makes no sense, too little room for the largest ring, an output that cannot
//! be written. A sweep may take an hour; nobody wants to hear of it then. What
//! fails after it all the same (a full disk) loses as little as can be: rows
//! that do not get into their file go to stdout, and the chart is drawn
//! whatever became of the rows.
//!
//! Ctrl-C ends the sweep; the rows that are done are written, and the exit
//! status says that there would have been more (130, 143 or 129). A row that failed
//! is in the report, marked, and makes it exit with 1.
//!
//! One measurement can be written in many formats: `--from FILE` takes the
//! report of an earlier one (`--json`) and measures nothing.
//!
//! Its workers are this program again, as `shm bench --worker JOB`: see
//! [`work`]. They are started through /proc/self/exe, which is this very
//! program even if its file has been replaced since.

pub mod args;
mod progress;

use super::exit::{CliError, ExitStatus};
use super::output;
use super::signals::Signals;
use anyhow::{Context, anyhow};
use args::BenchArgs;
use progress::Progress;
use rustix::fd::OwnedFd;
use shmkit::bench::engine::{Engine, Launcher};
use shmkit::bench::model::{Machine, Report};
use shmkit::bench::{chart, report, sweep, worker};
use shmkit::segment::{self, Size};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const FAULTS: &str = "handling faults in shared memory";

/// Sweeps, and reports.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    if let Some(job) = &args.worker {
        return work(job);
    }
    match &args.report.from {
        Some(path) => again(args, path),
        None => measure(args),
    }
}

/// Writes what was measured before.
fn again(args: &BenchArgs, path: &Path) -> anyhow::Result<ExitStatus> {
    let name = || path.display().to_string();
    let mut file: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).with_context(name)?),
    };
    let report = report::read(&mut file).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            anyhow!("{}: not a report of shm bench --json: {error}", name())
        }
        _ => anyhow::Error::new(error).context(name()),
    })?;
    let outputs = Outputs::open(args)?;
    // A limit on file sizes is then an error, and not the end.
    Signals::install().context("handling signals")?;
    outputs.write(args, &report)?;
    Ok(ExitStatus::Success)
}

/// Measures, and writes it.
fn measure(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    let plan = args
        .plan()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    segment::check_room(plan.room()).context("the largest ring of this sweep")?;
    check_memory(plan.memory(), segment::available_memory())?;
    let outputs = Outputs::open(args)?;
    let signals = Signals::install().context("handling signals")?;
    segment::guard_faults().context(FAULTS)?;

    let cancelled = || signals.caught().is_some();
    let launcher = Launcher {
        program: PathBuf::from("/proc/self/exe"),
        name: "shm".into(),
        arguments: vec!["bench".into(), "--worker".into()],
    };
    let mut engine = Engine::new(launcher, &cancelled);
    let mut progress = Progress::new(&args.report, &plan);
    let report = sweep::run(&plan, Machine::here(), &mut engine, &mut |event| {
        progress.show(&event);
    });
    progress.finish();

    outputs.write(args, &report)?;
    match signals.caught() {
        Some(status) => Ok(status),
        None => failures(&report).map_or(Ok(ExitStatus::Success), Err),
    }
}

/// Whether the workers' own buffers find room, too: each picks its messages from
/// up to 256 MiB, or from two where they are larger.
fn check_memory(needed: u64, free: Option<u64>) -> anyhow::Result<()> {
    match free {
        Some(free) if free < needed => Err(anyhow!(
            "the largest cell of this sweep: not enough memory: needed {}, free {}; \
             ask for smaller nodes, or fewer of them or of writers",
            Size(needed),
            Size(free)
        )),
        _ => Ok(()),
    }
}

/// Where rows and picture go, opened before there are any.
struct Outputs {
    rows: Option<Target>,
    picture: Option<Target>,
}

impl Outputs {
    fn open(args: &BenchArgs) -> anyhow::Result<Outputs> {
        let rows = args.report.output.as_deref();
        let rows = rows.filter(|path| *path != Path::new("-"));
        let picture = args.report.chart.as_deref();
        if let (Some(path), true) = (rows, rows == picture) {
            let why = format!("{}: either the rows or the chart", path.display());
            return Err(CliError::Usage(why).into());
        }
        Ok(Outputs {
            rows: rows.map(Target::open).transpose()?,
            picture: picture.map(Target::open).transpose()?,
        })
    }

    fn write(self, args: &BenchArgs, report: &Report) -> anyhow::Result<()> {
        let mut text = Vec::new();
        report::write(args.report.format(), report, &mut text).context("the report")?;
        let print = || output::print(&String::from_utf8_lossy(&text));
        let written = match self.rows {
            // Better there than nowhere.
            Some(target) => target.write(&text).or_else(|error| print().and(Err(error))),
            None => print(),
        };
        let drawn = match self.picture {
            Some(target) => target.write(chart::svg(report).as_bytes()),
            None => Ok(()),
        };
        drawn.and(written)
    }
}

/// What to say of rows that failed.
fn failures(report: &Report) -> Option<anyhow::Error> {
    let failed = || report.runs.iter().filter(|run| run.failed.is_some());
    let first = failed().next()?;
    let cell = &first.cell;
    Some(anyhow!(
        "{} of {} rows failed: {} nodes of {} bytes, writers {}, readers {}: {}",
        failed().count(),
        report.runs.len(),
        cell.nodes,
        cell.node_size,
        cell.writers,
        cell.readers,
        first.failed.as_deref().unwrap_or_default()
    ))
}

/// A file that is open before it is needed. What was in it stays until then.
struct Target {
    path: PathBuf,
    file: File,
}

impl Target {
    fn open(path: &Path) -> anyhow::Result<Target> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(path);
        let file = opened.with_context(|| path.display().to_string())?;
        let path = path.to_owned();
        Ok(Target { path, file })
    }

    fn write(mut self, text: &[u8]) -> anyhow::Result<()> {
        let written = self.replace(text);
        written.with_context(|| self.path.display().to_string())
    }

    fn replace(&mut self, text: &[u8]) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text)?;
        self.file.flush()
    }
}

/// Is a worker: stdin is what the workers share, stdout an end of a pipe or
/// socket, and the reply goes to stderr.
fn work(job: &str) -> anyhow::Result<ExitStatus> {
    segment::guard_faults().context(FAULTS)?;
    let end = take_stdout().context("stdout")?;
    let (reply, status) = match worker::answer(job, rustix::stdio::stdin(), Some(end)) {
        Ok(reply) => (reply, ExitStatus::Success),
        Err(reply) => (reply, ExitStatus::Failure),
    };
    // Nobody listens any more: then nobody minds.
    let _ = writeln!(io::stderr(), "{reply}");
    Ok(status)
}

/// Standard output as something that can be closed: its reader must see the
/// end when the worker is done, not when the process is gone.
fn take_stdout() -> io::Result<OwnedFd> {
    let end = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_keeps_what_it_holds_until_there_is_something_better() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a long old report").unwrap();
        let target = Target::open(file.path()).unwrap();
        let now = || std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(now(), "a long old report");
        target.write(b"new").unwrap();
        assert_eq!(now(), "new");
    }

    #[test]
    fn too_little_memory_is_said_with_both_figures() {
        let gib = |n: u64| n << 30;
        assert!(check_memory(gib(2), Some(gib(2))).is_ok());
        assert!(check_memory(gib(2), None).is_ok(), "nothing says");
        let error = check_memory(gib(252), Some(gib(24))).unwrap_err();
        let line = error.to_string();
        assert!(line.contains("needed 252 GiB, free 24 GiB"), "{line}");
    }

    #[test]
    fn an_output_that_cannot_be_opened_is_named() {
        let error = Target::open(Path::new("/proc/none/report")).err().unwrap();
        assert!(error.to_string().contains("/proc/none/report"));
    }
}
