//! The live screen: looks, keys, signals, in one loop of one thread.
//!
//! ```text
//!        .--> signals? --> look, if it is time --> draw --> wait: key, signal, time
//!        `-------------------------------------------------------------------'
//! ```
//!
//! Ctrl-Z leaves the terminal, stops as any job does, and takes the terminal
//! again when it goes on. So does a watch that finds itself in the background: to set
//! modes from there would stop it in the middle of a system call, where no signal that
//! ends it could be seen. A process that nobody could make go on (the first of
//! its session; an orphaned group) does not stop: that is the kernel's rule for SIGTSTP,
//! which we catch, so it is ours to keep.

use super::super::exit::ExitStatus;
use super::super::signals::ScreenSignals;
use super::Subject;
use super::draw::{Palette, Setting};
use super::jobs;
use super::keys;
use super::tty::{self, Tty};
use super::ui::{Ui, Wanted};
use anyhow::Context;
use ratatui::buffer::Buffer;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Watches until it is told to end.
pub fn run(subject: &mut dyn Subject, every: Duration) -> anyhow::Result<ExitStatus> {
    let signals = ScreenSignals::install().context("handling signals")?;
    let palette = Palette::from_environment();
    let begun = Instant::now();
    let mut tty = Tty::new(&signals).context("terminal")?;
    let mut taken = false;
    let mut ui = Ui::default();
    let mut due = begun;
    let ended = loop {
        signals.clear();
        if let Some(status) = signals.caught() {
            break Ok(status);
        }
        if signals.stop() {
            tty::leave();
            taken = false;
            if stop() {
                continue;
            }
        }
        if signals.resumed() {
            taken = false;
        }
        if !taken {
            if !tty.is_foreground() && stop() {
                continue;
            }
            match tty.take() {
                // The terminal has gone away.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                    break Ok(ExitStatus::HungUp);
                }
                done => done.context("terminal")?,
            }
            taken = true;
        }
        if signals.resized() {
            tty.forget()?;
        }
        let now = Instant::now();
        if now >= due && !ui.paused {
            subject.look(now - begun, Some(tty.area()))?;
        }
        while due <= now {
            // One after the other; but not all that were missed meanwhile.
            due = (due + every).max(now);
        }
        match draw(&mut tty, subject, &mut ui, palette, every) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The terminal has gone away.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break Ok(ExitStatus::HungUp),
            drawn => drawn.context("terminal")?,
        }
        #[cfg(debug_assertions)]
        assert!(
            std::env::var_os("SHMKIT_WATCH_PANICS").is_none(),
            "told to panic"
        );
        let bytes = match tty.wait(due) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Ok(ExitStatus::HungUp),
            bytes => bytes.context("terminal")?,
        };
        let mut end = None;
        for key in keys::parse(&bytes) {
            match ui.press(key) {
                Wanted::Quit => end = Some(subject.verdict()),
                Wanted::Interrupt => end = Some(Ok(ExitStatus::Interrupted)),
                // To all of the job, as the terminal itself would.
                Wanted::Suspend if jobs::can_go_on() => {
                    let _ = kill_current_process_group(Signal::TSTP);
                }
                Wanted::Redraw => tty.forget()?,
                Wanted::Suspend | Wanted::Draw | Wanted::Nothing => {}
            }
        }
        if let Some(end) = end {
            break end;
        }
    };
    drop(tty);
    ended
}

fn draw(
    tty: &mut Tty<'_>,
    subject: &dyn Subject,
    ui: &mut Ui,
    palette: Palette,
    every: Duration,
) -> io::Result<()> {
    let mut page = Buffer::empty(tty.area());
    let setting = Setting { ui, palette, every };
    let table = subject.draw(&mut page, &setting);
    ui.drawn(table);
    tty.show(page)
}

/// Stops as SIGTSTP does, until somebody makes it go on; or does not, where nobody could.
fn stop() -> bool {
    jobs::can_go_on() && kill_process(getpid(), Signal::STOP).is_ok()
}
