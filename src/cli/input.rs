//! The INPUTs of `write`: files, FIFOs, stdin.
//!
//! All are opened before the first byte is published, so one that cannot be
//! read spoils nothing. FIFOs are opened without waiting for their writers;
//! each waits for its own when its turn comes.
//!
//! Two questions are kept apart, so that a writer never holds a node while
//! it waits, and never waits for a node that it has no use for:
//! [`Input::wait`], asked before a node is reserved, is whether there is
//! something to read; [`Input::at_end`], asked before waiting for a node, is
//! whether there will ever be.

use super::channel::Channel;
use super::exit::CliError;
use super::reporter::{Activity, Live};
use super::transfer::{Stop, Watch};
use anyhow::{Context, bail};
use rustix::event::PollFlags;
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a look at an input, or a read from it, has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something; after a read: that many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again.
    End,
}

/// One INPUT.
pub struct Input {
    label: String,
    channel: Channel,
    /// Bytes left in a regular file when it was opened.
    size: Option<u64>,
    /// Which one of how many it is.
    place: (usize, usize),
}

impl Input {
    /// Opens all INPUTs; none means stdin.
    pub fn open_all(paths: &[OsString]) -> anyhow::Result<Vec<Input>> {
        if paths.iter().filter(|path| *path == "-").count() > 1 {
            bail!(CliError::Usage("-: stdin can be read only once".into()));
        }
        if paths.is_empty() {
            return Ok(vec![Input::stdin()?]);
        }
        let of = paths.len();
        let numbered = |(at, path): (usize, &OsString)| {
            Ok(Input {
                place: (at + 1, of),
                ..Input::of(path)?
            })
        };
        paths.iter().enumerate().map(numbered).collect()
    }

    /// Opens one INPUT: a file, or `-`.
    pub fn of(path: &OsStr) -> anyhow::Result<Input> {
        match path == "-" {
            true => Input::stdin(),
            false => Input::open(Path::new(path)),
        }
    }

    /// Descriptor 0.
    pub fn stdin() -> anyhow::Result<Input> {
        let channel = Channel::standard(rustix::stdio::stdin(), OFlags::RDONLY);
        Input::new(
            "stdin".into(),
            channel.map_err(io::Error::from).context("stdin")?,
        )
    }

    fn open(path: &Path) -> anyhow::Result<Input> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let label = path.display().to_string();
        let channel = rustix::fs::open(path, flags, Mode::empty())
            .and_then(|fd| Channel::owned(fd, OFlags::RDONLY))
            .map_err(io::Error::from)
            .with_context(|| label.clone())?;
        Input::new(label, channel)
    }

    fn new(label: String, channel: Channel) -> anyhow::Result<Input> {
        let stat = rustix::fs::fstat(&channel).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            bail!("{label}: is a directory, not a file");
        }
        let size = bytes_left(&channel, &stat);
        Ok(Input {
            label,
            channel,
            size,
            place: (1, 1),
        })
    }

    /// What it is called in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Bytes to come, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The same, asked now: a file may have become another since.
    pub fn size_now(&self) -> Result<Option<u64>, Errno> {
        let stat = rustix::fs::fstat(&self.channel)?;
        Ok(bytes_left(&self.channel, &stat))
    }

    /// Whether a person types it.
    pub fn is_terminal(&self) -> bool {
        self.channel.is_terminal()
    }

    /// Waits until there is something to read: `Bytes` or `End`.
    pub fn wait(&self, watch: &Watch, live: &Live) -> Result<Found, Stop> {
        live.is_at(self.place, &self.label);
        if !self.channel.is_stream() {
            return Ok(Found::Bytes(0));
        }
        let now = self
            .channel
            .poll_now(PollFlags::IN)
            .map_err(|errno| watch.io_error(&self.label, errno))?;
        let events = if now.is_empty() {
            let _waiting = live.begin(Activity::Input);
            self.channel.wait(PollFlags::IN, watch, &self.label)?
        } else {
            now
        };
        // A pipe whose writers are gone and that is empty says only HUP.
        Ok(
            match events.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::NVAL) {
                true => Found::Bytes(0),
                false => Found::End,
            },
        )
    }

    /// Whether reading would find the end. To be asked after
    /// [`Input::wait`] has found something and before waiting for a node:
    /// what was found may be the end. `false` where it cannot be known.
    pub fn at_end(&self) -> bool {
        // Files, and devices that are like them (/dev/null).
        if let Ok(position) = rustix::fs::seek(&self.channel, SeekFrom::Current(0)) {
            return rustix::io::pread(&self.channel, &mut [0; 1], position) == Ok(0);
        }
        // Readable with nothing to read: a socket that was shut down. Or
        // somebody else has read it: then nobody has hung up.
        let hung_up = PollFlags::HUP | PollFlags::RDHUP;
        rustix::io::ioctl_fionread(&self.channel) == Ok(0)
            && self
                .channel
                .poll_now(PollFlags::RDHUP)
                .is_ok_and(|now| now.intersects(hung_up))
    }

    /// Waits up to `time`, and no longer than `patience` lasts, for something
    /// to read. What it took is taken from `patience`.
    pub fn has_more_within(&self, time: Duration, patience: &mut Duration) -> bool {
        let begun = Instant::now();
        let found = self.channel.poll_for(PollFlags::IN, time.min(*patience));
        *patience = patience.saturating_sub(begun.elapsed());
        found.is_ok_and(|found| !found.is_empty()) && !patience.is_zero()
    }

    /// Reads what is there now into one piece of memory.
    pub fn read(&self, buffer: &mut [u8]) -> Result<Found, Errno> {
        found(self.channel.read(buffer))
    }

    /// Reads what is there now into several pieces of memory.
    pub fn read_parts(&self, parts: &mut [IoSliceMut<'_>]) -> Result<Found, Errno> {
        found(self.channel.read_parts(parts))
    }
}

/// Bytes from a regular file's position to its end.
fn bytes_left(channel: &Channel, stat: &Stat) -> Option<u64> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let position = rustix::fs::seek(channel, SeekFrom::Current(0)).unwrap_or(0);
    let size = u64::try_from(stat.st_size).ok();
    size.map(|size| size.saturating_sub(position))
}

fn found(result: Result<usize, Errno>) -> Result<Found, Errno> {
    match result {
        Ok(0) => Ok(Found::End),
        Ok(bytes) => Ok(Found::Bytes(bytes)),
        // After a signal the caller looks around before it comes back.
        Err(Errno::AGAIN | Errno::INTR) => Ok(Found::Nothing),
        Err(errno) => Err(errno),
    }
}
