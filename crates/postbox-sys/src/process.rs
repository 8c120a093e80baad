//! Who a process is: its number together with its start time.

use crate::proc_file::Stat;
use crate::{Errno, Result};

/// Names one process for as long as the machine runs: numbers are reused, but not within one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks (10 ms) since boot.
    pub start_time: u64,
}

/// When the process `pid` started, in clock ticks since boot; `None` if there is no such process.
///
/// A zombie still has one. It is field 22 of
/// [`/proc/PID/stat`](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html), read such that
/// no name of a program can mislead it. Where `/proc` is mounted with `hidepid`, processes of other
/// users look as if they did not exist.
pub fn start_time(pid: u32) -> Option<u64> {
    try_start_time(pid).unwrap_or(None)
}

/// As [`start_time`], telling "no such process" from "cannot be read now".
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOMEM`: reading it takes a descriptor and a little memory for a moment.
pub fn try_start_time(pid: u32) -> Result<Option<u64>> {
    match Stat::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(Some(stat.start_time)),
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(errno),
        Err(_) => Ok(None),
    }
}

/// The identity of the calling process.
///
/// # Errors
///
/// `ESRCH`: `/proc` is not mounted.
pub fn own_identity() -> Result<Identity> {
    let stat = Stat::read("/proc/self/stat")?;
    Ok(Identity { pid: stat.id, start_time: stat.start_time })
}

/// The number of the user that the calling process acts as (its effective one).
pub fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_has_one_identity() {
        let me = own_identity().unwrap();
        assert_eq!(me.pid, std::process::id());
        assert_eq!(start_time(me.pid), Some(me.start_time));
    }

    #[test]
    fn a_process_has_a_start_time_until_it_has_been_waited_for() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(start_time(child.id()).unwrap() >= own_identity().unwrap().start_time);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(start_time(child.id()), None);
    }
}
