//! Text: scalars with blanks between them; printed, a line per element.
//!
//! ```text
//! id:u8,p:[f32;2]      1 0.5 -1.25
//!                      2 1e30 NaN
//! ```
//!
//! Read, a line end is a blank like any other: the scalars make elements in
//! the order in which they come, and a last element that is not whole is an
//! error. Blanks are those of ASCII. A place is the line and the column, both
//! counted from 1, of a word's first character; as everything before the
//! first error is ASCII, a column is a number of bytes all the same.
//!
//! The input goes through one page of fixed size, however long it is. A word
//! that fills the whole page is refused: no number is that long.
//!
//! The words of a command line are read in the same way, each of them one
//! scalar or more; their place is the number of the scalar.

use super::elements::Elements;
use super::layout::{self, Run};
use super::scalar::{Value, per_scalar, refusal};
use super::sink::Sink;
use super::{ParseError, read_some};
use std::io::{self, Read};

/// The most bytes of a word, and how much of the input is in memory at once.
const PAGE: usize = 64 << 10;

/// Parses what `input` has.
pub fn parse(
    runs: &[Run],
    elements: &mut Elements,
    input: &mut dyn Read,
) -> Result<(), ParseError> {
    fill(&mut Stream::new(input), runs, elements)
}

/// Parses the words of a command line.
pub fn parse_words(
    runs: &[Run],
    elements: &mut Elements,
    words: &[String],
) -> Result<(), ParseError> {
    fill(&mut Arguments::new(words), runs, elements)
}

/// Parses one scalar for all those of an element.
pub fn parse_same(runs: &[Run], element: &mut [u8], word: &[u8]) -> Result<(), ParseError> {
    for run in runs {
        per_scalar!(run.scalar, V => {
            let Some(value) = V::parse(word) else {
                return Err(ParseError::Malformed(refusal(run.scalar, word)));
            };
            for slot in run.of_mut(element).chunks_exact_mut(V::SIZE) {
                value.store(slot);
            }
        });
    }
    Ok(())
}

/// Whether a byte is a blank.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Prints elements, a line each, with `between` between their scalars.
pub fn print(
    runs: &[Run],
    size: usize,
    between: u8,
    bytes: &[u8],
    sink: &mut Sink,
) -> io::Result<()> {
    match runs {
        // The common ones decide once for all what their values are.
        [run] if run.count == 1 => per_scalar!(run.scalar, V => sink.values::<V>(bytes, b'\n')),
        [run] => per_scalar!(run.scalar, V => {
            for element in bytes.chunks_exact(size) {
                sink.values::<V>(element, between)?;
                sink.instead(b'\n');
            }
            Ok(())
        }),
        _ => {
            for element in bytes.chunks_exact(size) {
                for run in runs {
                    per_scalar!(run.scalar, V => sink.values::<V>(run.of(element), between)?);
                }
                sink.instead(b'\n');
            }
            Ok(())
        }
    }
}

/// Words, one after the other, with their places.
trait Words {
    /// Whether there is another.
    fn more(&mut self) -> Result<bool, ParseError>;
    /// The next.
    fn next(&mut self) -> Result<Option<&[u8]>, ParseError>;
    /// Where the last one was, or, when there are no more, their end.
    fn place(&self) -> String;
}

fn fill<W: Words>(words: &mut W, runs: &[Run], elements: &mut Elements) -> Result<(), ParseError> {
    if let [run] = runs
        && run.count == 1
    {
        return per_scalar!(run.scalar, V => fill_scalars::<V, W>(words, elements));
    }
    while words.more()? {
        let element = elements.next()?;
        let mut have = 0;
        for run in runs {
            let slots = run.of_mut(element);
            let filled = per_scalar!(run.scalar, V => fill_run::<V, W>(words, slots)?);
            have += filled;
            if filled < run.count {
                let all = layout::scalars(runs);
                return Err(malformed(
                    &words.place(),
                    &format!("the input ends within an element, after {have} of its {all} values"),
                ));
            }
        }
    }
    Ok(())
}

fn fill_scalars<V: Value, W: Words>(
    words: &mut W,
    elements: &mut Elements,
) -> Result<(), ParseError> {
    while let Some(word) = words.next()? {
        let slot = elements.next()?;
        let Some(value) = V::parse(word) else {
            let why = refusal(V::SCALAR, word);
            return Err(malformed(&words.place(), &why));
        };
        value.store(slot);
    }
    Ok(())
}

