//! How a ring lies in its segment: words, bit fields and offsets, and nothing
//! else.
//!
//! ```text
//! structure_offset   RingWords          4096 B: cursors, stream, sleepers
//!   + 4096           cells              N words, 8 B apart (64 B for nodes < 1K)
//!   + ...            NodeWords * N      64 B each
//! payload_offset     payload * N        page-aligned stride for nodes >= 4K, 64 B below
//! ```
//!
//! Nodes and order are two things. A *node* is a payload buffer with a word
//! that says who has it; the *order* is a circle of cells, each naming a node
//! that was committed. [`super::protocol`] says how both change.

use crate::sync::atomic::AtomicU64;
use crate::sync::event_word::EventWord;

/// The fewest nodes a ring may have.
pub const MIN_NODES: u64 = 2;
/// The most nodes a ring may have.
pub const MAX_NODES: u64 = 1 << 20;
/// The largest node.
pub const MAX_NODE_SIZE: u64 = 1 << 30;
/// Bytes kept for [`RingWords`].
pub const WORDS_SIZE: u64 = 4096;
/// Bytes of one node's descriptor.
pub const NODE_WORDS_SIZE: u64 = 64;
/// Bytes kept for one of `raw_sync`'s events, whose own size differs by libc.
pub const EVENT_SIZE: usize = 256;

/// A value in a pair of cache lines of its own.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct Line<T>(pub T);

/// The words of a ring that everybody shares.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RingWords {
    /// Hint: the position where the next node is appended, or one before it.
    pub tail: Line<AtomicU64>,
    /// Queue: hint: the position of the next node to claim, or one before it.
    /// Broadcast: what readers that are no longer there had all passed: see
    /// [`super::broadcast`].
    pub head: Line<AtomicU64>,
    /// The stream's state: see [`StreamWord`].
    pub stream: Line<AtomicU64>,
    /// The last stream (its epoch) in which a writer died; 0: none.
    pub unclean_epoch: Line<AtomicU64>,
    /// Bit 0: there may be orphans (queue), or nodes to be had out of turn
    /// (broadcast); the rest changes with each one.
    pub orphans: Line<AtomicU64>,
    /// Readers sleep here until a node is committed.
    pub ready: Line<EventWord>,
    /// Writers sleep here until a node comes free.
    pub free: Line<EventWord>,
    /// `raw_sync`'s event for readers, if the ring waits by events.
    pub ready_event: EventMemory,
    /// `raw_sync`'s event for writers, if the ring waits by events.
    pub free_event: EventMemory,
    /// Broadcast: changes with each reader that joins.
    pub joins: Line<AtomicU64>,
}

/// Room for a `raw_sync` event, which lays out pthread objects in it.
#[repr(C, align(128))]
pub struct EventMemory(pub std::cell::UnsafeCell<[u8; EVENT_SIZE]>);

impl Default for EventMemory {
    fn default() -> Self {
        EventMemory(std::cell::UnsafeCell::new([0; EVENT_SIZE]))
    }
}

impl std::fmt::Debug for EventMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventMemory")
    }
}

// SAFETY: the bytes are only ever touched through pthread calls on
// process-shared objects, which synchronise themselves.
unsafe impl Sync for EventMemory {}

/// A node's descriptor: 64 bytes, a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct NodeWords {
    /// State, owner and generation: see [`NodeWord`].
    pub word: AtomicU64,
    /// Payload bytes, valid from the commit on.
    pub len: AtomicU64,
    /// Position in the order, valid from the append on; perhaps with
    /// [`OVERTAKEN`].
    pub position: AtomicU64,
    /// Room to grow.
    pub reserved: [AtomicU64; 5],
}

/// In a node's `position` (broadcast only): its cell names another node by now.
pub const OVERTAKEN: u64 = 1 << 63;

