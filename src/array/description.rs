//! An element type as people type it and as a header carries it.
//!
//! ```text
//! TYPE    = SCALAR | '[' TYPE ';' COUNT ']' | FIELDS | '{' FIELDS '}'
//! FIELDS  = NAME ':' TYPE { ',' NAME ':' TYPE }      (bare only at the top)
//! SCALAR  = i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool
//! NAME    = [A-Za-z_][A-Za-z0-9_]*
//!
//! [f32;3]      id:u32,position:[f32;3],alive:bool      [{x:f32,y:f32};16]
//! ```
//!
//! Blanks between the parts mean nothing. [`Display`](fmt::Display) writes the
//! canonical form, without blanks and with bare fields at the top; it is never
//! longer than what was read, it reads back as the same type, and two types
//! are the same exactly if their canonical forms are.
//!
//! The parser is recursive descent over text that may be anybody's: it goes
//! at most [`MAX_DEPTH`] levels deep and reads [`MAX_DESCRIPTION`] bytes. What
//! a description may say beyond its grammar (sizes, doubled names) is not its
//! business but that of [`ElementType`]'s constructors, which it uses like
//! everybody else. A refusal names the character at which it happened.

use super::element_type::{ElementType, MAX_DEPTH, MAX_SIZE, Scalar, Shape};
use std::fmt;
use std::str::FromStr;

/// The most bytes a description may have.
pub const MAX_DESCRIPTION: usize = 64 << 10;

/// Why a text is no element type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("element type '{}', at character {}: {why}", abridged(.text), .at + 1)]
pub struct TypeError {
    text: String,
    at: usize,
    why: String,
}

/// The text, or its beginning, without what a terminal would obey: an error is
/// one line that can be read, and the text may have been found in a segment.
fn abridged(text: &str) -> String {
    const MOST: usize = 60;
    let printable = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    let beginning: String = text.chars().take(MOST).map(printable).collect();
    match text.chars().nth(MOST) {
        None => beginning,
        Some(_) => beginning + "...",
    }
}

/// A character that should not be there.
fn shown(c: char) -> String {
    format!("'{}'", abridged(c.encode_utf8(&mut [0; 4])))
}

/// Its canonical description.
impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f, true)
    }
}

fn write(element: &ElementType, f: &mut fmt::Formatter<'_>, top: bool) -> fmt::Result {
    match element.shape() {
        Shape::Scalar(scalar) => f.write_str(scalar.as_str()),
        Shape::Repeat(of, count) => {
            f.write_str("[")?;
            write(of, f, false)?;
            write!(f, ";{count}]")
        }
        Shape::Record(fields) => {
            if !top {
                f.write_str("{")?;
            }
            for (i, field) in fields.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma}{}:", field.name())?;
                write(field.element(), f, false)?;
            }
            if !top {
                f.write_str("}")?;
            }
            Ok(())
        }
    }
}

impl FromStr for ElementType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<ElementType, TypeError> {
        let mut parser = Parser { text, at: 0 };
        let parsed = if text.len() > MAX_DESCRIPTION {
            Err(format!("longer than {MAX_DESCRIPTION} bytes"))
        } else {
            parser.top()
        };
        parsed.map_err(|why| TypeError {
            text: text.to_owned(),
            at: text[..parser.at].chars().count(),
            why,
        })
    }
}

