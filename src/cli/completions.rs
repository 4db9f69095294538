//! `shm completions`: a script for a shell, and the answers to what it asks.
//!
//! ```text
//! TAB ─> the shell's script ── SHM_COMPLETE=bash shm -- shm read lo ──> answer()
//!                           <───────────── logs, logs-old ─────────────┘
//! ```
//!
//! The script is a few lines that ask the program itself, by clap_complete's
//! engine; it is not the scripts that clap_complete writes ahead of time. Those
//! do not know what segments there are, have no place where they could ask, and
//! differ from shell to shell. The engine's interface is not settled yet, so
//! Cargo.toml asks for exactly one version, and the script is made by the
//! program that it asks.
//!
//! A word that does not begin with `-` is no flag: flags are hidden from the
//! engine then, as long as there is anything else to offer, so that one name
//! alone is completed at once.

use super::args::{Cli, CompletionsArgs, ShellArg};
use super::exit::{self, ExitStatus};
use super::output;
use anyhow::Context;
use clap::{Arg, CommandFactory, Id};
use clap_complete::CompleteEnv;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use shmkit::inspect::list;
use shmkit::segment::{self, Kind, OpenOptions, Opened, SegmentError};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

/// The variable by which a script asks.
const ASKED: &str = "SHM_COMPLETE";
/// Where the shells that give a position say which word it is.
const POSITION: &str = "_CLAP_COMPLETE_INDEX";

/// zsh reads a file `_shm` at the first TAB, as the function that completes:
/// then it should do so, too.
const AUTOLOADED: &[u8] = br#"
[[ $funcstack[1] != _shm ]] || _clap_dynamic_completer_shm "$@"
"#;

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    let shell: &dyn EnvCompleter = match args.shell {
        ShellArg::Bash => &Bash,
        ShellArg::Zsh => &Zsh,
        ShellArg::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell
        .write_registration(ASKED, "shm", "shm", "shm", &mut script)
        .context("completion script")?;
    if args.shell == ShellArg::Zsh {
        script.extend_from_slice(AUTOLOADED);
    }
    output::print(String::from_utf8_lossy(&script).trim_start())?;
    Ok(ExitStatus::Success)
}

/// Answers a script, if it is one that has called.
pub fn answer(argv: &[OsString]) -> Option<ExitStatus> {
    std::env::var_os(ASKED)?;
    let (others, word) = words(argv);
    let flags = word.is_some_and(|word| word.as_bytes().starts_with(b"-"));
    let complete = CompleteEnv::with_factory(|| match flags {
        true => {
            let mut command = Cli::command();
            command.build();
            without_conflicts(command, &others)
        }
        false => without_flags(Cli::command()),
    });
    let directory = std::env::current_dir().ok();
    let asked = complete
        .var(ASKED)
        .shells(clap_complete::env::Shells(&[&Bash, &Zsh, &Fish]))
        .try_complete(argv.to_vec(), directory.as_deref());
    match asked {
        Ok(true) => Some(ExitStatus::Success),
        Ok(false) => None,
        Err(error) => Some(exit::report(&anyhow::Error::new(error).context(ASKED))),
    }
}

/// The words that stand there already, and the one to be completed.
fn words(argv: &[OsString]) -> (Vec<&OsString>, Option<&OsString>) {
    let words = argv.iter().skip_while(|word| *word != "--").skip(1);
    let mut words: Vec<&OsString> = words.collect();
    let position = std::env::var(POSITION).ok().and_then(|at| at.parse().ok());
    let position = position.unwrap_or(words.len().saturating_sub(1));
    let word = (position < words.len()).then(|| words.remove(position));
    (words, word)
}

