//! How a stream ends, and how it does not: every kind of end, with its exit
//! status, and what the next party finds.

mod harness;

use harness::{
    Name, PATIENCE, Pattern, Proc, Ring, SECONDS, Shm, holds_for, shm, until, until_within,
};
use rustix::process::Signal;
use std::io::Read;
use std::time::Duration;

/// A reader, attached.
fn reader(ring: &Ring, options: &[&str]) -> Proc {
    let readers = ring.living("reader");
    let reader = shm(&["read", &ring.name]).args(options).start();
    until("the reader is attached", || {
        ring.living("reader") == readers + 1
    });
    reader
}

/// A writer whose stdin the test holds, attached.
fn writer(ring: &Ring, options: &[&str]) -> Proc {
    let writers = ring.living("writer");
    let writer = shm(&["write", &ring.name])
        .args(options)
        .held_stdin()
        .start();
    until("the writer is attached", || {
        ring.living("writer") == writers + 1
    });
    writer
}

/// Publishes `text` as nodes of a ring nobody reads, then ends the stream.
fn leave(ring: &Ring, text: &str) {
    shm(&["write", &ring.name])
        .input_file(text)
        .run()
        .exits(0)
        .silent();
}

const A_MOMENT: Duration = Duration::from_millis(700);

/// The signals that end a command in order, and its status then.
const ENDING: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

// ---- the ordinary end -------------------------------------------------------

#[test]
fn a_reader_started_first_waits_for_the_first_writer() {
    let ring = Ring::new(2, "1K");
    assert_eq!(ring.stream_state(), "waiting");
    let mut reader = reader(&ring, &[]);
    holds_for(A_MOMENT, "it waits", || reader.is_running());
    leave(&ring, "at last");
    assert_eq!(reader.finish().exits(0).silent().stdout, b"at last");
    assert_eq!(ring.stream_state(), "ended");
}

#[test]
fn the_stream_ends_when_the_last_of_several_writers_leaves() {
    let ring = Ring::new(4, "1K");
    let mut reader = reader(&ring, &[]);
    let mut writers: Vec<_> = (0..3).map(|_| writer(&ring, &[])).collect();
    writers[0].feed(b"a");
    until("a came", || reader.stdout_so_far() == b"a");
    for mut writer in writers.drain(..2) {
        writer.close_stdin();
        writer.finish().exits(0);
        holds_for(A_MOMENT / 2, "another writer keeps it open", || {
            reader.is_running()
        });
        assert_eq!(ring.stream_state(), "open");
    }
    let mut last = writers.pop().unwrap();
    last.feed(b"z");
    last.close_stdin();
    last.finish().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"az");
}

#[test]
fn every_reader_of_a_stream_learns_of_its_end() {
    let ring = Ring::new(2, "1K");
    let readers: Vec<_> = (0..5).map(|_| reader(&ring, &[])).collect();
    leave(&ring, "one node");
    let outputs: Vec<_> = readers
        .into_iter()
        .map(|r| r.finish().exits(0).stdout)
        .collect();
    assert_eq!(outputs.concat(), b"one node");
}

#[test]
fn attached_after_the_stream_has_ended_a_reader_gets_what_is_left() {
    let ring = Ring::new(8, "4");
    leave(&ring, "left for later");
    assert_eq!(ring.stream_state(), "ended");
    let done = shm(&["read", &ring.name]).run().exits(0).silent();
    assert_eq!(done.stdout, b"left for later");
}

#[test]
fn two_streams_left_behind_are_read_as_what_is_left() {
    let ring = Ring::new(8, "1K");
    leave(&ring, "the first, ");
    leave(&ring, "the second");
    assert_eq!(
        shm(&["read", &ring.name]).run().exits(0).stdout,
        b"the first, the second"
    );
}

#[test]
fn with_nothing_left_a_reader_waits_for_the_next_stream() {
    let ring = Ring::new(4, "1K");
    leave(&ring, "first");
    assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"first");
    let mut late = reader(&ring, &[]);
    holds_for(A_MOMENT, "it waits for the next stream", || {
        late.is_running()
    });
    leave(&ring, "second");
    assert_eq!(late.finish().exits(0).stdout, b"second");
}

