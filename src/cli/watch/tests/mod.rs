//! Made-up looks at made-up segments: no clock, no memory, no terminal.

mod roll;
mod screens;
mod track;
mod verdict;

use super::super::args::Command;
use super::track::{Look, Track};
use shmkit::array::{ElementType, Scalar};
use shmkit::inspect::{
    Array, Cell, DamageReport, EventWords, Lock, LockCounts, LockState, Participant, Ring, Role,
    Snapshot, States, Stream, StreamState, Survey,
};
use shmkit::segment::Kind;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn a_name_behind_watch_is_the_name_if_nothing_else_can_be_meant() {
    let parse = |line: &str| {
        let argv: Vec<_> = line.split(' ').map(Into::into).collect();
        match super::parse(&argv).map(|cli| cli.command) {
            Ok(Command::Inspect(args)) => Some((args.name.as_str().to_owned(), args.watch)),
            _ => None,
        }
    };
    let second = Some(Some(Duration::from_secs(1)));
    assert_eq!(
        parse("shm inspect r --watch"),
        Some(("r".into(), Some(None)))
    );
    assert_eq!(
        parse("shm inspect r --watch 1s"),
        Some(("r".into(), second))
    );
    assert_eq!(
        parse("shm inspect --watch 1s r"),
        Some(("r".into(), second))
    );
    assert_eq!(
        parse("shm inspect --watch r"),
        Some(("r".into(), Some(None)))
    );
    assert_eq!(parse("shm inspect r"), Some(("r".into(), None)));
    for wrong in [
        "shm inspect r --watch soon",
        "shm inspect --watch",
        "shm inspect --watch --json",
    ] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

/// When all of them were made, nanoseconds since the epoch.
const MADE: u64 = 1_700_000_000_000_000_000;

fn snapshot(name: &str, kind: Kind, size_bytes: u64) -> Snapshot {
    Snapshot {
        name: name.to_owned(),
        kind,
        layout_version: 1,
        size_bytes,
        mode: 0o600,
        owner_uid: 1000,
        created_unix_ns: MADE,
        creator_pid: 4242,
        ring: None,
        array: None,
        buffer: None,
        lock: None,
        participants: Vec::new(),
        node_rows: None,
        damage: DamageReport::default(),
    }
}

/// A ring that nobody has used.
fn ring(nodes: u32, node_size: u64) -> Snapshot {
    Snapshot {
        ring: Some(Ring {
            delivery: "queue",
            wait: "futex",
            nodes,
            node_size,
            written_nodes: 0,
            read_nodes: 0,
            diff_nodes: 0,
            written_bytes: 0,
            read_bytes: 0,
            diff_bytes: 0,
            abandoned_nodes: 0,
            redelivered_nodes: 0,
            dropped_nodes: 0,
            dropped_bytes: 0,
            missed_nodes: None,
            writer_waits: 0,
            reader_waits: 0,
            states: States {
                free: nodes,
                ..States::default()
            },
            stream: Stream {
                state: StreamState::Waiting,
                clean: true,
                epoch: 0,
            },
            head: 0,
            tail: 0,
            unsignalled_slices: 0,
            consistent: true,
            event_words: EventWords::default(),
            map: None,
        }),
        ..snapshot("frames", Kind::Ring, u64::from(nodes) * node_size)
    }
}

/// `written` nodes went into it, `read` of them out again; none is held.
fn moved(mut snapshot: Snapshot, written: u64, read: u64) -> Snapshot {
    let ring = snapshot.ring.as_mut().unwrap();
    let diff = written - read;
    ring.written_nodes = written;
    ring.read_nodes = read;
    ring.diff_nodes = diff;
    ring.written_bytes = written * ring.node_size;
    ring.read_bytes = read * ring.node_size;
    ring.diff_bytes = diff * ring.node_size;
    ring.states = States {
        free: ring.nodes - diff as u32,
        ready: diff as u32,
        ..States::default()
    };
    ring.stream = Stream {
        state: StreamState::Open,
        clean: true,
        epoch: 1,
    };
    for participant in &mut snapshot.participants {
        participant.diff_nodes = diff;
    }
    snapshot
}

/// An array and its lock.
fn array(state: LockState) -> Snapshot {
    Snapshot {
        array: Some(Array {
            element_type: ElementType::scalar(Scalar::F64),
            len: 1000,
            element_size: 8,
            data_offset: 40960,
        }),
        lock: Some(Lock {
            state,
            owner_died: false,
            writer_slot: None,
            waiting_slot: None,
            readers: 0,
            counts: LockCounts::default(),
        }),
        ..snapshot("temps", Kind::Array, 49152)
    }
}

fn member(slot: u32, role: Role, pid: u32) -> Participant {
    Participant {
        slot,
        role,
        pid,
        alive: true,
        leaving: false,
        since_unix_ns: MADE + u64::from(slot),
        nodes: 0,
        bytes: 0,
        waits: 0,
        held_nodes: 0,
        diff_nodes: 0,
        missed_nodes: None,
    }
}

fn with(mut snapshot: Snapshot, participants: &[Participant]) -> Snapshot {
    snapshot.participants = participants.to_vec();
    snapshot
}

/// A look at so many milliseconds: whoever could be asleep is.
fn look(ms: u64, mut snapshot: Snapshot) -> Look {
    if let Some(ring) = &mut snapshot.ring {
        let armed = 2 * ms as u32 + 1;
        ring.event_words = EventWords {
            writers: armed,
            readers: armed,
        };
    }
    awake(ms, snapshot)
}

/// A look at so many milliseconds: nobody sleeps, or the words slept on say otherwise.
fn awake(ms: u64, snapshot: Snapshot) -> Look {
    let at = Duration::from_millis(ms);
    Look {
        at,
        unix_ns: MADE + 12_000_000_000 + ms * 1_000_000,
        snapshot,
        survey: None,
        nodes_at: at,
        commands: BTreeMap::new(),
    }
}

/// A track of these looks.
fn track(looks: impl IntoIterator<Item = Look>) -> Track {
    let mut looks = looks.into_iter();
    let mut track = Track::new(looks.next().unwrap());
    looks.for_each(|look| track.advance(look));
    track
}

/// The survey of a ring whose nodes have these signs: `.` `w` `#` `r` `o` `?`,
/// written by entry 0 and read by entry 1.
fn survey(signs: &str) -> Survey {
    let cell = |sign| {
        let mut cell = Cell::default();
        let states = &mut cell.states;
        match sign {
            '.' => states.free = 1,
            'w' => states.writing = 1,
            '#' => states.ready = 1,
            'r' => states.reading = 1,
            'o' => states.orphan = 1,
            _ => cell.damaged = 1,
        }
        cell.holder = match sign {
            'w' => Some(0),
            'r' => Some(1),
            _ => None,
        };
        cell
    };
    Survey {
        nodes: signs.len() as u32,
        nodes_per_cell: 1,
        cells: signs.chars().map(cell).collect(),
    }
}
