//! What `write` and `read` share: what ends a transfer, and looking for it.
//!
//! A transfer blocks in three places: on its descriptor, on the segment (a
//! ring's nodes, a lock), and on `--rate`. Wherever it blocks, it must still
//! notice a signal and a removed or truncated segment, so every wait is cut
//! into slices of [`SLICE`], and between them the [`Watch`] is asked. A reader
//! looks at its output as well (in [`super::read`], [`super::locked`]).
//!
//! What is asked of a segment from aside, by the watch and by those who
//! report, is the same for all kinds: a [`View`].

use super::args::AttachArgs;
use super::exit::{self, CliError, ExitStatus};
use super::signals::Signals;
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use shmkit::lock::LockError;
use shmkit::ring::{Diff, Monitor, RingError};
use shmkit::segment::{Gone, Mapping, Name, SegmentError};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest time for which nobody looks at the watch.
pub const SLICE: Duration = Duration::from_millis(150);
/// How often the existence of a name is looked at.
const NAME_POLL: Duration = Duration::from_millis(10);
/// Nodes smaller than this are moved several at a time.
const SMALL_NODE: u64 = 32 * 1024;
/// About how many bytes such a batch has.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The most parts that readv(2) and writev(2) take.
pub const MAX_PARTS: usize = 1024;
/// For how long the company in a ring is taken to be what it was.
const COMPANY_KEPT: Duration = Duration::from_millis(100);
/// The most bytes asked of one system call, so that a signal is seen soon.
pub const MAX_CALL: usize = 8 << 20;
/// How much is moved between two looks at the diff.
pub const SAMPLE_BYTES: u64 = 256 * 1024;

/// Why a transfer ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// A signal came; the status with which to exit for it.
    Signal(ExitStatus),
    /// Whoever read our stdout has closed it.
    OutputClosed,
    /// It failed.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl Stop {
    /// How the command ends.
    pub fn into_result(self) -> anyhow::Result<ExitStatus> {
        match self {
            Stop::Signal(status) => Ok(status),
            Stop::OutputClosed => Ok(ExitStatus::Success),
            Stop::Failed(error) => Err(error),
        }
    }
}

/// A segment, for those who look at it while a transfer is at it.
#[derive(Clone, Debug)]
pub enum View {
    /// A ring.
    Ring(Monitor),
    /// A broadcast ring, from the place of the reader in that entry.
    Place(Monitor, u32),
    /// An array or a buffer: there is nothing to lag behind.
    Locked(Arc<Mapping>),
}

impl From<Monitor> for View {
    fn from(monitor: Monitor) -> View {
        View::Ring(monitor)
    }
}

impl From<Arc<Mapping>> for View {
    fn from(mapping: Arc<Mapping>) -> View {
        View::Locked(mapping)
    }
}

impl View {
    /// Whether the segment was removed or truncated: one fstat(2).
    pub fn gone(&self) -> Option<Gone> {
        match self {
            View::Ring(monitor) | View::Place(monitor, _) => monitor.gone(),
            View::Locked(mapping) => mapping.check(),
        }
    }

    /// What readers lag behind, from the cursors: cheap.
    pub fn unclaimed_nodes(&self) -> Option<u64> {
        match self {
            View::Ring(monitor) => Some(monitor.unclaimed_nodes()),
            View::Place(monitor, slot) => Some(monitor.unclaimed_by(*slot)),
            View::Locked(_) => None,
        }
    }

    /// What readers lag behind, from all nodes.
    pub fn diff(&self) -> Diff {
        match self {
            View::Ring(monitor) => monitor.diff(),
            View::Place(monitor, slot) => {
                let readers = monitor.reader_diffs().into_iter();
                let own = readers.filter(|reader| reader.slot == *slot);
                own.map(|reader| reader.diff).next().unwrap_or_default()
            }
            View::Locked(_) => Diff::default(),
        }
    }

