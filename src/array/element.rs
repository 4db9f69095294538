//! Rust types that can be elements.
//!
//! | Rust | description |
//! |---|---|
//! | `i8` to `i64`, `u8` to `u64`, `f32`, `f64` | the same |
//! | [`Bool`] | `bool` |
//! | `[T; K]` of an element `T` | `[T;K]` |
//! | a struct made by [`record!`](crate::record) | `name:T,name:T` |
//!
//! An element is plain data: any bytes are a value of it (that is zerocopy's
//! [`FromBytes`]), because its bytes are shared with programs that may
//! write anything there. `bool` is none, since a Rust `bool` that is neither 0
//! nor 1 is undefined behaviour; [`Bool`] is its stand-in.
//!
//! What a type says of itself is believed where the compiler's own `memcpy`
//! depends on it, so the trait is unsafe to implement; [`record!`](crate::record)
//! does so for structs whose fields it has looked at, and is safe to use. Mistakes
//! are found nevertheless, where that costs nothing: whoever attaches compares
//! size and alignment of the Rust type with those that its description means, and
//! the description with the header's.
//!
//! # Padding
//!
//! Between the fields of a record there may be bytes that belong to none. In
//! Rust these have no value at all (reading one is undefined behaviour, and what
//! comes out in fact is what was on the stack), so they must not be copied out as
//! bytes. Whether a type has any, its description tells.
//! [`Element::store`] writes fields only, into zeros; that is how elements
//! with padding get into a segment, and it is why the padding there is zero.
//! Types without padding are copied as a whole, as fast as `memcpy`.

use super::{ElementType, Scalar};
use std::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A type whose values can be an array's elements.
///
/// [`record!`](crate::record) implements it for structs, and no `unsafe` is
/// needed for that. By hand:
///
/// # Safety
///
/// Values of `Self` are copied into memory whose bytes are then lent as `&[u8]`.
/// Whoever implements it promises, for every value that `Self` can have:
///
/// * Its bytes are initialised, all but those of padding: gaps that alignment
///   leaves between fields, or behind the last. So no
///   [`MaybeUninit`](std::mem::MaybeUninit), and no union.
/// * [`element_type`](Element::element_type) is its layout, whenever it is
///   called: as large and as aligned as `Self`, and with a scalar of the description at the
///   same offset ([`ElementType::scalars`]) wherever `Self` has one. Where the
///   description has no padding ([`ElementType::has_padding`]), `Self` has none.
///   (The description may instead be one that no array has. Then there is
///   no array of `Self`.)
///
/// The rest is in the traits that it asks for: any bytes are a value of `Self`
/// (zerocopy's [`FromBytes`]), and none changes through a shared reference
/// ([`Immutable`]). [`store`](Element::store) is not believed: a wrong one gives
/// wrong values, and no more.
///
/// # Example
///
/// ```
/// use shmkit::array::{Element, ElementType};
///
/// #[derive(Clone, Copy, shmkit::zerocopy::FromBytes, shmkit::zerocopy::Immutable)]
/// #[zerocopy(crate = "shmkit::zerocopy")]
/// #[repr(transparent)]
/// struct Celsius(f32);
///
/// // SAFETY: a transparent f32, which has no padding; f32's own description.
/// unsafe impl Element for Celsius {
///     fn element_type() -> ElementType {
///         f32::element_type()
///     }
///     fn store(&self, out: &mut [u8]) {
///         self.0.store(out);
///     }
/// }
/// ```
///
/// Without the promise it does not compile:
///
/// ```compile_fail,E0200
/// # use shmkit::array::{Element, ElementType};
/// # #[derive(Clone, Copy, shmkit::zerocopy::FromBytes, shmkit::zerocopy::Immutable)]
/// # #[zerocopy(crate = "shmkit::zerocopy")]
/// # #[repr(transparent)]
/// # struct Celsius(f32);
/// impl Element for Celsius {
///     // as above
/// #   fn element_type() -> ElementType {
/// #       f32::element_type()
/// #   }
/// #   fn store(&self, out: &mut [u8]) {
/// #       self.0.store(out);
/// #   }
/// }
/// ```
pub unsafe trait Element: FromBytes + Immutable + Copy + 'static {
    /// Its description, with the layout that follows from it, which is that of
    /// `Self`: see above.
    fn element_type() -> ElementType;

    /// Writes its bytes into `out`, all but its padding. `out` has
    /// `size_of::<Self>()` bytes, all 0.
    ///
    /// # Panics
    ///
    /// If `out` has another length.
    fn store(&self, out: &mut [u8]);
}

