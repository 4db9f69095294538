//! A buffer's bytes under its lock, and typed values among them.
//!
//! ```text
//! offset      0       4                 16          28
//!             | u32   | ...             | [f32; 3]  |          bytes of the payload
//!               get     bytes(4, 12)      slice(16, 3)
//! ```
//!
//! Every call brings its offset into range and says what was wrong with it.
//! `get` and `put` copy a value from and to any offset; `slice` and
//! `slice_mut` lend values where they are, which has to be a multiple of their
//! alignment, counted from the payload's start (which is a page's).
//!
//! Reading asks for an [`Element`] as writing does, though any plain data
//! could be read: for reading, an element is plain data (zerocopy's
//! `FromBytes`); for writing, one that says how it is stored without its
//! padding.
//!
//! What the slices are, and what others can change under them meanwhile: see
//! [`ArrayReadGuard`](crate::array::ArrayReadGuard), with
//! [`Buffer::store`](super::Buffer::store) in the place of `set`.

use super::BufferError;
use crate::array::{Element, view};
use crate::lock::{ReadGuard, WriteGuard};
use crate::segment::Name;
use std::ops::Range;

/// A read lock on a buffer, given back when dropped.
#[must_use = "the lock is given back when this is dropped"]
#[derive(Debug)]
pub struct BufferReadGuard<'a> {
    name: &'a Name,
    guard: ReadGuard<'a>,
}

/// The write lock on a buffer, given back when dropped.
///
/// Dropped while panicking, it leaves word that a writer died in the middle of
/// its changes.
#[must_use = "the lock is given back when this is dropped"]
#[derive(Debug)]
pub struct BufferWriteGuard<'a> {
    name: Name,
    guard: WriteGuard<'a>,
}

impl<'a> BufferReadGuard<'a> {
    pub(super) fn new(name: &'a Name, guard: ReadGuard<'a>) -> BufferReadGuard<'a> {
        BufferReadGuard { name, guard }
    }

    /// All its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.guard.bytes()
    }

    /// `len` bytes from offset `at` on.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn bytes(&self, at: u64, len: u64) -> Result<&[u8], BufferError> {
        part(self.name, self.as_bytes(), at, len)
    }

    /// A copy of the value at offset `at`, whatever its alignment.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn get<T: Element>(&self, at: u64) -> Result<T, BufferError> {
        get(self.name, self.as_bytes(), at)
    }

    /// `count` values from offset `at` on, where they are.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`]; [`BufferError::Unaligned`] if `at` is no
    /// multiple of the alignment of `T`.
    pub fn slice<T: Element>(&self, at: u64, count: u64) -> Result<&[T], BufferError> {
        slice(self.name, self.as_bytes(), at, count)
    }

    /// Whether a writer died, or panicked, in the middle of its changes, and
    /// nobody has written since: bytes may be old and new mixed.
    pub fn owner_died(&self) -> bool {
        self.guard.owner_died()
    }

    /// Counts `bytes` as read by this handle, for those who inspect.
    pub fn count(&self, bytes: u64) {
        self.guard.count(bytes);
    }
}

impl<'a> BufferWriteGuard<'a> {
    pub(super) fn new(name: Name, guard: WriteGuard<'a>) -> BufferWriteGuard<'a> {
        BufferWriteGuard { name, guard }
    }

    /// All its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.guard.bytes()
    }

