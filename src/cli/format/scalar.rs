//! One scalar: its bytes in memory, its words in text.
//!
//! ```text
//!            parse                 store
//!   b"0x1F" ───────>  V: Value  ──────────>  [1f 00 00 00]
//!           <───────            <──────────
//!            print                  load
//! ```
//!
//! [`Value`] is implemented for the Rust type of each scalar, and
//! [`per_scalar!`] turns a [`Scalar`] that is known at run time into such a
//! type: whoever has many values of one type decides once and then runs a
//! loop that was compiled for that type.
//!
//! What is read:
//!
//! - integers: a sign or none, decimal digits, or `0x` and hexadecimal ones;
//!   the value, not the bit pattern, must be in the type's range;
//! - floats: decimal, with an exponent or without, `inf`, `infinity` and
//!   `nan` in any case, each with a sign or without. What lies beyond the
//!   largest finite value is refused, what is too small is 0. An `f32` is
//!   rounded once, from the decimal;
//! - `bool`: `true false 1 0`. In memory each byte but 0 is true.
//!
//! What is printed is read back as the same bytes, but for two things: each
//! NaN is `NaN`, and becomes the usual one; each true is 1.

use super::digits;
use shmkit::array::Scalar;

/// Room for the longest scalar as text (24 bytes), quotes and a separator.
pub const WIDTH: usize = 40;

/// The Rust type of a scalar.
pub trait Value: Copy {
    /// Which scalar it is.
    const SCALAR: Scalar;
    /// Its bytes in memory.
    const SIZE: usize;

    /// From the first bytes of `bytes`.
    fn load(bytes: &[u8]) -> Self;

    /// Into the first bytes of `bytes`.
    fn store(self, bytes: &mut [u8]);

    /// From its words; `None` if they are not one of its values.
    fn parse(word: &[u8]) -> Option<Self>;

    /// Into the window's beginning, and a byte behind it; says how many bytes
    /// that is.
    fn print(self, behind: u8, window: &mut [u8; WIDTH]) -> usize;

    /// The same for JSON, which has no numbers for NaN and the infinities, and
    /// with nothing behind it.
    #[inline]
    fn print_json(self, window: &mut [u8; WIDTH]) -> usize {
        self.print(b' ', window) - 1
    }
}

/// Evaluates an expression with `$value` as the Rust type of a scalar.
macro_rules! per_scalar {
    ($scalar:expr, $value:ident => $with:expr) => {{
        use shmkit::array::Scalar;
        macro_rules! with {
            ($rust:ty) => {{
                type $value = $rust;
                $with
            }};
        }
        match $scalar {
            Scalar::I8 => with!(i8),
            Scalar::I16 => with!(i16),
            Scalar::I32 => with!(i32),
            Scalar::I64 => with!(i64),
            Scalar::U8 => with!(u8),
            Scalar::U16 => with!(u16),
            Scalar::U32 => with!(u32),
            Scalar::U64 => with!(u64),
            Scalar::F32 => with!(f32),
            Scalar::F64 => with!(f64),
            Scalar::Bool => with!($crate::cli::format::scalar::Truth),
        }
    }};
}
pub(super) use per_scalar;

/// A `bool` in memory: a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth(pub bool);

impl Value for Truth {
    const SCALAR: Scalar = Scalar::Bool;
    const SIZE: usize = 1;

    #[inline]
    fn load(bytes: &[u8]) -> Truth {
        Truth(bytes.first().is_some_and(|byte| *byte != 0))
    }

    #[inline]
    fn store(self, bytes: &mut [u8]) {
        if let Some(slot) = bytes.first_mut() {
            *slot = u8::from(self.0);
        }
    }

    #[inline]
    fn parse(word: &[u8]) -> Option<Truth> {
        match word {
            b"true" | b"1" => Some(Truth(true)),
            b"false" | b"0" => Some(Truth(false)),
            _ => None,
        }
    }

    #[inline]
    fn print(self, behind: u8, window: &mut [u8; WIDTH]) -> usize {
        let length = put(window, if self.0 { b"true" } else { b"false" });
        window[length] = behind;
        length + 1
    }
}

