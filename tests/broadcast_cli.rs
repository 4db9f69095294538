//! Broadcast rings as a user sees them: made, read from, looked at, measured. What
//! each reader is told is its own; what a ring is told is its slowest reader's. (That
//! the bytes are right is tested with the streams.)

mod harness;

use harness::{Done, Name, Proc, Ring, Shm, Store, shm, until};
use serde_json::Value;
use shmkit::ring::{Claim, Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::OpenOptions;

fn broadcast(nodes: u64, node_size: &str) -> Ring {
    let nodes = nodes.to_string();
    Ring::with(&["-n", &nodes, "-b", node_size, "--delivery", "broadcast"])
}

/// `shm read RING FLAGS`, which has its place and waits for nodes.
#[track_caller]
fn reading(ring: &Ring, flags: &[&str]) -> Proc {
    let reader = shm(&["read", &ring.name]).args(flags).start();
    until("the reader waits", || {
        let all = ring.inspect();
        let rows = all["participants"].as_array().unwrap();
        let own = rows.iter().find(|row| row["pid"] == reader.pid());
        own.is_some_and(|row| row["waits"].as_u64() > Some(0))
    });
    reader
}

/// `shm write RING FLAGS` of so many items of 8 bytes, each a node of its own.
fn writing(ring: &Ring, count: usize, flags: &[&str]) -> Shm {
    let items: String = (1..=count).map(|i| format!("{i:07}\n")).collect();
    shm(&["write", &ring.name, "--record", "8"])
        .args(flags)
        .input_file(items)
}

#[track_caller]
fn text(done: Done) -> String {
    String::from_utf8(done.exits(0).stdout).unwrap()
}

/// The reader's row of `shm inspect --json`.
#[track_caller]
fn row(all: &Value, reader: &Proc) -> Value {
    let rows = all["participants"].as_array().unwrap();
    let own = rows.iter().find(|row| row["pid"] == reader.pid());
    own.unwrap_or_else(|| panic!("no such reader in {all}"))
        .clone()
}

// ---- made, and read from ----------------------------------------------------

#[test]
fn what_is_made_says_what_it_is() {
    let name = Name::unused();
    let create = |flags: &[&str]| shm(&["create", "ring", &name]).args(flags).run();
    let made = create(&["--delivery", "broadcast", "--json"]).exits(0);
    assert_eq!(made.json()["ring"]["delivery"], "broadcast");
    create(&["--delivery", "broadcast", "--if-not-exists"]).exits(0);
    let other = create(&["--if-not-exists"]).fails(1);
    for delivery in ["broadcast delivery", "queue delivery"] {
        assert!(other.error_line().contains(delivery), "{other:?}");
    }
    let seen = text(shm(&["inspect", &name]).run());
    assert!(
        seen.contains("ring of 20 x 64 KiB, broadcast, futex"),
        "{seen}"
    );
}

#[test]
fn events_wake_one_reader_only_and_are_refused() {
    let name = Name::unused();
    let create = ["create", "ring", &name, "--delivery", "broadcast"];
    let done = shm(&create).args(&["--wait", "event"]).run().fails(2);
    assert!(done.error_line().contains("events"), "{done:?}");
    assert!(!name.exists());
    let bench = ["bench", "--delivery", "broadcast", "--wait", "event"];
    shm(&bench).run().fails(2);
}

#[test]
fn help_says_how_to_get_it() {
    let help = |command: &[&str]| text(shm(command).arg("--help").run());
    let create = help(&["create", "ring"]);
    assert!(
        create.contains("Each node goes to every reader"),
        "{create}"
    );
    let read = help(&["read"]);
    for words in ["--from <WHERE>", "oldest", "newest"] {
        assert!(read.contains(words), "{words}: {read}");
    }
}

#[test]
fn from_is_for_broadcast_rings() {
    let queue = Ring::new(4, "8");
    let done = shm(&["read", &queue.name, "--from", "oldest"]).run();
    let done = done.fails(2);
    assert!(
        done.error_line()
            .contains("--from does not apply to a queue"),
        "{done:?}"
    );
    let page = Store::buffer("64");
    let done = shm(&["read", &page.name, "--from", "newest"]).run();
    assert!(done.fails(2).error_line().contains("to a buffer"));
}

#[test]
fn a_reader_begins_with_the_newest_or_with_the_oldest_that_is_there() {
    let ring = broadcast(4, "8");
    writing(&ring, 7, &["--on-full", "drop-old"]).run().exits(0);
    let read = |flags: &[&str]| text(shm(&["read", &ring.name, "--no-wait"]).args(flags).run());
    assert_eq!(read(&[]), "");
    assert_eq!(read(&["--from", "newest"]), "");
    // Again and again: reading takes nothing away.
    for _ in 0..2 {
        let there = read(&["--from", "oldest"]);
        assert_eq!(there, "0000004\n0000005\n0000006\n0000007\n");
    }
    assert_eq!(read(&["--from", "oldest", "--count", "1"]), "0000004\n");
}

// ---- what a reader is told --------------------------------------------------

#[test]
fn a_reader_is_told_what_it_missed() {
    let ring = broadcast(4, "8");
    let json = reading(&ring, &["--json"]);
    let stats = reading(&ring, &["--stats"]);
    let plain = reading(&ring, &[]);
    let quiet = reading(&ring, &["--quiet"]);
    let all = [json, stats, plain, quiet];
    all.iter().for_each(Proc::stop);
    let written = writing(&ring, 100, &["--on-full", "drop-old", "--json"]).run();
    let written = written.exits(0).summary();
    assert_eq!(written["dropped_nodes"], 96);
    assert_eq!(written.get("missed_nodes"), None, "{written}");

    all.iter().for_each(Proc::resume);
    let [json, stats, plain, quiet] = all.map(|reader| reader.finish().exits(0));
    for done in [&json, &stats, &plain, &quiet] {
        let there = "0000097\n0000098\n0000099\n0000100\n";
        assert_eq!(String::from_utf8_lossy(&done.stdout), there);
    }
    let summary = json.summary();
    assert_eq!(json.stderr.lines().count(), 1, "one object: {json:?}");
    assert_eq!(
        (&summary["missed_nodes"], &summary["nodes"]),
        (&96.into(), &4.into())
    );
    assert_eq!(summary["clean"], true);
    assert!(stats.stderr.contains(", 96 missed\n"), "{stats:?}");
    let line = format!("shm: {}: 96 nodes missed: ", &*ring.name);
    assert_eq!(plain.stderr.lines().count(), 1, "{plain:?}");
    assert!(plain.stderr.starts_with(&line), "{plain:?}");
    quiet.silent();

    let all = ring.inspect();
    assert_eq!(all["ring"]["missed_nodes"], 4 * 96, "{all}");
    assert_eq!(ring.number("dropped_nodes"), 96);
}

#[test]
fn who_missed_nothing_is_told_so_and_only_of_a_broadcast_ring() {
    let ring = broadcast(4, "8");
    let reader = reading(&ring, &["--json"]);
    writing(&ring, 10, &[]).run().exits(0).silent();
    assert_eq!(reader.finish().exits(0).summary()["missed_nodes"], 0);
    let queue = Ring::new(4, "8");
    writing(&queue, 4, &[]).run().exits(0);
    let read = shm(&["read", &queue.name, "--json"]).run().exits(0);
    assert_eq!(read.summary().get("missed_nodes"), None, "{read:?}");
    let all = queue.inspect();
    assert_eq!(all["ring"].get("missed_nodes"), None, "{all}");
}

#[test]
fn each_reader_has_its_own_diff_and_the_ring_the_largest() {
    let ring = broadcast(4, "8");
    let slow = reading(&ring, &[]);
    slow.stop();
    let quick = reading(&ring, &["--count", "4", "--json"]);
    let other = reading(&ring, &[]);
    writing(&ring, 4, &["--keep-open"]).run().exits(0);
    let summary = quick.finish().exits(0).summary();
    assert_eq!(
        (&summary["diff_nodes"], &summary["nodes"]),
        (&0.into(), &4.into())
    );

    until("the other reader has read all", || {
        row(&ring.inspect(), &other)["nodes"] == 4
    });
    let all = ring.inspect();
    assert_eq!(row(&all, &slow)["diff_nodes"], 4, "{all}");
    assert_eq!(row(&all, &slow)["missed_nodes"], 0, "{all}");
    assert_eq!(row(&all, &other)["diff_nodes"], 0, "{all}");
    let (diff, states) = (&all["ring"]["diff_nodes"], &all["ring"]["states"]);
    assert_eq!((diff, &states["ready"]), (&4.into(), &4.into()), "{all}");
    let listed = text(shm(&["list"]).run());
    let line = listed.lines().find(|line| line.starts_with(&*ring.name));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[words.len() - 2], "4", "the diff in {words:?}");
    let seen = text(shm(&["inspect", &ring.name]).run());
    let full = format!("(pid {}), 4 nodes behind", slow.pid());
    assert!(seen.contains(&full), "{seen}");

    // Its own diff is what it has left there when it leaves.
    let oldest = [
        "read", &ring.name, "--from", "oldest", "--count", "1", "--json",
    ];
    let summary = shm(&oldest).run().exits(0).summary();
    assert_eq!(
        (&summary["nodes"], &summary["diff_nodes"]),
        (&1.into(), &3.into())
    );

    slow.resume();
    writing(&ring, 1, &[]).run().exits(0);
    assert_eq!(text(slow.finish()).lines().count(), 5);
    assert_eq!(text(other.finish()).lines().count(), 5);
    assert!(ring.is_drained(), "{}", ring.inspect());
    let nodes = text(shm(&["inspect", &ring.name, "--nodes"]).run());
    let last = nodes.lines().find(|line| line.trim_end().ends_with(" 4"));
    assert!(last.is_some_and(|line| line.contains("free")), "{nodes}");
}

