//! What is to be measured: lists of numbers, checked and multiplied out.
//!
//! ```text
//!   Grid: nodes 2,20  node sizes 1K,1M  writers 1,2  readers 1   (as typed)
//!     |  Plan::new: every number in range, the product not absurd
//!     v
//!   groups, one for each geometry          cells of a group
//!     2 x 1K   --------------------------> 1 writer 1 reader, 2 writers 1 reader
//!     20 x 1K  ...                         (for each wait strategy and delivery)
//! ```
//!
//! A *group* is what is measured in turns: in each round first the limits of
//! that geometry, then each of its cells, so that what is compared was measured
//! within the same seconds. The order of groups and cells is that of the rows:
//! node sizes, then node counts, writers, readers, waiting, delivery.
//!
//! What holds of a [`Plan`]:
//!
//! - every cell's geometry is one that a ring can have, and its writers and
//!   readers find room in a participant table;
//! - nodes are large enough for what `verify` and `latency` write into them;
//! - it has at most [`MANY`] cells, unless whoever asked has said that so many
//!   are meant, and never more than [`MOST`].
//!
//! A value that is listed twice is measured once. What can be asked for, and
//! what is measured if nobody asks, is in `grid`.

mod grid;

pub use grid::{Grid, Limit, Limits, Mode, Settings};

use super::model::Cell;
use super::source::sources_len;
use super::worker::MOST_EXCHANGES;
use crate::ring::{Delivery, Geometry, GeometryError, WaitStrategy};
use crate::segment::layout::DEFAULT_PARTICIPANTS;
use std::time::Duration;

/// So many cells are run without being asked whether they are meant.
pub const MANY: u64 = 1000;
/// So many are not run at all.
pub const MOST: u64 = 1_000_000;
/// Bytes that a checked or stamped message needs for its own mark.
pub const MARK: u64 = 16;
/// What a repeat takes besides measuring: starting workers, filling buffers.
const SET_UP: Duration = Duration::from_millis(250);
/// What a pipeline moves on a usual machine, to estimate with: bytes a second,
/// and seconds a message.
const USUAL_RATE: f64 = 3e9;
const USUAL_MESSAGE: f64 = 2e-7;
/// A round trip on a usual machine whose parties sleep, seconds.
const USUAL_ROUND_TRIP: f64 = 1e-4;

/// Why a grid cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A list has no value.
    #[error("{0}: an empty list; give at least one value")]
    Empty(&'static str),
    /// There is no such ring.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Nobody would write, or nobody read.
    #[error("0 {0}: nothing would move; give 1 or more")]
    Nobody(&'static str),
    /// They do not fit into a ring's participant table.
    #[error("{writers} writers and {readers} readers: a ring has room for {most} of both together")]
    TooManyParties {
        /// As asked.
        writers: u32,
        /// As asked.
        readers: u32,
        /// What there is room for.
        most: u32,
    },
    /// A message has no room for its mark.
    #[error(
        "nodes of {node_size} bytes are too small for {what}: each message carries a mark of {MARK} bytes"
    )]
    TooSmall {
        /// As asked.
        node_size: u64,
        /// What needs the mark.
        what: &'static str,
    },
    /// No repeat at all, or one that ends before it begins.
    #[error("{0} of 0 measures nothing; give more")]
    Nothing(&'static str),
    /// Nobody may have meant that.
    #[error("{cells} cells, {time}; if that is meant, pass --yes")]
    TooMany {
        /// The product of the lists.
        cells: u64,
        /// How long it would take, in words.
        time: String,
    },
    /// Nobody can have meant that.
    #[error("{0} cells: at most {MOST} can be swept")]
    Absurd(u128),
}

/// One cell: a ring's geometry, and who uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Of the ring.
    pub geometry: Geometry,
    /// How many write.
    pub writers: u32,
    /// How many read.
    pub readers: u32,
}

impl Point {
    /// How often each message is read.
    pub fn copies(&self) -> u64 {
        match self.is_broadcast() {
            true => self.readers.into(),
            false => 1,
        }
    }

    /// Whether every reader gets every node.
    pub fn is_broadcast(&self) -> bool {
        self.geometry.delivery.as_str() == "broadcast"
    }

    /// What the report calls it.
    pub fn cell(&self, settings: &Settings) -> Cell {
        Cell {
            nodes: self.geometry.nodes,
            node_size: self.geometry.node_size,
            writers: self.writers,
            readers: self.readers,
            wait: self.geometry.wait.as_str().into(),
            delivery: self.geometry.delivery.as_str().into(),
            mode: settings.mode.as_str().into(),
            in_place: settings.in_place,
        }
    }
}

