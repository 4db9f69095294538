//! SIGINT and SIGTERM, as values that a wait looks at.
//!
//! The first signal asks: blocked waits see it within a slice (most at once,
//! because it interrupts them), the command finishes what it has in hand,
//! leaves the segment cleanly and exits with 130 or 143. A second signal does
//! not ask: the process exits on the spot, as when it is killed, and the
//! others in the segment recover what it held.
//!
//! A signal that was ignored when we started is handled all the same. Shells
//! start the background jobs of a script with SIGINT ignored; a writer that
//! obeyed would sit in its ring long after Ctrl-C had ended the reader.

use super::exit::ExitStatus;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals that have arrived; clones look at the same ones.
#[derive(Clone, Debug)]
pub struct Signals {
    /// The number of the last signal, 0 for none.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs the handlers, for the rest of the process's life.
    pub fn install() -> io::Result<Signals> {
        let last = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicBool::new(false));
        for (signal, status) in [
            (SIGINT, ExitStatus::Interrupted),
            (SIGTERM, ExitStatus::Terminated),
        ] {
            // In this order: the first signal finds `asked` still false.
            flag::register_conditional_shutdown(signal, status as i32, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
        }
        // A file size limit is an error of write(2), not a reason to die.
        flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Signals { last })
    }

    /// How to exit because of a signal, if one has arrived.
    pub fn caught(&self) -> Option<ExitStatus> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            signal if signal == SIGINT as usize => Some(ExitStatus::Interrupted),
            _ => Some(ExitStatus::Terminated),
        }
    }
}