/// How a number lies in memory.
macro_rules! little_endian {
    ($rust:ident) => {
        #[inline]
        fn load(bytes: &[u8]) -> $rust {
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            $rust::from_le_bytes(bytes)
        }

        #[inline]
        fn store(self, bytes: &mut [u8]) {
            if let Some(slot) = bytes.first_chunk_mut() {
                *slot = self.to_le_bytes();
            }
        }
    };
}

macro_rules! integers {
    ($($rust:ident $scalar:ident;)*) => {$(
        impl Value for $rust {
            const SCALAR: Scalar = Scalar::$scalar;
            const SIZE: usize = size_of::<$rust>();

            little_endian!($rust);

            #[inline]
            fn parse(word: &[u8]) -> Option<$rust> {
                let (negative, magnitude) = integer(word)?;
                let magnitude = i128::from(magnitude);
                $rust::try_from(if negative { -magnitude } else { magnitude }).ok()
            }

            #[inline]
            fn print(self, behind: u8, window: &mut [u8; WIDTH]) -> usize {
                let length = put(window, itoa::Buffer::new().format(self).as_bytes());
                window[length] = behind;
                length + 1
            }
        }
    )*};
}

integers! {
    i8 I8; i16 I16; i32 I32; i64 I64;
    u8 U8; u16 U16; u32 U32; u64 U64;
}

macro_rules! floats {
    ($($rust:ident $scalar:ident;)*) => {$(
        impl Value for $rust {
            const SCALAR: Scalar = Scalar::$scalar;
            const SIZE: usize = size_of::<$rust>();

            little_endian!($rust);

            #[inline]
            fn parse(word: &[u8]) -> Option<$rust> {
                let value: $rust = std::str::from_utf8(word).ok()?.parse().ok()?;
                if value.is_finite() {
                    Some(value)
                } else if value.is_nan() {
                    Some($rust::NAN)
                } else {
                    // Said in so many letters, or too large?
                    (!has_digits(word)).then_some(value)
                }
            }

            #[inline(always)]
            fn print(self, behind: u8, window: &mut [u8; WIDTH]) -> usize {
                // Whole numbers are common, and need no search for the
                // shortest decimal: as far as the digits that it would find
                // are all of them, that is, below 2^mantissa. Added to that,
                // a smaller number is rounded to a whole one, which is then
                // in the low bits; what is too large, or NaN, makes them more.
                const LIMIT: u64 = 1 << ($rust::MANTISSA_DIGITS - 1);
                const ADDED: $rust = LIMIT as $rust;
                let magnitude = self.abs();
                let sum = magnitude + ADDED;
                let whole = u64::from(sum.to_bits().wrapping_sub(ADDED.to_bits()));
                if whole < LIMIT && sum - ADDED == magnitude {
                    return digits::point_zero(self.is_sign_negative(), whole, behind, window);
                }
                let length = shortest(self, window);
                window[length] = behind;
                length + 1
            }

            #[inline]
            fn print_json(self, window: &mut [u8; WIDTH]) -> usize {
                if self.is_finite() {
                    self.print(b' ', window) - 1
                } else if self.is_nan() {
                    put(window, b"\"NaN\"")
                } else {
                    put(window, if self > 0.0 { b"\"inf\"" } else { b"\"-inf\"" })
                }
            }
        }
    )*};
}

floats! { f32 F32; f64 F64; }

/// Sign and magnitude. `None`: no integer, or beyond 64 bits.
#[inline]
fn integer(word: &[u8]) -> Option<(bool, u64)> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    // So many decimal digits are below 2^64 whatever they are.
    const SURE: usize = 19;
    if digits.is_empty() || digits.len() > SURE || digits.get(1).is_some_and(|x| x | 32 == b'x') {
        return Some((negative, uncommon(digits)?));
    }
    let mut magnitude = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    Some((negative, magnitude))
}

/// A magnitude that is hexadecimal, or long, or nothing.
#[cold]
fn uncommon(digits: &[u8]) -> Option<u64> {
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        digits => (10, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |magnitude, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        magnitude
            .checked_mul(u64::from(radix))?
            .checked_add(u64::from(digit))
    })
}

