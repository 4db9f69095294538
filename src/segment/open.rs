//! A segment opened for looking at, without mapping it.
//!
//! Everything is read by `pread`: a read past the end of a file that somebody
//! has just cut is a short read, where a load from a mapping would be
//! `SIGBUS`. So this is what inspects and lists segments, foreign and damaged
//! ones included, and what checks a segment before it is mapped. It needs
//! read permission only and never changes anything.
//!
//! The order of the questions, each a clean error of its own:
//!
//! ```text
//! exists? -> regular file? -> may be read? -> owner trusted? -> header valid?
//! NotFound   NotOurs          Io              ForeignOwner      NotOurs, OtherVersion, Corrupt
//! ```
//!
//! Symbolic links are not followed, and nothing but a regular file is opened:
//! opening a FIFO or a device can block or have effects. What was found by
//! name is asked again of the descriptor, so a name that changes meanwhile
//! deceives nobody. The owner is checked as `tmux` and `ssh-agent` do with
//! their sockets: `/dev/shm` is everybody's, and a stranger may have made the
//! name first.

use super::descriptor::{self, Identity};
use super::header::RAW_SIZE;
use super::liveness::{self, Bytes};
use super::{Gone, Header, Name, SegmentError};
use rustix::fs::{AtFlags, CWD, OFlags, Stat};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

/// How much a segment is trusted on opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Accept a segment whose owner is neither the effective user nor root.
    pub any_owner: bool,
}

/// A segment opened read-only and checked, never mapped.
#[derive(Debug)]
pub struct Opened {
    name: Name,
    file: OwnedFd,
    identity: Identity,
    mode: u32,
    owner_uid: u32,
    raw: [u8; RAW_SIZE],
    header: Header,
}

impl Opened {
    /// Opens and checks the segment `name`. Does not block.
    ///
    /// # Errors
    /// [`NotFound`](SegmentError::NotFound),
    /// [`NotOurs`](SegmentError::NotOurs) for files of other kinds and other
    /// contents, [`ForeignOwner`](SegmentError::ForeignOwner),
    /// [`OtherVersion`](SegmentError::OtherVersion),
    /// [`Corrupt`](SegmentError::Corrupt), and [`Io`](SegmentError::Io)
    /// without read permission.
    pub fn open(name: &Name, options: OpenOptions) -> Result<Opened, SegmentError> {
        let (file, stat) = open_regular(name, OFlags::RDONLY)?;
        check_owner(name, &stat, options)?;
        let mut raw = [0; RAW_SIZE];
        let read = read_up_to(&file, 0, &mut raw).map_err(|e| SegmentError::io(name, e))?;
        let header =
            Header::check(&raw[..read], stat.st_size as u64).map_err(|why| why.about(name))?;
        Ok(Opened {
            name: name.clone(),
            file,
            identity: Identity::of(&stat),
            mode: stat.st_mode & 0o7777,
            owner_uid: stat.st_uid,
            raw,
            header,
        })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its permission bits, as in `ls -l`: 0 to 0o7777.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// The user it belongs to.
    pub fn owner_uid(&self) -> u32 {
        self.owner_uid
    }

    /// Fills `buf` from the segment, from `offset` on, without ever faulting.
    /// Peers go on meanwhile: what is read of words that change is a moment's
    /// view, each aligned word whole.
    ///
    /// # Errors
    /// [`Gone::Truncated`] if the file no longer has these bytes.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SegmentError> {
        match read_up_to(&self.file, offset, buf) {
            Ok(read) if read == buf.len() => Ok(()),
            Ok(_) => Err(SegmentError::Gone {
                name: self.name.clone(),
                gone: Gone::Truncated,
            }),
            Err(errno) => Err(SegmentError::io(&self.name, errno)),
        }
    }

