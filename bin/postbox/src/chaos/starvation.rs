//! For how long victims were able to run and were not run, as the kernel counts it
//! (`/proc/PID/schedstat`): what the canary, which hardly ever runs, does not feel on a machine whose processors
//! many others want.

use std::collections::{HashMap, VecDeque};
use std::fs;

/// How often the counts are read, in nanoseconds.
const EVERY: u64 = 50_000_000;
/// How far back they are remembered.
const MEMORY: u64 = 20_000_000_000;

/// What the count of each thread of the living victims was when. (Links are made by a thread of their own.)
#[derive(Debug, Default)]
pub struct Starvation {
    /// By number of the thread.
    counts: HashMap<u32, VecDeque<(u64, u64)>>,
    /// When, and of which processes.
    read: u64,
    pids: Vec<u32>,
}

impl Starvation {
    /// Reads the counts of these processes now, unless that has just been done; forgets all others.
    pub fn read(&mut self, pids: impl Iterator<Item = u32>, now: u64) {
        if now >= self.read + EVERY {
            self.pids = pids.collect();
            self.refresh(now);
        }
    }

    /// Reads them all the same: the time that somebody waited for a processor is counted only when it
    /// has got one, which may have been just now.
    pub fn refresh(&mut self, now: u64) {
        self.read = now;
        let mut counts = HashMap::new();
        let all = self.pids.iter().flat_map(|pid| of_threads(*pid, "schedstat", count));
        for (thread, count) in all {
            let mut known = self.counts.remove(&thread).unwrap_or_default();
            known.push_back((now, count));
            while known.front().is_some_and(|(at, _)| at + MEMORY < now) {
                known.pop_front();
            }
            counts.insert(thread, known);
        }
        self.counts = counts;
    }

    /// The most that one of them was kept from running between then and then.
    pub fn worst(&self, from: u64, to: u64) -> u64 {
        self.counts.values().map(|known| between(known, from, to)).max().unwrap_or(0)
    }
}

/// What the count grew by, from the last reading before to the first one after.
fn between(known: &VecDeque<(u64, u64)>, from: u64, to: u64) -> u64 {
    let before = known.iter().rev().find(|(at, _)| *at <= from).or(known.front());
    let after = known.iter().find(|(at, _)| *at >= to).or(known.back());
    match (before, after) {
        (Some((_, before)), Some((_, after))) => after.saturating_sub(*before),
        _ => 0,
    }
}

/// What a file in `/proc` says of each thread of that process.
fn of_threads<T>(pid: u32, file: &str, read: impl Fn(&str) -> Option<T>) -> Vec<(u32, T)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let number = thread.file_name().to_str()?.parse().ok()?;
            let said = fs::read_to_string(thread.path().join(file)).ok()?;
            Some((number, read(&said)?))
        })
        .collect()
}

/// Nanoseconds that it waited for a processor.
fn count(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

/// Whether one of its threads is kept in the kernel, where nothing reaches it, or runs, or could.
pub fn is_held_up(pid: u32) -> bool {
    of_threads(pid, "stat", state).iter().any(|(_, state)| matches!(state, 'R' | 'D'))
}

/// Whether it runs, or could, in any of its threads.
pub fn is_running(pid: u32) -> bool {
    of_threads(pid, "stat", state).iter().any(|(_, state)| *state == 'R')
}

fn state(stat: &str) -> Option<char> {
    // `pid (name) state ...`, and the name may have anything in it.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counted_around_a_time_is_found() {
        let known = VecDeque::from([(10, 100), (20, 107), (30, 107), (40, 150)]);
        for (from, to, grew) in [(10, 20, 7), (20, 30, 0), (12, 18, 7), (25, 35, 43), (0, 99, 50)] {
            assert_eq!(between(&known, from, to), grew, "{from} to {to}");
        }
        assert_eq!(between(&VecDeque::new(), 0, 1), 0);
    }

    #[test]
    fn what_is_read_anew_is_known_at_once() {
        let mut starvation = Starvation::default();
        starvation.read([std::process::id()].into_iter(), EVERY);
        starvation.refresh(EVERY + 1);
        assert!(starvation.counts.values().all(|known| known.back().unwrap().0 == EVERY + 1));
    }

    #[test]
    fn those_that_are_gone_are_forgotten() {
        let own = std::process::id();
        let mut starvation = Starvation::default();
        starvation.read([own].into_iter(), EVERY);
        assert!(starvation.counts.contains_key(&own), "{starvation:?}");
        starvation.read([own].into_iter(), EVERY + 1);
        assert_eq!(starvation.counts[&own].len(), 1, "it was read just before");
        starvation.read(std::iter::empty(), 2 * EVERY);
        assert!(starvation.counts.is_empty());
    }
}
