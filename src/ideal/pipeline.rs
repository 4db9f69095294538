//! The two ends of the ideal pipeline.
//!
//! Pairs of memory orders: the Release store of `tail` in
//! [`PipelineWriter::put_all`] with the Acquire load in
//! [`PipelineReader::take_all`] (the bytes are there), and the Release store of
//! `head` there with the Acquire load in `put_all` (the slot is done with).
//! The end of the stream is one more word, stored after the last `tail` and
//! looked at only by a reader that has nothing to do anyway: it costs a
//! running pipeline nothing.
//!
//! Both loops work on a copy of their few words, which the compiler then keeps
//! in registers: a tenth of a microsecond is all that a small message has.

use super::board::{BOARD_SIZE, Board};
use super::memory::Shared;
use rustix::fd::AsFd;
use rustix::io::{Errno, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pauses before a waiting side lets others have the processor.
const SPINS: u32 = 4000;

const WRITER: u64 = 1;
const READER: u64 = 2;

/// That end of the pipeline was given out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this end of the ideal pipeline is taken")]
pub struct EndTaken;

/// An ideal pipeline, mapped: see the top of this room.
#[derive(Clone, Debug)]
pub struct Pipeline {
    board: Board,
    shared: Arc<Shared>,
    /// Bytes from one slot to the next: whole cache lines.
    stride: usize,
    /// Bytes from the first slot to past the last.
    end: usize,
    nodes: u64,
    size: usize,
}

impl Pipeline {
    /// Bytes of the shared file for a pipeline of `nodes` slots of `size`
    /// bytes; `None` if no address space is so large.
    pub fn file_size(nodes: usize, size: usize) -> Option<usize> {
        let stride = size.checked_next_multiple_of(64)?;
        nodes.checked_mul(stride)?.checked_add(BOARD_SIZE)
    }

    /// Maps one, from a file of [`Pipeline::file_size`] bytes or more made by
    /// [`Shared::file`].
    ///
    /// # Errors
    ///
    /// `INVAL` for no nodes or nodes of no bytes; those of [`Shared::map`].
    pub fn map(file: impl AsFd, nodes: usize, size: usize) -> Result<Pipeline> {
        let len = Self::file_size(nodes, size).ok_or(Errno::INVAL)?;
        if nodes == 0 || size == 0 {
            return Err(Errno::INVAL);
        }
        let shared = Arc::new(Shared::map(file, len)?);
        let stride = size.next_multiple_of(64);
        let end = nodes * stride;
        if !shared.has(BOARD_SIZE, end) {
            return Err(Errno::INVAL);
        }
        Ok(Pipeline {
            board: Board::over(Arc::clone(&shared))?,
            shared,
            stride,
            end,
            nodes: nodes as u64,
            size,
        })
    }

    /// Where its workers meet.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The writing end, to the first in all processes who asks.
    ///
    /// # Errors
    ///
    /// [`EndTaken`].
    pub fn writer(&self) -> std::result::Result<PipelineWriter, EndTaken> {
        let at = self.take_end(WRITER)?;
        let pipe = self.clone();
        Ok(PipelineWriter { pipe, at })
    }

    /// The reading end, to the first in all processes who asks.
    ///
    /// # Errors
    ///
    /// [`EndTaken`].
    pub fn reader(&self) -> std::result::Result<PipelineReader, EndTaken> {
        let at = self.take_end(READER)?;
        let pipe = self.clone();
        Ok(PipelineReader { pipe, at })
    }

    fn take_end(&self, end: u64) -> std::result::Result<At, EndTaken> {
        match self.board.ends().fetch_or(end, Ordering::AcqRel) & end {
            0 => Ok(At::default()),
            _ => Err(EndTaken),
        }
    }

    /// The first slot.
    fn slots(&self) -> *mut u8 {
        self.shared.at(BOARD_SIZE)
    }

    #[inline(always)]
    fn advance(&self, at: &mut At) {
        at.position += 1;
        at.offset += self.stride;
        if at.offset == self.end {
            at.offset = 0;
        }
    }
}

/// How far one end has come.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    /// Messages put or taken so far.
    position: u64,
    /// The next one's slot, in bytes from the first slot.
    offset: usize,
    /// The other side's cursor as last seen.
    seen: u64,
}

/// The writing end: there is one.
#[derive(Debug)]
pub struct PipelineWriter {
    pipe: Pipeline,
    at: At,
}

