//! SIGINT, SIGTERM and SIGHUP, as values that a wait looks at.
//!
//! The first signal asks: blocked waits see it within a slice (most at once,
//! because it interrupts them), the command finishes what it has in hand,
//! leaves the segment cleanly and exits with 130, 143 or 129. A second signal
//! does not ask: the process exits on the spot, as when it is killed, and the
//! others in the segment recover what it held.
//!
//! A signal that was ignored when we started is handled all the same. Shells
//! start the background jobs of a script with SIGINT ignored; a writer that
//! obeyed would sit in its ring long after Ctrl-C had ended the reader. Only
//! SIGHUP stays ignored: who says nohup(1) means it.
//!
//! `shm lock` obeys: there the signal is its command's affair, and what is
//! ignored stays so through exec(2), whereas what has a handler becomes the
//! default, and kills. So it leaves alone what it finds ignored, as flock(1)
//! does, and the background job is not killed by the Ctrl-C of another.

use super::exit::ExitStatus;
use super::transfer::poll_for;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::flag;
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A file size limit is an error of write(2), not a reason to die: for every
/// command, whatever it prints into a file. (A handler, unlike an ignored
/// signal, is not handed on to the command that `shm lock` runs.)
pub fn survive_file_size_limits() -> io::Result<()> {
    if !Ignored::now().has(libc::SIGXFSZ) {
        flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// The signals that end a command, and how it exits then.
const ENDING: [(i32, ExitStatus); 3] = [
    (SIGINT, ExitStatus::Interrupted),
    (SIGTERM, ExitStatus::Terminated),
    (SIGHUP, ExitStatus::HungUp),
];

/// Ctrl-\ of another terminal, or kill -QUIT: a screen is given back first.
const QUIT: (i32, ExitStatus) = (SIGQUIT, ExitStatus::Quit);

/// Those of them that this process is to handle.
fn to_be_handled() -> impl Iterator<Item = (i32, ExitStatus)> {
    let nohup = Ignored::now().has(SIGHUP);
    let handled = move |signal: i32| !(nohup && signal == SIGHUP);
    ENDING
        .into_iter()
        .filter(move |(signal, _)| handled(*signal))
}

/// How to exit because of the signal that has come last, if any has.
fn status_of(last: &AtomicUsize) -> Option<ExitStatus> {
    let last = last.load(Ordering::Relaxed);
    let mut ending = ENDING.into_iter().chain([QUIT]);
    ending.find_map(|(signal, status)| (signal as usize == last).then_some(status))
}

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
        for (signal, status) in to_be_handled() {
            // In this order: the first signal finds `asked` still false.
            flag::register_conditional_shutdown(
                signal,
                i32::from(status.code()),
                Arc::clone(&asked),
            )?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
        }
        Ok(Signals { last })
    }

    /// How to exit because of a signal, if one has arrived.
    pub fn caught(&self) -> Option<ExitStatus> {
        status_of(&self.last)
    }
}

/// What reaches `shm lock` while its command runs: that the command ended, and
/// SIGTERM and SIGHUP, which are the command's to hear of.
///
/// SIGINT is nothing to it: a terminal sends it to both, and the command
/// decides what becomes of it, and how often. So here no second signal ends
/// the process on the spot; but any does once the command has ended, while we
/// wait for what it may have left behind at work under the lock.
#[derive(Debug)]
pub struct CommandSignals {
    /// What the command is to hear of, and whether it has come.
    to_hand_on: [(Signal, Arc<AtomicBool>); 2],
    ended: Arc<AtomicBool>,
    /// Readable once something has come.
    wake: UnixStream,
}

impl CommandSignals {
    /// Installs the handlers, for the rest of the process's life; and those
    /// of [`Signals`], for as long as nothing runs yet. Those that are ignored
    /// stay ignored, here and in the command.
    pub fn install() -> io::Result<(Signals, CommandSignals)> {
        let last = Arc::new(AtomicUsize::new(0));
        let to_hand_on = [Signal::TERM, Signal::HUP].map(|signal| (signal, Arc::default()));
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let ignored = Ignored::now();
        let ended = Arc::new(AtomicBool::new(false));
        for (signal, status) in ENDING {
            if !ignored.has(signal) {
                let status = i32::from(status.code());
                flag::register_conditional_shutdown(signal, status, Arc::clone(&ended))?;
                flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
            }
        }
        for (signal, come) in &to_hand_on {
            let signal = signal.as_raw();
            if !ignored.has(signal) {
                flag::register(signal, Arc::clone(come))?;
                pipe::register(signal, woken.try_clone()?)?;
            }
        }
        // Were it ignored, nobody could be told how the command ended.
        pipe::register(SIGCHLD, woken)?;
        let command = CommandSignals {
            to_hand_on,
            ended,
            wake,
        };
        Ok((Signals { last }, command))
    }

