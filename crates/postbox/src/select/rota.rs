//! Whose turn it is among many receivers of which few are busy.
//!
//! ```text
//!  receiver ── pollable ──┐
//!  receiver ── pollable ──┼──► one epoll set ──► queue of those that it said are ready
//!  receiver ── pollable ──┘         ▲                       │ the front is tried, up to
//!                                   │ asked when the queue  │ STREAK times in a row, then
//!                                   └───────── is empty ◄───┘ it is the next one's turn
//! ```
//!
//! A receiver that has had its streak leaves the queue. It comes back when the set is asked again,
//! behind the others: the kernel lists what stays ready at the end.
//!
//! Where nobody is ready the set is asked again and again before the caller sleeps on it, as long as that has
//! paid: a message that comes at once need not wake anybody.
//!
//! **Rings are looked into.** To make a ring's pollable readable, and unreadable again, takes its two sides four system calls,
//! ten times what the message does. So a receiver over a ring that had something is *set aside*: nobody makes its pollable
//! readable, and its ring is looked into, as long as somebody is awake here. Before the caller sleeps it counts on the pollables
//! again, and tries these receivers once more. They are few: what is idle is the set's affair.

use crate::channel::{MOST_SPINS_KERNEL, Patience, Pollable};
use crate::error::Fault;
use crate::mechanism::WaitStrategy;
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use postbox_sys::cpu;
use postbox_sys::epoll::{Epoll, Event, Interest};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// How often in a row one receiver may be served without the set being asked.
const STREAK: u32 = 16;
/// How often whoever spins looks whether the wait is over.
const LOOK_EVERY: u32 = 16;
/// So many are set aside at most: each costs a look whenever there is nothing.
const MOST_ASIDE: usize = 8;
/// How often receivers are tried without the set being asked, as long as some that are set aside have something.
const UNASKED: u32 = 4 * STREAK;
/// After so many looks in vain it counts on the pollable again, though others are busy.
const TIRED: u32 = 1 << 14;
/// Looks at those set aside, where nobody has anything, from one question to the set to the next.
const GLANCES: u32 = 8;

/// What an event is of: a place, unless it is one of these.
const CANCEL: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

/// What a wait was ended by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Some receiver is worth a try.
    Receivers,
    /// The bell: look at what it tells of, then wait on.
    Bell,
    /// The deadline or the cancel.
    Over(Ended),
}

/// A place that is set aside, and how often it was looked at in vain.
struct Aside {
    place: usize,
    vain: u32,
}

/// An epoll set over pollables, and the order in which they are tried.
pub(crate) struct Rota {
    set: Epoll,
    places: Vec<Option<Pollable>>,
    present: usize,
    /// Places that were said to be ready and have not had their turn.
    ready: VecDeque<usize>,
    /// How often the front one was tried in a row.
    streak: u32,
    /// Those whose rings are looked into.
    aside: Vec<Aside>,
    /// How often any was tried since the set was asked.
    unasked: u32,
    /// Whether this call has heard of receivers that were worth a try and had nothing: what lies in front in a ring
    /// may be still being written.
    fruitless: bool,
    /// Whether those set aside were just counted on again: if they have nothing, it is time to sleep.
    settled: bool,
    /// That of the calmest receiver there has been.
    patience: Patience,
    /// What the kernel fills.
    events: Box<[Event; 64]>,
}

impl Rota {
    pub(crate) fn new() -> Result<Self, Fault> {
        let set = Epoll::new().map_err(Fault::system("epoll_create1"))?;
        Ok(Rota {
            set,
            places: Vec::new(),
            present: 0,
            ready: VecDeque::new(),
            streak: 0,
            aside: Vec::new(),
            unasked: 0,
            fruitless: false,
            settled: false,
            patience: Patience::new(WaitStrategy::Spin),
            events: Box::new([Event::empty(); 64]),
        })
    }

