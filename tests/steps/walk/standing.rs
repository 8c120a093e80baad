//! Whether a process runs, stands still or is dead, and how to make it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postbox_tests::{Outcome, state};

/// Whether a process is stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Whether it is dead, mourned or not.
pub fn is_dead(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// Stops a process, and waits until it stands still.
pub fn stop(pid: u32) -> Outcome {
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP)?;
    postbox_tests::eventually("standing still", || is_stopped_or_dead(pid).then_some(()));
    Ok(())
}

/// Lets a process go on.
pub fn resume(pid: u32) -> Outcome {
    Ok(kill(Pid::from_raw(pid as i32), Signal::SIGCONT)?)
}

/// Whether it is, or will never be.
pub fn is_stopped_or_dead(pid: u32) -> bool {
    is_stopped(pid) || is_dead(pid)
}
