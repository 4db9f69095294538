//! This test program once more, in a role: where the exact moment matters, a
//! party to a test goes through the library itself.
//!
//! A program has one test that is none: it asks for its [`role`], and plays it if
//! there is one. The tests start it with [`actor`].

use super::process::Shm;
use rustix::process::{Signal, set_parent_process_death_signal};
use std::ffi::OsString;

/// Tells a process its role.
const ROLE: &str = "SHMKIT_TEST_ROLE";

/// The path of this program.
pub fn this_program() -> String {
    let path = std::env::current_exe().unwrap();
    path.into_os_string().into_string().unwrap()
}

/// This program in a role, which is for its test `test` to play. Not yet started.
pub fn actor(test: &str, role: impl Into<OsString>) -> Shm {
    Shm::program(&this_program()).acting(test, role)
}

impl Shm {
    /// The same for a command that ends with [`this_program`].
    pub fn acting(self, test: &str, role: impl Into<OsString>) -> Shm {
        // Two threads: a role is never played by the program's main one.
        self.args(&["--exact", test, "--nocapture", "--test-threads=2"])
            .env(ROLE, role)
    }
}

/// The role that this process has, if it was started by [`actor`]. From then on
/// it dies when its parent does: a killed test leaves nobody behind.
pub fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    Some(role)
}
