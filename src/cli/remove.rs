//! `shm remove`: names go, memory follows when the last user has left.
//!
//! Each name is tried, whatever became of the others; the first failure gives
//! the exit status. `--stale` prints the names it has removed, since nobody
//! typed them.

use super::args::RemoveArgs;
use super::exit::{self, ExitStatus};
use super::output;
use serde_json::json;
use shmkit::segment::{self, Kind, Mapping, OpenOptions};
use shmkit::{lock, ring};
use std::sync::Arc;

/// Removes what was named, or all that nobody uses.
pub fn run(args: &RemoveArgs) -> anyhow::Result<ExitStatus> {
    let mut status = ExitStatus::Success;
    let mut removed = Vec::new();
    if args.stale {
        removed = segment::remove_stale()?;
        if !args.json && !removed.is_empty() {
            output::print(&(removed.join("\n") + "\n"))?;
        }
    }
    for name in &args.names {
        let options = OpenOptions {
            any_owner: args.any_owner,
        };
        match segment::remove(name, args.force, options) {
            Ok(mapping) => {
                // Whoever sleeps in it finds out now. (Were it damaged, they
                // would within a slice of their waits.)
                if let Some(mapping) = mapping {
                    let _ = wake_everybody(&mapping);
                }
                removed.push(name.to_string());
            }
            Err(error) => {
                let failed = exit::report(&error.into());
                if status == ExitStatus::Success {
                    status = failed;
                }
            }
        }
    }
    if args.json {
        output::print_json(&json!({ "removed": removed }))?;
    }
    Ok(status)
}

fn wake_everybody(mapping: &Arc<Mapping>) -> anyhow::Result<()> {
    match mapping.header().kind {
        Kind::Ring => ring::wake_everybody(mapping)?,
        Kind::Array | Kind::Buffer => lock::wake_everybody(mapping)?,
    }
    Ok(())
}
