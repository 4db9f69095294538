//! Looking at a segment without touching it.
//!
//! ```text
//!   /dev/shm/NAME --pread--> bytes --checked--> Snapshot --+--> text (text.rs)
//!                 \                                        +--> JSON (serde)
//!                  `--F_OFD_GETLK--> who lives             `--> hex dump (hexdump.rs)
//! ```
//!
//! A [`Snapshot`] is taken through a read-only descriptor, by pread(2) alone.
//! Nothing is ever mapped, so a segment that is cut short under our eyes is an
//! error and not a signal, and nothing is ever written, so looking needs no
//! more than read permission and leaves no trace: no participant, no lock, no
//! word changed. That also means that nobody waits for us and we wait for
//! nobody; a snapshot of a ring at full speed is a few preads.
//!
//! What follows from reading beside the workers:
//!
//! - The parts of a snapshot may be some microseconds apart. They are read
//!   twice and brought to agree; `ring.rs` and `locked.rs` say how. `diff = written - read`
//!   holds in every snapshot, and at rest all of it is exact.
//! - The cursors in shared memory are hints that lag; `order.rs` says how they
//!   are settled.
//! - Any word may hold anything, when a peer is hostile or the memory was
//!   overwritten. No word read from the segment is ever used as an index, an
//!   offset or a length before it was brought into range, every walk is bounded
//!   by the number of nodes, and a word that makes no sense is reported in
//!   [`Snapshot::damage`] beside all that could still be read.
//! - The segment may be truncated meanwhile: then the answer is
//!   [`SegmentError::Gone`].
//!
//! Who looks again and again, at a ring with many nodes, does not look at all of
//! them each time: [`Snapshot::refresh`] brings the rest up to date, and a
//! [`Survey`] samples the nodes for a map of a given size.
//!
//! Memory: a few hundred KiB for small rings; 32 bytes per node for large ones
//! (48 for a broadcast ring), and some 60 more per node with [`Detail::Nodes`].
//! Time: some 50 microseconds for a ring of 20 nodes, tens of milliseconds for one
//! of 1,048,576.

mod array;
mod damage;
pub mod hexdump;
pub mod list;
mod locked;
mod nodes;
mod order;
mod participants;
mod places;
mod ring;
mod source;
mod survey;
#[cfg(test)]
mod tests;
pub mod text;
pub mod units;

pub use array::{Array, Buffer};
pub use damage::{Damage, DamageReport};
pub use locked::{Lock, LockCounts, LockState};
pub use nodes::{NodeRow, States, state_char, state_name};
pub use participants::{Participant, Role};
pub use ring::{EventWords, MAP_NODES, Ring, Stream, stream_state_name};
pub use survey::{Cell, Survey};

use crate::ring::Geometry;
use crate::ring::layout::Layout;
pub use crate::ring::layout::{State, StreamState};
use crate::segment::{Kind, Opened, SegmentError};
use serde::{Serialize, Serializer};

/// How much of a segment a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Everything but the rows of single nodes.
    #[default]
    Summary,
    /// A row for each node of a ring as well.
    Nodes,
}

/// A segment as it was at one moment, or within a few microseconds.
///
/// Serializes to the object that `shm inspect --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The segment's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The version of its layout.
    pub layout_version: u32,
    /// Bytes of the whole segment.
    pub size_bytes: u64,
    /// Permission bits; four octal digits in JSON.
    #[serde(serialize_with = "serialize_mode")]
    pub mode: u32,
    /// Who owns it.
    pub owner_uid: u32,
    /// When it was made, nanoseconds since the epoch.
    pub created_unix_ns: u64,
    /// The process that made it.
    pub creator_pid: u32,
    /// The ring, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<Ring>,
    /// The array, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<Array>,
    /// The buffer, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Buffer>,
    /// The lock of an array or a buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Those attached, and those who died attached.
    pub participants: Vec<Participant>,
    /// A row for each node, with [`Detail::Nodes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_rows: Option<Vec<NodeRow>>,
    /// What is wrong with it; in JSON one line, `error`, absent when all is well.
    #[serde(
        rename = "error",
        serialize_with = "serialize_damage",
        skip_serializing_if = "DamageReport::is_empty"
    )]
    pub damage: DamageReport,
}

