//! Why a call on an array, a buffer, or their lock failed.

use crate::segment::{Gone, Kind, Name, SegmentError};

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The deadline passed.
    #[error("timed out")]
    TimedOut,
    /// The caller's `cancelled` said so.
    #[error("interrupted")]
    Cancelled,
    /// The write lock was asked of a handle that only reads.
    #[error("{name}: attached for reading only")]
    ReadOnly {
        /// The segment.
        name: Name,
    },
    /// A write under somebody's read lock, which it would wait for in vain.
    #[error(
        "{name}: runs under a read lock of it, which a write would wait for in vain; use 'shm lock --write'"
    )]
    UnderReadLock {
        /// The segment.
        name: Name,
    },
    /// A segment of a kind that has no lock.
    #[error("{name}: is a {kind}, which has no lock; arrays and buffers have")]
    NoLock {
        /// The segment.
        name: Name,
        /// What it is.
        kind: Kind,
    },
    /// The segment was removed or truncated under us.
    #[error("{name}: the segment was {gone}")]
    Gone {
        /// The segment.
        name: Name,
        /// What happened to it.
        gone: Gone,
    },
    /// The segment could not be opened.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}
