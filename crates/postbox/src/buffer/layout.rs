//! The region: who writes which byte of it, and the checks on what is read from it.

use super::error::{AttachError, CorruptBuffer};
use bytemuck::{Pod, bytes_of, bytes_of_mut};
use postbox_ring::region::{Region, View};
use postbox_ring::sync::Ordering::{Acquire, Relaxed, Release};
use postbox_ring::sync::{AtomicU32, AtomicU64};
use std::marker::PhantomData;

/// What this is, and in which version of the layout.
const MAGIC: u64 = u64::from_le_bytes(*b"POSTBUF1");

postbox_ring::shared! {
    /// What the buffer is. Written before anyone else can see the memory, never after.
    #[repr(C, align(128))]
    pub(super) struct Header {
        pub(super) magic: AtomicU64,
        /// Bytes of one item.
        pub(super) item_size: AtomicU64,
        /// Slots, one of which is always free.
        pub(super) buffer_size: AtomicU64,
    }

    /// The number of a slot, alone in its pair of cache lines.
    #[repr(C, align(128))]
    pub(super) struct Index {
        pub(super) slot: AtomicU32,
    }

    /// Everything in front of the slots.
    #[repr(C, align(128))]
    pub(super) struct Shared {
        pub(super) header: Header,
        /// The free slot to fill next. Only the producer writes it.
        pub(super) r#in: Index,
        /// The first full slot. Only the consumer writes it.
        pub(super) out: Index,
    }
}

/// Where slot 0 begins.
const SLOTS: usize = size_of::<Shared>();

/// The mapped region, its header known to be sound.
pub(super) struct Memory<T> {
    region: Region,
    pub(super) shared: View<Shared>,
    buffer_size: u32,
    item: PhantomData<T>,
}

impl<T: Pod> Memory<T> {
    /// The bytes of a region with so many slots, if there can be one.
    pub(super) fn length(buffer_size: u32) -> Option<u64> {
        let slots = u64::from(buffer_size).checked_mul(size_of::<T>() as u64)?;
        let length = slots.checked_add(SLOTS as u64)?;
        (buffer_size >= 2 && isize::try_from(length).is_ok()).then_some(length)
    }

    /// Makes an empty buffer of a region of zeros that nobody else sees yet.
    pub(super) fn format(region: Region, buffer_size: u32) -> Result<Self, AttachError> {
        let header: View<Header> = region.view(0).map_err(|_| AttachError::Foreign)?;
        header.item_size.store(size_of::<T>() as u64, Relaxed);
        header.buffer_size.store(buffer_size.into(), Relaxed);
        // Release: pairs with the Acquire in `open`.
        header.magic.store(MAGIC, Release);
        Memory::open(region)
    }

    /// Looks at a region that somebody formatted, and trusts nothing in it.
    pub(super) fn open(region: Region) -> Result<Self, AttachError> {
        let shared: View<Shared> = region.view(0).map_err(|_| AttachError::Foreign)?;
        let header = &shared.header;
        // Acquire: pairs with the Release in `format`.
        if header.magic.load(Acquire) != MAGIC {
            return Err(AttachError::Foreign);
        }
        let found = header.item_size.load(Relaxed);
        if found != size_of::<T>() as u64 {
            return Err(AttachError::ItemSize { expected: size_of::<T>(), found });
        }
        let buffer_size = u32::try_from(header.buffer_size.load(Relaxed));
        let buffer_size = buffer_size.map_err(|_| CorruptBuffer)?;
        let length = Self::length(buffer_size).ok_or(CorruptBuffer)?;
        if (region.len() as u64) < length {
            return Err(CorruptBuffer.into());
        }
        Ok(Memory { region, shared, buffer_size, item: PhantomData })
    }

    /// How many slots there are: BUFFER_SIZE.
    pub(super) fn buffer_size(&self) -> u32 {
        self.buffer_size
    }

    /// `(index + 1) % BUFFER_SIZE`, without a division.
    #[inline]
    pub(super) fn after(&self, index: u32) -> u32 {
        if index + 1 == self.buffer_size { 0 } else { index + 1 }
    }

    /// The slot that `index` names, read once and checked.
    #[inline]
    pub(super) fn load(&self, index: &Index) -> Result<u32, CorruptBuffer> {
        // Acquire: pairs with the Release in `store`: what the other side did to the slots before
        // `index`, filling or emptying them, is done.
        let slot = index.slot.load(Acquire);
        if slot < self.buffer_size { Ok(slot) } else { Err(CorruptBuffer) }
    }

    /// Moves the caller's own index on to `slot`.
    #[inline]
    pub(super) fn store(&self, index: &Index, slot: u32) {
        // Release: pairs with the Acquire in `load`; the slots before `slot` are filled, or emptied.
        index.slot.store(slot, Release);
    }

    /// `buffer[slot] = item`
    #[inline]
    pub(super) fn write(&self, slot: u32, item: &T) -> Result<(), CorruptBuffer> {
        self.region.write(Self::offset(slot), bytes_of(item)).map_err(|_| CorruptBuffer)
    }

    /// `item = buffer[slot]`
    #[inline]
    pub(super) fn read(&self, slot: u32) -> Result<T, CorruptBuffer> {
        let mut item = T::zeroed();
        self.region.read(Self::offset(slot), bytes_of_mut(&mut item)).map_err(|_| CorruptBuffer)?;
        Ok(item)
    }

    /// Fits for every slot below `buffer_size`, because `length` did.
    fn offset(slot: u32) -> usize {
        SLOTS + slot as usize * size_of::<T>()
    }
}

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        let (region, shared) = (self.region.clone(), self.shared.clone());
        Memory { region, shared, buffer_size: self.buffer_size, item: PhantomData }
    }
}
