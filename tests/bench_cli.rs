//! `shm bench`: small sweeps with real workers, and all that can go wrong with
//! them. Figures are compared with each other, never with a clock.

mod harness;

use harness::{Done, PATIENCE, Proc, SECONDS, Shm, in_private_shm, shm, until, until_within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A sweep that is over in a moment, and says all of it in JSON.
fn quick(options: &[&str]) -> Shm {
    shm(&[
        "bench",
        "-n",
        "4",
        "-b",
        "1K",
        "--elements",
        "500",
        "--repeat",
        "1",
    ])
    .args(&["--json"])
    .args(options)
}

/// One that goes on until it is ended, with rows that are done soon.
fn endless(options: &[&str]) -> Shm {
    shm(&[
        "bench",
        "-n",
        "4,50",
        "-b",
        "64K",
        "--baseline",
        "none",
        "--repeat",
        "1",
    ])
    .args(&["-d", "1h", "--json"])
    .args(options)
}

fn rows(done: &Done) -> Vec<Value> {
    done.json()["runs"].as_array().expect("no runs").clone()
}

fn number(row: &Value, key: &str) -> f64 {
    row[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number {key} in {row}"))
}

#[track_caller]
fn about_equal(a: f64, b: f64) {
    assert!(
        (a - b).abs() <= 1e-6 * a.abs().max(b.abs()),
        "{a} is not {b}"
    );
}

/// Rings that the sweep of process `pid` has in `/dev/shm`.
fn rings_of(pid: u32) -> Vec<PathBuf> {
    let mark = format!("shmkit-bench-{pid}-");
    let all = std::fs::read_dir("/dev/shm").unwrap().flatten();
    all.map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(&mark))
        .collect()
}

/// Processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let child: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // "pid (name) STATE PPID ...": the name may contain anything.
        let mut words = stat[stat.rfind(')')? + 1..].split_whitespace();
        let state = words.next()?;
        let parent: u32 = words.next()?.parse().ok()?;
        (parent == pid && state != "Z").then(|| Pid::from_raw(child))?
    })
    .collect()
}

/// Waits until a sweep is in the middle of a measurement with so many workers.
#[track_caller]
fn under_way(sweep: &Proc, workers: usize) -> PathBuf {
    let mut ring = None;
    until("the workers move messages", || {
        ring = rings_of(sweep.pid()).pop();
        let busy = |ring: &PathBuf| {
            let name = ring.file_name().unwrap().to_str().unwrap();
            let done = shm(&["inspect", name, "--json"]).run();
            // More than the warm-up.
            done.status.success() && done.json()["ring"]["read_nodes"].as_u64() > Some(200)
        };
        ring.as_ref().is_some_and(busy) && children_of(sweep.pid()).len() == workers
    });
    ring.unwrap()
}

