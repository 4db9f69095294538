//! What is to be seen: summaries, progress, `inspect`, `list`. Stdout carries
//! data only; what a script parses has the promised fields; what a person
//! watches goes on while nothing moves; and looking changes nothing.

mod harness;

use harness::{
    Name, Other, PATIENCE, Pattern, Proc, Ring, SECONDS, holds_for, shm, skipped, until,
};
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A reader, attached.
fn reader(ring: &Ring, options: &[&str]) -> Proc {
    let readers = ring.living("reader");
    let reader = shm(&["read", &ring.name]).args(options).start();
    until("the reader is attached", || {
        ring.living("reader") == readers + 1
    });
    reader
}

// ---- summaries --------------------------------------------------------------

#[track_caller]
fn is_a_summary(object: &Value, ring: &Ring, role: &str) {
    assert_eq!(object["name"], *ring.name, "{object}");
    assert_eq!(object["role"], role, "{object}");
    for key in [
        "bytes",
        "nodes",
        "diff_nodes",
        "diff_bytes",
        "diff_max",
        "waits",
        "dropped_nodes",
        "redelivered_nodes",
    ] {
        assert!(object[key].is_u64(), "{key} in {object}");
    }
    for key in ["seconds", "mb_per_s", "wait_seconds"] {
        assert!(
            object[key].as_f64().is_some_and(|n| n >= 0.0),
            "{key} in {object}"
        );
    }
    assert!(object["clean"].is_boolean(), "clean in {object}");
}

