//! The yardstick of the bench: the least that a pipeline through shared memory
//! can do, and the memory that it needs.
//!
//! One writer, one reader, N slots used round-robin, a cursor each in cache
//! lines of its own. The writer copies in with plain `memcpy` and stores
//! `tail`; the reader copies out with plain `memcpy` and stores `head`; each
//! keeps the last value it saw of the other's cursor and loads it again only
//! when it has run into it. Waiting is spinning. There is no compare-and-swap,
//! no length, no participant table and no recovery: kill either side and the
//! other spins for ever. A ring for many, that recovers and sleeps, is
//! measured against this.
//!
//! ```text
//!          tail (writer stores, reader loads)
//!            v
//!   [ 0 ][ 1 ][ 2 ] ... [N-1]      message i lies in slot i mod N
//!       ^
//!      head (reader stores, writer loads)
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `memory` | mappings: a sealed memfd shared by the two ends, and private memory |
//! | `board` | the first page of the memfd: where workers meet, and the cursors |
//! | `pipeline` | the two ends |
//!
//! This is the only part of the bench with `unsafe` code. What it shows is
//! safe, because of three things:
//!
//! - A file is mapped only if it is long enough and sealed against shrinking,
//!   so nothing that is mapped can go away ([`Shared::map`]).
//! - Each end of a pipeline is given out once, by an atomic in the shared page
//!   itself, so a slot has one writer and one reader ([`Pipeline::writer`]).
//! - Where a slot lies follows from an end's own count alone. Nothing read
//!   from shared memory is ever used as an offset.
//!
//! A stranger who has the memfd and breaks the protocol could change a message
//! under the reader's copy. Only our own workers ever have it.

mod board;
mod memory;
mod pipeline;

pub use board::{Board, Stopped};
pub use memory::{Private, Shared};
pub use pipeline::{EndTaken, Pipeline};
