//! The canary: a thread that does nothing but sleep a millisecond at a time, and notes how much
//! longer it slept than it had asked for. That long the machine had no processor for anybody who
//! had just become able to run, and so for nobody of the victims either.

use postbox_sys::clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long it asks to sleep.
const NAP: Duration = Duration::from_millis(1);
/// Timers are no more exact than that.
const GRAIN: u64 = 100_000;
/// How far back it remembers, in nanoseconds.
const MEMORY: u64 = 120_000_000_000;

/// The thread, and what it has noted.
#[derive(Debug)]
pub struct Canary {
    notes: Arc<Notes>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Notes {
    /// When it should wake up next.
    due: AtomicU64,
    /// When it should have woken up, and when it did.
    overslept: Mutex<VecDeque<(u64, u64)>>,
    over: AtomicBool,
}

impl Canary {
    /// Lets it begin.
    pub fn start() -> Self {
        let notes = Arc::new(Notes::default());
        notes.due.store(u64::MAX, Ordering::Release);
        let its = notes.clone();
        let thread = thread::spawn(move || its.sleep_on());
        Canary { notes, thread: Some(thread) }
    }

    /// One that never oversleeps.
    #[cfg(test)]
    pub fn asleep() -> Self {
        let notes = Arc::new(Notes::default());
        notes.due.store(u64::MAX, Ordering::Release);
        Canary { notes, thread: None }
    }

    /// How much of the time from `from` to `to` it overslept, in nanoseconds.
    pub fn starved(&self, from: u64, to: u64) -> u64 {
        let within = |begin: u64, end: u64| end.min(to).saturating_sub(begin.max(from));
        // Pairs with the store in `sleep_on`. Asleep still: the rest is not noted yet.
        let due = self.notes.due.load(Ordering::Acquire);
        let overslept = self.notes.overslept.lock().unwrap_or_else(PoisonError::into_inner);
        let noted: u64 = overslept
            .iter()
            .rev()
            .take_while(|(_, end)| *end > from)
            .map(|&(begin, end)| within(begin, end))
            .sum();
        let last = overslept.back().map_or(0, |&(_, end)| end);
        noted + if due >= last { within(due, to) } else { 0 }
    }
}

impl Notes {
    fn sleep_on(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let due = clock::now() + NAP.as_nanos() as u64;
            // Pairs with the load in `starved`.
            self.due.store(due, Ordering::Release);
            thread::sleep(NAP);
            let now = clock::now();
            if now > due + GRAIN {
                let mut overslept = self.overslept.lock().unwrap_or_else(PoisonError::into_inner);
                overslept.push_back((due, now));
                while overslept.front().is_some_and(|(_, end)| end + MEMORY < now) {
                    overslept.pop_front();
                }
            }
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.notes.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_overslept_counts_as_far_as_it_lies_within() {
        let notes = Arc::new(Notes::default());
        notes.overslept.lock().unwrap().extend([(100, 200), (300, 400)]);
        notes.due.store(1000, Ordering::Release);
        let canary = Canary { notes, thread: None };
        for (from, to, starved) in
            [(0, 50, 0), (0, 150, 50), (150, 350, 100), (0, 500, 200), (200, 300, 0)]
        {
            assert_eq!(canary.starved(from, to), starved, "{from} to {to}");
        }
        // It should have been back at 1000.
        assert_eq!(canary.starved(900, 1600), 600);
    }
}
