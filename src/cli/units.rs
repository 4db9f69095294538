//! The words in which people write numbers: sizes, rates, durations, modes.
//!
//! | typed | means |
//! |---|---|
//! | `64K` `64KiB`, `1M` `1MiB`, `2G` `2GiB` | powers of 1024, as with dd(1) and truncate(1) |
//! | `64kB`, `1MB`, `2GB` | powers of 1000 |
//! | `100M`, `100MB/s` | a rate: a size each second |
//! | `200ms`, `5s`, `2m`, `1m 30s` | a duration; a bare number has no unit and is refused |
//! | `600`, `0600` | permission bits, octal |
//!
//! Each function is a clap value parser: its error completes the sentence
//! `invalid value 'X' for '--flag <UNIT>': ...`.

use parse_size::{Config, Error as SizeError};
use std::num::NonZeroUsize;
use std::time::Duration;

/// A number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    // A `B` after a decimal prefix makes it decimal; `Ki`, `Mi`, `Gi` are
    // binary in either system.
    let config = match text.ends_with(['b', 'B']) {
        true => Config::new().with_decimal(),
        false => Config::new().with_binary(),
    };
    config.parse_size(text).map_err(|error| match error {
        SizeError::PosOverflow => "larger than 2^64 bytes".into(),
        _ => "not a size; write 4096, 64K, 1MiB (powers of 1024) or 10MB (powers of 1000)".into(),
    })
}

/// A number of things: elements, nodes, bytes; `1M` is 1,048,576 of them.
pub fn count(text: &str) -> Result<u64, String> {
    let broken = text.contains('.') && text.trim_end().ends_with(|c: char| c.is_ascii_digit());
    match size(text) {
        Ok(count) if !broken => Ok(count),
        Err(why) if why.starts_with("larger") => Err("larger than 2^64".into()),
        _ => Err("not a number; write 4096, 4K, 1M (powers of 1024)".into()),
    }
}

/// Bytes of a record, at least 1.
pub fn record(text: &str) -> Result<NonZeroUsize, String> {
    let size = usize::try_from(size(text)?).map_err(|_| "larger than memory")?;
    NonZeroUsize::new(size).ok_or_else(|| "a record has a byte at least".into())
}

/// Bytes per second, at least 1.
pub fn rate(text: &str) -> Result<u64, String> {
    match size(text.strip_suffix("/s").unwrap_or(text)) {
        Ok(0) => Err("a rate of 0 would never end; leave the flag out for no limit".into()),
        Ok(rate) => Ok(rate),
        Err(_) => Err("not a rate; write bytes per second: 100M, 10MB/s".into()),
    }
}

/// A length of time; 0 is allowed.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "not a duration; write a number with its unit: 200ms, 5s, 2m".into())
}

/// A length of time between two reports: 10 ms or more.
pub fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        interval if interval < Duration::from_millis(10) => Err("shorter than 10ms".into()),
        interval => Ok(interval),
    }
}

/// Permission bits in octal.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal && mode <= 0o777 => Ok(mode),
        _ => Err("not a mode; write octal permission bits, 0 to 0777: 0600, 0660".into()),
    }
}

/// A delimiter, with the escapes `\n \t \r \0 \\ \xHH`.
pub fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, tail) = match rest {
            [b'n', tail @ ..] => (b'\n', tail),
            [b't', tail @ ..] => (b'\t', tail),
            [b'r', tail @ ..] => (b'\r', tail),
            [b'0', tail @ ..] => (0, tail),
            [b'\\', tail @ ..] => (b'\\', tail),
            [b'x', high, low, tail @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => return Err(ESCAPES.into()),
            },
            _ => return Err(ESCAPES.into()),
        };
        bytes.push(byte);
        rest = tail;
    }
    Ok(bytes)
}

const ESCAPES: &str = r"the escapes are \n \t \r \0 \xHH, and \\ for a backslash";

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_binary_prefixes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("512B", 512),
            ("64K", 65536),
            ("64k", 65536),
            ("64KiB", 65536),
            ("1M", 1 << 20),
            ("1MiB", 1 << 20),
            ("1G", 1 << 30),
            ("1GiB", 1 << 30),
            ("1.5K", 1536),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn prefixes_before_a_b_are_powers_of_1000() {
        for (text, bytes) in [
            ("1kB", 1_000),
            ("64kB", 64_000),
            ("10MB", 10_000_000),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_remedy() {
        for text in ["", "K", "-1", "64Q", "ten", "1K2", "0x10"] {
            assert!(size(text).unwrap_err().contains("64K"), "{text}");
        }
        assert!(size("99999999999G").unwrap_err().contains("2^64"));
    }

    #[test]
    fn a_count_is_a_number_or_is_written_as_a_size() {
        assert_eq!(count("1000"), Ok(1000));
        assert_eq!(count("1M"), Ok(1 << 20));
        for text in ["", "-1", "many", "1.5"] {
            assert!(count(text).unwrap_err().contains("4K"), "{text}");
        }
    }

    #[test]
    fn a_rate_may_say_per_second_and_is_never_zero() {
        assert_eq!(rate("100MB/s"), Ok(100_000_000));
        assert_eq!(rate("1M"), Ok(1 << 20));
        assert!(rate("0").is_err());
        assert!(rate("fast").is_err());
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["5", "", "soon", "-1s"] {
            assert!(duration(text).unwrap_err().contains("5s"), "{text}");
        }
    }

    #[test]
    fn an_interval_is_not_zero() {
        assert!(interval("0s").is_err());
        assert_eq!(interval("1s"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn a_mode_is_octal_permission_bits() {
        assert_eq!(mode("600"), Ok(0o600));
        assert_eq!(mode("0660"), Ok(0o660));
        for text in ["", "888", "1777", "+600", "rw", "-1"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_delimiter_knows_the_usual_escapes() {
        assert_eq!(delimiter(r"a\n\t\0\\\x41"), Ok(b"a\n\t\0\\A".to_vec()));
        assert_eq!(delimiter("--\n"), Ok(b"--\n".to_vec()));
        for text in [r"\q", r"\", r"\x4", r"\xzz"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }
}
