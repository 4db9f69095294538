//! Buffers: plain bytes at offsets, written whole or not at all, read in part.

mod harness;

use harness::{Name, Pattern, SECONDS, Shm, Store, in_private_shm, shm, skipped, until};
use serde_json::{Value, json};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

const MIB: u64 = 1 << 20;

// ---- create -----------------------------------------------------------------

#[test]
fn a_new_buffer_is_zeros_of_exactly_that_size() {
    for (typed, size) in [
        ("1", 1),
        ("4095", 4095),
        ("4K", 4096),
        ("4097", 4097),
        ("1kB", 1000),
        ("3M", 3 * MIB),
    ] {
        let buffer = Store::buffer(typed);
        let all = buffer.inspect();
        assert_eq!(all["buffer"]["size"], size, "{typed}");
        let offset = all["buffer"]["data_offset"].as_u64().unwrap();
        assert_eq!(
            offset,
            buffer.data_offset(),
            "what is said is what is there"
        );
        assert_eq!(offset % 4096, 0);
        assert_eq!(buffer.name.path().metadata().unwrap().len(), offset + size);
        let read = buffer.read::<&str>(&[]).run().exits(0).silent().stdout;
        assert_eq!(read.len() as u64, size);
        assert!(read.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn create_reports_in_json_on_stdout_and_is_silent_without() {
    let name = Name::unused();
    let create = || shm(&["create", "buffer", &name, "--size", "10K"]);
    let done = create()
        .args(&["--mode", "0640", "--json"])
        .run()
        .exits(0)
        .silent();
    let stat = name.path().metadata().unwrap();
    assert_eq!(stat.permissions().mode() & 0o7777, 0o640);
    let made = done.json();
    assert_eq!(
        (&made["name"], &made["kind"], &made["created"]),
        (&json!(*name), &json!("buffer"), &json!(true))
    );
    assert_eq!(made["size_bytes"], stat.len());
    assert_eq!(made["buffer"]["size"], 10_240);
    assert_eq!(made["buffer"]["data_offset"], stat.len() - 10_240);
    let name = Name::unused();
    let done = shm(&["create", "buffer", &name, "--size", "1"])
        .run()
        .exits(0)
        .silent();
    assert!(done.stdout.is_empty());
}

#[test]
fn an_existing_buffer_is_kept_with_its_contents() {
    let buffer = Store::buffer("1K");
    buffer.write::<&str>(&[]).input("kept").run().exits(0);
    let create = |size: &str, options: &[&str]| {
        shm(&["create", "buffer", &buffer.name, "--size", size])
            .args(options)
            .run()
    };
    create("1K", &[]).fails(1);
    create("1K", &["--if-not-exists"]).exits(0).silent();
    create("1024", &["--if-not-exists"]).exits(0);
    create("1025", &["--if-not-exists"]).fails(1);
    shm(&[
        "create",
        "array",
        &buffer.name,
        "--type",
        "u8",
        "--len",
        "1K",
        "--if-not-exists",
    ])
    .run()
    .fails(1);
    assert_eq!(
        buffer.read(&["--count", "4"]).run().exits(0).stdout,
        b"kept"
    );
}

// ---- write and read ---------------------------------------------------------

#[test]
fn bytes_come_from_a_file_or_from_stdin() {
    let buffer = Store::buffer("1M");
    for len in [1, 4096, 65_537, 1_000_000] {
        let pattern = Pattern::new(len, len);
        let file = pattern.file();
        let path = file.path().to_str().unwrap();
        let both = |write: Shm| {
            write.run().exits(0).silent();
            let read = buffer
                .read(&["--count", &len.to_string()])
                .verify(&pattern)
                .run()
                .exits(0)
                .silent();
            read.verdict.unwrap().is_whole(&pattern);
            buffer.poke(0, &vec![0; len as usize]);
        };
        both(buffer.write(&[path]));
        both(buffer.write(&["-"]).input_pattern(&pattern));
        both(buffer.write::<&str>(&[]).input_pattern(&pattern));
        both(buffer.write::<&str>(&[]).stdin(file.reopen().unwrap()));
    }
}

#[test]
fn at_says_where_and_the_rest_is_left_alone() {
    let buffer = Store::buffer("16");
    buffer
        .write::<&str>(&[])
        .input("0123456789abcdef")
        .run()
        .exits(0);
    buffer
        .write(&["--at", "4"])
        .input("XYZ")
        .run()
        .exits(0)
        .silent();
    buffer
        .write(&["--at", "15"])
        .input("!")
        .run()
        .exits(0)
        .silent();
    buffer
        .write(&["--at", "16"])
        .input("")
        .run()
        .exits(0)
        .silent();
    buffer.write::<&str>(&[]).input("").run().exits(0).silent();
    for (options, expected) in [
        (&[][..], "0123XYZ789abcde!"),
        (&["--at", "4", "--count", "3"], "XYZ"),
        (&["--at", "12"], "cde!"),
        (&["--count", "2"], "01"),
        (&["--count", "0"], ""),
        (&["--at", "16"], ""),
    ] {
        let read = buffer.read(options).run().exits(0).silent().stdout;
        assert_eq!(String::from_utf8_lossy(&read), expected, "{options:?}");
    }
    // Offsets and counts are sizes.
    let buffer = Store::buffer("64K");
    buffer.write(&["--at", "4K"]).input("here").run().exits(0);
    assert_eq!(
        buffer
            .read(&["--at", "4096", "--count", "4"])
            .run()
            .exits(0)
            .stdout,
        b"here"
    );
    assert_eq!(
        buffer
            .read(&["--at", "4KiB", "--count", "1K"])
            .run()
            .exits(0)
            .stdout
            .len(),
        1024
    );
    assert_eq!(buffer.bytes()[4096..4100], *b"here");
}

#[test]
fn a_file_is_read_from_where_its_descriptor_stands() {
    let buffer = Store::buffer("100K");
    let pattern = Pattern::new(5, 50_000);
    let mut input = pattern.file().reopen().unwrap();
    input.seek(SeekFrom::Start(12_345)).unwrap();
    buffer
        .write::<&str>(&[])
        .stdin(input)
        .run()
        .exits(0)
        .silent();
    let expected = &pattern.bytes()[12_345..];
    let found = buffer.bytes();
    assert!(found[..expected.len()] == *expected);
    assert!(found[expected.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_descriptor_that_stands_behind_its_files_end_gives_nothing() {
    let buffer = Store::buffer("16");
    for at in [16, 17, 1 << 40] {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&[b'x'; 16]).unwrap();
        input.seek(SeekFrom::Start(at)).unwrap();
        let done = buffer
            .write(&["--json"])
            .stdin(input)
            .run_within(SECONDS)
            .exits(0);
        assert_eq!(done.summary()["bytes"], 0);
    }
    assert_eq!(buffer.bytes(), [0; 16]);
    assert!(!buffer.owner_died());
}

#[test]
fn files_whose_size_is_not_what_they_hold_are_read_to_their_end() {
    // The kernel's own: under /proc a size of 0, under /sys one of a page.
    for path in [
        "/proc/version",
        "/proc/filesystems",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let Ok(content) = std::fs::read(path) else {
            skipped(format_args!("no {path} here"));
            continue;
        };
        for room in [content.len(), 4095, 4096, 100_000] {
            let buffer = Store::buffer(&room.to_string());
            for write in [
                buffer.write(&[path]),
                buffer
                    .write::<&str>(&[])
                    .stdin(std::fs::File::open(path).unwrap()),
            ] {
                buffer.poke(0, &vec![b'.'; room]);
                write.run_within(SECONDS).exits(0).silent();
                let found = buffer.bytes();
                assert!(found[..content.len()] == content[..], "{path} into {room}");
                assert!(
                    found[content.len()..].iter().all(|&byte| byte == b'.'),
                    "{path} into {room}"
                );
                assert!(!buffer.owner_died());
            }
        }
        let buffer = Store::buffer(&(content.len() - 1).to_string());
        buffer.write(&[path]).run_within(SECONDS).fails(1);
        assert!(buffer.bytes().iter().all(|&byte| byte == 0), "{path}");
        assert!(!buffer.owner_died());
    }
}

#[test]
fn a_file_cut_while_it_is_read_leaves_a_whole_write_or_a_torn_one_that_is_told() {
    let len = 64 << 20;
    let buffer = Store::buffer("64M");
    let file = tempfile::NamedTempFile::new().unwrap();
    for turn in 0..8u64 {
        file.as_file().set_len(0).unwrap();
        std::fs::write(file.path(), vec![b'n'; len]).unwrap();
        buffer
            .write::<&str>(&[])
            .input(vec![b'o'; len])
            .run()
            .exits(0);
        let writer = buffer.write(&[file.path()]).start();
        std::thread::sleep(std::time::Duration::from_millis(turn * 5));
        file.as_file().set_len(len as u64 / 2).unwrap();
        let done = writer.finish_within(SECONDS).exits_one_of(&[0, 1]);
        let found = buffer.bytes();
        let new = found.iter().take_while(|&&byte| byte == b'n').count();
        assert!(found[new..].iter().all(|&byte| byte == b'o'), "turn {turn}");
        match done.code() {
            // All that the file had when it ended.
            0 => assert!(new >= len / 2 && !buffer.owner_died(), "turn {turn}: {new}"),
            _ => {
                done.error_line();
                assert!(
                    new == 0 || buffer.owner_died(),
                    "turn {turn}: {new}, and nobody is told"
                );
            }
        }
    }
}

#[test]
fn output_goes_to_a_file_or_to_where_its_descriptor_stands() {
    let buffer = Store::buffer("8");
    buffer.write::<&str>(&[]).input("contents").run().exits(0);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"before, ").unwrap();
    let appended = std::fs::OpenOptions::new()
        .append(true)
        .open(file.path())
        .unwrap();
    buffer.read::<&str>(&[]).stdout(appended).run().exits(0);
    assert_eq!(std::fs::read(file.path()).unwrap(), b"before, contents");
    buffer
        .read(&["--at", "3", "-o"])
        .arg(file.path())
        .run()
        .exits(0)
        .silent();
    assert_eq!(std::fs::read(file.path()).unwrap(), b"tents");
}

#[test]
fn a_large_buffer_goes_through_pipes_and_files_whole() {
    let buffer = Store::buffer("40M");
    let pattern = Pattern::new(40, 40 * MIB);
    let file = pattern.file();
    for turn in 0..2 {
        buffer.poke(0, &[0; 100]);
        let write = match turn {
            0 => buffer.write::<&str>(&[]).input_pattern(&pattern),
            _ => buffer.write(&[file.path()]),
        };
        let written = write.args(&["--json", "--hash"]).run().exits(0).summary();
        assert_eq!(
            (&written["bytes"], &written["hash"]),
            (&json!(40 * MIB), &json!(pattern.blake3()))
        );
        let read = buffer
            .read(&["--json", "--hash"])
            .verify(&pattern)
            .run()
            .exits(0);
        read.verdict.unwrap().is_whole(&pattern);
        assert_eq!(read.summary()["hash"], pattern.blake3());
        let out = tempfile::NamedTempFile::new().unwrap();
        buffer.read(&["-o"]).arg(out.path()).run().exits(0).silent();
        pattern
            .verify(&mut out.reopen().unwrap())
            .is_whole(&pattern);
    }
}

#[test]
fn a_reader_of_much_holds_its_lock_until_its_consumer_has_it() {
    // More than is copied aside: printed under the lock, and so all of one
    // moment, however slow the consumer.
    let buffer = Store::buffer("40M");
    let mut slow = buffer.read::<&str>(&[]).held_stdout().start();
    let mut consumer = slow.take_stdout();
    let mut seen = vec![9];
    consumer.read_exact(&mut seen).unwrap();
    assert_eq!(buffer.lock_state(), "read");
    buffer
        .write(&["--timeout", "300ms"])
        .input("changed")
        .run_within(SECONDS)
        .fails(4);
    let writer = buffer.write(&["--at", "39M"]).input("changed").start();
    consumer.read_to_end(&mut seen).unwrap();
    slow.finish().exits(0);
    writer.finish_within(SECONDS).exits(0).silent();
    assert_eq!(seen.len() as u64, 40 * MIB);
    assert!(seen.iter().all(|&byte| byte == 0));
    assert_eq!(
        buffer
            .read(&["--at", "39M", "--count", "7"])
            .run()
            .exits(0)
            .stdout,
        b"changed"
    );
}

#[test]
fn a_writer_that_is_still_fed_stores_nothing_and_holds_no_lock() {
    let buffer = Store::buffer("8");
    let mut slow = buffer.write::<&str>(&[]).held_stdin().start();
    slow.feed(b"slow");
    buffer
        .write(&["--at", "4", "--timeout", "20s"])
        .input("fast")
        .run_within(SECONDS)
        .exits(0);
    assert_eq!(
        buffer.read::<&str>(&[]).run_within(SECONDS).exits(0).stdout,
        b"\0\0\0\0fast"
    );
    assert_eq!(buffer.lock_state(), "free");
    slow.close_stdin();
    slow.finish().exits(0);
    assert_eq!(buffer.bytes(), b"slowfast");
}

#[test]
fn wait_for_waits_until_the_buffer_exists() {
    let name = Name::unused();
    let writer = shm(&["write", &name, "--wait-for", "30s"])
        .input("at last")
        .start();
    shm(&["create", "buffer", &name, "--size", "7"])
        .run()
        .exits(0);
    writer.finish_within(SECONDS).exits(0);
    assert_eq!(
        shm(&["read", &name, "--wait-for", "1s"])
            .run()
            .exits(0)
            .stdout,
        b"at last"
    );
}

// ---- what is refused --------------------------------------------------------

#[test]
fn input_longer_than_the_room_is_refused_and_nothing_is_stored() {
    let buffer = Store::buffer("10");
    buffer.write::<&str>(&[]).input("unchanged!").run().exits(0);
    let cases: [(&[&str], usize, &str); 7] = [
        (&[], 11, "10"),
        (&[], 100_000, "10"),
        (&["--at", "5"], 6, "5"),
        (&["--at", "10"], 1, "10"),
        (&["--at", "11"], 1, "11"),
        (&["--at", "11"], 0, "11"),
        (&["--at", "18446744073709551615"], 1, "10"),
    ];
    for (args, len, says) in cases {
        let bytes = vec![b'x'; len];
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        for write in [
            buffer.write(args).input(&bytes[..]),
            buffer.write(args).input_file(&bytes),
            buffer.write(args).arg(file.path()),
        ] {
            let done = write.run_within(SECONDS).fails(1);
            assert!(
                done.error_line().contains(says),
                "{args:?}: {:?}",
                done.stderr
            );
            assert_eq!(buffer.bytes(), b"unchanged!", "{args:?}");
        }
    }
    let endless = std::fs::File::open("/dev/zero").unwrap();
    buffer
        .write::<&str>(&[])
        .stdin(endless)
        .run_within(SECONDS)
        .fails(1);
    assert_eq!(buffer.bytes(), b"unchanged!");
    assert_eq!(buffer.lock_state(), "free");
    assert!(!buffer.owner_died());
}

#[test]
fn input_that_cannot_be_read_is_refused_and_named() {
    let buffer = Store::buffer("10");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    for input in ["/nonexistent/file", path, ""] {
        let done = buffer
            .write(&[input])
            .run_within(SECONDS)
            .fails_with_one_of(&[1, 2]);
        assert!(
            input.is_empty() || done.error_line().contains(input),
            "{:?}",
            done.stderr
        );
    }
    buffer
        .write::<&str>(&[])
        .stdin(std::fs::File::open("/").unwrap())
        .run_within(SECONDS)
        .fails(1);
    buffer.write(&["/dev/null", "/dev/null"]).run().fails(2);
    buffer.write(&["-", "-"]).run().fails(2);
    buffer.write(&["--at", "-1"]).run().fails(2);
    buffer.write(&["--at", "x"]).run().fails(2);
    assert_eq!(buffer.bytes(), [0; 10]);
}

#[test]
fn reading_what_is_not_there_prints_nothing() {
    let buffer = Store::buffer("10");
    for args in [
        &["--at", "11"][..],
        &["--count", "11"],
        &["--at", "5", "--count", "6"],
        &["--at", "11", "--count", "0"],
        &["--at", "18446744073709551615", "--count", "2"],
    ] {
        let done = buffer.read(args).run().fails(1);
        let line = done.error_line();
        assert!(line.contains(&*buffer.name), "{args:?}: {line}");
    }
    for args in [
        &["--at", "-1"][..],
        &["--count", "-1"],
        &["--count", "x"],
        &["/dev/null"],
    ] {
        buffer.read(args).run().fails(2);
    }
}

// ---- reports ----------------------------------------------------------------

#[test]
fn both_ends_sum_up_what_went_through() {
    let buffer = Store::buffer("1K");
    let pattern = Pattern::new(3, 1000);
    let written = buffer
        .write(&["--json"])
        .input_pattern(&pattern)
        .run()
        .exits(0);
    let read = buffer.read(&["--json", "--count", "1000"]).run().exits(0);
    assert!(written.stdout.is_empty());
    assert!(
        read.stdout == pattern.bytes(),
        "stdout is data and nothing else"
    );
    for (done, role) in [(written, "writer"), (read, "reader")] {
        assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
        let summary = done.summary();
        assert_eq!(
            (&summary["name"], &summary["role"]),
            (&json!(*buffer.name), &json!(role))
        );
        assert_eq!(
            (&summary["bytes"], &summary["clean"]),
            (&json!(1000), &json!(true))
        );
        for key in ["nodes", "diff_nodes", "diff_bytes", "diff_max", "waits"] {
            assert_eq!(summary[key], 0, "{key} in {summary}");
        }
        assert!(summary.get("hash").is_none_or(Value::is_null));
    }
    for (command, verb) in [("write", "written 0 B"), ("read", "read 1.00 KiB")] {
        let done = buffer.shm(command).arg("--stats").run().exits(0);
        assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
        assert!(done.stderr.starts_with(verb), "{:?}", done.stderr);
        assert!(!done.stderr.contains("nodes"), "{:?}", done.stderr);
    }
}

#[test]
fn a_wait_for_the_lock_is_in_the_summary() {
    let buffer = Store::buffer("1K");
    let holder = buffer.hold(&["--read"]);
    let waiter = buffer.write(&["--json"]).input("x").start();
    until("it waits", || buffer.writer_waits());
    // It spins before it sleeps, which nobody sees: give it what it takes.
    let span = std::time::Duration::from_millis(300);
    harness::holds_for(span, "the writer waits", || buffer.writer_waits());
    buffer.let_go(holder);
    let summary = waiter.finish_within(SECONDS).exits(0).summary();
    assert!(summary["waits"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["wait_seconds"].as_f64().unwrap() > 0.0, "{summary}");
}

#[test]
fn inspect_tells_all_about_a_buffer() {
    let buffer = Store::buffer("100");
    buffer
        .write(&["--at", "32"])
        .input("to be seen in hexadecimal")
        .run()
        .exits(0);
    let all = buffer.inspect();
    let size = buffer.name.path().metadata().unwrap().len();
    assert_eq!(
        (&all["kind"], &all["size_bytes"]),
        (&json!("buffer"), &json!(size))
    );
    assert_eq!(
        all["buffer"],
        json!({"size": 100, "data_offset": size - 100})
    );
    assert_eq!(
        (&all["lock"]["state"], &all["lock"]["owner_died"]),
        (&json!("free"), &json!(false))
    );
    assert_eq!(all["participants"], json!([]));
    assert!(all.get("array").is_none_or(Value::is_null));
    let plain = String::from_utf8(buffer.shm("inspect").run().exits(0).silent().stdout).unwrap();
    for part in [&*buffer.name, "buffer", "100", "free"] {
        assert!(plain.contains(part), "{part} in {plain}");
    }
    let data = buffer
        .shm("inspect")
        .arg("--data")
        .run()
        .exits(0)
        .silent()
        .stdout;
    let data = String::from_utf8(data).unwrap();
    assert!(
        data.contains("74 6f 20 62 65") && data.contains("to be seen"),
        "{data}"
    );
}

#[test]
fn list_and_remove_know_buffers() {
    let buffer = Store::buffer("12345");
    let text = String::from_utf8(shm(&["list"]).run().exits(0).silent().stdout).unwrap();
    let row = text
        .lines()
        .find(|line| line.contains(&*buffer.name))
        .unwrap();
    assert!(row.contains("buffer"), "{row}");
    let all = shm(&["list", "--json"]).run().exits(0).json();
    let found = all
        .as_array()
        .unwrap()
        .iter()
        .find(|segment| segment["name"] == *buffer.name)
        .unwrap();
    assert_eq!(found["buffer"]["size"], 12_345);
    let removed = buffer.shm("remove").arg("--json").run().exits(0).silent();
    assert!(removed.json().to_string().contains(&*buffer.name));
    assert!(!buffer.name.exists());
    for command in ["read", "write", "inspect"] {
        let done = buffer.shm(command).run().fails(1);
        assert!(
            done.error_line().contains(&*buffer.name),
            "{:?}",
            done.stderr
        );
    }
}

#[test]
fn a_full_dev_shm_is_an_error_and_no_bus_error() {
    let script = r#"
        scratch=$(mktemp -d) && cd "$scratch" && trap 'rm -r "$scratch"' EXIT || exit 90
        shm create buffer first --size 3M || exit 91
        shm create buffer second --size 2M 2>err; [ $? = 1 ] || exit 92
        grep -q '^shm: .*room' err || { cat err >&2; exit 93; }
        [ "$(ls -A /dev/shm)" = first ] || exit 94
        head -c 3M /dev/urandom > full && shm write first full || exit 95
        shm read first | cmp - full || exit 96
        shm remove first && shm create buffer second --size 2M || exit 97
    "#;
    if let Some(done) = in_private_shm("4m", script) {
        done.exits(0);
    }
}
