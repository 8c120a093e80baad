//! A hand-written ring of slots, each with a word that says whose it is, a header and the message: what a ring costs
//! in which every message can be told to be whole by itself, as after its sender's death, and nothing else. Nothing
//! is checked, nobody's death is noticed, nobody ever sleeps. Where a processor can fetch what it is going to write,
//! nothing is fetched ahead, as ours does there: its streams could be faster then.

use super::super::ends::{Outcome, Receiving, Sending};
use super::memory;
use super::ring::{read, write};
use postbox_ring::sync::{AtomicU64, Ordering, spin_loop};
use postbox_ring::{Region, View, ViewSlice};
use postbox_sys::cpu;

/// Bytes of the line in which the receiver tells how far it is.
const HEADER: usize = 128;
/// Bytes of a slot before its message: the word and the header.
const BEFORE: usize = 16;
const LINE: usize = 64;
/// So many slots that come are written to at a time, where nothing else lets their lines come.
const TOUCHED: u64 = 4;

/// One side of a ring.
struct Side {
    taken: View<AtomicU64>,
    slots: Region,
    words: ViewSlice<AtomicU64>,
    /// The number of slots less one; they are a power of two.
    mask: u64,
    stride: usize,
    payload: usize,
    /// Messages that this side has put in, or taken out.
    own: u64,
}

/// Puts messages in.
pub struct Producer {
    side: Side,
    /// Messages that were taken out when last looked at.
    seen: u64,
    touches: bool,
}

/// Takes messages out.
pub struct Consumer(Side);

/// Both sides of a new ring of at least that many slots.
pub fn create(slots: u32, payload: usize) -> Outcome<(Producer, Consumer)> {
    let slots = u64::from(slots).next_power_of_two();
    let stride = (BEFORE + payload).next_multiple_of(LINE);
    let region = memory(HEADER + slots as usize * stride)?;
    let side = || -> Outcome<Side> {
        Ok(Side {
            taken: region.view(0)?,
            words: region.views(HEADER, slots as usize * stride / 8)?,
            slots: region.clone(),
            mask: slots - 1,
            stride,
            payload,
            own: 0,
        })
    };
    let touches = !cpu::fetches_for_writing();
    Ok((Producer { side: side()?, seen: 0, touches }, Consumer(side()?)))
}

impl Side {
    /// Where the slot of that message begins, among the slots.
    fn slot(&self, message: u64) -> usize {
        (message & self.mask) as usize * self.stride
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        &self.words[slot / 8]
    }

    fn header(&self, slot: usize) -> &AtomicU64 {
        &self.words[slot / 8 + 1]
    }
}

impl Producer {
    /// Lets the lines of slots come that will be written soon, but for the next one, which the receiver looks at.
    fn touch(&self) {
        let side = &self.side;
        for ahead in 1..=TOUCHED {
            let slot = side.slot(side.own + ahead);
            side.header(slot).store(0, Ordering::Relaxed); // the receiver has done with it
            if side.stride > LINE {
                side.words[(slot + LINE) / 8].store(0, Ordering::Relaxed); // likewise
            }
        }
    }
}

impl Sending for Producer {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        while self.side.own - self.seen > self.side.mask {
            self.seen = self.side.taken.load(Ordering::Acquire); // pairs with receive
            if self.side.own - self.seen > self.side.mask {
                spin_loop();
            }
        }
        let side = &mut self.side;
        let slot = side.slot(side.own);
        side.header(slot).store(message.len() as u64, Ordering::Relaxed); // published by the word
        write(&side.slots, HEADER + slot + BEFORE, message)?;
        side.own += 1;
        side.word(slot).store(side.own, Ordering::Release); // pairs with receive
        let side = &self.side;
        let room = side.mask + 1 - (side.own - self.seen);
        if self.touches && side.own.is_multiple_of(TOUCHED) && room > TOUCHED {
            self.touch();
        }
        Ok(())
    }
}

impl Receiving for Consumer {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        let side = &mut self.0;
        let slot = side.slot(side.own);
        while side.word(slot).load(Ordering::Acquire) != side.own + 1 {
            spin_loop(); // pairs with send
        }
        let len = side.header(slot).load(Ordering::Relaxed) as usize; // published by the word
        if buffer.len() != len {
            buffer.resize(len.min(side.payload), 0);
        }
        read(&side.slots, HEADER + slot + BEFORE, buffer)?;
        side.own += 1;
        side.taken.store(side.own, Ordering::Release); // pairs with send
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_and_around_the_end() {
        for (payload, slots) in [(8, 3), (48, 16), (64, 16), (100, 64), (5000, 1)] {
            let (mut tx, mut rx) = create(slots, payload).unwrap();
            let mut buffer = Vec::new();
            for round in 0..50_u8 {
                let together = slots.min(3) as u8;
                for step in 0..together {
                    tx.send(&vec![round + step; payload]).unwrap();
                }
                for step in 0..together {
                    rx.receive(&mut buffer).unwrap();
                    assert_eq!(buffer, vec![round + step; payload]);
                }
            }
        }
    }
}