    /// One more, at this place, which is free, and what it does before it sleeps.
    pub(crate) fn add(
        &mut self,
        place: usize,
        pollable: Pollable,
        strategy: WaitStrategy,
    ) -> Result<(), Fault> {
        self.set
            .add(&pollable, Interest::EPOLLIN, place as u64)
            .map_err(Fault::system("epoll_ctl"))?;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        self.places[place] = Some(pollable);
        self.present += 1;
        self.patience.calm_down(strategy);
        at(Step::RotaAdded);
        Ok(())
    }

    /// Wakes waits by this descriptor's edges too.
    pub(crate) fn add_bell(&self, bell: BorrowedFd<'_>) -> Result<(), Fault> {
        let edge = Interest::EPOLLIN.union(Interest::EPOLLET);
        self.set.add(bell, edge, BELL).map_err(Fault::system("epoll_ctl"))
    }

    /// Leaves one out from now on.
    pub(crate) fn remove(&mut self, place: usize) {
        let Some(pollable) = self.places.get_mut(place).and_then(Option::take) else { return };
        // A forked child may keep the descriptor open, and the set would go on watching it.
        let _ = self.set.remove(&pollable);
        at(Step::RotaRemoved);
        self.present -= 1;
        if self.ready.front() == Some(&place) {
            self.streak = 0;
        }
        self.ready.retain(|ready| *ready != place);
        self.aside.retain(|aside| aside.place != place);
    }

