//! Every command of the README's tour is run, as it stands there.
//!
//! A block that begins with ` ```console ` is one step of the tour. In it
//!
//! * a line `$ COMMAND` is a command, and lines `> ...` after it continue it;
//! * a line `# exits N` says that the command before it exits with N;
//! * a line `# needs COMMAND` says that the block is skipped where COMMAND fails;
//! * all other lines are what a person would see, and are not compared, but for
//!   the recipes: those under `## Cookbook` print exactly this, in whichever order,
//!   apart from what depends on time: a speed, and in its line what was left at the end
//!   and what was dropped.
//!
//! The commands of a block are one bash script, with `set -e -o pipefail`; a
//! background job is waited for at the end of its block. All blocks run in
//! order in one empty directory with `shm` first on the path. The rings of the
//! tour have names that begin with `tour-`; they are removed before and after.
//!
//! And what the page "What survives what" promises is kept by the tests that it
//! names: each line of its tables names at least one, as `FILE::TEST`, and each
//! that it names exists. (Scripts are named by their path.)

mod harness;

use harness::{Shm, shm, skipped};
use std::time::Duration;

#[derive(Default)]
struct Step {
    line: usize,
    /// Of the cookbook.
    is_recipe: bool,
    needs: Option<String>,
    script: String,
    commands: usize,
    /// What a person would see.
    shown: String,
}

const RECIPES: &str = "## Cookbook";

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut commands: Vec<(String, i32)> = Vec::new();
    let (mut inside, mut is_recipe) = (false, false);
    for (number, line) in readme.lines().enumerate() {
        if !inside {
            if line.starts_with("## ") {
                is_recipe = line == RECIPES;
            }
            inside = line.trim_end() == "```console";
            if inside {
                steps.push(Step {
                    line: number + 2,
                    is_recipe,
                    ..Step::default()
                });
            }
        } else if line.starts_with("```") {
            inside = false;
            let step = steps.last_mut().unwrap();
            step.commands = commands.len();
            step.script = commands
                .drain(..)
                .map(|(c, code)| checked(&c, code))
                .collect();
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), 0));
        } else if let (Some(more), Some((command, _))) =
            (line.strip_prefix('>'), commands.last_mut())
        {
            command.push('\n');
            command.push_str(more.strip_prefix(' ').unwrap_or(more));
        } else if let (Some(code), Some((_, expected))) =
            (line.strip_prefix("# exits "), commands.last_mut())
        {
            let code = code.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            *expected = code.parse().expect("# exits N");
        } else if let Some(command) = line.strip_prefix("# needs ") {
            steps.last_mut().unwrap().needs = Some(command.to_owned());
        } else {
            let shown = &mut steps.last_mut().unwrap().shown;
            *shown += line;
            shown.push('\n');
        }
    }
    steps
}

/// The command as a part of the script, with its exit status checked.
fn checked(command: &str, code: i32) -> String {
    if code == 0 {
        return format!("{command}\n");
    }
    format!(
        "set +e\n{command}\nstatus=$?; set -e\n\
         [ $status = {code} ] || {{ echo \"exited with $status, not {code}\" >&2; exit 99; }}\n"
    )
}

/// What was printed, to be compared: lines of several processes come in any order,
/// and no speed is what it was.
fn printed(text: &str) -> Vec<String> {
    let masked = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let word = |at: usize| words.get(at).map_or("", |word| word.trim_end_matches(','));
        let varies = |at: usize| {
            let before = at.checked_sub(1).map_or("", word);
            matches!(before, "diff" | "(max" | "dropped")
                || matches!(word(at + 1), "MB/s" | "dropped")
        };
        let shown = |at: usize| if varies(at) { "#" } else { words[at] };
        (0..words.len()).map(shown).collect::<Vec<_>>().join(" ")
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    let mut lines: Vec<String> = lines
        .map(|line| match line.contains(" MB/s") {
            true => masked(line),
            false => line.to_owned(),
        })
        .collect();
    lines.sort();
    lines
}

