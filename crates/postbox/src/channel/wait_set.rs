//! What an end sleeps on: the kernel object, its bell, the news, and the deaths of other members.

use super::Channel;
use super::control::Awaited;
use super::members::Seat;
use crate::error::Fault;
use crate::process::Identity;
use crate::wait::Cancel;
use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::{clock, pidfd};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

const EDGE: Interest = Interest::EPOLLIN.union(Interest::EPOLLET);
const LEVEL: Interest = Interest::EPOLLIN;

/// What an event is of.
const QUEUE: u64 = 0;
const BELL: u64 = 1;
const NEWS: u64 = 2;
const CANCEL: u64 = 3;
const POLLED: u64 = 4;
const FIRST_PEER: u64 = 16;

/// How often an end goes behind the others at most, in nanoseconds: it takes two or three system calls, and in busy
/// traffic the turns even out.
const BEHIND_EVERY: u64 = 50_000;

/// A process whose death matters to whoever sleeps here.
struct Peer {
    identity: Identity,
    death: Arc<OwnedFd>,
    /// It has died, and is watched no more: its records are for whoever is burying it.
    dead: bool,
}

/// What an end sleeps on.
pub(crate) struct WaitSet {
    epoll: Epoll,
    peers: Vec<Option<Peer>>,
    /// The roster that `peers` is true to.
    roster: u64,
    /// What it is that its end awaits here; nothing behind a pollable.
    awaited: Option<Awaited>,
    /// Whether the kernel object is in the set. An end that has been awake for a while takes it out.
    has_queue: bool,
    has_bell: bool,
    /// The bell was added, and what is heard next may be only that.
    fresh: bool,
    /// The bell was heard outside a sleep.
    early: bool,
    /// The bell was rung since it was last added.
    woke: bool,
    /// What the end had passed on when it last took its place among those who wait.
    passed: u64,
    /// When it last went behind the others, in nanoseconds of the monotonic clock.
    behind_at: u64,
    /// What the kernel fills: made once, and not cleared for each sleep.
    events: Box<[Event; 64]>,
}

impl WaitSet {
    /// The set of one end: each event wakes one sleeper where one suffices.
    pub(crate) fn for_end(channel: &Channel, awaited: Awaited) -> Result<Self, Fault> {
        let mut set = WaitSet::empty(Some(awaited))?;
        set.with_bell(channel)?;
        set.add(channel.bells.news(), EDGE, NEWS)?;
        Ok(set)
    }

    /// The set behind a pollable: readable while a receive could return something.
    pub(crate) fn for_pollable(channel: &Channel) -> Result<Self, Fault> {
        let set = WaitSet::empty(None)?;
        set.add(channel.bells.level(), LEVEL, POLLED)?;
        set.add(channel.bells.news(), EDGE, NEWS)?;
        if let (Some(queue), false) = (channel.readable(), channel.queues) {
            set.add(queue, LEVEL, QUEUE)?;
        }
        Ok(set)
    }

    fn empty(awaited: Option<Awaited>) -> Result<Self, Fault> {
        let epoll = Epoll::new().map_err(Fault::system("epoll_create1"))?;
        Ok(WaitSet {
            epoll,
            peers: Vec::new(),
            roster: u64::MAX,
            awaited,
            has_queue: false,
            has_bell: false,
            fresh: false,
            early: false,
            woke: false,
            passed: 0,
            behind_at: 0,
            events: Box::new([Event::empty(); 64]),
        })
    }

    fn add(&self, fd: impl AsFd, interest: Interest, token: u64) -> Result<(), Fault> {
        self.epoll.add(fd.as_fd(), interest, token).map_err(Fault::system("epoll_ctl"))
    }

    pub(crate) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// Watches the processes that are members now; buries those that are dead already.
    fn refresh(&mut self, channel: &Channel, me: Seat) -> Result<(), Fault> {
        let roster = channel.block.control.roster();
        if self.roster == roster {
            return Ok(());
        }
        let own = Identity::own();
        let mut present: Vec<Identity> = channel
            .block
            .records()
            .filter_map(|(_, member)| member.owner())
            .chain(channel.watched_owner())
            .filter(|owner| *owner != own)
            .collect();
        present.sort_unstable_by_key(|owner| owner.to_word());
        present.dedup();
        for peer in &mut self.peers {
            if let Some(gone) = peer.take_if(|peer| !present.contains(&peer.identity)) {
                let _ = self.epoll.remove(gone.death.as_fd());
            }
        }
        for identity in present {
            match self.peers.iter().flatten().find(|peer| peer.identity == identity) {
                Some(peer) if peer.dead => channel.bury(identity, me),
                Some(_) => {}
                None => match identity.watch().map_err(Fault::system("pidfd_open"))? {
                    None => channel.bury(identity, me),
                    Some(death) => self.watch(Peer { identity, death, dead: false })?,
                },
            }
        }
        self.roster = roster;
        Ok(())
    }

