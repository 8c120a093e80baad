//! Who a process is: its number together with its start time.

use crate::proc_file::{self, Stat};
use crate::{Errno, Result, wipe_on_fork};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

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
/// users look as if they did not exist, and so do all where it is that of another pid namespace, whose
/// numbers mean others.
pub fn start_time(pid: u32) -> Option<u64> {
    try_start_time(pid).unwrap_or(None)
}

/// As [`start_time`], telling "no such process" from "cannot be read now".
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOMEM`: reading it takes a descriptor and a little memory for a moment.
pub fn try_start_time(pid: u32) -> Result<Option<u64>> {
    let Some(stat) = seen(Stat::read(format!("/proc/{pid}/stat")))? else { return Ok(None) };
    Ok(shows_our_numbers()?.then_some(stat.start_time))
}

/// The effective user of the process `pid`, if it may be looked at.
///
/// # Errors
///
/// Those of [`try_start_time`].
pub fn try_user_of(pid: u32) -> Result<Option<u32>> {
    // Not the owner of /proc/PID: that is root where a process has changed its user.
    let Some(status) = seen(proc_file::read(format!("/proc/{pid}/status")))? else {
        return Ok(None);
    };
    Ok(if shows_our_numbers()? { effective_user(&status) } else { None })
}

/// The second of the four in the line `Uid:`, which is the one that credentials show.
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What was found of a process; none if it cannot be seen, be it for good.
fn seen<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(errno),
        Err(_) => Ok(None),
    }
}

/// Whether `/proc` is of this process's pid namespace. Where it is, that is asked once.
fn shows_our_numbers() -> Result<bool> {
    /// The fork generation that has seen it.
    static SEEN_BY: AtomicU64 = AtomicU64::new(0);
    let generation = wipe_on_fork::generation();
    // Relaxed: pairs with nothing, the number guards no other memory.
    if generation != 0 && SEEN_BY.load(Ordering::Relaxed) == generation {
        return Ok(true);
    }
    let own = seen(Stat::read("/proc/self/stat"))?;
    let ours = own.is_some_and(|own| own.id == std::process::id());
    if ours {
        SEEN_BY.store(generation, Ordering::Relaxed);
    }
    Ok(ours)
}

/// The number of this process's time namespace, which no other has as long as it is there; `None` where the
/// kernel has none, or `/proc` does not show it.
///
/// Start times are told by the clock of whoever reads them: processes of different time namespaces know
/// different ones of the same process. See
/// [`time_namespaces(7)`](https://man7.org/linux/man-pages/man7/time_namespaces.7.html).
pub fn time_namespace() -> Option<u32> {
    // The kernel counts namespaces in 32 bits. A main thread that has ended is in none.
    std::fs::metadata("/proc/thread-self/ns/time").ok()?.ino().try_into().ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::own_uid;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_has_one_identity() {
        let me = own_identity().unwrap();
        assert_eq!(me.pid, std::process::id());
        assert_eq!(start_time(me.pid), Some(me.start_time));
    }

    #[test]
    fn a_time_namespace_has_the_number_that_its_link_shows() {
        let link = std::fs::read_link("/proc/self/ns/time").ok();
        let shown = link.map(|link| link.to_string_lossy().into_owned());
        assert_eq!(shown, time_namespace().map(|number| format!("time:[{number}]")));
    }

    #[test]
    fn the_effective_user_is_the_one_that_counts() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"), Some(2));
        assert_eq!(effective_user("Name:\tUid\n"), None);
        assert_eq!(effective_user("Uid:\tx y"), None);
    }

    #[test]
    fn this_process_is_its_users_and_nobody_is_pid_0s() {
        assert_eq!(try_user_of(std::process::id()), Ok(Some(own_uid())));
        assert_eq!(try_user_of(0), Ok(None));
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
