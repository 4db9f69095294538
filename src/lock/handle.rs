//! An attached array or buffer: its bytes, behind its lock.
//!
//! The lock's words and the payload lie at offsets of the checked, private
//! copy of the header, checked once more here to leave room for the words.
//! What is read from the segment later (who holds the lock) only
//! decides whom we wait for, and is brought into range first.

use super::guard::{ReadGuard, WriteGuard};
use super::layout::{LOCK_SIZE, LockWords};
use super::pass::Pass;
use super::protocol::{Core, Written};
use super::waiting::{self, For, Waiting};
use super::{LockError, PAYLOAD_ALIGN};
use crate::segment::layout::{EMPTY, READER, WRITER};
use crate::segment::{
    Gone, Header, Kind, Mapping, Membership, Name, OpenOptions, Opened, SegmentError,
};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::crash_point::crash_point;
use crate::sync::wait::{Bell, Wait, WaitStrategy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64}; // not shared with other processes
use std::time::{Duration, Instant};

/// How often a name that is given to a segment of another kind meanwhile is
/// tried.
const ATTEMPTS: u32 = 8;

/// Entries that are left to those who run under a lock.
const SPARE: u32 = 8;

/// What a handle is attached for: its role in the participant table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Reading only: the write lock is refused.
    Read,
    /// Reading and writing.
    #[default]
    Write,
}

/// How to attach. The default: for writing, to a segment of the effective
/// user or root, under no lock.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// What for.
    pub access: Access,
    /// Accept a segment whose owner is neither the effective user nor root.
    pub any_owner: bool,
    /// Passes for locks that the caller runs under ([`Locked::pass`]),
    /// separated by blanks. Those of other segments, and those whose lock is
    /// no longer held, count for nothing.
    pub passes: Option<String>,
}

/// A read lock, shared, or the write lock, for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Shared by any number of readers.
    Read,
    /// For one writer alone.
    Write,
}

/// What a handle has had to do with its lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Times it had to wait.
    pub waits: u64,
    /// How long altogether.
    pub wait_time: Duration,
}

/// An attached array or buffer of any type: an entry of the participant
/// table, the payload, and its lock.
///
/// May be shared between threads for reading; a thread that writes needs a
/// handle of its own. Dropping it detaches. A process forked while it lives
/// must neither use nor drop it; until that has ended, executed a program or
/// closed its descriptors, the entry, and a lock, are held if this one is killed.
pub struct Locked {
    core: Core<'static>,
    payload: *mut u8,
    len: usize,
    access: Access,
    passes: Vec<Pass>,
    /// The number of the pass for the next lock, or for the one that is held;
    /// 0: none.
    offered: AtomicU32,
    /// The next such number.
    numbers: AtomicU32,
    waits: AtomicU64,
    wait_ns: AtomicU64,
    // Last: what is above borrows from its mapping.
    membership: Membership,
}

// SAFETY: `payload` points into the mapping, which the membership keeps and
// which is Send; the lock says who may touch it, not a thread.
unsafe impl Send for Locked {}
// SAFETY: as above; through `&self` only read locks are taken, and counted.
unsafe impl Sync for Locked {}

impl Locked {
    /// Attaches to the array or buffer `name`. Does not block, but for 100 ms
    /// at most when all participant entries are held.
    ///
    /// # Errors
    /// [`NoLock`](LockError::NoLock) for a ring, and
    /// [`Segment`](LockError::Segment) for what [`Mapping::open`] and
    /// [`Membership::join`] refuse.
    pub fn attach(name: &Name, options: &AttachOptions) -> Result<Locked, LockError> {
        let open = OpenOptions {
            any_owner: options.any_owner,
        };
        Locked::over(map(name, open)?, options)
    }

