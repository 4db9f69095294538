//! How a reader knows that each byte of each message is right (`--verify`).
//!
//! ```text
//!   mark ok? --> this writer's next? --> bytes those of the buffer that follows
//!    (which writer and number)            from the mark? --> counted
//! ```
//!
//! The first message that fails is described, with the byte; of the others only
//! the number is told. One that fails is not counted, so the tallies of writer
//! and reader differ even if the description were lost. After a gap the count
//! goes on from there: one lost message is one fault, not a thousand.

use super::{Sources, Tally, mix};
use crate::bench::plan::MARK;
use std::io;

pub fn encode(writer: u32, sequence: u64) -> [u8; MARK as usize] {
    let mut mark = [0; MARK as usize];
    mark[..8].copy_from_slice(&sequence.to_le_bytes());
    mark[8..12].copy_from_slice(&writer.to_le_bytes());
    mark[12..].copy_from_slice(&check_of(writer, sequence).to_le_bytes());
    mark
}

fn check_of(writer: u32, sequence: u64) -> u32 {
    (mix(sequence ^ u64::from(!writer) << 32) >> 32) as u32
}

/// What is added up of a checked message.
pub fn mark_word(sequence: u64) -> u64 {
    mix(sequence)
}

/// Looks at every byte of checked messages, and at their order.
#[derive(Debug)]
pub struct Checker {
    sources: Sources,
    /// By writer: what came of it.
    tallies: Vec<Tally>,
    /// By writer: the sequence number that comes next, or a later one.
    next: Vec<u64>,
    /// Nobody else reads: the next one it must be.
    alone: bool,
    pub(super) wrong: u64,
    first_wrong: Option<String>,
}

impl Checker {
    /// For messages of `size` bytes of so many writers. `alone`: this reader
    /// gets all of them.
    pub fn new(size: usize, writers: u32, alone: bool) -> io::Result<Checker> {
        Ok(Checker {
            sources: Sources::new(size)?,
            tallies: vec![Tally::default(); writers as usize],
            next: vec![0; writers as usize],
            alone,
            wrong: 0,
            first_wrong: None,
        })
    }

    /// Looks at one message, and remembers what was wrong.
    pub fn look(&mut self, message: &[u8]) {
        if let Err(why) = self.check(message) {
            self.wrong += 1;
            self.first_wrong.get_or_insert(why);
        }
    }

    /// By writer: what came of it.
    pub fn tallies(&self) -> Vec<Tally> {
        self.tallies.clone()
    }

    /// What was wrong, if anything was.
    pub fn verdict(&self) -> Option<String> {
        let first = self.first_wrong.as_ref()?;
        Some(match self.wrong {
            1 => first.clone(),
            more => format!("{first} (the first of {more} messages that were wrong)"),
        })
    }

    fn check(&mut self, message: &[u8]) -> Result<(), String> {
        let (Some(mark), Some(body)) = (
            message.first_chunk::<{ MARK as usize }>(),
            message.get(MARK as usize..),
        ) else {
            return Err(format!("a message of {} bytes", message.len()));
        };
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        let (sequence, writer) = (number(&mark[..8]), number(&mark[8..12]) as u32);
        let Some(next) = self.next.get_mut(writer as usize) else {
            return Err(format!("a message of a writer {writer} that there is not"));
        };
        let due = *next;
        if *mark != encode(writer, sequence) {
            return Err(format!(
                "the mark of a message of writer {writer} is spoilt, near message {due}"
            ));
        }
        let in_order = match self.alone {
            true => sequence == due,
            false => sequence >= due,
        };
        // After a gap the count goes on from there.
        *next = due.max(sequence.saturating_add(1));
        if !in_order {
            return Err(format!(
                "message {sequence} of writer {writer} came where message {due} was due"
            ));
        }
        let wanted = self.sources.body(writer, sequence);
        if body != wanted {
            let at = body.iter().zip(wanted).position(|(is, was)| is != was);
            let at = at.map_or(message.len(), |at| at + MARK as usize);
            return Err(format!(
                "byte {at} of message {sequence} of writer {writer} is not what was written"
            ));
        }
        self.tallies[writer as usize].add(mark_word(sequence));
        Ok(())
    }
}
