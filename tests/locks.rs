//! The read/write lock of arrays and buffers, as `shm lock` gives it to
//! commands and as `shm read` and `shm write` take it by themselves: who waits
//! for whom, and that no death leaves anybody waiting.

mod harness;

use harness::{Name, Proc, Ring, SECONDS, Shm, Store, holds_for, shm, until, until_within};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(300);

/// `shm lock ... -- true` gets its lock in seconds.
#[track_caller]
fn is_to_be_had(store: &Store, flag: &str) {
    let done = store
        .lock(&[flag, "--timeout", "30s"], &["true"])
        .run_within(SECONDS);
    done.exits(0);
}

/// `shm lock ... -- true` gives up.
#[track_caller]
fn is_not_to_be_had(store: &Store, flag: &str) {
    let lock = store.lock(&[flag, "--timeout", "300ms"], &["echo", "ran"]);
    let done = lock.run_within(SECONDS).fails(4);
    assert!(
        done.error_line().contains(&*store.name),
        "{:?}",
        done.stderr
    );
}

/// A command that is waiting for the lock: attached, and not let through.
#[track_caller]
fn waiting(store: &Store, role: &str, command: Shm) -> Proc {
    let before = store.living(role);
    let mut proc = command.start();
    until("it is attached", || store.living(role) > before);
    holds_for(Duration::from_millis(50), "it waits", || proc.is_running());
    proc
}

// ---- as flock(1) ------------------------------------------------------------

