//! Names in shared memory: who the ends of a channel are, beyond their pids.
//!
//! ```text
//!  name   up to 64 bytes in eight words, the rest zeros: no name holds one
//!  card   whose name and user stand in the record: generation and pid of that end
//! ```
//!
//! A record's card is written by its end when it joins and stays when it leaves, until the next end
//! takes the record: a message is often received, and a receipt often seen, when the other side has
//! left already. The card is put away before the words change and put back after, so whoever finds
//! the same card before and after reading has read one end's words.

use super::control::Member;
use super::members::{Life, Role};
use super::{Channel, Lifetime, Seat};
use crate::name::Name;
use crate::peer::Peer;
use crate::process::Identity;
use postbox_ring::receipt::Taker;
use postbox_ring::sync::Ordering::{Acquire, Relaxed, Release};
use postbox_ring::sync::{AtomicU64, fence};
use postbox_steps::{Step, at};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

const PID_BITS: u32 = 22;
/// Partners that an end remembers: more than there can be, should envelopes lie.
const MOST_KNOWN: usize = 4096;

/// Writes a name, or none.
pub(crate) fn store(words: &[AtomicU64; 8], name: Option<&Name>) {
    let bytes = name.map_or(&[][..], |name| name.as_str().as_bytes());
    for (i, word) in words.iter().enumerate() {
        let mut eight = [0; 8];
        let rest = bytes.get(i * 8..).unwrap_or_default();
        let len = rest.len().min(8);
        eight[..len].copy_from_slice(&rest[..len]);
        word.store(u64::from_le_bytes(eight), Relaxed);
    }
}

/// The name that stands there; none if that is no name.
pub(crate) fn load(words: &[AtomicU64; 8]) -> Option<Name> {
    let mut bytes = [0; 64];
    for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
        eight.copy_from_slice(&word.load(Relaxed).to_le_bytes());
    }
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Name::new(std::str::from_utf8(&bytes[..len]).ok()?).ok()
}

/// What an end tells of itself when it joins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Card {
    pub name: Option<Name>,
    /// The user that its process runs as.
    pub uid: Option<u32>,
}

impl Card {
    /// The calling process's, under that name.
    pub(crate) fn own(name: Option<&Name>) -> Self {
        Card { name: name.cloned(), uid: Some(postbox_sys::directory::own_uid()) }
    }
}

/// One end of a channel, as its record tells it.
#[derive(Debug, Clone)]
pub(crate) struct MemberInfo {
    pub identity: Identity,
    pub role: Role,
    pub name: Option<Name>,
    pub uid: Option<u32>,
}

impl Member {
    /// Writes an end's card; by nobody but the end itself.
    pub(crate) fn write_card(&self, generation: u32, owner: Identity, card: &Card) {
        self.card.store(0, Relaxed);
        // Orders the store before those that follow; pairs with the fence in `card_of`.
        fence(Release);
        at(Step::CardBegun);
        store(&self.name, card.name.as_ref());
        self.user.store(card.uid.map_or(0, |uid| u64::from(uid) + 1), Relaxed);
        // Pairs with the first load in `card_of`.
        self.card.store(u64::from(generation) << PID_BITS | u64::from(owner.pid()), Release);
        at(Step::CardWritten);
    }

    /// The card that stands here, if it is of an end of that process.
    fn card_of(&self, pid: u32) -> Option<Card> {
        // Pairs with the last store in `write_card`.
        let word = self.card.load(Acquire);
        if word == 0 || word & ((1 << PID_BITS) - 1) != u64::from(pid) {
            return None;
        }
        let card = Card { name: load(&self.name), uid: self.card_user() };
        // Orders the loads before the next; pairs with the fence in `write_card`.
        fence(Acquire);
        (self.card.load(Relaxed) == word).then_some(card)
    }

    pub(crate) fn card_user(&self) -> Option<u32> {
        let user = self.user.load(Relaxed);
        user.checked_sub(1).and_then(|uid| u32::try_from(uid).ok())
    }

    /// The name and user of the end whose record this is now. Until the taker of an end has said who it is,
    /// it has the giver's user and no name.
    pub(crate) fn own_card(&self) -> Card {
        let card = self.owner().and_then(|owner| self.card_of(owner.pid()));
        card.unwrap_or_else(|| Card { name: None, uid: self.card_user() })
    }
}

impl Card {
    fn peer(self, pid: u32) -> Peer {
        Peer::known(pid, self.uid, self.name)
    }
}

impl Channel {
    /// Who took an offer.
    fn taker(&self, taker: Taker) -> Peer {
        let member = self.block.members.get(usize::from(taker.index));
        let card = member.and_then(|member| member.card_of(taker.pid));
        card.map_or_else(|| Peer::of(taker.pid), |card| card.peer(taker.pid))
    }

    /// Who sends under that pid: an end that is there, else one that has left. Where ends of one
    /// process have several names, nobody can say which of them it was.
    fn sender(&self, pid: u32) -> Peer {
        let cards = |present: bool| {
            let mut cards = self
                .block
                .records()
                .filter(|(_, member)| {
                    let status = member.status();
                    status.role() == Role::Sender && (status.life() == Life::Live) == present
                })
                .filter_map(|(_, member)| member.card_of(pid));
            let mut first = cards.next()?;
            if cards.any(|card| card.name != first.name) {
                first.name = None;
            }
            Some(first)
        };
        cards(true).or_else(|| cards(false)).map_or_else(|| Peer::of(pid), |card| card.peer(pid))
    }

