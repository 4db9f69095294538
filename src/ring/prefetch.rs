//! What a writer and a reader fetch before they need it.
//!
//! A message is three cache lines and its payload, all last touched by another
//! core: each look at one costs about 100 ns here, in which 1 KiB is copied.
//! So everybody asks early for what comes next. A hint never faults and
//! changes nothing; it only moves lines, so one that comes too early takes a
//! line away from who still needs it.
//!
//! Each idea was tried alone, in turns with the code before it, on a virtual
//! machine with 2 cores (medians of 5 to 15, against the ideal pipeline, or
//! in messages a second):
//!
//! | idea | before | after | |
//! |---|---|---|---|
//! | writer: descriptor and payload of the next node, reader: of the next READY one | 20x1K 0.88 | 1.45 | kept |
//! | writer: its next cell, where cells have lines of their own | 20x64 8.7 M/s | 9.9 M/s | kept |
//! | the same, where eight cells share a line | 20x1K 1.41 | 1.28 | dropped: a reader looks at that line |
//! | no fetch, but a look, as soon as the cell before it is written, where they share a line | 2x1K 5.7 M/s, 20x1K 4.3 M/s | 6.6 M/s, 4.8 M/s | kept |
//! | the same fetch, broadcast, before the payload is copied | 20x1K 0.77 of a queue | 0.85 | kept |
//! | reader: the cell two after the next one, where they have lines of their own | 20x64 9.8 M/s | 15 M/s | kept: its fence waits for that look |
//! | the same, where eight share a line | 20x1K 1.38, 20x4K 1.19 | 1.41, 1.14 | dropped |
//! | reader: no second fetch before the claim, where cells have lines of their own | 20x64 11.7 M/s | 13.5 M/s | kept |
//! | nothing at all in rings of 2 and 3 | 2x1K 0.72 | 0.79 | kept: the next node is in the other's hands |
//! | writer: two nodes ahead instead of one | 20x1K 1.29 | 1.25 | dropped |
//! | a line for each cell from 1 KiB on, too | 20x1K 1.53, 20x4K 1.19 | 1.40, 1.23 | dropped |

use super::attached::Attached;
use super::copy;
use super::layout::NodeWords;
use super::protocol::{Cursor, Upcoming};
use crate::sync::atomic::AtomicU64;

impl Attached {
    /// How many cells beyond the next one a reader fetches. None in a ring so
    /// small that a writer is about to fill that cell.
    #[inline]
    fn cells_ahead(&self) -> u32 {
        match self.core().cell_shift {
            0 => 0,
            _ => (self.geometry().nodes / 4).min(2),
        }
    }

    /// Whether there are nodes enough to fetch one while another is in use.
    #[inline]
    fn roomy(&self) -> bool {
        self.geometry().nodes >= 4
    }

    /// Before a claim: fetches descriptor and payload together. Where cells
    /// have lines of their own they were fetched after the last claim.
    #[inline]
    pub fn prefetch_this(&self, head: &Cursor) {
        if self.core().cell_shift == 0 {
            self.prefetch_node(head);
        }
    }

    /// After a claim: fetches what the reader at `head` will look at next,
    /// if it is there.
    #[inline]
    pub fn prefetch_next(&self, head: &Cursor) {
        let ahead = self.cells_ahead();
        if ahead > 0 {
            let cell: *const AtomicU64 = self.core().cell_after(head, ahead);
            copy::prefetch_for_reading(cell.cast(), 1);
        }
        self.prefetch_node(head);
    }

    #[inline]
    fn prefetch_node(&self, head: &Cursor) {
        if self.roomy()
            && let Some(next) = self.core().peek(head)
        {
            let words: *const NodeWords = &self.core().nodes[next as usize];
            match self.core().broadcast {
                false => copy::prefetch_for_writing(words.cast(), 1),
                true => copy::prefetch_for_reading(words.cast(), 1),
            }
            let size = self.geometry().node_size as usize;
            copy::prefetch_for_reading(self.payload_at(next), size);
        }
    }

    /// Before a payload is copied: fetches the cell that its append will write, in a
    /// broadcast ring.
    #[inline]
    pub fn prefetch_cell(&self, tail: &Cursor) {
        if self.core().broadcast && self.core().cell_shift == 0 {
            let cell: *const AtomicU64 = self.core().cell_after(tail, 0);
            copy::prefetch_for_writing(cell.cast(), 1);
        }
    }

    /// Fetches what a writer will write first: `upcoming`, if that is known; and the next
    /// cell in the order, where cells have lines of their own.
    #[inline]
    pub fn prefetch_free(&self, upcoming: impl FnOnce() -> Option<Upcoming>, tail: &Cursor) {
        if !self.roomy() {
            return;
        }
        if self.core().cell_shift > 0 {
            let cell: *const AtomicU64 = self.core().cell_after(tail, 0);
            copy::prefetch_for_writing(cell.cast(), 1);
        }
        if let Some(next) = upcoming() {
            let words: *const NodeWords = &self.core().nodes[next.descriptor as usize];
            copy::prefetch_for_writing(words.cast(), 1);
            let size = self.geometry().node_size as usize;
            copy::prefetch_for_writing(self.payload_at(next.payload), size);
        }
    }
}
