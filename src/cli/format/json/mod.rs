//! JSON: one array of elements, or a single element.
//!
//! ```text
//! f64                  [1.0,2.5,"NaN","-inf"]
//! id:u8,p:[f32;2]      [{"id":1,"p":[0.5,-1.25]}]
//! ```
//!
//! Printed, the array is on one line. JSON has no numbers for NaN and the
//! infinities: they are strings, and strings of that kind are read where a
//! float should be. Objects have each field once, in any order, and no others.
//!
//! serde_json reads, and our seeds lead each number straight to its place in
//! an element's bytes: there is no tree of values in between. Between the
//! input and serde_json is [`Feed`], for three things that it would not do:
//!
//! - It looks at the brackets at the beginning. `[1,2]` is an array of two
//!   `u8`, but one `[u8;2]`: an array of elements has one bracket more than an
//!   element begins with.
//! - It cuts the input off within a string or a number without an end, which
//!   serde_json would collect in memory.
//! - It remembers the last byte that it gave. A parser that has looked at the
//!   first byte of a value has looked no further, so that byte tells a string
//!   from a number. For an `f32` it must be known which before serde_json is
//!   asked: only asked for an `f32` does it round once, to that, and asked for
//!   an `f32` it takes no strings. (A wrong guess would be an error, never
//!   another value.)

mod feed;
mod seeds;

use super::ParseError;
use super::elements::Elements;
use super::scalar::{Value, per_scalar};
use super::sink::Sink;
use feed::{Feed, MAX_TOKEN, Told};
use seeds::{Another, Several};
use serde::de::{DeserializeSeed, Deserializer};
use shmkit::array::{ElementType, Field, Shape};
use std::io::{self, Read};

/// Prints elements; `first` says whether there were none before them.
pub fn print(
    element: &ElementType,
    bytes: &[u8],
    first: &mut bool,
    sink: &mut Sink,
) -> io::Result<()> {
    // A scalar decides once for all what the values are.
    if let Shape::Scalar(scalar) = element.shape() {
        return per_scalar!(*scalar, V => {
            for value in bytes.chunks_exact(V::SIZE) {
                sink.byte(if std::mem::take(first) { b'[' } else { b',' })?;
                sink.json(V::load(value))?;
            }
            Ok(())
        });
    }
    for bytes in bytes.chunks_exact(element.size()) {
        sink.byte(if std::mem::take(first) { b'[' } else { b',' })?;
        print_one(element, bytes, sink)?;
    }
    Ok(())
}

/// Prints what stands at the end.
pub fn print_end(first: bool, sink: &mut Sink) -> io::Result<()> {
    sink.bytes(if first { b"[]\n" } else { b"]\n" })
}

fn print_one(element: &ElementType, bytes: &[u8], sink: &mut Sink) -> io::Result<()> {
    match element.shape() {
        Shape::Scalar(scalar) => per_scalar!(*scalar, V => sink.json(V::load(bytes))),
        Shape::Repeat(of, _) => {
            let mut first = true;
            print(of, bytes, &mut first, sink)?;
            sink.byte(b']')
        }
        Shape::Record(fields) => {
            for (i, field) in fields.iter().enumerate() {
                // Names have no characters that JSON would escape.
                sink.bytes(if i == 0 { b"{\"" } else { b",\"" })?;
                sink.bytes(field.name().as_bytes())?;
                sink.bytes(b"\":")?;
                print_one(field.element(), bytes_of(field, bytes), sink)?;
            }
            sink.byte(b'}')
        }
    }
}

fn bytes_of<'a>(field: &Field, record: &'a [u8]) -> &'a [u8] {
    let end = field.offset() + field.element().size();
    record.get(field.offset()..end).unwrap_or_default()
}

/// Parses one value from all of `input`: an array of elements, or an element.
/// Nothing but blanks is no elements, if that `may_be_empty`.
pub fn parse(
    element: &ElementType,
    elements: &mut Elements,
    may_be_empty: bool,
    input: &mut dyn Read,
) -> Result<(), ParseError> {
    let told = Told::default();
    let mut feed = Feed::new(input, &told);
    let (brackets, next) = feed.look_ahead(nesting(element) + 1)?;
    if may_be_empty && brackets == 0 && next.is_none() {
        return Ok(());
    }
    let several = brackets > nesting(element) || (brackets == 1 && next == Some(b']'));
    let mut json = serde_json::Deserializer::from_reader(feed);
    let parsed = match several {
        true => json.deserialize_seq(Several {
            element,
            elements: &mut *elements,
            told: &told,
        }),
        false => Another {
            element,
            elements: &mut *elements,
            told: &told,
        }
        .deserialize(&mut json),
    };
    parsed
        .and_then(|()| json.end())
        .map_err(|error| explain(error, elements, &told))
}

/// Brackets that an element begins with.
fn nesting(element: &ElementType) -> usize {
    match element.shape() {
        Shape::Repeat(of, _) => 1 + nesting(of),
        _ => 0,
    }
}

/// Our error for one of serde_json: the place before the reason, in one line.
fn explain(error: serde_json::Error, elements: &mut Elements, told: &Told) -> ParseError {
    const MOST: usize = 300;
    if elements.refused() {
        return elements.refuse();
    }
    if error.is_io() {
        return ParseError::Input(error.into());
    }
    let (line, column) = (error.line(), error.column());
    let mut why = error.to_string();
    let (lines, columns) = told.skipped.get();
    let mut place = match line {
        // Behind the last of the blanks that serde_json has not seen.
        1 => format!("line {}, column {}", lines + 1, columns + column as u64),
        _ => format!("line {}, column {column}", lines + line as u64),
    };
    if let Some(end) = why.find(&format!(" at line {line} column {column}")) {
        why.truncate(end);
    }
    if is_about_a_number(&why) {
        let (line, column) = told.begun.get();
        place = format!("line {line}, column {column}");
    }
    if why == "expected ident" {
        // serde_json's word for true, false and null that begin as such.
        why = "expected value".to_owned();
    }
    if told.cut.get() {
        why = format!("a string or a number of more than {MAX_TOKEN} bytes");
    }
    if let Some((end, _)) = why.char_indices().nth(MOST) {
        why.truncate(end);
        why.push_str("...");
    }
    ParseError::Malformed(format!("{place}: {why}"))
}

/// Whether what is wrong is a number, or a null, that has been read to its end: its place
/// is then where it begins. (serde_json has read the next byte as well by then.)
fn is_about_a_number(why: &str) -> bool {
    why.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        || why.starts_with("invalid type: integer")
        || why.starts_with("invalid type: floating point")
        || why.starts_with("number out of range")
        || why.starts_with("null is not")
}
