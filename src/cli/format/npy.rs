//! NumPy's file format, for arrays of numbers.
//!
//! ```text
//!   \x93NUMPY  1 0  HEADER_LEN  {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }   \n
//!   6 bytes    2    u16 or u32  a Python literal, blanks up to a multiple of 64, a line end
//!   data: the elements as they are in memory
//! ```
//!
//! A scalar type has the shape `(n,)`, `[T;K]` the shape `(n, K)`, and so on.
//! Records have none: NumPy would need a structured type for them. We write
//! version 1.0, whose headers may have 65535 bytes: with 16 levels of brackets
//! at most, ours have a few hundred.
//!
//! Read are versions 1 to 3, if the type is exactly the array's, little-endian.
//! The shape may also be that of a single element. `fortran_order` means
//! something only with two dimensions or more, and is refused there.
//!
//! A header may be anybody's. It has a length limit, its literal is read by a
//! parser that knows these three keys and nothing else, and what it says of
//! the number of elements is compared with the room there is before a byte of
//! data is read; memory grows with the data that has come.

use super::elements::Elements;
use super::scalar::{abridged, quoted};
use super::sink::Sink;
use super::{ParseError, read_some};
use shmkit::array::{ElementType, Scalar, Shape};
use std::io::{self, Read};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The most bytes of a header, in all versions.
const MAX_HEADER: usize = 64 << 10;
/// The data begins at a multiple of this.
const ALIGN: usize = 64;
/// How much is read at once.
const PAGE: usize = 64 << 10;

/// An element without records: its dimensions, outermost first, and its scalar.
struct Dense {
    dimensions: Vec<u64>,
    scalar: Scalar,
}

/// `None` for a record, or an array of them.
fn dense(element: &ElementType) -> Option<Dense> {
    let mut dimensions = Vec::new();
    let mut element = element;
    loop {
        match element.shape() {
            Shape::Scalar(scalar) => {
                return Some(Dense {
                    dimensions,
                    scalar: *scalar,
                });
            }
            Shape::Repeat(of, count) => {
                dimensions.push(*count as u64);
                element = of;
            }
            Shape::Record(_) => return None,
        }
    }
}

/// Whether an element can be in such a file at all.
pub fn supports(element: &ElementType) -> Result<(), String> {
    match dense(element) {
        Some(_) => Ok(()),
        None => Err("npy has no records; take csv, json or raw".to_owned()),
    }
}

/// The type's name, without its byte order.
fn code(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::I8 => "i1",
        Scalar::I16 => "i2",
        Scalar::I32 => "i4",
        Scalar::I64 => "i8",
        Scalar::U8 => "u1",
        Scalar::U16 => "u2",
        Scalar::U32 => "u4",
        Scalar::U64 => "u8",
        Scalar::F32 => "f4",
        Scalar::F64 => "f8",
        Scalar::Bool => "b1",
    }
}

/// The type's name as NumPy writes it.
fn descr(scalar: Scalar) -> String {
    let order = if scalar.size() == 1 { '|' } else { '<' };
    format!("{order}{}", code(scalar))
}

/// What stands before the data of so many elements.
pub fn header(element: &ElementType, count: u64) -> Result<Vec<u8>, String> {
    supports(element)?;
    let Some(dense) = dense(element) else {
        return Ok(Vec::new());
    };
    let mut shape = vec![count];
    shape.extend(&dense.dimensions);
    let mut literal = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
        descr(dense.scalar),
        tuple(&shape)
    );
    let before = MAGIC.len() + 4;
    let all = (before + literal.len() + 1).next_multiple_of(ALIGN);
    literal.extend(std::iter::repeat_n(' ', all - before - literal.len() - 1));
    literal.push('\n');
    let length = u16::try_from(literal.len()).map_err(|_| "too many dimensions".to_owned())?;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend(length.to_le_bytes());
    header.extend(literal.into_bytes());
    Ok(header)
}

/// `(3,)`, `(3, 2)`: as Python writes it.
fn tuple(shape: &[u64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        more => {
            let numbers: Vec<_> = more.iter().map(ToString::to_string).collect();
            format!("({})", numbers.join(", "))
        }
    }
}

