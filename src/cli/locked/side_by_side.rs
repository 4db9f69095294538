//! Formatting text on all cores.
//!
//! To print a number takes longer than to move it, and lines of text know
//! nothing of each other: pieces of a large array are formatted side by side,
//! and written in their order.
//!
//! ```text
//!            piece 0, 2, 4 ─> worker 0 ─┐
//! elements ─┤                           ├─> taken in turn ─> output
//!            piece 1, 3, 5 ─> worker 1 ─┘
//! ```
//!
//! Each worker is at most [`AHEAD`] pieces ahead, so memory stays small and a
//! slow output makes all of them wait. When the output ends early (closed, a
//! signal), nobody takes from the workers any more, and they end at their next
//! piece.

use super::super::format::{Format, Printer};
use shmkit::array::ElementType;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Finished pieces that a worker may have in hand.
const AHEAD: usize = 2;
/// More workers than this are faster than any output.
const MOST: usize = 4;
/// With less than this, threads cost more than they save.
const WORTH_IT: usize = 1 << 20;

/// How many workers that many bytes are worth: 1 means none but the caller.
pub fn workers(format: Format, bytes: usize) -> usize {
    match format {
        Format::Text if bytes >= WORTH_IT => thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(MOST),
        _ => 1,
    }
}

/// Prints `bytes`, whole elements, as text to `out`, in pieces of `piece`
/// bytes; calls `done` with each piece that is out.
pub fn print(
    element: &ElementType,
    bytes: &[u8],
    piece: usize,
    workers: usize,
    out: &mut dyn Write,
    mut done: impl FnMut(&[u8]),
) -> io::Result<()> {
    thread::scope(|scope| {
        let mut finished = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(AHEAD);
            finished.push(receiver);
            let pieces = bytes.chunks(piece).skip(worker).step_by(workers);
            thread::Builder::new().spawn_scoped(scope, move || format(element, pieces, &sender))?;
        }
        for (piece, from) in bytes.chunks(piece).zip(finished.iter().cycle()) {
            // Nobody hangs up before the last piece.
            let text = from.recv().map_err(io::Error::other)??;
            out.write_all(&text)?;
            done(piece);
        }
        Ok(())
        // Here the receivers are dropped, and then the workers awaited.
    })
}

/// A worker: formats its pieces, as long as somebody takes them.
fn format<'a>(
    element: &ElementType,
    pieces: impl Iterator<Item = &'a [u8]>,
    finished: &SyncSender<io::Result<Vec<u8>>>,
) {
    for piece in pieces {
        // Of most types the text is about as long as twice the bytes.
        let mut text = Vec::with_capacity(2 * piece.len());
        let formatted = one_piece(element, piece, &mut text).map(|()| text);
        if finished.send(formatted).is_err() {
            return;
        }
    }
}

fn one_piece(element: &ElementType, piece: &[u8], text: &mut Vec<u8>) -> io::Result<()> {
    let count = (piece.len() / element.size()) as u64;
    let mut printer = Printer::new(Format::Text, element, count, text)?;
    printer.push(piece)?;
    printer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(count: u32) -> (ElementType, Vec<u8>, String) {
        let element = "u32".parse().unwrap();
        let bytes = (0..count).flat_map(u32::to_le_bytes).collect();
        let text = (0..count).map(|i| format!("{i}\n")).collect();
        (element, bytes, text)
    }

    #[test]
    fn pieces_come_in_their_order_whatever_the_workers() {
        let (element, bytes, text) = elements(10_001);
        for workers in 1..=5 {
            let (mut out, mut seen) = (Vec::new(), Vec::new());
            let done = |piece: &[u8]| seen.extend_from_slice(piece);
            print(&element, &bytes, 256, workers, &mut out, done).unwrap();
            assert!(out == text.as_bytes(), "{workers} workers");
            assert!(seen == bytes);
        }
    }

    #[test]
    fn an_output_that_fails_ends_all_of_them() {
        struct Closed(usize);
        impl Write for Closed {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += bytes.len();
                match self.0 {
                    0..5000 => Ok(bytes.len()),
                    _ => Err(io::ErrorKind::BrokenPipe.into()),
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (element, bytes, _) = elements(100_000);
        let printed = print(&element, &bytes, 256, 3, &mut Closed(0), |_| {});
        assert_eq!(printed.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn only_much_text_is_worth_threads() {
        assert_eq!(workers(Format::Text, WORTH_IT - 1), 1);
        assert_eq!(workers(Format::Json, usize::MAX), 1);
        assert!((1..=MOST).contains(&workers(Format::Text, WORTH_IT)));
    }
}