fn remove_the_tours_rings() {
    for entry in std::fs::read_dir("/dev/shm").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tour-") {
            drop(shm(&["remove", "--force", &name]).run());
        }
    }
}

struct Afterwards;

impl Drop for Afterwards {
    fn drop(&mut self) {
        remove_the_tours_rings();
    }
}

const PROMISES: &str = "## What survives what";

/// The part of the README under that heading.
fn section<'a>(readme: &'a str, heading: &str) -> Option<&'a str> {
    let begin = readme.find(&format!("\n{heading}\n"))? + 1 + heading.len();
    let rest = &readme[begin..];
    Some(&rest[..rest.find("\n## ").unwrap_or(rest.len())])
}

/// What is quoted in `text` and looks like a test or a script.
fn keepers(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|word| word.contains(".rs::") || word.starts_with("scripts/"))
        .collect()
}

/// Why there is no such test or script, if there is none.
fn missing(keeper: &str) -> Result<(), String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (file, test) = keeper.split_once("::").unwrap_or((keeper, ""));
    let path = root.join(file);
    let source =
        std::fs::read_to_string(path).map_err(|error| format!("`{keeper}`: {file}: {error}"))?;
    if !keeper.contains("::") {
        return Ok(());
    }
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let head = format!("fn {test}(");
    let at = lines.iter().position(|line| line.starts_with(&head));
    let at = at.ok_or_else(|| format!("`{keeper}`: no {head} in {file}"))?;
    let attributes = lines[..at].iter().rev();
    let mut attributes = attributes.take_while(|line| line.starts_with(['#', '/']));
    match attributes.any(|line| *line == "#[test]") {
        true => Ok(()),
        false => Err(format!("`{keeper}` is no test")),
    }
}

/// The lines of the tables in `text`, without their headings.
fn rows(text: &str) -> Vec<&str> {
    let is_rule = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    let mut rows = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside = line.starts_with('|') && (inside || is_rule(line));
        if inside && !is_rule(line) {
            rows.push(line);
        }
    }
    rows
}

#[test]
fn every_promise_names_a_test_and_every_test_it_names_exists() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let promises = section(&readme, PROMISES);
    let promises = promises.unwrap_or_else(|| panic!("README.md has no section {PROMISES:?}"));
    let rows = rows(promises);
    assert!(rows.len() >= 10, "only {} promises", rows.len());
    let mut wrong: Vec<String> = rows
        .iter()
        .filter(|row| keepers(row).is_empty())
        .map(|row| format!("kept by no test: {row}"))
        .collect();
    wrong.extend(
        keepers(promises)
            .into_iter()
            .filter_map(|k| missing(k).err()),
    );
    assert!(wrong.is_empty(), "README.md:\n{}", wrong.join("\n"));
}

#[test]
fn promises_are_read_as_their_format_says() {
    let readme = "# a\n## What survives what\n`tests/x.rs::y`\n\n| p | t |\n|---|---|\n\
                  | one | `tests/readme.rs::steps`, `shm` |\n| two | - |\n\nafter\n## next\n`scripts/z.sh`\n";
    let promises = section(readme, PROMISES).unwrap();
    assert_eq!(
        keepers(promises),
        ["tests/x.rs::y", "tests/readme.rs::steps"]
    );
    let rows = rows(promises);
    assert_eq!(rows.len(), 2);
    assert_eq!((keepers(rows[0]).len(), keepers(rows[1]).len()), (1, 0));
    assert!(section("## what\n", PROMISES).is_none());
    assert!(missing("tests/readme.rs::promises_are_read_as_their_format_says").is_ok());
    for none in [
        "tests/readme.rs::steps",
        "tests/readme.rs::x",
        "tests/x.rs::y",
        "scripts/z",
    ] {
        assert!(missing(none).is_err(), "{none}");
    }
}

