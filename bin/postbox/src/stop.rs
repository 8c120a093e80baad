//! SIGINT and SIGTERM: remembered, and told to whoever waits.

use crate::ending::Ending;
use postbox::Cancel;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The exit code of a program that was interrupted: 128 + SIGINT.
const INTERRUPTED: u8 = 130;
/// The exit code of a program that was terminated: 128 + SIGTERM.
const TERMINATED: u8 = 143;

/// Whether the user wants the program to stop.
#[derive(Debug)]
pub struct Stop {
    cancel: Cancel,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// From now on the two signals do not end the process; whoever asks is told.
    pub fn install() -> Result<Self, Ending> {
        let failed = |error: String| Ending::Failure(format!("cannot handle signals: {error}"));
        let cancel = Cancel::new().map_err(|error| failed(error.to_string()))?;
        let code = Arc::new(AtomicU8::new(0));
        let terminated = Arc::new(AtomicBool::new(false));
        let stop = Stop { cancel: cancel.clone(), code: code.clone() };
        let flag = terminated.clone();
        ctrlc::set_handler(move || {
            // Pairs with the store by signal-hook's handler, which runs before ctrlc's.
            let ended = if flag.load(Ordering::SeqCst) { TERMINATED } else { INTERRUPTED };
            // Pairs with the load in `code`. The first signal counts.
            let _ = code.compare_exchange(0, ended, Ordering::SeqCst, Ordering::SeqCst);
            cancel.fire();
        })
        .map_err(|error| failed(error.to_string()))?;
        // ctrlc does not say which signal it was. This handler notes SIGTERM and then calls the one
        // it found, ctrlc's.
        signal_hook::flag::register(signal_hook::consts::SIGTERM, terminated)
            .map_err(|error| failed(error.to_string()))?;
        Ok(stop)
    }

    /// Fires when a signal comes.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The exit code, once a signal has come.
    pub fn code(&self) -> Option<u8> {
        // Pairs with the exchange in the handler.
        Some(self.code.load(Ordering::SeqCst)).filter(|&code| code != 0)
    }

    /// As [`code`](Self::code), for a signal that is on its way: one from the terminal goes to
    /// every process of the group, to the others perhaps first.
    pub fn code_soon(&self) -> Option<u8> {
        let deadline = Instant::now() + Duration::from_millis(300);
        while self.code().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.code()
    }
}

/// Workers outlive SIGINT from the terminal, silently: whoever started them ends them.
pub fn ignore_interrupts() -> io::Result<()> {
    let unheeded = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, unheeded).map(drop)
}
