//! Children that meet hostile segments, and who watches them.
//!
//! A child is this test program started anew in a role. Before each step it
//! notes what it is about to do in a file; it may die there, or stay there for
//! ever. Its watcher waits for its end, sees to it that it gets ahead, and
//! says, should it fail, at which step. A child may have little memory: a
//! length that was believed shows as an allocation that fails.

use super::harness::{self, Name, SECONDS};
use super::{bytes, guard, headers, names};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

const STEP: &str = "SHMKIT_HOSTILE_STEP";
const NOTE: usize = 160;
/// Bytes that a child may allocate.
const MEMORY: u64 = 256 << 20;

/// Not a test: what the children do. Without a role it does nothing.
#[test]
fn role() {
    let Some(role) = harness::role() else {
        return;
    };
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    setrlimit(Resource::Data, limit).unwrap();
    guard::enable();
    let words: Vec<&str> = role.split(' ').collect();
    let step = Step(
        File::options()
            .write(true)
            .open(std::env::var(STEP).unwrap())
            .unwrap(),
    );
    let name = shmkit::segment::Name::new(words[1]).unwrap();
    match words[0] {
        "bytes" => bytes::child(&name, &step, words[2].parse().unwrap()),
        "beyond" => bytes::beyond(&name, &step, words[2].parse().unwrap()),
        "geometry" => headers::geometry(&name, &step),
        "exchanged" => names::child(&name, &step),
        "descriptions" => headers::descriptions(&name, &step),
        _ => panic!("no such role: {role}"),
    }
    assert!(guard::count() > 0, "nothing was mapped");
}

/// Where a child notes what it is about to do.
pub struct Step(File);

impl Step {
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let mut note = what.to_string().into_bytes();
        note.resize(NOTE, b' ');
        self.0.write_all_at(&note, 0).unwrap();
    }
}

/// How a child ended, and what it said.
pub struct Watched {
    pub signal: Option<i32>,
    pub code: Option<i32>,
    pub stdout: String,
    /// Its last step, and what it said on stderr.
    pub story: String,
}

/// Runs a child with a segment of its own to its end. Panics if it stays in
/// one step.
#[track_caller]
pub fn watch(role: &str, rest: &str) -> Watched {
    watch_beside(role, &Name::unused(), rest)
}

/// The same with a segment that others use, too.
#[track_caller]
fn watch_beside(role: &str, name: &str, rest: &str) -> Watched {
    let note = tempfile::NamedTempFile::new().unwrap();
    let mut child = harness::actor("role::role", format!("{role} {name} {rest}"))
        .env(STEP, note.path())
        .start();
    let step = || {
        String::from_utf8_lossy(&std::fs::read(note.path()).unwrap())
            .trim()
            .to_owned()
    };
    let (mut last, mut since) = (step(), Instant::now());
    while child.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let now = step();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < SECONDS, "{role}: hangs or spins: {last}");
    }
    let done = child.finish();
    Watched {
        signal: done.status.signal(),
        code: done.status.code(),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        story: format!("{}; stderr: {}", step(), done.stderr),
    }
}

/// Runs a child that has to live to its end, and gives what it reports.
#[track_caller]
pub fn survives(role: &str, rest: &str) -> String {
    reported(role, watch(role, rest))
}

/// The same with a segment that others use, too.
#[track_caller]
pub fn survives_beside(role: &str, name: &str) -> String {
    reported(role, watch_beside(role, name, ""))
}

#[track_caller]
fn reported(role: &str, watched: Watched) -> String {
    let how = (watched.signal, watched.code);
    assert_eq!(how, (None, Some(0)), "{role}: died at: {}", watched.story);
    let report = watched
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("REPORT "));
    report.expect("a report").to_owned()
}
