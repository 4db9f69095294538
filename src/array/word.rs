//! Small values in shared memory, loaded and stored whole without a lock.
//!
//! A value of 1, 2, 4 or 8 bytes at a multiple of its size is one word of the
//! machine. Loading or storing it is one instruction, so nobody ever sees half
//! of it: no lock is needed for that, whoever writes at the same time, with or
//! without the lock. Loads acquire and stores release: who sees a value sees
//! everything that its writer did before.
//!
//! ```text
//! payload          page-aligned
//!   + offset       a multiple of the size ------> naturally aligned, one atomic access
//! ```
//!
//! Everything else has parts that are loaded one by one: it takes the lock.

use super::Element;
use crate::lock::Locked;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use zerocopy::FromBytes;

/// Whether values of so many bytes are loaded and stored whole.
pub(crate) const fn is_word(size: usize) -> bool {
    matches!(size, 1 | 2 | 4 | 8)
}

/// The place of a `T` in the payload; `None` if it is no word, not at a
/// multiple of its size, or not within the payload.
#[inline]
fn place<T>(locked: &Locked, offset: usize) -> Option<*mut u8> {
    let size = size_of::<T>();
    let inside = offset
        .checked_add(size)
        .is_some_and(|end| end <= locked.len());
    if !is_word(size) || !inside || !offset.is_multiple_of(size) {
        return None;
    }
    // SAFETY: the payload has `locked.len()` bytes, and the offset is less.
    Some(unsafe { locked.payload().add(offset) })
}

/// The `T` at `offset` of the payload; `None` unless it is a word that lies
/// there, aligned.
#[inline]
pub(crate) fn load<T: FromBytes>(locked: &Locked, offset: usize) -> Option<T> {
    macro_rules! loaded {
        ($atomic:ty, $at:expr) => {{
            // SAFETY: `place` returned it, so it lies in the mapping, which lives
            // as long as `locked`, and it is aligned: the payload is to a page,
            // the offset to the size. Peers reach it by words, too, or under
            // the lock: see the docs of the guards.
            let shared = unsafe { <$atomic>::from_ptr($at.cast()) };
            let word = shared.load(Ordering::Acquire);
            T::read_from_bytes(&word.to_ne_bytes()).ok()
        }};
    }
    let at = place::<T>(locked, offset)?;
    match size_of::<T>() {
        1 => loaded!(AtomicU8, at),
        2 => loaded!(AtomicU16, at),
        4 => loaded!(AtomicU32, at),
        _ => loaded!(AtomicU64, at),
    }
}

/// Stores `value` at `offset` of the payload; `false`, and nothing done,
/// unless it is a word that has its place there, aligned.
#[inline]
pub(crate) fn store<T: Element>(locked: &Locked, offset: usize, value: &T) -> bool {
    let Some(at) = place::<T>(locked, offset) else {
        return false;
    };
    let mut bytes = [0; 8];
    value.store(&mut bytes[..size_of::<T>()]);
    let word = u64::from_le_bytes(bytes);
    macro_rules! store {
        ($atomic:ty, $word:expr) => {{
            // SAFETY: as in `load`.
            let shared = unsafe { <$atomic>::from_ptr(at.cast()) };
            shared.store($word, Ordering::Release);
        }};
    }
    match size_of::<T>() {
        1 => store!(AtomicU8, word as u8),
        2 => store!(AtomicU16, word as u16),
        4 => store!(AtomicU32, word as u32),
        _ => store!(AtomicU64, word),
    }
    true
}
