//! What the formats have in common, and what is wrong in each of them.

mod csv;
mod extremes;
mod json;
mod limits;
mod npy;
mod properties;
mod text;

use super::{
    Format, ParseError, Printer, parse, parse_fill, parse_json_words, parse_words, supports,
};
use shmkit::array::ElementType;
use std::io::{self, Read};

/// All formats.
const FORMATS: [Format; 5] = [
    Format::Text,
    Format::Json,
    Format::Csv,
    Format::Raw,
    Format::Npy,
];

/// No bytes.
const NOTHING: [u8; 0] = [];

/// The type that a test's text describes.
fn element(text: &str) -> ElementType {
    text.parse().unwrap()
}

/// Prints whole elements.
fn printed(format: Format, element: &ElementType, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let count = (bytes.len() / element.size()) as u64;
    let mut printer = Printer::new(format, element, count, &mut out).unwrap();
    printer.push(bytes).unwrap();
    printer.finish().unwrap();
    out
}

/// Prints whole elements in a text format.
fn text_of(format: Format, element: &ElementType, bytes: &[u8]) -> String {
    String::from_utf8(printed(format, element, bytes)).unwrap()
}

/// Parses, with room for so many elements.
fn parsed(
    format: Format,
    element: &ElementType,
    room: u64,
    input: impl AsRef<[u8]>,
) -> Result<Vec<u8>, ParseError> {
    parse(format, element, room, &mut input.as_ref())
}

/// Parses with much room, and must fail.
fn error(format: Format, element: &ElementType, input: impl AsRef<[u8]>) -> String {
    let failed = parsed(format, element, 1000, input).unwrap_err();
    failed.to_string()
}

/// An input that comes in pieces of so many bytes, with interruptions.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
    interrupted: bool,
}

impl<'a> Pieces<'a> {
    fn new(rest: &'a [u8], size: usize) -> Pieces<'a> {
        Pieces {
            rest,
            size,
            interrupted: false,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = bytes.len().min(self.size);
        self.rest.read(&mut bytes[..most])
    }
}

/// An input without an end: the beginning, then the rest over and over.
struct Endless<'a> {
    beginning: &'a [u8],
    rest: &'a [u8],
    given: u64,
}

impl<'a> Endless<'a> {
    fn new(beginning: &'a str, rest: &'a str) -> Endless<'a> {
        Endless {
            beginning: beginning.as_bytes(),
            rest: rest.as_bytes(),
            given: 0,
        }
    }
}

impl Read for Endless<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        assert!(self.given < 64 << 20, "a parser does not stop reading");
        let mut read = self.beginning.read(bytes)?;
        while read == 0 || bytes.len() - read > self.rest.len() {
            read += (&mut &self.rest[..]).read(&mut bytes[read..])?;
        }
        self.given += read as u64;
        Ok(read)
    }
}
