//! The command line: what was typed, turned into calls of the library.
//!
//! One file per command, and the few things that commands share:
//!
//! ```text
//! args, units ──> create  inspect  list  remove  lock ──────────> exit
//! help, negative ──> completions  man                            near
//!                 kinds: what is NAME?
//!                   │ ring         │ array, buffer
//!                 write  read    locked::write  locked::read ───> exit
//!                   │     │          │     │  └── format
//!    input, output ─┴─────┴──────────┴─────┴─ transfer, signals, rate
//!    (over channel) │     │          │     │
//!                  reporter, progress, summary
//! ```
//!
//! - [`args`] is what was typed, [`units`] turns its words into numbers; both
//!   refuse what is out of range, so a command starts with good values.
//! - [`mod@write`] and [`read`] move data straight between a descriptor and node
//!   memory; [`locked`] between a descriptor and the payload of an array or a
//!   buffer, in one of the [formats](mod@format); [`lock`] runs a command under
//!   their lock. [`input`] and [`output`] never block without looking, in slices,
//!   at the three things that end a wait: a signal, a removed segment, a
//!   closed output ([`transfer`]).
//! - [`reporter`] tells people and scripts how it goes, on stderr; stdout is
//!   data, or a command's JSON, and nothing else.
//! - [`watch`] is the live screens of `inspect` and `list`.
//! - [`mod@bench`] is on its own: it starts this program again as its workers, and
//!   moves data of its own making through rings of its own.
//! - [`completions`] and [`man`] tell shells and people what there is to be
//!   typed, from the same definitions.
//! - [`exit`] is the only place that knows exit statuses and prints errors.
//!
//! This is the only room that prints, reads arguments, or uses `anyhow`, clap,
//! indicatif and ratatui. It holds no `unsafe` code.

mod args;
mod bench;
mod channel;
mod completions;
mod create;
mod exit;
mod format;
mod help;
mod input;
mod inspect;
mod kinds;
mod list;
mod lock;
mod locked;
mod man;
mod near;
mod negative;
mod output;
mod progress;
mod rate;
mod read;
mod remove;
mod reporter;
mod room;
mod signals;
mod summary;
mod transfer;
mod units;
mod watch;
mod write;

use args::{Command, CreateCommand};
use exit::ExitStatus;
use std::ffi::OsString;

/// Runs the command that `argv` describes and says how it ended.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitStatus {
    if let Err(error) = signals::survive_file_size_limits() {
        return exit::report(&anyhow::Error::new(error).context("handling signals"));
    }
    let argv = negative::mark(argv.into_iter().collect());
    if let Some(status) = completions::answer(&argv) {
        return status;
    }
    let cli = match watch::parse(&argv) {
        Ok(cli) => cli,
        Err(error) => return exit::report_usage(&error, &argv),
    };
    let outcome = match &cli.command {
        Command::Create(create) => match &create.kind {
            CreateCommand::Ring(args) => create::ring(args),
            CreateCommand::Array(args) => create::array(args),
            CreateCommand::Buffer(args) => create::buffer(args),
        },
        Command::Write(args) => kinds::write(args),
        Command::Read(args) => kinds::read(args),
        Command::Lock(args) => lock::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::List(args) => list::run(args),
        Command::Remove(args) => remove::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    outcome.unwrap_or_else(|error| exit::report(&error))
}
