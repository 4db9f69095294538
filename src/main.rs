//! `shm`: shell pipelines through shared memory.
//!
//! Parse, run, exit; everything else is in [`cli`] and in the library. Two
//! things that a data pipe must get right at its very start are done by
//! Rust's runtime before `main`: SIGPIPE is ignored, so a closed output is an
//! error value that we look at; and descriptors 0, 1 and 2, where closed, are
//! opened on `/dev/null`, so that no segment ever lands on one of them.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os()).into()
}
