//! A terminal, and what a person sees on it.
//!
//! ```text
//! the program ── writes ──> [pseudo-terminal] ── read by a thread ──> vt100
//!             <── is typed ──                                      screen, raw
//! ```
//!
//! [`Terminal::screen`] is what is on the screen now, as text; [`Terminal::raw`]
//! is all that was ever written there, escapes included. Nothing here waits for
//! ever: reading is a thread's, which a terminal that is dropped ends, and
//! [`Terminal::until`] has a bound and shows the screen when it reaches it.
//!
//! The test keeps the program's side open as well, so the screen outlives the
//! program, and its modes can be looked at ([`Terminal::modes`]).

use super::{PATIENCE, Shm, until_within};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OutputModes, Winsize};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// How long the reading thread waits for more before it calls it quiet.
const QUIET: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A terminal of its own.
pub struct Terminal {
    /// Our side.
    master: Arc<OwnedFd>,
    /// The program's side.
    side: OwnedFd,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<()>>,
}

/// What the reading thread leaves for the test.
struct Seen {
    state: Mutex<State>,
    /// How often there was nothing to be read for a while.
    quiet: AtomicU64,
    done: AtomicBool,
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    wrapped: bool,
}

impl Terminal {
    /// With so many rows and columns.
    #[track_caller]
    pub fn new(rows: u16, columns: u16) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a pseudo-terminal");
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let side = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        let parser = vt100::Parser::new(nonzero(rows), nonzero(columns), 1000);
        let seen = Arc::new(Seen {
            state: Mutex::new(State {
                parser,
                raw: Vec::new(),
                wrapped: false,
            }),
            quiet: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        let master = Arc::new(master);
        let (from, into) = (Arc::clone(&master), Arc::clone(&seen));
        let mut terminal = Terminal {
            master,
            side,
            seen,
            reader: None,
        };
        terminal.resize(rows, columns);
        terminal.reader = Some(std::thread::spawn(move || into.read_all(&from)));
        terminal
    }

    /// The program's side, for one of its descriptors.
    pub fn side(&self) -> OwnedFd {
        self.side.try_clone().unwrap()
    }

    /// Makes it another size. A program whose terminal this is gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // The screen first: what is drawn for the new size must fit.
        let (rows, columns) = (nonzero(rows), nonzero(columns));
        self.state().parser.set_size(rows, columns);
        rustix::termios::tcsetwinsize(&self.side, size).unwrap();
    }

    /// Types, as a person at the keyboard: `"q"`, `"\x03"` for Ctrl-C.
    pub fn type_keys(&self, keys: &str) {
        let written = rustix::io::write(&self.master, keys.as_bytes()).unwrap();
        assert_eq!(written, keys.len(), "typing {keys:?}");
    }

    /// What is on the screen: its rows, without blanks at their ends.
    pub fn screen(&self) -> String {
        let state = self.state();
        let columns = state.parser.screen().size().1.get();
        let rows = state.parser.screen().rows(0, columns);
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// All that was ever written to it.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.state().raw).into_owned()
    }

    /// Whether a line was ever too long for its row.
    pub fn wrapped(&self) -> bool {
        self.state().wrapped
    }

    /// Whether the screen is the alternate one, that of full-screen programs.
    pub fn is_alternate(&self) -> bool {
        self.state().parser.screen().alternate_screen()
    }

    /// Whether the cursor is hidden.
    pub fn is_cursor_hidden(&self) -> bool {
        self.state().parser.screen().hide_cursor()
    }

    /// How the terminal treats what is typed and what is printed: to be the
    /// same before and after.
    pub fn modes(&self) -> (LocalModes, OutputModes) {
        let modes = rustix::termios::tcgetattr(&self.side).unwrap();
        (modes.local_modes, modes.output_modes)
    }

    /// Waits until the screen is as `condition` wants it, and returns it.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "waited in vain until {what}; the screen:\n{screen}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until all that has been written so far is on the screen.
    #[track_caller]
    pub fn settle(&self) {
        let before = self.seen.quiet.load(SeqCst);
        until_within(PATIENCE, "the terminal is quiet", || {
            self.seen.quiet.load(SeqCst) >= before + 2
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.seen.state.lock().unwrap()
    }
}

impl Seen {
    fn read_all(&self, master: &OwnedFd) {
        let mut buffer = [0; 4096];
        while !self.done.load(SeqCst) {
            let mut fds = [PollFd::new(master, PollFlags::IN)];
            match poll(&mut fds, Some(&QUIET)) {
                Ok(0) | Err(_) => drop(self.quiet.fetch_add(1, SeqCst)),
                Ok(_) => {
                    let Ok(read) = rustix::io::read(master, &mut buffer) else {
                        return;
                    };
                    self.state.lock().unwrap().show(&buffer[..read]);
                }
            }
        }
    }
}

impl State {
    fn show(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        // By lines: a row that wrapped may be overwritten a moment later.
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            self.parser.process(piece);
            let screen = self.parser.screen();
            let rows = screen.size().0.get();
            self.wrapped |= (0..rows).any(|row| screen.row_wrapped(row));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.seen.done.store(true, SeqCst);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Shm {
    /// At that terminal, with all three descriptors, in a session of its own:
    /// it gets the signals of its keys and of its size. What follows may take
    /// descriptors away again.
    pub fn at(self, terminal: &Terminal) -> Shm {
        let side = terminal.side();
        let take = move || {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(side.as_fd())?;
            Ok(())
        };
        // SAFETY: two system calls, and nothing is allocated.
        unsafe { self.before_exec(take) }
            .env("TERM", "xterm-256color")
            .without_env("NO_COLOR")
            .stdin(terminal.side())
            .stdout(terminal.side())
            .stderr(terminal.side())
    }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has a size")
}