#[test]
fn a_stream_may_come_and_go_a_hundred_times() {
    let ring = Ring::new(2, "16");
    for turn in 0..100 {
        let text = format!("stream number {turn}, longer than a node");
        let writer = shm(&["write", &ring.name]).input(text.clone()).start();
        assert_eq!(
            shm(&["read", &ring.name]).run().exits(0).stdout,
            text.as_bytes()
        );
        writer.finish().exits(0);
    }
    assert!(ring.is_drained());
}

// ---- options of the end -----------------------------------------------------

#[test]
fn follow_outlives_the_writers() {
    let ring = Ring::new(4, "1K");
    let mut follower = reader(&ring, &["--follow"]);
    for (turn, word) in ["one ", "two ", "three "].into_iter().enumerate() {
        leave(&ring, word);
        let expected = ["one ", "two ", "three "][..=turn].concat();
        until("it came", || {
            follower.stdout_so_far() == expected.as_bytes()
        });
        assert!(follower.is_running());
    }
    holds_for(A_MOMENT, "it follows on", || follower.is_running());
    follower.signal(Signal::INT);
    assert_eq!(follower.finish().exits(130).stdout, b"one two three ");
}

#[test]
fn no_wait_on_an_empty_ring_is_a_success_and_nothing() {
    let ring = Ring::new(2, "1K");
    let done = shm(&["read", &ring.name, "--no-wait"])
        .run()
        .exits(0)
        .silent();
    assert!(done.stdout.is_empty());
    // The same with a writer that says nothing.
    let _silent = writer(&ring, &[]);
    assert!(
        shm(&["read", &ring.name, "--no-wait"])
            .run()
            .exits(0)
            .stdout
            .is_empty()
    );
}

#[test]
fn no_wait_takes_what_is_there() {
    let ring = Ring::new(4, "4");
    let mut open = writer(&ring, &[]);
    open.feed(b"eight by");
    until("it is there", || ring.number("written_bytes") == 8);
    assert_eq!(
        shm(&["read", &ring.name, "--no-wait"])
            .run()
            .exits(0)
            .stdout,
        b"eight by"
    );
}

#[test]
fn count_takes_that_many_nodes_and_leaves_the_rest() {
    let ring = Ring::new(8, "2");
    leave(&ring, "aabbccddee");
    let read = |n: &str| {
        shm(&["read", &ring.name, "--count", n])
            .run()
            .exits(0)
            .stdout
    };
    assert_eq!(read("1"), b"aa");
    assert_eq!(ring.number("diff_nodes"), 4);
    assert_eq!(read("3"), b"bbccdd");
    assert_eq!(ring.number("diff_nodes"), 1);
    assert_eq!(read("5"), b"ee", "fewer are left than asked for: the end");
}

#[test]
fn count_waits_until_it_has_as_many() {
    let ring = Ring::new(2, "1K");
    let mut reader = reader(&ring, &["--count", "3", "--follow"]);
    for (word, more) in [("a", true), ("b", true), ("c", false)] {
        leave(&ring, word);
        until("it came", || {
            reader.stdout_so_far().ends_with(word.as_bytes())
        });
        if more {
            assert!(reader.is_running());
        }
    }
    assert_eq!(reader.finish().exits(0).stdout, b"abc");
}

#[test]
fn a_delimiter_is_printed_after_each_node() {
    let ring = Ring::new(8, "3");
    leave(&ring, "aaabbbcc");
    let done = shm(&["read", &ring.name, "--delimiter", ", "])
        .run()
        .exits(0);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "aaa, bbb, cc, ");
}

#[test]
fn wait_for_waits_until_the_segment_exists() {
    let name = Name::unused();
    let mut reader = shm(&["read", &name, "--wait-for", "20s"]).start();
    let mut writer = shm(&["write", &name, "--wait-for", "20s"])
        .input("there")
        .start();
    holds_for(A_MOMENT, "both wait", || {
        reader.is_running() && writer.is_running()
    });
    shm(&["create", "ring", &name]).run().exits(0);
    writer.finish().exits(0);
    assert_eq!(reader.finish().exits(0).stdout, b"there");
}

