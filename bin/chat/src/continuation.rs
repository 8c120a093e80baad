//! Going on after a stop that the editor knows nothing of: the terminal is set for it again, and the
//! line drawn.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};
use postbox_program::ending::Ending;
use rustyline::ExternalPrinter;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Waits for the process to go on, again and again, in a thread of its own. SIGCONT is blocked in all
/// threads.
///
/// # Errors
///
/// A failure: the machine is short of threads.
pub fn watch(
    mut printer: impl ExternalPrinter + Send + 'static,
    editing: Arc<AtomicBool>,
) -> Result<(), Ending> {
    let watch = move || {
        while let Ok(Signal::SIGCONT) = SigSet::from(Signal::SIGCONT).wait() {
            // Pairs with the stores of the thread that reads the keyboard.
            if editing.load(Ordering::SeqCst) && has_terminal() && set() {
                // An empty line, and below it what was typed.
                let _ = printer.print(String::new());
            }
        }
    };
    let named = thread::Builder::new().name("continuation".into());
    named
        .spawn(watch)
        .map(drop)
        .map_err(|error| Ending::Failure(format!("cannot start a thread: {error}")))
}

/// Whether keys come here, and not to another process.
fn has_terminal() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

/// Sets the terminal as the editor does it; false if it is set so already, or cannot be.
fn set() -> bool {
    let Ok(mut raw) = tcgetattr(io::stdin()) else { return false };
    if !raw.local_flags.contains(LocalFlags::ICANON) {
        return false;
    }
    raw.input_flags -= InputFlags::BRKINT
        | InputFlags::ICRNL
        | InputFlags::INPCK
        | InputFlags::ISTRIP
        | InputFlags::IXON;
    raw.local_flags -=
        LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::IEXTEN | LocalFlags::ISIG;
    raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw).is_ok()
}
