//! Shared memory as checked views of atomics and checked copies of bytes.
//!
//! ```text
//!   Region ──view::<T>──────► View<T>         one T: Shared
//!          ──views::<T>─────► ViewSlice<T>    a row of them
//!          ──strided::<T>───► StridedView<T>  one every `stride` bytes
//!          ──write, read────  plain bytes, copied
//!          ──slice, slice_mut► SharedSlice, SharedSliceMut   the same, piece by piece
//! ```
//!
//! Bounds and alignment are checked when a view is made, so using it costs nothing. All the unsafe
//! code of the crate is in this folder.
//!
//! **What a copy may race with.** `read` and `write` copy with plain instructions, into and out of
//! memory which another process may be writing at that moment if it breaks the protocol. No
//! reference to those bytes is formed, unless by somebody who trusts all others and says `unsafe`; what
//! arrives may then be torn, and is decoded as hostile.
//! Members that follow the protocol never copy bytes that a word has not given to them: loom and
//! Miri check that.

#![allow(unsafe_code, reason = "the one place where shared memory is touched")]

mod copy;
mod shared;
mod slice;
mod view;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod wide;

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    error::Error,
    fmt,
    ptr::NonNull,
    sync::Arc,
};

use copy::copy;
pub use shared::Shared;
pub use slice::{SharedSlice, SharedSliceMut};
pub use view::{StridedView, View, ViewSlice};

/// Alignment of every region: a page, as a mapping has.
const PAGE: usize = 4096;

/// A shared mapping, or zeroed heap memory that stands in for one in tests. Clones share it.
#[derive(Clone)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    backing: Arc<Backing>,
}

// SAFETY: the memory behind `base` lives as long as `backing`, and is reached only through
// atomics and through raw copies that form no reference, from whichever thread.
unsafe impl Send for Region {}
// SAFETY: as for Send.
unsafe impl Sync for Region {}

impl Region {
    /// Takes over a mapping, readable and writable.
    ///
    /// # Safety
    /// The file behind it can never shrink (it is sealed), or touching the mapping would end the
    /// process; and this process forms no reference into it by other means.
    pub unsafe fn from_mapping(map: memmap2::MmapRaw) -> Region {
        let base = NonNull::new(map.as_mut_ptr()).unwrap_or(NonNull::dangling());
        let len = map.len();
        Region { base, len, backing: Arc::new(Backing::Mapping { _map: map }) }
    }

    /// `len` zeroed bytes on the heap, page-aligned: a stand-in for a mapping in tests and under Miri.
    pub fn heap(len: usize) -> Region {
        let layout = Layout::from_size_align(len.max(1), PAGE).expect("a length that fits memory");
        // SAFETY: the layout's size is at least one.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        Region { base, len, backing: Arc::new(Backing::Heap { base, layout }) }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A view of one `T` at `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] where it does not lie inside the region or is not aligned for `T`.
    pub fn view<T: Shared>(&self, offset: usize) -> Result<View<T>, OutOfBounds> {
        let at = self.place::<T>(offset, size_of::<T>())?;
        Ok(View::new(at, self.backing.clone()))
    }

    /// A view of `count` consecutive `T` from `offset` on.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not lie inside the region or are not aligned for `T`.
    pub fn views<T: Shared>(
        &self,
        offset: usize,
        count: usize,
    ) -> Result<ViewSlice<T>, OutOfBounds> {
        let bytes = size_of::<T>().checked_mul(count).ok_or(OutOfBounds)?;
        let first = self.place::<T>(offset, bytes)?;
        Ok(ViewSlice::new(first, count, self.backing.clone()))
    }

    /// A view of `count` values `T`, one every `stride` bytes, the first at `offset`; the region
    /// must hold `count` whole strides.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not lie inside the region, are not aligned for `T`, or overlap.
    pub fn strided<T: Shared>(
        &self,
        offset: usize,
        count: usize,
        stride: usize,
    ) -> Result<StridedView<T>, OutOfBounds> {
        if stride < size_of::<T>() || !stride.is_multiple_of(align_of::<T>()) {
            return Err(OutOfBounds);
        }
        let first = self.place::<T>(offset, stride.checked_mul(count).ok_or(OutOfBounds)?)?;
        Ok(StridedView::new(first, count, stride, self.backing.clone()))
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not fit; nothing is written then.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.place::<u8>(offset, bytes.len())?;
        // SAFETY: `place` checked that the destination lies inside the living region. A slice never
        // overlaps it: references to region bytes are handed out by `SharedSlice` alone, to a caller
        // that has promised that nobody else uses those bytes.
        unsafe { copy(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] where the region ends before that; nothing is read then.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.place::<u8>(offset, into.len())?;
        // SAFETY: as in `write`, in the other direction.
        unsafe { copy(from.as_ptr(), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Appends `len` bytes from `offset` to `into`, which grows only where its capacity falls short.
    ///
    /// # Errors
    /// [`OutOfBounds`] where the region ends before that; `into` is unchanged then.
    #[inline(always)]
    pub fn read_append(
        &self,
        offset: usize,
        len: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), OutOfBounds> {
        let from = self.place::<u8>(offset, len)?;
        into.reserve(len);
        let spare = into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `reserve` made room for `len` bytes behind the length, and `place` checked the
        // source; the copy initialises exactly the bytes that the new length adds.
        unsafe {
            copy(from.as_ptr(), spare, len);
            into.set_len(into.len() + len);
        }
        Ok(())
    }

    /// The address of `bytes` bytes at `offset`, when they lie inside and are aligned for `T`.
    #[inline]
    fn place<T>(&self, offset: usize, bytes: usize) -> Result<NonNull<T>, OutOfBounds> {
        if offset > self.len || bytes > self.len - offset {
            return Err(OutOfBounds);
        }
        // SAFETY: `offset` is at most the region's length, so the address stays inside it or at
        // its end.
        let at = unsafe { self.base.add(offset) }.cast::<T>();
        if at.is_aligned() { Ok(at) } else { Err(OutOfBounds) }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}

/// What keeps the memory in place.
enum Backing {
    /// Unmapped when the last view of it goes.
    Mapping { _map: memmap2::MmapRaw },
    /// Freed when the last view of it goes.
    Heap { base: NonNull<u8>, layout: Layout },
}

// SAFETY: both are plain ownership of memory, which any thread may give back.
unsafe impl Send for Backing {}
// SAFETY: nothing is reachable through a shared reference to it.
unsafe impl Sync for Backing {}

impl Drop for Backing {
    fn drop(&mut self) {
        if let Backing::Heap { base, layout } = self {
            // SAFETY: allocated in `Region::heap` with this layout, and freed only here.
            unsafe { dealloc(base.as_ptr(), *layout) };
        }
    }
}

/// An offset or length that lies outside the region, or is not aligned for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("offset or length outside the shared memory, or not aligned")
    }
}

impl Error for OutOfBounds {}

#[cfg(all(test, not(loom)))]
mod tests;
