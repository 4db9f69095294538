//! Bad input into arrays: the right exit status, one line that says where,
//! and not a byte stored. What holds for every segment (names, foreign files)
//! is in `bad_input.rs`.

mod harness;

use harness::{Name, Ring, SECONDS, Store, npy, npy_with, shm, skipped};
use shmkit::segment::layout::{CRC_SPAN, ENTRY_SIZE, Entry, HEADER_SIZE, RawHeader, WORDS_OFFSET};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

// ---- one array of a kind, that nothing may change ----------------------------

/// An array full of bytes that no input here would leave.
struct Untouched {
    array: Store,
    before: Vec<u8>,
}

impl Untouched {
    fn new(element: &str, len: u64) -> Untouched {
        let array = Store::array(element, len);
        let size = array.bytes().len();
        let before: Vec<u8> = (0..size)
            .map(|at| 0x51 ^ (at as u8).wrapping_mul(29))
            .collect();
        array.poke(0, &before);
        Untouched { array, before }
    }

    /// `shm write ARGS` with that stdin ends with one of `codes`, a line that
    /// contains all of `says`, and nothing stored.
    #[track_caller]
    fn refuses(&self, codes: &[i32], args: &[&str], stdin: &[u8], says: &[&str]) {
        // From a pipe and from a file: they may be read in different ways.
        for from_file in [false, true] {
            let write = self.array.write(args);
            let write = match from_file {
                true => write.input_file(stdin),
                false => write.input(stdin),
            };
            let shown = String::from_utf8_lossy(&stdin[..stdin.len().min(80)]).into_owned();
            let done = write.run_within(SECONDS);
            let what = format!("write {args:?} < {shown:?}: {:?}", done.stderr);
            assert!(
                codes.contains(&done.code()),
                "exit {}, not {codes:?}: {what}",
                done.code()
            );
            let done = done.fails_with_one_of(codes);
            let line = done.error_line();
            for part in says {
                assert!(line.contains(part), "no {part:?}: {what}");
            }
            assert!(
                line.len() < 2000,
                "not a line for people: {} bytes",
                line.len()
            );
            assert!(
                self.array.bytes() == self.before,
                "something was stored: {what}"
            );
        }
        assert_eq!(self.array.lock_state(), "free");
        assert!(!self.array.owner_died());
    }
}

