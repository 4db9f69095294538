//! Broadcast rings on real processes: every reader gets every message, all in one
//! order, whoever comes, goes, is killed or stopped.
//!
//! ```text
//! party.rs     what writers and readers do (this program, in a role), and say
//! stream.rs    many writers and readers; ends; without readers; all entries taken
//! joining.rs   who comes late, or goes and comes again
//! trouble.rs   readers and writers killed and stopped
//! torn.rs      the hunt for torn nodes, in the tiniest rings
//! ```
//!
//! What the command line makes of it is told elsewhere; here all goes
//! through the library, so that a moment can be chosen exactly.

#[path = "../harness/mod.rs"]
mod harness;

mod joining;
mod party;
mod stream;
mod torn;
mod trouble;

use party::{message, open_message};
use shmkit::ring::{Claim, Monitor, OnFull, Reader, ReaderOptions, Start, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::time::{Duration, Instant};

/// Not a test: what the children of the tests do. Without a role it does nothing.
#[test]
fn role() {
    if let Some(words) = harness::role() {
        party::play(&words);
    }
}

/// A broadcast ring, removed on drop.
struct Ring {
    _ring: harness::Ring,
    name: Name,
}

impl Ring {
    fn new(nodes: u64, node_size: u64) -> Ring {
        let ring = harness::Ring::broadcast(nodes, node_size);
        Ring {
            name: Name::new(&ring.name).unwrap(),
            _ring: ring,
        }
    }

    fn writer(&self) -> Writer {
        Writer::attach(&self.name, OpenOptions::default()).unwrap()
    }

    fn reader(&self, from: Start) -> Reader {
        let options = ReaderOptions {
            from,
            ..ReaderOptions::default()
        };
        Reader::attach(&self.name, &options).unwrap()
    }

    fn monitor(&self) -> Monitor {
        Monitor::open(&self.name, OpenOptions::default()).unwrap()
    }

    /// Nobody is left in it, and no node has gone astray: all of them can be
    /// written, and not one more.
    #[track_caller]
    fn is_sound(&self) {
        drop(self.reader(Start::Newest)); // finds the dead
        let monitor = self.monitor();
        assert_eq!((monitor.readers(), monitor.writers()), (0, 0), "leaked");
        assert_eq!(monitor.diff().nodes, 0, "all was passed");
        let mut writer = self.writer();
        for i in 0..monitor.geometry().nodes {
            let nodes = writer.try_reserve(1).unwrap();
            let mut nodes = nodes.unwrap_or_else(|| panic!("nodes leaked: only {i} are free"));
            nodes.commit_first(0).unwrap();
        }
        assert!(writer.try_reserve(1).unwrap().is_none(), "nobody read them");
    }
}

/// The longest that a call which should succeed may block.
fn patiently() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + harness::PATIENCE),
        cancelled: None,
    }
}

/// For calls that should not succeed. Longer than the slice in which the dead
/// are looked for.
fn for_a_moment() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_millis(300)),
        cancelled: None,
    }
}

/// Publishes messages of writer 0.
#[track_caller]
fn publish(writer: &mut Writer, sequences: std::ops::Range<u32>, on_full: OnFull) {
    let node_size = writer.geometry().node_size;
    for sequence in sequences {
        let message = message(0, sequence, node_size);
        assert!(writer.offer(&message, on_full, &patiently()).unwrap());
    }
}

/// Reads and releases the next `count` messages, of writer 0.
#[track_caller]
fn take(reader: &mut Reader, count: usize) -> Vec<u32> {
    let node_size = reader.geometry().node_size;
    let mut got = Vec::new();
    while got.len() < count {
        let claim = reader.claim(count - got.len(), usize::MAX, &patiently());
        let Claim::Nodes(nodes) = claim.unwrap() else {
            panic!("it ended after {got:?}")
        };
        for i in 0..nodes.len() {
            let (writer, sequence) = open_message(nodes.node(i), node_size);
            assert_eq!(writer, 0);
            got.push(sequence);
        }
        nodes.release_all();
    }
    got
}

/// All that is there now.
#[track_caller]
fn take_all(reader: &mut Reader) -> Vec<u32> {
    let node_size = reader.geometry().node_size;
    let mut got = Vec::new();
    while let Some(Claim::Nodes(nodes)) = reader.try_claim(1, usize::MAX).unwrap() {
        got.push(open_message(nodes.node(0), node_size).1);
        nodes.release_all();
    }
    got
}

/// Whether the stream has ended for it, and clean.
#[track_caller]
fn ends_clean(reader: &mut Reader) -> bool {
    match reader.claim(1, usize::MAX, &patiently()).unwrap() {
        Claim::End { clean } => clean,
        Claim::Nodes(nodes) => panic!("more: {nodes:?}"),
    }
}
