//! What travels: typed messages in postcard's format, or bare bytes.

use crate::bounded;
use crate::error::{DecodeError, EncodeError};
use postcard::Error::SerializeBufferFull;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Deref;

/// A type whose values a channel carries.
///
/// Every serde type is one, in [postcard's format](https://postcard.jamesmunns.com/wire-format),
/// and so is [`Bytes`], the raw face. The trait is sealed by its hidden methods: it is a bound to
/// write, not to implement.
pub trait Message: Sized {
    /// What `send` borrows: the type itself, or `[u8]` for [`Bytes`].
    type Borrowed: ?Sized;

    /// Encodes `message` into `scratch`, over what is there, or lends the bytes if they are one already. It may take
    /// two attempts.
    #[doc(hidden)]
    fn encode<'m>(
        message: &'m Self::Borrowed,
        scratch: &'m mut Vec<u8>,
    ) -> Result<&'m [u8], EncodeError>;

    /// The bytes themselves, where they are the message.
    #[doc(hidden)]
    #[inline(always)]
    fn bare(_: &Self::Borrowed) -> Option<&[u8]> {
        None
    }

    /// Rebuilds a message from its encoding, in bounded memory however hostile the bytes are.
    #[doc(hidden)]
    fn decode(bytes: &mut Vec<u8>) -> Result<Self, DecodeError>;
}

impl<T: Serialize + DeserializeOwned> Message for T {
    type Borrowed = T;

    fn encode<'m>(message: &'m T, scratch: &'m mut Vec<u8>) -> Result<&'m [u8], EncodeError> {
        if scratch.len() > LONG {
            return encode_long(message, scratch);
        }
        if scratch.len() < SHORT {
            scratch.resize(SHORT, 0);
        }
        match postcard::serialize_with_flavor(message, Fixed::of(scratch)) {
            Ok(len) => Ok(&scratch[..len]),
            // What the matter is may be hidden: whatever it was comes again, unless it was the room.
            Err(_) => encode_long(message, scratch),
        }
    }

    fn decode(bytes: &mut Vec<u8>) -> Result<T, DecodeError> {
        match bounded::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(DecodeError::trailing(rest.len())),
            Err(error) => Err(DecodeError::new(error)),
        }
    }
}

/// What a sender's buffer has room for at least.
const SHORT: usize = 256;
/// Whoever sends longer messages than that is better off with a buffer that grows.
const LONG: usize = 1 << 16;
/// An integer as postcard makes it, byte by byte, is no longer; so it is copied, since a load of several bytes that
/// were just stored one by one waits until all of them are out of the processor's store buffer.
const INTEGER: usize = 10;

/// Encodes into a buffer as far as that goes: two thirds of the price of one that may grow at each byte.
struct Fixed<'b> {
    into: &'b mut [u8],
    len: usize,
    /// Something did not fit. It stays so, whatever would fit after it and whoever hides the error.
    full: bool,
}

impl<'b> Fixed<'b> {
    fn of(into: &'b mut [u8]) -> Self {
        Fixed { into, len: 0, full: false }
    }

    /// Room for so many bytes more.
    #[inline(always)]
    fn room(&mut self, len: usize) -> postcard::Result<&mut [u8]> {
        let begin = self.len;
        match self.into.get_mut(begin..begin + len) {
            Some(room) if !self.full => {
                self.len = begin + len;
                Ok(room)
            }
            _ => {
                self.full = true;
                Err(SerializeBufferFull)
            }
        }
    }
}

impl Flavor for Fixed<'_> {
    type Output = usize;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.room(1)?.fill(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let into = self.room(bytes.len())?;
        if bytes.len() <= INTEGER {
            into.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
        } else {
            into.copy_from_slice(bytes);
        }
        Ok(())
    }

    #[inline(always)]
    fn finalize(self) -> postcard::Result<usize> {
        if self.full { Err(SerializeBufferFull) } else { Ok(self.len) }
    }
}

