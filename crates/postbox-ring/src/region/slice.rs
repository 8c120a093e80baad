//! Slices of shared memory: looked at and written where they lie, by copies of what is asked for.
//!
//! A plain `&[u8]` promises the compiler that nobody changes the bytes, a `&mut [u8]` that nobody
//! else even looks. Of memory that another process has mapped only that process can promise it. So
//! these are not references: a read or write of eight bytes is one load or store, and one of a megabyte one
//! copy, whatever others do meanwhile. Who trusts them takes the reference, and says so by `unsafe`.

use std::{fmt, io, marker::PhantomData, ptr::NonNull};

use super::{OutOfBounds, Region, copy::copy};

/// Bytes to be read, which other processes may be able to write.
///
/// As with `&[u8]`, to [read](io::Read) from it moves it past what was read.
#[derive(Clone, Copy)]
pub struct SharedSlice<'a> {
    at: NonNull<u8>,
    len: usize,
    of: PhantomData<&'a [u8]>,
}

/// Bytes to be written, which other processes may be able to read and write.
///
/// As with `&mut [u8]`, to [write](io::Write) to it moves it past what was written.
pub struct SharedSliceMut<'a> {
    at: NonNull<u8>,
    len: usize,
    of: PhantomData<&'a mut [u8]>,
}

// SAFETY: bytes that are reached by copies alone, as by `Region`, from whichever thread.
unsafe impl Send for SharedSlice<'_> {}
// SAFETY: as for Send; it is only read through.
unsafe impl Sync for SharedSlice<'_> {}
// SAFETY: as for SharedSlice.
unsafe impl Send for SharedSliceMut<'_> {}
// SAFETY: a shared reference to it gives its length alone.
unsafe impl Sync for SharedSliceMut<'_> {}

impl Region {
    /// The `len` bytes at `offset`, to be read.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not lie inside the region.
    #[inline]
    pub fn slice(&self, offset: usize, len: usize) -> Result<SharedSlice<'_>, OutOfBounds> {
        Ok(SharedSlice { at: self.place(offset, len)?, len, of: PhantomData })
    }

    /// The `len` bytes at `offset`, to be written.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not lie inside the region.
    #[inline]
    pub fn slice_mut(&self, offset: usize, len: usize) -> Result<SharedSliceMut<'_>, OutOfBounds> {
        Ok(SharedSliceMut { at: self.place(offset, len)?, len, of: PhantomData })
    }
}

impl<'a> SharedSlice<'a> {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] where the bytes end before that; nothing is read then.
    #[inline]
    pub fn copy_to(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = place(self.at, self.len, offset, into.len())?;
        // SAFETY: `place` checked the source; what is copied to is a reference, which never lies in
        // a region, or in a buffer that is only read meanwhile.
        unsafe { copy(from.as_ptr(), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Appends all of them to `into`.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        into.reserve(self.len);
        let spare = into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `reserve` made room behind the length, and the copy initialises exactly the bytes
        // that the new length adds; the source is as in `copy_to`.
        unsafe {
            copy(self.at.as_ptr(), spare, self.len);
            into.set_len(into.len() + self.len);
        }
    }

    /// A copy of all of them.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }

    /// The bytes as a plain slice, without a copy.
    ///
    /// # Safety
    /// While the slice lives, no process writes to them. Among members of a channel that keep its
    /// protocol none does: the bytes are this process's until it gives them back. One that is hostile, or
    /// whose own memory errors make it write astray, can.
    pub unsafe fn as_slice(self) -> &'a [u8] {
        // SAFETY: checked to lie inside when this was made, and initialised, as mapped memory is; the
        // caller promises the rest.
        unsafe { NonNull::slice_from_raw_parts(self.at, self.len).as_ref() }
    }
}

impl SharedSliceMut<'_> {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they do not fit; nothing is written then.
    #[inline(always)]
    pub fn copy_from(&mut self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let to = place(self.at, self.len, offset, bytes.len())?;
        // SAFETY: `place` checked the destination; what is copied from is a reference, which never lies
        // in a region, nor in a buffer that this borrows.
        unsafe { copy(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Sets every byte to `byte`.
    pub fn fill(&mut self, byte: u8) {
        // SAFETY: checked to lie inside when this was made; no reference to the bytes is formed.
        unsafe { self.at.as_ptr().write_bytes(byte, self.len) };
    }
}

impl<'a> SharedSliceMut<'a> {
    /// The bytes as a plain slice, to be written without a copy.
    ///
    /// # Safety
    /// While the slice lives, no other process reads or writes them. Among members of a channel that keep
    /// its protocol none does: the bytes are this process's until it sends them or gives them back. One
    /// that is hostile, or a child that this process forks meanwhile and that writes there too, can.
    pub unsafe fn as_mut_slice(self) -> &'a mut [u8] {
        // SAFETY: checked to lie inside when this was made, and initialised, as mapped memory is; the
        // caller promises the rest.
        unsafe { NonNull::slice_from_raw_parts(self.at, self.len).as_mut() }
    }
}

/// Where `bytes` bytes at `offset` lie, when they are among the `len` at `at`.
#[inline(always)]
fn place(
    at: NonNull<u8>,
    len: usize,
    offset: usize,
    bytes: usize,
) -> Result<NonNull<u8>, OutOfBounds> {
    if offset > len || bytes > len - offset {
        return Err(OutOfBounds);
    }
    // SAFETY: `offset` is at most the length, so the address stays inside or at the end.
    Ok(unsafe { at.add(offset) })
}

impl<'a> From<&'a [u8]> for SharedSlice<'a> {
    fn from(own: &'a [u8]) -> Self {
        SharedSlice { at: NonNull::from(own).cast(), len: own.len(), of: PhantomData }
    }
}

impl<'a> From<&'a mut [u8]> for SharedSliceMut<'a> {
    fn from(own: &'a mut [u8]) -> Self {
        SharedSliceMut { len: own.len(), at: NonNull::from(own).cast(), of: PhantomData }
    }
}

impl io::Read for SharedSlice<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(self.len);
        self.copy_to(0, &mut into[..len]).map_err(io::Error::other)?;
        self.at = place(self.at, self.len, len, 0).map_err(io::Error::other)?;
        self.len -= len;
        Ok(len)
    }
}

impl io::Write for SharedSliceMut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.len);
        self.copy_from(0, &bytes[..len]).map_err(io::Error::other)?;
        self.at = place(self.at, self.len, len, 0).map_err(io::Error::other)?;
        self.len -= len;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SharedSlice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSlice").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedSliceMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSliceMut").field("len", &self.len).finish_non_exhaustive()
    }
}
