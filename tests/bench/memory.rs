//! The two kinds of memory a worker uses, and all of the bench's `mmap`.
//!
//! [`Shared`] is the file both workers inherit: a [`Board`] on its first page,
//! where they meet and leave their results, and the ideal pipeline's nodes
//! after it. [`Private`] is a worker's own: the source buffers, and the buffer
//! the reader copies out to. Neither is backed by huge pages, so that the
//! operating system's mood does not decide a comparison.

use rustix::fd::AsFd;
use rustix::io::Result;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::ptr::null_mut;
use std::sync::atomic::AtomicU64;

/// Bytes of the shared file before the first node.
pub const BOARD_SIZE: usize = 4096;

/// A value in a pair of cache lines of its own.
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// What the two workers and their parent share besides payload.
#[repr(C)]
pub struct Board {
    /// Messages the ideal pipeline's writer has published.
    pub tail: Line<AtomicU64>,
    /// Messages the ideal pipeline's reader has released.
    pub head: Line<AtomicU64>,
    /// How many times a worker has arrived at a barrier.
    pub arrivals: Line<AtomicU64>,
    /// When the writer began the first counted message, monotonic nanoseconds.
    pub begun_ns: AtomicU64,
    /// When the reader had the last one, monotonic nanoseconds.
    pub ended_ns: AtomicU64,
    /// Counted messages that reached the reader with the right stamps.
    pub verified: AtomicU64,
}

const _: () = assert!(size_of::<Board>() <= BOARD_SIZE);

/// A mapping that is removed when it goes out of scope.
struct Mapping {
    base: *mut u8,
    len: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are what mmap was given, and whoever
        // borrowed from the mapping borrowed from its owner, which is gone.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}

/// The board and the nodes, mapped from a file and touched.
pub struct Shared {
    mapping: Mapping,
}

impl Shared {
    /// Maps `len` bytes of `file`, which must be that long, and brings every
    /// page in.
    pub fn map(file: impl AsFd, len: usize) -> Result<Shared> {
        assert!(len >= BOARD_SIZE);
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

    /// The first page.
    pub fn board(&self) -> &Board {
        // SAFETY: the mapping is page-aligned, at least BOARD_SIZE long and
        // lives as long as `self`; a Board is made of atomics, for which any
        // bytes, and any change by the other process, are valid.
        unsafe { &*self.mapping.base.cast::<Board>() }
    }

    /// The address of `len` bytes at `offset`, which lie after the board.
    ///
    /// # Panics
    /// When they do not.
    pub fn payload(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset >= BOARD_SIZE && offset + len <= self.mapping.len);
        // SAFETY: just checked to be within the mapping.
        unsafe { self.mapping.base.add(offset) }
    }
}

/// Zeroed memory of one's own, in small pages.
pub struct Private {
    mapping: Mapping,
}

impl Private {
    /// Maps `len` bytes.
    pub fn map(len: usize) -> Result<Private> {
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
