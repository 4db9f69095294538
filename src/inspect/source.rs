//! Where a snapshot's bytes come from, and how words are taken out of them.

use crate::segment::{Opened, SegmentError};

/// What a snapshot needs from a segment: bytes, and the kernel's word on who
/// lives. The tests put hand-made bytes in its place.
pub(crate) trait Source {
    /// Fills `buf` with the bytes at `offset`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SegmentError>;
    /// Whether somebody holds the lock of that participant entry.
    fn is_alive(&self, slot: u32) -> Result<bool, SegmentError>;
}

impl Source for Opened {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SegmentError> {
        Opened::read_at(self, offset, buf)
    }
    fn is_alive(&self, slot: u32) -> Result<bool, SegmentError> {
        Opened::is_alive(self, slot)
    }
}

/// The 64-bit word at `offset` of `bytes`; 0 past their end.
pub(crate) fn word64(bytes: &[u8], offset: usize) -> u64 {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .map_or(0, u64::from_le_bytes)
}

/// The 32-bit word at `offset` of `bytes`; 0 past their end.
pub(crate) fn word32(bytes: &[u8], offset: usize) -> u32 {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .map_or(0, u32::from_le_bytes)
}

/// Most bytes that are read at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Calls `each(index, bytes)` for `count` items of `stride` bytes from
/// `offset` on, read in chunks of at most [`CHUNK`] bytes.
pub(crate) fn for_each_item(
    source: &dyn Source,
    offset: u64,
    stride: usize,
    count: u32,
    mut each: impl FnMut(u32, &[u8]),
) -> Result<(), SegmentError> {
    let per_chunk = (CHUNK / stride).min(count as usize).max(1);
    let mut buf = vec![0; per_chunk * stride];
    let mut index = 0;
    while index < count {
        let items = per_chunk.min((count - index) as usize);
        let bytes = &mut buf[..items * stride];
        source.read_at(offset + u64::from(index) * stride as u64, bytes)?;
        for (item, i) in bytes.chunks_exact(stride).zip(index..) {
            each(i, item);
        }
        index += items as u32;
    }
    Ok(())
}
