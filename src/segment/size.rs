//! How many bytes something is, for people.

use std::fmt;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A number of bytes, in the largest binary unit that it fills.
///
/// As short as it can be: exact without decimals, else three digits. With a
/// precision it has so many decimals, for what is redrawn in one place or
/// compared from line to line. (Bytes have none.) The alternate form is a single
/// word, for columns.
///
/// ```
/// use shmkit::segment::Size;
///
/// assert_eq!(Size(65_536).to_string(), "64 KiB");
/// assert_eq!(Size(1_570_000_000).to_string(), "1.46 GiB");
/// assert_eq!(format!("{:.2}", Size(65_536)), "64.00 KiB");
/// assert_eq!(format!("{:#}", Size(1_570_000_000)), "1.46G");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(
    /// The bytes.
    pub u64,
);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size(bytes) = *self;
        let mut unit = (bytes.max(1).ilog2() / 10) as usize;
        let exact = bytes.trailing_zeros() as usize >= 10 * unit;
        let value = bytes as f64 / (1u64 << (10 * unit)) as f64;
        let decimals = match f.precision() {
            _ if unit == 0 => 0,
            Some(decimals) => decimals,
            None if exact => 0,
            None if value < 9.995 => 2,
            None if value < 99.95 => 1,
            None => 0,
        };
        let mut text = format!("{value:.decimals$}");
        // What is rounded to 1024 is 1 of the next unit.
        if text.starts_with("1024") && unit + 1 < UNITS.len() {
            unit += 1;
            text = format!("{:.*}", f.precision().unwrap_or(2), 1.0);
        }
        match f.alternate() {
            false => write!(f, "{text} {}", UNITS[unit]),
            true if unit == 0 => f.write_str(&text),
            true => write!(f, "{text}{}", &UNITS[unit][..1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_where_they_can_be_and_short_where_not() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.50 KiB"),
            (10_235, "10.0 KiB"),
            (65_536, "64 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (1 << 20, "1 MiB"),
            (20_000_000, "19.1 MiB"),
            (500_000_000, "477 MiB"),
            (1_570_000_000, "1.46 GiB"),
            (5 << 30, "5 GiB"),
            (2 << 40, "2 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown, "{bytes}");
        }
    }

    #[test]
    fn in_a_column_a_size_is_one_word() {
        for (bytes, shown) in [
            (0, "0"),
            (1000, "1000"),
            (65_536, "64K"),
            (1_570_000_000, "1.46G"),
        ] {
            assert_eq!(format!("{:#}", Size(bytes)), shown, "{bytes}");
        }
    }

    #[test]
    fn a_precision_fixes_the_decimals() {
        for (bytes, shown) in [
            (0, "0 B"),
            (5, "5 B"),
            (1 << 30, "1.00 GiB"),
            (100 << 20, "100.00 MiB"),
            ((1 << 30) - 1, "1.00 GiB"),
        ] {
            assert_eq!(format!("{:.2}", Size(bytes)), shown, "{bytes}");
        }
    }
}