    /// All its bytes.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.guard.bytes_mut()
    }

    /// `len` bytes from offset `at` on.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn bytes(&self, at: u64, len: u64) -> Result<&[u8], BufferError> {
        part(&self.name, self.as_bytes(), at, len)
    }

    /// `len` bytes from offset `at` on.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn bytes_mut(&mut self, at: u64, len: u64) -> Result<&mut [u8], BufferError> {
        let range = range(&self.name, at, len, self.as_bytes().len() as u64)?;
        Ok(&mut self.guard.bytes_mut()[range])
    }

    /// A copy of the value at offset `at`, whatever its alignment.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn get<T: Element>(&self, at: u64) -> Result<T, BufferError> {
        get(&self.name, self.as_bytes(), at)
    }

    /// Puts `value` at offset `at`, whatever its alignment. Its padding, if it
    /// has any, becomes 0.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`].
    pub fn put<T: Element>(&mut self, at: u64, value: T) -> Result<(), BufferError> {
        let out = self.bytes_mut(at, size_of::<T>() as u64)?;
        out.fill(0);
        value.store(out);
        Ok(())
    }

    /// `count` values from offset `at` on, where they are.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`]; [`BufferError::Unaligned`] if `at` is no
    /// multiple of the alignment of `T`.
    pub fn slice<T: Element>(&self, at: u64, count: u64) -> Result<&[T], BufferError> {
        slice(&self.name, self.as_bytes(), at, count)
    }

    /// `count` values from offset `at` on, where they are.
    ///
    /// # Errors
    ///
    /// Those of [`slice`](BufferWriteGuard::slice).
    pub fn slice_mut<T: Element>(&mut self, at: u64, count: u64) -> Result<&mut [T], BufferError> {
        let size = self.as_bytes().len() as u64;
        let range = range(&self.name, at, bytes_of::<T>(count), size)?;
        view::elements_mut(&mut self.guard.bytes_mut()[range])
            .ok_or_else(|| unaligned::<T>(&self.name, at))
    }

    /// Whether a writer died, or panicked, in the middle of its changes,
    /// before this lock was taken, and nobody has written since.
    pub fn owner_died(&self) -> bool {
        self.guard.owner_died()
    }

    /// Counts `bytes` as written by this handle, for those who inspect.
    pub fn count(&self, bytes: u64) {
        self.guard.count(bytes);
    }

    /// Gives the lock back after no change, or none that makes whole what a
    /// dead writer left: `owner_died` stays as it was. (Dropping the guard
    /// clears it, if nobody died since the lock was taken.)
    pub fn release_unwritten(self) {
        self.guard.release_unwritten();
    }

    /// Gives the lock back in the middle of changes: sets `owner_died`, as if
    /// the caller had died.
    pub fn release_incomplete(self) {
        self.guard.release_incomplete();
    }
}

/// `at..at + len`, if there are so many bytes.
pub(super) fn range(
    name: &Name,
    at: u64,
    len: u64,
    size: u64,
) -> Result<Range<usize>, BufferError> {
    match at.checked_add(len) {
        // Both are at most the payload's size, which is a mapping's.
        Some(end) if end <= size => Ok(at as usize..end as usize),
        _ => Err(BufferError::OutOfRange {
            name: name.clone(),
            at,
            len,
            size,
        }),
    }
}

fn part<'b>(name: &Name, all: &'b [u8], at: u64, len: u64) -> Result<&'b [u8], BufferError> {
    Ok(&all[range(name, at, len, all.len() as u64)?])
}

fn get<T: Element>(name: &Name, all: &[u8], at: u64) -> Result<T, BufferError> {
    let len = size_of::<T>() as u64;
    let bytes = part(name, all, at, len)?;
    // As many bytes as a `T` has: the only thing that can be wrong with them.
    T::read_from_bytes(bytes).map_err(|_| BufferError::OutOfRange {
        name: name.clone(),
        at,
        len,
        size: all.len() as u64,
    })
}

fn slice<'b, T: Element>(
    name: &Name,
    all: &'b [u8],
    at: u64,
    count: u64,
) -> Result<&'b [T], BufferError> {
    let bytes = part(name, all, at, bytes_of::<T>(count))?;
    view::elements(bytes).ok_or_else(|| unaligned::<T>(name, at))
}

/// Bytes of so many `T`; as many as there can never be, if they are too many.
fn bytes_of<T>(count: u64) -> u64 {
    const { assert!(size_of::<T>() > 0, "a type of no size") };
    count.saturating_mul(size_of::<T>() as u64)
}

fn unaligned<T>(name: &Name, at: u64) -> BufferError {
    BufferError::Unaligned {
        name: name.clone(),
        at,
        align: align_of::<T>(),
    }
}
