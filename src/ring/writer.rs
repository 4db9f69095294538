//! The writing end of a ring.
//!
//! A [`Writer`] is one participant. It reserves nodes, which nobody else then
//! touches; fills them; and commits them one after the other. What it has
//! reserved and not committed when the guard goes is free again, as if
//! nothing had been. When it leaves, and is the last, the stream ends.
//!
//! One that must not wait for its readers drops nodes instead: [`on_full`].

use super::attached::{Attached, QUICK_TRIES, RingError, add};
use super::copy::copy_into;
use super::delivery::Room;
use super::geometry::Geometry;
use super::layout::NodeWord;
use super::monitor::{Monitor, Stats};
use super::protocol::{Cursor, Take, Token};
use super::rounds::{Rounds, Watch};
use crate::segment::{Membership, Name, OpenOptions, layout::WRITER};
use crate::sync::crash_point::crash_point;
use crate::sync::wait::{Attempt, Spin, Wait};
use on_full::{Dropped, OnFull};
use std::io::IoSliceMut;
use std::time::{Duration, Instant};

pub(super) mod on_full;

/// The writing end of a ring: one participant, for one thread at a time.
///
/// Dropped, it leaves: the last writer to leave ends the stream. A process
/// forked while it lives must neither use nor drop it.
pub struct Writer {
    attached: Attached,
    membership: Membership,
    tokens: Vec<Token>,
    /// How many of `tokens` are committed.
    done: usize,
    last: u32,
    tail: Cursor,
    room: Room,
    /// The word of the node that we last waited for in vain.
    in_the_way: NodeWord,
    spin: Spin,
    watch: Watch,
    wait_time: Duration,
    keep_open: bool,
    /// What was dropped in its entry before it came.
    base_dropped: Dropped,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("ring", self.attached.name())
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Attaches to the ring `name` and joins its stream, or begins one.
    /// Participants found dead are recovered. Takes some milliseconds for each
    /// 32 MiB of the ring's first ones, and up to 100 ms while all entries of
    /// its participant table are taken.
    ///
    /// # Errors
    ///
    /// No such ring, not a ring, damaged, another user's, no permission, or
    /// no free entry in its participant table.
    pub fn attach(name: &Name, options: OpenOptions) -> Result<Writer, RingError> {
        Writer::of(Attached::open(name, options)?)
    }

    /// The same over a mapping that is there already.
    pub(super) fn of(attached: Attached) -> Result<Writer, RingError> {
        let membership = attached.join(WRITER)?;
        attached.core().join_stream();
        Ok(Writer {
            last: attached.geometry().nodes - 1,
            room: Room::new(attached.core()),
            base_dropped: Dropped::now(membership.entry()),
            attached,
            membership,
            tokens: Vec::new(),
            done: 0,
            tail: Cursor::default(),
            in_the_way: NodeWord::default(),
            spin: Spin::default(),
            watch: Watch::default(),
            wait_time: Duration::ZERO,
            keep_open: false,
        })
    }

    /// The ring's geometry.
    pub fn geometry(&self) -> Geometry {
        self.attached.geometry()
    }