    /// The ends that are there now.
    pub(crate) fn members(&self) -> Vec<MemberInfo> {
        self.block
            .records()
            .filter(|(_, member)| member.status().life() == Life::Live)
            .filter_map(|(_, member)| {
                let (identity, role) = (member.owner()?, member.status().role());
                let Card { name, uid } = member.own_card();
                Some(MemberInfo { identity, role, name, uid })
            })
            .collect()
    }

    /// The card of a seat's end.
    pub(crate) fn card(&self, seat: Seat) -> Card {
        self.block.member(seat).own_card()
    }
}

/// Whom a receiver says that its messages are from, and a sender who has taken its own.
#[derive(Debug, Clone)]
pub(crate) enum Partners {
    /// A process known by its pid alone: no names on this channel.
    ByPid,
    /// The one partner of a link, as the kernel told when the link was made.
    One(Peer),
    /// Any member of a mailbox, as its record tells.
    Members(Acquaintances),
}

/// Those that were looked up since the roster last changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acquaintances {
    roster: Cell<u64>,
    /// A tree: of some dozen it finds one sooner than a hash does that withstands hostile pids.
    known: RefCell<BTreeMap<u64, Peer>>,
}

impl Partners {
    pub(crate) fn of(channel: &Channel) -> Self {
        match channel.config.lifetime {
            Lifetime::Ends => Partners::ByPid,
            Lifetime::Owned => Partners::Members(Acquaintances::default()),
        }
    }

    /// Who sends under that pid.
    #[inline]
    pub(crate) fn sender(&self, channel: &Channel, pid: u32) -> Peer {
        match self {
            Partners::ByPid => Peer::of(pid),
            Partners::One(peer) => peer.clone(),
            Partners::Members(known) => known.peer(channel, pid.into(), || channel.sender(pid)),
        }
    }

    /// Who took an offer. Between relatives the pid says it.
    pub(crate) fn taker(&self, channel: &Channel, taker: Taker) -> Peer {
        match self {
            Partners::One(peer) if peer.pid() == taker.pid => peer.clone(),
            // A partner may have passed its end on: then its name is not that of the taker.
            Partners::ByPid | Partners::One(_) => Peer::of(taker.pid),
            Partners::Members(known) => {
                // One process may have ends of several names.
                let key = u64::from(taker.index) << 32 | u64::from(taker.pid);
                known.peer(channel, key, || channel.taker(taker))
            }
        }
    }
}

impl Acquaintances {
    fn peer(&self, channel: &Channel, key: u64, look_up: impl FnOnce() -> Peer) -> Peer {
        let roster = channel.block.control.roster();
        let mut known = self.known.borrow_mut();
        if self.roster.replace(roster) != roster || known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.entry(key).or_insert_with(look_up).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::ControlBlock;

    #[test]
    fn a_name_comes_back_as_it_went_in() {
        let block = ControlBlock::on_heap();
        let words = &block.members[0].name;
        for text in ["a", "sensor.3", "12345678", "123456789", &"n".repeat(64)] {
            store(words, Some(&Name::new(text).unwrap()));
            assert_eq!(load(words).unwrap().as_str(), text);
        }
        store(words, None);
        assert_eq!(load(words), None);
    }

    #[test]
    fn what_is_no_name_is_none() {
        let block = ControlBlock::on_heap();
        let words = &block.members[0].name;
        words[0].store(u64::from_le_bytes(*b"../../ab"), Relaxed);
        assert_eq!(load(words), None);
        words[0].store(u64::MAX, Relaxed);
        assert_eq!(load(words), None);
    }

    #[test]
    fn a_card_stays_when_its_end_leaves_and_goes_with_the_next() {
        let block = ControlBlock::on_heap();
        let (own, other) = (Identity::own(), Identity::from_word(4711).unwrap());
        let card = Card { name: Some(Name::new("first").unwrap()), uid: Some(7) };
        let seat = block.join(Role::Sender, own, &card).unwrap();
        block.leave(seat);
        let member = block.member(seat);
        assert_eq!(member.card_of(own.pid()).unwrap().name, card.name);
        assert_eq!(member.card_of(own.pid()).unwrap().uid, Some(7));
        assert!(member.own_card().name.is_none());
        let next = block.join(Role::Sender, other, &Card::default()).unwrap();
        assert_eq!(next.index, seat.index);
        assert!(member.card_of(own.pid()).is_none());
        assert!(member.card_of(other.pid()).unwrap().name.is_none());
    }
    #[test]
    fn an_end_that_is_passed_on_keeps_its_user_and_no_name_until_its_taker_tells() {
        let block = ControlBlock::on_heap();
        let (own, other) = (Identity::own(), Identity::from_word(4711).unwrap());
        let card = Card { name: Some(Name::new("first").unwrap()), uid: Some(7) };
        let seat = block.join(Role::Sender, own, &card).unwrap();
        assert!(block.transfer(seat, own, other));
        let member = block.member(seat);
        assert_eq!(member.own_card().uid, Some(7));
        assert!(member.own_card().name.is_none());
        // The card itself is not the giver's to change any more.
        assert_eq!(member.card_of(own.pid()).unwrap().name, card.name);
        assert!(member.card_of(other.pid()).is_none());
    }
}
