//! Bytes as the elements that they are, where they are.
//!
//! ```text
//! &[u8] --- aligned to T? whole elements? ---> &[T]
//! ```
//!
//! The one place where shared bytes become values without a copy. Any bytes are
//! a value of an [`Element`], so only place and length can be wrong; both are
//! compared each time, which costs an instruction or two.

use super::Element;

/// `bytes` as elements; `None` if they are not aligned for a `T`, or not a
/// whole number of them.
#[inline]
pub(crate) fn elements<T: Element>(bytes: &[u8]) -> Option<&[T]> {
    <[T] as zerocopy::FromBytes>::ref_from_bytes(bytes).ok()
}

/// `bytes` as elements that can be changed; `None` as for [`elements`].
#[inline]
pub(crate) fn elements_mut<T: Element>(bytes: &mut [u8]) -> Option<&mut [T]> {
    let first = bytes.as_mut_ptr().cast::<T>();
    let len = bytes.len().checked_div(size_of::<T>())?;
    if !first.is_aligned() || len * size_of::<T>() != bytes.len() {
        return None;
    }
    // zerocopy has this for types without padding only: through `bytes` one
    // could afterwards read what is in the padding, which may be nothing. Here
    // they are shared memory, which the compiler knows nothing about: whatever
    // is in a padding there, it is some bytes.
    // SAFETY: the bytes of one exclusive borrow, which the result continues;
    // aligned, and `len` elements long, as was just compared; and any bytes are
    // a `T`.
    Some(unsafe { std::slice::from_raw_parts_mut(first, len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_elements_only_where_they_are_aligned_and_whole() {
        let mut memory = [0x0101_0101_0101_0101u64; 4];
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut memory[..]);
        assert_eq!(elements::<u32>(&bytes[4..16]), Some(&[0x0101_0101; 3][..]));
        assert_eq!(elements::<u32>(&bytes[2..14]), None);
        assert_eq!(elements::<u32>(&bytes[4..14]), None);
        assert_eq!(elements::<[u8; 3]>(&bytes[1..7]).map(<[_]>::len), Some(2));
        assert!(elements_mut::<u32>(&mut bytes[2..14]).is_none());
        assert!(elements_mut::<u32>(&mut bytes[4..14]).is_none());
        assert!(elements_mut::<[u8; 0]>(&mut bytes[..0]).is_none());
        elements_mut::<u16>(&mut bytes[30..]).unwrap()[0] = 7;
        assert_eq!(memory[3], 0x0007_0101_0101_0101);
    }
}
