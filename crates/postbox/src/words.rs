//! Encoding in postcard's format, with its integers written as words.
//!
//! The format has seven bits of an integer in each byte, the lowest first, and a bit that says whether another byte comes
//! ([varint](https://postcard.jamesmunns.com/wire-format#varint-encoded-integers)). Postcard makes it byte by byte, two
//! stores for each, and copies it out. The slots of a ring in shared memory leave the processor's store buffer in
//! order, behind all that was stored before them; so there the stores are the most part of a send. Here the bits are
//! spread over a word, which is one store, or two from 2⁵⁶ on.
//!
//! ```text
//!  T::serialize ──► Words ──► postcard ──► Fixed      truths, bytes, floats, what 64 bits do not hold, `Display`
//!                     └─────── a word or two ──►      integers, lengths, indices of variants
//! ```

use postcard::Error::{SerializeBufferFull, SerializeSeqLengthUnknown};
use postcard::ser_flavors::Flavor;
use serde::ser::{self, Serialize, Serializer};
use std::fmt::Display;

/// Encodes a value at the front of `into`, and says how many bytes that took. It may be refused for lack of room unless
/// there are [`SLACK`] bytes to spare.
#[inline(always)]
pub(crate) fn encode_into<T: Serialize>(value: &T, into: &mut [u8]) -> postcard::Result<usize> {
    let output = Fixed { into, len: 0, full: false };
    let mut words = Words { postcard: postcard::Serializer { output } };
    value.serialize(&mut words)?;
    words.postcard.output.finalize()
}

/// What an integer is stored in, however short it is.
pub(crate) const SLACK: usize = 10;

/// Room that does not grow: two thirds of the price of what may grow at each byte.
struct Fixed<'b> {
    into: &'b mut [u8],
    len: usize,
    /// Something did not fit. It stays so, whatever would fit after it and whoever hides the error.
    full: bool,
}

impl Fixed<'_> {
    /// `None` if there is no room for so many bytes more.
    #[inline(always)]
    fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        let room = self.into.get_mut(self.len..).and_then(|rest| rest.get_mut(..len));
        self.full |= room.is_none();
        room
    }

    #[inline(always)]
    fn try_integer(&mut self, value: u64) -> postcard::Result<()> {
        let (word, more, len) = spread(value);
        let room = self.room(SLACK).and_then(|room| room.first_chunk_mut::<SLACK>());
        let room = room.ok_or(SerializeBufferFull)?;
        room[..8].copy_from_slice(&word.to_le_bytes());
        if len > 8 {
            room[8..].copy_from_slice(&more.to_le_bytes());
        }
        self.len += len;
        Ok(())
    }
}

/// An integer's encoding: its first eight bytes, the two after them, and how many of all these count.
#[inline(always)]
fn spread(value: u64) -> (u64, u16, usize) {
    /// The bit of each byte that says that another comes.
    const MORE: u64 = 0x8080_8080_8080_8080;
    if value < 1 << 7 {
        return (value, 0, 1);
    }
    // Halves of 28 bits, each in halves of 14 bits, each in halves of 7.
    let word = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x0fff_c000_0fff_c000) << 2;
    let word = (word & 0x007f_007f_007f_007f) | (word & 0x3f80_3f80_3f80_3f80) << 1;
    let rest = (value >> 56) as u16;
    if rest > 0 {
        let more = (rest & 0x7f) | ((rest >> 7) * 0x180);
        return (word | MORE, more, if rest > 0x7f { 10 } else { 9 });
    }
    let len = (63 - value.leading_zeros() as usize) / 7 + 1;
    (word | MORE >> (72 - 8 * len), 0, len)
}

impl Flavor for Fixed<'_> {
    type Output = usize;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.room(bytes.len()).ok_or(SerializeBufferFull)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    #[inline(always)]
    fn finalize(self) -> postcard::Result<usize> {
        if self.full { Err(SerializeBufferFull) } else { Ok(self.len) }
    }
}

/// Postcard's serializer but for integers, and for what may have some in it.
struct Words<'b> {
    postcard: postcard::Serializer<Fixed<'b>>,
}

