//! One end of one measurement: what a child process does.
//!
//! Both variants run the same two loops over [`Put`] and [`Take`]; only what
//! is behind those two differs. A run has two parts with a barrier before
//! each: two laps of the ring that bring every page and every branch in, and
//! the counted messages. The clock runs from just before the writer begins the
//! first counted message until the reader has the last.
//!
//! The source of each message is picked at random from 256 buffers, so that
//! large nodes come from memory and not from a cache that happens to hold one
//! hot buffer. Each buffer has a stamp of its own at both ends. The reader
//! picks from the same sequence and so knows which stamps to expect: a lost,
//! doubled, swapped or torn message cannot pass.

use crate::ideal::{Ideal, shared_size};
use crate::memory::{Board, Private, Shared};
use crate::{Role, Variant, Work};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use shmkit::ring::{Claim, Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::sync::atomic::Ordering;

/// Buffers to pick a message from.
const SOURCES: usize = 256;
/// Where each sequence of picks begins, at both ends.
const SEED: u64 = 99;

/// The writer's end of a variant.
trait Put {
    fn put_all<'m>(&mut self, messages: impl Iterator<Item = &'m [u8]>) -> Result<()>;
}

/// The reader's end of a variant.
trait Take {
    /// Takes `count` messages into one buffer, one over the other, and returns
    /// how many were right.
    fn take_all(&mut self, count: u64, into: &mut [u8], stamps: &Stamps) -> Result<u64>;
}

// The ideal pipeline works on a copy of its few words, which the compiler then
// keeps in registers: a tenth of a microsecond is all a small message has.

impl Put for Ideal<'_> {
    #[inline(never)]
    fn put_all<'m>(&mut self, messages: impl Iterator<Item = &'m [u8]>) -> Result<()> {
        let mut end = self.clone();
        for message in messages {
            end.put(message);
        }
        *self = end;
        Ok(())
    }
}

impl Take for Ideal<'_> {
    #[inline(never)]
    fn take_all(&mut self, count: u64, into: &mut [u8], stamps: &Stamps) -> Result<u64> {
        let mut check = Check::new(stamps);
        let mut end = self.clone();
        for _ in 0..count {
            end.take(into);
            check.message(into);
        }
        *self = end;
        Ok(check.right)
    }
}

impl Put for Writer {
    fn put_all<'m>(&mut self, messages: impl Iterator<Item = &'m [u8]>) -> Result<()> {
        for message in messages {
            self.write(message, &Wait::default())?;
        }
        Ok(())
    }
}

impl Take for Reader {
    fn take_all(&mut self, count: u64, into: &mut [u8], stamps: &Stamps) -> Result<u64> {
        let mut check = Check::new(stamps);
        for _ in 0..count {
            let Claim::Nodes(nodes) = self.claim(1, into.len(), &Wait::default())? else {
                bail!("the stream ended early");
            };
            let node = nodes.node(0);
            ensure!(node.len() == into.len(), "a node of {} bytes", node.len());
            into.copy_from_slice(node);
            nodes.release_all();
            check.message(into);
        }
        Ok(check.right)
    }
}

/// Does what the parent asked for. The shared file is standard input.
pub fn run(work: &Work) -> Result<()> {
    // The parent's end is ours too, however it ends.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if let Some(cpu) = work.cpu {
        let mut only = CpuSet::new();
        only.set(cpu);
        sched_setaffinity(None, &only).with_context(|| format!("cannot run on CPU {cpu}"))?;
    }
    let shared = Shared::map(std::io::stdin(), shared_size(work.cell))?;
    let ideal = || Ideal::new(&shared, work.cell);
    let name = || Name::new(&work.ring).map_err(|e| anyhow!(e));
    match (work.variant, work.role) {
        (Variant::Ideal, Role::Write) => write(work, &shared, ideal()),
        (Variant::Ideal, Role::Read) => read(work, &shared, ideal()),
        (Variant::Ring, Role::Write) => write(
            work,
            &shared,
            Writer::attach(&name()?, OpenOptions::default())?,
        ),
        (Variant::Ring, Role::Read) => {
            let options = ReaderOptions {
                open: OpenOptions::default(),
                follow: false,
            };
            read(work, &shared, Reader::attach(&name()?, &options)?)
        }
    }
}

