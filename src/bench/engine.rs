//! The real [`Executor`]: rings, workers, clocks.
//!
//! ```text
//!   engine (this process)                      workers
//!   make the ring(s) and the shared file
//!   start them --------------------------->    attach, meet, warm up, meet, move
//!   look at the diff every few ms              |
//!   wait for all to end     <--------------    reply: what moved, when, tallies
//!   compare what was written with what was read
//!   remove the ring(s)
//! ```
//!
//! - Workers are processes of their own (the [`Launcher`]'s program, started
//!   anew with a job), or threads. Each keeps to a processor of its own,
//!   in the order of the list, if there are enough and nobody objects: then it
//!   is the ring that is measured and not the scheduler's luck.
//! - The clock is the workers': from the first writer's start to the last
//!   reader's end. Theirs is also the processor time, which leaves out what
//!   setting up has cost.
//! - A worker that fails or is killed ends the measurement: the others are
//!   killed (threads: told), the ring is removed, and the reason is that of
//!   the one that died first. The same if the engine itself fails, or takes
//!   longer than anything can: nothing is left in `/dev/shm`, unless this
//!   process itself is killed; its workers die with it even then, and
//!   `shm remove --stale` collects the ring.
//! - The diff is sampled here, by a look at two words. A measurement that is
//!   over before the first look has a diff of 0.

mod crew;
mod sampler;

use super::executor::{Exchanged, Executor, Failure, Moved};
use super::job::{Content, Counts, Job, Outcome, Part};
use super::plan::{Limit, Limits, Mode, Point, Settings};
use super::source::{Tally, sources_len};
use super::statistics::Repeat;
use super::worker::{FIRST_EXCHANGES, two_laps};
use crate::ideal::{Board, Pipeline, Shared};
use crate::ring::{self, Delivery, Geometry, Monitor};
use crate::segment::{self, Name, OpenOptions, SegmentError};
use crew::{Crew, Start};
use hdrhistogram::Histogram;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use sampler::Sampler;
use std::fmt::Display;
use std::time::Duration;

pub use crew::Launcher;

/// Bytes of the pipe that a ring replaces.
const PIPE_SIZE: usize = 1 << 20;
/// Bytes that go through a pipe or socket before the clock starts.
const STREAM_WARM_UP: u64 = 4 << 20;
/// What starting may take, and how slow a machine may be before it counts as
/// hung: bytes a second, and seconds a message.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST_RATE: f64 = 20e6;
const SLOWEST_MESSAGE: f64 = 2e-3;

/// Measures for real: see the top of this file.
pub struct Engine<'a> {
    launcher: Launcher,
    cancelled: &'a dyn Fn() -> bool,
    cpus: Vec<usize>,
    /// Rings made so far.
    rings: u64,
}