#[test]
fn wait_for_gives_up_in_the_end() {
    let name = Name::unused();
    for verb in ["read", "write"] {
        let done = shm(&[verb, &name, "--wait-for", "300ms"]).run_within(SECONDS);
        done.fails_with_one_of(&[1, 4]);
    }
    assert!(!name.exists());
}

#[test]
fn wait_for_can_be_interrupted() {
    let name = Name::unused();
    for (signal, code) in ENDING {
        let mut waiting = shm(&["read", &name, "--wait-for", "1m"]).start();
        holds_for(A_MOMENT, "it waits", || waiting.is_running());
        waiting.signal(signal);
        waiting.finish_within(SECONDS).exits(code);
    }
}

// ---- time-outs --------------------------------------------------------------

#[test]
fn a_reader_gives_up_when_no_node_came_for_that_long() {
    let ring = Ring::new(2, "1K");
    shm(&["read", &ring.name, "--timeout", "300ms"])
        .run_within(SECONDS)
        .fails(4);
    let mut silent = writer(&ring, &[]);
    silent.feed(b"something first");
    let done = shm(&["read", &ring.name, "--timeout", "500ms"])
        .run_within(SECONDS)
        .exits(4);
    assert_eq!(done.stdout, b"something first");
    done.error_line();
    assert!(silent.is_running());
}

#[test]
fn a_writer_gives_up_when_no_node_came_free_for_that_long() {
    let ring = Ring::new(2, "4");
    let done = shm(&["write", &ring.name, "--timeout", "300ms"])
        .input_file("eight by, and more")
        .run();
    done.fails(4);
    // What was published stays; the stream has ended.
    assert_eq!(
        shm(&["read", &ring.name]).run().exits(0).stdout,
        b"eight by"
    );
}

#[test]
fn a_writers_timeout_is_about_nodes_and_not_about_its_input() {
    let ring = Ring::new(2, "1K");
    let mut writer = writer(&ring, &["--timeout", "200ms"]);
    holds_for(3 * A_MOMENT / 2, "it waits for input", || {
        writer.is_running()
    });
    writer.feed(b"late");
    writer.close_stdin();
    writer.finish().exits(0);
    assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"late");
}

#[test]
fn a_readers_timeout_is_about_nodes_and_not_about_its_output() {
    let ring = Ring::new(4, "64K");
    let pattern = Pattern::new(1, 8 << 20);
    let writer = shm(&["write", &ring.name]).input_pattern(&pattern).start();
    until("the ring is full", || ring.state("ready") == 4);
    let mut reader = shm(&["read", &ring.name, "--timeout", "2s"])
        .held_stdout()
        .start();
    until("it has read what its pipe takes", || {
        ring.number("read_nodes") > 0
    });
    holds_for(Duration::from_secs(4), "it waits for its consumer", || {
        reader.is_running()
    });
    let mut stdout = reader.take_stdout();
    pattern.verify(&mut stdout).is_whole(&pattern);
    writer.finish().exits(0);
    reader.finish().exits(0);
}

// ---- killed, interrupted, terminated ----------------------------------------

#[test]
fn a_killed_writer_is_an_unclean_end_and_all_it_committed_arrives() {
    let ring = Ring::new(4, "1K");
    let reader = reader(&ring, &[]);
    let mut writer = writer(&ring, &[]);
    writer.feed(b"committed");
    until("it came", || reader.stdout_so_far() == b"committed");
    writer.kill();
    let done = reader.finish_within(SECONDS).exits(3);
    assert_eq!(done.stdout, b"committed");
    done.error_line();
    // The next stream is its own.
    leave(&ring, "clean");
    assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"clean");
}

