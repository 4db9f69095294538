//! How a segment comes into being: under its name it is complete, or it is
//! not there.
//!
//! ```text
//! .shmkit-PID-RANDOM   shm_open + ftruncate + mmap     (shared_memory)
//!                      lock the birth byte
//!                      reserve every page              (posix_fallocate)
//!                      header, participant table, the structure's own
//!                      mode
//! NAME                 rename, unless NAME exists
//! ```
//!
//! Whatever fails on the way, and a panic too, removes the temporary. A
//! builder that is killed leaves it, but not the lock it held on the birth byte
//! (see [`liveness`]); that is how `remove_stale` finds it.
//! Should it be collected in the moment between its making and its locking
//! (only one older than a second is), the builder notices and begins again.
//!
//! Reserving matters: `ftruncate` alone promises pages that `/dev/shm` may not
//! have, and the touch that finds out is `SIGBUS`, perhaps days later in
//! another process. So all pages are allocated now, through a descriptor of
//! our own and before any is touched, or all is undone with
//! [`NoRoom`](super::SegmentError::NoRoom). The room is compared beforehand,
//! too: no need to fill the machine's memory to learn that it is too small. It
//! is reserved in pieces because a signal makes the kernel undo the piece at
//! hand.
//!
//! Two limits of the process would kill or mislead: beyond `RLIMIT_FSIZE`
//! (`ulimit -f`) `ftruncate` raises `SIGXFSZ`, which by default is death. The
//! limit is looked up beforehand; ignoring the signal for a while would
//! change the whole process, other threads included. And a umask without owner
//! permissions makes a file that its maker cannot open again: the mode is
//! set by name first, and to the one asked for at the end, so that nobody else
//! opens what is half built.

use super::Size;
use super::descriptor::{self, Identity, Occupied};
use super::layout::{EMPTY, HEADER_SIZE, LAYOUT_VERSION, MAGIC, MAX_PARTICIPANTS, RawHeader};
use super::liveness::{self, Bytes};
use super::membership::unix_ns;
use super::name::{DIRECTORY, TEMPORARY_PREFIX};
use super::{Header, Kind, Mapping, Name, SegmentError, structure_offset};
use crate::sync::atomic::Ordering;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::Resource;
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How often a temporary that somebody collected is made anew.
const ATTEMPTS: u32 = 8;
/// Bytes that are reserved with one call.
const PIECE: u64 = 64 << 20;

/// What to build. Where the structure begins follows from `participants`: see
/// [`structure_offset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it will hold.
    pub kind: Kind,
    /// Entries in the participant table: 1 to [`MAX_PARTICIPANTS`].
    pub participants: u32,
    /// Where payload begins: from the structure's offset to `total_size`.
    pub payload_offset: u64,
    /// Bytes of the whole segment: up to `isize::MAX`.
    pub total_size: u64,
    /// The structure's geometry.
    pub geometry: [u64; 8],
    /// Permission bits, 0 to 0o777, whatever the umask.
    pub mode: u32,
}

/// Builds a segment and gives it its name.
///
/// `init` gets the mapping when header and participant table are in place; all
/// other bytes are zero. It must not keep anything of the mapping. Blocks as
/// long as reserving the memory takes, about 0.3 s for each GiB.
///
/// # Errors
/// [`AlreadyExists`](SegmentError::AlreadyExists) if anything has that name;
/// [`NoRoom`](SegmentError::NoRoom); [`Io`](SegmentError::Io) for a plan that
/// is none, for what the system refuses (a `ulimit -f` among it), and for
/// what `init` returns. After any error nothing is left.
pub fn create(
    name: &Name,
    plan: &Plan,
    init: impl FnOnce(&Mapping) -> io::Result<()>,
) -> Result<(), SegmentError> {
    create_unless(name, plan, &|| false, init)
}

