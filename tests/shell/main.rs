//! What makes `shm` a tool of the shell: completions, manual pages, and the
//! script that installs them with it.
//!
//! Shells and man(1) that are not installed here are skipped, visibly.

#[path = "../harness/mod.rs"]
mod harness;

mod completions;
mod install;
mod man;

use harness::Shm;

/// Whether a program can be run; says so if not.
fn have(program: &str) -> bool {
    let found = Shm::program("sh").args(&["-c", "command -v \"$0\"", program]);
    let found = found.run().status.success();
    if !found {
        harness::skipped(format_args!("{program} is not installed here"));
    }
    found
}
