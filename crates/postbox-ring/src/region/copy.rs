//! Copying a few bytes without a call.

use core::ptr::copy_nonoverlapping;

/// Copies `len` bytes; from 8 to 64 without a call: in two pieces, one from the start and one up to the end, which may
/// overlap.
///
/// # Safety
/// As [`copy_nonoverlapping`].
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's; no piece begins before the first byte or ends behind the last.
    unsafe {
        match len {
            33..=64 => {
                piece::<32>(from, to);
                piece::<32>(from.add(len - 32), to.add(len - 32));
            }
            16 => piece::<16>(from, to),
            17..=32 => {
                piece::<16>(from, to);
                piece::<16>(from.add(len - 16), to.add(len - 16));
            }
            8 => piece::<8>(from, to),
            9..=15 => {
                piece::<8>(from, to);
                piece::<8>(from.add(len - 8), to.add(len - 8));
            }
            _ => copy_nonoverlapping(from, to, len),
        }
    }
}

/// Copies `N` bytes at one go.
///
/// # Safety
/// As [`copy_nonoverlapping`].
#[inline(always)]
unsafe fn piece<const N: usize>(from: *const u8, to: *mut u8) {
    // SAFETY: the caller's; an array of bytes lies anywhere.
    unsafe { to.cast::<[u8; N]>().write(from.cast::<[u8; N]>().read()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_bytes_asked_for_are_copied_whatever_their_number() {
        let from: Vec<u8> = (0..=255).collect();
        for len in 0..=200 {
            for begin in [0, 1, 7] {
                let mut to = vec![255; 256];
                // SAFETY: both hold as many, and are two.
                unsafe { copy(from.as_ptr().add(begin), to.as_mut_ptr().add(begin), len) };
                let copied = |at| (begin..begin + len).contains(&at);
                assert!((0..256).all(|at| to[at] == if copied(at) { at as u8 } else { 255 }));
            }
        }
    }
}
