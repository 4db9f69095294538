//! What victims note, outside the segment, so that it survives them: before a
//! step what they intend, after it what was acknowledged to them.
//!
//! A line each, `WORD WRITER SEQUENCE`, with one `write(2)`: a line is there
//! or it is not.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// An item: its writer, and its place in that writer's order.
pub type Item = (u32, u32);

/// The ledger of one victim, removed on drop.
pub struct Ledger(tempfile::NamedTempFile);

impl Ledger {
    pub fn new() -> Ledger {
        Ledger(tempfile::NamedTempFile::new().unwrap())
    }
    pub fn path(&self) -> &Path {
        self.0.path()
    }
    /// The items with that word, in order.
    pub fn items(&self, word: &str) -> Vec<Item> {
        let text = std::fs::read_to_string(self.path()).unwrap();
        text.lines()
            .filter_map(|line| {
                let mut parts = line.split(' ');
                let number = |part: Option<&str>| part.unwrap().parse().unwrap();
                (parts.next() == Some(word)).then(|| (number(parts.next()), number(parts.next())))
            })
            .collect()
    }
}

/// The victim's end of it.
pub struct Pen(File);

impl Pen {
    pub fn open(path: impl AsRef<Path>) -> Pen {
        Pen(OpenOptions::new().append(true).open(path).unwrap())
    }
    pub fn note(&mut self, word: &str, (writer, sequence): Item) {
        let line = format!("{word} {writer} {sequence}\n");
        assert_eq!(self.0.write(line.as_bytes()).unwrap(), line.len());
    }
}
