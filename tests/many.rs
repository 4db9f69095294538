//! Many writers and many readers on one ring: every item exactly once, each
//! writer's items in its order, and nobody who has nothing to do in the way of
//! those who have.
//!
//! Items are records of exactly a node's size, read from files, so that each
//! node carries one record.

mod harness;

use harness::{PATIENCE, Proc, Ring, decode_records, holds_for, records, shm, until, until_within};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

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

#[track_caller]
fn each_writers_records_are_in_order(seen: &[(u32, u32)]) {
    let mut last = std::collections::HashMap::new();
    for &(writer, sequence) in seen {
        if let Some(before) = last.insert(writer, sequence) {
            assert!(
                before < sequence,
                "record {sequence} of writer {writer} after {before}"
            );
        }
    }
}

/// All records of `writers` x `count`, each exactly once.
#[track_caller]
fn every_record_came_once(seen: &[(u32, u32)], writers: u32, count: u32) {
    assert_eq!(
        seen.len(),
        (writers * count) as usize,
        "as many as were written"
    );
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "no record twice");
    assert!(
        seen.iter()
            .all(|&(writer, sequence)| writer < writers && sequence < count)
    );
}

fn many(nodes: u64, size: usize, writers: u32, readers: usize, count: u32) {
    let ring = Ring::new(nodes, &size.to_string());
    let mut holder = holder(&ring);
    let reading: Vec<_> = (0..readers)
        .map(|_| shm(&["read", &ring.name]).start())
        .collect();
    until("all readers are attached", || {
        ring.living("reader") == readers
    });
    let inputs: Vec<_> = (0..writers)
        .map(|w| file_of(&records(w, count, size)))
        .collect();
    let start =
        |input: &tempfile::NamedTempFile| shm(&["write", &ring.name]).arg(input.path()).start();
    let writing: Vec<_> = inputs.iter().map(start).collect();
    for writer in writing {
        writer.finish_within(2 * PATIENCE).exits(0).silent();
    }
    holder.close_stdin();
    holder.finish().exits(0);
    let mut all = Vec::new();
    for reader in reading {
        let done = reader.finish().exits(0).silent();
        let seen = decode_records(&done.stdout, size);
        each_writers_records_are_in_order(&seen);
        all.extend(seen);
    }
    every_record_came_once(&all, writers, count);
    assert!(ring.is_drained());
    assert_eq!(ring.number("written_nodes"), u64::from(writers * count));
    assert_eq!(ring.number("unsignalled_slices"), 0, "no wake-up was lost");
}

#[test]
fn four_writers_and_four_readers_pass_every_record_once() {
    many(20, 1024, 4, 4, 20_000);
}

#[test]
fn four_writers_and_four_readers_on_two_nodes() {
    many(2, 4096, 4, 4, 5_000);
}

#[test]
fn four_writers_and_four_readers_of_tiny_records() {
    many(64, 16, 4, 4, 50_000);
}

#[test]
fn eight_writers_and_one_reader() {
    many(5, 1000, 8, 1, 3_000);
}

#[test]
fn one_writer_and_eight_readers() {
    many(5, 1000, 1, 8, 24_000);
}

#[test]
fn writers_one_after_another_that_keep_it_open_make_one_stream() {
    let ring = Ring::new(4, "1K");
    let mut reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    for word in ["one ", "two ", "three "] {
        shm(&["write", &ring.name, "--keep-open"])
            .input(word)
            .run()
            .exits(0)
            .silent();
        until("the word came out", || {
            reader.stdout_so_far().ends_with(word.as_bytes())
        });
        assert_eq!(ring.stream_state(), "open");
        assert!(reader.is_running(), "the stream is still open");
    }
    shm(&["write", &ring.name]).input("end").run().exits(0);
    assert_eq!(
        reader.finish().exits(0).silent().stdout,
        b"one two three end"
    );
    assert_eq!(ring.stream_state(), "ended");
}

#[test]
fn writers_one_after_another_make_a_stream_each() {
    let ring = Ring::new(4, "1K");
    for word in ["one", "two", "three"] {
        let reader = shm(&["read", &ring.name]).start();
        until("the reader is attached", || ring.living("reader") == 1);
        shm(&["write", &ring.name]).input(word).run().exits(0);
        assert_eq!(reader.finish().exits(0).stdout, word.as_bytes());
    }
}

#[test]
fn writers_that_overlap_make_one_stream() {
    let ring = Ring::new(4, "1K");
    let reader = shm(&["read", &ring.name]).start();
    let mut before = holder(&ring);
    for turn in 0..5u8 {
        let mut next = holder(&ring);
        next.feed(&[b'0' + turn]);
        before.close_stdin();
        before.finish().exits(0);
        before = next;
    }
    until("all came", || reader.stdout_so_far() == b"01234");
    before.close_stdin();
    before.finish().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"01234");
}