/// Recursive descent; `at` is where it is, in bytes, and where it failed.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn top(&mut self) -> Result<ElementType, String> {
        self.blanks();
        let begun = self.at;
        // A word and a colon: bare fields. Anything else is one type.
        let bare = !self.word().is_empty() && self.peek() == Some(':');
        self.at = begun;
        let parsed = match bare {
            true => self.fields(0)?,
            false => self.element(0)?,
        };
        match self.peek() {
            None => Ok(parsed),
            Some(c) => Err(format!("{} after the end of the type", shown(c))),
        }
    }

    fn element(&mut self, depth: usize) -> Result<ElementType, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels deep"));
        }
        match self.peek() {
            Some('[') => {
                self.expect('[')?;
                let of = self.element(depth + 1)?;
                self.expect(';')?;
                let begun = self.at;
                let count = self.word();
                let repeated = match count.parse() {
                    Ok(count) => ElementType::repeat(of, count),
                    Err(_) => None,
                };
                let Some(repeated) = repeated else {
                    self.at = begun;
                    return Err(format!(
                        "'{}' is no count; 1 or more, and not over {MAX_SIZE} bytes in all",
                        abridged(count)
                    ));
                };
                self.expect(']')?;
                Ok(repeated)
            }
            Some('{') => {
                self.expect('{')?;
                let record = self.fields(depth + 1)?;
                self.expect('}')?;
                Ok(record)
            }
            _ => {
                let begun = self.at;
                let name = self.word();
                let Some(scalar) = Scalar::from_name(name) else {
                    let what = match (name, self.peek()) {
                        ("", None) => "nothing".to_owned(),
                        ("", Some(c)) => shown(c),
                        _ => format!("'{}'", abridged(name)),
                    };
                    self.at = begun;
                    return Err(format!(
                        "{what} where a type should be; i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool, [T;K], or name:T,name:T"
                    ));
                };
                Ok(ElementType::scalar(scalar))
            }
        }
    }

    fn fields(&mut self, depth: usize) -> Result<ElementType, String> {
        let mut fields = Vec::new();
        loop {
            self.blanks();
            let name = self.word().to_owned();
            if name.is_empty() {
                return Err("a field name should be here".to_owned());
            }
            self.expect(':')?;
            fields.push((name, self.element(depth)?));
            match self.peek() {
                Some(',') => self.expect(',')?,
                _ => return ElementType::record(fields),
            }
        }
    }

    /// The next letters, digits and underscores, and the blanks behind them.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        self.at += end;
        self.blanks();
        &rest[..end]
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.peek() {
            Some(c) if c == wanted => {
                self.at += c.len_utf8();
                self.blanks();
                Ok(())
            }
            Some(c) => Err(format!("{} where '{wanted}' should be", shown(c))),
            None => Err(format!("it ends where '{wanted}' should be")),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ElementType {
        text.parse().unwrap()
    }

    #[test]
    fn each_scalar_is_aligned_to_its_size() {
        for scalar in Scalar::ALL {
            let parsed = parse(scalar.as_str());
            assert_eq!(parsed, ElementType::scalar(scalar));
            assert_eq!(
                (parsed.size(), parsed.align()),
                (scalar.size(), scalar.size())
            );
        }
    }

    #[test]
    fn records_are_laid_out_as_in_c() {
        let record = parse(" a : u8 , b : { x:u16 , y:[f64; 2] }, c:bool");
        assert_eq!(record.to_string(), "a:u8,b:{x:u16,y:[f64;2]},c:bool");
        assert_eq!((record.size(), record.align()), (40, 8));
        let leaves: Vec<_> = record
            .leaves()
            .into_iter()
            .map(|leaf| (leaf.path, leaf.offset))
            .collect();
        let expected = [
            ("a", 0),
            ("b.x", 8),
            ("b.y[0]", 16),
            ("b.y[1]", 24),
            ("c", 32),
        ];
        assert_eq!(
            leaves,
            expected.map(|(path, offset)| (path.to_owned(), offset))
        );
    }

    #[test]
    fn what_is_no_type_is_refused_with_the_place() {
        for (text, at, why) in [
            ("", 1, "nothing"),
            ("i7", 1, "'i7'"),
            ("i32 i32", 5, "after the end"),
            ("[i32]", 5, "';' should be"),
            ("[i32;0]", 6, "'0' is no count"),
            ("[i32;-1]", 6, "no count"),
            ("[f64;9000]", 6, "'9000' is no count"),
            ("[i32;3", 7, "it ends"),
            ("x:", 3, "nothing"),
            ("x:i32,", 7, "field name"),
            ("x:i32,x:i32", 12, "a second field 'x'"),
            ("{x:i32", 7, "it ends"),
            ("1x:i32", 7, "'1x' is no field name"),
            ("a:[u8;60000],b:[u8;60000]", 26, "larger than 65536"),
            ("ä:i32", 1, "'ä'"),
        ] {
            let error = text.parse::<ElementType>().unwrap_err().to_string();
            assert!(error.contains(&format!("at character {at}: ")), "{error}");
            assert!(error.contains(why), "{error}");
        }
        let escape = "\u{1b}[31m:\n".parse::<ElementType>();
        let error = escape.unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "{error:?}");
        let word = "9".repeat(10_000);
        for long in [word.clone(), format!("[u8;{word}]"), format!("{word}:u8")] {
            let error = long.parse::<ElementType>().unwrap_err().to_string();
            assert!(error.len() < 400, "{error}");
        }
        let deep = "[".repeat(100_000);
        assert!(deep.parse::<ElementType>().is_err());
        let deep = "[".repeat(1000) + "u8" + &";1]".repeat(1000);
        let error = deep.parse::<ElementType>().unwrap_err().to_string();
        assert!(
            error.contains("levels deep") && error.len() < 200,
            "{error}"
        );
    }
}
