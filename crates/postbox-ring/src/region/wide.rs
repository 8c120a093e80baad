//! Copying by stores of 32 bytes.
//!
//! From some length on C libraries copy by `rep movsb`. Some of AMD's processors do so at a twentieth of the speed where
//! `to` lies a few bytes behind `from` within their pages (glibc bug 30994), at half of it where it lies elsewhere in the same
//! line, and pass what they have written on to another core more slowly. Slots of a ring have addresses of every kind. Stores
//! to addresses that are multiples of 32 take the same time wherever the bytes come from.

use core::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_storeu_si256};

/// Bytes that are copied in one turn.
const BLOCK: usize = 128;
const LINE: usize = 64;

/// Whether the processor can.
#[inline]
pub(super) fn is_there() -> bool {
    std::is_x86_feature_detected!("avx")
}

/// Copies one block or more.
///
/// # Safety
/// As [`copy_nonoverlapping`](core::ptr::copy_nonoverlapping); `len` is at least 128, and
/// [it is there](is_there).
#[target_feature(enable = "avx")]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let last = len - BLOCK;
    // The first block reaches beyond the start of the line in which the others begin, the last one ends with the bytes.
    let mut at = LINE - to.addr() % LINE;
    // SAFETY: the caller's; a block begins at `last` or before, and so ends within `len`.
    unsafe {
        block(from, to);
        while at < last {
            block(from.add(at), to.add(at));
            at += BLOCK;
        }
        block(from.add(last), to.add(last));
    }
}

/// # Safety
/// As [`copy`], of one block.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn block(from: *const u8, to: *mut u8) {
    let (from, to) = (from.cast::<__m256i>(), to.cast::<__m256i>());
    // SAFETY: the caller's; neither asks for an alignment.
    unsafe {
        let first = _mm256_loadu_si256(from);
        let second = _mm256_loadu_si256(from.add(1));
        let third = _mm256_loadu_si256(from.add(2));
        let fourth = _mm256_loadu_si256(from.add(3));
        _mm256_storeu_si256(to, first);
        _mm256_storeu_si256(to.add(1), second);
        _mm256_storeu_si256(to.add(2), third);
        _mm256_storeu_si256(to.add(3), fourth);
    }
}
