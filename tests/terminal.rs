//! What a person at a terminal sees of a transfer: the progress line, in
//! narrow and wide terminals, while it is blocked, and after it; and where
//! nothing of it may be seen.

mod harness;

use harness::{Done, Proc, Ring, Shm, Store, Terminal, holds_for, shm};
use std::io::Write;
use std::time::Duration;

/// Some frames of a progress line.
const FRAMES: Duration = Duration::from_millis(500);

/// `shm write RING`, fed by the test, with its stderr on the terminal.
fn writer(ring: &Ring, terminal: &Terminal, flags: &[&str]) -> Proc {
    let writer = shm(&["write", &ring.name]).args(flags);
    writer.at(terminal).held_stdin().start()
}

/// Its one line on the screen, when all is done.
#[track_caller]
fn last_line(terminal: &Terminal) -> String {
    terminal.settle();
    let screen = terminal.screen();
    assert_eq!(screen.lines().count(), 1, "{screen}");
    assert!(!terminal.wrapped(), "{screen}");
    assert!(!terminal.is_cursor_hidden());
    screen
}

#[test]
fn progress_is_drawn_and_redrawn_and_ends_with_the_rate_of_the_whole() {
    let ring = Ring::new(4, "1K");
    let terminal = Terminal::new(24, 80);
    let reader = shm(&["read", &ring.name]).start();
    let mut writer = writer(&ring, &terminal, &[]);
    writer.feed(&[b'x'; 1000]);
    terminal.until("1000 bytes are shown", |screen| screen.contains("1000 B"));
    terminal.until("it says what it waits for", |screen| {
        screen.contains("waiting for input")
    });
    writer.feed(&[b'x'; 1000]);
    terminal.until("2000 bytes are shown", |screen| {
        screen.lines().count() == 1 && screen.contains("1.95 KiB")
    });
    writer.close_stdin();
    writer.finish().exits(0);
    let line = last_line(&terminal);
    assert!(line.starts_with("1.95 KiB  0.0"), "{line}");
    assert!(line.ends_with(" s") && line.contains("diff 0"), "{line}");
    assert!(terminal.raw().matches("1000 B").count() > 1, "redrawn");
    assert_eq!(reader.finish().exits(0).stdout.len(), 2000);
}

#[test]
fn off_a_terminal_or_with_quiet_nothing_is_drawn() {
    let ring = Ring::new(4, "1K");
    let transfer = |write: Shm| -> Done {
        let reader = shm(&["read", &ring.name, "-o", "/dev/null"]).start();
        let mut writer = write.held_stdin().start();
        writer.feed(b"a few bytes");
        // Long enough for frames, were there any.
        holds_for(FRAMES, "the writer waits", || writer.is_running());
        writer.close_stdin();
        reader.finish().exits(0).silent();
        writer.finish().exits(0)
    };
    transfer(shm(&["write", &ring.name])).silent();

    let terminal = Terminal::new(24, 80);
    transfer(shm(&["write", &ring.name, "--quiet"]).at(&terminal));
    terminal.settle();
    assert_eq!(terminal.raw(), "", "quiet");

    transfer(
        shm(&["write", &ring.name])
            .at(&terminal)
            .env("TERM", "dumb"),
    );
    terminal.settle();
    assert_eq!(terminal.raw(), "", "a terminal that cannot draw again");

    // As lines it can be had anywhere.
    let done = transfer(shm(&["write", &ring.name, "--progress"]));
    assert!(done.stderr.lines().count() >= 2, "{}", done.stderr);
    assert!(!done.stderr.contains('\x1b'), "{:?}", done.stderr);
    assert!(done.stderr.starts_with("11 B  "), "{}", done.stderr);
}

#[test]
fn a_blocked_transfer_says_what_it_waits_for() {
    let ring = Ring::new(2, "1K");
    let terminal = Terminal::new(24, 80);
    let says = |what: &str| {
        terminal.until(&format!("it says {what:?}"), |screen| screen.contains(what));
    };
    let reader = shm(&["read", &ring.name, "--progress"]).at(&terminal);
    let reader = reader.start();
    says("waiting for a writer");
    let mut silent = shm(&["write", &ring.name]).held_stdin().start();
    says("ring empty: waiting for writers");
    silent.close_stdin();
    silent.finish().exits(0);
    reader.finish().exits(0);

    let mut full = writer(&ring, &terminal, &[]);
    says("waiting for input");
    full.feed(&[b'x'; 3000]);
    says("waiting for a reader");
    let stuck = shm(&["read", &ring.name]).held_stdout().start();
    full.feed(&[b'x'; 60_000]);
    says("diff ");
    drop(stuck);
    full.kill();

    let array = Store::array("u8", 10);
    let holder = array.hold(&["--write"]);
    let waiting = array.write(&["1"]).at(&terminal).start();
    says("waiting for the lock");
    array.let_go(holder);
    waiting.finish().exits(0);
}

