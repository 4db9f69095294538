//! `shm lock`: a command under the lock of an array or a buffer.
//!
//! ```text
//! attach ─> wait for the lock ─> run COMMAND ─> it ended ─> give the lock back
//!           129, 130, 143, 4, 6     │  ↑           exit N:  the mark as it is
//!                                   │  SIGTERM     killed:  marked incomplete
//!                       SHM_LOCK ───┘
//! ```
//!
//! - COMMAND holds the lock with us: it inherits the descriptor that keeps our
//!   entry alive. Were we killed, the lock would last as long as COMMAND does.
//! - What it runs itself may use the segment: `SHM_LOCK` carries a pass for the
//!   lock, and `shm read`, `shm write` and `shm lock` do not wait for what
//!   would wait for them. Passes of locks further out are handed on.
//! - A COMMAND that is killed may have left half of its changes: the next to
//!   lock the segment is warned. One that exits, with whatever status, is taken
//!   to know what it did; a shell whose own child was killed exits, too.
//! - Nothing here takes back a mark that an earlier writer left. Nobody can say
//!   of a COMMAND that succeeded whether it has written at all. A `shm write`
//!   under the lock can, of itself, and that takes the mark back.
//! - What COMMAND has left behind still at work under the lock (a `shm read`
//!   in the background) is waited for before the lock is given back. Then,
//!   and only then, a signal ends us on the spot.
//! - Ctrl-C goes to both of us, and COMMAND decides; we end when it does.
//!   SIGTERM and SIGHUP, sent to us alone, are handed on. What was ignored when we
//!   started, COMMAND ignores too, and so do we.
//!
//! Exit status: COMMAND's, as flock(1), env(1) and the shell give it.

use super::args::LockArgs;
use super::exit::{self, ExitStatus};
use super::locked::{self, Attached, PASSES, warn_of_a_dead_writer};
use super::signals::{CommandSignals, Signals};
use super::transfer::{self, Stop, Watch};
use anyhow::Context;
use rustix::process::{Pid, kill_process};
use shmkit::lock::{Access, Locked, Mode, Wait};
use shmkit::segment;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::Arc;

/// No such command.
const NOT_FOUND: u8 = 127;
/// A command that cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// Added to the signal that killed a command.
const KILLED: i32 = 128;

/// Runs the command under the lock.
pub fn run(args: &LockArgs) -> anyhow::Result<ExitStatus> {
    segment::guard_faults().context("handling faults in shared memory")?;
    let (signals, command_signals) = CommandSignals::install().context("handling signals")?;
    let (mode, access) = match args.read {
        true => (Mode::Read, Access::Read),
        false => (Mode::Write, Access::Write),
    };
    let mut attached = match locked::attach(&args.name, access, &args.attach, &signals) {
        Ok(locked) => Attached::of(locked)?,
        Err(stop) => return stop.into_result(),
    };
    let locked = attached.locked();
    locked.keep_through_exec()?;
    let under = Under {
        args,
        signals: &signals,
        command_signals: &command_signals,
        watch: Watch::new(&args.name, &signals, Arc::clone(locked.mapping())),
        passes: passes(locked, mode),
    };
    let ended = match mode {
        Mode::Read => under.read_lock(locked),
        Mode::Write => under.write_lock(locked),
    };
    ended.map_or_else(Stop::into_result, |status| Ok(status.into()))
}

/// The passes for what COMMAND runs: ours, and those that we got ourselves.
fn passes(locked: &Locked, mode: Mode) -> String {
    let own = locked.pass(mode);
    match locked::passes() {
        Some(outer) => format!("{outer} {own}"),
        None => own,
    }
}

/// How COMMAND ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Exit(u8),
    Killed(i32),
    NotRun(u8),
}

impl From<Ended> for ExitStatus {
    fn from(ended: Ended) -> ExitStatus {
        ExitStatus::Command(match ended {
            Ended::Exit(code) | Ended::NotRun(code) => code,
            Ended::Killed(signal) => u8::try_from(KILLED + signal).unwrap_or(u8::MAX),
        })
    }
}

