//! What `/proc` says of another process or thread: whether it sleeps, and what it has cost.

use nix::unistd::{Pid, gettid};
use std::fs::read_to_string;
use std::time::Duration;

/// The calling thread, as the others here know it.
pub fn own_thread() -> u32 {
    gettid().as_raw() as u32
}

/// Returns once that process or thread sleeps in a wait of Postbox.
pub fn until_asleep(task: u32) {
    crate::eventually("falling asleep", || is_asleep(task).then_some(()));
}

/// Returns once all threads of that process stand still: a signal reaches those that run a little later.
pub fn until_stopped(process: u32) {
    let stands = |entry: std::io::Result<std::fs::DirEntry>| {
        let stat = read_to_string(entry.ok()?.path().join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
    };
    crate::eventually("standing still", || {
        std::fs::read_dir(format!("/proc/{process}/task")).ok()?.try_for_each(stands)
    });
}

/// Returns once all of these sleep and nothing stirs them any more; how often each went to sleep.
///
/// The last to join wakes the others once more: looking at each only once would be too early.
pub fn until_settled(tasks: &[u32]) -> Vec<u64> {
    let mut before = Vec::new();
    loop {
        tasks.iter().for_each(|task| until_asleep(*task));
        let now: Vec<u64> = tasks.iter().map(|task| switches(*task)).collect();
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Whether that process or thread sleeps in epoll, which is how Postbox waits.
///
/// Where the kernel does not tell in which call a task sleeps, sleeping at all counts.
pub fn is_asleep(task: u32) -> bool {
    let before = state(task);
    assert!(
        !matches!(before, None | Some('Z' | 'X')),
        "process {task} ended instead of falling asleep"
    );
    waits(task)
}

fn waits(task: u32) -> bool {
    let before = state(task);
    let place = read_to_string(format!("/proc/{task}/wchan")).unwrap_or_default();
    before == Some('S')
        && (matches!(place.as_str(), "" | "0") || place.contains("epoll") || place.contains("ep_"))
        && state(task) == Some('S')
}

/// Returns once that process sleeps in a wait of Postbox, or is stopped or dead.
pub fn until_asleep_or_ended(task: u32) {
    crate::eventually("falling asleep or ending", || {
        let over = matches!(state(task), None | Some('Z' | 'X' | 'T'));
        (over || waits(task)).then_some(())
    });
}

/// Whether that process or thread runs or could run.
pub fn is_running(task: u32) -> bool {
    state(task) == Some('R')
}

/// What a process or thread is at: the state letter of `proc(5)`; none if there is no such one.
pub fn state(task: u32) -> Option<char> {
    let stat = read_to_string(format!("/proc/{task}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.trim_start().chars().next()
}

/// Times that it went to sleep of its own accord.
pub fn switches(task: u32) -> u64 {
    switches_if_alive(task).expect("a live process has a count of its switches")
}

fn switches_if_alive(task: u32) -> Option<u64> {
    let status = read_to_string(format!("/proc/{task}/status")).ok()?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    count.trim().parse().ok()
}

/// Times that the threads of a process went to sleep, if all of them sleep now: where it is the same at two
/// looks, none of them has done anything in between.
pub fn all_asleep(process: u32) -> Option<u64> {
    let mut switches = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let task = task.ok()?.file_name().to_str()?.parse().ok()?;
        if state(task)? != 'S' {
            return None;
        }
        switches += switches_if_alive(task)?;
    }
    Some(switches)
}

/// The time that it has spent on any core.
pub fn cpu_time(process: u32) -> Duration {
    let clock = nix::time::clock_getcpuclockid(Pid::from_raw(process as i32));
    clock.and_then(nix::time::ClockId::now).expect("a live process has a clock").into()
}
