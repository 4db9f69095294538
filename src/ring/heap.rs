//! A ring's shared words on the heap, for the tests and the models: the
//! protocol does not know where they lie.

use super::layout::{CellBits, NodeWords, RingWords};
use super::protocol::{Core, NOTHING_PENDING, Reuse};
use crate::segment::layout::Entry;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The words of a ring, without payload.
pub struct Heap {
    pub words: RingWords,
    pub cells: Vec<AtomicU64>,
    pub nodes: Vec<NodeWords>,
    pub entries: Vec<Entry>,
    pub reuse: Reuse,
    pub broadcast: bool,
}

impl Heap {
    pub fn new(nodes: u32, entries: u32) -> Heap {
        let heap = Heap {
            words: RingWords::default(),
            cells: (0..nodes).map(|_| AtomicU64::default()).collect(),
            nodes: (0..nodes).map(|_| NodeWords::default()).collect(),
            entries: (0..entries).map(|_| Entry::default()).collect(),
            reuse: Reuse::RoundRobin,
            broadcast: false,
        };
        for entry in &heap.entries {
            let pending = &entry.counters.pending_node;
            pending.store(NOTHING_PENDING, Ordering::Relaxed);
        }
        heap
    }

    /// The same, where every reader gets every node.
    pub fn broadcast(nodes: u32, entries: u32) -> Heap {
        Heap {
            broadcast: true,
            ..Heap::new(nodes, entries)
        }
    }

    pub fn core(&self) -> Core<'_> {
        Core {
            words: &self.words,
            cells: &self.cells,
            cell_shift: 0,
            nodes: &self.nodes,
            entries: &self.entries,
            bits: CellBits::new(self.nodes.len() as u32),
            node_size: 1 << 20,
            reuse: self.reuse,
            broadcast: self.broadcast,
        }
    }
}
