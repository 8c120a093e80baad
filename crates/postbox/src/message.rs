//! What travels: typed messages in postcard's format, or bare bytes.

use crate::bounded;
use crate::error::{DecodeError, EncodeError};
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

    /// Appends the encoding of `message` to `into`, or lends the bytes if they are one already.
    #[doc(hidden)]
    fn encode<'m>(
        message: &'m Self::Borrowed,
        scratch: &'m mut Vec<u8>,
    ) -> Result<&'m [u8], EncodeError>;

    /// Rebuilds a message from its encoding, in bounded memory however hostile the bytes are.
    #[doc(hidden)]
    fn decode(bytes: &mut Vec<u8>) -> Result<Self, DecodeError>;
}

impl<T: Serialize + DeserializeOwned> Message for T {
    type Borrowed = T;

    fn encode<'m>(message: &'m T, scratch: &'m mut Vec<u8>) -> Result<&'m [u8], EncodeError> {
        let mut buffer = std::mem::take(scratch);
        buffer.clear();
        *scratch = postcard::to_extend(message, buffer).map_err(EncodeError::new)?;
        Ok(scratch)
    }

    fn decode(bytes: &mut Vec<u8>) -> Result<T, DecodeError> {
        match bounded::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(DecodeError::trailing(rest.len())),
            Err(error) => Err(DecodeError::new(error)),
        }
    }
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

    fn decode(bytes: &mut Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Bytes(std::mem::take(bytes)))
    }
}
