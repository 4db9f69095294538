//! What the first bytes of every segment look like: descriptors and checks,
//! nothing else.
//!
//! ```text
//! 0        RawHeader     4096 B   immutable part (CRC-32C), then SegmentWords
//! 4096     Entry * P     256 B each: the participant table
//! ...      the structure's own descriptors, then its payload
//! ```
//!
//! All integers are little-endian (the supported machines are). Words that
//! change lie in cache-line pairs of their own (128 bytes: adjacent lines are
//! fetched together), apart from the immutable part and from payload.

use crate::sync::atomic::{AtomicU32, AtomicU64};

/// The first eight bytes of every segment; like PNG's, they do not survive a
/// text-mode transfer.
pub const MAGIC: [u8; 8] = *b"SHMKIT\r\n";
/// The layout this build reads and writes. Others are refused. (1 was that of
/// 0.1.0: without the lock's words in the participant entries, and with 32 bits for
/// the number of a ring's stream.)
pub const LAYOUT_VERSION: u32 = 2;
/// Bytes from the start of the segment to the participant table.
pub const HEADER_SIZE: u64 = 4096;
/// Bytes of one participant entry.
pub const ENTRY_SIZE: u64 = 256;
/// Entries in the participant table unless asked otherwise.
pub const DEFAULT_PARTICIPANTS: u32 = 128;
/// The most entries a table may have: an owner is 11 bits of a node's word,
/// and 0 is nobody.
pub const MAX_PARTICIPANTS: u32 = 2047;
/// Bytes of the header that the CRC covers: all that never changes.
pub const CRC_SPAN: usize = 152;
/// Where [`SegmentWords`] begins.
pub const WORDS_OFFSET: u64 = 256;

/// The immutable part of a segment's header, as it lies in memory.
///
/// Untrusted until checked: the only way on is through
/// [`Header`](super::Header), which holds private, validated copies.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`LAYOUT_VERSION`].
    pub layout_version: u32,
    /// A [`Kind`](super::Kind) as its number.
    pub kind: u32,
    /// [`HEADER_SIZE`].
    pub header_size: u32,
    /// Entries in the participant table, 1 to [`MAX_PARTICIPANTS`].
    pub participants: u32,
    /// Bytes of the whole segment: equals the file's size.
    pub total_size: u64,
    /// Random: tells a segment from another that had its name before.
    pub instance_id: [u8; 16],
    /// When it was made, nanoseconds since the epoch.
    pub created_unix_ns: u64,
    /// Who made it.
    pub creator_pid: u32,
    /// 0.
    pub flags: u32,
    /// Where the participant table begins: [`HEADER_SIZE`].
    pub participants_offset: u64,
    /// Where the structure's own descriptors begin: right after the table.
    pub structure_offset: u64,
    /// Where payload begins; checked by the structure.
    pub payload_offset: u64,
    /// The structure's geometry; its meaning is the structure's own.
    pub geometry: [u64; 8],
    /// CRC-32C of the [`CRC_SPAN`] bytes before it.
    pub crc: u32,
    /// 0.
    pub reserved: u32,
}

/// The words of a segment that change, whatever its kind.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct SegmentWords {
    /// Not 0 once the segment was removed by force: those attached leave.
    pub removed: AtomicU32,
}

/// An entry nobody holds.
pub const EMPTY: u32 = 0;
/// A reader is attached.
pub const READER: u32 = 1;
/// A writer is attached, or about to be.
pub const WRITER: u32 = 2;
/// A writer has committed its last node and is on its way out.
pub const LEAVING: u32 = 3;

