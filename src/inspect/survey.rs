//! The nodes of a ring, summed up for a map of a given size.
//!
//! ```text
//! nodes    0 1 2 3 | 4 5 6 7 | 8 9 .     10 nodes, 4 to a cell
//! read     * * - -   * * - -   * * -     2 of each, when that is the limit
//! cells    ........ ......... .......    states of those read; who holds them
//! ```
//!
//! A live map is looked at several times a second, and a ring may have a million
//! nodes, 64 MiB of descriptors. So only a bounded number of each cell's nodes is
//! read, those that it begins with; a map of a thousand cells costs about a
//! millisecond, however many nodes there are. Where the limit is not reached the
//! map is exact.
//!
//! Nothing is brought to agree: a map is a picture. What makes no sense is
//! counted as damaged here, and named by a [`Snapshot`](super::Snapshot).

use super::nodes::{NodeRow, States};
use super::ring_layout;
use super::source::{Source, for_each_item, word64};
use crate::ring::Delivery;
use crate::ring::layout::{NODE_WORDS_SIZE, NodeWord, NodeWords, State};
use crate::segment::{Kind, Opened, SegmentError};
use std::mem::offset_of;

/// So many nodes of a cell are read at most: 2 KiB of descriptors.
const READ_PER_CELL: u32 = 32;

/// The states of all nodes of a ring, a number of nodes to a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Nodes of the ring.
    pub nodes: u32,
    /// Nodes that a cell stands for; the last may stand for fewer.
    pub nodes_per_cell: u32,
    /// The cells, in the order of nodes.
    pub cells: Vec<Cell>,
}

impl Survey {
    /// How many of a cell's nodes were looked at: of many only the first.
    pub fn looked_at_per_cell(&self) -> u32 {
        self.nodes_per_cell.min(READ_PER_CELL)
    }
}

/// Some nodes that lie side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The states of those that were looked at.
    pub states: States,
    /// Those looked at whose words make no sense.
    pub damaged: u32,
    /// The entry of the participant that fills or empties one of them: of the
    /// first of these nodes.
    pub holder: Option<u32>,
}

impl Cell {
    fn add(&mut self, state: Option<State>, owner: Option<u32>) {
        match state {
            Some(state) => *self.states.count_mut(state) += 1,
            None => self.damaged += 1,
        }
        if matches!(state, Some(State::Writing | State::Reading)) {
            self.holder = self.holder.or(owner);
        }
    }

    /// How many nodes were looked at.
    pub fn seen(&self) -> u32 {
        let States {
            free,
            writing,
            ready,
            reading,
            orphan,
        } = self.states;
        free + writing + ready + reading + orphan + self.damaged
    }
}

impl Survey {
    /// Looks at an open ring: one read for each cell, of 2 KiB at most. Does not
    /// block. `nodes_per_cell` is at least 1. `passed` is the position below which
    /// all readers of a broadcast ring are done, so that its nodes are as good as
    /// free: [`Ring::head`](super::Ring::head). Without meaning for a queue.
    ///
    /// # Errors
    ///
    /// [`SegmentError::WrongKind`] when it is no ring, and those of
    /// [`Snapshot::take`](super::Snapshot::take).
    pub fn take(opened: &Opened, nodes_per_cell: u32, passed: u64) -> Result<Survey, SegmentError> {
        let found = opened.header().kind;
        if found != Kind::Ring {
            return Err(SegmentError::WrongKind {
                name: opened.name().clone(),
                expected: Kind::Ring,
                found,
            });
        }
        let (geometry, layout) = ring_layout(opened)?;
        let passed = match geometry.delivery {
            Delivery::Queue => 0,
            Delivery::Broadcast => passed,
        };
        Survey::read(opened, layout.nodes, geometry.nodes, nodes_per_cell, passed)
    }

    /// Looks at `nodes` nodes whose descriptors begin at `offset`.
    pub(super) fn read(
        source: &dyn Source,
        offset: u64,
        nodes: u32,
        nodes_per_cell: u32,
        passed: u64,
    ) -> Result<Survey, SegmentError> {
        let nodes_per_cell = nodes_per_cell.max(1);
        let mut cells = Vec::with_capacity(nodes.div_ceil(nodes_per_cell) as usize);
        for first in (0..nodes).step_by(nodes_per_cell as usize) {
            let count = nodes_per_cell.min(nodes - first).min(READ_PER_CELL);
            let at = offset + u64::from(first) * NODE_WORDS_SIZE;
            let mut cell = Cell::default();
            for_each_item(source, at, NODE_WORDS_SIZE as usize, count, |_, bytes| {
                let word = NodeWord(word64(bytes, offset_of!(NodeWords, word)));
                // An overtaken one, whose mark makes it larger, is in somebody's hands.
                let position = word64(bytes, offset_of!(NodeWords, position));
                let state = match word.state() {
                    Some(State::Ready) if position < passed => Some(State::Free),
                    state => state,
                };
                cell.add(state, word.owner().checked_sub(1));
            })?;
            cells.push(cell);
        }
        Ok(Survey {
            nodes,
            nodes_per_cell,
            cells,
        })
    }

    /// The same of the rows of a snapshot, which are all of a ring's nodes.
    pub fn of_rows(rows: &[NodeRow], nodes_per_cell: u32) -> Survey {
        let nodes_per_cell = nodes_per_cell.max(1);
        let cell = |rows: &[NodeRow]| {
            let mut cell = Cell::default();
            rows.iter().for_each(|row| cell.add(row.state, row.owner));
            cell
        };
        Survey {
            nodes: rows.len() as u32,
            nodes_per_cell,
            cells: rows.chunks(nodes_per_cell as usize).map(cell).collect(),
        }
    }
}
