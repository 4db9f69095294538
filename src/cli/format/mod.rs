//! Elements written down: text, JSON, CSV, raw bytes and NumPy files, both ways.
//!
//! ```text
//!            parse: input ──> text json csv raw npy ──> Elements (bytes in memory)
//!                                    │
//!                         scalar <───┴───> layout          one word <-> one scalar;
//!                                    │                     where scalars are
//!            Printer: bytes ──> text json csv raw npy ──> Sink (pages) ──> output
//! ```
//!
//! One file per format, each with its grammar at its top, on four things that
//! they share: [`scalar`] knows words and bytes of one scalar, [`layout`] where
//! the scalars of an element are, [`elements`] collects what was parsed,
//! [`sink`] what was printed.
//!
//! What holds for all formats:
//!
//! - Parsing is all or nothing: the result is the bytes of whole elements,
//!   padding 0, or the first error with its place.
//! - A parser takes memory for the elements that fit and for a page of the
//!   input, whatever the input: it stops at the first element too many, and
//!   no word, string, row or header may be without an end. An input that has
//!   no elements at all is fine (for npy, its header is needed all the same).
//! - What is printed is parsed as the same bytes again, but for the payloads
//!   of NaNs, the bytes of `bool`s that are true, and padding. (raw keeps
//!   those too.)
//! - No input makes it panic.
//!
//! An input is read until it gives 0 bytes; reads that were interrupted are
//! tried again, all other errors are handed on.

mod csv;
mod digits;
mod elements;
mod json;
mod layout;
mod npy;
mod raw;
mod scalar;
mod sink;
#[cfg(test)]
mod tests;
mod text;

use elements::Elements;
use layout::Run;
use shmkit::array::ElementType;
use sink::Sink;
use std::io::{self, Read, Write};

/// How elements are written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Numbers separated by blanks; a line per element.
    #[default]
    Text,
    /// One JSON array.
    Json,
    /// A row per element; for records with a header row.
    Csv,
    /// The bytes as they are in memory.
    Raw,
    /// NumPy's file format.
    Npy,
}

/// Why an input is no sequence of elements, or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It could not be read.
    #[error(transparent)]
    Input(#[from] io::Error),
    /// Where, and what is wrong there.
    #[error("{0}")]
    Malformed(String),
    /// There are more elements than fit.
    #[error("more values than fit: there is room for {room} element{}", if *.room == 1 { "" } else { "s" })]
    TooMany {
        /// How many elements fit.
        room: u64,
    },
}

/// Parses the whole of `input`, at most `room` elements, into the bytes of
/// elements as they lie in memory (padding 0).
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn parse(
    format: Format,
    element: &ElementType,
    room: u64,
    input: &mut dyn Read,
) -> Result<Vec<u8>, ParseError> {
    let mut elements = Elements::new(element.size(), room);
    match format {
        Format::Text => text::parse(&layout::runs(element), &mut elements, input)?,
        Format::Json => json::parse(element, &mut elements, true, input)?,
        Format::Csv => csv::parse(element, &layout::runs(element), &mut elements, input)?,
        Format::Raw => raw::parse(element.size(), &mut elements, input)?,
        Format::Npy => npy::parse(element, &mut elements, input)?,
    }
    Ok(elements.into_bytes())
}

/// Parses elements from the words of a command line, in the text format: each
/// word one or more scalars. A place is the number of the scalar, from 1.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn parse_words(
    element: &ElementType,
    room: u64,
    words: &[String],
) -> Result<Vec<u8>, ParseError> {
    let mut elements = Elements::new(element.size(), room);
    text::parse_words(&layout::runs(element), &mut elements, words)?;
    Ok(elements.into_bytes())
}

/// Parses elements from the words of a command line, in the JSON format: each
/// word one value, an element or an array of elements. A place is the number
/// of the word, from 1, and line and column in it.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn parse_json_words(
    element: &ElementType,
    room: u64,
    words: &[String],
) -> Result<Vec<u8>, ParseError> {
    let mut elements = Elements::new(element.size(), room);
    for (i, word) in words.iter().enumerate() {
        let parsed = json::parse(element, &mut elements, false, &mut word.as_bytes());
        parsed.map_err(|error| match error {
            ParseError::Malformed(why) => ParseError::Malformed(format!("value {}, {why}", i + 1)),
            other => other,
        })?;
    }
    Ok(elements.into_bytes())
}

