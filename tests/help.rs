//! What the program says: every help text and a table of error messages, as
//! snapshots; and that every example of the help runs as it stands.
//!
//! When a text has changed on purpose, `INSTA_UPDATE=always cargo test --test
//! help` writes the snapshots anew, for a person to read the difference.

mod harness;

use harness::{Name, Shm, in_private_shm, shm, until};
use std::fmt::Write;

/// All commands, also those below `create`.
fn commands() -> Vec<Vec<String>> {
    let below = |words: &[String]| -> Vec<String> {
        let help = help(words, "-h");
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = lines.map_while(|line| line.split_whitespace().next());
        names
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut all = vec![vec![]];
    let mut at = 0;
    while let Some(words) = all.get(at).cloned() {
        for name in below(&words) {
            all.push([&words[..], &[name]].concat());
        }
        at += 1;
    }
    all
}

/// Off a terminal, help is 100 columns wide.
fn help(words: &[String], flag: &str) -> String {
    let done = shm(words).arg(flag).without_env("COLUMNS").run();
    String::from_utf8(done.exits(0).silent().stdout).unwrap()
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_help_text_is_as_it_was_read_last() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for words in commands {
        let name = [&["shm".to_owned()], &words[..]].concat().join("-");
        let (short, long) = (help(&words, "-h"), help(&words, "--help"));
        snapshot(
            &name,
            &format!("$ {name} -h\n{short}\n$ {name} --help\n{long}"),
        );
    }
}

#[test]
fn short_help_is_a_page_and_long_help_teaches() {
    for words in commands() {
        let (short, long) = (help(&words, "-h"), help(&words, "--help"));
        assert!(
            short.lines().count() <= 48,
            "{words:?}: {} lines",
            short.lines().count()
        );
        for line in short.lines().chain(long.lines()) {
            assert!(line.chars().count() <= 100, "{words:?}: {line}");
        }
        if words != ["create"] {
            let examples = examples(&long);
            assert!(examples.len() >= 3, "{words:?}: {examples:?}");
        }
    }
}

/// The examples of a help text, without the remarks behind them.
fn examples(help: &str) -> Vec<&str> {
    let mut inside = false;
    let mut examples = Vec::new();
    for line in help.lines() {
        match line.strip_prefix("  ") {
            None if line.starts_with("Examples") && line.ends_with(':') => inside = true,
            None if line.is_empty() => {}
            None => inside = false,
            Some(example) if inside => {
                let end = example.find("  ").unwrap_or(example.len());
                examples.push(&example[..end]);
            }
            Some(_) => {}
        }
    }
    examples
}

#[test]
fn examples_are_told_from_remarks_and_other_lines() {
    let help = "Options:\n  -x\n\nExamples, a ring:\n  shm a b    remark\n\n  shm c\nExamples:\n  d\nEnd.\n  e\n";
    assert_eq!(examples(help), ["shm a b", "shm c", "d"]);
}

/// What the examples find when they are run, each in a `/dev/shm` that holds
/// the segments they speak of, and nothing else.
const SCENE: &str = r#"
failed=0
scene() {
    rm -f /dev/shm/*
    case $1 in *'shm create'*) return ;; esac
    for ring in logs video jobs; do shm create ring $ring -n 8 -b 4K; done
    shm create ring cam -n 8 -b 4K --delivery broadcast
    shm create array temps --type f64 --len 1000
    shm create array users --type 'id:u32,position:[f32;3],alive:bool' --len 100
    shm create array count --type u64 --len 1
    shm create buffer page --size 64K
    case $1 in
    *'shm write'*) for ring in logs video jobs; do shm read $ring >/dev/null 2>&1 & done ;;
    *) for ring in logs cam; do printf 'one\nan ERROR\n' | shm write $ring; done ;;
    esac
}
# The shell it is for, how long it may run, whether it ends by itself, the line.
try() {
    local shell=$1 limit=$2 endless=$3 line=$4
    scene "$line"
    timeout -k 1 "$limit" $shell -c "$line" </dev/null >out 2>err
    local status=$?
    case $endless:$status in
    no:0 | yes:124) ;;
    *) printf 'exit %s: %s\n' $status "$line"; cat err; failed=1 ;;
    esac
    kill $(jobs -p) 2>/dev/null
    wait
}
"#;

/// The files that the examples speak of, and programs that may not be here.
fn prepare(directory: &std::path::Path) {
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    let program = |name: &str, script: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        harness::executable(&path, format!("#!/bin/sh\n{script}\n"));
    };
    put("big.iso", &[7; 100_000]);
    put("a.csv", b"1,2\n");
    put("b.csv", b"3,4\n");
    put("app.log", b"an ERROR\n");
    put("numbers.txt", b"1 2 3\n");
    put("page.html", b"<p>hello\n");
    put("temps.npy", &harness::npy("<f8", "(3,)", &[0; 24]));
    put(".local/share/bash-completion/completions/.keep", b"");
    program("edit-it", "shm read page --count 1 >/dev/null");
    program("make-a-copy", "shm read page > copy");
    program("programs/make", "echo compiling; echo done");
    for (name, instead) in [("jq", "cat"), ("less", "cat")] {
        if !Shm::program("sh")
            .args(&["-c", "command -v $0", name])
            .run()
            .status
            .success()
        {
            program(&format!("programs/{name}"), instead);
        }
    }
}

#[test]
fn every_example_of_the_help_runs_as_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    for words in commands() {
        let help = help(&words, "--help");
        let mut script = format!(
            "cd '{0}'; export HOME=$PWD PATH=$PWD/programs:$PATH MANPAGER=cat\n{SCENE}",
            directory.path().display()
        );
        for example in examples(&help) {
            let shell = match example {
                _ if example.contains("completions zsh") => "zsh",
                _ if example.contains("completions fish") => "fish",
                _ => "bash",
            };
            if shell != "bash" && !std::path::Path::new("/usr/bin").join(shell).exists() {
                harness::skipped(format_args!("{example}: {shell} is not installed here"));
                continue;
            }
            let endless = ["tail -f", "--follow", "--watch"];
            let endless = endless.iter().any(|word| example.contains(word));
            let (limit, endless) = if endless { ("1", "yes") } else { ("20", "no") };
            let mut line = example.to_owned();
            if line.starts_with("shm bench") && !line.contains("--from") {
                // As it stands, but for the time that it takes.
                line = line.replace("--sweep", "-n 2,3 -b 1K") + " --repeat 1 --baseline none";
                if !line.contains(" -b ") {
                    line += " -b 1K";
                }
                if !line.contains("--elements") {
                    line += " -d 5ms";
                }
                line = line.replace("64K,1M", "2K,4K");
            }
            if shell == "zsh" {
                line = format!("autoload -U compinit; compinit -u -D; {line}");
            }
            let quoted = line.replace('\'', r"'\''");
            let shell = if shell == "bash" {
                "bash -o pipefail"
            } else {
                shell
            };
            writeln!(script, "try '{shell}' {limit} {endless} '{quoted}'").unwrap();
        }
        script += "exit $failed\n";
        let Some(done) = in_private_shm("512M", &script) else {
            return;
        };
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.code(), 0, "{words:?}:\n{said}{}", done.stderr);
    }
}

/// What is typed, and what it says. The segments' names are short here and
/// unique in truth.
struct Table {
    unique: Name,
    text: String,
}

impl Table {
    fn real(&self, word: &str) -> String {
        match word {
            "frames" | "frmaes" | "temps" | "page" | "junk" | "cut" => {
                format!("{}-{word}", &*self.unique)
            }
            _ => word.to_owned(),
        }
    }

    /// What is typed; `< long` stands for 3000 bytes that end in the middle of a
    /// line and of a record.
    fn command(&self, line: &str) -> Shm {
        if let Some(line) = line.strip_suffix(" < long") {
            return self
                .command(line)
                .input("short\n".to_owned() + &"x".repeat(2994));
        }
        let words = line.split_whitespace().map(|word| self.real(word));
        let words: Vec<String> = words.collect();
        shm(&words).without_env("COLUMNS")
    }

    #[track_caller]
    fn says(&mut self, line: &str) {
        let done = self.command(line).run();
        let code = done.code();
        assert_ne!(code, 0, "{line}");
        assert!(done.stdout.is_empty(), "{line}");
        for said in done.stderr.lines() {
            assert!(said.starts_with("shm: "), "{line}: {said}");
        }
        let said = done.stderr.replace(&format!("{}-", &*self.unique), "");
        writeln!(self.text, "$ shm {line}\n{said}-> {code}\n").unwrap();
    }
}

#[test]
fn every_error_says_what_why_and_what_to_do() {
    let mut table = Table {
        unique: Name::unused(),
        text: String::new(),
    };
    let names = ["frames", "temps", "page", "junk", "cut"];
    let _names = names.map(|name| Name::exactly(&table.real(name)));
    for line in [
        "create ring frames -n 4 -b 1K",
        "create array temps --type f64 --len 4",
        "create buffer page --size 64",
        "create buffer cut --size 64",
    ] {
        table.command(line).run().exits(0);
    }
    std::fs::write(harness::shm_path(&table.real("junk")), "no segment").unwrap();
    let cut = std::fs::File::options()
        .write(true)
        .open(harness::shm_path(&table.real("cut")));
    cut.unwrap().set_len(10_000).unwrap();
    let reader = table.command("read frames").start();
    until("the reader is attached", || {
        let inspect = table.command("inspect frames --json").run().exits(0).json();
        inspect["participants"]
            .as_array()
            .is_some_and(|all| all.len() == 1)
    });
    for line in [
        // Names.
        "read frmaes",
        "read zzzzzzzz",
        "inspect frmaes",
        "lock frmaes -- true",
        "remove frmaes zzzzzzzz",
        "read .hidden",
        "read a/b",
        "create ring frames",
        "create ring frames -n 5 -b 1K --if-not-exists",
        "create frames",
        "create rign frames",
        // What there is cannot be used so.
        "remove frames",
        "read junk",
        "remove junk",
        "inspect cut",
        "read frames --at 3",
        "read temps --follow",
        "write page --format csv 1",
        "write temps --lines 1",
        "write frames --record 2K",
        "lock frames -- true",
        "inspect temps --nodes",
        "inspect temps --data --json",
        "inspect frames --watch --nodes",
        // Values.
        "create ring x -n 1",
        "create ring x -b 2G",
        "create ring x -b many",
        "create ring x --mode 0999",
        "create array x --type f99 --len 4",
        "create array x --type u8 --len 0",
        "create array x --type u8 --len 4 --fill 256",
        "create buffer x --size 0",
        "write temps 1 2 3 4 5",
        "write temps 1 two",
        "write temps --at 4 1",
        "read temps --at 5",
        "read page --at 60 --count 5",
        "read frames --timeout 5",
        "inspect frames --watch 1ms",
        "list --watch frames",
        "read temps --format cvs",
        "write frames --rate 0",
        "write frames --record 0",
        "write frames --on-full drop",
        "write frames no-such-file",
        "read frames -o /no/such/directory/file",
        "bench -n 1",
        "bench --baseline none,pipe",
        // The command line.
        "",
        "create",
        "write",
        "lits",
        "list --jsno",
        "read frames --timeout",
        "read frames --follow --no-wait",
        "write frames --progress --quiet",
        "write frames --lines --null",
        "write frames --on-full drop-old --timeout 1s",
        "remove",
        "remove --stale frames",
        "lock temps",
        "lock temps --raed -- true",
        "lock temps -- no-such-command",
        "completions tcsh",
        "man raed",
        // Time.
        "read frames --timeout 50ms --no-wait --count 0 --wait-for x",
        "read zzzzzzzz --wait-for 50ms",
        "write frames - -",
        // What does not fit; the stream ends with it.
        "write frames --lines < long",
        "write frames --record 9 < long",
        "write frames --message < long",
    ] {
        table.says(line);
    }
    drop(reader);
    snapshot("errors", &table.text);
    // Where figures differ from machine to machine.
    let full = table
        .command("create buffer x --size 900000G")
        .run()
        .fails(1);
    let line = full.error_line();
    assert!(
        line.starts_with("shm: /dev/shm: not enough room: needed 879 TiB ("),
        "{line}"
    );
    assert!(
        line.contains(" free ") && line.contains("shm list"),
        "{line}"
    );
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for line in [
        "--help",
        "-h",
        "--version",
        "read --help",
        "list",
        "man",
        "completions zsh",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let done = shm(&words).stdout(full()).run().exits(1);
        assert_eq!(
            done.error_line(),
            "shm: stdout: No space left on device",
            "{line}"
        );
    }
    for line in ["--help", "list", "man", "completions zsh"] {
        // Whoever has read enough of it has no complaint.
        let script = format!("shm {line} | true; exit ${{PIPESTATUS[0]}}");
        let done = Shm::program("bash")
            .args(&["-c", &script])
            .with_shm_on_path();
        done.run().exits(0).silent();
    }
}
