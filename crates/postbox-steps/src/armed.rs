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

/// One thing that is to happen.
struct Armed {
    step: AtomicUsize,
    /// At which time that it comes by, from 1.
    when: AtomicU64,
    stops: AtomicU64,
}

/// At most so many at a time.
const SLOTS: usize = 4;

static ARMED: [Armed; SLOTS] = [const {
    Armed { step: AtomicUsize::new(NONE), when: AtomicU64::new(0), stops: AtomicU64::new(0) }
}; SLOTS];
/// The one process that is meant, or the one that is spared; 0 for none in particular.
static MEANT: AtomicI32 = AtomicI32::new(0);
static SPARED: AtomicI32 = AtomicI32::new(0);
static TIMES: [AtomicU64; Step::ALL.len()] = [const { AtomicU64::new(0) }; Step::ALL.len()];

/// From now on this process, and none that it forks, meets its fate when it comes to `step` for the
/// `when`-th time, counted from now and from 1.
pub fn arm(step: Step, when: u64, fate: Fate) {
    arm_for(getpid().as_raw(), 0);
    arm_also(step, when, fate);
}

/// As [`arm`], for the processes that this one forks from now on, and not for itself.
///
/// A child counts from the times that its parent had come by when it forked.
pub fn arm_descendants(step: Step, when: u64, fate: Fate) {
    arm_for(0, getpid().as_raw());
    arm_also(step, when, fate);
}

/// As [`arm_descendants`], with whatever `arms` arms by [`arm_also`].
pub fn for_descendants(arms: impl FnOnce()) {
    arm_for(0, getpid().as_raw());
    arms();
}

/// One more fate beside what was armed before, for whom that is meant.
///
/// # Panics
///
/// With more than four.
pub fn arm_also(step: Step, when: u64, fate: Fate) {
    let free = ARMED.iter().find(|armed| armed.step.load(SeqCst) == NONE);
    let armed = free.expect("no more than four are armed at a time");
    armed.when.store(TIMES[step as usize].load(SeqCst) + when, SeqCst);
    armed.stops.store(fate as u64, SeqCst);
    armed.step.store(step as usize, SeqCst);
}

fn arm_for(meant: i32, spared: i32) {
    disarm();
    MEANT.store(meant, SeqCst);
    SPARED.store(spared, SeqCst);
}

/// What was armed for whoever is forked is for this process alone, and not for those that it forks.
pub fn keep_to_oneself() {
    MEANT.store(getpid().as_raw(), SeqCst);
}

/// Nothing happens any more.
pub fn disarm() {
    for armed in &ARMED {
        armed.step.store(NONE, SeqCst);
    }
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
    let due = |armed: &&Armed| {
        armed.step.load(SeqCst) == step as usize && armed.when.load(SeqCst) == time
    };
    let Some(armed) = ARMED.iter().find(due) else { return };
    let (own, meant) = (getpid().as_raw(), MEANT.load(SeqCst));
    if SPARED.load(SeqCst) == own || meant != 0 && meant != own {
        return;
    }
    // `raise` is for the calling thread, so that it takes effect before the next instruction here.
    let raised = raise(match armed.stops.load(SeqCst) {
        0 => Signal::SIGKILL,
        _ => Signal::SIGSTOP,
    });
    raised.expect("a thread may signal itself");
}
