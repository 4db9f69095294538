//! Writes that end in the middle: what is told of them, and to whom.
//!
//! A large file goes from the page cache straight into a segment, and takes
//! tens of milliseconds for it. The tests watch the segment's first byte, and
//! strike when it changes. Where the blow comes too late, the write is whole
//! and the turn proves nothing: it is repeated, [`TURNS`] times at most, and a
//! test in which none has landed fails.

mod harness;

use harness::{Done, Proc, SECONDS, Store, until, until_within};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How often a blow may miss.
const TURNS: usize = 20;
const SIZE: usize = 128 << 20;
const WARNING: &str = "warning: a writer died in the middle of a write; the data may be torn";

/// One such test at a time: memory is not without an end.
static ALONE: Mutex<()> = Mutex::new(());

/// A buffer, and two files that fill it with one byte each.
struct Target {
    _alone: MutexGuard<'static, ()>,
    store: Store,
    file: File,
    data: u64,
    sources: [NamedTempFile; 2],
}

impl Target {
    fn new() -> Target {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let store = Store::buffer(&SIZE.to_string());
        let sources = [b'a', b'b'].map(|byte| {
            let source = NamedTempFile::new().unwrap();
            std::fs::write(source.path(), vec![byte; SIZE]).unwrap();
            source
        });
        let target = Target {
            _alone: alone,
            file: store.file(),
            data: store.data_offset(),
            store,
            sources,
        };
        target.fill(1);
        target
    }

    fn path(&self, which: usize) -> &str {
        self.sources[which].path().to_str().unwrap()
    }

    /// All of it, with the byte of one of the files.
    #[track_caller]
    fn fill(&self, which: usize) -> Done {
        let write = self.store.write(&[self.path(which)]);
        let done = write.run_within(SECONDS).exits(0);
        assert!(!self.store.owner_died(), "a complete write");
        done
    }

    fn byte(&self, at: usize) -> u8 {
        let mut byte = [0];
        let at = self.data + at as u64;
        self.file.read_exact_at(&mut byte, at).unwrap();
        byte[0]
    }

    fn is_torn(&self) -> bool {
        self.byte(0) != self.byte(SIZE - 1)
    }

    /// Waits until the first byte is that of `which`, without a break between
    /// two looks.
    #[track_caller]
    fn until_begun(&self, which: usize) {
        let end = Instant::now() + SECONDS;
        while self.byte(0) != [b'a', b'b'][which] {
            assert!(Instant::now() < end, "waited in vain for the write");
            std::thread::yield_now();
        }
    }

    /// `shm lock`, whose command waits for a line, writes, waits for a line,
    /// has the writer killed by `signal`, does what `then` says, and succeeds.
    fn hold(&self, signal: &str, then: &str) -> Proc {
        let script = format!(
            r#"echo HELD; read line
               shm write "$1" "$2" & writer=$!
               read line; kill -{signal} $writer; {then}; exit 0"#
        );
        let command = ["sh", "-c", &script, "-", &self.store.name, self.path(0)];
        let lock = self.store.lock(&[], &command).held_stdin().own_group();
        let holder = lock.start();
        until("it has the lock", || holder.stdout_so_far() == b"HELD\n");
        holder
    }

    /// Lets that command write, and strike.
    #[track_caller]
    fn strike(&self, holder: &mut Proc) {
        holder.feed(b"write\n");
        self.until_begun(0);
        holder.feed(b"strike\n");
    }

    fn told(&self) -> String {
        format!("shm: {}: {WARNING}\n", &*self.store.name)
    }
}

/// Repeats a turn until it says that it has hit.
#[track_caller]
fn until_hit(what: &str, mut turn: impl FnMut() -> bool) {
    let hit = (0..TURNS).any(|_| turn());
    assert!(hit, "{what}: none of {TURNS} came in the middle of a write");
}

// ---- under `shm lock` --------------------------------------------------------

