//! What a party says it is about to do, and what it has done: a file of its
//! own, outside the segment, that it only ever appends to.
//!
//! Each line is one write(2), made before the party goes on. So a party that
//! is killed has done everything up to its last line, may or may not have
//! done what that line announced, and nothing beyond. (A line that its death
//! cut short counts as not written.)
//!
//! ```text
//! writer:  ATTACHED  [ INTENT i, commit, COMMITTED i ] ...
//! reader:  ATTACHED  [ claim, GOT, (hold it), RELEASING, release, RELEASED ] ... ENDED
//!  (all):  ATTACHED  [ claim, GOT ..., (hold them), release, RELEASED-MISSED n ] ... ENDED
//! ```

use super::item::Item;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// What a line says.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
pub enum Word {
    /// It takes part.
    Attached,
    /// A writer is about to commit this item.
    Intent,
    /// It has.
    Committed,
    /// A reader has claimed this item and found it whole.
    Got,
    /// It has found it still whole, and is about to release it.
    Releasing,
    /// It has, and was the first to have it.
    ReleasedFresh,
    /// It has, and was told that another reader had had it before.
    ReleasedAgain,
    /// A broadcast ring's reader has released all that it got; and so many, in place
    /// of an item's number, it has missed so far.
    ReleasedMissed,
    /// The stream has ended for it, and all its writers lived to see it.
    EndedClean,
    /// The stream has ended for it, and a writer died in it.
    EndedUnclean,
}

impl Word {
    pub fn is_about_an_item(self) -> bool {
        let about_none = [
            Word::Attached,
            Word::ReleasedMissed,
            Word::EndedClean,
            Word::EndedUnclean,
        ];
        !about_none.contains(&self)
    }
}

/// A line of a ledger.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct Line {
    pub word: Word,
    /// About which item, if about one.
    pub item: Item,
    /// GOT: when it began to claim; ATTACHED, in a broadcast ring: to attach; else
    /// as `at_ns`.
    pub since_ns: u64,
    /// When it was written.
    pub at_ns: u64,
}

/// The monotonic clock, which is the same in all processes.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A ledger being written.
pub struct Ledger(File);

impl Ledger {
    pub fn open(path: &Path) -> Ledger {
        let file = File::options().append(true).create_new(true).open(path);
        Ledger(file.unwrap())
    }

    pub fn say(&mut self, word: Word, item: Item) {
        self.say_since(now_ns(), word, item);
    }

    pub fn say_since(&mut self, since_ns: u64, word: Word, item: Item) {
        let line = Line {
            word,
            item,
            since_ns,
            at_ns: now_ns(),
        };
        self.0.write_all(line.as_bytes()).unwrap();
    }
}

/// All lines of a ledger; none if its party was killed before it had one.
pub fn lines(path: &Path) -> Vec<Line> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.unwrap(),
    };
    let lines = bytes.chunks_exact(size_of::<Line>());
    lines
        .map(|line| Line::try_read_from_bytes(line).expect("a line of a ledger"))
        .collect()
}
