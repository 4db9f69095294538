//! What a ring is doing: cursors, node states, diff, stream, counters.
//!
//! A snapshot is taken while the ring works, and it neither stops nor slows
//! anybody, so its parts may be some microseconds apart. What is done about it:
//!
//! - The cursors and the participant table are read before *and* after the
//!   order cells and the node words. Every commit, claim and release changes
//!   one of them; if none changed, the snapshot is of one moment
//!   ([`Ring::consistent`]). If some did, all is read again, a few times; for
//!   rings of more than a few thousand nodes only once more.
//! - If it never comes out so, the last attempt stands, and the numbers are
//!   made to agree with each other: `diff` counts the nodes as they were seen,
//!   at most N; `written` is at least `diff` and what was dropped; `read` is what was written and
//!   is neither in the diff nor dropped. Nothing is ever negative.
//! - What a writer dropped because no node was free was never committed. It counts
//!   as written and as dropped at once, so that `diff = written - read - dropped`
//!   holds whatever was dropped, and how.
//! - A word that no program can have left behind is believed only when it is
//!   still there after all attempts.

use super::damage::{Damage, DamageReport};
use super::nodes::{NodeRow, Nodes, States, state_char};
use super::order::{Cursors, Evidence, Order};
use super::participants::{Participant, Role, Table, Totals};
use super::places::{self, Places};
use super::source::{Source, for_each_item, word32, word64};
use crate::ring::layout::{Layout, RingWords, StreamState, StreamWord};
use crate::ring::{Delivery, Geometry};
use crate::segment::SegmentError;
use serde::{Serialize, Serializer};
use std::mem::offset_of;
use std::time::Duration;

/// Rings up to this many nodes have a node map, one character per node.
pub const MAP_NODES: u32 = 256;

/// A ring's own part of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ring {
    /// `queue` or `broadcast`.
    pub delivery: &'static str,
    /// `futex`, `spin` or `event`.
    pub wait: &'static str,
    /// Nodes of the ring, 2 to 1,048,576.
    pub nodes: u32,
    /// Payload bytes of a node, at most 1 GiB.
    pub node_size: u64,
    /// Nodes written since the ring was made: committed, or dropped because none
    /// was free.
    pub written_nodes: u64,
    /// Nodes of these that were read to the end. Broadcast: that all readers have
    /// passed; what each one read is with the participants.
    pub read_nodes: u64,
    /// Nodes committed and not yet read: ready, being read, or orphaned. Broadcast: by
    /// the slowest reader.
    pub diff_nodes: u64,
    /// Bytes in the nodes written.
    pub written_bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes in the nodes of the diff.
    pub diff_bytes: u64,
    /// Nodes a writer died in before committing.
    pub abandoned_nodes: u64,
    /// Nodes handed on after their reader died or gave them back; also those that were
    /// dropped then, before another reader had them.
    pub redelivered_nodes: u64,
    /// Nodes dropped by writers that did not want to wait: of those written.
    pub dropped_nodes: u64,
    /// Bytes in them.
    pub dropped_bytes: u64,
    /// Nodes that readers of a broadcast ring missed: gone when they came to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_nodes: Option<u64>,
    /// Times writers slept for want of a free node.
    pub writer_waits: u64,
    /// Times readers slept for want of a committed node.
    pub reader_waits: u64,
    /// How many nodes are in which state.
    pub states: States,
    /// The stream of bytes that runs through the ring.
    pub stream: Stream,
    /// Position of the next node to be claimed, in commit order. Broadcast: the
    /// first that some reader has not passed.
    pub head: u64,
    /// Position of the next node to be committed.
    pub tail: u64,
    /// Waits that ended by their time slice although there was work: 0 unless
    /// somebody was killed.
    pub unsignalled_slices: u64,
    /// Whether nothing moved while the snapshot was taken.
    pub consistent: bool,
    /// The words that writers and readers sleep on.
    #[serde(skip)]
    pub event_words: EventWords,
    /// One character per node, for rings of at most [`MAP_NODES`].
    #[serde(skip)]
    pub map: Option<String>,
}