#[test]
fn a_row_has_all_that_was_promised_and_its_figures_agree() {
    let done = quick(&["-w", "1,2", "-r", "1,2"]).run().exits(0).silent();
    let all = done.json();
    for key in ["machine", "baselines", "runs"] {
        assert!(!all[key].is_null(), "{key}");
    }
    let names: BTreeSet<&str> = all["baselines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|baseline| {
            assert!(number(baseline, "mb_per_s") > 0.0, "{baseline}");
            baseline["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["memcpy", "pipe", "pipeline", "socket"])
    );
    let rows = rows(&done);
    let parties: Vec<_> = rows
        .iter()
        .map(|row| (number(row, "writers"), number(row, "readers")))
        .collect();
    assert_eq!(parties, [(1., 1.), (1., 2.), (2., 1.), (2., 2.)]);
    for row in &rows {
        for key in [
            "nodes",
            "node_size",
            "writers",
            "readers",
            "wait",
            "delivery",
            "mode",
            "in_place",
            "seconds",
            "bytes",
            "nodes_moved",
            "mb_per_s",
            "mb_per_s_per_reader",
            "mb_per_s_both_ways",
            "fraction_of_pipeline",
            "diff_mean",
            "diff_max",
            "diff_final",
            "writer_waits",
            "reader_waits",
            "latency_ns",
            "cpu_seconds",
            "verified",
        ] {
            assert!(row.get(key).is_some(), "no {key} in {row}");
        }
        assert_eq!(
            (row["nodes"].as_u64(), row["node_size"].as_u64()),
            (Some(4), Some(1024))
        );
        assert_eq!(row["nodes_moved"], 500);
        assert_eq!(row["bytes"], 500 * 1024);
        assert_eq!(row["mode"], "process");
        assert_eq!(row["diff_final"], 0);
        assert!(number(row, "diff_max") <= 4.0, "{row}");
        let rate = number(row, "mb_per_s");
        about_equal(rate, number(row, "bytes") / 1e6 / number(row, "seconds"));
        about_equal(number(row, "mb_per_s_both_ways"), 2.0 * rate);
        assert!(number(row, "fraction_of_pipeline") > 0.0, "{row}");
        assert!(number(row, "cpu_seconds") > 0.0, "{row}");
        assert_eq!(
            (&row["latency_ns"], &row["verified"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(row["failed"], Value::Null);
    }
    let pipeline = all["baselines"].as_array().unwrap();
    let pipeline = pipeline.iter().find(|b| b["name"] == "pipeline").unwrap();
    assert_eq!(pipeline["nodes"], 4);
    about_equal(
        number(&rows[0], "fraction_of_pipeline"),
        number(&rows[0], "mb_per_s") / number(pipeline, "mb_per_s"),
    );
}

#[test]
fn each_flag_shows_in_the_rows() {
    let only = |options: &[&str]| {
        let done = quick(&["--baseline", "none"]).args(options).run();
        let done = done.exits(0).silent();
        assert_eq!(done.json()["baselines"], Value::Array(vec![]));
        rows(&done)
    };
    assert_eq!(only(&["--threads"])[0]["mode"], "thread");
    assert_eq!(only(&["--in-place"])[0]["in_place"], true);
    assert_eq!(only(&["--verify"])[0]["verified"], true);
    assert_eq!(only(&["--verify", "--in-place"])[0]["verified"], true);
    let rows = only(&[
        "--wait",
        "futex,spin,event",
        "--no-pin",
        "--delivery",
        "queue",
    ]);
    let waits: Vec<_> = rows
        .iter()
        .map(|row| row["wait"].as_str().unwrap())
        .collect();
    assert_eq!(waits, ["futex", "spin", "event"]);
    let rows = only(&["-b", "16,100", "-n", "2,3"]);
    let sizes: Vec<_> = rows
        .iter()
        .map(|row| (number(row, "node_size"), number(row, "nodes")))
        .collect();
    assert_eq!(
        sizes,
        [
            (1024., 4.),
            (1024., 2.),
            (1024., 3.),
            (16., 4.),
            (16., 2.),
            (16., 3.),
            (100., 4.),
            (100., 2.),
            (100., 3.)
        ]
    );
}

#[test]
fn latency_is_measured_there_and_back_and_one_way() {
    for mode in [
        &["--latency"][..],
        &["--latency", "--threads", "-w", "2", "-r", "2"],
    ] {
        let done = quick(&["--baseline", "pipeline"]).args(mode).run().exits(0);
        let row = rows(&done).remove(0);
        let ideal = &done.json()["baselines"][0];
        assert_eq!(ideal["name"], "pipeline");
        let times = [&row["latency_ns"], &row["one_way_ns"], &ideal["latency_ns"]];
        for times in times {
            let [p50, p99, p999, max] = ["p50", "p99", "p999", "max"].map(|key| number(times, key));
            assert!(
                0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max,
                "{times}"
            );
        }
    }
}

#[test]
fn a_sweep_by_time_repeats_and_takes_the_median() {
    let done = shm(&[
        "bench", "-n", "4", "-b", "4K", "-d", "20ms", "--repeat", "3", "--json",
    ])
    .args(&["--baseline", "pipeline"])
    .run()
    .exits(0);
    let row = rows(&done).remove(0);
    assert_eq!(row["repeats"], 3);
    assert!(number(&row, "seconds") >= 0.02, "{row}");
    assert_eq!(number(&row, "nodes_moved") * 4096.0, number(&row, "bytes"));
    let spread = &row["mb_per_s_spread"];
    let [low, middle, high] = ["lowest", "median", "highest"].map(|key| number(spread, key));
    assert!(low <= middle && middle <= high);
    about_equal(middle, number(&row, "mb_per_s"));
}

#[test]
fn rows_come_in_every_format_and_a_chart_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("sweep.svg");
    for (format, first) in [("table", "limits"), ("csv", "name"), ("markdown", "|")] {
        let out = folder.path().join(format);
        let done = shm(&[
            "bench",
            "-n",
            "2,4",
            "-b",
            "1K",
            "--elements",
            "200",
            "--repeat",
            "1",
        ])
        .args(&["--baseline", "pipeline", "--format", format, "-o"])
        .arg(&out)
        .arg("--chart")
        .arg(&chart)
        .run()
        .exits(0)
        .silent();
        assert!(done.stdout.is_empty(), "-o takes it");
        let text = std::fs::read_to_string(&out).unwrap();
        assert!(text.contains(first), "{format}: {text}");
        assert!(text.contains("pipeline"), "{format}: {text}");
    }
    let svg = std::fs::read_to_string(&chart).unwrap();
    let svg = roxmltree::Document::parse(&svg).unwrap();
    assert_eq!(svg.root_element().tag_name().name(), "svg");
}

#[test]
fn a_measurement_can_be_written_once_more_in_another_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sweep.json");
    let path = file.to_str().unwrap();
    quick(&["--wait", "futex,spin", "-o", path])
        .run()
        .exits(0)
        .silent();
    let json = std::fs::read_to_string(&file).unwrap();
    let again = shm(&["bench", "--from", path, "--json"]).run().exits(0);
    assert_eq!(String::from_utf8_lossy(&again.stdout), json);
    let csv = shm(&["bench", "--from", path, "--format", "csv"])
        .run()
        .exits(0);
    let text = String::from_utf8(csv.stdout.clone()).unwrap();
    assert_eq!(
        text.lines().count(),
        1 + 4 + 2,
        "names, limits, rows: {text}"
    );
    std::fs::write(&file, "{\"runs\": 3}").unwrap();
    let none = shm(&["bench", "--from", path]).run().fails(1);
    assert!(none.error_line().contains("not a report"));
    let missing = shm(&["bench", "--from", "/no/such/file"]).run().fails(1);
    assert!(missing.error_line().contains("/no/such/file"));
    shm(&["bench", "--from", path, "-n", "2"]).run().fails(2);
    let dash = shm(&["bench", "--from", "-", "--json", "-o", "-"]).input(json.clone());
    let dash = dash.directory(folder.path()).run().exits(0);
    assert_eq!(String::from_utf8_lossy(&dash.stdout), json);
}

#[test]
fn progress_off_a_terminal_is_a_line_for_each_row_and_only_when_asked_for() {
    let options = ["-n", "2,3", "--baseline", "none"];
    let done = quick(&options).arg("--progress").run().exits(0);
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(
        lines.len(),
        4,
        "the estimate, and a line for each row: {lines:?}"
    );
    assert!(lines[0].contains("3 rows, about ") && lines[3].contains("MB/s"));
    assert_eq!(
        rows(&done).len(),
        3,
        "stdout is the report and nothing else"
    );
    quick(&options).arg("--quiet").run().exits(0).silent();
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["-n", "1"], "1 nodes"),
        (&["-n", ""], "invalid value"),
        (&["-n", "2,x"], "invalid value"),
        (&["-b", "0"], "nodes of 0 bytes"),
        (&["-b", "2G"], "1 GiB"),
        (&["-w", "0"], "0 writers"),
        (&["-r", "1,0"], "0 readers"),
        (&["-w", "4000000000", "-r", "4000000000"], "room for 128"),
        (&["--elements", "0"], "0 measures nothing"),
        (&["-d", "0s"], "0 measures nothing"),
        (&["--repeat", "0"], "0 measures nothing"),
        (&["--sweep", "-n", "2"], "cannot be used with"),
        (&["-d", "1s", "--elements", "5"], "cannot be used with"),
        (&["--verify", "-b", "15"], "too small for verify"),
        (&["--latency", "-b", "8"], "too small for latency"),
        (&["--baseline", "none,pipe"], "none"),
        (&["--baseline", "cat"], "invalid value"),
        (&["--wait", "never"], "invalid value"),
        (&["--chart", "chart.gif"], "svg"),
        (&["--progress", "--quiet"], "cannot be used with"),
    ];
    for (options, reason) in cases {
        let done = shm(&["bench"]).args(options).run().fails(2);
        let line = done.error_line();
        assert!(line.contains(reason), "{options:?}: {line}");
    }
}