/// As [`Message::encode`], for what takes more room than there was.
#[inline(never)]
fn encode_long<'m, T: Serialize>(
    message: &T,
    scratch: &'m mut Vec<u8>,
) -> Result<&'m [u8], EncodeError> {
    let mut buffer = std::mem::take(scratch);
    buffer.clear();
    *scratch = postcard::to_extend(message, buffer).map_err(EncodeError::new)?;
    let len = scratch.len();
    if len <= LONG {
        // The next one may be somewhat longer.
        scratch.resize(scratch.capacity().min(LONG), 0);
    }
    Ok(&scratch[..len])
}

/// A message of bare bytes: any length from none to the channel's `max_message`.
///
/// `Sender<Bytes>` takes `&[u8]`; `Receiver<Bytes>` also fills a buffer of the caller's, so that
/// nothing is allocated per message.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes, without a copy.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl Message for Bytes {
    type Borrowed = [u8];

    fn encode<'m>(message: &'m [u8], _: &'m mut Vec<u8>) -> Result<&'m [u8], EncodeError> {
        Ok(message)
    }

    #[inline(always)]
    fn bare(message: &[u8]) -> Option<&[u8]> {
        Some(message)
    }

    fn decode(bytes: &mut Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Bytes(std::mem::take(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Mixed {
        number: u64,
        negative: i128,
        half: f32,
        whole: f64,
        letter: char,
        text: String,
        maybe: Option<u16>,
    }

    impl Mixed {
        fn with(len: usize) -> Self {
            let (number, negative) = (len as u64 * 0x0101_0101, -(len as i128));
            let (half, whole) = (len as f32 / 2.0, len as f64);
            let text = "x".repeat(len);
            Mixed { number, negative, half, whole, letter: 'ß', text, maybe: Some(len as u16) }
        }
    }

    #[test]
    fn one_buffer_takes_messages_of_every_length_in_any_order() {
        let lengths = (0..300).chain([1 << 15, (1 << 16) - 40, 1 << 16, (1 << 16) + 1, 1 << 20]);
        let lengths: Vec<usize> = lengths.collect();
        let mut scratch = Vec::new();
        for &len in lengths.iter().chain(lengths.iter().rev()).chain([&7, &1000, &0, &100_000, &1])
        {
            let message = Mixed::with(len);
            let bytes = Mixed::encode(&message, &mut scratch).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&message).unwrap());
            assert_eq!(Mixed::decode(&mut bytes.to_vec()).unwrap(), message);
        }
    }

    /// Written by `Display`, in two pieces, and whatever comes of the first.
    struct Shown(usize, usize);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _ = f.write_str(&"a".repeat(self.0));
            f.write_str(&"b".repeat(self.1))
        }
    }

    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Shown {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Shown(0, 0))
        }
    }

    #[test]
    fn a_lack_of_room_is_made_good_whoever_hides_it() {
        for (first, second) in [(200, 30), (240, 30), (300, 0), (300, 5), (1000, 1)] {
            let mut scratch = Vec::new();
            let shown = Shown(first, second);
            let bytes = Shown::encode(&shown, &mut scratch).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&shown).unwrap());
        }
    }

    #[test]
    fn a_long_message_is_no_burden_for_short_ones() {
        let mut scratch = Vec::new();
        for long in [51_000, 1 << 20, 60_000, 1 << 24] {
            assert!(String::encode(&"x".repeat(long), &mut scratch).unwrap().len() > long);
            u8::encode(&1, &mut scratch).unwrap();
            assert!(scratch.len() <= LONG, "{} bytes are cleared for each", scratch.len());
        }
    }

    #[test]
    fn what_cannot_be_encoded_leaves_the_buffer_usable() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                // Its format needs to know how many there are.
                to.collect_seq(std::iter::repeat_n(0, 3).filter(|n| *n == 0))
            }
        }
        impl<'de> Deserialize<'de> for Endless {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Endless)
            }
        }
        let mut scratch = Vec::new();
        for _ in 0..2 {
            assert!(Endless::encode(&Endless, &mut scratch).is_err());
            assert_eq!(u8::encode(&5u8, &mut scratch).unwrap(), [5]);
        }
    }
}
