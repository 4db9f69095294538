//! A child under `ptrace(2)`: stepped instruction by instruction, and killed.
//!
//! ```text
//! fork -> TRACEME -> prepare -> SIGSTOP -> the cycle -> SIGSTOP
//!                               ^ run_to_mark          ^ step: Step::Marked
//! ```
//!
//! The marks are `SIGSTOP`s that the child sends itself: the tracer sees them,
//! and they are one system call each. `PTRACE_SINGLESTEP` works the same on
//! all processors that Linux runs on, with one exception that matters here: on
//! aarch64 without LSE atomics (before ARMv8.1) each step takes the monitor
//! away that `stxr` needs, so a compare-and-swap never succeeds. `step` gives
//! up with a clear word after [`MOST`] instructions.
//!
//! rustix has no `ptrace`; these are the four requests needed, behind safe
//! functions. The process must have one thread: a child of `fork` that goes on
//! without `exec` may then use everything that its parent may.

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process,
    set_parent_process_death_signal, setpgid, waitpid,
};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// More instructions than any cycle has.
pub const MOST: u64 = 5_000_000;

/// A child that stops before each instruction, or runs to a mark. Dropped, it
/// is killed and reaped; so it is when this process dies.
pub struct Traced {
    pid: Pid,
    dead: bool,
}

/// What stepping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All steps were made; the child is stopped behind the last one.
    Made,
    /// The child came to its mark after that many instructions.
    Marked(u64),
}

/// The calling child's mark: it stops here until its tracer lets it go on.
pub fn mark() {
    kill_process(getpid(), Signal::STOP).unwrap();
}

fn is_stopped_by(status: WaitStatus, signal: Signal) -> bool {
    status.stopping_signal() == Some(signal.as_raw())
}

impl Traced {
    /// Forks a child that runs `program`, which marks twice. It ends by being
    /// killed.
    pub fn fork(program: impl FnOnce()) -> Traced {
        let parent = getpid();
        // SAFETY: this process has one thread (see `main`), so the child finds
        // no lock held by another and may go on like its parent.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // Nothing of the parent's is dropped here: neither by unwinding nor
            // by returning.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                belong_to(parent);
                trace_me().expect("PTRACE_TRACEME");
                program();
            }));
            // SAFETY: ends this process and nothing else.
            unsafe { libc::_exit(99) }
        }
        let pid = Pid::from_raw(pid).expect("fork");
        Traced { pid, dead: false }
    }

    fn wait(&mut self) -> WaitStatus {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::empty())
            .expect("our child")
            .expect("without NOHANG there is a status");
        self.dead = !status.stopped();
        status
    }

    /// Runs up to the next mark.
    pub fn run_to_mark(&mut self) {
        let status = self.wait();
        assert!(
            is_stopped_by(status, Signal::STOP),
            "the child did not come to its first mark: {status:?}"
        );
        self.request(libc::PTRACE_SETOPTIONS, libc::PTRACE_O_EXITKILL as usize);
    }

    /// Makes up to `count` single steps from a mark.
    pub fn step(&mut self, count: u64) -> Step {
        assert!(
            count <= MOST,
            "{MOST} instructions and no end: does a loop spin?"
        );
        for made in 0..count {
            self.request(libc::PTRACE_SINGLESTEP, 0);
            let status = self.wait();
            if is_stopped_by(status, Signal::STOP) {
                return Step::Marked(made);
            }
            assert!(
                is_stopped_by(status, Signal::TRAP),
                "the child ended or failed at instruction {made}: {status:?}"
            );
        }
        Step::Made
    }

    /// `SIGKILL`; returns once the kernel has let go of all that it held.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.dead {
            return;
        }
        let _ = kill_process(self.pid, Signal::KILL);
        while !self.dead {
            self.wait();
        }
    }

    fn request(&mut self, request: PtraceRequest, data: usize) {
        // SAFETY: these requests neither read nor write memory of ours; the
        // kernel checks that `pid` is a stopped child of ours.
        let done = unsafe { libc::ptrace(request, self.pid.as_raw_pid(), 0usize, data) };
        let error = std::io::Error::last_os_error();
        assert_eq!(done, 0, "ptrace request {request}: {error}");
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(target_env = "musl")]
type PtraceRequest = libc::c_int;
#[cfg(not(target_env = "musl"))]
type PtraceRequest = libc::c_uint;

/// Makes the parent the tracer of the calling child.
fn trace_me() -> io::Result<()> {
    // SAFETY: as in `request`.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0usize, 0usize) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The calling child of `parent` ends with it, and a Ctrl-C is not for it: the
/// parent kills it in time.
pub fn belong_to(parent: Pid) {
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    setpgid(None, None).unwrap();
    assert_eq!(getppid(), Some(parent), "it has died already");
}

/// Whether a child may ask to be traced: a container's filter may forbid it.
pub fn permitted() -> io::Result<()> {
    // SAFETY: as in `Traced::fork`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let said = trace_me().err().and_then(|error| error.raw_os_error());
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(said.unwrap_or(0)) }
    }
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())?.expect("no NOHANG");
    match status.exit_status() {
        Some(0) => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.expect("it exits"))),
    }
}