impl<'a> Engine<'a> {
    /// One that starts workers as the launcher says, and gives up a
    /// measurement as soon as `cancelled` says so.
    pub fn new(launcher: Launcher, cancelled: &'a dyn Fn() -> bool) -> Engine<'a> {
        Engine {
            launcher,
            cancelled,
            cpus: allowed_cpus(),
            rings: 0,
        }
    }

    fn ring(&mut self, geometry: Geometry) -> Result<TemporaryRing, Failure> {
        self.rings += 1;
        let name = format!("shmkit-bench-{}-{}", std::process::id(), self.rings);
        let name = Name::new(&name).map_err(failed("the ring's name"))?;
        match ring::create_unless(&name, geometry, 0o600, self.cancelled) {
            Ok(()) => Ok(TemporaryRing(name)),
            Err(ring::RingError::Cancelled) => Err(Failure::Cancelled),
            Err(error) => Err(Failure::Failed(error.to_string())),
        }
    }

    /// Starts all parts of a measurement and waits for their outcomes.
    fn run(
        &self,
        parts: Vec<Role>,
        shape: &Shape,
        settings: &Settings,
        shared: &OwnedFd,
        look: &mut dyn FnMut(),
    ) -> Result<Vec<Outcome>, Failure> {
        let parties = parts.len() as u32;
        let pin = settings.pin && parts.len() <= self.cpus.len();
        let board = Board::map(shared).map_err(failed("the shared file"))?;
        let mut crew = Crew::new(board, parties);
        for (number, role) in parts.into_iter().enumerate() {
            let job = Job {
                part: role.part,
                size: shape.size,
                limit: settings.limit,
                parties,
                writers: shape.writers,
                index: role.index,
                cpu: self.cpus.get(number).copied().filter(|_| pin),
                parent: std::process::id(),
            };
            let start = Start {
                who: role.who,
                job,
                end: role.end,
            };
            match shape.mode {
                Mode::Process => crew.process(&self.launcher, start, shared)?,
                Mode::Thread => crew.thread(start, shared)?,
            }
        }
        crew.wait(shape.patience(settings, parties), self.cancelled, look)
    }
}

/// One worker to be.
struct Role {
    who: String,
    part: Part,
    index: u32,
    end: Option<OwnedFd>,
}

impl Role {
    fn new(kind: &str, index: u32, part: Part) -> Role {
        let who = format!("{kind} {index}");
        let end = None;
        Role {
            who,
            part,
            index,
            end,
        }
    }
}

/// What all workers of a measurement have in common.
struct Shape {
    size: usize,
    writers: u32,
    /// How often a message is moved.
    copies: u64,
    /// Messages before the clock starts.
    warm_up: u64,
    mode: Mode,
}

impl Shape {
    /// After that long, so many parties have hung.
    fn patience(&self, settings: &Settings, parties: u32) -> Duration {
        let (time, counted) = match settings.limit {
            Limit::Time(time) => (time, 0),
            Limit::Messages(n) => (Duration::ZERO, n),
        };
        let moves = counted.saturating_add(self.warm_up) as f64 * (self.copies + 1) as f64;
        let message = self.size as f64 / SLOWEST_RATE + SLOWEST_MESSAGE;
        let buffers = f64::from(parties) * sources_len(self.size) as f64 / SLOWEST_RATE;
        let slowest = Duration::try_from_secs_f64(moves * message + buffers);
        let slowest = slowest.unwrap_or(Duration::MAX);
        slowest.saturating_add(time).saturating_add(PATIENCE)
    }
}

impl Executor for Engine<'_> {
    fn limit(
        &mut self,
        limit: Limits,
        nodes: u32,
        node_size: u64,
        settings: &Settings,
    ) -> Result<f64, Failure> {
        let size = address(node_size)?;
        let nodes = nodes as usize;
        let warm_up = (STREAM_WARM_UP / node_size.max(1)).max(1);
        let shape = Shape {
            size,
            writers: 1,
            copies: 1,
            warm_up: match limit.has_nodes() {
                true => two_laps(nodes as u64),
                false => warm_up,
            },
            mode: Mode::Process,
        };
        let stream = |ends: (OwnedFd, OwnedFd)| {
            let (reads, writes) = ends;
            let mut writer = Role::new("writer", 0, Part::StreamWrite { warm_up });
            writer.end = Some(writes);
            let mut reader = Role::new("reader", 0, Part::StreamRead { warm_up });
            reader.end = Some(reads);
            vec![writer, reader]
        };
        let mut file_size = Pipeline::file_size(1, 1);
        let roles = match limit {
            Limits::Memcpy => vec![Role::new("copier", 0, Part::Copy { nodes })],
            Limits::Pipeline => {
                file_size = Pipeline::file_size(nodes, size);
                vec![
                    Role::new("writer", 0, Part::PipelineWrite { nodes }),
                    Role::new("reader", 0, Part::PipelineRead { nodes }),
                ]
            }
            Limits::Pipe => stream(pipe()?),
            Limits::Socket => stream(sockets()?),
        };
        let file_size = file_size.ok_or_else(|| Failure::Failed("too large".into()))?;
        let shared = Shared::file(file_size).map_err(failed("a memfd"))?;
        let outcomes = self.run(roles, &shape, settings, &shared, &mut || {})?;
        let (Some(first), Some(last)) = (outcomes.first(), outcomes.last()) else {
            return Err(Failure::Failed("no worker".into()));
        };
        if let Some(wrong) = &last.wrong {
            return Err(Failure::Failed(wrong.clone()));
        }
        let same = match limit {
            // Nobody reads what one thread copies.
            Limits::Memcpy => true,
            Limits::Pipeline => first.tallies == last.tallies,
            Limits::Pipe | Limits::Socket => first.bytes == last.bytes,
        };
        if !same {
            let (sent, got) = (first.bytes, last.bytes);
            let why = format!("{sent} bytes were sent, {got} other ones arrived");
            return Err(Failure::Failed(why));
        }
        let seconds = last.ended_ns.saturating_sub(first.begun_ns).max(1) as f64 / 1e9;
        Ok(last.bytes as f64 / 1e6 / seconds)
    }

