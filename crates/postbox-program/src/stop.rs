//! What ends a program early: SIGINT, SIGTERM, SIGHUP, or nobody reading its output any more.
//! Remembered, and told to whoever waits.

use crate::ending::Ending;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeSpec;
use postbox::{Cancel, Wait};
use postbox_sys::fork::CTRL_C;
use postbox_sys::{Errno, eventfd, threads};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The exit code of a program that was interrupted: 128 + SIGINT.
const INTERRUPTED: usize = 130;
/// The exit code of a program that was terminated: 128 + SIGTERM.
const TERMINATED: usize = 143;
/// Within that time a handler that has called ctrlc's has noted the code.
const NOTED: Duration = Duration::from_millis(200);

/// How long ctrlc's thread is waited for.
const NAMED: Duration = Duration::from_secs(5);

/// Whether the program is to stop.
///
/// The first signal asks it to: waits end, and it puts in order what it holds. The second one ends
/// it at once, in case that takes too long.
#[derive(Debug)]
pub struct Stop {
    cancel: Cancel,
    /// The exit code, 0 until a signal comes. Its handler writes it.
    code: Arc<AtomicUsize>,
    /// Readable once it is to stop, for those who poll.
    bell: Arc<OwnedFd>,
}

impl Stop {
    /// From now on these signals do not end the process; whoever asks is told.
    ///
    /// # Errors
    ///
    /// A failure: no descriptor is left, or signals are handled by somebody else already.
    pub fn install() -> Result<Self, Ending> {
        Stop::try_install()
            .map_err(|error| Ending::Failure(format!("cannot handle signals: {error}")))
    }

    fn try_install() -> Result<Self, Box<dyn Error>> {
        let stop = Stop {
            cancel: Cancel::new()?,
            code: Arc::default(),
            bell: Arc::new(eventfd::create()?),
        };
        let (cancel, code, bell) = (stop.cancel.clone(), stop.code.clone(), stop.bell.clone());
        let mut again = false;
        // ctrlc's thread wakes those who wait, but does not know which signal it was. These
        // handlers do; they find ctrlc's in place, call it, and then note the code.
        ctrlc::set_handler(move || {
            let deadline = Instant::now() + NOTED;
            while code.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
                thread::yield_now();
            }
            // A signal that came before those handlers stood is noted by nobody else.
            let _ = code.compare_exchange(0, INTERRUPTED, Ordering::SeqCst, Ordering::SeqCst);
            if std::mem::replace(&mut again, true) {
                std::process::exit(i32::try_from(code.load(Ordering::SeqCst)).unwrap_or(1));
            }
            cancel.fire();
            // It cannot fail: the bell is one.
            let _ = eventfd::ring(&*bell);
        })?;
        await_handler()?;
        flag::register_usize(SIGINT, stop.code.clone(), INTERRUPTED)?;
        flag::register_usize(SIGTERM, stop.code.clone(), TERMINATED)?;
        flag::register_usize(SIGHUP, stop.code.clone(), TERMINATED)?;
        // Beyond RLIMIT_FSIZE a write fails, with EFBIG, and nobody is killed for it.
        flag::register(SIGXFSZ, Arc::default())?;
        Ok(stop)
    }

    /// Fires when the program is to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// A wait until `deadline`, if there is one, that ends early when the program is to stop.
    pub fn wait(&self, deadline: Option<Instant>) -> Wait<'_> {
        deadline.map_or(Wait::forever(), Wait::until).cancelled_by(&self.cancel)
    }

    /// The exit code, once a signal has come.
    pub fn code(&self) -> Option<u8> {
        // Pairs with the store by signal-hook's handlers, as do the loads above.
        u8::try_from(self.code.load(Ordering::SeqCst)).ok().filter(|&code| code != 0)
    }

    /// As [`code`](Self::code), for a signal that is on its way: one from the terminal goes to
    /// every process of the group, to the others perhaps first.
    pub fn code_soon(&self) -> Option<u8> {
        self.pause(Duration::from_millis(300));
        self.code()
    }

    /// Sleeps for that long; true if it is to stop, then perhaps earlier.
    pub fn pause(&self, duration: Duration) -> bool {
        let deadline = Instant::now().checked_add(duration);
        self.await_input(None, deadline);
        self.cancel.is_fired()
    }

    /// Sleeps until `input` can be read; false if the program is to stop, or the deadline passed
    /// first.
    pub(crate) fn await_readable(&self, input: BorrowedFd<'_>, deadline: Option<Instant>) -> bool {
        self.await_input(Some(input), deadline) && !self.cancel.is_fired()
    }

    fn await_input(&self, input: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> bool {
        loop {
            let mut polled = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
            polled.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
            let left =
                deadline.map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now())));
            match nix::poll::ppoll(&mut polled, left, None) {
                Err(Errno::EINTR) => {}
                // What cannot be polled is found out by whoever reads it.
                Err(_) => return true,
                Ok(_) => return polled.get(1).is_some_and(|input| input.any() == Some(true)),
            }
        }
    }

    /// Stops the program, too, once nobody reads its standard output any more: what it would
    /// take from then on would be lost. A thread looks out for that, to the end of the process.
    pub fn when_output_closes(&self) {
        let (cancel, bell) = (self.cancel.clone(), self.bell.clone());
        thread::spawn(move || {
            let out = io::stdout();
            loop {
                // Nothing asked for: errors and hang-ups are told anyway.
                let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
                match poll(&mut polled, PollTimeout::NONE) {
                    Err(Errno::EINTR) => {}
                    Err(_) => return,
                    Ok(_) => break,
                }
            }
            cancel.fire();
            let _ = eventfd::ring(&*bell);
        });
    }

    /// The ending as it really is, where a wait was cancelled: by a signal, or else quietly, since
    /// nobody reads any more.
    pub fn explain(&self, ending: Ending) -> Ending {
        match (ending, self.code()) {
            (Ending::Cancelled, Some(code)) => Ending::Silent(code),
            (Ending::Cancelled, None) => Ending::Done,
            (ending, _) => ending,
        }
    }
}

/// Waits until ctrlc's thread has its name, which it takes when it first runs: on a busy machine that
/// can be later than the first `fork`, which lets a thread of that name alone be there.
fn await_handler() -> Result<(), Errno> {
    let deadline = Instant::now() + NAMED;
    while !threads::others()?.iter().any(|thread| thread.name == CTRL_C) {
        if Instant::now() > deadline {
            break; // whoever forks is told
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Workers outlive SIGINT from the terminal, silently: whoever started them ends them.
///
/// # Errors
///
/// Those of `sigaction(2)`.
pub fn ignore_interrupts() -> io::Result<()> {
    let unheeded = Arc::new(AtomicBool::new(false));
    flag::register(SIGINT, unheeded).map(drop)
}