    /// A look at the ring from any thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.attached.clone())
    }

    /// What this writer has done so far.
    pub fn stats(&self) -> Stats {
        let dropped = Dropped::now(self.membership.entry());
        Stats {
            dropped_nodes: dropped.nodes.wrapping_sub(self.base_dropped.nodes),
            dropped_bytes: dropped.bytes.wrapping_sub(self.base_dropped.bytes),
            ..Stats::of_writer(self.membership.entry(), self.wait_time)
        }
    }

    /// Reserves up to `want` free nodes (at least one is asked for, and never
    /// more than half the ring), blocking until there is one.
    ///
    /// # Errors
    ///
    /// [`RingError::TimedOut`], [`RingError::Cancelled`], or the ring is gone
    /// or damaged. Nothing is reserved then.
    #[inline]
    pub fn reserve(&mut self, want: usize, wait: &Wait<'_>) -> Result<WriteNodes<'_>, RingError> {
        self.begin(want)?;
        if !self.spin_on_next()? && self.fill(want, Take::Free)? == 0 {
            self.block(wait)?;
        }
        if want > 1 {
            self.fill(want, Take::Free)?;
        }
        Ok(WriteNodes { writer: self })
    }

    /// As [`Writer::reserve`], but never blocks: `None` if no node is free.
    ///
    /// # Errors
    ///
    /// The ring is gone or damaged.
    pub fn try_reserve(&mut self, want: usize) -> Result<Option<WriteNodes<'_>>, RingError> {
        Ok(self.take_free(want)?.then_some(WriteNodes { writer: self }))
    }

    /// Takes up to `want` free nodes; whether there was one.
    fn take_free(&mut self, want: usize) -> Result<bool, RingError> {
        self.begin(want)?;
        if self.fill(want, Take::Free)? == 0 {
            // Who only ever tries must find the dead, too.
            self.reserving(&Wait::default()).rounds.sweep()?;
            self.fill(want, Take::Free)?;
        }
        Ok(!self.tokens.is_empty())
    }

    /// Publishes `message` as one node, blocking until one is free. (See
    /// [`Writer::offer`] for not blocking.)
    ///
    /// # Errors
    ///
    /// As [`Writer::reserve`]; or the message does not fit a node.
    pub fn write(&mut self, message: &[u8], wait: &Wait<'_>) -> Result<(), RingError> {
        self.offer(message, OnFull::Block, wait).map(|_| ())
    }

    fn too_long(&self, len: usize) -> RingError {
        RingError::TooLong {
            name: self.attached.name().clone(),
            len: len as u64,
            node_size: self.geometry().node_size,
        }
    }

    /// Leaves; the last writer to leave ends the stream. As dropping it.
    pub fn end(self) {}

    /// Leaves without ending the stream, whoever else is there.
    pub fn keep_open(mut self) {
        self.keep_open = true;
    }

    #[inline]
    fn begin(&mut self, want: usize) -> Result<(), RingError> {
        self.attached.gone()?;
        self.abort();
        self.tokens.clear();
        self.done = 0;
        self.tokens.reserve(want.clamp(1, 4096));
        Ok(())
    }

    /// Takes the node whose turn it is, waiting a moment for it: while a ring
    /// is full that is the next one to come free, and to look at all the
    /// others would only take their cache lines from the readers. Not again
    /// for one that somebody holds for longer.
    #[inline]
    fn spin_on_next(&mut self) -> Result<bool, RingError> {
        let (attached, slot) = (&self.attached, self.membership.slot());
        let core = attached.core();
        for _ in 0..QUICK_TRIES {
            let next = self
                .room
                .reserve_next(core, slot, &mut self.last, &mut self.tail);
            if let Some(token) = next.map_err(|e| attached.corrupt(e))? {
                attached.prefetch_cell(&self.tail);
                self.tokens.push(token);
                return Ok(true);
            }
            if self.room.next_word(core, self.last, &self.tail) == self.in_the_way {
                return Ok(false);
            }
            std::hint::spin_loop();
        }
        self.in_the_way = self.room.next_word(core, self.last, &self.tail);
        Ok(false)
    }

    /// Takes nodes until there are `want`; how many there are.
    fn fill(&mut self, want: usize, take: Take) -> Result<usize, RingError> {
        let most = want.clamp(1, (self.attached.geometry().nodes as usize / 2).max(1));
        let (attached, slot) = (&self.attached, self.membership.slot());
        while self.tokens.len() < most {
            let core = attached.core();
            let token = self
                .room
                .reserve(core, slot, take, &mut self.last, &mut self.tail);
            let Some(token) = token.map_err(|e| attached.corrupt(e))? else {
                break;
            };
            self.tokens.push(token);
        }
        Ok(self.tokens.len())
    }

    #[cold]
    fn block(&mut self, wait: &Wait<'_>) -> Result<(), RingError> {
        let began = Instant::now();
        add(&self.membership.entry().counters.writer_waits, 1);
        let mut spin = self.spin;
        let mut task = self.reserving(wait);
        task.rounds.sweep()?;
        let bell = task.rounds.attached.free();
        let result = bell.wait(&mut spin, wait.deadline, &mut task);
        self.spin = spin;
        self.wait_time += began.elapsed();
        self.tokens.push(result?);
        Ok(())
    }

    fn reserving<'a>(&'a mut self, wait: &'a Wait<'a>) -> Reserving<'a> {
        Reserving {
            rounds: Rounds {
                attached: &self.attached,
                membership: &self.membership,
                wait,
                watch: &mut self.watch,
                reads: false,
            },
            last: &mut self.last,
            tail: &mut self.tail,
            room: &mut self.room,
        }
    }

    #[inline]
    fn abort(&mut self) {
        let left = self.tokens.len() - self.done;
        if left > 0 {
            self.abort_all(left);
        }
    }

    #[cold]
    fn abort_all(&mut self, left: usize) {
        for token in self.tokens.drain(self.done..).rev() {
            self.attached.core().abort(token);
            // The next one reserved is the first one aborted.
            self.last = token
                .node
                .checked_sub(1)
                .unwrap_or(self.attached.geometry().nodes - 1);
        }
        self.attached.signal_freed(left as u32);
        crash_point("abort/signalled");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abort();
        if !self.keep_open && self.attached.core().leave_stream(self.membership.slot()) {
            self.attached.wake_everybody();
            crash_point("leave/woken");
        }
    }
}

