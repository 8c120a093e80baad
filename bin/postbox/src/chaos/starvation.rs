//! For how long victims were able to run and were not run, as the kernel counts it
//! (`/proc/PID/schedstat`): what the canary, which hardly ever runs, does not feel on a machine whose processors
//! many others want.

use std::collections::{HashMap, VecDeque};
use std::fs;

/// How often the counts are read, in nanoseconds.
const EVERY: u64 = 50_000_000;
/// How far back they are remembered.
const MEMORY: u64 = 20_000_000_000;

/// What each living victim's count was when.
#[derive(Debug, Default)]
pub struct Starvation {
    /// By pid.
    counts: HashMap<u32, VecDeque<(u64, u64)>>,
    read: u64,
}

impl Starvation {
    /// Reads the counts of these processes now, unless that has just been done; forgets all others.
    pub fn read(&mut self, pids: impl Iterator<Item = u32>, now: u64) {
        if now < self.read + EVERY {
            return;
        }
        self.read = now;
        let mut counts = HashMap::new();
        for pid in pids {
            let mut known = self.counts.remove(&pid).unwrap_or_default();
            if let Some(count) = count_of(pid) {
                known.push_back((now, count));
            }
            while known.front().is_some_and(|(at, _)| at + MEMORY < now) {
                known.pop_front();
            }
            counts.insert(pid, known);
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

/// Nanoseconds that it waited for a processor; none where the kernel does not count them.
fn count_of(pid: u32) -> Option<u64> {
    let counts = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    counts.split_whitespace().nth(1)?.parse().ok()
}

/// Whether it runs, or could.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `pid (name) state ...`, and the name may have anything in it.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
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
    fn those_that_are_gone_are_forgotten() {
        let own = std::process::id();
        let mut starvation = Starvation::default();
        starvation.read([own].into_iter(), EVERY);
        assert_eq!(starvation.counts.len(), 1);
        starvation.read([own].into_iter(), EVERY + 1);
        assert!(starvation.counts[&own].len() <= 1, "it was read just before");
        starvation.read(std::iter::empty(), 2 * EVERY);
        assert!(starvation.counts.is_empty());
    }
}
