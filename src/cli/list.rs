//! `shm list`: all our segments, a line each.
//!
//! One that is damaged, or that we may not read, is a line that says so. It is
//! no failure of the listing.

use super::args::ListArgs;
use super::exit::ExitStatus;
use super::inspect::now_unix_ns;
use super::{output, watch};
use shmkit::inspect::list;

/// Lists the segments.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    if let Some(every) = args.watch {
        return watch::list(args, every);
    }
    let listed = list::scan()?;
    if args.json {
        output::print_json(&listed)?;
    } else {
        let mut text = Vec::new();
        list::write_table(&mut text, &listed, args.bytes, now_unix_ns())?;
        output::print(&String::from_utf8_lossy(&text))?;
    }
    Ok(ExitStatus::Success)
}