    fn ideal_exchange(
        &mut self,
        nodes: u32,
        node_size: u64,
        settings: &Settings,
    ) -> Result<Histogram<u64>, Failure> {
        let size = address(node_size)?;
        let nodes = nodes as usize;
        let shape = Shape {
            size,
            writers: 1,
            copies: 2,
            warm_up: FIRST_EXCHANGES,
            mode: Mode::Process,
        };
        let file_size = Pipeline::file_size(nodes, size);
        let file_size = file_size.ok_or_else(|| Failure::Failed("too large".into()))?;
        let there = Shared::file(file_size).map_err(failed("a memfd"))?;
        let back = Shared::file(file_size).map_err(failed("a memfd"))?;
        let parts = [
            ("asker", Part::PipelineAsk { nodes }),
            ("answerer", Part::PipelineAnswer { nodes }),
        ];
        let roles = parts.into_iter().map(|(kind, part)| {
            let end = back.try_clone().map_err(failed("the way back"))?;
            Ok(Role {
                end: Some(end),
                ..Role::new(kind, 0, part)
            })
        });
        let roles = roles.collect::<Result<_, _>>()?;
        let outcomes = self.run(roles, &shape, settings, &there, &mut || {})?;
        histogram(outcomes.iter().map(|outcome| &outcome.round_trips))
    }

    fn transfer(&mut self, point: &Point, settings: &Settings) -> Result<Moved, Failure> {
        let ring = self.ring(point.geometry)?;
        let laps = two_laps(point.geometry.nodes.into());
        let shape = Shape {
            size: address(point.geometry.node_size)?,
            writers: point.writers,
            copies: point.copies(),
            warm_up: laps,
            mode: settings.mode,
        };
        let content = Content {
            in_place: settings.in_place,
            checked: settings.verify,
        };
        let writers = (0..point.writers).map(|index| {
            // By all of them together.
            let warm_up = laps.div_ceil(u64::from(point.writers));
            let ring = ring.0.to_string();
            let part = Part::Write {
                ring,
                content,
                warm_up,
            };
            Role::new("writer", index, part)
        });
        let alone = point.readers == 1 || point.is_broadcast();
        let readers = (0..point.readers).map(|index| {
            let ring = ring.0.to_string();
            let part = Part::Read {
                ring,
                content,
                alone,
            };
            Role::new("reader", index, part)
        });
        let shared = Shared::file(Pipeline::file_size(1, 1).unwrap_or_default());
        let shared = shared.map_err(failed("a memfd"))?;
        let board = Board::map(&shared).map_err(failed("a memfd"))?;
        let monitor = Monitor::open(&ring.0, OpenOptions::default());
        let monitor = monitor.map_err(failed("looking at the ring"))?;
        let parties = u64::from(point.writers) + u64::from(point.readers);
        let mut sampler = Sampler::new(board, parties);
        let mut look = || sampler.look(|| monitor.unclaimed_nodes());
        let roles = writers.chain(readers).collect();
        let outcomes = self.run(roles, &shape, settings, &shared, &mut look)?;
        let (writers, readers) = outcomes.split_at(point.writers as usize);
        let diff = sampler.diff();
        Ok(Moved {
            wrong: compare(writers, readers, point, settings.verify),
            repeat: Repeat {
                diff_mean: diff.mean,
                diff_max: diff.max,
                diff_final: monitor.diff().nodes,
                verified: settings
                    .verify
                    .then(|| compare(writers, readers, point, true).is_none()),
                ..figures(writers, readers)
            },
        })
    }

    fn exchange(&mut self, point: &Point, settings: &Settings) -> Result<Exchanged, Failure> {
        let there = self.ring(point.geometry)?;
        let back_geometry = Geometry {
            delivery: Delivery::Queue,
            ..point.geometry
        };
        let back = (0..point.writers).map(|_| self.ring(back_geometry));
        let back = back.collect::<Result<Vec<_>, _>>()?;
        let back_names: Vec<String> = back.iter().map(|ring| ring.0.to_string()).collect();
        let shape = Shape {
            size: address(point.geometry.node_size)?,
            writers: point.writers,
            copies: 2 * point.copies(),
            warm_up: u64::from(point.writers) * FIRST_EXCHANGES,
            mode: settings.mode,
        };
        let in_place = settings.in_place;
        let askers = back_names.iter().enumerate().map(|(index, back)| {
            let part = Part::Ask {
                there: there.0.to_string(),
                back: back.clone(),
                answers: point.copies(),
                in_place,
            };
            Role::new("asker", index as u32, part)
        });
        let answerers = (0..point.readers).map(|index| {
            let part = Part::Answer {
                there: there.0.to_string(),
                back: back_names.clone(),
                in_place,
            };
            Role::new("answerer", index, part)
        });
        let roles = askers.chain(answerers).collect();
        let shared = Shared::file(Pipeline::file_size(1, 1).unwrap_or_default());
        let shared = shared.map_err(failed("a memfd"))?;
        let outcomes = self.run(roles, &shape, settings, &shared, &mut || {})?;
        Ok(Exchanged {
            round_trips: histogram(outcomes.iter().map(|outcome| &outcome.round_trips))?,
            one_ways: histogram(outcomes.iter().map(|outcome| &outcome.one_ways))?,
        })
    }
}