#[test]
fn every_command_of_the_readmes_tour_works() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let steps = steps(&readme);
    let commands: usize = steps.iter().map(|step| step.commands).sum();
    assert!(
        commands >= 10,
        "the tour has only {commands} commands in ```console blocks"
    );
    let recipes = steps.iter().filter(|step| step.is_recipe).count();
    assert!(recipes >= 7, "only {recipes} recipes under {RECIPES:?}");

    remove_the_tours_rings();
    let _afterwards = Afterwards;
    let directory = tempfile::tempdir().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_shm"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let bash = |script: &str| {
        Shm::program("bash")
            .args(&["-c", script])
            .env("PATH", path.clone())
            .directory(directory.path())
            .run_within(Duration::from_secs(120))
    };
    for step in steps {
        if let Some(needs) = step.needs.filter(|needs| !bash(needs).status.success()) {
            skipped(format_args!(
                "README.md, line {}: no {needs} here",
                step.line
            ));
            continue;
        }
        let script = format!("set -e -o pipefail\n{}wait\n", step.script);
        let done = bash(&script);
        assert!(
            done.status.success(),
            "README.md, block at line {}: {}\n{script}\nstdout: {}\nstderr: {}",
            step.line,
            done.status,
            String::from_utf8_lossy(&done.stdout),
            done.stderr
        );
        if step.is_recipe {
            let said = String::from_utf8_lossy(&done.stdout) + &*done.stderr;
            assert_eq!(
                printed(&said),
                printed(&step.shown),
                "README.md, recipe at line {}: what it prints, and what it is said to",
                step.line
            );
        }
    }
}

#[test]
fn the_tour_is_read_as_its_format_says() {
    let steps = steps(
        "text\n```console\n$ true &\n$ printf 'a\n> b'\na\nb\n$ false\nno\n# exits 1\n$ true\n```\n\
         ```sh\n$ exit 7\n```\n```console\n$ echo x\n```\n",
    );
    assert_eq!(steps.iter().map(|s| s.commands).collect::<Vec<_>>(), [4, 1]);
    assert!(
        steps[0]
            .script
            .starts_with("true &\nprintf 'a\nb'\nset +e\nfalse\nstatus=$?")
    );
    assert_eq!(steps[1].script, "echo x\n");
    assert_eq!((steps[0].line, &*steps[0].shown), (3, "a\nb\nno\n"));
    assert!(!steps[1].is_recipe && steps[1].needs.is_none());
}

#[test]
fn recipes_are_read_as_their_format_says() {
    let steps = steps(
        "## Cookbook\n```console\n# needs false || true\n$ cat <<END\n> ## a\n>\n> b\n> END\n## a\nb\n```\n\
         ## More\n```console\n$ true\n```\n",
    );
    let recipe = &steps[0];
    assert!(recipe.is_recipe && !steps[1].is_recipe);
    assert_eq!(recipe.needs.as_deref(), Some("false || true"));
    assert_eq!(recipe.script, "cat <<END\n## a\n\nb\nEND\n");
    assert_eq!(printed(&recipe.shown), ["## a", "b"]);
    let line = |nodes, speed, diff, waits, dropped| {
        format!(
            "written 1.00 MiB in {nodes} nodes, {speed} MB/s, diff {diff} (max {diff}), \
             waits {waits} (0.00 s), {dropped} dropped ({dropped} MiB)\n"
        )
    };
    let same = printed(&line(192, "20.5", 117, 0, 393));
    assert_eq!(same, printed(&line(192, "7", 3, 0, 12)));
    assert_ne!(same, printed(&line(191, "20.5", 117, 0, 393)));
    assert_ne!(same, printed(&line(192, "20.5", 117, 1, 393)));
    assert_ne!(printed("12 jobs"), printed("13 jobs"));
    assert_eq!(printed("b\n\na\n"), ["a", "b"]);
}
