//! Entries are held by the living, and only by them.

use super::super::layout::{EMPTY, LEAVING, READER, WRITER};
use super::super::liveness::{self, Bytes};
use super::*;
use std::os::fd::AsFd;

fn join(mapping: &Arc<Mapping>) -> Membership {
    Membership::join(mapping, WRITER, must_not_recover).unwrap()
}

#[test]
fn an_entry_is_held_from_joining_to_leaving() {
    let unique = Unique::created();
    let (opened, mapping) = (unique.open().unwrap(), unique.map());
    let member = join(&mapping);
    let entry = &mapping.entries()[member.slot() as usize];
    assert_eq!(entry.state.load(Ordering::Relaxed), WRITER);
    assert_eq!(entry.pid.load(Ordering::Relaxed), std::process::id());
    assert!(entry.since_unix_ns.load(Ordering::Relaxed) >= opened.header().created_unix_ns);
    assert!(opened.is_alive(member.slot()).unwrap());
    assert!(mapping.is_alive(member.slot()).unwrap());
    assert_eq!(opened.participants().unwrap(), 1);

    member.set_state(LEAVING);
    assert_eq!(entry.state.load(Ordering::Relaxed), LEAVING);
    let slot = member.slot();
    drop(member);
    assert_eq!(entry.state.load(Ordering::Relaxed), EMPTY);
    assert!(!opened.is_alive(slot).unwrap());
    assert_eq!(opened.participants().unwrap(), 0);
}

#[test]
fn a_newcomer_counts_from_where_its_entry_stands() {
    let unique = Unique::created();
    let mapping = unique.map();
    let counters = &mapping.entries()[0].counters;
    counters.written_nodes.store(5, Ordering::Relaxed);
    counters.read_bytes.store(77, Ordering::Relaxed);
    let base = |member: &Membership| {
        let entry = member.entry();
        [&entry.base_nodes, &entry.base_bytes].map(|base| base.load(Ordering::Relaxed))
    };
    let member = join(&mapping);
    assert_eq!((member.slot(), base(&member)), (0, [5, 0]));
    drop(member);
    let member = Membership::join(&mapping, READER, must_not_recover).unwrap();
    assert_eq!((member.slot(), base(&member)), (0, [0, 77]));
}

#[test]
fn a_full_table_is_an_error_until_somebody_leaves() {
    let unique = Unique::created();
    let mapping = unique.map();
    let mut members: Vec<_> = (0..ENTRIES).map(|_| join(&mapping)).collect();
    let mut slots: Vec<_> = members.iter().map(Membership::slot).collect();
    slots.sort();
    assert_eq!(slots, [0, 1, 2, 3]);
    match Membership::join(&mapping, READER, must_not_recover) {
        Err(SegmentError::SlotsExhausted { slots: ENTRIES, .. }) => {}
        other => panic!("{other:?}"),
    }
    let left = members.swap_remove(2).slot();
    assert_eq!(join(&mapping).slot(), left);
}

#[test]
fn whoever_joins_while_all_entries_are_held_for_a_moment_waits_for_one() {
    let unique = Unique::created();
    let mapping = unique.map();
    let remover = std::fs::File::options()
        .write(true)
        .open(unique.0.path())
        .unwrap();
    assert!(liveness::try_lock(remover.as_fd(), Bytes::ALL_SLOTS).unwrap());
    std::thread::scope(|scope| {
        let newcomer = scope.spawn(|| join(&mapping).slot());
        std::thread::sleep(Duration::from_millis(10));
        drop(remover); // changed its mind
        assert_eq!(newcomer.join().unwrap(), 0);
    });
}

