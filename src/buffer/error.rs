//! Why a call on a buffer failed.

use crate::array::beyond;
use crate::lock::LockError;
use crate::segment::{Name, SegmentError};

/// Why a call on a buffer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The lock, or the segment.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Bytes that there are not.
    #[error("{name}: {}", beyond("byte", *.at, *.len, *.size))]
    OutOfRange {
        /// The buffer.
        name: Name,
        /// The first byte asked for.
        at: u64,
        /// How many were asked for.
        len: u64,
        /// How many there are.
        size: u64,
    },
    /// Not aligned as the type asks for.
    #[error("{name}: offset {at} is not a multiple of {align}")]
    Unaligned {
        /// The buffer.
        name: Name,
        /// The offset asked for.
        at: u64,
        /// What it has to be a multiple of.
        align: usize,
    },
    /// There can be no such buffer.
    #[error("a buffer of {0} bytes; 1 or more, and less than any memory")]
    Impossible(u64),
}

impl From<SegmentError> for BufferError {
    fn from(error: SegmentError) -> Self {
        BufferError::Lock(error.into())
    }
}
