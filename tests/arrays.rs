//! Arrays, as a shell uses them: created once, then written and read by
//! people who need not say again what they are. What each format looks like is
//! in `array_formats.rs`, what is refused in `array_bad_input.rs`, who waits
//! for whom in `locks.rs`.

mod harness;

use harness::{Name, PATIENCE, Ring, SECONDS, Shm, Store, in_private_shm, shm, until};
use serde_json::{Value, json};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

// ---- create -----------------------------------------------------------------

#[test]
fn a_new_array_is_all_zeros_of_its_type() {
    for (element, zero) in [
        ("i8", "0"),
        ("u64", "0"),
        ("f32", "0.0"),
        ("f64", "0.0"),
        ("bool", "false"),
        ("[u16;3]", "0 0 0"),
        ("id:u32,x:f64,on:bool", "0 0.0 false"),
    ] {
        let array = Store::array(element, 3);
        assert_eq!(array.text(), format!("{zero}\n").repeat(3), "{element}");
    }
}

#[test]
fn fill_gives_every_element_its_value() {
    for (element, fill, line) in [
        ("i8", "-128", "-128"),
        ("u8", "255", "255"),
        ("i64", "-9223372036854775808", "-9223372036854775808"),
        ("f64", "-0.5", "-0.5"),
        ("f32", "nan", "NaN"),
        ("f64", "-inf", "-inf"),
        ("bool", "true", "true"),
        ("[i16;2]", "7 -7", "7 -7"),
        ("id:u8,x:f32", "3 2.5", "3 2.5"),
    ] {
        let name = Name::unused();
        shm(&["create", "array", &name, "--type", element, "--len", "1000"])
            .args(&["--fill", fill])
            .run()
            .exits(0)
            .silent();
        let text = shm(&["read", &name]).run().exits(0).stdout;
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!("{line}\n").repeat(1000),
            "{element}"
        );
    }
}

#[test]
fn the_segment_is_exactly_as_large_as_its_header_and_its_elements() {
    for (element, len, size) in [
        ("u8", 1, 1),
        ("u8", 4096, 4096),
        ("f64", 1000, 8000),
        ("[f32;3]", 10, 120),
        ("a:u8,b:u32", 10, 80),
    ] {
        let array = Store::array(element, len);
        let all = array.inspect();
        let offset = all["array"]["data_offset"].as_u64().unwrap();
        assert_eq!(offset, array.data_offset(), "what is said is what is there");
        assert_eq!(
            offset % 4096,
            0,
            "{element}: data is not on a page of its own"
        );
        let file = array.name.path().metadata().unwrap().len();
        assert_eq!(file, offset + size, "{element}");
        assert_eq!(all["size_bytes"], file);
    }
}

#[test]
fn create_reports_in_json_on_stdout_and_is_silent_without() {
    let name = Name::unused();
    let create = || shm(&["create", "array", &name, "--type", "id: u32, x: [f32; 3]"]);
    let done = create()
        .args(&["--len", "50", "--mode", "640", "--json"])
        .run()
        .exits(0)
        .silent();
    let made = done.json();
    let stat = name.path().metadata().unwrap();
    assert_eq!(stat.permissions().mode() & 0o7777, 0o640);
    assert_eq!(made["name"], *name);
    assert_eq!(made["kind"], "array");
    assert_eq!(made["created"], true);
    assert_eq!(made["size_bytes"], stat.len());
    assert!(!made["mode"].is_null());
    let array = &made["array"];
    assert_eq!(array["type"], "id:u32,x:[f32;3]", "in its canonical form");
    assert_eq!(
        (&array["len"], &array["element_size"]),
        (&json!(50), &json!(16))
    );
    assert_eq!(array["data_offset"], stat.len() - 50 * 16);
    let again = create()
        .args(&["--len", "50", "--mode", "640", "--json", "--if-not-exists"])
        .run()
        .exits(0);
    assert_eq!(again.json()["created"], false);

    let name = Name::unused();
    let plain = shm(&["create", "array", &name, "--type", "u8", "--len", "1"])
        .run()
        .exits(0);
    assert!(plain.silent().stdout.is_empty());
}

