//! What happens at a step when a test has chosen it.

use crate::Step;
use nix::sys::signal::{Signal, raise};
use nix::unistd::getpid;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// What becomes of a process at the step that was armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Fate {
    /// It dies by SIGKILL.
    Dies,
    /// It stops by SIGSTOP, and goes on at SIGCONT.
    Stops,
}

const NONE: usize = usize::MAX;

static ARMED: AtomicUsize = AtomicUsize::new(NONE);
/// At which time that it comes by, from 1.
static WHEN: AtomicU64 = AtomicU64::new(0);
static STOPS: AtomicU64 = AtomicU64::new(0);
/// The one process that is meant, or the one that is spared; 0 for none in particular.
static MEANT: AtomicI32 = AtomicI32::new(0);
static SPARED: AtomicI32 = AtomicI32::new(0);
static TIMES: [AtomicU64; Step::ALL.len()] = [const { AtomicU64::new(0) }; Step::ALL.len()];

/// From now on this process, and none that it forks, meets its fate when it comes to `step` for the
/// `when`-th time, counted from now and from 1.
pub fn arm(step: Step, when: u64, fate: Fate) {
    arm_for(step, when, fate, getpid().as_raw(), 0);
}

/// As [`arm`], for the processes that this one forks from now on, and not for itself.
///
/// A child counts from the times that its parent had come by when it forked.
pub fn arm_descendants(step: Step, when: u64, fate: Fate) {
    arm_for(step, when, fate, 0, getpid().as_raw());
}

/// What was armed for whoever is forked is for this process alone, and not for those that it forks.
pub fn keep_to_oneself() {
    MEANT.store(getpid().as_raw(), SeqCst);
}

fn arm_for(step: Step, when: u64, fate: Fate, meant: i32, spared: i32) {
    disarm();
    WHEN.store(TIMES[step as usize].load(SeqCst) + when, SeqCst);
    STOPS.store(fate as u64, SeqCst);
    MEANT.store(meant, SeqCst);
    SPARED.store(spared, SeqCst);
    ARMED.store(step as usize, SeqCst);
}

/// Nothing happens any more.
pub fn disarm() {
    ARMED.store(NONE, SeqCst);
}

/// How often this process has come to `step`, what its parent had counted before the fork included.
pub fn times(step: Step) -> u64 {
    TIMES[step as usize].load(SeqCst)
}

/// Counts from zero again.
pub fn forget() {
    for times in &TIMES {
        times.store(0, SeqCst);
    }
}

pub(crate) fn at(step: Step) {
    let time = TIMES[step as usize].fetch_add(1, SeqCst) + 1;
    if ARMED.load(SeqCst) != step as usize || time != WHEN.load(SeqCst) {
        return;
    }
    let (own, meant) = (getpid().as_raw(), MEANT.load(SeqCst));
    if SPARED.load(SeqCst) == own || meant != 0 && meant != own {
        return;
    }
    // `raise` is for the calling thread, so that it takes effect before the next instruction here.
    let raised = raise(match STOPS.load(SeqCst) {
        0 => Signal::SIGKILL,
        _ => Signal::SIGSTOP,
    });
    raised.expect("a thread may signal itself");
}
