//! File descriptors, kept out of the way of 0, 1 and 2.
//!
//! A program may be started with its standard streams closed (`shm ... >&-`).
//! The next file opened then *becomes* standard output, and the next line
//! printed lands in a segment's header. So every descriptor of this room is 3
//! or above: [`open`] moves the ones that are not.
//!
//! The crate that maps opens for itself, and an fd of 0 confuses it (it takes
//! 0 for "none" and never closes it). [`Occupied`] fills what is vacant of 0,
//! 1 and 2 while that crate works; reading or writing through the fillers
//! fails with `EBADF`, exactly as if they were still closed.

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The first descriptor that is not a standard stream.
const FIRST: i32 = 3;

/// Opens a file that must not be a symbolic link; never blocks, never leaks
/// into an executed program, never is 0, 1 or 2.
pub(super) fn open(path: &Path, access: OFlags) -> Result<OwnedFd, Errno> {
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = loop {
        match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    if fd.as_raw_fd() < FIRST {
        duplicate(&fd)
    } else {
        Ok(fd)
    }
}

/// Another descriptor of the same open file description.
pub(super) fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST)
}

/// Which file it is: no two that exist at once have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Identity {
        Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    pub(super) fn of_open(fd: impl AsFd) -> Result<Identity, Errno> {
        rustix::fs::fstat(fd).map(|stat| Identity::of(&stat))
    }
}

/// What a file that is not a regular one is called; `None` for a regular one.
pub(super) fn foreign_type(stat: &Stat) -> Option<&'static str> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return None,
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    })
}

/// While it lives, 0, 1 and 2 are all taken.
pub(super) struct Occupied {
    _fillers: Vec<OwnedFd>,
}

impl Occupied {
    pub(super) fn new() -> Result<Occupied, Errno> {
        let mut fillers = Vec::new();
        loop {
            let fd = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            if fd.as_raw_fd() >= FIRST {
                return Ok(Occupied { _fillers: fillers });
            }
            fillers.push(fd);
        }
    }
}
