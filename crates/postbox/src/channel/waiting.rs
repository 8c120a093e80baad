//! How an end waits: it tries, spins while that pays, and sleeps.
//!
//! There is one wait for everything. The end sleeps in an epoll set of its own over the kernel
//! object, its bell, the news, the deaths of the other members and the caller's cancel. Whoever
//! wakes takes without blocking; nobody sleeps inside a call that takes a message.

use super::bells::Asleep;
use super::control::Awaited;
use super::end::End;
use super::members::{Life, Role, Seat, Statistic};
use super::{Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::WaitStrategy;
use crate::process::Identity;
use crate::wait::{Ended, Wait};
use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::pidfd;
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

const EDGE: Interest = Interest::EPOLLIN.union(Interest::EPOLLET);
const LEVEL: Interest = Interest::EPOLLIN;

const QUEUE: u64 = 0;
const BELL: u64 = 1;
const NEWS: u64 = 2;
const CANCEL: u64 = 3;
const POLLED: u64 = 4;
const FIRST_PEER: u64 = 16;

/// Attempts that `Adaptive` makes at most before it sleeps, each some tens of nanoseconds on the
/// ring and a few hundred on a kernel object.
const MOST_SPINS_RING: u32 = 2000;
const MOST_SPINS_KERNEL: u32 = 200;
/// After so many waits without luck the full measure is tried again.
const RETRY_EVERY: u32 = 64;
/// How often a spinning wait looks at the clock and at the other members.
const LOOK_EVERY: u32 = 256;

/// What an end does before it sleeps, and what it has learnt about it.
pub(crate) struct Patience {
    strategy: WaitStrategy,
    spins: Cell<u32>,
    waits: Cell<u32>,
}

impl Patience {
    pub(crate) fn new(strategy: WaitStrategy) -> Self {
        Patience { strategy, spins: Cell::new(u32::MAX), waits: Cell::new(0) }
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.strategy
    }

    /// How often to try before sleeping this time.
    fn spins(&self, carrier: &Carrier) -> u32 {
        let most = match carrier {
            Carrier::Ring(_) => MOST_SPINS_RING,
            Carrier::Kernel(_) => MOST_SPINS_KERNEL,
        };
        match self.strategy {
            WaitStrategy::Block => 0,
            WaitStrategy::Spin => u32::MAX,
            WaitStrategy::Adaptive => {
                self.waits.set(self.waits.get().wrapping_add(1));
                let retry = self.waits.get().is_multiple_of(RETRY_EVERY);
                if retry { most } else { self.spins.get().min(most) }
            }
        }
    }

    /// Spinning paid: next time as long as it takes. It did not: next time half as long.
    fn learn(&self, paid: bool) {
        let spins = if paid { u32::MAX } else { self.spins.get().min(MOST_SPINS_RING) / 2 };
        self.spins.set(spins);
    }
}

/// A process whose death matters to whoever sleeps here.
struct Peer {
    identity: Identity,
    death: Arc<OwnedFd>,
}

/// What an end sleeps on.
pub(crate) struct WaitSet {
    epoll: Epoll,
    peers: Vec<Option<Peer>>,
    /// The roster that `peers` is true to.
    roster: u64,
}

impl WaitSet {
    /// The set of one end: each event wakes one sleeper where one suffices.
    fn for_end(channel: &Channel, awaited: Awaited) -> Result<Self, Fault> {
        let set = WaitSet::empty()?;
        let bell = match awaited {
            Awaited::Receipt => EDGE,
            _ => EDGE.union(Interest::EPOLLEXCLUSIVE),
        };
        set.add(channel.bells.of(awaited), bell, BELL)?;
        set.add(channel.bells.news(), EDGE, NEWS)?;
        if let (Awaited::Message, Carrier::Kernel(queue)) = (awaited, &channel.carrier) {
            set.add(queue.readable(), LEVEL.union(Interest::EPOLLEXCLUSIVE), QUEUE)?;
        }
        Ok(set)
    }

    /// The set behind a pollable: readable while a receive could return something.
    pub(crate) fn for_pollable(channel: &Channel) -> Result<Self, Fault> {
        let set = WaitSet::empty()?;
        set.add(channel.bells.level(), LEVEL, POLLED)?;
        set.add(channel.bells.news(), EDGE, NEWS)?;
        if let Carrier::Kernel(queue) = &channel.carrier {
            set.add(queue.readable(), LEVEL, QUEUE)?;
        }
        Ok(set)
    }

    fn empty() -> Result<Self, Fault> {
        let epoll = Epoll::new().map_err(Fault::system("epoll_create1"))?;
        Ok(WaitSet { epoll, peers: Vec::new(), roster: u64::MAX })
    }

    fn add(&self, fd: impl AsFd, interest: Interest, token: u64) -> Result<(), Fault> {
        self.epoll.add(fd.as_fd(), interest, token).map_err(Fault::system("epoll_ctl"))
    }

    pub(crate) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// Watches the processes that are members now; buries those that are dead already.
    pub(crate) fn refresh(&mut self, channel: &Channel, me: Seat) -> Result<(), Fault> {
        let roster = channel.block.control.roster();
        if self.roster == roster {
            return Ok(());
        }
        let own = Identity::own();
        let mut present: Vec<Identity> = channel
            .block
            .records()
            .filter_map(|(_, member)| member.owner())
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
            if self.peers.iter().flatten().any(|peer| peer.identity == identity) {
                continue;
            }
            match identity.watch().map_err(Fault::system("pidfd_open"))? {
                None => channel.bury(identity, me),
                Some(death) => self.watch(Peer { identity, death })?,
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
        self.sleep(channel, me, Some(Instant::now())).map(drop)
    }

    /// Sleeps until something happens or `deadline`; says whether the bell was heard.
    fn sleep(
        &mut self,
        channel: &Channel,
        me: Seat,
        deadline: Option<Instant>,
    ) -> Result<bool, Fault> {
        self.refresh(channel, me)?;
        let mut events = [Event::empty(); 64];
        let count = self
            .epoll
            .wait(&mut events, deadline)
            .map_err(Fault::system("epoll_pwait2"))?;
        let mut heard = false;
        for event in &events[..count] {
            match event.data() {
                BELL => heard = true,
                token if token >= FIRST_PEER => self.died(channel, me, token - FIRST_PEER),
                _ => {}
            }
        }
        Ok(heard)
    }

    fn died(&mut self, channel: &Channel, me: Seat, place: u64) {
        let Some(peer) = self.peers.get_mut(place as usize).and_then(Option::take) else { return };
        let _ = self.epoll.remove(peer.death.as_fd());
        if pidfd::is_dead(&*peer.death) == Ok(true) {
            channel.bury(peer.identity, me);
        }
        // Should its records still be there, being buried by somebody, watch for that one's end.
        self.roster = u64::MAX;
    }
}

impl End {
    pub(crate) fn with_set<R>(
        &self,
        awaited: Awaited,
        act: impl FnOnce(&mut WaitSet) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut sets = self.sets.borrow_mut();
        let slot = &mut sets[awaited as usize];
        let set = match slot {
            Some(set) => set,
            None => slot.insert(WaitSet::for_end(&self.channel, awaited)?),
        };
        act(set)
    }

    /// Repeats `attempt` until it yields something, sleeping in between for as long as `wait` says.
    #[inline]
    pub(crate) fn wait_for<R, E>(
        &self,
        awaited: Awaited,
        wait: &Wait,
        mut attempt: impl FnMut() -> Result<Option<R>, E>,
    ) -> Result<R, E>
    where
        E: From<Ended> + From<Fault>,
    {
        match attempt() {
            Ok(Some(done)) => Ok(done),
            Ok(None) => self.wait_on(awaited, wait, attempt),
            Err(error) => Err(error),
        }
    }

    /// The first attempt has failed.
    #[cold]
    #[inline(never)]
    fn wait_on<R, E>(
        &self,
        awaited: Awaited,
        wait: &Wait,
        mut attempt: impl FnMut() -> Result<Option<R>, E>,
    ) -> Result<R, E>
    where
        E: From<Ended> + From<Fault>,
    {
        let spins = self.patience.spins(&self.channel.carrier);
        let mut spun = 0;
        while spun < spins {
            std::hint::spin_loop();
            if let Some(done) = attempt()? {
                self.patience.learn(true);
                return Ok(done);
            }
            spun += 1;
            if spun % LOOK_EVERY == 0 {
                if let Some(ended) = wait.over() {
                    return Err(ended.into());
                }
                self.look_around()?;
                if spins == u32::MAX {
                    spun = 0;
                }
            }
        }
        if spun > 0 {
            self.patience.learn(false);
        }
        loop {
            let mut asleep = Asleep::announce(&self.channel.block.control, awaited);
            // The cancel comes before the last attempt, so that a wake-up meant for this end and
            // not used up is never carried off by it.
            let ended = wait.over();
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            if let Some(ended) = ended {
                return Err(ended.into());
            }
            self.count(Statistic::Waits, 1);
            let heard = self.with_set(awaited, |set| {
                if let Some(cancel) = wait.cancel {
                    set.add(cancel.bell(), LEVEL, CANCEL)?;
                }
                let heard = set.sleep(&self.channel, self.seat, wait.deadline);
                if let Some(cancel) = wait.cancel {
                    let _ = set.epoll.remove(cancel.bell());
                }
                heard
            })?;
            if heard {
                asleep.rung();
            }
            drop(asleep);
            if let Some(done) = attempt()? {
                return Ok(done);
            }
        }
    }
}

impl Channel {
    /// Whether that seat is a live end of that role, of one of these processes.
    pub(crate) fn is_seat_of(&self, seat: Seat, role: Role, owners: [Identity; 2]) -> bool {
        let Some(member) = self.block.members().get(usize::from(seat.index)) else { return false };
        let status = member.status();
        status.life() == Life::Live
            && status.role() == role
            && status.generation() == seat.generation
            && member.owner().is_some_and(|owner| owners.contains(&owner))
    }

    /// Whether a process with a live record is known to be dead though nobody has buried it yet.
    pub(crate) fn is_lost(&self, member: &super::control::Member) -> bool {
        member.status().life() != Life::Live || member.owner().is_none_or(Identity::is_dead)
    }
}
