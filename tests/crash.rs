//! Parties killed and parties suspended, at the worst moment: in the middle of
//! a node. The others go on within seconds, nothing committed is lost, nothing
//! uncommitted is seen, and who is only stopped is never robbed.
//!
//! Where the exact moment matters, the victim is this test program itself,
//! started anew in a [`role`]: it takes a node through the library, says so,
//! and waits. Where it does not, the victim is `shm`, stopped or killed at
//! moments of chance.

mod harness;

use harness::{
    PATIENCE, Pattern, Proc, Ring, SECONDS, actor, decode_records, holds_for, in_private_shm,
    record, records, shm, until, until_within,
};
use rustix::process::Signal;
use shmkit::ring::{Claim, Reader, ReaderOptions, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

const SIZE: usize = 4096;

/// Not a test: what the children of the tests below do. Without a role it
/// does nothing.
#[test]
fn role() {
    let Some(role) = harness::role() else {
        return;
    };
    let (role, name) = role.split_once(' ').unwrap();
    let name = Name::new(name).unwrap();
    let say = |word: &str| {
        let mut stdout = std::io::stdout();
        stdout.write_all(format!("\n{word}\n").as_bytes()).unwrap();
        stdout.flush().unwrap();
    };
    let wait = || std::io::stdin().read_line(&mut String::new()).unwrap();
    let forever = Wait::default();
    match role {
        "hold-a-write" => {
            let mut writer = Writer::attach(&name, OpenOptions::default()).unwrap();
            let mut nodes = writer.reserve(1, &forever).unwrap();
            let record = record(99, 0, SIZE);
            nodes.node_mut(0)[..SIZE / 2].copy_from_slice(&record[..SIZE / 2]);
            say("HOLDS");
            wait();
            nodes.node_mut(0)[SIZE / 2..].copy_from_slice(&record[SIZE / 2..]);
            nodes.commit_first(SIZE).unwrap();
            drop(nodes);
            writer.end();
        }
        "hold-a-read" => {
            let options = ReaderOptions::default();
            let mut reader = Reader::attach(&name, &options).unwrap();
            let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &forever).unwrap() else {
                panic!("the stream ended")
            };
            let first = decode_records(&nodes.node(0)[..SIZE], SIZE)[0];
            say("HOLDS");
            wait();
            assert_eq!(
                decode_records(&nodes.node(0)[..SIZE], SIZE)[0],
                first,
                "robbed"
            );
            nodes.release_all();
            say(&format!("READ {} {}", first.0, first.1));
        }
        "hold-a-write-with-a-child" => {
            let mut writer = Writer::attach(&name, OpenOptions::default()).unwrap();
            let _nodes = writer.reserve(1, &forever).unwrap();
            let mut child = std::process::Command::new("sleep")
                .arg("60")
                .spawn()
                .unwrap();
            say(&format!("CHILD {}", child.id()));
            say("HOLDS");
            wait();
            child.kill().and_then(|()| child.wait()).unwrap();
        }
        _ => panic!("no such role: {role}"),
    }
}

/// This program in that role, once it holds its node.
fn holding(role: &str, ring: &Ring) -> Proc {
    let actor = actor("role", format!("{role} {}", &*ring.name));
    let proc = actor.held_stdin().start();
    until("it holds a node", || said(&proc, "HOLDS"));
    proc
}

fn said(proc: &Proc, word: &str) -> bool {
    String::from_utf8_lossy(&proc.stdout_so_far())
        .lines()
        .any(|line| line.starts_with(word))
}

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A writer that says nothing and so keeps the stream open.
fn holder(ring: &Ring) -> Proc {
    let writers = ring.living("writer");
    let holder = shm(&["write", &ring.name]).held_stdin().start();
    until("the holder is attached", || {
        ring.living("writer") == writers + 1
    });
    holder
}

/// A new pair moves `count` records through the ring, in seconds.
#[track_caller]
fn others_stream(ring: &Ring, writer: u32, count: u32) -> Vec<(u32, u32)> {
    let reader = shm(&["read", &ring.name, "--follow"]).start();
    let input = file_of(&records(writer, count, SIZE));
    let writing = shm(&["write", &ring.name, "--keep-open"])
        .arg(input.path())
        .start();
    writing.finish_within(SECONDS).exits(0);
    until_within(SECONDS, "all of it was read", || {
        let all = ring.inspect();
        all["ring"]["states"]["ready"] == 0 && all["ring"]["states"]["orphan"] == 0
    });
    reader.signal(Signal::INT);
    decode_records(&reader.finish_within(SECONDS).exits(130).stdout, SIZE)
}

