//! What is in a segment, as `hexdump -C` shows bytes.
//!
//! Of a ring, the nodes that were committed and not yet read to the end,
//! oldest first: their payload, each with offsets of its own. Of an array or a
//! buffer, its payload, all of it, with offsets from its beginning. A line
//! that repeats the one before is shown as `*`. The payload is read in pieces
//! and never kept.
//!
//! Nothing holds a node still while it is read: a reader may empty it and a
//! writer fill it again. So its word is looked at once more afterwards, and a
//! node that was reused is said to be so. Nor is the lock of an array or a
//! buffer taken, since looking leaves no trace: while somebody writes, what is
//! shown is old and new mixed.

use super::array::payload;
use super::source::word64;
use super::{NodeRow, ring_layout, state_name};
use crate::ring::layout::{NODE_WORDS_SIZE, NodeWord};
use crate::segment::{Opened, SegmentError};
use std::io::{self, Write};

const LINE: usize = 16;
/// Payload bytes read at once: a multiple of [`LINE`].
const PIECE: u64 = 64 * 1024;

/// Why a dump ended early.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The segment could not be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The output could not be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Dumps the committed nodes among `rows`, oldest first; those that are not
/// yet in the order come last.
///
/// # Errors
///
/// [`DumpError::Segment`] when the segment is no ring or was truncated
/// meanwhile, [`DumpError::Output`] when `out` fails.
pub fn write_nodes(
    out: &mut dyn Write,
    opened: &Opened,
    rows: &[NodeRow],
) -> Result<(), DumpError> {
    let (geometry, layout) = ring_layout(opened)?;
    let mut committed: Vec<&NodeRow> = rows
        .iter()
        .filter(|row| row.is_committed() && row.node < geometry.nodes)
        .collect();
    committed.sort_unstable_by_key(|row| (row.position.unwrap_or(u64::MAX), row.node));
    for row in committed {
        write_heading(out, row)?;
        let node = u64::from(row.node);
        let payload = layout.payload + node * layout.payload_stride;
        let len = row.len.min(geometry.node_size);
        write_bytes(out, opened, payload, len)?;
        let mut word = [0; 8];
        opened.read_at(layout.nodes + node * NODE_WORDS_SIZE, &mut word)?;
        if NodeWord(word64(&word, 0)).generation() != row.generation {
            writeln!(
                out,
                "(node {node} was read and came free meanwhile: bytes may be mixed)"
            )?;
        }
    }
    Ok(())
}

/// Dumps the payload of an array or a buffer.
///
/// # Errors
///
/// [`DumpError::Segment`] when the segment is a ring, damaged, or was truncated
/// meanwhile, [`DumpError::Output`] when `out` fails.
pub fn write_payload(out: &mut dyn Write, opened: &Opened) -> Result<(), DumpError> {
    let (payload, len) = payload(opened)?;
    write_bytes(out, opened, payload, len)
}

/// Dumps `len` bytes from `start` on, piece by piece.
fn write_bytes(
    out: &mut dyn Write,
    opened: &Opened,
    start: u64,
    len: u64,
) -> Result<(), DumpError> {
    let mut dump = HexDump::new(out);
    let mut piece = Vec::new();
    let mut done = 0;
    while done < len {
        piece.resize((len - done).min(PIECE) as usize, 0);
        opened.read_at(start + done, &mut piece)?;
        dump.push(&piece)?;
        done += piece.len() as u64;
    }
    dump.finish()?;
    Ok(())
}

fn write_heading(out: &mut dyn Write, row: &NodeRow) -> io::Result<()> {
    let NodeRow {
        node, state, len, ..
    } = *row;
    let state = state_name(state);
    match row.position {
        Some(position) => writeln!(
            out,
            "node {node}, position {position}, {state}, {len} bytes"
        ),
        None => writeln!(
            out,
            "node {node}, not in the order yet, {state}, {len} bytes"
        ),
    }
}

/// Writes bytes as lines of offset, 16 bytes and their ASCII.
struct HexDump<'a> {
    out: &'a mut dyn Write,
    offset: u64,
    last: Vec<u8>,
    repeating: bool,
}

impl<'a> HexDump<'a> {
    fn new(out: &'a mut dyn Write) -> HexDump<'a> {
        HexDump {
            out,
            offset: 0,
            last: Vec::new(),
            repeating: false,
        }
    }

    /// Adds bytes: a multiple of 16 of them unless they are the last.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        for line in bytes.chunks(LINE) {
            if line.len() == LINE && line == self.last {
                if !self.repeating {
                    writeln!(self.out, "*")?;
                }
                self.repeating = true;
            } else {
                self.repeating = false;
                self.write_line(line)?;
                self.last.clear();
                self.last.extend_from_slice(line);
            }
            self.offset += line.len() as u64;
        }
        Ok(())
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut text = format!("{:08x} ", self.offset);
        for i in 0..LINE {
            if i % 8 == 0 {
                text.push(' ');
            }
            match line.get(i) {
                Some(byte) => text.push_str(&format!("{byte:02x} ")),
                None => text.push_str("   "),
            }
        }
        text.push_str(" |");
        text.extend(line.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        writeln!(self.out, "{text}|")
    }

    /// The offset after the last byte, as hexdump has it.
    fn finish(self) -> io::Result<()> {
        writeln!(self.out, "{:08x}", self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumped(pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut dump = HexDump::new(&mut out);
        for piece in pieces {
            dump.push(piece).unwrap();
        }
        dump.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_short_line_keeps_its_columns() {
        assert_eq!(
            dumped(&[b"hello, shm\n\x00\xff"]),
            "00000000  68 65 6c 6c 6f 2c 20 73  68 6d 0a 00 ff           |hello, shm...|\n\
             0000000d\n"
        );
    }

    #[test]
    fn repeated_lines_are_shown_once_also_across_pieces() {
        assert_eq!(
            dumped(&[&[0x41; 32], &[0x41; 32], b"B"]),
            "00000000  41 41 41 41 41 41 41 41  41 41 41 41 41 41 41 41  |AAAAAAAAAAAAAAAA|\n\
             *\n\
             00000040  42                                                |B|\n\
             00000041\n"
        );
    }

    #[test]
    fn nothing_is_dumped_as_its_length() {
        assert_eq!(dumped(&[]), "00000000\n");
    }
}