/// What a node is, 3 bits of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// Nobody's.
    Free = 0,
    /// A writer fills it.
    Writing = 1,
    /// Committed; not yet claimed.
    Ready = 2,
    /// A reader has it.
    Reading = 3,
    /// Its reader died or gave it back; the next reader takes it first.
    Orphan = 4,
    /// Committed, and a writer is about to take it back from the readers, who
    /// may object (broadcast only).
    Taking = 5,
}

impl State {
    /// The state of that number.
    pub fn from_bits(bits: u64) -> Option<State> {
        Some(match bits {
            0 => State::Free,
            1 => State::Writing,
            2 => State::Ready,
            3 => State::Reading,
            4 => State::Orphan,
            5 => State::Taking,
            _ => return None,
        })
    }
}

/// A node's word: `generation:50 | owner:11 | state:3`.
///
/// `owner` is a participant's entry + 1, 0 for nobody. `generation` grows by
/// one each time the node comes free, so a word never recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NodeWord(pub u64);

impl NodeWord {
    /// The word of these parts.
    pub fn new(state: State, owner: u32, generation: u64) -> NodeWord {
        NodeWord(generation << 14 | u64::from(owner) << 3 | state as u64)
    }
    /// The state; `None` when the bits name none (a damaged segment).
    pub fn state(self) -> Option<State> {
        State::from_bits(self.0 & 7)
    }
    /// Participant entry + 1, or 0.
    pub fn owner(self) -> u32 {
        (self.0 >> 3) as u32 & 0x7ff
    }
    /// How often the node has come free.
    pub fn generation(self) -> u64 {
        self.0 >> 14
    }
    /// The same generation in another state, with another owner.
    pub fn with(self, state: State, owner: u32) -> NodeWord {
        NodeWord::new(state, owner, self.generation())
    }
    /// Free again, one generation on.
    pub fn freed(self) -> NodeWord {
        NodeWord::new(State::Free, 0, (self.generation() + 1) & (u64::MAX >> 14))
    }
    /// Taken from its readers by a writer, one generation on: the cell that
    /// named it names it no more.
    pub fn dropped(self, owner: u32) -> NodeWord {
        self.freed().with(State::Writing, owner)
    }
    /// Whether this is a node in `state`, whoever owns it.
    pub fn is(self, state: State) -> bool {
        self.0 & 7 == state as u64
    }
}

/// The place of a broadcast ring's reader, in its participant entry:
/// `position + 1:52 | in hand:12`.
///
/// Everything below the position it has read or missed, and so many positions from
/// there on it has in hand. 0: it has not joined. (52 bits last nine years at 15
/// million messages a second.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PlaceWord(pub u64);

impl PlaceWord {
    /// The most that a reader can have in hand.
    pub const MOST_IN_HAND: u32 = 0xfff;

    /// The word of these parts.
    pub fn new(position: u64, in_hand: u32) -> PlaceWord {
        PlaceWord(position.wrapping_add(1) << 12 | u64::from(in_hand & Self::MOST_IN_HAND))
    }
    /// Whether it is the place of a reader that has joined.
    pub fn joined(self) -> bool {
        self.0 >> 12 != 0
    }
    /// The first position that it has not done with.
    pub fn position(self) -> u64 {
        (self.0 >> 12).wrapping_sub(1)
    }
    /// How many positions it has in hand.
    pub fn in_hand(self) -> u32 {
        self.0 as u32 & Self::MOST_IN_HAND
    }
    /// Whether it has that position in hand.
    pub fn holds(self, position: u64) -> bool {
        position.wrapping_sub(self.position()) < self.in_hand().into()
    }
}

/// How the 64 bits of an order cell are divided: `lap | generation | node`.
///
/// `node` takes as many bits as the ring's node count needs; what is left is
/// shared by the lap (position / N + 1; 0 is a cell never filled) and the low
/// bits of the node's generation: 31 or more bits each at N = 2, 22 each at
/// N = 2^20. A stale cell or a stalled compare-and-swap can be mistaken only
/// when both have come round exactly, 2^32 messages later or more, and then
/// all that suffers is the order of that one message. (One that was stopped
/// inside an operation for half as many finds the cells' laps behind its own,
/// and takes the ring for damaged.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellBits {
    node_bits: u32,
    generation_bits: u32,
}

