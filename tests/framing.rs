//! Whole items in each node: `--lines`, `--null`, `--record`, `--message`.
//!
//! Each node is read with a mark behind it, so a test sees where the stream was
//! cut. Without the marks the nodes are the input, to the byte.

mod harness;

use harness::{Done, Name, Proc, Ring, SECONDS, Store, shm, until, until_within};
use proptest::prelude::*;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

/// Stands in no input.
const MARK: &str = "<|>";

/// The ring's nodes, read until nothing is left.
#[track_caller]
fn nodes(ring: &Ring) -> Vec<Vec<u8>> {
    let read = shm(&["read", &ring.name, "--no-wait", "--delimiter", MARK]).run();
    split(&read.exits(0).stdout)
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut nodes = Vec::new();
    let (mut node, mut rest) = (Vec::new(), bytes);
    while let [first, after @ ..] = rest {
        match rest.strip_prefix(MARK.as_bytes()) {
            Some(after) => {
                nodes.push(std::mem::take(&mut node));
                rest = after;
            }
            None => {
                node.push(*first);
                rest = after;
            }
        }
    }
    assert!(node.is_empty(), "a node without its mark: {node:?}");
    nodes
}

/// `shm write RING FLAGS` of a file.
#[track_caller]
fn write(ring: &Ring, flags: &[&str], input: impl AsRef<[u8]>) -> Done {
    shm(&["write", &ring.name])
        .args(flags)
        .input_file(input)
        .run()
}

/// The nodes that a file becomes.
#[track_caller]
fn cut(node_size: &str, flags: &[&str], input: &str) -> Vec<String> {
    let ring = Ring::new(64, node_size);
    write(&ring, flags, input).exits(0).silent();
    let text = |node| String::from_utf8(node).unwrap();
    nodes(&ring).into_iter().map(text).collect()
}

// ---- where it is cut --------------------------------------------------------

#[test]
fn a_node_takes_as_many_whole_lines_as_fit() {
    let lines = |input| cut("8", &["--lines"], input);
    assert_eq!(lines("one\ntwo\nthree\nx\n"), ["one\ntwo\n", "three\nx\n"]);
    assert_eq!(lines("one\nthree\nx\n"), ["one\n", "three\nx\n"]);
    assert_eq!(
        lines("1234567\nx\n"),
        ["1234567\n", "x\n"],
        "exactly a node"
    );
    assert_eq!(lines("a\n\n\n\n\n\n\n\n\n"), ["a\n\n\n\n\n\n\n", "\n\n"]);
    assert_eq!(lines("a\nb"), ["a\nb"], "the last line as it is");
    assert_eq!(lines("12345678"), ["12345678"], "also if it fills a node");
    assert_eq!(lines("a\0b\n\0\n"), ["a\0b\n\0\n"], "NUL is a byte");
    assert!(lines("").is_empty());
}

#[test]
fn items_that_end_with_nul_may_hold_line_feeds() {
    let items = |input| cut("8", &["--null"], input);
    assert_eq!(items("one\ntw\0o\n\0x"), ["one\ntw\0", "o\n\0x"]);
    assert_eq!(items("\0\0\0"), ["\0\0\0"]);
    assert_eq!(items("a\nb\nc\0d"), ["a\nb\nc\0d"]);
}

#[test]
fn records_are_packed_whole() {
    let records = |size, input| cut("8", &["--record", size], input);
    assert_eq!(records("3", "aaabbbccc"), ["aaabbb", "ccc"]);
    assert_eq!(records("8", "aaaaaaaabbbbbbbb"), ["aaaaaaaa", "bbbbbbbb"]);
    assert_eq!(records("1", "0123456789"), ["01234567", "89"]);
    assert!(records("5", "").is_empty());
}

#[test]
fn each_input_is_a_message_an_empty_one_too() {
    // Small nodes are filled from the stage, large ones are read into.
    for node_size in ["8", "64K"] {
        let ring = Ring::new(8, node_size);
        let files: Vec<_> = ["one\ntwo\n", "", "x", "\0"]
            .iter()
            .map(|text| {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(&file, text).unwrap();
                file
            })
            .collect();
        let mut writer = shm(&["write", &ring.name, "--message", "-"]).input("stdin");
        for file in &files {
            writer = writer.arg(file.path());
        }
        writer.run().exits(0).silent();
        let expected = [&b"stdin"[..], b"one\ntwo\n", b"", b"x", b"\0"];
        assert_eq!(nodes(&ring), expected, "{node_size}");
    }
}

