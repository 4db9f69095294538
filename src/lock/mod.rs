//! The read/write lock of arrays and buffers: many readers or one writer,
//! in any number of processes, whoever of them dies.
//!
//! ```text
//!                    entry 0      entry 1      entry 2
//! participant table [ reading 1 ][ reading 0 ][ reading 2 ] ...    each its own flag
//!                                      |
//! lock words         writer: 1 --------+   free, drained: where they sleep
//!                    marks: writers that died in the middle
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `layout` | the words |
//! | `protocol` | taking and giving back, and what the dead leave, over borrowed atomics |
//! | `handle` | [`Locked`]: an attached array or buffer of any type |
//! | `waiting` | sleeping, and looking after whoever is in the way |
//! | `guard` | the locks as values |
//! | `pass` | for programs that run under a lock of whoever started them |
//!
//! # Guarantees
//!
//! * While a [`WriteGuard`] lives nobody else has one, nor a [`ReadGuard`]. (Whoever
//!   has the lock and those who work under its pass, see [`Locked::pass`], are one
//!   party: the lock keeps others away from them, also when the holder is killed
//!   and they live on, but does not keep them from each other.)
//! * A holder that is killed blocks the others for one slice (100 ms) at most:
//!   the kernel says that it is gone, and the next one puts its affairs in order.
//!   One that is merely stopped keeps its lock.
//! * The next locker learns that a *writer* died in the middle of its changes
//!   ([`WriteGuard::owner_died`]), and so do all after it until somebody has
//!   written again. A writer that panics counts as dead, as with
//!   [`std::sync::RwLock`].
//! * Readers cannot starve a writer; writers can starve each other, and readers.
//!
//! The lock is advisory, as flock(2)'s: it keeps those apart who ask for it.
//! Anybody who may write to the segment can change the payload without.
//!
//! # Example
//!
//! ```
//! use shmkit::lock::{AttachOptions, Locked, Wait};
//! use shmkit::segment::{self, Name, OpenOptions};
//! use shmkit::buffer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = Name::new(&format!("doc-lock-{}", std::process::id()))?;
//! buffer::create(&name, &buffer::Spec::new(100)?, 0o600)?;
//! let mut one = Locked::attach(&name, &AttachOptions::default())?;
//! let other = Locked::attach(&name, &AttachOptions::default())?;
//!
//! let mut writing = one.write(&Wait::default())?;
//! writing.bytes_mut()[..5].copy_from_slice(b"hello");
//! let now = Wait { deadline: Some(std::time::Instant::now()), ..Wait::default() };
//! assert!(other.read(&now).is_err()); // timed out
//! drop(writing);
//!
//! assert_eq!(&other.read(&Wait::default())?.bytes()[..5], b"hello");
//! # drop((one, other));
//! # segment::remove(&name, false, OpenOptions::default())?;
//! # Ok(())
//! # }
//! ```

#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod guard;
#[cfg(not(loom))]
mod handle;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod pass;
mod protocol;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod threads;
#[cfg(not(loom))]
mod waiting;

/// What a payload is aligned to, in the segment and so in memory: a page.
pub(crate) const PAYLOAD_ALIGN: u64 = 4096;

#[cfg(not(loom))]
pub use self::{
    error::LockError,
    guard::{ReadGuard, WriteGuard},
    handle::{Access, AttachOptions, Locked, Mode, Stats, wake_everybody},
};
#[cfg(not(loom))]
pub use crate::sync::wait::Wait;
