//! The engine with threads as workers (the program's own processes are tested
//! with the program), and what it makes of their outcomes.

use super::*;
use crate::ring::WaitStrategy;
use std::cell::Cell;

fn launcher(program: &str, arguments: &[&str]) -> Launcher {
    Launcher {
        program: program.into(),
        name: "worker".into(),
        arguments: arguments.iter().map(Into::into).collect(),
    }
}

fn point(writers: u32, readers: u32, wait: WaitStrategy) -> Point {
    Point {
        geometry: Geometry::new(3, 100, Delivery::Queue, wait).unwrap(),
        writers,
        readers,
    }
}

fn settings() -> Settings {
    Settings {
        mode: Mode::Thread,
        limit: Limit::Messages(999),
        ..Settings::default()
    }
}

/// Whether the engines of this process have left that ring.
fn is_left(number: u64) -> bool {
    let name = format!("shmkit-bench-{}-{number}", std::process::id());
    std::path::Path::new("/dev/shm").join(name).exists()
}

/// An engine whose rings nobody else's are.
fn engine(launcher: Launcher, cancelled: &dyn Fn() -> bool) -> Engine<'_> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static ENGINES: AtomicU64 = AtomicU64::new(1);
    Engine {
        rings: 1_000_000 * ENGINES.fetch_add(1, Ordering::Relaxed),
        ..Engine::new(launcher, cancelled)
    }
}

#[test]
fn every_message_of_every_combination_is_moved_once() {
    let never = || false;
    let mut engine = engine(launcher("/bin/false", &[]), &never);
    for wait in [WaitStrategy::Futex, WaitStrategy::Spin] {
        for (writers, readers) in [(1, 1), (2, 1), (1, 2), (3, 2)] {
            for (verify, in_place) in [(false, false), (true, false), (false, true), (true, true)] {
                let settings = Settings {
                    verify,
                    in_place,
                    ..settings()
                };
                let what = format!("{writers}/{readers} {settings:?}");
                let moved = engine.transfer(&point(writers, readers, wait), &settings);
                let Moved { repeat, wrong } = moved.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(wrong, None, "{what}");
                assert_eq!(repeat.nodes_moved, 999, "{what}");
                assert_eq!(repeat.bytes, 99_900, "{what}");
                assert_eq!(repeat.diff_final, 0, "{what}");
                assert_eq!(repeat.verified, verify.then_some(true), "{what}");
                assert!(repeat.seconds > 0.0 && repeat.cpu_seconds > 0.0, "{what}");
                assert!(!is_left(engine.rings), "{what}");
            }
        }
    }
}

#[test]
fn a_time_limit_is_kept_by_all_writers() {
    let never = || false;
    let mut engine = engine(launcher("/bin/false", &[]), &never);
    let settings = Settings {
        limit: Limit::Time(Duration::from_millis(50)),
        ..settings()
    };
    let moved = engine.transfer(&point(2, 2, WaitStrategy::Futex), &settings);
    let repeat = moved.unwrap().repeat;
    assert!(repeat.seconds >= 0.05, "{repeat:?}");
    assert!(repeat.nodes_moved > 0);
}

#[test]
fn questions_are_answered_whoever_asks() {
    let never = || false;
    let mut engine = engine(launcher("/bin/false", &[]), &never);
    for (writers, readers) in [(1, 1), (2, 1), (2, 2)] {
        let settings = Settings {
            limit: Limit::Messages(200),
            ..settings()
        };
        let point = point(writers, readers, WaitStrategy::Futex);
        let times = engine.exchange(&point, &settings).unwrap();
        assert_eq!(times.round_trips.len(), 100);
        assert_eq!(times.one_ways.len(), 200, "there, and back");
        assert!(times.one_ways.min() > 0);
        assert!((0..=u64::from(writers)).all(|i| !is_left(engine.rings - i)));
    }
}

#[test]
fn a_worker_that_cannot_do_its_part_is_named_and_nothing_is_left() {
    let never = || false;
    let cases = [
        (launcher("/bin/false", &[]), "0: ended with exit status: 1"),
        (
            launcher("/no/such/program", &[]),
            "writer 0 cannot be started",
        ),
        (
            launcher("/bin/sh", &["-c", "kill -9 $$"]),
            "killed by signal 9",
        ),
        (launcher("/bin/sh", &["-c", "echo oh dear >&2"]), "oh dear"),
    ];
    for (launcher, reason) in cases {
        let mut engine = engine(launcher, &never);
        let settings = Settings {
            mode: Mode::Process,
            ..settings()
        };
        let failure = engine.transfer(&point(1, 1, WaitStrategy::Futex), &settings);
        let failure = failure.unwrap_err().to_string();
        assert!(failure.contains(reason), "{failure}");
        assert!(!is_left(engine.rings));
        let limit = engine.limit(Limits::Pipeline, 3, 100, &settings);
        assert!(matches!(limit, Err(Failure::Failed(_))));
    }
}

