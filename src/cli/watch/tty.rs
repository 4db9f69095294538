//! The terminal: taken for a full screen, and given back whatever happens.
//!
//! ```text
//! take    save modes, raw mode, alternate screen, no cursor
//! leave   cursor, screen, modes; harmless when nothing is taken
//!           by drop      every way out of the loop, errors included
//!           by the hook  a panic, before its message is printed
//! ```
//!
//! What is to be restored is kept in one place for the whole process ([`TAKEN`]), so
//! that the panic hook finds it. Writing never blocks where a signal cannot be
//! seen: a terminal that takes no more (a stalled connection) is waited for
//! together with the signals ([`Tty::flush`]), and on leaving for a second at most.

use super::super::channel::Channel;
use super::super::signals::ScreenSignals;
use super::super::transfer::poll_for;
use super::jobs;
use super::keys;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// How long a terminal that takes nothing is waited for, to be given back.
const FAREWELL: Duration = Duration::from_secs(1);

/// So many bytes of keys are read at once.
const MOST_KEYS: usize = 256;

/// How long the rest of a key is waited for. (As most programs do: a person does not
/// notice it, and a line between two continents rarely tears bytes further apart.)
const REST_OF_KEY: Duration = Duration::from_millis(25);

/// What must be restored: the modes as they were, and where they are set.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    modes: Termios,
    keys: Keys,
}

/// Where keys come from: stdin, or the controlling terminal.
#[derive(Debug)]
struct Keys(Channel);

impl Keys {
    fn open() -> Result<Keys, Errno> {
        if isatty(rustix::stdio::stdin()) {
            return Channel::standard(rustix::stdio::stdin(), OFlags::RDONLY).map(Keys);
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty())?;
        Channel::owned(terminal, OFlags::RDWR).map(Keys)
    }
}

/// Whether a screen can be had: stdout is a terminal that is more than a typewriter,
/// and there is one to take keys from.
pub fn is_there() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    isatty(rustix::stdio::stdout()) && !dumb && Keys::open().is_ok()
}

/// A terminal whose screen is ours.
pub struct Tty<'a> {
    /// Bytes to be written.
    pending: Vec<u8>,
    /// What is on the screen.
    shown: Buffer,
    screen: Channel,
    keys: Keys,
    signals: &'a ScreenSignals,
}

impl<'a> Tty<'a> {
    /// The terminal, not taken yet. It is given back when this is dropped.
    pub fn new(signals: &'a ScreenSignals) -> io::Result<Tty<'a>> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                leave();
                next(panic);
            }));
        });
        Ok(Tty {
            pending: Vec::new(),
            shown: Buffer::empty(Rect::ZERO),
            screen: Channel::standard(rustix::stdio::stdout(), OFlags::WRONLY)?,
            keys: Keys::open()?,
            signals,
        })
    }

    /// Whether the terminal is ours to set, and not another job's.
    pub fn is_foreground(&self) -> bool {
        jobs::is_foreground(&self.keys.0)
    }

    /// Takes the terminal (again, after [`leave`]).
    pub fn take(&mut self) -> io::Result<()> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = Keys::open()?;
        let modes = match taken.take() {
            Some(taken) => taken.modes,
            None => tcgetattr(&keys.0)?,
        };
        let mut raw = modes.clone();
        raw.make_raw();
        tcsetattr(&keys.0, OptionalActions::Now, &raw)?;
        *taken = Some(Taken { modes, keys });
        drop(taken);
        self.pending.clear();
        queue!(self.pending, EnterAlternateScreen, Hide)?;
        self.forget()
    }

    /// Forgets what is on the screen: all of it is drawn anew.
    pub fn forget(&mut self) -> io::Result<()> {
        let size = tcgetwinsize(&self.screen).or_else(|_| tcgetwinsize(&self.keys.0));
        let (width, height) = match size {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => (80, 24),
        };
        self.shown = Buffer::empty(Rect::new(0, 0, width, height));
        queue!(self.pending, ResetColor, Clear(ClearType::All))
    }

    /// Columns and rows.
    pub fn area(&self) -> Rect {
        self.shown.area
    }

    /// Shows a page of the screen's size. An error of the kind
    /// [`Interrupted`](io::ErrorKind::Interrupted) is a signal that ends us.
    pub fn show(&mut self, page: Buffer) -> io::Result<()> {
        let changed = self.shown.diff(&page);
        CrosstermBackend::new(&mut self.pending).draw(changed.into_iter())?;
        self.shown = page;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.pending);
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            match self.screen.write(left) {
                Ok(written) => left = &left[written..],
                Err(Errno::AGAIN) => {
                    let wake = self.signals.wake();
                    let mut fds = [
                        PollFd::new(&self.screen, PollFlags::OUT),
                        PollFd::new(wake, PollFlags::IN),
                    ];
                    poll_for(&mut fds, Duration::MAX)?;
                    self.signals.clear();
                    if self.signals.caught().is_some() {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits for a key or a signal, until `until` at most. Returns the bytes of
    /// keys; an error of the kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the
    /// terminal has gone away.
    pub fn wait(&mut self, until: Instant) -> io::Result<Vec<u8>> {
        let mut fds = [
            PollFd::new(&self.keys.0, PollFlags::IN),
            PollFd::new(self.signals.wake(), PollFlags::IN),
        ];
        poll_for(&mut fds, until.saturating_duration_since(Instant::now()))?;
        let events = fds[0].revents();
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut bytes = self.read_keys()?;
        while keys::is_cut(&bytes) && bytes.len() < MOST_KEYS {
            let mut fds = [PollFd::new(&self.keys.0, PollFlags::IN)];
            poll_for(&mut fds, REST_OF_KEY)?;
            if fds[0].revents().is_empty() {
                break;
            }
            bytes.extend(self.read_keys()?);
        }
        Ok(bytes)
    }

    /// The keys that are there.
    fn read_keys(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; MOST_KEYS];
        match self.keys.0.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(Errno::IO) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Tty<'_> {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back, if it is taken.
pub fn leave() {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Taken { modes, keys }) = taken else {
        return;
    };
    let mut farewell = Vec::new();
    let _ = queue!(farewell, ResetColor, LeaveAlternateScreen, Show);
    if let Ok(screen) = Channel::standard(rustix::stdio::stdout(), OFlags::WRONLY) {
        say_farewell(&screen, &farewell);
    }
    // Those of a terminal that has been given to another job are that job's.
    if jobs::is_foreground(&keys.0) {
        let _ = tcsetattr(&keys.0, OptionalActions::Now, &modes);
    }
}

/// Writes the last bytes, if the terminal takes them in time.
fn say_farewell(screen: &Channel, mut bytes: &[u8]) {
    let end = Instant::now() + FAREWELL;
    while !bytes.is_empty() {
        match screen.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if Instant::now() < end => {
                let mut fds = [PollFd::new(screen, PollFlags::OUT)];
                let _ = poll_for(&mut fds, end.saturating_duration_since(Instant::now()));
            }
            Err(_) => return,
        }
    }
}
