//! The participant table of a segment: who is attached, whether they live, and
//! what all who ever were attached have counted.
//!
//! Whether a participant lives is the kernel's word (the lock on its entry's
//! byte), asked after the entry was read. Somebody may leave between the two;
//! so an entry that seems dead is read once more before it is believed.

use super::damage::{Damage, DamageReport};
use super::source::{Source, word32, word64};
use crate::lock::layout::UnderPass;
use crate::ring::layout::PlaceWord;
use crate::segment::SegmentError;
use crate::segment::layout::{
    Counters, EMPTY, ENTRY_SIZE, Entry, HEADER_SIZE, LEAVING, READER, WRITER,
};
use serde::Serialize;
use std::mem::offset_of;

const ENTRY: usize = ENTRY_SIZE as usize;

/// What an attached handle does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It commits nodes.
    Writer,
    /// It claims nodes.
    Reader,
}

impl Role {
    /// `writer` or `reader`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Writer => "writer",
            Role::Reader => "reader",
        }
    }
}

/// One attached handle, or one that died attached and was not yet recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Its entry in the table.
    pub slot: u32,
    /// What it does.
    pub role: Role,
    /// Its process, as seen in that process's own PID namespace; proves nothing.
    pub pid: u32,
    /// Whether the kernel still holds its entry's lock for it.
    pub alive: bool,
    /// Whether it has committed its last node and is on its way out.
    pub leaving: bool,
    /// When it attached, nanoseconds since the epoch.
    pub since_unix_ns: u64,
    /// Nodes it has written or read since it attached; of an array or a
    /// buffer: times it has had the lock.
    pub nodes: u64,
    /// Bytes it has written or read since it attached.
    pub bytes: u64,
    /// Times it slept for want of a free or a committed node, or of the lock.
    pub waits: u64,
    /// Nodes that it fills or empties at this moment, or locks that it has.
    pub held_nodes: u32,
    /// How far readers lag behind: in a queue all share the ring's one diff, in a
    /// broadcast ring each reader has its own. 0 for an array or a buffer.
    pub diff_nodes: u64,
    /// Nodes of a broadcast ring that were gone when this reader came to them,
    /// since it attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_nodes: Option<u64>,
}

/// Sums of the counters of all entries, held and empty: they only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub written_nodes: u64,
    pub written_bytes: u64,
    pub read_nodes: u64,
    pub read_bytes: u64,
    pub writer_waits: u64,
    pub reader_waits: u64,
    pub abandoned_nodes: u64,
    pub redelivered_nodes: u64,
    /// Committed nodes only.
    pub dropped_nodes: u64,
    pub dropped_bytes: u64,
    /// Nodes dropped that were never committed.
    pub refused_nodes: u64,
    pub refused_bytes: u64,
    pub unsignalled_slices: u64,
}

/// What an entry says about the lock of an array or a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockFlags {
    /// Read locks that its holder has, or asks for.
    pub reading: u32,
    /// What its holder does under another's lock.
    pub under_pass: UnderPass,
}

impl LockFlags {
    /// Whether it works under another's lock.
    pub fn works(&self) -> bool {
        self.under_pass != UnderPass::NOTHING
    }

    /// Whether it reads, under its own lock or another's.
    pub fn reads(&self) -> bool {
        self.reading != 0 || self.works() && !self.under_pass.is_storing()
    }
}

/// A copy of the whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    bytes: Vec<u8>,
}

/// A counter of one entry.
fn counter(entry: &[u8], offset: usize) -> u64 {
    word64(entry, offset_of!(Entry, counters) + offset)
}

impl Table {
    /// Reads all `participants` entries at once.
    pub(crate) fn read(source: &dyn Source, participants: u32) -> Result<Table, SegmentError> {
        let mut bytes = vec![0; participants as usize * ENTRY];
        source.read_at(HEADER_SIZE, &mut bytes)?;
        Ok(Table { bytes })
    }

