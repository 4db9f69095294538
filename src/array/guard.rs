//! An array's elements under its lock, where they are: nothing is copied.
//!
//! ```text
//! Array::read  -> ArrayReadGuard   Deref<[T]>       shared with other readers
//! Array::write -> ArrayWriteGuard  DerefMut<[T]>    for one alone
//! ```
//!
//! The slices are the shared memory itself. What keeps them well-defined, and
//! what does not:
//!
//! * `T` is plain data: whatever bytes are there are a value.
//! * The lock keeps out those who take it. It does not keep out lone elements
//!   that others store without it ([`Array::set`](super::Array::set) of small
//!   types): such a store may show in the slice at any moment, whole. Nor can it
//!   keep out a program that does not know this lock.
//! * So a value is not necessarily the same when it is looked at twice. Copy
//!   it first where something depends on that: `let x = guard[i];`.
//! * Should the segment be truncated, what is lost reads as zeros
//!   ([`guard_faults`](crate::segment::guard_faults); without that the touch is
//!   `SIGBUS`). [`Array::gone`](super::Array::gone) tells, after the work.
//! * Elements with padding that are stored through a write guard leave
//!   whatever was in their padding. [`Array::write_from`](super::Array::write_from)
//!   leaves zeros there.

use super::{Element, view};
use crate::lock::{ReadGuard, WriteGuard};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A read lock on an array, given back when dropped. Derefs to `[T]`: all its
/// elements, where they are. What others can change meanwhile: lone elements
/// that they store without the lock.
#[must_use = "the lock is given back when this is dropped"]
pub struct ArrayReadGuard<'a, T: Element> {
    guard: ReadGuard<'a>,
    of: PhantomData<&'a [T]>,
}

/// The write lock on an array, given back when dropped. Derefs to `[T]`: all
/// its elements, where they are. What others can change meanwhile: lone
/// elements that they store without the lock.
///
/// Dropped while panicking, it leaves word that a writer died in the middle of
/// its changes: [`owner_died`](ArrayReadGuard::owner_died).
#[must_use = "the lock is given back when this is dropped"]
pub struct ArrayWriteGuard<'a, T: Element> {
    guard: WriteGuard<'a>,
    of: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> ArrayReadGuard<'a, T> {
    /// `guard` must be that of an array whose elements are `T`.
    pub(super) fn new(guard: ReadGuard<'a>) -> ArrayReadGuard<'a, T> {
        ArrayReadGuard {
            guard,
            of: PhantomData,
        }
    }

    /// Whether a writer died, or panicked, in the middle of its changes, and
    /// nobody has written since: elements may be old and new mixed.
    pub fn owner_died(&self) -> bool {
        self.guard.owner_died()
    }

    /// Counts `elements` as read by this handle, for those who inspect.
    pub fn count(&self, elements: u64) {
        self.guard
            .count(elements.saturating_mul(size_of::<T>() as u64));
    }
}

impl<T: Element> Deref for ArrayReadGuard<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // Neither misaligned nor of a broken length: the payload begins at a
        // page and is `len` elements exactly, compared when attaching.
        view::elements(self.guard.bytes()).unwrap_or_default()
    }
}

impl<'g, T: Element> IntoIterator for &'g ArrayReadGuard<'_, T> {
    type Item = &'g T;
    type IntoIter = std::slice::Iter<'g, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Element> ArrayWriteGuard<'a, T> {
    /// `guard` must be that of an array whose elements are `T`.
    pub(super) fn new(guard: WriteGuard<'a>) -> ArrayWriteGuard<'a, T> {
        ArrayWriteGuard {
            guard,
            of: PhantomData,
        }
    }

    /// Whether a writer died, or panicked, in the middle of its changes,
    /// before this lock was taken, and nobody has written since.
    pub fn owner_died(&self) -> bool {
        self.guard.owner_died()
    }

    /// Counts `elements` as written by this handle, for those who inspect.
    pub fn count(&self, elements: u64) {
        self.guard
            .count(elements.saturating_mul(size_of::<T>() as u64));
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

impl<T: Element> Deref for ArrayWriteGuard<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        view::elements(self.guard.bytes()).unwrap_or_default() // as for reading
    }
}

impl<T: Element> DerefMut for ArrayWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        view::elements_mut(self.guard.bytes_mut()).unwrap_or_default() // as for reading
    }
}

impl<'g, T: Element> IntoIterator for &'g ArrayWriteGuard<'_, T> {
    type Item = &'g T;
    type IntoIter = std::slice::Iter<'g, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'g, T: Element> IntoIterator for &'g mut ArrayWriteGuard<'_, T> {
    type Item = &'g mut T;
    type IntoIter = std::slice::IterMut<'g, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: Element> fmt::Debug for ArrayReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArrayReadGuard of {} elements", self.len())
    }
}

impl<T: Element> fmt::Debug for ArrayWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArrayWriteGuard of {} elements", self.len())
    }
}