// ---- whom a writer waits for ------------------------------------------------

#[test]
fn a_writer_that_waits_names_the_reader_that_it_waits_for() {
    let ring = broadcast(4, "8");
    let quick = reading(&ring, &[]);
    let slow = reading(&ring, &[]);
    slow.stop();
    let timed_out = writing(&ring, 9, &["--timeout", "300ms", "--keep-open"]).run();
    let timed_out = timed_out.fails(4);
    let pid = slow.pid();
    let why = format!("the slowest reader (pid {pid}, 4 nodes behind) freed no node for 300ms");
    assert!(timed_out.error_line().contains(&why), "{timed_out:?}");

    let writer = writing(&ring, 9, &["--progress"]).start();
    let waits = format!("ring full: waiting for reader {pid}");
    until("the progress says so", || {
        writer.stderr_so_far().contains(&waits)
    });
    slow.resume();
    writer.finish().exits(0);
    assert_eq!(text(slow.finish()).lines().count(), 4 + 9);
    assert_eq!(text(quick.finish()).lines().count(), 4 + 9);
}

// ---- measured ---------------------------------------------------------------

fn bench(flags: &[&str]) -> Vec<Value> {
    let bench = ["bench", "-n", "4", "-b", "1K", "--elements", "400"];
    let done = shm(&bench)
        .args(&["--repeat", "1", "--baseline", "none", "--json"])
        .args(flags)
        .run()
        .exits(0);
    done.json()["runs"].as_array().unwrap().clone()
}

