//! Byte-exact streams: what goes in at one end comes out at the other, every
//! byte in its place, whatever the shape of the ring and whoever starts first.
//!
//! The gigabytes are generated on the way in and compared on the way out, byte
//! for byte; none is stored. Node size 1 moves less, for a byte a node is slow
//! by nature.

mod harness;

use harness::{GIGABYTE_PATIENCE, Pattern, Ring, Shm, shm, until};
use std::io::Write;
use std::time::Instant;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

#[derive(Clone, Copy)]
enum First {
    Reader,
    Writer,
}

/// `volume` bytes and a few more, so that the last node is not full, through a
/// ring of that shape: from a pipe, to a pipe.
#[track_caller]
fn stream(nodes: u64, node_size: &str, volume: u64, first: First) {
    let ring = Ring::new(nodes, node_size);
    let pattern = Pattern::new(volume ^ nodes, volume + 17);
    let write = shm(&["write", &ring.name]).input_pattern(&pattern);
    let read = shm(&["read", &ring.name]).verify(&pattern);
    let begun = Instant::now();
    let (writer, reader) = match first {
        First::Reader => {
            let reader = read.start();
            until("the reader is attached", || ring.living("reader") == 1);
            (write.start(), reader)
        }
        First::Writer => {
            let writer = write.start();
            until("the ring is full", || ring.state("ready") == nodes);
            (writer, read.start())
        }
    };
    let written = writer.finish_within(GIGABYTE_PATIENCE).exits(0).silent();
    let read = reader.finish_within(GIGABYTE_PATIENCE).exits(0).silent();
    read.verdict.unwrap().is_whole(&pattern);
    assert!(written.stdout.is_empty());
    let ring_now = ring.inspect();
    assert_eq!(ring_now["ring"]["written_bytes"], pattern.len);
    assert_eq!(ring_now["ring"]["read_bytes"], pattern.len);
    assert_eq!(ring_now["ring"]["abandoned_nodes"], 0);
    assert_eq!(ring_now["ring"]["redelivered_nodes"], 0);
    assert!(ring.is_drained(), "{ring_now}");
    eprintln!(
        "{nodes} x {node_size}: {volume} bytes in {:.1?}",
        begun.elapsed()
    );
}

#[test]
fn a_gigabyte_through_two_nodes_of_1m() {
    stream(2, "1M", GIB, First::Reader);
}

#[test]
fn a_gigabyte_through_20_nodes_of_64k_is_whole_also_when_the_writer_is_first() {
    stream(20, "64K", GIB, First::Writer);
}

#[test]
fn a_gigabyte_through_20_nodes_of_1k() {
    stream(20, "1K", GIB, First::Reader);
}

#[test]
fn a_gigabyte_through_7_nodes_of_a_prime_size_is_whole_also_when_the_writer_is_first() {
    stream(7, "10007", GIB, First::Writer);
}

#[test]
fn a_gigabyte_through_3_nodes_of_8m() {
    stream(3, "8M", GIB, First::Reader);
}

#[test]
fn nodes_of_a_single_byte() {
    stream(4096, "1", 2 * MIB, First::Reader);
}

#[test]
fn two_nodes_of_a_single_byte() {
    stream(2, "1", 64 * 1024, First::Writer);
}

#[test]
fn every_shape_is_whole_in_both_start_orders() {
    for (nodes, node_size) in [
        (2, "1M"),
        (20, "64K"),
        (20, "1K"),
        (7, "10007"),
        (3, "4095"),
        (3, "4097"),
        (300, "64"),
    ] {
        stream(nodes, node_size, 33 * MIB, First::Reader);
        stream(nodes, node_size, 33 * MIB, First::Writer);
    }
}

#[test]
fn every_wait_strategy_moves_a_stream_whole() {
    for wait in ["futex", "spin", "event"] {
        let ring = Ring::with(&["-n", "4", "-b", "16K", "--wait", wait]);
        assert_eq!(ring.inspect()["ring"]["wait"], wait);
        let pattern = Pattern::new(3, 20 * MIB + 1);
        let reader = shm(&["read", &ring.name]).verify(&pattern).start();
        shm(&["write", &ring.name])
            .input_pattern(&pattern)
            .run()
            .exits(0);
        reader.finish().exits(0).verdict.unwrap().is_whole(&pattern);
        assert!(ring.is_drained());
    }
}

#[test]
fn the_default_geometry_moves_a_stream_whole() {
    let ring = Ring::with(&[]);
    assert_eq!(ring.number("nodes"), 20);
    assert_eq!(ring.number("node_size"), 64 * 1024);
    let pattern = Pattern::new(5, 10 * MIB + 3);
    let reader = shm(&["read", &ring.name]).verify(&pattern).start();
    shm(&["write", &ring.name])
        .input_pattern(&pattern)
        .run()
        .exits(0);
    reader.finish().exits(0).verdict.unwrap().is_whole(&pattern);
}

