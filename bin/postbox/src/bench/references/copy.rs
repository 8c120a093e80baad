//! Two processes that copy into and out of the same shared memory, with nothing between them: what
//! the memory gives. Nobody waits for anybody, so messages may be torn, missed or seen twice.

use super::super::ends::{Outcome, Receiving, Sending};
use super::memory;
use postbox_ring::Region;

/// One side, walking over the places.
pub struct Side {
    places: Region,
    count: usize,
    payload: usize,
    next: usize,
}

/// Both sides over that many places.
pub fn create(places: u32, payload: usize) -> Outcome<(Writer, Reader)> {
    let count = places.max(1) as usize;
    let places = memory(count * payload)?;
    let side = || Side { places: places.clone(), count, payload, next: 0 };
    Ok((Writer(side()), Reader(side())))
}

impl Side {
    fn step(&mut self) -> usize {
        let at = self.next * self.payload;
        self.next = if self.next + 1 == self.count { 0 } else { self.next + 1 };
        at
    }
}

/// Copies in.
pub struct Writer(Side);
/// Copies out.
pub struct Reader(Side);

impl Sending for Writer {
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        let at = self.0.step();
        Ok(self.0.places.write(at, message)?)
    }
}

impl Receiving for Reader {
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.resize(self.0.payload, 0);
        let at = self.0.step();
        Ok(self.0.places.read(at, buffer)?)
    }
}
