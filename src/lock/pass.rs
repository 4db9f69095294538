//! Passes: how a program that was started under a lock proves it.
//!
//! ```text
//! shm lock a -- sh -c 'shm read a | ... | shm write a'
//!      |                   ^                    ^
//!      +--- SHM_LOCK -------+--------------------+
//! ```
//!
//! Whoever runs a command under a lock gives it a pass: which segment, which
//! entry of its table, since when that entry is its holder's, and which lock. A handle that is
//! attached with the pass does not wait for a lock that would otherwise wait for
//! the command, for ever.
//!
//! A pass is believed only as long as the segment confirms it: the same
//! instance, the entry still of the same holder, who lives, and has the very
//! lock that the pass was given out for (they are numbered). One that was left
//! over from an earlier lock, in the environment of a daemon say, counts for
//! nothing.
//!
//! The lock lasts until those are done who work under it: a process that a
//! command leaves behind, and that is just storing, is waited for, as one
//! that inherited the descriptor is under flock(1).

use super::Mode;
use crate::segment::Header;
use std::fmt;

/// See the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    instance: u128,
    /// The entry of whoever has the lock.
    pub slot: u32,
    /// When that was taken: tells its holder from another one later.
    pub since_unix_ns: u64,
    /// Which of its locks: not 0.
    pub number: u32,
    /// What kind of lock.
    pub mode: Mode,
}

impl Pass {
    /// A pass for a lock of the holder of `slot`.
    pub fn new(header: &Header, slot: u32, since_unix_ns: u64, number: u32, mode: Mode) -> Pass {
        Pass {
            instance: u128::from_le_bytes(header.instance_id),
            slot,
            since_unix_ns,
            number,
            mode,
        }
    }

    /// Those of `passes` that are about this segment, the write lock's first. Words that are no
    /// passes are passed over.
    pub fn of_segment(passes: &str, header: &Header) -> Vec<Pass> {
        let instance = u128::from_le_bytes(header.instance_id);
        let mut found: Vec<Pass> = passes
            .split_ascii_whitespace()
            .filter_map(Pass::parse)
            .filter(|pass| pass.instance == instance && pass.slot < header.participants)
            .collect();
        found.sort_by_key(|pass| pass.mode == Mode::Read);
        found
    }

    fn parse(text: &str) -> Option<Pass> {
        let mut parts = text.split(':');
        let pass = Pass {
            instance: u128::from_str_radix(parts.next()?, 16).ok()?,
            slot: parts.next()?.parse().ok()?,
            since_unix_ns: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok().filter(|number| *number != 0)?,
            mode: match parts.next()? {
                "r" => Mode::Read,
                "w" => Mode::Write,
                _ => return None,
            },
        };
        parts.next().is_none().then_some(pass)
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Read => "r",
            Mode::Write => "w",
        };
        let Pass {
            instance,
            slot,
            since_unix_ns,
            number,
            ..
        } = self;
        write!(f, "{instance:032x}:{slot}:{since_unix_ns}:{number}:{mode}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_reads_back_as_it_was_written() {
        for mode in [Mode::Read, Mode::Write] {
            let pass = Pass {
                instance: u128::MAX / 3,
                slot: 127,
                since_unix_ns: u64::MAX,
                number: u32::MAX,
                mode,
            };
            assert_eq!(Pass::parse(&pass.to_string()), Some(pass));
        }
    }

    #[test]
    fn what_is_no_pass_is_none() {
        for text in [
            "",
            "x",
            "1:2:3:4",
            "1:2:3:4:x",
            "1:2:3:0:r",
            "1:2:3:4:r:",
            "1:-2:3:4:r",
            "g:2:3:4:r",
        ] {
            assert_eq!(Pass::parse(text), None, "{text}");
        }
    }
}
