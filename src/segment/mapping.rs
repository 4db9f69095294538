//! A segment in memory.
//!
//! `shared_memory` maps, this module makes sure of what was mapped:
//!
//! ```text
//! Opened (by pread) --- header valid, kind right? ---> map by name
//!     ^                                                   |
//!     |   another size or another header: the name was    v
//!     +-- given to another segment in between; again   compare --> Mapping
//! ```
//!
//! Invariants:
//!
//! * `base .. base + len` is mapped readable and writable as long as the
//!   `Mapping` lives, and `len == header.total_size`. The checked [`Header`] is
//!   a private copy, so every offset in it lies inside, whatever peers write.
//! * The mapping never owns the name: dropping it unmaps and unlinks nothing.
//! * Peers in other processes change this memory at any time. Words that change
//!   are reached as atomics only, and what they hold is brought into range
//!   before it is used as an index, an offset or a length.
//!
//! What may go wrong later: the segment is *removed* (its memory stays, and
//! two words tell: the `removed` word at once, the file's link count even if
//! the remover was no friend) or *truncated* (part of its memory is gone; see
//! [`guard_faults`](super::guard_faults)). [`gone`](Mapping::gone) costs two
//! loads and is for every step, [`check`](Mapping::check) adds an `fstat` and is for
//! every slice of a wait.
//!
//! The first touch of a page is a page fault; populating many at once costs a
//! fifth to a third of that for each, so attaching populates. For reading, which
//! is half the price of doing it for writing (several pages a fault): in shared
//! memory the pages are writable all the same. But attaching to a giant must
//! not stall: only the first 32 MiB (some 3 ms; 20 ms for the first one to
//! attach, for whom the kernel clears the pages) are populated, which hold all
//! of an ordinary ring, and of a giant one the descriptors and the nodes that
//! are reused first. The rest comes when it is touched.

use super::descriptor::{self, Identity, Occupied};
use super::error::shmem_errno;
use super::fault::Registration;
use super::header::RAW_SIZE;
use super::layout::{Entry, HEADER_SIZE, SegmentWords, WORDS_OFFSET};
use super::liveness::{self, Bytes};
use super::{Gone, Header, Kind, Name, OpenOptions, Opened, SegmentError};
use crate::sync::atomic::Ordering;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use shared_memory::{Shmem, ShmemConf};
use std::io::ErrorKind;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::{fmt, slice};

/// How often a name that is given to another segment meanwhile is tried.
const ATTEMPTS: u32 = 8;
/// Bytes that attaching populates at most.
const POPULATE: usize = 32 << 20;

/// A segment mapped readable and writable, its header checked.
pub struct Mapping {
    // In this order they are dropped: no longer guarded, then unmapped.
    guarded: Registration,
    memory: Shmem,
    /// Of a description of its own that holds no locks: for `fstat`, and to
    /// ask who is alive.
    file: OwnedFd,
    identity: Identity,
    name: Name,
    header: Header,
}

