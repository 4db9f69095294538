//! Shell pipelines through shared memory: named, self-describing, crash-safe
//! rings, arrays and buffers.
//!
//! This is the library under the `shm` command. A *segment* is a named piece
//! of POSIX shared memory (`/dev/shm/NAME`) that begins with a header which
//! says what it is. A *ring* is a segment of fixed-size nodes that any number
//! of writers and readers, in any number of processes, use as a FIFO queue. An
//! *array* is a segment of elements of one type, a *buffer* one of plain bytes;
//! both stay as they are when they are read, behind a read/write lock.
//!
//! ```text
//! cli       the shm command (in the binary)
//!  |
//! bench     how fast all this is: sweeps, reports, a chart
//!  |
//! inspect   snapshots of any segment, read-only, never mapped
//!  |
//!  +-------- array, buffer   typed elements and their descriptions; bytes
//!  |          |
//! ring       lock            nodes and their order; many readers or one writer
//!  |          |
//! segment   names, headers, mappings, participants and their liveness
//!  |
//! sync      atomics, event words, wait strategies
//! ```
//!
//! A room uses only those below it. The library never prints, never exits
//! and never reads arguments.
//!
//! # What it promises
//!
//! * **Nothing committed is lost.** A committed node is delivered at least
//!   once, and exactly once unless a reader dies with it or gives it back.
//! * **Nobody holds up the others.** A party that is slow, stopped or dead
//!   holds the nodes of a ring that it has, and nothing else. (Holding up
//!   others is what a lock is for; it is let go of as soon as can be.)
//! * **A lock is never left with the dead.** A holder that is killed blocks
//!   others for a wait slice at most, and who locks next is told when it was a
//!   writer, in the middle of its changes.
//! * **A type is what its description says.** The header describes an array's
//!   elements; a Rust type is accepted if it is described the same and laid
//!   out so, and refused with both named otherwise.
//! * **A crash leaves nothing stuck.** Whoever is killed, at whichever
//!   instruction, is noticed by those who wait for it within a wait slice
//!   (100 ms), and what it had is freed or handed on. The kernel says who is
//!   alive; time-outs and process ids prove nothing.
//! * **A name shows a complete segment or nothing.** Memory is reserved
//!   before the name appears; a full `/dev/shm` is an error, not a `SIGBUS`.
//! * **What is read from a segment is not trusted.** A damaged or hostile
//!   segment is an error. It cannot make this code touch anything outside
//!   the mapping, panic, or spin for ever.
//!
//! Rings that wait by `raw_sync`'s *events*
//! ([`WaitStrategy::Event`](ring::WaitStrategy::Event)) are excepted: pthread
//! objects in shared memory can do none of this. They are for comparison.
//!
//! Memory that somebody *truncates* under a mapping is a `SIGBUS` when it is
//! touched, unless the program has called [`segment::guard_faults`]; then it
//! is an error, too.
//!
//! # Where to begin
//!
//! [`ring`], [`mod@array`], [`buffer`] and [`lock`] have an example each that
//! creates, writes and reads. Linux on x86-64 and aarch64.

// The models need less than the handles do, which are not built for them.
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("shmkit runs on Linux, on x86-64 and aarch64: it needs futexes and OFD locks");

// `record!` names this crate as its users do, within it too.
extern crate self as shmkit;

/// The crate behind [`array::Element`]: plain data and its derives, in the
/// version that this crate uses.
#[cfg(not(loom))]
pub use zerocopy;

#[cfg(not(loom))]
pub mod array;
#[cfg(not(loom))]
pub mod bench;
#[cfg(not(loom))]
pub mod buffer;
#[cfg(not(loom))]
mod ideal;
#[cfg(not(loom))]
pub mod inspect;
pub mod lock;
pub mod ring;
#[cfg(not(loom))]
pub mod segment;
#[cfg(loom)]
#[path = "segment"]
pub mod segment {
    //! What the protocol needs of this room: the layout of its table.
    pub mod layout;
}
mod sync;

/// Runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
