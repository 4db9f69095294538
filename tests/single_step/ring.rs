//! What a writer or a reader of a ring was about when it was killed.
//!
//! Two messages, A and B, and a third party that comes afterwards. What has to
//! come of A and B follows from the states of the nodes at the kill: as many as
//! are READY, READING or ORPHAN. Then [`goes_on`] fills all nodes and
//! empties them, [`LAPS`] times: a node that was lost would be missed.

use super::{Scene, Stage, harness};
use shmkit::inspect::{Detail, Participant, Ring, Role, Snapshot};
use shmkit::ring::{
    self, Claim, Delivery, Geometry, Reader, ReaderOptions, Wait, WaitStrategy, WriteNodes, Writer,
};
use shmkit::segment::{Name, OpenOptions, Opened};
use std::time::{Duration, Instant};

/// How often all nodes are used after a kill.
const LAPS: u64 = 2;

/// Two nodes and one cache line each: A and B fill the ring.
const TIGHT: (u64, u64) = (2, 64);
/// Cells side by side, and messages that are copied in many steps.
const LONG: (u64, u64) = (4, 1500);

macro_rules! scenes {
    ($($name:literal $shape:ident $act:ident;)*) => {
        /// All of them.
        pub const SCENES: &[Scene] = &[$(Scene {
            name: $name,
            stage: || Box::new(RingStage::new($shape, Act::$act)),
        }),*];
    };
}

scenes! {
    "write 2x64"                TIGHT Write;
    "write 4x1500"              LONG  Write;
    "write two 4x1500"          LONG  WriteTwo;
    "abort 2x64"                TIGHT Abort;
    "end 2x64"                  TIGHT End;
    "leave another 4x1500"      LONG  Leave;
    "read 2x64"                 TIGHT Read;
    "read 4x1500"               LONG  Read;
    "read two 4x1500"           LONG  ReadTwo;
    "give back 2x64"            TIGHT GiveBack;
    "reader leaves 2x64"        TIGHT LeaveReading;
    "attach writer 2x64"        TIGHT AttachWriter;
    "attach reader, recover 4x1500" LONG AttachAmongDead;
}

/// What the victim's cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Reserve, copy, commit B; A is there.
    Write,
    /// Reserve two nodes at once, commit A and B.
    WriteTwo,
    /// Reserve, and drop the reservation; A is there.
    Abort,
    /// The last writer leaves; A and B are there.
    End,
    /// A writer leaves while another stays; A and B are there.
    Leave,
    /// Claim, copy and release A of A and B.
    Read,
    /// Claim both at once, release one after the other.
    ReadTwo,
    /// Claim A and drop the claim.
    GiveBack,
    /// A reader with nothing in hand leaves.
    LeaveReading,
    /// A writer attaches and joins the stream.
    AttachWriter,
    /// A reader attaches and recovers a writer that died with a reservation,
    /// and a reader that died with A.
    AttachAmongDead,
}

/// One ring, one victim.
struct RingStage {
    act: Act,
    _unique: harness::Name,
    name: Name,
    shape: (u64, u64),
    /// A writer that stays alive, in [`Act::Leave`].
    other: Option<Writer>,
    seen: Option<(Snapshot, bool)>,
}

/// Message `number`: as long as a node, no two alike.
pub fn message(number: u64, node_size: u64) -> Vec<u8> {
    harness::record(7, number as u32, node_size as usize)
}

/// The longest that anything may block which should not block at all.
pub fn patiently() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_secs(5)),
        cancelled: None,
    }
}

/// Messages as their numbers; panics on one that is torn.
pub fn numbers(messages: &[Vec<u8>], node_size: u64) -> Vec<u64> {
    let number = |m: &Vec<u8>| u64::from(harness::decode_records(m, node_size as usize)[0].1);
    messages.iter().map(number).collect()
}