#[track_caller]
fn assert_all_of(seen: &[(u32, u32)], writer: u32, count: u32) {
    let own: Vec<_> = seen.iter().filter(|r| r.0 == writer).map(|r| r.1).collect();
    assert_eq!(
        own,
        (0..count).collect::<Vec<_>>(),
        "writer {writer}: each once and in order"
    );
}

// ---- a writer in the middle of a node ---------------------------------------

#[test]
fn a_writer_killed_in_the_middle_of_a_node_is_got_over_and_its_node_never_seen() {
    let ring = Ring::new(2, "4096");
    let victim = holding("hold-a-write", &ring);
    assert_eq!(ring.state("writing"), 1);
    victim.kill();
    let seen = others_stream(&ring, 1, 500);
    assert_eq!(seen.len(), 500);
    assert_all_of(&seen, 1, 500);
    assert_eq!(ring.number("abandoned_nodes"), 1);
    assert!(ring.is_drained());
    assert_eq!(ring.state("free"), 2);
}

#[test]
fn both_nodes_of_a_ring_of_two_are_recovered_from_dead_writers() {
    let ring = Ring::new(2, "4096");
    let victims = [
        holding("hold-a-write", &ring),
        holding("hold-a-write", &ring),
    ];
    let waiting = shm(&["write", &ring.name]).input("through at last").start();
    until("the third writer waits", || ring.living("writer") == 3);
    assert_eq!(ring.number("written_nodes"), 0);
    victims.into_iter().for_each(|victim| drop(victim.kill()));
    waiting.finish_within(SECONDS).exits(0);
    assert_eq!(
        shm(&["read", &ring.name])
            .run_within(SECONDS)
            .exits(3)
            .stdout,
        b"through at last"
    );
    assert_eq!(ring.number("abandoned_nodes"), 2);
}

#[test]
fn a_reader_waiting_for_a_writer_that_is_killed_in_a_node_ends_with_3() {
    let ring = Ring::new(2, "4096");
    let reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    let victim = holding("hold-a-write", &ring);
    victim.kill();
    assert!(reader.finish_within(SECONDS).exits(3).stdout.is_empty());
}

#[test]
fn parties_that_only_ever_try_find_the_dead_too() {
    let ring = Ring::new(2, "4096");
    let name = Name::new(&ring.name).unwrap();
    let mut reader = Reader::attach(&name, &ReaderOptions::default()).unwrap();
    holding("hold-a-write", &ring).kill();
    until("a reader that never blocks sees the end", || {
        let tried = reader.try_claim(1, usize::MAX).unwrap();
        matches!(tried, Some(Claim::End { clean: false }))
    });
    let mut writer = Writer::attach(&name, OpenOptions::default()).unwrap();
    let victims = [
        holding("hold-a-write", &ring),
        holding("hold-a-write", &ring),
    ];
    victims.into_iter().for_each(|victim| drop(victim.kill()));
    until("a writer that never blocks gets a node", || {
        writer.try_reserve(1).unwrap().is_some()
    });
}

#[test]
fn what_a_killed_writer_left_unread_makes_the_next_stream_incomplete_as_well() {
    let ring = Ring::new(8, "4096");
    for node in ["first", "left over"] {
        shm(&["write", &ring.name, "--keep-open"])
            .input(node)
            .run()
            .exits(0);
    }
    holding("hold-a-write", &ring).kill();
    // A reader that does not stay for the end recovers the dead one, and so
    // ends its stream; only then does the next one begin.
    let early = shm(&["read", &ring.name, "--count", "1"]).run().exits(0);
    assert_eq!(early.stdout, b"first");
    assert_eq!(ring.stream_state(), "ended");
    shm(&["write", &ring.name]).input(", more").run().exits(0);
    let done = shm(&["read", &ring.name]).run_within(SECONDS).exits(3);
    assert_eq!(done.stdout, b"left over, more");
}

