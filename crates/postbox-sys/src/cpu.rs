//! Processors: which ones this thread may use, and pinning it to one.

use crate::{Result, clock};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};

pub use crate::vendor::{fetches_for_writing, looks_are_cheap};

/// Pins the calling thread to processor `cpu`.
///
/// See [`sched_setaffinity(2)`](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html).
///
/// # Errors
///
/// `EINVAL`: there is no such processor, or a control group keeps this process off it.
pub fn pin_to(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// The processors that the calling thread may run on, in ascending order.
///
/// See [`sched_getaffinity(2)`](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html).
///
/// # Errors
///
/// `EINVAL`: the machine has more processors than a `cpu_set_t` holds (1024).
pub fn available() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect())
}

/// PAUSE instructions that take 32 ns here, as measured once; 0 before that.
static PAUSES: AtomicU32 = AtomicU32::new(0);

/// Does nothing for about `breaths` times 32 ns, in a way that leaves the core's resources to others.
///
/// A PAUSE takes from 3 to 50 ns, by the processor: the first call finds out how long it is here.
#[inline]
pub fn breathe(breaths: u32) {
    // Relaxed: any measurement will do.
    let pauses = match PAUSES.load(Ordering::Relaxed) {
        0 => measure(),
        pauses => pauses,
    };
    for _ in 0..pauses * breaths {
        spin_loop();
    }
}

#[cold]
fn measure() -> u32 {
    const EACH: u32 = 64;
    let time = || {
        let start = clock::now();
        (0..EACH).for_each(|_| spin_loop());
        clock::now() - start
    };
    // The shortest of a few: whatever comes in between only makes it longer.
    let shortest = (0..5).map(|_| time()).min().unwrap_or(0).max(1);
    let pauses = (u64::from(EACH) * 32 / shortest).clamp(1, 16) as u32;
    PAUSES.store(pauses, Ordering::Relaxed);
    pauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn a_pinned_thread_may_use_exactly_that_processor() {
        for cpu in available().unwrap() {
            let pinned = std::thread::spawn(move || {
                pin_to(cpu).unwrap();
                available().unwrap()
            });
            assert_eq!(pinned.join().unwrap(), [cpu]);
        }
    }

    #[test]
    fn a_processor_that_does_not_exist_is_einval() {
        assert_eq!(pin_to(1_000_000), Err(Errno::EINVAL));
    }

    #[test]
    fn a_breath_takes_about_as_long_as_it_says() {
        breathe(1);
        let took = || {
            let start = clock::now();
            breathe(1000);
            clock::now() - start
        };
        // 32 µs, at least a third of which is no accident; a busy machine makes it longer.
        assert!((0..20).map(|_| took()).min().unwrap() >= 10_000);
    }
}