#[test]
fn what_a_killed_writer_committed_is_there_for_a_later_reader_who_is_told() {
    let ring = Ring::new(4, "1K");
    let mut writer = writer(&ring, &[]);
    writer.feed(b"committed");
    until("it is published", || ring.number("written_bytes") == 9);
    writer.kill();
    let done = shm(&["read", &ring.name]).run_within(SECONDS).exits(3);
    assert_eq!(done.stdout, b"committed");
}

#[test]
fn every_reader_is_told_of_a_writer_that_died_also_when_others_wrote_on() {
    let ring = Ring::new(4, "1K");
    let readers: Vec<_> = (0..3).map(|_| reader(&ring, &[])).collect();
    let dying = writer(&ring, &[]);
    let mut other = writer(&ring, &[]);
    dying.kill();
    other.feed(b"the other goes on");
    let came = || {
        readers
            .iter()
            .any(|r| r.stdout_so_far() == b"the other goes on")
    };
    until("it came", came);
    assert_eq!(ring.stream_state(), "open");
    other.close_stdin();
    other.finish().exits(0);
    let outputs: Vec<_> = readers
        .into_iter()
        .map(|r| r.finish_within(SECONDS).exits(3).stdout)
        .collect();
    assert_eq!(outputs.concat(), b"the other goes on");
    assert_eq!(ring.inspect()["ring"]["stream"]["clean"], false);
}

#[test]
fn a_writer_killed_while_it_waits_in_a_full_ring_is_an_unclean_end() {
    let ring = Ring::new(2, "4");
    let writer = shm(&["write", &ring.name])
        .input_file("aaaabbbbcccc")
        .start();
    until("the ring is full", || ring.state("ready") == 2);
    writer.kill();
    assert_eq!(
        shm(&["read", &ring.name])
            .run_within(SECONDS)
            .exits(3)
            .stdout,
        b"aaaabbbb"
    );
}

#[test]
fn an_interrupted_writer_ends_cleanly_and_what_it_read_is_published() {
    for (signal, code) in ENDING {
        let ring = Ring::new(4, "1K");
        let reader = reader(&ring, &[]);
        let mut writer = writer(&ring, &[]);
        writer.feed(b"what it read");
        until("it has read it", || ring.number("written_bytes") == 12);
        writer.signal(signal);
        writer.finish_within(SECONDS).exits(code);
        assert_eq!(
            reader.finish_within(SECONDS).exits(0).silent().stdout,
            b"what it read"
        );
        assert_eq!(ring.inspect()["ring"]["stream"]["clean"], true);
    }
}

#[test]
fn a_writer_interrupted_in_full_swing_leaves_a_beginning_and_no_hole() {
    for node_size in ["1K", "1M"] {
        let ring = Ring::new(4, node_size);
        let pattern = Pattern::new(1, 64 << 30);
        let reader = shm(&["read", &ring.name]).verify(&pattern).start();
        let writer = shm(&["write", &ring.name, "--json"])
            .input_pattern(&pattern)
            .start();
        until("it is in full swing", || {
            ring.number("read_bytes") > 20 << 20
        });
        writer.signal(Signal::INT);
        let written = writer.finish_within(SECONDS).exits(130).summary();
        let verdict = reader.finish_within(SECONDS).exits(0).verdict.unwrap();
        let came = verdict.is_a_beginning(&pattern);
        assert_eq!(
            written["bytes"], came,
            "the summary counts what was published"
        );
        assert!(ring.is_drained());
    }
}

#[test]
fn a_writer_blocked_in_a_full_ring_can_be_interrupted() {
    for (signal, code) in ENDING {
        let ring = Ring::new(2, "4");
        let writer = shm(&["write", &ring.name])
            .input_file("aaaabbbbcccc")
            .start();
        until("the ring is full", || ring.state("ready") == 2);
        writer.signal(signal);
        writer.finish_within(SECONDS).exits(code);
        assert_eq!(ring.living("writer"), 0);
        let read = shm(&["read", &ring.name])
            .run_within(SECONDS)
            .exits(0)
            .stdout;
        assert!(b"aaaabbbbcccc".starts_with(&read[..]) && read.len() >= 8);
    }
}