    fn watch(&mut self, peer: Peer) -> Result<(), Fault> {
        let place = self.peers.iter().position(Option::is_none).unwrap_or(self.peers.len());
        self.add(peer.death.as_fd(), LEVEL, FIRST_PEER + place as u64)?;
        match self.peers.get_mut(place) {
            Some(free) => *free = Some(peer),
            None => self.peers.push(Some(peer)),
        }
        Ok(())
    }

    /// Looks for deaths without sleeping.
    pub(crate) fn look(&mut self, channel: &Channel, me: Seat) -> Result<(), Fault> {
        self.early |= self.sleep(channel, me, Some(Instant::now()))?;
        Ok(())
    }

    /// Whether a ring came while its end was awake.
    pub(crate) fn take_early(&mut self) -> bool {
        std::mem::take(&mut self.early)
    }

    /// Takes the kernel object out of the set until the next sleep.
    ///
    /// As long as it is in, every push goes through the set's own wake-up, a tenth of its price. So
    /// an end that has not slept for a while is better off without.
    pub(crate) fn without_queue(&mut self, channel: &Channel) {
        if let (true, Some(queue)) = (self.has_queue, channel.readable()) {
            self.has_queue = self.epoll.remove(queue).is_err();
        }
    }

    fn with_queue(&mut self, channel: &Channel) -> Result<(), Fault> {
        let wanted = self.awaited == Some(Awaited::Message) && !self.has_queue;
        if let (true, Some(queue)) = (wanted, channel.readable()) {
            self.add(queue, LEVEL.union(Interest::EPOLLEXCLUSIVE), QUEUE)?;
            self.has_queue = true;
        }
        Ok(())
    }

    fn with_bell(&mut self, channel: &Channel) -> Result<(), Fault> {
        let Some(awaited) = self.awaited.filter(|_| !self.has_bell) else { return Ok(()) };
        let bell = match awaited {
            Awaited::Space | Awaited::Receipt => EDGE,
            _ => EDGE.union(Interest::EPOLLEXCLUSIVE),
        };
        self.add(channel.bells.of(awaited), bell, BELL)?;
        (self.has_bell, self.fresh) = (true, true);
        Ok(())
    }

    /// Makes this set the last to be woken by its bell.
    ///
    /// It is heard once when it is added, and counts for a ring: it may be one, if only for another end, which did not hear
    /// it, found what it wanted, and took this one off the count of the asleep.
    pub(crate) fn add_bell_anew(&mut self, channel: &Channel) -> Result<(), Fault> {
        let Some(awaited) = self.awaited else { return Ok(()) };
        let _ = self.epoll.remove(channel.bells.of(awaited));
        self.has_bell = false;
        self.with_bell(channel)
    }

    /// Takes its place among those who wait, for an end that has passed so many messages in all.
    ///
    /// Of several the kernel wakes the one first whose set came first. So an end that has passed some since it took its
    /// place goes behind the `others` who wait already; one that has not keeps the place that it has.
    ///
    /// For an end that is not yet counted among the sleepers.
    pub(crate) fn queue_up(
        &mut self,
        channel: &Channel,
        passed: u64,
        others: impl FnOnce() -> bool,
    ) -> Result<(), Fault> {
        let served = self.passed != passed;
        if served && !others() {
            self.passed = passed;
        } else if served {
            let now = clock::now();
            if now - self.behind_at > BEHIND_EVERY {
                (self.passed, self.behind_at) = (passed, now);
                self.go_behind(channel)?;
            }
        }
        Ok(())
    }

    fn go_behind(&mut self, channel: &Channel) -> Result<(), Fault> {
        // Added again when it sleeps.
        self.without_queue(channel);
        let beside_a_queue = self.awaited == Some(Awaited::Message) && channel.readable().is_some();
        // There the bell wakes for little, and mostly nobody.
        if self.woke || !beside_a_queue {
            self.add_bell_anew(channel)?;
            self.woke = false;
        }
        Ok(())
    }

