//! The reading end of a ring.
//!
//! A [`Reader`] is one participant. It claims nodes, reads them where they
//! lie, and releases them one after the other; only then do they count as
//! read. What it has claimed and not released when the guard goes is handed
//! to another reader (or to itself, the next time it claims).
//!
//! In a broadcast ring each reader gets every node: [`super::broadcast`].
//!
//! It ends with the stream that it takes part in: when the last writer has
//! left and no node is left in anybody's hands. (If the next writer comes
//! before it has noticed, it goes on with that one.) With
//! [`ReaderOptions::follow`] it never does.

use super::attached::{Attached, QUICK_TRIES, RingError, add};
use super::broadcast::Start;
use super::delivery::Order;
use super::geometry::Geometry;
use super::monitor::{Monitor, Stats};
use super::protocol::{Claimed, Core, Cursor};
use super::rounds::{Rounds, Watch};
use super::stream::Base;
use crate::segment::{Membership, Name, OpenOptions, layout::READER};
use crate::sync::crash_point::crash_point;
use crate::sync::wait::{Attempt, Spin, Wait};
use std::io::IoSlice;
use std::time::{Duration, Instant};

/// How a reader attaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReaderOptions {
    /// Which segments to accept.
    pub open: OpenOptions,
    /// Do not end when the writers leave: wait for the next ones.
    pub follow: bool,
    /// Where a broadcast ring's reader begins. (One of a queue gets whatever
    /// nobody has read.)
    pub from: Start,
}

/// The reading end of a ring: one participant, for one thread at a time.
///
/// A process forked while it lives must neither use nor drop it.
pub struct Reader {
    attached: Attached,
    membership: Membership,
    follow: bool,
    base: Base,
    claimed: Vec<Claimed>,
    /// How many of `claimed` are released.
    done: usize,
    order: Order,
    spin: Spin,
    watch: Watch,
    wait_time: Duration,
    /// Nodes got that another reader had before.
    again: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("ring", self.attached.name())
            .finish_non_exhaustive()
    }
}

/// What a claim brought.
#[derive(Debug)]
pub enum Claim<'a> {
    /// At least one node.
    Nodes(ReadNodes<'a>),
    /// The stream has ended and all of it has been read.
    End {
        /// Whether no writer died in it: otherwise it may be incomplete.
        clean: bool,
    },
}

enum Found {
    Nodes,
    End { clean: bool },
}

impl Reader {
    /// Attaches to the ring `name`. A reader may be there before the first
    /// writer. Participants found dead are recovered. Takes as long as
    /// [`Writer::attach`](super::Writer::attach).
    ///
    /// # Errors
    ///
    /// As [`Writer::attach`](super::Writer::attach).
    pub fn attach(name: &Name, options: &ReaderOptions) -> Result<Reader, RingError> {
        Reader::of(Attached::open(name, options.open)?, options)
    }

    /// The same over a mapping that is there already.
    pub(super) fn of(attached: Attached, options: &ReaderOptions) -> Result<Reader, RingError> {
        let membership = attached.join(READER)?;
        let order = Order::join(attached.core(), membership.slot(), options.from);
        let order = order.map_err(|e| attached.corrupt(e))?;
        Ok(Reader {
            base: order.base(attached.core()),
            order,
            attached,
            membership,
            follow: options.follow,
            claimed: Vec::new(),
            done: 0,
            spin: Spin::default(),
            watch: Watch::default(),
            wait_time: Duration::ZERO,
            again: 0,
        })
    }

    /// The ring's geometry.
    pub fn geometry(&self) -> Geometry {
        self.attached.geometry()
    }

    /// Its entry in the participant table: see [`ReaderDiff`](super::ReaderDiff).
    pub fn slot(&self) -> u32 {
        self.membership.slot()
    }

