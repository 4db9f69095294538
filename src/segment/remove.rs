//! How segments are found and go away.
//!
//! A segment outlives whoever made it, so somebody has to remove it, and must
//! not do so under those who use it. [`remove`] therefore takes the locks of
//! *all* entries at once (one `fcntl`, see [`liveness`]): it
//! gets them only if nobody is attached, and as long as it has them nobody can
//! attach. There is no moment in which a newcomer slips in; one who comes
//! right then finds the segment gone.
//!
//! By force nothing is asked. In both cases the name goes first and the
//! `removed` word is set after: a participant that sees the word can rely on
//! it, and if the remover is killed in between, the link count tells the same
//! within a slice of a wait. The mapping is handed back so that the
//! structure's sleepers can be woken at once.
//!
//! What cannot be excluded: `unlink` goes by name, and between our last look
//! at which file that is and the call, somebody else may remove it and make
//! another one of the same name, which then loses its name instead. That takes
//! two calls within a few microseconds, by somebody who removes it too.
//!
//! [`remove_stale`] collects what nobody is attached to, and temporaries whose
//! builder was killed: those whose birth byte is free. Only what belongs to the
//! effective user is touched.

use super::create::lock_birth;
use super::descriptor::{self, Identity};
use super::layout::MAGIC;
use super::liveness::{self, Bytes};
use super::name::{DIRECTORY, TEMPORARY_PREFIX};
use super::open::{check_owner, open_regular, read_up_to};
use super::{Gone, Mapping, Name, OpenOptions, Opened, SegmentError};
use crate::sync::atomic::Ordering;
use rustix::fs::{AtFlags, CWD, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A temporary younger than this may not have been locked by its builder yet.
const INFANCY: Duration = Duration::from_secs(1);

/// Removes the segment `name`.
///
/// Without `force` only if nobody is attached to it. With `force` at once:
/// those attached find it gone. `force` also removes a segment that is
/// damaged or of another layout version, but never what is not one of ours.
///
/// Returns the mapping, with its `removed` word set, so that the caller can
/// wake those who sleep in it; `None` if it could not be mapped (damaged, or
/// no write permission), and then they find out within their next slice.
/// Does not block.
///
/// # Errors
/// [`InUse`](SegmentError::InUse); those of [`Opened::open`];
/// [`Io`](SegmentError::Io) if the directory refuses.
pub fn remove(
    name: &Name,
    force: bool,
    options: OpenOptions,
) -> Result<Option<Arc<Mapping>>, SegmentError> {
    let opened = match Opened::open(name, options) {
        Ok(opened) => opened,
        Err(SegmentError::Corrupt { .. } | SegmentError::OtherVersion { .. }) if force => {
            let (_file, stat) = open_regular(name, OFlags::RDONLY)?;
            check_owner(name, &stat, options)?;
            return unlink(name, Identity::of(&stat)).map(|()| None);
        }
        Err(error) => return Err(error),
    };
    let identity = opened.identity();
    let _locked = if force {
        None
    } else {
        Some(lock_all(&opened)?)
    };
    // While it still has its name: that is how it is mapped.
    let mapping = Mapping::of_opened(opened).unwrap_or(None);
    unlink(name, identity)?;
    if let Some(mapping) = &mapping
        && mapping.check() != Some(Gone::Truncated)
    {
        mapping.words().removed.store(1, Ordering::Release);
    }
    Ok(mapping.map(Arc::new))
}

/// The names of all segments, sorted: regular files of any user that begin
/// with our magic number and that we may read. They may be damaged, and gone
/// by the time they are opened.
///
/// # Errors
/// [`Io`](SegmentError::Io) if `/dev/shm` cannot be read.
pub fn list() -> Result<Vec<Name>, SegmentError> {
    let mut names: Vec<Name> = file_names()?
        .into_iter()
        .filter_map(|file_name| Name::new(file_name.to_str()?).ok())
        .filter(has_magic)
        .collect();
    names.sort();
    Ok(names)
}

/// Removes every segment of the effective user that nobody is attached to,
/// damaged ones too, and what killed builders left behind. Returns the file
/// names that it removed, sorted.
///
/// What is in use, of another layout version, or not to be removed for
/// another reason stays, silently.
///
/// # Errors
/// [`Io`](SegmentError::Io) if `/dev/shm` cannot be read.
pub fn remove_stale() -> Result<Vec<String>, SegmentError> {
    remove_stale_among(|_| true)
}

/// The same, of the files that `chosen` picks by their names.
pub(super) fn remove_stale_among(
    chosen: impl Fn(&str) -> bool,
) -> Result<Vec<String>, SegmentError> {
    let mut removed: Vec<String> = file_names()?
        .into_iter()
        .filter_map(|file_name| file_name.into_string().ok())
        .filter(|file_name| chosen(file_name))
        .filter(|file_name| match Name::new(file_name) {
            Ok(name) => is_own(&name.path()).is_some() && has_magic(&name) && remove_idle(&name),
            Err(_) => file_name.starts_with(TEMPORARY_PREFIX) && remove_orphan(file_name),
        })
        .collect();
    removed.sort();
    Ok(removed)
}

/// Removes a segment that nobody is attached to; whether it did.
fn remove_idle(name: &Name) -> bool {
    let options = OpenOptions::default();
    match remove(name, false, options) {
        Ok(_) => true,
        // Its header does not say how many entries it has, but the locks of
        // all that there may be do not depend on it.
        Err(SegmentError::Corrupt { .. }) => {
            let Ok((file, stat)) = open_regular(name, OFlags::RDWR) else {
                return false;
            };
            matches!(liveness::try_lock(file.as_fd(), Bytes::ALL_SLOTS), Ok(true))
                && unlink(name, Identity::of(&stat)).is_ok()
        }
        Err(_) => false,
    }
}

/// Removes a temporary whose builder is gone; whether it did.
fn remove_orphan(file_name: &str) -> bool {
    let path = Path::new(DIRECTORY).join(file_name);
    let Some(stat) = is_own(&path) else {
        return false;
    };
    let modified = Duration::new(
        u64::try_from(stat.st_mtime).unwrap_or(0),
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    );
    let now = Duration::from_nanos(super::membership::unix_ns());
    if now.abs_diff(modified) < INFANCY {
        return false;
    }
    // While we have its lock, a builder that was merely slow cannot get it,
    // and afterwards finds it removed.
    match lock_birth(&path) {
        Ok(Some(_locked)) => rustix::fs::unlink(&path).is_ok(),
        _ => false,
    }
}

/// Takes the locks of all entries: proof that nobody is attached.
fn lock_all(opened: &Opened) -> Result<Option<OwnedFd>, SegmentError> {
    let name = opened.name();
    let in_use = |participants: u32| SegmentError::InUse {
        name: name.clone(),
        participants,
    };
    match open_regular(name, OFlags::RDWR) {
        Ok((file, stat)) if Identity::of(&stat) == opened.identity() => {
            match liveness::try_lock(file.as_fd(), Bytes::ALL_SLOTS) {
                Ok(true) => Ok(Some(file)),
                Ok(false) => Err(in_use(opened.participants()?.max(1))),
                Err(error) => Err(SegmentError::io(name, error)),
            }
        }
        Ok(_) => Err(SegmentError::NotFound { name: name.clone() }),
        // Without write permission to the file it may still be ours to
        // remove; then counting must do.
        Err(SegmentError::Io { .. }) => match opened.participants()? {
            0 => Ok(None),
            participants => Err(in_use(participants)),
        },
        Err(error) => Err(error),
    }
}

/// Takes the name away from that file, if it still is that file's.
fn unlink(name: &Name, identity: Identity) -> Result<(), SegmentError> {
    let path = name.path();
    let not_found = || SegmentError::NotFound { name: name.clone() };
    match rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if Identity::of(&stat) == identity => {}
        Ok(_) | Err(Errno::NOENT) => return Err(not_found()),
        Err(errno) => return Err(SegmentError::io(name, errno)),
    }
    match rustix::fs::unlink(&path) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) => Err(not_found()),
        Err(errno) => Err(SegmentError::io(name, errno)),
    }
}

/// What is in the directory.
fn file_names() -> Result<Vec<OsString>, SegmentError> {
    let to_io = |error| SegmentError::io(DIRECTORY, error);
    std::fs::read_dir(DIRECTORY)
        .map_err(to_io)?
        .map(|entry| entry.map(|entry| entry.file_name()).map_err(to_io))
        .collect()
}

/// What it is, if it is a regular file of the effective user.
fn is_own(path: &Path) -> Option<Stat> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let own = stat.st_uid == rustix::process::geteuid().as_raw();
    (own && descriptor::foreign_type(&stat).is_none()).then_some(stat)
}

/// Whether a file says that it is a segment.
fn has_magic(name: &Name) -> bool {
    let mut magic = [0; MAGIC.len()];
    open_regular(name, OFlags::RDONLY).is_ok_and(
        |(file, _)| matches!(read_up_to(&file, 0, &mut magic), Ok(read) if magic[..read] == MAGIC),
    )
}