#[test]
fn ten_thousand_rows_have_to_be_meant() {
    let list = |numbers: std::ops::Range<u32>| {
        numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    };
    let (nodes, sizes) = (list(2..102), list(1..101));
    let done = shm(&["bench", "-n", &nodes, "-b", &sizes]).run().fails(2);
    let line = done.error_line();
    assert!(
        line.contains("10000 cells, about ") && line.contains("--yes"),
        "{line}"
    );
    // Meant, they are begun.
    let sweep = shm(&["bench", "-n", &nodes, "-b", &sizes, "--yes", "--json"])
        .args(&["--baseline", "none", "--progress"])
        .start();
    until("the first rows are measured", || {
        sweep.stderr_so_far().contains("MB/s")
    });
    sweep.signal(Signal::INT);
    let done = sweep.finish().exits(130);
    assert!(!rows(&done).is_empty());
}

#[test]
fn too_little_room_is_said_before_anything_runs() {
    let script =
        "shm bench -n 2,64 -b 1M --elements 10 --repeat 1 --progress; echo $?; ls -A /dev/shm";
    let Some(done) = in_private_shm("16M", script) else {
        return;
    };
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "1\n",
        "nothing ran, nothing is left"
    );
    let line = done.error_line();
    assert!(
        line.contains("largest ring") && line.contains("MiB"),
        "{line}"
    );
    let script = "shm bench -n 2 -b 1M --elements 10 --repeat 1 --json; ls -A /dev/shm";
    let done = in_private_shm("16M", script).unwrap();
    assert_eq!(rows(&done)[0]["nodes_moved"], 10, "and nothing is left");
}

