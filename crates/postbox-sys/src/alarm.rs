//! An alarm that goes off in memory: whether a while is over costs two loads, and no look at a clock.
//!
//! ```text
//!  timerfd, AFTER from now ──readable──► IOCB_CMD_POLL ──completed──► tail of the AIO ring, mapped into the process
//!     ▲                                                                 │
//!     └──────────── set: whoever finds the tail moved ◄─────────────────┘
//! ```
//!
//! The ring in which the kernel reports what asynchronous requests have come to lies in the process's memory, and the
//! kernel moves its tail from the timer's interrupt. One request is enough, and nobody ever sleeps on it. The alarm
//! goes off once: in a process that has nothing to look for any more it stays silent until it is set again. Between
//! two settings it holds no descriptor; what stays with the process is that page.
//!
//! It is an improvement and no more. Where it cannot be had (a filter forbids `io_setup`, the system's
//! `fs.aio-max-nr` or a limit on descriptors is reached, Linux before 4.18), its users look at the clock.
//! See [`io_submit(2)`](https://man7.org/linux/man-pages/man2/io_submit.2.html).

#![allow(unsafe_code)]

use crate::{Errno, Result, wipe_on_fork};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use std::time::Duration;

/// After how long an alarm goes off.
pub const AFTER: Duration = Duration::from_millis(50);

/// What no tail of a ring is: the alarm cannot be set.
const NEVER: u32 = u32::MAX;

/// The alarm of this process, or of an ancestor that it was forked from; set once in each, and never freed.
/// Stored with release in [`own`], loaded with acquire there.
static OWN: AtomicPtr<Alarm> = AtomicPtr::new(null_mut());

/// The kernel's `struct aio_ring`, as far as it is looked at here.
#[repr(C)]
struct Ring {
    id: u32,
    slots: u32,
    head: AtomicU32,
    tail: AtomicU32,
}

/// The kernel's `struct iocb` for a poll.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    key: u32,
    flags_of_call: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    events: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

const POLL: u16 = 5;

/// The kernel's `struct io_event`.
#[repr(C)]
#[derive(Default)]
struct Completed {
    data: u64,
    request: u64,
    result: i64,
    second_result: i64,
}

struct Alarm {
    /// The fork generation of the process whose it is: in no other is the ring mapped.
    generation: u64,
    ring: NonNull<Ring>,
    context: libc::c_ulong,
    /// Somebody is setting it.
    taken: AtomicBool,
    /// How often it was set.
    count: AtomicU64,
    /// The ring's tail while the alarm is set and has not gone off.
    tail: AtomicU32,
    /// The last time it could not be set.
    refused: AtomicBool,
}

// SAFETY: the ring is reached through atomics alone, from whichever thread.
unsafe impl Sync for Alarm {}

/// An alarm as somebody has found it, set.
#[derive(Clone, Copy)]
pub struct Set {
    alarm: &'static Alarm,
    count: u64,
}

impl Set {
    /// Whether it has not gone off yet, in the process that set it.
    ///
    /// Never later than [`AFTER`] since [`set`] gave it out, scheduling of the processor apart; sooner where others
    /// of the process had set it before.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        let alarm = self.alarm;
        // Relaxed: the alarm guards no other memory.
        wipe_on_fork::generation() == alarm.generation
            && alarm.count.load(Relaxed) == self.count
            // SAFETY: the generation is that of the process in which the ring is mapped, until it ends.
            && unsafe { alarm.ring.as_ref() }.tail.load(Relaxed) == alarm.tail.load(Relaxed)
    }
}

/// Sees to it that the process's alarm goes off [`AFTER`] from now at the latest; none where it has none, or just now
/// cannot set it.
pub fn set() -> Option<Set> {
    let alarm = own().ok()?;
    alarm.set();
    (!alarm.refused.load(Relaxed)).then(|| Set { alarm, count: alarm.count.load(Acquire) })
}

