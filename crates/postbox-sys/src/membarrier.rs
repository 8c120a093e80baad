//! A memory barrier on behalf of every thread of the system.

#![allow(unsafe_code)]

/// Makes every running thread pass a full memory barrier before this returns: what each had stored
/// is visible from here on, and what each loads afterwards is no older than this call.
///
/// It takes some milliseconds, so it belongs on rare paths, where it spares the frequent path of
/// other threads and processes a fence each time.
///
/// See [`membarrier(2)`](https://man7.org/linux/man-pages/man2/membarrier.2.html),
/// `MEMBARRIER_CMD_GLOBAL`. Where the kernel has it not (`ENOSYS`; `EINVAL` with `nohz_full`), a fence
/// of the calling thread alone has to do.
pub fn all() {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes numbers and changes no memory.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if done != 0 {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_returns() {
        super::all();
    }
}
