//! Segments made, spoilt and exchanged by an enemy. Whatever lies under a name
//! and whatever happens to it: an error, said in time, with the status that the
//! contract has for it. Nobody dies of a signal, panics, hangs or spins, and
//! nobody touches memory outside the mapping.
//!
//! ```text
//! image.rs     small segments as bytes, with and without dead users
//! visit.rs     all that can be done with a segment; never waits
//! guard.rs     every mapping between two regions that nobody may touch
//! role.rs      children that do it, one step after the other, and are watched
//!
//! bytes.rs     each byte of what is not payload, with each value
//! headers.rs   headers and descriptions that lie, with right check sums
//! load.rs      words changed and files cut while others write and read
//! places.rs    readers of a broadcast ring that lie about where they are
//! blocked.rs   those who wait in a spoilt ring are told, or sleep
//! names.rs     what is no segment; segments exchanged during attach
//! ```
//!
//! `scripts/hostile.sh` runs the same for longer, with every value.

#[path = "../harness/mod.rs"]
mod harness;

mod blocked;
mod bytes;
mod guard;
mod headers;
mod image;
mod load;
mod names;
mod places;
mod role;
mod visit;
