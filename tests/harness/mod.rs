//! What every test here stands on.
//!
//! The tests drive the real binary, as a shell would, and judge it by what it
//! promises: bytes on stdout, lines on stderr, exit statuses, and what is left
//! under `/dev/shm`. Four things must hold for each of them, whatever happens:
//!
//! * nothing is left behind: a [`Name`] removes its segment when it is dropped,
//!   a [`Proc`] kills and reaps its child, also when the test panics;
//! * nothing waits for ever: every wait has a bound, and a wait that reaches it
//!   panics and says what it waited for;
//! * nothing is skipped in silence: [`skipped`] says so where all can see it;
//! * nothing is timed: a test waits *until* a condition holds and never sleeps
//!   in the hope that it will. The bounds are generous, for a loaded machine.
//!
//! ```text
//! process.rs   Shm (a command to be run), Proc (running), Done (ended)
//! pty.rs       Terminal (what a person sees, and types)
//! program.rs   programs made by tests, and shm as another user runs it
//! role.rs      this program once more, in a role
//! segment.rs   Name (unique, removed on drop), Ring (a created ring)
//! store.rs     Store (a created array or buffer, and what holds its lock)
//! npy.rs       .npy files, made and taken apart
//! data.rs      Pattern (gigabytes without storing them), records
//! ```

#![allow(dead_code, unused_imports)] // each test binary uses a part of it

mod data;
mod npy;
mod process;
mod program;
mod pty;
mod role;
mod segment;
mod store;

pub use data::{Pattern, Verdict, Verifier, decode_records, record, records};
pub use npy::{Npy, npy, npy_with, parse_npy};
pub use process::{Done, Proc, Shm, in_private_shm, shm};
pub use program::{Other, executable};
pub use pty::Terminal;
pub use role::{actor, role, this_program};
pub use segment::{Name, Ring, shm_path};
pub use store::Store;

use std::io::Write;
use std::time::{Duration, Instant};

/// How long anything may take that should take no time at all: on a machine with
/// six spinning processes to a core, where each turn of two of them takes 20 ms.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// "Within seconds": how long others may take to get over a crash, or to
/// notice that a segment is gone.
pub const SECONDS: Duration = Duration::from_secs(15);
/// How long a stream of a gigabyte may take on a slow and busy machine.
pub const GIGABYTE_PATIENCE: Duration = Duration::from_secs(300);

/// Says that a test, or a part of it, proves nothing here, and why. libtest
/// keeps what a test that passes has printed to itself, but not what goes to
/// the stream as such: a skip is seen. With `SHMKIT_TEST_NO_SKIP` set it is a
/// failure, for machines that are known to have it all.
#[track_caller]
pub fn skipped(why: impl std::fmt::Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let allowed = std::env::var_os("SHMKIT_TEST_NO_SKIP").is_none();
    assert!(allowed, "skipped, which SHMKIT_TEST_NO_SKIP forbids: {why}");
    let _ = writeln!(std::io::stderr(), "{test}: skipped: {why}");
}

/// Waits until `condition` holds, [`PATIENCE`] at most.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(PATIENCE, what, condition);
}

/// Waits until `condition` holds, `bound` at most.
#[track_caller]
pub fn until_within(bound: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {bound:?} in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Checks that `condition` holds all through `span`: for what must *not*
/// happen. A slow machine can only make it pass.
#[track_caller]
pub fn holds_for(span: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        assert!(condition(), "it did not hold that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
