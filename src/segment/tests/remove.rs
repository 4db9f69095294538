//! Nothing is removed under those who use it, and nothing is left for ever.

use super::super::layout::{MAGIC, READER};
use super::super::liveness::{self, Bytes};
use super::super::remove::remove_stale_among;
use super::*;
use std::os::fd::AsFd;

#[test]
fn a_segment_in_use_is_removed_only_by_force() {
    let unique = Unique::created();
    let mapping = unique.map();
    let _members = [0, 1].map(|_| Membership::join(&mapping, READER, must_not_recover).unwrap());
    match unique.remove(false) {
        Err(SegmentError::InUse {
            participants: 2, ..
        }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(mapping.gone(), None);
    assert!(unique.open().is_ok());
    unique.remove(true).unwrap();
    assert_eq!(mapping.gone(), Some(Gone::Removed));
    assert!(matches!(
        unique.remove(true),
        Err(SegmentError::NotFound { .. })
    ));
}

#[test]
fn an_idle_segment_is_removed_and_says_so_to_those_who_look() {
    let unique = Unique::created();
    let mapping = unique.map(); // attached to the memory, not a participant
    let removed = unique.remove(false).unwrap().expect("it can be mapped");
    assert_eq!(removed.words().removed.load(Ordering::Relaxed), 1);
    assert_eq!(mapping.gone(), Some(Gone::Removed));
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
}

#[test]
fn a_damaged_segment_is_removed_by_force_and_a_foreign_file_never() {
    for (at, size) in [(100, SIZE), (8, SIZE), (60, 4096)] {
        let unique = Unique::created();
        unique.flip(at);
        unique.truncate(size);
        assert!(unique.remove(false).is_err());
        assert!(unique.0.path().exists());
        assert!(unique.remove(true).unwrap().is_none());
        assert!(!unique.0.path().exists());
    }
    let foreign = Unique::new();
    std::fs::write(foreign.0.path(), "precious").unwrap();
    assert!(matches!(
        foreign.remove(true),
        Err(SegmentError::NotOurs { .. })
    ));
    assert!(foreign.0.path().exists());
}

#[test]
fn the_list_has_every_file_with_our_magic_and_no_other() {
    let (whole, damaged, foreign) = (Unique::created(), Unique::created(), Unique::new());
    damaged.truncate(10);
    std::fs::write(foreign.0.path(), &MAGIC[..7]).unwrap();
    let directory = Unique::new();
    std::fs::create_dir(directory.0.path()).unwrap();
    let listed = list().unwrap();
    assert!(listed.is_sorted());
    for (unique, expected) in [
        (whole, true),
        (damaged, true),
        (foreign, false),
        (directory, false),
    ] {
        assert_eq!(listed.contains(&unique.0), expected, "{}", unique.0);
    }
}

#[test]
fn only_what_nobody_is_attached_to_is_stale() {
    let idle = Unique::created();
    let in_use = Unique::created();
    let damaged = Unique::created();
    let damaged_in_use = Unique::created();
    let other_version = Unique::created();
    let foreign = Unique::new();
    let mapping = in_use.map();
    let _member = Membership::join(&mapping, READER, must_not_recover).unwrap();
    let user = std::fs::File::options()
        .write(true)
        .open(damaged_in_use.0.path())
        .unwrap();
    assert!(liveness::try_lock(user.as_fd(), Bytes::slot(2)).unwrap());
    damaged.flip(100);
    damaged_in_use.flip(100);
    other_version.flip(8);
    std::fs::write(foreign.0.path(), "precious").unwrap();

    let all = [
        &idle,
        &in_use,
        &damaged,
        &damaged_in_use,
        &other_version,
        &foreign,
    ];
    let names: Vec<_> = all.iter().map(|unique| unique.0.to_string()).collect();
    let removed = remove_stale_among(|name| names.iter().any(|ours| ours == name)).unwrap();
    let mut expected = [&idle, &damaged].map(|unique| unique.0.to_string());
    expected.sort();
    assert_eq!(removed, expected);
    let left = all.map(|unique| unique.0.path().exists());
    assert_eq!(left, [false, true, false, true, true, true]);
    assert_eq!(mapping.check(), None);
}

#[test]
fn removing_and_joining_at_once_never_removes_under_a_member() {
    for _ in 0..50 {
        let unique = Unique::created();
        let mapping = unique.map();
        let together = std::sync::Barrier::new(2);
        let (removed, joined) = std::thread::scope(|scope| {
            let remover = scope.spawn(|| {
                together.wait();
                unique.remove(false)
            });
            together.wait();
            let joined = Membership::join(&mapping, READER, must_not_recover);
            (remover.join().unwrap(), joined)
        });
        match (&removed, &joined) {
            (Ok(_), Err(SegmentError::Gone { .. })) => {}
            (Err(SegmentError::InUse { .. }), Ok(_)) => assert_eq!(mapping.check(), None),
            other => panic!("{other:?}"),
        }
    }
}
