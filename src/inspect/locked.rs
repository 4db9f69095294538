//! What arrays and buffers have in common: their lock, and who has it.
//!
//! ```text
//! lock words   writer | marks          a moment's view, then
//! table        reading, under_pass     each holder: does it live? (the kernel)
//! lock words   once more: the same?    otherwise all again, a few times
//! ```
//!
//! A lock is somebody's only while that somebody lives. A dead holder's is as
//! good as free (whoever wants it next takes it), so it is shown as free; and
//! if it was the write lock, and the holder had it in full, the next one will be told
//! that a writer died, so that is shown already. The same for one that died while
//! it was changing payload under another's lock (by a pass).
//!
//! Those who work under another's lock are holders, too. Their lock is the
//! other's, and shown as that; but if the other died, they are in the way of
//! the next writer until they are done, and are shown as those who have it.
//!
//! The writer's word is anybody's to write. One that names an entry there is not
//! is damage; it is used as nothing but a number to compare with.

use super::damage::{Damage, DamageReport};
use super::participants::{LockFlags, Participant, Table, Totals};
use super::source::{Source, word32};
use crate::lock::layout::{LockWords, UnderPass, WriterWord};
use crate::segment::SegmentError;
use crate::segment::layout::{ENTRY_SIZE, Entry, HEADER_SIZE};
use serde::Serialize;
use std::mem::offset_of;
use std::time::Duration;

/// What a lock is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockState {
    /// Nobody's who lives.
    Free,
    /// Shared by one or more readers.
    Read,
    /// One writer's.
    Write,
}

impl LockState {
    /// `free`, `read` or `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            LockState::Free => "free",
            LockState::Read => "read",
            LockState::Write => "write",
        }
    }
}

/// The lock of an array or a buffer, a part of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// What it is.
    pub state: LockState,
    /// Whether a writer died, or panicked, in the middle of its changes, and nobody has
    /// completed a write since.
    pub owner_died: bool,
    /// The participant that has the write lock, or still changes payload under
    /// that of one that died.
    pub writer_slot: Option<u32>,
    /// The participant that waits for others to leave, to write next; it
    /// keeps new readers out.
    pub waiting_slot: Option<u32>,
    /// Living participants that have read locks, or read under another's.
    pub readers: u32,
    /// What was done under it since it was made.
    #[serde(flatten)]
    pub counts: LockCounts,
}

/// What all who ever were attached to an array or a buffer have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LockCounts {
    /// Times the lock was had by those attached to write, to read included.
    pub write_locks: u64,
    /// Times it was had by those attached to read.
    pub read_locks: u64,
    /// Bytes moved by those attached to write.
    pub written_bytes: u64,
    /// Bytes moved by those attached to read.
    pub read_bytes: u64,
    /// Times that those attached to write slept for want of it.
    pub writer_waits: u64,
    /// Times that those attached to read slept for want of it.
    pub reader_waits: u64,
}

impl LockCounts {
    fn of(totals: &Totals) -> LockCounts {
        LockCounts {
            write_locks: totals.written_nodes,
            read_locks: totals.read_nodes,
            written_bytes: totals.written_bytes,
            read_bytes: totals.read_bytes,
            writer_waits: totals.writer_waits,
            reader_waits: totals.reader_waits,
        }
    }
}

/// All that was seen of a lock.
#[derive(Debug)]
pub(crate) struct Observed {
    pub lock: Lock,
    pub participants: Vec<Participant>,
    pub damage: DamageReport,
}

/// Where a lock is to be found.
pub(crate) struct Target<'a> {
    pub source: &'a dyn Source,
    pub participants: u32,
    /// Where its words lie; all of them, as was checked.
    pub words: u64,
}

/// How often a lock that changes hands is looked at.
const ATTEMPTS: u32 = 4;
/// Between attempts that saw something damaged.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 1 });