#[test]
fn an_output_that_cannot_be_written_is_said_before_anything_runs() {
    for options in [
        ["-o", "/proc/none/rows"],
        ["--chart", "/proc/none/chart.svg"],
    ] {
        let done = endless(&options).run().fails(1);
        assert!(done.error_line().contains("/proc/none/"));
    }
    let folder = tempfile::tempdir().unwrap();
    let both = ["-o", "same.svg", "--chart", "same.svg"];
    let done = endless(&both).directory(folder.path()).run().fails(2);
    assert!(done.error_line().contains("same.svg"));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "refused before either was made");
}

#[test]
fn what_was_measured_is_not_lost_with_an_output() {
    let done = quick(&["--baseline", "none", "-o", "/dev/full"])
        .run()
        .exits(1);
    assert!(done.error_line().contains("/dev/full: No space left"));
    assert_eq!(rows(&done).len(), 1, "the rows go to stdout then");

    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart.svg");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let done = quick(&["--baseline", "none", "--chart", chart.to_str().unwrap()])
        .stdout(full.unwrap())
        .run()
        .exits(1);
    assert!(done.error_line().contains("stdout: No space left"));
    let svg = std::fs::read_to_string(&chart).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg:?}");
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("sweep.json");
    quick(&["-o", kept.to_str().unwrap()]).run().exits(0);
    let script = "ulimit -f 1; exec shm bench --from sweep.json --json -o limited";
    let limited = Shm::program("bash").args(&["-c", script]);
    let done = limited.with_shm_on_path().directory(folder.path()).run();
    let done = done.exits(1);
    assert!(done.error_line().contains("limited: File too large"));
}

