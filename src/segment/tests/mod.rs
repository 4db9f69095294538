//! What the room promises, on real segments and real processes.
//!
//! A test that needs another process runs this test binary again, with only
//! itself selected and a role in the environment: see [`Child`].

mod create;
mod fault;
mod membership;
mod open;
mod remove;

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A name that nobody else uses, and that is free again afterwards.
struct Unique(Name);

impl Unique {
    fn new() -> Unique {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Unique(Name::new(&format!("test-segment-{}-{number}", std::process::id())).unwrap())
    }

    fn created() -> Unique {
        let unique = Unique::new();
        create(&unique.0, &plan(), |_| Ok(())).unwrap();
        unique
    }

    fn open(&self) -> Result<Opened, SegmentError> {
        Opened::open(&self.0, OpenOptions::default())
    }

    fn map(&self) -> Arc<Mapping> {
        map(&self.0).unwrap()
    }

    fn remove(&self, force: bool) -> Result<Option<Arc<Mapping>>, SegmentError> {
        remove(&self.0, force, OpenOptions::default())
    }

    fn truncate(&self, size: u64) {
        let file = std::fs::File::options()
            .write(true)
            .open(self.0.path())
            .unwrap();
        file.set_len(size).unwrap();
    }

    /// Changes one byte of the file.
    fn flip(&self, at: u64) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(self.0.path())
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
    }
}

impl Drop for Unique {
    fn drop(&mut self) {
        let path = self.0.path();
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
}

const ENTRIES: u32 = 4;
const SIZE: u64 = 256 << 10;

fn plan() -> Plan {
    Plan {
        kind: Kind::Ring,
        participants: ENTRIES,
        payload_offset: structure_offset(ENTRIES),
        total_size: SIZE,
        geometry: [7; 8],
        mode: 0o600,
    }
}

fn map(name: &Name) -> Result<Arc<Mapping>, SegmentError> {
    Mapping::open(name, Kind::Ring, OpenOptions::default())
}

fn must_not_recover(slot: u32) {
    panic!("entry {slot} needed recovery");
}

/// Asks again and again, for ten seconds.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < give_up, "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The exit status of a child that did all it should.
const DONE: i32 = 42;
/// Tells a child the name of the segment to work on.
const ROLE: &str = "SHMKIT_SEGMENT_TEST_CHILD";

/// The name of the segment to work on, if this process is a [`Child`].
fn role() -> Option<Name> {
    Some(Name::new(&std::env::var(ROLE).ok()?).unwrap())
}

/// This test binary again, in one test, as a process that can be stopped and
/// killed. Dropped: killed.
struct Child(std::process::Child);

impl Child {
    /// `test` is the path of the test that calls this, from the crate on.
    fn start(test: &str, name: &Name) -> Child {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, name.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Child(child)
    }

    /// In the child: says that all is ready, and stays until it is killed or
    /// its parent is gone.
    fn ready_and_stay() {
        eprintln!("ready");
        let _ = std::io::stdin().lines().next();
    }

    /// In the child: says that it has come to its end. (A test that ran no
    /// test at all would end with 0 as well.)
    fn done() -> ! {
        std::process::exit(DONE)
    }

    /// In the parent: waits until it is ready.
    fn started(test: &str, name: &Name) -> Child {
        let mut child = Child::start(test, name);
        let mut lines = BufReader::new(child.0.stderr.as_mut().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap() == "ready"),
            "the child of {test} failed"
        );
        child
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill has no preconditions; the child has not been waited
        // for, so the pid is still its own.
        let result = unsafe { libc::kill(self.0.id() as libc::pid_t, signal) };
        assert_eq!(result, 0);
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let stat = format!("/proc/{}/stat", self.0.id());
        eventually("the child stops", || {
            std::fs::read_to_string(&stat).unwrap().contains(") T ")
        });
    }

    /// Waits for its end; what it said goes with the panic if it is late.
    fn ended(mut self) -> ExitStatus {
        let mut status = None;
        eventually("the child ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn assert_done(status: ExitStatus) {
    assert_eq!(status.code(), Some(DONE), "the child failed: {status}");
}
