//! Processes that are not as simple as one handle in one process: forked ones,
//! dead ones that nobody has reaped, several handles in one.

use crate::harness::{
    Name, PATIENCE, Proc, Ring, SECONDS, Store, decode_records, holds_for, record, shm, until,
    until_within,
};
use crate::{SIZE, holding, others_stream, said, say, wait_for_a_line};
use rustix::process::{Pid, Signal, kill_process};
use shmkit::lock::{AttachOptions, Locked};
use shmkit::ring::{Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::{self, OpenOptions};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

// ---- roles ------------------------------------------------------------------

/// Forks; the child does nothing but `what`, and the parent says who it is.
pub fn fork(what: fn() -> !) {
    // SAFETY: the child makes system calls and nothing else: of the other
    // threads, and of what they had in hand, it has no need.
    let child = unsafe { libc::fork() };
    match child {
        0 => what(),
        child => say(&format!("CHILD {child}")),
    }
}

/// Lives on, but not for ever.
pub fn stay() -> ! {
    // SAFETY: no preconditions; its default action ends this process.
    unsafe { libc::alarm(120) };
    loop {
        // SAFETY: no preconditions.
        unsafe { libc::pause() };
    }
}

/// As a daemon does: closes all descriptors but the standard ones.
pub fn close_all_and_stay() -> ! {
    // SAFETY: nothing in this process uses them from now on.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    stay()
}

fn end_at_once() -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::_exit(0) }
}

/// Ends the main thread and no other: the process is a zombie to all who look
/// at its state, and goes on.
pub fn end_main_thread() {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: ends the thread that runs this, which nobody joins.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    let handler: extern "C" fn(libc::c_int) = end;
    // SAFETY: the handler makes one system call.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let pid = std::process::id();
    // SAFETY: sends a signal to the main thread of this process.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGUSR1) };
    until("the main thread has ended", || state_of(pid) == 'Z');
}

/// Records 0 to 999 of writer 7: one before two forks, the others after.
pub fn stream_with_a_fork(name: &segment::Name) {
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    let mut write = |sequence| {
        let record = record(7, sequence, SIZE);
        writer.write(&record, &Wait::default()).unwrap();
    };
    write(0);
    fork(stay);
    fork(end_at_once);
    // SAFETY: waits for the child that ends; no status is asked for.
    unsafe { libc::wait(std::ptr::null_mut()) };
    (1..1000).for_each(write);
    say("WRITTEN");
    wait_for_a_line();
    writer.end();
    say("LEFT");
    wait_for_a_line();
}

// ---- their sight from outside -----------------------------------------------

/// The state of a process, as `ps` shows it.
fn state_of(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let state = stat[stat.rfind(')').unwrap()..].chars().nth(2);
    state.unwrap()
}

/// The forked child of a role's process; killed on drop.
struct Child(Pid);

