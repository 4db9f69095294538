//! `shm inspect`: what a segment is, and what it is doing at this moment.
//!
//! Everything is read through a read-only descriptor (see
//! [`shmkit::inspect`]). On a damaged segment all that can be read is printed
//! first, with what is wrong in its place, and then the error follows: whoever
//! looks at a damaged ring wants to see it.

use super::args::InspectArgs;
use super::exit::{CliError, ExitStatus};
use super::{kinds, watch};
use shmkit::inspect::hexdump::{self, DumpError};
use shmkit::inspect::{Detail, Snapshot, text};
use shmkit::segment::{Kind, OpenOptions, Opened, SegmentError};
use std::io::{self, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Shows one segment.
pub fn run(args: &InspectArgs) -> anyhow::Result<ExitStatus> {
    if let Some(every) = args.watch {
        return watch::inspect(args, every);
    }
    if args.data && args.json {
        return Err(usage(
            "--data is for people and has no JSON form; leave one of them out",
        ));
    }
    let opened = Opened::open(
        &args.name,
        OpenOptions {
            any_owner: args.any_owner,
        },
    )?;
    let kind = opened.header().kind;
    kinds::check_ring_only(&args.name, kind, "--nodes", args.nodes)?;
    let detail = match kind {
        Kind::Ring if args.nodes || args.data => Detail::Nodes,
        _ => Detail::Summary,
    };
    let snapshot = Snapshot::take(&opened, detail)?;
    print(args, &opened, &snapshot).map_err(|error| match error {
        DumpError::Segment(error) => anyhow::Error::new(error),
        DumpError::Output(error) => anyhow::Error::new(error).context("stdout"),
    })?;
    match snapshot.damage.summary() {
        None => Ok(ExitStatus::Success),
        Some(why) => Err(SegmentError::Corrupt {
            name: args.name.clone(),
            why,
        }
        .into()),
    }
}

fn print(args: &InspectArgs, opened: &Opened, snapshot: &Snapshot) -> Result<(), DumpError> {
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer(&mut out, snapshot).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        text::write_snapshot(&mut out, snapshot, now_unix_ns())?;
        let rows = snapshot.node_rows.as_deref().unwrap_or_default();
        if args.nodes {
            writeln!(out)?;
            text::write_nodes(&mut out, rows)?;
        }
        if args.data {
            writeln!(out)?;
            match opened.header().kind {
                Kind::Ring => hexdump::write_nodes(&mut out, opened, rows)?,
                Kind::Array | Kind::Buffer => hexdump::write_payload(&mut out, opened)?,
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn usage(why: impl Into<String>) -> anyhow::Error {
    CliError::Usage(why.into()).into()
}

/// What ages are counted from.
pub(super) fn now_unix_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}
