//! How far the readers lag behind, as seen from outside.
//!
//! The engine looks every few milliseconds while it waits for its workers. A
//! look counts only between the second meeting and the first worker's end, as
//! the warm-up and the last drain are not what is measured.

use crate::ideal::Board;

/// Samples of the diff.
pub struct Sampler {
    board: Board,
    parties: u64,
    samples: u64,
    sum: u64,
    max: u64,
}

/// What they come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diff {
    /// Of all samples; 0 if there are none.
    pub mean: f64,
    /// The largest.
    pub max: u64,
}

impl Sampler {
    /// For a measurement of so many parties.
    pub fn new(board: Board, parties: u64) -> Sampler {
        Sampler {
            board,
            parties,
            samples: 0,
            sum: 0,
            max: 0,
        }
    }

    /// Looks, if it is time to.
    pub fn look(&mut self, unread: impl FnOnce() -> u64) {
        if self.board.has_met(self.parties, 2) {
            let nodes = unread();
            self.samples += 1;
            self.sum += nodes;
            self.max = self.max.max(nodes);
        }
    }

    /// What the samples come to.
    pub fn diff(&self) -> Diff {
        Diff {
            mean: self.sum as f64 / self.samples.max(1) as f64,
            max: self.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ideal::{Pipeline, Shared};

    #[test]
    fn only_what_is_seen_after_the_second_meeting_counts() {
        let file = Shared::file(Pipeline::file_size(1, 1).unwrap()).unwrap();
        let board = Board::map(&file).unwrap();
        let mut sampler = Sampler::new(board.clone(), 2);
        sampler.look(|| 100);
        (0..4).for_each(|_| board.arrive());
        [3, 0, 9].into_iter().for_each(|n| sampler.look(|| n));
        assert_eq!(sampler.diff(), Diff { mean: 4.0, max: 9 });
    }
}