/// Says how many slots it could fill.
fn fill_run<V: Value, W: Words>(words: &mut W, slots: &mut [u8]) -> Result<usize, ParseError> {
    for (i, slot) in slots.chunks_exact_mut(V::SIZE).enumerate() {
        let Some(word) = words.next()? else {
            return Ok(i);
        };
        let Some(value) = V::parse(word) else {
            let why = refusal(V::SCALAR, word);
            return Err(malformed(&words.place(), &why));
        };
        value.store(slot);
    }
    Ok(slots.len() / V::SIZE)
}

#[cold]
fn malformed(place: &str, why: &str) -> ParseError {
    ParseError::Malformed(format!("{place}: {why}"))
}

/// The words of an input, a page of it in memory.
struct Stream<'a> {
    input: &'a mut dyn Read,
    page: Box<[u8]>,
    /// The page's bytes that are not yet given: `at..end`.
    at: usize,
    end: usize,
    /// Where the last word begins, in the page.
    word: usize,
    /// Line ends before the page, and bytes of its first line before it.
    lines: u64,
    column: u64,
    ended: bool,
}

impl<'a> Stream<'a> {
    fn new(input: &'a mut dyn Read) -> Stream<'a> {
        Stream {
            input,
            page: vec![0; PAGE].into_boxed_slice(),
            at: 0,
            end: 0,
            word: 0,
            lines: 0,
            column: 0,
            ended: false,
        }
    }

    /// Drops what has been given and reads on.
    #[cold]
    fn refill(&mut self) -> Result<(), ParseError> {
        if self.at == 0 && self.end == self.page.len() {
            self.word = 0;
            let place = self.place();
            return Err(malformed(
                &place,
                &format!("a word of {PAGE} bytes or more is no number"),
            ));
        }
        (self.lines, self.column) = self.position(self.at);
        self.page.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        self.word = 0;
        let read = read_some(self.input, &mut self.page[self.end..])?;
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }

    /// Line ends before a byte of the page, and bytes before it in its line.
    fn position(&self, at: usize) -> (u64, u64) {
        let before = &self.page[..at];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let column = match before.iter().rposition(|byte| *byte == b'\n') {
            Some(line_end) => (at - line_end - 1) as u64,
            None => self.column + at as u64,
        };
        (self.lines + lines as u64, column)
    }
}

impl Words for Stream<'_> {
    #[inline]
    fn more(&mut self) -> Result<bool, ParseError> {
        loop {
            let unread = &self.page[self.at..self.end];
            match unread.iter().position(|byte| !is_blank(*byte)) {
                Some(blanks) => {
                    self.at += blanks;
                    return Ok(true);
                }
                None => self.at = self.end,
            }
            if self.ended {
                self.word = self.at;
                return Ok(false);
            }
            self.refill()?;
        }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<&[u8]>, ParseError> {
        if !self.more()? {
            return Ok(None);
        }
        loop {
            let unread = &self.page[self.at..self.end];
            // Other bytes up to the blank end a word too, quickly, but are no
            // blanks: they begin the next one, which is then refused.
            let length = unread.iter().skip(1).position(|byte| *byte <= b' ');
            let length = match length {
                Some(length) => length + 1,
                None if self.ended => unread.len(),
                None => {
                    self.refill()?;
                    continue;
                }
            };
            self.word = self.at;
            self.at += length;
            return Ok(Some(&self.page[self.word..self.at]));
        }
    }

    fn place(&self) -> String {
        let (lines, column) = self.position(self.word);
        format!("line {}, column {}", lines + 1, column + 1)
    }
}

/// The words of a command line, and the words within them.
struct Arguments<'a> {
    arguments: std::slice::Iter<'a, String>,
    /// What is left of the one that was begun.
    rest: &'a [u8],
    given: u64,
}

impl<'a> Arguments<'a> {
    fn new(words: &'a [String]) -> Arguments<'a> {
        Arguments {
            arguments: words.iter(),
            rest: &[],
            given: 0,
        }
    }
}

impl Words for Arguments<'_> {
    fn more(&mut self) -> Result<bool, ParseError> {
        Ok(!self.rest.is_empty() || !self.arguments.as_slice().is_empty())
    }

    fn next(&mut self) -> Result<Option<&[u8]>, ParseError> {
        if self.rest.is_empty() {
            let Some(argument) = self.arguments.next() else {
                return Ok(None);
            };
            // An empty argument is a word, that no scalar has.
            self.rest = trimmed(argument.as_bytes());
        }
        let end = self.rest.iter().position(|byte| is_blank(*byte));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = trimmed(rest);
        self.given += 1;
        Ok(Some(word))
    }

    fn place(&self) -> String {
        format!("value {}", self.given)
    }
}

/// Without the blanks at both ends.
pub fn trimmed(mut word: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = word
        && is_blank(*first)
    {
        word = rest;
    }
    while let [rest @ .., last] = word
        && is_blank(*last)
    {
        word = rest;
    }
    word
}