fn write(work: &Work, shared: &Shared, mut sink: impl Put) -> Result<()> {
    let size = work.cell.size;
    let mut memory = Private::map(SOURCES * size)?;
    fill(memory.bytes_mut(), size);
    let sources = memory.bytes();
    let messages = |count: u64| {
        let mut picks = Picks(SEED);
        (0..count).map(move |_| {
            let at = picks.next() * size;
            &sources[at..at + size]
        })
    };
    let board = shared.board();
    meet(work, board, 1);
    sink.put_all(messages(work.warm_up()))?;
    meet(work, board, 2);
    board.begun_ns.store(now_ns(), Ordering::Relaxed);
    sink.put_all(messages(work.messages))
}

fn read(work: &Work, shared: &Shared, mut source: impl Take) -> Result<()> {
    let mut memory = Private::map(work.cell.size)?;
    let into = memory.bytes_mut();
    into.fill(1);
    let stamps = std::array::from_fn(stamp);
    let board = shared.board();
    meet(work, board, 1);
    let warm = source.take_all(work.warm_up(), into, &stamps)?;
    ensure!(
        warm == work.warm_up(),
        "messages were spoilt during the warm-up"
    );
    meet(work, board, 2);
    let verified = source.take_all(work.messages, into, &stamps)?;
    board.ended_ns.store(now_ns(), Ordering::Relaxed);
    board.verified.store(verified, Ordering::Relaxed);
    Ok(())
}

/// Waits until both workers have come to barrier `number`.
fn meet(work: &Work, board: &Board, number: u64) {
    board.arrivals.0.fetch_add(1, Ordering::AcqRel);
    while board.arrivals.0.load(Ordering::Acquire) < 2 * number {
        if work.cpu.is_some() {
            std::hint::spin_loop();
        } else {
            rustix::thread::sched_yield();
        }
    }
}

/// Random bytes, and in each buffer its stamp at both ends.
fn fill(sources: &mut [u8], size: usize) {
    let mut random = Picks(88_172_645_463_325_252);
    for word in sources.chunks_exact_mut(8) {
        word.copy_from_slice(&random.step().to_ne_bytes());
    }
    for (index, buffer) in sources.chunks_exact_mut(size).enumerate() {
        buffer[..8].copy_from_slice(&stamp(index).to_ne_bytes());
        buffer[size - 8..].copy_from_slice(&(!stamp(index)).to_ne_bytes());
    }
}

/// What buffer `index` begins with; it ends with the complement.
fn stamp(index: usize) -> u64 {
    (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What each buffer begins with.
type Stamps = [u64; SOURCES];

/// Looks whether messages are those that the writer picked.
struct Check<'a> {
    stamps: &'a Stamps,
    picks: Picks,
    right: u64,
}

impl Check<'_> {
    fn new(stamps: &Stamps) -> Check<'_> {
        Check {
            stamps,
            picks: Picks(SEED),
            right: 0,
        }
    }

    /// A message of one cache line is judged by its first word alone: a look
    /// at the last one, fresh from `memcpy`, stalls for half the time that
    /// such a message takes.
    fn message(&mut self, message: &[u8]) {
        let wanted = self.stamps[self.picks.next()];
        let first = message
            .first_chunk()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        let last = message.last_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
        let whole = message.len() <= 64 || last == Some(!wanted);
        self.right += u64::from(first == Some(wanted) && whole);
    }
}

/// Marsaglia's xorshift, and an index from its upper bits.
struct Picks(u64);

impl Picks {
    fn step(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn next(&mut self) -> usize {
        ((self.step() >> 33) as usize * SOURCES) >> 31
    }
}

/// Nanoseconds of the monotonic clock, the same in every process.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
