//! Looking at one segment again and again, at a bounded cost.
//!
//! A snapshot of a ring looks at all of its nodes, which takes some 50 us for
//! 20 nodes and 40 ms for a million. So it is taken as often as half a percent of a
//! core allows, by the processor time that the last one took: at every look for
//! rings of up to a thousand nodes, every few seconds for the largest. The
//! looks between bring up to date what does not depend on the nodes (counters,
//! participants, diff), and sample the nodes for the map.
//!
//! A script that asks gets all of it as of that moment ([`Wish::exact`]); it does
//! not ask five times a second.

use super::commands::Commands;
use super::track::Look;
use rustix::time::{ClockId, clock_gettime};
use shmkit::inspect::{Detail, Snapshot, Survey};
use shmkit::ring::Geometry;
use shmkit::segment::{Kind, Name, OpenOptions, Opened, SegmentError};
use std::time::Duration;

/// Snapshots may take one part in so many of a core.
const SHARE: u32 = 200;
/// Rings of so many nodes are looked at whole each time, if nothing else is.
const FEW_NODES: u32 = 1024;

/// An open segment, and what was last seen of it.
#[derive(Debug)]
pub struct Probe {
    opened: Opened,
    seen: Option<Seen>,
    commands: Commands,
}

#[derive(Debug)]
struct Seen {
    snapshot: Snapshot,
    /// When all nodes were looked at.
    at: Duration,
    /// When they may be looked at again.
    due: Duration,
}

/// What is wanted of a look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Nodes for each cell of the map, if there is to be one.
    pub nodes_per_cell: Option<u32>,
    /// Whether to name the commands.
    pub commands: bool,
    /// Whether all of it is to be of this moment, whatever that costs.
    pub exact: bool,
    /// Probes that share the processor time.
    pub probes: u32,
}

impl Probe {
    /// Opens a segment to be looked at.
    pub fn open(name: &Name, options: OpenOptions) -> Result<Probe, SegmentError> {
        Ok(Probe {
            opened: Opened::open(name, options)?,
            seen: None,
            commands: Commands::default(),
        })
    }

    /// Nodes of the ring; `None` if it is none.
    pub fn nodes(&self) -> Option<u32> {
        let header = self.opened.header();
        let geometry = || Geometry::from_header(header).ok();
        (header.kind == Kind::Ring).then(geometry)?.map(|g| g.nodes)
    }

    /// Looks, at a moment that is counted from when the watch began.
    pub fn look(&mut self, at: Duration, unix_ns: u64, wish: Wish) -> Result<Look, SegmentError> {
        self.opened.check()?;
        let few = self.nodes().is_some_and(|nodes| nodes <= FEW_NODES);
        let whole = wish.exact || few && wish.probes == 1;
        let (mut snapshot, nodes_at) = match &self.seen {
            Some(seen) if at < seen.due && !whole => {
                let mut snapshot = seen.snapshot.clone();
                snapshot.refresh(&self.opened)?;
                (snapshot, seen.at)
            }
            _ => {
                let begun = processor_time();
                let detail = match few && wish.nodes_per_cell.is_some() {
                    true => Detail::Nodes,
                    false => Detail::Summary,
                };
                let snapshot = Snapshot::take(&self.opened, detail)?;
                let pause = (processor_time().saturating_sub(begun)) * SHARE * wish.probes.max(1);
                self.seen = Some(Seen {
                    snapshot: Snapshot {
                        node_rows: None,
                        ..snapshot.clone()
                    },
                    at,
                    due: at + pause,
                });
                (snapshot, at)
            }
        };
        let survey = match (wish.nodes_per_cell, snapshot.node_rows.take()) {
            (Some(per_cell), Some(rows)) => Some(Survey::of_rows(&rows, per_cell)),
            (Some(per_cell), None) => {
                let passed = snapshot.ring.as_ref().map_or(0, |ring| ring.head);
                Some(Survey::take(&self.opened, per_cell, passed)?)
            }
            (None, _) => None,
        };
        let commands = match wish.commands {
            true => self
                .commands
                .of(self.opened.name().as_str(), &snapshot.participants),
            false => Default::default(),
        };
        Ok(Look {
            at,
            unix_ns,
            snapshot,
            survey,
            nodes_at,
            commands,
        })
    }
}

/// What this thread has used of a core.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
