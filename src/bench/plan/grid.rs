//! What can be asked for: lists, and settings that hold for all of their product.
//!
//! ```text
//!   Grid      nodes, node sizes, writers, readers, waits, deliveries: lists
//!   Settings  where workers are, what they do with bytes, how long, how often,
//!             and what is measured beside them
//! ```
//!
//! Nothing here is checked: any value can be asked for, and [`Plan`](super::Plan)
//! says whether it can be measured. The defaults are those of `shm bench`.

use crate::ring::{Delivery, WaitStrategy};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lists, the product of which is swept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Node counts.
    pub nodes: Vec<u64>,
    /// Bytes of a node.
    pub node_sizes: Vec<u64>,
    /// Numbers of writers.
    pub writers: Vec<u32>,
    /// Numbers of readers.
    pub readers: Vec<u32>,
    /// Ways to wait.
    pub waits: Vec<WaitStrategy>,
    /// Who gets a node.
    pub deliveries: Vec<Delivery>,
}

impl Default for Grid {
    /// One cell: 20 nodes of 1 MiB, one writer, one reader.
    fn default() -> Grid {
        Grid {
            nodes: vec![20],
            node_sizes: vec![1 << 20],
            writers: vec![1],
            readers: vec![1],
            waits: vec![WaitStrategy::Futex],
            deliveries: vec![Delivery::Queue],
        }
    }
}

impl Grid {
    /// The grid of the chart that the first program of this kind came with.
    pub fn sweep() -> Grid {
        Grid {
            nodes: vec![2, 5, 10, 20, 50],
            node_sizes: vec![1 << 10, 1 << 20],
            writers: vec![1, 2],
            readers: vec![1, 2],
            ..Grid::default()
        }
    }
}

/// How long a repeat goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Until so many messages have been written, by all writers together.
    Messages(u64),
    /// Until that time has passed.
    Time(Duration),
}

/// Where the workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each in a process of its own.
    Process,
    /// All in this process. (The limits of the machine are measured between
    /// processes all the same.)
    Thread,
}

impl Mode {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Process => "process",
            Mode::Thread => "thread",
        }
    }
}

/// A limit of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// One thread copies messages into nodes, round-robin.
    Memcpy,
    /// The ideal pipeline: two processes, nothing but copies and two cursors.
    Pipeline,
    /// A pipe of 1 MiB between two processes.
    Pipe,
    /// A Unix stream socket between two processes.
    Socket,
}

impl Limits {
    /// All of them, in the order of the report.
    pub const ALL: [Limits; 4] = [
        Limits::Memcpy,
        Limits::Pipeline,
        Limits::Pipe,
        Limits::Socket,
    ];

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Limits::Memcpy => "memcpy",
            Limits::Pipeline => "pipeline",
            Limits::Pipe => "pipe",
            Limits::Socket => "socket",
        }
    }

    /// Whether it has nodes, and so differs with their number.
    pub fn has_nodes(self) -> bool {
        matches!(self, Limits::Memcpy | Limits::Pipeline)
    }
}

/// How every cell of the grid is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the workers are.
    pub mode: Mode,
    /// Nothing is copied in or out.
    pub in_place: bool,
    /// Every byte, and the order of every writer's messages, is looked at.
    pub verify: bool,
    /// Round trips are measured as well.
    pub latency: bool,
    /// How long a repeat goes on.
    pub limit: Limit,
    /// How often each cell is measured, at least once.
    pub repeat: u32,
    /// What is measured beside it.
    pub limits: Vec<Limits>,
    /// Each worker keeps to a processor of its own, where there are enough.
    pub pin: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::Process,
            in_place: false,
            verify: false,
            latency: false,
            limit: Limit::Time(Duration::from_millis(200)),
            repeat: 5,
            limits: Limits::ALL.to_vec(),
            pin: true,
        }
    }
}
