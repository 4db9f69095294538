//! One `/dev/shm`, and around it processes in namespaces of their own, as
//! containers are that share it. Process ids mean nothing there (each of these
//! is number 1, or not far from it, and none can see the others); the kernel's
//! locks mean the same everywhere.

use crate::harness::{
    Name, Proc, Ring, SECONDS, Shm, Store, holds_for, shm, skipped, this_program, until,
    until_within,
};
use crate::{SIZE, others_stream, said};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::time::Duration;

/// A user and a PID namespace; what runs there is killed with its `unshare`.
const PIDS: &[&str] = &[
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--kill-child",
];
/// A user namespace in which nobody has a name.
const NOBODY: &[&str] = &["--user"];

/// `program` in namespaces of its own; `None`, with a note, where they are not
/// to be had.
fn unshared(how: &[&str], program: &str) -> Option<Shm> {
    let tried = Command::new("unshare").args(how).arg("true").output();
    if !tried.is_ok_and(|done| done.status.success()) {
        let how = how.join(" ");
        skipped(format_args!("no namespaces to be had here (unshare {how})"));
        return None;
    }
    let unshare = Shm::program("unshare").args(how);
    Some(unshare.arg(program))
}

fn unshared_shm(how: &[&str], args: &[&str]) -> Option<Shm> {
    Some(unshared(how, env!("CARGO_BIN_EXE_shm"))?.args(args))
}

/// This program in a role, in a PID namespace of its own, once it holds.
fn holding_far_away(role: &str, name: &Name) -> Option<Proc> {
    let role = format!("{role} {}", &**name);
    let command = unshared(PIDS, &this_program())?.acting("role", role);
    let proc = command.held_stdin().start();
    until("it holds a node", || said(&proc, "HOLDS").is_some());
    Some(proc)
}

