//! CSV: a row per element, a cell per scalar.
//!
//! ```text
//! id:u8,p:[f32;2]      id,p[0],p[1]            [f64;2]      0.5,1e300
//!                      1,0.5,-1.25                          inf,NaN
//! ```
//!
//! Records have a header row, which names their scalars by path; read, its
//! columns may be in any order, but must be all of them, once. Other types
//! have no header. Cells are scalars as in text, with blanks around them or
//! without. A cell may be in quotes, as in RFC 4180; an empty line is none.
//! (What follows a closing quote counts as a part of the cell, as the csv crate
//! has it.) No cell that we print needs quotes, so printing is that of text.
//!
//! Errors name the line of the cell, not that in which its row begins: cells
//! in quotes may go over several lines. How that is known: rows end with a
//! line end, [`Lines`] adds one where the last has none, so the reader's line
//! after a row is one more than the row's last line. (A carriage return before
//! it is a blank of the last cell.) `Lines` adds one more to the very end,
//! which a row in which all quotes are closed leaves alone.
//!
//! A row has its limits, so that a quote which is never closed does not take
//! all of the memory: of bytes, and of commas, as each cell costs a word beside
//! its bytes. No cell of ours has a comma in it, so a row has at most as many
//! as it has columns; what is read at once may have those of later rows, too.

use super::elements::Elements;
use super::layout::{self, Run};
use super::scalar::{Value, abridged, per_scalar, quoted, refusal};
use super::sink::Sink;
use super::text::trimmed;
use super::{ParseError, read_some};
use csv::{ByteRecord, ReaderBuilder, Terminator};
use shmkit::array::{ElementType, Scalar, Shape};
use std::cell::Cell;
use std::io::{self, Read};

/// The most bytes of a row: far more than the scalars of an element need.
const MOST: u64 = 16 << 20;
/// How much is read at once.
const PAGE: usize = 64 << 10;

/// Whether rows have a header above them.
fn has_header(element: &ElementType) -> bool {
    matches!(element.shape(), Shape::Record(_))
}

/// Prints the header, if there is one.
pub fn print_header(element: &ElementType, runs: &[Run], sink: &mut Sink) -> io::Result<()> {
    if !has_header(element) {
        return Ok(());
    }
    for (i, (offset, _)) in layout::each(runs).enumerate() {
        if i > 0 {
            sink.byte(b',')?;
        }
        sink.bytes(layout::path_at(element, offset).as_bytes())?;
    }
    sink.byte(b'\n')
}

/// Parses all rows of `input`.
pub fn parse(
    element: &ElementType,
    runs: &[Run],
    elements: &mut Elements,
    input: &mut dyn Read,
) -> Result<(), ParseError> {
    let progress = Progress::default();
    let mut columns: Vec<Column> = layout::each(runs).collect();
    let mut rows = Rows::new(input, columns.len(), &progress);
    if has_header(element) {
        // Nothing at all is no rows, and no header either.
        if !rows.next()? {
            return Ok(());
        }
        columns = header(element, &columns, &rows)?;
    }
    while rows.next()? {
        if rows.row.len() != columns.len() {
            let (have, all) = (count(rows.row.len(), "cell"), columns.len());
            return Err(rows.malformed(None, &format!("{have} where {all} should be")));
        }
        let bytes = elements.next()?;
        for (i, (offset, scalar)) in columns.iter().enumerate() {
            let cell = trimmed(rows.row.get(i).unwrap_or_default());
            let slot = bytes.get_mut(*offset..).unwrap_or_default();
            per_scalar!(*scalar, V => match V::parse(cell) {
                Some(value) => value.store(slot),
                None => {
                    let name = match has_header(element) {
                        true => quoted(layout::path_at(element, *offset).as_bytes()),
                        false => (i + 1).to_string(),
                    };
                    let why = format!("column {name}: {}", refusal(*scalar, cell));
                    return Err(rows.malformed(Some(i), &why));
                }
            });
        }
    }
    Ok(())
}

/// A scalar's offset, and what it is.
type Column = (usize, Scalar);

/// The scalars in the order in which the header names them.
fn header(
    element: &ElementType,
    scalars: &[Column],
    rows: &Rows<'_>,
) -> Result<Vec<Column>, ParseError> {
    let mut columns = Vec::new();
    let mut named = vec![false; scalars.len()];
    for (i, cell) in rows.row.iter().enumerate() {
        let cell = trimmed(cell);
        let found = std::str::from_utf8(cell)
            .ok()
            .and_then(|path| layout::offset_of(element, path))
            .and_then(|offset| {
                scalars
                    .binary_search_by_key(&offset, |scalar| scalar.0)
                    .ok()
            });
        let Some(found) = found else {
            let (cell, element) = (quoted(cell), abridged(&element.to_string()));
            let why = format!("column {cell}: {element} has no such field");
            return Err(rows.malformed(Some(i), &why));
        };
        if std::mem::replace(&mut named[found], true) {
            let why = format!("column {}: there are two of them", quoted(cell));
            return Err(rows.malformed(Some(i), &why));
        }
        columns.push(scalars[found]);
    }
    match named.iter().position(|named| !named) {
        None => Ok(columns),
        Some(missing) => {
            let path = layout::path_at(element, scalars[missing].0);
            let why = format!("no column {}", quoted(path.as_bytes()));
            Err(rows.malformed(None, &why))
        }
    }
}

