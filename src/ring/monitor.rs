//! Looking on while others work.
//!
//! A [`Monitor`] changes nothing and blocks nobody; it is for progress lines
//! and summaries, from a thread of their own if need be. (What other
//! programs want to know of a segment they ask [`crate::inspect`], which
//! does not even map it.)

use super::attached::{Attached, RingError};
use super::geometry::Geometry;
use super::layout::PlaceWord;
use crate::segment::layout::{Entry, READER, WRITER};
use crate::segment::{Gone, Name, OpenOptions};
use crate::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How far the readers lag behind the writers: committed and not yet read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Nodes.
    pub nodes: u64,
    /// Their payload bytes.
    pub bytes: u64,
}

/// What one handle has done since it attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Nodes that a writer committed, or dropped because none was free; nodes
    /// that a reader released.
    pub nodes: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Times it had to wait for a node for more than some 2 us.
    pub waits: u64,
    /// Time it spent in those waits, spinning included.
    pub wait_time: Duration,
    /// Nodes it got that another reader had before, which died or gave them
    /// back: a consumer may have seen their bytes already.
    pub redelivered_nodes: u64,
    /// Nodes that a writer dropped, of whichever writer they were.
    pub dropped_nodes: u64,
    /// Their payload bytes.
    pub dropped_bytes: u64,
    /// Nodes of a broadcast ring that were gone when the reader came to them.
    pub missed_nodes: u64,
}

/// How far one reader of a broadcast ring lags behind the writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderDiff {
    /// Its entry in the participant table.
    pub slot: u32,
    /// Its process.
    pub pid: u32,
    /// Nodes that it has in hand: claimed and not released.
    pub in_hand: u32,
    /// Nodes that it has yet to release, and that are still there.
    pub diff: Diff,
}

/// The part of a slot's counter that its present holder counted.
fn since(counter: &AtomicU64, base: &AtomicU64) -> u64 {
    counter
        .load(Ordering::Relaxed)
        .wrapping_sub(base.load(Ordering::Relaxed))
}

impl Stats {
    pub(super) fn of_writer(entry: &Entry, wait_time: Duration) -> Stats {
        let counters = &entry.counters;
        Stats {
            nodes: since(&counters.written_nodes, &entry.base_nodes)
                .wrapping_add(counters.refused_nodes.load(Ordering::Relaxed)),
            bytes: since(&counters.written_bytes, &entry.base_bytes)
                .wrapping_add(counters.refused_bytes.load(Ordering::Relaxed)),
            waits: since(&counters.writer_waits, &entry.base_waits),
            wait_time,
            ..Stats::default()
        }
    }

    pub(super) fn of_reader(entry: &Entry, wait_time: Duration) -> Stats {
        let counters = &entry.counters;
        Stats {
            nodes: since(&counters.read_nodes, &entry.base_nodes),
            bytes: since(&counters.read_bytes, &entry.base_bytes),
            waits: since(&counters.reader_waits, &entry.base_waits),
            wait_time,
            ..Stats::default()
        }
    }
}

/// A look at a ring, from any thread.
#[derive(Clone)]
pub struct Monitor {
    attached: Attached,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor")
            .field("ring", self.attached.name())
            .finish_non_exhaustive()
    }
}

impl Monitor {
    pub(super) fn new(attached: Attached) -> Monitor {
        Monitor { attached }
    }

    /// Looks at the ring `name` without taking part in it: there is no
    /// participant, so nobody waits for it and it keeps no stream open.
    ///
    /// # Errors
    ///
    /// No such ring, not a ring, damaged, another user's, or no permission.
    pub fn open(name: &Name, options: OpenOptions) -> Result<Monitor, RingError> {
        Attached::open(name, options).map(Monitor::new)
    }

    /// The ring's geometry.
    pub fn geometry(&self) -> Geometry {
        self.attached.geometry()
    }

    /// Nodes that are committed and that no reader has claimed yet, from the
    /// cursors: cheap. What readers have in hand or gave back, at most a few
    /// nodes each, is not counted; [`Monitor::diff`] counts all. Broadcast: what
    /// the slowest reader has yet to claim.
    pub fn unclaimed_nodes(&self) -> u64 {
        self.attached.core().unclaimed()
    }

    /// The same of one reader of a broadcast ring, by its entry; 0 if it is not there.
    pub fn unclaimed_by(&self, slot: u32) -> u64 {
        self.attached.core().unclaimed_by(slot)
    }

    /// Nodes and bytes committed and not yet read. Looks at every node. Broadcast:
    /// by the slowest reader; if none is there, by those that were.
    pub fn diff(&self) -> Diff {
        let (nodes, bytes) = self.attached.core().unread();
        Diff { nodes, bytes }
    }

    /// How far each reader of a broadcast ring lags behind, the slowest first:
    /// that is the one a writer waits for. Empty for a queue.
    pub fn reader_diffs(&self) -> Vec<ReaderDiff> {
        let core = self.attached.core();
        let mut places: Vec<_> = core.places().collect();
        places.sort_by_key(|(_, place)| place.position());
        let lag = |(slot, place): (u32, PlaceWord)| {
            let (nodes, bytes) = core.ahead_of(place.position());
            ReaderDiff {
                slot,
                pid: core.entries[slot as usize].pid.load(Ordering::Relaxed),
                in_hand: place.in_hand(),
                diff: Diff { nodes, bytes },
            }
        };
        places.into_iter().map(lag).collect()
    }

    /// The process of the reader that a full broadcast ring waits for: the first of
    /// [`Monitor::reader_diffs`], without a look at the nodes.
    pub fn slowest_reader(&self) -> Option<u32> {
        let core = self.attached.core();
        let (slot, _) = core.places().min_by_key(|(_, place)| place.position())?;
        Some(core.entries[slot as usize].pid.load(Ordering::Relaxed))
    }

    /// Writers attached. (One that was killed counts until somebody had to
    /// wait, and noticed.)
    pub fn writers(&self) -> u32 {
        self.count(WRITER)
    }

    /// Readers attached.
    pub fn readers(&self) -> u32 {
        self.count(READER)
    }

    fn count(&self, state: u32) -> u32 {
        let entries = self.attached.core().entries.iter();
        entries
            .filter(|entry| entry.state.load(Ordering::Relaxed) == state)
            .count() as u32
    }

    /// Whether the segment was removed or truncated. One system call.
    pub fn gone(&self) -> Option<Gone> {
        self.attached.check_gone()
    }
}
