//! SIGINT and SIGTERM: remembered, and told to whoever waits.

use crate::ending::Ending;
use postbox::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::error::Error;
use std::io;
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

/// Whether the user wants the program to stop.
#[derive(Debug)]
pub struct Stop {
    cancel: Cancel,
    /// The exit code, 0 until a signal comes. Its handler writes it.
    code: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on these signals do not end the process; whoever asks is told.
    pub fn install() -> Result<Self, Ending> {
        Stop::try_install()
            .map_err(|error| Ending::Failure(format!("cannot handle signals: {error}")))
    }

    fn try_install() -> Result<Self, Box<dyn Error>> {
        let stop = Stop { cancel: Cancel::new()?, code: Arc::default() };
        let (cancel, code) = (stop.cancel.clone(), stop.code.clone());
        // ctrlc's thread wakes those who wait, but does not know which signal it was. These
        // handlers do; they find ctrlc's in place, call it, and then note the code.
        ctrlc::set_handler(move || {
            let deadline = Instant::now() + NOTED;
            while code.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
                thread::yield_now();
            }
            // A signal that came before those handlers stood is noted by nobody else.
            let _ = code.compare_exchange(0, INTERRUPTED, Ordering::SeqCst, Ordering::SeqCst);
            cancel.fire();
        })?;
        flag::register_usize(SIGINT, stop.code.clone(), INTERRUPTED)?;
        flag::register_usize(SIGTERM, stop.code.clone(), TERMINATED)?;
        flag::register_usize(SIGHUP, stop.code.clone(), TERMINATED)?;
        Ok(stop)
    }

    /// Fires when a signal comes.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The exit code, once a signal has come.
    pub fn code(&self) -> Option<u8> {
        // Pairs with the store by signal-hook's handlers, as does the load above.
        u8::try_from(self.code.load(Ordering::SeqCst)).ok().filter(|&code| code != 0)
    }

    /// As [`code`](Self::code), for a signal that is on its way: one from the terminal goes to
    /// every process of the group, to the others perhaps first.
    pub fn code_soon(&self) -> Option<u8> {
        let deadline = Instant::now() + Duration::from_millis(300);
        while self.code().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.code()
    }
}

/// Workers outlive SIGINT from the terminal, silently: whoever started them ends them.
pub fn ignore_interrupts() -> io::Result<()> {
    let unheeded = Arc::new(AtomicBool::new(false));
    flag::register(SIGINT, unheeded).map(drop)
}
