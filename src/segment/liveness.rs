//! Who is alive: the kernel says so.
//!
//! An attached handle holds a write lock on one byte of the segment's file,
//! far beyond its end, by its entry in the participant table:
//!
//! ```text
//! file:  0 ......... total_size        2^62-1   2^62    2^62+1   2^62+2 ...
//!        header, table, structure      birth    entry 0 entry 1  entry 2
//! ```
//!
//! The lock is an *open file description* lock (`F_OFD_SETLK`), through a
//! description that the handle opened for itself and uses for nothing else.
//! The kernel drops it with the last descriptor of that description: when the
//! handle is closed, and when its process ends in whatever way. A lock that
//! is free therefore proves that the holder is gone, and one that is taken
//! proves that it is not: also across PID namespaces, also when the pid was
//! given to another process, also when the holder is merely stopped. Process
//! ids and time-outs can prove neither.
//!
//! What one must know about these locks:
//!
//! * Locks of one description never conflict with each other. So a handle
//!   cannot see its own lock, two threads that share a handle do not exclude
//!   each other through it, and a question about liveness is asked through
//!   another description than the one that holds.
//! * `fork` shares the description: as long as a forked child keeps the
//!   descriptor, the entry is held, even if the parent dies. `exec` closes it.
//! * Asking needs read permission only; locking needs write permission.
//! * The locks are advisory and say nothing about the memory. A peer that
//!   ignores the protocol can still spoil the data, as anyone who may write to
//!   the segment can.
//!
//! The *birth* byte is held by `create` until its segment has its name:
//! that tells one that is being built from one whose builder was killed.

use super::layout::MAX_PARTICIPANTS;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Some bytes of the lock range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    start: i64,
    len: i64,
}

const FIRST_SLOT: i64 = 1 << 62;

impl Bytes {
    /// Held by the builder of a segment that has no name yet.
    pub(super) const BIRTH: Bytes = Bytes {
        start: FIRST_SLOT - 1,
        len: 1,
    };
    /// The bytes of all entries that any segment can have.
    pub(super) const ALL_SLOTS: Bytes = Bytes {
        start: FIRST_SLOT,
        len: MAX_PARTICIPANTS as i64,
    };

    /// The byte of one entry.
    pub(super) fn slot(slot: u32) -> Bytes {
        Bytes {
            start: FIRST_SLOT + i64::from(slot),
            len: 1,
        }
    }

    fn request(self, kind: libc::c_int) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: self.start,
            l_len: self.len,
            l_pid: 0, // must be: it is what tells these locks from POSIX ones
        }
    }
}

/// Locks all of `bytes`, or nothing if somebody else holds one of them
/// (`false`). Never blocks. The description must be writable.
pub(super) fn try_lock(fd: BorrowedFd<'_>, bytes: Bytes) -> io::Result<bool> {
    match set(fd, bytes, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        },
    }
}

/// Gives back what this description holds of `bytes`.
pub(super) fn unlock(fd: BorrowedFd<'_>, bytes: Bytes) -> io::Result<()> {
    set(fd, bytes, libc::F_UNLCK)
}

/// Whether another description holds any of `bytes`. The description may be
/// a read-only one.
pub(super) fn is_locked(fd: BorrowedFd<'_>, bytes: Bytes) -> io::Result<bool> {
    let mut request = bytes.request(libc::F_WRLCK);
    // SAFETY: the descriptor is open, and the kernel reads and writes one
    // flock, which outlives the call.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::from(request.l_type) != libc::F_UNLCK)
}

/// How many of the first `slots` entries other descriptions hold.
pub(super) fn count_locked(fd: BorrowedFd<'_>, slots: u32) -> io::Result<u32> {
    // Mostly nobody is there, and one question answers that.
    if !is_locked(fd, Bytes::ALL_SLOTS)? {
        return Ok(0);
    }
    let mut count = 0;
    for slot in 0..slots {
        count += u32::from(is_locked(fd, Bytes::slot(slot))?);
    }
    Ok(count)
}

fn set(fd: BorrowedFd<'_>, bytes: Bytes, kind: libc::c_int) -> io::Result<()> {
    let request = bytes.request(kind);
    // SAFETY: the descriptor is open, and the kernel reads one flock, which
    // outlives the call.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &request) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
