//! Every crash point of the library, in real processes.
//!
//! The library is strewn with named points (`src/sync/crash_point.rs`), one
//! after each step that others can see. Here a victim, a process of its own,
//! is killed at each of them, and then must hold, whatever it was about:
//!
//! * **It died there**, of SIGKILL. A point that is never reached is a failure.
//! * **The others go on.** Those who waited meanwhile and those who come after
//!   do all they came for: three of four times within a second (at a lock,
//!   half a second), and always within [`SECONDS`](harness::SECONDS), for the
//!   machine may be busy.
//! * **The ledgers agree.** Victims note outside the segment what they intend
//!   and what was acknowledged to them (`ledger.rs`). Nothing that was
//!   acknowledged is lost, nothing is torn, each writer's order is kept, and
//!   what comes twice is what a killed reader had in hand.
//! * **The unclean mark, and a lock's,** are there if and only if they should.
//! * **Nothing is leaked**: no entry, no node, and the next stream is clean.
//!
//! ```text
//! main.rs     the build has its points, or has none; each is visited
//! victim.rs   what a victim does, and its death
//! ledger.rs   what it notes
//! bounds.rs   how long the others may take
//! queue.rs    the points of rings: a table for each role of the victim
//! dropping.rs of writers that drop
//! broadcast.rs of rings where every reader gets everything
//! lock.rs     the points of locks, likewise
//! ```
//!
//! A table says for each point how far the step it follows takes effect. In a
//! release build there are no points: then only that is tested.

#[cfg(debug_assertions)]
mod bounds;
#[cfg(debug_assertions)]
mod broadcast;
#[cfg(debug_assertions)]
mod dropping;
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(debug_assertions)]
mod ledger;
#[cfg(debug_assertions)]
mod lock;
#[cfg(debug_assertions)]
mod queue;
#[cfg(debug_assertions)]
mod victim;

use harness::{Ring, shm};
use std::os::unix::process::ExitStatusExt;

/// The variable that orders a death.
const CRASH_AT: &str = "SHMKIT_CRASH_AT";

#[test]
fn a_debug_build_has_its_points_and_a_release_build_none() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_shm")).unwrap();
    let mentions = |text: &str| binary.windows(text.len()).any(|w| w == text.as_bytes());
    assert_eq!(mentions(CRASH_AT), cfg!(debug_assertions));
    assert_eq!(mentions("commit/pending-bytes"), cfg!(debug_assertions));
}

#[test]
fn shm_itself_dies_at_a_point_in_a_debug_build_only() {
    let ring = Ring::new(4, "64");
    let writer = shm(&["write", &ring.name]).env(CRASH_AT, "commit/ready");
    let done = writer.input("a message").run();
    let killed = done.status.signal() == Some(9);
    assert_eq!(killed, cfg!(debug_assertions), "{done:?}");
    // Committed, if not acknowledged; and its writer died, if it did.
    let reader = shm(&["read", &ring.name]).run();
    let done = reader.exits(if killed { 3 } else { 0 });
    assert_eq!(done.stdout, b"a message");
}

/// The names of the points in a source file, those in comments apart.
#[cfg(debug_assertions)]
fn points_in(source: &str) -> impl Iterator<Item = String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.filter_map(|line| line.split_once("crash_point(\"")?.1.split_once('"'))
        .map(|(point, _)| point.to_owned())
}

#[cfg(debug_assertions)]
#[test]
fn the_tables_visit_each_point_of_the_source_and_no_other() {
    let mut left = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.extend(points_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    let twice = found.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "a name stands at one place only");
    let mut visited: Vec<String> = queue::visited()
        .chain(dropping::visited())
        .chain(broadcast::visited())
        .chain(lock::visited())
        .map(|at| at.split('#').next().unwrap().to_owned())
        .collect();
    visited.sort();
    visited.dedup();
    assert_eq!(found, visited);
}