#[test]
fn the_exit_status_is_the_commands() {
    let store = Store::buffer("8");
    for flags in [&[][..], &["--write"], &["--read"]] {
        for code in [0, 1, 2, 4, 5, 6, 7, 100, 130, 255] {
            let command = format!("exit {code}");
            store.lock(flags, &["sh", "-c", &command]).run().exits(code);
            assert_eq!(store.lock_state(), "free");
        }
        for (signal, code) in [
            ("KILL", 137),
            ("TERM", 143),
            ("INT", 130),
            ("SEGV", 139),
            ("PIPE", 141),
        ] {
            let command = format!("ulimit -c 0; kill -{signal} $$");
            store.lock(flags, &["sh", "-c", &command]).run().exits(code);
            assert_eq!(store.lock_state(), "free");
        }
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    let store = Store::buffer("8");
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (command, code) in [
        ("no-such-command-anywhere", 127),
        ("/no/such/path", 127),
        (directory.path().to_str().unwrap(), 126),
        (plain.to_str().unwrap(), 126),
    ] {
        let done = store.lock(&[], &[command]).run_within(SECONDS).fails(code);
        assert!(done.error_line().contains(command), "{:?}", done.stderr);
        assert_eq!(store.lock_state(), "free");
        assert!(!store.owner_died(), "nothing was changed");
    }
}

#[test]
fn the_command_has_our_input_output_and_arguments() {
    let store = Store::buffer("8");
    let script = r#"printf '%s|' "$@"; cat; echo complaint >&2; pwd"#;
    let directory = tempfile::tempdir().unwrap();
    let done = store
        .lock(
            &["--read"],
            &["sh", "-c", script, "-", "--read", "a b", "", "--", "-x"],
        )
        .directory(directory.path())
        .input("from stdin\n")
        .run()
        .exits(0);
    let expected = format!(
        "--read|a b||--|-x|from stdin\n{}\n",
        directory.path().display()
    );
    assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
    assert_eq!(done.stderr, "complaint\n");
}

#[test]
fn what_cannot_be_locked_is_refused_and_the_command_does_not_run() {
    let ring = Ring::new(2, "1K");
    let store = Store::buffer("8");
    let missing = Name::unused();
    let foreign = Name::unused();
    std::fs::write(foreign.path(), "no segment").unwrap();
    for (args, code) in [
        (&["lock", &ring.name, "--", "echo", "ran"][..], 2),
        (&["lock", &ring.name, "--read", "--", "echo", "ran"], 2),
        (&["lock", &missing, "--", "echo", "ran"], 1),
        (
            &["lock", &missing, "--wait-for", "100ms", "--", "echo", "ran"],
            4,
        ),
        (&["lock", &foreign, "--", "echo", "ran"], 5),
        (&["lock", &store.name], 2),
        (&["lock", &store.name, "--"], 2),
        (
            &[
                "lock",
                &store.name,
                "--read",
                "--write",
                "--",
                "echo",
                "ran",
            ],
            2,
        ),
        (
            &[
                "lock",
                &store.name,
                "--timeout",
                "soon",
                "--",
                "echo",
                "ran",
            ],
            2,
        ),
        (
            &["lock", &store.name, "--no-such-option", "--", "echo", "ran"],
            2,
        ),
        (&["lock", ".hidden", "--", "echo", "ran"], 2),
        (&["lock", "a/b", "--", "echo", "ran"], 2),
        (&["lock"], 2),
    ] {
        shm(args).run_within(SECONDS).fails(code);
    }
    assert_eq!(ring.stream_state(), "waiting");
    assert_eq!(store.lock_state(), "free");
}

#[test]
fn wait_for_waits_until_there_is_something_to_lock() {
    let name = Name::unused();
    let lock = shm(&["lock", &name, "--wait-for", "30s", "--", "echo", "ran"]).start();
    shm(&["create", "buffer", &name, "--size", "8"])
        .run()
        .exits(0);
    assert_eq!(lock.finish_within(SECONDS).exits(0).stdout, b"ran\n");
}

// ---- who waits for whom -----------------------------------------------------

#[test]
fn a_writer_excludes_everybody() {
    let store = Store::array("u8", 4);
    for flags in [&[][..], &["--write"]] {
        let holder = store.hold(flags);
        assert_eq!(store.lock_state(), "write");
        is_not_to_be_had(&store, "--read");
        is_not_to_be_had(&store, "--write");
        store
            .read(&["--timeout", "300ms"])
            .run_within(SECONDS)
            .fails(4);
        store
            .write(&["--timeout", "300ms", "1"])
            .run_within(SECONDS)
            .fails(4);
        assert_eq!(store.bytes(), [0; 4]);
        // Looking needs no lock.
        store
            .shm("inspect")
            .arg("--data")
            .run_within(SECONDS)
            .exits(0)
            .silent();
        shm(&["list"]).run_within(SECONDS).exits(0);
        store.let_go(holder);
        is_to_be_had(&store, "--write");
    }
}

#[test]
fn readers_share_and_exclude_writers() {
    let store = Store::array("u8", 4);
    let readers = [
        store.hold(&["--read"]),
        store.hold(&["--read"]),
        store.hold(&["--read"]),
    ];
    assert_eq!(store.lock_state(), "read");
    assert_eq!(store.living("reader"), 3);
    is_to_be_had(&store, "--read");
    assert_eq!(store.text(), "0\n0\n0\n0\n");
    is_not_to_be_had(&store, "--write");
    store
        .write(&["--timeout", "300ms", "1"])
        .run_within(SECONDS)
        .fails(4);
    let [first, second, last] = readers;
    store.let_go(first);
    store.let_go(second);
    is_not_to_be_had(&store, "--write");
    store.let_go(last);
    is_to_be_had(&store, "--write");
    assert_eq!(store.bytes(), [0; 4]);
}

#[test]
fn those_who_wait_are_let_through_when_the_holder_leaves() {
    let store = Store::array("u8", 1);
    for (held, waiting_for) in [
        ("--write", "--write"),
        ("--write", "--read"),
        ("--read", "--write"),
    ] {
        let holder = store.hold(&[held]);
        let role = if waiting_for == "--read" {
            "reader"
        } else {
            "writer"
        };
        let waiters: Vec<_> = (0..3)
            .map(|_| waiting(&store, role, store.lock(&[waiting_for], &["echo", "ran"])))
            .collect();
        assert!(
            waiters
                .iter()
                .all(|waiter| waiter.stdout_so_far().is_empty())
        );
        store.let_go(holder);
        for waiter in waiters {
            assert_eq!(waiter.finish_within(SECONDS).exits(0).stdout, b"ran\n");
        }
    }
    assert_eq!(store.inspect()["participants"].as_array().unwrap().len(), 0);
}

#[test]
fn a_writer_that_waits_goes_before_readers_that_come_later() {
    let store = Store::array("u8", 1);
    let reader = store.hold(&["--read"]);
    let writer = waiting(&store, "writer", store.lock(&["--write"], &["echo", "ran"]));
    until("it waits for the reader", || store.writer_waits());
    is_not_to_be_had(&store, "--read");
    assert_eq!(store.lock_state(), "read", "the writer has not got it");
    store.let_go(reader);
    writer.finish_within(SECONDS).exits(0);
    is_to_be_had(&store, "--read");
}

#[test]
fn a_waiter_gives_up_in_time_and_leaves_no_trace() {
    let store = Store::array("u8", 1);
    let holder = store.hold(&["--read"]);
    for timeout in ["0s", "1ms", "500ms"] {
        let begun = Instant::now();
        let done = store
            .lock(&["--write", "--timeout", timeout], &["true"])
            .run_within(SECONDS)
            .fails(4);
        assert!(
            done.error_line().contains(&*store.name),
            "{:?}",
            done.stderr
        );
        if timeout == "500ms" {
            assert!(
                begun.elapsed() >= Duration::from_millis(500),
                "it did not even wait"
            );
        }
        // No writer is waiting any more, that readers would have to let pass.
        is_to_be_had(&store, "--read");
    }
    store.let_go(holder);
    let all = store.inspect();
    assert_eq!(all["lock"]["state"], "free");
    assert!(all["lock"]["writer_slot"].is_null());
    assert!(!store.owner_died());
    assert_eq!(all["participants"], serde_json::json!([]));
}

/// Clock ticks that it has used.
fn ticks(proc: &Proc) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", proc.pid())).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn those_who_wait_sleep() {
    let store = Store::array("u8", 1);
    for (held, command) in [("--write", "read"), ("--read", "write")] {
        let holder = store.hold(&[held]);
        let role = if command == "read" {
            "reader"
        } else {
            "writer"
        };
        let waiter = waiting(&store, role, store.shm(command).input("1"));
        let before = ticks(&waiter);
        std::thread::sleep(Duration::from_secs(1));
        let used = ticks(&waiter) - before;
        assert!(
            used < 20,
            "{command} used {used} ticks of 100 for waiting a second"
        );
        store.let_go(holder);
        waiter.finish_within(SECONDS).exits(0);
    }
}

#[test]
fn more_holders_than_the_table_has_entries_are_refused_and_harm_nobody() {
    let store = Store::array("u8", 1);
    // Of 128 entries 8 are left to those who run under a lock.
    let room = 120;
    let start = || {
        let holder = store.lock(&["--read"], &["sh", "-c", "echo HELD; read line; exit 0"]);
        holder.held_stdin().own_group().start()
    };
    let holders: Vec<_> = (0..room).map(|_| start()).collect();
    until("all have it", || {
        holders
            .iter()
            .all(|holder| holder.stdout_so_far() == b"HELD\n")
    });
    let done = store
        .lock(&["--read"], &["echo", "ran"])
        .run_within(SECONDS)
        .fails(1);
    assert!(done.error_line().contains("120"), "{:?}", done.stderr);
    store.read::<&str>(&[]).run_within(SECONDS).fails(1);
    assert_eq!(store.living("reader"), room);
    for holder in holders {
        store.let_go(holder);
    }
    is_to_be_had(&store, "--write");
}

