//! Chat, the textbook's own example: each participant is a process with a name.
//!
//! ```text
//!  terminal 1                                     terminal 2
//!  cargo run -p postbox --example chat -- alice   cargo run -p postbox --example chat -- bob
//!  > hello                                        alice: hello
//!  bob (to you): psst                             > /to alice psst
//! ```
//!
//! What one types goes to everyone, `/to NAME text` to one alone, `/who` tells who is there, `/quit`
//! or Ctrl-D leaves. Everything is direct communication: a link for each pair, made when one first
//! names the other. Who joins says so to those who are there; who leaves says so, too; who dies is
//! noticed by a monitor.

use postbox::{Cancel, Domain, JoinError, Process, Wait};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What participants say to each other.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// I have come.
    Here,
    /// To everyone.
    All(String),
    /// To you alone.
    You(String),
    /// I am leaving.
    Bye,
}

/// How long a participant who reads nothing holds up the others.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a farewell may be on its way when its sender has gone already.
const FAREWELL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        eprintln!("chat: give yourself a name: chat NAME [ROOM]");
        return ExitCode::from(2);
    };
    let room = arguments.next().unwrap_or_else(|| "chat".into());
    match chat(&name, &room) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn chat(name: &str, room: &str) -> Result<(), Box<dyn Error>> {
    let me = join(name, room)?;
    let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())?;
    let printer = editor.create_external_printer().ok();
    let screen = printer.map(|printer| Box::new(printer) as Box<dyn ExternalPrinter + Send>);
    let room = Arc::new(Room {
        screen: Mutex::new(screen),
        present: Mutex::default(),
        left: Condvar::new(),
        watchers: Mutex::default(),
        end: Cancel::new()?,
    });
    let others = others(&me)?;
    room.print(&match &others[..] {
        [] => "nobody else is here".to_owned(),
        others => format!("here: {}", others.join(", ")),
    });
    // Whoever joins from now on sees this process, and says so.
    for other in &others {
        room.meet(&me, other);
        say(&room, &me, other, &Said::Here);
    }
    let listener = {
        let (room, me) = (room.clone(), me.clone());
        thread::spawn(move || listen(&room, &me))
    };
    let outcome = converse(&room, &me, &mut editor);
    for other in room.names() {
        say(&room, &me, &other, &Said::Bye);
    }
    room.end.fire();
    let _ = listener.join();
    let watchers = std::mem::take(&mut *lock(&room.watchers));
    watchers.into_iter().for_each(|watcher| drop(watcher.join()));
    outcome
}

fn join(name: &str, room: &str) -> Result<Process, Box<dyn Error>> {
    match Domain::open(room)?.join(name) {
        Err(JoinError::Taken { name, .. }) => Err(format!("'{name}' is here already").into()),
        joined => Ok(joined?),
    }
}

/// The names of those who are in the room, but for one's own.
fn others(me: &Process) -> Result<Vec<String>, Box<dyn Error>> {
    let all = me.domain().processes()?;
    let others = all.iter().map(|entry| entry.name()).filter(|name| *name != me.name());
    Ok(others.map(ToString::to_string).collect())
}

/// Reads lines and sends them, to the end of input.
fn converse(
    room: &Room,
    me: &Process,
    editor: &mut Editor<(), MemHistory>,
) -> Result<(), Box<dyn Error>> {
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let line = line.trim();
        let _ = editor.add_history_entry(line);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => {}
            ("/quit", _) => return Ok(()),
            ("/who", _) => room.print(&format!("here: {}", room.names().join(", "))),
            ("/to", rest) => match rest.split_once(' ') {
                Some((name, text)) => say(room, me, name, &Said::You(text.trim().into())),
                None => room.print("whom, and what? /to NAME text"),
            },
            (command, _) if command.starts_with('/') => {
                room.print("there is /to NAME text, /who and /quit");
            }
            _ => {
                for name in room.names() {
                    say(room, me, &name, &Said::All(line.into()));
                }
            }
        }
    }
}

/// Sends to one; whoever has just gone is told of by the monitor.
fn say(room: &Room, me: &Process, name: &str, said: &Said) {
    let private = matches!(said, Said::You(_));
    match me.send_with(name, said, &Wait::timeout(PATIENCE)) {
        Err(error) if private || !(error.is_absent() || error.is_disconnected()) => {
            room.print(&format!("not sent to {name}: {error}"));
        }
        _ => {}
    }
}

/// Shows what the others say, until the end.
fn listen(room: &Arc<Room>, me: &Process) {
    let wait = Wait::forever().cancelled_by(&room.end);
    loop {
        let delivery = match me.receive_with::<Said>(&wait) {
            Ok(delivery) => delivery,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                room.print(&format!("something came that cannot be read: {error}"));
                continue;
            }
        };
        // Whom the kernel says it came from: nobody speaks in another's name.
        let Some(from) = delivery.sender().name().map(ToString::to_string) else { continue };
        match delivery.into_inner() {
            Said::Here => {
                if room.meet(me, &from) {
                    room.print(&format!("{from} is here"));
                }
            }
            Said::All(text) => room.print(&format!("{from}: {text}")),
            Said::You(text) => room.print(&format!("{from} (to you): {text}")),
            Said::Bye => {
                if room.forget(&from) {
                    room.print(&format!("{from} has left"));
                }
            }
        }
    }
}

/// Who is there, and where to show it.
struct Room {
    /// The line editor's: it keeps what is being typed in place. None where there is no terminal.
    screen: Mutex<Option<Box<dyn ExternalPrinter + Send>>>,
    /// Names, and the process that each had when it was met.
    present: Mutex<BTreeMap<String, u32>>,
    /// Rings when somebody has said goodbye.
    left: Condvar,
    watchers: Mutex<Vec<JoinHandle<()>>>,
    end: Cancel,
}

impl Room {
    fn print(&self, line: &str) {
        match &mut *lock(&self.screen) {
            Some(printer) => drop(printer.print(format!("{line}\n"))),
            None => println!("{line}"),
        }
    }

    fn names(&self) -> Vec<String> {
        lock(&self.present).keys().cloned().collect()
    }

    /// Notes that someone is there, and watches for the end; false if that is known, or over.
    fn meet(self: &Arc<Self>, me: &Process, name: &str) -> bool {
        let Ok(monitor) = me.monitor(name) else { return false };
        let pid = monitor.pid();
        if lock(&self.present).insert(name.into(), pid) == Some(pid) {
            return false;
        }
        let room = self.clone();
        let watcher = thread::spawn(move || {
            let wait = Wait::forever().cancelled_by(&room.end);
            let Ok(departed) = monitor.wait_with(&wait) else { return };
            // A farewell may still be on its way through the link.
            let is_there = |present: &mut BTreeMap<String, u32>| {
                present.get(departed.name().as_str()) == Some(&departed.pid())
            };
            let present = lock(&room.present);
            let waited = room.left.wait_timeout_while(present, FAREWELL, is_there);
            let (mut present, result) = waited.unwrap_or_else(PoisonError::into_inner);
            if result.timed_out() && is_there(&mut present) {
                present.remove(departed.name().as_str());
                drop(present);
                room.print(&format!("{} has died", departed.name()));
            }
        });
        lock(&self.watchers).push(watcher);
        true
    }

    /// Somebody has said goodbye; false if nobody knew that one.
    fn forget(&self, name: &str) -> bool {
        let known = lock(&self.present).remove(name).is_some();
        self.left.notify_all();
        known
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
