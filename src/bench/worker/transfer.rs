//! Messages through a ring: the cells themselves.
//!
//! Both loops are generic over what a message is ([`Feed`], [`Take`]), so that
//! no run pays for a check that it does not make:
//!
//! | | into the node | out of it |
//! |---|---|---|
//! | usual | `Writer::write`: a copy of a picked buffer | one copy into a buffer |
//! | in place | nothing: reserve and commit | nothing: claim and release |
//! | checked | as usual, each message marked | a copy, and every byte compared |
//! | checked in place | the mark and the bytes made in the node | compared there |
//!
//! A reader does not know how many messages come to it: it reads until the
//! stream ends, as every reader does. Only the warm-up, after which nobody
//! leaves, it ends by looking: all writers say that theirs is over, and then
//! nothing is left to claim.

use super::{Clock, Result, WorkerError, meet};
use crate::bench::job::{Content, Job, Outcome};
use crate::bench::pace::Pace;
use crate::bench::source::{
    Checker, Picks, Seen, Sources, Tally, first_word, first_words, mark_word,
};
use crate::ideal::{Board, Private};
use crate::ring::{Claim, ReadNodes, Reader, ReaderOptions, Wait, Writer};
use crate::segment::{Name, OpenOptions};

/// Where messages come from.
trait Feed {
    /// Writes the next one.
    fn put(&mut self, writer: &mut Writer, wait: &Wait<'_>) -> Result<()>;
    /// What was written.
    fn tally(&self) -> Tally;
}

struct Picked {
    sources: Sources,
    picks: Picks,
    tally: Tally,
}

impl Feed for Picked {
    #[inline(always)]
    fn put(&mut self, writer: &mut Writer, wait: &Wait<'_>) -> Result<()> {
        let message = self.sources.pick(&mut self.picks);
        self.tally.add(first_word(message));
        Ok(writer.write(message, wait)?)
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

struct Untouched {
    size: usize,
    tally: Tally,
}

impl Feed for Untouched {
    #[inline(always)]
    fn put(&mut self, writer: &mut Writer, wait: &Wait<'_>) -> Result<()> {
        writer.reserve(1, wait)?.commit_first(self.size)?;
        self.tally.add(0);
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

struct Marked {
    sources: Sources,
    index: u32,
    in_place: bool,
    tally: Tally,
}

impl Feed for Marked {
    fn put(&mut self, writer: &mut Writer, wait: &Wait<'_>) -> Result<()> {
        let sequence = self.tally.messages;
        let message = self.sources.marked(self.index, sequence);
        if self.in_place {
            let mut nodes = writer.reserve(1, wait)?;
            nodes.node_mut(0).copy_from_slice(message);
            nodes.commit_first(message.len())?;
        } else {
            writer.write(message, wait)?;
        }
        self.tally.add(mark_word(sequence));
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

/// Writes a job's messages.
pub fn write(
    job: &Job,
    board: &Board,
    ring: &str,
    content: Content,
    warm_up: u64,
) -> Result<Outcome> {
    let tally = Tally::default();
    let sources = || Sources::new(job.size).map_err(WorkerError::io("memory for messages"));
    if content.checked {
        let feed = Marked {
            sources: sources()?,
            index: job.index,
            in_place: content.in_place,
            tally,
        };
        write_from(feed, job, board, ring, warm_up)
    } else if content.in_place {
        let feed = Untouched {
            size: job.size,
            tally,
        };
        write_from(feed, job, board, ring, warm_up)
    } else {
        let feed = Picked {
            sources: sources()?,
            picks: Picks::of_writer(job.index),
            tally,
        };
        write_from(feed, job, board, ring, warm_up)
    }
}

fn write_from(
    mut feed: impl Feed,
    job: &Job,
    board: &Board,
    ring: &str,
    warm_up: u64,
) -> Result<Outcome> {
    let stopped = || board.stopped();
    let wait = waiting(&stopped);
    let mut writer = Writer::attach(&Name::new(ring)?, OpenOptions::default())?;
    meet(job, board, 1)?;
    feed = put_all(feed, &mut writer, Pace::messages(warm_up), &wait)?;
    board.warmed_up();
    meet(job, board, 2)?;
    let (before, waited) = (feed.tally().messages, writer.stats().waits);
    let clock = Clock::start();
    let pace = Pace::new(job.limit, job.size as u64, job.index, job.writers);
    feed = put_all(feed, &mut writer, pace, &wait)?;
    let waits = writer.stats().waits - waited;
    writer.end();
    let outcome = clock.stop();
    let messages = feed.tally().messages - before;
    Ok(Outcome {
        messages,
        bytes: messages * job.size as u64,
        waits,
        tallies: vec![feed.tally()],
        ..outcome
    })
}

// Both loops own what they work on, so that the compiler keeps its few words in
// registers: a tenth of a microsecond is all that a small message has.

#[inline(never)]
fn put_all<F: Feed>(
    mut feed: F,
    writer: &mut Writer,
    mut pace: Pace,
    wait: &Wait<'_>,
) -> Result<F> {
    while pace.more() {
        feed.put(writer, wait)?;
    }
    Ok(feed)
}

/// Where messages go.
trait Take {
    /// Reads one node, and releases it.
    fn take(&mut self, nodes: ReadNodes<'_>) -> Result<()>;
    /// How many came.
    fn messages(&self) -> u64;
    /// Which they were, and what was wrong with them.
    fn end(self) -> (Vec<Tally>, Option<String>);
}

struct Copied<'w> {
    into: Private,
    seen: Seen<'w>,
}

impl Take for Copied<'_> {
    #[inline(always)]
    fn take(&mut self, nodes: ReadNodes<'_>) -> Result<()> {
        let into = self.into.bytes_mut();
        let node = of_length(nodes.node(0), into.len())?;
        into.copy_from_slice(node);
        nodes.release_all();
        self.seen.look(into);
        Ok(())
    }

    fn messages(&self) -> u64 {
        self.seen.tally.messages
    }

    fn end(self) -> (Vec<Tally>, Option<String>) {
        (vec![self.seen.tally], self.seen.verdict())
    }
}

struct Skipped {
    size: usize,
    tally: Tally,
}

impl Take for Skipped {
    #[inline(always)]
    fn take(&mut self, nodes: ReadNodes<'_>) -> Result<()> {
        of_length(nodes.node(0), self.size)?;
        nodes.release_all();
        self.tally.add(0);
        Ok(())
    }

    fn messages(&self) -> u64 {
        self.tally.messages
    }

    fn end(self) -> (Vec<Tally>, Option<String>) {
        (vec![self.tally], None)
    }
}

struct Compared {
    checker: Checker,
    /// `None`: in place.
    into: Option<Private>,
    size: usize,
    messages: u64,
}

impl Take for Compared {
    fn take(&mut self, nodes: ReadNodes<'_>) -> Result<()> {
        let node = of_length(nodes.node(0), self.size)?;
        match &mut self.into {
            None => {
                self.checker.look(node);
                nodes.release_all();
            }
            Some(into) => {
                let into = into.bytes_mut();
                into.copy_from_slice(node);
                nodes.release_all();
                self.checker.look(into);
            }
        }
        self.messages += 1;
        Ok(())
    }

    fn messages(&self) -> u64 {
        self.messages
    }

    fn end(self) -> (Vec<Tally>, Option<String>) {
        (self.checker.tallies(), self.checker.verdict())
    }
}

fn of_length(node: &[u8], wanted: usize) -> Result<&[u8]> {
    match node.len() {
        len if len == wanted => Ok(node),
        found => Err(WorkerError::Length { found, wanted }),
    }
}

/// Reads whatever comes to this reader.
pub fn read(
    job: &Job,
    board: &Board,
    ring: &str,
    content: Content,
    alone: bool,
) -> Result<Outcome> {
    let (size, tally) = (job.size, Tally::default());
    let into = || {
        let mut into = Private::map(size).map_err(WorkerError::errno("memory"))?;
        into.bytes_mut().fill(1); // its pages are there from now on
        Ok::<_, WorkerError>(into)
    };
    if content.checked {
        let checker = Checker::new(size, job.writers, alone);
        let take = Compared {
            checker: checker.map_err(WorkerError::io("memory for messages"))?,
            into: (!content.in_place).then(into).transpose()?,
            size,
            messages: 0,
        };
        read_into(take, job, board, ring)
    } else if content.in_place {
        read_into(Skipped { size, tally }, job, board, ring)
    } else {
        let words = first_words(size);
        let take = Copied {
            into: into()?,
            seen: Seen::new(size, alone && job.writers == 1, &words),
        };
        read_into(take, job, board, ring)
    }
}

fn read_into(mut take: impl Take, job: &Job, board: &Board, ring: &str) -> Result<Outcome> {
    let stopped = || board.stopped();
    let wait = waiting(&stopped);
    let mut reader = Reader::attach(&Name::new(ring)?, &ReaderOptions::default())?;
    meet(job, board, 1)?;
    drain(&mut take, &mut reader, job, board)?;
    meet(job, board, 2)?;
    let (before, waited) = (take.messages(), reader.stats().waits);
    let clock = Clock::start();
    take = take_all(take, &mut reader, job.size, &wait)?;
    let outcome = clock.stop();
    let messages = take.messages() - before;
    let (tallies, wrong) = take.end();
    Ok(Outcome {
        messages,
        bytes: messages * job.size as u64,
        waits: reader.stats().waits - waited,
        tallies,
        wrong,
        ..outcome
    })
}

/// Reads until all writers have warmed up and nothing is left.
fn drain(take: &mut impl Take, reader: &mut Reader, job: &Job, board: &Board) -> Result<()> {
    loop {
        // First whether that was all, then whether there is more.
        let all_written = board.warm_writers() >= job.writers.into();
        match reader.try_claim(1, job.size)? {
            Some(Claim::Nodes(nodes)) => take.take(nodes)?,
            Some(Claim::End { .. }) => return Err(WorkerError::EndedEarly),
            None if all_written => return Ok(()),
            None if board.stopped() => return Err(crate::ideal::Stopped.into()),
            None => rustix::thread::sched_yield(),
        }
    }
}

/// Reads until the stream ends.
#[inline(never)]
fn take_all<T: Take>(mut take: T, reader: &mut Reader, size: usize, wait: &Wait<'_>) -> Result<T> {
    loop {
        match reader.claim(1, size, wait)? {
            Claim::Nodes(nodes) => take.take(nodes)?,
            Claim::End { clean: true } => return Ok(take),
            Claim::End { clean: false } => return Err(WorkerError::EndedEarly),
        }
    }
}

/// For ever, unless the engine stops it.
pub fn waiting(stopped: &dyn Fn() -> bool) -> Wait<'_> {
    Wait {
        deadline: None,
        cancelled: Some(stopped),
    }
}