#[test]
fn a_write_torn_under_a_lock_is_not_forgiven_when_the_command_succeeds() {
    let target = Target::new();
    for signal in ["INT", "TERM", "KILL"] {
        until_hit(signal, || {
            let mut holder = target.hold(signal, "wait $writer");
            target.strike(&mut holder);
            holder.finish_within(SECONDS).exits(0);
            let torn = target.is_torn();
            if torn {
                assert!(target.store.owner_died(), "{signal}: torn, and no mark");
                for _ in 0..2 {
                    let read = target.store.read(&["--count", "1"]).run_within(SECONDS);
                    assert_eq!(read.exits(0).stderr, target.told(), "{signal}");
                }
            }
            target.fill(1);
            torn
        });
    }
}

#[test]
fn a_reader_that_slept_is_told_of_a_write_torn_under_the_lock() {
    let target = Target::new();
    // The last: the lock is given back while the writer is still dying.
    for (signal, then) in [("TERM", "wait"), ("KILL", "wait"), ("KILL", ":")] {
        until_hit(signal, || {
            let mut holder = target.hold(signal, then);
            let reader = target.store.read(&["--count", "1"]).start();
            until("it waits", || target.store.living("reader") == 1);
            target.strike(&mut holder);
            holder.finish_within(SECONDS).exits(0);
            let read = reader.finish_within(SECONDS).exits(0);
            let torn = target.is_torn();
            if torn {
                assert_eq!(read.stderr, target.told(), "{signal}, then {then}");
                assert!(target.store.owner_died());
            }
            target.fill(1);
            torn
        });
    }
}

#[test]
fn a_writer_that_slept_makes_whole_what_was_torn_under_the_lock() {
    let target = Target::new();
    for (signal, then) in [("TERM", "wait"), ("KILL", "wait"), ("KILL", ":")] {
        until_hit(signal, || {
            let mut holder = target.hold(signal, then);
            let writer = target.store.write(&[target.path(1)]).start();
            until("it waits", || target.store.living("writer") == 2);
            target.strike(&mut holder);
            holder.finish_within(SECONDS).exits(0);
            let written = writer.finish_within(SECONDS).exits(0);
            // Nobody who comes now finds a dead writer after the living one.
            let read = target.store.read(&["--count", "1"]).run_within(SECONDS);
            assert_eq!(read.exits(0).silent().stdout, b"b");
            assert!(!target.is_torn() && !target.store.owner_died());
            let told = written.stderr == target.told();
            assert!(told || written.stderr.is_empty(), "{:?}", written.stderr);
            told
        });
    }
}

#[test]
fn a_command_that_only_looks_leaves_the_mark_and_one_that_writes_takes_it_back() {
    let store = Store::array("u8", 2);
    store.kill_holder(store.hold(&[]));
    let told = format!("shm: {}: {WARNING}\n", &*store.name);
    for command in [&["true"][..], &["shm", "read", &store.name]] {
        let done = store.lock(&[], command).run_within(SECONDS).exits(0);
        assert!(done.stderr.starts_with(&told), "{:?}", done.stderr);
        assert!(store.owner_died(), "{command:?}");
    }
    let write = ["shm", "write", &store.name, "1", "2"];
    store.lock(&[], &write).run_within(SECONDS).exits(0);
    assert!(!store.owner_died());
    store
        .read::<&str>(&[])
        .run_within(SECONDS)
        .exits(0)
        .silent();
}

#[test]
fn a_lock_waits_for_what_its_command_left_at_work_and_can_be_ended() {
    let store = Store::buffer("32M");
    // Larger than what is copied, so it reads on under the lock.
    let script = r#"shm read "$1" | { head -c 1 >/dev/null; echo READS; sleep 600; } &
        read line; exit 0"#;
    for flag in ["--read", "--write"] {
        let command = ["sh", "-c", script, "-", &store.name];
        let lock = store.lock(&[flag], &command).held_stdin().own_group();
        let mut holder = lock.start();
        until("it reads", || holder.stdout_so_far() == b"READS\n");
        holder.feed(b"end\n");
        harness::holds_for(Duration::from_millis(500), "it waits", || {
            holder.is_running() && store.lock_state() != "free"
        });
        holder.signal(Signal::TERM);
        let status = holder.wait_within(SECONDS);
        assert_eq!(status.code(), Some(143), "{flag}");
        drop(holder); // and all of its group
        until_within(SECONDS, "the lock is free", || store.lock_state() == "free");
    }
}