macro_rules! scalar_elements {
    ($($scalar:ty: $variant:ident,)*) => {$(
        // SAFETY: a number, all of whose bytes are initialised; `Scalar` has the
        // same size and alignment, on the platforms that this crate is for.
        unsafe impl Element for $scalar {
            fn element_type() -> ElementType {
                ElementType::scalar(Scalar::$variant)
            }
            #[inline]
            fn store(&self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

scalar_elements! {
    i8: I8, i16: I16, i32: I32, i64: I64,
    u8: U8, u16: U16, u32: U32, u64: U64,
    f32: F32, f64: F64,
}

/// So many of the same. With 0 of them there is no array of these: creating
/// and attaching refuse it.
// SAFETY: `K` times `T` without gaps in between, as `repeat` describes it, from a
// truthful `T`; where there is no such description, that which no array has.
unsafe impl<T: Element, const K: usize> Element for [T; K] {
    fn element_type() -> ElementType {
        ElementType::repeat(T::element_type(), K).unwrap_or_else(ElementType::impossible)
    }
    #[inline]
    fn store(&self, out: &mut [u8]) {
        assert_eq!(out.len(), size_of::<Self>());
        // Never 0, or `chunks_exact_mut` would panic: such a type has no array.
        let each = size_of::<T>().max(1);
        for (value, out) in self.iter().zip(out.chunks_exact_mut(each)) {
            value.store(out);
        }
    }
}

/// A truth value that any byte can be: 0 is false, all others are true.
///
/// ```
/// use shmkit::array::Bool;
///
/// let lit = Bool::from(true);
/// assert!(lit.get());
/// assert_eq!(lit, Bool::TRUE);
/// assert_eq!(bool::from(Bool::default()), false);
/// ```
#[derive(Clone, Copy, Default, FromBytes, Immutable, IntoBytes)]
#[repr(transparent)]
pub struct Bool(u8);

impl Bool {
    /// False: a byte of 0.
    pub const FALSE: Bool = Bool(0);
    /// True: a byte of 1.
    pub const TRUE: Bool = Bool(1);

    /// As a `bool`.
    #[inline]
    pub fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    #[inline]
    fn from(value: bool) -> Bool {
        Bool(u8::from(value))
    }
}

impl From<Bool> for bool {
    #[inline]
    fn from(value: Bool) -> bool {
        value.get()
    }
}

/// As truth values, not as bytes.
impl PartialEq for Bool {
    fn eq(&self, other: &Bool) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Bool {}

impl std::hash::Hash for Bool {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

impl fmt::Display for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}

/// Stored as 0 or 1, whatever byte was read.
// SAFETY: a transparent u8, described as a scalar of a byte.
unsafe impl Element for Bool {
    fn element_type() -> ElementType {
        ElementType::scalar(Scalar::Bool)
    }
    #[inline]
    fn store(&self, out: &mut [u8]) {
        out.copy_from_slice(&[u8::from(self.get())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described<T: Element>() -> String {
        let element_type = T::element_type();
        assert_eq!(element_type.size(), size_of::<T>());
        assert_eq!(element_type.align(), align_of::<T>());
        element_type.to_string()
    }

    #[test]
    fn rust_types_are_described_with_the_layout_they_have() {
        let all = [
            described::<i8>(),
            described::<i16>(),
            described::<i32>(),
            described::<i64>(),
            described::<u8>(),
            described::<u16>(),
            described::<u32>(),
            described::<u64>(),
            described::<f32>(),
            described::<f64>(),
            described::<Bool>(),
        ];
        assert_eq!(all.join(" "), "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool");
        assert_eq!(described::<[[i16; 3]; 2]>(), "[[i16;3];2]");
    }

    #[test]
    fn a_type_that_cannot_be_an_element_says_so_and_does_not_panic() {
        for impossible in [
            <[u8; 0]>::element_type(),
            <[u64; 8193]>::element_type(),
            <[[u8; 0]; 4]>::element_type(),
        ] {
            let text = impossible.to_string();
            assert!(text.parse::<ElementType>().is_err(), "{text}");
        }
        [[0u8; 0]; 4].store(&mut []);
    }

    #[test]
    fn a_truth_value_of_any_byte_is_stored_as_0_or_1() {
        for byte in [0u8, 1, 2, 255] {
            let value: Bool = Bool::read_from_bytes(&[byte]).unwrap();
            let mut out = [7];
            value.store(&mut out);
            assert_eq!(out, [u8::from(byte != 0)]);
            assert_eq!(value, Bool::from(byte != 0));
            assert_eq!(value.to_string(), (byte != 0).to_string());
        }
    }

    #[test]
    fn the_parts_of_an_array_are_stored_one_after_the_other() {
        let mut out = [0; 12];
        [[1u16, 2, 3], [4, 5, 0x0607]].store(&mut out);
        assert_eq!(out, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 7, 6]);
    }
}