/// As [`create()`], but gives up when `cancelled` says so: it is asked after
/// each 64 MiB, and when a signal handler has run.
///
/// # Errors
/// Those of [`create()`], and [`Cancelled`](SegmentError::Cancelled).
pub fn create_unless(
    name: &Name,
    plan: &Plan,
    cancelled: &dyn Fn() -> bool,
    init: impl FnOnce(&Mapping) -> io::Result<()>,
) -> Result<(), SegmentError> {
    let (raw, header) = plan.header(name)?;
    let path = name.path();
    if rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Err(SegmentError::AlreadyExists { name: name.clone() });
    }
    check_limit(name, plan.total_size)?;
    check_room(plan.total_size)?;

    let (temporary, memory) = Temporary::make(name, plan.total_size)?;
    if let Err(error) = reserve(&temporary.file, plan.total_size, cancelled) {
        if error == Errno::CANCELED {
            return Err(SegmentError::Cancelled { name: name.clone() });
        }
        if error != Errno::NOSPC {
            return Err(SegmentError::io(name, error));
        }
        drop((temporary, memory)); // what is free counts without us
        let free = free_room()?.unwrap_or(0);
        return Err(SegmentError::NoRoom {
            needed: plan.total_size,
            free,
        });
    }

    let to_io = |errno: Errno| SegmentError::io(name, errno);
    let identity = Identity::of_open(&temporary.file).map_err(to_io)?;
    let file = Mapping::keep(&temporary.file).map_err(to_io)?;
    let mapping = Mapping::assemble(memory, file, identity, name.clone(), header);
    write_header(&mapping, raw);
    for entry in mapping.entries() {
        entry
            .counters
            .pending_node
            .store(u64::MAX, Ordering::Relaxed);
        entry.state.store(EMPTY, Ordering::Release);
    }
    init(&mapping).map_err(|error| SegmentError::io(name, error))?;
    rustix::fs::fchmod(&temporary.file, Mode::from_raw_mode(plan.mode & 0o777)).map_err(to_io)?;
    temporary.rename_to(&path).map_err(|errno| match errno {
        Errno::EXIST => SegmentError::AlreadyExists { name: name.clone() },
        errno => SegmentError::io(name, errno),
    })
}

impl Plan {
    /// The header that this plan makes, in both its shapes.
    fn header(&self, name: &Name) -> Result<(RawHeader, Header), SegmentError> {
        let invalid = |why: String| SegmentError::refused(name, ErrorKind::InvalidInput, why);
        if !(1..=MAX_PARTICIPANTS).contains(&self.participants) {
            let participants = self.participants;
            return Err(invalid(format!(
                "{participants} participant entries cannot be"
            )));
        }
        let mut instance_id = [0; 16];
        fill_random(&mut instance_id).map_err(|error| SegmentError::io(name, error))?;
        let raw = RawHeader {
            magic: MAGIC,
            layout_version: LAYOUT_VERSION,
            kind: self.kind as u32,
            header_size: HEADER_SIZE as u32,
            participants: self.participants,
            total_size: self.total_size,
            instance_id,
            created_unix_ns: unix_ns(),
            creator_pid: std::process::id(),
            flags: 0,
            participants_offset: HEADER_SIZE,
            structure_offset: structure_offset(self.participants),
            payload_offset: self.payload_offset,
            geometry: self.geometry,
            crc: 0,
            reserved: 0,
        }
        .sealed();
        // The same gate that everybody will send it through.
        match Header::check(&raw.to_bytes(), self.total_size) {
            Ok(header) => Ok((raw, header)),
            Err(why) => Err(invalid(format!("the plan makes no valid segment: {why:?}"))),
        }
    }
}

/// A segment without a name, locked as being built. Dropped: removed.
struct Temporary {
    path: PathBuf,
    file: OwnedFd,
}

impl Temporary {
    fn make(name: &Name, size: u64) -> Result<(Temporary, Shmem), SegmentError> {
        let len = usize::try_from(size).map_err(|_| SegmentError::io(name, Errno::OVERFLOW))?;
        for _ in 0..ATTEMPTS {
            let mut random = [0; 8];
            fill_random(&mut random).map_err(|error| SegmentError::io(name, error))?;
            let (pid, random) = (std::process::id(), u64::from_ne_bytes(random));
            let file_name = format!("{TEMPORARY_PREFIX}{pid}-{random:016x}");
            let mapped = {
                let _occupied = Occupied::new().map_err(|e| SegmentError::io(name, e))?;
                ShmemConf::new()
                    .os_id(format!("/{file_name}"))
                    .size(len)
                    .create()
            };
            let mut memory = match mapped {
                Ok(memory) => memory,
                Err(ShmemError::MappingIdExists) => continue,
                Err(error) => return Err(SegmentError::shmem(DIRECTORY, error)),
            };
            memory.set_owner(false);
            let path = Path::new(DIRECTORY).join(file_name);
            match lock_birth(&path) {
                Ok(Some(file)) => return Ok((Temporary { path, file }, memory)),
                Ok(None) => {} // collected; another one
                Err(error) => {
                    let _ = rustix::fs::unlink(&path);
                    return Err(SegmentError::io(name, error));
                }
            }
        }
        let why = "its temporary file was removed each time; try again".into();
        Err(SegmentError::refused(name, ErrorKind::ResourceBusy, why))
    }