#[test]
fn silent_writers_hold_no_node_of_a_ring_of_two() {
    let ring = Ring::new(2, "4096");
    let mut silent: Vec<_> = (0..6).map(|_| holder(&ring)).collect();
    // Having said something once, long ago, changes nothing.
    let first = shm(&["read", &ring.name, "--count", "1"]).start();
    silent[0].feed(b"x");
    first.finish().exits(0);
    assert_eq!(ring.state("free"), 2);

    let count = 3_000;
    let input = file_of(&records(0, count, 4096));
    let reader = shm(&["read", &ring.name]).start();
    shm(&["write", &ring.name]).arg(input.path()).run().exits(0);
    until("all has come", || {
        reader.stdout_so_far().len() == input.path().metadata().unwrap().len() as usize
    });
    assert_eq!(ring.state("free"), 2);
    for mut writer in silent {
        writer.close_stdin();
        writer.finish().exits(0);
    }
    let seen = decode_records(&reader.finish().exits(0).stdout, 4096);
    each_writers_records_are_in_order(&seen);
    every_record_came_once(&seen, 1, count);
}

/// Readers whose consumers have stopped consuming hold no node, so a third
/// pair streams on; what the idle ones had passed on is not lost either.
fn with_idle_readers(nodes: u64, size: usize, idle: usize, count: u32) {
    let ring = Ring::new(nodes, &size.to_string());
    let mut holder = holder(&ring);
    let mut stuck: Vec<_> = (0..idle)
        .map(|_| shm(&["read", &ring.name]).held_stdout().start())
        .collect();
    until("the idle readers are attached", || {
        ring.living("reader") == idle
    });
    let reader = shm(&["read", &ring.name]).start();
    until("all readers are attached", || {
        ring.living("reader") == idle + 1
    });
    let input = file_of(&records(0, count, size));
    let writer = shm(&["write", &ring.name]).arg(input.path()).start();
    writer.finish_within(2 * PATIENCE).exits(0);
    until("all that was written has been taken", || {
        ring.number("diff_nodes") == 0
    });
    assert_eq!(ring.state("free"), nodes, "idle readers hold no node");
    holder.close_stdin();
    holder.finish().exits(0);
    let mut all = decode_records(&reader.finish().exits(0).stdout, size);
    each_writers_records_are_in_order(&all);
    for proc in &mut stuck {
        let mut bytes = Vec::new();
        proc.take_stdout().read_to_end(&mut bytes).unwrap();
        let seen = decode_records(&bytes, size);
        each_writers_records_are_in_order(&seen);
        all.extend(seen);
    }
    for proc in stuck {
        proc.finish().exits(0);
    }
    every_record_came_once(&all, 1, count);
}

#[test]
fn readers_with_a_full_pipe_hold_no_node_of_a_ring_of_two() {
    with_idle_readers(2, 4096, 6, 4_000);
}

#[test]
fn readers_with_a_full_pipe_hold_no_node_of_64k() {
    with_idle_readers(2, 64 * 1024, 4, 500);
}

#[test]
fn readers_with_a_full_pipe_hold_no_node_of_1k() {
    with_idle_readers(20, 1024, 12, 40_000);
}

#[test]
fn readers_with_a_full_pipe_hold_no_node_of_an_odd_size() {
    with_idle_readers(4, 3000, 6, 10_000);
}

#[test]
fn readers_with_a_full_pipe_hold_no_node_that_does_not_fit_its_pages() {
    with_idle_readers(2, 10007, 3, 2_000);
}

#[test]
fn a_reader_whose_pipe_was_full_from_the_start_holds_nothing() {
    let ring = Ring::new(2, "256K");
    let (_unread, full) = std::io::pipe().unwrap();
    // As large as anybody may make it, so that no room is to be had.
    let most = std::fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap();
    let most: usize = most.trim().parse().unwrap();
    rustix::pipe::fcntl_setpipe_size(&full, most).unwrap();
    let size = rustix::pipe::fcntl_getpipe_size(&full).unwrap();
    (&full).write_all(&vec![0; size]).unwrap();
    let mut stuck: Vec<_> = (0..3)
        .map(|_| {
            shm(&["read", &ring.name])
                .stdout(full.try_clone().unwrap())
                .start()
        })
        .collect();
    until("the stuck readers are attached", || {
        ring.living("reader") == 3
    });
    let count = 100;
    let reader = shm(&["read", &ring.name]).start();
    until("all readers are attached", || ring.living("reader") == 4);
    let mut holder = holder(&ring);
    let input = file_of(&records(0, count, 256 * 1024));
    shm(&["write", &ring.name]).arg(input.path()).run().exits(0);
    until("all has come", || ring.is_drained());
    assert!(stuck.iter_mut().all(Proc::is_running));
    assert_eq!(reader.stdout_so_far().len(), count as usize * 256 * 1024);
    holder.close_stdin();
    holder.finish().exits(0);
    let seen = decode_records(&reader.finish().exits(0).stdout, 256 * 1024);
    every_record_came_once(&seen, 1, count);
}

