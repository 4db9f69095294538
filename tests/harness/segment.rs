//! Names and segments that remove themselves.

use super::process::shm;
use serde_json::Value;
use shmkit::ring::{self, Delivery, Geometry, WaitStrategy};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the segment of that name lies.
pub fn shm_path(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm").join(name)
}

/// A name that nobody else uses; whatever lies under it is removed on drop.
pub struct Name(String);

impl Name {
    /// Unique across processes, threads and runs.
    pub fn unused() -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let random = RandomState::new().build_hasher().finish() as u32;
        Name(format!("test-{}-{count}-{random:08x}", std::process::id()))
    }
    /// That name, which the caller has made unique.
    pub fn exactly(name: &str) -> Name {
        Name(name.to_owned())
    }
    pub fn path(&self) -> PathBuf {
        shm_path(&self.0)
    }
    /// Whether anything lies under the name.
    pub fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let path = self.path();
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => drop(std::fs::remove_dir_all(path)),
            Ok(_) => drop(std::fs::remove_file(path)),
            Err(_) => {}
        }
    }
}

/// A ring made by `shm create ring`, removed on drop.
pub struct Ring {
    pub name: Name,
}

impl Ring {
    /// `nodes` nodes of `node_size` (as typed: `64K`).
    #[track_caller]
    pub fn new(nodes: u64, node_size: &str) -> Ring {
        Ring::with(&["--nodes", &nodes.to_string(), "--node-size", node_size])
    }
    /// With these options.
    #[track_caller]
    pub fn with(options: &[&str]) -> Ring {
        let name = Name::unused();
        shm(&["create", "ring", &name]).args(options).run().exits(0);
        Ring { name }
    }
    /// A broadcast ring, through the library.
    #[track_caller]
    pub fn broadcast(nodes: u64, node_size: u64) -> Ring {
        let name = Name::unused();
        let futex = WaitStrategy::Futex;
        let geometry = Geometry::new(nodes, node_size, Delivery::Broadcast, futex).unwrap();
        let segment = shmkit::segment::Name::new(&name).unwrap();
        ring::create(&segment, geometry, 0o600).unwrap();
        Ring { name }
    }
    pub fn path(&self) -> PathBuf {
        self.name.path()
    }
    /// `shm inspect --json`, whole.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        shm(&["inspect", &self.name, "--json"])
            .run()
            .exits(0)
            .json()
    }
    /// The number under `.ring.KEY`.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        let all = self.inspect();
        all["ring"][key]
            .as_u64()
            .unwrap_or_else(|| panic!("no number ring.{key} in {all}"))
    }
    /// The number under `.ring.states.KEY`.
    #[track_caller]
    pub fn state(&self, key: &str) -> u64 {
        let all = self.inspect();
        let states = &all["ring"]["states"];
        states[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no number ring.states.{key} in {all}"))
    }
    /// `.ring.stream.state`.
    #[track_caller]
    pub fn stream_state(&self) -> String {
        let all = self.inspect();
        let state = all["ring"]["stream"]["state"].as_str();
        state
            .unwrap_or_else(|| panic!("no ring.stream.state in {all}"))
            .to_owned()
    }
    /// How many living participants have that role. Of a ring whose stream is not
    /// open nobody is a writer: one that is killed before it has joined the stream
    /// leaves readers to wait for the next.
    #[track_caller]
    pub fn living(&self, role: &str) -> usize {
        let all = self.inspect();
        let stream = &all["ring"]["stream"]["state"];
        if role == "writer" && stream.as_str().is_some_and(|state| state != "open") {
            return 0;
        }
        let table = all["participants"].as_array();
        let table = table.unwrap_or_else(|| panic!("no participants in {all}"));
        table
            .iter()
            .filter(|p| p["role"] == role && p["alive"] == true)
            .count()
    }
    /// Does all that is committed count as read, with no node held by anybody?
    #[track_caller]
    pub fn is_drained(&self) -> bool {
        let all = self.inspect();
        let ring = &all["ring"];
        let busy = ["writing", "ready", "reading", "orphan"];
        ring["diff_nodes"] == 0
            && ring["diff_bytes"] == 0
            && busy.iter().all(|state| ring["states"][state] == 0)
    }
}
