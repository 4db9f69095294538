//! An attached array of a Rust type.
//!
//! | to | use | lock |
//! |---|---|---|
//! | one element | [`get`](Array::get), [`set`](Array::set) | none for 1, 2, 4, 8 bytes; else read, write |
//! | many, copied | [`read_into`](Array::read_into), [`to_vec`](Array::to_vec), [`write_from`](Array::write_from), [`fill`](Array::fill) | read, write |
//! | all, in place | [`read`](Array::read), [`write`](Array::write) | read, write |
//!
//! # Whole without a lock
//!
//! An element of 1, 2, 4 or 8 bytes is one word of the machine: the payload
//! begins at a page, and element `i` at `i` times the size, which is a multiple
//! of the size; so a single atomic load or store reaches it, and nobody ever
//! sees half of one. Two such elements are two loads: between them others
//! may store. And these stores do not wait for the lock of others: who holds
//! it may see them come. Elements of other sizes take the lock.
//!
//! # Speed
//!
//! Many elements at once are one `memcpy`. Elements with padding are stored
//! one by one, so that what was on the caller's stack does not get into
//! memory that others read.

use super::fill::fill;
use super::{ArrayError, ArrayReadGuard, ArrayWriteGuard, Element, Spec, Untyped, word};
use crate::lock::{Access, AttachOptions, LockError, Locked, Wait};
use crate::segment::{Gone, Name};
use std::marker::PhantomData;

/// An attached array of `T`: one handle, one entry in the participant table.
///
/// May be shared between threads for reading. Each thread that writes
/// attaches a handle of its own. Dropping it detaches.
///
/// ```
/// use shmkit::array::{self, Array, Spec};
/// use shmkit::lock::{AttachOptions, Wait};
/// use shmkit::segment::{self, Name, OpenOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = Name::new(&format!("squares-{}", std::process::id()))?;
/// array::create(&name, &Spec::new("u64".parse()?, 10)?, None, 0o600)?;
///
/// let mut squares: Array<u64> = Array::attach(&name, &AttachOptions::default())?;
/// for i in 0..squares.len() {
///     squares.set(i, i * i)?;
/// }
/// assert_eq!(squares.get(9)?, 81);
///
/// for value in &mut squares.write(&Wait::default())? {
///     *value += 1;
/// }
/// assert_eq!(squares.to_vec(&Wait::default())?[..3], [1, 2, 5]);
/// drop(squares);
/// segment::remove(&name, false, OpenOptions::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Array<T: Element> {
    untyped: Untyped,
    /// Whether a `T` has bytes that belong to no field.
    padded: bool,
    of: PhantomData<T>,
}

impl<T: Element> Array<T> {
    /// Attaches to the array `name`, whose elements are `T`. Does not wait for
    /// its lock.
    ///
    /// # Errors
    ///
    /// Those of [`Untyped::attach`] and [`Array::of`].
    pub fn attach(name: &Name, options: &AttachOptions) -> Result<Array<T>, ArrayError> {
        Array::of(Untyped::attach(name, options)?)
    }

