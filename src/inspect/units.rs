//! How sizes to be typed, ages and columns look in text for people: the same in
//! every view of a segment.

use std::fmt;
use std::io::{self, Write};

const UNITS: [(&str, u32); 4] = [("G", 30), ("M", 20), ("K", 10), ("", 0)];

/// A size as it would be typed: `1M`, `64K`, and `1000` where no unit is exact.
#[derive(Clone, Copy, Debug)]
pub struct Typed(pub u64);

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Typed(bytes) = *self;
        for (unit, shift) in UNITS {
            let whole = bytes >> shift;
            if whole > 0 && whole << shift == bytes {
                return write!(f, "{whole}{unit}");
            }
        }
        f.write_str("0")
    }
}

/// The time between two moments in one unit: `12s`, `3m`, `7h`, `4d`. A moment
/// that is still to come counts as now: clocks are set.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// The earlier moment, nanoseconds since the epoch.
    pub since_unix_ns: u64,
    /// The later one.
    pub now_unix_ns: u64,
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.now_unix_ns.saturating_sub(self.since_unix_ns) / 1_000_000_000;
        match seconds {
            0..60 => write!(f, "{seconds}s"),
            60..3600 => write!(f, "{}m", seconds / 60),
            3600..86_400 => write!(f, "{}h", seconds / 3600),
            _ => write!(f, "{}d", seconds / 86_400),
        }
    }
}

/// A column's heading and which way its cells lean.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Words.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
}

/// Writes aligned columns, two spaces apart, without trailing spaces.
pub(crate) fn write_columns(
    out: &mut dyn Write,
    indent: &str,
    columns: &[Column],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let heading = |column: &Column| match *column {
        Column::Left(heading) | Column::Right(heading) => heading,
    };
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| {
            let cells = rows.iter().map(|row| row[i].len());
            cells.chain([heading(&columns[i]).len()]).max().unwrap_or(0)
        })
        .collect();
    let headings = columns
        .iter()
        .map(|column| heading(column).to_owned())
        .collect();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::from(indent);
        for ((cell, column), width) in row.iter().zip(columns).zip(&widths) {
            match column {
                Column::Left(_) => line.push_str(&format!("{cell:<width$}  ")),
                Column::Right(_) => line.push_str(&format!("{cell:>width$}  ")),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_size_means_the_same_when_typed_back() {
        let shown = [1, 1000, 1024, 8 << 20, 1 << 30, (1 << 20) + 1].map(|b| Typed(b).to_string());
        assert_eq!(shown, ["1", "1000", "1K", "8M", "1G", "1048577"]);
    }

    #[test]
    fn an_age_has_one_unit_and_is_never_negative() {
        let age = |seconds: u64| {
            let since_unix_ns = 5_000_000_000;
            Age {
                since_unix_ns,
                now_unix_ns: since_unix_ns + seconds * 1_000_000_000,
            }
            .to_string()
        };
        assert_eq!([59, 60, 7200, 200_000].map(age), ["59s", "1m", "2h", "2d"]);
        assert_eq!(
            Age {
                since_unix_ns: 9,
                now_unix_ns: 3
            }
            .to_string(),
            "0s"
        );
    }
}
