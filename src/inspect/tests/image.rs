//! A ring's memory without a ring.

use super::super::ring::{Observed, Target};
use super::super::source::Source;
use crate::ring::layout::{
    CellBits, Layout, NODE_WORDS_SIZE, NodeWord, NodeWords, PlaceWord, RingWords, State, StreamWord,
};
use crate::ring::{Delivery, Geometry, WaitStrategy};
use crate::segment::layout::{Counters, ENTRY_SIZE, Entry, HEADER_SIZE, READER};
use crate::segment::{Gone, Name, SegmentError};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::mem::offset_of;

pub const PARTICIPANTS: u32 = 128;

/// The memory of a ring up to its payload, and who lives.
pub struct Image {
    pub geometry: Geometry,
    pub layout: Layout,
    pub bytes: RefCell<Vec<u8>>,
    pub alive: BTreeSet<u32>,
    /// Changes the bytes before the read of that number, as a busy peer does.
    pub meanwhile: Option<fn(&Image, u32)>,
    reads: RefCell<u32>,
}

impl Source for Image {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SegmentError> {
        *self.reads.borrow_mut() += 1;
        if let Some(meanwhile) = self.meanwhile {
            meanwhile(self, *self.reads.borrow());
        }
        let bytes = self.bytes.borrow();
        let offset = offset as usize;
        match bytes.get(offset..offset + buf.len()) {
            Some(these) => buf.copy_from_slice(these),
            None => {
                let name = Name::new("image")?;
                return Err(SegmentError::Gone {
                    name,
                    gone: Gone::Truncated,
                });
            }
        }
        Ok(())
    }
    fn is_alive(&self, slot: u32) -> Result<bool, SegmentError> {
        Ok(self.alive.contains(&slot))
    }
}

impl Image {
    pub fn new(nodes: u32, node_size: u64) -> Image {
        let (delivery, wait) = (Delivery::Queue, WaitStrategy::Futex);
        let structure = HEADER_SIZE + u64::from(PARTICIPANTS) * ENTRY_SIZE;
        let layout = Layout::new(structure, u64::from(nodes), node_size).unwrap();
        Image {
            geometry: Geometry {
                nodes,
                node_size,
                delivery,
                wait,
            },
            layout,
            bytes: RefCell::new(vec![0; layout.payload as usize]),
            alive: BTreeSet::new(),
            meanwhile: None,
            reads: RefCell::new(0),
        }
    }

    /// The same for a broadcast ring.
    pub fn broadcast(nodes: u32, node_size: u64) -> Image {
        let mut image = Image::new(nodes, node_size);
        image.geometry.delivery = Delivery::Broadcast;
        image
    }

    pub fn put(&self, offset: u64, word: u64) {
        let offset = offset as usize;
        self.bytes.borrow_mut()[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    }
    pub fn put32(&self, offset: u64, word: u32) {
        let offset = offset as usize;
        self.bytes.borrow_mut()[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    pub fn cursors(&self, head: u64, tail: u64) {
        self.put(self.layout.words + offset_of!(RingWords, head) as u64, head);
        self.put(self.layout.words + offset_of!(RingWords, tail) as u64, tail);
    }
    pub fn stream(&self, word: StreamWord) {
        self.put(
            self.layout.words + offset_of!(RingWords, stream) as u64,
            word.0,
        );
    }
    pub fn unclean_epoch(&self, epoch: u64) {
        self.put(
            self.layout.words + offset_of!(RingWords, unclean_epoch) as u64,
            epoch,
        );
    }
    pub fn node(&self, node: u32, word: NodeWord, len: u64, position: u64) {
        let at = self.layout.nodes + u64::from(node) * NODE_WORDS_SIZE;
        self.put(at + offset_of!(NodeWords, word) as u64, word.0);
        self.put(at + offset_of!(NodeWords, len) as u64, len);
        self.put(at + offset_of!(NodeWords, position) as u64, position);
    }
    pub fn raw_cell(&self, cell: u64, value: u64) {
        self.put(self.layout.cells + cell * self.layout.cell_stride, value);
    }
    pub fn cell(&self, position: u64, generation: u64, node: u32) {
        let nodes = u64::from(self.geometry.nodes);
        let bits = CellBits::new(self.geometry.nodes);
        self.raw_cell(
            position % nodes,
            bits.pack(position / nodes + 1, generation, node),
        );
    }
    /// Position p is node p % N in generation p / N, as in a ring that goes
    /// round: committed from 0 to `tail`, read up to `head`, by entry 0.
    pub fn run(&self, head: u64, tail: u64, len: u64) {
        let nodes = u64::from(self.geometry.nodes);
        for position in 0..tail {
            let (node, generation) = ((position % nodes) as u32, position / nodes);
            self.cell(position, generation, node);
            let ready = NodeWord::new(State::Ready, 1, generation);
            let word = if position < head {
                ready.freed()
            } else {
                ready
            };
            self.node(node, word, len, position);
        }
        self.cursors(head, tail);
        self.counters(0, offset_of!(Counters, written_nodes), tail);
        self.counters(0, offset_of!(Counters, written_bytes), tail * len);
    }
    pub fn entry_at(slot: u32) -> u64 {
        HEADER_SIZE + u64::from(slot) * ENTRY_SIZE
    }
    pub fn counters(&self, slot: u32, offset: usize, value: u64) {
        self.put(
            Self::entry_at(slot) + (offset_of!(Entry, counters) + offset) as u64,
            value,
        );
    }
    pub fn base(&self, slot: u32, offset: usize, value: u64) {
        self.put(Self::entry_at(slot) + offset as u64, value);
    }
    pub fn attach(&mut self, slot: u32, state: u32, pid: u32, alive: bool) {
        self.put32(
            Self::entry_at(slot) + offset_of!(Entry, state) as u64,
            state,
        );
        self.put32(Self::entry_at(slot) + offset_of!(Entry, pid) as u64, pid);
        self.base(
            slot,
            offset_of!(Entry, since_unix_ns),
            1_000_000_000 * u64::from(slot + 1),
        );
        if alive {
            self.alive.insert(slot);
        }
    }
    /// A living reader of a broadcast ring, which has passed all before `position`.
    pub fn place(&mut self, slot: u32, position: u64, in_hand: u32) {
        self.attach(slot, READER, 4242 + slot, true);
        let place = PlaceWord::new(position, in_hand);
        self.base(slot, offset_of!(Entry, cursor), place.0);
    }
    pub fn observe(&self) -> Observed {
        self.try_observe().unwrap()
    }
    pub fn try_observe(&self) -> Result<Observed, SegmentError> {
        let (geometry, layout) = (self.geometry, self.layout);
        Target {
            source: self,
            participants: PARTICIPANTS,
            geometry,
            layout,
            rows: true,
        }
        .observe()
    }
    pub fn damage(&self) -> Vec<String> {
        self.observe()
            .damage
            .first()
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}
