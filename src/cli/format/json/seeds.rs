//! Where values go: serde_json's calls, turned into bytes of elements.
//!
//! ```text
//!   Several ──> Another ──> Into ──> Items  ──┐
//!   [ ... ]     an element   │  └──> Fields ──┤ Into, for each of theirs
//!                            └──> One: a scalar, stored
//! ```
//!
//! A seed knows the type that should come and the bytes that it is for, and
//! asks for just that; so depth is that of the type, whatever the input.

use super::super::elements::Elements;
use super::super::scalar::{Truth, Value, per_scalar, quoted, range, refusal};
use super::feed::Told;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use shmkit::array::{ElementType, Field, Shape};
use std::fmt;
use std::marker::PhantomData;

/// The array of elements.
pub struct Several<'a> {
    pub element: &'a ElementType,
    pub elements: &'a mut Elements,
    pub told: &'a Told,
}

impl<'de> Visitor<'de> for Several<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let another = Another {
                element: self.element,
                elements: &mut *self.elements,
                told: self.told,
            };
            if seq.next_element_seed(another)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// An element that is behind those there are.
pub struct Another<'a, 'b> {
    pub element: &'a ElementType,
    pub elements: &'b mut Elements,
    pub told: &'a Told,
}

impl<'de> DeserializeSeed<'de> for Another<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let bytes = self.elements.next().map_err(de::Error::custom)?;
        Into {
            element: self.element,
            bytes,
            told: self.told,
        }
        .deserialize(json)
    }
}

/// Bytes, and what is to be read into them.
struct Into<'a, 'b> {
    element: &'a ElementType,
    bytes: &'b mut [u8],
    told: &'a Told,
}

impl<'de> DeserializeSeed<'de> for Into<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.element.shape() {
            Shape::Scalar(scalar) => per_scalar!(*scalar, V => {
                let value: V = One::new(self.told).deserialize(json)?;
                value.store(self.bytes);
                Ok(())
            }),
            Shape::Repeat(of, count) => json.deserialize_seq(Items {
                of,
                count: *count,
                bytes: self.bytes,
                told: self.told,
            }),
            Shape::Record(fields) => json.deserialize_map(Fields {
                fields,
                bytes: self.bytes,
                told: self.told,
            }),
        }
    }
}

/// The items of `[T;K]`.
struct Items<'a, 'b> {
    of: &'a ElementType,
    count: usize,
    bytes: &'b mut [u8],
    told: &'a Told,
}

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.count)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Items {
            of, count, told, ..
        } = self;
        for (have, bytes) in self.bytes.chunks_exact_mut(of.size()).enumerate() {
            let into = Into {
                element: of,
                bytes,
                told,
            };
            if seq.next_element_seed(into)?.is_none() {
                let why = format!("an array of {have} where one of {count} should be");
                return Err(de::Error::custom(why));
            }
        }
        seq.next_element_seed(OneMore(count))?;
        Ok(())
    }
}

/// The item behind the last one: a mistake, whatever it is.
struct OneMore(usize);

impl<'de> DeserializeSeed<'de> for OneMore {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        let why = format!("a longer array where one of {} should be", self.0);
        Err(de::Error::custom(why))
    }
}

/// The fields of a record.
struct Fields<'a, 'b> {
    fields: &'a [Field],
    bytes: &'b mut [u8],
    told: &'a Told,
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a record's fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let fields = self.fields;
        let mut there = vec![false; fields.len()];
        // Mostly they come in their order.
        let mut likely = 0;
        while let Some(i) = map.next_key_seed(Key { fields, likely })? {
            let field = &fields[i];
            if std::mem::replace(&mut there[i], true) {
                let why = format!("field '{}' twice", field.name());
                return Err(de::Error::custom(why));
            }
            let end = field.offset() + field.element().size();
            map.next_value_seed(Into {
                element: field.element(),
                bytes: self.bytes.get_mut(field.offset()..end).unwrap_or_default(),
                told: self.told,
            })?;
            likely = i + 1;
        }
        match there.iter().position(|there| !there) {
            None => Ok(()),
            Some(missing) => {
                let why = format!("no field {}", quoted(fields[missing].name().as_bytes()));
                Err(de::Error::custom(why))
            }
        }
    }
}

