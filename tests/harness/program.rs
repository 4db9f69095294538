//! Programs that a test makes, and then has run.
//!
//! The kernel runs no file that somebody has open for writing ("Text file
//! busy"). Who writes one has it open until the last copy of the descriptor is
//! closed, and a child that another thread of these tests has just forked has a
//! copy until it becomes its own program. So the file is written by a child.

use super::{Shm, skipped};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes an executable file of these bytes.
#[track_caller]
pub fn executable(path: &Path, bytes: impl Into<Vec<u8>>) {
    Shm::program("sh")
        .args(&["-c", r#"cat >"$0" && chmod 755 "$0""#])
        .arg(path)
        .input(bytes)
        .run()
        .exits(0);
}

/// `shm` as another user runs it, who has no rights but everybody's.
pub struct Other {
    directory: tempfile::TempDir,
}

impl Other {
    const USER: u32 = 65_534;

    /// For a test that runs as root; `None` (and said) where no file can be put
    /// that others see: those of the build may lie where they have no way to.
    pub fn new() -> Option<Other> {
        let everybody = std::fs::Permissions::from_mode(0o755);
        let mut builder = tempfile::Builder::new();
        match builder.permissions(everybody).tempdir_in("/tmp") {
            Ok(directory) => {
                let shm = std::fs::read(env!("CARGO_BIN_EXE_shm")).unwrap();
                executable(&directory.path().join("shm"), shm);
                Some(Other { directory })
            }
            Err(e) => {
                skipped(format!("nothing can be put into /tmp: {e}"));
                None
            }
        }
    }

    pub fn shm(&self, args: &[&str]) -> Shm {
        Shm::program(self.directory.path().join("shm").to_str().unwrap())
            .args(args)
            .with_uid(Other::USER)
    }
}
