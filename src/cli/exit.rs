//! How a command ends: exit statuses, and the one line that an error prints.
//!
//! An error is `shm: WHAT: WHY`, in one line: the chain of an
//! [`anyhow::Error`], outermost first. Its status is that of the first error
//! in the chain that has one of its own; without any, it is 1.
//!
//! A closed stdout is no failure: whoever reads our output may stop when they
//! like (`| head`), so a broken pipe ends silently with 0.

use super::{near, negative};
use anyhow::Context;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use shmkit::array::{ArrayError, TypeError};
use shmkit::buffer::BufferError;
use shmkit::lock::LockError;
use shmkit::ring::{GeometryError, RingError};
use shmkit::segment::{self, Name, NameError, SegmentError};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit statuses of `shm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Success,
    /// Failed: I/O, permission, no space, no such segment, already exists.
    Failure,
    /// Wrong usage, or a flag or command that does not apply to this kind.
    Usage,
    /// The stream ended, but a writer died without closing it.
    Unclean,
    /// Timed out.
    TimedOut,
    /// Not one of our segments, another layout version, or corrupt.
    Unusable,
    /// The segment was removed or truncated while in use.
    Gone,
    /// Interrupted (SIGINT), after leaving the segment in order.
    Interrupted,
    /// Terminated (SIGTERM), after leaving the segment in order.
    Terminated,
    /// Its terminal went away (SIGHUP), after leaving the segment in order.
    HungUp,
    /// Told to quit (SIGQUIT), after giving the terminal back.
    Quit,
    /// Whatever the command ended with that `shm lock` ran.
    Command(u8),
}

impl ExitStatus {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Success => 0,
            ExitStatus::Failure => 1,
            ExitStatus::Usage => 2,
            ExitStatus::Unclean => 3,
            ExitStatus::TimedOut => 4,
            ExitStatus::Unusable => 5,
            ExitStatus::Gone => 6,
            ExitStatus::HungUp => 129,
            ExitStatus::Interrupted => 130,
            ExitStatus::Quit => 131,
            ExitStatus::Terminated => 143,
            ExitStatus::Command(code) => code,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status.code())
    }
}

/// Errors that only the command line knows.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was typed cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The stream a reader saw lost a writer.
    #[error("a writer died without closing the stream; the data may be incomplete")]
    Unclean,
    /// Nothing happened for as long as the user was ready to wait.
    #[error("{0}")]
    TimedOut(String),
}

impl ExitStatus {
    /// The status of an error.
    pub fn of(error: &anyhow::Error) -> ExitStatus {
        error
            .chain()
            .find_map(own_status)
            .unwrap_or(ExitStatus::Failure)
    }
}

/// The status of one error of a chain, if it is of a kind that has one.
fn own_status(error: &(dyn std::error::Error + 'static)) -> Option<ExitStatus> {
    if let Some(error) = error.downcast_ref::<CliError>() {
        return Some(match error {
            CliError::Usage(_) => ExitStatus::Usage,
            CliError::Unclean => ExitStatus::Unclean,
            CliError::TimedOut(_) => ExitStatus::TimedOut,
        });
    }
    if let Some(error) = segment_part(error) {
        return Some(segment_status(error));
    }
    if let Some(error) = error.downcast_ref::<RingError>() {
        return Some(match error {
            RingError::TimedOut => ExitStatus::TimedOut,
            RingError::Gone { .. } => ExitStatus::Gone,
            RingError::Corrupt { .. } => ExitStatus::Unusable,
            RingError::Geometry(_) => ExitStatus::Usage,
            RingError::TooLong { .. } => ExitStatus::Failure,
            RingError::Cancelled => ExitStatus::Interrupted,
            RingError::Segment(error) => segment_status(error),
        });
    }
    if let Some(error) = lock_part(error) {
        return Some(match error {
            LockError::TimedOut => ExitStatus::TimedOut,
            LockError::Cancelled => ExitStatus::Interrupted,
            LockError::Gone { .. } => ExitStatus::Gone,
            LockError::NoLock { .. } => ExitStatus::Usage,
            LockError::Segment(error) => segment_status(error),
            // Read-only, under a read lock; or one learnt since.
            _ => ExitStatus::Failure,
        });
    }
    // There can be no such thing: what was typed is wrong.
    if matches!(error.downcast_ref(), Some(ArrayError::Impossible { .. }))
        || matches!(error.downcast_ref(), Some(BufferError::Impossible(_)))
        || error.is::<NameError>()
        || error.is::<GeometryError>()
        || error.is::<TypeError>()
    {
        return Some(ExitStatus::Usage);
    }
    is_broken_pipe(error).then_some(ExitStatus::Success)
}

/// What the lock said, be it the error of an array or a buffer.
fn lock_part<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a LockError> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(ArrayError::Lock(error)), _) | (_, Some(BufferError::Lock(error))) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// What the segment said, be it the error of whatever is in it.
fn segment_part<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a SegmentError> {
    match (error.downcast_ref(), lock_part(error)) {
        (Some(RingError::Segment(error)), _) | (_, Some(LockError::Segment(error))) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// What the lock said, if it is what an error is about.
pub fn lock_error(error: &anyhow::Error) -> Option<&LockError> {
    error.chain().find_map(lock_part)
}

/// What the segment said, if it is what an error is about.
pub fn segment_error(error: &anyhow::Error) -> Option<&SegmentError> {
    error.chain().find_map(segment_part)
}

fn segment_status(error: &SegmentError) -> ExitStatus {
    match error {
        SegmentError::Name(_) | SegmentError::WrongKind { .. } => ExitStatus::Usage,
        SegmentError::NotOurs { .. }
        | SegmentError::OtherVersion { .. }
        | SegmentError::Corrupt { .. } => ExitStatus::Unusable,
        SegmentError::Gone { .. } => ExitStatus::Gone,
        SegmentError::NotFound { .. }
        | SegmentError::AlreadyExists { .. }
        | SegmentError::NoRoom { .. }
        | SegmentError::ForeignOwner { .. }
        | SegmentError::InUse { .. }
        | SegmentError::SlotsExhausted { .. }
        | SegmentError::Io { .. } => ExitStatus::Failure,
        // One that the library has learnt since.
        _ => ExitStatus::Failure,
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = match error.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => error
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind),
    };
    kind == Some(io::ErrorKind::BrokenPipe)
}

/// Prints an error, unless it is a closed output, and gives its status.
pub fn report(error: &anyhow::Error) -> ExitStatus {
    let status = ExitStatus::of(error);
    if status != ExitStatus::Success {
        say(&one_line(&match missing(error).and_then(meant) {
            Some(better) => better,
            None => sentence(error),
        }));
    }
    status
}

/// The name that there is no segment of.
fn missing(error: &anyhow::Error) -> Option<&Name> {
    match segment_error(error) {
        Some(SegmentError::NotFound { name }) => Some(name),
        _ => None,
    }
}

/// The error about a missing name that is much like one that there is.
fn meant(name: &Name) -> Option<String> {
    let names = segment::list().unwrap_or_default();
    let near = near::nearest(name.as_str(), names.iter().map(Name::as_str))?;
    Some(format!(
        "{name}: no such segment; did you mean '{near}'? 'shm list' shows what there is"
    ))
}

/// The whole chain, outermost first. A cause whose words are already the end
/// of what it caused is not said again.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.ends_with(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

/// Prints what clap has to say: help on stdout (0), or a usage error (2).
///
/// clap explains over several lines; we keep its sentence and its tip, and
/// name the help that says the rest.
pub fn report_usage(error: &clap::Error, argv: &[OsString]) -> ExitStatus {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            match printed.context("stdout") {
                Ok(()) => ExitStatus::Success,
                Err(error) => report(&error),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let path = command_path(argv);
            let what = path
                .strip_prefix("shm ")
                .map_or(String::new(), |of| format!("{of}: "));
            say(&format!("{what}no command given; see '{path} --help'"));
            ExitStatus::Usage
        }
        _ => {
            if let Some(what) = kindless(error, argv) {
                say(&what);
                return ExitStatus::Usage;
            }
            let text = negative::unmarked(&error.to_string());
            let sentence = text.strip_prefix("error: ").unwrap_or(&text);
            let end = ["\n\nUsage:", "\n\nFor more information"]
                .iter()
                .filter_map(|mark| sentence.find(mark))
                .min()
                .unwrap_or(sentence.len());
            let parts = sentence[..end].split("\n  tip: ").map(str::trim_end);
            // Of an unknown flag clap says how to pass it as a value, which of all
            // commands only `shm lock` would take: as a program to be run.
            let what: Vec<&str> = parts
                .filter(|part| !part.starts_with("to pass '"))
                .collect();
            let what = what.join("; ");
            say(&format!(
                "{}; see '{} --help'",
                one_line(&what),
                command_path(argv)
            ));
            ExitStatus::Usage
        }
    }
}

/// What to say to `shm create NAME`, which is what people type first.
fn kindless(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let word = match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) => word,
        _ => return None,
    };
    let suggested = error.get(ContextKind::SuggestedSubcommand).is_some();
    let name = Name::new(word).ok()?;
    (!suggested && command_path(argv) == "shm create").then(|| {
        format!(
            "create: '{name}' is no kind of segment; say which: 'shm create ring {name}', \
             'shm create array {name} --type f64 --len 8' or 'shm create buffer {name} --size 64K'"
        )
    })
}

/// The command that was typed, as far as it is one: `shm create ring`.
fn command_path(argv: &[OsString]) -> String {
    let root = super::args::Cli::command();
    let mut command = &root;
    let mut path = String::from("shm");
    for word in argv.iter().skip(1).filter_map(|word| word.to_str()) {
        match command.find_subcommand(word) {
            Some(found) => {
                path = format!("{path} {word}");
                command = found;
            }
            None => break,
        }
    }
    path
}

/// One line on stderr, by one write: what several processes say at the same
/// time stays lines. A stderr that nobody reads changes nothing.
pub fn say(line: &str) {
    let _ = io::stderr().write_all(format!("shm: {line}\n").as_bytes());
}

/// Folds line breaks and runs of blanks, and drops the error numbers that
/// std puts behind the words of the system's errors.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(start) = line.find(" (os error ") {
        let Some(length) = line[start..].find(')') else {
            break;
        };
        line.replace_range(start..=start + length, "");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;
    use shmkit::segment::{Gone, Name};

    #[test]
    fn each_error_has_its_status_wherever_it_is_in_the_chain() {
        let name = || Name::new("r").unwrap();
        let cases: [(anyhow::Error, ExitStatus); 14] = [
            (anyhow!("anything"), ExitStatus::Failure),
            (RingError::TimedOut.into(), ExitStatus::TimedOut),
            (
                RingError::Gone {
                    name: name(),
                    gone: Gone::Truncated,
                }
                .into(),
                ExitStatus::Gone,
            ),
            (
                RingError::Segment(SegmentError::NoRoom { needed: 2, free: 1 }).into(),
                ExitStatus::Failure,
            ),
            (LockError::TimedOut.into(), ExitStatus::TimedOut),
            (
                ArrayError::from(LockError::UnderReadLock { name: name() }).into(),
                ExitStatus::Failure,
            ),
            (
                ArrayError::from(SegmentError::Corrupt {
                    name: name(),
                    why: "x".into(),
                })
                .into(),
                ExitStatus::Unusable,
            ),
            (
                BufferError::from(LockError::Gone {
                    name: name(),
                    gone: Gone::Removed,
                })
                .into(),
                ExitStatus::Gone,
            ),
            (BufferError::Impossible(0).into(), ExitStatus::Usage),
            (
                "u9".parse::<shmkit::array::ElementType>()
                    .unwrap_err()
                    .into(),
                ExitStatus::Usage,
            ),
            (NameError::Empty.into(), ExitStatus::Usage),
            (GeometryError::Nodes(1).into(), ExitStatus::Usage),
            (CliError::Unclean.into(), ExitStatus::Unclean),
            (
                io::Error::from(io::ErrorKind::PermissionDenied).into(),
                ExitStatus::Failure,
            ),
        ];
        for (error, status) in cases {
            assert_eq!(ExitStatus::of(&error), status, "{error:#}");
            assert_eq!(ExitStatus::of(&error.context("r").context("more")), status);
        }
    }

    #[test]
    fn a_closed_stdout_is_success() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(closed()).context("stdout").unwrap_err();
        assert_eq!(ExitStatus::of(&error), ExitStatus::Success);
        let error = anyhow::Error::new(serde_json::Error::io(closed()));
        assert_eq!(ExitStatus::of(&error), ExitStatus::Success);
    }

    #[test]
    fn an_error_is_one_line_without_error_numbers() {
        let missing = || io::Error::from_raw_os_error(2);
        let inner = SegmentError::Io {
            what: "r".into(),
            source: missing(),
        };
        assert_eq!(
            one_line(&sentence(&inner.into())),
            "r: No such file or directory"
        );
        let error = anyhow::Error::new(missing()).context("two\nlines");
        assert_eq!(
            one_line(&sentence(&error)),
            "two lines: No such file or directory"
        );
    }

    #[test]
    fn a_usage_error_names_the_help_of_its_command() {
        let argv = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            command_path(&argv("shm create ring -n x")),
            "shm create ring"
        );
        assert_eq!(command_path(&argv("shm frobnicate")), "shm");
    }
}