/// A field's name, which becomes its number.
struct Key<'a> {
    fields: &'a [Field],
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        let is_it = |i: &usize| self.fields[*i].name() == name;
        let count = self.fields.len();
        (self.likely..count)
            .chain(0..self.likely.min(count))
            .find(is_it)
            .ok_or_else(|| E::custom(format!("unknown field {}", quoted(name.as_bytes()))))
    }
}

/// A scalar from what JSON has.
trait FromJson: Value {
    /// Whether it is to be asked for as an `f32`.
    const SINGLE: bool = false;
    /// A whole number, not negative.
    fn positive(number: u64) -> Option<Self>;
    /// A whole number below 0.
    fn negative(number: i64) -> Option<Self>;
    /// A number with a point or an exponent.
    fn real(_: f64) -> Option<Self> {
        None
    }
    /// `true` or `false`.
    fn truth(_: bool) -> Option<Self> {
        None
    }
    /// A string.
    fn string(_: &str) -> Option<Self> {
        None
    }
}

macro_rules! integers {
    ($($rust:ident)*) => {$(
        impl FromJson for $rust {
            fn positive(number: u64) -> Option<$rust> {
                $rust::try_from(number).ok()
            }
            fn negative(number: i64) -> Option<$rust> {
                $rust::try_from(number).ok()
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

macro_rules! floats {
    ($($rust:ident $single:literal)*) => {$(
        impl FromJson for $rust {
            const SINGLE: bool = $single;
            fn positive(number: u64) -> Option<$rust> {
                Some(number as $rust)
            }
            fn negative(number: i64) -> Option<$rust> {
                Some(number as $rust)
            }
            fn real(number: f64) -> Option<$rust> {
                Some(number as $rust)
            }
            fn string(string: &str) -> Option<$rust> {
                // Only those for which there are no numbers.
                $rust::parse(string.as_bytes()).filter(|value| !value.is_finite())
            }
        }
    )*};
}

floats! { f32 true f64 false }

impl FromJson for Truth {
    fn positive(number: u64) -> Option<Truth> {
        (number <= 1).then_some(Truth(number == 1))
    }
    fn negative(_: i64) -> Option<Truth> {
        None
    }
    fn truth(truth: bool) -> Option<Truth> {
        Some(Truth(truth))
    }
}

/// One scalar.
struct One<'a, V> {
    told: &'a Told,
    value: PhantomData<V>,
}

impl<'a, V> One<'a, V> {
    fn new(told: &'a Told) -> One<'a, V> {
        One {
            told,
            value: PhantomData,
        }
    }
}

impl<'de, V: FromJson> DeserializeSeed<'de> for One<'_, V> {
    type Value = V;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<V, D::Error> {
        match V::SINGLE {
            // Looks at the value's first byte, then comes back to visit_some.
            true => json.deserialize_option(self),
            false => json.deserialize_any(self),
        }
    }
}

fn not<V: Value, E: de::Error>(found: &str) -> E {
    E::custom(format!("{found} is not {}", range(V::SCALAR)))
}

impl<'de, V: FromJson> Visitor<'de> for One<'_, V> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&range(V::SCALAR))
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<V, D::Error> {
        match self.told.last() {
            b'"' => json.deserialize_str(self),
            _ => json.deserialize_f32(self),
        }
    }

    fn visit_none<E: de::Error>(self) -> Result<V, E> {
        Err(not::<V, E>("null"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<V, E> {
        Err(not::<V, E>("null"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<V, E> {
        V::positive(number).ok_or_else(|| not::<V, E>(&number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<V, E> {
        V::negative(number).ok_or_else(|| not::<V, E>(&number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<V, E> {
        // What serde_json makes of -0, an integer like all others.
        let zero = number == 0.0 && number.is_sign_negative() && self.told.is_whole();
        V::real(number)
            .or_else(|| V::negative(0).filter(|_| zero))
            .ok_or_else(|| not::<V, E>(&zmij::Buffer::new().format(number).replace("e+", "e")))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<V, E> {
        V::truth(truth).ok_or_else(|| not::<V, E>(if truth { "true" } else { "false" }))
    }

    fn visit_str<E: de::Error>(self, string: &str) -> Result<V, E> {
        V::string(string)
            .ok_or_else(|| E::custom(format!("string {}", refusal(V::SCALAR, string.as_bytes()))))
    }
}