    /// Sums over all entries; a damaged counter cannot make them overflow.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |offset| {
            self.bytes.chunks_exact(ENTRY).fold(0u64, |sum, entry| {
                sum.saturating_add(counter(entry, offset))
            })
        };
        Totals {
            written_nodes: sum(offset_of!(Counters, written_nodes)),
            written_bytes: sum(offset_of!(Counters, written_bytes)),
            read_nodes: sum(offset_of!(Counters, read_nodes)),
            read_bytes: sum(offset_of!(Counters, read_bytes)),
            writer_waits: sum(offset_of!(Counters, writer_waits)),
            reader_waits: sum(offset_of!(Counters, reader_waits)),
            abandoned_nodes: sum(offset_of!(Counters, abandoned_nodes)),
            redelivered_nodes: sum(offset_of!(Counters, redelivered_nodes)),
            dropped_nodes: sum(offset_of!(Counters, dropped_nodes)),
            dropped_bytes: sum(offset_of!(Counters, dropped_bytes)),
            refused_nodes: sum(offset_of!(Counters, refused_nodes)),
            refused_bytes: sum(offset_of!(Counters, refused_bytes)),
            unsignalled_slices: sum(offset_of!(Counters, unsignalled_slices)),
        }
    }

    /// How many entries belong to writers, dead ones included.
    pub(crate) fn writers(&self) -> u64 {
        let states = self
            .bytes
            .chunks_exact(ENTRY)
            .map(|entry| word32(entry, offset_of!(Entry, state)));
        states
            .filter(|state| matches!(*state, WRITER | LEAVING))
            .count() as u64
    }

    /// The readers of a broadcast ring that have joined, dead ones included, and
    /// their places in the order.
    pub(crate) fn places(&self) -> Vec<(u32, PlaceWord)> {
        let entries = (0u32..).zip(self.bytes.chunks_exact(ENTRY));
        let place = |(slot, entry): (u32, &[u8])| {
            let place = PlaceWord(word64(entry, offset_of!(Entry, cursor)));
            let reads = word32(entry, offset_of!(Entry, state)) == READER;
            (reads && place.joined()).then_some((slot, place))
        };
        entries.filter_map(place).collect()
    }

    /// Nodes of a broadcast ring that readers missed, all that ever were.
    pub(crate) fn missed_nodes(&self) -> u64 {
        let entries = self.bytes.chunks_exact(ENTRY);
        let missed = entries.map(|entry| word64(entry, offset_of!(Entry, missed_nodes)));
        missed.fold(0, u64::saturating_add)
    }

    /// Those that the holder of an entry missed.
    pub(crate) fn missed_by(&self, slot: u32) -> u64 {
        let entry = self.bytes.chunks_exact(ENTRY).nth(slot as usize);
        entry.map_or(0, |entry| {
            let missed = word64(entry, offset_of!(Entry, missed_nodes));
            missed.saturating_sub(word64(entry, offset_of!(Entry, base_missed)))
        })
    }

    /// What each entry says about the lock; nothing if nobody is there.
    pub(crate) fn lock_flags(&self) -> Vec<LockFlags> {
        let flags = |entry: &[u8]| {
            let there = word32(entry, offset_of!(Entry, state)) != EMPTY;
            match there {
                true => LockFlags {
                    reading: word32(entry, offset_of!(Entry, reading)),
                    under_pass: UnderPass(word64(entry, offset_of!(Entry, under_pass))),
                },
                false => LockFlags {
                    reading: 0,
                    under_pass: UnderPass::NOTHING,
                },
            }
        };
        self.bytes.chunks_exact(ENTRY).map(flags).collect()
    }

    /// Those attached, in the order of their entries. `held` tells how many
    /// nodes each entry holds.
    pub(crate) fn attached(
        &self,
        source: &dyn Source,
        held: &[u32],
        damage: &mut DamageReport,
    ) -> Result<Vec<Participant>, SegmentError> {
        let mut attached = Vec::new();
        for (slot, entry) in (0u32..).zip(self.bytes.chunks_exact(ENTRY)) {
            if word32(entry, offset_of!(Entry, state)) == EMPTY {
                continue;
            }
            let Some((entry, alive)) = settle(source, slot, entry)? else {
                continue;
            };
            let held = held.get(slot as usize).copied().unwrap_or(0);
            match decode(slot, &entry, alive, held) {
                Ok(participant) => attached.push(participant),
                Err(wrong) => damage.push(wrong),
            }
        }
        Ok(attached)
    }
}

/// The entry together with whether its holder lives; `None` if it has left.
fn settle(
    source: &dyn Source,
    slot: u32,
    entry: &[u8],
) -> Result<Option<(Vec<u8>, bool)>, SegmentError> {
    let mut entry = entry.to_vec();
    if source.is_alive(slot)? {
        return Ok(Some((entry, true)));
    }
    // It seems dead. Was it still there when the kernel was asked? If it left,
    // or another came, one more answer settles it: nobody comes and goes here
    // faster than we look, and if somebody did, "dead" is corrected by the
    // next snapshot.
    let (state, since) = identity(&entry);
    source.read_at(HEADER_SIZE + u64::from(slot) * ENTRY_SIZE, &mut entry)?;
    if word32(&entry, offset_of!(Entry, state)) == EMPTY {
        return Ok(None);
    }
    let alive = identity(&entry) != (state, since) && source.is_alive(slot)?;
    Ok(Some((entry, alive)))
}

fn identity(entry: &[u8]) -> (u32, u64) {
    (
        word32(entry, offset_of!(Entry, state)),
        word64(entry, offset_of!(Entry, since_unix_ns)),
    )
}

fn decode(slot: u32, entry: &[u8], alive: bool, held_nodes: u32) -> Result<Participant, Damage> {
    let state = word32(entry, offset_of!(Entry, state));
    let role = match state {
        READER => Role::Reader,
        WRITER | LEAVING => Role::Writer,
        state => return Err(Damage::ParticipantState { slot, state }),
    };
    let both = |one, two| counter(entry, one).saturating_add(counter(entry, two));
    let (nodes, bytes, waits) = match role {
        Role::Writer => (
            both(
                offset_of!(Counters, written_nodes),
                offset_of!(Counters, refused_nodes),
            ),
            both(
                offset_of!(Counters, written_bytes),
                offset_of!(Counters, refused_bytes),
            ),
            counter(entry, offset_of!(Counters, writer_waits)),
        ),
        Role::Reader => (
            counter(entry, offset_of!(Counters, read_nodes)),
            counter(entry, offset_of!(Counters, read_bytes)),
            counter(entry, offset_of!(Counters, reader_waits)),
        ),
    };
    let since_base = |now: u64, base_offset| now.saturating_sub(word64(entry, base_offset));
    Ok(Participant {
        slot,
        role,
        pid: word32(entry, offset_of!(Entry, pid)),
        alive,
        leaving: state == LEAVING,
        since_unix_ns: word64(entry, offset_of!(Entry, since_unix_ns)),
        nodes: since_base(nodes, offset_of!(Entry, base_nodes)),
        bytes: since_base(bytes, offset_of!(Entry, base_bytes)),
        waits: since_base(waits, offset_of!(Entry, base_waits)),
        held_nodes,
        diff_nodes: 0,
        missed_nodes: None,
    })
}
