//! Writing without waiting: what becomes of a message when the ring is full.
//!
//! ```text
//!                 a node is free   none is free
//!  Block          publish it       wait
//!  DropNew        publish it       drop the new message
//!  DropOld        publish it       drop the oldest that no reader has, publish it in its node;
//!                                  readers and writers have them all: as DropNew
//! ```
//!
//! Live data wants this: a slow reader is to see the newest frames, or whole runs
//! of old ones, and the producer is not to notice it. What is dropped is always a
//! whole node, and what is left arrives in order.
//!
//! **Every drop is counted**, in [`Stats`](super::Stats) and in the ring: a dropped
//! node counts as written and as dropped, be it a message that found no room or
//! one that had been committed, so that `diff = written - read - dropped` holds. A
//! committed node that is dropped is counted also if its dropper is killed at any
//! instruction (see [`super::super::recovery`]); a message that finds no room dies with a
//! writer that is killed before it has counted it, and then nobody has ever seen it. (Killed
//! just between counting the node and its bytes, it leaves those bytes out.)
//!
//! A writer that drops never sleeps, but it looks for the dead all the same, at
//! most once per slice: a dead reader's nodes can be dropped, too.

use super::{Attempt, RingError, Take, Wait, WriteNodes, Writer, add, copy_into, crash_point};
use crate::segment::layout::Entry;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What a writer does with a message for which no node is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It waits until one is.
    #[default]
    Block,
    /// It drops the message.
    DropNew,
    /// It drops the oldest node that is committed and that no reader has, and
    /// uses that one. If readers and writers have all of them, it drops the
    /// message.
    DropOld,
}

impl Writer {
    /// Publishes `message` as one node, or does with it what `on_full` says;
    /// whether it was published. Blocks with [`OnFull::Block`] only.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    ///
    /// # Example
    ///
    /// A reader that comes late sees the newest frames:
    ///
    /// ```
    /// use shmkit::ring::{self, Claim, Geometry, OnFull, Reader, ReaderOptions, Wait, Writer};
    /// use shmkit::segment::{self, Name, OpenOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let name = Name::new(&format!("doc-frames-{}", std::process::id()))?;
    /// ring::create(&name, Geometry { nodes: 2, node_size: 64, ..Geometry::default() }, 0o600)?;
    /// let mut writer = Writer::attach(&name, OpenOptions::default())?;
    /// for frame in ["one", "two", "three"] {
    ///     assert!(writer.offer(frame.as_bytes(), OnFull::DropOld, &Wait::default())?);
    /// }
    /// assert!(!writer.offer(b"four", OnFull::DropNew, &Wait::default())?);
    /// assert_eq!(writer.stats().dropped_nodes, 2);
    /// writer.end();
    ///
    /// let mut reader = Reader::attach(&name, &ReaderOptions::default())?;
    /// for frame in ["two", "three"] {
    ///     let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &Wait::default())? else {
    ///         panic!("the stream ended early")
    ///     };
    ///     assert_eq!(nodes.node(0), frame.as_bytes());
    ///     nodes.release_all();
    /// }
    /// # drop(reader);
    /// # segment::remove(&name, false, OpenOptions::default())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn offer(
        &mut self,
        message: &[u8],
        on_full: OnFull,
        wait: &Wait<'_>,
    ) -> Result<bool, RingError> {
        if message.len() as u64 > self.geometry().node_size {
            return Err(self.too_long(message.len()));
        }
        let mut nodes = match on_full {
            OnFull::Block => self.reserve(1, wait)?,
            OnFull::DropNew if self.take_free(1)? => WriteNodes { writer: self },
            OnFull::DropOld if self.take_free_or_oldest()? => WriteNodes { writer: self },
            OnFull::DropNew | OnFull::DropOld => {
                self.drop_new(message.len() as u64);
                return Ok(false);
            }
        };
        copy_into(nodes.node_mut(0), message);
        nodes.commit_first(message.len())?;
        Ok(true)
    }

    /// Reserves a node without ever blocking: a free one or, if there is none,
    /// the oldest that is committed and that no reader has, which is dropped.
    /// `None` if readers and writers have them all.
    ///
    /// Reserve when the message is there: a node that is dropped for one that
    /// then does not come is lost for nothing.
    ///
    /// # Errors
    ///
    /// The ring is gone or damaged.
    pub fn reserve_or_drop_oldest(&mut self) -> Result<Option<WriteNodes<'_>>, RingError> {
        Ok(self
            .take_free_or_oldest()?
            .then_some(WriteNodes { writer: self }))
    }

    /// Whether there was one.
    fn take_free_or_oldest(&mut self) -> Result<bool, RingError> {
        self.begin(1)?;
        let wait = Wait::default();
        let mut reserving = self.reserving(&wait);
        if let Some(token) = reserving.peek()? {
            self.tokens.push(token);
            return Ok(true);
        }
        reserving.rounds.sweep()?;
        Ok(self.fill(1, Take::Oldest)? > 0)
    }

    /// Counts a message of `bytes` bytes that was not published because
    /// [`Writer::try_reserve`] or [`Writer::reserve_or_drop_oldest`] had no node
    /// for it. ([`Writer::offer`] does that itself.)
    pub fn drop_new(&mut self, bytes: u64) {
        let counters = &self.membership.entry().counters;
        add(&counters.refused_nodes, 1);
        crash_point("refuse/counted-nodes");
        add(&counters.refused_bytes, bytes);
        crash_point("refuse/counted-bytes");
    }
}

/// What was dropped in a writer's entry so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropped {
    pub nodes: u64,
    pub bytes: u64,
}

impl Dropped {
    pub fn now(entry: &Entry) -> Dropped {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &entry.counters;
        Dropped {
            nodes: now(&counters.dropped_nodes).wrapping_add(now(&counters.refused_nodes)),
            bytes: now(&counters.dropped_bytes).wrapping_add(now(&counters.refused_bytes)),
        }
    }
}