#[test]
fn nobody_joins_what_is_gone() {
    for spoil in [
        (|unique| drop(unique.remove(true).unwrap())) as fn(&Unique),
        |unique| std::fs::remove_file(unique.0.path()).unwrap(),
        |unique| std::fs::rename(unique.0.path(), unique.0.path().with_extension("old")).unwrap(),
        |unique| unique.truncate(SIZE / 2),
        |unique| {
            unique.remove(true).unwrap();
            create(&unique.0, &plan(), |_| Ok(())).unwrap();
        },
    ] {
        let unique = Unique::created();
        let mapping = unique.map();
        spoil(&unique);
        let _ = std::fs::remove_file(unique.0.path().with_extension("old"));
        let result = Membership::join(&mapping, WRITER, must_not_recover);
        assert!(
            matches!(result, Err(SegmentError::Gone { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn the_living_are_not_adopted_and_nobody_adopts_himself() {
    let unique = Unique::created();
    let mapping = unique.map();
    let (one, other) = (join(&mapping), join(&mapping));
    assert!(one.adopt(one.slot()).is_none());
    assert!(one.adopt(other.slot()).is_none());
    assert!(one.adopt(ENTRIES).is_none());
    assert!(one.adopt(u32::MAX).is_none());

    let free = 3;
    let adopted = one.adopt(free).unwrap();
    assert_eq!(adopted.slot(), free);
    assert!(
        one.adopt(free).is_none(),
        "by another thread of the same handle"
    );
    assert!(other.adopt(free).is_none(), "by another handle");
    assert!(mapping.is_alive(free).unwrap());
    drop(adopted);
    assert!(!mapping.is_alive(free).unwrap());
    assert!(other.adopt(free).is_some());
    // Giving back another's byte has not given back our own.
    assert!(mapping.is_alive(one.slot()).unwrap());
}

#[test]
fn the_entry_of_a_killed_process_is_adopted_and_that_of_a_stopped_one_is_not() {
    const SELF: &str = "segment::tests::membership::the_entry_of_a_killed_process_is_adopted_and_that_of_a_stopped_one_is_not";
    if let Some(name) = role() {
        let _member = join(&map(&name).unwrap());
        return Child::ready_and_stay();
    }
    let unique = Unique::created();
    let mut child = Child::started(SELF, &unique.0);
    let mapping = unique.map();
    let member = join(&mapping);
    let theirs = &mapping.entries()[0];
    assert_eq!(
        (member.slot(), theirs.pid.load(Ordering::Relaxed)),
        (1, child.0.id())
    );
    assert!(member.adopt(0).is_none());
    child.stop();
    assert!(member.adopt(0).is_none() && mapping.is_alive(0).unwrap());

    child.kill();
    eventually("the entry of the dead is adopted", || {
        member.adopt(0).is_some()
    });
    assert!(!mapping.is_alive(0).unwrap());
    assert_eq!(
        theirs.state.load(Ordering::Relaxed),
        WRITER,
        "adopted, but not yet recovered"
    );
}

#[test]
fn the_dead_are_recovered_before_their_entry_is_taken() {
    const SELF: &str =
        "segment::tests::membership::the_dead_are_recovered_before_their_entry_is_taken";
    if let Some(name) = role() {
        let mapping = map(&name).unwrap();
        let _members: Vec<_> = (0..ENTRIES).map(|_| join(&mapping)).collect();
        return Child::ready_and_stay();
    }
    let unique = Unique::created();
    let mut child = Child::started(SELF, &unique.0);
    let mapping = unique.map();
    child.stop();
    assert!(matches!(
        Membership::join(&mapping, READER, must_not_recover),
        Err(SegmentError::SlotsExhausted { .. })
    ));
    child.kill();

    // A recoverer that dies on the way leaves the entry as dead as it was.
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Membership::join(&mapping, READER, |_| {
            std::panic::resume_unwind(Box::new("died"))
        })
    }));
    assert!(interrupted.is_err());
    assert_eq!(mapping.entries()[0].state.load(Ordering::Relaxed), WRITER);
    assert!(!mapping.is_alive(0).unwrap());

    let mut recovered = Vec::new();
    let member = Membership::join(&mapping, READER, |slot| {
        assert!(
            mapping.is_alive(slot).unwrap(),
            "recovered without its lock"
        );
        assert_eq!(
            mapping.entries()[slot as usize]
                .state
                .load(Ordering::Relaxed),
            WRITER
        );
        recovered.push(slot);
    })
    .unwrap();
    assert_eq!(recovered, [member.slot()]);
    assert_eq!(member.entry().state.load(Ordering::Relaxed), READER);
}