impl CellBits {
    /// The division for a ring of `nodes` nodes.
    pub fn new(nodes: u32) -> CellBits {
        let node_bits = 32 - (nodes - 1).leading_zeros();
        CellBits {
            node_bits,
            generation_bits: (64 - node_bits) / 2,
        }
    }
    fn generation_mask(self) -> u64 {
        (1 << self.generation_bits) - 1
    }
    /// Bits that a lap has.
    #[cfg(test)]
    pub fn lap_bits(self) -> u32 {
        64 - self.node_bits - self.generation_bits
    }
    /// The cell that names `node` in its generation, in `lap`.
    pub fn pack(self, lap: u64, generation: u64, node: u32) -> u64 {
        lap << (self.node_bits + self.generation_bits)
            | (generation & self.generation_mask()) << self.node_bits
            | u64::from(node)
    }
    /// The node a cell names. May be out of range in a damaged segment.
    pub fn node(self, cell: u64) -> u32 {
        (cell & ((1 << self.node_bits) - 1)) as u32
    }
    /// Whether a cell names that generation.
    pub fn names_generation(self, cell: u64, generation: u64) -> bool {
        (cell >> self.node_bits ^ generation) & self.generation_mask() == 0
    }
    /// How many laps a cell is ahead of `lap`: 0 in this lap, -1 in the one
    /// before (so not filled yet).
    pub fn laps_ahead(self, cell: u64, lap: u64) -> i64 {
        let shift = self.node_bits + self.generation_bits;
        (cell.wrapping_sub(lap << shift) as i64) >> shift
    }
}

/// The stream word: `epoch:40 | joins:22 | state:2`.
///
/// One word orders the joining of writers against the ending of the stream:
/// each join changes `joins`, so an ending that did not see the writer who
/// joined fails its compare-and-swap. `joins` may come round; epochs, which
/// are compared, would after three years of a stream every 100 us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamWord(pub u64);

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum StreamState {
    /// No writer has come yet.
    Waiting = 0,
    /// Begun and not ended.
    Open = 1,
    /// The last writer has left.
    Ended = 2,
}

impl StreamWord {
    /// The word of these parts.
    pub fn new(epoch: u64, joins: u32, state: StreamState) -> StreamWord {
        StreamWord(epoch << 24 | u64::from(joins & 0x3f_ffff) << 2 | state as u64)
    }
    /// Streams begun so far.
    pub fn epoch(self) -> u64 {
        self.0 >> 24
    }
    /// Writers that joined, modulo 2^22.
    pub fn joins(self) -> u32 {
        (self.0 >> 2) as u32 & 0x3f_ffff
    }
    /// The state; the bits that name none count as ended.
    pub fn state(self) -> StreamState {
        match self.0 & 3 {
            0 => StreamState::Waiting,
            1 => StreamState::Open,
            _ => StreamState::Ended,
        }
    }
}

/// Where everything lies in a ring's segment, as offsets from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// [`RingWords`].
    pub words: u64,
    /// The first order cell.
    pub cells: u64,
    /// Bytes from one cell to the next: 8, or 64 for nodes below 1K.
    pub cell_stride: u64,
    /// The first [`NodeWords`].
    pub nodes: u64,
    /// The first node's payload.
    pub payload: u64,
    /// Bytes from one node's payload to the next.
    pub payload_stride: u64,
    /// Bytes of the whole segment.
    pub total: u64,
}