#[test]
fn a_child_process_does_not_keep_its_killed_parent_attached() {
    let ring = Ring::new(2, "4096");
    let victim = holding("hold-a-write-with-a-child", &ring);
    let said = String::from_utf8_lossy(&victim.stdout_so_far()).into_owned();
    let child = said
        .lines()
        .find_map(|line| line.strip_prefix("CHILD "))
        .unwrap();
    let child = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
    // Its stdout is the child's as well, and would not end: do not gather it.
    victim.signal(Signal::KILL);
    until_within(SECONDS, "the dead writer is not alive", || {
        ring.living("writer") == 0
    });
    let seen = others_stream(&ring, 1, 100);
    rustix::process::kill_process(child, Signal::KILL).unwrap();
    assert_all_of(&seen, 1, 100);
    assert_eq!(ring.number("abandoned_nodes"), 1);
}

#[test]
fn a_writer_stopped_in_the_middle_of_a_node_holds_one_node_and_nobody_behind_it() {
    let ring = Ring::new(2, "4096");
    let mut victim = holding("hold-a-write", &ring);
    victim.stop();
    let seen = others_stream(&ring, 1, 500);
    assert_all_of(&seen, 1, 500);
    assert_eq!(ring.state("writing"), 1, "its node was not taken from it");
    assert_eq!(ring.number("abandoned_nodes"), 0);
    // It goes on where it was, and its item arrives, once.
    victim.resume();
    victim.feed(b"go on\n");
    victim.finish_within(SECONDS).exits(0);
    let rest = shm(&["read", &ring.name])
        .run_within(SECONDS)
        .exits(0)
        .stdout;
    assert_eq!(decode_records(&rest, SIZE), [(99, 0)]);
    assert!(ring.is_drained());
}

// ---- a reader in the middle of a node ---------------------------------------

#[test]
fn the_node_of_a_killed_reader_is_delivered_again_before_all_others() {
    let ring = Ring::new(4, "4096");
    let input = file_of(&records(1, 4, SIZE));
    shm(&["write", &ring.name]).arg(input.path()).run().exits(0);
    let victim = holding("hold-a-read", &ring);
    assert_eq!((ring.state("reading"), ring.state("ready")), (1, 3));
    assert_eq!(
        ring.number("diff_nodes"),
        4,
        "a node in hand is not read yet"
    );
    victim.kill();
    let rest = shm(&["read", &ring.name])
        .run_within(SECONDS)
        .exits(0)
        .stdout;
    assert_eq!(
        decode_records(&rest, SIZE),
        [(1, 0), (1, 1), (1, 2), (1, 3)]
    );
    assert_eq!(ring.number("redelivered_nodes"), 1);
    assert!(ring.is_drained());
}

#[test]
fn a_waiting_reader_gets_the_node_of_a_killed_one_before_the_stream_ends_for_it() {
    let ring = Ring::new(2, "4096");
    let input = file_of(&records(1, 1, SIZE));
    shm(&["write", &ring.name]).arg(input.path()).run().exits(0);
    let victim = holding("hold-a-read", &ring);
    let mut waiting = shm(&["read", &ring.name]).start();
    until("the other is attached", || ring.living("reader") == 2);
    holds_for(
        Duration::from_millis(700),
        "it waits: the node may come back",
        || waiting.is_running(),
    );
    victim.kill();
    let got = waiting.finish_within(SECONDS).exits(0).stdout;
    assert_eq!(decode_records(&got, SIZE), [(1, 0)]);
}

#[test]
fn both_nodes_of_a_ring_of_two_are_recovered_from_dead_readers() {
    let ring = Ring::new(2, "4096");
    let input = file_of(&records(1, 6, SIZE));
    let writer = shm(&["write", &ring.name]).arg(input.path()).start();
    let victims = [holding("hold-a-read", &ring), holding("hold-a-read", &ring)];
    assert_eq!(ring.state("reading"), 2);
    let reader = shm(&["read", &ring.name]).start();
    until("the third reader waits", || ring.living("reader") == 3);
    victims.into_iter().for_each(|victim| drop(victim.kill()));
    writer.finish_within(SECONDS).exits(0);
    let got = decode_records(&reader.finish_within(SECONDS).exits(0).stdout, SIZE);
    let distinct: BTreeSet<_> = got.iter().copied().collect();
    assert_eq!((got.len(), distinct.len()), (6, 6));
    assert_eq!(ring.number("redelivered_nodes"), 2);
}