#[test]
fn a_message_may_fill_its_node_to_the_last_byte() {
    for (node_size, bytes) in [("8", 8), ("64K", 65536)] {
        let ring = Ring::new(4, node_size);
        let message = vec![b'm'; bytes];
        write(&ring, &["--message"], &message).exits(0).silent();
        let piped = shm(&["write", &ring.name, "--message"]).input(message.clone());
        piped.run().exits(0).silent();
        assert_eq!(nodes(&ring), [message.clone(), message]);
    }
}

#[test]
fn the_lines_of_several_inputs_are_those_of_cat() {
    // 64K: read into nodes; 8: through the stage.
    for node_size in ["8", "64K"] {
        let ring = Ring::new(8, node_size);
        let file = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, text).unwrap();
            file
        };
        let (one, empty, two, three) = (file("a\nb"), file(""), file("c\n"), file("d"));
        shm(&["write", &ring.name, "--lines"])
            .args(&[one.path(), empty.path(), two.path(), three.path()])
            .run()
            .exits(0)
            .silent();
        assert_eq!(nodes(&ring), [&b"a\n"[..], b"bc\n", b"d"], "{node_size}");
    }
}

// ---- bytes out are bytes in -------------------------------------------------

/// What an input becomes when it is read by `shm write FLAGS`: from a file, and
/// from a pipe that gives it in pieces.
#[track_caller]
fn is_kept_whole(node_size: &str, flags: &[&str], input: &[u8], end: u8) {
    let ring = Ring::new(16, node_size);
    for piped in [false, true] {
        let reader = shm(&["read", &ring.name, "--delimiter", MARK]).start();
        let writer = shm(&["write", &ring.name]).args(flags);
        let writer = match piped {
            true => writer.input(input),
            false => writer.input_file(input),
        };
        writer.run().exits(0).silent();
        let nodes = split(&reader.finish().exits(0).stdout);
        assert!(
            nodes.concat() == input,
            "{flags:?} {node_size}: other bytes"
        );
        let last = nodes.len().saturating_sub(1);
        let whole = |node: &[u8]| node.last() == Some(&end);
        assert!(
            nodes[..last].iter().all(|node| whole(node)),
            "{flags:?} {node_size}: an item in two nodes"
        );
    }
}

#[test]
fn lines_of_all_lengths_pass_whole_through_nodes_of_all_sizes() {
    let mut lines = Vec::new();
    for i in 0..20_000usize {
        lines.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, i * 7919 % 200));
        lines.push(b'\n');
    }
    lines.extend(b"and the last one without its end");
    for node_size in ["201", "1K", "32K", "40000", "1M"] {
        is_kept_whole(node_size, &["--lines"], &lines, b'\n');
    }
    let items: Vec<u8> = lines
        .iter()
        .map(|b| if *b == b'\n' { 0 } else { *b })
        .collect();
    is_kept_whole("40000", &["--null"], &items, 0);
}

#[test]
fn items_nearly_as_large_as_a_node_pass_whole() {
    let mut lines = Vec::new();
    for length in [65535, 1, 65535, 40_000, 40_000, 0, 65535] {
        lines.extend(std::iter::repeat_n(b'x', length));
        lines.push(b'\n');
    }
    is_kept_whole("64K", &["--lines"], &lines, b'\n');
}

