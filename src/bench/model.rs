//! What a bench measures, as data: the rows that every report is made of.
//!
//! Serialises to the JSON that `shm bench --format json` promises.

use serde::{Deserialize, Serialize};

/// One way of moving messages: a point of the grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Nodes of the ring.
    pub nodes: u32,
    /// Bytes of a node, and of a message.
    pub node_size: u64,
    /// Writers.
    pub writers: u32,
    /// Readers.
    pub readers: u32,
    /// How they wait: `futex`, `spin`, `event`.
    pub wait: String,
    /// Who gets a node: `queue`, `broadcast`.
    pub delivery: String,
    /// `process` or `thread`.
    pub mode: String,
    /// Nothing is copied in or out.
    pub in_place: bool,
}

/// Percentiles of a latency, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are faster.
    pub p50: u64,
    /// 99 of 100 are.
    pub p99: u64,
    /// 999 of 1000 are.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// Median, lowest and highest of the repeats of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Of the sorted values the middle one (of two the mean).
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

/// What one cell did: medians over its repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Repeats that succeeded.
    pub repeats: u32,
    /// How long a repeat moved messages.
    pub seconds: f64,
    /// Payload bytes moved in a repeat, each counted once.
    pub bytes: u64,
    /// Nodes moved in a repeat.
    pub nodes_moved: u64,
    /// `bytes` / 1,000,000 / `seconds`.
    pub mb_per_s: f64,
    /// Of `mb_per_s`.
    pub mb_per_s_spread: Spread,
    /// What each reader read, the mean: a broadcast's readers read all, a queue's
    /// share it.
    pub mb_per_s_per_reader: f64,
    /// Bytes written plus bytes read, as the original printed it.
    pub mb_per_s_both_ways: f64,
    /// `nodes_moved` / `seconds`.
    pub nodes_per_s: f64,
    /// Against the ideal pipeline of the same geometry, measured in turns with this
    /// cell: the median of the repeats' ratios.
    pub fraction_of_pipeline: Option<f64>,
    /// Nodes committed and not yet read: the mean of the samples.
    pub diff_mean: f64,
    /// The largest seen.
    pub diff_max: u64,
    /// When all was over: 0 unless something was lost.
    pub diff_final: u64,
    /// Times a writer had to wait for a free node.
    pub writer_waits: u64,
    /// Times a reader had to wait for a node.
    pub reader_waits: u64,
    /// With `--latency`: there and back through two rings, and one way.
    pub latency_ns: Option<Latency>,
    /// One way, stamped in the node.
    pub one_way_ns: Option<Latency>,
    /// Processor time of all workers together.
    pub cpu_seconds: f64,
    /// With `--verify`: every byte and every writer's order was right.
    pub verified: Option<bool>,
    /// Why it failed, if it did; the figures are those of the repeats before.
    pub failed: Option<String>,
}

/// A limit of the machine, measured in turns with the cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// `memcpy`, `pipeline`, `pipe`, `socket`.
    pub name: String,
    /// The geometry it was measured with, where it has one.
    pub nodes: Option<u32>,
    /// Bytes of a message.
    pub node_size: u64,
    /// Payload bytes / 1,000,000 / s, each counted once; the median.
    pub mb_per_s: f64,
    /// Of `mb_per_s`.
    pub spread: Spread,
    /// Of the pipeline, with `--latency`: there and back through two of them.
    pub latency_ns: Option<Latency>,
}

/// Where it was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name for itself.
    pub cpu: String,
    /// Processors this process may use.
    pub cpus: usize,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Version of shmkit.
    pub version: String,
    /// When, nanoseconds since the epoch.
    pub unix_ns: u64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// The limits.
    pub baselines: Vec<Baseline>,
    /// A row per cell, in the order of the grid.
    pub runs: Vec<Run>,
    /// Whether all cells were run: false after Ctrl-C.
    pub complete: bool,
}
