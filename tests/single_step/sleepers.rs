//! The victim was about to wake somebody who sleeps.
//!
//! Nobody new comes here: the sleeper itself has to notice, within a wait
//! slice (100 ms), that the one who should have woken it is dead. It is a
//! process of its own, and asleep before the victim begins its cycle; what it
//! got, it says by its exit status.

use super::ring::{
    claim_all, goes_on, message, new_reader, new_ring, new_writer, patiently, snapshot,
};
use super::traced::belong_to;
use super::{Scene, Stage, harness};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use shmkit::ring::{Claim, Delivery, Wait};
use shmkit::segment::Name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const SHAPE: (u64, u64) = (2, 64);

/// All of them.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "write, a reader sleeps",
        stage: || Box::new(SleeperStage::new(Act::Write)),
    },
    Scene {
        name: "read, a writer sleeps",
        stage: || Box::new(SleeperStage::new(Act::Read)),
    },
];

/// What the victim's cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Commit A; a reader sleeps.
    Write,
    /// Release A of A and B; a writer sleeps, for the ring is full.
    Read,
}

/// What the sleeper had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum Said {
    /// The reader got A; the writer wrote C.
    Got = 10,
    /// The reader got the end, and it was unclean.
    UncleanEnd = 11,
}

/// A forked child that is killed and reaped with its stage.
struct Child(Option<Pid>);

impl Child {
    fn fork(program: impl FnOnce() -> Said) -> Child {
        let parent = getpid();
        // SAFETY: this process has one thread (see `main`).
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let said = catch_unwind(AssertUnwindSafe(|| {
                belong_to(parent);
                program()
            }));
            let status = said.map_or(99, |said| said as i32);
            // SAFETY: ends this process and nothing else.
            unsafe { libc::_exit(status) }
        }
        Child(Some(Pid::from_raw(pid).expect("fork")))
    }

    /// Waits for its exit status, `bound` at most.
    fn exit_within(&mut self, bound: Duration) -> i32 {
        let deadline = Instant::now() + bound;
        let pid = self.0.expect("not waited for before");
        loop {
            if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).unwrap() {
                self.0 = None;
                return status.exit_status().expect("it exits");
            }
            assert!(Instant::now() < deadline, "it slept on for {bound:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// One ring, one victim, one sleeper.
struct SleeperStage {
    act: Act,
    _unique: harness::Name,
    name: Name,
    sleeper: Child,
    /// What the sleeper must say.
    must: Option<Said>,
}

impl SleeperStage {
    fn new(act: Act) -> SleeperStage {
        let (unique, name) = new_ring(SHAPE, Delivery::Queue);
        if act == Act::Read {
            let mut writer = new_writer(&name);
            writer.write(&message(0, SHAPE.1), &patiently()).unwrap();
            writer.write(&message(1, SHAPE.1), &patiently()).unwrap();
            writer.keep_open();
        }
        SleeperStage {
            act,
            _unique: unique,
            name,
            sleeper: Child(None),
            must: None,
        }
    }

    /// The one who sleeps, in its own process.
    fn sleep(&self) -> Said {
        match self.act {
            Act::Write => match new_reader(&self.name)
                .claim(1, usize::MAX, &patiently())
                .unwrap()
            {
                Claim::Nodes(nodes) => {
                    assert_eq!(nodes.node(0), message(0, SHAPE.1));
                    nodes.release_all();
                    Said::Got
                }
                Claim::End { clean } => {
                    assert!(!clean);
                    Said::UncleanEnd
                }
            },
            Act::Read => {
                let mut writer = new_writer(&self.name);
                writer.write(&message(2, SHAPE.1), &patiently()).unwrap();
                writer.keep_open();
                Said::Got
            }
        }
    }
}

impl Stage for SleeperStage {
    fn victim(&self, mark: fn()) {
        let wait = Wait::default();
        match self.act {
            Act::Write => {
                let mut writer = new_writer(&self.name);
                mark();
                writer.write(&message(0, SHAPE.1), &wait).unwrap();
                mark();
            }
            Act::Read => {
                let mut reader = new_reader(&self.name);
                mark();
                let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &wait).unwrap() else {
                    panic!("A is there")
                };
                nodes.release_all();
                mark();
            }
        }
    }

    /// Only now: who attaches wakes all who sleep.
    fn at_mark(&mut self) {
        self.sleeper = Child::fork(|| self.sleep());
        let pid = self.sleeper.0.expect("just forked").as_raw_nonzero();
        harness::until("the other one sleeps", || {
            let ring = snapshot(&self.name).ring.expect("a ring");
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            ring.reader_waits + ring.writer_waits == 1 && stat.contains(") S ")
        });
    }

    fn segment(&self) -> &Name {
        &self.name
    }

    fn look(&mut self, _ended: bool) {
        let ring = snapshot(&self.name).ring.expect("a ring");
        let states = ring.states;
        // The sleeper may be awake already, and have got what it waits for.
        self.must = match self.act {
            Act::Write if states.ready + states.reading > 0 || ring.read_nodes > 0 => {
                Some(Said::Got)
            }
            Act::Write if states.writing > 0 => Some(Said::UncleanEnd),
            Act::Read if states.free + states.writing > 0 || ring.read_nodes > 0 => Some(Said::Got),
            _ => None,
        };
    }

    fn judge(mut self: Box<Self>) {
        if self.act == Act::Read && self.must.is_none() {
            // A went to nobody yet: the ring is full until somebody reads.
            let mut reader = new_reader(&self.name);
            let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &patiently()).unwrap() else {
                panic!("A is there")
            };
            assert_eq!(nodes.node(0), message(0, SHAPE.1));
            nodes.release_all();
        }
        let said = self.sleeper.exit_within(harness::SECONDS);
        assert!(
            [Said::Got as i32, Said::UncleanEnd as i32].contains(&said),
            "{said}"
        );
        if let Some(must) = self.must {
            assert_eq!(said, must as i32);
        }

        // What is left, and then another stream.
        let mut reader = new_reader(&self.name);
        let left = claim_all(&mut reader).0;
        let expected = match self.act {
            Act::Write => 0,
            Act::Read => 2,
        };
        assert_eq!(left.len(), expected);
        drop(reader);
        let writer = new_writer(&self.name);
        let mut reader = new_reader(&self.name);
        goes_on(SHAPE, writer, &mut reader);
        drop(reader);
        let after = snapshot(&self.name);
        assert_eq!(after.participants, [], "every entry is empty");
        assert_eq!(after.ring.expect("a ring").states.free, SHAPE.0 as u32);
    }
}