/// Hides the flags that may not stand beside those in `words`, these among them.
fn without_conflicts(command: clap::Command, words: &[&OsString]) -> clap::Command {
    let named = |word: &&OsString| {
        command
            .find_subcommand(word)
            .map(|sub| sub.get_name().to_owned())
    };
    let sub = words
        .iter()
        .enumerate()
        .skip(1)
        .find_map(|(at, word)| Some((at, named(word)?)));
    if let Some((at, name)) = sub {
        return command.mut_subcommand(name, |sub| without_conflicts(sub, &words[at..]));
    }
    let stands = |arg: &&Arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        long.is_some_and(|long| words.iter().any(|word| **word == *long))
    };
    let standing: Vec<&Arg> = command.get_arguments().filter(stands).collect();
    let excludes = |one: &Arg, other: &Arg| {
        let conflicts = command.get_arg_conflicts_with(one);
        conflicts.iter().any(|arg| arg.get_id() == other.get_id())
    };
    let is_out = |arg: &&Arg| {
        let same = |one: &Arg| one.get_id() == arg.get_id();
        let mut all = standing.iter();
        all.any(|one| same(one) || excludes(one, arg) || excludes(arg, one))
    };
    let out: Vec<Id> = command
        .get_arguments()
        .filter(is_out)
        .map(|arg| arg.get_id().clone())
        .collect();
    command.mut_args(|arg| match out.contains(arg.get_id()) {
        true => arg.hide(true),
        false => arg,
    })
}

fn without_flags(mut command: clap::Command) -> clap::Command {
    fn hide(command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| match arg.is_positional() {
                true => arg,
                false => arg.hide(true),
            })
            .mut_subcommands(hide)
    }
    // So that those clap adds by itself are there.
    command.build();
    hide(command)
}

/// The names of all segments.
pub fn segments(word: &OsStr) -> Vec<CompletionCandidate> {
    named(word, |_| true)
}

/// Those that have a lock.
pub fn lockable(word: &OsStr) -> Vec<CompletionCandidate> {
    let has_lock = |opened: &Opened| matches!(opened.header().kind, Kind::Array | Kind::Buffer);
    named(word, |seen| seen.as_ref().is_ok_and(has_lock))
}

/// The names that begin with `word`, and what they are, by their headers alone: a large
/// ring's nodes would take their time, at each TAB.
fn named(
    word: &OsStr,
    fits: impl Fn(&Result<Opened, SegmentError>) -> bool,
) -> Vec<CompletionCandidate> {
    // Whoever presses TAB wants no error.
    let names = segment::list().unwrap_or_default().into_iter();
    names
        .filter(|name| name.as_str().as_bytes().starts_with(word.as_bytes()))
        .map(|name| {
            let seen = Opened::open(&name, OpenOptions { any_owner: true });
            (name, seen)
        })
        .filter(|(_, seen)| fits(seen))
        .map(|(name, seen)| {
            let brief = seen.and_then(|opened| list::in_brief(&opened));
            let help = brief.unwrap_or_else(|why| why.to_string()).into();
            CompletionCandidate::new(name.as_str()).help(Some(help))
        })
        .collect()
}

/// Our own commands.
pub fn commands(word: &OsStr) -> Vec<CompletionCandidate> {
    let root = Cli::command();
    let commands = root.get_subcommands();
    commands
        .filter(|command| command.get_name().as_bytes().starts_with(word.as_bytes()))
        .map(|command| CompletionCandidate::new(command.get_name()))
        .collect()
}

/// What `shm lock` runs: programs on the path, and files.
pub struct Command;

impl ValueCompleter for Command {
    fn complete(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        PathCompleter::any().complete(word)
    }

    fn complete_at(&self, index: usize, word: &OsStr) -> Vec<CompletionCandidate> {
        let mut found = self.complete(word);
        // All programs there are would help nobody.
        if index == 0 && !word.is_empty() && !word.as_bytes().contains(&b'/') {
            found.extend(programs(word));
        }
        found
    }
}

fn programs(word: &OsStr) -> Vec<CompletionCandidate> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let entries = std::env::split_paths(&path)
        .filter_map(|directory| std::fs::read_dir(directory).ok())
        .flat_map(Iterator::flatten);
    let mut names: Vec<OsString> = entries
        .filter(|entry| entry.file_name().as_bytes().starts_with(word.as_bytes()))
        .filter(|entry| {
            // What it is in the end: most are symbolic links.
            let found = std::fs::metadata(entry.path());
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}