// ---- under a lock -----------------------------------------------------------

#[test]
fn read_and_write_under_a_lock_do_not_wait_for_it() {
    let store = Store::array("u32", 2);
    let script = r#"
        shm write "$1" --timeout 5s 7 && [ "$(shm read "$1" --count 1 --timeout 5s)" = 7 ] &&
        seq 8 9 | shm write "$1" --timeout 5s && shm read "$1" --timeout 5s"#;
    let done = store
        .lock(&[], &["sh", "-c", script, "-", &store.name])
        .run_within(SECONDS);
    assert_eq!(done.exits(0).silent().stdout, b"8\n9\n");
    let script = r#"shm read "$1" --timeout 5s && shm read "$1" --timeout 5s"#;
    let done = store
        .lock(&["--read"], &["sh", "-c", script, "-", &store.name])
        .run_within(SECONDS);
    assert_eq!(done.exits(0).silent().stdout, b"8\n9\n8\n9\n");
    let buffer = Store::buffer("5");
    let script = r#"printf hello | shm write "$1" --timeout 5s && shm read "$1" --timeout 5s"#;
    let done = buffer
        .lock(&[], &["sh", "-c", script, "-", &buffer.name])
        .run_within(SECONDS);
    assert_eq!(done.exits(0).silent().stdout, b"hello");
}

#[test]
fn those_who_wait_leave_room_for_what_runs_under_the_lock() {
    let store = Store::array("u8", 1);
    let script = r#"echo HELD; read line
        shm write "$1" $(( $(shm read "$1") + 7 )) && shm lock "$1" -- shm read "$1""#;
    let lock = store.lock(&[], &["sh", "-c", script, "-", &store.name]);
    let mut holder = lock.held_stdin().own_group().start();
    until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
    // All that are let in, and some who are not.
    let waiters: Vec<_> = (0..130)
        .map(|_| store.lock(&["--read"], &["true"]).start())
        .collect();
    until("no more of them fit", || store.living("reader") == 119);
    holder.feed(b"go on\n");
    let done = holder.finish_within(SECONDS).exits(0).silent();
    assert_eq!(done.stdout, b"HELD\n7\n");
    for waiter in waiters {
        waiter.finish().exits_one_of(&[0, 1]);
    }
}

#[test]
fn it_is_the_lock_of_the_command_that_others_wait_for() {
    // What COMMAND writes in several steps is seen in one.
    let store = Store::array("u32", 2);
    let script = r#"shm write "$1" 1 && echo HALF && read line && shm write "$1" --at 1 1"#;
    let holder = store
        .lock(&[], &["sh", "-c", script, "-", &store.name])
        .held_stdin()
        .own_group();
    let mut holder = holder.start();
    until("half is written", || holder.stdout_so_far() == b"HALF\n");
    let reader = waiting(&store, "reader", store.read::<&str>(&[]));
    holder.feed(b"go on\n");
    holder.finish_within(SECONDS).exits(0);
    assert_eq!(reader.finish_within(SECONDS).exits(0).stdout, b"1\n1\n");
}

#[test]
fn a_write_under_a_read_lock_is_refused_at_once() {
    let store = Store::array("u8", 4);
    let write = r#"shm write "$1" 5"#;
    let done = store
        .lock(&["--read"], &["sh", "-c", write, "-", &store.name])
        .run_within(SECONDS)
        .fails(1);
    assert!(
        done.error_line().contains(&*store.name),
        "{:?}",
        done.stderr
    );
    assert_eq!(store.bytes(), [0; 4]);
    let lock = r#"shm lock "$1" --write -- echo ran"#;
    store
        .lock(&["--read"], &["sh", "-c", lock, "-", &store.name])
        .run_within(SECONDS)
        .fails(1);
    assert_eq!(store.lock_state(), "free");
}

