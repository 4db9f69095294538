//! The same element again and again, as fast as memory takes it.
//!
//! ```text
//! e             one element
//! ee            doubled, and doubled again, until there is a block of some
//! eeee          256 KiB, which stays in the cache
//! eeeeeeee|eeeeeeee|eeeeeeee|eee
//!  block   then copied over the rest, so that memory is only written
//! ```
//!
//! Doubling to the end would read all of it but the last half again from
//! memory.

/// Bytes that are copied over and over: within any second-level cache.
const BLOCK: usize = 256 << 10;

/// Fills `out` with copies of `element`; a whole number of them has room.
pub(super) fn fill(out: &mut [u8], element: &[u8]) {
    if element.is_empty() || out.len() < element.len() {
        return;
    }
    let wanted = (BLOCK / element.len()).max(1) * element.len();
    let (block, rest) = out.split_at_mut(wanted.min(out.len()));
    block[..element.len()].copy_from_slice(element);
    let mut filled = element.len();
    while filled < block.len() {
        let more = filled.min(block.len() - filled);
        block.copy_within(..more, filled);
        filled += more;
    }
    for part in rest.chunks_mut(block.len()) {
        part.copy_from_slice(&block[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_the_same_whatever_their_size_and_number() {
        for size in [1, 2, 3, 8, 24, 1000, 65_535, 65_536] {
            for len in [1, 2, 3, 5, 7, 100, 1 + BLOCK / size, 3 * BLOCK / size + 2] {
                let element: Vec<u8> = (1..=size).map(|i| (i % 251) as u8 + 1).collect();
                let mut out = vec![0; size * len];
                fill(&mut out, &element);
                assert!(
                    out.chunks_exact(size).all(|e| e == element),
                    "{len} of {size}"
                );
            }
        }
    }
}