#[test]
fn both_ends_have_the_hash_of_the_input() {
    let ring = Ring::new(4, "100");
    let input: String = (0..5000).map(|i| format!("line {i}\n")).collect();
    let reader = shm(&["read", &ring.name, "--hash", "--json", "-o", "/dev/null"]).start();
    let written = write(&ring, &["--lines", "--hash", "--json"], &input).exits(0);
    let read = reader.finish().exits(0);
    let hash = blake3::hash(input.as_bytes()).to_string();
    assert_eq!(written.summary()["hash"], hash);
    assert_eq!(read.summary()["hash"], hash);
    assert_eq!(written.summary()["bytes"], input.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is fed in whatever pieces, at whatever moments.
    #[test]
    fn pieces_of_any_size_become_whole_lines(
        pieces in prop::collection::vec("[ab\n]{0,30}", 1..12), node_size in 31usize..80
    ) {
        let ring = Ring::new(200, &node_size.to_string());
        let mut writer = shm(&["write", &ring.name, "--lines"]).held_stdin().start();
        for piece in &pieces {
            writer.feed(piece.as_bytes());
            std::thread::yield_now();
        }
        // A line is at most all pieces; one that is too long is another test's.
        let input = pieces.concat();
        let fits = input.split('\n').all(|line| line.len() < node_size);
        writer.close_stdin();
        let done = writer.finish().exits(if fits { 0 } else { 1 });
        let nodes = nodes(&ring);
        let out = String::from_utf8(nodes.concat()).unwrap();
        if fits {
            prop_assert_eq!(&out, &input);
        } else {
            prop_assert!(input.starts_with(&out) && (out.is_empty() || out.ends_with('\n')));
            prop_assert!(done.stderr.contains("does not fit"));
        }
        let last = nodes.len().saturating_sub(1);
        prop_assert!(nodes[..last].iter().all(|node| node.ends_with(b"\n")));
    }
}

// ---- what does not fit ------------------------------------------------------

/// `shm write` fails, names the item's size and its place, and has published
/// what came before it and nothing of it.
#[track_caller]
fn is_too_long(ring: &Ring, flags: &[&str], input: &[u8], size: u64, offset: u64) {
    for piped in [false, true] {
        let writer = shm(&["write", &ring.name]).args(flags);
        let done = match piped {
            true => writer.input(input).run(),
            false => writer.input_file(input).run(),
        };
        let done = done.fails(1);
        let line = done.error_line();
        let words = [format!(" of {size} bytes"), format!("at byte {offset} ")];
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(line.starts_with("shm: stdin: "), "{line}");
        assert!(nodes(ring).concat() == input[..offset as usize], "{line}");
    }
}

#[test]
fn an_item_that_does_not_fit_a_node_is_named_with_its_size_and_place() {
    let small = Ring::new(16, "8");
    is_too_long(&small, &["--lines"], b"one\n12345678\nx\n", 9, 4);
    is_too_long(&small, &["--lines"], b"123456789", 9, 0);
    is_too_long(&small, &["--null"], b"\0\0abcdefghi\0x", 10, 2);
    is_too_long(&small, &["--message"], b"123456789", 9, 0);
    is_too_long(&small, &["--record", "9"], b"", 9, 0);
    let large = Ring::new(16, "64K");
    let mut input = b"short\n".repeat(20_000);
    let offset = input.len() as u64;
    input.extend(vec![b'x'; 300_000]);
    input.extend(b"\nmore\n");
    is_too_long(&large, &["--lines"], &input, 300_001, offset);
    is_too_long(&large, &["--message"], &vec![b'm'; 65_537], 65_537, 0);
}

#[test]
fn the_place_of_an_item_is_that_in_the_input_where_it_begins() {
    let ring = Ring::new(16, "8");
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("a", "one\n"), ("b", "two\n12345"), ("c", "678901\n")] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let writer = shm(&["write", &ring.name, "--lines", "a", "b", "c"]);
    let done = writer.directory(directory.path()).run().fails(1);
    let line = done.error_line();
    assert!(
        line.contains("shm: b: a line of 12 bytes at byte 4 "),
        "{line}"
    );
    assert_eq!(nodes(&ring).concat(), b"one\ntwo\n");
    // One that goes on in the next INPUT is longer than what this one has of it.
    std::fs::write(directory.path().join("b"), "two\n1234567890").unwrap();
    let writer = shm(&["write", &ring.name, "--lines", "a", "b", "c"]);
    let done = writer.directory(directory.path()).run().fails(1);
    let line = done.error_line();
    assert!(
        line.contains("shm: b: a line of at least 10 bytes at byte 4 "),
        "{line}"
    );
    assert_eq!(nodes(&ring).concat(), b"one\ntwo\n");
}

#[test]
fn an_item_without_an_end_is_an_error_soon() {
    let ring = Ring::new(4, "64K");
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let done = shm(&["write", &ring.name, "--lines"]).stdin(zeros).run();
    let done = done.fails(1);
    assert!(
        done.error_line().contains("of at least "),
        "{}",
        done.stderr
    );
    assert!(nodes(&ring).is_empty());
}

