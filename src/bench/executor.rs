//! The seam between what is measured and how: a trait.
//!
//! [`sweep`](super::sweep::run) goes through a plan and makes rows; an
//! [`Executor`] makes one measurement at a time. The real one is
//! [`Engine`](super::engine::Engine), with processes and clocks. In tests it
//! is a list of figures, so that statistics and reports are tested without
//! timing.
//!
//! ```text
//!   Plan --> sweep --limit(geometry)----> Executor --> MB/s
//!                  --ideal_exchange---->          --> times
//!                  --transfer(cell)----->          --> Moved
//!                  --exchange(cell)----->          --> Exchanged
//! ```

use super::plan::{Limits, Point, Settings};
use super::statistics::Repeat;
use hdrhistogram::Histogram;

/// Why there is no measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Whoever asked for it has changed their mind: the sweep ends.
    #[error("interrupted")]
    Cancelled,
    /// It did not work: this cell is marked, and the sweep goes on.
    #[error("{0}")]
    Failed(String),
}

/// What one transfer did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// Its figures; without the pipeline's.
    pub repeat: Repeat,
    /// What was wrong with the messages that arrived, if anything was.
    pub wrong: Option<String>,
}

/// What one exchange of questions and answers did, nanoseconds.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// There and back.
    pub round_trips: Histogram<u64>,
    /// One way.
    pub one_ways: Histogram<u64>,
}

/// Somebody who measures.
pub trait Executor {
    /// A limit of the machine with messages of `node_size` bytes, and so many
    /// nodes where it has any: MB/s.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    fn limit(
        &mut self,
        limit: Limits,
        nodes: u32,
        node_size: u64,
        settings: &Settings,
    ) -> Result<f64, Failure>;

    /// Questions and answers over two ideal pipelines, once: there and back,
    /// nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    fn ideal_exchange(
        &mut self,
        nodes: u32,
        node_size: u64,
        settings: &Settings,
    ) -> Result<Histogram<u64>, Failure>;

    /// Messages through a ring, once.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    fn transfer(&mut self, point: &Point, settings: &Settings) -> Result<Moved, Failure>;

    /// Questions and answers over two rings, once.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    fn exchange(&mut self, point: &Point, settings: &Settings) -> Result<Exchanged, Failure>;
}