#[test]
fn locks_nest() {
    let store = Store::array("u8", 1);
    let nested = |outer: &str, inner: &str, command: &str| {
        let script = format!(r#"shm lock "$1" {inner} --timeout 5s -- {command} && echo "after""#);
        let done = store
            .lock(&[outer], &["sh", "-c", &script, "-", &store.name])
            .run_within(SECONDS);
        String::from_utf8(done.exits(0).silent().stdout).unwrap()
    };
    let write = format!("shm write {} --timeout 5s 3", &*store.name);
    let read = format!("shm read {} --timeout 5s", &*store.name);
    assert_eq!(nested("--write", "--write", &write), "after\n");
    assert_eq!(nested("--write", "--read", &read), "3\nafter\n");
    assert_eq!(nested("--read", "--read", &read), "3\nafter\n");
    // The inner one's end is not the outer one's.
    let script = r#"shm lock "$1" -- true; echo HELD; read line; exit 0"#;
    let holder = store
        .lock(&[], &["sh", "-c", script, "-", &store.name])
        .held_stdin()
        .own_group()
        .start();
    until("the inner lock has come and gone", || {
        holder.stdout_so_far() == b"HELD\n"
    });
    is_not_to_be_had(&store, "--write");
    is_not_to_be_had(&store, "--read");
    store.let_go(holder);
    is_to_be_had(&store, "--write");
}

#[test]
fn locks_of_two_segments_nest() {
    let (one, two) = (Store::array("u8", 1), Store::array("u8", 1));
    let script = r#"exec shm lock "$2" -- sh -c 'shm write "$1" --timeout 5s 1 && shm write "$2" --timeout 5s 2' - "$1" "$2""#;
    let done = one
        .lock(&[], &["sh", "-c", script, "-", &one.name, &two.name])
        .run_within(SECONDS);
    done.exits(0).silent();
    assert_eq!((one.text(), two.text()), ("1\n".into(), "2\n".into()));
}

#[test]
fn a_pass_of_another_segment_counts_for_nothing() {
    let (one, two) = (Store::array("u8", 1), Store::array("u8", 1));
    let holder = two.hold(&["--write"]);
    let script = r#"shm write "$1" --timeout 300ms 1"#;
    one.lock(&[], &["sh", "-c", script, "-", &two.name])
        .run_within(SECONDS)
        .fails(4);
    let script = r#"shm read "$1" --timeout 300ms"#;
    one.lock(&[], &["sh", "-c", script, "-", &two.name])
        .run_within(SECONDS)
        .fails(4);
    two.let_go(holder);
    assert_eq!(two.bytes(), [0]);
}

/// `$SHM_LOCK` under that lock, which then is given back.
fn old_pass(store: &Store, flags: &[&str]) -> String {
    let done = store
        .lock(flags, &["sh", "-c", "echo $SHM_LOCK"])
        .run()
        .exits(0);
    let pass = String::from_utf8(done.stdout).unwrap().trim().to_owned();
    assert!(!pass.is_empty());
    pass
}

#[test]
fn a_pass_of_an_old_lock_counts_for_nothing() {
    let store = Store::array("u8", 1);
    for flags in [["--write"], ["--read"]] {
        let pass = old_pass(&store, &flags);
        let under = |command: Shm| command.env("SHM_LOCK", pass.clone());
        // The next holder is a likely one to have the same entry.
        let holder = store.hold(&["--write"]);
        under(store.write(&["--timeout", "300ms", "9"]))
            .run_within(SECONDS)
            .fails(4);
        under(store.read(&["--timeout", "300ms"]))
            .run_within(SECONDS)
            .fails(4);
        under(store.lock(&["--timeout", "300ms"], &["echo", "ran"]))
            .run_within(SECONDS)
            .fails(4);
        assert_eq!(store.bytes(), [0]);
        store.let_go(holder);
        // With a reader there: no pass to write.
        let holder = store.hold(&["--read"]);
        under(store.write(&["--timeout", "300ms", "9"]))
            .run_within(SECONDS)
            .fails(4);
        store.let_go(holder);
        // And nothing is refused for its sake.
        under(store.write(&["--timeout", "5s", "0"]))
            .run_within(SECONDS)
            .exits(0)
            .silent();
        under(store.read(&["--timeout", "5s"]))
            .run_within(SECONDS)
            .exits(0)
            .silent();
    }
}

#[test]
fn a_pass_that_is_none_counts_for_nothing() {
    use std::os::unix::ffi::OsStringExt;
    let store = Store::array("u8", 1);
    let real = old_pass(&store, &["--write"]);
    let holder = store.hold(&["--write"]);
    let mut passes: Vec<std::ffi::OsString> = vec![
        "".into(),
        " ".into(),
        "nonsense".into(),
        "write".into(),
        "0 0 0 0".into(),
        ":::::".into(),
        "18446744073709551616:-1:4294967296:w".into(),
        (&*store.name).into(),
        format!("{} write", &*store.name).into(),
        "x ".repeat(30_000).into(),
        std::ffi::OsString::from_vec(b"\xff\xfe\xfd".to_vec()),
    ];
    // The real one, with a character of it changed.
    for at in 0..real.len() {
        let mut spoilt = real.clone().into_bytes();
        spoilt[at] = if spoilt[at] == b'7' { b'3' } else { b'7' };
        passes.push(String::from_utf8(spoilt).unwrap().into());
    }
    for pass in &passes {
        let write = store
            .write(&["--timeout", "20ms", "9"])
            .env("SHM_LOCK", pass.clone());
        let done = write.run_within(SECONDS);
        assert_eq!(done.code(), 4, "{pass:?}: {:?}", done.stderr);
    }
    assert_eq!(store.bytes(), [0]);
    store.let_go(holder);
    for pass in passes {
        store
            .write(&["0"])
            .env("SHM_LOCK", pass.clone())
            .run_within(SECONDS)
            .exits(0)
            .silent();
        store
            .read::<&str>(&[])
            .env("SHM_LOCK", pass)
            .run_within(SECONDS)
            .exits(0)
            .silent();
    }
}

#[test]
fn what_a_command_leaves_behind_has_no_lock() {
    let store = Store::array("u8", 1);
    let script = r#"exec 7<&0; (exec 1>&- 2>&-; read line <&7; exec shm write "$1" --timeout 300ms 9) & exit 0"#;
    let mut lock = store
        .lock(&[], &["bash", "-c", script, "-", &store.name])
        .held_stdin()
        .own_group()
        .start();
    lock.wait_within(SECONDS);
    is_to_be_had(&store, "--write");
    // Its pass is an old one now.
    let holder = store.hold(&["--write"]);
    lock.feed(b"go on\n");
    holds_for(Duration::from_millis(600), "it writes nothing", || {
        store.bytes() == [0]
    });
    store.let_go(holder);
}

// ---- signals ----------------------------------------------------------------

/// `shm lock ... -- sh -c SCRIPT`, once it has printed HELD.
fn running(store: &Store, flags: &[&str], script: &str) -> Proc {
    let proc = store
        .lock(flags, &["sh", "-c", script])
        .held_stdin()
        .own_group()
        .start();
    until("the command runs", || {
        proc.stdout_so_far().starts_with(b"HELD\n")
    });
    proc
}

#[test]
fn sigterm_is_forwarded_to_the_command() {
    let store = Store::array("u8", 1);
    // Its status is its own, also when it ends by itself thereafter.
    let patient = running(
        &store,
        &[],
        "trap 'echo GOT IT; exit 9' TERM; echo HELD; while :; do sleep 0.05; done",
    );
    patient.signal(Signal::TERM);
    let done = patient.finish_within(SECONDS).exits(9);
    assert_eq!(done.stdout, b"HELD\nGOT IT\n");
    assert!(!store.owner_died());
    let plain = running(&store, &["--read"], "echo HELD; exec sleep 60");
    plain.signal(Signal::TERM);
    plain.finish_within(SECONDS).exits(143);
    assert_eq!(store.lock_state(), "free");
    assert!(!store.owner_died(), "a reader changes nothing");
}

#[test]
fn sighup_is_forwarded_to_the_command() {
    let store = Store::array("u8", 1);
    let own = running(
        &store,
        &[],
        "trap 'echo GOT IT; exit 9' HUP; echo HELD; while :; do sleep 0.05; done",
    );
    own.signal(Signal::HUP);
    let done = own.finish_within(SECONDS).exits(9);
    assert_eq!(done.stdout, b"HELD\nGOT IT\n");
    assert_eq!(store.lock_state(), "free");
    assert!(!store.owner_died());
}

#[test]
fn ctrl_c_is_the_commands_to_answer() {
    let store = Store::array("u8", 1);
    // As a terminal does: to both of them.
    let own = running(
        &store,
        &[],
        "trap 'exit 5' INT; echo HELD; while :; do sleep 0.05; done",
    );
    own.signal_group(Signal::INT);
    own.finish_within(SECONDS).exits(5);
    let plain = running(&store, &[], "echo HELD; exec sleep 60");
    plain.signal_group(Signal::INT);
    plain.finish_within(SECONDS).exits(130);
    assert_eq!(store.lock_state(), "free");
    // To `shm lock` alone: it waits for its command, and keeps the lock.
    let mut holder = store.hold(&[]);
    holder.signal(Signal::INT);
    holds_for(MOMENT, "it waits for its command", || {
        holder.is_running() && store.lock_state() == "write"
    });
    store.let_go(holder);
}

/// `shm lock NAME -- COMMAND` with these signals ignored, as in the background
/// of a script.
fn ignoring(store: &Store, signals: &str, command: &str) -> Shm {
    let script = format!(r#"trap '' {signals}; exec shm lock "$1" -- {command}"#);
    Shm::program("sh")
        .args(&["-c", &script, "-", &store.name])
        .with_shm_on_path()
}

#[test]
fn what_was_ignored_the_command_ignores_as_with_flock() {
    let store = Store::array("u8", 1);
    for (signals, mask) in [("INT", 2), ("TERM", 0x4000), ("INT TERM", 0x4002)] {
        let grep = ignoring(&store, signals, "grep SigIgn /proc/self/status").run();
        let line = String::from_utf8(grep.exits(0).stdout).unwrap();
        let ignored = u64::from_str_radix(line["SigIgn:".len()..].trim(), 16).unwrap();
        assert_eq!(ignored & 0x4002, mask, "{signals}: {line}");
    }
    // And none of them harms either of the two.
    let command = r#"sh -c 'echo HELD; read line; exit 7'"#;
    let holder = ignoring(&store, "INT TERM", command);
    let mut holder = holder.held_stdin().own_group().start();
    until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
    holder.signal_group(Signal::INT);
    holder.signal_group(Signal::TERM);
    holds_for(MOMENT, "both go on", || {
        holder.is_running() && store.lock_state() == "write"
    });
    holder.close_stdin();
    holder.finish_within(SECONDS).exits(7);
    assert!(!store.owner_died());
}

#[test]
fn a_waiter_can_be_interrupted_and_its_command_does_not_run() {
    let store = Store::array("u8", 1);
    let holder = store.hold(&["--write"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let waiters = [
            waiting(&store, "writer", store.lock(&[], &["echo", "ran"])),
            waiting(&store, "reader", store.lock(&["--read"], &["echo", "ran"])),
            waiting(&store, "writer", store.write(&["9"])),
            waiting(&store, "reader", store.read::<&str>(&[])),
        ];
        for waiter in waiters {
            waiter.signal(signal);
            let done = waiter.finish_within(SECONDS).exits(code);
            assert!(done.stdout.is_empty());
        }
    }
    assert_eq!((store.living("writer"), store.living("reader")), (1, 0));
    store.let_go(holder);
    assert_eq!(store.bytes(), [0]);
}

// ---- deaths -----------------------------------------------------------------

const WARNING: &str = "warning: a writer died in the middle of a write; the data may be torn";

#[track_caller]
fn warns(store: &Store, command: Shm) {
    let done = command.run_within(SECONDS).exits(0);
    let line = format!("shm: {}: {WARNING}\n", &*store.name);
    assert_eq!(done.stderr, line, "`{}`", done.what);
}

#[test]
fn a_writer_killed_is_told_to_the_next_until_somebody_writes() {
    let store = Store::array("u8", 2);
    store.kill_holder(store.hold(&["--write"]));
    // Before anybody else has come: nobody holds it, and it is known.
    let all = store.inspect();
    assert_eq!(
        (&all["lock"]["state"], &all["lock"]["owner_died"]),
        (&"free".into(), &true.into())
    );
    let people = String::from_utf8(store.shm("inspect").run().exits(0).stdout).unwrap();
    assert!(people.to_lowercase().contains("died"), "{people}");
    warns(&store, store.read::<&str>(&[]));
    warns(&store, store.read(&["--count", "1"]));
    assert!(store.owner_died(), "reading makes nothing whole");
    warns(&store, store.write(&["1", "2"]));
    assert!(!store.owner_died(), "a complete write does");
    store.read::<&str>(&[]).run().exits(0).silent();
    store.write(&["3"]).run().exits(0).silent();
}

#[test]
fn a_command_killed_under_the_write_lock_is_a_writer_that_died() {
    let store = Store::array("u8", 2);
    for signal in ["KILL", "TERM"] {
        let command = format!("kill -{signal} $$");
        store.lock(&[], &["sh", "-c", &command]).run();
        assert!(store.owner_died(), "{signal}");
        // A command that fails has made nothing whole.
        store.lock(&[], &["false"]).run().exits(1);
        assert!(store.owner_died());
        store.lock(&["--read"], &["true"]).run().exits(0);
        assert!(store.owner_died());
        // Nor has one that succeeds: who knows whether it wrote?
        store.lock(&[], &["true"]).run().exits(0);
        assert!(store.owner_died());
        store.write(&["1", "2"]).run().exits(0);
        assert!(!store.owner_died());
    }
    // One that fails has not died.
    store.lock(&[], &["false"]).run().exits(1);
    assert!(!store.owner_died());
    store.read::<&str>(&[]).run().exits(0).silent();
}

#[test]
fn a_write_that_fails_makes_nothing_whole() {
    let store = Store::array("u8", 2);
    store.kill_holder(store.hold(&["--write"]));
    store.write(&["256"]).run().exits(1);
    store.write(&["1", "2", "3"]).run().exits(1);
    assert!(store.owner_died());
    warns(&store, store.write(&["1"]));
    assert!(!store.owner_died());
}

#[test]
fn a_reader_killed_is_nothing_to_tell() {
    let store = Store::array("u8", 2);
    store.kill_holder(store.hold(&["--read"]));
    assert_eq!(store.lock_state(), "free");
    assert!(!store.owner_died());
    store.write(&["1"]).run_within(SECONDS).exits(0).silent();
    store
        .read::<&str>(&[])
        .run_within(SECONDS)
        .exits(0)
        .silent();
    store
        .lock(&["--read"], &["sh", "-c", "kill -KILL $$"])
        .run();
    assert!(!store.owner_died());
}

#[test]
fn a_writer_killed_while_it_waits_for_readers_has_changed_nothing() {
    let store = Store::array("u8", 2);
    let reader = store.hold(&["--read"]);
    let writer = waiting(&store, "writer", store.lock(&["--write"], &["true"]));
    until("it waits for the reader", || store.writer_waits());
    writer.kill();
    // Readers no longer let it pass.
    is_to_be_had(&store, "--read");
    store.let_go(reader);
    assert!(!store.owner_died());
    store
        .read::<&str>(&[])
        .run_within(SECONDS)
        .exits(0)
        .silent();
    is_to_be_had(&store, "--write");
}

#[test]
fn the_lock_lives_as_long_as_its_command() {
    let store = Store::array("u8", 1);
    for (flag, state) in [("--write", "write"), ("--read", "read")] {
        let mut holder = store.hold(&[flag]);
        // `shm lock` alone is killed; its command goes on under the lock.
        holder.signal(Signal::KILL);
        holder.wait_within(SECONDS);
        holds_for(MOMENT, "the lock is held", || store.lock_state() == state);
        is_not_to_be_had(&store, "--write");
        store
            .write(&["--timeout", "300ms", "9"])
            .run_within(SECONDS)
            .fails(4);
        holder.close_stdin();
        until_within(SECONDS, "the command has ended", || {
            store.lock_state() == "free"
        });
        is_to_be_had(&store, "--write");
        assert_eq!(store.bytes(), [0]);
    }
}

#[test]
fn the_pass_lives_as_long_as_the_command_too() {
    let store = Store::array("u8", 1);
    let script =
        r#"echo HELD; read line; shm write "$1" --timeout 5s 9 && shm read "$1" --timeout 5s"#;
    let lock = store.lock(&[], &["sh", "-c", script, "-", &store.name]);
    let mut holder = lock.held_stdin().own_group().start();
    until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
    holder.signal(Signal::KILL);
    holder.wait_within(SECONDS);
    let waiter = waiting(&store, "writer", store.lock(&[], &["true"]));
    holder.feed(b"go on\n");
    until_within(SECONDS, "it has written and read under its lock", || {
        holder.stdout_so_far() == b"HELD\n9\n"
    });
    waiter.finish_within(SECONDS).exits(0);
    assert_eq!(store.text(), "9\n");
}

#[test]
fn a_writer_killed_with_its_command_going_on_may_have_left_anything() {
    let store = Store::array("u8", 1);
    let mut holder = store.hold(&["--write"]);
    holder.signal(Signal::KILL);
    holder.wait_within(SECONDS);
    holder.close_stdin();
    until_within(SECONDS, "the command has ended", || {
        store.lock_state() == "free"
    });
    assert!(store.owner_died(), "nobody has said that it was complete");
}

#[test]
fn a_stopped_holder_is_never_robbed() {
    let store = Store::array("u8", 1);
    for (held, wanted) in [
        ("--write", "--write"),
        ("--write", "--read"),
        ("--read", "--write"),
    ] {
        let holder = store.hold(&[held]);
        holder.signal_group(Signal::STOP);
        let done = store
            .lock(&[wanted, "--timeout", "1500ms"], &["echo", "ran"])
            .run_within(SECONDS)
            .fails(4);
        assert!(
            done.error_line().contains(&*store.name),
            "{:?}",
            done.stderr
        );
        assert_eq!(
            store.living(if held == "--read" { "reader" } else { "writer" }),
            1
        );
        let role = if wanted == "--read" {
            "reader"
        } else {
            "writer"
        };
        let waiter = waiting(&store, role, store.lock(&[wanted], &["echo", "ran"]));
        holder.signal_group(Signal::CONT);
        store.let_go(holder);
        waiter.finish_within(SECONDS).exits(0);
        assert!(!store.owner_died());
    }
}

#[test]
fn killed_again_and_again_holders_leave_the_lock_to_the_next() {
    let store = Store::array("u64", 8);
    let mut times = Vec::new();
    for turn in 0..200 {
        let held = ["--write", "--read"][turn % 2];
        let holder = store.hold(&[held]);
        // Somebody who waits, or somebody who comes later; a reader can wait
        // for nobody but a writer.
        let wanted = if held == "--read" || turn % 4 == 0 {
            "--write"
        } else {
            "--read"
        };
        let role = if wanted == "--read" {
            "reader"
        } else {
            "writer"
        };
        let lock = || store.lock(&[wanted, "--timeout", "30s"], &["true"]);
        let waiter = (turn % 8 < 4).then(|| {
            let before = store.living(role);
            let waiter = lock().start();
            until("it is attached", || store.living(role) > before);
            waiter
        });
        holder.signal_group(Signal::KILL);
        let begun = Instant::now();
        let waiter = waiter.unwrap_or_else(|| lock().start());
        waiter.finish_within(SECONDS).exits(0);
        times.push(begun.elapsed());
        holder.finish();
        // `true` under the write lock makes nothing whole.
        let told = held == "--write";
        assert_eq!(store.owner_died(), told, "turn {turn}");
        if told {
            store.write(&["1"]).run_within(SECONDS).exits(0);
            assert!(!store.owner_died(), "turn {turn}");
        }
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!("the next had it after {median:?} (median), {longest:?} at most");
    // The kernel's, not ours, are the starts and ends of processes in there;
    // one that was never woken would come only with a slice of its wait.
    assert!(
        median < Duration::from_millis(500) && longest < Duration::from_secs(5),
        "median {median:?}, longest {longest:?}"
    );
    is_to_be_had(&store, "--write");
    assert_eq!(store.inspect()["participants"].as_array().unwrap().len(), 0);
}

#[test]
fn whoever_reads_after_a_killed_write_is_warned_or_sees_no_half_of_it() {
    let store = Store::buffer("64M");
    let files = [1u8, 2].map(|byte| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![byte; 64 << 20]).unwrap();
        file
    });
    let mut state = 42u64;
    let (mut turns, mut warned, mut torn) = (0, 0, 0);
    // As many as it takes for one to be struck while it stores.
    while turns < 16 || (torn == 0 && turns < 200) {
        let turn = turns;
        turns += 1;
        let victim = store.write(&[files[turn % 2].path()]).start();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros((state >> 33) % 40_000));
        victim.kill();
        let read = store
            .read(&["--timeout", "30s"])
            .run_within(SECONDS)
            .exits(0);
        let mixed = read.stdout.iter().any(|byte| byte != &read.stdout[0]);
        let told = read.stderr.contains(WARNING);
        assert!(told || !mixed, "turn {turn}: torn, and nobody was told");
        assert!(told || read.stderr.is_empty(), "{:?}", read.stderr);
        (warned, torn) = (warned + usize::from(told), torn + usize::from(mixed));
        store
            .write(&[files[turn % 2].path()])
            .run_within(SECONDS)
            .exits(0);
        assert!(!store.owner_died());
    }
    eprintln!("of {turns} killed in chance moments {warned} were warned of, {torn} seen torn");
    assert!(torn > 0, "none of {turns} was killed while it stored");
}

// ---- the segment goes away --------------------------------------------------

/// Those who wait for a lock on it end with 6 when `end` has come over it.
#[track_caller]
fn those_who_wait_end_with_6(end: impl Fn(&Store)) {
    for held in ["--write", "--read"] {
        let store = Store::array("u8", 10_000);
        let holder = store.hold(&[held]);
        let mut waiters = vec![
            waiting(&store, "writer", store.lock(&["--write"], &["echo", "ran"])),
            waiting(&store, "writer", store.write(&["1"])),
        ];
        if held == "--write" {
            waiters.push(waiting(
                &store,
                "reader",
                store.lock(&["--read"], &["echo", "ran"]),
            ));
            waiters.push(waiting(&store, "reader", store.read::<&str>(&[])));
        }
        end(&store);
        for waiter in waiters {
            waiter.finish_within(SECONDS).fails(6);
        }
        let mut holder = holder;
        holder.close_stdin();
        holder.finish_within(SECONDS).exits_one_of(&[0, 6]);
    }
}

#[test]
fn those_who_wait_for_a_segment_removed_by_force_end_with_6() {
    those_who_wait_end_with_6(|store| {
        store.shm("remove").run().fails(1);
        store.shm("remove").arg("--force").run().exits(0);
    });
}

#[test]
fn those_who_wait_for_a_segment_whose_file_was_deleted_end_with_6() {
    those_who_wait_end_with_6(|store| std::fs::remove_file(store.name.path()).unwrap());
}

#[test]
fn those_who_wait_for_a_segment_that_was_made_anew_end_with_6() {
    those_who_wait_end_with_6(|store| {
        store.shm("remove").arg("--force").run().exits(0);
        shm(&[
            "create",
            "array",
            &store.name,
            "--type",
            "u8",
            "--len",
            "10000",
        ])
        .run()
        .exits(0);
    });
}

#[test]
fn those_who_wait_for_a_truncated_segment_end_with_6() {
    // Beginning, half and page edges: in the table, before and behind the lock's words.
    for len in [0, 1, 100, 4096, 25_480, 36_864, 40_960, 45_056] {
        those_who_wait_end_with_6(|store| store.file().set_len(len).unwrap());
    }
}

#[test]
fn a_segment_truncated_under_a_transfer_is_6_and_no_bus_error() {
    for len in [0, 4096, 10 << 20] {
        let store = Store::buffer("64M");
        let mut reader = store.read::<&str>(&[]).held_stdout().start();
        let mut consumer = reader.take_stdout();
        std::io::Read::read_exact(&mut consumer, &mut [0; 1000]).unwrap();
        store.file().set_len(len).unwrap();
        std::io::copy(&mut consumer, &mut std::io::sink()).unwrap();
        let done = reader.finish_within(SECONDS).exits(6);
        done.error_line();
    }
    let input = tempfile::NamedTempFile::new().unwrap();
    input.as_file().set_len(256 << 20).unwrap();
    for turn in 0..8 {
        let store = Store::buffer("256M");
        let file = store.file();
        let writer = match turn % 2 {
            0 => store.write(&[input.path()]).start(),
            _ => store
                .write::<&str>(&[])
                .stdin(input.reopen().unwrap())
                .start(),
        };
        std::thread::sleep(Duration::from_millis(turn * 7));
        file.set_len(40_960 + 4096).unwrap();
        // Done before, gone in the middle, or never a whole segment for it.
        writer.finish_within(SECONDS).exits_one_of(&[0, 5, 6]);
    }
}

// ---- no update is lost ------------------------------------------------------

#[test]
fn no_update_under_a_lock_is_lost() {
    let counter = Store::array("u32", 1);
    let increment = r#"shm write "$1" $(( $(shm read "$1") + 1 ))"#;
    let script = r#"for i in $(seq 50); do shm lock "$1" -- sh -c "$2" - "$1" || exit 9; done"#;
    let count = || {
        Shm::program("bash")
            .args(&["-c", script, "-", &counter.name, increment])
            .with_shm_on_path()
            .start()
    };
    let counting: Vec<_> = (0..4).map(|_| count()).collect();
    for process in counting {
        process
            .finish_within(Duration::from_secs(120))
            .exits(0)
            .silent();
    }
    assert_eq!(counter.text(), "200\n");
    assert!(!counter.owner_died());
    assert_eq!(counter.lock_state(), "free");
    assert_eq!(
        counter.inspect()["participants"].as_array().unwrap().len(),
        0
    );
}

#[test]
fn no_update_is_lost_or_done_twice_among_those_killed_at_any_moment() {
    // Each adds one and notes, still under the lock, what it made of it. Two
    // who had the lock at once would note the same, or out of order.
    let counter = Store::array("u32", 1);
    let ledger = tempfile::NamedTempFile::new().unwrap();
    let add = r#"n=$(( $(shm read "$1") + 1 )) && shm write "$1" $n && echo $n >> "$2""#;
    let script = r#"while shm lock "$1" -- sh -c "$3" - "$1" "$2"; do :; done"#;
    let worker = || {
        Shm::program("bash")
            .args(&["-c", script, "-", &counter.name])
            .arg(ledger.path())
            .arg(add)
            .with_shm_on_path()
            .own_group()
            .start()
    };
    let noted = || -> Vec<u32> {
        let text = std::fs::read_to_string(ledger.path()).unwrap();
        // A line may be being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| line.parse().unwrap()).collect()
    };
    let mut workers: Vec<_> = (0..3).map(|_| worker()).collect();
    let mut state = 2_463_534_242u64;
    for turn in 0..40 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(20_000 + (state >> 33) % 60_000));
        let victim = std::mem::replace(&mut workers[turn % 3], worker());
        counter.kill_holder(victim);
    }
    let so_far = noted().len();
    until_within(SECONDS, "those alive go on", || noted().len() > so_far + 6);
    for worker in workers {
        counter.kill_holder(worker);
    }
    let noted = noted();
    let broken = noted.windows(2).find(|pair| pair[1] <= pair[0]);
    assert!(broken.is_none(), "{broken:?} in {noted:?}");
    let counted: u32 = counter.text().trim().parse().unwrap();
    assert!(
        counted >= *noted.last().unwrap(),
        "{counted} at the end of {noted:?}"
    );
    eprintln!("{} noted of {counted}, 40 killed", noted.len());
    is_to_be_had(&counter, "--write");
}

#[test]
fn a_read_is_all_of_one_moment_and_writes_of_many_do_not_mix() {
    // Each write fills all of it with one value; each read must see one value.
    let store = Store::array("u16", 50_000);
    let end = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        for writer in 1u16..=2 {
            let store = &store;
            scope.spawn(move || {
                let bytes: Vec<u8> = writer.to_le_bytes().repeat(50_000);
                while Instant::now() < end {
                    store
                        .write(&["--format", "raw"])
                        .input(&bytes[..])
                        .run()
                        .exits(0)
                        .silent();
                }
            });
        }
        scope.spawn(|| {
            while Instant::now() < end {
                let raw = store.load("raw");
                assert!(raw.chunks(2).all(|value| value == &raw[..2]), "torn");
            }
        });
    });
}
