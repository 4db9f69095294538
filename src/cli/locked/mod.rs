//! `write` and `read` of arrays and buffers: bytes behind a lock.
//!
//! ```text
//! write   input ─> parse, check ─> [ write lock: copy ]             all or nothing
//!         a large file, raw ─> [ write lock: read(2) ]              no copy of ours
//!
//! read    [ read lock: copy ] ─> format ─> output                   up to 16 MiB
//!         [ read lock: format ─> output ]                           more than that
//! ```
//!
//! - Nobody waits with the lock in hand for what may never come. All of the
//!   input is read and checked before the lock is asked for; what is to be
//!   printed is copied under the lock and printed after it was given back.
//! - Two exceptions, where copying would cost what is to be saved. A regular
//!   file whose size says that it fits is read straight into the segment: it
//!   makes nobody wait; should that end half-way, the lock is given back with
//!   the mark that the write is incomplete. And of more than [`read::COPIED`]
//!   bytes there is no copy: a slow output then keeps writers waiting, and,
//!   once a writer waits, the readers that come after it.
//! - Every wait, for input, output and lock, notices a signal and a removed or
//!   truncated segment; a reader's also that its output was closed.
//! - Under `shm lock` of the same segment, the lock is there already:
//!   [`PASSES`] tells, and `shm lock` puts it there ([`super::lock`]).
//!
//! With `--hash`, what is hashed are the bytes in the segment, whatever the
//! format: both ends can be compared. A transfer that failed, or was
//! interrupted, has no hash.

pub mod read;
mod side_by_side;
mod stream;
pub mod write;

use super::args::{AttachArgs, ReportArgs};
use super::exit::{self, ExitStatus};
use super::output::Output;
use super::reporter::{Activity, Live, Reporter, Subject};
use super::signals::Signals;
use super::transfer::{self, Stop, Watch};
use shmkit::array::Untyped;
use shmkit::buffer::Buffer;
use shmkit::lock::{Access, AttachOptions, LockError, Locked, ReadGuard, Wait, WriteGuard};
use shmkit::segment::{Kind, Name, SegmentError};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// The environment variable that carries the passes of locks.
pub const PASSES: &str = "SHM_LOCK";

/// The passes of the locks that we run under.
pub fn passes() -> Option<String> {
    std::env::var(PASSES).ok()
}

/// Attaches to an array or buffer; with `--wait-for`, once it exists.
pub fn attach(
    name: &Name,
    access: Access,
    args: &AttachArgs,
    signals: &Signals,
) -> Result<Locked, Stop> {
    let options = AttachOptions {
        access,
        any_owner: args.any_owner,
        passes: passes(),
    };
    transfer::attach(name, args, signals, || Locked::attach(name, &options))
}

/// The same, of that kind only: what was looked at may have been replaced.
fn attach_as(
    kind: Kind,
    name: &Name,
    access: Access,
    args: &AttachArgs,
    signals: &Signals,
) -> Result<Locked, Stop> {
    let locked = attach(name, access, args, signals)?;
    match locked.kind() {
        found if found == kind => Ok(locked),
        found => {
            let error = LockError::Segment(SegmentError::WrongKind {
                name: name.clone(),
                expected: kind,
                found,
            });
            Err(Stop::Failed(error.into()))
        }
    }
}

/// An array or a buffer, with all of its header checked.
pub enum Attached {
    Array(Untyped),
    Buffer(Buffer),
}

impl Attached {
    /// What was attached, as the kind that it is.
    pub fn of(locked: Locked) -> anyhow::Result<Attached> {
        Ok(match locked.kind() {
            Kind::Array => Attached::Array(Untyped::of(locked)?),
            // That of a ring is not attached to.
            Kind::Buffer | Kind::Ring => Attached::Buffer(Buffer::of(locked)?),
        })
    }

