//! What the person types, and where it goes.

use crate::NAME;
use crate::arguments::Arguments;
use crate::attend::{Attendance, PATIENCE};
use crate::command::{Command, HELP};
use crate::keyboard::{self, Keyboard, Typed};
use crate::message::{LOBBY, LONGEST, Note, Person, SCHEMA, ToLobby, links};
use crate::room::Room;
use postbox::{
    DirectError, LinkError, Mailbox, Opening, Process, Receiver, SendError, TrySendError, Wait,
};
use postbox_program::ending::Ending;
use postbox_program::stop::Stop;
use std::sync::Arc;

/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Chats until the person leaves.
pub fn run(arguments: &Arguments) -> Ending {
    match keyboard::stop_where_it_is_read().and_then(|()| Stop::install()) {
        Err(ending) => ending,
        Ok(stop) => stop.explain(start(arguments, &stop).unwrap_or_else(|ending| ending)),
    }
}

fn start(arguments: &Arguments, stop: &Stop) -> Result<Ending, Ending> {
    let me = arguments.member.join(NAME, links())?;
    let (keyboard, screen) = Keyboard::open(stop.cancel());
    // Nobody to read is nobody to be here for.
    stop.when_output_closes();
    let person = Person { name: me.name().clone(), pid: std::process::id() };
    let room = Arc::new(Room::new(person, screen));
    let attendance = Attendance::start(me.clone(), room.clone(), stop.cancel())?;
    let (typed, _settings) = keyboard.start(format!("{}> ", me.name()))?;
    let mut talk = Talk { me, room: &room, stop, lobby: None };
    let ending = talk.until_done(&typed);
    talk.part();
    attendance.end()?;
    room.failure().map_or(ending, Err)
}

/// The speaking side of the chat.
struct Talk<'t> {
    me: Process,
    room: &'t Room,
    stop: &'t Stop,
    /// The lobby, once something was said in it; another one after its holder has gone.
    lobby: Option<Mailbox<ToLobby>>,
}

impl Talk<'_> {
    /// Does what is typed until nothing more is to come.
    fn until_done(&mut self, typed: &Receiver<Typed>) -> Result<Ending, Ending> {
        loop {
            let typed = match typed.receive_with(&self.stop.wait(None)) {
                Ok(typed) => typed.into_inner(),
                Err(error) if error.is_disconnected() => return Ok(Ending::Done),
                Err(error) => return Ok(error.into()),
            };
            let line = match &typed {
                Typed::Line(line) => line,
                Typed::Interrupted => return Ok(Ending::Silent(INTERRUPTED)),
                Typed::TooLong => {
                    self.room.sorry(format_args!("not said: a line has at most {LONGEST} bytes"));
                    continue;
                }
            };
            match Command::parse(line) {
                Command::Nothing => {}
                Command::Say(text) => {
                    let wait = Wait::timeout(PATIENCE).cancelled_by(self.stop.cancel());
                    if let Err(why) = self.deliver(&ToLobby::Say(text.into()), &wait) {
                        self.room.sorry(format_args!("not said: {why}"));
                    }
                }
                Command::To { name, text } => self.whisper(name, text),
                Command::Who => self.room.who(),
                Command::Help => self.room.note(HELP),
                Command::Wrong(why) => self.room.sorry(why),
                Command::Quit => return Ok(Ending::Done),
            }
        }
    }

    /// To one, directly. Never waits for them to read.
    fn whisper(&self, to: &str, text: &str) {
        let note = Note::Private(text.into());
        let send = || self.me.try_send(to, &note);
        // One who was restarted has another link, which the second attempt makes.
        let sent =
            send().or_else(|error| if error.is_disconnected() { send() } else { Err(error) });
        match sent {
            Ok(()) => self.room.show(format_args!("[to {to}] {text}")),
            Err(error) => self.room.sorry(format_args!("not sent: {}", refusal(to, &error))),
        }
    }

    /// To the lobby: its holder has taken it, or nobody has.
    fn deliver(&mut self, message: &ToLobby, wait: &Wait) -> Result<(), String> {
        loop {
            let lobby = match self.lobby.take() {
                Some(lobby) => lobby,
                None => {
                    let opening = Opening::new().schema(SCHEMA).wait(*wait);
                    self.me.open_mailbox_with(LOBBY, &opening).map_err(|error| {
                        if error.is_timeout() { self.standstill() } else { error.to_string() }
                    })?
                }
            };
            match lobby.deliver_with(message, wait) {
                Ok(_) => {
                    self.lobby = Some(lobby);
                    return Ok(());
                }
                // Its holder has gone; there will be another.
                Err(error) if error.is_destroyed() => {}
                Err(error) if error.is_timeout() => {
                    self.lobby = Some(lobby);
                    return Err(self.standstill());
                }
                Err(error) => return Err(error.reason().to_string()),
            }
        }
    }

    fn standstill(&self) -> String {
        match self.room.holder() {
            Some(holder) => format!("{holder}, who holds the lobby, does not answer"),
            None => "nobody holds the lobby yet".into(),
        }
    }

    /// Says farewell, and waits until everything that was said before has been shown.
    fn part(&mut self) {
        self.room.part();
        match self.deliver(&ToLobby::Leave, &Wait::timeout(PATIENCE)) {
            Ok(()) => self.room.await_parting(PATIENCE),
            Err(why) => {
                self.room.sorry(format_args!("{why}: the others will take you for dead"));
            }
        }
    }
}

/// Why a private message was not sent, in a line.
fn refusal(to: &str, error: &DirectError<TrySendError>) -> String {
    match error {
        DirectError::Link(LinkError::Absent { .. }) => {
            format!("nobody here is called '{to}'; /who lists who is here")
        }
        DirectError::Link(LinkError::Oneself { .. }) => "that is you".into(),
        DirectError::Link(LinkError::TimedOut) => format!("{to} does not answer"),
        DirectError::Call(TrySendError::Full) => {
            format!("{to} does not read, and as much as there is room for waits already")
        }
        DirectError::Call(TrySendError::Send(SendError::Disconnected)) => {
            format!("{to} has just gone")
        }
        error => error.to_string(),
    }
}