#[test]
fn several_inputs_go_through_in_turn_and_a_dash_among_them_is_stdin() {
    let ring = Ring::new(5, "10007");
    let parts: Vec<_> = (0..3).map(|i| Pattern::new(10 + i, 500_000 + i)).collect();
    let (first, last) = (parts[0].file(), parts[2].file());
    let reader = shm(&["read", &ring.name]).start();
    shm(&["write", &ring.name])
        .arg(first.path())
        .arg("-")
        .arg(last.path())
        .input_pattern(&parts[1])
        .run()
        .exits(0)
        .silent();
    let expected: Vec<u8> = parts.iter().flat_map(Pattern::bytes).collect();
    assert!(reader.finish().exits(0).stdout == expected);
}

#[test]
fn empty_inputs_between_others_change_nothing() {
    let ring = Ring::new(3, "4K");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let pattern = Pattern::new(1, 100_001);
    let file = pattern.file();
    let reader = shm(&["read", &ring.name]).verify(&pattern).start();
    let inputs = [
        empty.path(),
        file.path(),
        empty.path(),
        std::path::Path::new("/dev/null"),
    ];
    shm(&["write", &ring.name]).args(&inputs).run().exits(0);
    reader.finish().exits(0).verdict.unwrap().is_whole(&pattern);
}

#[test]
fn an_empty_input_is_a_stream_without_bytes() {
    let ring = Ring::new(3, "4K");
    let reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    shm(&["write", &ring.name]).run().exits(0).silent();
    assert!(reader.finish().exits(0).silent().stdout.is_empty());
    assert_eq!(
        ring.number("written_nodes"),
        0,
        "an empty input publishes no node"
    );
}

#[test]
fn a_single_byte_is_a_stream() {
    let ring = Ring::new(2, "64M");
    let reader = shm(&["read", &ring.name]).start();
    shm(&["write", &ring.name]).input("x").run().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"x");
}

#[test]
fn exactly_full_nodes_are_followed_by_no_empty_one() {
    let ring = Ring::new(4, "4K");
    let pattern = Pattern::new(2, 3 * 4096);
    shm(&["write", &ring.name])
        .arg(pattern.file().path())
        .run()
        .exits(0);
    assert_eq!(ring.number("written_nodes"), 3);
    assert_eq!(ring.number("written_bytes"), 3 * 4096);
    shm(&["read", &ring.name])
        .verify(&pattern)
        .run()
        .exits(0)
        .verdict
        .unwrap()
        .is_whole(&pattern);
}

#[test]
fn a_file_and_a_pipe_are_the_same_as_input_and_as_output() {
    let ring = Ring::new(6, "30K");
    let pattern = Pattern::new(9, 40 * MIB + 5);
    let input = pattern.file();
    for stdin_is_the_file in [false, true] {
        let output = tempfile::NamedTempFile::new().unwrap();
        let reader = shm(&["read", &ring.name, "-o"]).arg(output.path()).start();
        let writer = shm(&["write", &ring.name]);
        let writer = if stdin_is_the_file {
            writer.stdin(input.reopen().unwrap())
        } else {
            writer.arg(input.path())
        };
        writer.run().exits(0).silent();
        assert!(reader.finish().exits(0).silent().stdout.is_empty());
        pattern
            .verify(&mut output.reopen().unwrap())
            .is_whole(&pattern);
    }
    // Stdout as a file, with something in it already that must stay.
    let mut output = tempfile::NamedTempFile::new().unwrap();
    output.write_all(b"before").unwrap();
    let appended = std::fs::OpenOptions::new()
        .append(true)
        .open(output.path())
        .unwrap();
    let reader = shm(&["read", &ring.name]).stdout(appended).start();
    shm(&["write", &ring.name]).arg(input.path()).run().exits(0);
    reader.finish().exits(0);
    let bytes = std::fs::read(output.path()).unwrap();
    assert!(bytes.starts_with(b"before"));
    pattern.verify(&mut &bytes[6..]).is_whole(&pattern);
}

#[test]
fn an_output_file_is_made_or_emptied_first() {
    let ring = Ring::new(2, "4K");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for (before, input) in [(None, "new"), (Some("something longer"), "short")] {
        if let Some(before) = before {
            std::fs::write(&path, before).unwrap();
        }
        shm(&["write", &ring.name]).input(input).run().exits(0);
        shm(&["read", &ring.name, "-o"]).arg(&path).run().exits(0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), input);
    }
}