#[test]
fn an_interrupted_sweep_prints_the_rows_that_are_done() {
    // The second row is measured for an hour.
    let sweep = shm(&[
        "bench",
        "-n",
        "4",
        "-b",
        "64,1K",
        "--baseline",
        "none",
        "--json",
    ])
    .args(&["--repeat", "2", "--elements", "100000000000", "--progress"])
    .start();
    under_way(&sweep, 2);
    sweep.signal(Signal::TERM);
    let pid = sweep.pid();
    let done = sweep.finish().exits(143);
    assert_eq!(done.json()["complete"], false);
    assert!(rows(&done).is_empty(), "not one was done");
    assert!(rings_of(pid).is_empty());

    let sweep = shm(&[
        "bench",
        "-n",
        "2,4,5",
        "-b",
        "1K",
        "--baseline",
        "none",
        "--json",
    ])
    .args(&["--repeat", "1", "-d", "2s", "--progress"])
    .start();
    until("the first row is done", || {
        sweep.stderr_so_far().contains("1/3")
    });
    sweep.signal(Signal::INT);
    let (pid, done) = (sweep.pid(), sweep.finish_within(PATIENCE));
    let done = done.exits(130);
    let rows = rows(&done);
    assert!((1..3).contains(&rows.len()), "{rows:?}");
    assert_eq!(rows[0]["nodes"], 2);
    assert_eq!(rows[0]["failed"], Value::Null);
    assert!(number(&rows[0], "mb_per_s") > 0.0);
    assert_eq!(done.json()["complete"], false);
    assert!(rings_of(pid).is_empty());
}

#[test]
fn the_end_of_its_terminal_ends_it_and_nothing_is_left() {
    let sweep = endless(&[]).start();
    under_way(&sweep, 2);
    sweep.signal(Signal::HUP);
    let pid = sweep.pid();
    let done = sweep.finish().exits(129);
    assert!(rows(&done).is_empty());
    assert!(rings_of(pid).is_empty());
}

#[test]
fn threads_are_interrupted_too() {
    let sweep = endless(&["--threads"]).start();
    under_way(&sweep, 0);
    sweep.signal(Signal::INT);
    let pid = sweep.pid();
    let done = sweep.finish().exits(130);
    assert!(rows(&done).is_empty());
    assert!(rings_of(pid).is_empty());
}

#[test]
fn a_killed_worker_fails_its_row_and_the_sweep_goes_on() {
    // Writers come first: the first child is the writer.
    let sweep = shm(&[
        "bench",
        "-n",
        "4",
        "-b",
        "64K",
        "-w",
        "1,2",
        "--baseline",
        "none",
    ])
    .args(&["--repeat", "1", "-d", "4s", "--json"])
    .start();
    under_way(&sweep, 2);
    let victim = *children_of(sweep.pid())
        .iter()
        .min_by_key(|child| child.as_raw_nonzero())
        .unwrap();
    kill_process(victim, Signal::KILL).unwrap();
    let pid = sweep.pid();
    let done = sweep.finish_within(2 * PATIENCE).exits(1);
    assert!(
        done.error_line().contains("1 of 2 rows failed"),
        "{}",
        done.stderr
    );
    let rows = rows(&done);
    assert_eq!(rows[0]["failed"], "writer 0 was killed by signal 9");
    assert_eq!(rows[0]["repeats"], 0);
    assert_eq!(rows[1]["failed"], Value::Null);
    assert!(number(&rows[1], "mb_per_s") > 0.0);
    assert!(rings_of(pid).is_empty());
    assert!(children_of(pid).is_empty());
}

