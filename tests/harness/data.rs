//! Data that knows where it belongs.
//!
//! A [`Pattern`] is an endless pseudo-random stream: the byte at each position
//! follows from the position alone, so that one end can make a gigabyte and
//! the other end verify it, byte for byte, and neither has to store it. A
//! block of a prime number of random bytes is repeated, so no node size is in
//! step with it, and each repetition begins with its own number, so that a
//! lost or doubled block is seen too.
//!
//! A *record* is an item that names its writer and its place in the writer's
//! order, filled up with bytes that follow from both.

use std::io::{self, Read, Write};

/// Bytes in a block: a prime.
const BLOCK: usize = 1_048_573;

/// A deterministic stream of `len` bytes, from position 0.
#[derive(Clone)]
pub struct Pattern {
    block: std::sync::Arc<Vec<u8>>,
    seed: u64,
    pub len: u64,
}

fn mix(seed: u64) -> u64 {
    // splitmix64
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Pattern {
    pub fn new(seed: u64, len: u64) -> Pattern {
        let words = (0..BLOCK.div_ceil(8) as u64).map(|i| mix(seed ^ i << 20).to_le_bytes());
        let mut block: Vec<u8> = words.flatten().collect();
        block.truncate(BLOCK);
        Pattern {
            block: std::sync::Arc::new(block),
            seed,
            len,
        }
    }

    /// The bytes at `position`, up to the next seam, at most `most`.
    fn piece<'a>(&'a self, position: u64, most: usize, stamp: &'a mut [u8; 8]) -> &'a [u8] {
        let (turn, at) = (position / BLOCK as u64, (position % BLOCK as u64) as usize);
        if at < 8 {
            *stamp = mix(self.seed ^ turn << 1).to_le_bytes();
            &stamp[at..8.min(at + most)]
        } else {
            &self.block[at..BLOCK.min(at + most)]
        }
    }

    /// All of it: for short ones.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out).unwrap();
        out
    }

    /// Writes all of it, in pieces of up to a block.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut position = 0;
        while position < self.len {
            let most = (self.len - position).min(BLOCK as u64) as usize;
            let mut stamp = [0; 8];
            let piece = self.piece(position, most, &mut stamp);
            out.write_all(piece)?;
            position += piece.len() as u64;
        }
        Ok(())
    }

    /// A temporary file of it.
    pub fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        self.write_to(file.as_file_mut()).unwrap();
        file
    }

    /// BLAKE3 of it, in hexadecimal, as b3sum prints it.
    pub fn blake3(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.write_to(&mut hasher).unwrap();
        hasher.finalize().to_string()
    }

    /// Compares what is written to it with the stream.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            pattern: self.clone(),
            position: 0,
            first_wrong: None,
        }
    }

    /// Reads to the end, comparing.
    pub fn verify(&self, from: &mut impl Read) -> Verdict {
        let mut verifier = self.verifier();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return verifier.verdict(),
                Ok(n) => verifier.take(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => panic!("reading what came out: {e}"),
            }
        }
    }
}

/// See [`Pattern::verifier`].
pub struct Verifier {
    pattern: Pattern,
    position: u64,
    first_wrong: Option<u64>,
}

/// What came out, compared with what went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Bytes that came.
    pub bytes: u64,
    /// Position of the first byte that is not the right one.
    pub first_wrong: Option<u64>,
}

impl Verifier {
    pub fn take(&mut self, mut data: &[u8]) {
        while !data.is_empty() && self.first_wrong.is_none() {
            let mut stamp = [0; 8];
            let want = self.pattern.piece(self.position, data.len(), &mut stamp);
            let got = &data[..want.len()];
            if want != got {
                let at = want.iter().zip(got).position(|(w, g)| w != g).unwrap();
                self.first_wrong = Some(self.position + at as u64);
            }
            self.position += want.len() as u64;
            data = &data[want.len()..];
        }
        self.position += data.len() as u64;
        if self.position > self.pattern.len && self.first_wrong.is_none() {
            self.first_wrong = Some(self.pattern.len);
        }
    }
    pub fn verdict(&self) -> Verdict {
        Verdict {
            bytes: self.position,
            first_wrong: self.first_wrong,
        }
    }
}

impl Verdict {
    /// The whole stream and nothing else.
    #[track_caller]
    pub fn is_whole(self, pattern: &Pattern) {
        assert_eq!(
            self,
            Verdict {
                bytes: pattern.len,
                first_wrong: None
            }
        );
    }
    /// The stream's beginning, possibly nothing: no byte wrong, none missing
    /// in the middle.
    #[track_caller]
    pub fn is_a_beginning(self, pattern: &Pattern) -> u64 {
        assert!(
            self.first_wrong.is_none() && self.bytes <= pattern.len,
            "{self:?}"
        );
        self.bytes
    }
}

/// Record number `sequence` of `writer`, `size` bytes (16 at least).
pub fn record(writer: u32, sequence: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    bytes[0..4].copy_from_slice(b"REC1");
    bytes[4..8].copy_from_slice(&writer.to_le_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_le_bytes());
    let key = mix(u64::from(writer) << 32 | u64::from(sequence)).to_le_bytes();
    for (at, chunk) in bytes[12..].chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&key[..chunk.len()]);
        chunk[0] ^= at as u8;
    }
    bytes
}

/// Records 0 to `count` of `writer`, one after another.
pub fn records(writer: u32, count: u32, size: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|sequence| record(writer, sequence, size))
        .collect()
}

/// The (writer, sequence) of each record, in order; panics on a torn one.
#[track_caller]
pub fn decode_records(bytes: &[u8], size: usize) -> Vec<(u32, u32)> {
    assert_eq!(
        bytes.len() % size,
        0,
        "{} bytes are not whole records of {size}",
        bytes.len()
    );
    let decode = |(at, chunk): (usize, &[u8])| {
        let word = |at: usize| u32::from_le_bytes(chunk[at..at + 4].try_into().unwrap());
        let (writer, sequence) = (word(4), word(8));
        assert!(
            chunk == record(writer, sequence, size),
            "record {at} is torn"
        );
        (writer, sequence)
    };
    bytes.chunks(size).enumerate().map(decode).collect()
}