#[test]
fn a_length_may_be_written_like_a_size() {
    for (typed, len) in [("1", 1), ("1000", 1000), ("2K", 2048), ("1M", 1 << 20)] {
        let name = Name::unused();
        shm(&["create", "array", &name, "--type", "u8", "--len", typed])
            .run()
            .exits(0);
        let all = shm(&["inspect", &name, "--json"]).run().exits(0).json();
        assert_eq!(all["array"]["len"], len, "{typed}");
    }
}

#[test]
fn an_existing_array_is_kept_with_its_contents() {
    let array = Store::array("id:u32,x:f32", 4);
    array.write(&["7", "1.5"]).run().exits(0);
    let create = |element: &str, len: &str, options: &[&str]| {
        shm(&[
            "create",
            "array",
            &array.name,
            "--type",
            element,
            "--len",
            len,
        ])
        .args(options)
        .run()
    };
    create("id:u32,x:f32", "4", &[]).fails(1);
    create("id:u32,x:f32", "4", &["--if-not-exists"])
        .exits(0)
        .silent();
    create("id:u32,x:f32", "4", &["--if-not-exists", "--fill", "9 9"]).exits(0);
    create(" id : u32 , x : f32 ", "4", &["--if-not-exists"]).exits(0);
    // Another type, also one of the same size, or another length.
    for (element, len) in [
        ("id:u32,x:f32", "5"),
        ("id:u32,y:f32", "4"),
        ("id:u32,x:u32", "4"),
        ("[u32;2]", "4"),
        ("u64", "4"),
    ] {
        let done = create(element, len, &["--if-not-exists"]).fails(1);
        assert!(
            done.error_line().contains(&*array.name),
            "{:?}",
            done.stderr
        );
    }
    shm(&[
        "create",
        "buffer",
        &array.name,
        "--size",
        "32",
        "--if-not-exists",
    ])
    .run()
    .fails(1);
    shm(&["create", "ring", &array.name, "--if-not-exists"])
        .run()
        .fails(1);
    assert!(array.text().starts_with("7 1.5\n0 0.0\n"));

    let ring = Ring::new(2, "1K");
    for options in [&[][..], &["--if-not-exists"]] {
        shm(&["create", "array", &ring.name, "--type", "u8", "--len", "4"])
            .args(options)
            .run()
            .fails(1);
    }
}

#[test]
fn of_many_who_create_the_same_array_one_wins() {
    let name = Name::unused();
    let create = || {
        shm(&[
            "create", "array", &name, "--type", "u32", "--len", "1M", "--fill", "9",
        ])
    };
    let racing: Vec<_> = (0..8).map(|_| create().start()).collect();
    let codes: Vec<_> = racing
        .into_iter()
        .map(|p| p.finish().exits_one_of(&[0, 1]).code())
        .collect();
    assert_eq!(
        codes.iter().filter(|&&code| code == 0).count(),
        1,
        "{codes:?}"
    );
    let racing: Vec<_> = (0..8)
        .map(|_| create().arg("--if-not-exists").start())
        .collect();
    for proc in racing {
        proc.finish().exits(0);
    }
    // Visible only once it was complete, so filled.
    let raw = shm(&["read", &name, "--format", "raw"])
        .run()
        .exits(0)
        .stdout;
    assert!(raw.chunks(4).all(|element| element == [9, 0, 0, 0]));
}

#[test]
fn without_room_nothing_is_made_and_both_sizes_are_named() {
    let script = r#"
        scratch=$(mktemp -d) && cd "$scratch" && trap 'rm -r "$scratch"' EXIT || exit 90
        shm create array big --type f64 --len 4M 2>err; [ $? = 1 ] || exit 91
        [ "$(wc -l < err)" = 1 ] && grep -q '^shm: ' err || exit 92
        grep -Eq '(33|32)[0-9.,]* ?(M|[0-9]{6})' err || { cat err >&2; exit 93; }
        shm create array big --type u8 --len 8M --fill 1 2>err; [ $? = 1 ] || exit 94
        shm create buffer big --size 1G 2>err; [ $? = 1 ] || exit 95
        [ -z "$(ls -A /dev/shm)" ] || { ls -A /dev/shm >&2; exit 96; }
        shm create array small --type f64 --len 100K || exit 97
        shm create buffer other --size 1M || exit 98
        seq 100000 | shm write small && [ "$(shm read small | tail -n 1)" = 0.0 ] || exit 99
        [ "$(shm read small --at 99999 --count 1)" = 100000.0 ] || exit 100
        shm remove small other || exit 101
    "#;
    if let Some(done) = in_private_shm("4m", script) {
        done.exits(0);
    }
}