#[test]
fn both_ends_sum_up_what_went_through() {
    let ring = Ring::new(5, "10007");
    let pattern = Pattern::new(1, 1_000_000);
    let reader = reader(&ring, &["--json"]);
    let input = pattern.file();
    let written = shm(&["write", &ring.name, "--json"])
        .arg(input.path())
        .run()
        .exits(0);
    let read = reader.finish().exits(0);
    assert!(written.stdout.is_empty());
    assert!(
        read.stdout == pattern.bytes(),
        "stdout is data and nothing else"
    );
    for (done, role) in [(&written, "writer"), (&read, "reader")] {
        assert_eq!(
            done.stderr.lines().count(),
            1,
            "one object: {:?}",
            done.stderr
        );
        let summary = done.summary();
        is_a_summary(&summary, &ring, role);
        assert_eq!(summary["bytes"], 1_000_000);
        assert_eq!(summary["nodes"], 100, "a file fills its nodes");
        assert_eq!(summary["dropped_nodes"], 0);
        assert_eq!(summary["redelivered_nodes"], 0);
        assert_eq!(summary["clean"], true);
        assert!(summary["diff_max"].as_u64().unwrap() <= 5);
        assert!(
            summary.get("hash").is_none_or(Value::is_null),
            "no hash unless asked for"
        );
        let (bytes, seconds) = (1e6, summary["seconds"].as_f64().unwrap());
        let rate = summary["mb_per_s"].as_f64().unwrap();
        if seconds > 0.0 {
            let ratio = rate / (bytes / 1e6 / seconds);
            assert!(
                (0.9..1.1).contains(&ratio),
                "MB/s is bytes / 1,000,000 / s: {summary}"
            );
        }
    }
    let summary = read.summary();
    assert_eq!(
        (&summary["diff_nodes"], &summary["diff_bytes"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_writer_that_nobody_reads_sees_the_diff() {
    let ring = Ring::new(8, "1K");
    let done = shm(&["write", &ring.name, "--json"])
        .input_file(vec![0; 1500])
        .run()
        .exits(0);
    let summary = done.summary();
    assert_eq!(summary["diff_bytes"], 1500);
    let nodes = summary["nodes"].as_u64().unwrap();
    assert!(nodes >= 2);
    assert_eq!(summary["diff_nodes"], nodes);
    assert!(summary["diff_max"].as_u64().unwrap() >= nodes);
}

#[test]
fn a_blocked_writer_counts_its_waits() {
    let ring = Ring::new(2, "1K");
    let writer = shm(&["write", &ring.name, "--json"])
        .input(vec![0; 64 * 1024])
        .start();
    until("it waits", || ring.number("writer_waits") > 0);
    shm(&["read", &ring.name]).run().exits(0);
    let summary = writer.finish().exits(0).summary();
    assert!(summary["waits"].as_u64().unwrap() > 0);
    assert!(summary["wait_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_unclean_end_is_in_the_summary() {
    let ring = Ring::new(2, "1K");
    let reader = reader(&ring, &["--json"]);
    let writer = shm(&["write", &ring.name]).held_stdin().start();
    until("the writer is attached", || ring.living("writer") == 1);
    writer.kill();
    let done = reader.finish_within(SECONDS).exits(3);
    assert_eq!(done.summary()["clean"], false);
    let rest: Vec<_> = done
        .stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    assert!(rest.len() == 1 && rest[0].starts_with("shm: "), "{rest:?}");
}

#[test]
fn a_timed_out_reader_still_sums_up() {
    let ring = Ring::new(2, "1K");
    shm(&["write", &ring.name, "--keep-open"])
        .input("some")
        .run()
        .exits(0);
    let _silent = shm(&["write", &ring.name]).held_stdin().start();
    let done = shm(&["read", &ring.name, "--json", "--timeout", "300ms"])
        .run()
        .exits(4);
    assert_eq!(done.summary()["bytes"], 4);
}

#[test]
fn stats_are_the_same_for_people_in_one_line() {
    let ring = Ring::new(20, "64K");
    let pattern = Pattern::new(1, 1 << 20);
    let reader = reader(&ring, &["--stats"]);
    let written = shm(&["write", &ring.name, "--stats"])
        .arg(pattern.file().path())
        .run()
        .exits(0);
    let read = reader.finish().exits(0);
    assert!(read.stdout == pattern.bytes());
    for (done, verb) in [(written, "written"), (read, "read")] {
        assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
        let start = format!("{verb} 1.00 MiB in 16 nodes, ");
        assert!(done.stderr.starts_with(&start), "{:?}", done.stderr);
        for part in [" MB/s, diff ", " (max ", "), waits ", " s)"] {
            assert!(done.stderr.contains(part), "{part:?} in {:?}", done.stderr);
        }
    }
}

#[test]
fn an_interval_gives_an_object_each_that_is_not_final() {
    let ring = Ring::new(4, "1K");
    let mut writer = shm(&["write", &ring.name, "--json", "--interval", "50ms"])
        .held_stdin()
        .start();
    let reader = reader(&ring, &["--json", "--interval", "50ms"]);
    writer.feed(b"first");
    for proc in [&writer, &reader] {
        until("some intervals have passed", || {
            proc.stderr_so_far()
                .lines()
                .filter(|l| l.contains("\"final\""))
                .count()
                >= 3
        });
    }
    writer.close_stdin();
    for (proc, role) in [(writer, "writer"), (reader, "reader")] {
        let mut objects = proc.finish().exits(0).objects();
        let last = objects.pop().unwrap();
        is_a_summary(&last, &ring, role);
        assert_ne!(last["final"], false);
        assert_eq!(last["bytes"], 5);
        for object in objects {
            is_a_summary(&object, &ring, role);
            assert_eq!(object["final"], false);
        }
    }
}

#[test]
fn the_hash_is_blake3_of_the_bytes_at_both_ends() {
    for (nodes, node_size, len) in [
        (20, "64K", 10_000_001),
        (3, "10007", 3_000_000),
        (16, "1", 1_000),
        (2, "8M", 30_000_000),
    ] {
        let ring = Ring::new(nodes, node_size);
        let pattern = Pattern::new(nodes, len);
        let reader = reader(&ring, &["--hash", "--json"]);
        let write = shm(&["write", &ring.name, "--hash", "--json"]).input_pattern(&pattern);
        let written = write.run().exits(0).summary();
        let read = reader.finish().exits(0).summary();
        assert_eq!(written["hash"], pattern.blake3());
        assert_eq!(read["hash"], pattern.blake3());
    }
    let ring = Ring::new(2, "1K");
    let empty = shm(&["write", &ring.name, "--hash", "--json"])
        .run()
        .exits(0)
        .summary();
    assert_eq!(empty["hash"], blake3::hash(b"").to_string());
}

#[test]
fn a_delimiter_is_no_payload_for_counts_and_hash() {
    let ring = Ring::new(8, "3");
    shm(&["write", &ring.name])
        .input_file("aaabbbcc")
        .run()
        .exits(0);
    let read = shm(&["read", &ring.name, "--delimiter", "/", "--hash", "--json"])
        .run()
        .exits(0);
    assert_eq!(read.stdout, b"aaa/bbb/cc/");
    assert_eq!(read.summary()["bytes"], 8);
    assert_eq!(
        read.summary()["hash"],
        blake3::hash(b"aaabbbcc").to_string()
    );
}

// ---- progress ---------------------------------------------------------------

#[test]
fn off_a_terminal_nothing_is_drawn_unless_asked_for() {
    let ring = Ring::new(2, "1K");
    let quiet = [&[][..], &["-q"], &["--quiet"]];
    for options in quiet {
        let reader = reader(&ring, options);
        let mut writer = shm(&["write", &ring.name])
            .args(options)
            .held_stdin()
            .start();
        writer.feed(b"x");
        // Longer than any first tick of a progress line.
        holds_for(Duration::from_millis(600), "it is silent", || {
            writer.stderr_so_far().is_empty() && reader.stderr_so_far().is_empty()
        });
        writer.close_stdin();
        writer.finish().exits(0).silent();
        reader.finish().exits(0).silent();
    }
}

#[test]
fn progress_shows_rate_and_diff_and_says_what_it_waits_for() {
    let ring = Ring::new(2, "1K");
    let reader = reader(&ring, &["--progress"]);
    let waits = |proc: &Proc, what: &str| {
        until("it says what it waits for", || {
            proc.stderr_so_far().contains(what)
        });
        let said = proc.stderr_so_far().len();
        until("it keeps drawing", || proc.stderr_so_far().len() > said);
    };
    waits(&reader, "waiting for a writer");
    reader.kill();
    let writer = shm(&["write", &ring.name, "--progress"])
        .input(vec![7; 9_999])
        .start();
    waits(&writer, "waiting for a reader");
    assert_eq!(
        shm(&["read", &ring.name]).run().exits(0).stdout.len(),
        9_999
    );
    let done = writer.finish().exits(0);
    for word in ["MB/s", "diff"] {
        assert!(done.stderr.contains(word), "{word} in {:?}", done.stderr);
    }
}

/// A new terminal: our end, and the end for a child.
fn terminal() -> Option<(std::fs::File, std::fs::File)> {
    use std::os::fd::AsRawFd;
    let ours = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/ptmx")
        .ok()?;
    let (mut locked, mut number): (libc::c_int, libc::c_uint) = (0, 0);
    // SAFETY: the descriptor is open, and TIOCSPTLCK reads one int.
    let unlocked = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw mut locked) };
    // SAFETY: the descriptor is open, and TIOCGPTN writes one unsigned int.
    let numbered = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    if unlocked != 0 || numbered != 0 {
        return None;
    }
    let path = format!("/dev/pts/{number}");
    let theirs = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .ok()?;
    let size = rustix::termios::Winsize {
        ws_row: 24,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&theirs, size).ok()?;
    Some((ours, theirs))
}

/// What a `shm read` waiting on an empty ring draws on a terminal.
fn drawn_on_a_terminal(options: &[&str], enough: impl Fn(&str) -> bool) -> Option<String> {
    let ring = Ring::new(2, "1K");
    let (mut ours, theirs) = terminal()?;
    let read = shm(&["read", &ring.name]).args(options);
    let reader = read.env("TERM", "xterm").stderr(theirs).start();
    until("the reader is attached", || ring.living("reader") == 1);
    let drawn = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let into = drawn.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = ours.read(&mut buffer) {
            into.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end && !enough(&drawn.lock().unwrap()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    shm(&["write", &ring.name]).input("data").run().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"data");
    let drawn = drawn.lock().unwrap().clone();
    Some(drawn)
}

#[test]
fn on_a_terminal_progress_shows_by_default_and_quiet_turns_it_off() {
    let what = "waiting for a writer";
    let Some(drawn) = drawn_on_a_terminal(&[], |drawn| drawn.contains(what)) else {
        skipped("no terminal to be had here");
        return;
    };
    assert!(drawn.contains(what), "{drawn:?}");
    let begun = std::time::Instant::now();
    let a_second = |_: &str| begun.elapsed() > Duration::from_secs(1);
    assert_eq!(drawn_on_a_terminal(&["-q"], a_second).unwrap(), "");
}

// ---- inspect ----------------------------------------------------------------

#[track_caller]
fn is_an_inspection(all: &Value, name: &str) {
    assert_eq!(all["name"], name);
    assert_eq!(all["kind"], "ring");
    for key in [
        "layout_version",
        "size_bytes",
        "owner_uid",
        "created_unix_ns",
        "creator_pid",
    ] {
        assert!(all[key].is_u64(), "{key} in {all}");
    }
    assert!(!all["mode"].is_null(), "mode in {all}");
    let ring = &all["ring"];
    for key in [
        "nodes",
        "node_size",
        "written_nodes",
        "read_nodes",
        "diff_nodes",
        "written_bytes",
        "read_bytes",
        "diff_bytes",
        "abandoned_nodes",
        "redelivered_nodes",
        "dropped_nodes",
        "writer_waits",
        "reader_waits",
    ] {
        assert!(ring[key].is_u64(), "ring.{key} in {all}");
    }
    for key in ["free", "writing", "ready", "reading", "orphan"] {
        assert!(ring["states"][key].is_u64(), "ring.states.{key} in {all}");
    }
    assert!(ring["delivery"].is_string() && ring["wait"].is_string());
    assert!(ring["stream"]["state"].is_string() && ring["stream"]["clean"].is_boolean());
    for participant in all["participants"].as_array().unwrap() {
        for key in ["slot", "pid", "nodes", "bytes", "waits"] {
            assert!(participant[key].is_u64(), "participants[].{key} in {all}");
        }
        assert!(participant["alive"].is_boolean() && participant["role"].is_string());
    }
}

#[test]
fn inspect_tells_all_about_a_new_ring() {
    let before = std::time::SystemTime::now();
    let ring = Ring::with(&["-n", "7", "-b", "10007"]);
    let all = ring.inspect();
    is_an_inspection(&all, &ring.name);
    assert_eq!(all["size_bytes"], ring.path().metadata().unwrap().len());
    assert_eq!(all["owner_uid"], rustix::process::getuid().as_raw());
    let created = Duration::from_nanos(all["created_unix_ns"].as_u64().unwrap());
    let created = std::time::UNIX_EPOCH + created;
    assert!(created >= before - Duration::from_secs(1) && created <= std::time::SystemTime::now());
    let of = &all["ring"];
    assert_eq!(
        (&of["nodes"], &of["node_size"]),
        (&7.into(), &10_007.into())
    );
    assert_eq!(
        (&of["delivery"], &of["wait"]),
        (&"queue".into(), &"futex".into())
    );
    assert_eq!(of["states"]["free"], 7);
    assert_eq!(of["stream"]["state"], "waiting");
    assert_eq!(of["stream"]["clean"], true);
    assert_eq!(all["participants"], Value::Array(vec![]));
}

#[test]
fn inspect_sees_a_stream_that_is_blocked() {
    let ring = Ring::new(4, "1K");
    let pattern = Pattern::new(1, 10 * 1024);
    let input = pattern.file();
    let writer = shm(&["write", &ring.name]).arg(input.path()).start();
    until("the ring is full", || ring.state("ready") == 4);
    until("the writer waits", || ring.number("writer_waits") > 0);
    let all = ring.inspect();
    is_an_inspection(&all, &ring.name);
    let of = &all["ring"];
    assert_eq!(of["states"]["free"], 0);
    assert_eq!(
        (&of["written_nodes"], &of["written_bytes"]),
        (&4.into(), &4096.into())
    );
    assert_eq!(
        (&of["read_nodes"], &of["read_bytes"]),
        (&0.into(), &0.into())
    );
    assert_eq!(
        (&of["diff_nodes"], &of["diff_bytes"]),
        (&4.into(), &4096.into())
    );
    assert_eq!(of["stream"]["state"], "open");
    let table = all["participants"].as_array().unwrap();
    assert_eq!(table.len(), 1);
    assert_eq!(table[0]["role"], "writer");
    assert_eq!(table[0]["pid"], writer.pid());
    assert_eq!(table[0]["alive"], true);
    assert_eq!(
        (&table[0]["nodes"], &table[0]["bytes"]),
        (&4.into(), &4096.into())
    );

    shm(&["read", &ring.name]).verify(&pattern).run().exits(0);
    writer.finish().exits(0);
    let all = ring.inspect();
    assert_eq!(all["ring"]["read_bytes"], 10 * 1024);
    assert_eq!(all["ring"]["diff_nodes"], 0);
    assert_eq!(all["ring"]["states"]["free"], 4);
    assert_eq!(all["ring"]["stream"]["state"], "ended");
    assert_eq!(all["participants"], Value::Array(vec![]));
}

#[test]
fn inspect_shows_the_dead_until_somebody_recovers_them() {
    let ring = Ring::new(2, "1K");
    let reader = reader(&ring, &[]);
    let pid = reader.pid();
    reader.kill();
    let all = ring.inspect();
    let table = all["participants"].as_array().unwrap();
    let dead: Vec<_> = table.iter().filter(|p| p["pid"] == pid).collect();
    assert_eq!(dead.len(), 1, "{all}");
    assert_eq!(
        (&dead[0]["alive"], &dead[0]["role"]),
        (&false.into(), &"reader".into())
    );
    shm(&["read", &ring.name, "--no-wait"]).run().exits(0);
    let all = ring.inspect();
    assert_eq!(
        all["participants"],
        Value::Array(vec![]),
        "the next who came cleaned up"
    );
}

#[test]
fn inspect_adds_up_at_every_moment_of_a_stream_at_full_speed() {
    for (nodes, node_size) in [(20u64, 1024u64), (2, 64), (5, 1 << 20)] {
        let ring = Ring::new(nodes, &node_size.to_string());
        let zero = std::fs::File::open("/dev/zero").unwrap();
        let sink = std::process::Stdio::null();
        let _writer = shm(&["write", &ring.name]).stdin(zero).start();
        let _reader = shm(&["read", &ring.name]).stdout(sink).start();
        until("it streams", || ring.number("read_nodes") > 0);
        let mut before = 0;
        for _ in 0..60 {
            let all = ring.inspect();
            let of = |key: &str| all["ring"][key].as_u64().unwrap();
            let states = all["ring"]["states"].as_object().unwrap();
            let counted: u64 = states.values().map(|n| n.as_u64().unwrap()).sum();
            assert_eq!(counted, nodes, "{all}");
            assert!(of("diff_nodes") <= nodes, "{all}");
            assert!(of("diff_bytes") <= nodes * node_size, "{all}");
            assert!(of("read_nodes") <= of("written_nodes"), "{all}");
            assert_eq!(
                of("written_nodes") - of("read_nodes"),
                of("diff_nodes"),
                "{all}"
            );
            assert_eq!(
                of("written_bytes") - of("read_bytes"),
                of("diff_bytes"),
                "{all}"
            );
            assert!(of("written_nodes") >= before, "{all}");
            before = of("written_nodes");
        }
    }
}

#[test]
fn inspect_changes_nothing() {
    let ring = Ring::new(4, "1K");
    shm(&["write", &ring.name, "--keep-open"])
        .input("left")
        .run()
        .exits(0);
    let dead = shm(&["read", &ring.name, "-o", "/dev/full"]).run();
    dead.exits(1);
    let _silent = shm(&["write", &ring.name]).held_stdin().start();
    until("the writer is attached", || ring.living("writer") == 1);
    let image = || std::fs::read(ring.path()).unwrap();
    let times = || {
        let metadata = ring.path().metadata().unwrap();
        (metadata.modified().unwrap(), metadata.len())
    };
    let before = (image(), times());
    for options in [
        &[][..],
        &["--json"],
        &["--nodes"],
        &["--data"],
        &["--nodes", "--json"],
    ] {
        shm(&["inspect", &ring.name])
            .args(options)
            .run()
            .exits(0)
            .silent();
    }
    shm(&["list"]).run().exits(0);
    shm(&["list", "--json"]).run().exits(0);
    assert!(
        before == (image(), times()),
        "looking has changed the segment"
    );
}

#[test]
fn inspect_needs_read_permission_only() {
    let ring = Ring::new(2, "1K");
    if !rustix::process::getuid().is_root() {
        std::fs::set_permissions(ring.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
        is_an_inspection(&ring.inspect(), &ring.name);
        return;
    }
    // Permissions do not bind root: be somebody else.
    std::fs::set_permissions(ring.path(), std::fs::Permissions::from_mode(0o444)).unwrap();
    let Some(other) = Other::new() else {
        return;
    };
    let _reader = reader(&ring, &[]);
    let all = other
        .shm(&["inspect", &ring.name, "--json"])
        .run()
        .exits(0)
        .silent()
        .json();
    is_an_inspection(&all, &ring.name);
    assert_eq!(
        all["participants"][0]["alive"], true,
        "liveness shows through a read-only file"
    );
    other.shm(&["read", &ring.name, "--no-wait"]).run().fails(1);
}

#[test]
fn inspect_for_people_names_the_ring_and_shows_nodes_and_data() {
    let ring = Ring::new(5, "16");
    shm(&["write", &ring.name])
        .input_file("ABCDEFGHIJKL")
        .run()
        .exits(0);
    let text = |options: &[&str]| {
        let done = shm(&["inspect", &ring.name])
            .args(options)
            .run()
            .exits(0)
            .silent();
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(text(&[]).contains(&*ring.name));
    assert!(text(&["--nodes"]).lines().count() >= 5, "a row per node");
    let dump = text(&["--data"]).to_lowercase().replace(' ', "");
    assert!(dump.contains("4142434445464748"), "{dump}");
}

#[test]
fn the_interrupted_and_the_removed_are_not_listed() {
    let rings = [Ring::new(2, "1K"), Ring::new(3, "2K")];
    let gone = Name::unused();
    shm(&["create", "ring", &gone]).run().exits(0);
    shm(&["remove", &gone]).run().exits(0);
    let _reader = reader(&rings[1], &[]);
    let list = shm(&["list", "--json"]).run().exits(0).silent().json();
    let find = |name: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|s| s["name"] == name)
            .cloned()
    };
    for ring in &rings {
        is_an_inspection(&find(&ring.name).expect("listed"), &ring.name);
    }
    assert_eq!(
        find(&rings[1].name).unwrap()["participants"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(find(&gone).is_none());
    let text = String::from_utf8(shm(&["list"]).run().exits(0).silent().stdout).unwrap();
    for ring in &rings {
        assert!(
            text.lines()
                .any(|line| line.contains(&*ring.name) && line.contains("ring"))
        );
    }
}

#[test]
fn create_and_remove_report_in_json_on_stdout() {
    let name = Name::unused();
    let created = shm(&["create", "ring", &name, "-n", "3", "--json"])
        .run()
        .exits(0)
        .silent();
    assert!(created.json().to_string().contains(&*name));
    assert_eq!(created.json()["name"], *name);
    let again = shm(&[
        "create",
        "ring",
        &name,
        "-n",
        "3",
        "--if-not-exists",
        "--json",
    ])
    .run();
    assert_eq!(again.exits(0).silent().json()["name"], *name);
    let removed = shm(&["remove", &name, "--json"]).run().exits(0).silent();
    assert!(removed.json().to_string().contains(&*name));
}

#[test]
fn list_has_a_column_for_each_thing_and_exact_bytes_on_demand() {
    let ring = Ring::with(&["-n", "3", "-b", "64K", "--mode", "0640"]);
    let reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    shm(&["write", &ring.name, "--keep-open"])
        .input("x")
        .run()
        .exits(0);
    until("it has been read", || ring.is_drained());
    let total = ring.inspect()["size_bytes"].to_string();
    let line = |flags: &[&str]| -> (Vec<String>, Vec<String>) {
        let done = shm(&["list"]).args(flags).run().exits(0).silent();
        let text = String::from_utf8(done.stdout).unwrap();
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let own = text.lines().find(|line| line.starts_with(&*ring.name));
        (cells(text.lines().next().unwrap()), cells(own.unwrap()))
    };
    let (heading, cells) = line(&[]);
    assert_eq!(
        heading.join(" "),
        "NAME KIND GEOMETRY SIZE MODE OWNER WRITERS READERS DIFF AGE"
    );
    assert_eq!(cells.len(), heading.len(), "{cells:?}");
    assert_eq!(cells[1..3], ["ring", "3x64K"]);
    assert!(cells[3].ends_with('K'), "{cells:?}");
    assert_eq!(cells[4], "0640");
    assert_eq!(cells[6..9], ["0", "1", "0"]);
    let (_, exact) = line(&["-b"]);
    assert_eq!(exact[2..4], ["3x65536".to_owned(), total]);
    let alias = shm(&["ls"]).run().exits(0);
    assert!(alias.stdout.starts_with(b"NAME  "));
    shm(&["list", "--bytes", "--json"]).run().fails(2);
    drop(reader);
}
