//! How fast the library's ring is, against the ideal pipeline beside it.
//!
//! ```text
//! cargo bench --bench ring                             every cell, 5 rounds
//! cargo bench --bench ring -- --cells 20x1M,20x1K      only these
//! cargo bench --bench ring -- --json > figures.json    for a script
//! ```
//!
//! # What is measured
//!
//! A *cell* is a geometry: `20x1M` is 20 nodes of 1 MiB. In each cell two
//! variants move the same messages from one process to another, one writer and
//! one reader, each message as large as a node, copied in and copied out:
//!
//! - **ideal**: the ideal pipeline (see [`ideal`]), a bare spinning ring with
//!   round-robin slots, plain `memcpy` and padded cursors. Nothing that can
//!   recover, wait without burning a core, or serve a second reader costs less.
//! - **ring**: the library, through [`Writer::write`](shmkit::ring::Writer)
//!   and [`Reader::claim`](shmkit::ring::Reader) with one copy out, one node at
//!   a time, with the wait strategy users get (`--wait` for another).
//!
//! Figures of memory differ between machines, and on one machine from minute
//! to minute. So the figure of merit is a ratio within one run: the rounds of a
//! cell alternate ideal, ring, ideal, ring ..., and the table shows the median
//! of each, their ratio, and the lowest and highest ratio that the two halves
//! of one round had. A wide range means a busy machine, not a finding.
//!
//! # How
//!
//! The parent makes the shared file (a memfd, which leaves nothing behind), or
//! the ring, and starts this program again as writer and as reader (see
//! [`worker`]). Both are pinned, to the first two processors allowed, unless
//! `--no-pin` leaves placement to the kernel. GB/s are 10^9 payload bytes per
//! second, each byte counted once. Every message carries stamps that the
//! reader checks; a run that moved anything else than what it should fails
//! the bench (exit 1). Ctrl-C prints the cells that are done and exits 130.

mod ideal;
mod memory;
mod report;
mod worker;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Parser, ValueEnum};
use memory::Shared;
use report::{Row, Style};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::thread::sched_getaffinity;
use shmkit::ring::{self, Delivery, Geometry, WaitStrategy};
use shmkit::segment::{self, Name, OpenOptions};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Cells that show where each cost lies: large nodes are bound by memory,
/// middle ones by the second-level cache, small ones by the protocol.
const CELLS: &str = "5x1M,20x1M,50x1M,20x64K,20x16K,20x4K,20x1K,50x1K,2x1K,20x64";
/// A run that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(120);