// ---- write and read ---------------------------------------------------------

#[test]
fn values_are_given_as_arguments_or_on_stdin() {
    let array = Store::array("i32", 4);
    array.write(&["1", "2", "3", "4"]).run().exits(0).silent();
    assert_eq!(array.text(), "1\n2\n3\n4\n");
    array
        .write::<&str>(&[])
        .input("5 6\n7\t8\n")
        .run()
        .exits(0)
        .silent();
    assert_eq!(array.text(), "5\n6\n7\n8\n");
    // Also when nobody closes stdin: arguments are all there is.
    let writer = array.write(&["9"]).held_stdin().start();
    writer.finish().exits(0);
    assert_eq!(array.text(), "9\n6\n7\n8\n");
}

#[test]
fn negative_values_need_no_dashes_before_them() {
    let array = Store::array("i8", 4);
    array
        .write(&["-1", "-128", "0", "-0x10"])
        .run()
        .exits(0)
        .silent();
    assert_eq!(array.text(), "-1\n-128\n0\n-16\n");
    array.write(&["--at", "1", "-5", "-6"]).run().exits(0);
    assert_eq!(array.text(), "-1\n-5\n-6\n-16\n");
    array.write(&["-7", "--at", "3"]).run().exits(0);
    assert_eq!(array.text(), "-1\n-5\n-6\n-7\n");
    array.write(&["--", "-9"]).run().exits(0);
    assert_eq!(array.text(), "-9\n-5\n-6\n-7\n");
    let array = Store::array("f64", 4);
    array
        .write(&["-1.5", "-1e-3", "-inf", "-.5"])
        .run()
        .exits(0)
        .silent();
    assert_eq!(array.text(), "-1.5\n-0.001\n-inf\n-0.5\n");
}

#[test]
fn an_argument_may_hold_several_values_and_a_value_may_not_be_split() {
    let array = Store::array("[f32;3]", 2);
    array.write(&["1", "2", "3"]).run().exits(0);
    assert_eq!(array.text(), "1.0 2.0 3.0\n0.0 0.0 0.0\n");
    array.write(&["1", "2", "3", "4", "5"]).run().fails(1);
    assert_eq!(array.text(), "1.0 2.0 3.0\n0.0 0.0 0.0\n");
}

#[test]
fn at_says_where_and_the_rest_is_left_alone() {
    let array = Store::array("u16", 6);
    array.write(&["1", "2", "3", "4", "5", "6"]).run().exits(0);
    array
        .write(&["--at", "2", "30", "40"])
        .run()
        .exits(0)
        .silent();
    assert_eq!(array.text(), "1\n2\n30\n40\n5\n6\n");
    array.write(&["--at", "5"]).input("60").run().exits(0);
    assert_eq!(array.text(), "1\n2\n30\n40\n5\n60\n");
    for (options, expected) in [
        (&["--at", "4"][..], "5\n60\n"),
        (&["--at", "1", "--count", "2"], "2\n30\n"),
        (&["--count", "1"], "1\n"),
        (&["--count", "6"], "1\n2\n30\n40\n5\n60\n"),
        (&["--count", "0"], ""),
        (&["--at", "6"], ""),
        (&["--at", "6", "--count", "0"], ""),
        (&["--at", "5", "--count", "1"], "60\n"),
    ] {
        let read = array.read(options).run().exits(0).silent();
        assert_eq!(
            String::from_utf8_lossy(&read.stdout),
            expected,
            "{options:?}"
        );
    }
}

#[test]
fn nothing_from_stdin_is_nothing_stored_and_no_error() {
    let array = Store::array("u8", 3);
    array.write(&["1", "2", "3"]).run().exits(0);
    for (format, input) in [("text", ""), ("text", " \n\n"), ("json", "[]"), ("raw", "")] {
        array.store(format, input);
    }
    array.write(&["--at", "3"]).run().exits(0).silent();
    assert_eq!(array.text(), "1\n2\n3\n");
}