    /// Its one step into the open.
    fn rename_to(self, path: &Path) -> Result<(), Errno> {
        // Not there any more under its old name, so the drop removes nothing.
        rustix::fs::renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Random and never given twice: after a rename nobody has this name.
        let _ = rustix::fs::unlink(&self.path);
    }
}

/// Opens a temporary of our own and locks its birth byte; `None` if it was
/// collected, or is being collected.
pub(super) fn lock_birth(path: &Path) -> io::Result<Option<OwnedFd>> {
    let opened = descriptor::open(path, OFlags::RDWR).or_else(|errno| match errno {
        // A umask took our own permissions. The directory is sticky, so the
        // name still means our file.
        Errno::ACCESS => {
            rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
            descriptor::open(path, OFlags::RDWR)
        }
        errno => Err(errno),
    });
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let locked = liveness::try_lock(file.as_fd(), Bytes::BIRTH)?;
    Ok((locked && rustix::fs::fstat(&file)?.st_nlink > 0).then_some(file))
}

/// Copies the header into the memory of a segment that nobody else knows.
fn write_header(mapping: &Mapping, raw: RawHeader) {
    // SAFETY: the mapping begins with room for a header, aligned to a page,
    // and nobody else has the segment yet.
    unsafe { mapping.base().cast::<RawHeader>().write(raw) };
}

fn check_limit(name: &Name, needed: u64) -> Result<(), SegmentError> {
    match rustix::process::getrlimit(Resource::Fsize).current {
        Some(limit) if limit < needed => Err(SegmentError::refused(
            name,
            ErrorKind::FileTooLarge,
            format!(
                "needs {}, and the limit on file sizes (ulimit -f) is {}",
                Size(needed),
                Size(limit)
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether `needed` more bytes could be reserved now: for those who want to
/// know before they begin. [`create`] looks for itself.
///
/// # Errors
///
/// [`NoRoom`](SegmentError::NoRoom); [`Io`](SegmentError::Io) where there is
/// no `/dev/shm`.
pub fn check_room(needed: u64) -> Result<(), SegmentError> {
    match free_room()? {
        Some(free) if free < needed => Err(SegmentError::NoRoom { needed, free }),
        _ => Ok(()),
    }
}

/// Bytes that may still be reserved; `None` if nothing says.
///
/// `/dev/shm` has its own limit, which may be more than the memory that is
/// left. To reserve beyond that would call the out-of-memory killer, on us or
/// on somebody else.
fn free_room() -> Result<Option<u64>, SegmentError> {
    let stat = rustix::fs::statvfs(DIRECTORY).map_err(|e| SegmentError::io(DIRECTORY, e))?;
    // No blocks at all: mounted without a limit.
    let room = (stat.f_blocks != 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize));
    Ok(room.into_iter().chain(available_memory()).min())
}

/// Bytes of memory and swap that the system could give out, as it estimates;
/// `None` if nothing says.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()?
            .checked_mul(1024)
    };
    value("MemAvailable:")?.checked_add(value("SwapFree:")?)
}

/// Allocates every page of the file, or ends with `ECANCELED`.
fn reserve(file: &OwnedFd, size: u64, cancelled: &dyn Fn() -> bool) -> Result<(), Errno> {
    let mut at = 0;
    while at < size {
        if cancelled() {
            return Err(Errno::CANCELED);
        }
        let len = PIECE.min(size - at);
        // SAFETY: the descriptor is open; no memory is involved. Both numbers
        // are at most `size`, which is at most isize::MAX.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), at as i64, len as i64) } {
            0 => at += len,
            libc::EINTR => {} // this piece was undone, those before were not
            errno => return Err(Errno::from_raw_os_error(errno)),
        }
    }
    Ok(())
}

/// Bytes that nobody can guess.
fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    loop {
        // SAFETY: the kernel writes at most that many bytes into the slice.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        // Up to 256 bytes come whole or not at all.
        if got == bytes.len() as isize {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
