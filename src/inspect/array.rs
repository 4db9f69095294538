//! What an array or a buffer is: type, length, size, and where its payload
//! begins.
//!
//! ```text
//! header (checked) --> geometry --+--> array::Spec, buffer::Spec --> Array, Buffer
//!       description, by pread ----'        (the same gate that attaching has)
//! ```
//!
//! None of it ever changes, so there is nothing to bring to agree: either all
//! of it is in order, or the segment is damaged and nothing can be said
//! about its payload. The lock in front of the payload is `locked.rs`'s.

use crate::array::{self, ElementType, Shape};
use crate::buffer;
use crate::segment::{Kind, Opened, SegmentError};
use serde::{Serialize, Serializer};
use std::fmt;

/// An array's own part of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Array {
    /// What its elements are; in JSON the description.
    #[serde(rename = "type", serialize_with = "as_text")]
    pub element_type: ElementType,
    /// How many there are.
    pub len: u64,
    /// Bytes of one, and from one to the next.
    pub element_size: u64,
    /// Bytes from the segment's start to the first one: a multiple of 4096.
    pub data_offset: u64,
}

/// A buffer's own part of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Buffer {
    /// Its bytes.
    pub size: u64,
    /// Bytes from the segment's start to the first one: a multiple of 4096.
    pub data_offset: u64,
}

impl Array {
    pub(super) fn of(opened: &Opened) -> Result<Array, SegmentError> {
        let spec = array::Spec::of(opened)?;
        Ok(Array {
            len: spec.len(),
            element_size: spec.element_type().size() as u64,
            data_offset: spec.data_offset(),
            element_type: spec.element_type().clone(),
        })
    }
}

impl Buffer {
    pub(super) fn of(opened: &Opened) -> Result<Buffer, SegmentError> {
        let spec = buffer::Spec::of(opened.name(), opened.header())?;
        Ok(Buffer {
            size: spec.size(),
            data_offset: spec.data_offset(),
        })
    }
}

/// Where the payload of an open array or buffer begins, and how many bytes it
/// has.
pub(super) fn payload(opened: &Opened) -> Result<(u64, u64), SegmentError> {
    match opened.header().kind {
        Kind::Buffer => Buffer::of(opened).map(|buffer| (buffer.data_offset, buffer.size)),
        // `Array::of` says that a ring is none.
        Kind::Array | Kind::Ring => {
            let array = Array::of(opened)?;
            Ok((array.data_offset, array.len * array.element_size))
        }
    }
}

/// An element type in a few letters: the fields of records are left out.
pub(super) struct Short<'a>(pub &'a ElementType);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.shape() {
            Shape::Scalar(scalar) => f.write_str(scalar.as_str()),
            Shape::Repeat(of, count) => write!(f, "[{};{count}]", Short(of)),
            Shape::Record(_) => f.write_str("{...}"),
        }
    }
}

fn as_text<S: Serializer>(element_type: &ElementType, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(element_type)
}