/// What was wrong with what the readers got, if anything was.
fn compare(
    writers: &[Outcome],
    readers: &[Outcome],
    point: &Point,
    by_writer: bool,
) -> Option<String> {
    if let Some(wrong) = readers.iter().find_map(|reader| reader.wrong.clone()) {
        return Some(wrong);
    }
    let sent = |index: usize| -> Tally {
        match by_writer {
            true => writers.get(index).map(total).unwrap_or_default(),
            false => sum(writers.iter().map(total)),
        }
    };
    let of =
        |reader: &Outcome, index: usize| reader.tallies.get(index).copied().unwrap_or_default();
    let kinds = if by_writer { writers.len() } else { 1 };
    (0..kinds).find_map(|index| {
        let sent = sent(index);
        let got: Vec<Tally> = match point.is_broadcast() {
            true => readers.iter().map(|reader| of(reader, index)).collect(),
            false => vec![sum(readers.iter().map(|reader| of(reader, index)))],
        };
        let got = got.into_iter().find(|got| *got != sent)?;
        let whose = match by_writer {
            true => format!(" of writer {index}"),
            false => String::new(),
        };
        Some(match got.messages == sent.messages {
            true => format!("other messages{whose} arrived than were written"),
            false => format!(
                "{} of {} messages{whose} arrived",
                got.messages, sent.messages
            ),
        })
    })
}

fn total(outcome: &Outcome) -> Tally {
    sum(outcome.tallies.iter().copied())
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut all, tally| {
        all.merge(tally);
        all
    })
}

/// The figures of a transfer.
fn figures(writers: &[Outcome], readers: &[Outcome]) -> Repeat {
    let all = || writers.iter().chain(readers);
    let begun = writers.iter().map(|worker| worker.begun_ns).min();
    let ended = all().map(|worker| worker.ended_ns).max();
    let elapsed = ended.unwrap_or(0).saturating_sub(begun.unwrap_or(0)).max(1);
    Repeat {
        seconds: elapsed as f64 / 1e9,
        bytes: writers.iter().map(|writer| writer.bytes).sum(),
        nodes_moved: writers.iter().map(|writer| writer.messages).sum(),
        writer_waits: writers.iter().map(|writer| writer.waits).sum(),
        reader_waits: readers.iter().map(|reader| reader.waits).sum(),
        cpu_seconds: all().map(|worker| worker.cpu_ns).sum::<u64>() as f64 / 1e9,
        ..Repeat::default()
    }
}

fn histogram<'c>(counts: impl Iterator<Item = &'c Counts>) -> Result<Histogram<u64>, Failure> {
    let mut all =
        Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(failed("a histogram"))?;
    for (value, count) in counts.flatten() {
        all.saturating_record_n(*value, *count);
    }
    Ok(all)
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("a pipe"))?;
    fcntl_setpipe_size(&writes, PIPE_SIZE).map_err(failed("a pipe of 1 MiB"))?;
    Ok((reads, writes))
}

fn sockets() -> Result<(OwnedFd, OwnedFd), Failure> {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed("a socket"))
}

/// Processors that this process may run on.
fn allowed_cpus() -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None);
    let all = 0..rustix::thread::CpuSet::MAX_CPU;
    allowed.map_or(Vec::new(), |allowed| {
        all.filter(|&cpu| allowed.is_set(cpu)).collect()
    })
}

/// A node size as a length in memory.
fn address(node_size: u64) -> Result<usize, Failure> {
    usize::try_from(node_size).map_err(failed("the node size"))
}

/// A failure that says what was being done.
fn failed<E: Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Failed(format!("{what}: {error}"))
}

/// A ring that is removed when the measurement is over.
struct TemporaryRing(Name);

impl Drop for TemporaryRing {
    fn drop(&mut self) {
        match segment::remove(&self.0, true, OpenOptions::default()) {
            // Somebody else was quicker: as good.
            Ok(_) | Err(SegmentError::NotFound { .. }) => {}
            // What is damaged beyond that is still ours to unlink.
            Err(_) => drop(std::fs::remove_file(self.0.path())),
        }
    }
}

#[cfg(test)]
mod tests;