/// Cells of one geometry, and the limits that are measured in turns with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Node count and size.
    pub nodes: u32,
    /// Bytes of a node.
    pub node_size: u64,
    /// What is measured at the start of each round.
    pub limits: Vec<Limits>,
    /// What is measured then.
    pub cells: Vec<Point>,
}

/// A checked plan: see the top of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the report.
    pub groups: Vec<Group>,
    /// For all of them.
    pub settings: Settings,
}

impl Plan {
    /// The product of the grid. `yes`: also if that is very much.
    ///
    /// # Errors
    ///
    /// A value is out of range, a list empty, or the product absurd.
    pub fn new(grid: &Grid, settings: &Settings, yes: bool) -> Result<Plan, PlanError> {
        let nodes = distinct("nodes", &grid.nodes)?;
        let sizes = distinct("node-size", &grid.node_sizes)?;
        let writers = distinct("writers", &grid.writers)?;
        let readers = distinct("readers", &grid.readers)?;
        let waits = distinct("wait", &grid.waits)?;
        let deliveries = distinct("delivery", &grid.deliveries)?;
        let lengths = [
            nodes.len(),
            sizes.len(),
            writers.len(),
            readers.len(),
            waits.len(),
            deliveries.len(),
        ];
        // Lists of less than 2^21 values each: it cannot overflow in earnest.
        let cells = lengths
            .iter()
            .fold(1u128, |product, len| product.saturating_mul(*len as u128));
        if cells > u128::from(MOST) {
            return Err(PlanError::Absurd(cells));
        }
        check(&nodes, &sizes, settings)?;
        check_parties(&writers, &readers)?;
        let mut groups = Vec::new();
        for &node_size in &sizes {
            for (turn, &count) in nodes.iter().enumerate() {
                let mut points = Vec::new();
                for &writers in &writers {
                    for &readers in &readers {
                        for &wait in &waits {
                            for &delivery in &deliveries {
                                points.push(Point {
                                    geometry: Geometry::new(count, node_size, delivery, wait)?,
                                    writers,
                                    readers,
                                });
                            }
                        }
                    }
                }
                let first_of_its_size = turn == 0;
                let limits = settings.limits.iter().copied();
                groups.push(Group {
                    nodes: points[0].geometry.nodes,
                    node_size,
                    limits: limits
                        .filter(|limit| limit.has_nodes() || first_of_its_size)
                        .collect(),
                    cells: points,
                });
            }
        }
        let plan = Plan {
            groups,
            settings: settings.clone(),
        };
        if plan.cells() as u64 > MANY && !yes {
            return Err(PlanError::TooMany {
                cells: plan.cells() as u64,
                time: about(plan.estimate()),
            });
        }
        Ok(plan)
    }

    /// How many rows there will be.
    pub fn cells(&self) -> usize {
        self.groups.iter().map(|group| group.cells.len()).sum()
    }

    /// How many measurements there are, each a step of the progress.
    pub fn steps(&self) -> u64 {
        let round =
            |group: &Group| (group.cells.len() + group.limits.len() + self.exchanges(group)) as u64;
        let rounds = u64::from(self.settings.repeat);
        self.groups.iter().map(round).sum::<u64>() * rounds
    }

    /// How often questions and answers are measured in a round: for each cell,
    /// and over ideal pipelines.
    fn exchanges(&self, group: &Group) -> usize {
        match self.settings.latency {
            true => group.cells.len() + usize::from(group.limits.contains(&Limits::Pipeline)),
            false => 0,
        }
    }

    /// About how long it will take.
    pub fn estimate(&self) -> Duration {
        let mut seconds = 0.0;
        for group in &self.groups {
            let steps = group.cells.len() + group.limits.len();
            let (run, trips) = match self.settings.limit {
                Limit::Time(time) => (time.as_secs_f64(), time.as_secs_f64()),
                Limit::Messages(n) => {
                    let message = group.node_size as f64 / USUAL_RATE + USUAL_MESSAGE;
                    let trips = n.min(MOST_EXCHANGES) as f64;
                    (n as f64 * message, trips * USUAL_ROUND_TRIP)
                }
            };
            let set_up = SET_UP.as_secs_f64();
            seconds += steps as f64 * (run + set_up);
            seconds += self.exchanges(group) as f64 * (trips + set_up);
        }
        let total = seconds * f64::from(self.settings.repeat);
        Duration::try_from_secs_f64(total).unwrap_or(Duration::MAX)
    }

