#![allow(unsafe_code, reason = "no safe call makes processes that share their descriptors")]

use nix::libc;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::waitpid;
use postbox::{Wait, fork};
use postbox_tests::bench::Bench;
use postbox_tests::{Gate, Outcome};
use std::time::{Duration, Instant};

pub fn name_of_the_dead() -> Outcome {
    set_child_subreaper(true)?;
    let bench = Bench::new()?;
    let domain = bench.open();
    let (joined, end) = (Gate::new()?, Gate::new()?);
    let child = fork((), |()| {
        let _me = domain.join("zombie")?;
        // It shares the table of descriptors, and so the locks, which outlive the one they name.
        let flags = i64::from(libc::CLONE_FILES | libc::SIGCHLD);
        // SAFETY: as a plain fork, after which the child does no more than sleep and end.
        match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
            -1 => return Err(nix::Error::last().into()),
            0 => end.pass()?,
            _ => joined.open()?,
        }
        // SAFETY: the call does not return.
        unsafe { libc::_exit(0) }
    })?;
    joined.pass()?;
    child.wait()?;
    let me = domain.join("me")?;
    let start = Instant::now();
    let sent = me.send_with("zombie", &1u32, &Wait::timeout(Duration::from_millis(100)));
    assert!(sent.is_err() && start.elapsed().as_secs() < 3, "{sent:?} after {:?}", start.elapsed());
    end.open()?;
    waitpid(None, None)?;
    Ok(())
}