#[test]
fn a_reader_stuck_in_its_output_keeps_no_hoard() {
    // Alone on its ring it may take much at a time, but not keep it.
    for size in [1000, 1024, 64] {
        let ring = Ring::new(64, &size.to_string());
        let input = file_of(&records(0, 200_000, size));
        let writer = shm(&["write", &ring.name]).arg(input.path()).start();
        let mut stuck = shm(&["read", &ring.name]).held_stdout().start();
        let mut before = 0;
        until("its pipe is full and nothing moves", || {
            let was = std::mem::replace(&mut before, ring.number("read_nodes"));
            std::thread::sleep(Duration::from_millis(200));
            was > 0 && was == before
        });
        assert!(
            ring.state("reading") <= 1,
            "{} nodes",
            ring.state("reading")
        );
        let mut bytes = Vec::new();
        stuck.take_stdout().read_to_end(&mut bytes).unwrap();
        let seen = decode_records(&bytes, size);
        each_writers_records_are_in_order(&seen);
        every_record_came_once(&seen, 1, 200_000);
        writer.finish().exits(0);
        stuck.finish().exits(0);
    }
}

#[test]
fn more_participants_than_the_table_has_entries_are_refused_and_harm_nobody() {
    let ring = Ring::new(4, "1K");
    let mut attached: Vec<Proc> = Vec::new();
    // 128 entries by default; a build may have more, but not endlessly more.
    let refused = loop {
        assert!(attached.len() < 2100, "the table is endless");
        let mut next = shm(&["read", &ring.name]).start();
        let before = attached.len();
        let mut ended = false;
        until("it is attached or refused", || {
            ended = !next.is_running();
            ended || ring.living("reader") > before
        });
        if ended {
            break next.finish();
        }
        attached.push(next);
    };
    assert!(attached.len() >= 64, "only {} could attach", attached.len());
    refused.fails(1);
    assert!(attached.iter_mut().all(Proc::is_running));
    // One leaves, and its place is free again.
    attached.pop().unwrap().kill();
    let mut writer = shm(&["write", &ring.name]).held_stdin().start();
    until("the writer has the free place", || {
        ring.living("writer") == 1
    });
    writer.feed(b"for one of them");
    writer.close_stdin();
    writer.finish().exits(0);
    let mut got = Vec::new();
    for reader in attached {
        got.extend(reader.finish().exits(0).stdout);
    }
    assert_eq!(got, b"for one of them");
}

/// CPU time of a process so far, in clock ticks (1/100 s).
fn ticks(proc: &Proc) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", proc.pid())).unwrap();
    let fields: Vec<_> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}

#[test]
fn blocked_parties_sleep() {
    let ring = Ring::new(2, "1K");
    let full = Ring::new(2, "1K");
    let empty_handed = shm(&["read", &ring.name]).start();
    let silent = holder(&ring);
    let blocked = shm(&["write", &full.name]).input(vec![7; 1 << 20]).start();
    until("the ring is full", || full.state("ready") == 2);
    until("the reader is attached", || ring.living("reader") == 1);
    let parties = [&empty_handed, &silent, &blocked];
    let before = parties.map(ticks);
    holds_for(Duration::from_secs(3), "all is as it was", || true);
    for (party, before) in parties.iter().zip(before) {
        // 1 % would be 3 ticks; a busy loop is 300.
        let used = ticks(party) - before;
        assert!(used <= 30, "a blocked party used {used} of 300 ticks");
    }
}

#[test]
fn a_participant_needs_little_memory_of_its_own() {
    let ring = Ring::new(20, "1M");
    let mut writer = shm(&["write", &ring.name]).held_stdin().start();
    let reader = shm(&["read", &ring.name])
        .stdout(std::process::Stdio::null())
        .start();
    let mut stdin = writer.take_stdin();
    for _ in 0..64 {
        stdin.write_all(&vec![1; 1 << 20]).unwrap();
    }
    until_within(PATIENCE, "all is read", || {
        ring.number("read_bytes") == 64 << 20
    });
    for proc in [&writer, &reader] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", proc.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kib <= 8 * 1024, "{kib} KiB of its own");
    }
}