impl Layout {
    /// Lays out `nodes` nodes of `node_size` bytes from `structure_offset` on
    /// (a multiple of 128). `None` on overflow.
    pub fn new(structure_offset: u64, nodes: u64, node_size: u64) -> Option<Layout> {
        let cell_stride: u64 = if node_size < 1024 { 64 } else { 8 };
        let align: u64 = if node_size < 4096 { 64 } else { 4096 };
        let payload_stride = node_size.checked_next_multiple_of(align)?;
        let words = structure_offset;
        let cells = words.checked_add(WORDS_SIZE)?;
        let nodes_at = cells
            .checked_add(nodes.checked_mul(cell_stride)?)?
            .checked_next_multiple_of(128)?;
        let payload = nodes_at
            .checked_add(nodes.checked_mul(NODE_WORDS_SIZE)?)?
            .checked_next_multiple_of(4096)?;
        let total = payload
            .checked_add(nodes.checked_mul(payload_stride)?)?
            .checked_next_multiple_of(4096)?;
        Some(Layout {
            words,
            cells,
            cell_stride,
            nodes: nodes_at,
            payload,
            payload_stride,
            total,
        })
    }
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::size_of;
    assert!(size_of::<RingWords>() as u64 <= WORDS_SIZE);
    assert!(size_of::<NodeWords>() as u64 == NODE_WORDS_SIZE);
    assert!(size_of::<Line<AtomicU64>>() == 128);
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cell_gives_back_what_was_packed(
            nodes in 2u32..=1 << 20, lap in 1u64..1 << 20, generation: u64, pick: u32, away in -3i64..3
        ) {
            let bits = CellBits::new(nodes);
            let node = pick % nodes;
            let cell = bits.pack(lap, generation, node);
            prop_assert_eq!(bits.node(cell), node);
            prop_assert!(bits.names_generation(cell, generation));
            prop_assert!(!bits.names_generation(cell, generation.wrapping_add(1)));
            prop_assert_eq!(bits.laps_ahead(cell, lap.wrapping_add_signed(away)), -away);
        }

        #[test]
        fn a_node_word_gives_back_what_was_packed(owner in 0u32..2048, generation in 0u64..1 << 50) {
            let word = NodeWord::new(State::Reading, owner, generation);
            prop_assert_eq!((word.state(), word.owner(), word.generation()),
                (Some(State::Reading), owner, generation));
            prop_assert_eq!(word.freed().owner(), 0);
        }

        #[test]
        fn no_two_parts_of_a_ring_overlap(nodes in 2u64..=1 << 20, node_size in 1u64..=1 << 30) {
            let l = Layout::new(36864, nodes, node_size).unwrap();
            prop_assert!(l.words + WORDS_SIZE <= l.cells);
            prop_assert!(l.cells + nodes * l.cell_stride <= l.nodes);
            prop_assert!(l.nodes + nodes * NODE_WORDS_SIZE <= l.payload);
            prop_assert!(l.payload + nodes * l.payload_stride <= l.total);
            prop_assert!(l.payload_stride >= node_size);
            prop_assert_eq!(l.total % 4096, 0);
        }
    }

    #[test]
    fn a_place_gives_back_what_was_packed() {
        assert!(!PlaceWord::default().joined());
        let last = (1 << 52) - 2;
        for (position, in_hand) in [(0, 0), (0, 4095), (7, 2), (last, 1)] {
            let place = PlaceWord::new(position, in_hand);
            assert_eq!(
                (place.joined(), place.position(), place.in_hand()),
                (true, position, in_hand)
            );
            assert_eq!(place.holds(position), in_hand > 0);
            assert!(!place.holds(position + u64::from(in_hand)));
        }
        assert!(PlaceWord::new(7, 2).holds(8) && !PlaceWord::new(7, 2).holds(6));
    }

    #[test]
    fn laps_are_compared_across_their_wrap() {
        let bits = CellBits::new(3);
        let top = (1u64 << bits.lap_bits()) - 1;
        assert_eq!(bits.laps_ahead(bits.pack(top, 0, 1), top + 1), -1);
        assert_eq!(bits.laps_ahead(bits.pack(top + 1, 0, 1), top), 1);
    }

    #[test]
    fn a_stream_word_gives_back_what_was_packed() {
        let word = StreamWord::new(7, 12, StreamState::Ended);
        assert_eq!(
            (word.epoch(), word.joins(), word.state()),
            (7, 12, StreamState::Ended)
        );
    }
}
