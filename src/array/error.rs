//! Why a call on an array failed.

use crate::lock::LockError;
use crate::segment::{Gone, Name, SegmentError};

/// Why a call on an array failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The lock, or the segment.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The elements are of another type.
    #[error("{name}: its elements are {found}, not {expected}")]
    WrongType {
        /// The array.
        name: Name,
        /// The description of the type asked for.
        expected: String,
        /// The description in the header.
        found: String,
    },
    /// A Rust type that does not lie in memory as its own description says:
    /// a mistake in its [`Element`](super::Element) implementation, or in its
    /// attributes.
    #[error(
        "the Rust type {rust} has {size} bytes, aligned to {align}; as '{described}', which it says it is, it would have {described_size}, aligned to {described_align}"
    )]
    Layout {
        /// The Rust type's name.
        rust: &'static str,
        /// Its size in bytes.
        size: usize,
        /// Its alignment in bytes.
        align: usize,
        /// What it says it is.
        described: String,
        /// The size of that.
        described_size: usize,
        /// The alignment of that.
        described_align: usize,
    },
    /// Elements that there are not.
    #[error("{name}: {}", beyond("element", *.at, *.count, *.len))]
    OutOfRange {
        /// The array.
        name: Name,
        /// The first element asked for.
        at: u64,
        /// How many were asked for.
        count: u64,
        /// How many there are.
        len: u64,
    },
    /// The handle was exchanged, through
    /// [`Array::locked_mut`](super::Array::locked_mut), for that of another
    /// segment, whose payload has another size.
    #[error("{name}: not the segment that was attached as this array; its size is another")]
    Exchanged {
        /// The segment that the handle is of now.
        name: Name,
    },
    /// There can be no such array.
    #[error("{len} elements of {size} bytes: {why}")]
    Impossible {
        /// Elements asked for.
        len: u64,
        /// Bytes of an element.
        size: u64,
        /// What is wrong with that.
        why: &'static str,
    },
    /// There can be no array of such elements.
    #[error("element type: {why}")]
    Indescribable {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl From<SegmentError> for ArrayError {
    fn from(error: SegmentError) -> Self {
        ArrayError::Lock(error.into())
    }
}

impl ArrayError {
    /// The segment went away under us.
    pub(super) fn gone(name: &Name, gone: Gone) -> ArrayError {
        let name = name.clone();
        ArrayError::Lock(LockError::Gone { name, gone })
    }
}

/// That of `len` things there are none from `at` on, or not `count`.
pub(crate) fn beyond(thing: &str, at: u64, count: u64, len: u64) -> String {
    let there = if at >= len {
        format!("the last one is {}", len.saturating_sub(1))
    } else {
        let last = len - 1;
        format!("from there on there are {}, up to {last}", len - at)
    };
    match count {
        0 | 1 => format!("{thing} {at}: {there}"),
        _ => format!("{count} {thing}s from {at} on: {there}"),
    }
}