#[test]
fn a_blocked_writer_gets_over_dead_readers_though_no_reader_is_left() {
    let ring = Ring::new(2, "4096");
    let input = file_of(&records(1, 3, SIZE));
    let mut writer = shm(&["write", &ring.name]).arg(input.path()).start();
    let victim = holding("hold-a-read", &ring);
    victim.kill();
    // The node of the dead reader is still to be read: it is not free.
    holds_for(Duration::from_millis(700), "the writer waits on", || {
        writer.is_running()
    });
    let got = shm(&["read", &ring.name])
        .run_within(SECONDS)
        .exits(0)
        .stdout;
    writer.finish_within(SECONDS).exits(0);
    assert_eq!(decode_records(&got, SIZE), [(1, 0), (1, 1), (1, 2)]);
}

#[test]
fn a_reader_stopped_in_the_middle_of_a_node_holds_one_node_and_nobody_behind_it() {
    let ring = Ring::new(2, "4096");
    let mut holder = holder(&ring);
    shm(&["write", &ring.name])
        .input_file(record(7, 0, SIZE))
        .run()
        .exits(0);
    let mut victim = holding("hold-a-read", &ring);
    victim.stop();
    let seen = others_stream(&ring, 1, 500);
    assert_eq!(seen.len(), 500, "the stopped reader's item is its own");
    assert_all_of(&seen, 1, 500);
    assert_eq!(ring.state("reading"), 1, "its node was not taken from it");
    assert_eq!(ring.number("redelivered_nodes"), 0);
    victim.resume();
    victim.feed(b"go on\n");
    let done = victim.finish_within(SECONDS).exits(0);
    assert!(String::from_utf8_lossy(&done.stdout).contains("READ 7 0"));
    holder.close_stdin();
    holder.finish().exits(0);
    assert!(ring.is_drained());
}

#[test]
fn shm_read_stopped_in_the_middle_of_a_node_lets_others_stream_past_it() {
    let ring = Ring::new(2, "8M"); // more than any pipe: it stays in the node
    let pattern = Pattern::new(1, 8 << 20);
    shm(&["write", &ring.name, "--keep-open"])
        .input_file(pattern.bytes())
        .run()
        .exits(0);
    let mut victim = shm(&["read", &ring.name, "--count", "1"])
        .held_stdout()
        .start();
    until("it is in the middle of a node", || {
        ring.state("reading") == 1
    });
    victim.stop();
    let other = Pattern::new(2, 64 << 20);
    let reader = shm(&["read", &ring.name]).verify(&other).start();
    let writer = shm(&["write", &ring.name]).input_pattern(&other).start();
    writer.finish_within(SECONDS).exits(0);
    until_within(SECONDS, "all else is read", || ring.state("ready") == 0);
    // The other reader cannot know yet that the stopped one will finish.
    victim.resume();
    let mut stdout = victim.take_stdout();
    pattern.verify(&mut stdout).is_whole(&pattern);
    victim.finish_within(SECONDS).exits(0);
    reader
        .finish_within(SECONDS)
        .exits(0)
        .verdict
        .unwrap()
        .is_whole(&other);
    assert_eq!(ring.number("redelivered_nodes"), 0);
}

#[test]
fn shm_read_killed_in_the_middle_of_a_node_leaves_it_to_another() {
    let ring = Ring::new(2, "8M");
    let pattern = Pattern::new(1, 12 << 20);
    shm(&["write", &ring.name])
        .input_file(pattern.bytes())
        .run()
        .exits(0);
    let victim = shm(&["read", &ring.name]).held_stdout().start();
    until("it is in the middle of a node", || {
        ring.state("reading") == 1
    });
    victim.kill();
    let done = shm(&["read", &ring.name, "--json"])
        .verify(&pattern)
        .run_within(SECONDS)
        .exits(0);
    done.verdict.unwrap().is_whole(&pattern);
    assert_eq!(done.summary()["redelivered_nodes"], 1);
    assert_eq!(ring.number("redelivered_nodes"), 1);
}

// ---- moments of chance ------------------------------------------------------

/// Stops it at moments of chance until it is found in the middle of a node.
fn stop_in_a_node(victim: &Proc, ring: &Ring, state: &str) {
    until_within(
        2 * PATIENCE,
        "the victim is caught in the middle of a node",
        || {
            victim.stop();
            let caught = ring.state(state) >= 1;
            if !caught {
                victim.resume();
            }
            caught
        },
    );
}

