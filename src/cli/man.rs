//! `shm man`: the manual pages, from the same definitions as `--help`.
//!
//! clap_mangen writes names, synopses and options; the texts behind them
//! ([`help`]) are ours to set, since examples must stay as they stand:
//!
//! ```text
//! Examples, a ring:                    .SH EXAMPLES   .SS A ring
//!   shm write logs big.iso    a file   .EX ... .EE
//! Ring: a node is published when ...   .SH NOTES
//! ```
//!
//! At a terminal man(1) shows the page, if it is there; elsewhere it is the
//! source that is wanted.

use super::args::{Cli, ManArgs};
use super::exit::{CliError, ExitStatus};
use super::{help, near, output};
use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{self, Stdio};

/// Shows, prints or writes what was asked for.
pub fn run(args: &ManArgs) -> anyhow::Result<ExitStatus> {
    // Built, it knows its commands' whole names: `shm create ring`.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory)
            .and_then(|()| write_all(&root, directory))
            .with_context(|| directory.display().to_string())?;
        return Ok(ExitStatus::Success);
    }
    let source = page(find(&root, &args.command)?)?;
    if !(io::stdout().is_terminal() && is_shown(&source)) {
        output::print(&source)?;
    }
    Ok(ExitStatus::Success)
}

/// The command of these words.
fn find<'a>(root: &'a Command, words: &[String]) -> anyhow::Result<&'a Command> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let names = command.get_subcommands().map(Command::get_name);
            let hint = match near::nearest(word, names) {
                Some(name) => format!("did you mean '{name}'?"),
                None => "'shm --help' lists the commands".to_owned(),
            };
            CliError::Usage(format!("man: no command '{word}'; {hint}")).into()
        })
    })
}

fn write_all(command: &Command, directory: &Path) -> io::Result<()> {
    std::fs::write(directory.join(file_name(command)), page(command)?)?;
    let mut commands = command.get_subcommands();
    commands.try_for_each(|command| write_all(command, directory))
}

/// `shm-create-ring.1`.
fn file_name(command: &Command) -> String {
    Man::new(command.clone()).get_filename()
}

/// Shows a page as man(1) does; whether it could.
fn is_shown(source: &str) -> bool {
    let man = process::Command::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut man) = man else { return false };
    if let Some(mut stdin) = man.stdin.take() {
        // It has all of it before it shows any; what fails, it says.
        let _ = stdin.write_all(source.as_bytes());
    }
    man.wait().is_ok_and(|status| status.success())
}

/// The source of a command's page.
fn page(command: &Command) -> io::Result<String> {
    let man = Man::new(command.clone());
    let name = command.get_display_name().unwrap_or("shm").to_uppercase();
    let mut page = Vec::new();
    // No date: the same program makes the same page.
    writeln!(
        page,
        r#".TH "{name}" "1" "" "shm {}" "Shared memory for the shell""#,
        env!("CARGO_PKG_VERSION")
    )?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    if let Some(text) = command.get_after_long_help() {
        write_text(&mut roff, &text.to_string());
    }
    write_ends(&mut roff, command);
    roff.to_writer(&mut page)?;
    // A backslash in the text is one to man(1), too, wherever it stands. And between a
    // flag and its values clap_mangen breaks lines where there are none.
    let page = String::from_utf8_lossy(&page).replace(r"\\", r"\e");
    Ok(page.replace(".br\n\n.br\n", ".sp\n"))
}

/// The text behind the options.
fn write_text(roff: &mut Roff, text: &str) {
    let mut section = "";
    let mut head = |roff: &mut Roff, title: &'static str| {
        let new = section != title;
        if new {
            roff.control("SH", [title]);
            section = title;
        }
        new
    };
    let (mut literal, mut gap) = (false, false);
    for line in text.lines() {
        if line.is_empty() {
            gap = true;
            continue;
        }
        let example = line.strip_prefix("  ");
        if literal != example.is_some() {
            roff.control(if literal { "EE" } else { "EX" }, []);
            (literal, gap) = (!literal, gap && literal);
        }
        if let Some(example) = example {
            if gap {
                roff.text([roman("")]);
            }
            roff.text([roman(example)]);
        } else if let Some(of) = line.strip_prefix("Examples") {
            head(roff, "EXAMPLES");
            if let Some(kind) = of.strip_prefix(", ") {
                roff.control("SS", [kind.trim_end_matches(':')]);
            }
        } else if line == "Exit status:" {
            // Has a section of its own, on every page.
            break;
        } else {
            if !head(roff, "NOTES") && gap {
                roff.control("PP", []);
            }
            roff.text([roman(line)]);
        }
        gap = false;
    }
    if literal {
        roff.control("EE", []);
    }
}

/// What stands at the end of each page.
fn write_ends(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in help::EXIT_STATUS {
        roff.control("TP", ["6"]);
        roff.text([bold(status)]);
        roff.text([roman(meaning)]);
    }
    roff.control("SH", ["FILES"]);
    roff.control("TP", []);
    roff.text([bold("/dev/shm/NAME")]);
    roff.text([roman("the segment NAME")]);
    roff.control("SH", ["SEE ALSO"]);
    let own = command.get_display_name().unwrap_or("shm");
    let mut pages = vec!["shm".to_owned()];
    let root = Cli::command();
    pages.extend(
        root.get_subcommands()
            .map(|other| format!("shm-{}", other.get_name())),
    );
    let others: Vec<String> = pages
        .into_iter()
        .filter(|page| page != own)
        .map(|page| format!("{page}(1)"))
        .collect();
    roff.text([roman(others.join(", "))]);
}
