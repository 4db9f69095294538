//! Every entry of the participant table taken: the next one is refused in one
//! line, those who are there go on, and an entry is to be had again as soon as
//! its holder has left, or died.
//!
//! (With processes in every entry: `many.rs`, `locks.rs`.)

use crate::harness::{Name, Ring, SECONDS, Shm, Store, shm, until_within};
use crate::{SIZE, holding, others_stream};
use shmkit::lock::{AttachOptions, Locked};
use shmkit::ring::{Reader, ReaderOptions, RingError, Writer};
use shmkit::segment::layout::DEFAULT_PARTICIPANTS;
use shmkit::segment::{self, OpenOptions, SegmentError};

fn name_of(name: &Name) -> segment::Name {
    segment::Name::new(name).unwrap()
}

/// Refused, in a line that says how many entries there are.
#[track_caller]
fn refused(command: Shm, entries: usize) {
    let line = command.run_within(SECONDS).fails(1).stderr;
    let all = format!("all {entries} participant entries are taken; try again when one has left\n");
    assert!(line.ends_with(&all), "{line:?}");
}

#[test]
fn the_129th_participant_of_a_ring_is_refused_until_one_leaves_or_dies() {
    assert_eq!(DEFAULT_PARTICIPANTS, 128);
    let ring = Ring::new(4, &SIZE.to_string());
    let name = name_of(&ring.name);
    let victim = holding("hold-a-write", &ring.name);
    let attach = || Reader::attach(&name, &ReaderOptions::default());
    let mut readers: Vec<_> = (1..128).map(|_| attach().unwrap()).collect();

    let (write, read) = (["write", &*ring.name], ["read", &*ring.name]);
    for _ in 0..2 {
        refused(shm(&write).input("x"), 128);
        refused(shm(&read), 128);
    }
    match Writer::attach(&name, OpenOptions::default()).map(drop) {
        Err(RingError::Segment(SegmentError::SlotsExhausted { slots: 128, .. })) => {}
        other => panic!("{other:?}"),
    }
    // Looking on takes no entry.
    assert_eq!((ring.living("reader"), ring.living("writer")), (127, 1));
    shm(&["list"]).run().exits(0);
    shm(&["remove", &ring.name]).run().fails(1);

    drop(readers.pop());
    readers.push(attach().unwrap());
    refused(shm(&read), 128);

    victim.kill();
    readers.push(attach().unwrap()); // in the dead writer's entry
    assert_eq!(ring.number("abandoned_nodes"), 1);
    refused(shm(&read), 128);
    readers.clear();
    others_stream(&ring, 100);
    shm(&["remove", &ring.name]).run().exits(0);
}

#[test]
fn participants_beyond_the_table_of_an_array_are_refused_until_one_leaves_or_dies() {
    let store = Store::array("u8", 1);
    let name = name_of(&store.name);
    // Of 128 entries 8 are kept for those who run under a lock.
    let holder = store.hold(&["--write"]);
    let attach = || Locked::attach(&name, &AttachOptions::default()).unwrap();
    let mut handles: Vec<_> = (1..120).map(|_| attach()).collect();
    refused(store.read::<&str>(&[]), 120);
    refused(store.write(&["1"]), 120);
    refused(store.lock(&[], &["echo", "ran"]), 120);

    drop(handles.pop());
    handles.push(attach());
    refused(store.write(&["1"]), 120);

    store.kill_holder(holder);
    until_within(SECONDS, "the dead holder's entry is free", || {
        store.write(&["5"]).run().status.success()
    });
    assert_eq!(store.text(), "5\n");
}
