//! The monotonic clock: it never jumps, is the same in every process, and stops during suspend.
//!
//! The vDSO is called where it lies, not by way of the C library: whoever never waits asks for the time with each message, and
//! the way takes a third of that. Both clocks exist in every kernel since 2.6.32. Where there is no vDSO, or it cannot read the
//! machine's clock, it is a system call, and a filter that forbids that one is a panic, as it is for `Instant::now`.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock behind [`std::time::Instant`].
///
/// See [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html) and
/// [`vdso(7)`](https://man7.org/linux/man-pages/man7/vdso.7.html), which answers without entering the kernel.
#[inline]
pub fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Nanoseconds of `CLOCK_MONOTONIC_COARSE`: the value of [`now`] at the last timer tick, up to one
/// tick (1 to 10 ms, by the kernel's configuration) behind it and never ahead, but cheaper to read.
#[inline]
pub fn coarse() -> u64 {
    nanoseconds(ClockId::MonotonicCoarse)
}

#[inline(always)]
fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
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