impl Alarm {
    fn set(&self) {
        // SAFETY: `own` gives out the alarm of the process in which its ring is mapped.
        let ring = unsafe { self.ring.as_ref() };
        let is_set = || self.tail.load(Acquire) == ring.tail.load(Acquire);
        if is_set() || self.taken.swap(true, Acquire) {
            return; // Whoever has taken it is about to set it: until then it is not quiet.
        }
        if !is_set() {
            // First: whoever has seen it set before finds that it has gone off.
            self.count.fetch_add(1, AcqRel);
            // Nothing moves the tail from here on but the alarm.
            let tail = ring.tail.load(Acquire);
            let started = self.start();
            self.tail.store(if started.is_ok() { tail } else { NEVER }, Release);
            self.refused.store(started.is_err(), Relaxed);
        }
        self.taken.store(false, Release);
    }

    fn start(&self) -> Result<()> {
        let mut completed = Completed::default();
        // SAFETY: `completed` has room for the one event asked for; no timeout is null.
        Errno::result(unsafe {
            libc::syscall(
                libc::SYS_io_getevents,
                self.context,
                0,
                1,
                &raw mut completed,
                null_mut::<u8>(),
            )
        })?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        let after = Expiration::OneShot(TimeSpec::from_duration(AFTER));
        timer.set(after, TimerSetTimeFlags::empty())?;
        // The request keeps the timer: no descriptor stays behind.
        let mut request = Request {
            opcode: POLL,
            fd: timer.as_fd().as_raw_fd() as u32,
            events: libc::POLLIN as u64,
            ..Request::default()
        };
        let requests = [&raw mut request];
        // SAFETY: one request, which the kernel copies before it returns.
        let taken = Errno::result(unsafe {
            libc::syscall(libc::SYS_io_submit, self.context, 1, requests.as_ptr())
        })?;
        if taken == 1 { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    fn create(generation: u64) -> Result<Alarm> {
        let mut context: libc::c_ulong = 0;
        // SAFETY: the call stores one word.
        Errno::result(unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) })?;
        // The context's name is where its ring is mapped.
        let ring = NonNull::new(context as *mut Ring).ok_or(Errno::ENOSYS)?;
        Ok(Alarm {
            generation,
            ring,
            context,
            taken: AtomicBool::new(false),
            count: AtomicU64::new(0),
            tail: AtomicU32::new(NEVER),
            refused: AtomicBool::new(false),
        })
    }
}

/// The alarm of this process, made by the first caller.
fn own() -> Result<&'static Alarm> {
    let generation = wipe_on_fork::renew()?;
    let of_this_process = |alarm: *mut Alarm| {
        // SAFETY: null, or an alarm in OWN, which is never freed nor changed but through atomics.
        unsafe { alarm.as_ref() as Option<&'static Alarm> }
            .filter(|alarm| alarm.generation == generation)
    };
    let held = OWN.load(Acquire);
    if let Some(own) = of_this_process(held) {
        return Ok(own);
    }
    let made = Box::into_raw(Box::new(Alarm::create(generation)?));
    match OWN.compare_exchange(held, made, AcqRel, Acquire) {
        Ok(_) => of_this_process(made).ok_or(Errno::EAGAIN),
        Err(theirs) => {
            // SAFETY: made above, and shown to nobody.
            let made = unsafe { Box::from_raw(made) };
            // SAFETY: the call takes a number; the ring that it unmaps is forgotten here.
            unsafe { libc::syscall(libc::SYS_io_destroy, made.context) };
            of_this_process(theirs).ok_or(Errno::EAGAIN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Until it has gone off; how many nanoseconds that took.
    fn wait(set: Set) -> u64 {
        let begin = clock::now();
        while set.is_quiet() {
            assert!(clock::now() - begin < 10_000_000_000, "it never goes off");
            std::thread::yield_now();
        }
        clock::now() - begin
    }

    // What a child of fork finds, and what happens without descriptors, stands in tests/forks.rs.
    #[test]
    fn it_goes_off_again_and_again_and_never_before_its_time_when_set_anew() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..4 {
                        wait(set().expect("an alarm"));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        // Alone now: the one that is set may be older than the first call, the next is not.
        wait(set().unwrap());
        let anew = clock::now();
        let fresh = set().unwrap();
        assert!(fresh.is_quiet());
        wait(fresh);
        assert!(clock::now() - anew >= AFTER.as_nanos() as u64);
        assert!(!fresh.is_quiet(), "it was never set again");
        assert!(set().unwrap().is_quiet() && !fresh.is_quiet(), "another's is not one's own");
    }
}
