//! What a writer and a reader fetch before they need it.
//!
//! A message is three cache lines and its payload, all last touched by another
//! core: each look at one costs about 100 ns here, in which 1 KiB is copied.
//! So everybody asks early for what comes next. A hint never faults and
//! changes nothing; it only moves lines, so one that comes too early takes a
//! line away from who still needs it.
//!
//! Each idea was tried alone, in turns with the code before it, on a virtual
//! machine with 2 cores (medians of 5 to 15, against the ideal pipeline, or in messages a
//! second; those of looks and of four cells on another one, in windows of a run in which
//! neither core was taken away):
//!
//! | idea | before | after | |
//! |---|---|---|---|
//! | writer: descriptor and payload of the next node, reader: of the next READY one | 20x1K 0.88 | 1.45 | kept |
//! | writer: its next cell, where cells have lines of their own | 20x64 8.7 M/s | 9.9 M/s | kept |
//! | the same, where eight cells share a line | 20x1K 1.41 | 1.28 | dropped: a reader looks at that line |
//! | no fetch, but a look, as soon as the cell before it is written, where all share one line | 2x1K 5.7 M/s, 4x1K 7.2, 8x1K 6.3 | 6.6 M/s, 8.1, 8.1 | kept |
//! | the same, where they share several | 20x1K 4.9 M/s | 4.6 M/s | dropped |
//! | the same, where each has its own | 2x64 7.8 M/s, 4x64 14.0, 8x64 12.4 | 9.2 M/s, 12.0, 10.4 | kept in rings of 2 and 3 |
//! | writer: its next cell, broadcast, where eight share a line, before the payload is copied | 20x1K 0.77 of a queue | 0.85 | kept |
//! | reader: the cell two after the next one, where they have lines of their own | 20x64 9.8 M/s | 15 M/s | kept: its fence waits for that look |
//! | the same, where eight share a line | 20x1K 1.38, 20x4K 1.19 | 1.41, 1.14 | dropped |
//! | reader: the cell four after the next one, and the node of the cell two after it, where they have lines of their own | 20x64 8.8 M/s, 20x256 9.9 | 10.3 M/s, 11.9 | kept |
//! | reader: no second fetch before the claim, where cells have lines of their own | 20x64 11.7 M/s | 13.5 M/s | kept |
//! | nothing at all in rings of 2 and 3 | 2x1K 0.72 | 0.79 | kept: the next node is in the other's hands |
//! | writer: two nodes ahead instead of one | 20x1K 1.29, 20x64 8.5 M/s | 1.25, 8.6 M/s | dropped |
//! | a line for each cell from 1 KiB on, too | 20x1K 1.53, 20x4K 1.19 | 1.40, 1.23 | dropped |

use super::attached::Attached;
use super::copy;
use super::layout::NodeWords;
use super::protocol::{Cursor, Upcoming};
use crate::sync::atomic::AtomicU64;

impl Attached {
    /// How many cells beyond the next one a reader fetches, where they have lines of
    /// their own. None in a ring so small that a writer is about to fill that cell.
    #[inline]
    fn cells_ahead(&self) -> u32 {
        match self.core().cell_shift {
            0 => 0,
            _ => (self.geometry().nodes / 4).min(4),
        }
    }

    /// Before a claim: fetches descriptor and payload together. Where cells
    /// have lines of their own they were fetched after the last claim.
    #[inline]
    pub fn prefetch_this(&self, head: &Cursor) {
        if self.core().cell_shift == 0 {
            self.prefetch_node(head, 0);
        }
    }

    /// After a claim: fetches what the reader at `head` will look at next, if it is
    /// there: a cell, and the node of one half as far, which has been fetched before.
    #[inline]
    pub fn prefetch_next(&self, head: &Cursor) {
        let ahead = self.cells_ahead();
        if ahead > 0 {
            let cell: *const AtomicU64 = self.core().cell_after(head, ahead);
            copy::prefetch_for_reading(cell.cast(), 1);
        }
        self.prefetch_node(head, ahead / 2);
    }

    /// The node that stands `ahead` places after `head`.
    #[inline]
    fn prefetch_node(&self, head: &Cursor, ahead: u32) {
        if self.core().roomy()
            && let Some(next) = self.core().peek(head, ahead)
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
        if !self.core().roomy() {
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
