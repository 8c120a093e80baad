//! Lines for the person, from any thread.

use postbox_program::plain::plain;
use rustyline::ExternalPrinter;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Shows lines, one after the other.
pub struct Screen(Mutex<Face>);

/// How they get there.
enum Face {
    /// Straight to standard output.
    Plain,
    /// Past the line that is being typed, which stays whole.
    Editor(Box<dyn ExternalPrinter + Send>),
}

impl Screen {
    /// Standard output.
    pub fn plain() -> Self {
        Screen(Mutex::new(Face::Plain))
    }

    /// A terminal in which a line is being typed.
    pub fn editor(printer: impl ExternalPrinter + Send + 'static) -> Self {
        Screen(Mutex::new(Face::Editor(Box::new(printer))))
    }

    /// One line. What others wrote in it is made harmless.
    pub fn show(&self, line: &str) {
        let line = format!("{}\n", plain(line));
        let mut face = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Face::Editor(printer) = &mut *face {
            if printer.print(line.clone()).is_ok() {
                return;
            }
            // Nothing is typed any more.
            *face = Face::Plain;
        }
        let mut out = io::stdout().lock();
        // Once nobody reads it the program is told to stop.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}