#[test]
fn all_is_parsed_before_the_first_is_stored() {
    // The bad value comes last, behind more than any one buffer holds.
    let array = Store::array("u32", 200_000);
    let mut input = "7\n".repeat(199_999);
    input.push_str("4294967296\n");
    let done = array.write::<&str>(&[]).input(input).run().fails(1);
    assert!(
        done.error_line().contains("line 200000, column 1"),
        "{:?}",
        done.stderr
    );
    assert!(array.bytes().iter().all(|&byte| byte == 0));
    let done = array
        .write::<&str>(&[])
        .input("7\n".repeat(200_001))
        .run()
        .fails(1);
    assert!(done.error_line().contains("200000"), "{:?}", done.stderr);
    assert!(array.bytes().iter().all(|&byte| byte == 0));
}

#[test]
fn a_writer_that_is_still_fed_stores_nothing_and_holds_no_lock() {
    let array = Store::array("u8", 4);
    let mut slow = array.write::<&str>(&[]).held_stdin().start();
    slow.feed(b"1 2 ");
    for value in ["9", "8", "7"] {
        let quick = array.write(&["--at", "3", "--timeout", "20s", value]);
        quick.run_within(SECONDS).exits(0).silent();
        assert_eq!(array.lock_state(), "free");
        assert_eq!(array.text(), format!("0\n0\n0\n{value}\n"));
    }
    slow.feed(b"3");
    slow.close_stdin();
    slow.finish().exits(0);
    assert_eq!(array.text(), "1\n2\n3\n7\n");
}

#[test]
fn a_reader_with_a_slow_consumer_holds_no_lock() {
    let array = Store::array("u8", 8 << 20);
    let mut slow = array.read(&["--format", "raw"]).held_stdout().start();
    let mut first = [9];
    let mut consumer = slow.take_stdout();
    consumer.read_exact(&mut first).unwrap();
    array
        .write(&["--timeout", "20s", "1"])
        .run_within(SECONDS)
        .exits(0);
    assert!(slow.is_running(), "eight megabytes do not fit a pipe");
    let mut rest = Vec::new();
    consumer.read_to_end(&mut rest).unwrap();
    slow.finish().exits(0);
    assert_eq!((first, rest.len()), ([0], (8 << 20) - 1));
    assert!(
        rest.iter().all(|&byte| byte == 0),
        "as it was when it was read"
    );
}

