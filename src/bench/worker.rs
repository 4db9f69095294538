//! One end of one measurement: what a worker does.
//!
//! A worker is a process of its own (the program that measures, started anew)
//! or a thread. Both run this, with the same job. All jobs have the same
//! three parts:
//!
//! ```text
//!   attach, fill buffers | meet | warm-up: two laps | meet | counted messages
//!                                                          ^ the clock starts
//! ```
//!
//! The warm-up brings every page and every branch in, and everything of it has
//! been read before the second meeting, so that the clock sees nothing of it.
//! It runs from the first writer's first counted message until the last reader
//! knows that there are no more.
//!
//! | file | parts |
//! |---|---|
//! | `transfer` | writing to and reading from a ring |
//! | `exchange` | asking and answering over two rings: latency |
//! | `baseline` | the machine's limits |
//!
//! Nothing here waits for ever on its own: whoever dies is noticed by the
//! engine, which kills processes, and stops threads by the board.

mod baseline;
mod exchange;
mod transfer;

pub(super) use exchange::{FIRST_EXCHANGES, MOST_EXCHANGES};

use super::job::{Job, Outcome, Part, Reply};
use super::pace::{now_ns, of_clock};
use crate::ideal::{Board, EndTaken, Stopped};
use crate::ring::RingError;
use crate::segment::NameError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::ClockId;
use std::io;

/// Why a worker could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The ring failed.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Its name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The engine said so.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Two workers have the same part.
    #[error(transparent)]
    EndTaken(#[from] EndTaken),
    /// A message is not as long as it was written.
    #[error("a message of {found} bytes, not {wanted}")]
    Length {
        /// As read.
        found: usize,
        /// As written.
        wanted: usize,
    },
    /// A writer died.
    #[error("the stream ended although not all was written")]
    EndedEarly,
    /// It needs the end of a pipe or socket, and has none.
    #[error("no data end")]
    NoEnd,
}

impl WorkerError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> WorkerError {
        move |source| WorkerError::Io { what, source }
    }

    fn errno(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> WorkerError {
        move |errno| WorkerError::Io {
            what,
            source: errno.into(),
        }
    }
}

type Result<T> = std::result::Result<T, WorkerError>;

/// A worker process from beginning to end: does what `job` says (the last of
/// the arguments that a [`Launcher`](super::engine::Launcher) passes) and
/// returns what is to be said on standard error. `shared` is standard input,
/// `end` what standard output was. It dies with its parent.
///
/// # Errors
///
/// What is to be said, as well: the worker could not do its part.
pub fn answer(
    job: &str,
    shared: impl AsFd,
    end: Option<OwnedFd>,
) -> std::result::Result<String, String> {
    // Numbers and strings only: serialising them cannot fail.
    let text = |reply| serde_json::to_string(&reply).unwrap_or_default();
    match outcome(job, shared, end) {
        Ok(outcome) => Ok(text(Reply::Done(Box::new(outcome)))),
        Err(why) => Err(text(Reply::Failed(why))),
    }
}

fn outcome(
    job: &str,
    shared: impl AsFd,
    end: Option<OwnedFd>,
) -> std::result::Result<Outcome, String> {
    let job: Job = serde_json::from_str(job).map_err(|e| format!("not a job: {e}"))?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| e.to_string())?;
    // It may have been gone before that.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(job.parent) {
        return Err("whoever started this worker is gone".into());
    }
    run(&job, shared, end).map_err(|e| e.to_string())
}

/// Does what the engine asked for. `shared` is the file with the board and the
/// pipeline, `end` that of a pipe or socket, or the file with the pipeline back.
///
/// # Errors
///
/// The ring or the system failed, or another worker did.
pub(super) fn run(job: &Job, shared: impl AsFd, end: Option<OwnedFd>) -> Result<Outcome> {
    if let Some(cpu) = job.cpu {
        let mut only = CpuSet::new();
        only.set(cpu);
        sched_setaffinity(None, &only).map_err(WorkerError::errno("choosing a processor"))?;
    }
    let end = || end.ok_or(WorkerError::NoEnd);
    match &job.part {
        Part::Write {
            ring,
            content,
            warm_up,
        } => transfer::write(job, &board(shared)?, ring, *content, *warm_up),
        Part::Read {
            ring,
            content,
            alone,
        } => transfer::read(job, &board(shared)?, ring, *content, *alone),
        Part::Ask {
            there,
            back,
            answers,
            in_place,
        } => exchange::ask(job, &board(shared)?, there, back, *answers, *in_place),
        Part::Answer {
            there,
            back,
            in_place,
        } => exchange::answer(job, &board(shared)?, there, back, *in_place),
        Part::PipelineWrite { nodes } => baseline::pipeline_write(job, shared, *nodes),
        Part::PipelineRead { nodes } => baseline::pipeline_read(job, shared, *nodes),
        Part::PipelineAsk { nodes } => exchange::ideal_ask(job, shared, end()?, *nodes),
        Part::PipelineAnswer { nodes } => exchange::ideal_answer(job, shared, end()?, *nodes),
        Part::Copy { nodes } => baseline::copy(job, &board(shared)?, *nodes),
        Part::StreamWrite { warm_up } => {
            baseline::stream_write(job, &board(shared)?, end()?, *warm_up)
        }
        Part::StreamRead { warm_up } => {
            baseline::stream_read(job, &board(shared)?, end()?, *warm_up)
        }
    }
}

fn board(shared: impl AsFd) -> Result<Board> {
    Board::map(shared).map_err(WorkerError::errno("the shared file"))
}

/// Messages that go through an N-node thing before the clock starts.
pub(super) fn two_laps(nodes: u64) -> u64 {
    2 * nodes
}

/// Both clocks, from the second meeting on.
struct Clock {
    begun_ns: u64,
    cpu_ns: u64,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            cpu_ns: of_clock(ClockId::ThreadCPUTime),
            begun_ns: now_ns(),
        }
    }

    /// What has passed, as the beginning of an outcome.
    fn stop(&self) -> Outcome {
        Outcome {
            begun_ns: self.begun_ns,
            ended_ns: now_ns(),
            // A worker is one thread, in a process of its own or not.
            cpu_ns: of_clock(ClockId::ThreadCPUTime).saturating_sub(self.cpu_ns),
            ..Outcome::default()
        }
    }
}

/// The two meetings of all parties.
fn meet(job: &Job, board: &Board, number: u64) -> Result<()> {
    Ok(board.meet(job.parties.into(), number)?)
}