impl From<std::process::ExitStatus> for Ended {
    fn from(status: std::process::ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Ended::Killed(signal.unwrap_or_default()),
        }
    }
}

/// What it takes to run a command under a lock.
struct Under<'a> {
    args: &'a LockArgs,
    signals: &'a Signals,
    command_signals: &'a CommandSignals,
    watch: Watch,
    passes: String,
}

impl Under<'_> {
    fn read_lock(&self, locked: &Locked) -> Result<Ended, Stop> {
        let guard = self.wait(|wait| locked.read(wait))?;
        if guard.owner_died() {
            warn_of_a_dead_writer(&self.args.name);
        }
        self.run()
    }

    fn write_lock(&self, locked: &mut Locked) -> Result<Ended, Stop> {
        let guard = self.wait(|wait| locked.write(wait))?;
        if guard.owner_died() {
            warn_of_a_dead_writer(&self.args.name);
        }
        let ended = self.run();
        match ended {
            Ok(Ended::Killed(_)) => guard.release_incomplete(),
            // A success, too: it may have done no more than look.
            Ok(Ended::Exit(_) | Ended::NotRun(_)) | Err(_) => guard.release_unwritten(),
        }
        ended
    }

    fn wait<G>(
        &self,
        lock: impl FnOnce(&Wait<'_>) -> Result<G, shmkit::lock::LockError>,
    ) -> Result<G, Stop> {
        let cancelled = || self.signals.caught().is_some();
        let wait = Wait {
            deadline: transfer::deadline(self.args.timeout),
            cancelled: Some(&cancelled),
        };
        lock(&wait).map_err(|error| self.watch.lock_error(error, self.args.timeout))
    }

    /// Runs COMMAND and waits for its end.
    fn run(&self) -> Result<Ended, Stop> {
        // One that came while we got the lock was for us.
        if let Some(status) = self.signals.caught() {
            return Err(Stop::Signal(status));
        }
        let Some((program, arguments)) = self.args.command.split_first() else {
            return Ok(Ended::Exit(0));
        };
        let spawned = Command::new(program)
            .args(arguments)
            .env(PASSES, &self.passes)
            .spawn();
        match spawned {
            Ok(child) => self.wait_for(child),
            Err(error) => not_run(program, &error),
        }
    }

    fn wait_for(&self, mut child: Child) -> Result<Ended, Stop> {
        loop {
            if let Some(status) = child.try_wait().context("waiting for the command")? {
                self.command_signals.ended();
                return Ok(status.into());
            }
            self.command_signals.wait();
            for signal in self.command_signals.to_hand_on() {
                // As long as nobody has waited for it, its id is its own.
                let _ = kill_process(Pid::from_child(&child), signal);
            }
        }
    }
}

/// Says why, and gives the shell's status for it.
fn not_run(program: &OsString, error: &io::Error) -> Result<Ended, Stop> {
    let why = anyhow::Error::msg(error.to_string()).context(program.display().to_string());
    match error.kind() {
        // Nothing is wrong with the command: there was no process to be had.
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => Err(Stop::Failed(why)),
        kind => {
            exit::report(&why);
            Ok(Ended::NotRun(match kind {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_what_a_shell_would_give() {
        let ran = |command: &str| {
            let status = Command::new("sh").args(["-c", command]).status().unwrap();
            ExitStatus::from(Ended::from(status)).code()
        };
        assert_eq!(ran("exit 0"), 0);
        assert_eq!(ran("exit 77"), 77);
        assert_eq!(ran("kill -9 $$"), 137);
        let missing = not_run(&"nosuch".into(), &io::ErrorKind::NotFound.into()).unwrap();
        assert_eq!(ExitStatus::from(missing).code(), 127);
        let denied = not_run(&"/".into(), &io::ErrorKind::PermissionDenied.into()).unwrap();
        assert_eq!(ExitStatus::from(denied).code(), 126);
    }
}
