//! A descriptor that data comes from or goes to, and that never blocks us
//! where we cannot look around.
//!
//! A read or write that blocks in the kernel sees neither a signal (its
//! handler restarts the call) nor a removed segment, and it would hold a node
//! all the while. But descriptors 0 and 1 are shared with other processes, so
//! `O_NONBLOCK`, a flag of the shared description, must not be set on them.
//! In order of preference:
//!
//! | what | how it is kept from blocking |
//! |---|---|
//! | regular file, block device | it never waits for anybody: plain calls |
//! | file we opened ourselves | `O_NONBLOCK` on our own description |
//! | pipe, FIFO, terminal on 0 or 1 | a second description, by `/proc/self/fd`, with `O_NONBLOCK` |
//! | socket, or a pipe we may not reopen | `RWF_NOWAIT` on each call |
//! | where the kernel refuses that too | a call only after poll(2) has promised room or data |
//!
//! The second description is only for reading and writing: whether a FIFO's
//! other end has hung up is remembered by the first one, which is polled.

use super::transfer::{MAX_CALL, SLICE, Stop, Watch, poll_for};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How large a pipe at our ends is made, where that is allowed.
const PIPE_BYTES: usize = 1 << 20;
/// The offset that stands for the file's own position.
const HERE: u64 = u64::MAX;

/// Whose descriptor it is.
#[derive(Debug)]
enum Descriptor {
    /// Inherited: 0 or 1.
    Standard(BorrowedFd<'static>),
    /// Opened by us, with `O_NONBLOCK`.
    Owned(OwnedFd),
}

/// What keeps calls from blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Files wait for nobody, or the description is non-blocking.
    None,
    /// `RWF_NOWAIT`, not refused so far.
    NoWait,
    /// poll(2) before each call.
    Poll,
}

/// One end of the data's way.
#[derive(Debug)]
pub struct Channel {
    descriptor: Descriptor,
    /// A non-blocking description of our own of what `descriptor` is.
    reopened: Option<OwnedFd>,
    guard: Cell<Guard>,
    /// Whether one may have to wait for it (a pipe, not a file).
    stream: bool,
}

impl Channel {
    /// Descriptor 0 or 1.
    pub fn standard(fd: BorrowedFd<'static>, direction: OFlags) -> Result<Channel, Errno> {
        Channel::new(Descriptor::Standard(fd), direction)
    }

    /// A descriptor of our own, opened with `O_NONBLOCK`.
    pub fn owned(fd: OwnedFd, direction: OFlags) -> Result<Channel, Errno> {
        Channel::new(Descriptor::Owned(fd), direction)
    }

    fn new(descriptor: Descriptor, direction: OFlags) -> Result<Channel, Errno> {
        let file_type = FileType::from_raw_mode(rustix::fs::fstat(&descriptor)?.st_mode);
        let stream = !matches!(file_type, FileType::RegularFile | FileType::BlockDevice);
        if file_type == FileType::Fifo {
            enlarge(descriptor.as_fd());
        }
        let reopened = match &descriptor {
            Descriptor::Standard(fd) if stream => reopen(*fd, direction),
            _ => None,
        };
        let blocks = stream && reopened.is_none() && matches!(descriptor, Descriptor::Standard(_));
        let guard = Cell::new(if blocks { Guard::NoWait } else { Guard::None });
        Ok(Channel {
            descriptor,
            reopened,
            guard,
            stream,
        })
    }

    /// Whether one may have to wait for it (a pipe, not a file).
    pub fn is_stream(&self) -> bool {
        self.stream
    }

    /// Bytes that it holds, if it is a pipe.
    pub fn pipe_size(&self) -> Option<usize> {
        rustix::pipe::fcntl_getpipe_size(self).ok()
    }

    /// Whether a person sits at its other end.
    pub fn is_terminal(&self) -> bool {
        self.stream && rustix::termios::isatty(&self.descriptor)
    }

    /// What poll(2) says now, without waiting.
    pub fn poll_now(&self, events: PollFlags) -> Result<PollFlags, Errno> {
        self.poll_for(events, Duration::ZERO)
    }

    /// Waits until poll(2) says something, looking at `watch` meanwhile.
    /// `what` names the channel in errors.
    pub fn wait(&self, events: PollFlags, watch: &Watch, what: &str) -> Result<PollFlags, Stop> {
        loop {
            watch.check()?;
            match self.poll_for(events, SLICE) {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(errno) => return Err(watch.io_error(what, errno)),
            }
        }
    }

    /// What poll(2) says within `time`; nothing if a signal comes.
    pub fn poll_for(&self, events: PollFlags, time: Duration) -> Result<PollFlags, Errno> {
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), events)];
        poll_for(&mut fds, time)?;
        Ok(fds[0].revents())
    }

    /// Reads; `AGAIN` when there is nothing now. 0 is the end.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let buffer = match buffer.len() {
            0..MAX_CALL => buffer,
            _ => &mut buffer[..MAX_CALL],
        };
        match self.guard.get() {
            Guard::None => rustix::io::read(self.io_fd(), buffer),
            _ => self.read_parts(&mut [IoSliceMut::new(buffer)]),
        }
    }

    /// Reads into several parts; otherwise as [`Channel::read`].
    pub fn read_parts(&self, parts: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        if self.guard.get() == Guard::NoWait {
            match rustix::io::preadv2(self.io_fd(), parts, HERE, ReadWriteFlags::NOWAIT) {
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.guard.set(Guard::Poll),
                done => return done,
            }
        }
        if self.guard.get() == Guard::Poll && self.poll_now(PollFlags::IN)?.is_empty() {
            return Err(Errno::AGAIN);
        }
        rustix::io::readv(self.io_fd(), parts)
    }

    /// Writes; `AGAIN` when there is no room now. May write less.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let bytes = &bytes[..bytes.len().min(MAX_CALL)];
        match self.guard.get() {
            Guard::None => rustix::io::write(self.io_fd(), bytes),
            _ => self.write_parts(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes several parts; otherwise as [`Channel::write`].
    pub fn write_parts(&self, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
        if self.guard.get() == Guard::NoWait {
            match rustix::io::pwritev2(self.io_fd(), parts, HERE, ReadWriteFlags::NOWAIT) {
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.guard.set(Guard::Poll),
                done => return done,
            }
        }
        if self.guard.get() == Guard::Poll && self.poll_now(PollFlags::OUT)?.is_empty() {
            return Err(Errno::AGAIN);
        }
        rustix::io::writev(self.io_fd(), parts)
    }

    fn io_fd(&self) -> BorrowedFd<'_> {
        self.reopened
            .as_ref()
            .map_or_else(|| self.descriptor.as_fd(), OwnedFd::as_fd)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Descriptor::Standard(fd) => fd.as_fd(),
            Descriptor::Owned(fd) => fd.as_fd(),
        }
    }
}

/// A non-blocking description of what `fd` is, where one can be had: not of
/// sockets, nor of other users' pipes.
fn reopen(fd: BorrowedFd<'_>, direction: OFlags) -> Option<OwnedFd> {
    let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

/// Makes a pipe larger: fewer, larger turns between us and its other end.
/// Where that is refused, the pipe stays as it is.
fn enlarge(pipe: BorrowedFd<'_>) {
    match rustix::pipe::fcntl_getpipe_size(pipe) {
        Ok(size) if size < PIPE_BYTES => {
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        _ => {}
    }
}