impl Snapshot {
    /// Reads everything there is to know about an open segment.
    ///
    /// Does not block. Damaged words are no error here: see
    /// [`Snapshot::damage`].
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] when the header describes a geometry that
    /// cannot be, or an array's elements are not described, [`SegmentError::Gone`] when the segment was truncated
    /// meanwhile, [`SegmentError::Io`] when the system refuses.
    pub fn take(opened: &Opened, detail: Detail) -> Result<Snapshot, SegmentError> {
        let header = opened.header();
        let mut snapshot = Snapshot {
            name: opened.name().as_str().to_owned(),
            kind: header.kind,
            layout_version: header.layout_version,
            size_bytes: header.total_size,
            mode: opened.mode(),
            owner_uid: opened.owner_uid(),
            created_unix_ns: header.created_unix_ns,
            creator_pid: header.creator_pid,
            ring: None,
            array: None,
            buffer: None,
            lock: None,
            participants: Vec::new(),
            node_rows: None,
            damage: DamageReport::default(),
        };
        match header.kind {
            Kind::Ring => {
                let (geometry, layout) = ring_layout(opened)?;
                let target = ring::Target {
                    source: opened,
                    participants: header.participants,
                    geometry,
                    layout,
                    rows: detail == Detail::Nodes,
                };
                let observed = target.observe()?;
                snapshot.ring = Some(observed.ring);
                snapshot.participants = observed.participants;
                snapshot.node_rows = observed.rows;
                snapshot.damage = observed.damage;
            }
            Kind::Array => {
                snapshot.array = Some(Array::of(opened)?);
                snapshot.take_lock(opened)?;
            }
            Kind::Buffer => {
                snapshot.buffer = Some(Buffer::of(opened)?);
                snapshot.take_lock(opened)?;
            }
        }
        Ok(snapshot)
    }

    /// Brings up to date all that can be had without a look at every node: of a
    /// ring the counters, the stream and who is attached, of an array or a
    /// buffer everything. Costs some 20 microseconds, however large the segment.
    ///
    /// Of a ring, node states, rows, map, who holds how many nodes, and what
    /// damage was found stay as the last [`take`](Snapshot::take) saw them. Diff
    /// and cursors are those that the counters and the hints tell, which may be
    /// off by the few nodes that somebody was killed with.
    ///
    /// `opened` must be the segment that the snapshot was taken of.
    ///
    /// # Errors
    ///
    /// As [`take`](Snapshot::take).
    pub fn refresh(&mut self, opened: &Opened) -> Result<(), SegmentError> {
        let Some(ring) = &mut self.ring else {
            return self.take_lock(opened);
        };
        let (geometry, layout) = ring_layout(opened)?;
        let target = ring::Target {
            source: opened,
            participants: opened.header().participants,
            geometry,
            layout,
            rows: false,
        };
        target.refresh(ring, &mut self.participants)
    }

    /// The lock of a checked array or buffer, and those attached to it.
    fn take_lock(&mut self, opened: &Opened) -> Result<(), SegmentError> {
        let header = opened.header();
        let target = locked::Target {
            source: opened,
            participants: header.participants,
            words: header.structure_offset,
        };
        let observed = target.observe()?;
        self.lock = Some(observed.lock);
        self.participants = observed.participants;
        self.damage = observed.damage;
        Ok(())
    }
}

/// The checked geometry of an open ring, and where its parts lie.
pub(crate) fn ring_layout(opened: &Opened) -> Result<(Geometry, Layout), SegmentError> {
    let header = opened.header();
    let corrupt = |why| SegmentError::Corrupt {
        name: opened.name().clone(),
        why,
    };
    let geometry = Geometry::from_header(header).map_err(corrupt)?;
    let layout = Layout::new(
        header.structure_offset,
        u64::from(geometry.nodes),
        geometry.node_size,
    )
    .ok_or_else(|| corrupt("geometry beyond 64 bits".to_owned()))?;
    Ok((geometry, layout))
}

/// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn serialize_mode<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{mode:04o}"))
}

fn serialize_damage<S: Serializer>(damage: &DamageReport, to: S) -> Result<S::Ok, S::Error> {
    damage.summary().serialize(to)
}