/// The words that the parties of a ring sleep on: odd while somebody may be asleep.
/// Whoever sleeps changes it at least once a second; a ring that waits by `spin` never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventWords {
    /// The one of writers, who sleep until a node is free.
    pub writers: u32,
    /// The one of readers, who sleep until a node is committed.
    pub readers: u32,
}

/// The stream of bytes that runs through a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Whether it has begun, and ended.
    #[serde(serialize_with = "serialize_stream_state")]
    pub state: StreamState,
    /// Whether no writer died in this stream, as far as anybody has noticed
    /// or the kernel says.
    pub clean: bool,
    /// Which stream it is: 1 for the ring's first, 0 before that.
    pub epoch: u64,
}

/// `waiting`, `open` or `ended`.
pub fn stream_state_name(state: StreamState) -> &'static str {
    match state {
        StreamState::Waiting => "waiting",
        StreamState::Open => "open",
        StreamState::Ended => "ended",
    }
}

/// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn serialize_stream_state<S: Serializer>(state: &StreamState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(stream_state_name(*state))
}

/// All that was seen of a ring.
#[derive(Debug)]
pub(crate) struct Observed {
    pub ring: Ring,
    pub participants: Vec<Participant>,
    /// Per-node rows, if they were asked for.
    pub rows: Option<Vec<NodeRow>>,
    pub damage: DamageReport,
}

/// A ring whose header has been checked, and how much of it is wanted.
pub(crate) struct Target<'a> {
    pub source: &'a dyn Source,
    pub participants: u32,
    pub geometry: Geometry,
    pub layout: Layout,
    pub rows: bool,
}

/// Rings with more nodes than this take long enough to read that trying for a
/// consistent snapshot more than once more is not worth it.
const SMALL_RING: u32 = 4096;
/// Between attempts that saw something damaged.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 1 });

