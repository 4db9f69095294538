//! What was read and is not in a node yet; and where in the INPUTs it stood.
//!
//! ```text
//!  INPUTs   ......a......|...b...|.........c.........
//!                               ^------------^        the stage: position, bytes
//! ```
//!
//! The stage begins with an item. That may have begun in an INPUT that has ended
//! since: the items are those of `cat INPUT...`. So places are counted from the
//! first INPUT's first byte, and turned into one within its INPUT only to be told.

use super::super::input::{Found, Input};
use rustix::io::Errno;
use shmkit::ring::{Cut, Framing, Then};

/// Room beyond a node, so that one byte too many is seen.
const BEYOND: usize = 4096;

/// See the top of this file.
pub struct Stage {
    framing: Framing,
    node_size: usize,
    /// As large as it ever gets, once it is used at all.
    buffer: Vec<u8>,
    capacity: usize,
    start: usize,
    end: usize,
    /// Bytes at the start that are known to hold no delimiter.
    looked: usize,
    /// Where the first byte stood, from the first INPUT's first byte on.
    position: u64,
    /// Where each INPUT began, and what it is called.
    begins: Vec<(u64, String)>,
}

impl Stage {
    /// An empty one, to be cut into nodes of `node_size` bytes; `batch` is
    /// how many of them one moves at a time.
    pub fn new(framing: Framing, node_size: usize, batch: usize) -> Stage {
        let several = node_size.saturating_mul(batch);
        let capacity = match framing {
            Framing::Bytes => several,
            _ => several.max(node_size.saturating_add(BEYOND)),
        };
        Stage {
            framing,
            node_size,
            buffer: Vec::new(),
            capacity,
            start: 0,
            end: 0,
            looked: 0,
            position: 0,
            begins: Vec::new(),
        }
    }

    /// What comes next comes from another INPUT.
    pub fn begin(&mut self, label: &str) {
        let begins = self.position + self.len() as u64;
        self.begins.push((begins, label.to_owned()));
    }

    /// The INPUT in which the byte at `position` stood, and where.
    pub fn place_of(&self, position: u64) -> (&str, u64) {
        let inputs = self
            .begins
            .partition_point(|(begins, _)| *begins <= position);
        match self.begins[..inputs].last() {
            Some((begins, label)) => (label, position - begins),
            None => ("input", position),
        }
    }

    /// Where the first byte stood, from the first INPUT's first byte on.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the first bytes are known to hold no delimiter.
    pub fn looked(&self) -> usize {
        self.looked
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads from `input` what it has now, `most` bytes at most.
    pub fn read(&mut self, input: &Input, most: usize) -> Result<Found, Errno> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        self.allocate();
        let room = &mut self.buffer[self.end..];
        let most = most.min(room.len());
        let found = input.read(&mut room[..most])?;
        if let Found::Bytes(bytes) = found {
            self.end += bytes;
        }
        Ok(found)
    }

    /// All of it at once, when it is needed: from the kernel, which gives a page
    /// only once it is touched.
    fn allocate(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.capacity];
        }
    }

    /// Where the next node ends.
    pub fn cut(&mut self, then: Then) -> Cut {
        let bytes = &self.buffer[self.start..self.end];
        let cut = self.framing.cut(bytes, self.looked, self.node_size, then);
        if cut == Cut::More && then == Then::Pause {
            // Nothing of it is whole.
            self.looked = bytes.len();
        }
        cut
    }

    /// The first `bytes` are on their way, or were dropped.
    pub fn take(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
        self.looked = 0;
    }

    /// The stage, and what was read after it, stands in `memory`, and its first
    /// `taken` bytes are on their way. The rest, which holds no item's end, is
    /// the stage.
    pub fn carry(&mut self, memory: &[u8], taken: usize) {
        self.position += taken as u64;
        let rest = &memory[taken..];
        if !rest.is_empty() {
            self.allocate();
            self.buffer[..rest.len()].copy_from_slice(rest);
        }
        (self.start, self.end, self.looked) = (0, rest.len(), rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_the_input_in_which_it_was() {
        let mut stage = Stage::new(Framing::LINES, 8, 1);
        stage.begin("a");
        stage.carry(b"one\ntw", 4);
        stage.begin("empty");
        stage.begin("b");
        stage.carry(b"two\nthree", 4);
        assert_eq!(stage.bytes(), b"three");
        assert_eq!(stage.position(), 8);
        assert_eq!(stage.place_of(5), ("a", 5));
        assert_eq!(stage.place_of(6), ("b", 0), "an empty input holds nothing");
        assert_eq!(stage.place_of(stage.position()), ("b", 2));
    }

    #[test]
    fn what_is_carried_is_cut_together_with_what_comes_after_it() {
        let mut stage = Stage::new(Framing::LINES, 8, 1);
        stage.begin("a");
        stage.carry(b"one\ntw", 4);
        assert_eq!((stage.bytes(), stage.looked()), (&b"tw"[..], 2));
        assert_eq!(stage.cut(Then::Pause), Cut::More);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"\nx").unwrap();
        let input = Input::of(file.path().as_os_str()).unwrap();
        assert_eq!(stage.read(&input, 100).unwrap(), Found::Bytes(2));
        assert_eq!(stage.cut(Then::Pause), Cut::Node(3), "by its first byte");
        stage.take(3);
        assert_eq!((stage.bytes(), stage.position()), (&b"x"[..], 7));
        assert_eq!(stage.cut(Then::Pause), Cut::More);
        assert_eq!(stage.cut(Then::End), Cut::Node(1));
    }
}
