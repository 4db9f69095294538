//! Whatever has a name is opened, or refused with the reason.

use super::*;
use crate::segment::layout::LAYOUT_VERSION;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;

fn reason(unique: &Unique) -> String {
    match unique.open() {
        Err(SegmentError::NotOurs { why, .. }) => {
            assert!(matches!(map(&unique.0), Err(SegmentError::NotOurs { .. })));
            assert!(matches!(
                unique.remove(true),
                Err(SegmentError::NotOurs { .. })
            ));
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_a_segment_is_refused_by_its_kind() {
    let missing = Unique::new();
    assert!(matches!(missing.open(), Err(SegmentError::NotFound { .. })));

    let directory = Unique::new();
    std::fs::create_dir(directory.0.path()).unwrap();
    assert_eq!(reason(&directory), "a directory");

    let fifo = Unique::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        fifo.0.path(),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert_eq!(reason(&fifo), "a FIFO");

    let socket = Unique::new();
    let _listener = UnixListener::bind(socket.0.path()).unwrap();
    assert_eq!(reason(&socket), "a socket");

    let (link, segment) = (Unique::new(), Unique::created());
    symlink(segment.0.path(), link.0.path()).unwrap();
    assert_eq!(reason(&link), "a symbolic link");

    let empty = Unique::new();
    std::fs::write(empty.0.path(), "").unwrap();
    assert_eq!(reason(&empty), "the file is empty");

    let text = Unique::new();
    for contents in ["x", "SHMKIT\n\n and more", &"x".repeat(10_000)] {
        std::fs::write(text.0.path(), contents).unwrap();
        assert_eq!(reason(&text), "it does not begin with our magic number");
    }
}

#[test]
fn a_file_of_another_size_than_its_header_says_is_damaged() {
    for (size, word) in [
        (8, "truncated"),
        (4096, "truncated"),
        (SIZE - 1, "truncated"),
        (SIZE + 1, "too long"),
    ] {
        let unique = Unique::created();
        unique.truncate(size);
        for result in [unique.open().map(drop), map(&unique.0).map(drop)] {
            match result {
                Err(SegmentError::Corrupt { why, .. }) => assert!(why.contains(word), "{why}"),
                other => panic!("{size}: {other:?}"),
            }
        }
    }
}

#[test]
fn another_kind_and_another_version_are_told_apart() {
    let unique = Unique::created();
    match Mapping::open(&unique.0, Kind::Array, OpenOptions::default()) {
        Err(SegmentError::WrongKind {
            expected: Kind::Array,
            found: Kind::Ring,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    unique.flip(8);
    match unique.open() {
        Err(SegmentError::OtherVersion { found, .. }) => assert_eq!(found, LAYOUT_VERSION ^ 0x55),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stranger_is_trusted_only_on_request() {
    let unique = Unique::created();
    if !rustix::process::geteuid().is_root() {
        return; // only root can make a file a stranger's
    }
    chown(unique.0.path(), Some(4711), None).unwrap();
    assert!(matches!(
        unique.open(),
        Err(SegmentError::ForeignOwner { uid: 4711, .. })
    ));
    assert!(matches!(
        map(&unique.0),
        Err(SegmentError::ForeignOwner { .. })
    ));
    assert!(matches!(
        unique.remove(true),
        Err(SegmentError::ForeignOwner { .. })
    ));
    let options = OpenOptions { any_owner: true };
    assert_eq!(Opened::open(&unique.0, options).unwrap().owner_uid(), 4711);
    Mapping::open(&unique.0, Kind::Ring, options).unwrap();
}

#[test]
fn reading_past_what_was_cut_is_an_error_and_no_fault() {
    let unique = Unique::created();
    let opened = unique.open().unwrap();
    let mut bytes = [0; 64];
    opened.read_at(SIZE - 64, &mut bytes).unwrap();
    for offset in [SIZE - 63, SIZE, u64::MAX - 8, i64::MAX as u64] {
        assert!(opened.read_at(offset, &mut bytes).is_err());
    }
    unique.truncate(4096);
    let error = opened.read_at(SIZE - 64, &mut bytes).unwrap_err();
    assert!(
        matches!(
            error,
            SegmentError::Gone {
                gone: Gone::Truncated,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_name_that_was_given_away_is_not_mixed_up_with_what_was_checked() {
    let unique = Unique::created();
    let checked = unique.open().unwrap();
    unique.remove(false).unwrap();
    assert!(
        Mapping::of_opened(checked).unwrap().is_none(),
        "removed meanwhile"
    );

    create(&unique.0, &plan(), |_| Ok(())).unwrap();
    let checked = unique.open().unwrap();
    unique.remove(false).unwrap();
    create(&unique.0, &plan(), |_| Ok(())).unwrap();
    assert!(
        Mapping::of_opened(checked).unwrap().is_none(),
        "replaced meanwhile"
    );

    let checked = unique.open().unwrap();
    unique.truncate(0);
    assert!(
        Mapping::of_opened(checked).unwrap().is_none(),
        "emptied meanwhile"
    );
}

#[test]
fn attaching_while_others_replace_the_segment_ends_well() {
    let unique = Unique::created();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let _ = unique.remove(true);
                let _ = create(&unique.0, &plan(), |_| Ok(()));
            }
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            match map(&unique.0) {
                Ok(mapping) => assert_eq!(mapping.header().geometry, [7; 8]),
                Err(SegmentError::NotFound { .. } | SegmentError::Io { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
}