/// `1 cell`, `2 cells`.
fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// The rows of an input.
struct Rows<'a> {
    reader: csv::Reader<Lines<'a>>,
    row: ByteRecord,
    columns: usize,
    progress: &'a Progress,
}

impl<'a> Rows<'a> {
    fn new(input: &'a mut dyn Read, columns: usize, progress: &'a Progress) -> Rows<'a> {
        let lines = Lines {
            input,
            progress,
            last: b'\n',
            end: &b"\n\n"[..],
        };
        Rows {
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .terminator(Terminator::Any(b'\n'))
                .buffer_capacity(PAGE)
                .from_reader(lines),
            row: ByteRecord::new(),
            columns,
            progress,
        }
    }

    /// Whether there is another row; then it is in `row`.
    fn next(&mut self) -> Result<bool, ParseError> {
        loop {
            self.progress.left.set(MOST);
            self.progress.commas.set(self.columns + PAGE);
            let line = self.reader.position().line();
            match self.reader.read_byte_record(&mut self.row) {
                Ok(false) => return Ok(false),
                Ok(true) => {}
                Err(_) if self.progress.commas.get() == 0 => {
                    let all = count(self.columns, "cell");
                    let why = format!("too many commas for a row of {all}; is a quote not closed?");
                    return Err(ParseError::Malformed(format!("line {line}: {why}")));
                }
                Err(_) if self.progress.left.get() == 0 => {
                    let why = format!("a row of more than {MOST} bytes; is a quote not closed?");
                    return Err(ParseError::Malformed(format!("line {line}: {why}")));
                }
                Err(error) => {
                    return Err(ParseError::Input(match error.into_kind() {
                        csv::ErrorKind::Io(error) => error,
                        other => io::Error::other(format!("{other:?}")),
                    }));
                }
            }
            let all_read = self.reader.position().byte() == self.progress.given.get();
            if self.progress.ended.get() && all_read {
                // Its last cell has the line ends that were added, too.
                let last = self.row.len().saturating_sub(1);
                let line = self
                    .reader
                    .position()
                    .line()
                    .saturating_sub(self.line_ends(self.row.len()))
                    + self.line_ends(last);
                let why = format!("line {line}: a quote is not closed");
                return Err(ParseError::Malformed(why));
            }
            // A line of blanks, or of a carriage return, is empty too.
            let mut cells = self.row.iter();
            let empty = match (cells.next(), cells.next()) {
                (Some(only), None) => !only.is_empty() && trimmed(only).is_empty(),
                _ => false,
            };
            if !empty {
                return Ok(true);
            }
        }
    }

    /// Line ends within so many cells of the row.
    fn line_ends(&self, cells: usize) -> u64 {
        let bytes = self.row.iter().take(cells).flatten();
        bytes.filter(|byte| **byte == b'\n').count() as u64
    }

    /// What is wrong in a cell, or in the row as a whole.
    fn malformed(&self, cell: Option<usize>, why: &str) -> ParseError {
        let behind = self.reader.position().line();
        let first = behind.saturating_sub(1 + self.line_ends(self.row.len()));
        let line = first + cell.map_or(0, |cell| self.line_ends(cell));
        let place = match cell {
            Some(_) if why.starts_with("column ") => format!("line {line}, "),
            _ => format!("line {line}: "),
        };
        ParseError::Malformed(format!("{place}{why}"))
    }
}

/// What [`Lines`] tells about itself while the reader owns it.
#[derive(Default)]
struct Progress {
    /// Bytes that this row may still have.
    left: Cell<u64>,
    /// Commas that may still be read before this row ends.
    commas: Cell<usize>,
    /// Bytes handed out so far.
    given: Cell<u64>,
    /// Whether those at the end are among them.
    ended: Cell<bool>,
}

/// The input, with line ends behind its last line.
struct Lines<'a> {
    input: &'a mut dyn Read,
    progress: &'a Progress,
    last: u8,
    /// What is to be added at the end.
    end: &'static [u8],
}

impl Read for Lines<'_> {
    fn read(&mut self, page: &mut [u8]) -> io::Result<usize> {
        let mut read = match self.progress.ended.get() {
            true => 0,
            false => read_some(self.input, page)?,
        };
        if read == 0 {
            // Its own line end the last line may have already.
            if self.last == b'\n' && !self.progress.ended.get() {
                self.end = &self.end[1..];
            }
            self.progress.ended.set(true);
            read = self.end.read(page)?;
        } else {
            self.last = page[read - 1];
            let empty = page[..read].iter().all(|byte| *byte == b'\n');
            let left = self.progress.left.get();
            let left = if empty {
                left
            } else {
                left.saturating_sub(read as u64)
            };
            self.progress.left.set(left);
            let commas = page[..read].iter().filter(|byte| **byte == b',').count();
            let commas = self.progress.commas.get().saturating_sub(commas);
            self.progress.commas.set(commas);
            if left == 0 || commas == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        self.progress
            .given
            .set(self.progress.given.get() + read as u64);
        Ok(read)
    }
}
