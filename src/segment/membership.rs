//! To take part: holding an entry of the participant table.
//!
//! ```text
//!            lock the entry's byte      recover the dead      fill in
//! nobody's  --------------------->  mine  ------------>  mine  ----->  state = READER
//!                                         (if not EMPTY)                    or WRITER
//!     ^                                                                     |
//!     +----- the description is closed <----- state = EMPTY <---------------+
//!                  ^
//!                  +--- by the kernel, whenever the process dies
//! ```
//!
//! Invariants:
//!
//! * Whoever holds the lock on an entry's byte owns the entry; nobody else
//!   writes to it. The lock is the truth and `state` only what its holder was.
//! * An entry that is not `EMPTY` and whose byte is free belonged to somebody
//!   who died. Before anyone takes it, or frees it, what the dead left behind
//!   is recovered, *under the byte lock*. Recovery changes `state` last and may
//!   be repeated: if the recoverer dies, the next one finds the entry just as
//!   dead and does it again.
//! * `state` becomes `READER` or `WRITER` only after all other fields have
//!   their values, and only from `EMPTY`; so whoever sees it sees them.
//!
//! A handle locks through an open file description of its own, opened by name
//! and compared with what is mapped. (`/proc/self/fd` would reopen without the
//! name, but is not everywhere mounted.) If the name is gone by then, so is the
//! segment. A forked child shares the description and keeps the entry alive
//! until it closes it or executes another program; it must not use, nor drop,
//! the handle.

use super::descriptor::Identity;
use super::layout::{EMPTY, Entry, READER};
use super::liveness::{self, Bytes};
use super::open::open_regular;
use super::{Gone, Mapping, SegmentError};
use crate::sync::atomic::{AtomicU64 as SharedU64, Ordering};
use crate::sync::crash_point::crash_point;
use rustix::fs::OFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64; // not shared with other processes
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long [`Membership::join`] goes on looking when all entries are held:
/// some may be so only for a moment, by those who are leaving, or recovering
/// one, or about to remove the segment.
const PATIENCE: Duration = Duration::from_millis(100);

/// An entry of the participant table, held.
///
/// Dropping it leaves: the entry becomes `EMPTY`, then its lock goes. What its
/// holder still has in the structure must have been given back before.
pub struct Membership {
    mapping: Arc<Mapping>,
    lock: SlotLock,
    /// One bit for each entry that is adopted through `lock`'s description: between threads
    /// that share the description its locks exclude nothing.
    adopted: Box<[AtomicU64]>,
}

impl Membership {
    /// Takes an entry and makes its state `state` (`READER` or `WRITER`).
    ///
    /// Entries that are `EMPTY` are preferred. If there is none, that of a dead
    /// participant is taken, and `recover` is called with its number first,
    /// under its lock; see [`adopt`](Membership::adopt) for what it has to do.
    /// Blocks only if all are held, for 100 ms at most, in case one comes free.
    ///
    /// # Errors
    /// [`SlotsExhausted`](SegmentError::SlotsExhausted) if all entries are
    /// held; [`Gone`](SegmentError::Gone) if the segment went meanwhile;
    /// [`Io`](SegmentError::Io) without write permission.
    pub fn join(
        mapping: &Arc<Mapping>,
        state: u32,
        recover: impl FnMut(u32),
    ) -> Result<Membership, SegmentError> {
        Membership::join_among(mapping, mapping.header().participants, state, recover)
    }

