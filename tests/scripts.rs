//! The scripts that measure, on something so small that it measures nothing: do
//! they run, do they notice what is wrong, do they clean up?

mod harness;

use harness::{Done, SECONDS, Shm, executable, until, until_within};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SHM: &str = env!("CARGO_BIN_EXE_shm");
/// A busy machine may take its time.
const LONG: Duration = Duration::from_secs(120);

/// A script, with a directory of its own to work in.
struct Script<'a> {
    name: &'a str,
    directory: tempfile::TempDir,
}

impl Script<'_> {
    fn new(name: &str) -> Script<'_> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Script { name, directory }
    }

    fn temporary(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }

    fn with(&self, arguments: &[&str]) -> Shm {
        let path = format!("{}/scripts/{}.sh", env!("CARGO_MANIFEST_DIR"), self.name);
        Shm::program("bash")
            .args(&[&path])
            .args(arguments)
            .env("TMPDIR", self.temporary())
            .directory(self.directory.path())
    }

    /// That the process with this id has left nothing of its own.
    fn left_nothing(&self, pid: u32) {
        let left: Vec<_> = fs::read_dir(self.temporary()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        let prefix = format!("shmkit-{}-{pid}-", self.name);
        for entry in fs::read_dir("/dev/shm").unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(&prefix), "{name} is left");
        }
    }

    fn run(&self, command: Shm) -> Done {
        let script = command.start();
        let pid = script.pid();
        let done = script.finish_within(LONG);
        self.left_nothing(pid);
        done
    }
}

fn text(done: &Done) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A program in `directory` that is this shell script.
fn program(directory: &Path, name: &str, script: &str) -> String {
    let path = directory.join(name);
    executable(&path, format!("#!/usr/bin/env bash\n{script}\n"));
    path.to_str().unwrap().to_owned()
}

const TINY: [&str; 6] = ["--size", "3M", "--rounds", "2", "--rings", "8x16K 2x1000"];

#[test]
fn compare_has_a_row_for_each_rival_and_three_for_each_ring() {
    let script = Script::new("compare");
    let done = script.run(script.with(&TINY).args(&["--shm", SHM]));
    assert!(done.status.success(), "{}", done.stderr);
    let table = text(&done);
    for row in [
        "| `cat F`, one process |",
        "| `cat F \\| cat` |",
        "| `dd if=F bs=1M \\| dd bs=1M` |",
        "| 8x16K: `shm write F`, `shm read \\| cat` |",
        "| 8x16K: `shm write F`, `shm read` |",
        "| 2x1000: the same, the reader with `--hash` |",
    ] {
        let found = table.lines().filter(|line| line.starts_with(row)).count();
        assert_eq!(found, 1, "{row}\n{table}");
    }
    assert!(
        done.stderr.contains("are those of the file"),
        "{}",
        done.stderr
    );
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
    assert!(
        rows.iter().all(|row| columns(row) == columns(rows[0])),
        "{table}"
    );
}

#[test]
fn compare_does_not_measure_what_brings_other_bytes() {
    let script = Script::new("compare");
    // A reader that loses a byte.
    let broken = program(
        script.directory.path(),
        "shm",
        &format!(
            "if [ \"$1\" = read ]; then '{SHM}' \"$@\" | head -c -1; else exec '{SHM}' \"$@\"; fi"
        ),
    );
    let done = script.run(script.with(&TINY).args(&["--shm", &broken]));
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("cat-8x16K: not the bytes of the file"),
        "{}",
        done.stderr
    );
    assert!(
        !text(&done).contains('|'),
        "no table without the right bytes"
    );
}

#[test]
fn compare_skips_what_is_not_installed() {
    let script = Script::new("compare");
    let tools = script.directory.path().join("bin");
    fs::create_dir(&tools).unwrap();
    let path = std::env::var("PATH").unwrap();
    for tool in "awk bash cat cmp date dirname env head mktemp nproc numfmt realpath rm sort stat \
                 tail uname"
        .split_whitespace()
    {
        let mut places = std::env::split_paths(&path).map(|place| place.join(tool));
        let place = places.find(|place| place.exists()).expect(tool);
        symlink(place, tools.join(tool)).unwrap();
    }
    let command = script.with(&TINY).args(&["--shm", SHM]).env("PATH", &tools);
    let done = script.run(command);
    assert!(done.status.success(), "{}", done.stderr);
    for missing in ["pv", "mbuffer", "dd", "taskset"] {
        let said = format!("{missing} is not installed");
        assert!(done.stderr.contains(&said), "{said}: {}", done.stderr);
    }
    let table = text(&done);
    assert!(
        !table.contains("mbuffer") && !table.contains("on one core"),
        "{table}"
    );
    assert!(table.contains("8x16K"), "{table}");
}

#[test]
fn compare_that_is_ended_leaves_nothing() {
    let script = Script::new("compare");
    let rounds = [
        "--size", "8M", "--rounds", "100000", "--rings", "4x4K", "--shm", SHM,
    ];
    let mut running = script.with(&rounds).start();
    let pid = running.pid();
    until("the second round", || {
        assert!(running.is_running(), "{}", running.stderr_so_far());
        running.stderr_so_far().contains("round 2 of")
    });
    running.signal(Signal::TERM);
    let done = running.finish_within(LONG);
    assert_eq!(done.status.code(), Some(143), "{}", done.stderr);
    script.left_nothing(pid);
}

/// The processes that this one has started.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

