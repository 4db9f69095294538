//! A full ring: `--on-full drop-new` and `drop-old`. A writer that drops never
//! waits, drops whole nodes and none that a reader has, keeps the order of the
//! rest, and counts every one: `diff = written - read - dropped`, always.

mod harness;

use harness::{Done, Ring, SECONDS, Store, decode_records, records, shm, until};
use shmkit::ring::{Claim, OnFull, Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::os::unix::process::ExitStatusExt;

/// `shm write RING --on-full HOW FLAGS` of a file.
#[track_caller]
fn write(ring: &Ring, how: &str, flags: &[&str], input: impl AsRef<[u8]>) -> Done {
    shm(&["write", &ring.name, "--on-full", how])
        .args(flags)
        .input_file(input)
        .run()
}

/// All that is left, as lines.
#[track_caller]
fn rest(ring: &Ring) -> Vec<String> {
    let read = shm(&["read", &ring.name, "--no-wait"]).run().exits(0);
    let text = String::from_utf8(read.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Lines `from` to `to`, of 8 bytes with their ends.
fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|i| format!("{i:07}")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The ring's numbers agree, and say that so many nodes were dropped, of
/// `bytes` bytes each.
#[track_caller]
fn adds_up(ring: &Ring, dropped: u64, bytes: u64) {
    let all = ring.inspect();
    let of = |key: &str| all["ring"][key].as_u64().unwrap();
    assert_eq!(of("dropped_nodes"), dropped, "{all}");
    assert_eq!(of("dropped_bytes"), dropped * bytes, "{all}");
    for unit in ["nodes", "bytes"] {
        let of = |what: &str| of(&format!("{what}_{unit}"));
        let diff = of("written") - of("read") - of("dropped");
        assert_eq!(of("diff"), diff, "{unit}: {all}");
    }
}

fn handle(ring: &Ring) -> Name {
    Name::new(&ring.name).unwrap()
}

fn reader(ring: &Ring) -> Reader {
    Reader::attach(&handle(ring), &ReaderOptions::default()).unwrap()
}

fn writer(ring: &Ring) -> Writer {
    Writer::attach(&handle(ring), OpenOptions::default()).unwrap()
}

// ---- which nodes are dropped ------------------------------------------------

#[test]
fn drop_new_keeps_what_was_there_first() {
    let ring = Ring::new(4, "8");
    for flags in [&[][..], &["--lines"], &["--record", "8"]] {
        let before = ring.number("dropped_nodes");
        let done = write(&ring, "drop-new", flags, text(&numbered(1, 100)));
        done.exits(0).silent();
        adds_up(&ring, before + 96, 8);
        assert_eq!(ring.number("diff_nodes"), 4);
        assert_eq!(rest(&ring), numbered(1, 4), "{flags:?}");
    }
}

#[test]
fn drop_old_keeps_what_came_last() {
    let ring = Ring::new(4, "8");
    for flags in [&[][..], &["--lines"], &["--record", "8"]] {
        let before = ring.number("dropped_nodes");
        let done = write(&ring, "drop-old", flags, text(&numbered(1, 100)));
        done.exits(0).silent();
        adds_up(&ring, before + 96, 8);
        assert_eq!(ring.number("diff_nodes"), 4);
        assert_eq!(rest(&ring), numbered(97, 100), "{flags:?}");
    }
}

#[test]
fn large_nodes_are_dropped_just_as_well() {
    let records = records(1, 50, 64 * 1024);
    for (how, left) in [("drop-new", 0..3), ("drop-old", 47..50)] {
        let ring = Ring::new(3, "64K");
        write(&ring, how, &["--record", "64K"], &records).exits(0);
        adds_up(&ring, 47, 64 * 1024);
        let read = shm(&["read", &ring.name]).run().exits(0);
        let got = decode_records(&read.stdout, 64 * 1024);
        assert_eq!(got, left.map(|i| (1, i)).collect::<Vec<_>>(), "{how}");
    }
}

#[test]
fn messages_are_dropped_whole() {
    let ring = Ring::new(2, "64");
    let file = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        file
    };
    let files = ["one\n", "", "three\n", "four\n"].map(file);
    let paths = files.each_ref().map(|file| file.path());
    let flags = ["write", &ring.name, "--message", "--on-full", "drop-old"];
    shm(&flags).args(&paths).run().exits(0).silent();
    assert_eq!(ring.number("dropped_nodes"), 2);
    assert_eq!(rest(&ring), ["three", "four"]);
}

#[test]
fn by_default_a_full_ring_is_waited_for() {
    let ring = Ring::new(2, "8");
    for flags in [&[][..], &["--on-full", "block"]] {
        let writer = shm(&["write", &ring.name, "--lines"]).args(flags);
        let writer = writer.input_file(text(&numbered(1, 5))).start();
        until("the ring is full", || ring.state("ready") == 2);
        let read = shm(&["read", &ring.name]).run().exits(0);
        assert_eq!(read.stdout, text(&numbered(1, 5)).as_bytes());
        writer.finish().exits(0).silent();
        adds_up(&ring, 0, 0);
    }
}

#[test]
fn nothing_is_dropped_for_half_an_item() {
    let ring = Ring::new(2, "16");
    write(&ring, "block", &["--lines", "--keep-open"], "one\n").exits(0);
    write(&ring, "block", &["--lines", "--keep-open"], "two\n").exits(0);
    let flags = ["write", &ring.name, "--lines", "--on-full", "drop-old"];
    let mut writer = shm(&flags).held_stdin().start();
    writer.feed(b"thr");
    until("the writer is attached", || ring.living("writer") == 1);
    harness::holds_for(
        std::time::Duration::from_millis(100),
        "both are there",
        || ring.state("ready") == 2 && ring.number("dropped_nodes") == 0,
    );
    writer.feed(b"ee\nfo");
    until("a node is dropped", || ring.number("dropped_nodes") == 1);
    writer.close_stdin();
    writer.finish().exits(0).silent();
    // The last item went to the end of the input, and took a node too.
    assert_eq!(rest(&ring), ["three", "fo"]);
}

// ---- never a node that a reader has -----------------------------------------

#[test]
fn what_a_reader_has_in_hand_stays_as_it_is() {
    let ring = Ring::new(4, "8");
    write(&ring, "block", &["--lines"], text(&numbered(1, 4))).exits(0);
    let mut slow = reader(&ring);
    let Claim::Nodes(nodes) = slow.claim(1, 1, &Wait::default()).unwrap() else {
        panic!("four nodes are there")
    };
    write(&ring, "drop-old", &["--lines"], text(&numbered(5, 100))).exits(0);
    assert_eq!(nodes.node(0), b"0000001\n");
    nodes.release_all();
    drop(slow);
    assert_eq!(rest(&ring), numbered(98, 100));
    adds_up(&ring, 96, 8);
}

#[test]
fn with_all_nodes_in_readers_hands_the_new_one_is_dropped() {
    let ring = Ring::new(2, "8");
    write(&ring, "block", &["--lines"], text(&numbered(1, 2))).exits(0);
    let mut slow = reader(&ring);
    let Claim::Nodes(nodes) = slow.claim(2, usize::MAX, &Wait::default()).unwrap() else {
        panic!("two nodes are there")
    };
    assert_eq!(nodes.len(), 2);
    let lines = text(&numbered(3, 10));
    let done = write(&ring, "drop-old", &["--lines", "--json"], lines);
    assert_eq!(done.exits(0).summary()["dropped_nodes"], 8);
    assert_eq!(
        (nodes.node(0), nodes.node(1)),
        (&b"0000001\n"[..], &b"0000002\n"[..])
    );
    nodes.release_all();
    drop(slow);
    assert!(rest(&ring).is_empty());
    adds_up(&ring, 8, 8);
}

#[test]
fn what_a_dead_reader_had_can_be_dropped() {
    let ring = Ring::new(2, "2M");
    write(&ring, "block", &["--record", "2M"], vec![0; 4 << 20]).exits(0);
    // Its output is full: it has the first node in hand when it is killed.
    let reader = shm(&["read", &ring.name]).held_stdout().start();
    until("it has a node", || ring.state("reading") == 1);
    let mut writer = writer(&ring);
    assert_eq!(reader.kill().status.signal(), Some(9));
    let mut offered = 2;
    until("the dead one's node is dropped", || {
        offered += 1;
        let line = format!("{offered:07}\n");
        let wait = Wait::default();
        writer
            .offer(line.as_bytes(), OnFull::DropOld, &wait)
            .unwrap();
        ring.state("reading") == 0
    });
    for i in 1..=2 {
        let line = format!("{:07}\n", offered + i);
        let published = writer.offer(line.as_bytes(), OnFull::DropOld, &Wait::default());
        assert!(published.unwrap());
    }
    writer.end();
    assert_eq!(rest(&ring), numbered(offered + 1, offered + 2));
    assert_eq!(ring.number("dropped_nodes"), offered as u64);
    assert!(ring.is_drained());
}

#[test]
fn what_was_given_back_is_the_oldest() {
    let ring = Ring::new(3, "8");
    let (mut writer, mut other) = (writer(&ring), reader(&ring));
    let wait = Wait::default();
    for line in ["one", "two", "three"] {
        writer.write(line.as_bytes(), &wait).unwrap();
    }
    // The second is read, the first given back: an orphan.
    drop(other.claim(1, 1, &wait).unwrap());
    assert_eq!(ring.state("orphan"), 1);
    assert!(writer.offer(b"four", OnFull::DropOld, &wait).unwrap());
    assert_eq!(ring.state("orphan"), 0);
    assert_eq!(writer.stats().dropped_bytes, 3);
    writer.end();
    for line in ["two", "three", "four"] {
        let Claim::Nodes(nodes) = other.claim(1, 1, &wait).unwrap() else {
            panic!("{line} is missing")
        };
        assert_eq!(nodes.node(0), line.as_bytes());
        nodes.release_all();
    }
}

#[test]
fn a_node_that_was_dropped_for_nothing_is_free() {
    let ring = Ring::new(2, "8");
    let mut writer = writer(&ring);
    writer.write(b"one", &Wait::default()).unwrap();
    writer.write(b"two", &Wait::default()).unwrap();
    drop(writer.reserve_or_drop_oldest().unwrap().unwrap());
    assert_eq!((ring.state("free"), ring.number("dropped_nodes")), (1, 1));
    // With a node free none is dropped.
    drop(writer.reserve_or_drop_oldest().unwrap().unwrap());
    assert_eq!((ring.state("free"), ring.number("dropped_nodes")), (1, 1));
}

// ---- while others work ------------------------------------------------------

/// The numbers that somebody read are in order, and each node that was written
/// was read or is counted as dropped.
#[test]
fn a_reader_at_work_gets_the_rest_in_order() {
    for how in ["drop-old", "drop-new"] {
        let ring = Ring::new(4, "64");
        let reader = shm(&["read", &ring.name, "--json"]).start();
        until("the reader is attached", || ring.living("reader") == 1);
        let input = text(&numbered(1, 200_000));
        let written = write(&ring, how, &["--lines", "--json"], &input).exits(0);
        let read = reader.finish().exits(0);
        let lines = String::from_utf8(read.stdout.clone()).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert!(
            lines.is_sorted() && lines.windows(2).all(|w| w[0] < w[1]),
            "{how}"
        );
        assert!(
            lines.iter().all(|line| line.len() == 7),
            "{how}: a line is cut"
        );
        if how == "drop-old" {
            assert_eq!(
                lines.last(),
                Some(&"0200000"),
                "the last one is never dropped"
            );
        }
        let of = |done: &Done, key: &str| done.summary()[key].as_u64().unwrap();
        let nodes = of(&written, "nodes") - of(&written, "dropped_nodes");
        assert_eq!(of(&read, "nodes"), nodes, "{how}");
        let bytes = of(&written, "bytes") - of(&written, "dropped_bytes");
        assert_eq!(of(&read, "bytes"), bytes, "{how}");
        assert_eq!(of(&written, "bytes"), input.len() as u64);
        assert!(ring.is_drained());
        assert_eq!(ring.number("read_nodes"), nodes);
    }
}

#[test]
fn many_that_drop_and_many_that_read_account_for_every_node() {
    let ring = Ring::new(5, "64");
    let readers: Vec<_> = (0..2)
        .map(|_| shm(&["read", &ring.name, "--json"]).start())
        .collect();
    until("the readers are attached", || ring.living("reader") == 2);
    // The stream goes on while one of them is late.
    let keeper = writer(&ring);
    let writers: Vec<_> = ["drop-old", "drop-old", "drop-new", "block"]
        .iter()
        .zip(0..)
        .map(|(how, number)| {
            let flags = [
                "write",
                &ring.name,
                "--record",
                "16",
                "--json",
                "--on-full",
                how,
            ];
            shm(&flags).input_file(records(number, 10_000, 16)).start()
        })
        .collect();
    let of = |done: &Done, key: &str| done.summary()[key].as_u64().unwrap();
    let (mut written, mut dropped, mut read) = (0, 0, 0);
    for writer in writers {
        let done = writer.finish().exits(0);
        written += of(&done, "bytes");
        dropped += of(&done, "dropped_bytes");
    }
    keeper.end();
    for reader in readers {
        let done = reader.finish().exits(0);
        read += of(&done, "bytes");
        let got = decode_records(&done.stdout, 16);
        for number in 0..4 {
            let own = got.iter().filter(|record| record.0 == number);
            assert!(
                own.is_sorted_by(|a, b| a.1 < b.1),
                "writer {number}'s order"
            );
        }
    }
    assert_eq!(written, 4 * 160_000);
    assert_eq!(read, written - dropped);
    assert_eq!(ring.number("dropped_bytes"), dropped);
    assert!(ring.is_drained());
}

#[test]
fn a_writer_killed_while_it_drops_leaves_nothing_uncounted() {
    for round in 0..6 {
        let ring = Ring::new(4, "64");
        let reader = shm(&["read", &ring.name, "--json", "-o", "/dev/null"]).start();
        until("the reader is attached", || ring.living("reader") == 1);
        let flags = [
            "write",
            &ring.name,
            "--record",
            "64",
            "--on-full",
            "drop-old",
        ];
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let writer = shm(&flags).stdin(zeros).start();
        until("it drops", || ring.number("dropped_nodes") > 100 * round);
        assert_eq!(writer.kill().status.signal(), Some(9));
        let read = reader.finish().exits(3);
        assert!(ring.is_drained(), "round {round}");
        // What is not counted as dropped would count as read.
        assert_eq!(read.summary()["nodes"], ring.number("read_nodes"));
        write(&ring, "drop-old", &["--lines"], text(&numbered(1, 3))).exits(0);
    }
}

#[test]
fn a_writer_that_drops_never_waits() {
    let ring = Ring::new(2, "64");
    let flags = ["write", &ring.name, "--on-full", "drop-new", "--stats"];
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let writer = shm(&flags).stdin(zeros).start();
    until("it drops", || ring.number("dropped_nodes") > 10_000);
    writer.signal(rustix::process::Signal::INT);
    let done = writer.finish_within(SECONDS).exits(130);
    assert!(done.stderr.contains("waits 0 "), "{}", done.stderr);
    assert_eq!(ring.state("ready"), 2);
}

// ---- what is told -----------------------------------------------------------

#[test]
fn drops_are_told_at_the_end_and_on_the_way() {
    let ring = Ring::new(4, "8");
    let lines = text(&numbered(1, 100));
    let done = write(&ring, "drop-old", &["--lines", "--stats"], &lines).exits(0);
    assert!(
        done.stderr.contains("written 800 B in 100 nodes"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains(", 96 dropped (768 B)"),
        "{}",
        done.stderr
    );
    let summary = write(&ring, "drop-new", &["--lines", "--json"], &lines);
    let summary = summary.exits(0).summary();
    assert_eq!(
        (&summary["nodes"], &summary["bytes"]),
        (&100.into(), &800.into())
    );
    assert_eq!(summary["dropped_nodes"], 100);
    assert_eq!(summary["dropped_bytes"], 800);
    assert_eq!(summary["diff_nodes"], 4);
    // On the way: progress.
    let flags = ["write", &ring.name, "--on-full", "drop-old", "--progress"];
    let mut writer = shm(&flags).held_stdin().start();
    writer.feed(b"x");
    until("it has dropped", || ring.number("dropped_nodes") > 196);
    until("progress says so", || {
        writer.stderr_so_far().contains("1 dropped")
    });
    writer.close_stdin();
    writer.finish().exits(0);
}

#[test]
fn inspect_shows_a_writers_nodes_with_those_it_dropped() {
    let ring = Ring::new(2, "8");
    let flags = ["write", &ring.name, "--lines", "--on-full", "drop-new"];
    let mut writer = shm(&flags).held_stdin().start();
    writer.feed(text(&numbered(1, 10)).as_bytes());
    until("ten are written", || ring.number("written_nodes") == 10);
    let all = ring.inspect();
    let own = &all["participants"][0];
    assert_eq!(
        (&own["nodes"], &own["bytes"]),
        (&10.into(), &80.into()),
        "{all}"
    );
    writer.close_stdin();
    writer.finish().exits(0);
    // The next one in the same entry begins at 0.
    let mut writer = shm(&flags).held_stdin().start();
    until("the next is attached", || ring.living("writer") == 1);
    assert_eq!(ring.inspect()["participants"][0]["nodes"], 0);
    writer.close_stdin();
    writer.finish().exits(0);
}

#[test]
fn the_hash_of_drop_new_is_that_of_what_was_published() {
    let ring = Ring::new(4, "8");
    let lines = text(&numbered(1, 100));
    let done = write(&ring, "drop-new", &["--lines", "--hash", "--json"], lines);
    let published = blake3::hash(text(&numbered(1, 4)).as_bytes()).to_string();
    assert_eq!(done.exits(0).summary()["hash"], published);
    let flags = ["read", &ring.name, "--hash", "--json", "-o", "/dev/null"];
    assert_eq!(shm(&flags).run().exits(0).summary()["hash"], published);
}

// ---- with other flags -------------------------------------------------------

#[test]
fn rate_and_keep_open_work_while_dropping() {
    let ring = Ring::new(2, "8");
    let flags = ["--lines", "--rate", "1K", "--keep-open"];
    let began = std::time::Instant::now();
    write(&ring, "drop-old", &flags, text(&numbered(1, 64))).exits(0);
    assert!(began.elapsed().as_secs_f64() > 0.2, "{:?}", began.elapsed());
    assert_eq!(ring.stream_state(), "open");
    write(&ring, "drop-old", &["--lines"], text(&numbered(65, 65))).exits(0);
    assert_eq!(rest(&ring), numbered(64, 65));
    adds_up(&ring, 63, 8);
}

#[test]
fn flags_that_make_no_sense_are_usage_errors() {
    let ring = Ring::new(2, "8");
    for how in ["drop-new", "drop-old"] {
        let done = write(&ring, how, &["--timeout", "1s"], "x").fails(2);
        assert!(done.error_line().contains("--timeout"), "{}", done.stderr);
    }
    assert_eq!(ring.stream_state(), "waiting", "nobody came");
    write(&ring, "block", &["--timeout", "1s"], "x").exits(0);
    write(&ring, "wait", &[], "x").fails(2);
    for store in [Store::array("u8", 4), Store::buffer("64")] {
        let done = store.write(&["--on-full", "drop-old"]).input("1").run();
        let done = done.fails(2);
        assert!(done.error_line().contains("--on-full does not apply"));
    }
}
