//! What may go wrong with a segment.
//!
//! One enum for the room, because its calls share their causes: whoever
//! attaches may meet each of them. Every message reads `WHAT: WHY`, with a
//! remedy after a semicolon where there is one, and carries its values, so
//! that a program can act on the value and a person on the sentence.
//!
//! The kinds of failure, as a caller tells them apart:
//!
//! * the request cannot be met now: [`NotFound`](SegmentError::NotFound),
//!   [`AlreadyExists`](SegmentError::AlreadyExists),
//!   [`NoRoom`](SegmentError::NoRoom), [`InUse`](SegmentError::InUse),
//!   [`SlotsExhausted`](SegmentError::SlotsExhausted),
//!   [`ForeignOwner`](SegmentError::ForeignOwner), [`Io`](SegmentError::Io);
//! * what is there cannot be used: [`NotOurs`](SegmentError::NotOurs),
//!   [`OtherVersion`](SegmentError::OtherVersion),
//!   [`Corrupt`](SegmentError::Corrupt), [`WrongKind`](SegmentError::WrongKind);
//! * what was in use went away: [`Gone`](SegmentError::Gone).

use super::layout::LAYOUT_VERSION;
use super::{Kind, Name, NameError, Size};
use rustix::io::Errno;
use shared_memory::ShmemError;
use std::fmt;
use std::io;

/// Why a segment that was in use no longer is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Somebody removed it; its memory is intact, but nobody new will come.
    Removed,
    /// Somebody cut its file; part of its memory is lost.
    Truncated,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Gone::Removed => "removed while in use",
            Gone::Truncated => "truncated while in use",
        })
    }
}

/// Why a call on a segment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The name is not a valid one.
    #[error("name: {0}")]
    Name(#[from] NameError),
    /// There is nothing of that name.
    #[error("{name}: no such segment; 'shm list' shows what there is, 'shm create' makes one")]
    NotFound {
        /// The name that was looked for.
        name: Name,
    },
    /// Something of that name exists already.
    #[error("{name}: already exists; choose another name, or 'shm remove {name}' first")]
    AlreadyExists {
        /// The name that is taken.
        name: Name,
    },
    /// `/dev/shm` has not enough room; nothing was left there.
    #[error(
        "/dev/shm: not enough room: needed {} ({needed} bytes), free {} ({free} bytes); ask for less, or 'shm list' and remove what is idle",
        Size(*needed),
        Size(*free)
    )]
    NoRoom {
        /// Bytes that the segment takes.
        needed: u64,
        /// Bytes that were free.
        free: u64,
    },
    /// What has the name is not one of our segments.
    #[error("{name}: not a shmkit segment: {why}")]
    NotOurs {
        /// Its name.
        name: Name,
        /// What it is instead.
        why: String,
    },
    /// A segment of a layout that this build does not know.
    #[error(
        "{name}: has layout version {found}, and this build knows only {LAYOUT_VERSION}; use the build that made it, or get rid of it with 'shm remove --force {name}'"
    )]
    OtherVersion {
        /// Its name.
        name: Name,
        /// The version it has.
        found: u32,
    },
    /// One of our segments, but damaged.
    #[error("{name}: damaged: {why}; get rid of it with 'shm remove --force {name}'")]
    Corrupt {
        /// Its name.
        name: Name,
        /// What is wrong with it.
        why: String,
    },
    /// A segment, but of another kind than was asked for.
    #[error("{name}: is {}, not {}", found.with_article(), expected.with_article())]
    WrongKind {
        /// Its name.
        name: Name,
        /// The kind that was asked for.
        expected: Kind,
        /// The kind it is.
        found: Kind,
    },
    /// It belongs to another user, who could spoil what goes through it.
    #[error(
        "{name}: belongs to uid {uid}, who is neither you nor root; pass --any-owner to trust it"
    )]
    ForeignOwner {
        /// Its name.
        name: Name,
        /// The user it belongs to.
        uid: u32,
    },
    /// It has live participants.
    #[error(
        "{name}: in use by {participants} participant{}; end {} first, or 'shm remove --force {name}'",
        if *participants == 1 { "" } else { "s" },
        if *participants == 1 { "it" } else { "them" }
    )]
    InUse {
        /// Its name.
        name: Name,
        /// How many are attached: 1 or more.
        participants: u32,
    },
    /// All entries of its participant table are held by live participants.
    #[error("{name}: all {slots} participant entries are taken; try again when one has left")]
    SlotsExhausted {
        /// Its name.
        name: Name,
        /// The size of the table.
        slots: u32,
    },
    /// The caller's `cancelled` said so.
    #[error("{name}: interrupted")]
    Cancelled {
        /// What was being made.
        name: Name,
    },
    /// It was there, and went away meanwhile.
    #[error("{name}: {gone}")]
    Gone {
        /// Its name.
        name: Name,
        /// How it went.
        gone: Gone,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// The name or the path that it was about.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl SegmentError {
    /// An error of the system about `what`.
    pub(super) fn io(what: impl fmt::Display, source: impl Into<io::Error>) -> SegmentError {
        SegmentError::Io {
            what: what.to_string(),
            source: source.into(),
        }
    }

    /// A refusal in words of our own, still of the system's `kind`.
    pub(super) fn refused(
        what: impl fmt::Display,
        kind: io::ErrorKind,
        why: String,
    ) -> SegmentError {
        SegmentError::io(what, io::Error::new(kind, why))
    }

    /// What the crate that maps said about `what`.
    pub(super) fn shmem(what: impl fmt::Display, error: ShmemError) -> SegmentError {
        let source = match shmem_errno(&error) {
            Some(errno) => errno.into(),
            None => io::Error::other(error),
        };
        SegmentError::io(what, source)
    }
}

/// The system's own error inside an error of the crate that maps.
pub(super) fn shmem_errno(error: &ShmemError) -> Option<Errno> {
    match error {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => {
            i32::try_from(*errno).ok().map(Errno::from_raw_os_error)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_line_that_says_what_and_why() {
        let name = || Name::new("frames").unwrap();
        let errors = [
            SegmentError::Name(NameError::Empty),
            SegmentError::NotFound { name: name() },
            SegmentError::AlreadyExists { name: name() },
            SegmentError::NoRoom {
                needed: 2 << 30,
                free: 1 << 20,
            },
            SegmentError::NotOurs {
                name: name(),
                why: "a directory".into(),
            },
            SegmentError::OtherVersion {
                name: name(),
                found: 7,
            },
            SegmentError::Corrupt {
                name: name(),
                why: "truncated".into(),
            },
            SegmentError::WrongKind {
                name: name(),
                expected: Kind::Ring,
                found: Kind::Array,
            },
            SegmentError::ForeignOwner {
                name: name(),
                uid: 1001,
            },
            SegmentError::InUse {
                name: name(),
                participants: 1,
            },
            SegmentError::SlotsExhausted {
                name: name(),
                slots: 128,
            },
            SegmentError::Gone {
                name: name(),
                gone: Gone::Removed,
            },
            SegmentError::io("frames", Errno::ACCESS),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(!text.contains('\n') && text.contains(": "), "{text:?}");
        }
        assert_eq!(
            SegmentError::WrongKind {
                name: name(),
                expected: Kind::Ring,
                found: Kind::Array
            }
            .to_string(),
            "frames: is an array, not a ring"
        );
        assert_eq!(
            SegmentError::InUse {
                name: name(),
                participants: 2
            }
            .to_string(),
            "frames: in use by 2 participants; end them first, or 'shm remove --force frames'"
        );
    }
}