#[test]
fn a_ring_that_is_truncated_fails_its_row_and_nothing_else() {
    for (mode, workers) in [(&[][..], 2), (&["--threads"][..], 0)] {
        let sweep = shm(&["bench", "-n", "4,5", "-b", "64K", "--baseline", "none"])
            .args(&["--repeat", "1", "-d", "4s", "--json"])
            .args(mode)
            .start();
        let ring = under_way(&sweep, workers);
        let file = std::fs::OpenOptions::new().write(true).open(ring).unwrap();
        file.set_len(0).unwrap();
        let pid = sweep.pid();
        let done = sweep.finish_within(2 * PATIENCE).exits(1);
        let rows = rows(&done);
        let why = rows[0]["failed"].as_str().unwrap();
        assert!(why.contains("truncated"), "{mode:?}: {why}");
        assert_eq!(rows[1]["failed"], Value::Null, "{mode:?}");
        assert!(rings_of(pid).is_empty());
    }
}

#[test]
fn a_corrupted_byte_is_caught() {
    for options in [&["--verify"][..], &["--verify", "--in-place", "--threads"]] {
        let sweep = shm(&[
            "bench",
            "-n",
            "50",
            "-b",
            "4K",
            "--baseline",
            "none",
            "--json",
        ])
        .args(&["--repeat", "1", "-d", "5s"])
        .args(options)
        .start();
        let workers = if options.contains(&"--threads") { 0 } else { 2 };
        let path = under_way(&sweep, workers);
        // A byte in the middle of each node is changed again and again, as a
        // stray write of somebody else would: some node is full right then.
        let ring = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let size = ring.metadata().unwrap().len();
        let first = size - 50 * 4096;
        let mut byte = 0u8;
        until_within(PATIENCE, "the ring is gone", || {
            for node in 0..50 {
                byte = byte.wrapping_add(1);
                ring.write_at(&[byte], first + node * 4096 + 2048).unwrap();
            }
            !path.exists()
        });
        let done = sweep.finish().exits(1);
        let row = rows(&done).remove(0);
        assert_eq!(row["verified"], false);
        let why = row["failed"].as_str().unwrap();
        assert!(why.contains("byte 2048 of message "), "{why}");
        assert!(done.error_line().contains("byte 2048"));
    }
}

#[test]
fn without_verify_a_spoilt_end_is_noticed_all_the_same() {
    let sweep = shm(&[
        "bench",
        "-n",
        "50",
        "-b",
        "4K",
        "--baseline",
        "none",
        "--json",
    ])
    .args(&["--repeat", "1", "-d", "5s"])
    .start();
    let path = under_way(&sweep, 2);
    let ring = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let first = ring.metadata().unwrap().len() - 50 * 4096;
    let mut byte = 0u8;
    until_within(PATIENCE, "the ring is gone", || {
        for node in 0..50 {
            byte = byte.wrapping_add(1);
            ring.write_at(&[byte], first + node * 4096 + 4095).unwrap();
        }
        !path.exists()
    });
    let done = sweep.finish().exits(1);
    let row = rows(&done).remove(0);
    assert!(
        row["failed"]
            .as_str()
            .unwrap()
            .contains("messages were lost, swapped or torn"),
        "{row}"
    );
    assert_eq!(row["verified"], Value::Null, "that was not asked for");
}

#[test]
fn workers_die_with_a_sweep_that_is_killed() {
    struct Sweeper(u32);
    impl Drop for Sweeper {
        fn drop(&mut self) {
            rings_of(self.0)
                .iter()
                .for_each(|ring| drop(std::fs::remove_file(ring)));
        }
    }
    let sweep = endless(&[]).start();
    let pid = sweep.pid();
    let _sweeper = Sweeper(pid);
    under_way(&sweep, 2);
    let workers = children_of(pid);
    let alive = |worker: &Pid| {
        let path = format!("/proc/{}/cmdline", worker.as_raw_nonzero());
        let command = std::fs::read_to_string(path).unwrap_or_default();
        command.contains("--worker")
    };
    assert!(workers.iter().all(alive));
    sweep.kill();
    until_within(SECONDS, "its workers are gone", || {
        !workers.iter().any(alive)
    });
}

#[test]
fn who_plays_a_worker_is_told_that_it_is_none() {
    let done = shm(&["bench", "--worker", "{}"]).run().exits(1);
    assert!(done.stderr.contains("not a job"), "{}", done.stderr);
}
