//! Named places at which a test may have this process killed.
//!
//! A step of a protocol is worth something only if it may be the last one of
//! whoever takes it. So after each step that others can see stands its name:
//!
//! ```text
//! node.word.store(ready.0, Ordering::Release);
//! crash_point("commit/ready");
//! ```
//!
//! In a build with debug assertions a process whose environment says
//! `SHMKIT_CRASH_AT=commit/ready` sends itself SIGKILL there; with
//! `commit/ready#3`, when it comes by for the third time. Nothing unwinds and
//! nothing is flushed: it is what `kill -9` at that very instruction does. In
//! a release build there is nothing: no branch, no name, no look at the
//! environment.
//!
//! `tests/crash_points` has the table of all of them, kills a process at each,
//! and says what must be so afterwards. A name stands at one place only, or
//! one could not tell where a victim died. (The models of `explore` need no
//! names: they stop a thread before *every* change of an atomic.)

/// The caller has just taken the step `name`.
#[cfg(any(not(debug_assertions), loom))]
#[inline(always)]
pub fn crash_point(_name: &'static str) {}

#[cfg(all(debug_assertions, not(loom)))]
pub use armed::crash_point;

#[cfg(all(debug_assertions, not(loom)))]
mod armed {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Death {
        point: String,
        /// Passages up to the one that is the last.
        left: AtomicU32,
    }

    static DEATH: OnceLock<Option<Death>> = OnceLock::new();

    fn ordered() -> Option<Death> {
        let order = std::env::var("SHMKIT_CRASH_AT").ok()?;
        let (point, passage) = order.split_once('#').unwrap_or((&order, "1"));
        Some(Death {
            point: point.to_owned(),
            left: AtomicU32::new(passage.parse().ok()?),
        })
    }

    /// The caller has just taken the step `name`.
    pub fn crash_point(name: &'static str) {
        let Some(death) = DEATH.get_or_init(ordered) else {
            return;
        };
        if death.point == name && death.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort(); // not reached
        }
    }
}
