//! Being there: taking what arrives, and taking the lobby when nobody holds it.

use crate::entrance::Entrance;
use crate::lobby::Holder;
use crate::message::{LOBBY, News, Note, ToLobby, lobby};
use crate::room::Room;
use postbox::{
    Cancel, DirectError, Fault, LinkError, MailboxError, Monitor, Name, Process, ReceiveError, Wait,
};
use postbox_program::ending::Ending;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long anybody may take to answer before they are taken to be stuck.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for the name of a process that has just joined, or is just leaving.
const MOMENT: Duration = Duration::from_millis(10);
/// How many news are kept of one that is to hold the lobby, as far as we know.
const EARLY: usize = 1024;

/// The thread that is there.
pub struct Attendance {
    leaving: Cancel,
    thread: JoinHandle<Result<(), Ending>>,
}

impl Attendance {
    /// Is there from now on. If that fails later on, `stop` fires.
    ///
    /// # Errors
    ///
    /// A failure: the machine is short of threads or descriptors.
    pub fn start(me: Process, room: Arc<Room>, stop: &Cancel) -> Result<Self, Ending> {
        let leaving = Cancel::new().map_err(|error| short("a descriptor", &error))?;
        let (until, stop) = (leaving.clone(), stop.clone());
        let attend = move || {
            let mut attend =
                Attend { me: &me, room: &room, leaving: &until, early: VecDeque::new() };
            let attended = attend.run();
            if attended.is_err() {
                stop.fire();
            }
            attended
        };
        let named = thread::Builder::new().name("attend".into());
        let thread = named.spawn(attend).map_err(|error| short("a thread", &error))?;
        Ok(Attendance { leaving, thread })
    }

    /// Is there no longer.
    ///
    /// # Errors
    ///
    /// What made it impossible earlier.
    pub fn end(self) -> Result<(), Ending> {
        self.leaving.fire();
        let failed = || Err(Ending::Failure("the thread that receives has failed".into()));
        self.thread.join().unwrap_or_else(|_| failed())
    }
}

/// What the thread has.
struct Attend<'a> {
    me: &'a Process,
    room: &'a Room,
    leaving: &'a Cancel,
    /// News that came from another than the holder. It is the next one, and quicker than our
    /// noticing that the last one has gone: first that one's last words.
    early: VecDeque<News>,
}

impl Attend<'_> {
    /// One turn for each holder of the lobby.
    fn run(&mut self) -> Result<(), Ending> {
        let mut nameless = 0;
        while !self.leaving.is_fired() {
            match self.me.create_mailbox::<ToLobby>(LOBBY, lobby()) {
                Ok(lobby) => {
                    // Now nobody can be between the last holder and us.
                    self.catch_up();
                    self.room.lobby_is_at(self.me.name());
                    return self.hold(Holder::new(self.me, lobby, self.room, self.leaving));
                }
                Err(MailboxError::Exists { pid, .. }) => match self.watch(pid)? {
                    Some(holder) => {
                        nameless = 0;
                        self.visit(&holder)?;
                    }
                    None => {
                        nameless += 1;
                        if MOMENT * nameless > PATIENCE {
                            return Err(foreign(pid));
                        }
                        thread::sleep(MOMENT);
                    }
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A watch over the process of that id; none where it has no name, because it is just going.
    fn watch(&self, pid: u32) -> Result<Option<Monitor>, Ending> {
        let processes = self.me.domain().processes()?;
        let Some(holder) = processes.into_iter().find(|process| process.pid() == pid) else {
            return Ok(None);
        };
        match self.me.monitor(holder.name().as_str()) {
            Ok(monitor) => Ok((monitor.pid() == pid).then_some(monitor)),
            Err(LinkError::Absent { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Holds the lobby, and takes private messages beside.
    fn hold(&mut self, holder: Holder<'_>) -> Result<(), Ending> {
        let leaving = self.leaving;
        thread::scope(|scope| {
            let hold = move || {
                let held = holder.hold();
                if held.is_err() {
                    leaving.fire();
                }
                held
            };
            let named = thread::Builder::new().name("lobby".into());
            let holding =
                named.spawn_scoped(scope, hold).map_err(|error| short("a thread", &error))?;
            let listened = self.listen(leaving, None);
            leaving.fire();
            let failed = || Err(Ending::Failure("the thread that holds the lobby failed".into()));
            holding.join().unwrap_or_else(|_| failed()).and(listened)
        })
    }

    /// Takes part while another holds the lobby, until it has gone.
    fn visit(&mut self, holder: &Monitor) -> Result<(), Ending> {
        let gone = Cancel::new().map_err(|error| short("a descriptor", &error))?;
        let entrance = Entrance { me: self.me.clone(), room: self.room, leaving: self.leaving };
        self.catch_up();
        self.room.lobby_is_at(holder.name());
        thread::scope(|scope| {
            let over = &gone;
            let stay = move || {
                let stayed = entrance.stay(holder);
                over.fire();
                stayed
            };
            let named = thread::Builder::new().name("watch".into());
            let staying =
                named.spawn_scoped(scope, stay).map_err(|error| short("a thread", &error))?;
            // All that the holder sent has been taken when this returns.
            let listened = self.listen(&gone, Some(holder.name()));
            if listened.is_err() {
                self.leaving.fire();
            }
            let failed = || Err(Ending::Failure("the thread that watches has failed".into()));
            staying.join().unwrap_or_else(|_| failed()).and(listened)
        })?;
        if !self.leaving.is_fired() {
            self.room.holder_has_gone(holder.name());
        }
        Ok(())
    }

    /// Takes what arrives until `until` has fired and nothing is left.
    fn listen(&mut self, until: &Cancel, holder: Option<&Name>) -> Result<(), Ending> {
        loop {
            match self.me.receive_with::<Note>(&Wait::forever().cancelled_by(until)) {
                Ok(note) => {
                    let from = note.sender().name().cloned();
                    self.take(note.into_inner(), from, holder);
                }
                Err(error) if error.is_cancelled() => return Ok(()),
                // One partner's doing; the others are as before.
                Err(DirectError::Call(
                    error @ (ReceiveError::Decode(_) | ReceiveError::Fault(Fault::Corrupt(_))),
                )) => self.room.sorry(error),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, note: Note, from: Option<Name>, holder: Option<&Name>) {
        match (note, from) {
            (Note::Private(text), Some(from)) => {
                self.room.show(format_args!("[from {from}] {text}"));
            }
            (Note::Lobby(news), Some(from)) if Some(&from) == holder => self.room.hear(&news),
            (Note::Lobby(news), _) if self.early.len() < EARLY => self.early.push_back(news),
            _ => {}
        }
    }

    /// Takes in what the holders since the last one have said.
    fn catch_up(&mut self) {
        self.early.drain(..).for_each(|news| self.room.hear(&news));
    }
}

fn short(of: &str, error: &io::Error) -> Ending {
    Ending::Failure(format!("cannot get {of}: {error}"))
}

fn foreign(pid: u32) -> Ending {
    let whose = format!("the mailbox '{LOBBY}' of this domain belongs to process {pid}");
    Ending::Failure(format!("{whose}, which is not in it: end that, or take another --domain"))
}