    /// As [`Self::sleep`], and until the cancel fires.
    pub(crate) fn sleep_unless(
        &mut self,
        channel: &Channel,
        me: Seat,
        deadline: Option<Instant>,
        cancel: Option<&Cancel>,
    ) -> Result<bool, Fault> {
        if self.take_early() {
            // A count that is too high only costs a ring.
            return Ok(true);
        }
        self.with_bell(channel)?;
        self.with_queue(channel)?;
        let Some(cancel) = cancel else { return self.sleep(channel, me, deadline) };
        self.add(cancel.bell(), LEVEL, CANCEL)?;
        let heard = self.sleep(channel, me, deadline);
        let _ = self.epoll.remove(cancel.bell());
        heard
    }

    /// Sleeps until something happens or `deadline`; says whether the bell was heard.
    fn sleep(
        &mut self,
        channel: &Channel,
        me: Seat,
        deadline: Option<Instant>,
    ) -> Result<bool, Fault> {
        self.refresh(channel, me)?;
        let slept = self.epoll.wait(&mut self.events[..], deadline);
        let count = slept.map_err(Fault::system("epoll_pwait2"))?;
        let mut heard = false;
        for index in 0..count {
            match self.events[index].data() {
                BELL => {
                    heard = true;
                    self.woke |= !std::mem::take(&mut self.fresh);
                }
                token if token >= FIRST_PEER => self.died(channel, me, token - FIRST_PEER),
                _ => {}
            }
        }
        Ok(heard)
    }

    fn died(&mut self, channel: &Channel, me: Seat, place: u64) {
        let Some(peer) = self.peers.get_mut(place as usize) else { return };
        let Some(Peer { identity, death, dead }) = peer else { return };
        let _ = self.epoll.remove(death.as_fd());
        if pidfd::is_dead(&**death) == Ok(true) {
            *dead = true;
            channel.bury(*identity, me);
        } else {
            *peer = None;
        }
        // Should its records still be there, being buried by somebody, the roster tells when that is done,
        // and that one's own end if it is not. Watched any longer, the dead would let nobody sleep.
        self.roster = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::bells::Asleep;
    use crate::{Bytes, Mechanism, Options};

    /// What a set hears that does not wait.
    fn hears(set: &mut WaitSet, channel: &Channel, me: Seat) -> bool {
        set.sleep_unless(channel, me, Some(Instant::now()), None).unwrap()
    }

    #[test]
    fn who_goes_behind_hears_its_bell_added_and_each_ring_that_comes() {
        for mechanism in Mechanism::ALL {
            let (_tx, rx) = Options::new(mechanism).channel::<Bytes>().unwrap();
            let (channel, me) = (&*rx.end().channel, rx.end().seat);
            for awaited in [Awaited::Message, Awaited::Room] {
                let mut set = WaitSet::for_end(channel, awaited).unwrap();
                assert!(hears(&mut set, channel, me) && !hears(&mut set, channel, me));
                set.queue_up(channel, 0, || true).unwrap();
                assert!(!hears(&mut set, channel, me), "nothing has passed: it keeps its place");
                postbox_sys::eventfd::nudge(channel.bells.of(awaited)).unwrap();
                assert!(hears(&mut set, channel, me) && !hears(&mut set, channel, me));
                set.queue_up(channel, 1, || true).unwrap();
                assert!(hears(&mut set, channel, me) && !hears(&mut set, channel, me));
                postbox_sys::eventfd::nudge(channel.bells.of(awaited)).unwrap();
                assert!(hears(&mut set, channel, me), "{mechanism} {awaited:?}");
            }
        }
    }

    #[test]
    fn who_goes_behind_hears_the_ring_for_one_that_leaves_without_it() {
        for mechanism in Mechanism::ALL {
            let (_tx, rx) = Options::new(mechanism).channel::<Bytes>().unwrap();
            let (channel, me) = (&*rx.end().channel, rx.end().seat);
            let control = &channel.block.control;
            for awaited in [Awaited::Message, Awaited::Room] {
                let mut set = WaitSet::for_end(channel, awaited).unwrap();
                // It finds what it wants before its ring comes.
                let other = Asleep::announce(channel, awaited);
                channel.bells.ring_one(control, awaited);
                set.woke = true;
                set.queue_up(channel, 1, || true).unwrap();
                let mut asleep = Asleep::announce(channel, awaited);
                drop(other);
                assert_eq!(control.sleepers(awaited).count().asleep(), 0, "nobody would ring it");
                assert!(hears(&mut set, channel, me), "{mechanism} {awaited:?}");
                asleep.rung();
            }
        }
    }
}