    /// A look at the ring from any thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.attached.clone())
    }

    /// What this reader has done so far.
    pub fn stats(&self) -> Stats {
        Stats {
            redelivered_nodes: self.again,
            missed_nodes: self.missed_nodes(),
            ..Stats::of_reader(self.membership.entry(), self.wait_time)
        }
    }

    /// Nodes of a broadcast ring that were gone when this reader came to them: a
    /// writer that does not wait has dropped them. Those and the nodes it got
    /// are all that were committed since it joined.
    pub fn missed_nodes(&self) -> u64 {
        match &self.order {
            Order::Queue { .. } => 0,
            Order::Broadcast(place) => place.missed,
        }
    }

    /// Claims the next node, and further ones that are there now, up to
    /// `want` nodes and about `want_bytes` bytes. Blocks until there is one,
    /// or the stream has ended.
    ///
    /// # Errors
    ///
    /// [`RingError::TimedOut`], [`RingError::Cancelled`], or the ring is gone
    /// or damaged. What was claimed before that was found goes back with the
    /// next call, or when the reader is dropped.
    pub fn claim(
        &mut self,
        want: usize,
        want_bytes: usize,
        wait: &Wait<'_>,
    ) -> Result<Claim<'_>, RingError> {
        self.begin(want)?;
        for _ in 0..QUICK_TRIES {
            if let Some(found) = self.look(want, want_bytes)? {
                return Ok(self.found(found));
            }
            std::hint::spin_loop();
        }
        let found = self.block(want, want_bytes, wait)?;
        Ok(self.found(found))
    }

    /// As [`Reader::claim`], but never blocks: `None` if nothing is there and
    /// the stream has not ended.
    ///
    /// # Errors
    ///
    /// The ring is gone or damaged.
    pub fn try_claim(
        &mut self,
        want: usize,
        want_bytes: usize,
    ) -> Result<Option<Claim<'_>>, RingError> {
        self.begin(want)?;
        let mut found = self.look(want, want_bytes)?;
        if found.is_none() {
            // Who only ever tries must find the dead, too.
            let wait = Wait::default();
            self.claiming(want, want_bytes, &wait).rounds.sweep()?;
            found = self.look(want, want_bytes)?;
        }
        Ok(found.map(|found| self.found(found)))
    }

    fn found(&mut self, found: Found) -> Claim<'_> {
        match found {
            Found::Nodes => {
                self.again += self
                    .claimed
                    .iter()
                    .filter(|claimed| claimed.token.again)
                    .count() as u64;
                Claim::Nodes(ReadNodes { reader: self })
            }
            Found::End { clean } => Claim::End { clean },
        }
    }

    #[inline]
    fn begin(&mut self, want: usize) -> Result<(), RingError> {
        self.attached.gone()?;
        self.give_back();
        self.claimed.clear();
        self.done = 0;
        self.claimed.reserve(want.clamp(1, 4096));
        Ok(())
    }

    #[inline]
    fn look(&mut self, want: usize, want_bytes: usize) -> Result<Option<Found>, RingError> {
        let wait = Wait::default();
        self.claiming(want, want_bytes, &wait).find()
    }

    #[cold]
    fn block(
        &mut self,
        want: usize,
        want_bytes: usize,
        wait: &Wait<'_>,
    ) -> Result<Found, RingError> {
        let began = Instant::now();
        add(&self.membership.entry().counters.reader_waits, 1);
        let mut spin = self.spin;
        let mut task = self.claiming(want, want_bytes, wait);
        task.rounds.sweep()?;
        let bell = task.rounds.attached.ready();
        let result = bell.wait(&mut spin, wait.deadline, &mut task);
        self.spin = spin;
        self.wait_time += began.elapsed();
        result
    }

    fn claiming<'a>(
        &'a mut self,
        want: usize,
        want_bytes: usize,
        wait: &'a Wait<'a>,
    ) -> Claiming<'a> {
        Claiming {
            rounds: Rounds {
                attached: &self.attached,
                membership: &self.membership,
                wait,
                watch: &mut self.watch,
                reads: true,
            },
            order: &mut self.order,
            claimed: &mut self.claimed,
            base: (!self.follow).then_some(self.base),
            // More there cannot be, whatever a hostile peer makes it seem.
            want: want.min(self.attached.geometry().nodes as usize),
            want_bytes,
        }
    }

    #[inline]
    fn give_back(&mut self) {
        let left = self.claimed.len() - self.done;
        if left > 0 {
            self.give_all_back(left);
        }
    }

    #[cold]
    fn give_all_back(&mut self, left: usize) {
        let core = self.attached.core();
        if let Order::Broadcast(place) = &mut self.order {
            // They are its own, and it comes to them again.
            core.step_back(self.membership.slot(), place);
            self.claimed.truncate(self.done);
            return;
        }
        for Claimed { token, .. } in self.claimed.drain(self.done..) {
            core.give_back(token);
        }
        let redelivered = &self.membership.entry().counters.redelivered_nodes;
        add(redelivered, left as u64);
        crash_point("give-back/counted");
        self.attached.ready().signal(left as u32);
        crash_point("give-back/signalled");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.give_back();
        if let Order::Broadcast(_) = self.order {
            self.attached.core().leave_order(self.membership.slot());
            self.attached.wake_everybody();
            crash_point("leave/woken-writers");
        }
    }
}

struct Claiming<'a> {
    rounds: Rounds<'a>,
    order: &'a mut Order,
    claimed: &'a mut Vec<Claimed>,
    /// `None`: never ends.
    base: Option<Base>,
    want: usize,
    want_bytes: usize,
}

/// Claims the next node of a queue, and says how long it is.
#[inline]
fn claim_one(
    attached: &Attached,
    owner: u32,
    head: &mut Cursor,
    claimed: &mut Vec<Claimed>,
) -> Result<Option<u64>, RingError> {
    let core = attached.core();
    attached.prefetch_this(head);
    let Some(token) = core.claim(owner, head).map_err(|e| attached.corrupt(e))? else {
        return Ok(None);
    };
    let len = match core.len(token) {
        Ok(len) => len,
        Err(e) => {
            core.release(token); // nobody can read it
            attached.signal_freed(1);
            return Err(attached.corrupt(e));
        }
    };
    claimed.push(Claimed { token, len });
    attached.prefetch_next(head);
    Ok(Some(len))
}

