//! `fork` that is safe to call: it refuses where a thread could be lost in the middle of something.
//!
//! ```no_run
//! use postbox_sys::fork::{CTRL_C, ForkError, Forked, exit_now, fork};
//!
//! match fork(&[CTRL_C])? {
//!     Forked::Parent { pid } => println!("started {pid}"),
//!     Forked::Child => exit_now(0),
//! }
//! # Ok::<(), ForkError>(())
//! ```
//!
//! # Why this is sound
//!
//! In a child of `fork` only the calling thread exists. Every other thread is gone at whatever
//! instruction it was: its locks stay locked for ever, and the C library may hand its stack to a
//! new thread. So a process forks here only from its main thread, and only if it has no other
//! threads, except those whose names the caller vouches for. Such a thread must, while `fork` runs,
//!
//! 1. sit in a system call, holding no lock: of the allocator, of standard output, of anybody;
//! 2. have lent nothing on its stack to another thread.
//!
//! The thread of the `ctrlc` crate, named [`CTRL_C`], qualifies: it sits in `sem_wait` on a
//! process-private semaphore, takes no lock, and runs its closure only after a signal. In a child it
//! does not exist while its signal handlers remain, so SIGINT, SIGTERM and SIGHUP would silently
//! do nothing: [`fork`] gives them their default action there, before any of them can arrive.
//!
//! The allocator is no concern even where such a thread is just starting or just handling a signal:
//! the C library takes its own locks around `fork` and resets them in the child.

#![allow(unsafe_code)]

use crate::signals::{Signal, default_action};
use crate::threads::others;
use crate::{Errno, Result};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::ForkResult;
use std::fmt;
use std::time::Duration;

/// The name of the thread that `ctrlc` 3 starts for its handler.
pub const CTRL_C: &str = "ctrl-c";

/// A new thread bears its parent's name until it has run its first instructions, so a stranger is
/// looked at this many times, a millisecond apart, before it is an error.
const LOOKS: u32 = 50;

/// In which of the two processes a [`fork`] has returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Forked {
    /// In the caller's own process.
    Parent {
        /// The new child; it has to be waited for.
        pid: u32,
    },
    /// In the new child.
    Child,
}

/// Why a [`fork`] did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkError {
    /// The process has other threads.
    Threads {
        /// How many, not counting the calling thread and those that were vouched for.
        count: usize,
    },
    /// The system refused.
    System(Errno),
}

impl fmt::Display for ForkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForkError::Threads { count } => write!(
                out,
                "cannot fork a process with {count} other thread(s): they would not exist in the \
                 child, and what they hold would stay locked there"
            ),
            ForkError::System(errno) => write!(out, "cannot fork: {}", errno.desc()),
        }
    }
}

impl std::error::Error for ForkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ForkError::Threads { .. } => None,
            ForkError::System(errno) => Some(errno),
        }
    }
}

impl From<Errno> for ForkError {
    fn from(errno: Errno) -> ForkError {
        ForkError::System(errno)
    }
}

/// Duplicates this process. `vouched_for` names the threads that may exist beside the calling one;
/// the [module](self) says what they must and must not do meanwhile.
///
/// In the child SIGINT and SIGTERM have their default action, and SIGHUP too unless it was ignored.
///
/// See [`fork(2)`](https://man7.org/linux/man-pages/man2/fork.2.html).
///
/// # Errors
///
/// [`ForkError::Threads`]: other threads exist (always so where the calling thread is not the main
/// one). [`ForkError::System`]: `EAGAIN`: `RLIMIT_NPROC` or the control group's `pids.max` is
/// reached. `ENOMEM`. `ENOENT`: `/proc` is not mounted.
pub fn fork(vouched_for: &[&str]) -> std::result::Result<Forked, ForkError> {
    refuse_strangers(vouched_for)?;
    let held = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>();
    let mask = held.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: no other thread can be lost holding something, as the module's documentation argues,
    // so the child may do whatever this process may.
    let forked = unsafe { nix::unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        default_handlers();
    }
    // A valid mask is always accepted, and an error in the child could not be told to anybody.
    let _ = mask.thread_set_mask();
    Ok(match forked? {
        ForkResult::Parent { child } => Forked::Parent { pid: child.as_raw() as u32 },
        ForkResult::Child => Forked::Child,
    })
}

/// Ends this process at once: no destructors, no exit handlers, no flushing.
///
/// See [`_exit(2)`](https://man7.org/linux/man-pages/man2/_exit.2.html).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: the call does not return, and touches no memory of this process.
    unsafe { libc::_exit(code) }
}

/// Whether nobody but the calling thread and those vouched for exists, as [`fork`] will ask again:
/// for a caller that has to wait for something of theirs before it forks.
///
/// # Errors
///
/// Those of [`fork`], but for the system's refusal to fork.
pub fn refuse_strangers(vouched_for: &[&str]) -> std::result::Result<(), ForkError> {
    let mut strangers = 0;
    for _ in 0..LOOKS {
        let threads = others()?;
        let vouched = |name: &str| vouched_for.iter().any(|known| cut(known) == name);
        // The main thread is nobody's helper, whatever its name: its stack may be lent out.
        strangers =
            threads.iter().filter(|thread| thread.is_main || !vouched(&thread.name)).count();
        if strangers == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(ForkError::Threads { count: strangers })
}

/// A thread's name as the kernel keeps it: the first 15 bytes.
fn cut(name: &str) -> &str {
    name.get(..15).unwrap_or(name)
}

/// In the child: takes back what `ctrlc` installs. It sets all three or SIGINT alone.
fn default_handlers() {
    // The arguments are good, so there is no error. An ignored SIGHUP (nohup) stays ignored.
    let _ = default_action(Signal::SIGINT);
    let _ = default_action(Signal::SIGTERM);
    if is_handled(Signal::SIGHUP) == Ok(true) {
        let _ = default_action(Signal::SIGHUP);
    }
}

/// Whether a function of this program handles `signal`.
fn is_handled(signal: Signal) -> Result<bool> {
    // SAFETY: `sigaction` is plain numbers, for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action changes nothing, and the old one is written to `action`.
    Errno::result(unsafe {
        libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut action)
    })?;
    Ok(action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests run beside the harness's own threads: what a fork does stands in tests/forks.rs.
    #[test]
    fn a_process_with_other_threads_is_told_how_many() {
        let (end, wait_end) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("stranger".into());
        let thread = thread.spawn(move || wait_end.recv()).unwrap();
        let Err(ForkError::Threads { count }) = fork(&[CTRL_C]) else { panic!("forked") };
        assert!(count >= 1);
        drop(end);
        thread.join().unwrap().unwrap_err();
    }

    #[test]
    fn the_error_names_the_number_and_keeps_the_errno_as_its_source() {
        assert!(ForkError::Threads { count: 3 }.to_string().contains("3 other thread"));
        let error: &dyn std::error::Error = &ForkError::from(Errno::EAGAIN);
        assert_eq!(error.source().unwrap().downcast_ref(), Some(&Errno::EAGAIN));
    }
}