    /// The same over a mapping that is there already.
    pub(super) fn over(
        mapping: Arc<Mapping>,
        options: &AttachOptions,
    ) -> Result<Locked, LockError> {
        // SAFETY: what borrows from it lives in the same `Locked` as the
        // membership, which keeps the mapping, and is lent out only with
        // that lifetime.
        let kept: &'static Mapping = unsafe { &*Arc::as_ptr(&mapping) };
        let core = core_of(kept)?;
        let state = match options.access {
            Access::Read => READER,
            Access::Write => WRITER,
        };
        let header = mapping.header();
        let passes = options.passes.as_deref().unwrap_or_default();
        let passes = Pass::of_segment(passes, header);
        let (offset, len) = (
            header.payload_offset,
            header.total_size - header.payload_offset,
        );
        let payload = mapping.base().wrapping_add(offset as usize);
        // Who comes with a pass must not be kept out by those who wait for the
        // lock that it is for.
        let spare = match passes.is_empty() {
            true => SPARE.min(header.participants / 4),
            false => 0,
        };
        let entries = header.participants - spare;
        let membership =
            Membership::join_among(&mapping, entries, state, |dead| core.recover(dead))?;
        // Nobody holds a lock by an entry that was nobody's: whatever says
        // so would have us wait for ourselves.
        core.disown(membership.slot());
        let locked = Locked {
            core,
            payload,
            len: len as usize,
            access: options.access,
            passes,
            offered: AtomicU32::new(0),
            numbers: AtomicU32::new(1),
            waits: AtomicU64::new(0),
            wait_ns: AtomicU64::new(0),
            membership,
        };
        locked.sweep();
        locked.wake_everybody();
        Ok(locked)
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        self.mapping().name()
    }

    /// [`Kind::Array`] or [`Kind::Buffer`].
    pub fn kind(&self) -> Kind {
        self.header().kind
    }

    /// Its checked header.
    pub fn header(&self) -> &Header {
        self.mapping().header()
    }

    /// The segment.
    pub fn mapping(&self) -> &Arc<Mapping> {
        self.membership.mapping()
    }

    /// What it is attached for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Bytes of payload: 1 or more.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the payload begins in this process, aligned to a page: for what
    /// is reached as atomics, without the lock.
    pub(crate) fn payload(&self) -> *mut u8 {
        self.payload
    }

    /// Takes a read lock. Blocks as long as a writer has the write lock, or
    /// waits for other readers to leave; so a thread that has a read lock
    /// already and asks for a second one may wait for ever.
    ///
    /// # Errors
    /// [`TimedOut`](LockError::TimedOut), [`Cancelled`](LockError::Cancelled),
    /// [`Gone`](LockError::Gone).
    #[inline]
    pub fn read(&self, wait: &Wait<'_>) -> Result<ReadGuard<'_>, LockError> {
        if !self.passes.is_empty() && self.work_under_pass(false).is_some() {
            let guard = ReadGuard::under_pass(self);
            return self.still_there().map(|()| guard);
        }
        if !self.core.try_read(self.slot()) {
            self.wait_for(For::Read, wait)?;
        }
        self.give_pass();
        let guard = ReadGuard::new(self);
        self.still_there().map(|()| guard)
    }

    /// Takes the write lock. Blocks until no other writer and no reader is left.
    ///
    /// # Errors
    /// Those of [`read`](Locked::read); [`ReadOnly`](LockError::ReadOnly);
    /// [`UnderReadLock`](LockError::UnderReadLock).
    #[inline]
    pub fn write(&mut self, wait: &Wait<'_>) -> Result<WriteGuard<'_>, LockError> {
        if self.access == Access::Read {
            let name = self.name().clone();
            return Err(LockError::ReadOnly { name });
        }
        // Seen first: a mark of the holder's own death is not for us to clear.
        let marks = self.core.marks();
        if !self.passes.is_empty()
            && let Some(mode) = self.work_under_pass(true)
        {
            let name = self.name().clone();
            return match (mode, self.mapping().gone()) {
                (Mode::Read, _) => Err(LockError::UnderReadLock { name }),
                (Mode::Write, None) => Ok(WriteGuard::under_pass(self, marks)),
                (Mode::Write, Some(gone)) => {
                    self.end_work();
                    Err(self.gone_error(gone))
                }
            };
        }
        if !self.core.try_claim(self.slot()) {
            self.wait_for(For::Claim, wait)?;
        }
        let claim = Claim(self);
        crash_point("write/claimed");
        if self.core.a_reader().is_some() {
            self.wait_for(For::Readers, wait)?;
        }
        self.still_there()?;
        crash_point("write/alone");
        self.core.hold();
        std::mem::forget(claim);
        self.give_pass();
        Ok(WriteGuard::new(self))
    }

    /// Proof, for programs that the caller starts under the lock that it takes
    /// next by this handle, that they run under it: for
    /// [`AttachOptions::passes`]. `mode` is the lock that it will be.
    ///
    /// The pass is good for that one lock, which then lasts until those are
    /// done who work under it: giving it back blocks for as long as that takes.
    pub fn pass(&self, mode: Mode) -> String {
        let since = self
            .membership
            .entry()
            .since_unix_ns
            .load(Ordering::Relaxed);
        let number = match self.offered.load(Ordering::Relaxed) {
            0 => {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed).max(1);
                self.offered.store(number, Ordering::Relaxed);
                number
            }
            offered => offered,
        };
        Pass::new(self.header(), self.slot(), since, number, mode).to_string()
    }

    /// From now on programs that this process starts keep this handle's entry,
    /// and so a lock it has, until they have ended, should this process be
    /// killed.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep_through_exec(&self) -> Result<(), LockError> {
        Ok(self.membership.keep_through_exec()?)
    }