struct Reserving<'a> {
    rounds: Rounds<'a>,
    last: &'a mut u32,
    tail: &'a mut Cursor,
    room: &'a mut Room,
}

impl Attempt for Reserving<'_> {
    type Output = Token;
    type Error = RingError;

    fn attempt(&mut self) -> Result<Option<Token>, RingError> {
        let (attached, slot) = (self.rounds.attached, self.rounds.membership.slot());
        let core = attached.core();
        let token = self
            .room
            .reserve(core, slot, Take::Free, self.last, self.tail);
        token.map_err(|e| attached.corrupt(e))
    }

    fn peek(&mut self) -> Result<Option<Token>, RingError> {
        let (attached, slot) = (self.rounds.attached, self.rounds.membership.slot());
        let core = attached.core();
        let token = self.room.reserve_next(core, slot, self.last, self.tail);
        token.map_err(|e| attached.corrupt(e))
    }

    fn look_around(&mut self) -> Result<(), RingError> {
        self.rounds.look_around()
    }

    fn note_unsignalled(&mut self) {
        self.rounds.note_unsignalled();
    }
}

/// Reserved nodes, in the order in which they will be published.
///
/// Dropped, those not committed are free again, and nobody ever sees them.
#[derive(Debug)]
pub struct WriteNodes<'a> {
    writer: &'a mut Writer,
}

impl WriteNodes<'_> {
    /// How many are reserved and not yet committed.
    #[allow(clippy::len_without_is_empty)] // a count of a non-empty thing
    pub fn len(&self) -> usize {
        self.writer.tokens.len() - self.writer.done
    }

    /// The memory of node `i` of those not yet committed, `node_size` bytes.
    /// Its contents are whatever was in it before. Whoever may write to the
    /// segment and breaks the protocol can change them meanwhile.
    ///
    /// # Panics
    ///
    /// If `i` is not below [`WriteNodes::len`].
    pub fn node_mut(&mut self, i: usize) -> &mut [u8] {
        let token = self.writer.tokens[self.writer.done + i];
        self.writer.attached.payload_mut(token.node)
    }

    /// The memory of all of them, for `readv(2)`, without the first `skip`
    /// bytes.
    pub fn io_slices(&mut self, mut skip: usize) -> Vec<IoSliceMut<'_>> {
        let tokens = &self.writer.tokens[self.writer.done..];
        let mut slices = Vec::with_capacity(tokens.len());
        for token in tokens {
            let node = self.writer.attached.payload_mut(token.node);
            let skipped = skip.min(node.len());
            skip -= skipped;
            if skipped < node.len() {
                slices.push(IoSliceMut::new(&mut node[skipped..]));
            }
        }
        slices
    }

    /// Publishes the first one with `len` payload bytes; the others stay
    /// reserved. Readers see it from now on. Does not block.
    ///
    /// # Errors
    ///
    /// `len` is more than the node size (the node stays reserved); or the ring
    /// is gone (whether anybody will read the node is open) or damaged (it may
    /// be lost).
    ///
    /// # Panics
    ///
    /// If none is left.
    #[inline]
    pub fn commit_first(&mut self, len: usize) -> Result<(), RingError> {
        let writer = &mut *self.writer;
        let attached = &writer.attached;
        let token = writer.tokens[writer.done];
        if len as u64 > attached.geometry().node_size {
            return Err(writer.too_long(len));
        }
        let counters = &writer.membership.entry().counters;
        writer.done += 1;
        let committed = attached
            .core()
            .commit(token, len as u64, counters, &mut writer.tail);
        committed.map_err(|e| attached.corrupt(e))?;
        attached.signal_committed();
        crash_point("commit/signalled");
        let upcoming = || {
            writer
                .room
                .upcoming(attached.core(), token.node, &writer.tail)
        };
        attached.prefetch_free(upcoming, &writer.tail);
        attached.gone()
    }
}

impl Drop for WriteNodes<'_> {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
