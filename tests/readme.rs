//! Every command of the README's tour is run, as it stands there.
//!
//! A block that begins with ` ```console ` is one step of the tour. In it
//!
//! * a line `$ COMMAND` is a command, and lines `> ...` after it continue it;
//! * a line `# exits N` says that the command before it exits with N;
//! * all other lines are what a person would see, and are not compared.
//!
//! The commands of a block are one bash script, with `set -e -o pipefail`; a
//! background job is waited for at the end of its block. All blocks run in
//! order in one empty directory with `shm` first on the path. The rings of the
//! tour have names that begin with `tour-`; they are removed before and after.

mod harness;

use harness::{Shm, shm};
use std::time::Duration;

struct Step {
    line: usize,
    script: String,
    commands: usize,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut commands: Vec<(String, i32)> = Vec::new();
    let mut inside = false;
    for (number, line) in readme.lines().enumerate() {
        if !inside {
            inside = line.trim_end() == "```console";
            if inside {
                let (script, commands) = (String::new(), 0);
                steps.push(Step {
                    line: number + 2,
                    script,
                    commands,
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
            (line.strip_prefix("> "), commands.last_mut())
        {
            command.push('\n');
            command.push_str(more);
        } else if let (Some(code), Some((_, expected))) =
            (line.strip_prefix("# exits "), commands.last_mut())
        {
            let code = code.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            *expected = code.parse().expect("# exits N");
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

    remove_the_tours_rings();
    let _afterwards = Afterwards;
    let directory = tempfile::tempdir().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_shm"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    for step in steps {
        let script = format!("set -e -o pipefail\n{}wait\n", step.script);
        let done = Shm::program("bash")
            .args(&["-c", &script])
            .env("PATH", path.clone())
            .directory(directory.path())
            .run_within(Duration::from_secs(120));
        assert!(
            done.status.success(),
            "README.md, block at line {}: {}\n{script}\nstdout: {}\nstderr: {}",
            step.line,
            done.status,
            String::from_utf8_lossy(&done.stdout),
            done.stderr
        );
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
    assert_eq!(steps[0].line, 3);
}
