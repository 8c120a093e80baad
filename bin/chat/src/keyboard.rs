//! What the person types: a line at a time, edited in a terminal, or as it comes from elsewhere.

use crate::command::Command;
use crate::continuation;
use crate::message::LONGEST;
use crate::screen::Screen;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use postbox::{Cancel, Capacity, Mechanism, Receiver, Sender};
use postbox_program::ending::Ending;
use postbox_program::records::{Framing, RecordError, Records};
use rustyline::Editor;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use serde::{Deserialize, Serialize};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// From now on only the thread that reads the keyboard is stopped by Ctrl-Z, and all others with it; and
/// that it goes on is told to whoever waits for it. To be called before there is any other thread.
///
/// The editor stops the process by a call, and goes on behind it by setting the terminal and drawing
/// the line. Were the signal another thread's, it could do so before the stop rather than after it.
///
/// # Errors
///
/// A failure that no system is known to have.
pub fn stop_where_it_is_read() -> Result<(), Ending> {
    let failed = |errno| Ending::Failure(format!("cannot handle signals: {errno}"));
    [Signal::SIGTSTP, Signal::SIGCONT]
        .into_iter()
        .collect::<SigSet>()
        .thread_block()
        .map_err(failed)
}

/// One thing that was typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Typed {
    Line(String),
    /// A line beyond the longest.
    TooLong,
    /// Ctrl-C, while a line was being edited.
    Interrupted,
}

/// A terminal with an editor for lines, or any other standard input.
pub enum Keyboard {
    Editor(Box<Editor<(), MemHistory>>, Settings),
    Plain,
}

impl Keyboard {
    /// As good as it gets here, and the screen that goes with it, which fires `stop` if it fails.
    pub fn open(stop: &Cancel) -> (Keyboard, Screen) {
        terminal(stop).unwrap_or_else(|| (Keyboard::Plain, Screen::plain(stop)))
    }

    /// Reads from now on, in a thread of its own. A line is handed over as the chat takes it: a
    /// rendezvous. The end of what is typed is the end of the channel.
    ///
    /// # Errors
    ///
    /// A failure: the machine is short of what a channel or a thread needs.
    pub fn start(self, prompt: String) -> Result<(Receiver<Typed>, Option<Settings>), Ending> {
        let (tx, rx) = postbox::channel(Mechanism::SharedMemory, Capacity::Zero)?;
        let (read, settings): (Box<dyn FnOnce() + Send>, _) = match self {
            Keyboard::Editor(mut editor, settings) => {
                let editing = Arc::new(AtomicBool::new(false));
                if let Ok(printer) = editor.create_external_printer() {
                    continuation::watch(printer, editing.clone())?;
                }
                (Box::new(move || edited(*editor, &prompt, &editing, &tx)), Some(settings))
            }
            Keyboard::Plain => (Box::new(move || plain(&tx)), None),
        };
        // It may be waiting for a key when the program ends.
        thread::Builder::new()
            .name("keyboard".into())
            .spawn(|| {
                // It cannot fail: the signal was blocked before.
                let _ = SigSet::from(Signal::SIGTSTP).thread_unblock();
                read();
            })
            .map_err(|error| Ending::Failure(format!("cannot start a thread: {error}")))?;
        Ok((rx, settings))
    }
}

/// An editor, where a person sits at both sides and the terminal can do what it takes.
fn terminal(stop: &Cancel) -> Option<(Keyboard, Screen)> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return None;
    }
    let settings = Settings(tcgetattr(io::stdin()).ok()?);
    // Without bracketed paste: it would have to be undone, too, when a signal ends the program.
    let config = Config::builder().auto_add_history(true).bracketed_paste(false).build();
    let mut editor = Editor::with_history(config, MemHistory::new()).ok()?;
    let printer = editor.create_external_printer().ok()?;
    Some((Keyboard::Editor(Box::new(editor), settings), Screen::editor(printer, stop)))
}

/// Lines from the editor.
fn edited(
    mut editor: Editor<(), MemHistory>,
    prompt: &str,
    editing: &AtomicBool,
    to: &Sender<Typed>,
) {
    loop {
        editing.store(true, Ordering::SeqCst); // pairs with `continuation`
        let line = editor.readline(prompt);
        editing.store(false, Ordering::SeqCst); // pairs with `continuation`
        let typed = match line {
            Ok(line) if line.len() > LONGEST => Typed::TooLong,
            Ok(line) => Typed::Line(line),
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            // Ctrl-D, or the terminal is no more.
            Err(_) => return,
        };
        // After the last line no prompt is to appear again.
        let last = match &typed {
            Typed::Line(line) => Command::parse(line) == Command::Quit,
            Typed::TooLong => false,
            Typed::Interrupted => true,
        };
        if to.send(&typed).is_err() || last {
            return;
        }
    }
}

/// Lines as they come.
fn plain(to: &Sender<Typed>) {
    let mut lines = Records::new(io::stdin(), Framing::Lines, LONGEST);
    let mut line = Vec::new();
    loop {
        line.clear();
        let typed = match lines.next(&mut line) {
            Ok(true) => Typed::Line(String::from_utf8_lossy(&line).into_owned()),
            Err(RecordError::TooLarge(_)) if lines.skip().is_ok() => Typed::TooLong,
            Ok(false) | Err(_) => return,
        };
        if to.send(&typed).is_err() {
            return;
        }
    }
}

/// How the terminal was found; when dropped it is left so, even if a line is half typed.
pub struct Settings(Termios);

impl Drop for Settings {
    fn drop(&mut self) {
        let now = tcgetattr(io::stdin());
        let editing = now.is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
        if editing {
            // What comes next is not to stand behind the half line.
            let _ = writeln!(io::stdout());
        }
    }
}
