//! The yardstick: the least that a pipeline through shared memory can do.
//!
//! One writer, one reader, `nodes` slots used round-robin, a cursor each in
//! cache lines of its own. The writer copies in with plain `memcpy` and stores
//! `tail`; the reader copies out with plain `memcpy` and stores `head`; each
//! keeps the last value it saw of the other's cursor and loads it again only
//! when it has run into it. Waiting is spinning. There is no system call, no
//! compare-and-swap, no length, no participant table and no recovery: kill
//! either side and the other spins for ever.
//!
//! ```text
//!          tail (writer stores, reader loads)
//!            v
//!   [ 0 ][ 1 ][ 2 ] ... [N-1]      message i lies in slot i mod N
//!       ^
//!      head (reader stores, writer loads)
//! ```
//!
//! Pairs of memory orders: the Release store of `tail` in [`Ideal::put`] with
//! the Acquire load in [`Ideal::take`] (the bytes are there), and the Release
//! store of `head` in `take` with the Acquire load in `put` (the slot is done
//! with).

use crate::Cell;
use crate::memory::{BOARD_SIZE, Board, Shared};
use std::sync::atomic::{AtomicU64, Ordering};

/// Pauses before a waiting side lets others have the processor.
const SPINS: u32 = 4000;

/// One end of the ideal pipeline.
#[derive(Clone)]
pub struct Ideal<'a> {
    board: &'a Board,
    /// The first slot.
    slots: *mut u8,
    /// Bytes from one slot to the next: whole cache lines.
    stride: usize,
    /// Bytes from the first slot to past the last.
    end: usize,
    nodes: u64,
    size: usize,
    /// Messages put or taken so far.
    position: u64,
    /// The next one's slot, in bytes from the first slot.
    offset: usize,
    /// The other side's cursor as last seen.
    seen: u64,
}

/// Bytes of the shared file for such a pipeline.
pub fn shared_size(Cell { nodes, size }: Cell) -> usize {
    BOARD_SIZE + nodes * size.next_multiple_of(64)
}

impl<'a> Ideal<'a> {
    /// An end at the start of the pipeline. One process may [`put`](Self::put),
    /// and one may [`take`](Self::take): the parent starts one of each.
    pub fn new(shared: &'a Shared, Cell { nodes, size }: Cell) -> Ideal<'a> {
        let stride = size.next_multiple_of(64);
        Ideal {
            board: shared.board(),
            slots: shared.payload(BOARD_SIZE, nodes * stride),
            stride,
            end: nodes * stride,
            nodes: nodes as u64,
            size,
            position: 0,
            offset: 0,
            seen: 0,
        }
    }

    /// Copies one message of exactly the pipeline's node size in, spinning
    /// until there is room.
    #[inline(always)]
    pub fn put(&mut self, message: &[u8]) {
        assert!(message.len() == self.size);
        if self.position >= self.seen + self.nodes {
            self.seen = spin_until(&self.board.head.0, |head| head + self.nodes > self.position);
        }
        let slot = self.slot();
        // SAFETY: `slot` is `size` bytes within the mapping. The reader has
        // released it (`head` has passed it), will not read it before `tail`
        // passes it, and this is the only writer.
        unsafe { slot.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        self.position += 1;
        self.board.tail.0.store(self.position, Ordering::Release);
        self.advance();
    }

    /// Copies one message out, spinning until there is one.
    #[inline(always)]
    pub fn take(&mut self, into: &mut [u8]) {
        assert!(into.len() == self.size);
        if self.seen <= self.position {
            self.seen = spin_until(&self.board.tail.0, |tail| tail > self.position);
        }
        let slot = self.slot();
        // SAFETY: `slot` is `size` bytes within the mapping. The writer has
        // published it (`tail` has passed it), will not touch it before `head`
        // passes it, and this is the only reader.
        unsafe { slot.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        self.position += 1;
        self.board.head.0.store(self.position, Ordering::Release);
        self.advance();
    }

    fn slot(&self) -> *mut u8 {
        // SAFETY: `offset` is below `end`, and so many bytes are mapped.
        unsafe { self.slots.add(self.offset) }
    }

    fn advance(&mut self) {
        self.offset += self.stride;
        if self.offset == self.end {
            self.offset = 0;
        }
    }
}

/// Waits until `word` is as wanted and returns it.
fn spin_until(word: &AtomicU64, wanted: impl Fn(u64) -> bool) -> u64 {
    let mut spins = 0;
    loop {
        let value = word.load(Ordering::Acquire);
        if wanted(value) {
            return value;
        }
        spins += 1;
        if spins < SPINS {
            std::hint::spin_loop();
        } else {
            rustix::thread::sched_yield();
        }
    }
}
