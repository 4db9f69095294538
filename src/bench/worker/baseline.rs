//! The limits of the machine: what no ring can beat, and what it replaces.
//!
//! | limit | what moves |
//! |---|---|
//! | memcpy | one thread copies picked messages into N nodes, round-robin |
//! | pipeline | two processes, the ideal pipeline: see [`crate::ideal`] |
//! | pipe | two processes, write(2) and read(2) of a message's size, a pipe of 1 MiB |
//! | socket | the same through a Unix stream socket |
//!
//! Messages are picked from the same buffers as for a ring, meetings and
//! clocks are the same, and what arrives is checked as in a usual transfer;
//! of streams, which know no messages, the bytes are counted.

use super::{Clock, Result, WorkerError, meet, two_laps};
use crate::bench::job::{Job, Outcome};
use crate::bench::pace::Pace;
use crate::bench::source::{Picks, Seen, Sources, Tally, first_word, first_words};
use crate::ideal::{Board, Pipeline, Private};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

/// A writer's messages, until its time is up. Owns all that changes, so that a
/// loop that owns it keeps that in registers.
struct Messages<'a> {
    sources: &'a Sources,
    picks: Picks,
    tally: Tally,
    pace: Pace,
}

impl<'a> Messages<'a> {
    /// So many for the warm-up.
    fn first(job: &Job, sources: &'a Sources, count: u64) -> Messages<'a> {
        Messages {
            sources,
            picks: Picks::of_writer(job.index),
            tally: Tally::default(),
            pace: Pace::messages(count),
        }
    }

    /// And from now on those that count.
    fn then(self, job: &Job) -> Messages<'a> {
        let pace = Pace::new(job.limit, job.size as u64, job.index, job.writers);
        Messages { pace, ..self }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        if !self.pace.more() {
            return None;
        }
        let message = self.sources.pick(&mut self.picks);
        self.tally.add(first_word(message));
        Some(message)
    }
}

fn sources(job: &Job) -> Result<Sources> {
    Sources::new(job.size).map_err(WorkerError::io("memory for messages"))
}

/// An outcome of `tally`, of which `before` were warm-up.
fn counted(job: &Job, clock: &Clock, before: u64, tally: Tally) -> Outcome {
    let messages = tally.messages - before;
    Outcome {
        messages,
        bytes: messages * job.size as u64,
        tallies: vec![tally],
        ..clock.stop()
    }
}

/// The pipeline's writer.
pub fn pipeline_write(job: &Job, shared: impl AsFd, nodes: usize) -> Result<Outcome> {
    let pipeline = map_pipeline(shared, nodes, job.size)?;
    let mut writer = pipeline.writer()?;
    let sources = sources(job)?;
    let board = pipeline.board();
    meet(job, board, 1)?;
    let messages = writer.put_all(Messages::first(job, &sources, two_laps(nodes as u64)));
    meet(job, board, 2)?;
    let (before, clock) = (messages.tally.messages, Clock::start());
    let messages = writer.put_all(messages.then(job));
    writer.close();
    Ok(counted(job, &clock, before, messages.tally))
}

/// The pipeline's reader.
pub fn pipeline_read(job: &Job, shared: impl AsFd, nodes: usize) -> Result<Outcome> {
    let pipeline = map_pipeline(shared, nodes, job.size)?;
    let mut reader = pipeline.reader()?;
    let mut memory = Private::map(job.size).map_err(WorkerError::errno("memory"))?;
    let into = memory.bytes_mut();
    into.fill(1);
    let words = first_words(job.size);
    let board = pipeline.board();
    meet(job, board, 1)?;
    let seen = Seen::new(job.size, true, &words);
    let seen = reader.take_all(two_laps(nodes as u64), into, seen, Seen::with);
    meet(job, board, 2)?;
    let (before, clock) = (seen.tally.messages, Clock::start());
    let seen = reader.take_all(u64::MAX, into, seen, Seen::with);
    let outcome = counted(job, &clock, before, seen.tally);
    let wrong = seen.verdict();
    Ok(Outcome { wrong, ..outcome })
}

