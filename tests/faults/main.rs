//! Faults around: what goes wrong not in a segment, but in the world that its
//! users live in. A full `/dev/shm`, a name that two want, descriptors that
//! were closed at the start, a fork, a zombie, other namespaces, a full table,
//! counters at the end of their range, limits of the process.
//!
//! ```text
//! room.rs         /dev/shm full: at create, and while others stream
//! names.rs        one name wanted by several, of several kinds
//! closed.rs       0, 1, 2 closed: what bad_input.rs and array_bad_input.rs lack
//! processes.rs    fork, zombies, several handles in one process
//! namespaces.rs   PID and user namespaces around one /dev/shm
//! slots.rs        every participant entry taken
//! wrap.rs         counters preset to just before they come round
//! limits.rs       RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS
//! ```
//!
//! Each asks for the same: the right exit status, an error of one line, nothing
//! left behind, and nobody else troubled.
//!
//! Where the exact moment matters the victim is this program itself, started
//! anew in a [`role`].

#[path = "../harness/mod.rs"]
mod harness;

mod closed;
mod limits;
mod names;
mod namespaces;
mod processes;
mod room;
mod slots;
mod wrap;

use harness::{Name, Proc, Ring, SECONDS, Shm, decode_records, record, records, shm, until};
use rustix::process::Signal;
use shmkit::ring::{Claim, Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::OpenOptions;
use std::io::Write;

/// Bytes of a record, and of the nodes that hold one.
const SIZE: usize = 4096;

/// Not a test: what the children of the tests do. Without a role it does
/// nothing.
#[test]
fn role() {
    let Some(role) = harness::role() else {
        return;
    };
    let (role, name) = role.split_once(' ').unwrap();
    let name = shmkit::segment::Name::new(name).unwrap();
    match role {
        "hold-a-write" => hold_a_write(&name, || {}),
        "hold-a-read" => hold_a_read(&name),
        "hold-a-write-with-its-leader-gone" => hold_a_write(&name, processes::end_main_thread),
        "fork-and-hold" => hold_a_write(&name, || processes::fork(processes::stay)),
        "fork-closing-all-and-hold" => {
            hold_a_write(&name, || processes::fork(processes::close_all_and_stay));
        }
        "fork-and-stream" => processes::stream_with_a_fork(&name),
        _ => panic!("no such role: {role}"),
    }
}

fn say(word: &str) {
    let mut stdout = std::io::stdout();
    stdout.write_all(format!("\n{word}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

fn wait_for_a_line() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Record 0 of writer 99, half of it now and half of it when told to.
fn hold_a_write(name: &shmkit::segment::Name, meanwhile: impl Fn()) {
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    let mut nodes = writer.reserve(1, &Wait::default()).unwrap();
    let record = record(99, 0, SIZE);
    nodes.node_mut(0)[..SIZE / 2].copy_from_slice(&record[..SIZE / 2]);
    meanwhile();
    say("HOLDS");
    wait_for_a_line();
    nodes.node_mut(0)[SIZE / 2..].copy_from_slice(&record[SIZE / 2..]);
    nodes.commit_first(SIZE).unwrap();
    drop(nodes);
    writer.end();
    std::process::exit(0); // also when the main thread is gone
}

fn hold_a_read(name: &shmkit::segment::Name) {
    let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
    let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &Wait::default()).unwrap() else {
        panic!("the stream ended")
    };
    let first = decode_records(&nodes.node(0)[..SIZE], SIZE)[0];
    say("HOLDS");
    wait_for_a_line();
    let again = decode_records(&nodes.node(0)[..SIZE], SIZE)[0];
    assert_eq!(again, first, "robbed");
    nodes.release_all();
    say(&format!("READ {} {}", first.0, first.1));
}

/// This program in that role, not yet started.
fn actor(role: &str, name: &Name) -> Shm {
    harness::actor("role", format!("{role} {}", &**name)).held_stdin()
}

/// This program in that role, once it has what it is to hold.
#[track_caller]
fn holding(role: &str, name: &Name) -> Proc {
    let proc = actor(role, name).start();
    until("it holds a node", || said(&proc, "HOLDS").is_some());
    proc
}

/// What comes after `word` on a line of its output.
fn said(proc: &Proc, word: &str) -> Option<String> {
    let all = String::from_utf8_lossy(&proc.stdout_so_far()).into_owned();
    let line = all.lines().find(|line| line.starts_with(word));
    line.map(|line| line[word.len()..].trim().to_owned())
}

/// A new pair of processes moves `count` records through the ring, in seconds:
/// each of them once, and in order.
#[track_caller]
fn others_stream(ring: &Ring, count: u32) {
    let reader = shm(&["read", &ring.name, "--follow"]).start();
    let writer = shm(&["write", &ring.name, "--keep-open"]).input_file(records(1, count, SIZE));
    writer.run_within(SECONDS).exits(0);
    until("all of it was read", || {
        let all = ring.inspect();
        all["ring"]["states"]["ready"] == 0 && all["ring"]["states"]["orphan"] == 0
    });
    reader.signal(Signal::INT);
    let seen = decode_records(&reader.finish_within(SECONDS).exits(130).stdout, SIZE);
    let own: Vec<_> = seen.iter().filter(|r| r.0 == 1).map(|r| r.1).collect();
    assert!(own.into_iter().eq(0..count), "each once and in order");
}
