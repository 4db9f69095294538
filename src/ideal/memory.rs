//! The two kinds of memory a worker uses, and all of the bench's `mmap`.
//!
//! [`Shared`] is a memfd: a [`Board`](super::Board) on its first page, and the
//! ideal pipeline's slots after it. It has no name, so nothing is left behind
//! whoever is killed. [`Private`] is a worker's own: the source buffers, and
//! the buffer that a reader copies out to. Neither is backed by huge pages, so
//! that the operating system's mood does not decide a comparison.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{Errno, Result};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::ptr::null_mut;

/// A mapping that is removed when it goes out of scope.
#[derive(Debug)]
struct Mapping {
    base: *mut u8,
    len: usize,
}

// SAFETY: a mapping belongs to the whole process; this is its address.
unsafe impl Send for Mapping {}
// SAFETY: as above; what may be read and written through it, and when, is the
// business of those who make references from it.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are what mmap was given, and whoever
        // borrowed from the mapping borrowed from its owner, which is gone.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}

/// Memory that several workers have mapped, from a memfd that cannot shrink.
#[derive(Debug)]
pub struct Shared {
    mapping: Mapping,
}

impl Shared {
    /// A new memfd of `len` zero bytes, to be mapped by each worker.
    ///
    /// # Errors
    ///
    /// The kernel has no descriptor, or refuses that length.
    pub fn file(len: usize) -> Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("shmkit-bench", flags)?;
        rustix::fs::ftruncate(&file, len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK)?;
        Ok(file)
    }

    /// Maps the first `len` bytes of such a file, and brings every page in.
    ///
    /// # Errors
    ///
    /// `INVAL` if the file is shorter, `len` is 0, or the file could shrink
    /// later; and what `mmap` says.
    pub fn map(file: impl AsFd, len: usize) -> Result<Shared> {
        let size = rustix::fs::fstat(&file)?.st_size;
        let seals = rustix::fs::fcntl_get_seals(&file)?;
        let long_enough = usize::try_from(size).is_ok_and(|size| size >= len);
        if len == 0 || !long_enough || !seals.contains(SealFlags::SHRINK) {
            return Err(Errno::INVAL);
        }
        // SAFETY: a new mapping at an address the kernel chooses disturbs
        // nothing that exists.
        let base = unsafe {
            mmap(
                null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
                file,
                0,
            )
        }?;
        let mapping = Mapping {
            base: base.cast(),
            len,
        };
        Ok(Shared { mapping })
    }

    /// Whether there are `len` bytes at `offset`.
    pub(super) fn has(&self, offset: usize, len: usize) -> bool {
        let end = offset.checked_add(len);
        end.is_some_and(|end| end <= self.mapping.len)
    }

    /// The address of `offset`, for those who know that it [is there](Self::has).
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        self.mapping.base.wrapping_add(offset)
    }
}

/// Zeroed memory of one's own, in small pages.
#[derive(Debug)]
pub struct Private {
    mapping: Mapping,
}

impl Private {
    /// Maps `len` bytes, at least one.
    ///
    /// # Errors
    ///
    /// There is not so much memory.
    pub fn map(len: usize) -> Result<Private> {
        let len = len.max(1);
        // SAFETY: a new mapping at an address the kernel chooses disturbs
        // nothing that exists.
        let base = unsafe {
            mmap_anonymous(
                null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let mapping = Mapping {
            base: base.cast(),
            len,
        };
        // SAFETY: the range is the mapping just made, and this advice does
        // not change what it holds.
        let advised = unsafe { madvise(base, len, Advice::LinuxNoHugepage) };
        // A kernel built without huge pages refuses the advice: as good.
        let _ = advised;
        Ok(Private { mapping })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` zeroed or written bytes, private to this process, not
        // changed while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.mapping.base, self.mapping.len) }
    }

    /// The bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.base, self.mapping.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_could_shrink_or_is_too_short_is_not_mapped() {
        let file = Shared::file(8192).unwrap();
        assert!(Shared::map(&file, 8192).is_ok());
        assert_eq!(Shared::map(&file, 8193).unwrap_err(), Errno::INVAL);
        assert_eq!(Shared::map(&file, 0).unwrap_err(), Errno::INVAL);
        assert_eq!(
            rustix::fs::ftruncate(&file, 4096),
            Err(Errno::PERM),
            "sealed"
        );
        let loose = rustix::fs::memfd_create("loose", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&loose, 8192).unwrap();
        assert_eq!(Shared::map(&loose, 8192).unwrap_err(), Errno::INVAL);
    }

    #[test]
    fn what_lies_beyond_the_end_is_not_there() {
        let file = Shared::file(8192).unwrap();
        let shared = Shared::map(&file, 8192).unwrap();
        assert!(shared.has(4096, 4096));
        assert!(!shared.has(4096, 4097));
        assert!(!shared.has(usize::MAX, 2));
    }
}
