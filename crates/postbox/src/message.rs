//! What travels: typed messages in postcard's format, or bare bytes.

use crate::bounded;
use crate::error::{DecodeError, EncodeError};
use crate::words;
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
        if scratch.len() > MOST {
            return encode_long(message, scratch);
        }
        if scratch.len() < SHORT {
            scratch.resize(SHORT, 0);
        }
        match words::encode_into(message, scratch) {
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
/// So large is the buffer of whoever does not.
const MOST: usize = LONG + words::SLACK;

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
        // The next one may be somewhat longer, and is to fit at once if it is not.
        scratch.resize(scratch.capacity().max(len + words::SLACK).min(MOST), 0);
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
    use serde::ser::SerializeTuple;

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

    /// An integer behind so many bytes, and whatever comes of it.
    struct Careless(usize);

    impl Serialize for Careless {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut all = to.serialize_tuple(3)?;
            all.serialize_element(&"a".repeat(self.0))?;
            let _ = all.serialize_element(&u64::MAX);
            all.serialize_element(&7u8)?;
            all.end()
        }
    }

    impl<'de> Deserialize<'de> for Careless {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Careless(0))
        }
    }

    #[test]
    fn a_lack_of_room_is_made_good_whoever_hides_it() {
        for len in 230..260 {
            let mut scratch = Vec::new();
            let careless = Careless(len);
            let bytes = Careless::encode(&careless, &mut scratch).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&careless).unwrap());
        }
        for (first, second) in [(200, 30), (240, 30), (300, 0), (300, 5), (1000, 1)] {
            let mut scratch = Vec::new();
            let shown = Shown(first, second);
            let bytes = Shown::encode(&shown, &mut scratch).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&shown).unwrap());
        }
    }

    #[test]
    fn the_next_one_of_the_same_length_fits_at_once() {
        for len in (200..600).chain([5000]).chain(LONG - 20..=LONG - 4) {
            let (numbers, mut scratch) = ((vec![7u8; len], 1u64), Vec::new());
            let len = <(Vec<u8>, u64)>::encode(&numbers, &mut scratch).unwrap().len();
            assert_eq!(words::encode_into(&numbers, &mut scratch), Ok(len));
        }
    }

    #[test]
    fn a_long_message_is_no_burden_for_short_ones() {
        let mut scratch = Vec::new();
        for long in [51_000, 1 << 20, 60_000, 1 << 24] {
            assert!(String::encode(&"x".repeat(long), &mut scratch).unwrap().len() > long);
            u8::encode(&1, &mut scratch).unwrap();
            assert!(scratch.len() <= MOST, "{} bytes are cleared for each", scratch.len());
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