    /// Its lock.
    pub fn locked(&mut self) -> &mut Locked {
        match self {
            Attached::Array(array) => array.locked_mut(),
            Attached::Buffer(buffer) => buffer.locked_mut(),
        }
    }
}

/// What is told to whoever gets the lock after a writer died that had it.
pub fn warn_of_a_dead_writer(name: &Name) {
    exit::say(&format!(
        "{name}: warning: a writer died in the middle of a write; the data may be torn"
    ));
}

/// One transfer: what it looks at, whom it tells.
struct Transfer<'a> {
    name: &'a Name,
    watch: Watch,
    reporter: Reporter,
    /// How long to wait for the lock.
    timeout: Option<Duration>,
    hasher: RefCell<Option<blake3::Hasher>>,
    /// Whether a dead writer's changes were found.
    torn: Cell<bool>,
}

impl<'a> Transfer<'a> {
    fn start(
        subject: &Subject<'a>,
        args: &ReportArgs,
        timeout: Option<Duration>,
        watch: Watch,
        locked: &Locked,
    ) -> anyhow::Result<Transfer<'a>> {
        Ok(Transfer {
            name: subject.name,
            watch,
            reporter: Reporter::start(args, subject, Arc::clone(locked.mapping()))?,
            timeout,
            hasher: RefCell::new(args.hash.then(blake3::Hasher::new)),
            torn: Cell::new(false),
        })
    }

    fn live(&self) -> &Live {
        self.reporter.live()
    }

    /// Waits for the read lock; not any longer once `output` is closed.
    fn read_lock<'l>(&self, locked: &'l Locked, output: &Output) -> Result<ReadGuard<'l>, Stop> {
        let waiting = self.live().begin(Activity::Lock);
        let cancelled = || self.watch.signalled().is_some() || output.is_closed();
        let taken = locked.read(&Wait {
            deadline: transfer::deadline(self.timeout),
            cancelled: Some(&cancelled),
        });
        drop(waiting);
        self.live().record_waits(&locked.stats());
        match taken {
            Ok(guard) => {
                self.torn.set(guard.owner_died());
                Ok(guard)
            }
            Err(LockError::Cancelled) if self.watch.signalled().is_none() => Err(output.closed()),
            Err(error) => Err(self.watch.lock_error(error, self.timeout)),
        }
    }

    /// Waits for the write lock.
    fn write_lock<'l>(&self, locked: &'l mut Locked) -> Result<WriteGuard<'l>, Stop> {
        let waiting = self.live().begin(Activity::Lock);
        let cancelled = || self.watch.signalled().is_some();
        let taken = locked.write(&Wait {
            deadline: transfer::deadline(self.timeout),
            cancelled: Some(&cancelled),
        });
        drop(waiting);
        let guard = taken.map_err(|error| self.watch.lock_error(error, self.timeout))?;
        self.torn.set(guard.owner_died());
        Ok(guard)
    }

    /// Bytes of the segment have been stored, or are out.
    fn moved(&self, bytes: &[u8]) {
        if let Some(hasher) = &mut *self.hasher.borrow_mut() {
            hasher.update(bytes);
        }
        self.live().moved(bytes.len() as u64);
    }

    /// Tells how it went.
    fn finish(mut self, locked: &Locked, outcome: Result<(), Stop>) -> anyhow::Result<ExitStatus> {
        self.live().record_waits(&locked.stats());
        self.reporter.stop();
        if self.torn.get() {
            warn_of_a_dead_writer(self.name);
        }
        // An output that was closed had as much as it wanted. A signal, unlike
        // in a ring, ends a transfer before it is one.
        let whole = matches!(outcome, Ok(()) | Err(Stop::OutputClosed));
        let hasher = self.hasher.take().filter(|_| whole);
        let hash = hasher.map(|hasher| hasher.finalize().to_string());
        self.reporter.finish(hash, whole && !self.torn.get());
        outcome.map_or_else(Stop::into_result, |()| Ok(ExitStatus::Success))
    }
}
