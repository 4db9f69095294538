//! When the memory goes away: `SIGBUS` becomes [`Gone::Truncated`](super::Gone).
//!
//! Anyone who may write to a segment can cut its file. Every touch of a page
//! that is no longer there is then `SIGBUS`, which kills. No check can prevent
//! it, since the file may be cut between check and touch. [`guard_faults`]
//! turns the death into a flag:
//!
//! ```text
//! touch -> SIGBUS -> handler: is the address in one of our mappings?
//!                      yes: set its `gone` flag, map one page of zeros over
//!                           the hole, return; the touch is repeated and goes on
//!                      no:  hand on to whoever was there before
//! ```
//!
//! The code that touched then works on zeros until it next asks
//! [`Mapping::gone`](super::Mapping::gone). That is sound because nothing read
//! from a segment is ever believed, zeros included. Only the one page is
//! replaced, so `read(2)` and `write(2)` on the others still answer `EFAULT`.
//!
//! The handler may interrupt anything, so it only does what is allowed there:
//! it loads and stores atomics in a table of fixed size, calls `mmap`, and
//! keeps `errno`. A mapping is entered before anybody can touch it and taken
//! out before it is unmapped, and whoever faults in it is using it at that
//! moment; so the handler never meets half an entry. The table has room for
//! [`MAX_GUARDED`] mappings; any more work, unguarded.
//!
//! The handler is a process's business, therefore opt-in. It asks for the
//! alternate signal stack, as the Rust runtime's own does (which it hands on
//! to, and whose reports of stack overflows keep working).

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The most mappings that are guarded at the same time in a process.
pub const MAX_GUARDED: usize = 256;

/// A mapping, as the handler knows it. Vacant: `start` is 0.
struct Guarded {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    gone: AtomicBool,
}

static GUARDED: [Guarded; MAX_GUARDED] = [const {
    Guarded {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
    }
}; MAX_GUARDED];

/// An entry in the table, as long as the mapping lives.
#[derive(Debug)]
pub(super) struct Registration(Option<usize>);

impl Registration {
    /// Enters `len` bytes from `start` on. To be dropped before they are
    /// unmapped.
    pub(super) fn new(start: usize, len: usize) -> Registration {
        let vacant = GUARDED.iter().position(|entry| {
            entry
                .taken
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        if let Some(index) = vacant {
            let entry = &GUARDED[index];
            entry.gone.store(false, Ordering::Relaxed);
            entry.end.store(start + len, Ordering::Relaxed);
            entry.start.store(start, Ordering::Release);
        }
        Registration(vacant)
    }

    /// Whether a touch of these bytes has faulted.
    pub(super) fn faulted(&self) -> bool {
        self.0
            .is_some_and(|index| GUARDED[index].gone.load(Ordering::Acquire))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.vacate();
    }
}

impl Registration {
    pub(super) fn vacate(&self) {
        if let Some(index) = self.0 {
            let entry = &GUARDED[index];
            entry.start.store(0, Ordering::Release);
            entry.end.store(0, Ordering::Release);
            entry.taken.store(false, Ordering::Release);
        }
    }
}

/// What the handler needs to know; set before it is installed.
struct Before {
    action: libc::sigaction,
    page_size: usize,
}

static BEFORE: OnceLock<Before> = OnceLock::new();
static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();

/// From now on a touch of memory that a truncation took away sets
/// [`Mapping::gone`](super::Mapping::gone) instead of killing the process.
///
/// Installs a `SIGBUS` handler for the whole process, once; further calls only
/// repeat the first one's answer. Faults elsewhere go to the handler that was
/// there before, or kill as they did.
///
/// # Errors
/// What `sigaction(2)` says.
pub fn guard_faults() -> io::Result<()> {
    let result = INSTALLED.get_or_init(|| install().map_err(|e| e.raw_os_error().unwrap_or(0)));
    result.map_err(io::Error::from_raw_os_error)
}

fn install() -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeros are a valid value.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null action only asks; the answer goes to a value that outlives the call.
    let asked = unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut before) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    BEFORE.get_or_init(|| Before {
        action: before,
        page_size: rustix::param::page_size(),
    });

    // SAFETY: sigaction is plain data, for which zeros are a valid value: an
    // empty mask among them.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for and does
    // only what may be done in a handler.
    let done = unsafe { libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if !replace_page(info) {
        hand_on(signal, info, context);
    }
}

/// Puts a page of zeros where the fault was, if it was in a mapping of ours.
fn replace_page(info: *mut libc::siginfo_t) -> bool {
    let Some(before) = BEFORE.get() else {
        return false;
    };
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo.
    let info = unsafe { &*info };
    // Not for what kill(1) sends, and not for memory that broke.
    if info.si_code != libc::BUS_ADRERR {
        return false;
    }
    // SAFETY: a SIGBUS with this code has an address.
    let address = unsafe { info.si_addr() } as usize;
    let Some(entry) = GUARDED.iter().find(|entry| {
        let start = entry.start.load(Ordering::Acquire);
        let inside = start <= address && address < entry.end.load(Ordering::Acquire);
        // Still the same mapping's, or start and end may be of two.
        start != 0 && inside && entry.start.load(Ordering::Acquire) == start
    }) else {
        return false;
    };

    // SAFETY: every thread has an errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is this thread's own, and nobody else's.
    let kept = unsafe { *errno };
    // SAFETY: the page is part of a mapping of ours, which is in use right
    // now (by the code that faulted) and so is not being unmapped; nothing
    // but shared memory that is already lost is replaced.
    let page = unsafe {
        libc::mmap(
            (address & !(before.page_size - 1)) as *mut libc::c_void,
            before.page_size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    // SAFETY: as above.
    unsafe { *errno = kept };
    if page == libc::MAP_FAILED {
        return false;
    }
    entry.gone.store(true, Ordering::Release);
    true
}

/// Lets those decide who were there before us.
fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else { return };
    match before.action.sa_sigaction {
        // Sent, and to be ignored. (A fault cannot be: it would only repeat.)
        // SAFETY: a pointer that the kernel passed with SA_SIGINFO.
        libc::SIG_IGN if unsafe { &*info }.si_code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: puts back an action that the kernel gave us. The touch
            // is repeated on return, and the process dies as it would have.
            unsafe { libc::sigaction(signal, &before.action, std::ptr::null_mut()) };
            // SAFETY: a pointer that the kernel passed with SA_SIGINFO.
            if unsafe { &*info }.si_code <= 0 {
                // Sent, not raised by a touch: nothing will repeat it.
                // SAFETY: raise has no preconditions; the signal is blocked
                // until this handler returns.
                unsafe { libc::raise(signal) };
            }
        }
        handler if before.action.sa_flags & libc::SA_SIGINFO != 0 => {
            type Informed = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: an action with SA_SIGINFO holds a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Informed>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: an action without SA_SIGINFO that is neither of the two
            // constants holds a function of this type.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}
