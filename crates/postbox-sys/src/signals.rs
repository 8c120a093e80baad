//! Signals: sending them, and back to the default action.

#![allow(unsafe_code)]

use crate::{Errno, Result};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, kill as send, signal};
use nix::unistd::Pid;

pub use nix::sys::signal::Signal;

/// Gives `sig` its default action in this process, as at the start of a program.
///
/// See [`signal(2)`](https://man7.org/linux/man-pages/man2/signal.2.html).
///
/// # Errors
///
/// `EINVAL`: SIGKILL and SIGSTOP have no other action.
pub fn default_action(sig: Signal) -> Result<()> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(sig, SigHandler::SigDfl) }.map(drop)
}

/// Runs `start` with every signal blocked. A thread that it starts keeps them blocked, so that the
/// signals of the program go to the threads that the program knows of.
///
/// # Errors
///
/// None that are known of.
pub fn blocked<R>(start: impl FnOnce() -> R) -> Result<R> {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let result = start();
    mask.thread_set_mask()?;
    Ok(result)
}

/// Sends `sig` to the process `pid`: to one process, never to a group or to everyone.
///
/// The number may have been reused; [`pidfd::send_signal`](crate::pidfd::send_signal) is exact.
///
/// See [`kill(2)`](https://man7.org/linux/man-pages/man2/kill.2.html).
///
/// # Errors
///
/// `ESRCH`: there is no such process. `EPERM`: not allowed to. `EINVAL`: `pid` is zero or beyond
/// any pid.
pub fn kill(pid: u32, sig: Signal) -> Result<()> {
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => send(Pid::from_raw(pid), sig),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    #[test]
    fn a_signal_reaches_exactly_the_process_it_was_sent_to() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        kill(child.id(), Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn groups_and_everyone_cannot_be_addressed() {
        assert_eq!(kill(0, Signal::SIGTERM), Err(Errno::EINVAL));
        assert_eq!(kill(-1i32 as u32, Signal::SIGTERM), Err(Errno::EINVAL));
    }

    #[test]
    fn a_handled_signal_gets_its_default_action_back() {
        // SIGURG: its default action is to do nothing, so no other test can be hurt.
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: the handler does nothing.
        unsafe { signal(Signal::SIGURG, SigHandler::Handler(nothing)) }.unwrap();
        default_action(Signal::SIGURG).unwrap();
        // SAFETY: the default action runs no code of this process.
        let before = unsafe { signal(Signal::SIGURG, SigHandler::SigDfl) }.unwrap();
        assert!(matches!(before, SigHandler::SigDfl));
        assert_eq!(default_action(Signal::SIGKILL), Err(Errno::EINVAL));
    }
}
