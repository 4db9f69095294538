//! `shm create ring`: a ring under its name, whole or not at all.
//!
//! The library reserves all memory before the name appears. What is left to
//! do here is `--if-not-exists`: an existing ring counts as created when it
//! has the geometry and the mode asked for; one that differs is an error naming both, so
//! that nobody goes on with a ring that is not what the script says.

use super::args::CreateRingArgs;
use super::exit::ExitStatus;
use super::output;
use super::signals::Signals;
use anyhow::Context;
use indicatif::HumanBytes;
use serde_json::json;
use shmkit::ring::{self, Geometry, RingError};
use shmkit::segment::{Kind, OpenOptions, Opened, SegmentError};

/// Creates a ring.
pub fn ring(args: &CreateRingArgs) -> anyhow::Result<ExitStatus> {
    let geometry = Geometry::new(
        args.nodes,
        args.node_size,
        args.delivery.into(),
        args.wait.into(),
    )
    .with_context(|| args.name.to_string())?;
    // From here on a signal is an answer to wait for: nothing may be left.
    let signals = Signals::install().context("handling signals")?;
    let created = match create_or_find(args, geometry, &signals) {
        Ok(created) => created,
        Err(error) => return signals.caught().ok_or(error),
    };
    if args.json {
        output::print_json(&json!({
            "name": args.name.as_str(),
            "kind": "ring",
            "created": created,
            "size_bytes": geometry.total_size(),
            "mode": format!("{:04o}", args.mode),
            "ring": {
                "delivery": geometry.delivery.as_str(),
                "wait": geometry.wait.as_str(),
                "nodes": geometry.nodes,
                "node_size": geometry.node_size,
            },
        }))?;
    }
    Ok(ExitStatus::Success)
}

/// Whether the ring was created (or was there, equal, and that is fine).
fn create_or_find(
    args: &CreateRingArgs,
    wanted: Geometry,
    signals: &Signals,
) -> anyhow::Result<bool> {
    let name = &args.name;
    let cancelled = || signals.caught().is_some();
    loop {
        match ring::create_unless(name, wanted, args.mode, &cancelled) {
            Ok(()) => return Ok(true),
            Err(RingError::Segment(SegmentError::AlreadyExists { .. })) if args.if_not_exists => {}
            Err(error) => return Err(error.into()),
        }
        // Another user's is none that we could use.
        match Opened::open(name, OpenOptions::default()) {
            Ok(found) => return same(&found, wanted, args.mode).map(|()| false),
            // Removed in between: then it is ours to create.
            Err(SegmentError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Fails, naming both, unless `found` is a ring of the geometry and the mode
/// wanted.
fn same(found: &Opened, wanted: Geometry, mode: u32) -> anyhow::Result<()> {
    let name = found.name();
    let header = found.header();
    let existing = match header.kind {
        Kind::Ring => match Geometry::from_header(header) {
            Ok(geometry) if geometry == wanted && found.mode() == mode => return Ok(()),
            Ok(geometry) => describe(geometry, found.mode()),
            Err(why) => {
                return Err(SegmentError::Corrupt {
                    name: name.clone(),
                    why,
                }
                .into());
            }
        },
        Kind::Array => "array".into(),
        Kind::Buffer => "buffer".into(),
    };
    anyhow::bail!(
        "{name}: already exists as {existing}, not as {}; choose another name, or remove it first: shm remove {name}",
        describe(wanted, mode)
    )
}

fn describe(ring: Geometry, mode: u32) -> String {
    format!(
        "a ring of {} nodes of {} bytes ({}), {} delivery, {} wait, mode {mode:04o}",
        ring.nodes,
        ring.node_size,
        HumanBytes(ring.node_size),
        ring.delivery.as_str(),
        ring.wait.as_str()
    )
}
