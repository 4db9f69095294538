//! Buffers: plain bytes, addressed by offset.
//!
//! ```text
//! header ............ geometry: size
//! participant table
//! lock words
//! ---- next page ----
//! byte 0 | byte 1 | ... | byte size - 1
//! ```
//!
//! What is where in a buffer is agreed upon by its users. Values of any
//! [`Element`] type can be anywhere:
//!
//! | to | use | lock | where |
//! |---|---|---|---|
//! | one small value | [`load`](Buffer::load), [`store`](Buffer::store) | none | at a multiple of its size |
//! | bytes, copied | [`read_at`](Buffer::read_at), [`write_at`](Buffer::write_at) | read, write | anywhere |
//! | a value, copied | [`get`](BufferReadGuard::get), [`put`](BufferWriteGuard::put) | read, write | anywhere |
//! | values in place | [`slice`](BufferReadGuard::slice), [`slice_mut`](BufferWriteGuard::slice_mut) | read, write | at a multiple of their alignment |
//! | bytes in place | [`bytes`](BufferReadGuard::bytes), [`bytes_mut`](BufferWriteGuard::bytes_mut) | read, write | anywhere |
//!
//! ```
//! use shmkit::buffer::{self, Buffer, Spec};
//! use shmkit::lock::{AttachOptions, Wait};
//! use shmkit::segment::{self, Name, OpenOptions};
//!
//! shmkit::record! {
//!     #[derive(Debug, PartialEq)]
//!     struct Heading { version: u32, count: u32 }
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = Name::new(&format!("frames-{}", std::process::id()))?;
//! buffer::create(&name, &Spec::new(1 << 20)?, 0o600)?;
//!
//! let mut buffer = Buffer::attach(&name, &AttachOptions::default())?;
//! let mut guard = buffer.write(&Wait::default())?;
//! guard.put(0, Heading { version: 1, count: 3 })?;
//! guard.slice_mut::<f32>(16, 3)?.copy_from_slice(&[1.0, 2.0, 4.0]);
//! drop(guard);
//!
//! let guard = buffer.read(&Wait::default())?;
//! let heading: Heading = guard.get(0)?;
//! assert_eq!(heading, Heading { version: 1, count: 3 });
//! assert_eq!(guard.slice::<f32>(16, heading.count.into())?[2], 4.0);
//! drop(guard);
//!
//! buffer.store(8, 42u64)?; // seen at once, and whole, by everybody
//! assert_eq!(buffer.load::<u64>(8)?, 42);
//! drop(buffer);
//! segment::remove(&name, false, OpenOptions::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! What holds here:
//!
//! * Every offset and length is compared with the size, with checked
//!   arithmetic. What is not there is an error, never a panic.
//! * Values are plain data, of which any bytes are some value: what peers
//!   write can be wrong, but not undefined.
//! * Several bytes together are whole only under the lock ([`crate::lock`]),
//!   except what [`load`](Buffer::load) and [`store`](Buffer::store) reach as
//!   one word of the machine. What these store may show under anybody's lock.

mod error;
mod guard;
mod spec;

pub use error::BufferError;
pub use guard::{BufferReadGuard, BufferWriteGuard};
pub use spec::{Spec, create, create_unless};

use crate::array::{Element, word};
use crate::lock::{Access, AttachOptions, LockError, Locked, Wait};
use crate::segment::{Gone, Name};

/// An attached buffer: one handle, one entry in the participant table.
///
/// May be shared between threads for reading. Each thread that writes
/// attaches a handle of its own. Dropping it detaches.
#[derive(Debug)]
pub struct Buffer {
    locked: Locked,
    spec: Spec,
}

impl Buffer {
    /// Attaches to the buffer `name`. Does not wait for its lock.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::attach`] and [`Buffer::of`].
    pub fn attach(name: &Name, options: &AttachOptions) -> Result<Buffer, BufferError> {
        Buffer::of(Locked::attach(name, options)?)
    }

    /// An attached segment taken for the buffer that it is.
    ///
    /// # Errors
    ///
    /// Those of [`Spec::of`]: it is none, or damaged.
    pub fn of(locked: Locked) -> Result<Buffer, BufferError> {
        let spec = Spec::of(locked.name(), locked.header())?;
        Ok(Buffer { locked, spec })
    }

    /// Payload bytes: 1 or more.
    #[inline]
    pub fn size(&self) -> u64 {
        self.spec.size()
    }

    /// Size, and where the payload lies in the segment.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its bytes and their lock.
    pub fn locked(&self) -> &Locked {
        &self.locked
    }

    /// Its bytes and their lock.
    pub fn locked_mut(&mut self) -> &mut Locked {
        &mut self.locked
    }

    /// Whether the segment was removed or truncated, asking the system.
    pub fn gone(&self) -> Option<Gone> {
        self.locked.gone()
    }

