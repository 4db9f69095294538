//! What parsers fill: the bytes of elements, never more than there is room for.
//!
//! Everything is parsed before the first byte is stored, so the elements are
//! in memory as a whole; but an input may be endless. [`Elements`] hands out
//! one zeroed element after the other (so padding is 0) and refuses the one
//! too many before it takes memory for it. It grows with what has come, not
//! with the room there is: a few values for a large array cost a few bytes.

use super::ParseError;

/// The elements parsed so far.
#[derive(Debug)]
pub struct Elements {
    bytes: Vec<u8>,
    size: usize,
    room: u64,
    /// Bytes that `room` elements have.
    limit: usize,
    refused: bool,
}

impl Elements {
    /// None yet, of `size` bytes each, and room for so many.
    pub fn new(size: usize, room: u64) -> Elements {
        let room_here = usize::try_from(room).unwrap_or(usize::MAX);
        Elements {
            bytes: Vec::new(),
            size,
            room,
            limit: room_here.saturating_mul(size),
            refused: false,
        }
    }

    /// The next element, all bytes 0.
    ///
    /// # Errors
    ///
    /// There is no room for it, or no memory.
    #[inline]
    pub fn next(&mut self) -> Result<&mut [u8], ParseError> {
        let start = self.bytes.len();
        if self.bytes.capacity() - start < self.size || self.limit - start < self.size {
            self.grow(self.size)?;
        }
        self.bytes.resize(start + self.size, 0);
        Ok(&mut self.bytes[start..])
    }

    /// More bytes of elements; a piece may end within an element.
    ///
    /// # Errors
    ///
    /// There is no room for them, or no memory.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        self.grow(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether so many elements more would fit.
    ///
    /// # Errors
    ///
    /// They would not.
    pub fn check(&mut self, more: u64) -> Result<(), ParseError> {
        let have = (self.bytes.len() / self.size) as u64;
        if have.checked_add(more).is_none_or(|all| all > self.room) {
            return Err(self.refuse());
        }
        Ok(())
    }

    /// Whether an element has been refused because there is no room for it.
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// The error that says how many fit.
    pub fn refuse(&mut self) -> ParseError {
        self.refused = true;
        ParseError::TooMany { room: self.room }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All of them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Makes room for so many bytes: twice what there was, but not beyond
    /// what can ever be filled.
    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), ParseError> {
        const LEAST: usize = 64 << 10;
        let left = self.limit - self.bytes.len();
        if more > left {
            return Err(self.refuse());
        }
        if more <= self.bytes.capacity() - self.bytes.len() {
            return Ok(());
        }
        let wanted = self.bytes.len().max(LEAST).max(more).min(left);
        self.bytes
            .try_reserve_exact(wanted)
            .map_err(|_| ParseError::Input(std::io::ErrorKind::OutOfMemory.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_too_many_is_refused_with_the_number_that_fits() {
        let mut elements = Elements::new(3, 2);
        elements.next().unwrap().fill(7);
        assert_eq!(elements.next().unwrap(), [0, 0, 0]);
        assert!(!elements.refused());
        let error = elements.next().unwrap_err();
        assert!(matches!(error, ParseError::TooMany { room: 2 }));
        assert!(elements.refused());
        assert_eq!(elements.into_bytes(), [7, 7, 7, 0, 0, 0]);
    }

    #[test]
    fn room_without_end_takes_no_memory_in_advance() {
        let mut elements = Elements::new(65536, u64::MAX);
        elements.next().unwrap();
        assert!(elements.bytes.capacity() <= 1 << 20);
        assert!(elements.check(u64::MAX).is_err());
    }
}