#[test]
fn a_read_into_a_file_makes_or_empties_it() {
    let array = Store::array("u16", 3);
    array.write(&["1", "2", "3"]).run().exits(0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for options in [&["--count", "3"][..], &["--count", "1"]] {
        let done = array
            .read(options)
            .arg("-o")
            .arg(&path)
            .run()
            .exits(0)
            .silent();
        assert!(done.stdout.is_empty());
        let expected = if options[1] == "3" {
            "1\n2\n3\n"
        } else {
            "1\n"
        };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
    let nowhere = directory.path().join("no/such/directory");
    let done = array.read(&["-o"]).arg(&nowhere).run().fails(1);
    assert!(
        done.error_line().contains("no/such/directory"),
        "{:?}",
        done.stderr
    );
}

#[test]
fn a_closed_stdout_is_a_success_and_a_full_one_an_error() {
    let array = Store::array("f64", 100_000);
    for format in ["text", "json", "csv", "raw", "npy"] {
        let (read_end, write_end) = std::io::pipe().unwrap();
        drop(read_end);
        array
            .read(&["--format", format])
            .stdout(write_end)
            .run()
            .exits(0)
            .silent();
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let done = array
            .read(&["--format", format])
            .stdout(full)
            .run()
            .exits(1);
        done.error_line();
        assert_eq!(array.lock_state(), "free");
    }
}

#[test]
fn head_takes_what_it_wants_of_a_large_array() {
    let array = Store::array("u32", 8 << 20);
    let done = Shm::program("bash")
        .args(&[
            "-o",
            "pipefail",
            "-c",
            r#"shm read "$1" | head -n 2"#,
            "-",
            &array.name,
        ])
        .with_shm_on_path()
        .run()
        .exits(0)
        .silent();
    assert_eq!(done.stdout, b"0\n0\n");
    assert_eq!(array.lock_state(), "free");
}

#[test]
fn the_header_tells_so_one_command_serves_arrays_buffers_and_rings() {
    let ring = Ring::new(4, "1K");
    let (array, buffer) = (Store::array("u8", 5), Store::buffer("5"));
    for name in [&ring.name, &array.name, &buffer.name] {
        let input = if **name == *array.name {
            "104 101 108 108 111"
        } else {
            "hello"
        };
        shm(&["write", name]).input(input).run().exits(0).silent();
    }
    assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"hello");
    assert_eq!(array.load("raw"), b"hello");
    assert_eq!(buffer.read::<&str>(&[]).run().exits(0).stdout, b"hello");
}

#[test]
fn wait_for_waits_until_the_array_exists() {
    let name = Name::unused();
    let writer = shm(&["write", &name, "--wait-for", "30s", "42"]).start();
    let reader = shm(&["read", &name, "--wait-for", "30s", "--count", "1"]).start();
    shm(&["create", "array", &name, "--type", "u8", "--len", "9"])
        .run()
        .exits(0);
    writer.finish_within(SECONDS).exits(0);
    let seen = reader.finish_within(SECONDS).exits(0).stdout;
    assert!(seen == b"42\n" || seen == b"0\n", "{seen:?}");
    let missing = Name::unused();
    for command in ["write", "read"] {
        shm(&[command, &missing, "--wait-for", "200ms"])
            .run_within(SECONDS)
            .fails(4);
    }
}

// ---- reports ----------------------------------------------------------------

#[track_caller]
fn is_a_summary(object: &Value, array: &Store, role: &str) {
    assert_eq!(object["name"], *array.name, "{object}");
    assert_eq!(object["role"], role, "{object}");
    for key in [
        "nodes",
        "diff_nodes",
        "diff_bytes",
        "diff_max",
        "dropped_nodes",
    ] {
        assert_eq!(object[key], 0, "{key} in {object}");
    }
    for key in ["bytes", "elements", "waits"] {
        assert!(object[key].is_u64(), "{key} in {object}");
    }
    for key in ["seconds", "mb_per_s", "wait_seconds"] {
        assert!(
            object[key].as_f64().is_some_and(|n| n >= 0.0),
            "{key} in {object}"
        );
    }
    assert_eq!(object["clean"], true, "{object}");
}

#[test]
fn both_ends_sum_up_what_went_through() {
    let array = Store::array("f64", 100);
    let written = array.write(&["--json", "1", "2", "3"]).run().exits(0);
    assert!(written.stdout.is_empty());
    let read = array.read(&["--json", "--count", "3"]).run().exits(0);
    assert_eq!(
        read.stdout, b"1.0\n2.0\n3.0\n",
        "stdout is data and nothing else"
    );
    for (done, role) in [(written, "writer"), (read, "reader")] {
        assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
        let summary = done.summary();
        is_a_summary(&summary, &array, role);
        assert_eq!(summary["elements"], 3);
        assert!(
            summary.get("hash").is_none_or(Value::is_null),
            "not asked for"
        );
    }
}

#[test]
fn the_hash_is_blake3_of_the_elements_bytes_at_both_ends() {
    let array = Store::array("u32", 70_000);
    let raw: Vec<u8> = (0..70_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let expected = blake3::hash(&raw).to_string();
    let written = array
        .write(&["--format", "raw", "--hash", "--json"])
        .input(&raw[..])
        .run();
    assert_eq!(
        written.exits(0).summary()["hash"],
        expected,
        "b3sum says the same of raw"
    );
    let file = array
        .write(&["--format", "raw", "--hash", "--json"])
        .input_file(&raw)
        .run();
    assert_eq!(file.exits(0).summary()["hash"], expected);
    // Whatever the format: the ends can be compared with each other.
    for format in ["raw", "text", "csv", "json", "npy"] {
        let read = array
            .read(&["--format", format, "--hash", "--json"])
            .run()
            .exits(0);
        assert_eq!(read.summary()["hash"], expected, "{format}");
        let written = array
            .write(&["--format", format, "--hash", "--json"])
            .input(read.stdout)
            .run();
        assert_eq!(written.exits(0).summary()["hash"], expected, "{format}");
    }
    let part = array.read(&[
        "--format", "raw", "--hash", "--json", "--at", "3", "--count", "5",
    ]);
    let part = part.run().exits(0);
    assert_eq!(
        part.summary()["hash"],
        blake3::hash(&raw[12..32]).to_string()
    );
}

#[test]
fn stats_are_one_line_for_people() {
    let array = Store::array("f64", 1000);
    let written = array
        .write(&["--stats"])
        .input("1.5 ".repeat(1000))
        .run()
        .exits(0);
    let read = array.read(&["--stats"]).run().exits(0);
    for (done, verb) in [(written, "written "), (read, "read ")] {
        assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
        assert!(done.stderr.starts_with(verb), "{:?}", done.stderr);
        for part in ["1000 elements", " MB/s", "waits 0"] {
            assert!(done.stderr.contains(part), "{part:?} in {:?}", done.stderr);
        }
        assert!(!done.stderr.contains("nodes"), "{:?}", done.stderr);
    }
}

#[test]
fn off_a_terminal_nothing_is_drawn_unless_asked_for() {
    let array = Store::array("u8", 10);
    array.write(&["1"]).run().exits(0).silent();
    array.read(&["-q"]).run().exits(0).silent();
    array.write(&["--progress", "2"]).run().exits(0);
    array.read(&["--progress"]).run().exits(0);
    array.read(&["--progress", "--quiet"]).run().fails(2);
}

#[test]
fn inspect_tells_all_about_an_array() {
    let array = Store::array("id: u32, position: [f32; 3], alive: bool", 1000);
    let all = array.inspect();
    let stat = array.name.path().metadata().unwrap();
    assert_eq!(all["name"], *array.name);
    assert_eq!(all["kind"], "array");
    assert_eq!(
        all["layout_version"],
        shmkit::segment::layout::LAYOUT_VERSION
    );
    assert_eq!(all["size_bytes"], stat.len());
    for key in ["owner_uid", "created_unix_ns", "creator_pid"] {
        assert!(all[key].is_u64(), "{key} in {all}");
    }
    let of = &all["array"];
    assert_eq!(of["type"], "id:u32,position:[f32;3],alive:bool");
    assert_eq!(
        (&of["len"], &of["element_size"]),
        (&json!(1000), &json!(20))
    );
    assert_eq!(of["data_offset"], stat.len() - 20_000);
    assert_eq!(all["lock"]["state"], "free");
    assert_eq!(all["lock"]["owner_died"], false);
    assert!(all["lock"]["writer_slot"].is_null());
    assert_eq!(all["participants"], json!([]));
    assert!(all.get("ring").is_none_or(Value::is_null));
    assert!(all.get("buffer").is_none_or(Value::is_null));
}

#[test]
fn inspect_sees_who_has_the_lock_and_what_they_did() {
    let array = Store::array("u64", 10);
    let holder = array.hold(&["--write"]);
    let all = array.inspect();
    assert_eq!(all["lock"]["state"], "write");
    let table = all["participants"].as_array().unwrap();
    assert_eq!(table.len(), 1, "{all}");
    let writer = &table[0];
    assert_eq!(
        (&writer["role"], &writer["alive"]),
        (&json!("writer"), &json!(true))
    );
    assert_eq!(writer["pid"], holder.pid());
    assert!(writer["nodes"].as_u64().is_some_and(|times| times <= 1));
    assert_eq!(writer["diff_nodes"], 0);
    assert_eq!(all["lock"]["writer_slot"], writer["slot"]);
    let text = array.shm("inspect").run().exits(0).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("u64") && text.contains("write"), "{text}");
    assert!(
        text.contains(&holder.pid().to_string()),
        "it says who: {text}"
    );
    array.let_go(holder);

    let reader = array.hold(&["--read"]);
    assert_eq!(array.lock_state(), "read");
    assert_eq!(array.living("reader"), 1);
    assert!(array.inspect()["lock"]["writer_slot"].is_null());
    array.let_go(reader);
    assert_eq!(array.lock_state(), "free");
}

#[test]
fn inspect_for_people_names_type_and_length_and_shows_data() {
    let array = Store::array("u8", 32);
    array
        .write(&["--format", "raw"])
        .input("shared memory, typed; 32 bytes..")
        .run()
        .exits(0);
    let plain = String::from_utf8(array.shm("inspect").run().exits(0).silent().stdout).unwrap();
    for part in [&*array.name, "array", "u8", "32", "free"] {
        assert!(plain.contains(part), "{part} in {plain}");
    }
    let data = array.shm("inspect").arg("--data").run().exits(0).silent();
    let data = String::from_utf8(data.stdout).unwrap();
    assert!(data.contains("73 68 61 72"), "{data}");
    assert!(data.contains("shared"), "{data}");
    array.shm("inspect").arg("--nodes").run().fails(2);
}

#[test]
fn inspect_changes_nothing_and_needs_read_permission_only() {
    let array = Store::array("f64", 100);
    let before = std::fs::read(array.name.path()).unwrap();
    let mode = |mode| {
        std::fs::set_permissions(array.name.path(), PermissionsExt::from_mode(mode)).unwrap()
    };
    mode(0o444);
    for options in [&[][..], &["--json"], &["--data"]] {
        array.shm("inspect").args(options).run().exits(0).silent();
    }
    shm(&["list"]).run().exits(0);
    mode(0o600);
    assert!(std::fs::read(array.name.path()).unwrap() == before);
}

#[test]
fn list_shows_type_and_length() {
    let array = Store::array("f64", 1000);
    let record = Store::array("id:u32,x:f32", 77);
    let done = shm(&["list"]).run().exits(0).silent();
    let text = String::from_utf8(done.stdout).unwrap();
    let row = |name: &str| {
        let row = text
            .lines()
            .find(|line| line.split_whitespace().any(|word| word == name));
        row.unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    };
    let plain = row(&array.name);
    assert!(
        plain.contains("array") && plain.contains("1000xf64"),
        "{plain}"
    );
    assert!(
        plain.split_whitespace().any(|word| word == "-"),
        "no diff: {plain}"
    );
    assert!(row(&record.name).contains("77x{"), "{text}");
    let all = shm(&["list", "--json"]).run().exits(0).json();
    let all = all.as_array().unwrap();
    let found = all
        .iter()
        .find(|segment| segment["name"] == *record.name)
        .unwrap();
    assert_eq!(found["kind"], "array");
    assert_eq!(found["array"]["type"], "id:u32,x:f32");
    assert_eq!(found["lock"]["state"], "free");
}

#[test]
fn remove_takes_an_array_that_nobody_uses() {
    let array = Store::array("u8", 1);
    let holder = array.hold(&["--read"]);
    array.shm("remove").run().fails(1);
    assert!(array.name.exists());
    array.let_go(holder);
    array.shm("remove").run().exits(0);
    assert!(!array.name.exists());
    array.read::<&str>(&[]).run().fails(1);
}

#[test]
fn remove_stale_spares_an_array_in_use() {
    let script = r#"
        scratch=$(mktemp -d) && cd "$scratch" && trap 'rm -r "$scratch"' EXIT || exit 90
        shm create array kept --type u8 --len 4 || exit 91
        shm create array idle --type u8 --len 4 || exit 92
        shm create buffer too --size 4 || exit 93
        mkfifo go || exit 94
        shm lock kept --read -- cat go & holder=$!
        exec 9>go
        shm remove --stale >/dev/null || exit 95
        found=$(ls -A /dev/shm | tr '\n' ' '); [ "$found" = "kept " ] || { echo "$found" >&2; exit 96; }
        exec 9>&-; wait $holder || exit 97
        shm remove --stale >/dev/null || exit 98
        [ -z "$(ls -A /dev/shm)" ] || exit 99
    "#;
    if let Some(done) = in_private_shm("8m", script) {
        done.exits(0);
    }
}

#[test]
fn an_interrupted_create_leaves_nothing_behind() {
    let name = Name::unused();
    let creator = shm(&[
        "create", "array", &name, "--type", "u8", "--len", "4G", "--fill", "1",
    ])
    .start();
    let pid = creator.pid();
    let prefix = format!(".shmkit-{pid}-");
    let temporaries = || {
        let entries = std::fs::read_dir("/dev/shm").unwrap().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .count()
    };
    until("it has begun", || temporaries() > 0 || name.exists());
    creator.signal(rustix::process::Signal::INT);
    creator.finish_within(PATIENCE).exits_one_of(&[130]);
    assert_eq!(temporaries(), 0);
    assert!(!name.exists());
}
