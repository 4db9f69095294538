//! Away from a terminal: what there is to say, each time.
//!
//! For people and their log files a line for each segment, which says what its
//! figures are, so that grep(1) can pick them; for scripts, with `--json`, one JSON
//! value a line. The first comes at once, and has no rates yet.
//!
//! It ends by a signal, with the segment, or, silently, when nobody reads it any
//! more: that is noticed while it waits, too.

use super::super::exit::ExitStatus;
use super::super::output::print;
use super::super::signals::Signals;
use super::super::transfer::{SLICE, poll_for};
use super::Subject;
use anyhow::Context;
use rustix::event::{PollFd, PollFlags};
use std::time::{Duration, Instant};

/// Prints until it is told to end.
pub fn run(subject: &mut dyn Subject, every: Duration, json: bool) -> anyhow::Result<ExitStatus> {
    let signals = Signals::install().context("handling signals")?;
    let begun = Instant::now();
    let mut due = begun;
    loop {
        let now = Instant::now();
        subject.look(now - begun, None)?;
        match json {
            true => print(&(subject.json()? + "\n"))?,
            false => print(&subject.lines())?,
        }
        while due <= now {
            due = (due + every).max(now);
        }
        while Instant::now() < due {
            if let Some(status) = signals.caught() {
                return Ok(status);
            }
            if closed_within(due.saturating_duration_since(Instant::now()).min(SLICE)) {
                return Ok(ExitStatus::Success);
            }
        }
        if let Some(status) = signals.caught() {
            return Ok(status);
        }
    }
}

/// Waits, and says whether nobody reads stdout any more.
fn closed_within(time: Duration) -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
    let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    poll_for(&mut fds, time).is_ok() && fds[0].revents().intersects(closed)
}
