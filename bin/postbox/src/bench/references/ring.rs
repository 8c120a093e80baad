//! Hand-written rings for one producer and one consumer in shared memory: fixed slots, a head and a
//! tail in cache lines of their own, each side with a copy of the other's counter that it refreshes
//! only when it must. Nothing is checked, nobody's death is noticed, nobody ever sleeps.

use super::super::ends::{Outcome, Receiving, Sending};
use super::memory;
use postbox_ring::sync::{AtomicU64, Ordering, spin_loop};
use postbox_ring::{OutOfBounds, Region, View, ViewSlice, shared};

/// Bytes before the first slot.
const HEADER: usize = 256;
/// In place, messages above that are written and read in chunks rather than words.
const WORDS: usize = 512;
/// Bytes of a chunk: it stays in the first-level cache.
const CHUNK: usize = 4096;

shared! {
    /// How many went in.
    #[repr(C, align(128))]
    pub struct Counter {
        /// Never wraps.
        pub count: AtomicU64,
    }
}

/// How messages come into the slots and out of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Copied from the sender's memory and into the receiver's.
    Copied,
    /// Made in the slot and read there.
    InPlace,
}

/// One side of a ring.
pub struct Side {
    head: View<Counter>,
    tail: View<Counter>,
    slots: Region,
    words: ViewSlice<AtomicU64>,
    /// The number of slots less one; they are a power of two.
    mask: u64,
    stride: usize,
    payload: usize,
    manner: Manner,
    /// Messages that this side has put in, or taken out.
    own: u64,
    /// What the other side had done when last looked at.
    other: u64,
    chunk: Vec<u8>,
}

/// Both sides of a new ring of at least that many slots.
pub fn create(slots: u32, payload: usize, manner: Manner) -> Outcome<(Producer, Consumer)> {
    let slots = u64::from(slots.max(1)).next_power_of_two();
    let stride = payload.next_multiple_of(64);
    let region = memory(HEADER + slots as usize * stride)?;
    let side = || -> Outcome<Side> {
        Ok(Side {
            head: region.view(0)?,
            tail: region.view(128)?,
            words: region.views(HEADER, slots as usize * stride / 8)?,
            slots: region.clone(),
            mask: slots - 1,
            stride,
            payload,
            manner,
            own: 0,
            other: 0,
            chunk: vec![7; CHUNK],
        })
    };
    Ok((Producer(side()?), Consumer(side()?)))
}

impl Side {
    fn slot(&self) -> usize {
        HEADER + (self.own & self.mask) as usize * self.stride
    }

    /// The words of the slot that the message takes up.
    fn message(&self) -> &[AtomicU64] {
        let first = (self.slot() - HEADER) / 8;
        &self.words[first..first + self.payload.div_ceil(8)]
    }
}

/// Puts messages in.
pub struct Producer(Side);
/// Takes messages out.
pub struct Consumer(Side);

impl Sending for Producer {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        let ring = &mut self.0;
        while ring.own - ring.other > ring.mask {
            ring.other = ring.tail.count.load(Ordering::Acquire); // pairs with receive
            if ring.own - ring.other > ring.mask {
                spin_loop();
            }
        }
        match ring.manner {
            Manner::Copied => write(&ring.slots, ring.slot(), message)?,
            Manner::InPlace if ring.payload <= WORDS => {
                let first = u64::from(message[0]) | (ring.own << 8);
                for (place, word) in ring.message().iter().enumerate() {
                    let value = if place == 0 { first } else { ring.own };
                    word.store(value, Ordering::Relaxed); // published by the head
                }
            }
            Manner::InPlace => {
                ring.chunk[0] = message[0];
                for at in (0..ring.payload).step_by(CHUNK) {
                    let len = CHUNK.min(ring.payload - at);
                    ring.slots.write(ring.slot() + at, &ring.chunk[..len])?;
                }
            }
        }
        ring.own += 1;
        ring.head.count.store(ring.own, Ordering::Release); // pairs with receive
        Ok(())
    }
}

impl Receiving for Consumer {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        let ring = &mut self.0;
        while ring.own == ring.other {
            ring.other = ring.head.count.load(Ordering::Acquire); // pairs with send
            if ring.own == ring.other {
                spin_loop();
            }
        }
        if buffer.len() != ring.payload {
            buffer.resize(ring.payload, 0);
        }
        match ring.manner {
            Manner::Copied => read(&ring.slots, ring.slot(), buffer)?,
            Manner::InPlace if ring.payload <= WORDS => {
                // Filled under the head that was seen.
                let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
                let words = ring.message();
                let all = words.iter().map(load).fold(0, |sum: u64, word| sum ^ word);
                std::hint::black_box(all);
                buffer[0] = load(&words[0]) as u8;
            }
            Manner::InPlace => {
                for at in (0..ring.payload).step_by(CHUNK) {
                    let len = CHUNK.min(ring.payload - at);
                    ring.slots.read(ring.slot() + at, &mut ring.chunk[..len])?;
                    std::hint::black_box(&ring.chunk);
                    if at == 0 {
                        buffer[0] = ring.chunk[0];
                    }
                }
            }
        }
        ring.own += 1;
        ring.tail.count.store(ring.own, Ordering::Release); // pairs with send
        Ok(())
    }
}

/// With lengths that the compiler knows it copies without a call.
#[inline]
pub(super) fn write(slots: &Region, at: usize, message: &[u8]) -> Result<(), OutOfBounds> {
    match <&[u8; 64]>::try_from(message) {
        Ok(line) => slots.write(at, line),
        Err(_) => slots.write(at, message),
    }
}

#[inline]
pub(super) fn read(slots: &Region, at: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
    match <&mut [u8; 64]>::try_from(&mut *into) {
        Ok(line) => slots.read(at, line),
        Err(_) => slots.read(at, into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_and_around_the_end() {
        for payload in [8, 64, 100, 5000] {
            let (mut tx, mut rx) = create(3, payload, Manner::Copied).unwrap();
            let mut buffer = Vec::new();
            for round in 0..10_u8 {
                for step in 0..3 {
                    tx.send(&vec![round + step; payload]).unwrap();
                }
                for step in 0..3 {
                    rx.receive(&mut buffer).unwrap();
                    assert_eq!(buffer, vec![round + step; payload]);
                }
            }
        }
    }

    #[test]
    fn in_place_the_first_byte_arrives() {
        for payload in [8, 64, 513, 5000] {
            let (mut tx, mut rx) = create(2, payload, Manner::InPlace).unwrap();
            let mut buffer = Vec::new();
            for first in [0, 1, 0, 1] {
                let mut message = vec![9; payload];
                message[0] = first;
                tx.send(&message).unwrap();
                rx.receive(&mut buffer).unwrap();
                assert_eq!(buffer[0], first);
            }
        }
    }
}