/// All that is there, and what the stream's end says of it if it has come.
pub fn claim_all(reader: &mut Reader) -> (Vec<Vec<u8>>, Option<bool>) {
    let mut messages = Vec::new();
    loop {
        match reader.try_claim(1, usize::MAX).unwrap() {
            None => return (messages, None),
            Some(Claim::End { clean }) => return (messages, Some(clean)),
            Some(Claim::Nodes(nodes)) => {
                messages.push(nodes.node(0).to_vec());
                nodes.release_all();
            }
        }
    }
}

fn commit(nodes: &mut WriteNodes<'_>, message: &[u8]) {
    ring::copy_into(nodes.node_mut(0), message);
    nodes.commit_first(message.len()).unwrap();
}

/// A ring of that many nodes of that size, gone when the first value is.
pub fn new_ring((nodes, node_size): (u64, u64), delivery: Delivery) -> (harness::Name, Name) {
    let unique = harness::Name::unused();
    let name = Name::new(&unique).unwrap();
    let geometry = Geometry::new(nodes, node_size, delivery, WaitStrategy::Futex).unwrap();
    ring::create(&name, geometry, 0o600).unwrap();
    (unique, name)
}

pub fn new_writer(name: &Name) -> Writer {
    Writer::attach(name, OpenOptions::default()).unwrap()
}

pub fn new_reader(name: &Name) -> Reader {
    Reader::attach(name, &ReaderOptions::default()).unwrap()
}

/// The same bytes under another name, and nobody attached.
pub fn copy(from: &Name) -> (harness::Name, Name) {
    let unique = harness::Name::unused();
    let name = Name::new(&unique).unwrap();
    std::fs::copy(harness::shm_path(from.as_str()), unique.path()).unwrap();
    (unique, name)
}

/// The segment as it is now, with a row for each node.
pub fn snapshot(name: &Name) -> Snapshot {
    let opened = Opened::open(name, OpenOptions::default()).unwrap();
    let snapshot = Snapshot::take(&opened, Detail::Nodes).unwrap();
    assert!(snapshot.damage.is_empty(), "damaged: {snapshot:?}");
    snapshot
}

impl RingStage {
    fn new(shape: (u64, u64), act: Act) -> RingStage {
        let (unique, name) = new_ring(shape, Delivery::Queue);
        let (a, b) = (message(0, shape.1), message(1, shape.1));
        let mut other = None;
        match act {
            Act::Read | Act::ReadTwo | Act::GiveBack | Act::LeaveReading => {
                let mut writer = new_writer(&name);
                writer.write(&a, &patiently()).unwrap();
                writer.write(&b, &patiently()).unwrap();
                writer.keep_open();
            }
            Act::Leave => other = Some(new_writer(&name)),
            Act::AttachAmongDead => {
                let mut dead = super::traced::Traced::fork(|| {
                    let (mut writer, mut reader) = (new_writer(&name), new_reader(&name));
                    writer.write(&a, &patiently()).unwrap();
                    writer.write(&b, &patiently()).unwrap();
                    let _reserved = writer.reserve(1, &patiently()).unwrap();
                    let _claimed = reader.claim(1, usize::MAX, &patiently()).unwrap();
                    super::mark();
                });
                dead.run_to_mark();
                dead.kill();
            }
            Act::Write | Act::WriteTwo | Act::Abort | Act::End | Act::AttachWriter => {}
        }
        RingStage {
            act,
            _unique: unique,
            name,
            shape,
            other,
            seen: None,
        }
    }

    /// The victim among the participants, if it is one.
    fn victim_seen<'a>(&self, seen: &'a Snapshot) -> Option<&'a Participant> {
        let other = u32::from(self.other.is_some());
        let mut attached = seen.participants.iter().filter(|p| p.alive);
        attached.find(|p| p.slot >= other)
    }
}

