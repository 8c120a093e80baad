//! What every contender is driven through, so that ours and the references do the same work.

use crate::shrinkage;
use std::error::Error;

/// What the processes of a run return; an error goes to the parent in words.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The first byte of a message that is not the last one.
pub const MORE: u8 = 0;
/// The first byte of the message after which its taker stops.
pub const STOP: u8 = 1;

/// The side that sends. Each byte of the message is written.
pub trait Sending {
    /// Sends one message, waiting for room.
    fn send(&mut self, message: &[u8]) -> Outcome<()>;
}

/// The side that receives. Each byte of the message is read.
pub trait Receiving {
    /// Takes one message, waiting for it. `buffer` then starts with it, and may be longer.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()>;
}

/// A message of so many bytes, each of which has been written.
pub fn message(payload: usize) -> Outcome<Vec<u8>> {
    let mut message = shrinkage::room(payload)?;
    message.resize(payload, 7);
    Ok(message)
}