// SAFETY: the memory stays where it is until the drop, whichever thread that
// is in; nothing here is bound to a thread.
unsafe impl Send for Mapping {}
// SAFETY: methods take `&self` and hand out atomics and a raw pointer; what is
// done through the pointer is the structure's to synchronise, between
// processes and so between threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the segment `name` and checks that it is of `kind`. Does not
    /// block.
    ///
    /// # Errors
    /// Those of [`Opened::open`]; [`WrongKind`](SegmentError::WrongKind);
    /// [`Io`](SegmentError::Io) without write permission or address space.
    pub fn open(
        name: &Name,
        kind: Kind,
        options: OpenOptions,
    ) -> Result<Arc<Mapping>, SegmentError> {
        for _ in 0..ATTEMPTS {
            let opened = Opened::open(name, options)?;
            let found = opened.header().kind;
            if found != kind {
                return Err(SegmentError::WrongKind {
                    name: name.clone(),
                    expected: kind,
                    found,
                });
            }
            if let Some(mapping) = Mapping::of_opened(opened)? {
                mapping.populate(0..POPULATE);
                return Ok(Arc::new(mapping));
            }
        }
        let why = "it was replaced each time we tried to attach; try again".into();
        Err(SegmentError::refused(name, ErrorKind::ResourceBusy, why))
    }

    /// Maps what was opened; `None` if the name means another segment by now.
    pub(super) fn of_opened(opened: Opened) -> Result<Option<Mapping>, SegmentError> {
        let name = opened.name().clone();
        let mapped = {
            let _occupied = Occupied::new().map_err(|e| SegmentError::io(&name, e))?;
            ShmemConf::new().os_id(format!("/{name}")).open()
        };
        let memory = match mapped {
            Ok(memory) => memory,
            Err(error) => {
                return match shmem_errno(&error) {
                    // Removed; or replaced by what cannot be mapped (an empty
                    // file, a FIFO): looking again says which.
                    Some(Errno::NOENT | Errno::INVAL | Errno::NODEV | Errno::LOOP) => Ok(None),
                    Some(Errno::ACCESS) => Err(SegmentError::refused(
                        &name,
                        ErrorKind::PermissionDenied,
                        format!(
                            "no permission to write to it: it belongs to uid {}, mode {:04o}",
                            opened.owner_uid(),
                            opened.mode()
                        ),
                    )),
                    _ => Err(SegmentError::shmem(&name, error)),
                };
            }
        };
        if memory.len() as u64 != opened.header().total_size {
            return Ok(None);
        }
        match copy_header(&memory) {
            Ok(bytes) if bytes == *opened.raw() => {}
            // Another segment, or one that was cut right now.
            Ok(_) | Err(Errno::FAULT) => return Ok(None),
            Err(errno) => return Err(SegmentError::io(&name, errno)),
        }
        let identity = opened.identity();
        let (file, header) = opened.into_parts();
        Ok(Some(Mapping::assemble(
            memory, file, identity, name, header,
        )))
    }

    /// `memory` must be `header.total_size` bytes of the segment `file`.
    pub(super) fn assemble(
        mut memory: Shmem,
        file: OwnedFd,
        identity: Identity,
        name: Name,
        header: Header,
    ) -> Mapping {
        debug_assert_eq!(memory.len() as u64, header.total_size);
        memory.set_owner(false);
        let guarded = Registration::new(memory.as_ptr() as usize, memory.len());
        Mapping {
            guarded,
            memory,
            file,
            identity,
            name,
            header,
        }
    }

    /// Its name when it was mapped.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where it begins: aligned to a page, valid as long as `self` lives.
    pub fn base(&self) -> *mut u8 {
        self.memory.as_ptr()
    }

    /// Its bytes: at least [`HEADER_SIZE`] and [`Header::total_size`] exactly.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// The words that change, whatever the kind.
    pub fn words(&self) -> &SegmentWords {
        // SAFETY: the header says, checked, that the segment is longer than this.
        let words = unsafe { self.base().add(WORDS_OFFSET as usize) }.cast::<SegmentWords>();
        // SAFETY: within the mapping, aligned (256 from a page's start), alive
        // as long as `self`; made of atomics, for which any bits are valid.
        unsafe { &*words }
    }

    /// The participant table.
    pub fn entries(&self) -> &[Entry] {
        // SAFETY: the header says, checked, that the segment is longer than this.
        let first = unsafe { self.base().add(HEADER_SIZE as usize) }.cast::<Entry>();
        // SAFETY: the checked header says that this many entries lie within
        // the mapping; they are aligned (from a page's start), alive as long
        // as `self`, and made of atomics, for which any bits are valid.
        unsafe { slice::from_raw_parts(first, self.header.participants as usize) }
    }

    /// Whether it is known to be gone. Two loads: for every step of a loop.
    pub fn gone(&self) -> Option<Gone> {
        if self.guarded.faulted() {
            Some(Gone::Truncated)
        } else if self.words().removed.load(Ordering::Acquire) != 0 {
            Some(Gone::Removed)
        } else {
            None
        }
    }

    /// Whether it is gone, asking the system too. One `fstat`: for each slice
    /// of a wait, and before giving an error of another kind.
    pub fn check(&self) -> Option<Gone> {
        // The file first: the words may be what has been cut away.
        let Ok(stat) = rustix::fs::fstat(&self.file) else {
            return self.gone();
        };
        if (stat.st_size as u64) < self.header.total_size {
            Some(Gone::Truncated)
        } else if stat.st_nlink == 0 {
            Some(Gone::Removed)
        } else {
            self.gone()
        }
    }

    /// Whether somebody holds the entry `slot` of the participant table: the
    /// kernel's word, see [`liveness`]. One `fcntl`. Handles
    /// of this process count as everybody's.
    ///
    /// # Errors
    /// [`Io`](SegmentError::Io) if the system has no such locks.
    pub fn is_alive(&self, slot: u32) -> Result<bool, SegmentError> {
        liveness::is_locked(self.file.as_fd(), Bytes::slot(slot))
            .map_err(|e| SegmentError::io(&self.name, e))
    }

    /// Out of the fault handler's table, as a mapping is that found no room there.
    #[cfg(test)]
    pub(super) fn forget_guard(&self) {
        self.guarded.vacate();
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Another descriptor of `file`, to be kept with a mapping.
    pub(super) fn keep(file: &OwnedFd) -> Result<OwnedFd, Errno> {
        descriptor::duplicate(file)
    }

    /// Makes the pages of these bytes, counted from the mapping's start,
    /// present, as far as there are such bytes: storing into many megabytes is
    /// half as fast again if this goes ahead of it, a megabyte or so at a time.
    /// Changes nothing else, and where the system cannot (before Linux 5.14),
    /// not even that. Takes some 50 us a megabyte.
    pub fn populate(&self, bytes: Range<usize>) {
        let page = rustix::param::page_size();
        let begin = (bytes.start.min(self.len()) / page) * page;
        let len = bytes.end.min(self.len()).saturating_sub(begin);
        // SAFETY: `begin` is not behind the mapping's end.
        let begin = unsafe { self.base().add(begin) };
        // SAFETY: these bytes are mapped, shared, and stay as they are:
        // populating changes no contents.
        let populated = unsafe {
            rustix::mm::madvise(begin.cast(), len, rustix::mm::Advice::LinuxPopulateRead)
        };
        // Pages that were cut away are an error here, and no signal; those
        // who touch them find out.
        let _ = populated;
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("name", &self.name)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// The first bytes of a mapping, copied by the kernel: were the file cut at
/// this moment, a load would be `SIGBUS`; `write(2)` answers `EFAULT`.
fn copy_header(memory: &Shmem) -> Result<[u8; RAW_SIZE], Errno> {
    let mut bytes = [0; RAW_SIZE];
    if memory.len() < RAW_SIZE {
        return Err(Errno::FAULT);
    }
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the bytes are mapped (the kernel checks), and only the kernel
    // reads them. A pipe takes so few at once.
    let written = unsafe {
        libc::write(
            writer.as_raw_fd(),
            memory.as_ptr().cast_const().cast(),
            RAW_SIZE,
        )
    };
    if written < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    drop(writer);
    let mut done = 0;
    while done < RAW_SIZE {
        match rustix::io::read(&reader, &mut bytes[done..]) {
            Ok(0) => return Err(Errno::FAULT),
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}