    /// The value at offset `at`, a multiple of its size: whole, without the
    /// lock. Never blocks. `T` has 1, 2, 4 or 8 bytes; others do not compile.
    ///
    /// It acquires what [`store`](Buffer::store) released: who loads a value
    /// sees all that was done before it was stored.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`]; [`BufferError::Unaligned`] if `at` is no
    /// multiple of the size; [`LockError::Gone`].
    ///
    /// ```compile_fail
    /// use shmkit::buffer::{Buffer, BufferError};
    /// let load: fn(&Buffer, u64) -> Result<[u8; 3], BufferError> = Buffer::load;
    /// # println!("{load:?}");
    /// ```
    #[inline]
    pub fn load<T: Element>(&self, at: u64) -> Result<T, BufferError> {
        const { assert!(word::is_word(size_of::<T>()), "1, 2, 4 or 8 bytes") };
        match usize::try_from(at)
            .ok()
            .and_then(|at| word::load(&self.locked, at))
        {
            Some(value) => self.intact().map(|()| value),
            None => Err(self.no_word(at, size_of::<T>())),
        }
    }

    /// Stores `value` at offset `at`, a multiple of its size: whole, without
    /// the lock. Never blocks, and shows at once to those who have the lock.
    /// `T` has 1, 2, 4 or 8 bytes; others do not compile.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Buffer::load); [`LockError::ReadOnly`] if attached
    /// for reading.
    #[inline]
    pub fn store<T: Element>(&mut self, at: u64, value: T) -> Result<(), BufferError> {
        const { assert!(word::is_word(size_of::<T>()), "1, 2, 4 or 8 bytes") };
        if self.locked.access() == Access::Read {
            let name = self.locked.name().clone();
            return Err(LockError::ReadOnly { name }.into());
        }
        self.intact()?;
        let stored = usize::try_from(at).is_ok_and(|at| word::store(&self.locked, at, &value));
        match stored {
            true => self.intact(),
            false => Err(self.no_word(at, size_of::<T>())),
        }
    }

    /// Copies the bytes from offset `at` on into `out`, all of which is
    /// filled, under a read lock. Blocks as [`Locked::read`] does, as long as
    /// `wait` says.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`]; those of [`Locked::read`]. Where it was
    /// truncated meanwhile ([`LockError::Gone`]), `out` has zeros.
    pub fn read_at(&self, at: u64, out: &mut [u8], wait: &Wait<'_>) -> Result<(), BufferError> {
        let len = out.len() as u64;
        guard::range(self.locked.name(), at, len, self.size())?;
        let guard = self.read(wait)?;
        out.copy_from_slice(guard.bytes(at, len)?);
        guard.count(len);
        drop(guard);
        self.intact()
    }

    /// Copies `bytes` to offset `at`, under the write lock. Blocks as
    /// [`Locked::write`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// [`BufferError::OutOfRange`]; those of [`Locked::write`]. After any error but
    /// [`LockError::Gone`], nothing was stored.
    pub fn write_at(&mut self, at: u64, bytes: &[u8], wait: &Wait<'_>) -> Result<(), BufferError> {
        let len = bytes.len() as u64;
        guard::range(self.locked.name(), at, len, self.size())?;
        let mut guard = self.write(wait)?;
        guard.bytes_mut(at, len)?.copy_from_slice(bytes);
        guard.count(len);
        drop(guard);
        self.intact()
    }

    /// Takes a read lock and lends all bytes, where they are. Blocks as
    /// [`Locked::read`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::read`].
    pub fn read(&self, wait: &Wait<'_>) -> Result<BufferReadGuard<'_>, BufferError> {
        Ok(BufferReadGuard::new(
            self.locked.name(),
            self.locked.read(wait)?,
        ))
    }

    /// Takes the write lock and lends all bytes, where they are. Blocks as
    /// [`Locked::write`] does, as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::write`].
    pub fn write(&mut self, wait: &Wait<'_>) -> Result<BufferWriteGuard<'_>, BufferError> {
        let name = self.locked.name().clone();
        Ok(BufferWriteGuard::new(name, self.locked.write(wait)?))
    }

    /// Why there is no word of `size` bytes at `at`.
    #[cold]
    fn no_word(&self, at: u64, size: usize) -> BufferError {
        let name = self.locked.name();
        match guard::range(name, at, size as u64, self.locked.len() as u64) {
            Err(out_of_range) => out_of_range,
            Ok(_) => BufferError::Unaligned {
                name: name.clone(),
                at,
                align: size,
            },
        }
    }

    #[inline]
    fn intact(&self) -> Result<(), BufferError> {
        match self.locked.mapping().gone() {
            None => Ok(()),
            Some(gone) => {
                let name = self.locked.name().clone();
                Err(LockError::Gone { name, gone }.into())
            }
        }
    }
}
