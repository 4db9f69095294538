//! What can be wrong with the words of a segment, each said in one line.

use std::fmt;

/// One word that no correct program can have left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A participant entry whose state is none.
    ParticipantState {
        /// The entry.
        slot: u32,
        /// Its state.
        state: u32,
    },
    /// A node whose state bits name no state.
    NodeState {
        /// The node.
        node: u32,
        /// Its state bits, 6 or 7.
        bits: u64,
    },
    /// A node held by an entry that does not exist.
    NodeOwner {
        /// The node.
        node: u32,
        /// What it is.
        state: &'static str,
        /// Entry + 1, or 0 for nobody.
        owner: u32,
        /// Entries there are.
        participants: u32,
    },
    /// A committed node longer than nodes are.
    NodeLength {
        /// The node.
        node: u32,
        /// Its length in bytes.
        len: u64,
        /// Bytes of a node.
        node_size: u64,
    },
    /// An order cell that names a node there is not.
    CellNode {
        /// The cell.
        cell: u32,
        /// The node it names.
        node: u32,
        /// Nodes there are.
        nodes: u32,
    },
    /// An order cell filled for a position that is not among the last ones.
    CellLap {
        /// The cell.
        cell: u32,
        /// The position that it says; negative: one before the first.
        position: i64,
        /// Where the order ends.
        end: u64,
    },
    /// A cursor ahead of what has happened.
    Cursor {
        /// `head` or `tail`.
        which: &'static str,
        /// What it says.
        hint: u64,
        /// What the cells and nodes say.
        truth: u64,
    },
    /// A reader of a broadcast ring ahead of what was committed.
    Place {
        /// Its entry.
        slot: u32,
        /// Where it says that it is.
        position: u64,
        /// Where the order ends.
        end: u64,
    },
    /// The order cells and the writers' counters contradict each other.
    Committed {
        /// Nodes committed, by the counters.
        committed: u64,
        /// Nodes committed, by the cells.
        end: u64,
    },
    /// A lock whose writer is an entry that does not exist.
    LockWriter {
        /// The entry.
        slot: u32,
        /// Entries there are.
        participants: u32,
    },
    /// A stream word whose state bits name no state.
    StreamState {
        /// Its state bits.
        bits: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::ParticipantState { slot, state } => {
                write!(f, "participant {slot}: state {state} (0 to 3 exist)")
            }
            Damage::NodeState { node, bits } => {
                write!(f, "node {node}: state bits {bits} (0 to 5 exist)")
            }
            Damage::NodeOwner {
                node,
                state,
                owner: 0,
                ..
            } => {
                write!(f, "node {node}: {state}, but by nobody")
            }
            Damage::NodeOwner {
                node,
                state,
                owner,
                participants,
            } => {
                let slot = owner - 1;
                write!(
                    f,
                    "node {node}: {state} by participant {slot} of {participants}"
                )
            }
            Damage::NodeLength {
                node,
                len,
                node_size,
            } => {
                write!(
                    f,
                    "node {node}: length {len} in a node of {node_size} bytes"
                )
            }
            Damage::CellNode { cell, node, nodes } => {
                write!(f, "order cell {cell}: names node {node} of {nodes}")
            }
            Damage::CellLap {
                cell,
                position,
                end,
            } => {
                write!(
                    f,
                    "order cell {cell}: says position {position}, the order ends at {end}"
                )
            }
            Damage::Cursor { which, hint, truth } => {
                write!(f, "{which} {hint}: by the order cells it is {truth}")
            }
            Damage::Place {
                slot,
                position,
                end,
            } => {
                write!(
                    f,
                    "participant {slot}: reads at position {position}, the order ends at {end}"
                )
            }
            Damage::Committed { committed, end } => {
                write!(
                    f,
                    "counters: {committed} nodes committed, the order has {end}"
                )
            }
            Damage::LockWriter { slot, participants } => {
                write!(f, "lock: held by participant {slot} of {participants}")
            }
            Damage::StreamState { bits } => {
                write!(f, "stream: state bits {bits} (0 to 2 exist)")
            }
        }
    }
}

impl FromIterator<Damage> for DamageReport {
    fn from_iter<I: IntoIterator<Item = Damage>>(damage: I) -> DamageReport {
        let mut report = DamageReport::default();
        damage.into_iter().for_each(|wrong| report.push(wrong));
        report
    }
}

/// What was found wrong: all of it counted, the first few kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DamageReport {
    first: Vec<Damage>,
    count: u64,
}

impl DamageReport {
    /// So many are kept: enough to see a pattern, bounded whatever the ring.
    pub const KEPT: usize = 16;

    /// Adds one.
    pub(crate) fn push(&mut self, damage: Damage) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(damage);
        }
    }

    /// The first [`KEPT`](Self::KEPT) of them.
    pub fn first(&self) -> &[Damage] {
        &self.first
    }
    /// How many there are in all.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// One line for an error message; `None` when nothing is wrong.
    pub fn summary(&self) -> Option<String> {
        let first = self.first.first()?;
        Some(match self.count - 1 {
            0 => first.to_string(),
            more => format!("{first}; and {more} more"),
        })
    }
}
