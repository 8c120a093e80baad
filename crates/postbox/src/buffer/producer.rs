//! The producer: fills slots and moves `in`.

use super::busy_wait::BusyWait;
use super::error::{CorruptBuffer, TryProduceError};
use super::layout::Memory;
use bytemuck::Pod;
use std::fmt;

/// The side of a [`SharedBuffer`](super::SharedBuffer) that fills it.
///
/// There must be one at a time; one that comes later goes on where the one before stopped.
pub struct Producer<T> {
    memory: Memory<T>,
    /// The free slot to fill next. Ours alone; the shared word is a copy for the consumer.
    r#in: u32,
    /// The first full slot as last seen; the consumer may be further.
    out: u32,
}

impl<T: Pod> Producer<T> {
    pub(super) fn new(memory: Memory<T>) -> Result<Self, CorruptBuffer> {
        let (r#in, out) = (memory.load(&memory.shared.r#in)?, memory.load(&memory.shared.out)?);
        Ok(Producer { memory, r#in, out })
    }

    /// Puts an item in, busy-waiting while the buffer is full: for ever, if the consumer is gone.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`]; nothing was produced then.
    #[inline]
    pub fn produce(&mut self, item: T) -> Result<(), CorruptBuffer> {
        let mut wait = BusyWait::default();
        loop {
            match self.try_produce(item) {
                Err(TryProduceError::Full) => wait.again(),
                Err(TryProduceError::Corrupt(corrupt)) => return Err(corrupt),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Puts an item in if there is room.
    ///
    /// # Errors
    ///
    /// [`TryProduceError::Full`] while BUFFER_SIZE − 1 items wait.
    #[inline]
    pub fn try_produce(&mut self, item: T) -> Result<(), TryProduceError> {
        let next = self.memory.after(self.r#in);
        if next == self.out {
            // Full as far as we know. From here the consumer may have gone on to any slot.
            self.out = self.memory.load(&self.memory.shared.out)?;
            if next == self.out {
                return Err(TryProduceError::Full);
            }
        }
        self.memory.write(self.r#in, &item)?;
        self.r#in = next;
        self.memory.store(&self.memory.shared.r#in, next);
        Ok(())
    }

    /// How many slots the buffer has: one more than it holds items.
    pub fn buffer_size(&self) -> u32 {
        self.memory.buffer_size()
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("in", &self.r#in).finish_non_exhaustive()
    }
}