    /// An attached array taken for one of `T`.
    ///
    /// # Errors
    ///
    /// [`ArrayError::WrongType`] if its elements are described otherwise than
    /// `T`, [`ArrayError::Layout`] if `T` does not lie in memory as its own
    /// description says.
    pub fn of(untyped: Untyped) -> Result<Array<T>, ArrayError> {
        let expected = T::element_type();
        let found = untyped.spec().element_type();
        if expected != *found {
            return Err(ArrayError::WrongType {
                name: untyped.locked().name().clone(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
        // Not the same only if the implementation of the trait broke its promise.
        // Looked at nevertheless: with both the same, every access below stays
        // within the payload and is aligned.
        if (size_of::<T>(), align_of::<T>()) != (expected.size(), expected.align()) {
            return Err(ArrayError::Layout {
                rust: std::any::type_name::<T>(),
                size: size_of::<T>(),
                align: align_of::<T>(),
                described: expected.to_string(),
                described_size: expected.size(),
                described_align: expected.align(),
            });
        }
        Ok(Array {
            padded: expected.has_padding(),
            untyped,
            of: PhantomData,
        })
    }

    /// How many elements there are: 1 or more.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> u64 {
        self.untyped.spec().len()
    }

    /// Element type and length.
    pub fn spec(&self) -> &Spec {
        self.untyped.spec()
    }

    /// Its bytes and their lock.
    pub fn locked(&self) -> &Locked {
        self.untyped.locked()
    }

    /// Its bytes and their lock. See [`Untyped::locked_mut`] for what follows
    /// from another handle in its place.
    pub fn locked_mut(&mut self) -> &mut Locked {
        self.untyped.locked_mut()
    }

    /// Whether the segment was removed or truncated, asking the system.
    pub fn gone(&self) -> Option<Gone> {
        self.locked().gone()
    }

    /// The element `at`.
    ///
    /// Of 1, 2, 4 or 8 bytes: whole, without the lock, never blocks. Of other
    /// sizes: under a read lock, which it waits for without limit (and for
    /// ever, if this very thread has the array's lock by another guard and
    /// a writer waits for that); [`read`](Array::read) has time-outs.
    ///
    /// # Errors
    ///
    /// [`ArrayError::OutOfRange`]; [`LockError::Gone`];
    /// [`ArrayError::Exchanged`].
    #[inline]
    pub fn get(&self, at: u64) -> Result<T, ArrayError> {
        let range = self.untyped.range(at, 1)?;
        let value = match word::load(self.locked(), range.start) {
            Some(value) => value,
            None => self.read(&Wait::default())?[at as usize],
        };
        self.untyped.intact().map(|()| value)
    }

    /// Stores `value` as the element `at`.
    ///
    /// Of 1, 2, 4 or 8 bytes: whole, without the lock, never blocks, and shows
    /// at once to those who have the lock. Of other sizes: under the write
    /// lock, which it waits for without limit; [`write`](Array::write) has
    /// time-outs.
    ///
    /// # Errors
    ///
    /// [`ArrayError::OutOfRange`]; [`LockError::ReadOnly`] if attached for
    /// reading; [`LockError::Gone`];
    /// [`LockError::UnderReadLock`] for other sizes; [`ArrayError::Exchanged`].
    #[inline]
    pub fn set(&mut self, at: u64, value: T) -> Result<(), ArrayError> {
        let range = self.untyped.range(at, 1)?;
        if word::is_word(size_of::<T>()) {
            self.writable()?;
            self.untyped.intact()?;
            word::store(self.locked(), range.start, &value);
        } else {
            self.write_from(at, &[value], &Wait::default())?;
        }
        self.untyped.intact()
    }

    /// Copies the elements from `at` on into `out`, all of which is filled,
    /// under a read lock. Blocks as [`Locked::read`] does, as long as `wait`
    /// says.
    ///
    /// # Errors
    ///
    /// [`ArrayError::OutOfRange`]; those of [`Array::read`]. Where it was
    /// truncated meanwhile ([`LockError::Gone`]), `out` has zeros.
    pub fn read_into(&self, at: u64, out: &mut [T], wait: &Wait<'_>) -> Result<(), ArrayError> {
        let count = out.len();
        self.untyped.range(at, count as u64)?;
        let guard = self.read(wait)?;
        out.copy_from_slice(&guard[at as usize..][..count]);
        guard.count(count as u64);
        drop(guard);
        self.untyped.intact()
    }

    /// A copy of all elements, made under a read lock. Blocks as
    /// [`Locked::read`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Array::read`].
    pub fn to_vec(&self, wait: &Wait<'_>) -> Result<Vec<T>, ArrayError> {
        let guard = self.read(wait)?;
        let all = guard.to_vec();
        guard.count(all.len() as u64);
        drop(guard);
        self.untyped.intact().map(|()| all)
    }

    /// Copies `values` to the elements from `at` on, under the write lock.
    /// Blocks as [`Locked::write`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// [`ArrayError::OutOfRange`]; those of [`Array::write`]. After any error but
    /// [`LockError::Gone`], nothing was stored.
    pub fn write_from(&mut self, at: u64, values: &[T], wait: &Wait<'_>) -> Result<(), ArrayError> {
        let range = self.untyped.range(at, values.len() as u64)?;
        let padded = self.padded;
        let mut guard = self.locked_mut().write(wait)?;
        let out = &mut guard.bytes_mut()[range];
        if padded {
            for (value, out) in values.iter().zip(out.chunks_exact_mut(size_of::<T>())) {
                out.fill(0);
                value.store(out);
            }
        } else {
            debug_assert_eq!(out.len(), size_of_val(values));
            // SAFETY: `out` has `values.len()` times the size of a `T`, which
            // was compared when attaching, and is an exclusive borrow, so the
            // two do not overlap. All bytes of a `T` but its padding are
            // initialised, and it has none: both as `Element` promises.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    values.as_ptr().cast::<u8>(),
                    out.as_mut_ptr(),
                    out.len(),
                );
            }
        }
        guard.count(size_of_val(values) as u64);
        drop(guard);
        self.untyped.intact()
    }

    /// Makes all elements `value`, under the write lock. Blocks as
    /// [`Locked::write`] does, as long as `wait` says. (Some of them:
    /// [`write`](Array::write), and `fill` of a part of the slice.)
    ///
    /// # Errors
    ///
    /// Those of [`Locked::write`]; [`ArrayError::Exchanged`].
    pub fn fill(&mut self, value: T, wait: &Wait<'_>) -> Result<(), ArrayError> {
        self.untyped.unexchanged()?;
        let mut element = vec![0; size_of::<T>()];
        value.store(&mut element);
        let mut guard = self.locked_mut().write(wait)?;
        let out = guard.bytes_mut();
        let len = out.len() as u64;
        fill(out, &element);
        guard.count(len);
        drop(guard);
        self.untyped.intact()
    }

    /// Takes a read lock and lends all elements, where they are. Blocks as
    /// [`Locked::read`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::read`]; [`ArrayError::Exchanged`].
    #[inline]
    pub fn read(&self, wait: &Wait<'_>) -> Result<ArrayReadGuard<'_, T>, ArrayError> {
        self.untyped.unexchanged()?;
        Ok(ArrayReadGuard::new(self.locked().read(wait)?))
    }

    /// Takes the write lock and lends all elements, where they are. Blocks as
    /// [`Locked::write`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::write`]; [`ArrayError::Exchanged`].
    #[inline]
    pub fn write(&mut self, wait: &Wait<'_>) -> Result<ArrayWriteGuard<'_, T>, ArrayError> {
        self.untyped.unexchanged()?;
        Ok(ArrayWriteGuard::new(self.locked_mut().write(wait)?))
    }

    #[inline]
    fn writable(&self) -> Result<(), ArrayError> {
        match self.locked().access() {
            Access::Write => Ok(()),
            Access::Read => Err(ArrayError::Lock(LockError::ReadOnly {
                name: self.locked().name().clone(),
            })),
        }
    }
}