#[test]
fn an_input_from_an_offset_is_read_from_there() {
    // `{ read line; shm write ...; } < FILE`: the descriptor has moved on.
    use std::io::Seek;
    let ring = Ring::new(3, "1000");
    let pattern = Pattern::new(4, 50_000);
    let mut input = pattern.file().reopen().unwrap();
    input.seek(std::io::SeekFrom::Start(12_345)).unwrap();
    let reader = shm(&["read", &ring.name]).start();
    shm(&["write", &ring.name]).stdin(input).run().exits(0);
    assert!(reader.finish().exits(0).stdout == pattern.bytes()[12_345..]);
}

#[test]
fn sockets_serve_as_stdin_and_stdout() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    let ring = Ring::new(4, "10007");
    let pattern = Pattern::new(8, 30 * MIB + 1);
    let (mut source, stdin) = UnixStream::pair().unwrap();
    let (mut sink, stdout) = UnixStream::pair().unwrap();
    let reader = shm(&["read", &ring.name])
        .stdout(OwnedFd::from(stdout))
        .start();
    let writer = shm(&["write", &ring.name])
        .stdin(OwnedFd::from(stdin))
        .start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pattern.write_to(&mut source).unwrap();
            source.shutdown(std::net::Shutdown::Write).unwrap();
        });
        pattern.verify(&mut sink).is_whole(&pattern);
    });
    writer.finish().exits(0).silent();
    reader.finish().exits(0).silent();
}

#[test]
fn a_shared_descriptor_keeps_its_flags() {
    // A shell, and others, go on with the same pipe after us.
    let ring = Ring::new(4, "10007");
    let (stdin, mut source) = std::io::pipe().unwrap();
    let (mut sink, stdout) = std::io::pipe().unwrap();
    let flags = |pipe: &dyn std::os::fd::AsFd| rustix::fs::fcntl_getfl(pipe.as_fd()).unwrap();
    let before = (flags(&stdin), flags(&stdout));
    let writer = shm(&["write", &ring.name])
        .stdin(stdin.try_clone().unwrap())
        .start();
    let reader = shm(&["read", &ring.name])
        .stdout(stdout.try_clone().unwrap())
        .start();
    source.write_all(b"through").unwrap();
    let mut through = [0; 7];
    std::io::Read::read_exact(&mut sink, &mut through).unwrap();
    assert_eq!(&through, b"through");
    assert!(
        before == (flags(&stdin), flags(&stdout)),
        "changed while at work"
    );
    drop(source);
    writer.finish().exits(0);
    reader.finish().exits(0);
    assert!(
        before == (flags(&stdin), flags(&stdout)),
        "left behind changed"
    );
}

#[test]
fn an_input_that_others_made_non_blocking_is_waited_for() {
    let ring = Ring::new(4, "10007");
    let (stdin, mut source) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&stdin).unwrap();
    rustix::fs::fcntl_setfl(&stdin, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let writer = shm(&["write", &ring.name]).stdin(stdin).start();
    let reader = shm(&["read", &ring.name]).start();
    for word in ["one ", "two "] {
        source.write_all(word.as_bytes()).unwrap();
        until("the word came out", || {
            reader.stdout_so_far().ends_with(word.as_bytes())
        });
    }
    drop(source);
    writer.finish().exits(0).silent();
    assert_eq!(reader.finish().exits(0).stdout, b"one two ");
}

#[test]
fn rings_in_a_row_pass_a_stream_on() {
    let rings = [
        Ring::new(2, "64K"),
        Ring::new(20, "1000"),
        Ring::new(3, "1M"),
    ];
    let pattern = Pattern::new(6, 64 * MIB + 9);
    let [a, b, c] = rings.each_ref().map(|ring| &*ring.name);
    let script = r#"shm read "$1" | shm write "$2" & shm read "$2" | shm write "$3" & wait"#;
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_shm"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let middle = Shm::program("bash")
        .args(&["-c", script, "-", a, b, c])
        .env("PATH", path)
        .start();
    let reader = shm(&["read", c]).verify(&pattern).start();
    until("all three readers wait", || {
        rings.iter().all(|ring| ring.living("reader") == 1)
    });
    shm(&["write", a])
        .input_pattern(&pattern)
        .run_within(GIGABYTE_PATIENCE)
        .exits(0);
    middle.finish().exits(0).silent();
    reader.finish().exits(0).verdict.unwrap().is_whole(&pattern);
}

#[test]
fn a_slow_producer_is_seen_at_once() {
    let ring = Ring::new(2, "1M");
    let mut writer = shm(&["write", &ring.name]).held_stdin().start();
    let reader = shm(&["read", &ring.name]).start();
    let mut expected = Vec::new();
    for word in ["one ", "two ", "three "] {
        writer.feed(word.as_bytes());
        expected.extend_from_slice(word.as_bytes());
        until("the word came out, though its node is not full", || {
            reader.stdout_so_far() == expected
        });
    }
    assert_eq!(
        ring.state("writing"),
        0,
        "a writer without input holds no node"
    );
    writer.close_stdin();
    writer.finish().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, expected);
}