#[test]
fn an_interrupted_writer_has_taken_no_more_of_its_input_than_it_published() {
    use std::io::Seek;
    for (nodes, node_size) in [(20, "1K"), (2, "1M"), (7, "10007")] {
        let ring = Ring::new(nodes, node_size);
        let pattern = Pattern::new(1, 30 << 20);
        let mut input = pattern.file().reopen().unwrap();
        let writer = shm(&["write", &ring.name])
            .stdin(input.try_clone().unwrap())
            .start();
        until("the ring is full", || ring.state("ready") == nodes);
        writer.signal(Signal::INT);
        writer.finish_within(SECONDS).exits(130);
        // Whoever goes on with the same descriptor finds the rest.
        let position = input.stream_position().unwrap();
        assert_eq!(position, ring.number("written_bytes"));
        let mut all = shm(&["read", &ring.name]).run().exits(0).stdout;
        input.read_to_end(&mut all).unwrap();
        pattern.verify(&mut &all[..]).is_whole(&pattern);
    }
}

#[test]
fn a_blocked_reader_can_be_interrupted() {
    let ring = Ring::new(2, "1K");
    for (signal, code) in ENDING {
        let reader = reader(&ring, &[]);
        reader.signal(signal);
        let done = reader.finish_within(SECONDS).exits(code);
        assert!(done.stdout.is_empty());
        assert_eq!(ring.living("reader"), 0);
    }
}

#[test]
fn a_reader_interrupted_in_the_middle_of_a_node_gives_it_back_whole() {
    for (signal, code) in ENDING {
        let ring = Ring::new(3, "8M");
        let pattern = Pattern::new(1, 20 << 20);
        shm(&["write", &ring.name])
            .input_file(pattern.bytes())
            .run()
            .exits(0);
        let reader = shm(&["read", &ring.name]).held_stdout().start();
        until("it is in the middle of a node", || {
            ring.state("reading") == 1
        });
        reader.signal(signal);
        reader.finish_within(SECONDS).exits(code);
        assert_eq!(ring.number("read_nodes"), 0, "not all its bytes were out");
        let next = shm(&["read", &ring.name]).verify(&pattern).run().exits(0);
        next.verdict.unwrap().is_whole(&pattern);
    }
}

#[test]
fn under_nohup_the_end_of_the_terminal_ends_nothing() {
    let ring = Ring::new(2, "1K");
    let script = "trap '' HUP; exec shm read \"$0\"";
    let nohup = Shm::program("sh").args(&["-c", script, &ring.name]);
    let mut reader = nohup.with_shm_on_path().start();
    until("the reader is attached", || ring.living("reader") == 1);
    reader.signal(Signal::HUP);
    holds_for(A_MOMENT, "it goes on", || reader.is_running());
    leave(&ring, "on and on");
    assert_eq!(reader.finish().exits(0).stdout, b"on and on");
}

#[test]
fn an_interrupted_follower_of_a_busy_ring_loses_nothing() {
    let ring = Ring::new(4, "1K");
    let pattern = Pattern::new(3, 64 << 20);
    // Keeps the stream open until the second reader is there.
    let mut holder = writer(&ring, &[]);
    let first = reader(&ring, &["--follow"]);
    let writer = shm(&["write", &ring.name]).input_pattern(&pattern).start();
    until("it is in full swing", || {
        ring.number("read_bytes") > 1 << 20
    });
    first.signal(Signal::INT);
    let mut all = first.finish_within(SECONDS).exits(130).stdout;
    let second = reader(&ring, &[]);
    writer.finish_within(2 * PATIENCE).exits(0);
    holder.close_stdin();
    holder.finish().exits(0);
    all.extend(second.finish().exits(0).stdout);
    pattern.verify(&mut &all[..]).is_whole(&pattern);
}

// ---- the output goes away ---------------------------------------------------

