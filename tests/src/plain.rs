//! Processes and signals by the plain system calls, as programs use them that know nothing of
//! Postbox.

#![allow(unsafe_code)]

use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal};
use nix::sys::signal::{kill, sigaction};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::ClockId;
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, getuid, pause, setgid, setgroups, setuid};
use postbox::{Child, Ends, ForkError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A child of plain `fork(2)`, with copies of every descriptor. Dropping it kills it.
#[derive(Debug)]
pub struct Bystander {
    pid: Pid,
}

/// Forks a bystander, which ends when `body` returns.
pub fn bystander(body: impl FnOnce()) -> nix::Result<Bystander> {
    // SAFETY: the case's process has one thread, so the child may do whatever it may. Where it has
    // joined a domain a registrar has another, which sleeps while nobody asks it.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Bystander { pid: child }),
        ForkResult::Child => {
            let code = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => 0,
                Err(_) => 101,
            };
            // SAFETY: the call does not return.
            unsafe { nix::libc::_exit(code) }
        }
    }
}

impl Bystander {
    /// Forks one that does nothing until it is dropped.
    pub fn idle() -> nix::Result<Self> {
        bystander(|| {
            pause();
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Waits for its end; it must be one with status 0.
    pub fn ended_well(self) {
        let status = waitpid(self.pid, None);
        std::mem::forget(self);
        assert!(matches!(status, Ok(WaitStatus::Exited(_, 0))), "the bystander: {status:?}");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// Forks a child that keeps its ends and does nothing with them until it is ended.
pub fn holder<E: Ends>(ends: E) -> Result<Child, ForkError> {
    postbox::fork(ends, |ends| {
        loop {
            pause();
            let _ = &ends;
        }
    })
}

/// Gives up all privileges, in a user of its own where this one has them.
pub fn unprivileged_as(user: u32) -> nix::Result<()> {
    if getuid().is_root() {
        setgroups(&[])?;
        setgid(Gid::from_raw(user))?;
        setuid(Uid::from_raw(user))?;
    }
    Ok(())
}

/// Ignores a signal.
pub fn ignore(signal: Signal) -> nix::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no code of this process runs for it.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Sets a signal's handler.
pub fn on_signal(signal: Signal, handler: extern "C" fn(i32), flags: SaFlags) -> nix::Result<()> {
    let action = SigAction::new(SigHandler::Handler(handler), flags, SigSet::empty());
    // SAFETY: the handlers of the tests do nothing but what is allowed in one.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Takes a signal's handler back.
pub fn default_action(signal: Signal) -> nix::Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler of this program runs any more.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// How often the storm has struck in this process.
static STRUCK: AtomicU64 = AtomicU64::new(0);

extern "C" fn strike(_: i32) {
    STRUCK.fetch_add(1, Ordering::Relaxed);
}

/// A signal every millisecond, with a handler that does nothing, until it is dropped.
#[derive(Debug)]
pub struct Storm {
    _timer: Timer,
    before: u64,
}

impl Storm {
    /// Begins, with `SA_RESTART` among the flags or without.
    pub fn begin(flags: SaFlags) -> nix::Result<Self> {
        on_signal(Signal::SIGALRM, strike, flags)?;
        let notify = SigevNotify::SigevSignal { signal: Signal::SIGALRM, si_value: 0 };
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
        let every = Expiration::Interval(Duration::from_millis(1).into());
        timer.set(every, TimerSetTimeFlags::empty())?;
        Ok(Storm { _timer: timer, before: STRUCK.load(Ordering::Relaxed) })
    }

    /// Returns when it has struck so often: for the main thread, which it strikes.
    pub fn outlast(&self, strikes: u64) {
        while self.strikes() < strikes {
            pause();
        }
    }

    /// How often it has struck.
    pub fn strikes(&self) -> u64 {
        STRUCK.load(Ordering::Relaxed) - self.before
    }
}
