//! What a writer or a reader of a broadcast ring was about when it was killed.
//!
//! Two messages, A and B, perhaps a third, C, in a ring of two nodes; and a *witness*: a
//! reader that was there all the time and lives on. It gets whatever the snapshot before
//! the kill says is committed and not dropped, and is told how many it missed. The victim
//! that attaches is copied, and nobody lives in a copy; there somebody comes who reads
//! from the oldest on.

use super::ring::{
    claim_all, copy, goes_on, message, new_reader, new_ring, new_writer, numbers, patiently,
    snapshot,
};
use super::{Scene, Stage, harness};
use shmkit::inspect::{NodeRow, Role, Snapshot, State};
use shmkit::ring::{Claim, Delivery, OnFull, Reader, ReaderOptions, Start, Wait};
use shmkit::segment::Name;

/// Nodes, and their size: A and B fill the ring.
const SHAPE: (u64, u64) = (2, 64);

macro_rules! scenes {
    ($($name:literal $act:ident;)*) => {
        /// All of them.
        pub const SCENES: &[Scene] = &[$(Scene {
            name: $name,
            stage: || Box::new(BroadcastStage::new(Act::$act)),
        }),*];
    };
}

scenes! {
    "broadcast, write"          Write;
    "broadcast, write again"    Reuse;
    "broadcast, drop the oldest" Drop;
    "broadcast, abort"          Abort;
    "broadcast, read"           Read;
    "broadcast, give back"      GiveBack;
    "broadcast, reader leaves"  Leave;
    "broadcast, reader attaches" Attach;
}

/// What the victim's cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Reserve, copy, commit B; A is there.
    Write,
    /// Take A's node back, which the witness has passed, and commit C.
    Reuse,
    /// Take A's node away, which the witness has not read, and commit C.
    Drop,
    /// Take A's node back, and drop the reservation.
    Abort,
    /// Claim, copy and pass A and B; another reader.
    Read,
    /// Claim A and drop the claim; another reader.
    GiveBack,
    /// Another reader leaves.
    Leave,
    /// A reader attaches, to read from the oldest on.
    Attach,
}

impl Act {
    /// Whether the victim is a reader; A and B are there for it.
    fn reads(self) -> bool {
        matches!(self, Act::Read | Act::GiveBack | Act::Leave | Act::Attach)
    }
}

/// One ring, one victim.
struct BroadcastStage {
    act: Act,
    _unique: harness::Name,
    name: Name,
    witness: Option<Reader>,
    seen: Option<(Snapshot, bool)>,
}

fn reader_from_oldest(name: &Name) -> Reader {
    let options = ReaderOptions {
        from: Start::Oldest,
        ..ReaderOptions::default()
    };
    Reader::attach(name, &options).unwrap()
}

impl BroadcastStage {
    fn new(act: Act) -> BroadcastStage {
        let (unique, name) = new_ring(SHAPE, Delivery::Broadcast);
        let witness = (act != Act::Attach).then(|| new_reader(&name));
        if act.reads() {
            let mut writer = new_writer(&name);
            writer.write(&message(0, SHAPE.1), &patiently()).unwrap();
            writer.write(&message(1, SHAPE.1), &patiently()).unwrap();
            writer.keep_open();
        }
        BroadcastStage {
            act,
            _unique: unique,
            name,
            witness,
            seen: None,
        }
    }

    /// What the witness has to get, by what is committed at the kill.
    fn expected(&self, seen: &Snapshot) -> Vec<u64> {
        let rows = seen.node_rows.as_ref().expect("the rows of nodes");
        let ready = |first: bool| {
            let of_it = rows.iter().filter(|row| (row.generation == 0) == first);
            let there = |row: &&NodeRow| matches!(row.state, Some(State::Ready | State::Reading));
            of_it.filter(there).count() as u64
        };
        let first = match self.act {
            Act::Write => 0..ready(true),
            _ => 2 - ready(true)..2,
        };
        first.chain((0..ready(false)).map(|_| 2)).collect()
    }
}