impl Target<'_> {
    /// Takes a snapshot. Blocks for no one; with damage in sight, sleeps a few
    /// milliseconds in all to make sure that it stays.
    pub(crate) fn observe(&self) -> Result<Observed, SegmentError> {
        let attempts = if self.geometry.nodes <= SMALL_RING {
            4
        } else {
            2
        };
        let mut observed = self.attempt()?;
        for _ in 1..attempts {
            if !observed.damage.is_empty() {
                std::thread::sleep(PAUSE);
            } else if observed.ring.consistent {
                break;
            }
            observed = self.attempt()?;
        }
        Ok(observed)
    }

    /// Brings up to date what does not take a look at the nodes.
    pub(crate) fn refresh(
        &self,
        ring: &mut Ring,
        participants: &mut Vec<Participant>,
    ) -> Result<(), SegmentError> {
        let (words, event_words) = Words::read(self.source, &self.layout)?;
        let table = Table::read(self.source, self.participants)?;
        let mut held = vec![0; self.participants as usize];
        for participant in participants.iter() {
            if let Some(held) = held.get_mut(participant.slot as usize) {
                *held = participant.held_nodes;
            }
        }
        // What is damaged is for the next look at all of it to say.
        let mut damage = DamageReport::default();
        *participants = table.attached(self.source, &held, &mut damage)?;
        let tail = words.tail;
        let (head, lags) = match self.geometry.delivery {
            Delivery::Queue => (words.head, None),
            Delivery::Broadcast => {
                let places = Places::of(&table, words.head);
                let (head, lags) = places.lags(tail, self.geometry.nodes.into(), 0);
                (head, Some(lags))
            }
        };
        let (diff_nodes, diff_bytes) = match lags {
            None => self.left(&table.totals()),
            Some(_) => self.ahead(&table.totals(), tail - head),
        };
        let seen = Seen {
            diff_nodes,
            diff_bytes,
            states: ring.states,
            cursors: Cursors { head, tail },
            consistent: false,
            event_words,
        };
        let map = ring.map.take();
        *ring = self.ring(&table, &seen, &words, participants);
        ring.map = map;
        for participant in participants.iter_mut() {
            participant.diff_nodes = ring.diff_nodes;
        }
        if let Some(lags) = lags {
            places::tell_readers(participants, &lags, &table);
        }
        Ok(())
    }

    /// The nodes and bytes that the counters leave to be read, of a queue.
    fn left(&self, totals: &Totals) -> (u64, u64) {
        let left =
            |written: u64, read, dropped| written.saturating_sub(dropped).saturating_sub(read);
        let nodes = left(
            totals.written_nodes,
            totals.read_nodes,
            totals.dropped_nodes,
        );
        let bytes = left(
            totals.written_bytes,
            totals.read_bytes,
            totals.dropped_bytes,
        );
        let nodes = nodes.min(self.geometry.nodes.into());
        (
            nodes,
            bytes.min(nodes.saturating_mul(self.geometry.node_size)),
        )
    }

    /// As many nodes, and their bytes if all are of one size.
    fn ahead(&self, totals: &Totals, nodes: u64) -> (u64, u64) {
        let written = totals.written_nodes.max(1);
        let bytes = u128::from(totals.written_bytes) * u128::from(nodes) / u128::from(written);
        let most = nodes.saturating_mul(self.geometry.node_size);
        (nodes, u64::try_from(bytes).unwrap_or(most).min(most))
    }

    fn attempt(&self) -> Result<Observed, SegmentError> {
        let table_before = Table::read(self.source, self.participants)?;
        let (words_before, _) = Words::read(self.source, &self.layout)?;
        let broadcast = self.geometry.delivery == Delivery::Broadcast;
        let places = broadcast.then(|| Places::of(&table_before, words_before.head));
        let cells = self.cells()?;
        let mut damage = DamageReport::default();
        let mut nodes = Nodes::read(self, &mut damage)?;
        let (words_after, event_words) = Words::read(self.source, &self.layout)?;
        let table = Table::read(self.source, self.participants)?;

        let seen = Evidence {
            tail: words_before.tail,
            // Of a broadcast ring it says something else.
            head: places.as_ref().map_or(words_before.head, |_| 0),
            written_before: table_before.totals().written_nodes,
            written_after: table.totals().written_nodes,
            writers: table_before.writers().max(table.writers()),
        };
        let order = Order::new(&cells);
        let consistent = table == table_before && words_after == words_before;
        let mut cursors = order.settle(&seen, &nodes.words, &mut damage);
        nodes.place_rows(&order);
        let lags = places.map(|places| {
            let late = match consistent {
                true => 0,
                false => cursors.tail.saturating_sub(words_before.tail),
            };
            places.tell(&order, late, &mut cursors, &mut nodes, &mut damage)
        });
        let mut participants = table.attached(self.source, &nodes.held, &mut damage)?;
        if words_after.stream & 3 == 3 {
            damage.push(Damage::StreamState { bits: 3 });
        }
        let seen = Seen {
            diff_nodes: nodes.states.diff(),
            diff_bytes: nodes.diff_bytes,
            states: nodes.states,
            cursors,
            consistent,
            event_words,
        };
        let mut ring = self.ring(&table, &seen, &words_after, &participants);
        let map = || nodes.words.iter().map(|word| state_char(word.state()));
        ring.map = (self.geometry.nodes <= MAP_NODES).then(|| map().collect());
        for participant in &mut participants {
            participant.diff_nodes = ring.diff_nodes;
        }
        if let Some(lags) = lags {
            places::tell_readers(&mut participants, &lags, &table);
        }
        Ok(Observed {
            ring,
            participants,
            rows: nodes.rows,
            damage,
        })
    }

    fn ring(
        &self,
        table: &Table,
        seen: &Seen,
        words: &Words,
        participants: &[Participant],
    ) -> Ring {
        let totals = table.totals();
        let &Seen {
            diff_nodes,
            diff_bytes,
            ..
        } = seen;
        let unread_nodes = diff_nodes.saturating_add(totals.dropped_nodes);
        let unread_bytes = diff_bytes.saturating_add(totals.dropped_bytes);
        let committed_nodes = totals.written_nodes.max(unread_nodes);
        let committed_bytes = totals.written_bytes.max(unread_bytes);
        let stream = StreamWord(words.stream);
        // A writer that died and that nobody has recovered yet: the stream is
        // not clean, although nobody has written that down.
        let open = stream.state() == StreamState::Open;
        let died = |p: &Participant| p.role == Role::Writer && !p.alive && !p.leaving;
        let unclean =
            words.unclean_epoch >= stream.epoch() || open && participants.iter().any(died);
        Ring {
            delivery: self.geometry.delivery.as_str(),
            wait: self.geometry.wait.as_str(),
            nodes: self.geometry.nodes,
            node_size: self.geometry.node_size,
            written_nodes: committed_nodes.saturating_add(totals.refused_nodes),
            read_nodes: committed_nodes - unread_nodes,
            diff_nodes,
            written_bytes: committed_bytes.saturating_add(totals.refused_bytes),
            read_bytes: committed_bytes - unread_bytes,
            diff_bytes,
            abandoned_nodes: totals.abandoned_nodes,
            redelivered_nodes: totals.redelivered_nodes,
            dropped_nodes: totals.dropped_nodes.saturating_add(totals.refused_nodes),
            dropped_bytes: totals.dropped_bytes.saturating_add(totals.refused_bytes),
            missed_nodes: match self.geometry.delivery {
                Delivery::Queue => None,
                Delivery::Broadcast => Some(table.missed_nodes()),
            },
            writer_waits: totals.writer_waits,
            reader_waits: totals.reader_waits,
            states: seen.states,
            stream: Stream {
                state: stream.state(),
                clean: stream.epoch() == 0 || !unclean,
                epoch: stream.epoch(),
            },
            head: seen.cursors.head,
            tail: seen.cursors.tail,
            unsignalled_slices: totals.unsignalled_slices,
            consistent: seen.consistent,
            event_words: seen.event_words,
            map: None,
        }
    }

    fn cells(&self) -> Result<Vec<u64>, SegmentError> {
        let mut cells = Vec::with_capacity(self.geometry.nodes as usize);
        let stride = self.layout.cell_stride as usize;
        for_each_item(
            self.source,
            self.layout.cells,
            stride,
            self.geometry.nodes,
            |_, bytes| {
                cells.push(word64(bytes, 0));
            },
        )?;
        Ok(cells)
    }
}