    /// The ring, if it is one.
    pub fn ring(&self) -> Option<&Monitor> {
        match self {
            View::Ring(monitor) | View::Place(monitor, _) => Some(monitor),
            View::Locked(_) => None,
        }
    }
}

/// What every wait of a transfer looks at.
pub struct Watch {
    name: Name,
    signals: Signals,
    view: View,
    checked: Cell<Instant>,
}

impl Watch {
    /// Looks at the signals and at the segment.
    pub fn new(name: &Name, signals: &Signals, view: impl Into<View>) -> Watch {
        Watch {
            name: name.clone(),
            signals: signals.clone(),
            view: view.into(),
            checked: Cell::new(Instant::now()),
        }
    }

    /// Whether a signal has come: one load.
    pub fn signalled(&self) -> Option<ExitStatus> {
        self.signals.caught()
    }

    /// For each turn of a busy transfer, which never waits: stops on a signal
    /// (one load), and once per slice looks at the segment too.
    pub fn glance(&self) -> Result<(), Stop> {
        match self.checked.get().elapsed() > SLICE {
            true => self.check(),
            false => self.check_signals(),
        }
    }

    fn check_signals(&self) -> Result<(), Stop> {
        self.signalled()
            .map_or(Ok(()), |status| Err(Stop::Signal(status)))
    }

    /// Stops on a signal or a segment that is gone: one fstat(2).
    pub fn check(&self) -> Result<(), Stop> {
        self.checked.set(Instant::now());
        self.check_signals()?;
        match self.view.gone() {
            Some(gone) => Err(self.gone(gone)),
            None => Ok(()),
        }
    }

    /// The segment is gone.
    pub fn gone(&self, gone: Gone) -> Stop {
        let name = self.name.clone();
        Stop::Failed(LockError::Gone { name, gone }.into())
    }

    /// A failed system call that had node memory as an argument: EFAULT says
    /// that the file behind the mapping has been truncated.
    pub fn io_error(&self, what: &str, errno: Errno) -> Stop {
        match errno {
            Errno::FAULT => self.gone(Gone::Truncated),
            errno => Stop::Failed(
                anyhow::Error::new(std::io::Error::from(errno)).context(what.to_owned()),
            ),
        }
    }

    /// A failed call of the library.
    pub fn ring_error(&self, error: RingError) -> Stop {
        if let (RingError::Cancelled, Some(status)) = (&error, self.signalled()) {
            return Stop::Signal(status);
        }
        // A ring that was truncated reads as zeroes, and so as damaged.
        if let (RingError::Corrupt { .. }, Some(gone)) = (&error, self.view.gone()) {
            return self.gone(gone);
        }
        Stop::Failed(match error {
            // These do not say themselves of which ring they are.
            RingError::TimedOut | RingError::Cancelled => {
                anyhow::Error::new(error).context(self.name.to_string())
            }
            error => error.into(),
        })
    }

    /// A lock that was not to be had within `timeout`, or at all.
    pub fn lock_error(&self, error: LockError, timeout: Option<Duration>) -> Stop {
        match (error, self.signalled(), self.view.gone()) {
            (LockError::Cancelled, Some(status), _) => Stop::Signal(status),
            (LockError::TimedOut, ..) => lock_timed_out(&self.name, timeout),
            // What was truncated reads as zeroes, and so as damaged.
            (LockError::Segment(SegmentError::Corrupt { .. }), _, Some(gone)) => self.gone(gone),
            (error, ..) => Stop::Failed(error.into()),
        }
    }

    /// Waits for `time`, or less when something ends the transfer.
    pub fn sleep(&self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let _ = poll_for(&mut [], left.min(SLICE));
        }
    }
}

/// poll(2) with a time-out as std has it. 0 when a signal came.
pub fn poll_for(fds: &mut [PollFd<'_>], timeout: Duration) -> Result<usize, Errno> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(fds, Some(&timeout)) {
        Err(Errno::INTR) => Ok(0),
        ready => ready,
    }
}

