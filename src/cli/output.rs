//! Where data goes: stdout or `-o FILE`; and printing results on stdout.
//!
//! Whoever reads our stdout may close it when they like. That ends a command
//! quietly and with success, and it is noticed while we wait for something
//! else, too: poll(2) reports the closed end of a pipe without being asked.

use super::channel::Channel;
use super::reporter::{Activity, Live};
use super::room::PipeRoom;
use super::transfer::{SLICE, Stop, Watch};
use anyhow::{Context, anyhow};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::time::Duration;

/// What poll(2) says about an output that nobody reads any more.
const CLOSED: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

/// How long to wait, at first, before looking again for room in a pipe.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// And in the end, each time twice as long.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Where `read` writes to.
pub struct Output {
    label: String,
    channel: Channel,
    stdout: bool,
    /// What fits into it, if it is a pipe.
    room: RefCell<Option<PipeRoom>>,
}

impl Output {
    /// What `-o` says; without it, and for `-`, stdout.
    pub fn open(path: Option<&Path>, watch: &Watch) -> Result<Output, Stop> {
        match path {
            Some(path) if path != Path::new("-") => Output::create(path, watch),
            _ => Output::stdout(watch),
        }
    }

    /// stdout.
    fn stdout(watch: &Watch) -> Result<Output, Stop> {
        let label = "stdout".to_owned();
        let channel = Channel::standard(rustix::stdio::stdout(), OFlags::WRONLY)
            .map_err(|errno| watch.io_error(&label, errno))?;
        Ok(Output::new(label, channel, true))
    }

    /// A file, created or overwritten. A FIFO is waited for until somebody
    /// reads it.
    fn create(path: &Path, watch: &Watch) -> Result<Output, Stop> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC
            | OFlags::NOCTTY;
        let label = path.display().to_string();
        loop {
            match rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)) {
                Ok(fd) => {
                    let channel = Channel::owned(fd, OFlags::WRONLY)
                        .map_err(|errno| watch.io_error(&label, errno))?;
                    return Ok(Output::new(label, channel, false));
                }
                Err(Errno::NXIO) if is_fifo(path) => watch.sleep(SLICE)?,
                Err(Errno::INTR) => watch.check()?,
                Err(errno) => return Err(watch.io_error(&label, errno)),
            }
        }
    }

    fn new(label: String, channel: Channel, stdout: bool) -> Output {
        let page = rustix::param::page_size();
        let room = channel.pipe_size().map(|size| PipeRoom::new(size, page));
        Output {
            label,
            channel,
            stdout,
            room: RefCell::new(room),
        }
    }

    /// Whether a person looks at it.
    pub fn is_terminal(&self) -> bool {
        self.channel.is_terminal()
    }

    /// Waits until there is room for `bytes`, a node's worth, before one is
    /// claimed; says how much room there is.
    ///
    /// Of a pipe less than half of which is enough, it knows that room.
    /// Otherwise it waits until there is any, and calls it endless.
    pub fn wait_for(&self, bytes: u64, watch: &Watch, live: &Live) -> Result<u64, Stop> {
        let mut waiting = None;
        let mut pause = FIRST_PAUSE;
        loop {
            self.wait(watch, live)?;
            let mut room = self.room.borrow_mut();
            let Some(room) = room.as_mut().filter(|room| bytes <= room.capacity() / 2) else {
                return Ok(u64::MAX);
            };
            let Ok(queued) = rustix::io::ioctl_fionread(&self.channel) else {
                return Ok(u64::MAX);
            };
            let free = room.free(queued);
            if free >= bytes {
                return Ok(free);
            }
            // Nobody will tell when there is more; but more than half of the
            // pipe is full, so its consumer does not starve meanwhile.
            waiting.get_or_insert_with(|| live.begin(Activity::Output));
            watch.glance()?;
            let _ = self.channel.poll_for(PollFlags::empty(), pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until there is any room.
    pub fn wait(&self, watch: &Watch, live: &Live) -> Result<(), Stop> {
        if !self.channel.is_stream() {
            return Ok(());
        }
        let now = self
            .channel
            .poll_now(PollFlags::OUT)
            .map_err(|errno| watch.io_error(&self.label, errno))?;
        let events = if now.is_empty() {
            let _waiting = live.begin(Activity::Output);
            self.channel.wait(PollFlags::OUT, watch, &self.label)?
        } else {
            now
        };
        match events.intersects(CLOSED) {
            true => Err(self.closed()),
            false => Ok(()),
        }
    }

    /// Whether nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        self.channel.is_stream()
            && self
                .channel
                .poll_now(PollFlags::empty())
                .is_ok_and(|events| events.intersects(CLOSED))
    }

    /// How a transfer ends when nobody reads it any more.
    pub fn closed(&self) -> Stop {
        match self.stdout {
            true => Stop::OutputClosed,
            false => Stop::Failed(anyhow!("{}: closed by its reader", self.label)),
        }
    }

    /// Writes what there is room for now: maybe nothing, maybe less.
    pub fn write(&self, bytes: &[u8], watch: &Watch) -> Result<usize, Stop> {
        self.written(self.channel.write(bytes), watch)
    }

    /// Writes several pieces, as [`Output::write`].
    pub fn write_parts(&self, parts: &[IoSlice<'_>], watch: &Watch) -> Result<usize, Stop> {
        self.written(self.channel.write_parts(parts), watch)
    }

    fn written(&self, result: Result<usize, Errno>, watch: &Watch) -> Result<usize, Stop> {
        match result {
            Ok(bytes) => {
                if let Some(room) = self.room.borrow_mut().as_mut() {
                    room.wrote(bytes);
                }
                Ok(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(self.closed()),
            Err(errno) => Err(watch.io_error(&self.label, errno)),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Prints a result on stdout. A closed stdout is an error here, which
/// [`super::exit`] takes for success.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes());
    printed.and_then(|()| stdout.flush()).context("stdout")
}

/// Prints a result as one line of JSON on stdout.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string(value)? + "\n"))
}
