//! Messages in the textbook's shared buffer, whose items all have one size: a message that is
//! larger travels in chunks, one after the other.
//!
//! ```text
//!  message   ├──────────── header and record ────────────┤
//!  chunks    ├ left │ bytes ┼ left │ bytes ┼ left │ bytes ·········┤
//!              left: bytes of the message from here on, in 8 bytes
//!              left = 0: the producer's last word
//! ```

use super::message::HEADER;
use postbox::bytemuck::Pod;
use postbox::{Consumer, CorruptBuffer, Producer};

/// Bytes in front of a chunk's part of the message.
const LEFT: usize = 8;

/// The sizes of chunks to choose from: items of the buffer are of one size, known when the program
/// is compiled, and every item is copied whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ChunkSize {
    /// 128 bytes.
    Small,
    /// 1 KiB.
    Medium,
    /// 4 KiB.
    Large,
}

/// A chunk of that many bytes.
pub type Small = [u8; 128];
/// A chunk of that many bytes.
pub type Medium = [u8; 1024];
/// A chunk of that many bytes.
pub type Large = [u8; 4096];

impl ChunkSize {
    /// The smallest that takes a message with a record of `largest` bytes, or at least a part.
    pub fn fitting(largest: usize) -> Self {
        let needed = LEFT + HEADER + largest;
        if needed <= size_of::<Small>() {
            ChunkSize::Small
        } else if needed <= size_of::<Medium>() {
            ChunkSize::Medium
        } else {
            ChunkSize::Large
        }
    }
}

/// One of the chunk types.
pub trait Chunk: Pod + AsRef<[u8]> + AsMut<[u8]> {}

impl<C: Pod + AsRef<[u8]> + AsMut<[u8]>> Chunk for C {}

/// Puts a message into the buffer, chunk by chunk. It is not empty: it has a header.
pub fn produce<C: Chunk>(buffer: &mut Producer<C>, message: &[u8]) -> Result<(), CorruptBuffer> {
    let mut left = message.len();
    for part in message.chunks(size_of::<C>() - LEFT) {
        let mut chunk = C::zeroed();
        let bytes = chunk.as_mut();
        bytes[..LEFT].copy_from_slice(&(left as u64).to_le_bytes());
        bytes[LEFT..][..part.len()].copy_from_slice(part);
        buffer.produce(chunk)?;
        left -= part.len();
    }
    Ok(())
}

/// Says that no message follows.
pub fn produce_end<C: Chunk>(buffer: &mut Producer<C>) -> Result<(), CorruptBuffer> {
    buffer.produce(C::zeroed())
}

/// Replaces what `message` holds by the next one; false when the producer has ended.
pub fn consume<C: Chunk>(
    buffer: &mut Consumer<C>,
    message: &mut Vec<u8>,
) -> Result<bool, CorruptBuffer> {
    message.clear();
    loop {
        let chunk = buffer.consume()?;
        let (left, bytes) = chunk.as_ref().split_first_chunk::<LEFT>().ok_or(CorruptBuffer)?;
        let left = usize::try_from(u64::from_le_bytes(*left)).map_err(|_| CorruptBuffer)?;
        message.extend(&bytes[..left.min(bytes.len())]);
        if left <= bytes.len() {
            return Ok(left > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postbox::SharedBuffer;

    fn carries_any_length<C: Chunk>() {
        let buffer = SharedBuffer::<C>::create(9).unwrap();
        let (mut producer, mut consumer) = buffer.split().unwrap();
        let cargo = size_of::<C>() - LEFT;
        let lengths = [1, 16, cargo - 1, cargo, cargo + 1, 3 * cargo, 7 * cargo + 5];
        let mut taken = b"what was before".to_vec();
        for length in lengths {
            let message: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            produce(&mut producer, &message).unwrap();
            assert_eq!(consume(&mut consumer, &mut taken), Ok(true));
            assert_eq!(taken, message);
        }
        produce_end(&mut producer).unwrap();
        assert_eq!(consume(&mut consumer, &mut taken), Ok(false));
    }

    #[test]
    fn messages_of_any_length_come_out_as_they_went_in() {
        carries_any_length::<Small>();
        carries_any_length::<Medium>();
        carries_any_length::<Large>();
    }

    #[test]
    fn a_message_takes_one_chunk_if_any_chunk_is_large_enough() {
        assert_eq!(ChunkSize::fitting(104), ChunkSize::Small);
        assert_eq!(ChunkSize::fitting(105), ChunkSize::Medium);
        assert_eq!(ChunkSize::fitting(1000), ChunkSize::Medium);
        assert_eq!(ChunkSize::fitting(1001), ChunkSize::Large);
        assert_eq!(ChunkSize::fitting(usize::MAX >> 1), ChunkSize::Large);
    }
}