/// A writer of 3 MiB into a ring whose reader takes it up to a point, at a
/// terminal of so many columns: what the screen shows while it is blocked, and
/// at the end.
fn at_columns(columns: u16, known: bool) -> (String, String) {
    let ring = Ring::new(4, "64K");
    let terminal = Terminal::new(24, columns);
    let mut files = [(); 3].map(|()| tempfile::NamedTempFile::new().unwrap());
    for file in &mut files {
        file.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let paths: Vec<&str> = files.iter().map(|f| f.path().to_str().unwrap()).collect();
    // A pipe among them: nobody knows how much comes out of it.
    let inputs = if known {
        paths
    } else {
        [&paths[..], &["-"]].concat()
    };
    let writer = shm(&["write", &ring.name]).args(&inputs).at(&terminal);
    let writer = match known {
        true => writer.start(),
        false => writer.input("from a pipe").start(),
    };
    let blocked = terminal.until("it is blocked", |screen| {
        screen.contains("waiting for a reader")
    });
    assert_eq!(blocked.lines().count(), 1, "{blocked}");
    let reader = shm(&["read", &ring.name, "-o", "/dev/null"]).start();
    writer.finish().exits(0);
    reader.finish().exits(0);
    (blocked, last_line(&terminal))
}

#[test]
fn at_40_columns_the_least_telling_is_left_out() {
    let (blocked, last) = at_columns(40, true);
    assert_eq!(blocked, "256.00 KiB    8%  waiting for a reader");
    assert!(last.starts_with("3.00 MiB  ") && last.len() < 40, "{last}");
    let (blocked, _) = at_columns(40, false);
    assert_eq!(blocked, "256.00 KiB  waiting for a reader");
}

#[test]
fn at_200_columns_there_is_all_of_it_and_a_bar() {
    let (blocked, last) = at_columns(200, true);
    assert!(blocked.starts_with("256.00 KiB  "), "{blocked}");
    assert!(blocked.contains(" MB/s  diff 4  0:0"), "{blocked}");
    assert!(blocked.contains("  1/3 /"), "which input: {blocked}");
    let bar = "[===>                                    ]    8%  waiting for a reader";
    assert!(blocked.ends_with(bar), "{blocked}");
    assert!(
        last.starts_with("3.00 MiB  ") && last.ends_with(" s"),
        "{last}"
    );
    let (blocked, _) = at_columns(200, false);
    assert!(
        blocked.contains("  1/4 /") && !blocked.contains('['),
        "{blocked}"
    );
}

#[test]
fn what_is_dropped_is_counted_as_it_goes() {
    for (columns, wide) in [(40, false), (200, true)] {
        let ring = Ring::new(2, "1K");
        let terminal = Terminal::new(24, columns);
        let mut writer = writer(
            &ring,
            &terminal,
            &["--record", "1K", "--on-full", "drop-new"],
        );
        writer.feed(&[b'x'; 5 * 1024]);
        let screen = terminal.until("three are dropped", |screen| screen.contains("3 dropped"));
        assert_eq!(screen.contains("  0:0"), wide, "{screen}");
        writer.feed(&[b'x'; 1024]);
        terminal.until("and a fourth", |screen| screen.contains("4 dropped"));
        writer.close_stdin();
        writer.finish().exits(0);
        let line = last_line(&terminal);
        assert!(line.starts_with("6.00 KiB  "), "{line}");
        assert!(line.contains("4 dropped"), "{line}");
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let ring = Ring::new(2, "1K");
    let raw = |no_color: Option<&str>| {
        let terminal = Terminal::new(24, 80);
        let mut reader = shm(&["read", &ring.name, "--progress"]).at(&terminal);
        if let Some(value) = no_color {
            reader = reader.env("NO_COLOR", value);
        }
        let reader = reader.start();
        terminal.until("it waits", |screen| screen.contains("waiting for a writer"));
        drop(reader);
        terminal.raw()
    };
    assert!(raw(None).contains("\x1b[33mwaiting"), "{:?}", raw(None));
    assert!(!raw(Some("1")).contains("\x1b[3"), "{:?}", raw(Some("1")));
}

#[test]
fn what_is_typed_and_resized_reaches_the_program() {
    let ring = Ring::new(4, "1K");
    let terminal = Terminal::new(24, 120);
    let before = terminal.modes();
    let reader = shm(&["read", &ring.name, "--progress"]).at(&terminal);
    let reader = reader.start();
    terminal.until("it is attached", |screen| {
        screen.contains("waiting for a writer") && screen.contains("MB/s")
    });
    terminal.resize(24, 25);
    terminal.until("it fits again", |screen| {
        screen.contains("waiting for a writer") && !screen.contains("MB/s")
    });
    terminal.resize(24, 120);
    terminal.until("all of it is back", |screen| screen.contains("MB/s"));
    terminal.type_keys("\x03");
    reader.finish().exits(130);
    assert_eq!(terminal.modes(), before);
}

#[test]
fn an_error_has_a_line_of_its_own_below_the_progress() {
    let ring = Ring::new(2, "1K");
    let terminal = Terminal::new(24, 80);
    let writer = writer(&ring, &terminal, &[]);
    terminal.until("it is drawn", |screen| screen.contains("waiting for input"));
    shm(&["remove", "--force", &ring.name]).run().exits(0);
    writer.finish().exits(6);
    terminal.settle();
    let screen = terminal.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines.len(), 2, "{screen}");
    assert!(lines[0].starts_with("0 B"), "{screen}");
    let error = format!("shm: {}: the segment was removed while in use", &*ring.name);
    assert_eq!(lines[1], error);
}

#[test]
fn help_is_as_wide_as_the_terminal() {
    for columns in [40, 80] {
        let terminal = Terminal::new(500, columns);
        shm(&["write", "--help"]).at(&terminal).run().exits(0);
        terminal.settle();
        let screen = terminal.screen();
        let flags = screen.lines().filter(|line| line.contains("  --"));
        assert!(flags.count() > 10, "{screen}");
    }
    let terminal = Terminal::new(500, 100);
    shm(&["write", "--help"]).at(&terminal).run().exits(0);
    terminal.settle();
    assert!(!terminal.wrapped(), "{}", terminal.screen());
}