/// Which delivery, and by how much the rates of each reader, and both ways, differ from
/// the rate that was written with, in hundredths.
fn rates(row: &Value) -> (&str, f64, f64) {
    let rate = |key: &str| row[key].as_f64().unwrap() / row["mb_per_s"].as_f64().unwrap();
    let hundredths = |key: &str| (100.0 * rate(key)).round();
    let delivery = row["delivery"].as_str().unwrap();
    (
        delivery,
        hundredths("mb_per_s_per_reader"),
        hundredths("mb_per_s_both_ways"),
    )
}

#[test]
fn bench_rows_say_what_each_reader_reads() {
    for flags in [
        &["--verify"][..],
        &["--verify", "--threads"],
        &["--in-place", "--threads"],
    ] {
        let rows = bench(
            &[
                &["-w", "2", "-r", "2", "--delivery", "queue,broadcast"],
                flags,
            ]
            .concat(),
        );
        let found: Vec<_> = rows.iter().map(rates).collect();
        assert_eq!(
            found,
            [("queue", 50.0, 200.0), ("broadcast", 100.0, 300.0)],
            "{flags:?}"
        );
        for row in &rows {
            assert_eq!(
                (&row["nodes_moved"], &row["diff_final"]),
                (&400.into(), &0.into()),
                "{row}"
            );
            assert_eq!(row["failed"], Value::Null, "{row}");
            assert!(flags[0] != "--verify" || row["verified"] == true, "{row}");
        }
    }
}