    /// Whether that place is taken.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.places.get(place).is_some_and(Option::is_some)
    }

    /// How many are on it.
    pub(crate) fn len(&self) -> usize {
        self.present
    }

    /// A call begins.
    pub(crate) fn begin(&mut self) {
        self.fruitless = false;
    }

    /// The place to be tried next, if any was said to be ready.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.streak == STREAK {
            let had_its_streak = self.ready.front().copied();
            self.pass_on();
            // The set tells of nothing that has happened to it before.
            let again = had_its_streak.filter(|place| self.is_aside(*place));
            self.ready.extend(again.filter(|place| !self.ready.contains(place)));
        }
        if self.streak == 0 && self.unasked >= UNASKED {
            // Those that only the set knows of have waited long enough.
            return None;
        }
        let next = self.ready.front().copied();
        let tries = u32::from(next.is_some());
        self.streak += tries;
        self.unasked = self.unasked.saturating_add(tries);
        next
    }

    /// The front one had nothing, or is to have no more now: it is the next one's turn.
    pub(crate) fn pass_on(&mut self) {
        // It had something before.
        if let (Some(place), true) = (self.ready.pop_front(), self.streak > 1) {
            self.set_aside(place);
        }
        self.streak = 0;
    }

    fn set_aside(&mut self, place: usize) {
        let Some(Some(pollable)) = self.places.get(place) else { return };
        let room = self.aside.len() < MOST_ASIDE && self.patience.may_spin();
        if room && pollable.set_aside() {
            self.aside.retain(|aside| aside.place != place);
            self.aside.push(Aside { place, vain: 0 });
            // What its pollable told of before, its end above all.
            self.ready.push_back(place);
            at(Step::RotaSetAside);
        }
    }

    fn is_aside(&self, place: usize) -> bool {
        self.aside.iter().any(|aside| aside.place == place)
    }

    /// Whether one of those set aside has something: then these are to be tried.
    fn glance(&mut self) -> bool {
        let Rota { aside, places, ready, .. } = self;
        aside.retain_mut(|Aside { place, vain }| {
            let Some(Some(pollable)) = places.get(*place) else { return false };
            *vain = if pollable.is_worth_a_try() { 0 } else { *vain + 1 };
            let tired = *vain > TIRED;
            if tired {
                pollable.shared().count_on();
            }
            if (*vain == 0 || tired) && !ready.contains(place) {
                ready.push_back(*place);
            }
            !tired
        });
        !self.ready.is_empty()
    }

    /// Nobody is set aside any more; whether somebody was, who is to be tried once more.
    fn count_on_all(&mut self) -> bool {
        let Rota { aside, places, ready, .. } = self;
        for Aside { place, .. } in aside.drain(..) {
            if let Some(Some(pollable)) = places.get(place) {
                pollable.shared().count_on();
                ready.push_back(place);
            }
        }
        !self.ready.is_empty()
    }

    /// Asks the set who is ready; sleeps until somebody is, for as long as `wait` says.
    pub(crate) fn listen(&mut self, wait: &Wait) -> Result<Heard, Fault> {
        if let (true, Some(ended)) = (self.fruitless, wait.over()) {
            return Ok(Heard::Over(ended));
        }
        let heard = self.listen_on(wait)?;
        self.fruitless |= heard == Heard::Receivers;
        Ok(heard)
    }

    fn listen_on(&mut self, wait: &Wait) -> Result<Heard, Fault> {
        if self.unasked < UNASKED && self.glance() {
            return Ok(Heard::Receivers);
        }
        self.unasked = 0;
        // Without sleeping first: then neither the clock nor the cancel is looked at for nothing.
        let mut heard = self.ask(Some(Instant::now()))?;
        // Behind those of the set, as it would have them.
        if self.glance() {
            heard = heard.or(Some(Heard::Receivers));
        }
        if heard.is_none() && !self.settled {
            heard = self.spin(wait)?;
        }
        if heard.is_none() && wait.over().is_none() && self.count_on_all() {
            self.settled = true;
            return Ok(Heard::Receivers);
        }
        self.settled = false;
        while heard.is_none() {
            if let Some(ended) = wait.over() {
                return Ok(Heard::Over(ended));
            }
            heard = match wait.cancel {
                None => self.ask(wait.deadline)?,
                Some(cancel) => {
                    self.set
                        .add(cancel.bell(), Interest::EPOLLIN, CANCEL)
                        .map_err(Fault::system("epoll_ctl"))?;
                    let heard = self.ask(wait.deadline);
                    let _ = self.set.remove(cancel.bell());
                    heard?
                }
            };
        }
        Ok(heard.unwrap_or(Heard::Receivers))
    }

    /// Asks again and again, as often as that may pay.
    fn spin(&mut self, wait: &Wait) -> Result<Option<Heard>, Fault> {
        // Of nobody there is nothing to learn, and nothing to expect soon.
        let spins = match wait.over() {
            None if self.present > 0 => self.patience.spins(MOST_SPINS_KERNEL),
            _ => 0,
        };
        let (mut spun, now) = (0, Instant::now());
        while spun < spins {
            std::hint::spin_loop();
            if !self.aside.is_empty() && (0..GLANCES).any(|_| self.glance_after_a_while()) {
                self.patience.learn(true);
                return Ok(Some(Heard::Receivers));
            }
            if let Some(heard) = self.ask(Some(now))? {
                self.patience.learn(true);
                return Ok(Some(heard));
            }
            spun += 1;
            if spun % LOOK_EVERY == 0 {
                if let Some(ended) = wait.over() {
                    return Ok(Some(Heard::Over(ended)));
                }
                if spins == u32::MAX {
                    spun = 0;
                }
            }
        }
        if spun > 0 {
            self.patience.learn(false);
        }
        Ok(None)
    }

    fn glance_after_a_while(&mut self) -> bool {
        cpu::breathe(1);
        self.glance()
    }

    fn ask(&mut self, deadline: Option<Instant>) -> Result<Option<Heard>, Fault> {
        let asked = self.set.wait(&mut self.events[..], deadline);
        let count = asked.map_err(Fault::system("epoll_pwait2"))?;
        let mut bell = false;
        for event in &self.events[..count] {
            match event.data() {
                CANCEL => {}
                BELL => bell = true,
                place => self.ready.push_back(place as usize),
            }
        }
        Ok(match () {
            () if bell => Some(Heard::Bell),
            () if !self.ready.is_empty() => Some(Heard::Receivers),
            () => None,
        })
    }
}