    /// Whether the segment is still there, whole and under a name: for who
    /// looks at it again and again. One `fstat`.
    ///
    /// # Errors
    /// [`Gone`](SegmentError::Gone) if it was removed or truncated since it was
    /// opened; [`Io`](SegmentError::Io) if the system will not say.
    pub fn check(&self) -> Result<(), SegmentError> {
        let stat = rustix::fs::fstat(&self.file).map_err(|e| SegmentError::io(&self.name, e))?;
        let gone = if (stat.st_size as u64) < self.header.total_size {
            Gone::Truncated
        } else if stat.st_nlink == 0 {
            Gone::Removed
        } else {
            return Ok(());
        };
        let name = self.name.clone();
        Err(SegmentError::Gone { name, gone })
    }

    /// Whether somebody holds the entry `slot` of the participant table: the
    /// kernel's word, see [`liveness`]. An entry that is
    /// being recovered counts as held for that moment.
    ///
    /// # Errors
    /// [`Io`](SegmentError::Io) if the system has no such locks.
    pub fn is_alive(&self, slot: u32) -> Result<bool, SegmentError> {
        liveness::is_locked(self.file.as_fd(), Bytes::slot(slot))
            .map_err(|e| SegmentError::io(&self.name, e))
    }

    /// How many entries of the participant table are held.
    ///
    /// # Errors
    /// As [`is_alive`](Opened::is_alive).
    pub fn participants(&self) -> Result<u32, SegmentError> {
        liveness::count_locked(self.file.as_fd(), self.header.participants)
            .map_err(|e| SegmentError::io(&self.name, e))
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The bytes that the header was checked from.
    pub(super) fn raw(&self) -> &[u8; RAW_SIZE] {
        &self.raw
    }

    /// What a mapping keeps of it.
    pub(super) fn into_parts(self) -> (OwnedFd, Header) {
        (self.file, self.header)
    }
}

/// Opens the file of that name, if it is a regular one.
pub(super) fn open_regular(name: &Name, access: OFlags) -> Result<(OwnedFd, Stat), SegmentError> {
    let path = name.path();
    let refuse = |errno: Errno, stat: Option<&Stat>| match (errno, stat) {
        (Errno::NOENT, _) => SegmentError::NotFound { name: name.clone() },
        (Errno::LOOP, _) => SegmentError::NotOurs {
            name: name.clone(),
            why: "a symbolic link".into(),
        },
        (Errno::ACCESS, Some(stat)) => {
            let verb = if access.contains(OFlags::RDWR) {
                "write to"
            } else {
                "read"
            };
            let (uid, mode) = (stat.st_uid, stat.st_mode & 0o7777);
            SegmentError::refused(
                name,
                ErrorKind::PermissionDenied,
                format!("no permission to {verb} it: it belongs to uid {uid}, mode {mode:04o}"),
            )
        }
        _ => SegmentError::io(name, errno),
    };
    let regular = |stat: &Stat| match descriptor::foreign_type(stat) {
        None => Ok(()),
        Some(why) => Err(SegmentError::NotOurs {
            name: name.clone(),
            why: why.into(),
        }),
    };

    let found =
        rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| refuse(e, None))?;
    regular(&found)?;
    let file = descriptor::open(&path, access).map_err(|e| refuse(e, Some(&found)))?;
    let stat = rustix::fs::fstat(&file).map_err(|e| refuse(e, None))?;
    regular(&stat)?;
    Ok((file, stat))
}

/// Whether the owner may be trusted.
pub(super) fn check_owner(
    name: &Name,
    stat: &Stat,
    options: OpenOptions,
) -> Result<(), SegmentError> {
    let own = rustix::process::geteuid().as_raw();
    if options.any_owner || stat.st_uid == own || stat.st_uid == 0 {
        Ok(())
    } else {
        Err(SegmentError::ForeignOwner {
            name: name.clone(),
            uid: stat.st_uid,
        })
    }
}

/// Reads until `buf` is full or the file ends.
pub(super) fn read_up_to(file: impl AsFd, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buf.len() {
        let at = offset.checked_add(done as u64).ok_or(Errno::OVERFLOW)?;
        match rustix::io::pread(&file, &mut buf[done..], at) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}
