//! Messages that are made where they lie, and read there: each byte is written and read, but nothing
//! is moved that is larger than what the first-level cache holds. As the bench's own in-place ring.

use crate::work::{BYTE, STOP};
use std::hint::black_box;
use std::mem::MaybeUninit;

/// Bytes of a chunk.
const CHUNK: usize = 4096;
/// What messages are made of.
static PATTERN: [u8; CHUNK] = [BYTE; CHUNK];

/// Makes a message that begins with `first`, all of it.
pub fn write(message: &mut [MaybeUninit<u8>], first: u8) {
    for chunk in message.chunks_mut(CHUNK) {
        let pattern = black_box(&PATTERN);
        chunk.iter_mut().zip(pattern).for_each(|(place, &byte)| {
            place.write(byte);
        });
    }
    message[0].write(first);
}

/// Reads all of a message; `buffer` then starts with its first byte, or is the whole of the last one.
pub fn read(message: &[u8], buffer: &mut Vec<u8>) {
    if message[0] == STOP {
        buffer.clear();
        buffer.extend_from_slice(message);
        return;
    }
    let mut here = [0; CHUNK];
    for chunk in message.chunks(CHUNK) {
        here[..chunk.len()].copy_from_slice(chunk);
        black_box(&here);
    }
    match buffer.first_mut() {
        Some(first) => *first = message[0],
        None => buffer.push(message[0]),
    }
}
