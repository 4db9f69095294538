//! Which kind of segment NAME is, and so what `write` and `read` do.
//!
//! ```text
//! NAME ─> open, read the header ─> flags fit the kind? ─> attach as that kind
//!             ^                       no: exit 2             │
//!             └────── replaced by one of another kind ───────┘
//! ```
//!
//! The header is looked at without attaching: a writer that attaches to a
//! ring and leaves again ends its stream, and a flag that does not apply is no
//! reason for that. Between looking and attaching the name may be given to
//! another segment; attaching then says that it is of another kind, nothing
//! has happened yet, and we look again.

use super::args::{AttachArgs, ReadArgs, WriteArgs};
use super::exit::{self, CliError, ExitStatus};
use super::locked;
use super::signals::Signals;
use super::{read, transfer, write};
use anyhow::Context;
use shmkit::lock::LockError;
use shmkit::segment::{self, Kind, Name, OpenOptions, Opened, SegmentError};

/// `shm write`.
pub fn write(args: &WriteArgs) -> anyhow::Result<ExitStatus> {
    let flags = [
        Flag::new("--lines", args.framing.lines, &[Kind::Ring]),
        Flag::new("--null", args.framing.null, &[Kind::Ring]),
        Flag::new("--record", args.framing.record.is_some(), &[Kind::Ring]),
        Flag::new("--message", args.framing.message, &[Kind::Ring]),
        Flag::new("--on-full", args.on_full.is_some(), &[Kind::Ring]),
        Flag::new("--keep-open", args.keep_open, &[Kind::Ring]),
        Flag::new("--rate", args.rate.is_some(), &[Kind::Ring]),
        Flag::new("--at", args.at.is_some(), &[Kind::Array, Kind::Buffer]),
        Flag::new("--format", args.format.is_some(), &[Kind::Array]),
    ];
    dispatch(
        &args.name,
        &args.attach,
        &flags,
        |kind, signals| match kind {
            Kind::Ring => write::ring(args, signals),
            Kind::Array => locked::write::array(args, signals),
            Kind::Buffer => locked::write::buffer(args, signals),
        },
    )
}

/// `shm read`.
pub fn read(args: &ReadArgs) -> anyhow::Result<ExitStatus> {
    let flags = [
        Flag::new("--follow", args.follow, &[Kind::Ring]),
        Flag::new("--from", args.from.is_some(), &[Kind::Ring]),
        Flag::new("--no-wait", args.no_wait, &[Kind::Ring]),
        Flag::new("--delimiter", args.delimiter.is_some(), &[Kind::Ring]),
        Flag::new("--at", args.at.is_some(), &[Kind::Array, Kind::Buffer]),
        Flag::new("--format", args.format.is_some(), &[Kind::Array]),
    ];
    dispatch(
        &args.name,
        &args.attach,
        &flags,
        |kind, signals| match kind {
            Kind::Ring => read::ring(args, signals),
            Kind::Array => locked::read::array(args, signals),
            Kind::Buffer => locked::read::buffer(args, signals),
        },
    )
}

/// A flag that not all kinds have.
struct Flag {
    name: &'static str,
    given: bool,
    applies_to: &'static [Kind],
}

impl Flag {
    fn new(name: &'static str, given: bool, applies_to: &'static [Kind]) -> Flag {
        Flag {
            name,
            given,
            applies_to,
        }
    }
}

/// Refuses a flag that only rings have.
pub fn check_ring_only(
    name: &Name,
    kind: Kind,
    flag: &'static str,
    given: bool,
) -> Result<(), CliError> {
    check(name, kind, &[Flag::new(flag, given, &[Kind::Ring])])
}

/// Refuses the first flag that was given and does not apply.
fn check(name: &Name, kind: Kind, flags: &[Flag]) -> Result<(), CliError> {
    match flags
        .iter()
        .find(|flag| flag.given && !flag.applies_to.contains(&kind))
    {
        None => Ok(()),
        Some(Flag {
            name: flag,
            applies_to,
            ..
        }) => Err(CliError::Usage(format!(
            "{name}: {flag} does not apply to {} {kind}; it is for {}",
            article(kind),
            plural(applies_to)
        ))),
    }
}

/// `arrays and buffers`.
fn plural(kinds: &[Kind]) -> String {
    let kinds = kinds.iter().map(|kind| format!("{kind}s"));
    kinds.collect::<Vec<_>>().join(" and ")
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Array => "an",
        Kind::Ring | Kind::Buffer => "a",
    }
}

/// Runs what the kind of `name` asks for, as often as it turns out to be of
/// another kind by then.
fn dispatch(
    name: &Name,
    args: &AttachArgs,
    flags: &[Flag],
    mut run: impl FnMut(Kind, &Signals) -> anyhow::Result<ExitStatus>,
) -> anyhow::Result<ExitStatus> {
    segment::guard_faults().context("handling faults in shared memory")?;
    let signals = Signals::install().context("handling signals")?;
    let options = OpenOptions {
        any_owner: args.any_owner,
    };
    loop {
        let open = || Opened::open(name, options);
        let kind = match transfer::attach(name, args, &signals, open) {
            Ok(opened) => opened.header().kind,
            Err(stop) => return stop.into_result(),
        };
        check(name, kind, flags)?;
        match run(kind, &signals) {
            Err(error) if is_other_kind(&error) => {}
            outcome => return outcome,
        }
    }
}

/// Whether attaching found another kind than was expected.
fn is_other_kind(error: &anyhow::Error) -> bool {
    matches!(
        exit::segment_error(error),
        Some(SegmentError::WrongKind { .. })
    ) || matches!(exit::lock_error(error), Some(LockError::NoLock { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_does_not_apply_is_named_with_the_kind() {
        let name = Name::new("temps").unwrap();
        let flags = |follow, at| {
            [
                Flag::new("--follow", follow, &[Kind::Ring]),
                Flag::new("--at", at, &[Kind::Array, Kind::Buffer]),
            ]
        };
        let say = |kind, follow, at| {
            let checked = check(&name, kind, &flags(follow, at));
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(
            say(Kind::Array, true, false).unwrap_err(),
            "temps: --follow does not apply to an array; it is for rings"
        );
        assert_eq!(
            say(Kind::Buffer, true, true).unwrap_err(),
            "temps: --follow does not apply to a buffer; it is for rings"
        );
        assert_eq!(
            say(Kind::Ring, true, true).unwrap_err(),
            "temps: --at does not apply to a ring; it is for arrays and buffers"
        );
        assert_eq!(say(Kind::Array, false, true), Ok(()));
        assert_eq!(say(Kind::Ring, true, false), Ok(()));
    }
}