#[test]
fn bench_times_the_way_to_every_reader() {
    let rows = bench(&["-r", "2", "--delivery", "broadcast", "--latency"]);
    for latency in ["latency_ns", "one_way_ns"] {
        assert!(rows[0][latency]["p50"].as_u64() > Some(0), "{}", rows[0]);
    }
}

#[test]
fn the_table_has_a_column_for_each_readers_rate() {
    let bench = [
        "bench",
        "-n",
        "4",
        "-b",
        "1K",
        "--elements",
        "100",
        "--repeat",
        "1",
    ];
    let table = |flags: &[&str]| {
        let bench = shm(&bench).args(&["--baseline", "none"]).args(flags);
        text(bench.run())
    };
    let several = table(&["--delivery", "broadcast", "-r", "2"]);
    assert!(several.contains("  PER READER  "), "{several}");
    assert!(several.contains("\nbroadcast, wait futex"), "{several}");
    assert!(!table(&[]).contains("PER READER"), "one reader reads all");
}

// ---- by the library ---------------------------------------------------------

#[test]
fn a_monitor_says_how_much_each_reader_has_yet_to_claim() {
    let ring = broadcast(4, "8");
    let name = shmkit::segment::Name::new(&ring.name).unwrap();
    let reader = || Reader::attach(&name, &ReaderOptions::default()).unwrap();
    let (mut quick, slow) = (reader(), reader());
    let mut writer = Writer::attach(&name, OpenOptions::default()).unwrap();
    let monitor = writer.monitor();
    let left = || [&quick, &slow].map(|reader| monitor.unclaimed_by(reader.slot()));
    assert_eq!(left(), [0, 0]);
    for _ in 0..3 {
        writer.write(b"x", &Wait::default()).unwrap();
    }
    assert_eq!(left(), [3, 3]);
    let slot = quick.slot();
    let Some(Claim::Nodes(nodes)) = quick.try_claim(1, 1).unwrap() else {
        panic!("nothing was there");
    };
    // What is in hand is claimed, and still in the diff.
    assert_eq!(
        (monitor.unclaimed_by(slot), monitor.unclaimed_nodes()),
        (2, 3)
    );
    let diffs = monitor.reader_diffs();
    let own = diffs.iter().find(|reader| reader.slot == slot).unwrap();
    assert_eq!(monitor.slowest_reader(), Some(own.pid));
    assert_eq!((own.diff.nodes, own.in_hand), (3, 1));
    nodes.release_all();
    drop(quick);
    assert_eq!(monitor.unclaimed_by(slot), 0, "it has left");
    assert_eq!(monitor.unclaimed_by(u32::MAX), 0, "there is no such entry");
}
