//! The consumer: empties slots and moves `out`.

use super::busy_wait::BusyWait;
use super::error::CorruptBuffer;
use super::layout::Memory;
use bytemuck::Pod;
use std::fmt;

/// The side of a [`SharedBuffer`](super::SharedBuffer) that empties it.
///
/// There must be one at a time; one that comes later goes on where the one before stopped.
pub struct Consumer<T> {
    memory: Memory<T>,
    /// The first full slot. Ours alone; the shared word is a copy for the producer.
    out: u32,
    /// The slot that the producer fills next as last seen; it may be further.
    r#in: u32,
}

impl<T: Pod> Consumer<T> {
    pub(super) fn new(memory: Memory<T>) -> Result<Self, CorruptBuffer> {
        let (out, r#in) = (memory.load(&memory.shared.out)?, memory.load(&memory.shared.r#in)?);
        Ok(Consumer { memory, out, r#in })
    }

    /// Takes the oldest item, busy-waiting while there is none: for ever, if the producer is gone.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`].
    #[inline]
    pub fn consume(&mut self) -> Result<T, CorruptBuffer> {
        let mut wait = BusyWait::default();
        loop {
            match self.try_consume()? {
                Some(item) => return Ok(item),
                None => wait.again(),
            }
        }
    }

    /// Takes the oldest item if there is one.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`].
    #[inline]
    pub fn try_consume(&mut self) -> Result<Option<T>, CorruptBuffer> {
        if self.r#in == self.out {
            // Empty as far as we know. From here the producer may have gone on to any slot.
            self.r#in = self.memory.load(&self.memory.shared.r#in)?;
            if self.r#in == self.out {
                return Ok(None);
            }
        }
        let item = self.memory.read(self.out)?;
        self.out = self.memory.after(self.out);
        self.memory.store(&self.memory.shared.out, self.out);
        Ok(Some(item))
    }

    /// How many slots the buffer has: one more than it holds items.
    pub fn buffer_size(&self) -> u32 {
        self.memory.buffer_size()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("out", &self.out).finish_non_exhaustive()
    }
}
