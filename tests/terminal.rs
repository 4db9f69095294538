//! What a person at a terminal sees of a transfer: the progress line, in
//! narrow and wide terminals, while it is blocked, and after it.

mod harness;

use harness::{Ring, Terminal, shm};

#[test]
fn progress_is_drawn_on_a_terminal_and_ends_with_the_rate_of_the_whole() {
    let ring = Ring::new(4, "1K");
    let terminal = Terminal::new(24, 80);
    let reader = shm(&["read", &ring.name]).start();
    let writer = shm(&["write", &ring.name]).at(&terminal).held_stdin();
    let mut writer = writer.start();
    writer.feed(&[b'x'; 1000]);
    terminal.until("1000 bytes are shown", |screen| screen.contains("1000 B"));
    terminal.until("it says what it waits for", |screen| {
        screen.contains("waiting for input")
    });
    writer.close_stdin();
    writer.finish().exits(0);
    terminal.settle();
    let screen = terminal.screen();
    assert_eq!(screen.lines().count(), 1, "{screen}");
    assert!(screen.starts_with("1000 B"), "{screen}");
    assert!(!screen.contains("waiting"), "{screen}");
    assert!(!terminal.wrapped() && !terminal.is_cursor_hidden());
    assert_eq!(reader.finish().exits(0).stdout.len(), 1000);
}

#[test]
fn what_is_typed_and_resized_reaches_the_program() {
    let ring = Ring::new(4, "1K");
    let terminal = Terminal::new(24, 120);
    let before = terminal.modes();
    let reader = shm(&["read", &ring.name, "--progress"])
        .at(&terminal)
        .start();
    terminal.until("it is attached", |screen| {
        screen.contains("waiting for a writer")
    });
    terminal.resize(24, 25);
    terminal.until("it fits again", |screen| {
        screen.contains("waiting for a writer") && !screen.contains("MB/s")
    });
    terminal.type_keys("\x03");
    reader.finish().exits(130);
    assert_eq!(terminal.modes(), before);
}