/// Nodes and bytes of each.
#[derive(Clone, Copy, Debug)]
struct Cell {
    nodes: usize,
    size: usize,
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Cell, String> {
        let (nodes, size) = text
            .split_once('x')
            .ok_or("expected NODESxSIZE, as in 20x64K")?;
        let nodes = nodes
            .parse()
            .map_err(|_| format!("{nodes}: not a number of nodes"))?;
        let size = parse_bytes(size)? as usize;
        if !(2..=1 << 20).contains(&nodes)
            || !(16..=1 << 30).contains(&size)
            || !size.is_multiple_of(8)
        {
            return Err("needs 2 nodes or more, of 16 bytes or more, in steps of 8".into());
        }
        Ok(Cell { nodes, size })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { nodes, size } = *self;
        match size {
            _ if size.is_multiple_of(1 << 20) => write!(f, "{nodes}x{}M", size >> 20),
            _ if size.is_multiple_of(1 << 10) => write!(f, "{nodes}x{}K", size >> 10),
            _ => write!(f, "{nodes}x{size}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Variant {
    Ideal,
    Ring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Write,
    Read,
}

/// The library ring against the ideal pipeline, cell by cell.
#[derive(Parser)]
struct Args {
    /// Geometries, NODESxSIZE
    #[arg(long, value_delimiter = ',', default_value = CELLS)]
    cells: Vec<Cell>,
    /// Rounds per cell, of which the medians are shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Bytes to move per run [default: 2G, 1G below 16K, 256M below 1K]
    #[arg(long, value_parser = parse_bytes)]
    bytes: Option<u64>,
    /// The ring's wait strategy: futex, spin or event
    #[arg(long, default_value = "futex")]
    wait: WaitStrategy,
    /// Leave placement to the kernel
    #[arg(long)]
    no_pin: bool,
    /// Measure only one of the two
    #[arg(long)]
    only: Option<Variant>,
    /// Print JSON in place of the table
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
    /// What `cargo bench` passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Be a worker: ROLE VARIANT CELL MESSAGES CPU|- RING
    #[arg(long, hide = true, num_args = 6)]
    worker: Option<Vec<String>>,
}

/// One end of one run, as its process is told.
#[derive(Debug)]
struct Work {
    role: Role,
    variant: Variant,
    cell: Cell,
    messages: u64,
    cpu: Option<usize>,
    ring: String,
}

impl Work {
    /// Messages that go through before the clock starts: two laps.
    fn warm_up(&self) -> u64 {
        2 * self.cell.nodes as u64
    }

    fn to_args(&self) -> [String; 6] {
        [
            format!("{:?}", self.role).to_lowercase(),
            format!("{:?}", self.variant).to_lowercase(),
            self.cell.to_string(),
            self.messages.to_string(),
            self.cpu.map_or("-".into(), |cpu| cpu.to_string()),
            self.ring.clone(),
        ]
    }

    fn from_args(args: &[String]) -> Result<Work> {
        let [role, variant, cell, messages, cpu, ring] = args else {
            bail!("six arguments")
        };
        Ok(Work {
            role: Role::from_str(role, true).map_err(|e| anyhow!(e))?,
            variant: Variant::from_str(variant, true).map_err(|e| anyhow!(e))?,
            cell: cell.parse().map_err(|e: String| anyhow!(e))?,
            messages: messages.parse()?,
            cpu: if cpu == "-" { None } else { Some(cpu.parse()?) },
            ring: ring.clone(),
        })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.worker {
        Some(words) => Work::from_args(words)
            .and_then(|work| worker::run(&work))
            .map(|()| 0),
        None => measure(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ring bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures every cell and prints what was done, also when interrupted.
fn measure(args: &Args) -> Result<u8> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize)?;
    }
    let cpus = if args.no_pin { None } else { two_cpus()? };
    let style = match (args.json, args.markdown) {
        (true, _) => Style::Json,
        (_, true) => Style::Markdown,
        _ => Style::Text,
    };
    style.begin();
    let mut rows = Vec::new();
    let mut result = Ok(0);
    for &cell in &args.cells {
        match measure_cell(args, cell, cpus, &signal) {
            Ok(row) => {
                style.row(&row);
                rows.push(row);
            }
            Err(_) if signal.load(Ordering::Relaxed) != 0 => {
                result = Ok(128 + signal.load(Ordering::Relaxed) as u8);
                break;
            }
            Err(error) => {
                result = Err(error.context(format!("cell {cell}")));
                break;
            }
        }
    }
    style.end(&rows, args.wait, cpus);
    result
}

fn measure_cell(
    args: &Args,
    cell: Cell,
    cpus: Option<[usize; 2]>,
    signal: &AtomicUsize,
) -> Result<Row> {
    let bytes = args.bytes.unwrap_or(match cell.size {
        0..1024 => 256 << 20,
        1024..16384 => 1 << 30,
        _ => 2 << 30,
    });
    let messages = (bytes / cell.size as u64).max(1);
    let mut row = Row {
        cell,
        ideal: Vec::new(),
        ring: Vec::new(),
    };
    for _ in 0..args.rounds {
        for variant in [Variant::Ideal, Variant::Ring] {
            if args.only.is_some_and(|only| only != variant) {
                continue;
            }
            let seconds = run(cell, variant, messages, args.wait, cpus, signal)?;
            let rate = messages as f64 * cell.size as f64 / seconds / 1e9;
            match variant {
                Variant::Ideal => row.ideal.push(rate),
                Variant::Ring => row.ring.push(rate),
            }
        }
    }
    Ok(row)
}

/// One run of one variant: its seconds.
fn run(
    cell: Cell,
    variant: Variant,
    messages: u64,
    wait: WaitStrategy,
    cpus: Option<[usize; 2]>,
    signal: &AtomicUsize,
) -> Result<f64> {
    let size = ideal::shared_size(cell);
    let file = memfd_create("shmkit-bench", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, size as u64)?;
    let board_file = file.try_clone()?;
    let ring = match variant {
        Variant::Ideal => None,
        Variant::Ring => Some(TemporaryRing::create(cell, wait)?),
    };
    let mut workers = Workers(Vec::new());
    for (index, role) in [Role::Write, Role::Read].into_iter().enumerate() {
        let work = Work {
            role,
            variant,
            cell,
            messages,
            cpu: cpus.map(|cpus| cpus[index]),
            ring: ring
                .as_ref()
                .map_or("-".into(), |ring| ring.0.as_str().to_owned()),
        };
        workers.0.push(
            Command::new(std::env::current_exe()?)
                .arg("--worker")
                .args(work.to_args())
                .stdin(Stdio::from(file.try_clone()?))
                .spawn()
                .context("cannot start a worker")?,
        );
    }
    workers.wait(signal)?;
    let shared = Shared::map(board_file, memory::BOARD_SIZE)?;
    let board = shared.board();
    let verified = board.verified.load(Ordering::Relaxed);
    ensure!(
        verified == messages,
        "{verified} of {messages} messages arrived as they were sent"
    );
    let nanoseconds = board
        .ended_ns
        .load(Ordering::Relaxed)
        .saturating_sub(board.begun_ns.load(Ordering::Relaxed));
    Ok(nanoseconds.max(1) as f64 / 1e9)
}

/// The two children; they do not outlive this.
struct Workers(Vec<Child>);

impl Workers {
    /// Waits for both to succeed. Looks seldom, so as not to disturb them.
    fn wait(&mut self, signal: &AtomicUsize) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut running = self.0.len();
        while running > 0 {
            std::thread::sleep(Duration::from_millis(20));
            running = 0;
            for child in &mut self.0 {
                match child.try_wait()? {
                    None => running += 1,
                    Some(status) => ensure!(status.success(), "a worker failed: {status}"),
                }
            }
            ensure!(signal.load(Ordering::Relaxed) == 0, "interrupted");
            ensure!(
                Instant::now() < deadline,
                "no end after {} s",
                LIMIT.as_secs()
            );
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A ring that is removed when the run is over.
struct TemporaryRing(Name);

impl TemporaryRing {
    fn create(cell: Cell, wait: WaitStrategy) -> Result<TemporaryRing> {
        let name = Name::new(&format!("shmkit-bench-{}", std::process::id()))?;
        let geometry = Geometry::new(cell.nodes as u64, cell.size as u64, Delivery::Queue, wait)?;
        ring::create(&name, geometry, 0o600)?;
        Ok(TemporaryRing(name))
    }
}

impl Drop for TemporaryRing {
    fn drop(&mut self) {
        let _ = segment::remove(&self.0, true, OpenOptions::default());
    }
}

/// The first two processors this process may run on, if there are two.
fn two_cpus() -> Result<Option<[usize; 2]>> {
    let allowed = sched_getaffinity(None)?;
    let mut cpus = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    let pair = (cpus.next(), cpus.next());
    let (Some(first), Some(second)) = pair else {
        eprintln!("ring bench: only one processor: its two workers take turns");
        return Ok(None);
    };
    Ok(Some([first, second]))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|e| format!("{text}: {e}"))
}