impl Child {
    #[track_caller]
    fn of(parent: &Proc) -> Child {
        let pid = said(parent, "CHILD").expect("it forked").parse().unwrap();
        Child(Pid::from_raw(pid).unwrap())
    }
    fn lives(&self) -> bool {
        let state = format!("/proc/{}/stat", self.0.as_raw_nonzero());
        std::fs::read_to_string(state).is_ok_and(|stat| !stat.contains(") Z"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

// ---- fork -------------------------------------------------------------------

#[test]
fn a_forked_child_neither_breaks_its_parents_stream_nor_is_counted() {
    let ring = Ring::new(4, &SIZE.to_string());
    let reader = shm(&["read", &ring.name]).start();
    let mut parent = crate::actor("fork-and-stream", &ring.name).start();
    until("it has written", || said(&parent, "WRITTEN").is_some());
    let child = Child::of(&parent);
    until("all is read", || ring.number("read_nodes") == 1000);
    assert_eq!((ring.living("writer"), ring.living("reader")), (1, 1));
    let all = ring.inspect();
    assert_eq!(all["participants"].as_array().unwrap().len(), 2);

    // The parent's leaving is its own, and the child does not stay in its place.
    parent.feed(b"\n");
    let got = reader.finish_within(SECONDS).exits(0).stdout;
    let want: Vec<_> = (0..1000).map(|sequence| (7, sequence)).collect();
    assert_eq!(decode_records(&got, SIZE), want);
    until("it has left", || said(&parent, "LEFT").is_some());
    assert!(child.lives());
    assert_eq!(ring.living("writer"), 0);
    shm(&["remove", &ring.name]).run().exits(0);
    drop(child);
    parent.feed(b"\n");
    parent.finish().exits(0);
}

/// As `segment::liveness` says: a forked child shares the lock, so the parent's
/// entry is held until the child, too, has ended.
#[test]
fn a_killed_parent_counts_as_alive_as_long_as_its_forked_child() {
    let ring = Ring::new(4, &SIZE.to_string());
    let parent = holding("fork-and-hold", &ring.name);
    let child = Child::of(&parent);
    // Its output is the child's, too, and would not end: do not gather it.
    parent.signal(Signal::KILL);
    until("it is dead", || state_of(parent.pid()) == 'Z');
    holds_for(Duration::from_millis(500), "its entry is held", || {
        ring.living("writer") == 1
    });
    others_stream(&ring, 100);
    assert_eq!(
        (ring.state("writing"), ring.number("abandoned_nodes")),
        (1, 0)
    );
    drop(child);
    until_within(SECONDS, "the entry is free", || ring.living("writer") == 0);
    others_stream(&ring, 100);
    assert_eq!(
        (ring.state("writing"), ring.number("abandoned_nodes")),
        (0, 1)
    );
}

#[test]
fn a_killed_parent_is_dead_if_its_forked_child_has_closed_its_descriptors() {
    let ring = Ring::new(4, &SIZE.to_string());
    let parent = holding("fork-closing-all-and-hold", &ring.name);
    let child = Child::of(&parent);
    parent.signal(Signal::KILL);
    until_within(SECONDS, "the dead writer is not alive", || {
        ring.living("writer") == 0
    });
    others_stream(&ring, 100);
    assert_eq!(
        (ring.state("writing"), ring.number("abandoned_nodes")),
        (0, 1)
    );
    assert!(child.lives());
}

// ---- zombies ----------------------------------------------------------------

#[test]
fn a_zombie_is_dead() {
    let ring = Ring::new(2, &SIZE.to_string());
    let writer = holding("hold-a-write", &ring.name);
    writer.signal(Signal::KILL); // and nobody waits for it
    until("it is a zombie", || state_of(writer.pid()) == 'Z');
    until_within(SECONDS, "its entry is free", || ring.living("writer") == 0);
    others_stream(&ring, 100);
    assert_eq!(
        (ring.state("writing"), ring.number("abandoned_nodes")),
        (0, 1)
    );

    let store = Store::array("u8", 1);
    let holder = store.hold(&["--write"]);
    holder.signal_group(Signal::KILL);
    until("it is a zombie", || state_of(holder.pid()) == 'Z');
    store.write(&["3"]).run_within(SECONDS).exits(0);
    assert_eq!(store.text(), "3\n");

    for name in [&ring.name, &store.name] {
        shm(&["remove", name]).run().exits(0);
    }
    // Zombies to the end.
    assert_eq!([state_of(writer.pid()), state_of(holder.pid())], ['Z'; 2]);
}

/// A process whose main thread has ended looks like a zombie, and is none.
#[test]
fn a_process_that_outlives_its_main_thread_is_alive() {
    let ring = Ring::new(4, &SIZE.to_string());
    let reader = shm(&["read", &ring.name]).start();
    let mut writer = holding("hold-a-write-with-its-leader-gone", &ring.name);
    assert_eq!(state_of(writer.pid()), 'Z');
    shm(&["write", &ring.name, "--keep-open"])
        .input_file(record(1, 0, SIZE))
        .run()
        .exits(0);
    holds_for(Duration::from_millis(500), "it is alive", || {
        ring.living("writer") == 1 && ring.state("writing") == 1
    });
    shm(&["remove", &ring.name]).run().fails(1);
    writer.feed(b"\n");
    writer.finish().exits(0);
    let got = reader.finish_within(SECONDS).exits(0).stdout;
    assert_eq!(decode_records(&got, SIZE), [(1, 0), (99, 0)]);
}

// ---- several handles in one process -----------------------------------------

fn name_of(name: &Name) -> segment::Name {
    segment::Name::new(name).unwrap()
}

/// With POSIX's record locks, closing any descriptor of a file drops all locks
/// that the process has on it. Ours belong to descriptions.
#[test]
fn closing_a_descriptor_of_the_file_drops_no_other_handles_lock() {
    let ring = Ring::new(4, &SIZE.to_string());
    let name = name_of(&ring.name);
    let attach = || Writer::attach(&name, OpenOptions::default()).unwrap();
    let reader = Reader::attach(&name, &ReaderOptions::default()).unwrap();
    let (one, two) = (attach(), attach());
    let alive = || (ring.living("writer"), ring.living("reader"));
    assert_eq!(alive(), (2, 1));

    drop(File::options().read(true).write(true).open(ring.path()));
    drop(std::fs::read(ring.path()));
    drop(segment::Opened::open(&name, OpenOptions::default()));
    assert_eq!(alive(), (2, 1));
    two.keep_open();
    assert_eq!(alive(), (1, 1));
    drop(attach());
    assert_eq!(alive(), (1, 1));

    // Nor does giving up the POSIX locks of the process, all of them.
    let file = File::options()
        .read(true)
        .write(true)
        .open(ring.path())
        .unwrap();
    // SAFETY: flock is plain data, for which zeros are a valid value.
    let mut everything: libc::flock = unsafe { std::mem::zeroed() };
    everything.l_type = libc::F_UNLCK as libc::c_short;
    // SAFETY: the descriptor is open, and the kernel reads one flock.
    let unlocked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &everything) };
    assert_eq!(unlocked, 0);
    drop(file);
    assert_eq!(alive(), (1, 1));
    shm(&["remove", &ring.name]).run().fails(1);
    drop(one);
    assert_eq!(alive(), (0, 1));
    drop(reader);
    shm(&["remove", &ring.name]).run().exits(0);
}

#[test]
fn handles_of_one_process_exclude_each_other_and_strangers() {
    let store = Store::array("u64", 1);
    let name = name_of(&store.name);
    let attach = || Locked::attach(&name, &AttachOptions::default()).unwrap();
    let soon = || Wait {
        deadline: Some(std::time::Instant::now() + Duration::from_millis(50)),
        cancelled: None,
    };
    let patient = || Wait {
        deadline: Some(std::time::Instant::now() + PATIENCE),
        cancelled: None,
    };
    let (mut one, mut two) = (attach(), attach());
    let writing = one.write(&patient()).unwrap();
    assert!(two.write(&soon()).is_err() && two.read(&soon()).is_err());
    // The second handle goes, and with it a descriptor of the file.
    drop(two);
    drop(std::fs::read(store.name.path()));
    assert_eq!(store.lock_state(), "write");
    store.write(&["1", "--timeout", "50ms"]).run().fails(4);
    let mut three = attach();
    assert!(three.write(&soon()).is_err());
    drop(writing);
    drop(three.write(&patient()).unwrap());
    let reading = one.read(&patient()).unwrap();
    assert!(three.write(&soon()).is_err());
    store.write(&["1", "--timeout", "50ms"]).run().fails(4);
    drop(reading);
    store.write(&["1"]).run().exits(0);
}