#[test]
fn shm_write_stopped_in_the_middle_of_a_node_is_not_robbed() {
    let ring = Ring::new(2, "32M"); // milliseconds of copying each
    let source = || std::fs::File::open("/dev/zero").unwrap();
    let victim = shm(&["write", &ring.name]).stdin(source()).start();
    let sink = shm(&["read", &ring.name, "--follow"])
        .stdout(std::process::Stdio::null())
        .start();
    stop_in_a_node(&victim, &ring, "writing");
    // Others stream through the other node.
    let before = ring.number("read_bytes");
    let other = shm(&["write", &ring.name])
        .input(vec![0; 100 << 20])
        .start();
    other.finish_within(SECONDS).exits(0);
    until_within(SECONDS, "it was read", || {
        ring.number("read_bytes") >= before + (100 << 20)
    });
    assert_eq!(ring.state("writing"), 1);
    victim.resume();
    let before = ring.number("read_bytes");
    until_within(SECONDS, "it goes on", || {
        ring.number("read_bytes") > before + (200 << 20)
    });
    victim.signal(Signal::INT);
    victim.finish_within(SECONDS).exits(130);
    until_within(SECONDS, "all is read", || ring.is_drained());
    assert_eq!(ring.number("abandoned_nodes"), 0);
    sink.signal(Signal::TERM);
    sink.finish_within(SECONDS).exits(143);
}

#[test]
fn shm_write_killed_in_the_middle_of_a_node_leaves_no_trace_of_it() {
    let ring = Ring::new(2, "32M");
    let pattern = Pattern::new(1, 1 << 30);
    let input = pattern.file();
    let victim = shm(&["write", &ring.name]).arg(input.path()).start();
    let reader = shm(&["read", &ring.name]).verify(&pattern).start();
    stop_in_a_node(&victim, &ring, "writing");
    victim.kill();
    let done = reader.finish_within(SECONDS).exits(3);
    let came = done.verdict.unwrap().is_a_beginning(&pattern);
    assert_eq!(came % (32 << 20), 0, "whole nodes only");
    assert_eq!(ring.number("abandoned_nodes"), 1);
    assert!(ring.is_drained());
    assert_eq!(ring.state("free"), 2);
}

#[test]
fn suspended_parties_hold_one_node_each_and_nobody_behind_them() {
    // Small nodes move in batches; a batch must not become a hoard.
    let ring = Ring::with(&["--nodes", "4", "--node-size", "256"]);
    let zero = || std::fs::File::open("/dev/zero").unwrap();
    let null = std::process::Stdio::null;
    let writers: Vec<_> = (0..2)
        .map(|_| shm(&["write", &ring.name]).stdin(zero()).start())
        .collect();
    let victim = shm(&["read", &ring.name, "--follow"])
        .stdout(null())
        .start();
    let others = [
        shm(&["write", &ring.name]).stdin(zero()).start(),
        shm(&["read", &ring.name, "--follow"])
            .stdout(null())
            .start(),
    ];
    until("all stream", || ring.number("read_nodes") > 1_000);
    for _ in 0..40 {
        for proc in writers.iter().chain([&victim]) {
            proc.stop();
        }
        let before = ring.number("read_nodes");
        until_within(SECONDS, "the others go on", || {
            ring.number("read_nodes") > before + 100
        });
        for proc in writers.iter().chain([&victim]) {
            proc.resume();
        }
    }
    for proc in writers.into_iter().chain([victim]).chain(others) {
        proc.signal(Signal::INT);
        proc.finish_within(SECONDS).exits(130);
    }
    assert_eq!(ring.number("abandoned_nodes"), 0);
    assert_eq!(ring.number("redelivered_nodes"), 0);
}

#[test]
fn stopped_and_resumed_parties_pass_every_record_once() {
    let ring = Ring::new(4, "4096");
    let (writers, count) = (3, 20_000);
    let mut holder = holder(&ring);
    let readers: Vec<_> = (0..3).map(|_| shm(&["read", &ring.name]).start()).collect();
    until("the readers are attached", || ring.living("reader") == 3);
    let inputs: Vec<_> = (0..writers)
        .map(|w| file_of(&records(w, count, SIZE)))
        .collect();
    let mut writing: Vec<_> = inputs
        .iter()
        .map(|i| shm(&["write", &ring.name]).arg(i.path()).start())
        .collect();
    let mut turn = 0;
    until_within(4 * PATIENCE, "the writers are done", || {
        turn += 1;
        let victims = [&mut writing[turn % 3] as &mut Proc];
        for victim in victims {
            if victim.is_running() {
                victim.signal(Signal::STOP);
                std::thread::yield_now();
                victim.signal(Signal::CONT);
            }
        }
        let reader = &readers[turn % 3];
        reader.signal(Signal::STOP);
        std::thread::yield_now();
        reader.signal(Signal::CONT);
        writing.iter_mut().all(|w| !w.is_running())
    });
    for writer in writing {
        writer.finish().exits(0);
    }
    holder.close_stdin();
    holder.finish().exits(0);
    let mut all = Vec::new();
    for reader in readers {
        all.extend(decode_records(&reader.finish().exits(0).stdout, SIZE));
    }
    let distinct: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (60_000, 60_000));
}

