//! The memory a slot ring works on: a region, or loom's model of one.

use crate::sync::AtomicU64;

/// The words of a slot ring and where its bodies are.
///
/// An index not below [`slots`](SlotMemory::slots) may come from hostile memory and gets none.
pub trait SlotMemory {
    /// How many slots there are: 1 to 2^24.
    fn slots(&self) -> u32;
    /// How many entries may wait: 1 to `slots`.
    fn window(&self) -> u32;
    /// First position that is not claimed, or the one before; moved by claimers and settlers.
    fn tail(&self) -> &AtomicU64;
    /// First position that is not taken, or the one before; moved by whoever finds it behind.
    fn head(&self) -> &AtomicU64;
    /// Position after the last withdrawn or skipped entry; raised by withdrawers and settlers.
    fn withdrawals(&self) -> &AtomicU64;
    /// Which lap of the slot was withdrawn last; written by withdrawers, read by full-up claimers.
    fn withdrawn(&self, index: u32) -> Option<&AtomicU64>;
    /// The slot's word.
    fn word(&self, index: u32) -> Option<&AtomicU64>;
    /// Where the slot's body begins; `index` is below `slots`.
    fn body(&self, index: u32) -> usize;
    /// Room in a body.
    fn body_len(&self) -> usize;
    /// Lets the slot come near while something else is done: it will be written next.
    #[inline]
    fn prefetch(&self, _index: u32) {}
    /// Writes something into the first two lines of the slot's body, which is free and the caller's to
    /// write: it has these lines then.
    #[inline]
    fn touch(&self, _index: u32) {}
    /// Lets what lies behind the slot's first line come near, to be read.
    #[inline]
    fn fetch_rest(&self, _index: u32) {}
    /// Moves the slot, just written, towards whoever reads it.
    #[inline]
    fn demote(&self, _index: u32) {}
}

/// A ring's memory that has a second pair of positions, for as long as only two use it: see
/// [`pairing`](crate::pairing).
pub trait PairMemory: SlotMemory + Clone {
    /// How far a pairing has come, and of whom it is.
    fn phase(&self) -> &AtomicU64;
    /// Position after the one that the sender of the two is about to write, or has written.
    fn sending(&self) -> &AtomicU64;
    /// Position after the one that the receiver of the two is about to read, or has read.
    fn taking(&self) -> &AtomicU64;
    /// The same slots, with the tail and head of the two.
    fn for_two(&self) -> Self;
}

#[cfg(not(loom))]
pub use mapped::MappedSlots;

#[cfg(not(loom))]
mod mapped {
    #![allow(unsafe_code, reason = "the shared! macro, which checks what it asserts")]

    use super::*;
    use crate::{
        Region, StridedView, View, ViewSlice,
        slots::{
            LayoutError, SlotLayout,
            layout::{CONTROL_BYTES, LINE, WORD_BYTES},
        },
    };

    crate::shared! {
        /// A position, or another word, alone in its pair of cache lines.
        #[repr(C, align(128))]
        struct Line {
            position: AtomicU64,
        }

        /// One end of a ring for two: where it is, and what it announces.
        #[repr(C, align(128))]
        struct Place {
            position: AtomicU64,
            announced: AtomicU64,
        }
    }

    crate::shared! {
        /// The control lines at the start of a ring.
        #[repr(C)]
        struct Control {
            tail: Line,
            head: Line,
            withdrawals: Line,
            phase: Line,
            sender: Place,
            receiver: Place,
        }
    }

    /// A slot ring's memory in a region.
    #[derive(Clone)]
    pub struct MappedSlots {
        control: View<Control>,
        withdrawn: ViewSlice<AtomicU64>,
        words: StridedView<AtomicU64>,
        layout: SlotLayout,
        first_body: usize,
        region: Region,
        /// Those of many, or of the two.
        tail: View<AtomicU64>,
        head: View<AtomicU64>,
    }

    impl MappedSlots {
        pub(in crate::slots) fn new(
            region: &Region,
            layout: SlotLayout,
        ) -> Result<MappedSlots, LayoutError> {
            layout.check()?;
            let SlotLayout { offset, slots, stride, .. } = layout;
            let slots_begin =
                offset.checked_add(layout.slots_begin()).ok_or(LayoutError::TooShort)?;
            let control: View<Control> = region.view(offset)?;
            Ok(MappedSlots {
                tail: control.map(|control| &control.tail.position),
                head: control.map(|control| &control.head.position),
                control,
                withdrawn: region.views(offset + CONTROL_BYTES, slots as usize)?,
                words: region.strided(slots_begin, slots as usize, stride)?,
                layout,
                first_body: slots_begin + WORD_BYTES,
                region: region.clone(),
            })
        }
    }

    impl PairMemory for MappedSlots {
        #[inline]
        fn phase(&self) -> &AtomicU64 {
            &self.control.phase.position
        }

        #[inline]
        fn sending(&self) -> &AtomicU64 {
            &self.control.sender.announced
        }

        #[inline]
        fn taking(&self) -> &AtomicU64 {
            &self.control.receiver.announced
        }

        fn for_two(&self) -> Self {
            let tail = self.control.map(|control| &control.sender.position);
            let head = self.control.map(|control| &control.receiver.position);
            MappedSlots { tail, head, ..self.clone() }
        }
    }

    impl SlotMemory for MappedSlots {
        #[inline]
        fn slots(&self) -> u32 {
            self.layout.slots
        }

        #[inline]
        fn window(&self) -> u32 {
            self.layout.window
        }

        #[inline]
        fn tail(&self) -> &AtomicU64 {
            &self.tail
        }

        #[inline]
        fn head(&self) -> &AtomicU64 {
            &self.head
        }

        #[inline]
        fn withdrawals(&self) -> &AtomicU64 {
            &self.control.withdrawals.position
        }

        #[inline]
        fn withdrawn(&self, index: u32) -> Option<&AtomicU64> {
            self.withdrawn.get(index as usize)
        }

        #[inline]
        fn word(&self, index: u32) -> Option<&AtomicU64> {
            self.words.get(index as usize)
        }

        #[inline]
        fn body(&self, index: u32) -> usize {
            self.first_body + index as usize * self.layout.stride
        }

        #[inline]
        fn body_len(&self) -> usize {
            self.layout.stride - WORD_BYTES
        }

        #[inline]
        fn prefetch(&self, index: u32) {
            self.words.prefetch_for_write(index as usize);
        }

        #[inline]
        fn touch(&self, index: u32) {
            // Of a slot's first line the word takes the beginning; the second is whole.
            let (body, touch) = (self.body(index), [0; WORD_BYTES]);
            // Within the region, as every slot.
            let _ = self.region.write(body, &touch);
            if self.layout.stride > LINE {
                let _ = self.region.write(body - WORD_BYTES + LINE, &touch);
            }
        }

        #[inline]
        fn fetch_rest(&self, index: u32) {
            self.words.prefetch_second_line(index as usize);
        }

        #[inline]
        fn demote(&self, index: u32) {
            self.words.demote(index as usize);
        }
    }
}
