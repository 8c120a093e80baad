//! What everyone knows of the room: who is here, and who holds the lobby.

use crate::message::{News, Person};
use crate::screen::Screen;
use postbox::Name;
use postbox_program::ending::Ending;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared by the threads of one process.
pub struct Room {
    me: Person,
    screen: Screen,
    crowd: Mutex<Crowd>,
    /// Notified when one's own farewell has come back.
    parted: Condvar,
    /// Whether one has begun to part: held while one enters.
    parting: Mutex<bool>,
}

#[derive(Default)]
struct Crowd {
    /// Everyone, by name; oneself included once one is in.
    people: BTreeMap<Name, u32>,
    holder: Option<Name>,
    /// Whether one has been let in.
    entered: bool,
    /// Whether the one who holds the lobby is not the first one for us.
    moved: bool,
    /// Whether one's own farewell has come back.
    parted: bool,
}

impl Room {
    /// With nobody in it yet.
    pub fn new(me: Person, screen: Screen) -> Self {
        Room {
            me,
            screen,
            crowd: Mutex::default(),
            parted: Condvar::new(),
            parting: Mutex::default(),
        }
    }

    /// Oneself.
    pub fn me(&self) -> &Person {
        &self.me
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line as it is.
    pub fn show(&self, line: impl Display) {
        self.screen.show(&line.to_string());
    }

    /// Why something could not be shown, if so.
    pub fn failure(&self) -> Option<Ending> {
        self.screen.failure()
    }

    /// Shows what happened.
    pub fn note(&self, what: impl Display) {
        self.show(format_args!("* {what}"));
    }

    /// Shows what did not work.
    pub fn sorry(&self, why: impl Display) {
        self.show(format_args!("! {why}"));
    }

    /// Everyone as last known, oneself included.
    pub fn people(&self) -> Vec<Person> {
        let crowd = self.crowd();
        crowd.people.iter().map(|(name, pid)| Person { name: name.clone(), pid: *pid }).collect()
    }

    /// Who holds the lobby.
    pub fn holder(&self) -> Option<Name> {
        self.crowd().holder.clone()
    }

    /// From now on that one holds the lobby; perhaps oneself.
    pub fn lobby_is_at(&self, holder: &Name) {
        let mut crowd = self.crowd();
        let moved = std::mem::replace(&mut crowd.moved, true);
        crowd.holder = Some(holder.clone());
        if *holder == self.me.name {
            crowd.people.insert(holder.clone(), self.me.pid);
        }
        drop(crowd);
        match (*holder == self.me.name, moved) {
            (true, false) => self.note("you are the first: the lobby is yours"),
            (true, true) => self.note("the lobby is yours now"),
            (false, false) => self.note(format_args!("the lobby is at {holder}")),
            (false, true) => self.note(format_args!("the lobby is at {holder} now")),
        }
    }

    /// The holder has gone; whether it died is known from its farewell.
    pub fn holder_has_gone(&self, holder: &Name) {
        let mut crowd = self.crowd();
        crowd.holder = None;
        if crowd.people.remove(holder).is_some() {
            drop(crowd);
            self.note(format_args!("{holder} has died"));
        }
    }

    /// Takes in what happened in the lobby, and shows it.
    pub fn hear(&self, news: &News) {
        let mut crowd = self.crowd();
        match news {
            News::Welcome(people) => {
                let entered = std::mem::replace(&mut crowd.entered, true);
                crowd.people = people.iter().map(|p| (p.name.clone(), p.pid)).collect();
                drop(crowd);
                if !entered {
                    self.who();
                }
            }
            News::Joined(person) => {
                crowd.people.insert(person.name.clone(), person.pid);
                drop(crowd);
                self.note(format_args!("{} has joined", person.name));
            }
            News::Said { who, text } => {
                drop(crowd);
                self.show(format_args!("{who}: {text}"));
            }
            News::Left(name) => {
                crowd.people.remove(name);
                crowd.parted |= *name == self.me.name;
                drop(crowd);
                self.parted.notify_all();
                self.note(format_args!("{name} has left"));
            }
            News::Died(name) => {
                crowd.people.remove(name);
                drop(crowd);
                self.note(format_args!("{name} has died"));
            }
            News::Deaf(name) => {
                drop(crowd);
                self.note(format_args!("{name} does not read: what is said passes them by"));
            }
            News::Missed(count) => {
                drop(crowd);
                self.note(format_args!("you did not read: {count} lines have passed you by"));
            }
        }
    }

    /// Shows who is here.
    pub fn who(&self) {
        let crowd = self.crowd();
        let each = crowd.people.iter().map(|(name, pid)| {
            let you = if *name == self.me.name { ", you" } else { "" };
            let holds = if crowd.holder.as_ref() == Some(name) { ", holds the lobby" } else { "" };
            format!("{name} (process {pid}{you}{holds})")
        });
        let each: Vec<String> = each.collect();
        drop(crowd);
        self.note(format_args!("here are: {}", each.join(", ")));
    }

    /// Enters, unless one has begun to part: nobody comes in again behind their own farewell.
    pub fn enter<R>(&self, enter: impl FnOnce() -> R) -> Option<R> {
        let parting = self.parting.lock().unwrap_or_else(PoisonError::into_inner);
        if *parting { None } else { Some(enter()) }
    }

    /// Begins to part.
    pub fn part(&self) {
        *self.parting.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Waits until one's own farewell has come back from the lobby: all that was said before it has
    /// been shown. Not longer than that.
    pub fn await_parting(&self, patience: Duration) {
        let waiting = |crowd: &mut Crowd| !crowd.parted;
        // Whether it came makes no difference now.
        let _ = self.parted.wait_timeout_while(self.crowd(), patience, waiting);
    }
}
