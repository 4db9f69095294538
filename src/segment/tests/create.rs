//! A name shows a complete segment or nothing.

use super::super::descriptor::Identity;
use super::super::remove::remove_stale_among;
use super::*;
use std::os::unix::fs::MetadataExt;
use std::panic::AssertUnwindSafe;
use std::sync::{Barrier, Mutex};

/// Whether anything in the directory still is the file of that mapping.
fn is_somewhere(identity: Identity) -> bool {
    std::fs::read_dir("/dev/shm").unwrap().any(|entry| {
        rustix::fs::lstat(entry.unwrap().path()).is_ok_and(|stat| Identity::of(&stat) == identity)
    })
}

/// Names of temporaries that the process `pid` has made.
fn temporaries_of(pid: u32) -> Vec<String> {
    let prefix = format!(".shmkit-{pid}-");
    std::fs::read_dir("/dev/shm")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

#[test]
fn a_segment_has_its_mode_its_memory_and_zeros_whatever_the_plan() {
    for (participants, mode) in [(1, 0o600), (128, 0o640), (layout::MAX_PARTICIPANTS, 0o666)] {
        let unique = Unique::new();
        let total_size = structure_offset(participants) + 12345;
        let payload_offset = total_size;
        let plan = Plan {
            participants,
            total_size,
            payload_offset,
            mode,
            ..plan()
        };
        create(&unique.0, &plan, |_| Ok(())).unwrap();

        let stat = std::fs::metadata(unique.0.path()).unwrap();
        assert_eq!(stat.mode() & 0o7777, mode);
        assert_eq!(stat.len(), total_size);
        assert!(
            stat.blocks() * 512 >= total_size,
            "not all of it is reserved"
        );
        let mapping = unique.map();
        assert_eq!(mapping.entries().len(), participants as usize);
        assert_eq!(mapping.gone(), None);
        for entry in mapping.entries() {
            assert_eq!(entry.state.load(Ordering::Relaxed), layout::EMPTY);
            assert_eq!(entry.counters.written_nodes.load(Ordering::Relaxed), 0);
            assert_eq!(
                entry.counters.pending_node.load(Ordering::Relaxed),
                u64::MAX
            );
        }
        let mut rest = vec![1; 12345];
        unique
            .open()
            .unwrap()
            .read_at(structure_offset(participants), &mut rest)
            .unwrap();
        assert!(rest.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn of_many_creators_of_one_name_exactly_one_succeeds() {
    for _ in 0..10 {
        let unique = Unique::new();
        let together = Barrier::new(4);
        let losers = Mutex::new(Vec::new());
        let winners: usize = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        let mut identity = None;
                        let result = create(&unique.0, &plan(), |mapping| {
                            identity = Some(mapping.identity());
                            Ok(())
                        });
                        match result {
                            Ok(()) => 1,
                            Err(SegmentError::AlreadyExists { .. }) => {
                                losers.lock().unwrap().extend(identity);
                                0
                            }
                            Err(error) => panic!("{error}"),
                        }
                    })
                })
                .collect();
            creators
                .into_iter()
                .map(|creator| creator.join().unwrap())
                .sum()
        });
        assert_eq!(winners, 1);
        assert!(unique.open().is_ok());
        for identity in losers.into_inner().unwrap() {
            assert!(!is_somewhere(identity), "a loser left its temporary");
        }
    }
}

#[test]
fn a_name_that_is_taken_by_anything_is_not_touched() {
    let unique = Unique::new();
    std::os::unix::fs::symlink("nowhere", unique.0.path()).unwrap();
    let error = create(&unique.0, &plan(), |_| panic!("built in vain")).unwrap_err();
    assert!(
        matches!(error, SegmentError::AlreadyExists { .. }),
        "{error}"
    );
    assert!(
        std::fs::symlink_metadata(unique.0.path())
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn a_structure_that_fails_or_panics_leaves_nothing() {
    let unique = Unique::new();
    let mut identity = None;
    let error = create(&unique.0, &plan(), |mapping| {
        identity = Some(mapping.identity());
        Err(std::io::Error::other("no"))
    });
    assert_eq!(error.unwrap_err().to_string(), format!("{}: no", unique.0));
    assert!(!is_somewhere(identity.unwrap()));

    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        create(&unique.0, &plan(), |mapping| {
            identity = Some(mapping.identity());
            std::panic::resume_unwind(Box::new("a panic without a message"))
        })
    }));
    assert!(panicked.is_err());
    assert!(!is_somewhere(identity.unwrap()));
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
}

