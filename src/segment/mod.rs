//! Segments: named, self-describing pieces of shared memory with known
//! members.
//!
//! A segment is a file in `/dev/shm` that begins with a header which says
//! what it is, followed by a table of those who are attached to it, followed by
//! a structure (a ring, an array, a buffer) that this room knows nothing about:
//!
//! ```text
//! +--------+-------------------+----------------------+-------------------+
//! | header | participant table | structure's words    | payload           |
//! +--------+-------------------+----------------------+-------------------+
//! 0        4096                structure_offset       payload_offset      total_size
//! ```
//!
//! | to | use | which |
//! |---|---|---|
//! | make one | [`create()`] | builds it aside, then gives it its name |
//! | look at one | [`Opened`] | reads, never maps, never changes |
//! | use one | [`Mapping`] | maps it, knows when it is gone |
//! | take part | [`Membership`] | holds an entry, adopts those of the dead |
//! | tidy up | [`remove()`], [`list`], [`remove_stale`] | |
//!
//! ```
//! use shmkit::segment::{self, Kind, Mapping, Membership, Name, OpenOptions, Plan, layout};
//! # fn main() -> Result<(), segment::SegmentError> {
//!
//! let name = Name::new(&format!("example-{}", std::process::id()))?;
//! let plan = Plan {
//!     kind: Kind::Buffer,
//!     participants: 8,
//!     payload_offset: 8192,
//!     total_size: 8192 + 100,
//!     geometry: [100, 0, 0, 0, 0, 0, 0, 0],
//!     mode: 0o600,
//! };
//! segment::create(&name, &plan, |_mapping| Ok(()))?;
//!
//! let mapping = Mapping::open(&name, Kind::Buffer, OpenOptions::default())?;
//! let member = Membership::join(&mapping, layout::READER, |_dead| {})?;
//! assert_eq!(mapping.header().geometry[0], 100);
//! assert!(segment::remove(&name, false, OpenOptions::default()).is_err()); // in use
//!
//! drop(member);
//! segment::remove(&name, false, OpenOptions::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! What holds in this room:
//!
//! * A name shows a complete segment or nothing ([`create()`]).
//! * A header is believed only once checked, and then as a private copy
//!   ([`Header`]). Nothing read from shared memory later is used as an offset, a
//!   length or an index without being brought into range. A hostile peer can
//!   spoil data; it cannot make us touch anything outside the segment.
//! * Only regular files of the effective user or root are opened, links never
//!   followed, unless the caller says otherwise ([`OpenOptions`]).
//! * The kernel says who is alive ([`liveness`]). An entry of somebody dead is
//!   recovered before it is used again, under its lock ([`Membership`]).
//! * Looking at a foreign or damaged segment is an error and nothing worse, and
//!   losing one in use is [`Gone`] ([`guard_faults`]).

pub mod layout;
pub mod liveness;

mod create;
mod descriptor;
mod error;
mod fault;
mod header;
mod mapping;
mod membership;
mod name;
mod open;
mod remove;
mod size;
#[cfg(test)]
mod tests;

pub use create::{Plan, available_memory, check_room, create, create_unless};
pub use error::{Gone, SegmentError};
pub use fault::{MAX_GUARDED, guard_faults};
pub use header::{Header, Kind, structure_offset};
pub use mapping::Mapping;
pub use membership::{Adopted, Membership};
pub use name::{Name, NameError};
pub use open::{OpenOptions, Opened};
pub use remove::{list, remove, remove_stale};
pub use size::Size;