/// What the nodes, or the counters in their place, said.
struct Seen {
    diff_nodes: u64,
    diff_bytes: u64,
    states: States,
    cursors: Cursors,
    consistent: bool,
    event_words: EventWords,
}

/// The words everybody shares, as they were at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words {
    tail: u64,
    head: u64,
    stream: u64,
    unclean_epoch: u64,
    orphans: u64,
}

impl Words {
    /// And the words that parties sleep on, by one read.
    fn read(source: &dyn Source, layout: &Layout) -> Result<(Words, EventWords), SegmentError> {
        let mut bytes = [0; offset_of!(RingWords, ready_event)];
        source.read_at(layout.words, &mut bytes)?;
        let event_words = EventWords {
            writers: word32(&bytes, offset_of!(RingWords, free)),
            readers: word32(&bytes, offset_of!(RingWords, ready)),
        };
        let words = Words {
            tail: word64(&bytes, offset_of!(RingWords, tail)),
            head: word64(&bytes, offset_of!(RingWords, head)),
            stream: word64(&bytes, offset_of!(RingWords, stream)),
            unclean_epoch: word64(&bytes, offset_of!(RingWords, unclean_epoch)),
            orphans: word64(&bytes, offset_of!(RingWords, orphans)),
        };
        Ok((words, event_words))
    }
}