fn has_digits(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
}

/// Copies a short text to the window's beginning, in one or two moves of a
/// fixed size: as they are inlined, that is faster than a call for so little.
#[inline]
fn put(window: &mut [u8; WIDTH], text: &[u8]) -> usize {
    macro_rules! two_moves {
        ($size:literal) => {
            if let (Some(head), Some(tail)) = (text.first_chunk::<$size>(), text.last_chunk()) {
                window[..$size].copy_from_slice(head);
                window[text.len() - $size..text.len()].copy_from_slice(tail as &[u8; $size]);
                return text.len();
            }
        };
    }
    two_moves!(16);
    two_moves!(8);
    two_moves!(4);
    window[..text.len()].copy_from_slice(text);
    text.len()
}

/// The shortest decimal that is read back as the same float.
#[inline(never)]
fn shortest(float: impl zmij::Float, window: &mut [u8; WIDTH]) -> usize {
    let mut buffer = Aligned(zmij::Buffer::new());
    let length = put(window, buffer.0.format(float).as_bytes());
    without_plus(window, length)
}

/// Within a cache line, as what is written here is read at once.
#[repr(align(64))]
struct Aligned(zmij::Buffer);

/// Makes `1e+300` out of that, `1e300`; others stay as they are.
#[inline]
fn without_plus(window: &mut [u8; WIDTH], length: usize) -> usize {
    // An exponent that is written and not negative has two or three digits.
    for digits in [2, 3] {
        let plus = length.wrapping_sub(digits + 1);
        if window.get(plus) == Some(&b'+') {
            window.copy_within(plus + 1..length, plus);
            return length - 1;
        }
    }
    length
}

/// What a scalar may be, with its article: `a u8 (0 to 255)`.
pub fn range(scalar: Scalar) -> String {
    let name = scalar.as_str();
    macro_rules! limits {
        ($rust:ident, $article:literal) => {
            format!("{} {name} ({} to {})", $article, $rust::MIN, $rust::MAX)
        };
    }
    match scalar {
        Scalar::I8 => limits!(i8, "an"),
        Scalar::I16 => limits!(i16, "an"),
        Scalar::I32 => limits!(i32, "an"),
        Scalar::I64 => limits!(i64, "an"),
        Scalar::U8 => limits!(u8, "a"),
        Scalar::U16 => limits!(u16, "a"),
        Scalar::U32 => limits!(u32, "a"),
        Scalar::U64 => limits!(u64, "a"),
        Scalar::F32 | Scalar::F64 => format!("an {name} (a number, inf or nan)"),
        Scalar::Bool => "a bool (true, false, 1 or 0)".to_owned(),
    }
}

/// The sentence about a word that [`Value::parse`] refused.
pub fn refusal(scalar: Scalar, word: &[u8]) -> String {
    let word_shown = quoted(word);
    let float = std::str::from_utf8(word)
        .ok()
        .and_then(|word| word.parse::<f64>().ok());
    match (scalar, float) {
        (Scalar::F32, Some(_)) => {
            format!("{word_shown} is not an f32 (at most {:e})", f32::MAX)
        }
        (Scalar::F64, Some(_)) => {
            format!("{word_shown} is not an f64 (at most {:e})", f64::MAX)
        }
        _ => format!("{word_shown} is not {}", range(scalar)),
    }
}

/// A word of an input as an error shows it: in quotes, its beginning only if
/// it is long, and nothing in it that a terminal would obey.
pub fn quoted(word: &[u8]) -> String {
    const MOST: usize = 40;
    // Four bytes are a character at most.
    let beginning = word.get(..4 * MOST + 4).unwrap_or(word);
    let text = String::from_utf8_lossy(beginning);
    let mut shown = String::from("'");
    for c in text.chars().take(MOST) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown.push('\'');
    shown
}

/// The same without quotes, for what is no word of an input: a type, a shape.
pub fn abridged(text: &str) -> String {
    quoted(text.as_bytes()).replace('\'', "")
}
