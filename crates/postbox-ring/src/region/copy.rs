//! Copying: a few bytes without a call, many by [wide] stores.

#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::wide;
use core::ptr::copy_nonoverlapping;

/// From so many bytes on they are [copied by wide stores](long); with fewer the library is as fast.
const LONG: usize = 512;

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
            // The slot beside its word and header: two pieces of 32 would write a third of it twice.
            48 => piece::<48>(from, to),
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
            LONG.. => long(from, to, len),
            _ => copy_nonoverlapping(from, to, len),
        }
    }
}

/// Copies [`LONG`] bytes or more.
///
/// # Safety
/// As [`copy_nonoverlapping`].
#[inline(never)]
unsafe fn long(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if wide::is_there() {
        // SAFETY: the processor has it; the caller's; and that many are blocks.
        return unsafe { wide::copy(from, to, len) };
    }
    // SAFETY: the caller's.
    unsafe { copy_nonoverlapping(from, to, len) }
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
        // Wherever a piece is misplaced, it differs.
        let from: Vec<u8> = (0..9000_u32).map(|n| (n % 251 + n / 251) as u8).collect();
        let few = 0..=200;
        let many = [LONG - 1, LONG, LONG + 1, LONG + 63, 1000, 4095, 4096, 4097, 8000];
        for len in few.chain(many) {
            for (begin, to_begin) in [(0, 0), (1, 1), (7, 7), (3, 40), (64, 63), (0, 31)] {
                let mut to = vec![255; 9000];
                // SAFETY: both hold as many, and are two.
                unsafe { copy(from.as_ptr().add(begin), to.as_mut_ptr().add(to_begin), len) };
                assert_eq!(to[to_begin..to_begin + len], from[begin..begin + len]);
                let (before, behind) = (&to[..to_begin], &to[to_begin + len..]);
                assert!(before.iter().chain(behind).all(|&byte| byte == 255), "{len} bytes");
            }
        }
    }
}
