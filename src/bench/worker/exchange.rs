//! Questions and answers over two rings: what a message takes, not how many.
//!
//! ```text
//!            ring there (shared by all who ask and all who answer)
//!   asker 0 --\                              /--> answerer 0
//!   asker 1 ---+--> [ ][ ][ ] ... [ ] --> --+---> answerer 1
//!      ^                                            |
//!      +--------- a ring back to each asker <-------+
//! ```
//!
//! An asker has one question under way at a time, so nothing queues up and
//! what is measured is the way, not the wait. Messages are as large as nodes
//! and copied in and out at both ends, as in a transfer; in place only the
//! mark is. Two phases, each half of the time:
//!
//! - *there and back*: the asker looks at its clock once per exchange, and
//!   nobody else at any.
//! - *one way*: each message carries the time at which it was written, and
//!   whoever reads it looks at the clock (which is the same for all processes).
//!
//! Beside it the same exchange over two ideal pipelines, one asker and one
//! answerer, there and back only: the least that it can take.
//!
//! ```text
//!   0        8        12       16                  node_size
//!   | time   | asker  | phase  | bytes of a buffer |
//! ```

use super::baseline::map_pipeline;
use super::transfer::waiting;
use super::{Clock, Result, WorkerError, meet};
use crate::bench::job::{Counts, Job, Outcome};
use crate::bench::pace::{Pace, now_ns};
use crate::bench::plan::{Limit, MARK};
use crate::ideal::{Board, Private};
use crate::ring::{Claim, Reader, ReaderOptions, Wait, Writer};
use crate::segment::{Name, OpenOptions};
use hdrhistogram::Histogram;
use rustix::fd::{AsFd, OwnedFd};

/// Exchanges before the clock starts.
pub const FIRST_EXCHANGES: u64 = 100;
/// Exchanges that are enough, where a number of them is asked for.
pub const MOST_EXCHANGES: u64 = 20_000;
/// Phases: what answerers do with the time in a message.
const PLAIN: u32 = 0;
const STAMPED: u32 = 1;

/// A message's mark, and the room for all of it.
struct Message {
    memory: Private,
    /// How much of a node is written and read.
    len: usize,
}

impl Message {
    fn new(size: usize, in_place: bool) -> Result<Message> {
        let mut memory = Private::map(size).map_err(WorkerError::errno("memory"))?;
        memory.bytes_mut().fill(1);
        let len = if in_place {
            size.min(MARK as usize)
        } else {
            size
        };
        Ok(Message { memory, len })
    }

    fn bytes(&self) -> &[u8] {
        &self.memory.bytes()[..self.len]
    }

    fn set(&mut self, stamp: u64, asker: u32, phase: u32) {
        let Some(mark) = self
            .memory
            .bytes_mut()
            .first_chunk_mut::<{ MARK as usize }>()
        else {
            return; // a plan has no such node size
        };
        mark[..8].copy_from_slice(&stamp.to_le_bytes());
        mark[8..12].copy_from_slice(&asker.to_le_bytes());
        mark[12..].copy_from_slice(&phase.to_le_bytes());
    }

    /// Stamp, asker and phase.
    fn get(&self) -> (u64, u32, u32) {
        let number = |from: usize, to: usize| {
            let bytes = self.memory.bytes().get(from..to).unwrap_or_default();
            bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
        };
        (number(0, 8), number(8, 12) as u32, number(12, 16) as u32)
    }

    fn write(&self, writer: &mut Writer, wait: &Wait<'_>) -> Result<()> {
        Ok(writer.write(self.bytes(), wait)?)
    }

    /// Whether there was one; otherwise the stream has ended.
    fn read(&mut self, reader: &mut Reader, wait: &Wait<'_>) -> Result<bool> {
        match reader.claim(1, self.len, wait)? {
            Claim::Nodes(nodes) => {
                let node = nodes.node(0);
                if node.len() != self.len {
                    return Err(WorkerError::Length {
                        found: node.len(),
                        wanted: self.len,
                    });
                }
                self.memory.bytes_mut()[..self.len].copy_from_slice(node);
                nodes.release_all();
                Ok(true)
            }
            Claim::End { clean: true } => Ok(false),
            Claim::End { clean: false } => Err(WorkerError::EndedEarly),
        }
    }
}

/// Times, up to a minute, to three digits.
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Result<Times> {
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3);
        histogram.map(Times).map_err(|error| WorkerError::Io {
            what: "a histogram",
            source: std::io::Error::other(error.to_string()),
        })
    }

    #[inline]
    fn since(&mut self, then_ns: u64) {
        self.0.saturating_record(now_ns().saturating_sub(then_ns));
    }

    fn counts(&self) -> Counts {
        let recorded = self.0.iter_recorded();
        recorded
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }
}

/// What one of the two phases is given. More exchanges than that would only
/// take time: the slowest in a thousand is known well by then.
fn half(limit: Limit) -> Limit {
    match limit {
        Limit::Time(time) => Limit::Time(time / 2),
        Limit::Messages(n) => Limit::Messages(n.min(MOST_EXCHANGES).div_ceil(2)),
    }
}

fn attach(ring: &str) -> Result<Reader> {
    Ok(Reader::attach(
        &Name::new(ring)?,
        &ReaderOptions::default(),
    )?)
}