impl Stage for BroadcastStage {
    fn victim(&self, mark: fn()) {
        let size = SHAPE.1;
        let wait = Wait::default();
        let [a, b, c] = [0, 1, 2].map(|number| message(number, size));
        match self.act {
            Act::Write => {
                let mut writer = new_writer(&self.name);
                writer.write(&a, &wait).unwrap();
                mark();
                writer.write(&b, &wait).unwrap();
                mark();
            }
            Act::Reuse | Act::Drop | Act::Abort => {
                let mut writer = new_writer(&self.name);
                writer.write(&a, &wait).unwrap();
                writer.write(&b, &wait).unwrap();
                mark(); // Here the witness may read.
                match self.act {
                    Act::Reuse => writer.write(&c, &wait).unwrap(),
                    Act::Drop => assert!(writer.offer(&c, OnFull::DropOld, &wait).unwrap()),
                    _ => drop(writer.reserve(1, &wait).unwrap()),
                }
                mark();
            }
            Act::Read => {
                let mut reader = reader_from_oldest(&self.name);
                let mut copy = Vec::with_capacity(2 * size as usize);
                mark();
                let Claim::Nodes(nodes) = reader.claim(2, usize::MAX, &wait).unwrap() else {
                    panic!("A and B are there")
                };
                copy.extend_from_slice(nodes.node(0));
                copy.extend_from_slice(nodes.node(1));
                nodes.release_all();
                mark();
            }
            Act::GiveBack => {
                let mut reader = reader_from_oldest(&self.name);
                mark();
                drop(reader.claim(1, usize::MAX, &wait).unwrap());
                drop(reader);
                mark();
            }
            Act::Leave => {
                let reader = reader_from_oldest(&self.name);
                mark();
                drop(reader);
                mark();
            }
            Act::Attach => {
                mark();
                let reader = reader_from_oldest(&self.name);
                mark();
                drop(reader);
            }
        }
    }

    fn at_mark(&mut self) {
        if matches!(self.act, Act::Reuse | Act::Abort) {
            let witness = self.witness.as_mut().expect("it is there");
            let (messages, end) = claim_all(witness);
            assert_eq!((numbers(&messages, SHAPE.1), end), (vec![0, 1], None));
        }
    }

    fn segment(&self) -> &Name {
        &self.name
    }

    fn look(&mut self, ended: bool) {
        self.seen = Some((snapshot(&self.name), ended));
    }

    fn copied(&self) -> Option<Box<dyn Stage>> {
        let (unique, name) = self.witness.is_none().then(|| copy(&self.name))?;
        Some(Box::new(BroadcastStage {
            act: self.act,
            _unique: unique,
            name,
            witness: None,
            seen: self.seen.clone(),
        }))
    }

    fn judge(mut self: Box<Self>) {
        let (seen, ended) = self.seen.take().expect("looked");
        let expected = self.expected(&seen);
        let acknowledged = match (self.act, ended) {
            (Act::Write, true) => Some(vec![0, 1]),
            (Act::Reuse, true) => Some(vec![2]),
            (Act::Drop, true) => Some(vec![1, 2]),
            (Act::Abort, _) => Some(vec![]),
            (act, _) if act.reads() => Some(vec![0, 1]),
            _ => None,
        };
        if let Some(acknowledged) = acknowledged {
            assert_eq!(
                expected, acknowledged,
                "by the victim's own account: {:?}",
                seen.node_rows
            );
        }

        drop(new_reader(&self.name)); // recovers who is dead
        let witness = self.witness.take();
        let mut witness = witness.unwrap_or_else(|| reader_from_oldest(&self.name));
        let (messages, end) = claim_all(&mut witness);
        assert_eq!(numbers(&messages, SHAPE.1), expected, "{seen:?}");
        let committed = match self.act {
            Act::Write => expected.len() as u64,
            _ => 2 + u64::from(expected.contains(&2)),
        };
        let dropped = match self.act {
            Act::Drop => committed - expected.len() as u64,
            _ => 0,
        };
        assert_eq!(witness.missed_nodes(), dropped, "it is told");
        match end {
            Some(clean) => {
                let victim = seen.participants.iter().find(|p| p.role == Role::Writer);
                assert!(!clean && victim.is_some(), "a writer has died: {victim:?}");
            }
            None => assert!(self.act.reads(), "the last writer is dead"),
        }
        drop(witness);

        // The stream that follows, for somebody who comes with it.
        let writer = new_writer(&self.name);
        let mut reader = new_reader(&self.name);
        let sent = goes_on(SHAPE, writer, &mut reader);
        let (rest, end) = claim_all(&mut reader);
        assert_eq!((rest.len(), end), (0, Some(true)));
        assert_eq!(reader.missed_nodes(), 0);
        drop(reader);
        let after = snapshot(&self.name);
        assert_eq!(after.participants, [], "every entry is empty");
        let ring = after.ring.expect("a ring");
        assert_eq!(ring.written_nodes, committed + sent);
        assert_eq!(ring.written_bytes, (committed + sent) * SHAPE.1);
        assert_eq!(ring.dropped_nodes, dropped);
        assert_eq!((ring.diff_nodes, ring.unsignalled_slices), (0, 0));
    }
}
