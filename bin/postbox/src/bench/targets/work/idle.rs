//! Many processes that wait for a message which does not come: what that costs.

use crate::bench::contender::{Terms, failed};
use crate::bench::crew::Trouble;
use crate::bench::ends::Outcome;
use crate::bench::figures::Measured;
use crate::bench::meeting::Meeting;
use crate::bench::references::memory;
use crate::bench::subjects::Subject;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use postbox::{Bytes, Group};
use postbox_ring::View;
use postbox_ring::sync::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many, and for how long they are watched.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Processes.
    pub receivers: u32,
    /// How long they are watched once they all wait.
    pub watched: Duration,
}

/// How long it may take until all of them wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks meanwhile.
const TICK: Duration = Duration::from_millis(250);
/// They have settled once all together took less than this in a tick.
const SETTLED: Duration = Duration::from_millis(1);
/// Descriptors that a process needs for each of them, and for itself.
const DESCRIPTORS: (u64, u64) = (4, 256);

/// Seconds of processor time that all receivers of one mailbox take together while they wait.
pub fn run(terms: &Terms<'_>, subject: &Subject, crowd: Crowd) -> Result<Measured, Trouble> {
    let (each, own) = DESCRIPTORS;
    let needed = u64::from(crowd.receivers) * each + own;
    super::descriptors(needed, &format!("{} receivers", crowd.receivers))
        .map_err(Trouble::Failed)?;
    let meeting = Meeting::prepare(subject.naming, subject.options(), &["idle"]).map_err(failed)?;
    let arrived: View<AtomicU64> = memory(4096).and_then(|m| Ok(m.view(0)?)).map_err(failed)?;
    // It ends them when it is dropped.
    let mut group = Group::new();
    for index in 0..crowd.receivers {
        let (way, arrived) = (meeting.way(), arrived.clone());
        group.fork((), move |()| {
            // No pinning: nothing here is to run at all.
            set_pdeathsig(Signal::SIGKILL)?;
            let me = way.join(&format!("receiver-{index}"))?;
            let rx = me.open_mailbox::<Bytes>("idle")?.receiver()?;
            arrived.fetch_add(1, Ordering::AcqRel);
            Err(format!("a message came: {:?}", rx.receive()).into())
        })?;
        if terms.stop.cancel().is_fired() {
            return Err(Trouble::Stopped);
        }
    }
    await_settled(terms, &group, &arrived, u64::from(crowd.receivers))?;
    let before = spent(&group)?;
    if terms.stop.pause(crowd.watched) {
        return Err(Trouble::Stopped);
    }
    Ok(Measured::of((spent(&group)? - before).as_secs_f64()))
}

fn await_settled(
    terms: &Terms<'_>,
    group: &Group,
    arrived: &AtomicU64,
    all: u64,
) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = spent(group)?;
    loop {
        if terms.stop.pause(TICK) {
            return Err(Trouble::Stopped);
        }
        let now = spent(group)?;
        // Pairs with each receiver's count before it waits.
        if arrived.load(Ordering::Acquire) == all && now - before < SETTLED {
            return Ok(());
        }
        if Instant::now() > deadline {
            let reason = format!("{all} receivers have not come to rest in {PATIENCE:?}");
            return Err(Trouble::Failed(reason));
        }
        before = now;
    }
}

/// Processor time of all of them, threads included.
fn spent(group: &Group) -> Result<Duration, Trouble> {
    let clock = |pid: u32| -> Outcome<Duration> {
        Ok(clock_getcpuclockid(Pid::from_raw(pid as i32)).and_then(ClockId::now)?.into())
    };
    group.children().iter().map(|child| clock(child.pid())).sum::<Outcome<_>>().map_err(failed)
}
