//! Messages in the textbook's shared buffer, whose items all have one size: a message travels in
//! chunks, one after the other.
//!
//! ```text
//!  message   ├──────────── header and record ────────────┤
//!  chunks    ├ left │ bytes ┼ left │ bytes ┼ left │ bytes ·········┤
//!              left: bytes of the message from here on; the last chunk is not full
//!              left = 0: the producer's last word
//! ```

use postbox::bytemuck::{Pod, Zeroable};
use postbox::{Consumer, CorruptBuffer, Producer};

/// Slots of the buffer; it holds one chunk less.
pub const BUFFER_SIZE: u32 = 9;
/// Bytes of a message in one chunk.
const CARGO: usize = 248;

/// An item of the buffer.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "postbox::bytemuck")]
#[repr(C)]
pub struct Chunk {
    left: u64,
    bytes: [u8; CARGO],
}

/// Puts a message into the buffer, chunk by chunk. It is not empty: it has a header.
pub fn produce(buffer: &mut Producer<Chunk>, message: &[u8]) -> Result<(), CorruptBuffer> {
    let mut left = message.len();
    for part in message.chunks(CARGO) {
        let mut chunk = Chunk { left: left as u64, ..Chunk::zeroed() };
        chunk.bytes[..part.len()].copy_from_slice(part);
        buffer.produce(chunk)?;
        left -= part.len();
    }
    Ok(())
}

/// Says that no message follows.
pub fn produce_end(buffer: &mut Producer<Chunk>) -> Result<(), CorruptBuffer> {
    buffer.produce(Chunk::zeroed())
}

/// Replaces what `message` holds by the next one; false when the producer has ended.
pub fn consume(buffer: &mut Consumer<Chunk>, message: &mut Vec<u8>) -> Result<bool, CorruptBuffer> {
    message.clear();
    loop {
        let chunk = buffer.consume()?;
        let left = usize::try_from(chunk.left).unwrap_or(usize::MAX);
        message.extend(&chunk.bytes[..left.min(CARGO)]);
        if left <= CARGO {
            return Ok(left > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postbox::SharedBuffer;

    #[test]
    fn messages_of_any_length_come_out_as_they_went_in() {
        let buffer = SharedBuffer::<Chunk>::create(BUFFER_SIZE).unwrap();
        let (mut producer, mut consumer) = buffer.split().unwrap();
        let lengths = [1, 16, CARGO - 1, CARGO, CARGO + 1, 3 * CARGO, 7 * CARGO + 5];
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
}