pub(super) fn map_pipeline(shared: impl AsFd, nodes: usize, size: usize) -> Result<Pipeline> {
    Pipeline::map(shared, nodes, size).map_err(WorkerError::errno("the ideal pipeline"))
}

/// One thread that copies, into nodes that nobody reads.
pub fn copy(job: &Job, board: &Board, nodes: usize) -> Result<Outcome> {
    let size = job.size;
    let sources = sources(job)?;
    let len = nodes.checked_mul(size).ok_or(Errno::NOMEM);
    let memory = len.and_then(Private::map);
    let mut memory = memory.map_err(WorkerError::errno("memory for nodes"))?;
    meet(job, board, 1)?;
    let nodes_bytes = memory.bytes_mut();
    let first = Messages::first(job, &sources, two_laps(nodes as u64));
    let messages = copy_all(first, nodes_bytes, size);
    meet(job, board, 2)?;
    let (before, clock) = (messages.tally.messages, Clock::start());
    let messages = copy_all(messages.then(job), nodes_bytes, size);
    Ok(counted(job, &clock, before, messages.tally))
}

/// Copies all of them into the nodes, round-robin.
#[inline(never)]
fn copy_all<'s>(mut messages: Messages<'s>, nodes: &mut [u8], size: usize) -> Messages<'s> {
    let mut at = 0;
    #[allow(clippy::while_let_on_iterator)] // as in the pipeline: by value
    while let Some(message) = messages.next() {
        nodes[at..at + size].copy_from_slice(message);
        // As if somebody read it.
        std::hint::black_box(&mut *nodes);
        at += size;
        if at + size > nodes.len() {
            at = 0;
        }
    }
    messages
}

/// Writes messages into a pipe or socket.
pub fn stream_write(job: &Job, board: &Board, end: OwnedFd, warm_up: u64) -> Result<Outcome> {
    let sources = sources(job)?;
    meet(job, board, 1)?;
    let mut messages = Messages::first(job, &sources, warm_up);
    for message in &mut messages {
        write_all(&end, message)?;
    }
    meet(job, board, 2)?;
    let (before, clock) = (messages.tally.messages, Clock::start());
    let mut messages = messages.then(job);
    for message in &mut messages {
        write_all(&end, message)?;
    }
    let tally = messages.tally;
    // The reader sees the end now, not when this process is gone.
    drop(end);
    Ok(counted(job, &clock, before, tally))
}

fn write_all(end: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(end, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(WorkerError::errno("writing the stream")(errno)),
        }
    }
    Ok(())
}

/// Reads from a pipe or socket until its end.
pub fn stream_read(job: &Job, board: &Board, end: OwnedFd, warm_up: u64) -> Result<Outcome> {
    let mut memory = Private::map(job.size).map_err(WorkerError::errno("memory"))?;
    let into = memory.bytes_mut();
    into.fill(1);
    meet(job, board, 1)?;
    let mut first = warm_up.saturating_mul(job.size as u64);
    while first > 0 {
        let most = usize::try_from(first).unwrap_or(usize::MAX).min(job.size);
        match read(&end, &mut into[..most])? {
            0 => return Err(WorkerError::EndedEarly),
            read => first -= read as u64,
        }
    }
    meet(job, board, 2)?;
    let (clock, mut bytes) = (Clock::start(), 0);
    loop {
        match read(&end, into)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    Ok(Outcome {
        bytes,
        messages: bytes / job.size as u64,
        ..clock.stop()
    })
}

fn read(end: &OwnedFd, into: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(end, &mut *into) {
            Err(Errno::INTR) => {}
            result => return result.map_err(WorkerError::errno("reading the stream")),
        }
    }
}