    /// As [`join`](Membership::join), but takes one of the first `entries`
    /// only, and leaves the others to those who must not be kept waiting.
    ///
    /// # Errors
    /// Those of [`join`](Membership::join).
    pub fn join_among(
        mapping: &Arc<Mapping>,
        entries: u32,
        state: u32,
        mut recover: impl FnMut(u32),
    ) -> Result<Membership, SegmentError> {
        let file = own_description(mapping)?;
        let give_up = Instant::now() + PATIENCE;
        let lock = loop {
            if let Some(gone) = mapping.check() {
                return Err(SegmentError::Gone {
                    name: mapping.name().clone(),
                    gone,
                });
            }
            if let Some(slot) = lock_any(mapping, entries, &file)? {
                break SlotLock { file, slot };
            }
            if Instant::now() >= give_up {
                return Err(SegmentError::SlotsExhausted {
                    name: mapping.name().clone(),
                    slots: entries.min(mapping.header().participants),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        crash_point("join/locked");
        // Whoever removes a segment holds all bytes meanwhile: having got one,
        // we came before, or look now.
        if let Some(gone) = mapping.check() {
            return Err(SegmentError::Gone {
                name: mapping.name().clone(),
                gone,
            });
        }

        let entry = &mapping.entries()[lock.slot as usize];
        if entry.state.load(Ordering::Acquire) != EMPTY {
            recover(lock.slot);
            entry.state.store(EMPTY, Ordering::Release);
            crash_point("join/recovered");
        }
        fill_in(entry, state);
        crash_point("join/filled");
        entry.state.store(state, Ordering::Release);
        crash_point("join/listed");
        let adopted = (0..mapping.entries().len().div_ceil(64)).map(|_| AtomicU64::new(0));
        Ok(Membership {
            mapping: mapping.clone(),
            lock,
            adopted: adopted.collect(),
        })
    }

    /// The number of the entry: 0 to [`Header::participants`](super::Header) - 1.
    pub fn slot(&self) -> u32 {
        self.lock.slot
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.mapping.entries()[self.lock.slot as usize]
    }

    /// The segment it is an entry of.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// From now on programs that this process starts share the lock on the
    /// entry: should this process be killed, the entry is held until they have
    /// ended, too. (Without it `exec` closes their part.)
    ///
    /// # Errors
    /// [`Io`](SegmentError::Io): what `fcntl(2)` says.
    pub fn keep_through_exec(&self) -> Result<(), SegmentError> {
        fcntl_setfd(&self.lock.file, FdFlags::empty())
            .map_err(|errno| SegmentError::io(self.mapping.name(), errno))
    }

    /// Changes the state of the entry, after everything that was written
    /// before.
    pub fn set_state(&self, state: u32) {
        self.entry().state.store(state, Ordering::Release);
    }

    /// What the kernel does when a process is killed, and nothing else: the
    /// entry stays as it is, its lock goes.
    #[cfg(test)]
    pub(crate) fn die(self) {
        let whole = std::mem::ManuallyDrop::new(self);
        let unlocked = liveness::unlock(whole.lock.file.as_fd(), Bytes::slot(whole.lock.slot));
        assert!(unlocked.is_ok());
    }

    /// Locks the entry `slot` if its holder is gone: `None` if it has one, or
    /// if it is our own. One `fcntl`; does not block.
    ///
    /// Who gets it may recover it: put right what the dead left in the
    /// structure, and store `EMPTY` last. To be repeatable, each step must be
    /// one whose effect shows whether it was done.
    pub fn adopt(&self, slot: u32) -> Option<Adopted<'_>> {
        if slot == self.lock.slot || slot >= self.mapping.header().participants {
            return None;
        }
        let (word, bit) = (&self.adopted[slot as usize / 64], 1 << (slot % 64));
        if word.fetch_or(bit, Ordering::Acquire) & bit != 0 {
            return None; // another thread of ours is at it
        }
        match liveness::try_lock(self.lock.file.as_fd(), Bytes::slot(slot)) {
            Ok(true) => {
                crash_point("recover/locked");
                Some(Adopted { by: self, slot })
            }
            // An error is as good as a holder: nothing is proved.
            Ok(false) | Err(_) => {
                word.fetch_and(!bit, Ordering::Release);
                None
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // In memory that has been cut away there is no entry to leave.
        if self.mapping.check() != Some(Gone::Truncated) {
            self.set_state(EMPTY);
            crash_point("leave/unlisted");
        }
        // `lock` is dropped after this.
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("name", self.mapping.name())
            .field("slot", &self.lock.slot)
            .finish_non_exhaustive()
    }
}

/// A description that nobody shares, and the byte that it has locked.
struct SlotLock {
    file: OwnedFd,
    slot: u32,
}

impl Drop for SlotLock {
    fn drop(&mut self) {
        // Closing the file would do, but not at once if another thread is
        // just starting a program: between its fork and its exec the
        // description has one more descriptor.
        let _ = liveness::unlock(self.file.as_fd(), Bytes::slot(self.slot));
        crash_point("leave/unlocked");
    }
}

/// The entry of somebody who is gone, locked until this is dropped.
#[must_use = "the entry is unlocked when this is dropped"]
#[derive(Debug)]
pub struct Adopted<'a> {
    by: &'a Membership,
    slot: u32,
}

impl Adopted<'_> {
    /// The number of the entry.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.by.mapping.entries()[self.slot as usize]
    }
}

impl Drop for Adopted<'_> {
    fn drop(&mut self) {
        // Cannot fail on a lock that we hold; were it to, it goes with the file.
        let _ = liveness::unlock(self.by.lock.file.as_fd(), Bytes::slot(self.slot));
        crash_point("recover/unlocked");
        let word = &self.by.adopted[self.slot as usize / 64];
        word.fetch_and(!(1 << (self.slot % 64)), Ordering::Release);
    }
}

/// A description of the mapped file that nobody shares.
fn own_description(mapping: &Mapping) -> Result<OwnedFd, SegmentError> {
    let removed = || SegmentError::Gone {
        name: mapping.name().clone(),
        gone: Gone::Removed,
    };
    match open_regular(mapping.name(), OFlags::RDWR) {
        Ok((file, stat)) if Identity::of(&stat) == mapping.identity() => Ok(file),
        // The name means something else by now, or nothing.
        Ok(_) | Err(SegmentError::NotFound { .. } | SegmentError::NotOurs { .. }) => Err(removed()),
        Err(error) => Err(error),
    }
}

/// Locks the byte of one of the first `entries` that is `EMPTY`, or else of
/// any of them that is free.
fn lock_any(mapping: &Mapping, entries: u32, file: &OwnedFd) -> Result<Option<u32>, SegmentError> {
    for only_empty in [true, false] {
        for (slot, entry) in (0..entries).zip(mapping.entries()) {
            if only_empty && entry.state.load(Ordering::Relaxed) != EMPTY {
                continue;
            }
            match liveness::try_lock(file.as_fd(), Bytes::slot(slot)) {
                Ok(true) => return Ok(Some(slot)),
                Ok(false) => {}
                Err(error) => return Err(SegmentError::io(mapping.name(), error)),
            }
        }
    }
    Ok(None)
}

/// Everything but the state.
fn fill_in(entry: &Entry, state: u32) {
    let counters = &entry.counters;
    let now = |counter: &SharedU64| counter.load(Ordering::Relaxed);
    let (nodes, bytes, waits) = if state == READER {
        (
            now(&counters.read_nodes),
            now(&counters.read_bytes),
            now(&counters.reader_waits),
        )
    } else {
        (
            now(&counters.written_nodes).wrapping_add(now(&counters.refused_nodes)),
            now(&counters.written_bytes).wrapping_add(now(&counters.refused_bytes)),
            now(&counters.writer_waits),
        )
    };
    entry.pid.store(std::process::id(), Ordering::Relaxed);
    entry.since_unix_ns.store(unix_ns(), Ordering::Relaxed);
    entry.cursor.store(0, Ordering::Relaxed);
    for (base, counter) in [
        (&entry.base_missed, now(&entry.missed_nodes)),
        (&entry.base_nodes, nodes),
        (&entry.base_bytes, bytes),
        (&entry.base_waits, waits),
    ] {
        base.store(counter, Ordering::Relaxed);
    }
}

/// Nanoseconds since the epoch, until the year 2554.
pub(super) fn unix_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