    /// Waits until a child has ended, or a signal to be handed on has come; or, now and then,
    /// for no reason.
    pub fn wait(&self) {
        let mut fds = [PollFd::new(&self.wake, PollFlags::IN)];
        let _ = poll_for(&mut fds, Duration::from_secs(60));
        // One byte for each signal, and none of them says more than the first.
        while (&self.wake).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
    }

    /// The command has ended: from now on a signal ends us, too.
    pub fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// What has come for the command since this was last asked.
    pub fn to_hand_on(&self) -> impl Iterator<Item = Signal> {
        let come = self.to_hand_on.iter();
        come.filter_map(|(signal, come)| come.swap(false, Ordering::Relaxed).then_some(*signal))
    }
}

/// What reaches a full-screen program: that it is to end, to stop for a while, that it
/// goes on, and that its terminal has another size.
///
/// No signal ends it on the spot, not even a second one: the terminal is to be
/// given back first. So it must wait for nothing but [`ScreenSignals::wake`].
/// SIGHUP and SIGTSTP that are ignored (nohup, shells without job control) stay so.
#[derive(Debug)]
pub struct ScreenSignals {
    /// The number of the last signal that ends, 0 for none.
    last: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    resumed: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    /// Readable once something has come.
    wake: UnixStream,
}

impl ScreenSignals {
    /// Installs the handlers, for the rest of the process's life.
    pub fn install() -> io::Result<ScreenSignals> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let signals = ScreenSignals {
            last: Arc::default(),
            stop: Arc::default(),
            resumed: Arc::default(),
            resized: Arc::default(),
            wake,
        };
        let ignored = Ignored::now();
        for (signal, _) in to_be_handled().chain([QUIT]) {
            flag::register_usize(signal, Arc::clone(&signals.last), signal as usize)?;
            pipe::register(signal, woken.try_clone()?)?;
        }
        for (signal, flag) in [
            (SIGTSTP, &signals.stop),
            (SIGCONT, &signals.resumed),
            (SIGWINCH, &signals.resized),
        ] {
            if signal != SIGTSTP || !ignored.has(SIGTSTP) {
                flag::register(signal, Arc::clone(flag))?;
                pipe::register(signal, woken.try_clone()?)?;
            }
        }
        Ok(signals)
    }

    /// How to exit because of a signal, if one has arrived.
    pub fn caught(&self) -> Option<ExitStatus> {
        status_of(&self.last)
    }

    /// Whether it is to stop: since this was last asked.
    pub fn stop(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// Whether it goes on after a stop: since this was last asked.
    pub fn resumed(&self) -> bool {
        self.resumed.swap(false, Ordering::Relaxed)
    }

    /// Whether the terminal's size has changed: since this was last asked.
    pub fn resized(&self) -> bool {
        self.resized.swap(false, Ordering::Relaxed)
    }

    /// Readable once a signal has come, until [`ScreenSignals::clear`].
    pub fn wake(&self) -> &UnixStream {
        &self.wake
    }

    /// What has come is going to be looked at.
    pub fn clear(&self) {
        while (&self.wake).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
    }
}

/// The signals that this process ignores, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ignored(u64);

impl Ignored {
    /// Those ignored now; none where /proc does not say.
    fn now() -> Ignored {
        let status = std::fs::read_to_string("/proc/self/status");
        Ignored::of(&status.unwrap_or_default())
    }

    /// From the lines of /proc/PID/status.
    fn of(status: &str) -> Ignored {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Ignored(mask.unwrap_or_default())
    }

    /// Signal N is bit N - 1.
    fn has(self, signal: i32) -> bool {
        u32::try_from(signal - 1)
            .ok()
            .and_then(|bit| self.0.checked_shr(bit))
            .is_some_and(|mask| mask & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_those_of_the_mask() {
        let both = Ignored::of("Name:\tshm\nSigBlk:\t0\nSigIgn:\t0000000000004002\nSigCgt:\t0\n");
        assert!(both.has(SIGINT) && both.has(SIGTERM));
        assert!(!both.has(SIGCHLD) && !both.has(0) && !both.has(64) && !both.has(1000));
        for nothing in ["", "SigIgn:\n", "SigIgn:\tnone\n", "SigCgt:\t4002\n"] {
            assert_eq!(Ignored::of(nothing), Ignored(0), "{nothing:?}");
        }
    }

    #[test]
    fn the_kernel_says_what_is_ignored() {
        // std ignores SIGPIPE for every Rust program.
        assert!(Ignored::now().has(libc::SIGPIPE));
    }
}
