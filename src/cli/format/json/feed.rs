//! The input of serde_json: see the three things at the top of [`super`].
//!
//! ```text
//!   input ──> | [ 1.5 , "n | an" , ...      page, looked through as it comes:
//!               at ─┘      └─ end           within a string? after a backslash?
//!                                           how long since a token began?
//! ```
//!
//! The page is looked through once, in one loop, when it is read; giving a
//! byte is then a comparison and two stores.

use super::super::{ParseError, read_some};
use std::cell::Cell;
use std::io::{self, Read};

/// The most bytes of a string or a number.
pub const MAX_TOKEN: usize = 64 << 10;
/// How much of the input is in memory at once.
const PAGE: usize = 64 << 10;

/// What a feed tells about itself while serde_json owns it.
pub struct Told {
    /// The last four bytes it gave, the last of all in the low bits.
    recent: Cell<u32>,
    /// Line and column, from 1, of the last number that it began to give.
    /// (Or of a word within a string: then nobody asks.) serde_json knows only
    /// the place behind a number, which may be in the next line.
    pub begun: Cell<(u64, u64)>,
    /// Lines, and columns of the line behind them, that it left out before the
    /// first byte that it gave: blanks, of which serde_json knows nothing.
    pub skipped: Cell<(u64, u64)>,
    /// Whether it ended because a string or a number did not.
    pub cut: Cell<bool>,
}

impl Default for Told {
    fn default() -> Told {
        Told {
            recent: Cell::new(u32::from_be_bytes(*b"    ")),
            begun: Cell::new((1, 1)),
            skipped: Cell::new((0, 0)),
            cut: Cell::new(false),
        }
    }
}

impl Told {
    /// The last byte it gave.
    #[inline]
    pub fn last(&self) -> u8 {
        self.recent.get() as u8
    }

    /// Of a number that serde_json says is -0.0: whether it was written as the
    /// whole number `-0`. That is then what was given last, but for the byte
    /// behind it, if there is one; and it is no exponent.
    pub fn is_whole(&self) -> bool {
        let is_it = |before: u8| !matches!(before, b'e' | b'E');
        match self.recent.get().to_be_bytes() {
            [_, before, b'-', b'0'] => is_it(before),
            [before, b'-', b'0', behind] => is_it(before) && is_between(behind),
            _ => false,
        }
    }
}

/// Whether a byte, outside of strings, stands between numbers.
fn is_between(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'[' | b']' | b'{' | b'}'
    )
}

/// The input, a byte at a time.
pub struct Feed<'a> {
    input: &'a mut dyn Read,
    told: &'a Told,
    page: Box<[u8]>,
    /// The page's bytes that are not yet given: `at..end`.
    at: usize,
    end: usize,
    ended: bool,
    /// Where `at` is.
    line: u64,
    column: u64,
    /// What the bytes up to `end` are in the middle of.
    in_string: bool,
    escaped: bool,
    token: usize,
}

impl<'a> Feed<'a> {
    pub fn new(input: &'a mut dyn Read, told: &'a Told) -> Feed<'a> {
        Feed {
            input,
            told,
            page: vec![0; PAGE].into_boxed_slice(),
            at: 0,
            end: 0,
            ended: false,
            line: 1,
            column: 0,
            in_string: false,
            escaped: false,
            token: 0,
        }
    }

    /// How many brackets open at the very beginning, up to `most`, and, if
    /// they are fewer, the first byte behind them. Leaves out blanks before
    /// the first of them, however many.
    pub fn look_ahead(&mut self, most: usize) -> Result<(usize, Option<u8>), ParseError> {
        self.skip_blanks()?;
        let (mut brackets, mut at) = (0, self.at);
        while brackets < most {
            if at == self.end && !self.read_on()? {
                return match self.end == self.page.len() {
                    false => Ok((brackets, None)),
                    true => Err(ParseError::Malformed(format!(
                        "line {}, column {}: {PAGE} blanks and brackets, and no value among them",
                        self.line,
                        self.column + 1
                    ))),
                };
            }
            match self.page[at] {
                b'[' => brackets += 1,
                b' ' | b'\n' | b'\r' | b'\t' => {}
                other => return Ok((brackets, Some(other))),
            }
            at += 1;
        }
        Ok((brackets, None))
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            if self.at == self.end {
                (self.at, self.end) = (0, 0);
                if !self.read_on()? {
                    break;
                }
            }
            if !matches!(self.page[self.at], b' ' | b'\n' | b'\r' | b'\t') {
                break;
            }
            self.column += 1;
            if self.page[self.at] == b'\n' {
                (self.line, self.column) = (self.line + 1, 0);
            }
            self.at += 1;
        }
        // All of the page is there for what comes.
        self.page.copy_within(self.at..self.end, 0);
        (self.at, self.end) = (0, self.end - self.at);
        self.told.skipped.set((self.line - 1, self.column));
        Ok(())
    }

    /// Reads more behind `end`; says whether there was any, and room for it.
    #[cold]
    fn read_on(&mut self) -> io::Result<bool> {
        if self.ended || self.told.cut.get() || self.end == self.page.len() {
            return Ok(false);
        }
        let read = read_some(self.input, &mut self.page[self.end..])?;
        self.ended = read == 0;
        let start = self.end;
        self.end += read;
        for i in start..self.end {
            self.token += 1;
            match self.page[i] {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => {
                    self.in_string = !self.in_string;
                    self.token = 0;
                }
                byte if is_between(byte) && !self.in_string => self.token = 0,
                _ => {}
            }
            if self.token > MAX_TOKEN {
                self.told.cut.set(true);
                self.end = i;
                break;
            }
        }
        Ok(self.end > start)
    }
}

impl Read for Feed<'_> {
    /// One byte, whatever is asked for: see the top.
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            if !self.read_on()? {
                return Ok(0);
            }
        }
        let Some(slot) = bytes.first_mut() else {
            return Ok(0);
        };
        let byte = self.page[self.at];
        *slot = byte;
        self.column += 1;
        let recent = self.told.recent.get();
        if !is_between(byte) && is_between(recent as u8) {
            self.told.begun.set((self.line, self.column));
        }
        if byte == b'\n' {
            (self.line, self.column) = (self.line + 1, 0);
        }
        self.told.recent.set(recent << 8 | u32::from(byte));
        self.at += 1;
        Ok(1)
    }
}