    /// Bytes of memory that the largest measurement needs: rings and slots, the
    /// buffers that writers pick messages from (and readers, to compare), and
    /// one that a reader copies into.
    pub fn memory(&self) -> u64 {
        let settings = &self.settings;
        let of = |node_size: u64, shared: u64, writers: u32, readers: u32| {
            let size = usize::try_from(node_size).unwrap_or(usize::MAX);
            let sources = u64::try_from(sources_len(size)).unwrap_or(u64::MAX);
            let written = u64::from(writers).saturating_mul(sources);
            let compared = match settings.verify {
                true => u64::from(readers).saturating_mul(sources),
                false => 0,
            };
            let read = u64::from(readers).saturating_mul(node_size);
            [written, compared, read]
                .iter()
                .fold(shared, |sum, part| sum.saturating_add(*part))
        };
        let needs = |group: &Group| {
            let slots = u64::from(group.nodes).saturating_mul(group.node_size);
            let limits = group.limits.iter().map(|limit| match limit.has_nodes() {
                true => of(group.node_size, slots, 1, 1),
                false => of(group.node_size, 0, 1, 1),
            });
            let cells = group.cells.iter().map(|point| {
                let writers = match settings.in_place && !settings.verify {
                    true => 0,
                    false => point.writers,
                };
                of(group.node_size, self.rings(point), writers, point.readers)
            });
            limits.chain(cells).max().unwrap_or(0)
        };
        self.groups.iter().map(needs).max().unwrap_or(0)
    }

    /// Bytes that the largest cell needs in `/dev/shm`.
    pub fn room(&self) -> u64 {
        let cells = self.groups.iter().flat_map(|group| &group.cells);
        cells.map(|point| self.rings(point)).max().unwrap_or(0)
    }

    /// Bytes of a cell's rings.
    fn rings(&self, point: &Point) -> u64 {
        // Those who answer have a ring back to each who asks.
        let rings = match self.settings.latency {
            true => 1 + u64::from(point.writers),
            false => 1,
        };
        point.geometry.total_size().saturating_mul(rings)
    }
}

/// The values, each once, in their order.
fn distinct<T: Copy + PartialEq>(what: &'static str, list: &[T]) -> Result<Vec<T>, PlanError> {
    let mut values = Vec::new();
    for value in list {
        if !values.contains(value) {
            values.push(*value);
        }
    }
    match values.is_empty() {
        true => Err(PlanError::Empty(what)),
        false => Ok(values),
    }
}

fn check(nodes: &[u64], sizes: &[u64], settings: &Settings) -> Result<(), PlanError> {
    for &node_size in sizes {
        for &nodes in nodes {
            Geometry::new(nodes, node_size, Delivery::Queue, WaitStrategy::Futex)?;
        }
        let marked = [(settings.verify, "verify"), (settings.latency, "latency")];
        for (wanted, what) in marked {
            if wanted && node_size < MARK {
                return Err(PlanError::TooSmall { node_size, what });
            }
        }
    }
    match settings.limit {
        Limit::Messages(0) => return Err(PlanError::Nothing("elements")),
        Limit::Time(Duration::ZERO) => return Err(PlanError::Nothing("a duration")),
        _ => {}
    }
    match settings.repeat {
        0 => Err(PlanError::Nothing("a repeat")),
        _ => Ok(()),
    }
}

fn check_parties(writers: &[u32], readers: &[u32]) -> Result<(), PlanError> {
    let most = DEFAULT_PARTICIPANTS;
    for &writers in writers {
        for &readers in readers {
            if writers == 0 {
                return Err(PlanError::Nobody("writers"));
            }
            if readers == 0 {
                return Err(PlanError::Nobody("readers"));
            }
            if writers.saturating_add(readers) > most {
                return Err(PlanError::TooManyParties {
                    writers,
                    readers,
                    most,
                });
            }
        }
    }
    Ok(())
}

/// A time in words: `about 3 minutes`.
pub fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds.max(1), "second"),
        120..7200 => ((seconds + 30) / 60, "minute"),
        7200..172_800 => ((seconds + 1800) / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("about {count} {unit}{plural}")
}

#[cfg(test)]
mod tests;