    /// Whether it was removed or truncated, asking the system.
    pub fn gone(&self) -> Option<Gone> {
        self.mapping().check()
    }

    /// Waits of this handle so far.
    pub fn stats(&self) -> Stats {
        Stats {
            waits: self.waits.load(Ordering::Relaxed),
            wait_time: Duration::from_nanos(self.wait_ns.load(Ordering::Relaxed)),
        }
    }

    /// What is left when the process is killed.
    #[cfg(test)]
    pub(super) fn die(self) {
        let whole = std::mem::ManuallyDrop::new(self);
        // SAFETY: read once, and `whole` is never dropped nor used again.
        let membership = unsafe { std::ptr::read(&whole.membership) };
        membership.die();
    }

    #[inline]
    pub(super) fn slot(&self) -> u32 {
        self.membership.slot()
    }

    #[cfg(test)]
    pub(super) fn passes(&self) -> &[Pass] {
        &self.passes
    }

    #[inline]
    pub(super) fn core(&self) -> &Core<'_> {
        &self.core
    }

    pub(super) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Where all wait who wait for the writer to leave.
    #[inline]
    pub(super) fn free(&self) -> Bell<'_> {
        Bell::new(&self.core.words.free.0, WaitStrategy::Futex, None)
    }

    /// Where the writer waits that waits for the readers to leave.
    #[inline]
    pub(super) fn drained(&self) -> Bell<'_> {
        Bell::new(&self.core.words.drained.0, WaitStrategy::Futex, None)
    }

    pub(super) fn wake_everybody(&self) {
        wake(&self.core);
    }

    pub(super) fn gone_error(&self, gone: Gone) -> LockError {
        let name = self.name().clone();
        LockError::Gone { name, gone }
    }

    /// Recovers every dead participant.
    fn sweep(&self) {
        for (slot, entry) in (0..).zip(self.core.entries) {
            if entry.state.load(Ordering::Relaxed) != EMPTY {
                waiting::recover_if_dead(self, slot);
            }
        }
    }

    /// Two loads.
    #[inline]
    fn still_there(&self) -> Result<(), LockError> {
        match self.mapping().gone() {
            None => Ok(()),
            Some(gone) => Err(self.gone_error(gone)),
        }
    }

    #[cold]
    fn wait_for(&self, what: For, wait: &Wait<'_>) -> Result<(), LockError> {
        let begun = Instant::now();
        let result = Waiting::new(self, what, wait).run();
        let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.wait_ns.fetch_add(spent, Ordering::Relaxed);
        let counters = &self.membership.entry().counters;
        let counter = match self.access {
            Access::Read => &counters.reader_waits,
            Access::Write => &counters.writer_waits,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// The lock is ours: a pass that was offered for it is good now.
    #[inline]
    fn give_pass(&self) {
        let offered = self.offered.load(Ordering::Relaxed);
        if offered != 0 {
            self.core.open_pass(self.slot(), offered);
        }
    }

    /// Before a lock is given back: the pass for it is no longer good, and
    /// nobody works under it.
    #[inline]
    pub(super) fn take_pass_back(&self) {
        if self.offered.load(Ordering::Relaxed) != 0 {
            self.wait_for_workers();
        }
    }

    #[cold]
    fn wait_for_workers(&self) {
        self.offered.store(0, Ordering::Relaxed);
        self.core.close_pass(self.slot());
        // It ends early only if the segment is gone, or damaged; then it
        // makes no difference.
        let _ = Waiting::new(self, For::Workers, &Wait::default()).run();
    }

    /// Begins to work under a pass whose lock is held at this moment, for
    /// reading or `storing`; what kind of lock it is. (Storing under a read
    /// lock is none of it, and not begun.)
    #[cold]
    fn work_under_pass(&self, storing: bool) -> Option<Mode> {
        for pass in &self.passes {
            let entry = &self.core.entries[pass.slot as usize];
            let good = entry.pass.load(Ordering::Acquire) == pass.number
                && entry.state.load(Ordering::Acquire) != EMPTY
                && entry.since_unix_ns.load(Ordering::Acquire) == pass.since_unix_ns
                && matches!(self.mapping().is_alive(pass.slot), Ok(true));
            if !good {
                continue;
            }
            if storing && pass.mode == Mode::Read {
                return Some(Mode::Read);
            }
            let slot = self.slot();
            if self.core.try_work(slot, pass.slot, pass.number, storing) {
                return Some(pass.mode);
            }
            self.drained().signal(waiting::ALL);
        }
        None
    }

    fn end_work(&self) {
        self.core.end_work(self.slot());
        self.wake_everybody();
    }

    /// Counts an access that has ended.
    #[inline]
    pub(super) fn count(&self, accesses: u64, bytes: u64) {
        let counters = &self.membership.entry().counters;
        let (of_accesses, of_bytes) = match self.access {
            Access::Read => (&counters.read_nodes, &counters.read_bytes),
            Access::Write => (&counters.written_nodes, &counters.written_bytes),
        };
        if accesses != 0 {
            of_accesses.fetch_add(accesses, Ordering::Relaxed);
        }
        if bytes != 0 {
            of_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.mapping().check() == Some(Gone::Truncated) {
            return;
        }
        // A guard that was forgotten must not outlive its entry.
        let own = self.membership.entry();
        let reads = own.reading.load(Ordering::Relaxed) != 0;
        let works = own.under_pass.load(Ordering::Relaxed) != 0;
        if reads || works || self.core.writer().slot() == Some(self.slot()) {
            self.core.recover(self.slot());
            self.wake_everybody();
        }
    }
}

impl std::fmt::Debug for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locked")
            .field("name", self.name())
            .field("kind", &self.kind())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// The writer's word is ours, but readers are left: given up when dropped.
struct Claim<'a>(&'a Locked);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.core.unwrite(Written::Nothing);
        self.0.free().signal(waiting::ALL);
    }
}

