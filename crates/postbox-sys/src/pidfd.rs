//! Processes by descriptor: a pidfd means one process for ever, however its number is reused.

#![allow(unsafe_code)]

use crate::process::{Identity, start_time};
use crate::signals::Signal;
use crate::{Errno, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Opens the process that has the number `pid` now; close-on-exec.
///
/// The descriptor becomes readable when the process dies, so it can stand in an epoll set.
///
/// See [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
///
/// # Errors
///
/// `ESRCH`: there is no such process, or the number is that of a thread that is not the first of its
/// process (for which kernels say `EINVAL`, later ones `ENOENT`). `EINVAL`: `pid` is zero or beyond any pid.
/// `EMFILE`, `ENFILE`, `ENOMEM`, `ENODEV`.
pub fn open(pid: u32) -> Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).ok().filter(|&pid| pid > 0).ok_or(Errno::EINVAL)?;
    // SAFETY: the call takes two numbers.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) });
    let fd = opened.map_err(|errno| match errno {
        Errno::EINVAL | Errno::ENOENT => Errno::ESRCH,
        errno => errno,
    })?;
    // SAFETY: the call has just opened this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Opens the process that `identity` names, and no later one under the same number.
///
/// The descriptor is opened first and the start time read after: were the number to change hands
/// between the two, the times would differ.
///
/// # Errors
///
/// `ESRCH`: that process is gone. Otherwise those of [`open`].
pub fn open_exactly(identity: Identity) -> Result<OwnedFd> {
    let process = open(identity.pid)?;
    match start_time(identity.pid) {
        Some(found) if found == identity.start_time => Ok(process),
        _ => Err(Errno::ESRCH),
    }
}

/// Whether the process has died. A zombie that nobody has waited for counts as dead.
///
/// # Errors
///
/// `ENOMEM`, see [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html).
pub fn is_dead(process: impl AsFd) -> Result<bool> {
    let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, PollTimeout::ZERO) {
            Err(Errno::EINTR) => (),
            Ok(ready) => return Ok(ready > 0),
            Err(errno) => return Err(errno),
        }
    }
}

/// Sends `signal` to the process.
///
/// See [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html).
///
/// # Errors
///
/// `ESRCH`: it is dead and waited for. `EPERM`: not allowed to. `EBADF`: not a pidfd.
pub fn send_signal(process: impl AsFd, signal: Signal) -> Result<()> {
    // SAFETY: the call takes numbers and a null pointer, which means an ordinary signal.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_fd().as_raw_fd(),
            signal as libc::c_int,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

/// Waits until the process, a child of this one, has ended, and says how. Signals do not end it.
///
/// See [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html).
///
/// # Errors
///
/// `ECHILD`: not a child of this process, waited for already, or SIGCHLD is ignored.
/// `EBADF`, `EINVAL`: not a pidfd.
pub fn wait(process: impl AsFd) -> Result<ExitStatus> {
    loop {
        match reap(process.as_fd(), libc::WEXITED) {
            Err(Errno::EINTR) | Ok(None) => (),
            Ok(Some(status)) => return Ok(status),
            Err(errno) => return Err(errno),
        }
    }
}

/// Like [`wait`] without waiting: `None` while the child runs.
///
/// # Errors
///
/// Those of [`wait`].
pub fn try_wait(process: impl AsFd) -> Result<Option<ExitStatus>> {
    reap(process, libc::WEXITED | libc::WNOHANG)
}

/// Whether it is a child of this process that has not been waited for.
///
/// # Errors
///
/// `EBADF`, `EINVAL`: not a pidfd.
pub fn is_child(process: impl AsFd) -> Result<bool> {
    match reap(process, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
        Err(Errno::ECHILD) => Ok(false),
        seen => seen.map(|_| true),
    }
}

fn reap(process: impl AsFd, options: libc::c_int) -> Result<Option<ExitStatus>> {
    // SAFETY: `siginfo_t` is plain numbers, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = process.as_fd().as_raw_fd() as libc::id_t;
    // SAFETY: `info` is writable.
    Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, options) })?;
    // SAFETY: `waitid` has filled in the fields of SIGCHLD, or left the zeros they started with.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    // Back to the form of wait(2): exit code in the second byte, signal in the first, 0x80 for a
    // core dump.
    Ok(Some(ExitStatus::from_raw(match info.si_code {
        libc::CLD_EXITED => (status & 0xff) << 8,
        libc::CLD_DUMPED => status | 0x80,
        _ => status,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::own_identity;
    use nix::poll::PollTimeout;
    use std::process::{Child, Command, Stdio};

    fn cat() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_killed_process_fires_its_pidfd_and_is_reported_with_its_signal() {
        #[expect(clippy::zombie_processes, reason = "the pidfd waits for it")]
        let child = cat();
        let process = open(child.id()).unwrap();
        assert_eq!(is_dead(&process), Ok(false));
        assert_eq!(try_wait(&process), Ok(None));
        assert_eq!(is_child(&process), Ok(true));
        send_signal(&process, Signal::SIGKILL).unwrap();
        let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut polled, PollTimeout::NONE), Ok(1));
        assert_eq!(is_dead(&process), Ok(true));
        assert_eq!(is_child(&process), Ok(true), "it was looked at alone");
        assert_eq!(wait(&process).unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(wait(&process), Err(Errno::ECHILD));
        assert_eq!(is_child(&process), Ok(false));
        assert_eq!(send_signal(&process, Signal::SIGKILL), Err(Errno::ESRCH));
    }

    #[test]
    fn an_ended_process_is_reported_with_its_exit_code() {
        #[expect(clippy::zombie_processes, reason = "the pidfd waits for it")]
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let process = open(child.id()).unwrap();
        assert_eq!(wait(&process).unwrap().code(), Some(7));
    }

    #[test]
    fn an_identity_with_another_start_time_is_another_process() {
        let me = own_identity().unwrap();
        assert_eq!(is_dead(open_exactly(me).unwrap()), Ok(false));
        let earlier = Identity { start_time: me.start_time - 1, ..me };
        assert_eq!(open_exactly(earlier).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn numbers_that_no_process_can_have_are_refused() {
        assert_eq!(open(0).unwrap_err(), Errno::EINVAL);
        assert_eq!(open(u32::MAX).unwrap_err(), Errno::EINVAL);
        assert_eq!(open(i32::MAX as u32).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn the_number_of_a_thread_is_no_process() {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| open(nix::unistd::gettid().as_raw() as u32));
            assert_eq!(thread.join().unwrap().unwrap_err(), Errno::ESRCH);
        });
    }
}
