//! Shell pipelines through shared memory: named, self-describing, crash-safe
//! rings.
//!
//! This is the library under the `shm` command. A *segment* is a named piece
//! of POSIX shared memory (`/dev/shm/NAME`) that begins with a header which
//! says what it is. A *ring* is a segment of fixed-size nodes that any number
//! of writers and readers, in any number of processes, use as a FIFO queue.
//!
//! ```text
//! cli      the shm command (in the binary)
//!  |
//! inspect  snapshots of any segment, read-only, never mapped
//!  |
//! ring     nodes and their order, writers and readers, recovery
//!  |
//! segment  names, headers, mappings, participants and their liveness
//!  |
//! sync     atomics, event words, wait strategies
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
//!   holds the nodes it has, and nothing else.
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
//! [`ring`] has an example that creates a ring, writes and reads. Linux on
//! x86-64 and aarch64.

// The models need less than the handles do, which are not built for them.
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("shmkit runs on Linux, on x86-64 and aarch64: it needs futexes and OFD locks");

#[cfg(not(loom))]
pub mod inspect;
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