impl PipelineWriter {
    /// Copies messages in, each of exactly the pipeline's node size, spinning
    /// whenever there is no room. Returns what they came from.
    ///
    /// # Panics
    ///
    /// If a message has another length.
    #[inline(never)]
    pub fn put_all<'m, M>(&mut self, mut messages: M) -> M
    where
        M: Iterator<Item = &'m [u8]>,
    {
        let pipe = &self.pipe;
        let (head, tail) = (pipe.board.head(), pipe.board.tail());
        let (slots, mut at) = (pipe.slots(), self.at);
        // By value, and not behind a reference: each store of ours queues behind
        // those into the slots, which wait for the reader's cache lines.
        #[allow(clippy::while_let_on_iterator)]
        while let Some(message) = messages.next() {
            assert!(message.len() == pipe.size);
            if at.position >= at.seen + pipe.nodes {
                at.seen = spin(|| {
                    let head = head.load(Ordering::Acquire);
                    (head + pipe.nodes > at.position).then_some(head)
                });
            }
            let slot = slots.wrapping_add(at.offset);
            // SAFETY: `slot` is `size` bytes within the mapping. The reader has
            // released it (`head` has passed it), will not read it before `tail`
            // passes it, and this is the only writer.
            unsafe { slot.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
            pipe.advance(&mut at);
            tail.store(at.position, Ordering::Release);
        }
        self.at = at;
        messages
    }

    /// Ends the stream: the reader takes what is there, and no more.
    pub fn close(self) {
        self.pipe.board.closed().store(1, Ordering::Release);
    }
}

/// The reading end: there is one.
#[derive(Debug)]
pub struct PipelineReader {
    pipe: Pipeline,
    at: At,
}

impl PipelineReader {
    /// Copies up to `most` messages out, one over the other, spinning whenever
    /// there is none: fewer only if the stream has ended. Adds each to what is
    /// known `so_far`, by `look`, and returns that.
    ///
    /// # Panics
    ///
    /// If `into` has not exactly the pipeline's node size.
    #[inline(never)]
    pub fn take_all<T>(
        &mut self,
        most: u64,
        into: &mut [u8],
        mut so_far: T,
        look: impl Fn(T, &[u8]) -> T,
    ) -> T {
        let pipe = &self.pipe;
        assert!(into.len() == pipe.size);
        let (head, tail, closed) = (pipe.board.head(), pipe.board.tail(), pipe.board.closed());
        let (slots, mut at) = (pipe.slots(), self.at);
        let begin = at.position;
        while at.position - begin < most {
            if at.seen <= at.position {
                at.seen = spin(|| {
                    // First whether that was all, then whether there is more.
                    let ended = closed.load(Ordering::Acquire) != 0;
                    let tail = tail.load(Ordering::Acquire);
                    (tail > at.position || ended).then_some(tail)
                });
                if at.seen <= at.position {
                    break;
                }
            }
            let slot = slots.wrapping_add(at.offset);
            // SAFETY: `slot` is `size` bytes within the mapping. The writer has
            // published it (`tail` has passed it), will not touch it before `head`
            // passes it, and this is the only reader.
            unsafe { slot.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
            so_far = look(so_far, into);
            pipe.advance(&mut at);
            head.store(at.position, Ordering::Release);
        }
        self.at = at;
        so_far
    }
}

/// Waits until there is a value and returns it.
fn spin<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut spins = 0;
    loop {
        if let Some(value) = look() {
            return value;
        }
        spins += 1;
        if spins < SPINS {
            std::hint::spin_loop();
        } else {
            rustix::thread::sched_yield();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(nodes: usize, size: usize) -> Pipeline {
        let file = Shared::file(Pipeline::file_size(nodes, size).unwrap()).unwrap();
        Pipeline::map(&file, nodes, size).unwrap()
    }

    #[test]
    fn every_message_arrives_once_and_in_order() {
        for (nodes, size) in [(2, 1), (3, 9), (5, 64), (20, 1000)] {
            let pipe = pipeline(nodes, size);
            let mut reader = pipe.reader().unwrap();
            let mut writer = pipe.writer().unwrap();
            let messages: Vec<Vec<u8>> = (0..1000u32)
                .map(|i| (0..size).map(|at| (i as usize * 7 + at) as u8).collect())
                .collect();
            let sent = messages.clone();
            let sender = std::thread::spawn(move || {
                let _ = writer.put_all(sent.iter().map(Vec::as_slice));
                writer.close();
            });
            let mut into = vec![0; size];
            let push = |mut got: Vec<Vec<u8>>, message: &[u8]| {
                got.push(message.to_vec());
                got
            };
            let got = reader.take_all(10, &mut into, Vec::new(), push);
            assert_eq!(got.len(), 10);
            let got = reader.take_all(u64::MAX, &mut into, got, push);
            assert_eq!(got, messages, "{nodes} nodes of {size}, then the end");
            sender.join().unwrap();
        }
    }

    #[test]
    fn each_end_is_given_out_once() {
        let pipe = pipeline(2, 8);
        let again = pipe.clone();
        assert!(pipe.writer().is_ok());
        assert_eq!(again.writer().unwrap_err(), EndTaken);
        assert!(again.reader().is_ok());
        assert_eq!(pipe.reader().unwrap_err(), EndTaken);
    }

    #[test]
    fn a_pipeline_of_nothing_or_too_much_is_refused() {
        let file = Shared::file(BOARD_SIZE + 128).unwrap();
        assert!(Pipeline::map(&file, 2, 64).is_ok());
        assert!(Pipeline::map(&file, 0, 64).is_err());
        assert!(Pipeline::map(&file, 2, 0).is_err());
        assert!(
            Pipeline::map(&file, 3, 64).is_err(),
            "the file is too short"
        );
        assert!(Pipeline::map(&file, usize::MAX, 64).is_err());
    }
}
