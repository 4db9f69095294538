//! How fast a ring is, here: sweeps over geometries, and what they found.
//!
//! ```text
//!   repeats of a cell --statistics--> Run --+
//!   the machine's limits ----------> Baseline --> Report --> table, JSON, CSV,
//!   /proc --machine--------------> Machine -+                Markdown (report)
//!                                                        --> SVG (chart)
//! ```
//!
//! A [*cell*](model::Cell) is one point of a sweep's grid: a geometry, numbers of
//! writers and readers, a way to wait. It is measured several times, and each
//! time in turns with the machine's limits, so that a ratio compares two figures
//! that are seconds apart. [`statistics`] makes one [*row*](model::Run) of the
//! repeats, whose figures agree with each other; [`model`] fixes the rows, and
//! with them the names in JSON and CSV.
//!
//! | file | what it is |
//! |---|---|
//! | `plan` | what was asked for: checked, and multiplied out into cells |
//! | `sweep` | through the plan in rounds, and rows from what was measured |
//! | `executor` | the seam: one measurement at a time, real or made up |
//! | `engine` | the real one: rings, worker processes or threads, clocks |
//! | `job`, `worker` | what a worker is told, and what it does |
//! | `source` | the bytes that are moved, and how a reader knows that they are right |
//! | `pace` | when a writer has written enough |
//!
//! What follows is for people and their scripts. Nothing here measures or prints:
//! [`report`] writes to whatever it is given, and [`chart`] returns text. Both
//! take any [`Report`](model::Report): one without rows, with failed rows, without
//! limits to compare with, with figures that are not numbers. None of these is an
//! error; a figure that is not there is left out, never shown as 0.

pub mod chart;
pub mod engine;
pub mod executor;
#[cfg(test)]
mod fake;
mod job;
pub mod machine;
pub mod model;
mod pace;
pub mod plan;
pub mod report;
mod source;
pub mod statistics;
pub mod sweep;
pub mod worker;
