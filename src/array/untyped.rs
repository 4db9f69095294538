//! An attached array whose element type is known only when it is attached.
//!
//! What the command line works with: the element type comes out of the
//! segment, and elements are bytes that a format reads or writes by it.
//!
//! ```text
//! Locked (bytes and lock) + Spec (checked again in the mapping) = Untyped
//! ```
//!
//! `Untyped` promises that the payload is exactly `len` elements of the type's
//! size, and turns element numbers into byte ranges of it, checked. The handle is
//! lent as `&mut Locked`, so it can be exchanged for another one (by
//! [`std::mem::swap`]) that this `Spec` says nothing about: where the other
//! payload has not as many bytes, that is an error, too.

use super::{ArrayError, Spec};
use crate::lock::{AttachOptions, Locked};
use crate::segment::{Name, SegmentError};
use std::ops::Range;

/// An attached array of whatever type: bytes, with their description.
///
/// ```
/// use shmkit::array::{self, Spec, Untyped};
/// use shmkit::lock::{AttachOptions, Wait};
/// use shmkit::segment::{self, Name, OpenOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = Name::new(&format!("pairs-{}", std::process::id()))?;
/// array::create(&name, &Spec::new("[u16;2]".parse()?, 50)?, Some(&[1, 0, 2, 0]), 0o600)?;
///
/// let array = Untyped::attach(&name, &AttachOptions::default())?;
/// assert_eq!(array.spec().element_type().size(), 4);
/// let range = array.range(48, 2)?;
/// let guard = array.locked().read(&Wait::default())?;
/// assert_eq!(guard.bytes()[range], [1, 0, 2, 0, 1, 0, 2, 0]);
/// drop(guard);
/// assert!(array.range(48, 3).is_err());
/// drop(array);
/// segment::remove(&name, false, OpenOptions::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Untyped {
    locked: Locked,
    spec: Spec,
}

impl Untyped {
    /// Attaches to the array `name`. Does not wait for its lock.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::attach`]; [`WrongKind`](SegmentError::WrongKind) if
    /// it is no array, [`Corrupt`](SegmentError::Corrupt) if its description
    /// is damaged.
    pub fn attach(name: &Name, options: &AttachOptions) -> Result<Untyped, ArrayError> {
        Untyped::of(Locked::attach(name, options)?)
    }

    /// An attached segment taken for the array that it is.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](SegmentError::WrongKind) if it is none,
    /// [`Corrupt`](SegmentError::Corrupt) if its description is damaged.
    pub fn of(locked: Locked) -> Result<Untyped, ArrayError> {
        let spec = Spec::of_mapping(locked.mapping())?;
        if locked.len() as u64 != spec.payload_size() {
            return Err(ArrayError::from(SegmentError::Corrupt {
                name: locked.name().clone(),
                why: format!("{} bytes of payload", locked.len()),
            }));
        }
        Ok(Untyped { locked, spec })
    }

    /// Element type and length.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its bytes and their lock.
    pub fn locked(&self) -> &Locked {
        &self.locked
    }

    /// Its bytes and their lock. Another handle in its place: the elements are
    /// then the other's bytes, or
    /// [`ArrayError::Exchanged`] if these are more or fewer.
    pub fn locked_mut(&mut self) -> &mut Locked {
        &mut self.locked
    }

    /// Where the bytes of `count` elements from `at` on lie in the payload.
    /// None from `len` on are there, too: an empty range.
    ///
    /// # Errors
    ///
    /// [`ArrayError::OutOfRange`]: there are not so many.
    /// [`ArrayError::Exchanged`].
    #[inline]
    pub fn range(&self, at: u64, count: u64) -> Result<Range<usize>, ArrayError> {
        self.unexchanged()?;
        let len = self.spec.len();
        match at.checked_add(count) {
            Some(end) if end <= len => {
                // Both are at most the payload's bytes, which are less than
                // isize::MAX.
                let size = self.spec.element_type().size();
                Ok(at as usize * size..end as usize * size)
            }
            _ => Err(ArrayError::OutOfRange {
                name: self.locked.name().clone(),
                at,
                count,
                len,
            }),
        }
    }

    /// An error if the payload is not the `len` elements any more, since the
    /// handle is another.
    #[inline]
    pub(super) fn unexchanged(&self) -> Result<(), ArrayError> {
        match self.locked.len() as u64 == self.spec.payload_size() {
            true => Ok(()),
            false => Err(ArrayError::Exchanged {
                name: self.locked.name().clone(),
            }),
        }
    }

    /// An error once it is known that the segment was removed or truncated.
    #[inline]
    pub(super) fn intact(&self) -> Result<(), ArrayError> {
        match self.locked.mapping().gone() {
            None => Ok(()),
            Some(gone) => Err(ArrayError::gone(self.locked.name(), gone)),
        }
    }
}
