//! The monotonic clock: it never jumps, is the same in every process, and stops during suspend.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock behind [`std::time::Instant`].
///
/// See [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html); the vDSO
/// answers without entering the kernel.
#[inline]
pub fn now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_MONOTONIC_COARSE`: the value of [`now`] at the last timer tick, up to one
/// tick (1 to 10 ms, by the kernel's configuration) behind it and never ahead, but cheaper to read.
#[inline]
pub fn coarse() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// By the bare call: every message that is sent asks what time it is.
#[inline(always)]
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    // Both clocks exist in every kernel since 2.6.32: there is no error but of a filter that forbids the call.
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is good for one timespec.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: the call has filled it.
    let time = unsafe { time.assume_init() };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let mut last = now();
        assert!(last > 0);
        for _ in 0..10_000 {
            let time = now();
            assert!(time >= last);
            last = time;
        }
    }

    #[test]
    fn the_coarse_clock_is_never_ahead_and_at_most_some_ticks_behind() {
        let coarse_first = coarse();
        let fine = now();
        assert!(coarse_first <= fine);
        // Generous: a virtual machine may lose ticks, but not a second's worth.
        assert!(fine - coarse_first < 1_000_000_000);
    }
}
