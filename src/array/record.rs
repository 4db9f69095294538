//! Records: Rust structs that are elements.
//!
//! [`record!`](crate::record) writes what an [`Element`](super::Element) needs
//! and nobody should write by hand, so that struct and description cannot
//! drift apart:
//!
//! ```text
//! record! { pub struct P { id: u32, xy: [f32; 2] } }
//!    |
//!    +-> #[repr(C)] struct P, Clone, Copy, FromBytes (by zerocopy's derive,
//!    |                                which refuses fields that are not plain data)
//!    +-> unsafe impl Element: description from the names and types of the fields,
//!                      store() field by field, padding left out
//! ```
//!
//! The layout is computed by [`ElementType::record`], as for a description
//! from a header, and compared with what the compiler made of the struct:
//! offset of every field, size, alignment. `#[repr(align(16))]` among the
//! attributes, for instance, makes a struct that no description describes; it
//! is given one that no array has, and is refused wherever it is used. That, and
//! that each field is an element itself, is all that
//! [`Element`](super::Element#safety) asks for: so the macro is safe to use,
//! under `#![forbid(unsafe_code)]` too.

use super::ElementType;

/// Defines a struct whose values can be an array's elements.
///
/// The struct is `#[repr(C)]`: fields in their order, aligned and padded as a
/// C compiler would. It is [`Element`](crate::array::Element), `Clone`, `Copy`,
/// and zerocopy's `FromBytes` and `Immutable`; further derives, docs and visibility are
/// passed on. The fields must be elements: numbers,
/// [`Bool`](crate::array::Bool), arrays, other records. Their names are ASCII
/// and are the names in the description, without a leading `r#`.
///
/// ```
/// use shmkit::array::{Bool, Element};
///
/// shmkit::record! {
///     /// A place.
///     #[derive(Debug, PartialEq, Default)]
///     pub struct Point {
///         /// To the right.
///         pub x: f32,
///         /// Up.
///         pub y: f32,
///     }
/// }
/// shmkit::record! {
///     struct Dot {
///         at: Point,
///         color: [u8; 3],
///         shown: Bool,
///     }
/// }
///
/// assert_eq!(
///     Dot::element_type().to_string(),
///     "at:{x:f32,y:f32},color:[u8;3],shown:bool"
/// );
/// let dot = Dot { at: Point { x: 1.0, y: 0.5 }, color: [255; 3], shown: Bool::TRUE };
/// let mut bytes = [0; 12];
/// dot.store(&mut bytes);
/// assert_eq!(bytes[8..], [255, 255, 255, 1]);
/// ```
///
/// What is not plain data is refused by the compiler:
///
/// ```compile_fail
/// shmkit::record! {
///     struct Wrong { text: String }
/// }
/// ```
///
/// ```compile_fail
/// shmkit::record! {
///     struct Wrong { sure: bool } // any byte must be a value: use Bool
/// }
/// ```
///
/// No `unsafe` is needed to use it, nor must it be allowed:
///
/// ```
/// #![forbid(unsafe_code)]
/// use shmkit::array::Element;
///
/// shmkit::record! {
///     struct Step { at: u64, by: [i16; 2] }
/// }
/// assert!(Step::element_type().has_padding()); // 4 bytes behind `by`
/// ```
///
/// A dependent crate must know this one by its name, `shmkit`.
#[macro_export]
macro_rules! record {
    (
        $(#[$struct_attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$field_attribute:meta])*
                $field_visibility:vis $field:ident: $type:ty
            ),+ $(,)?
        }
    ) => {
        $(#[$struct_attribute])*
        #[derive(Clone, Copy, $crate::zerocopy::FromBytes, $crate::zerocopy::Immutable)]
        #[zerocopy(crate = "shmkit::zerocopy")]
        #[repr(C)]
        $visibility struct $name {
            $(
                $(#[$field_attribute])*
                $field_visibility $field: $type,
            )+
        }

        // SAFETY: every field is an element (or this does not compile), so all
        // bytes but padding are initialised; `record_of` compares size, alignment
        // and the offset of each field with what the description means, and gives
        // another that no array has where they differ.
        unsafe impl $crate::array::Element for $name {
            fn element_type() -> $crate::array::ElementType {
                $crate::array::record_of::<Self>([
                    $((
                        ::core::stringify!($field),
                        ::core::mem::offset_of!($name, $field),
                        <$type as $crate::array::Element>::element_type(),
                    ),)+
                ])
            }

            #[inline]
            fn store(&self, out: &mut [u8]) {
                ::core::assert_eq!(out.len(), ::core::mem::size_of::<Self>());
                $({
                    let at = ::core::mem::offset_of!($name, $field);
                    let len = ::core::mem::size_of::<$type>();
                    <$type as $crate::array::Element>::store(&self.$field, &mut out[at..at + len]);
                })+
            }
        }
    };
}

/// The description of the struct `T` with these fields: name as written,
/// offset, type. For [`record!`](crate::record).
#[doc(hidden)]
pub fn record_of<T>(
    fields: impl IntoIterator<Item = (&'static str, usize, ElementType)>,
) -> ElementType {
    let mut offsets = Vec::new();
    let named = fields.into_iter().map(|(name, offset, element)| {
        offsets.push(offset);
        (name.strip_prefix("r#").unwrap_or(name), element)
    });
    let Ok(record) = ElementType::record(named) else {
        return ElementType::impossible();
    };
    let as_in_c = record.size() == size_of::<T>()
        && record.align() == align_of::<T>()
        && record.offsets().eq(offsets);
    match as_in_c {
        true => record,
        false => ElementType::impossible(),
    }
}

#[cfg(test)]
mod tests {
    use crate::array::{Bool, Element, ElementType};
    use std::mem::offset_of;

    crate::record! {
        /// Something of each, in an order that pads.
        #[derive(Debug, PartialEq)]
        struct Mixed {
            a: u8,
            b: f64,
            /// Two of them.
            c: [u16; 2],
            d: Inner,
            r#type: Bool,
        }
    }
    crate::record! {
        #[derive(Debug, PartialEq)]
        struct Inner { x: u8, y: u32 }
    }
    crate::record! {
        #[repr(align(64))]
        struct Aligned { x: u8 }
    }
    crate::record! {
        struct Holder { before: u8, aligned: Aligned }
    }
    crate::record! {
        struct Foreign { größe: u8 }
    }

    #[test]
    fn a_struct_and_its_description_have_the_same_layout() {
        let described = Mixed::element_type();
        assert_eq!(
            described.to_string(),
            "a:u8,b:f64,c:[u16;2],d:{x:u8,y:u32},type:bool"
        );
        assert_eq!(described.size(), size_of::<Mixed>());
        assert_eq!(described.align(), align_of::<Mixed>());
        assert!(described.offsets().eq([
            offset_of!(Mixed, a),
            offset_of!(Mixed, b),
            offset_of!(Mixed, c),
            offset_of!(Mixed, d),
            offset_of!(Mixed, r#type),
        ]));
        assert!(described.has_padding());
        assert!(!<[Bool; 3]>::element_type().has_padding());
    }

    #[test]
    fn storing_leaves_the_padding_alone() {
        let value = Mixed {
            a: 1,
            b: 0.0,
            c: [0x0302, 0x0504],
            d: Inner {
                x: 6,
                y: 0x0a09_0807,
            },
            r#type: Bool::TRUE,
        };
        let mut out = [0xee; size_of::<Mixed>()];
        value.store(&mut out);
        let ee = 0xee;
        let expected = [
            1, ee, ee, ee, ee, ee, ee, ee, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 4, 5, 6, ee, ee, ee, 7, 8,
            9, 10, 1, ee, ee, ee,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn a_struct_that_no_description_describes_has_none() {
        for odd in [
            Aligned::element_type(),
            Holder::element_type(),
            Foreign::element_type(),
        ] {
            assert!(odd.to_string().parse::<ElementType>().is_err(), "{odd}");
        }
    }
}