#[test]
fn a_closed_stdout_is_a_success_and_the_next_reader_continues_without_a_hole() {
    let ring = Ring::new(4, "10007");
    let pattern = Pattern::new(1, 40_000);
    shm(&["write", &ring.name])
        .input_file(pattern.bytes())
        .run()
        .exits(0);
    for _ in 0..3 {
        let (read_end, write_end) = std::io::pipe().unwrap();
        drop(read_end);
        shm(&["read", &ring.name])
            .stdout(write_end)
            .run()
            .exits(0)
            .silent();
    }
    assert_eq!(ring.number("read_nodes"), 0);
    let next = shm(&["read", &ring.name]).verify(&pattern).run().exits(0);
    next.verdict.unwrap().is_whole(&pattern);
}

#[test]
fn a_stdout_closed_in_the_middle_of_a_node_gives_it_back_whole() {
    let ring = Ring::new(3, "8M"); // no pipe takes a whole node
    let pattern = Pattern::new(2, 20 << 20);
    shm(&["write", &ring.name])
        .input_file(pattern.bytes())
        .run()
        .exits(0);
    let mut reader = shm(&["read", &ring.name]).held_stdout().start();
    let mut stdout = reader.take_stdout();
    let mut first = [0; 100];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(first[..], pattern.bytes()[..100]);
    drop(stdout);
    reader.finish_within(SECONDS).exits(0).silent();
    let next = shm(&["read", &ring.name]).verify(&pattern).run().exits(0);
    next.verdict.unwrap().is_whole(&pattern);
}

#[test]
fn head_takes_what_it_wants_and_another_reader_goes_on_meanwhile() {
    let ring = Ring::new(4, "1M");
    let pattern = Pattern::new(2, 16 << 20);
    let mut reader = shm(&["read", &ring.name]).held_stdout().start();
    let writer = shm(&["write", &ring.name]).input_pattern(&pattern).start();
    let mut stdout = reader.take_stdout();
    let mut first = vec![0; 3 << 20];
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    reader.finish_within(SECONDS).exits(0).silent();
    // Nodes that went into the pipe whole are read; the rest has no hole.
    let rest = shm(&["read", &ring.name]).run().exits(0).stdout;
    writer.finish().exits(0);
    let all = pattern.bytes();
    assert!(all.starts_with(&first));
    assert!(
        all.ends_with(&rest),
        "the rest is the stream's end, without a hole"
    );
    assert!(
        rest.len() >= 11 << 20,
        "no more than a pipe's fill went with head"
    );
}

#[test]
fn an_output_without_room_is_an_error_and_the_node_is_not_lost() {
    let ring = Ring::new(4, "10007");
    let pattern = Pattern::new(1, 40_000);
    shm(&["write", &ring.name])
        .input_file(pattern.bytes())
        .run()
        .exits(0);
    let line = shm(&["read", &ring.name, "-o", "/dev/full"])
        .run()
        .fails(1)
        .stderr;
    assert!(line.contains("/dev/full"), "{line:?} names the output");
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    shm(&["read", &ring.name]).stdout(full).run().fails(1);
    assert_eq!(ring.number("read_nodes"), 0);
    let next = shm(&["read", &ring.name]).verify(&pattern).run().exits(0);
    next.verdict.unwrap().is_whole(&pattern);
}

#[test]
fn an_output_that_cannot_be_made_is_an_error_before_anything_is_read() {
    let ring = Ring::new(4, "1K");
    leave(&ring, "still there");
    for path in ["/nonexistent/directory/out", "/dev/shm", "/proc/version/x"] {
        let line = shm(&["read", &ring.name, "-o", path]).run().fails(1).stderr;
        assert!(line.contains(path), "{line:?} names the output");
    }
    assert_eq!(
        shm(&["read", &ring.name]).run().exits(0).stdout,
        b"still there"
    );
}

// ---- the segment goes away --------------------------------------------------