/// One line of the participant table: one attached handle.
///
/// The entry belongs to whoever holds the lock on its byte (see
/// [`liveness`](super::liveness)); only the holder, or the recoverer of a
/// dead holder, changes it. Others only read it.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct Entry {
    /// [`EMPTY`], [`READER`], [`WRITER`] or [`LEAVING`].
    pub state: AtomicU32,
    /// The holder's process, for people to read; proves nothing.
    pub pid: AtomicU32,
    /// When the holder attached, nanoseconds since the epoch.
    pub since_unix_ns: AtomicU64,
    /// Value of `nodes` when the holder attached: its own are `nodes - base_nodes`.
    pub base_nodes: AtomicU64,
    /// Value of `bytes` when the holder attached.
    pub base_bytes: AtomicU64,
    /// Value of `waits` when the holder attached.
    pub base_waits: AtomicU64,
    /// The place of a broadcast ring's reader in the order; 0: it has none (yet).
    pub cursor: AtomicU64,
    /// Read locks that the holder has, or is trying to get: arrays, buffers.
    pub reading: AtomicU32,
    /// The pass that is good for the lock which the holder has; 0: none:
    /// arrays, buffers.
    pub pass: AtomicU32,
    /// What the holder does under the lock of another entry: arrays, buffers.
    pub under_pass: AtomicU64,
    /// The drop under way, of a ring's writer: the node and its generation; 0:
    /// none. Lets a recoverer tell whether the counters include it.
    pub dropping: AtomicU64,
    /// Nodes that readers in this entry missed, of a broadcast ring: gone before
    /// they came to them.
    pub missed_nodes: AtomicU64,
    /// Value of `missed_nodes` when the holder attached.
    pub base_missed: AtomicU64,
    /// Room to grow.
    pub reserved: [AtomicU64; 5],
    /// All that a handle counts itself. The counters of an entry only grow,
    /// whoever holds it: totals are sums over the table, and nothing needs
    /// to be carried over when a holder leaves or dies.
    pub counters: Counters,
}

/// What a participant counts, in cache lines that only it writes.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct Counters {
    /// Nodes committed by writers in this entry.
    pub written_nodes: AtomicU64,
    /// Bytes committed by writers in this entry.
    pub written_bytes: AtomicU64,
    /// Nodes released by readers in this entry.
    pub read_nodes: AtomicU64,
    /// Bytes released by readers in this entry.
    pub read_bytes: AtomicU64,
    /// Times a writer in this entry had to wait for a free node.
    pub writer_waits: AtomicU64,
    /// Times a reader in this entry had to wait for a node.
    pub reader_waits: AtomicU64,
    /// Nodes that writers in this entry died in before committing.
    pub abandoned_nodes: AtomicU64,
    /// Nodes of readers in this entry that were handed on to another reader.
    pub redelivered_nodes: AtomicU64,
    /// Committed, unread nodes that writers in this entry dropped, to use them.
    pub dropped_nodes: AtomicU64,
    /// Waits that ended by the slice although there was work that nobody had
    /// signalled: 0 unless somebody was killed.
    pub unsignalled_slices: AtomicU64,
    /// The commit under way: `generation << 20 | node`, or `u64::MAX`; lets a
    /// recoverer tell whether the counters include it.
    pub pending_node: AtomicU64,
    /// `written_bytes` once the pending commit is done, or `dropped_bytes` once
    /// the drop is.
    pub pending_bytes: AtomicU64,
    /// `written_nodes`, or `dropped_nodes`, likewise.
    pub pending_nodes: AtomicU64,
    /// Bytes in `dropped_nodes`.
    pub dropped_bytes: AtomicU64,
    /// Nodes that writers in this entry dropped because none was free: never
    /// committed, and not among `written_nodes`.
    pub refused_nodes: AtomicU64,
    /// Bytes in `refused_nodes`.
    pub refused_bytes: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(offset_of!(RawHeader, crc) == CRC_SPAN);
    assert!(size_of::<RawHeader>() as u64 <= WORDS_OFFSET);
    assert!(WORDS_OFFSET + size_of::<SegmentWords>() as u64 <= HEADER_SIZE);
    assert!(size_of::<Entry>() as u64 == ENTRY_SIZE);
    assert!(offset_of!(Entry, counters) == 128);
    assert!(size_of::<Counters>() == 128);
};