#[test]
fn killed_again_and_again_nothing_is_lost_or_torn() {
    for (nodes, size) in [(2, 4096), (20, 1024)] {
        chaos(nodes, size, 25);
    }
}

/// Readers are killed at moments of chance while two writers stream; writers
/// of noise are killed as well. Every record of the two writers arrives whole,
/// and none twice but what a killed reader had in hand.
fn chaos(nodes: u64, size: usize, kills: usize) {
    let ring = Ring::new(nodes, &size.to_string());
    let count = 30_000;
    let mut holder = holder(&ring);
    let inputs: Vec<_> = (0..2).map(|w| file_of(&records(w, count, size))).collect();
    let noise = file_of(&records(5, 1_000_000 / size as u32 * 4, size));
    let start_reader = || shm(&["read", &ring.name]).start();
    let mut readers = vec![start_reader(), start_reader()];
    let writers: Vec<_> = inputs
        .iter()
        .map(|i| shm(&["write", &ring.name]).arg(i.path()).start())
        .collect();
    let mut outputs = Vec::new();
    for turn in 0..kills {
        let before = ring.number("read_nodes");
        let noisy = shm(&["write", &ring.name]).arg(noise.path()).start();
        // Either there is progress, or all is over.
        until_within(SECONDS, "it goes on after a kill", || {
            let ring = ring.inspect();
            ring["ring"]["read_nodes"].as_u64().unwrap() > before + 20 + turn as u64 * 7
                || ring["ring"]["diff_nodes"] == 0
        });
        noisy.kill();
        let victim = readers.remove(0);
        readers.push(start_reader());
        outputs.push(victim.kill().stdout);
    }
    for writer in writers {
        writer.finish_within(2 * PATIENCE).exits(0);
    }
    // One that comes after the end would wait for the next stream.
    until("both readers are attached", || ring.living("reader") == 2);
    holder.close_stdin();
    holder.finish().exits(0);
    for reader in readers {
        // 3 if one of the killed writers was still at work, as is likely.
        outputs.push(reader.finish_within(SECONDS).exits_one_of(&[0, 3]).stdout);
    }
    let mut times: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for output in &outputs {
        // A killed reader's last record may be cut short by its death.
        let whole = output.len() / size * size;
        for record in decode_records(&output[..whole], size) {
            *times.entry(record).or_default() += 1;
        }
    }
    for writer in 0..2 {
        for sequence in 0..count {
            assert!(
                times.contains_key(&(writer, sequence)),
                "record {writer}/{sequence} is lost"
            );
        }
    }
    // Each of the noisy writers writes the same records: those do not count.
    let twice: usize = times
        .iter()
        .filter(|((writer, _), _)| *writer < 2)
        .map(|(_, n)| n - 1)
        .sum();
    let in_hand = (nodes as usize / 2).max(1);
    assert!(
        twice <= kills * in_hand,
        "{twice} records came more than once"
    );
    assert!(ring.is_drained());
    assert_eq!(ring.state("free"), nodes);
    assert_eq!((ring.living("reader"), ring.living("writer")), (0, 0));
}

#[test]
fn a_killed_create_leaves_a_whole_segment_or_a_temporary_that_stale_removes() {
    let script = r#"
        for turn in $(seq 0 30); do
            timeout -s KILL 0.0$((RANDOM % 40 + 10)) shm create ring r$turn -n 2 -b 32M
            [ ! -e /dev/shm/r$turn ] || shm inspect r$turn >/dev/null || exit 90
        done 2>/dev/null
        # A temporary that is only just there may have a living builder.
        for turn in $(seq 200); do
            shm remove --stale >/dev/null || exit 91
            [ -n "$(ls -A /dev/shm)" ] || exit 0
            sleep 0.1
        done
        ls -lA /dev/shm >&2; exit 92
    "#;
    if let Some(done) = in_private_shm("2500m", script) {
        done.exits(0);
    }
}