/// Parses one element for `--fill`: all of its scalars, or one for all of them.
///
/// # Errors
///
/// The first thing that is wrong, with its place if there are several values.
pub fn parse_fill(element: &ElementType, text: &str) -> Result<Vec<u8>, ParseError> {
    let runs = layout::runs(element);
    let words = || {
        let words = text.as_bytes().split(|byte| text::is_blank(*byte));
        words.filter(|word| !word.is_empty())
    };
    let (have, all) = (words().count(), layout::scalars(&runs));
    if have <= 1 {
        let mut bytes = vec![0; element.size()];
        text::parse_same(&runs, &mut bytes, words().next().unwrap_or_default())?;
        return Ok(bytes);
    }
    if have != all {
        let one = if all == 1 { "" } else { "1 or " };
        return Err(ParseError::Malformed(format!(
            "{have} values where {one}{all} should be"
        )));
    }
    parse_words(element, 1, &[text.to_owned()])
}

/// Whether that type has that format (NumPy's has numbers and arrays of them only).
///
/// # Errors
///
/// Says why not, and which formats have it.
pub fn supports(format: Format, element: &ElementType) -> Result<(), String> {
    match format {
        Format::Npy => npy::supports(element),
        Format::Text | Format::Json | Format::Csv | Format::Raw => Ok(()),
    }
}

/// Writes elements, piece by piece: begin, any number of pieces, end.
pub struct Printer<'a> {
    format: Format,
    element: ElementType,
    runs: Vec<Run>,
    sink: Sink<'a>,
    /// Elements that are still to come.
    left: u64,
    /// Whether none has come yet.
    first: bool,
}

impl<'a> Printer<'a> {
    /// Begins with what the format has at its beginning; `count` elements will follow.
    ///
    /// # Errors
    ///
    /// The output's; or the format does not have that type (see [`supports`]).
    pub fn new(
        format: Format,
        element: &ElementType,
        count: u64,
        out: &'a mut dyn Write,
    ) -> io::Result<Printer<'a>> {
        let mut printer = Printer {
            format,
            element: element.clone(),
            runs: layout::runs(element),
            sink: Sink::new(out),
            left: count,
            first: true,
        };
        match format {
            Format::Csv => csv::print_header(element, &printer.runs, &mut printer.sink)?,
            Format::Npy => {
                let header = npy::header(element, count);
                let header =
                    header.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
                printer.sink.bytes(&header)?;
            }
            Format::Text | Format::Json | Format::Raw => {}
        }
        Ok(printer)
    }

    /// Some whole elements. They may lie in a segment (of what is large there
    /// is no copy), so whoever ignores its lock can change them meanwhile: each
    /// byte is then printed as one of the two. That they were not cut away,
    /// the output asks for.
    ///
    /// # Errors
    ///
    /// The output's; or they are more than announced, or not whole.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (count, over) = (
            bytes.len() / self.element.size(),
            bytes.len() % self.element.size(),
        );
        self.left = match self.left.checked_sub(count as u64) {
            Some(left) if over == 0 => left,
            _ => return Err(io::Error::other("other elements to print than announced")),
        };
        let (size, sink) = (self.element.size(), &mut self.sink);
        match self.format {
            Format::Text => text::print(&self.runs, size, b' ', bytes, sink),
            Format::Csv => text::print(&self.runs, size, b',', bytes, sink),
            Format::Json => json::print(&self.element, bytes, &mut self.first, sink),
            Format::Npy if npy::is_bool(&self.element) => npy::print_bools(bytes, sink),
            Format::Npy | Format::Raw => sink.bytes(bytes),
        }
    }

    /// What the format has at its end, and all that has not been handed over yet.
    ///
    /// # Errors
    ///
    /// The output's; or there were fewer elements than announced.
    pub fn finish(mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("fewer elements to print than announced"));
        }
        if self.format == Format::Json {
            json::print_end(self.first, &mut self.sink)?;
        }
        self.sink.finish()
    }
}

/// Reads what there is; 0 bytes are the end.
fn read_some(input: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