/// Fills all nodes and empties them, [`LAPS`] times; ends the stream. How many
/// messages that were.
pub fn goes_on((nodes, size): (u64, u64), mut writer: Writer, reader: &mut Reader) -> u64 {
    let mut next = 100;
    for _ in 0..LAPS {
        let first = next;
        for _ in 0..nodes {
            let free = writer.try_reserve(1).unwrap();
            commit(
                &mut free.expect("all nodes are there"),
                &message(next, size),
            );
            next += 1;
        }
        assert!(
            writer.try_reserve(1).unwrap().is_none(),
            "N nodes and no more"
        );
        let (messages, end) = claim_all(reader);
        assert_eq!(numbers(&messages, size), (first..next).collect::<Vec<_>>());
        assert_eq!(end, None, "the stream is open");
    }
    writer.end();
    next - 100
}

impl Stage for RingStage {
    fn victim(&self, mark: fn()) {
        let size = self.shape.1;
        let (a, b) = (message(0, size), message(1, size));
        let wait = Wait::default();
        match self.act {
            Act::Write => {
                let mut writer = new_writer(&self.name);
                writer.write(&a, &wait).unwrap();
                mark();
                writer.write(&b, &wait).unwrap();
                mark();
            }
            Act::WriteTwo => {
                let mut writer = new_writer(&self.name);
                mark();
                let mut nodes = writer.reserve(2, &wait).unwrap();
                commit(&mut nodes, &a);
                commit(&mut nodes, &b);
                drop(nodes);
                mark();
            }
            Act::Abort => {
                let mut writer = new_writer(&self.name);
                writer.write(&a, &wait).unwrap();
                mark();
                let mut nodes = writer.reserve(1, &wait).unwrap();
                nodes.node_mut(0)[0] = 0xee;
                drop(nodes);
                mark();
            }
            Act::End | Act::Leave => {
                let mut writer = new_writer(&self.name);
                writer.write(&a, &wait).unwrap();
                writer.write(&b, &wait).unwrap();
                mark();
                writer.end();
                mark();
            }
            Act::Read => {
                let mut reader = new_reader(&self.name);
                let mut copy = vec![0; size as usize];
                mark();
                let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &wait).unwrap() else {
                    panic!("A is there")
                };
                copy.copy_from_slice(nodes.node(0));
                nodes.release_all();
                mark();
            }
            Act::ReadTwo => {
                let mut reader = new_reader(&self.name);
                mark();
                let Claim::Nodes(mut nodes) = reader.claim(2, usize::MAX, &wait).unwrap() else {
                    panic!("A is there")
                };
                nodes.release_first();
                nodes.release_first();
                drop(nodes);
                mark();
            }
            Act::GiveBack => {
                let mut reader = new_reader(&self.name);
                mark();
                drop(reader.claim(1, usize::MAX, &wait).unwrap());
                // What is not released goes back with the next call, or now.
                drop(reader);
                mark();
            }
            Act::LeaveReading => {
                let reader = new_reader(&self.name);
                mark();
                drop(reader);
                mark();
            }
            Act::AttachWriter => {
                mark();
                let writer = new_writer(&self.name);
                mark();
                drop(writer);
            }
            Act::AttachAmongDead => {
                mark();
                let reader = new_reader(&self.name);
                mark();
                drop(reader);
            }
        }
    }

    fn segment(&self) -> &Name {
        &self.name
    }

    fn look(&mut self, ended: bool) {
        self.seen = Some((snapshot(&self.name), ended));
    }

    fn copied(&self) -> Option<Box<dyn Stage>> {
        let (unique, name) = self.other.is_none().then(|| copy(&self.name))?;
        Some(Box::new(RingStage {
            act: self.act,
            _unique: unique,
            name,
            shape: self.shape,
            other: None,
            seen: self.seen.clone(),
        }))
    }

    fn judge(mut self: Box<Self>) {
        let (seen, ended) = self.seen.take().expect("looked");
        let ring = seen.ring.as_ref().expect("a ring");
        let states = ring.states;
        let unread = u64::from(states.ready + states.reading + states.orphan);

        // What has to come, by what was committed and released at the kill.
        let expected: Vec<u64> = match self.act {
            Act::Write | Act::WriteTwo | Act::Abort | Act::End | Act::Leave => {
                (0..unread).collect()
            }
            Act::AttachWriter => vec![],
            _ => (2 - unread..2).collect(),
        };
        let acknowledged = match (self.act, ended) {
            (Act::Write | Act::WriteTwo | Act::End | Act::Leave, true) => Some(vec![0, 1]),
            (Act::Abort, _) => Some(vec![0]),
            (Act::End | Act::Leave | Act::GiveBack | Act::LeaveReading, _) => Some(vec![0, 1]),
            (Act::AttachAmongDead, _) => Some(vec![0, 1]),
            (Act::Read, true) => Some(vec![1]),
            (Act::ReadTwo | Act::AttachWriter, true) => Some(vec![]),
            _ => None,
        };
        if let Some(acknowledged) = acknowledged {
            assert_eq!(
                expected, acknowledged,
                "by the victim's own account; {states:?}"
            );
        }
        // Dead as a writer, and not on its way out: the stream is unclean.
        let victim = self.victim_seen(&seen);
        let died_writing = victim.is_some_and(|p| p.role == Role::Writer && !p.leaving);
        let unclean = died_writing || !ring.stream.clean || self.act == Act::AttachAmongDead;

        let mut reader = new_reader(&self.name);
        let (messages, mut end) = claim_all(&mut reader);
        assert_eq!(numbers(&messages, self.shape.1), expected, "{states:?}");
        let after = snapshot(&self.name);
        let recovered = after.ring.as_ref().expect("a ring");
        assert_eq!(
            recovered.states.free, self.shape.0 as u32,
            "{:?}",
            recovered.states
        );
        if let Some(other) = self.other.take() {
            assert_eq!(end, None, "another writer lives");
            other.end();
            end = claim_all(&mut reader).1;
        }
        let kept_open = matches!(
            self.act,
            Act::Read | Act::ReadTwo | Act::GiveBack | Act::LeaveReading
        );
        match end {
            Some(clean) => assert_eq!(clean, !unclean, "{victim:?}"),
            // It was left open, or had ended before, with nothing to tell of.
            None => assert!(kept_open || expected.is_empty(), "{:?}", ring.stream),
        }

        // The stream that follows, for somebody who comes with it.
        drop(reader);
        let writer = new_writer(&self.name);
        let mut reader = new_reader(&self.name);
        let sent = goes_on(self.shape, writer, &mut reader);
        let (rest, end) = claim_all(&mut reader);
        assert_eq!((rest.len(), end), (0, Some(true)));
        drop(reader);

        let after = snapshot(&self.name);
        assert_eq!(after.participants, [], "every entry is empty");
        let ring = after.ring.expect("a ring");
        assert_eq!(ring.states.free, self.shape.0 as u32);
        assert_eq!(ring.diff_nodes, 0);
        assert_eq!(ring.unsignalled_slices, 0);
        self.judge_counters(&seen, &ring, sent);
    }
}

impl RingStage {
    /// Each message counts as written once, each node that the dead had is
    /// accounted for.
    fn judge_counters(&self, seen: &Snapshot, after: &Ring, sent: u64) {
        let before = seen.ring.as_ref().expect("a ring");
        let committed = match self.act {
            Act::Write | Act::WriteTwo | Act::Abort | Act::End | Act::Leave => {
                u64::from(before.states.ready)
            }
            Act::AttachWriter => 0,
            _ => 2,
        };
        assert_eq!(after.written_nodes, committed + sent);
        assert_eq!(after.read_nodes, committed + sent);
        assert_eq!(after.written_bytes, (committed + sent) * self.shape.1);
        let abandoned = before.abandoned_nodes + u64::from(before.states.writing);
        assert_eq!(after.abandoned_nodes, abandoned);
        if self.act != Act::GiveBack {
            // One that gives back counts itself, perhaps not in time.
            let redelivered = before.redelivered_nodes + u64::from(before.states.reading);
            assert_eq!(after.redelivered_nodes, redelivered);
        }
    }
}