/// Parses a file, from its first byte to its last.
pub fn parse(
    element: &ElementType,
    elements: &mut Elements,
    input: &mut dyn Read,
) -> Result<(), ParseError> {
    let malformed = |why: String| Err(ParseError::Malformed(format!("npy: {why}")));
    let dense = match supports(element).map(|()| dense(element)) {
        Ok(Some(dense)) => dense,
        Ok(None) => return Ok(()),
        Err(why) => return Err(ParseError::Malformed(why)),
    };
    let mut start = [0; 8];
    read_header(input, &mut start)?;
    let [magic @ .., major, minor] = start;
    if magic != *MAGIC {
        return malformed("it does not begin as a NumPy file does".to_owned());
    }
    let length = match (major, minor) {
        (1, 0) => {
            let mut length = [0; 2];
            read_header(input, &mut length)?;
            usize::from(u16::from_le_bytes(length))
        }
        (2 | 3, 0) => {
            let mut length = [0; 4];
            read_header(input, &mut length)?;
            u32::from_le_bytes(length) as usize
        }
        _ => return malformed(format!("version {major}.{minor}; 1.0 to 3.0 can be read")),
    };
    if length > MAX_HEADER {
        return malformed(format!("a header of {length} bytes; at most {MAX_HEADER}"));
    }
    let mut literal = vec![0; length];
    read_header(input, &mut literal)?;
    let header = match Literal::new(&literal).header() {
        Ok(header) => header,
        Err(why) => return malformed(why),
    };
    match header.count(&dense) {
        Ok(count) => {
            elements.check(count)?;
            read_data(count, element, dense.scalar, elements, input)
        }
        Err(why) => malformed(why),
    }
}

/// Fills a piece of the header.
fn read_header(input: &mut dyn Read, piece: &mut [u8]) -> Result<(), ParseError> {
    let mut have = 0;
    while have < piece.len() {
        match read_some(input, &mut piece[have..])? {
            0 => {
                let why = "npy: it ends within the header";
                return Err(ParseError::Malformed(why.to_owned()));
            }
            read => have += read,
        }
    }
    Ok(())
}

/// Reads the data of so many elements, which fit, and finds its end there.
fn read_data(
    count: u64,
    element: &ElementType,
    scalar: Scalar,
    elements: &mut Elements,
    input: &mut dyn Read,
) -> Result<(), ParseError> {
    let malformed = |why: String| Err(ParseError::Malformed(format!("npy: {why}")));
    let all = u128::from(count) * element.size() as u128;
    let mut have = 0;
    let mut page = vec![0; PAGE];
    loop {
        let read = read_some(input, &mut page)?;
        if read == 0 && have < all {
            return malformed(format!("the data ends after {have} of {all} bytes"));
        } else if read == 0 {
            return Ok(());
        }
        have += read as u128;
        if have > all {
            return malformed(format!("more data than the {all} bytes of its shape"));
        }
        let piece = &mut page[..read];
        if scalar == Scalar::Bool {
            normalise(piece);
        }
        elements.extend(piece)?;
    }
}

/// Makes each true a 1, as NumPy wants it.
fn normalise(bools: &mut [u8]) {
    for byte in bools {
        *byte = u8::from(*byte != 0);
    }
}

/// Prints `bool`s: each true as 1.
pub fn print_bools(bools: &[u8], sink: &mut Sink) -> io::Result<()> {
    let mut page = [0; 4096];
    for piece in bools.chunks(page.len()) {
        let page = &mut page[..piece.len()];
        page.copy_from_slice(piece);
        normalise(page);
        sink.bytes(page)?;
    }
    Ok(())
}