impl Words<'_> {
    #[inline(always)]
    fn integer(&mut self, value: u64) -> postcard::Result<()> {
        self.postcard.output.try_integer(value)
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) -> postcard::Result<()> {
        self.postcard.output.try_push(byte)
    }

    /// What comes is so long, or has so many parts.
    #[inline(always)]
    fn count(&mut self, len: Option<usize>) -> postcard::Result<()> {
        self.integer(len.ok_or(SerializeSeqLengthUnknown)? as u64)
    }
}

/// Small numbers are short whatever their sign.
#[inline(always)]
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

macro_rules! postcards {
    ($($method:ident($value:ty))+) => {$(
        #[inline]
        fn $method(self, value: $value) -> postcard::Result<()> {
            self.postcard.$method(value)
        }
    )+};
}

macro_rules! integers {
    ($($method:ident($value:ty))+) => {$(
        #[inline]
        fn $method(self, value: $value) -> postcard::Result<()> {
            self.integer(value.into())
        }
    )+};
}

macro_rules! signed_integers {
    ($($method:ident($value:ty))+) => {$(
        #[inline]
        fn $method(self, value: $value) -> postcard::Result<()> {
            self.integer(zigzag(value.into()))
        }
    )+};
}

macro_rules! counted {
    ($($method:ident)+) => {$(
        #[inline]
        fn $method(self, len: Option<usize>) -> postcard::Result<Self> {
            self.count(len)?;
            Ok(self)
        }
    )+};
}

macro_rules! variants {
    ($($method:ident)+) => {$(
        #[inline]
        fn $method(
            self,
            _: &'static str,
            index: u32,
            _: &'static str,
            _: usize,
        ) -> postcard::Result<Self> {
            self.integer(index.into())?;
            Ok(self)
        }
    )+};
}

impl Serializer for &mut Words<'_> {
    type Ok = ();
    type Error = postcard::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    integers! { serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) }

    signed_integers! { serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) }

    postcards! {
        serialize_bool(bool) serialize_i8(i8) serialize_u8(u8) serialize_f32(f32) serialize_f64(f64)
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> postcard::Result<()> {
        match value.try_into() {
            Ok(value) => self.serialize_i64(value),
            Err(_) => self.postcard.serialize_i128(value),
        }
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> postcard::Result<()> {
        match value.try_into() {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.postcard.serialize_u128(value),
        }
    }

    #[inline]
    fn serialize_char(self, value: char) -> postcard::Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> postcard::Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> postcard::Result<()> {
        self.count(Some(value.len()))?;
        self.postcard.output.try_extend(value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> postcard::Result<()> {
        self.postcard.collect_str(value)
    }

    #[inline]
    fn serialize_none(self) -> postcard::Result<()> {
        self.byte(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> postcard::Result<()> {
        self.byte(1)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> postcard::Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> postcard::Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> postcard::Result<()> {
        self.integer(index.into())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> postcard::Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> postcard::Result<()> {
        self.integer(index.into())?;
        value.serialize(self)
    }

    counted! { serialize_seq serialize_map }

    variants! { serialize_tuple_variant serialize_struct_variant }

    #[inline]
    fn serialize_tuple(self, _: usize) -> postcard::Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> postcard::Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> postcard::Result<Self> {
        Ok(self)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Parts come one after the other, without the names that some have, and nothing comes after them.
macro_rules! parts {
    ($($trait:ident: $($method:ident $(($name:ty))?)+;)+) => {$(
        impl ser::$trait for &mut Words<'_> {
            type Ok = ();
            type Error = postcard::Error;

            $(
                #[inline]
                fn $method<T: Serialize + ?Sized>(
                    &mut self,
                    $(_: $name,)?
                    part: &T,
                ) -> postcard::Result<()> {
                    part.serialize(&mut **self)
                }
            )+

            #[inline]
            fn end(self) -> postcard::Result<()> {
                Ok(())
            }
        }
    )+};
}

parts! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
    SerializeMap: serialize_key serialize_value;
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}

#[cfg(test)]
mod tests;
