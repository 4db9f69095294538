//! The manual pages: written for every command, read by man(1) and mandoc(1)
//! without a complaint, and with every flag in them.

use super::harness::{Shm, Terminal, shm};
use super::have;
use std::fs;
use std::path::Path;

fn pages(directory: &Path) -> Vec<String> {
    shm(&["man", "--out"])
        .arg(directory)
        .run()
        .exits(0)
        .silent();
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut pages: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    pages.sort();
    pages
}

/// `shm-create-ring.1` is about these words.
fn words(page: &str) -> Vec<&str> {
    let name = page.strip_suffix(".1").unwrap();
    name.split('-').skip(1).collect()
}

fn text(words: &[&str], flag: &str) -> String {
    let done = shm(words).arg(flag).run().exits(0);
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn there_is_a_page_for_each_command() {
    let directory = tempfile::tempdir().unwrap();
    let pages = pages(&directory.path().join("new/man1"));
    for page in [
        "shm.1",
        "shm-create.1",
        "shm-create-ring.1",
        "shm-read.1",
        "shm-man.1",
    ] {
        assert!(pages.iter().any(|found| found == page), "{page}: {pages:?}");
    }
    for line in text(&[], "-h")
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
    {
        let Some(command) = line.split_whitespace().next() else {
            break;
        };
        let page = format!("shm-{command}.1");
        assert!(command == "help" || pages.contains(&page), "{page}");
    }
}

#[test]
fn every_flag_and_example_of_the_help_is_in_its_page() {
    let directory = tempfile::tempdir().unwrap();
    for page in pages(directory.path()) {
        let source = fs::read_to_string(directory.path().join(&page)).unwrap();
        // As a reader sees it.
        let plain = source
            .replace(r"\fB", "")
            .replace(r"\fI", "")
            .replace(r"\fR", "");
        let plain = plain
            .replace(r"\-", "-")
            .replace(r"\*(Aq", "'")
            .replace(r"\e", r"\");
        let help = text(&words(&page), "--help");
        let flags = help.lines().filter_map(|line| {
            let flag = line
                .trim_start()
                .split_inclusive([' ', ','])
                .find(|w| w.starts_with("--"))?;
            line.starts_with("  ")
                .then(|| flag.trim_end_matches([' ', ',', '.']).to_owned())
        });
        let flags: Vec<String> = flags.filter(|flag| flag.len() > 2).collect();
        assert!(flags.contains(&"--help".to_owned()), "{page}: {flags:?}");
        for flag in flags {
            assert!(plain.contains(&flag), "{page}: {flag} is missing");
        }
        let examples = help.lines().filter(|line| line.starts_with("  shm "));
        for example in examples {
            let example = example.trim();
            assert!(
                plain.lines().any(|line| line == example),
                "{page}: {example}"
            );
        }
        assert!(source.starts_with(".TH \"SHM"), "{page}");
    }
}

#[test]
fn man_and_mandoc_have_nothing_to_complain_about() {
    let directory = tempfile::tempdir().unwrap();
    let (man, mandoc) = (have("man"), have("mandoc"));
    for page in pages(directory.path()) {
        let path = directory.path().join(&page);
        if man {
            let done = Shm::program("man").args(&["--warnings", "-l"]).arg(&path);
            let done = done.env("MANWIDTH", "80").env("MANPAGER", "cat").run();
            done.exits(0).silent();
        }
        if mandoc {
            let done = Shm::program("mandoc").args(&["-T", "lint", "-W", "warning"]);
            let done = done.arg(&path).run();
            let said = String::from_utf8(done.stdout).unwrap();
            // Without a date, the same program makes the same pages.
            let new = said.lines().filter(|line| !line.contains("missing date"));
            assert_eq!(new.collect::<Vec<_>>(), [""; 0], "{page}");
        }
    }
}

#[test]
fn a_page_is_found_by_its_words_and_a_wrong_one_is_named() {
    let page = |words: &[&str]| {
        let done = shm(&["man"]).args(words).run().exits(0).silent();
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(page(&[]).starts_with(".TH \"SHM\" "));
    assert!(page(&["read"]).starts_with(".TH \"SHM-READ\" "));
    assert!(page(&["create", "ring"]).starts_with(".TH \"SHM-CREATE-RING\" "));
    assert!(page(&["ls"]).starts_with(".TH \"SHM-LIST\" "), "an alias");
    let wrong = shm(&["man", "raed"]).run().fails(2);
    assert!(wrong.error_line().ends_with("did you mean 'read'?"));
    shm(&["man", "create", "rings", "x"]).run().fails(2);
    let refused = shm(&["man", "--out", "/proc/none"]).run().fails(1);
    assert!(refused.error_line().starts_with("shm: /proc/none: "));
}

#[test]
fn at_a_terminal_man_shows_the_page() {
    if !have("man") {
        return;
    }
    let terminal = Terminal::new(400, 80);
    let shown = shm(&["man", "list"]).at(&terminal).env("MANPAGER", "cat");
    shown.run().exits(0);
    let screen = terminal.until("the page is shown", |screen| screen.contains("SEE ALSO"));
    assert!(screen.starts_with("SHM-LIST(1)"), "{screen}");
    assert!(!screen.contains(".SH"), "{screen}");

    // Without man(1) there is the source.
    let terminal = Terminal::new(400, 80);
    shm(&["man", "list"])
        .at(&terminal)
        .env("PATH", "/nowhere")
        .run()
        .exits(0);
    terminal.until("the source is shown", |screen| {
        screen.contains(".SH SEE ALSO") || screen.contains(".SH \"SEE ALSO\"")
    });
}
