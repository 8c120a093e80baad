//! Lines for the person, from any thread.

use postbox::Cancel;
use postbox_program::ending::{Ending, unwritable};
use postbox_program::plain::plain;
use rustyline::ExternalPrinter;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Shows lines, one after the other.
pub struct Screen {
    face: Mutex<Face>,
    /// Why there was a line that could not be shown.
    failure: OnceLock<Ending>,
    /// Fires then: there is nothing to stay for.
    stop: Cancel,
}

/// How they get there.
enum Face {
    /// Straight to standard output.
    Plain,
    /// Past the line that is being typed, which stays whole.
    Editor(Box<dyn ExternalPrinter + Send>),
}

impl Screen {
    /// Standard output.
    pub fn plain(stop: &Cancel) -> Self {
        Screen::with(Face::Plain, stop)
    }

    /// A terminal in which a line is being typed.
    pub fn editor(printer: impl ExternalPrinter + Send + 'static, stop: &Cancel) -> Self {
        Screen::with(Face::Editor(Box::new(printer)), stop)
    }

    fn with(face: Face, stop: &Cancel) -> Self {
        Screen { face: Mutex::new(face), failure: OnceLock::new(), stop: stop.clone() }
    }

    /// One line. What others wrote in it is made harmless.
    pub fn show(&self, line: &str) {
        let line = format!("{}\n", plain(line));
        let mut face = self.face.lock().unwrap_or_else(PoisonError::into_inner);
        if let Face::Editor(printer) = &mut *face {
            if printer.print(line.clone()).is_ok() {
                return;
            }
            // Nothing is typed any more.
            *face = Face::Plain;
        }
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            // Once nobody reads it the program is told to stop.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let _ = self.failure.set(unwritable(&error));
                self.stop.fire();
            }
            _ => {}
        }
    }

    /// Why there was a line that could not be shown, if there was.
    pub fn failure(&self) -> Option<Ending> {
        self.failure.get().cloned()
    }
}