#[test]
fn load_that_is_ended_ends_all_its_workers_and_leaves_nothing() {
    let script = Script::new("load");
    // 16 x 16 begins after 1 x 1, which takes a quarter of this.
    let load = script.with(&["20", "--shm", SHM]).start();
    let pid = load.pid();
    let bench = || {
        let near = children(pid);
        let far = near.iter().flat_map(|child| children(*child));
        let mut all = near.clone().into_iter().chain(far);
        all.find(|one| children(*one).len() == 32)
    };
    until("16 writers and 16 readers are there", || bench().is_some());
    let bench = bench().unwrap();
    let workers = children(bench);
    load.signal(Signal::TERM);
    // By themselves they would go on for more than twice as long.
    let there = |process: &u32| Path::new(&format!("/proc/{process}")).exists();
    until_within(SECONDS, "the workers have ended", || {
        !workers.iter().chain([&bench]).any(there)
    });
    let done = load.finish_within(LONG);
    assert_eq!(done.status.code(), Some(143), "{}", done.stderr);
    script.left_nothing(pid);
    let ring = format!("shmkit-bench-{bench}-");
    for entry in fs::read_dir("/dev/shm").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.starts_with(&ring), "{name} is left");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused_at_once() {
    for (name, arguments, why) in [
        ("compare", &["--speed", "9"][..], "--speed: no such option"),
        ("compare", &["--size"], "--size needs a value"),
        ("compare", &["--size", "x"], "--size x: not a size"),
        ("compare", &["--size", "0"], "nothing to measure"),
        ("compare", &["--rounds", "0"], "--rounds 0: not a number"),
        ("compare", &["--rings", "8"], "expected NODESxSIZE"),
        ("compare", &["--placement", "two"], "default, one or both"),
        (
            "compare",
            &["--shm", "/dev/null"],
            "/dev/null: not a program",
        ),
        ("compare", &["file"], "file: no such argument"),
        (
            "figures",
            &["--only", "all"],
            "pipes, lines, arrays, bench or idle",
        ),
        ("sweep", &["-n", "2"], "-n: no such argument"),
        ("sweep", &["--shm", "/"], "/: not a program"),
        ("chaos", &["many"], "many: not a number of kills"),
        ("chaos", &["0"], "0: not a number of kills"),
        ("chaos", &["5", "6"], "6: no such argument"),
        ("chaos", &["--seed", "x"], "--seed x: not a number"),
        ("torn", &["0"], "0: not a number of seconds"),
        ("torn", &["5", "6"], "6: no such argument"),
        ("load", &["4"], "4: at least 5 seconds"),
        ("load", &["x"], "x: no such argument"),
        ("single-step", &["write", "--all"], "--all: no such option"),
        ("miri", &["x"], "x: no such argument"),
        ("tsan", &["x"], "x: no such argument"),
    ] {
        let script = Script::new(name);
        let done = script.run(script.with(arguments));
        assert_eq!(
            done.status.code(),
            Some(1),
            "{arguments:?}: {}",
            done.stderr
        );
        assert!(done.stderr.contains(why), "{arguments:?}: {}", done.stderr);
    }
}

#[test]
fn each_script_explains_itself() {
    let scripts = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts")).unwrap();
    let names = scripts.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names
        .filter_map(|file| Some(file.strip_suffix(".sh")?.to_owned()))
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in &names {
        let script = Script::new(name);
        let done = script.run(script.with(&["--help"]));
        assert!(done.status.success(), "{}", done.stderr);
        let help = text(&done);
        assert!(help.contains(&format!("scripts/{name}.sh")), "{help}");
        assert!(!help.contains("#!") && help.lines().count() > 4, "{help}");
        assert!(!help.contains("set -e") && !help.contains("me="), "{help}");
    }
}

#[test]
fn a_sweep_is_left_as_json_csv_markdown_and_a_chart() {
    let script = Script::new("sweep");
    let grid = "--out kept --shm SHM -- -n 2,4 -b 1K -r 1,2 --elements 500 --repeat 1 --quiet";
    let grid: Vec<&str> = grid
        .split(' ')
        .map(|w| if w == "SHM" { SHM } else { w })
        .collect();
    let done = script.run(script.with(&grid));
    assert!(done.status.success(), "{}", done.stderr);
    let kept = |name: &str| fs::read_to_string(script.directory.path().join("kept").join(name));
    let json: serde_json::Value = serde_json::from_str(&kept("sweep.json").unwrap()).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 4);
    let csv = kept("sweep.csv").unwrap();
    assert_eq!(
        csv.lines().filter(|line| line.starts_with("run,")).count(),
        4
    );
    assert!(kept("sweep.md").unwrap().contains("| 4x1K | 1/2 |"));
    assert!(kept("sweep.svg").unwrap().contains("nodes of 1 KiB"));
    // Whichever of the two is there has printed one line for each row it was asked for.
    let example = |tool: &str| !done.stderr.contains(&format!("{tool} is not installed"));
    assert_eq!(text(&done).contains("$ jq "), example("jq"));
    assert_eq!(text(&done).contains(" MB/s  "), example("python3"));
}

#[test]
fn a_sweep_that_cannot_begin_leaves_no_report() {
    let script = Script::new("sweep");
    let done = script.run(script.with(&["--out", "kept", "--shm", SHM, "--", "-n", "1"]));
    assert_eq!(done.status.code(), Some(2), "{}", done.stderr);
    assert!(
        done.stderr.contains("ended with 2 and no report"),
        "{}",
        done.stderr
    );
    let folder = script.directory.path().join("kept");
    assert!(!folder.exists(), "it was made for nothing");
    // One that was there stays, with what is in it.
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("sweep.json"), "earlier").unwrap();
    script.run(script.with(&["--out", "kept", "--shm", SHM, "--", "-n", "1"]));
    assert!(folder.join("sweep.json").exists());
}