fn join(ring: &str) -> Result<Writer> {
    Ok(Writer::attach(&Name::new(ring)?, OpenOptions::default())?)
}

/// Asks, and measures.
pub fn ask(
    job: &Job,
    board: &Board,
    there: &str,
    back: &str,
    answers: u64,
    in_place: bool,
) -> Result<Outcome> {
    let stopped = || board.stopped();
    let wait = waiting(&stopped);
    let mut message = Message::new(job.size, in_place)?;
    let (mut writer, mut reader) = (join(there)?, attach(back)?);
    let (mut round_trips, mut one_ways) = (Times::new()?, Times::new()?);
    let mut exchange = |phase: u32, times: &mut Times| {
        let begun = now_ns();
        message.set(begun, job.index, phase);
        message.write(&mut writer, &wait)?;
        for _ in 0..answers {
            if !message.read(&mut reader, &wait)? {
                return Err(WorkerError::EndedEarly);
            }
            if phase == STAMPED {
                times.since(message.get().0);
            }
        }
        if phase == PLAIN {
            times.since(begun);
        }
        Ok(())
    };
    meet(job, board, 1)?;
    let mut ignored = Times::new()?;
    for _ in 0..FIRST_EXCHANGES {
        exchange(PLAIN, &mut ignored)?;
    }
    meet(job, board, 2)?;
    let clock = Clock::start();
    let mut messages = 0;
    for (phase, times) in [(PLAIN, &mut round_trips), (STAMPED, &mut one_ways)] {
        let mut pace = Pace::one_by_one(half(job.limit), job.index, job.writers);
        while pace.more() {
            exchange(phase, times)?;
            messages += 1;
        }
    }
    writer.end();
    Ok(Outcome {
        messages,
        round_trips: round_trips.counts(),
        one_ways: one_ways.counts(),
        ..clock.stop()
    })
}

/// Answers until nobody asks any more.
pub fn answer(
    job: &Job,
    board: &Board,
    there: &str,
    back: &[String],
    in_place: bool,
) -> Result<Outcome> {
    let stopped = || board.stopped();
    let wait = waiting(&stopped);
    let mut message = Message::new(job.size, in_place)?;
    let mut reader = attach(there)?;
    let mut writers = back
        .iter()
        .map(|ring| join(ring))
        .collect::<Result<Vec<_>>>()?;
    let mut one_ways = Times::new()?;
    meet(job, board, 1)?;
    // The second meeting is for those who ask, when their warm-up is over: it
    // must not keep anybody here from answering.
    board.arrive();
    let (clock, mut messages) = (Clock::start(), 0);
    while message.read(&mut reader, &wait)? {
        let (stamp, asker, phase) = message.get();
        if phase == STAMPED {
            one_ways.since(stamp);
            message.set(now_ns(), asker, phase);
        }
        let Some(writer) = writers.get_mut(asker as usize) else {
            return Err(WorkerError::EndedEarly);
        };
        message.write(writer, &wait)?;
        messages += 1;
    }
    Ok(Outcome {
        messages,
        one_ways: one_ways.counts(),
        ..clock.stop()
    })
}

/// Asks over ideal pipelines: `there` is the shared file, where the workers
/// meet, too.
pub fn ideal_ask(job: &Job, there: impl AsFd, back: OwnedFd, nodes: usize) -> Result<Outcome> {
    let there = map_pipeline(there, nodes, job.size)?;
    let mut writer = there.writer()?;
    let mut reader = map_pipeline(back, nodes, job.size)?.reader()?;
    let question = Message::new(job.size, false)?;
    let mut answer = Message::new(job.size, false)?;
    let mut exchange = |times: &mut Times| {
        let begun = now_ns();
        let _ = writer.put_all(std::iter::once(question.bytes()));
        let answered = reader.take_all(1, answer.memory.bytes_mut(), false, |_, _| true);
        times.since(begun);
        answered.then_some(()).ok_or(WorkerError::EndedEarly)
    };
    meet(job, there.board(), 1)?;
    let mut ignored = Times::new()?;
    for _ in 0..FIRST_EXCHANGES {
        exchange(&mut ignored)?;
    }
    meet(job, there.board(), 2)?;
    let (clock, mut round_trips, mut messages) = (Clock::start(), Times::new()?, 0);
    let mut pace = Pace::one_by_one(half(job.limit), job.index, job.writers);
    while pace.more() {
        exchange(&mut round_trips)?;
        messages += 1;
    }
    writer.close();
    Ok(Outcome {
        messages,
        round_trips: round_trips.counts(),
        ..clock.stop()
    })
}

/// Answers over ideal pipelines, until nobody asks any more.
pub fn ideal_answer(job: &Job, there: impl AsFd, back: OwnedFd, nodes: usize) -> Result<Outcome> {
    let there = map_pipeline(there, nodes, job.size)?;
    let mut reader = there.reader()?;
    let mut writer = map_pipeline(back, nodes, job.size)?.writer()?;
    let mut message = Message::new(job.size, false)?;
    meet(job, there.board(), 1)?;
    there.board().arrive(); // as `answer`
    let (clock, mut messages) = (Clock::start(), 0);
    while reader.take_all(1, message.memory.bytes_mut(), false, |_, _| true) {
        let _ = writer.put_all(std::iter::once(message.bytes()));
        messages += 1;
    }
    writer.close();
    Ok(Outcome {
        messages,
        ..clock.stop()
    })
}
