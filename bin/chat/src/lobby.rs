//! Holding the lobby: one receives what everyone says to it, and passes it on to everyone.

use crate::message::{News, Note, Person, ToLobby};
use crate::room::Room;
use postbox::{
    Cancel, Mailbox, Monitor, Name, Peer, Process, ReceiveError, SendError, Sender, Wait,
};
use postbox_program::ending::Ending;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::thread;
use std::time::Duration;

/// How long everyone waits for one who does not read, or does not answer.
const MOMENT: Duration = Duration::from_millis(500);

/// The one process that receives from the lobby.
pub struct Holder<'h> {
    me: Process,
    lobby: Mailbox<ToLobby>,
    room: &'h Room,
    leaving: &'h Cancel,
    /// Everyone else.
    seats: BTreeMap<Name, Seat>,
}

/// The way to one of them.
struct Seat {
    pid: u32,
    /// None where they did not answer when it was to be made.
    way: Option<Sender<Note>>,
    /// What has passed them by because they do not read.
    missed: u64,
}

/// How far a note came.
enum Passed {
    On,
    /// The first that did not, or one more.
    By {
        first: bool,
    },
}

impl<'h> Holder<'h> {
    /// Holds that lobby, for those who are in the room already and those to come.
    pub fn new(me: &Process, lobby: Mailbox<ToLobby>, room: &'h Room, leaving: &'h Cancel) -> Self {
        Holder { me: me.clone(), lobby, room, leaving, seats: BTreeMap::new() }
    }

    /// Passes on what is said, until one leaves oneself.
    ///
    /// # Errors
    ///
    /// A failure: the mailbox is of no use any more.
    pub fn hold(mut self) -> Result<(), Ending> {
        self.inherit();
        loop {
            let message = match self.lobby.receive_with(&self.until_leaving()) {
                Ok(message) => message,
                Err(ReceiveError::Cancelled) => return Ok(()),
                // From none of us.
                Err(ReceiveError::Decode(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(who) = self.speaker(message.sender()) else { continue };
            let me = who.name == *self.me.name();
            match message.into_inner() {
                ToLobby::Enter => self.reach(&who.name),
                ToLobby::Say(text) => self.tell(News::Said { who: who.name, text }),
                ToLobby::Leave => {
                    self.tell(News::Left(who.name.clone()));
                    self.seats.remove(&who.name);
                    if me {
                        // Whoever is speaking to the lobby now learns that nobody has heard it.
                        return Ok(self.lobby.destroy()?);
                    }
                }
                ToLobby::Gone(person) if me => self.bury(&person),
                ToLobby::Gone(_) => {}
            }
        }
    }

    fn until_leaving(&self) -> Wait<'h> {
        Wait::forever().cancelled_by(self.leaving)
    }

    /// Those who were in the room with the last holder are still; or have died with it.
    fn inherit(&mut self) {
        let mut people = self.room.people();
        people.retain(|person| person.name != *self.me.name());
        let (here, dead): (Vec<_>, Vec<_>) = people.into_iter().partition(|it| self.seat(it));
        for person in here {
            self.welcome(&person.name);
        }
        for person in dead {
            self.tell(News::Died(person.name));
        }
    }

    /// Who sent that: oneself, somebody known, or somebody who is let in now.
    fn speaker(&mut self, sender: &Peer) -> Option<Person> {
        let pid = sender.pid();
        if pid == std::process::id() {
            return Some(self.room.me().clone());
        }
        if let Some((name, _)) = self.seats.iter().find(|(_, seat)| seat.pid == pid) {
            return Some(Person { name: name.clone(), pid });
        }
        let person = Person { name: sender.name()?.clone(), pid };
        // Somebody was killed, and is back before that was noticed.
        if let Some(before) = self.seats.get(&person.name) {
            self.bury(&Person { name: person.name.clone(), pid: before.pid });
        }
        if !self.seat(&person) {
            return None;
        }
        self.welcome(&person.name);
        self.tell(News::Joined(person.clone()));
        Some(person)
    }

    /// A seat for that one, with a watch over it; none if they have gone, or never had the name.
    fn seat(&mut self, person: &Person) -> bool {
        let name = person.name.as_str();
        let Ok(monitor) = self.me.monitor(name) else { return false };
        if monitor.pid() != person.pid {
            return false;
        }
        if let Err(why) = self.watch(monitor, person.clone()) {
            self.room.sorry(format_args!("cannot watch over {name}: {why}"));
        }
        let seat = Seat { pid: person.pid, way: way(&self.me, &person.name), missed: 0 };
        self.seats.insert(person.name.clone(), seat);
        true
    }

    /// Says to the lobby when that one has gone: it is heard there after all that they said.
    fn watch(&self, monitor: Monitor, person: Person) -> Result<(), Box<dyn Error>> {
        let (lobby, leaving) = (self.lobby.sender()?, self.leaving.clone());
        let watch = move || {
            let wait = Wait::forever().cancelled_by(&leaving);
            if monitor.wait_with(&wait).is_ok() {
                let _ = lobby.send_with(&ToLobby::Gone(person), &wait);
            }
        };
        thread::Builder::new().name("watch".into()).spawn(watch)?;
        Ok(())
    }

    /// Tells one that they are in, and who else is.
    fn welcome(&mut self, name: &Name) {
        let people = self.seats.iter().map(|(name, seat)| (name.clone(), seat.pid));
        let mut people: Vec<_> = people.map(|(name, pid)| Person { name, pid }).collect();
        people.push(self.room.me().clone());
        if let Some(seat) = self.seats.get_mut(name) {
            seat.pass_on(&Note::Lobby(News::Welcome(people)));
        }
    }

    /// Makes the way to one who did not answer before, and does now.
    fn reach(&mut self, name: &Name) {
        if let Some(seat) = self.seats.get_mut(name)
            && seat.way.is_none()
        {
            seat.way = way(&self.me, name);
            self.welcome(name);
        }
    }

    /// That one has gone without a word, unless it is known already.
    fn bury(&mut self, person: &Person) {
        if self.seats.get(&person.name).is_some_and(|seat| seat.pid == person.pid) {
            self.seats.remove(&person.name);
            self.tell(News::Died(person.name.clone()));
        }
    }

    /// Tells everyone.
    fn tell(&mut self, news: News) {
        let mut all = VecDeque::from([news]);
        while let Some(news) = all.pop_front() {
            self.room.hear(&news);
            let note = Note::Lobby(news);
            for (name, seat) in &mut self.seats {
                if let Passed::By { first: true } = seat.pass_on(&note) {
                    all.push_back(News::Deaf(name.clone()));
                }
            }
        }
    }
}

/// The way to one; none if they do not answer.
fn way(me: &Process, name: &Name) -> Option<Sender<Note>> {
    me.sender_to_with(name.as_str(), &Wait::timeout(MOMENT)).ok()
}

impl Seat {
    /// Waits a moment for those who read slowly, once for those who do not read at all.
    fn pass_on(&mut self, note: &Note) -> Passed {
        if self.missed > 0 && self.put(&Note::Lobby(News::Missed(self.missed)), Duration::ZERO) {
            self.missed = 0;
        }
        if self.missed == 0 && self.put(note, MOMENT) {
            return Passed::On;
        }
        self.missed += 1;
        Passed::By { first: self.missed == 1 }
    }

    fn put(&self, note: &Note, patience: Duration) -> bool {
        let Some(way) = &self.way else { return false };
        match way.send_with(note, &Wait::timeout(patience)) {
            // Who has gone misses nothing; the watch over them will tell.
            Ok(()) | Err(SendError::Disconnected) => true,
            Err(_) => false,
        }
    }
}
