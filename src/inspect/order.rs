//! Where the order of a ring really begins and ends.
//!
//! The cursors `tail` and `head` in shared memory are hints. They are plain
//! stores made *after* the deed: a participant that is stopped before the
//! store leaves the hint behind, and when it goes on, it may even set it back,
//! by any number of laps. So a snapshot does not believe them. What happened
//! is in the cells and node words, and both cursors follow from a copy of them:
//!
//! ```text
//!   cell              0    1    2    3        N = 4: cell i holds positions
//!   filled for        8    9    6    7        i, i + 4, i + 8, ...
//!   its node is    READY    .    .  READY
//!                                   ^head = 7          ^tail = 10
//! ```
//!
//! - Cells are filled one position after the other, so at any moment they hold
//!   the last N positions, and `tail` is one past the highest.
//! - `head` is the lowest position whose node is still ready in the generation
//!   that the cell names; `tail` if there is none.
//!
//! The copy takes some microseconds, in which a small fast ring may go round
//! many times: then the cells hold the last N positions *and a slack*, of as
//! many nodes as were committed meanwhile (the writers' counters say that) and
//! one more per writer, for commits under way.
//!
//! Damage shows as a contradiction: a cell outside that window; a hint ahead of
//! what happened; an end of the order that is far from the number of nodes
//! ever committed. Cells are judged by the median of all, so that a damaged
//! one is blamed and not the others.

use super::damage::{Damage, DamageReport};
use crate::ring::layout::{CellBits, NodeWord, State};

/// No honest ring ever comes this far (a billion nodes a second for a century).
const MAX_POSITION: u64 = 1 << 62;

/// What else was seen of the order, to check the cells against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The tail hint, read before the cells.
    pub tail: u64,
    /// The head hint, read before the cells.
    pub head: u64,
    /// Nodes committed before the cells were read.
    pub written_before: u64,
    /// Nodes committed after the node words were read.
    pub written_after: u64,
    /// Writers attached before or after: each may be in the middle of a commit.
    pub writers: u64,
}

impl Evidence {
    /// By how many positions the parts of the copy may be apart.
    fn slack(&self) -> i64 {
        let moved = self.written_after.saturating_sub(self.written_before);
        moved.saturating_add(self.writers).min(MAX_POSITION) as i64
    }
}

/// The cursors as cells and nodes tell: `head <= tail <= head + N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursors {
    pub head: u64,
    pub tail: u64,
}

/// A copy of the order cells.
pub(crate) struct Order<'a> {
    bits: CellBits,
    cells: &'a [u64],
}

/// The positions that cells were last filled for (below 0: never), and one
/// past the highest of them that is not absurd.
struct Window {
    positions: Vec<i64>,
    tail: i64,
}

impl<'a> Order<'a> {
    /// `cells` are all cells of the ring: as many as nodes, at least two.
    pub(crate) fn new(cells: &'a [u64]) -> Order<'a> {
        Order {
            bits: CellBits::new(cells.len() as u32),
            cells,
        }
    }

    fn nodes(&self) -> u64 {
        self.cells.len() as u64
    }

    fn cell(&self, position: u64) -> u64 {
        self.cells[(position % self.nodes()) as usize]
    }

    /// Whether the order has that node, in that generation, at `position`.
    pub(crate) fn names(&self, position: u64, node: u32, generation: u64) -> bool {
        let cell = self.cell(position);
        self.bits.laps_ahead(cell, position / self.nodes() + 1) == 0
            && self.bits.node(cell) == node
            && self.bits.names_generation(cell, generation)
    }

    /// The cursors, and what is wrong with cells and hints. Looks at each cell
    /// a few times, whatever the words are.
    pub(crate) fn settle(
        &self,
        seen: &Evidence,
        words: &[NodeWord],
        damage: &mut DamageReport,
    ) -> Cursors {
        let slack = seen.slack();
        let mut window = self.window(seen.tail, slack);
        if !self.plausible(&window, seen) {
            // The cells have only the low bits of their laps; the hint did not
            // supply the right high ones, or the counters are wrong.
            let second = self.window(seen.written_after, slack);
            if self.plausible(&second, seen) {
                window = second;
            } else {
                let (committed, end) = (seen.written_after, window.tail as u64);
                damage.push(Damage::Committed { committed, end });
            }
        }
        let end = window.tail as u64;
        if seen.tail > end {
            damage.push(Damage::Cursor {
                which: "tail",
                hint: seen.tail,
                truth: end,
            });
        }
        self.check_cells(&window, slack, damage);
        let head = self.first_ready(end, words);
        if seen.head > head && damage.is_empty() {
            damage.push(Damage::Cursor {
                which: "head",
                hint: seen.head,
                truth: head,
            });
        }
        Cursors { head, tail: end }
    }

    /// The window, when the high bits of laps are those of `near`.
    fn window(&self, near: u64, slack: i64) -> Window {
        let nodes = self.nodes() as i64;
        let lap = near.min(MAX_POSITION) / self.nodes();
        let positions: Vec<i64> = (0..)
            .zip(self.cells)
            .map(|(i, &cell)| (lap as i64 + self.bits.laps_ahead(cell, lap + 1)) * nodes + i)
            .collect();
        let middle = positions.len() / 2;
        let (_, &mut median, _) = positions.clone().select_nth_unstable(middle);
        let reach = (nodes - 1).saturating_add(slack).unsigned_abs();
        let honest = positions
            .iter()
            .filter(|position| position.abs_diff(median) <= reach);
        let tail = honest.max().map_or(0, |last| (last + 1).max(0));
        Window { positions, tail }
    }

    /// Each position was filled by one commit. Generous: a contradiction is a
    /// matter of damaged words, not of a few nodes.
    fn plausible(&self, window: &Window, seen: &Evidence) -> bool {
        let leeway = (2 * self.nodes()).saturating_add(seen.slack() as u64);
        (window.tail as u64).abs_diff(seen.written_after) <= leeway
    }

    fn check_cells(&self, window: &Window, slack: i64, damage: &mut DamageReport) {
        let nodes = self.nodes();
        let first = (window.tail - nodes as i64).saturating_sub(slack);
        for ((cell, &value), &position) in (0..).zip(self.cells).zip(&window.positions) {
            let node = self.bits.node(value);
            if position < first || position >= window.tail {
                let end = window.tail as u64;
                damage.push(Damage::CellLap {
                    cell,
                    position,
                    end,
                });
            } else if position >= 0 && u64::from(node) >= nodes {
                damage.push(Damage::CellNode {
                    cell,
                    node,
                    nodes: nodes as u32,
                });
            }
        }
    }

    fn first_ready(&self, tail: u64, words: &[NodeWord]) -> u64 {
        let is_ready = |position: &u64| {
            let node = self.bits.node(self.cell(*position));
            words.get(node as usize).is_some_and(|word| {
                word.is(State::Ready) && self.names(*position, node, word.generation())
            })
        };
        (tail.saturating_sub(self.nodes())..tail)
            .find(is_ready)
            .unwrap_or(tail)
    }
}