#[test]
fn threads_that_would_never_end_are_stopped_when_it_is_cancelled() {
    let looks = Cell::new(0);
    // Not before they are well under way.
    let cancelled = || {
        looks.set(looks.get() + 1);
        looks.get() > 60
    };
    let mut engine = engine(launcher("/bin/false", &[]), &cancelled);
    let settings = Settings {
        limit: Limit::Time(Duration::from_secs(3600)),
        ..settings()
    };
    for wait in [WaitStrategy::Futex, WaitStrategy::Spin] {
        looks.set(0);
        let ended = engine.transfer(&point(2, 1, wait), &settings);
        assert_eq!(ended.unwrap_err(), Failure::Cancelled);
        assert!(!is_left(engine.rings));
    }
}

fn outcome(tallies: &[(u64, u64)]) -> Outcome {
    Outcome {
        tallies: tallies
            .iter()
            .map(|&(messages, sum)| Tally { messages, sum })
            .collect(),
        ..Outcome::default()
    }
}

#[test]
fn what_was_written_and_what_was_read_are_compared() {
    let two = point(2, 2, WaitStrategy::Futex);
    let writers = [outcome(&[(5, 50)]), outcome(&[(7, 70)])];
    let right = [outcome(&[(10, 90)]), outcome(&[(2, 30)])];
    assert_eq!(compare(&writers, &right, &two, false), None);
    let by_writer = [outcome(&[(5, 50), (0, 0)]), outcome(&[(0, 0), (7, 70)])];
    assert_eq!(compare(&writers, &by_writer, &two, true), None);

    let lost = [outcome(&[(10, 90)]), outcome(&[(1, 20)])];
    let lost = compare(&writers, &lost, &two, false).unwrap();
    assert_eq!(lost, "11 of 12 messages arrived");
    let changed = [outcome(&[(10, 90)]), outcome(&[(2, 31)])];
    assert!(compare(&writers, &changed, &two, false).is_some());
    let mixed = [outcome(&[(4, 50), (1, 0)]), outcome(&[(0, 0), (7, 70)])];
    let mixed = compare(&writers, &mixed, &two, true).unwrap();
    assert!(mixed.contains("4 of 5 messages of writer 0"), "{mixed}");
    let torn = Outcome {
        wrong: Some("torn".into()),
        ..outcome(&[(12, 120)])
    };
    assert_eq!(compare(&writers, &[torn], &two, false), Some("torn".into()));
}

#[test]
fn large_rings_are_given_the_time_that_setting_up_takes() {
    let patience = |size: usize, warm_up, limit| {
        let shape = Shape {
            size,
            writers: 1,
            copies: 1,
            warm_up,
            mode: Mode::Process,
        };
        let settings = Settings {
            limit,
            ..settings()
        };
        shape.patience(&settings, 2)
    };
    let (second, gib) = (Duration::from_secs(1), 1usize << 30);
    let small = patience(1 << 10, 40, Limit::Time(second));
    assert!((PATIENCE..2 * PATIENCE).contains(&small), "{small:?}");
    // Two laps of 20 x 1 GiB, in and out, and two buffers each, at 100 MB/s.
    let slow = Duration::from_secs((2 * 40 + 4) * (gib as u64 / 100_000_000));
    assert!(patience(gib, 40, Limit::Time(second)) > slow);
    assert!(patience(gib, 40, Limit::Messages(1)) > slow);
    let endless = patience(gib, 40, Limit::Messages(u64::MAX));
    assert_eq!(endless, Duration::MAX);
}

#[test]
fn the_clock_runs_from_the_first_writer_to_the_last_reader() {
    let worker = |begun_ns, ended_ns, messages| Outcome {
        begun_ns,
        ended_ns,
        messages,
        bytes: messages * 10,
        waits: 3,
        cpu_ns: 500_000_000,
        ..Outcome::default()
    };
    let writers = [
        worker(2_000_000_000, 3_000_000_000, 4),
        worker(1_000_000_000, 2_000_000_000, 6),
    ];
    let readers = [worker(500_000_000, 4_000_000_000, 10)];
    let repeat = figures(&writers, &readers);
    assert_eq!(repeat.seconds, 3.0);
    assert_eq!((repeat.bytes, repeat.nodes_moved), (100, 10));
    assert_eq!((repeat.writer_waits, repeat.reader_waits), (6, 3));
    assert_eq!(repeat.cpu_seconds, 1.5);
}
