//! Decoding with a bound on the elements of all sequences together.
//!
//! The format says how many elements a sequence has before they come. Elements of a byte or more end
//! with the bytes at the latest. Elements of no bytes, as in `Vec<()>`, do not: ten bytes could claim
//! 2⁶⁴ of them. So every sequence and map takes what it claims from one account, which holds one for
//! each byte of the message and some more for elements of none. One that claims more than there are
//! bytes left, which postcard gives no size for, pays element by element; the others at once.
//!
//! ```text
//!  T::deserialize ──► Bounded ──► postcard        scalars and strings go straight through
//!        visitor ◄── Charged ◄──┘                 visit_seq, visit_map: charge, then
//!           └── elements, by Bounded again
//! ```

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// Elements that may take no bytes at all, in one message.
const FREE: usize = 1 << 20;

/// Decodes a `T` from the front of `bytes`; also what is left over.
pub(crate) fn take_from_bytes<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
) -> postcard::Result<(T, &'de [u8])> {
    let left = Cell::new(bytes.len().saturating_add(FREE));
    let mut postcard = postcard::Deserializer::from_bytes(bytes);
    let value = T::deserialize(Bounded { inner: &mut postcard, left: &left })?;
    Ok((value, postcard.finalize()?))
}

/// Any part of a decoder, with the account.
struct Bounded<'a, D> {
    inner: D,
    left: &'a Cell<usize>,
}

/// A visitor that may be shown a sequence.
struct Charged<'a, V> {
    inner: V,
    left: &'a Cell<usize>,
    length: Length,
}

/// Who says how many elements there are.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    Type,
    Message,
}

impl<'a, D> Bounded<'a, D> {
    #[inline]
    fn part<P>(left: &'a Cell<usize>, inner: P) -> Bounded<'a, P> {
        Bounded { inner, left }
    }

    #[inline]
    fn visitor<V>(&self, inner: V, length: Length) -> Charged<'a, V> {
        Charged { inner, left: self.left, length }
    }
}

impl<V> Charged<'_, V> {
    /// Pays for a sequence or map of that size; whether its elements are to pay for themselves.
    #[inline]
    fn pay_for<E: Error>(&self, size: Option<usize>) -> Result<bool, E> {
        match (self.length, size) {
            (Length::Type, _) => Ok(false),
            (Length::Message, Some(elements)) => pay(self.left, elements).map(|()| false),
            (Length::Message, None) => Ok(true),
        }
    }
}

#[inline]
fn pay<E: Error>(left: &Cell<usize>, elements: usize) -> Result<(), E> {
    match left.get().checked_sub(elements) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => Err(E::custom("more elements than bytes")),
    }
}

/// The elements of a sequence, or the entries of a map. `PAYS`: each pays for itself.
struct Elements<'a, A, const PAYS: bool> {
    inner: A,
    left: &'a Cell<usize>,
}

macro_rules! straight {
    ($($method:ident)+) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    straight! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_option(visitor)
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Message);
        self.inner.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Message);
        self.inner.deserialize_map(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.deserialize_enum(name, variants, visitor)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Charged<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Bounded { inner, left: self.left })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Bounded { inner, left: self.left })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let left = self.left;
        match self.pay_for(inner.size_hint())? {
            false => self.inner.visit_seq(Elements::<_, false> { inner, left }),
            true => self.inner.visit_seq(Elements::<_, true> { inner, left }),
        }
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let left = self.left;
        match self.pay_for(inner.size_hint())? {
            false => self.inner.visit_map(Elements::<_, false> { inner, left }),
            true => self.inner.visit_map(Elements::<_, true> { inner, left }),
        }
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Bounded { inner, left: self.left })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Bounded { inner, left: self.left })
    }
}

impl<'de, A: SeqAccess<'de>, const PAYS: bool> SeqAccess<'de> for Elements<'_, A, PAYS> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        if PAYS {
            pay(self.left, 1)?;
        }
        self.inner.next_element_seed(Bounded { inner: seed, left: self.left })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>, const PAYS: bool> MapAccess<'de> for Elements<'_, A, PAYS> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if PAYS {
            pay(self.left, 1)?;
        }
        self.inner.next_key_seed(Bounded { inner: seed, left: self.left })
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Bounded { inner: seed, left: self.left })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'a, A> {
    type Error = A::Error;
    type Variant = Bounded<'a, A::Variant>;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let left = self.left;
        let (value, inner) = self.inner.variant_seed(Self::part(left, seed))?;
        Ok((value, Bounded { inner, left }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Self::part(self.left, seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.tuple_variant(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Length::Type);
        self.inner.struct_variant(fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Nothing,
        Newtype(Vec<()>),
        Pair(u8, Vec<u16>),
        Named { map: BTreeMap<u8, Vec<()>>, text: Option<String> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;

    type Everything = (Vec<Shape>, [i64; 3], (Unit, Option<Box<(f32, char)>>), Vec<Vec<u8>>, u128);

    #[test]
    fn what_is_honest_comes_back_as_it_was() {
        let map = BTreeMap::from([(1, vec![(); 100]), (9, vec![])]);
        let shapes = vec![
            Shape::Nothing,
            Shape::Newtype(vec![(); 70_000]),
            Shape::Pair(7, vec![1, 2, 65_535]),
            Shape::Named { map, text: Some("text".into()) },
        ];
        let nested = (Unit, Some(Box::new((1.5, 'ä'))));
        let value: Everything = (shapes, [-1, 0, i64::MAX], nested, vec![vec![1; 9]; 9], u128::MAX);
        let mut bytes = postcard::to_stdvec(&value).unwrap();
        assert_eq!(take_from_bytes::<Everything>(&bytes), Ok((value, &[][..])));
        bytes.push(7);
        assert_eq!(take_from_bytes::<Everything>(&bytes).unwrap().1, [7]);
    }

    #[test]
    fn elements_of_no_bytes_are_not_endless() {
        let endless = postcard::to_stdvec(&u64::MAX).unwrap();
        assert!(take_from_bytes::<Vec<()>>(&endless).is_err());
        assert!(take_from_bytes::<Vec<[Unit; 4]>>(&endless).is_err());
        assert!(take_from_bytes::<BTreeMap<(), ()>>(&endless).is_err());
        assert!(take_from_bytes::<Option<Vec<()>>>(&[&[1], &endless[..]].concat()).is_err());
        assert!(take_from_bytes::<Shape>(&[&[1], &endless[..]].concat()).is_err());
        // Each by itself would do; together they would take an hour.
        let each = postcard::to_stdvec(&(1u64 << 20)).unwrap();
        let many = [&[100][..], &each.repeat(100)].concat();
        assert!(take_from_bytes::<Vec<Vec<()>>>(&many).is_err());
    }
}
