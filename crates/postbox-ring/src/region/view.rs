//! Views: references into a region that keep it in place.

use std::{marker::PhantomData, ops::Deref, ptr::NonNull, sync::Arc};

use super::{Backing, Shared};

/// Bytes in a cache line.
const LINE: usize = 64;

/// In assembly: compiled for any x86-64, `_mm_prefetch` with `_MM_HINT_ET0` becomes `prefetcht0`,
/// which fetches the line to be read, and writing it then costs a second trip.
#[inline]
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn prefetch_for_write(at: *const u8) {
    // SAFETY: a prefetch never faults, whatever the address, and changes no memory; a processor
    // that does not know this one takes it for a no-op.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

#[inline]
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn prefetch_for_write(_at: *const u8) {}

/// Lets a line come that will be read.
#[inline]
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn prefetch(at: *const u8) {
    // SAFETY: a prefetch never faults, whatever the address, and changes no memory.
    unsafe {
        core::arch::asm!("prefetcht0 [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

#[inline]
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn prefetch(_at: *const u8) {}

/// `cldemote`: the line moves out to the cache that the cores share, where another finds it sooner.
#[inline]
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn demote(at: *const u8) {
    // SAFETY: a hint, which never faults and changes no memory; a processor that does not know it
    // takes it for a no-op.
    unsafe {
        core::arch::asm!("cldemote [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

#[inline]
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn demote(_at: *const u8) {}

/// One `T` in a region. Clones look at the same `T`.
pub struct View<T> {
    at: NonNull<T>,
    backing: Arc<Backing>,
}

impl<T: Shared> View<T> {
    /// `at` was checked by `Region::place` for one `T` of the region that `backing` keeps.
    pub(super) fn new(at: NonNull<T>, backing: Arc<Backing>) -> View<T> {
        View { at, backing }
    }
}

impl<T: Shared> View<T> {
    /// A part of it.
    pub fn map<U: Shared>(&self, part: impl FnOnce(&T) -> &U) -> View<U> {
        View { at: NonNull::from(part(self)), backing: self.backing.clone() }
    }
}

impl<T: Shared> Deref for View<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `at` was checked for bounds and alignment, `backing` keeps the memory, and a
        // `Shared` type is valid whatever the bits and however they change.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Clone for View<T> {
    fn clone(&self) -> View<T> {
        View { at: self.at, backing: self.backing.clone() }
    }
}

// SAFETY: a `Shared` type is made of atomics, which any thread may use.
unsafe impl<T: Shared> Send for View<T> {}
// SAFETY: as for Send.
unsafe impl<T: Shared> Sync for View<T> {}

/// Consecutive `T` in a region. Clones look at the same.
pub struct ViewSlice<T> {
    first: NonNull<T>,
    count: usize,
    backing: Arc<Backing>,
}

impl<T: Shared> ViewSlice<T> {
    /// `first` was checked by `Region::place` for `count` consecutive `T`.
    pub(super) fn new(first: NonNull<T>, count: usize, backing: Arc<Backing>) -> ViewSlice<T> {
        ViewSlice { first, count, backing }
    }
}

impl<T: Shared> Deref for ViewSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: bounds and alignment of all `count` were checked, `backing` keeps the memory,
        // and a `Shared` type is valid whatever the bits and however they change.
        unsafe { NonNull::slice_from_raw_parts(self.first, self.count).as_ref() }
    }
}

impl<T: Shared> ViewSlice<T> {
    /// Lets the processor fetch the line of the `T` at `index`, to be written soon. Nothing else comes of it, whatever
    /// the index; on some processors not even that.
    #[inline]
    pub fn prefetch_for_write(&self, index: usize) {
        prefetch_for_write(self.first.as_ptr().wrapping_add(index).cast());
    }
}

impl<T> Clone for ViewSlice<T> {
    fn clone(&self) -> ViewSlice<T> {
        ViewSlice { first: self.first, count: self.count, backing: self.backing.clone() }
    }
}

// SAFETY: a `Shared` type is made of atomics, which any thread may use.
unsafe impl<T: Shared> Send for ViewSlice<T> {}
// SAFETY: as for Send.
unsafe impl<T: Shared> Sync for ViewSlice<T> {}

/// One `T` every `stride` bytes of a region. Clones look at the same.
pub struct StridedView<T> {
    first: NonNull<u8>,
    count: usize,
    stride: usize,
    backing: Arc<Backing>,
    of: PhantomData<T>,
}

impl<T: Shared> StridedView<T> {
    /// `first` was checked by `Region::place` for `count` strides, and `stride` for `T`'s alignment.
    pub(super) fn new(
        first: NonNull<T>,
        count: usize,
        stride: usize,
        backing: Arc<Backing>,
    ) -> StridedView<T> {
        StridedView { first: first.cast(), count, stride, backing, of: PhantomData }
    }

    /// The `T` at `index`, or none where `index` is not below the count.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index` was just checked against the count whose bounds and alignment were
        // checked at construction; `backing` keeps the memory; `Shared` types are always valid.
        Some(unsafe { self.first.add(index * self.stride).cast::<T>().as_ref() })
    }

    /// Lets the processor fetch the first two cache lines of the stride at `index`, to be written
    /// soon. Nothing else comes of it, whatever the index; on some processors not even that.
    #[inline]
    pub fn prefetch_for_write(&self, index: usize) {
        let at = self.first.as_ptr().wrapping_add(index.wrapping_mul(self.stride));
        prefetch_for_write(at);
        if self.stride > LINE {
            prefetch_for_write(at.wrapping_add(LINE));
        }
    }

    /// Lets the processor fetch the second cache line of the stride at `index`, if it has one, to be
    /// read soon. Nothing else comes of it, whatever the index.
    #[inline]
    pub fn prefetch_second_line(&self, index: usize) {
        if self.stride > LINE {
            prefetch(
                self.first
                    .as_ptr()
                    .wrapping_add(index.wrapping_mul(self.stride).wrapping_add(LINE)),
            );
        }
    }

    /// Tells the processor that another core will read the first two cache lines of the stride at
    /// `index`, which were just written. Nothing else comes of it, whatever the index; on many
    /// processors not even that.
    #[inline]
    pub fn demote(&self, index: usize) {
        let at = self.first.as_ptr().wrapping_add(index.wrapping_mul(self.stride));
        if self.stride > LINE {
            demote(at.wrapping_add(LINE));
        }
        demote(at);
    }
}

impl<T> Clone for StridedView<T> {
    fn clone(&self) -> StridedView<T> {
        StridedView { backing: self.backing.clone(), ..*self }
    }
}

// SAFETY: a `Shared` type is made of atomics, which any thread may use.
unsafe impl<T: Shared> Send for StridedView<T> {}
// SAFETY: as for Send.
unsafe impl<T: Shared> Sync for StridedView<T> {}