/// A blocked reader, a blocked writer, and a streaming pair on rings of their
/// own; then `end` happens to all three rings.
fn those_attached_end_with_6(end: impl Fn(&Ring)) {
    let [empty, full, busy] = [Ring::new(2, "1K"), Ring::new(2, "1K"), Ring::new(20, "64K")];
    let endless = || std::fs::File::open("/dev/zero").unwrap();
    let sink = std::process::Stdio::null;
    let blocked_reader = reader(&empty, &[]);
    let silent_writer = writer(&empty, &[]);
    let blocked_writer = shm(&["write", &full.name]).stdin(endless()).start();
    let busy_reader = shm(&["read", &busy.name]).stdout(sink()).start();
    let busy_writer = shm(&["write", &busy.name]).stdin(endless()).start();
    until("the full ring is full", || full.state("ready") == 2);
    until("the busy ring is busy", || {
        busy.number("read_bytes") > 10 << 20
    });
    for ring in [&empty, &full, &busy] {
        end(ring);
    }
    let all = [
        blocked_reader,
        silent_writer,
        blocked_writer,
        busy_reader,
        busy_writer,
    ];
    for proc in all {
        proc.finish_within(SECONDS).fails(6);
    }
}

#[test]
fn those_attached_to_a_ring_removed_by_force_end_with_6() {
    those_attached_end_with_6(|ring| {
        shm(&["remove", "--force", &ring.name]).run().exits(0);
        assert!(!ring.name.exists());
    });
}

#[test]
fn those_attached_to_a_ring_whose_file_was_deleted_end_with_6() {
    those_attached_end_with_6(|ring| std::fs::remove_file(ring.path()).unwrap());
}

#[test]
fn those_attached_to_a_ring_that_was_removed_and_made_anew_end_with_6() {
    those_attached_end_with_6(|ring| {
        shm(&["remove", "--force", &ring.name]).run().exits(0);
        shm(&["create", "ring", &ring.name]).run().exits(0);
    });
}

#[test]
fn those_attached_to_a_truncated_ring_end_with_6() {
    for size in [0, 100, 4096, 40_000] {
        those_attached_end_with_6(|ring| {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(ring.path())
                .unwrap();
            file.set_len(size).unwrap();
        });
    }
}

#[test]
fn a_reader_stuck_in_its_output_ends_with_6_when_the_ring_is_gone() {
    let ring = Ring::new(3, "8M");
    shm(&["write", &ring.name])
        .input_file(vec![1; 20 << 20])
        .run()
        .exits(0);
    let reader = shm(&["read", &ring.name]).held_stdout().start();
    until("it is in the middle of a node", || {
        ring.state("reading") == 1
    });
    shm(&["remove", "--force", &ring.name]).run().exits(0);
    until_within(SECONDS, "it has noticed", || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", reader.pid())).unwrap();
        state[state.rfind(')').unwrap()..].starts_with(") Z")
    });
    reader.finish().fails(6);
}

// ---- following a dead reader ------------------------------------------------

#[test]
fn a_reader_that_follows_a_killed_one_continues_without_a_hole() {
    for (nodes, node_size) in [(3, "8M"), (20, "64K"), (20, "1K"), (7, "10007")] {
        let ring = Ring::new(nodes, node_size);
        let pattern = Pattern::new(1, 40 << 20);
        let writer = shm(&["write", &ring.name]).input_pattern(&pattern).start();
        let mut killed = shm(&["read", &ring.name]).held_stdout().start();
        let mut stdout = killed.take_stdout();
        let mut first = vec![0; 3_333_333];
        stdout.read_exact(&mut first).unwrap();
        killed.kill();
        stdout.read_to_end(&mut first).unwrap(); // what was in the pipe is out
        let rest = shm(&["read", &ring.name])
            .run_within(2 * PATIENCE)
            .exits(0)
            .stdout;
        writer.finish().exits(0);
        let all = pattern.bytes();
        assert!(all.starts_with(&first) && all.ends_with(&rest));
        assert!(
            first.len() + rest.len() >= all.len(),
            "{nodes} x {node_size}: there is a hole"
        );
        // Nothing is repeated but what the killed one had in hand.
        let repeated = first.len() + rest.len() - all.len();
        let in_hand = ring.number("node_size").max(1 << 20) as usize;
        assert!(repeated <= in_hand, "{repeated} bytes came twice");
    }
}