impl Attempt for Claiming<'_> {
    type Output = Found;
    type Error = RingError;

    fn attempt(&mut self) -> Result<Option<Found>, RingError> {
        self.find()
    }

    fn look_around(&mut self) -> Result<(), RingError> {
        self.rounds.look_around()
    }

    fn note_unsignalled(&mut self) {
        self.rounds.note_unsignalled();
    }
}

impl Claiming<'_> {
    /// Claims what is there.
    #[inline(always)]
    fn find(&mut self) -> Result<Option<Found>, RingError> {
        let attached = self.rounds.attached;
        let slot = self.rounds.membership.slot();
        let want_bytes = self.want_bytes as u64;
        match self.order {
            Order::Queue { head } => {
                let mut bytes = 0;
                while let Some(len) = claim_one(attached, Core::owner(slot), head, self.claimed)? {
                    bytes += len;
                    if self.claimed.len() >= self.want || bytes >= want_bytes {
                        return Ok(Some(Found::Nodes));
                    }
                }
                if self.claimed.is_empty() {
                    return self.end();
                }
            }
            Order::Broadcast(place) => {
                attached.prefetch_this(&place.next);
                attached
                    .core()
                    .claim_next(slot, place, self.want as u32, want_bytes, self.claimed)
                    .map_err(|e| attached.corrupt(e))?;
                if self.claimed.is_empty() {
                    return self.end();
                }
                attached.prefetch_next(&place.next);
            }
        }
        Ok(Some(Found::Nodes))
    }

    /// Nothing was there. Has the stream ended, and is all of it read?
    fn end(&mut self) -> Result<Option<Found>, RingError> {
        let core = self.rounds.attached.core();
        // First that it has ended, then that nothing is left: the last
        // node was committed before the end.
        let Some(base) = self.base.filter(|base| core.ended_since(*base)) else {
            return Ok(None);
        };
        let all_read = match self.order {
            Order::Queue { .. } => core.drained(),
            Order::Broadcast(place) => core.at_tail(place),
        };
        Ok(all_read.then(|| Found::End {
            clean: core.clean_since(base),
        }))
    }
}

/// Claimed nodes, in order.
///
/// Dropped, those not released are handed to another reader; those of a broadcast
/// ring come again with this reader's next claim.
#[derive(Debug)]
pub struct ReadNodes<'a> {
    reader: &'a mut Reader,
}

impl ReadNodes<'_> {
    /// How many are claimed and not yet released.
    #[allow(clippy::len_without_is_empty)] // a count of a non-empty thing
    pub fn len(&self) -> usize {
        self.reader.claimed.len() - self.reader.done
    }

    /// The payload of node `i` of those not yet released. Whoever may write to
    /// the segment and breaks the protocol can change it meanwhile: copy it
    /// before you check it, if you do not trust them.
    ///
    /// # Panics
    ///
    /// If `i` is not below [`ReadNodes::len`].
    #[inline]
    pub fn node(&self, i: usize) -> &[u8] {
        let Claimed { token, len } = self.reader.claimed[self.reader.done + i];
        self.reader.attached.payload(token.node, len)
    }

    /// Payload bytes in all of them.
    pub fn bytes(&self) -> u64 {
        self.reader.claimed[self.reader.done..]
            .iter()
            .map(|claimed| claimed.len)
            .sum()
    }

    /// The payload of all of them, for `writev(2)`, without the first `skip`
    /// bytes.
    pub fn io_slices(&self, mut skip: usize) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(self.len());
        for i in 0..self.len() {
            let node = self.node(i);
            let skipped = skip.min(node.len());
            skip -= skipped;
            if skipped < node.len() {
                slices.push(IoSlice::new(&node[skipped..]));
            }
        }
        slices
    }

    /// Releases the first one: it counts as read, and its node is free.
    ///
    /// # Panics
    ///
    /// If none is left.
    #[inline]
    pub fn release_first(&mut self) {
        self.release(1);
    }

    /// Releases all of them.
    #[inline]
    pub fn release_all(mut self) {
        self.release(self.len());
    }

    #[inline]
    fn release(&mut self, count: usize) {
        let reader = &mut *self.reader;
        let counters = &reader.membership.entry().counters;
        let released = &reader.claimed[reader.done..reader.done + count];
        let mut bytes = 0;
        match &mut reader.order {
            Order::Queue { .. } => {
                for Claimed { token, len } in released {
                    reader.attached.core().release(*token);
                    bytes += len;
                }
            }
            Order::Broadcast(place) => {
                bytes = released.iter().map(|claimed| claimed.len).sum();
                let slot = reader.membership.slot();
                reader.attached.core().pass(slot, place, count as u32);
            }
        }
        reader.done += count;
        add(&counters.read_nodes, count as u64);
        crash_point("release/counted-nodes");
        add(&counters.read_bytes, bytes);
        crash_point("release/counted-bytes");
        reader.attached.signal_freed(count as u32);
        crash_point("release/signalled");
    }
}

impl Drop for ReadNodes<'_> {
    fn drop(&mut self) {
        self.reader.give_back();
    }
}
