//! Rings: N fixed-size nodes, written and read in FIFO order by any number
//! of writers and readers, in any number of processes.
//!
//! ```text
//! Writer --reserve--> WriteNodes --commit--> [ order of cells ] --claim--> ReadNodes --release--> free
//!            |                                                     |
//!            +-- sleeps on `free` while no node is free            +-- sleeps on `ready` while none is there
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `layout` | words, bit fields, offsets |
//! | `geometry` | what a user chooses, checked |
//! | `protocol` | nodes and their order, over borrowed atomics |
//! | `broadcast` | what of it is different where every reader gets everything |
//! | `delivery` | the same, for the handles |
//! | `stream` | joining, leaving, ending |
//! | `recovery` | a dead participant's affairs |
//! | `attached` | the protocol over a mapped segment, with its bells |
//! | `rounds` | what those who wait look after meanwhile |
//! | `writer`, `reader` | handles and guards: what programs use |
//! | `framing` | whole lines, items, records: where a stream may be cut into nodes |
//! | `monitor` | looking on while others work |
//! | `prefetch` | what a writer and a reader fetch before they need it |
//! | `copy` | copying into nodes |
//!
//! # Guarantees
//!
//! * A committed node that no writer drops is delivered at least once, and exactly
//!   once unless a reader died or gave it back. One that was not committed never is.
//! * Nodes arrive in the order they were committed, each writer's own in its
//!   order. (One that is handed on from a dead reader comes late.)
//! * Whoever stalls or dies between reserving and committing, or between
//!   claiming and releasing, holds that node and nobody behind it.
//! * Killed at any instruction, a participant leaves nothing stuck: the
//!   others notice within 100 ms of having to wait for it.
//! * N nodes hold N messages.
//! * A writer that must not wait drops whole nodes, its new one or the oldest, and
//!   every drop is counted ([`OnFull`]).
//!
//! So it is where each node goes to one reader ([`Delivery::Queue`]). In a broadcast ring
//! ([`Delivery::Broadcast`]) every reader gets every node that was committed since it
//! joined, and all in the same order; the slowest holds the writers, or is told how many
//! nodes it missed. A reader that gives nodes back, or dies, takes nothing from the others.
//!
//! # Example
//!
//! ```
//! use shmkit::ring::{self, Claim, Geometry, Reader, ReaderOptions, Wait, Writer};
//! use shmkit::segment::{Name, OpenOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = Name::new(&format!("doc-ring-{}", std::process::id()))?;
//! ring::create(&name, Geometry { nodes: 4, node_size: 64, ..Geometry::default() }, 0o600)?;
//!
//! let mut reader = Reader::attach(&name, &ReaderOptions::default())?;
//! let mut writer = Writer::attach(&name, OpenOptions::default())?;
//! writer.write(b"hello", &Wait::default())?;
//! writer.end();
//!
//! if let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &Wait::default())? {
//!     assert_eq!(nodes.node(0), b"hello");
//!     nodes.release_all();
//! }
//! assert!(matches!(reader.claim(1, usize::MAX, &Wait::default())?, Claim::End { clean: true }));
//! # drop(reader);
//! # shmkit::segment::remove(&name, false, OpenOptions::default())?;
//! # Ok(())
//! # }
//! ```

#[cfg(not(loom))]
mod attached;
mod broadcast;
#[cfg(not(loom))]
mod copy;
#[cfg(not(loom))]
mod delivery;
#[cfg(not(loom))]
mod framing;
#[cfg(not(loom))]
mod geometry;
#[cfg(test)]
mod heap;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod monitor;
#[cfg(not(loom))]
mod prefetch;
mod protocol;
#[cfg(not(loom))]
mod reader;
mod recovery;
#[cfg(not(loom))]
mod rounds;
mod stream;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod threads;
#[cfg(not(loom))]
mod writer;

#[cfg(not(loom))]
pub use self::{
    attached::{RingError, create, create_unless, wake_everybody},
    broadcast::Start,
    copy::copy_into,
    framing::{Cut, Framing, Then},
    geometry::{Delivery, Geometry, GeometryError},
    monitor::{Diff, Monitor, ReaderDiff, Stats},
    reader::{Claim, ReadNodes, Reader, ReaderOptions},
    writer::{WriteNodes, Writer, on_full::OnFull},
};
#[cfg(not(loom))]
pub use crate::sync::wait::{Wait, WaitStrategy};