/// The process inside, by its number out here.
fn inside(unshare: &Proc) -> Pid {
    let pid = unshare.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

/// (role, pid, alive) of each, as this command sees them.
fn seen(inspect: Shm) -> Vec<(String, u64, bool)> {
    let all = inspect.run().exits(0).json();
    let participants = all["participants"].as_array().unwrap().iter();
    let one = |p: &serde_json::Value| {
        let role = p["role"].as_str().unwrap().to_owned();
        (role, p["pid"].as_u64().unwrap(), p["alive"] == true)
    };
    let mut all: Vec<_> = participants.map(one).collect();
    all.sort();
    all
}

#[test]
fn participants_of_two_pid_namespaces_see_who_lives_and_rob_nobody() {
    let ring = Ring::new(4, &SIZE.to_string());
    let inspect = ["inspect", "--json", &*ring.name];
    let Some(stopped) = holding_far_away("hold-a-write", &ring.name) else {
        return;
    };
    let killed = holding_far_away("hold-a-write", &ring.name).unwrap();

    // Everybody sees the same; pids are those that each knows of itself.
    let alive = |inspect| seen(inspect) == vec![("writer".to_owned(), 1, true); 2];
    assert!(alive(shm(&inspect)));
    assert!(alive(unshared_shm(PIDS, &inspect).unwrap()));

    // Stopped is not dead, to those out here and to those in a third one.
    kill_process(inside(&stopped), Signal::STOP).unwrap();
    others_stream(&ring, 100);
    let reader = unshared_shm(PIDS, &["read", &ring.name, "--count", "1"]).unwrap();
    let reader = reader.start();
    until("it is there, too", || ring.living("reader") == 1);
    shm(&["write", &ring.name, "--keep-open"])
        .input("over")
        .run()
        .exits(0);
    assert_eq!(reader.finish_within(SECONDS).exits(0).stdout, b"over");
    holds_for(Duration::from_millis(300), "both hold a node", || {
        ring.living("writer") == 2 && ring.state("writing") == 2
    });

    // Killed is dead, and one in a third namespace puts its affairs in order.
    killed.kill();
    until_within(SECONDS, "one is dead", || ring.living("writer") == 1);
    let sweeper = unshared_shm(PIDS, &["write", &ring.name, "--keep-open"]).unwrap();
    sweeper.input("swept").run_within(SECONDS).exits(0);
    assert_eq!(
        (ring.state("writing"), ring.number("abandoned_nodes")),
        (1, 1)
    );
    shm(&["remove", &ring.name]).run().fails(1);

    // And the stopped one commits what it had.
    kill_process(inside(&stopped), Signal::CONT).unwrap();
    let mut resumed = stopped;
    resumed.feed(b"\n");
    resumed.finish().exits(0);
    let read = unshared_shm(PIDS, &["read", &ring.name]).unwrap();
    let got = read.run_within(SECONDS).exits(3).stdout; // a writer died
    let committed = crate::record(99, 0, SIZE);
    assert!(
        got.strip_prefix(b"swept")
            .is_some_and(|rest| rest == committed)
    );
    let remove = unshared_shm(PIDS, &["remove", &ring.name]).unwrap();
    remove.run().exits(0);
    assert!(!ring.name.exists());
}

#[test]
fn a_reader_killed_in_another_pid_namespace_hands_its_node_on() {
    let ring = Ring::new(4, &SIZE.to_string());
    let record = crate::record(5, 0, SIZE);
    shm(&["write", &ring.name])
        .input_file(&record)
        .run()
        .exits(0);
    let Some(victim) = holding_far_away("hold-a-read", &ring.name) else {
        return;
    };
    assert_eq!(
        seen(shm(&["inspect", "--json", &ring.name])),
        [("reader".to_owned(), 1, true)]
    );
    victim.kill();
    let read = unshared_shm(PIDS, &["read", &ring.name]).unwrap();
    assert!(read.run_within(SECONDS).exits(0).stdout == record);
    assert_eq!(ring.number("redelivered_nodes"), 1);
}

#[test]
fn a_lock_holds_across_namespaces_and_ends_with_its_holder() {
    let store = Store::array("u8", 2);
    let hold = [
        "lock",
        &*store.name,
        "--",
        "sh",
        "-c",
        "echo HELD; read line",
    ];
    let Some(holder) = unshared_shm(PIDS, &hold) else {
        return;
    };
    let holder = holder.held_stdin().own_group().start();
    until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
    let write = ["write", &*store.name, "9", "--timeout", "300ms"];
    shm(&write).run().fails(4);
    unshared_shm(PIDS, &write).unwrap().run().fails(4);
    holder.signal_group(Signal::KILL);
    until_within(SECONDS, "the lock is free", || store.lock_state() == "free");
    unshared_shm(PIDS, &write)
        .unwrap()
        .run_within(SECONDS)
        .exits(0);
    assert_eq!(store.text(), "9\n0\n");
}

/// In a user namespace without a mapping everybody, oneself included, is uid
/// 65534: a segment of one's own is still one's own.
#[test]
fn a_user_namespace_without_a_mapping_changes_nothing() {
    let ring = Ring::new(4, &SIZE.to_string());
    let Some(mut writer) =
        unshared_shm(NOBODY, &["write", &ring.name]).map(|w| w.held_stdin().start())
    else {
        return;
    };
    until("it is attached", || ring.living("writer") == 1);
    let reader = shm(&["read", &ring.name]).start();
    let inspect = unshared_shm(NOBODY, &["inspect", "--json", &ring.name]).unwrap();
    let all = inspect.run().exits(0).json();
    assert_eq!(all["participants"][0]["alive"], true);
    writer.feed(b"from nobody");
    writer.close_stdin();
    writer.finish().exits(0);
    assert_eq!(
        reader.finish_within(SECONDS).exits(0).stdout,
        b"from nobody"
    );
    unshared_shm(NOBODY, &["remove", &ring.name])
        .unwrap()
        .run()
        .exits(0);
}