/// (stdin, what the line must say).
type Table<'a> = &'a [(&'a str, &'a [&'a str])];

#[track_caller]
fn all_refused(element: &str, len: u64, format: &str, table: Table) {
    let array = Untouched::new(element, len);
    for (input, says) in table {
        array.refuses(&[1], &["--format", format], input.as_bytes(), says);
    }
}

// ---- create -----------------------------------------------------------------

#[test]
fn types_that_are_none_are_usage_errors_and_leave_nothing() {
    let name = Name::unused();
    let twice = "id:u8,x:f32,id:u16";
    let large = "a:[u8;65536],b:u8";
    let long = (0..9000)
        .map(|i| format!("f{i}:u8"))
        .collect::<Vec<_>>()
        .join(",");
    let deep = format!("{}u8{}", "[".repeat(40), ";1]".repeat(40));
    let bottomless = "[".repeat(60_000);
    for (element, says) in [
        ("", &[][..]),
        ("u7", &["u7"]),
        ("i128", &["i128"]),
        ("float", &["float"]),
        ("U8", &["U8"]),
        ("f16", &["f16"]),
        ("string", &["string"]),
        ("u8 u8", &[]),
        ("u8,u8", &[]),
        ("[u8]", &[]),
        ("[u8;]", &[]),
        ("[u8;0]", &[]),
        ("[u8;-1]", &[]),
        ("[u8;1.5]", &[]),
        ("[u8;65537]", &["65536"]),
        ("[u64;8193]", &["65536"]),
        ("[u8;18446744073709551617]", &[]),
        ("[[u8;65536];65536]", &[]),
        ("[u8;3", &[]),
        ("u8;3]", &[]),
        ("id:", &[]),
        (":u8", &[]),
        ("id:u8,", &[]),
        (",id:u8", &[]),
        ("id:u8,,x:u8", &[]),
        ("id:u8;x:u8", &[]),
        ("1d:u8", &["1d"]),
        ("a-b:u8", &[]),
        ("ä:u8", &[]),
        ("{id:u8", &[]),
        ("id:{}", &[]),
        ("{}", &[]),
        ("id:u9", &["u9", "character"]),
        (twice, &["id"]),
        ("p:{x:f32,x:f32}", &["'x'"]),
        (large, &["65536"]),
        (&long, &["65536"]),
        (&deep, &[]),
        (&bottomless, &[]),
    ] {
        let done = shm(&["create", "array", &name, "--len", "4", "--type"])
            .arg(element)
            .run();
        let shown: String = element.chars().take(60).collect();
        assert_eq!(done.code(), 2, "{shown:?}: {:?}", done.stderr);
        let done = done.fails(2);
        for part in says {
            assert!(
                done.error_line().contains(part),
                "{shown:?}: {:?}",
                done.stderr
            );
        }
        assert!(done.stderr.len() < 2000, "not a line for people");
        assert!(!name.exists(), "{shown:?} left something behind");
    }
}

#[test]
fn lengths_fills_and_options_that_are_none_are_usage_errors_and_leave_nothing() {
    let name = Name::unused();
    let table: &[&[&str]] = &[
        &["array", "--type", "u8"],
        &["array", "--len", "4"],
        &["array", "--type", "u8", "--len", "0"],
        &["array", "--type", "u8", "--len", "-1"],
        &["array", "--type", "u8", "--len", "1.5"],
        &["array", "--type", "u8", "--len", "many"],
        &["array", "--type", "u8", "--len", ""],
        &["array", "--type", "u8", "--len", "99999999999999999999"],
        &["array", "--type", "u8", "--len", "4", "--fill", "256"],
        &["array", "--type", "u8", "--len", "4", "--fill", "-1"],
        &["array", "--type", "u8", "--len", "4", "--fill", "1.0"],
        &["array", "--type", "u8", "--len", "4", "--fill", "nan"],
        &["array", "--type", "u8", "--len", "4", "--fill", ""],
        &["array", "--type", "u8", "--len", "4", "--fill", "1 2"],
        &["array", "--type", "f64", "--len", "4", "--fill", "1e400"],
        &["array", "--type", "f32", "--len", "4", "--fill", "1e39"],
        &["array", "--type", "bool", "--len", "4", "--fill", "2"],
        &["array", "--type", "[u8;3]", "--len", "4", "--fill", "1 2"],
        &["array", "--type", "u8", "--len", "4", "--mode", "999"],
        &["array", "--type", "u8", "--len", "4", "--nodes", "4"],
        &["array", "--type", "u8", "--len", "4", "--size", "4"],
        &["array", "--type", "u8", "--len", "4", "--delivery", "queue"],
        &["array", "--type", "u8", "--len", "4", "another-name"],
        &["buffer"],
        &["buffer", "--size", "0"],
        &["buffer", "--size", "-1"],
        &["buffer", "--size", "4X"],
        &["buffer", "--size", ""],
        &["buffer", "--size", "4", "--type", "u8"],
        &["buffer", "--size", "4", "--len", "4"],
        &["buffer", "--size", "4", "--fill", "1"],
    ];
    for args in table {
        shm(&["create", args[0], &name])
            .args(&args[1..])
            .run()
            .fails(2);
        assert!(!name.exists(), "{args:?} left something behind");
    }
    // More than any memory has, whatever is said to it.
    for args in [
        ["array", "--type=u64", "--len=2305843009213693952"],
        ["array", "--type=u64", "--len=18446744073709551615"],
        ["array", "--type=u8", "--len=9223372036854775807"],
        ["array", "--type=u8", "--len=18446744073709551615"],
        ["buffer", "--size=18446744073709551615", "-q"],
        ["buffer", "--size=9223372036854775807", "--json"],
    ] {
        let args: Vec<_> = args.iter().filter(|&&arg| arg != "-q").collect();
        shm(&["create", args[0], &name])
            .args(&args[1..])
            .run()
            .fails_with_one_of(&[1, 2]);
        assert!(!name.exists(), "{args:?} left something behind");
    }
}

// ---- flags of other kinds ---------------------------------------------------

#[test]
fn flags_that_do_not_apply_to_the_kind_are_usage_errors_that_say_so() {
    let array = Store::array("u8", 4);
    let buffer = Store::buffer("4");
    let ring = Ring::new(2, "1K");
    let rings_only: &[&[&str]] = &[
        &["write", "--keep-open"],
        &["write", "--rate", "1M"],
        &["read", "--follow"],
        &["read", "--no-wait"],
        &["read", "--delimiter", "x"],
    ];
    for args in rings_only {
        for (store, kind) in [(&array, "an array"), (&buffer, "a buffer")] {
            let done = store.shm(args[0]).args(&args[1..]).run().fails(2);
            let says = format!("{} does not apply to {kind}", args[1]);
            assert!(done.error_line().contains(&says), "{:?}", done.stderr);
            assert!(
                done.error_line().contains(&*store.name),
                "{:?}",
                done.stderr
            );
            assert_eq!(store.bytes(), [0; 4]);
        }
    }
    for (name, args, kind) in [
        (&ring.name, &["write", "--at", "0"][..], "a ring"),
        (&ring.name, &["read", "--at", "0"], "a ring"),
        (&ring.name, &["write", "--format", "text"], "a ring"),
        (&ring.name, &["read", "--format", "json"], "a ring"),
        (&buffer.name, &["write", "--format", "raw"], "a buffer"),
        (&buffer.name, &["read", "--format", "raw"], "a buffer"),
    ] {
        let done = shm(&[args[0], name]).args(&args[1..]).run().fails(2);
        let says = format!("{} does not apply to {kind}", args[1]);
        assert!(done.error_line().contains(&says), "{:?}", done.stderr);
    }
    assert_eq!(ring.stream_state(), "waiting", "no usage error attaches");
    for store in [&array, &buffer] {
        store.shm("inspect").arg("--nodes").run().fails(2);
    }
}

#[test]
fn what_is_not_a_command_line_is_a_usage_error() {
    let array = Untouched::new("u8", 4);
    for args in [
        &["--format", "xml"][..],
        &["--format", ""],
        &["--at", "-1"],
        &["--at", "x", "1"],
        &["--at", "", "1"],
        &["--at", "1.5", "1"],
        &["--at", "18446744073709551616", "1"],
        &["--at"],
        &["--format", "csv", "1"],
        &["--format", "raw", "1"],
        &["--format", "npy", "1"],
        &["--count", "1", "1"],
        &["--no-such-option"],
        &["--timeout", "soon", "1"],
        &["--timeout", "-1s", "1"],
    ] {
        array.refuses(&[2], args, b"1 2 3", &[]);
    }
    for args in [
        &["--format", "xml"][..],
        &["--at", "-1"],
        &["--count", "-1"],
        &["--count", "x"],
        &["--count", "18446744073709551616"],
        &["--timeout", "soon"],
        &["an-index"],
    ] {
        array.array.read(args).run().fails(2);
    }
    for args in [&["create", "array"][..], &["create", "buffer"], &["lock"]] {
        shm(args).run().fails(2);
    }
}

// ---- where there is no room -------------------------------------------------

#[test]
fn more_than_fits_is_refused_and_the_line_says_how_many_would() {
    let array = Untouched::new("u16", 4);
    let five = npy("<u2", "(5,)", &[1; 10]);
    for (format, input) in [
        ("text", &b"1 2 3 4 5"[..]),
        ("json", b"[1,2,3,4,5]"),
        ("csv", b"1\n2\n3\n4\n5\n"),
        ("raw", &[1; 10]),
        ("npy", &five),
    ] {
        array.refuses(&[1], &["--format", format], input, &["4"]);
        array.refuses(&[1], &["--format", format, "--at", "4"], input, &[]);
        array.refuses(&[1], &["--format", format, "--at", "5"], input, &["4"]);
    }
    array.refuses(&[1], &["1", "2", "3", "4", "5"], b"", &["4"]);
    array.refuses(&[1], &["--at", "2", "1", "2", "3"], b"", &["2"]);
    array.refuses(&[1], &["--at", "3"], b"1 2", &["1"]);
    array.refuses(&[1], &["--at", "4", "1"], b"", &[]);
    array.refuses(&[1], &["--at", "5", "1"], b"", &["5"]);
    array.refuses(&[1], &["--at", "5"], b"", &["5"]);
    array.refuses(&[1], &["--at", "9223372036854775808", "1"], b"", &[]);
    array.refuses(&[1], &["--at", "18446744073709551615", "1"], b"", &[]);
    array.refuses(
        &[1],
        &["--format", "raw", "--at", "18446744073709551615"],
        &[1, 0],
        &[],
    );
}

#[test]
fn a_stream_without_end_is_refused_as_soon_as_it_does_not_fit() {
    let array = Untouched::new("u8", 1000);
    for format in ["text", "json", "csv", "raw"] {
        let script = match format {
            "text" | "csv" => r#"yes 1 | shm write "$1" --format "$2""#,
            "json" => r#"{ echo '['; yes 1,; } | shm write "$1" --format "$2""#,
            _ => r#"shm write "$1" --format "$2" </dev/zero"#,
        };
        harness::Shm::program("bash")
            .args(&["-c", script, "-", &array.array.name, format])
            .with_shm_on_path()
            .run_within(SECONDS)
            .fails(1);
        assert!(array.array.bytes() == array.before, "{format}");
    }
}

#[test]
fn reading_what_is_not_there_prints_nothing() {
    let array = Store::array("u16", 4);
    for args in [
        &["--at", "5"][..],
        &["--count", "5"],
        &["--at", "3", "--count", "2"],
        &["--at", "4", "--count", "1"],
        &["--at", "5", "--count", "0"],
        &[
            "--at",
            "18446744073709551615",
            "--count",
            "18446744073709551615",
        ],
        &["--at", "1", "--count", "18446744073709551615"],
        &["--at", "9223372036854775808"],
    ] {
        for format in ["text", "json", "csv", "raw", "npy"] {
            let done = array.read(args).args(&["--format", format]).run().fails(1);
            let line = done.error_line();
            assert!(line.contains(&*array.name), "{line}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    std::fs::write(&path, "precious").unwrap();
    array.read(&["--at", "5", "-o"]).arg(&path).run().fails(1);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "precious",
        "not emptied for nothing"
    );
}

// ---- text -------------------------------------------------------------------

#[test]
fn integers_out_of_range_or_that_are_none_say_where() {
    all_refused(
        "u8",
        8,
        "text",
        &[
            ("256", &["line 1, column 1", "'256' is not a u8 (0 to 255)"]),
            (
                "1 2\n3 4\n12 34 256\n",
                &["line 3, column 7", "'256' is not a u8 (0 to 255)"],
            ),
            ("-1", &["line 1, column 1", "'-1' is not a u8"]),
            ("1\n\n\n  \t300", &["line 4, column 4", "'300'"]),
            ("1\r\n999\r\n", &["line 2, column 1", "'999'"]),
            ("1.0", &["'1.0'"]),
            ("1e1", &["'1e1'"]),
            ("nan", &["'nan'"]),
            ("inf", &["'inf'"]),
            ("true", &["'true'"]),
            ("0x100", &["'0x100'"]),
            ("0x", &["'0x'"]),
            ("0xg", &["'0xg'"]),
            ("x10", &["'x10'"]),
            ("+", &["'+'"]),
            ("-", &["'-'"]),
            ("++1", &["'++1'"]),
            ("+-1", &["'+-1'"]),
            ("1,2", &["'1,2'"]),
            ("1_000", &["'1_000'"]),
            ("1;2", &[]),
            (
                "99999999999999999999999999999999999999999999",
                &["line 1, column 1"],
            ),
            ("1 2 drei 4", &["line 1, column 5", "'drei'"]),
            ("1 2 \u{2460}", &["line 1, column 5"]),
            ("\u{661}", &["line 1, column 1"]),
            ("\"1\"", &[]),
            ("[1]", &[]),
        ],
    );
    all_refused(
        "i8",
        4,
        "text",
        &[
            ("128", &["'128' is not an i8 (-128 to 127)"]),
            ("-129", &["'-129'"]),
            ("-0x81", &["'-0x81'"]),
            ("0x80", &["'0x80'"]),
        ],
    );
    all_refused(
        "i64",
        4,
        "text",
        &[
            ("9223372036854775808", &["9223372036854775807"]),
            ("-9223372036854775809", &["-9223372036854775808"]),
            ("0x8000000000000000", &[]),
        ],
    );
    all_refused(
        "u64",
        4,
        "text",
        &[
            ("18446744073709551616", &["18446744073709551615"]),
            ("-1", &[]),
            ("0x10000000000000000", &[]),
        ],
    );
    for (element, low, high) in [
        ("i16", "-32769", "32768"),
        ("i32", "-2147483649", "2147483648"),
        ("u16", "-1", "65536"),
        ("u32", "-1", "4294967296"),
    ] {
        all_refused(
            element,
            2,
            "text",
            &[
                (low, &["line 1, column 1", element]),
                (high, &["line 1, column 1", element]),
            ],
        );
    }
}

#[test]
fn floats_out_of_range_or_that_are_none_say_where() {
    let none: Table = &[
        ("1 x", &["line 1, column 3", "'x'"]),
        (".", &["'.'"]),
        ("e5", &["'e5'"]),
        ("1e", &["'1e'"]),
        ("1e+", &["'1e+'"]),
        ("--1", &["'--1'"]),
        ("1..2", &["'1..2'"]),
        ("1,5", &["'1,5'"]),
        ("0x10", &["'0x10'"]),
        ("nanny", &["'nanny'"]),
        ("in", &["'in'"]),
        ("infinite", &["'infinite'"]),
        ("true", &["'true'"]),
        ("1f", &["'1f'"]),
        ("1.0f64", &[]),
        ("1_0.0", &[]),
    ];
    all_refused("f64", 4, "text", none);
    all_refused("f32", 4, "text", none);
    all_refused(
        "f64",
        4,
        "text",
        &[
            ("1e400", &["line 1, column 1", "'1e400'", "f64"]),
            ("0\n0 -1e309", &["line 2, column 3", "'-1e309'", "f64"]),
            ("1e999999999999999999999", &["line 1, column 1"]),
        ],
    );
    all_refused(
        "f32",
        4,
        "text",
        &[
            ("1e39", &["line 1, column 1", "'1e39'", "f32"]),
            ("-3.5e38", &["'-3.5e38'", "f32"]),
            ("1e400", &["'1e400'"]),
        ],
    );
    let zeros = format!("1{}", "0".repeat(400));
    all_refused("f64", 4, "text", &[(&zeros, &["line 1, column 1"])]);
}

#[test]
fn a_place_far_into_the_input_is_right() {
    let array = Untouched::new("u8", 600_000);
    // Behind many buffers on one line, on a line of its own, on a long line.
    let line = "7 ".repeat(500_000);
    let says = ["line 1, column 1000001", "'x'"];
    array.refuses(&[1], &[], format!("{line}x 7").as_bytes(), &says);
    let lines = "7\n".repeat(500_000);
    let says = ["line 500001, column 3", "'x'"];
    array.refuses(&[1], &[], format!("{lines}7 x\n7\n").as_bytes(), &says);
    let says = ["line 500001, column 1", "'300'"];
    array.refuses(
        &[1],
        &["--format", "csv"],
        format!("{lines}300\n7\n").as_bytes(),
        &says,
    );
    let json = format!("[\n{}", "7,\n".repeat(500_000));
    let says = ["line 500002", "300"];
    array.refuses(
        &[1],
        &["--format", "json"],
        format!("{json}300]").as_bytes(),
        &says,
    );
}

#[test]
fn truth_values_that_are_none_say_where() {
    all_refused(
        "bool",
        4,
        "text",
        &[
            ("true 2", &["line 1, column 6", "'2'", "bool"]),
            ("yes", &["'yes'"]),
            ("-1", &["'-1'"]),
            ("nan", &["'nan'"]),
            ("1.0", &["'1.0'"]),
            ("truefalse", &["'truefalse'"]),
        ],
    );
}

#[test]
fn a_broken_last_element_is_an_error() {
    all_refused(
        "[u8;3]",
        4,
        "text",
        &[("1 2 3 4", &[]), ("1", &[]), ("1 2 3\n4 5 6\n7 8\n", &[])],
    );
    all_refused(
        "id:u8,x:f32,on:bool",
        4,
        "text",
        &[
            ("1 2.5", &[]),
            ("1 2.5 true 7", &[]),
            (
                "1 2.5 true\n2 x true\n",
                &["line 2, column 3", "'x'", "f32"],
            ),
            (
                "1 2.5 true\n256 0 true\n",
                &["line 2, column 1", "'256'", "u8"],
            ),
            ("1 2.5 maybe", &["line 1, column 7", "'maybe'", "bool"]),
        ],
    );
}

#[test]
fn arguments_are_counted_from_one() {
    let array = Untouched::new("u8", 4);
    array.refuses(
        &[1],
        &["1", "2", "256"],
        b"",
        &["value 3", "'256' is not a u8 (0 to 255)"],
    );
    array.refuses(
        &[1],
        &["-1"],
        b"",
        &["value 1", "'-1' is not a u8 (0 to 255)"],
    );
    array.refuses(&[1], &["1", "x"], b"", &["value 2", "'x'"]);
    array.refuses(&[1], &["1.5"], b"", &["value 1", "'1.5'"]);
    array.refuses(&[1], &["1", "two\nlines"], b"", &["value 2"]);
    array.refuses(&[1], &["1", "\u{1b}[31mred"], b"", &["value 2"]);
    array.refuses(&[1], &["--format", "json", "1", "[2,300]"], b"", &["2"]);
    array.refuses(&[1], &["--format", "json", "1", "2 3"], b"", &["2"]);
    let array = Untouched::new("[u8;2]", 4);
    array.refuses(&[1], &["1", "2", "3"], b"", &[]);
    let array = Untouched::new("f32", 4);
    array.refuses(&[1], &["1", "1e39"], b"", &["value 2", "'1e39'"]);
    array.refuses(&[1], &["-1e39"], b"", &["value 1", "'-1e39'"]);
}

#[test]
fn bytes_that_are_no_text_say_where() {
    let array = Untouched::new("u8", 8);
    for bytes in [
        &b"1 2 \xff\xfe 3"[..],
        b"1 2 \0\0\0",
        b"\x1b[31m1",
        b"1 2\x07",
        b"\xef\xbb\xbf1 2 x",
        &[0x80; 300],
        &[0; 300],
    ] {
        array.refuses(&[1], &["--format", "text"], bytes, &["line 1"]);
        array.refuses(&[1], &["--format", "csv"], bytes, &[]);
        array.refuses(&[1], &["--format", "json"], bytes, &[]);
        array.refuses(&[1], &["--format", "npy"], bytes, &[]);
    }
    let mut state = 7u64;
    for _ in 0..20 {
        let bytes: Vec<u8> = (0..500)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for format in ["text", "csv", "json", "npy", "raw"] {
            array.refuses(&[1], &["--format", format], &bytes, &[]);
        }
    }
}

#[test]
fn a_word_of_a_megabyte_is_not_printed() {
    let array = Untouched::new("f64", 4);
    let word = vec![b'x'; 1 << 20];
    array.refuses(&[1], &["--format", "text"], &word, &["line 1, column 1"]);
    array.refuses(&[1], &["--format", "csv"], &word, &["line 1"]);
    let json = [b"\"", &word[..], b"\""].concat();
    array.refuses(&[1], &["--format", "json"], &json, &["line 1"]);
    let digits = vec![b'9'; 1 << 20];
    array.refuses(&[1], &["--format", "text"], &digits, &["line 1, column 1"]);
}

// ---- json -------------------------------------------------------------------

#[test]
fn malformed_json_says_where() {
    all_refused(
        "u8",
        4,
        "json",
        &[
            ("[1,2", &["line 1"]),
            ("[1,2,]", &["line 1"]),
            ("[1 2]", &["line 1"]),
            ("[1,\n2,\n3 4]", &["line 3"]),
            ("1 2", &["line 1"]),
            ("[1] 2", &["line 1"]),
            ("[1]\n[2]", &["line 2"]),
            ("[1]x", &["line 1"]),
            ("]", &["line 1"]),
            ("{", &["line 1"]),
            ("nope", &["line 1"]),
            ("[1,,2]", &["line 1"]),
            ("[01]", &["line 1"]),
            ("[0x10]", &["line 1"]),
            ("[+1]", &["line 1"]),
            ("[.5]", &["line 1"]),
            ("[NaN]", &["line 1"]),
            ("['1']", &["line 1"]),
            ("// 1\n[1]", &["line 1"]),
        ],
    );
    all_refused(
        "f64",
        4,
        "json",
        &[
            ("[1,\n  NaN]", &["line 2"]),
            ("[Infinity]", &["line 1"]),
            ("[1.]", &["line 1"]),
            ("[1e]", &["line 1"]),
        ],
    );
}

#[test]
fn json_of_the_wrong_shape_or_range_says_where() {
    all_refused(
        "u8",
        4,
        "json",
        &[
            ("[1,\n  256]", &["line 2", "256"]),
            ("[-1]", &["line 1", "-1"]),
            ("[1.0]", &["line 1"]),
            ("[1e1]", &["line 1"]),
            ("[\"1\"]", &["line 1"]),
            ("[null]", &["line 1"]),
            ("[true]", &["line 1"]),
            ("[[1]]", &["line 1"]),
            ("[{\"x\":1}]", &["line 1"]),
            ("{\"x\":1}", &["line 1"]),
            ("null", &["line 1"]),
            ("\"NaN\"", &["line 1"]),
            ("[99999999999999999999999]", &["line 1"]),
            ("[1,2,3,4,256]", &[]),
        ],
    );
    all_refused(
        "u64",
        4,
        "json",
        &[
            ("[18446744073709551616]", &["line 1"]),
            ("[-1]", &["line 1"]),
        ],
    );
    all_refused(
        "i64",
        4,
        "json",
        &[
            ("[9223372036854775808]", &["line 1"]),
            ("[-9223372036854775809]", &["line 1"]),
        ],
    );
    all_refused(
        "f64",
        4,
        "json",
        &[
            ("[1e400]", &["line 1"]),
            ("[1,\n-1e400]", &["line 2"]),
            ("[\"1e400\"]", &["line 1"]),
            ("[\"maybe\"]", &["line 1", "maybe"]),
            ("[\"\"]", &["line 1"]),
            ("[null]", &["line 1"]),
            ("[true]", &["line 1"]),
        ],
    );
    all_refused(
        "f32",
        4,
        "json",
        &[("[0, 1e39]", &["line 1"]), ("[-3.5e38]", &["line 1"])],
    );
    all_refused(
        "bool",
        4,
        "json",
        &[
            ("[2]", &["line 1"]),
            ("[\"yes\"]", &["line 1"]),
            ("[null]", &["line 1"]),
        ],
    );
    all_refused(
        "[u8;3]",
        4,
        "json",
        &[
            ("[[1,2]]", &["line 1"]),
            ("[[1,2,3,4]]", &["line 1"]),
            ("[[1,2,3],\n[4,5]]", &["line 2"]),
            ("[1,2]", &["line 1"]),
            ("[[1,2,256]]", &["line 1", "256"]),
            ("7", &["line 1"]),
            ("[[[1,2,3]]]", &["line 1"]),
            ("[]x", &["line 1"]),
        ],
    );
}

#[test]
fn json_objects_have_every_field_once_and_no_other() {
    all_refused(
        "id:u8,pos:{x:f32,y:f32}",
        4,
        "json",
        &[
            (r#"{"id":1}"#, &["line 1", "pos"]),
            (r#"{"pos":{"x":1,"y":2}}"#, &["line 1", "id"]),
            (r#"{}"#, &["line 1"]),
            (r#"{"id":1,"pos":{"x":1,"y":2},"z":3}"#, &["line 1", "z"]),
            (r#"{"id":1,"id":2,"pos":{"x":1,"y":2}}"#, &["line 1", "id"]),
            (
                "[{\"id\":1,\"pos\":{\"x\":1,\"y\":2}},\n{\"id\":2,\"pos\":{\"x\":1}}]",
                &["line 2", "y"],
            ),
            (r#"{"id":1,"pos":{"x":1,"y":2,"x":3}}"#, &["line 1", "x"]),
            (r#"{"id":1,"pos":[1,2]}"#, &["line 1"]),
            (r#"{"id":256,"pos":{"x":1,"y":2}}"#, &["line 1", "256"]),
            (r#"{"ID":1,"pos":{"x":1,"y":2}}"#, &["line 1", "ID"]),
            (r#"[[1,[1,2]]]"#, &["line 1"]),
            (r#"[1]"#, &["line 1"]),
            (r#"{"id":1,"pos":null}"#, &["line 1"]),
        ],
    );
    let name = "n".repeat(1 << 20);
    let input = format!(r#"{{"{name}":1}}"#);
    all_refused("id:u8", 4, "json", &[(&input, &["line 1"])]);
}

#[test]
fn json_without_a_bottom_is_refused() {
    let deep = "[".repeat(1_000_000);
    let objects = r#"{"id":"#.repeat(200_000);
    for element in ["u8", "[u8;3]", "id:u8"] {
        all_refused(
            element,
            4,
            "json",
            &[(&deep, &["line 1"]), (&objects, &["line 1"])],
        );
    }
}

// ---- csv --------------------------------------------------------------------

#[test]
fn malformed_csv_says_which_cell() {
    all_refused(
        "u8",
        4,
        "csv",
        &[
            (
                "1\n256\n",
                &["line 2, column 1", "'256' is not a u8 (0 to 255)"],
            ),
            ("1,2\n", &["line 1"]),
            ("1\n2,3\n", &["line 2"]),
            ("1;2\n", &["line 1"]),
            ("value\n1\n", &["line 1, column 1", "'value'"]),
            ("\"1\n", &["line 1"]),
            ("1\n\"2\n3\n4\n", &["line 2"]),
            ("1.0\n", &["line 1, column 1"]),
            ("nan\n", &["line 1, column 1"]),
            ("\"\"\n", &["line 1, column 1"]),
        ],
    );
    all_refused(
        "[u8;3]",
        4,
        "csv",
        &[
            ("1,2,3\n4,5\n", &["line 2"]),
            ("1,2,3\n4,5,6,7\n", &["line 2"]),
            ("1,2,3\n4,,6\n", &["line 2, column 2"]),
            ("1,2,3\n4,5,600\n", &["line 2, column 3", "'600'"]),
            ("1 2 3\n", &["line 1"]),
        ],
    );
    all_refused(
        "f64",
        4,
        "csv",
        &[
            ("1e400\n", &["line 1, column 1", "'1e400'"]),
            ("0\n1,5\n", &["line 2"]),
        ],
    );
    all_refused(
        "f32",
        4,
        "csv",
        &[("1e39\n", &["line 1, column 1", "'1e39'"])],
    );
    all_refused(
        "bool",
        4,
        "csv",
        &[("true\nmaybe\n", &["line 2, column 1", "'maybe'"])],
    );
}

#[test]
fn csv_of_records_needs_every_column_once() {
    all_refused(
        "id:u8,pos:[f32;2]",
        4,
        "csv",
        &[
            ("1,2,3\n", &["line 1"]),
            ("id,pos[0]\n1,2\n", &["pos[1]"]),
            ("id,pos[0],pos[1],z\n1,2,3,4\n", &["z"]),
            ("id,pos[0],pos[1],id\n1,2,3,4\n", &["id"]),
            ("id,pos[0],pos[2]\n1,2,3\n", &["line 1"]),
            ("ID,pos[0],pos[1]\n1,2,3\n", &["ID"]),
            ("id,pos\n1,2\n", &["pos"]),
            ("id;pos[0];pos[1]\n1;2;3\n", &["line 1"]),
            (
                "id,pos[0],pos[1]\n1,2,3\n999,2,3\n",
                &["line 3, column 'id'", "'999' is not a u8 (0 to 255)"],
            ),
            (
                "pos[1],id,pos[0]\n1,2,3\n4,5,x\n",
                &["line 3, column 'pos[0]'", "'x'"],
            ),
            (
                "id,pos[0],pos[1]\n1,1e39,3\n",
                &["line 2, column 'pos[0]'", "'1e39'"],
            ),
            ("id,pos[0],pos[1]\n1,2\n", &["line 2"]),
            ("id,pos[0],pos[1]\n1,2,3,4\n", &["line 2"]),
            ("id,pos[0],pos[1]\n1,,3\n", &["line 2, column 'pos[0]'"]),
            // A cell over two lines: the row after it is still where it is.
            (
                "id,pos[0],pos[1]\n\"1\n\",2,3\n\n256,2,3\n",
                &["line 5, column 'id'"],
            ),
        ],
    );
}

// ---- raw --------------------------------------------------------------------

#[test]
fn raw_of_a_broken_length_is_refused() {
    for (element, size) in [("u16", 2), ("f64", 8), ("[f32;3]", 12), ("a:u8,b:u32", 8)] {
        let array = Untouched::new(element, 4);
        for len in [
            1,
            size - 1,
            size + 1,
            4 * size - 1,
            4 * size + 1,
            5 * size,
            100 * size,
        ] {
            let says = match len {
                _ if len > 4 * size => "4".to_owned(),
                _ => size.to_string(),
            };
            array.refuses(&[1], &["--format", "raw"], &vec![7; len], &[&says]);
        }
        array.refuses(
            &[1],
            &["--format", "raw", "--at", "3"],
            &vec![7; 2 * size],
            &["1"],
        );
        array.refuses(
            &[1],
            &["--format", "raw", "--at", "3"],
            &vec![7; size - 1],
            &[],
        );
    }
}

#[test]
fn raw_that_is_no_file_at_all_is_refused() {
    let array = Untouched::new("u8", 4);
    for format in ["text", "json", "csv", "raw", "npy"] {
        let directory = std::fs::File::open("/").unwrap();
        array
            .array
            .write(&["--format", format])
            .stdin(directory)
            .run_within(SECONDS)
            .fails(1);
        assert!(array.array.bytes() == array.before, "{format}");
    }
}

// ---- npy --------------------------------------------------------------------

#[test]
fn npy_that_is_none_is_refused() {
    let array = Untouched::new("f64", 4);
    let good = npy("<f8", "(2,)", &[7; 16]);
    let npy_is_bad = |bytes: &[u8], what: &str| {
        // The message is free; that there is one, and nothing stored, is not.
        let done = array
            .array
            .write(&["--format", "npy"])
            .input(bytes)
            .run_within(SECONDS);
        assert_eq!(done.code(), 1, "{what}: {:?}", done.stderr);
        array.refuses(&[1], &["--format", "npy"], bytes, &[]);
    };
    // Cut anywhere.
    for len in (1..good.len()).step_by(3).chain([good.len() - 1, 6, 8, 10]) {
        npy_is_bad(&good[..len], &format!("cut to {len}"));
    }
    let with = |header: &str| npy_with(1, header, &[7; 16]);
    let huge = "9".repeat(30_000);
    for (what, bytes) in [
        ("more behind it", [&good[..], b"x"].concat()),
        ("another magic", [b"\x94NUMPY", &good[6..]].concat()),
        ("a text", b"1.5 2.5 3.5\n".to_vec()),
        ("version 0", [b"\x93NUMPY\x00\x00", &good[8..]].concat()),
        ("version 4", [b"\x93NUMPY\x04\x00", &good[8..]].concat()),
        ("version 255", [b"\x93NUMPY\xff\xff", &good[8..]].concat()),
        (
            "a header of 4 GiB",
            [b"\x93NUMPY\x02\x00\xff\xff\xff\xff", &good[10..]].concat(),
        ),
        ("an empty header", with("")),
        ("no dict", with("'descr', '<f8'\n")),
        (
            "half a dict",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (2,\n"),
        ),
        (
            "no descr",
            with("{'fortran_order': False, 'shape': (2,), }\n"),
        ),
        (
            "no shape",
            with("{'descr': '<f8', 'fortran_order': False, }\n"),
        ),
        ("no order", with("{'descr': '<f8', 'shape': (2,), }\n")),
        (
            "shape twice",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'shape': (1,), }\n"),
        ),
        (
            "another key",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'more': 1, }\n"),
        ),
        (
            "a list as shape",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': [2], }\n"),
        ),
        (
            "a word as order",
            with("{'descr': '<f8', 'fortran_order': maybe, 'shape': (2,), }\n"),
        ),
        (
            "more behind the dict",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), } + {}\n"),
        ),
        (
            "a negative shape",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }\n"),
        ),
        (
            "a shape of words",
            with("{'descr': '<f8', 'fortran_order': False, 'shape': (n,), }\n"),
        ),
        (
            "a shape of 30000 digits",
            with(&format!(
                "{{'descr': '<f8', 'fortran_order': False, 'shape': ({huge},), }}\n"
            )),
        ),
        ("parentheses without end", with(&"(".repeat(60_000))),
        ("bytes", with("\u{fffd}\0\0\0")),
        (
            "2^61 elements",
            npy("<f8", "(2305843009213693952,)", &[7; 16]),
        ),
        (
            "2^64 elements",
            npy("<f8", "(18446744073709551616,)", &[7; 16]),
        ),
        (
            "dimensions whose product is 2^64 and more",
            npy("<f8", "(4294967296, 4294967298)", &[7; 16]),
        ),
    ] {
        npy_is_bad(&bytes, what);
    }
}

#[test]
fn npy_of_another_type_or_shape_is_refused_and_both_are_named() {
    let array = Untouched::new("f64", 4);
    for descr in [
        "<f4", ">f8", "!f8", "<i8", "<u8", "|u1", "<f2", "<c8", "<c16", "|S8", "<U2", "|O",
        "<M8[ns]", "|b1", "f8x", "", "<f16", "<f88",
    ] {
        array.refuses(
            &[1],
            &["--format", "npy"],
            &npy(descr, "(2,)", &[7; 16]),
            &["<f8"],
        );
    }
    let fields = "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (2,), }\n";
    array.refuses(
        &[1],
        &["--format", "npy"],
        &npy_with(1, fields, &[7; 16]),
        &[],
    );
    for (shape, data) in [
        ("(2, 1)", 16),
        ("(1, 2)", 16),
        ("(2, 2)", 32),
        ("(1, 1, 1)", 8),
        ("(3,)", 16),
        ("(1,)", 16),
        ("()", 16),
    ] {
        array.refuses(
            &[1],
            &["--format", "npy"],
            &npy("<f8", shape, &vec![7; data]),
            &[],
        );
    }
    array.refuses(
        &[1],
        &["--format", "npy"],
        &npy("<f8", "(5,)", &[7; 40]),
        &["4"],
    );
    array.refuses(
        &[1],
        &["--format", "npy", "--at", "3"],
        &npy("<f8", "(2,)", &[7; 16]),
        &["1"],
    );
    for (element, descr) in [
        ("u8", "|i1"),
        ("i8", "|u1"),
        ("bool", "|u1"),
        ("u8", "|b1"),
        ("i16", "<u2"),
        ("u16", ">u2"),
        ("f32", "<i4"),
    ] {
        let array = Untouched::new(element, 4);
        array.refuses(
            &[1],
            &["--format", "npy"],
            &npy(descr, "(1,)", &[1; 4][..array.before.len() / 4]),
            &[descr],
        );
    }
    let array = Untouched::new("[i16;3]", 4);
    for shape in ["(6,)", "(3, 2)", "(3,)", "(1, 3, 2)", "(6, 1)", "()"] {
        array.refuses(
            &[1],
            &["--format", "npy"],
            &npy("<i2", shape, &[7; 12]),
            &[],
        );
    }
    let columns = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n";
    array.refuses(
        &[1],
        &["--format", "npy"],
        &npy_with(1, columns, &[7; 12]),
        &[],
    );
}

#[test]
fn npy_has_no_records() {
    let array = Untouched::new("id:u32,x:f32", 4);
    array.refuses(
        &[2],
        &["--format", "npy"],
        &npy("<f8", "(1,)", &[7; 8]),
        &[],
    );
    array.array.read(&["--format", "npy"]).run().fails(2);
    let array = Untouched::new("[{x:f32};2]", 4);
    array.refuses(
        &[2],
        &["--format", "npy"],
        &npy("<f4", "(1, 2)", &[7; 8]),
        &[],
    );
    array.array.read(&["--format", "npy"]).run().fails(2);
}

// ---- descriptors closed at the start -----------------------------------------

#[test]
fn standard_descriptors_closed_at_the_start_do_no_harm() {
    for mask in 0..8 {
        let closing: String = [" <&-", " >&-", " 2>&-"]
            .iter()
            .enumerate()
            .filter(|(bit, _)| mask >> bit & 1 == 1)
            .map(|(_, closing)| *closing)
            .collect();
        let closed = |args: &[&str]| {
            let script = format!(r#"exec "$0" "$@"{closing}"#);
            let bash = harness::Shm::program("bash").args(&["-c", &script]);
            bash.arg(env!("CARGO_BIN_EXE_shm")).args(args)
        };
        let name = Name::unused();
        let create = ["create", "array", &name, "--type", "u8", "--len", "4"];
        closed(&create).run().exits(0);
        let out = tempfile::NamedTempFile::new().unwrap();
        closed(&["write", &name, "1", "2", "3", "4"]).run().exits(0);
        closed(&["read", &name, "-o", out.path().to_str().unwrap()])
            .run()
            .exits(0);
        assert_eq!(std::fs::read(out.path()).unwrap(), b"1\n2\n3\n4\n");
        // Input or output missing: an error, or nothing, but no harm.
        closed(&["write", &name])
            .run_within(SECONDS)
            .exits_one_of(&[0, 1]);
        closed(&["read", &name])
            .run_within(SECONDS)
            .exits_one_of(&[0, 1]);
        closed(&["write", &name, "256"]).run().exits(1);
        // What is opened for our own use must not become COMMAND's output.
        closed(&["lock", &name, "--", "echo", "into", "the", "segment"])
            .run()
            .exits_one_of(&[0, 1]);
        closed(&["lock", &name, "--", "true"]).run().exits(0);
        let read = shm(&["read", &name]).run().exits(0).silent();
        assert_eq!(read.stdout, b"1\n2\n3\n4\n", "mask {mask}");
        shm(&["inspect", &name]).run().exits(0).silent();
    }
}

// ---- damaged and hostile arrays ---------------------------------------------

/// Writes the right CRC over a header whose fields were changed.
fn seal(file: &std::fs::File) {
    let mut header = [0; CRC_SPAN];
    file.read_exact_at(&mut header, 0).unwrap();
    let crc = crc32c::crc32c(&header).to_le_bytes();
    file.write_all_at(&crc, CRC_SPAN as u64).unwrap();
}

/// Each command that opens `store` ends with 5 and one line.
#[track_caller]
fn all_refuse(store: &Store, what: &str) {
    for args in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["inspect", "--data"],
        &["read"],
        &["write"],
    ] {
        let command = store.shm(args[0]).args(&args[1..]).input("1");
        let done = command.run_within(SECONDS);
        assert_eq!(done.code(), 5, "{what}: {args:?}: {:?}", done.stderr);
        done.error_line();
    }
    let done = store.lock(&[], &["echo", "ran"]).run_within(SECONDS);
    assert_eq!(done.code(), 5, "{what}: lock: {:?}", done.stderr);
    done.fails(5);
    shm(&["list", "--json"])
        .run_within(SECONDS)
        .exits(0)
        .silent();
}

#[test]
fn no_byte_of_the_header_or_of_the_description_may_be_another() {
    let array = Store::array("serial:u32,celsius:f64", 8);
    let file = array.file();
    let all = std::fs::read(array.name.path()).unwrap();
    let description = b"serial:u32,celsius:f64";
    let at = all
        .windows(description.len())
        .position(|window| window == description);
    let at = at.expect("the description stands in the segment as it is shown") as u64;
    let header = 0..CRC_SPAN as u64 + 4;
    for at in header.chain(at..at + description.len() as u64) {
        let mut before = [0];
        file.read_exact_at(&mut before, at).unwrap();
        file.write_all_at(&[before[0] ^ 1 << (at % 8)], at).unwrap();
        for args in [&["inspect"][..], &["read"], &["write", "1", "2"]] {
            let done = array.shm(args[0]).args(&args[1..]).run_within(SECONDS);
            assert_eq!(done.code(), 5, "byte {at}: {args:?}: {:?}", done.stderr);
            done.error_line();
        }
        file.write_all_at(&before, at).unwrap();
    }
    array.write(&["7", "1.5"]).run().exits(0).silent();
    assert!(array.text().starts_with("7 1.5\n"), "well again");
}

#[test]
fn a_hostile_header_with_the_right_crc_is_refused() {
    let geometry = offset_of!(RawHeader, geometry) as u64;
    let total = offset_of!(RawHeader, total_size) as u64;
    let structure = offset_of!(RawHeader, structure_offset) as u64;
    let payload = offset_of!(RawHeader, payload_offset) as u64;
    let odd = [
        0,
        1,
        3,
        7,
        9,
        4095,
        4097,
        65_537,
        1 << 32,
        1 << 61,
        u64::MAX / 2,
        u64::MAX - 4095,
        u64::MAX,
    ];
    let spoilt = Mutex::new(0);
    let check = |store: &Store, at: u64, value: u64, what: &str| {
        let file = store.file();
        let mut before = [0; CRC_SPAN + 4];
        file.read_exact_at(&mut before, 0).unwrap();
        if before[at as usize..at as usize + 8] == value.to_le_bytes() {
            return;
        }
        file.write_all_at(&value.to_le_bytes(), at).unwrap();
        seal(&file);
        all_refuse(store, &format!("{what} {value}"));
        file.write_all_at(&before, 0).unwrap();
        *spoilt.lock().unwrap() += 1;
    };
    let array = Store::array("[u16;3]", 8);
    for (word, what) in [
        "len",
        "element size",
        "alignment",
        "description length",
        "description CRC",
    ]
    .iter()
    .enumerate()
    {
        for value in odd {
            check(&array, geometry + 8 * word as u64, value, what);
        }
    }
    let buffer = Store::buffer("48");
    for value in odd {
        check(&buffer, geometry, value, "size");
    }
    for unused in 5..8 {
        check(&array, geometry + 8 * unused, 1, "unused word");
    }
    for unused in 1..8 {
        check(&buffer, geometry + 8 * unused, u64::MAX, "unused word");
    }
    for store in [&array, &buffer] {
        for value in [0, 4096, 8192, u64::MAX - 4095] {
            check(store, total, value, "total size");
            check(store, structure, value, "structure offset");
            check(store, payload, value, "payload offset");
        }
        store.write(&["--at", "0"]).input("1 2 3").run().exits(0);
    }
    assert!(*spoilt.lock().unwrap() > 90);
}

#[test]
fn a_cut_or_grown_array_is_refused() {
    for change in [-4096, -1, 1, 4096] {
        let array = Store::array("f64", 1000);
        let file = array.file();
        let size = file.metadata().unwrap().len();
        file.set_len(size.checked_add_signed(change).unwrap())
            .unwrap();
        all_refuse(&array, "another size than the header says");
    }
}

#[test]
fn an_array_whose_changing_words_are_garbage_kills_and_hangs_nobody() {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for turn in 0..24 {
        let array = match turn % 2 {
            0 => Store::array("u64", 100),
            _ => Store::buffer("800"),
        };
        let data = array.data_offset();
        let file = array.file();
        let all = std::fs::read(array.name.path()).unwrap();
        // All that changes, but the payload: participants and lock; without
        // the description, which does not.
        let is_fixed =
            |at: u64| at < WORDS_OFFSET || all[at as usize..].starts_with(b"u64\0\0\0\0\0");
        let from = [WORDS_OFFSET, 4096, data - 4096][turn % 3] / 8;
        for _ in 0..[data / 8 - from, 200, 20][turn / 3 % 3] {
            let at = (from + random() % (data / 8 - from)) * 8;
            let value = match turn % 5 {
                0 => u64::MAX,
                1 => random() % 8,
                2 => random() & 0xffff_0000_0000_ffff,
                _ => random(),
            };
            if !is_fixed(at) {
                file.write_all_at(&value.to_le_bytes(), at).unwrap();
            }
        }
        for _ in 0..2 {
            array
                .shm("inspect")
                .arg("--json")
                .run_within(SECONDS)
                .exits_one_of(&[0, 5]);
            shm(&["list", "--json"]).run_within(SECONDS).exits(0);
            // Without --timeout: nobody is alive whom it could wait for.
            let write = array.write::<&str>(&[]).input("1234567");
            write.run_within(SECONDS).exits_one_of(&[0, 1, 5, 6]);
            let read = array.read::<&str>(&[]).run_within(SECONDS);
            read.exits_one_of(&[0, 1, 5, 6]);
            let lock = array.lock(&[], &["true"]).run_within(SECONDS);
            lock.exits_one_of(&[0, 1, 5, 6]);
        }
        array
            .shm("remove")
            .arg("--force")
            .run_within(SECONDS)
            .exits_one_of(&[0, 5]);
    }
}

#[test]
fn a_lock_that_names_the_newcomers_own_entry_hangs_nobody() {
    let mut field = [0; 8];
    let array = Store::array("u8", 4);
    let file = array.file();
    let structure = offset_of!(RawHeader, structure_offset) as u64;
    file.read_exact_at(&mut field, structure).unwrap();
    let lock = u64::from_le_bytes(field);
    let held = 1 << 31;
    let entry = |slot: u32| HEADER_SIZE + u64::from(slot) * ENTRY_SIZE;
    let reading = |slot| entry(slot) + offset_of!(Entry, reading) as u64;
    let under_pass = |slot| entry(slot) + offset_of!(Entry, under_pass) as u64;
    // The writer word is the first of the lock's; the newcomer takes entry 0.
    for (at, value) in [
        (lock, 1u64),
        (lock, 1 | held),
        (lock, 6),
        (lock, 6 | held),
        (lock, 128 | held),
        (lock, 129),
        (lock, u64::from(u32::MAX)),
        (reading(0), 1),
        (reading(0), 3),
        (reading(5), 3),
        (under_pass(0), 1 << 32 | 1),
        (under_pass(0), 1 << 32 | held),
        (under_pass(5), 1 << 32 | held),
    ] {
        for command in ["read", "write", "lock"] {
            match at == lock {
                true => file.write_all_at(&(value as u32).to_le_bytes(), at),
                false => file.write_all_at(&value.to_le_bytes(), at),
            }
            .unwrap();
            let run = match command {
                "read" => array.read::<&str>(&[]),
                "write" => array.write(&["1", "2"]),
                _ => array.lock(&[], &["true"]),
            };
            run.run_within(SECONDS).exits_one_of(&[0, 5]);
            let done = array.write(&["3"]).run_within(SECONDS);
            // Damage that no entry of the table stands for is told, not mended.
            if done.exits_one_of(&[0, 5]).code() == 0 {
                assert!(array.text().starts_with("3\n"), "{at} {value}");
            }
            file.write_all_at(&0u32.to_le_bytes(), lock).unwrap();
        }
    }
}

#[test]
fn an_other_users_array_is_not_trusted() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can make other users' files");
        return;
    }
    let array = Store::array("u8", 4);
    std::os::unix::fs::chown(array.name.path(), Some(65_534), Some(65_534)).unwrap();
    array.read::<&str>(&[]).run().fails(1);
    array.write(&["1"]).run().fails(1);
    array.lock(&[], &["true"]).run().fails(1);
    array.write(&["--any-owner", "1"]).run().exits(0);
    array.lock(&["--any-owner"], &["true"]).run().exits(0);
    assert_eq!(
        array.read(&["--any-owner"]).run().exits(0).stdout,
        b"1\n0\n0\n0\n"
    );
}
