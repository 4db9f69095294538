//! The nodes of a ring: what each one is, who holds it, and the sums of that.
//!
//! Of a ring with many nodes only the words are kept (8 bytes each), which the
//! cursors are settled by; rows are made when they were asked for.

use super::damage::{Damage, DamageReport};
use super::order::Order;
use super::ring::Target;
use super::source::{for_each_item, word64};
use crate::ring::layout::{NODE_WORDS_SIZE, NodeWord, NodeWords, OVERTAKEN, State};
use crate::ring::{Delivery, Geometry};
use crate::segment::SegmentError;
use serde::{Serialize, Serializer};
use std::mem::offset_of;

/// How many nodes are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct States {
    /// Nobody's. Broadcast: also those that all readers have passed.
    pub free: u32,
    /// Being filled.
    pub writing: u32,
    /// Committed, not yet claimed.
    pub ready: u32,
    /// Being emptied.
    pub reading: u32,
    /// Left by a reader for the next one.
    pub orphan: u32,
}

impl States {
    pub(super) fn count_mut(&mut self, state: State) -> &mut u32 {
        match state {
            State::Free => &mut self.free,
            State::Writing => &mut self.writing,
            // (About to be written anew, if no reader objects.)
            State::Ready | State::Taking => &mut self.ready,
            State::Reading => &mut self.reading,
            State::Orphan => &mut self.orphan,
        }
    }

    /// Nodes committed and not yet read to the end.
    pub fn diff(&self) -> u64 {
        u64::from(self.ready) + u64::from(self.reading) + u64::from(self.orphan)
    }
}

/// `free`, `writing`, `ready`, `reading`, `orphan`; `damaged` for none of them.
pub fn state_name(state: Option<State>) -> &'static str {
    match state {
        Some(State::Free) => "free",
        Some(State::Writing) => "writing",
        Some(State::Ready | State::Taking) => "ready",
        Some(State::Reading) => "reading",
        Some(State::Orphan) => "orphan",
        None => "damaged",
    }
}

/// A node's character in the map.
pub fn state_char(state: Option<State>) -> char {
    match state {
        Some(State::Free) => '.',
        Some(State::Writing) => 'w',
        Some(State::Ready | State::Taking) => '#',
        Some(State::Reading) => 'r',
        Some(State::Orphan) => 'o',
        None => '?',
    }
}

/// One node, as `--nodes` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// Its number.
    pub node: u32,
    /// What it is; `None` when the word is damaged.
    #[serde(serialize_with = "serialize_state")]
    pub state: Option<State>,
    /// The entry of the participant that holds it or has committed it.
    pub owner: Option<u32>,
    /// How often it has come free.
    pub generation: u64,
    /// Committed payload bytes, at most the node's size; 0 when it is free or
    /// being filled. (Broadcast: not 0 where the bytes are there still.)
    pub len: u64,
    /// Its place in the commit order, once it has one.
    pub position: Option<u64>,
}

/// The signature is serde's.
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
fn serialize_state<S: Serializer>(state: &Option<State>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state_name(*state))
}

impl NodeRow {
    /// Whether it holds committed bytes that nobody has read to the end.
    pub fn is_committed(&self) -> bool {
        matches!(
            self.state,
            Some(State::Ready | State::Taking | State::Reading | State::Orphan)
        )
    }
}

/// What the node descriptors said.
pub(crate) struct Nodes {
    /// The word of each node.
    pub words: Vec<NodeWord>,
    /// How many are in which state.
    pub states: States,
    /// Bytes in those committed and not yet read to the end.
    pub diff_bytes: u64,
    /// Nodes that each participant entry holds.
    pub held: Vec<u32>,
    /// A row for each node, if wanted.
    pub rows: Option<Vec<NodeRow>>,
    /// Of a broadcast ring, what stands beside each node's word.
    pub noted: Vec<Noted>,
}

/// What stands beside a node's word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    position: u64,
    /// Payload bytes, at most the node's size.
    pub len: u64,
}

impl Noted {
    /// Where in the order it stands, or once stood.
    pub(super) fn position_only(&self) -> u64 {
        self.position & !OVERTAKEN
    }
    /// Whether the order has gone on over it.
    pub(super) fn is_overtaken(&self) -> bool {
        self.position & OVERTAKEN != 0
    }
}

impl Nodes {
    /// Reads the descriptors of all nodes.
    pub(crate) fn read(
        target: &Target<'_>,
        damage: &mut DamageReport,
    ) -> Result<Nodes, SegmentError> {
        let Geometry {
            nodes: count,
            node_size,
            delivery,
            ..
        } = target.geometry;
        let mut nodes = Nodes {
            words: Vec::with_capacity(count as usize),
            states: States::default(),
            diff_bytes: 0,
            held: vec![0; target.participants as usize],
            rows: target.rows.then(|| Vec::with_capacity(count as usize)),
            noted: Vec::new(),
        };
        let (offset, stride) = (target.layout.nodes, NODE_WORDS_SIZE as usize);
        for_each_item(target.source, offset, stride, count, |node, bytes| {
            nodes.add(node, bytes, node_size, damage);
            if delivery == Delivery::Broadcast {
                nodes.noted.push(Noted {
                    position: word64(bytes, offset_of!(NodeWords, position)),
                    len: word64(bytes, offset_of!(NodeWords, len)).min(node_size),
                });
            }
        })?;
        Ok(nodes)
    }

    /// Leaves a row its position only where that means something: it is written
    /// with the append, so a ready node may still have the one of its last
    /// time round.
    pub(crate) fn place_rows(&mut self, order: &Order<'_>) {
        for row in self.rows.iter_mut().flatten() {
            let NodeRow {
                node,
                state,
                generation,
                ..
            } = *row;
            row.position = row.position.filter(|&position| match state {
                Some(State::Ready | State::Taking) => order.names(position, node, generation),
                Some(State::Reading | State::Orphan) => true,
                _ => false,
            });
        }
    }

    fn add(&mut self, node: u32, bytes: &[u8], node_size: u64, damage: &mut DamageReport) {
        let word = NodeWord(word64(bytes, offset_of!(NodeWords, word)));
        let len = word64(bytes, offset_of!(NodeWords, len));
        let state = word.state();
        self.words.push(word);
        let mut row = NodeRow {
            node,
            state,
            owner: word.owner().checked_sub(1),
            generation: word.generation(),
            len: 0,
            position: Some(word64(bytes, offset_of!(NodeWords, position))),
        };
        match state {
            None => damage.push(Damage::NodeState {
                node,
                bits: word.0 & 7,
            }),
            Some(state) => {
                *self.states.count_mut(state) += 1;
                if row.is_committed() {
                    if len > node_size {
                        damage.push(Damage::NodeLength {
                            node,
                            len,
                            node_size,
                        });
                    }
                    row.len = len.min(node_size);
                    self.diff_bytes += row.len;
                }
                self.hold(node, state, word.owner(), damage);
            }
        }
        if let Some(rows) = &mut self.rows {
            rows.push(row);
        }
    }

    /// Counts the node for its holder, and checks that there is one.
    fn hold(&mut self, node: u32, state: State, owner: u32, damage: &mut DamageReport) {
        let holds = matches!(state, State::Writing | State::Reading);
        let participants = self.held.len() as u32;
        match owner
            .checked_sub(1)
            .map(|slot| self.held.get_mut(slot as usize))
        {
            Some(Some(held)) => *held += u32::from(holds),
            None if !holds => {}
            _ => {
                let state = state_name(Some(state));
                damage.push(Damage::NodeOwner {
                    node,
                    state,
                    owner,
                    participants,
                });
            }
        }
    }
}