#[test]
fn input_that_is_no_whole_number_of_records_is_an_error_at_its_end() {
    let ring = Ring::new(16, "8");
    let done = write(&ring, &["--record", "3"], "aaabbbcccd").fails(1);
    let line = done.error_line();
    for words in ["stdin: 10 bytes", "records of 3", "1 left over", "byte 9"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(nodes(&ring).concat(), b"aaabbbccc", "what is whole");
}

#[test]
fn records_larger_than_a_node_leave_the_stream_alone() {
    let ring = Ring::new(4, "8");
    let mut reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    write(&ring, &["--record", "9"], "123456789").fails(1);
    assert_eq!(ring.stream_state(), "waiting", "nobody came");
    assert!(reader.is_running());
    write(&ring, &["--record", "4"], "12345678").exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"12345678");
}

// ---- a slow producer --------------------------------------------------------

#[track_caller]
fn comes(reader: &Proc, bytes: &str) {
    until_within(SECONDS, "what was fed has come out", || {
        reader.stdout_so_far() == bytes.as_bytes()
    });
}

#[test]
fn a_line_is_seen_at_once_and_half_a_line_is_not() {
    for node_size in ["16", "64K"] {
        let ring = Ring::new(4, node_size);
        let reader = shm(&["read", &ring.name]).start();
        let mut writer = shm(&["write", &ring.name, "--lines"]).held_stdin().start();
        writer.feed(b"one\ntw");
        comes(&reader, "one\n");
        // It waits for the rest, and holds no node.
        until("the writer waits", || ring.state("writing") == 0);
        writer.feed(b"o");
        writer.feed(b"\nthree");
        comes(&reader, "one\ntwo\n");
        writer.close_stdin();
        comes(&reader, "one\ntwo\nthree");
        writer.finish().exits(0).silent();
        reader.finish().exits(0).silent();
    }
}

#[test]
fn a_message_is_seen_when_it_has_ended() {
    let ring = Ring::new(4, "64K");
    let reader = shm(&["read", &ring.name]).start();
    let mut writer = shm(&["write", &ring.name, "--message"])
        .held_stdin()
        .start();
    writer.feed(b"half a ");
    until("the writer is attached", || ring.living("writer") == 1);
    writer.feed(b"message");
    harness::holds_for(
        std::time::Duration::from_millis(100),
        "nothing has come",
        || reader.stdout_so_far().is_empty() && ring.number("written_nodes") == 0,
    );
    writer.close_stdin();
    writer.finish().exits(0).silent();
    assert_eq!(reader.finish().exits(0).stdout, b"half a message");
    assert_eq!(ring.number("written_nodes"), 1);
}

#[test]
fn an_interrupt_within_an_item_leaves_whole_items() {
    let ring = Ring::new(4, "64K");
    let reader = shm(&["read", &ring.name]).start();
    let mut writer = shm(&["write", &ring.name, "--lines"]).held_stdin().start();
    writer.feed(b"one\ntw");
    comes(&reader, "one\n");
    writer.signal(Signal::INT);
    writer.finish().exits(130).silent();
    assert_eq!(reader.finish().exits(0).stdout, b"one\n");
    assert!(ring.is_drained());
}

#[test]
fn a_killed_writer_leaves_whole_items() {
    let ring = Ring::new(4, "64K");
    let reader = shm(&["read", &ring.name]).start();
    let mut writer = shm(&["write", &ring.name, "--lines"]).held_stdin().start();
    writer.feed(b"one\ntw");
    comes(&reader, "one\n");
    assert_eq!(writer.kill().status.signal(), Some(9));
    assert_eq!(reader.finish().exits(3).stdout, b"one\n");
    assert!(ring.is_drained());
}

// ---- with other flags -------------------------------------------------------

#[test]
fn a_rate_is_kept_and_items_stay_whole() {
    let ring = Ring::new(64, "64");
    let input: String = (0..200).map(|i| format!("line {i:03}\n")).collect();
    let began = std::time::Instant::now();
    let flags = ["--lines", "--rate", "4000"];
    let done = shm(&["write", &ring.name]).args(&flags).input_file(&input);
    let reader = shm(&["read", &ring.name, "--delimiter", MARK]).start();
    done.run().exits(0).silent();
    // 1800 bytes, a tenth of a second's worth of them at once.
    assert!(began.elapsed().as_secs_f64() > 0.2, "{:?}", began.elapsed());
    let nodes = split(&reader.finish().exits(0).stdout);
    assert!(nodes.iter().all(|node| node.len() % 9 == 0), "{nodes:?}");
    assert!(nodes.concat() == input.as_bytes());
}

#[test]
fn a_writer_that_keeps_the_stream_open_leaves_its_last_line_as_it_is() {
    let ring = Ring::new(8, "64");
    write(&ring, &["--lines", "--keep-open"], "a\nb").exits(0);
    write(&ring, &["--lines"], "c\n").exits(0);
    assert_eq!(nodes(&ring), [&b"a\nb"[..], b"c\n"]);
}