// ---- summaries ----------------------------------------------------------------

#[test]
fn a_write_interrupted_half_way_is_not_clean() {
    let target = Target::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        until_hit("interrupted", || {
            let args = [target.path(0), "--json", "--hash"];
            let writer = target.store.write(&args).start();
            target.until_begun(0);
            writer.signal(signal);
            let done = writer.finish_within(SECONDS).exits_one_of(&[0, code]);
            let torn = target.is_torn();
            let summary = done.summary();
            assert_eq!(summary["clean"], !torn, "{summary}");
            assert_eq!(summary.get("hash").is_some(), !torn, "{summary}");
            assert_eq!(target.store.owner_died(), torn);
            if torn {
                assert_eq!(done.code(), code);
            }
            target.fill(1);
            torn
        });
    }
}

#[test]
fn a_read_interrupted_half_way_is_not_clean() {
    let store = Store::buffer("32M");
    for (size, code) in [("32M", 130), ("8M", 143)] {
        let args = ["--count", size, "--json", "--hash"];
        let mut reader = store.read(&args).held_stdout().start();
        let mut consumer = reader.take_stdout();
        std::io::Read::read_exact(&mut consumer, &mut [0; 1000]).unwrap();
        reader.signal(if code == 130 {
            Signal::INT
        } else {
            Signal::TERM
        });
        let summary = reader.finish_within(SECONDS).exits(code).summary();
        assert_eq!(summary["clean"], false, "{summary}");
        assert!(summary.get("hash").is_none(), "{summary}");
    }
    // Whoever closes our output has what they wanted.
    let mut reader = store.read(&["--json"]).held_stdout().start();
    drop(reader.take_stdout());
    let summary = reader.finish_within(SECONDS).exits(0).summary();
    assert_eq!(summary["clean"], true, "{summary}");
}

// ---- files that change -----------------------------------------------------------

#[test]
fn a_file_that_changes_while_the_lock_is_waited_for_stores_nothing() {
    const LEN: u64 = 2_000_000;
    let input = NamedTempFile::new().unwrap();
    let path = input.path().to_str().unwrap();
    let stdin = || input.reopen().unwrap();
    let (buffer, array) = (Store::buffer("2000000"), Store::array("u16", 1_000_000));
    for len in [1_500_000, 0, LEN + 2, 9_000_000] {
        for (store, write) in [
            (&buffer, buffer.write(&[path])),
            (&buffer, buffer.write::<&str>(&[]).stdin(stdin())),
            (&array, array.write(&["--format", "raw"]).stdin(stdin())),
        ] {
            std::fs::write(input.path(), vec![b'x'; LEN as usize]).unwrap();
            // A writer that waits for readers is seen to wait.
            let holder = store.hold(&["--read"]);
            let writer = write.start();
            until("it waits", || store.writer_waits());
            input.as_file().set_len(len).unwrap();
            store.let_go(holder);
            let done = writer.finish_within(SECONDS).fails(1);
            let line = done.error_line();
            for size in [LEN, len] {
                assert!(line.contains(&format!(" {size}")), "{line}");
            }
            assert!(store.bytes().iter().all(|byte| *byte == 0), "{len}");
            assert!(!store.owner_died(), "nothing was stored");
        }
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error_and_told() {
    let target = Target::new();
    until_hit("growing", || {
        let source = target.sources[0].as_file();
        source.set_len(SIZE as u64).unwrap();
        let writer = target.store.write(&[target.path(0)]).start();
        target.until_begun(0);
        source.set_len(SIZE as u64 + 1).unwrap();
        let done = writer.finish_within(SECONDS).exits_one_of(&[0, 1]);
        let seen = done.code() == 1;
        if seen {
            assert!(done.error_line().contains("longer"), "{}", done.stderr);
            let read = target.store.read(&["--count", "1"]).run_within(SECONDS);
            assert_eq!(read.exits(0).stderr, target.told());
        }
        target.fill(1);
        seen
    });
}
