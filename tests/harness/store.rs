//! Arrays and buffers that remove themselves.

use super::process::{Done, Proc, Shm, shm};
use super::segment::Name;
use super::until;
use rustix::process::Signal;
use serde_json::Value;
use shmkit::segment::layout::RawHeader;
use std::fs::{File, OpenOptions};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

/// An array or a buffer made by `shm create`, removed on drop.
pub struct Store {
    pub name: Name,
}

impl Store {
    /// `shm create array --type TYPE --len LEN`.
    #[track_caller]
    pub fn array(element: &str, len: u64) -> Store {
        let name = Name::unused();
        shm(&["create", "array", &name, "--type", element])
            .args(&["--len", &len.to_string()])
            .run()
            .exits(0)
            .silent();
        Store { name }
    }
    /// `shm create buffer --size SIZE`.
    #[track_caller]
    pub fn buffer(size: &str) -> Store {
        let name = Name::unused();
        shm(&["create", "buffer", &name, "--size", size])
            .run()
            .exits(0)
            .silent();
        Store { name }
    }

    /// `shm COMMAND NAME`, to be run.
    pub fn shm(&self, command: &str) -> Shm {
        shm(&[command, &self.name])
    }
    /// `shm write NAME ARGS...`, to be run.
    pub fn write<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Shm {
        self.shm("write").args(args)
    }
    /// `shm read NAME ARGS...`, to be run.
    pub fn read<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Shm {
        self.shm("read").args(args)
    }
    /// Stdin of a `shm write --format FORMAT` that succeeds and says nothing.
    #[track_caller]
    pub fn store(&self, format: &str, input: impl Into<Vec<u8>>) {
        self.write(&["--format", format])
            .input(input)
            .run()
            .exits(0)
            .silent();
    }
    /// Stdout of a `shm read --format FORMAT` that succeeds and says nothing.
    #[track_caller]
    pub fn load(&self, format: &str) -> Vec<u8> {
        let done = self.read(&["--format", format]).run().exits(0);
        done.silent().stdout
    }
    /// All of it as `shm read` prints it.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.read::<&str>(&[]).run().exits(0).stdout).unwrap()
    }

    /// `shm inspect --json`, whole.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        self.shm("inspect").arg("--json").run().exits(0).json()
    }
    /// Where the payload begins, by the header itself: what `inspect` says of
    /// it is a test's business.
    #[track_caller]
    pub fn data_offset(&self) -> u64 {
        let mut word = [0; 8];
        let at = offset_of!(RawHeader, payload_offset) as u64;
        self.file().read_exact_at(&mut word, at).unwrap();
        u64::from_le_bytes(word)
    }
    /// `.lock.state`: free, read or write.
    #[track_caller]
    pub fn lock_state(&self) -> String {
        let all = self.inspect();
        let state = all["lock"]["state"].as_str();
        state
            .unwrap_or_else(|| panic!("no lock.state in {all}"))
            .to_owned()
    }
    /// `.lock.owner_died`.
    #[track_caller]
    pub fn owner_died(&self) -> bool {
        let all = self.inspect();
        let died = all["lock"]["owner_died"].as_bool();
        died.unwrap_or_else(|| panic!("no lock.owner_died in {all}"))
    }
    /// Does a writer wait until the readers have left?
    #[track_caller]
    pub fn writer_waits(&self) -> bool {
        self.inspect()["lock"]["waiting_slot"].is_u64()
    }
    /// How many living participants have that role.
    #[track_caller]
    pub fn living(&self, role: &str) -> usize {
        let all = self.inspect();
        let table = all["participants"].as_array();
        let table = table.unwrap_or_else(|| panic!("no participants in {all}"));
        table
            .iter()
            .filter(|p| p["role"] == role && p["alive"] == true)
            .count()
    }

    /// The file under `/dev/shm`, as any other program may open it.
    #[track_caller]
    pub fn file(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.name.path())
            .unwrap()
    }
    /// The payload's bytes, past `shm` and its lock.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        let offset = self.data_offset() as usize;
        std::fs::read(self.name.path()).unwrap().split_off(offset)
    }
    /// Stores bytes into the payload, past `shm` and its lock.
    #[track_caller]
    pub fn poke(&self, at: u64, bytes: &[u8]) {
        self.file()
            .write_all_at(bytes, self.data_offset() + at)
            .unwrap();
    }

    /// `shm lock NAME FLAGS -- COMMAND` in a process group of its own, once
    /// it has its lock; it keeps it until its stdin is closed, or something
    /// is written to it.
    #[track_caller]
    pub fn hold(&self, flags: &[&str]) -> Proc {
        let holder = self.lock(flags, &["sh", "-c", "echo HELD; read line; exit 0"]);
        let holder = holder.held_stdin().own_group().start();
        until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
        holder
    }
    /// `shm lock NAME FLAGS -- COMMAND...`, to be run, with `shm` first on
    /// its path.
    pub fn lock(&self, flags: &[&str], command: &[&str]) -> Shm {
        let lock = self.shm("lock").args(flags).arg("--").args(command);
        lock.with_shm_on_path()
    }
    /// Ends a [`hold`](Store::hold).
    #[track_caller]
    pub fn let_go(&self, mut holder: Proc) -> Done {
        holder.close_stdin();
        holder.finish().exits(0)
    }
    /// Kills a [`hold`](Store::hold), both of its processes at once.
    #[track_caller]
    pub fn kill_holder(&self, holder: Proc) -> Done {
        holder.signal_group(Signal::KILL);
        holder.finish()
    }
}
