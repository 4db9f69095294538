//! What is moved: random bytes, and how a reader knows that they are right.
//!
//! A message is one of 256 buffers of random bytes, picked at random, so that
//! large nodes come from memory and not from a cache that happens to hold one
//! hot buffer. (Of very large messages there are fewer buffers: a source never
//! takes much more than 256 MiB.)
//!
//! Two ways to know that all arrived, as a [`Tally`] at both ends:
//!
//! - *picked*: the sum of the first words of all messages, which differs if one
//!   was lost, doubled or changed, whoever read it; a last word that is the
//!   complement of the first, which differs if one was torn; and where one
//!   reader has all of one writer's messages, it picks as that one does, and
//!   knows what is due. Costs next to nothing, so it is always on.
//! - *checked* (`--verify`): each message carries a mark, and every byte after
//!   it follows from the mark. The order of each writer's messages shows in
//!   the marks, and the sum over all marks tells whether each came once.
//!
//! ```text
//!   0             8          12         16                      node_size
//!   | sequence no | writer   | check    | bytes 16.. of a buffer |
//! ```
//!
//! Both ends make the same buffers from the same seed. A writer's are here; what
//! a reader looks at is in `picked` and `checked`.

mod checked;
mod picked;
#[cfg(test)]
mod tests;

pub use checked::{Checker, mark_word};
pub use picked::{Seen, first_words};

use super::plan::MARK;
use crate::ideal::Private;
use checked::encode;
use serde::{Deserialize, Serialize};
use std::io;

/// Buffers to pick a message from.
const BUFFERS: usize = 256;
/// More memory than that is not taken for them, unless two need it.
const MOST_MEMORY: usize = 256 << 20;
/// How many messages, and a sum that tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub messages: u64,
    /// Of something in each, in any order.
    pub sum: u64,
}

impl Tally {
    /// One more.
    #[inline]
    pub fn add(&mut self, word: u64) {
        self.messages += 1;
        self.sum = self.sum.wrapping_add(word);
    }

    /// Those of another as well.
    pub fn merge(&mut self, other: Tally) {
        self.messages += other.messages;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Buffers of random bytes.
#[derive(Debug)]
pub struct Sources {
    memory: Private,
    size: usize,
    count: usize,
}

impl Sources {
    /// Those for messages of `size` bytes, the same whoever makes them.
    pub fn new(size: usize) -> io::Result<Sources> {
        let count = buffers(size);
        let len = size.checked_mul(count).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut memory = Private::map(len)?;
        let bytes = memory.bytes_mut();
        let mut random = Picks(88_172_645_463_325_252);
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = random.step().to_le_bytes();
        }
        rest.copy_from_slice(&random.step().to_le_bytes()[..rest.len()]);
        for (index, buffer) in bytes.chunks_exact_mut(size).enumerate() {
            let stamp = stamp(index).to_le_bytes();
            let short = size.min(stamp.len());
            buffer[..short].copy_from_slice(&stamp[..short]);
            let first = first_word(buffer);
            if size >= 16
                && let Some(last) = buffer.last_chunk_mut()
            {
                *last = (!first).to_le_bytes();
            }
        }
        Ok(Sources {
            memory,
            size,
            count,
        })
    }

    /// Buffer `index`, which is below the count.
    #[inline]
    fn buffer(&self, index: usize) -> &[u8] {
        let at = index * self.size;
        &self.memory.bytes()[at..at + self.size]
    }

    /// The next of a sequence of picks.
    #[inline]
    pub fn pick(&self, picks: &mut Picks) -> &[u8] {
        self.buffer(picks.below(self.count))
    }

    /// The message with that mark: valid until the next is asked for.
    pub fn marked(&mut self, writer: u32, sequence: u64) -> &[u8] {
        let at = self.index_of(writer, sequence) * self.size;
        let message = &mut self.memory.bytes_mut()[at..at + self.size];
        if let Some(mark) = message.first_chunk_mut::<{ MARK as usize }>() {
            *mark = encode(writer, sequence);
        }
        message
    }

    /// The bytes of that message after its mark.
    fn body(&self, writer: u32, sequence: u64) -> &[u8] {
        let buffer = self.buffer(self.index_of(writer, sequence));
        buffer.get(MARK as usize..).unwrap_or_default()
    }

    fn index_of(&self, writer: u32, sequence: u64) -> usize {
        (mix(sequence ^ u64::from(writer) << 48) % self.count as u64) as usize
    }
}

/// How many buffers there are for messages of `size` bytes.
fn buffers(size: usize) -> usize {
    (MOST_MEMORY / size.max(1)).clamp(2, BUFFERS)
}

/// Bytes of a [`Sources`] for messages of `size` bytes.
pub fn sources_len(size: usize) -> usize {
    size.saturating_mul(buffers(size))
}

/// What buffer `index` begins with.
fn stamp(index: usize) -> u64 {
    mix(index as u64 + 1)
}

/// The first eight bytes of a message, or all of a shorter one.
#[inline]
pub fn first_word(message: &[u8]) -> u64 {
    match message.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => message
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

fn mix(seed: u64) -> u64 {
    // splitmix64
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Marsaglia's xorshift, and numbers from its upper bits.
#[derive(Clone, Debug)]
pub struct Picks(u64);

impl Picks {
    /// A sequence of its own for each writer.
    pub fn of_writer(writer: u32) -> Picks {
        Picks(mix(99 + u64::from(writer)) | 1)
    }

    #[inline]
    fn step(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    #[inline]
    fn below(&mut self, count: usize) -> usize {
        ((self.step() >> 33) as usize * count) >> 31
    }
}
