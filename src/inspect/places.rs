//! What the nodes of a broadcast ring are to its readers.
//!
//! There a committed node stays READY until a writer takes it back, so its word
//! alone does not say whether anybody still waits for it. The readers' places
//! do, each in its own entry:
//!
//! ```text
//!   position      11   12   13   14   15   16
//!   state          .    .    r    #    #    #       ^tail = 17
//!   readers                  A         B            A has 13 in hand and lags 4, B lags 2
//! ```
//!
//! - below all places: *free*, although its message is still there and
//!   a reader may yet join `from oldest` and read it;
//! - in somebody's hands: *reading*; also when the order has gone on over it, so that no
//!   cell names it any more;
//! - otherwise *ready*. One that was committed and is not in the order yet is ready
//!   for everybody.
//!
//! A reader's diff is the number of nodes that are ready or being read from its
//! place on; the ring's diff is the largest of these. Without readers the place is
//! what those who left had passed.
//!
//! Places are read with the tail hint, in the microseconds before the cells are. By how
//! much the order grew until then is added to each place: so a lag is what it was,
//! however fast the ring is.

use super::damage::{Damage, DamageReport};
use super::nodes::{Nodes, Noted, States};
use super::order::{Cursors, Order};
use super::participants::{Participant, Role, Table};
use crate::ring::layout::{NodeWord, PlaceWord, State};

/// Where the readers of a broadcast ring are.
pub(crate) struct Places {
    /// Entries of readers that have joined, and their places.
    readers: Vec<(u32, PlaceWord)>,
    /// What readers that left had passed.
    left: u64,
}

/// How far a reader lags behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Its entry.
    slot: u32,
    /// The first position that it has not done with.
    from: u64,
    /// Nodes that are there for it.
    nodes: u64,
}

impl Places {
    /// Those in the table. `left` is the ring's `head` word.
    pub(crate) fn of(table: &Table, left: u64) -> Places {
        let readers = table.places();
        Places { readers, left }
    }

    /// The slowest reader's place, and how far each lags in an order of so many nodes
    /// that ends at `tail`, the slowest first. The order is `late` positions further than
    /// it was when the places were read.
    pub(crate) fn lags(&self, tail: u64, nodes: u64, late: u64) -> (u64, Vec<Lag>) {
        let within = |position: u64| position.clamp(tail.saturating_sub(nodes), tail);
        let lag = |&(slot, place): &(u32, PlaceWord)| {
            let from = within(place.position().saturating_add(late));
            let nodes = tail - from;
            Lag { slot, from, nodes }
        };
        let mut lags: Vec<Lag> = self.readers.iter().map(lag).collect();
        lags.sort_by_key(|lag| lag.from);
        let head = lags.first().map_or(within(self.left), |lag| lag.from);
        (head, lags)
    }

    /// Makes of what the nodes' words say what they are to the readers, and of
    /// `head` the slowest reader's place. Returns the lags, by the nodes that are there.
    pub(crate) fn tell(
        &self,
        order: &Order<'_>,
        late: u64,
        cursors: &mut Cursors,
        nodes: &mut Nodes,
        damage: &mut DamageReport,
    ) -> Vec<Lag> {
        let tail = cursors.tail;
        let count = nodes.words.len() as u64;
        let oldest = tail.saturating_sub(count);
        let (head, mut lags) = self.lags(tail, count, late);
        cursors.head = head;
        self.check(tail, damage);

        (nodes.states, nodes.diff_bytes) = (States::default(), 0);
        // Of each lag, the nodes that the next one has passed.
        let mut between = vec![0; lags.len()];
        for node in 0..nodes.words.len() {
            let word = nodes.words[node];
            let Some(state) = word.state() else { continue };
            let noted = &nodes.noted[node];
            let position = match state {
                State::Ready | State::Taking => noted.position(order, node as u32, word),
                _ => None,
            };
            let state = match state {
                State::Ready | State::Taking => self.state(noted, position, head),
                state => state,
            };
            nodes.words[node] = word.with(state, word.owner());
            *nodes.states.count_mut(state) += 1;
            if matches!(state, State::Ready | State::Reading) {
                nodes.diff_bytes += noted.len;
                // Those who have overtaken ones in hand are not further than the oldest.
                let at = position.map_or(u64::MAX, |at| at.max(oldest));
                let count = lags.partition_point(|lag| lag.from <= at);
                if let Some(furthest) = count.checked_sub(1) {
                    between[furthest] += 1;
                }
            }
            if let Some(row) = nodes.rows.as_mut().and_then(|rows| rows.get_mut(node)) {
                (row.state, row.position) = (Some(state), position);
            }
        }
        let mut sum = 0;
        for (lag, between) in lags.iter_mut().zip(between).rev() {
            sum += between;
            lag.nodes = sum;
        }
        for (slot, place) in &self.readers {
            nodes.held[*slot as usize] = place.in_hand();
        }
        lags
    }

    /// What a committed node is, which stands at `position`, if anywhere.
    fn state(&self, noted: &Noted, position: Option<u64>, head: u64) -> State {
        let held = |at| self.readers.iter().any(|(_, place)| place.holds(at));
        match position {
            None => State::Ready,
            Some(at) if held(at) => State::Reading,
            Some(at) if noted.is_overtaken() || at < head => State::Free,
            Some(_) => State::Ready,
        }
    }

    /// No place, and nothing passed, is ahead of the order.
    fn check(&self, tail: u64, damage: &mut DamageReport) {
        if self.left > tail {
            damage.push(Damage::Cursor {
                which: "head",
                hint: self.left,
                truth: tail,
            });
        }
        for &(slot, place) in &self.readers {
            let position = place.position();
            if position > tail {
                let end = tail;
                damage.push(Damage::Place {
                    slot,
                    position,
                    end,
                });
            }
        }
    }
}

/// Says in the readers' rows what is their own.
pub(crate) fn tell_readers(participants: &mut [Participant], lags: &[Lag], table: &Table) {
    for reader in participants.iter_mut().filter(|p| p.role == Role::Reader) {
        let lag = lags.iter().find(|lag| lag.slot == reader.slot);
        reader.diff_nodes = lag.map_or(0, |lag| lag.nodes);
        reader.missed_nodes = Some(table.missed_by(reader.slot));
    }
}

impl Noted {
    /// Where the node is in the order, or was when it was overtaken.
    fn position(&self, order: &Order<'_>, node: u32, word: NodeWord) -> Option<u64> {
        let position = self.position_only();
        let there = self.is_overtaken() || order.names(position, node, word.generation());
        there.then_some(position)
    }
}