/// Whether the element's scalars are `bool`.
pub fn is_bool(element: &ElementType) -> bool {
    dense(element).is_some_and(|dense| dense.scalar == Scalar::Bool)
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// How many of these elements it announces.
    fn count(&self, element: &Dense) -> Result<u64, String> {
        let (order, name) = self.descr.split_at_checked(1).unwrap_or_default();
        let ours = descr(element.scalar);
        let shown = quoted(self.descr.as_bytes());
        let bytes = element.scalar.size() == 1;
        match order {
            "<" | "=" if name == code(element.scalar) => {}
            "|" | ">" if name == code(element.scalar) && bytes => {}
            ">" if name == code(element.scalar) => {
                return Err(format!(
                    "its type is {shown}, big-endian, the array's is '{ours}'; convert it with astype"
                ));
            }
            _ => {
                return Err(format!(
                    "its type is {shown}, the array's is '{ours}' ({}); convert it with astype",
                    element.scalar.as_str()
                ));
            }
        }
        if self.fortran_order && self.shape.len() > 1 {
            return Err(
                "it is in Fortran order; convert it with numpy.ascontiguousarray".to_owned(),
            );
        }
        if self.shape == element.dimensions {
            return Ok(1);
        }
        match self.shape.split_first() {
            Some((count, dimensions)) if dimensions == element.dimensions => Ok(*count),
            _ => {
                let mut wanted = vec!["n".to_owned()];
                wanted.extend(element.dimensions.iter().map(ToString::to_string));
                let comma = if wanted.len() == 1 { "," } else { "" };
                Err(format!(
                    "its shape is {}, the array's is ({}{comma})",
                    abridged(&tuple(&self.shape)),
                    wanted.join(", ")
                ))
            }
        }
    }
}

/// A parser of the one kind of Python literal that headers are.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Literal<'a> {
    fn new(text: &'a [u8]) -> Literal<'a> {
        Literal { text, at: 0 }
    }

    /// `{'descr': ..., 'fortran_order': ..., 'shape': ..., }`, in any order.
    fn header(&mut self) -> Result<Header, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let doubled = match key {
                b"descr" if self.peek() == Some(b'[') => {
                    return Err("its type is a record; take csv or json".to_owned());
                }
                b"descr" => {
                    let name = String::from_utf8_lossy(self.string()?).into_owned();
                    descr.replace(name).is_some()
                }
                b"fortran_order" => fortran_order.replace(self.truth()?).is_some(),
                b"shape" => shape.replace(self.tuple()?).is_some(),
                _ => return Err(format!("unknown header key {}", quoted(key))),
            };
            if doubled {
                return Err(format!("header key {} twice", quoted(key)));
            }
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        self.expect(b'}')?;
        if self.peek().is_some() {
            return Err(self.wrong("the end of the header"));
        }
        let missing = |key| format!("no '{key}' in the header");
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    /// A string in either kind of quotes. With a backslash it is none of ours.
    fn string(&mut self) -> Result<&'a [u8], String> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.wrong("a quote")),
        };
        self.at += 1;
        let rest = &self.text[self.at..];
        match rest
            .iter()
            .position(|byte| [quote, b'\\', b'\n'].contains(byte))
        {
            Some(end) if rest[end] == quote => {
                self.at += end + 1;
                Ok(&rest[..end])
            }
            _ => Err(self.wrong("a string")),
        }
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.peek();
        for (word, truth) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(truth);
            }
        }
        Err(self.wrong("True or False"))
    }

    /// `()`, `(3,)`, `(3, 2)`; but `(3)` is no tuple in Python.
    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        let mut numbers = Vec::new();
        let mut comma = true;
        self.expect(b'(')?;
        while self.peek() != Some(b')') {
            if !comma {
                return Err(self.wrong("',' or ')'"));
            }
            numbers.push(self.number()?);
            comma = self.peek() == Some(b',');
            if comma {
                self.at += 1;
            }
        }
        if numbers.len() == 1 && !comma {
            return Err(self.wrong("','"));
        }
        self.expect(b')')?;
        Ok(numbers)
    }

    fn number(&mut self) -> Result<u64, String> {
        self.peek();
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[..length])
            .ok()
            .and_then(|digits| digits.parse().ok());
        let Some(number) = number else {
            return Err(self.wrong("a length"));
        };
        self.at += length;
        // Python 2 wrote its long integers so.
        if self.text.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(number)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        if self.peek() != Some(wanted) {
            return Err(self.wrong(&format!("'{}'", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn wrong(&self, wanted: &str) -> String {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest.is_empty() {
            true => "its end".to_owned(),
            false => quoted(&rest[..rest.len().min(12)]),
        };
        format!(
            "header, byte {}: {found} where {wanted} should be",
            self.at + 1
        )
    }
}