#[test]
fn too_little_room_is_an_error_with_both_sizes() {
    let unique = Unique::new();
    let plan = Plan {
        total_size: 1 << 50,
        ..plan()
    };
    match create(&unique.0, &plan, |_| panic!("built without room")) {
        Err(SegmentError::NoRoom { needed, free }) => {
            assert_eq!(needed, 1 << 50);
            assert!(free > 0 && free < needed);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
}

#[test]
fn a_plan_that_makes_no_segment_is_refused() {
    let unique = Unique::new();
    for plan in [
        Plan {
            participants: 0,
            ..plan()
        },
        Plan {
            participants: layout::MAX_PARTICIPANTS + 1,
            ..plan()
        },
        Plan {
            participants: u32::MAX,
            ..plan()
        },
        Plan {
            payload_offset: 4096,
            ..plan()
        },
        Plan {
            payload_offset: SIZE + 1,
            ..plan()
        },
        Plan {
            total_size: 0,
            ..plan()
        },
        Plan {
            total_size: u64::MAX,
            ..plan()
        },
    ] {
        let error = create(&unique.0, &plan, |_| Ok(())).unwrap_err();
        let SegmentError::Io { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_no_signal() {
    const SELF: &str = "segment::tests::create::a_limit_on_file_sizes_is_an_error_and_no_signal";
    if let Some(name) = role() {
        let resource = rustix::process::Resource::Fsize;
        let limit = rustix::process::Rlimit {
            current: Some(SIZE - 1),
            maximum: None,
        };
        rustix::process::setrlimit(resource, limit).unwrap();
        let error = create(&name, &plan(), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("ulimit -f"), "{error}");
        Child::done();
    }
    let unique = Unique::new();
    assert_done(Child::start(SELF, &unique.0).ended());
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
}

#[test]
fn a_umask_changes_nothing() {
    const SELF: &str = "segment::tests::create::a_umask_changes_nothing";
    if let Some(name) = role() {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
        create(
            &name,
            &Plan {
                mode: 0o624,
                ..plan()
            },
            |_| Ok(()),
        )
        .unwrap();
        Child::done();
    }
    let unique = Unique::new();
    assert_done(Child::start(SELF, &unique.0).ended());
    assert_eq!(unique.open().unwrap().mode(), 0o624);
}

#[test]
fn closed_standard_streams_stay_closed_and_do_no_harm() {
    const SELF: &str = "segment::tests::create::closed_standard_streams_stay_closed_and_do_no_harm";
    if let Some(name) = role() {
        let is_closed = |fd| {
            // SAFETY: asking for the flags of a descriptor has no effect.
            let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
            flags == -1
        };
        for fd in 0..3 {
            // SAFETY: nothing in this process relies on these after this.
            unsafe { libc::close(fd) };
        }
        let worked = create(&name, &plan(), |_| Ok(())).and_then(|()| {
            let mapping = map(&name)?;
            let member = Membership::join(&mapping, layout::READER, |_| {})?;
            let all_closed = (0..3).all(is_closed);
            drop((member, mapping));
            Ok(all_closed)
        });
        // Nobody would hear an assertion.
        match worked {
            Ok(true) => Child::done(),
            _ => std::process::exit(1),
        }
    }
    let unique = Unique::new();
    assert_done(Child::start(SELF, &unique.0).ended());
    assert!(unique.open().is_ok());
}

#[test]
fn a_killed_builder_leaves_only_what_is_collected() {
    const SELF: &str = "segment::tests::create::a_killed_builder_leaves_only_what_is_collected";
    if let Some(name) = role() {
        let _ = create(&name, &plan(), |_| {
            Child::ready_and_stay();
            Ok(())
        });
        return;
    }
    let unique = Unique::new();
    let mut child = Child::started(SELF, &unique.0);
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
    let temporaries = temporaries_of(child.0.id());
    assert_eq!(temporaries.len(), 1, "{temporaries:?}");
    let collect = || remove_stale_among(|name| temporaries.contains(&name.to_owned())).unwrap();

    // Old enough to be collected, was it not for the lock.
    let path = std::path::Path::new("/dev/shm").join(&temporaries[0]);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60))
        .unwrap();
    drop(file);
    assert!(collect().is_empty());
    child.stop();
    assert!(collect().is_empty());

    child.kill();
    eventually("the temporary is collected", || collect() == temporaries);
    assert!(!path.exists());
    assert!(matches!(unique.open(), Err(SegmentError::NotFound { .. })));
}

#[test]
fn a_temporary_that_may_not_be_locked_yet_is_left_alone() {
    let file_name = format!(".shmkit-{}-newborn", std::process::id());
    let path = std::path::Path::new("/dev/shm").join(&file_name);
    let file = std::fs::File::create(&path).unwrap();
    let collect = || remove_stale_among(|name| name == file_name).unwrap();
    assert!(collect().is_empty());
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60))
        .unwrap();
    assert_eq!(collect(), std::slice::from_ref(&file_name));
    assert!(!path.exists());
}