impl Target<'_> {
    /// Takes a snapshot. Blocks for no one; with damage in sight, sleeps a few
    /// milliseconds in all to make sure that it stays.
    pub(crate) fn observe(&self) -> Result<Observed, SegmentError> {
        let mut attempts = 1;
        loop {
            let (observed, still) = self.attempt()?;
            if attempts == ATTEMPTS || still && observed.damage.is_empty() {
                return Ok(observed);
            }
            if !observed.damage.is_empty() {
                std::thread::sleep(PAUSE);
            }
            attempts += 1;
        }
    }

    /// What is seen, and whether it was the same before and after.
    fn attempt(&self) -> Result<(Observed, bool), SegmentError> {
        let before = self.words()?;
        let table = Table::read(self.source, self.participants)?;
        let flags = table.lock_flags();
        let mut damage = DamageReport::default();
        let writer = Writer::of(before.0, &flags, &mut damage);
        let held = held(writer, &flags);
        let participants = table.attached(self.source, &held, &mut damage)?;

        // Whoever is not among them has left, is just coming, or has an entry
        // that makes no sense: the kernel knows those too.
        let lives = |slot: u32| match participants.iter().find(|p| p.slot == slot) {
            Some(participant) => Ok(participant.alive),
            None => self.source.is_alive(slot),
        };
        let writer_lives = match writer {
            Writer::Holds(slot) | Writer::Waits(slot) => lives(slot)?,
            Writer::Nobody | Writer::Nonsense => false,
        };
        // One who gave the lock back and left is not one who died with it: the
        // word must still name it now that the kernel has been asked.
        let still = self.words()? == before;
        let died_holding = matches!(writer, Writer::Holds(_)) && !writer_lives && still;

        let living = || {
            let alive = participants.iter().filter(|p| p.alive);
            alive.filter_map(|p| Some((p.slot, flags.get(p.slot as usize)?)))
        };
        let storing = living().find(|(_, flags)| flags.under_pass.is_storing());
        let readers = living().filter(|(_, flags)| flags.reads()).count() as u32;
        let (state, readers) = match (storing, readers) {
            (Some(_), _) => (LockState::Write, 0),
            (None, 0) => (LockState::Free, 0),
            (None, readers) => (LockState::Read, readers),
        };
        let mut lock = Lock {
            state,
            owner_died: before.1 || died_holding || self.died_storing(&participants)?,
            writer_slot: storing.map(|(slot, _)| slot),
            waiting_slot: None,
            readers,
            counts: LockCounts::of(&table.totals()),
        };
        match writer {
            // Nobody gets it any more, whoever that was meant to be.
            Writer::Nonsense => lock.state = LockState::Write,
            Writer::Waits(slot) if writer_lives && state != LockState::Free => {
                lock.waiting_slot = Some(slot);
            }
            // With nobody left to wait for, it has it in a moment.
            Writer::Holds(slot) | Writer::Waits(slot) if writer_lives => {
                lock.state = LockState::Write;
                lock.writer_slot = Some(slot);
                lock.readers = 0; // their flags say that they have come to ask
            }
            Writer::Nobody | Writer::Holds(_) | Writer::Waits(_) => {}
        }
        let observed = Observed {
            lock,
            participants,
            damage,
        };
        Ok((observed, still))
    }

    /// Whether one of the dead was changing payload under another's lock.
    fn died_storing(&self, participants: &[Participant]) -> Result<bool, SegmentError> {
        for dead in participants.iter().filter(|p| !p.alive) {
            // Read after the kernel was asked: it may have been done before it died.
            let entry = HEADER_SIZE + u64::from(dead.slot) * ENTRY_SIZE;
            let mut word = [0; 8];
            self.source
                .read_at(entry + offset_of!(Entry, under_pass) as u64, &mut word)?;
            if UnderPass(u64::from_le_bytes(word)).is_storing() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The writer's word, and whether a writer died.
    fn words(&self) -> Result<(WriterWord, bool), SegmentError> {
        let mut bytes = [0; offset_of!(LockWords, marks) + 4];
        self.source.read_at(self.words, &mut bytes)?;
        let writer = word32(&bytes, offset_of!(LockWords, writer));
        let died = word32(&bytes, offset_of!(LockWords, marks));
        Ok((WriterWord(writer), died != 0))
    }
}

/// What the writer's word says.
#[derive(Clone, Copy)]
enum Writer {
    Nobody,
    Holds(u32),
    Waits(u32),
    Nonsense,
}

impl Writer {
    fn of(word: WriterWord, flags: &[LockFlags], damage: &mut DamageReport) -> Writer {
        match word.slot() {
            None => Writer::Nobody,
            Some(slot) if slot as usize >= flags.len() => {
                damage.push(Damage::LockWriter {
                    slot,
                    participants: flags.len() as u32,
                });
                Writer::Nonsense
            }
            Some(slot) if word.is_held() => Writer::Holds(slot),
            Some(slot) => Writer::Waits(slot),
        }
    }
}

/// How many locks each entry has.
fn held(writer: Writer, flags: &[LockFlags]) -> Vec<u32> {
    let locks = |(slot, flags): (u32, &LockFlags)| match writer {
        Writer::Holds(holder) => u32::from(slot == holder || flags.works()),
        _ => flags.reading.max(u32::from(flags.works())),
    };
    (0..).zip(flags).map(locks).collect()
}
