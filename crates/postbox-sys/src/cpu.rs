//! Processors: which ones this thread may use, and pinning it to one.

use crate::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

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
}