/// Maps the array or buffer `name`.
fn map(name: &Name, options: OpenOptions) -> Result<Arc<Mapping>, LockError> {
    let mut kind = Opened::open(name, options)?.header().kind;
    for _ in 0..ATTEMPTS {
        if kind == Kind::Ring {
            let name = name.clone();
            return Err(LockError::NoLock { name, kind });
        }
        match Mapping::open(name, kind, options) {
            // Replaced in between.
            Err(SegmentError::WrongKind { found, .. }) => kind = found,
            mapping => return Ok(mapping?),
        }
    }
    // Nobody does that but to keep us out.
    Err(SegmentError::NotFound { name: name.clone() }.into())
}

/// Wakes everybody who waits for the lock of `mapping`, so that they look
/// round at once: after [`segment::remove`](crate::segment::remove()) by force.
///
/// # Errors
/// It is neither an array nor a buffer, or damaged.
pub fn wake_everybody(mapping: &Arc<Mapping>) -> Result<(), LockError> {
    wake(&core_of(mapping)?);
    Ok(())
}

fn wake(core: &Core<'_>) {
    fence(Ordering::SeqCst);
    for event in [&core.words.free, &core.words.drained] {
        Bell::new(&event.0, WaitStrategy::Futex, None).signal(waiting::ALL);
    }
}

/// The lock's words in a mapped segment, whose header has room for them.
fn core_of(mapping: &Mapping) -> Result<Core<'_>, LockError> {
    let header = mapping.header();
    let name = mapping.name().clone();
    if header.kind == Kind::Ring {
        let kind = header.kind;
        return Err(LockError::NoLock { name, kind });
    }
    let payload = header.payload_offset;
    let room = header.structure_offset.checked_add(LOCK_SIZE);
    if room.is_none_or(|end| end > payload)
        || !payload.is_multiple_of(PAYLOAD_ALIGN)
        || payload == header.total_size
    {
        let why = format!("the {}'s payload begins at {payload}", header.kind);
        return Err(SegmentError::Corrupt { name, why }.into());
    }
    let at = mapping
        .base()
        .wrapping_add(header.structure_offset as usize);
    // SAFETY: `structure_offset` is a multiple of 256 from the start of a
    // page, the words end before the payload, which lies within the mapping,
    // and they are atomics, valid in any state.
    let words = unsafe { &*at.cast::<LockWords>() };
    let entries = mapping.entries();
    Ok(Core { words, entries })
}