/// Attaches to a segment; with `--wait-for`, once its name exists.
pub fn attach<T, E: Into<anyhow::Error>>(
    name: &Name,
    args: &AttachArgs,
    signals: &Signals,
    mut attach: impl FnMut() -> Result<T, E>,
) -> Result<T, Stop> {
    let start = Instant::now();
    loop {
        if let Some(status) = signals.caught() {
            return Err(Stop::Signal(status));
        }
        let error = match attach() {
            Ok(attached) => return Ok(attached),
            Err(error) => error.into(),
        };
        match (exit::segment_error(&error), args.wait_for) {
            (Some(SegmentError::NotFound { .. }), Some(patience)) => {
                let left = patience.saturating_sub(start.elapsed());
                if left.is_zero() {
                    let why = format!(
                        "did not come to exist within {}",
                        humantime::format_duration(patience)
                    );
                    return Err(Stop::Failed(
                        anyhow::Error::new(CliError::TimedOut(why)).context(name.to_string()),
                    ));
                }
                let _ = poll_for(&mut [], left.min(NAME_POLL));
            }
            _ => return Err(Stop::Failed(error)),
        }
    }
}

/// Who else is in the ring, counted now and then: that goes through the whole
/// participant table.
#[derive(Debug, Default)]
pub struct Company {
    counted: Option<Instant>,
    /// Readers attached, at least 1.
    pub readers: u64,
    /// Readers and writers attached, at least 1.
    pub all: u64,
}

impl Company {
    /// Counts, if the last count is older than a tenth of a second.
    pub fn count(&mut self, monitor: &Monitor) {
        let now = Instant::now();
        let fresh = |then| now.duration_since(then) <= COMPANY_KEPT;
        if !self.counted.is_some_and(fresh) {
            self.counted = Some(now);
            self.readers = u64::from(monitor.readers()).max(1);
            self.all = (self.readers + u64::from(monitor.writers())).max(1);
        }
    }

    /// The most nodes that a batch may have: were all of the company stopped
    /// in the middle of theirs, half the ring must be left to the next.
    pub fn share(&self, monitor: &Monitor) -> usize {
        let nodes = u64::from(monitor.geometry().nodes);
        usize::try_from(nodes / (2 * self.all))
            .unwrap_or(usize::MAX)
            .max(1)
    }
}

/// How many nodes of `node_size` bytes to move at a time.
pub fn batch_nodes(node_size: u64) -> usize {
    if node_size >= SMALL_NODE {
        return 1;
    }
    (BATCH_BYTES / usize::try_from(node_size.max(1)).unwrap_or(BATCH_BYTES)).clamp(1, MAX_PARTS)
}

/// When a wait that starts now gives up. `None`: never.
pub fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// The error of a wait that has given up.
pub fn timed_out(name: &Name, what: &str, timeout: Option<Duration>) -> Stop {
    let timeout = humantime::format_duration(timeout.unwrap_or_default());
    let error = CliError::TimedOut(format!("{what} for {timeout}"));
    Stop::Failed(anyhow::Error::new(error).context(name.to_string()))
}

/// The same of a lock.
fn lock_timed_out(name: &Name, timeout: Option<Duration>) -> Stop {
    let timeout = humantime::format_duration(timeout.unwrap_or_default());
    let why =
        format!("the lock did not come free for {timeout}; 'shm inspect {name}' shows who has it");
    Stop::Failed(anyhow::Error::new(CliError::TimedOut(why)).context(name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_nodes_are_moved_in_batches() {
        assert_eq!(batch_nodes(1), MAX_PARTS);
        assert_eq!(batch_nodes(1024), 64);
        assert_eq!(batch_nodes(SMALL_NODE - 1), 2);
        assert_eq!(batch_nodes(SMALL_NODE), 1);
        assert_eq!(batch_nodes(1 << 30), 1);
    }

    #[test]
    fn a_timeout_beyond_the_clock_is_none() {
        assert!(deadline(Some(Duration::MAX)).is_none());
        assert!(deadline(None).is_none());
        assert!(deadline(Some(Duration::ZERO)).is_some());
    }
}
