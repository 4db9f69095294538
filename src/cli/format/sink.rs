//! Output in pages: printed numbers collect until a page is full.
//!
//! A number takes a few nanoseconds to print, so what leads to the output must
//! not cost more: no call, no copy, one comparison. A scalar is printed into a
//! window of fixed size within the page; what it did not use is where the
//! next window begins.
//!
//! ```text
//!   | 1.0\n2.5\n-3e300\n|<--- window, WIDTH bytes --->|          |
//!   0                   used                              PAGE + WIDTH
//! ```

use super::scalar::{Value, WIDTH};
use std::io::{self, Write};

/// As much as a pipe takes in one write.
const PAGE: usize = 64 << 10;

/// An output with a page before it.
pub struct Sink<'a> {
    out: &'a mut dyn Write,
    page: Box<[u8; PAGE + WIDTH]>,
    used: usize,
}

impl<'a> Sink<'a> {
    /// A page before `out`.
    pub fn new(out: &'a mut dyn Write) -> Sink<'a> {
        Sink {
            out,
            page: Box::new([0; PAGE + WIDTH]),
            used: 0,
        }
    }

    /// Scalars as text, a byte behind each: a loop in which nothing goes
    /// through memory but the numbers.
    #[inline]
    pub fn values<V: Value>(&mut self, bytes: &[u8], behind: u8) -> io::Result<()> {
        let mut used = self.used;
        for value in bytes.chunks_exact(V::SIZE) {
            if used >= PAGE {
                self.used = used;
                self.flush()?;
                used = 0;
            }
            if let Some(window) = self.page[used..].first_chunk_mut::<WIDTH>() {
                used += V::load(value).print(behind, window);
            }
        }
        self.used = used;
        Ok(())
    }

    /// A scalar as JSON.
    #[inline]
    pub fn json<V: Value>(&mut self, value: V) -> io::Result<()> {
        self.put(|window| value.print_json(window))
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) -> io::Result<()> {
        self.put(|window| {
            window[0] = byte;
            1
        })
    }

    /// Any number of bytes; more than a page go past it.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.page.len() - self.used {
            self.flush()?;
        }
        if bytes.len() > PAGE {
            return self.out.write_all(bytes);
        }
        self.page[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }

    /// Replaces the byte behind the last of [`values`](Sink::values), which is
    /// still in the page: a page is emptied before something comes, not after.
    #[inline]
    pub fn instead(&mut self, byte: u8) {
        if let Some(last) = self.page[..self.used].last_mut() {
            *last = byte;
        }
    }

    /// Hands over what there is, and lets the output do the same.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let used = std::mem::take(&mut self.used);
        self.out.write_all(&self.page[..used])
    }

    #[inline]
    fn put(&mut self, print: impl FnOnce(&mut [u8; WIDTH]) -> usize) -> io::Result<()> {
        if self.used >= PAGE {
            self.flush()?;
        }
        if let Some(window) = self.page[self.used..].first_chunk_mut() {
            self.used += print(window);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_or_doubled_at_the_ends_of_pages() {
        let mut out = Vec::new();
        let mut expected = String::new();
        let mut sink = Sink::new(&mut out);
        for i in 0..60_000u32 {
            match i % 4 {
                0 => sink.values::<u32>(&i.to_le_bytes(), b' ').unwrap(),
                1 => sink.bytes(format!("<{i}>").as_bytes()).unwrap(),
                2 => sink.byte(b'.').unwrap(),
                _ => sink.json(f64::NAN).unwrap(),
            }
            expected += &match i % 4 {
                0 => format!("{i} "),
                1 => format!("<{i}>"),
                2 => ".".to_owned(),
                _ => "\"NaN\"".to_owned(),
            };
        }
        let long = "x".repeat(PAGE + 1);
        sink.bytes(long.as_bytes()).unwrap();
        sink.bytes(&long.as_bytes()[..PAGE]).unwrap();
        sink.values::<u8>(&[7], b' ').unwrap();
        sink.instead(b'\n');
        sink.finish().unwrap();
        expected += &format!("{long}{}7\n", &long[..PAGE]);
        assert!(out == expected.as_bytes());
    }

    #[test]
    fn a_failing_output_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut full = Full;
        let mut sink = Sink::new(&mut full);
        let failed = (0..=PAGE).find_map(|_| sink.byte(b'\n').err());
        assert_eq!(failed.unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