#[test]
fn all_flags_of_a_ring_work_together() {
    let framings: [&[&str]; 4] = [
        &["--lines"],
        &["--null"],
        &["--record", "8"],
        &["--message"],
    ];
    let policies: [&[&str]; 3] = [
        &["--on-full", "block", "--timeout", "20s"],
        &["--on-full", "drop-new"],
        &["--on-full", "drop-old"],
    ];
    for (framing, how) in framings
        .iter()
        .flat_map(|framing| policies.map(|how| (framing, how)))
    {
        let end = if framing[0] == "--null" { '\0' } else { '\n' };
        let items = [1, 2, 3, 4, 5].map(|i| format!("{i:07}{end}"));
        let files = items.each_ref().map(|item| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, item).unwrap();
            file
        });
        let name = Name::unused();
        let both = ["--wait-for", "20s", "--hash", "--json"];
        let reader = shm(&["read", &name, "--delimiter", MARK, "--count", "3"]);
        let reader = reader.args(&["--timeout", "20s"]).args(&both).start();
        let writer = shm(&["write", &name, "--rate", "1MB"]);
        let writer = writer.args(&both).args(framing).args(how);
        let writer = writer
            .args(&files.each_ref().map(|file| file.path()))
            .start();
        let create = ["create", "ring", &name, "-n", "8", "-b", "8"];
        shm(&create).run().exits(0);
        let written = writer.finish().exits(0).summary();
        let read = reader.finish().exits(0);
        let hash = |items: &[String]| blake3::hash(items.concat().as_bytes()).to_string();
        assert_eq!(written["hash"], hash(&items), "{framing:?} {how:?}");
        assert_eq!(written["nodes"], 5, "{framing:?} {how:?}");
        assert_eq!(written["dropped_nodes"], 0, "{framing:?} {how:?}");
        assert_eq!(read.summary()["hash"], hash(&items[..3]));
        assert_eq!(read.summary()["nodes"], 3);
        let nodes = split(&read.stdout);
        let expected: Vec<_> = items[..3].iter().map(String::as_bytes).collect();
        assert_eq!(nodes, expected, "{framing:?} {how:?}");
        let rest = shm(&["read", &name, "--no-wait"]).run().exits(0);
        assert_eq!(rest.stdout, items[3..].concat().as_bytes());
    }
}

#[test]
fn a_count_is_of_nodes_and_a_worker_gets_whole_lines() {
    let ring = Ring::new(8, "8");
    write(&ring, &["--lines"], "a\nb\nc\nd\ne\nf\ng\nh\ni\n").exits(0);
    let read = shm(&["read", &ring.name, "--count", "2"]).run().exits(0);
    assert_eq!(read.stdout, b"a\nb\nc\nd\ne\nf\ng\nh\n");
    assert_eq!(nodes(&ring), [b"i\n"]);
}

#[test]
fn a_full_ring_is_waited_for_and_timed_out() {
    let ring = Ring::new(2, "8");
    let flags = ["--lines", "--timeout", "100ms"];
    let done = write(&ring, &flags, "1234567\n".repeat(3)).fails(4);
    assert!(done.error_line().contains("no node came free"));
    assert_eq!(nodes(&ring).concat(), b"1234567\n1234567\n");
    // One whose lines just fit has nothing to wait for.
    write(&ring, &flags, "1234567\n".repeat(2)).exits(0);
    assert_eq!(nodes(&ring).len(), 2);
}

#[test]
fn framing_is_for_rings_and_there_is_one_at_most() {
    let array = Store::array("u8", 4);
    let buffer = Store::buffer("64");
    let all: [&[&str]; 4] = [
        &["--lines"],
        &["--null"],
        &["--record", "2"],
        &["--message"],
    ];
    for flags in all {
        for store in [&array, &buffer] {
            let done = store.write(flags).input("1 2").run().fails(2);
            let line = done.error_line();
            assert!(
                line.contains(&format!("{} does not apply", flags[0])),
                "{line}"
            );
        }
        for other in all.iter().filter(|other| **other != flags) {
            let none = Name::unused();
            let both = shm(&["write", &none])
                .args(flags)
                .args(other)
                .run()
                .fails(2);
            assert!(both.error_line().contains("cannot be used with"));
        }
    }
}
