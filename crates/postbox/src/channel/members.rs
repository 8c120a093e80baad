//! Who is attached to a channel, and what each end is in the middle of.
//!
//! A record belongs to one end. Its `owner` word (start time and pid of the process) claims it and
//! tells whether the process still lives; its `op` word tells others when it has passed an idle
//! point, and after its death whether it may have left room behind.

use super::control::Member;
use super::names::Card;
use super::{Channel, ControlBlock};
use crate::process::Identity;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use postbox_ring::sync::{Ordering, fence};
use postbox_steps::{Step, at};

/// Which way an end faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Sender = 1,
    Receiver = 2,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Sender => "sending",
            Role::Receiver => "receiving",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Free = 0,
    Live = 1,
    /// Its process died and its traces are being cleared.
    Dead = 2,
}

/// How often one looks whether a mark of death is taken back from its end, or tries to be the only one.
const LOOKS: usize = 1000;

/// An end's own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub index: u16,
    pub generation: u32,
}

impl Seat {
    /// A number that no other seat has, and never 0.
    pub(crate) fn word(self) -> u64 {
        u64::from(self.generation) << 16 | (u64::from(self.index) + 1)
    }
}

/// The `status` word: generation (32 bits) · role (4) · life (4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(u64);

impl Status {
    fn new(generation: u32, role: Role, life: Life) -> Self {
        Status(u64::from(generation) << 8 | (role as u64) << 4 | life as u64)
    }

    fn with(self, life: Life) -> Self {
        Status::new(self.generation(), self.role(), life)
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 8) as u32
    }

    pub(crate) fn role(self) -> Role {
        if self.0 >> 4 & 0xf == Role::Sender as u64 { Role::Sender } else { Role::Receiver }
    }

    pub(crate) fn life(self) -> Life {
        match self.0 & 0xf {
            1 => Life::Live,
            2 => Life::Dead,
            _ => Life::Free,
        }
    }
}

/// What the low two bits of `op` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing: a death now leaves nothing behind.
    Idle = 0,
    /// Waiting for a receipt: an idle point, but a death leaves an offer behind.
    Offering = 1,
    /// Between taking a ticket and finishing the push, or between popping and counting.
    Busy = 2,
    /// Busy, with a push of what may be a packet.
    Packing = 3,
}

impl Doing {
    /// Whether it is in the middle of an operation.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Doing::Busy | Doing::Packing)
    }
}

impl Member {
    pub(crate) fn status(&self) -> Status {
        // Pairs with the stores that give, transfer and free the record.
        Status(self.status.load(Acquire))
    }

    pub(crate) fn owner(&self) -> Option<Identity> {
        // Pairs with the claim in `join` and `transfer`.
        Identity::from_word(self.owner.load(Acquire))
    }

    /// Begins an operation. Its store comes before everything the operation does to shared state.
    pub(crate) fn begin(&self) {
        self.begin_to(Doing::Busy);
    }

    /// The same of a push of what may be a packet.
    pub(crate) fn begin_packing(&self) {
        self.begin_to(Doing::Packing);
    }

    #[inline(always)]
    fn begin_to(&self, doing: Doing) {
        let op = self.op.load(Relaxed);
        self.op.store((op & !3).wrapping_add(4) | doing as u64, Relaxed);
        // Orders the store before the compare-and-swap or system call that follows; pairs with
        // the Acquire load in `op`.
        fence(Release);
        at(Step::OperationBegun);
    }

    /// Ends it, or goes on to wait for a receipt.
    pub(crate) fn end(&self, doing: Doing) {
        let op = self.op.load(Relaxed);
        // Pairs with the load in `op`: whoever sees it sees what the operation did.
        self.op.store(op & !3 | doing as u64, Release);
        at(Step::OperationEnded);
    }

    pub(crate) fn op(&self) -> (u64, Doing) {
        // Pairs with the stores of `begin` and `end`.
        let op = self.op.load(Acquire);
        let doing = match op & 3 {
            0 => Doing::Idle,
            1 => Doing::Offering,
            2 => Doing::Busy,
            _ => Doing::Packing,
        };
        (op >> 2, doing)
    }

    /// Whether that seat is a live end. While it is `owner`'s, a mark of death may be meant for the one
    /// who had it before, and is given some time to be taken back.
    fn is_live_of(&self, owner: Identity, seat: Seat) -> bool {
        for _ in 0..LOOKS {
            let status = self.status();
            if status.generation() != seat.generation || status.life() == Life::Free {
                return false;
            }
            if status.life() == Life::Live {
                return true;
            }
            if self.owner() != Some(owner) {
                return false;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Adds to one of the statistics, which this end alone writes.
    #[inline(always)]
    pub(crate) fn count(&self, which: Statistic, by: u64) {
        let word = &self.statistics[which as usize];
        word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
    }

    /// One of the statistics.
    pub(crate) fn counted(&self, which: Statistic) -> u64 {
        self.statistics[which as usize].load(Relaxed)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Statistic {
    Messages = 0,
    Bytes = 1,
    Waits = 2,
    Spilled = 3,
}

impl ControlBlock {
    pub(crate) fn member(&self, seat: Seat) -> &Member {
        // A seat is only ever made from an index of this table.
        &self.members[usize::from(seat.index)]
    }

    /// The records that were ever used, with their index.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u16, &Member)> {
        // Pairs with the `fetch_max` in `join`.
        let used = self.control.members_used.load(Acquire) as usize;
        self.members.iter().take(used).enumerate().map(|(i, m)| (i as u16, m))
    }

    /// Claims a record for `owner`.
    pub(crate) fn join(&self, role: Role, owner: Identity, card: &Card) -> Option<Seat> {
        // What a sender has left tells receivers who it was, for as long as nobody takes its
        // record: a receiver that comes late takes another one while there is any.
        let of_the_role = |member: &Member| {
            let last = member.status();
            last.generation() == 0 || last.role() == role
        };
        let claim = |fits: &dyn Fn(&Member) -> bool| self.claim(role, owner, card, fits);
        claim(&of_the_role).or_else(|| claim(&|_| true))
    }

    /// Whether nobody has the seat of that number any more.
    fn is_free(&self, word: u64) -> bool {
        let index = (word & 0xffff).checked_sub(1);
        let held = index.and_then(|index| self.members.get(index as usize)).is_some_and(|member| {
            let status = member.status();
            u64::from(status.generation()) == word >> 16 && lives(member, status.life())
        });
        !held
    }

    /// Claims the first free record that fits.
    fn claim(
        &self,
        role: Role,
        owner: Identity,
        card: &Card,
        fits: &dyn Fn(&Member) -> bool,
    ) -> Option<Seat> {
        for (index, member) in self.members.iter().enumerate() {
            if member.owner.load(Relaxed) != 0
                || !fits(member)
                || member.owner.compare_exchange(0, owner.to_word(), AcqRel, Relaxed).is_err()
            {
                continue;
            }
            // From here a death leaves `owner` set and `status` free: see `reap`.
            at(Step::SeatClaimed);
            let generation = member.status().generation().wrapping_add(1);
            // The sequence goes on: a snapshot of the record's last owner must not fit this one.
            member.end(Doing::Idle);
            member.last_ticket.store(0, Relaxed);
            member.held.store(0, Relaxed);
            member.turn().end();
            member.reaper.store(0, Relaxed);
            member.barred.store(0, Relaxed);
            member.place.store(0, Relaxed);
            member.write_card(generation, owner, card);
            member.statistics.iter().for_each(|word| word.store(0, Relaxed));
            at(Step::SeatCleared);
            // Pairs with the load in `records`.
            self.control.members_used.fetch_max(index as u64 + 1, AcqRel);
            at(Step::SeatInSight);
            // Pairs with the load in `status`.
            member.status.store(Status::new(generation, role, Life::Live).0, Release);
            at(Step::SeatLive);
            if role == Role::Sender {
                self.control.senders_ever.fetch_add(1, Relaxed);
                at(Step::SenderCounted);
            }
            self.control.roster_changed();
            return Some(Seat { index: index as u16, generation });
        }
        None
    }

    /// Gives the record up, while idle.
    pub(crate) fn leave(&self, seat: Seat) {
        self.free(seat.index);
        // Nobody needs to watch this process any more.
        self.control.roster_changed();
    }

    /// Hands the record to another process, which both the giver and the taker do: whoever is first.
    /// True if it became `to`'s.
    pub(crate) fn transfer(&self, seat: Seat, from: Identity, to: Identity) -> bool {
        let member = self.member(seat);
        if !member.is_live_of(from, seat) {
            return false;
        }
        let by_taker = to == Identity::own();
        let change = |from: Identity| {
            member.owner.compare_exchange(from.to_word(), to.to_word(), AcqRel, Acquire)
        };
        let mut claim = change(from);
        let known = to.by_pid_alone();
        // The giver, which may not see when the taker started, was first. It changes this no more.
        if by_taker && known != to && claim == Err(known.to_word()) && change(known).is_ok() {
            claim = Err(to.to_word());
            at(Step::SeatTransferred);
        }
        let found = claim.err().and_then(Identity::from_word);
        let became = claim.is_ok() || found.is_some_and(|found| to.names(found));
        if claim.is_ok() {
            at(Step::SeatTransferred);
        }
        if became && by_taker {
            // Not by the giver: by the time that it gets to it, the record may be somebody else's.
            // The taker has not joined the domain under the giver's name.
            let uid = member.card_user();
            member.write_card(seat.generation, to, &Card { name: None, uid });
        }
        // A giver that lives is buried by nobody, so what it made over is the taker's, whatever has become
        // of it by now. A taker that made it over to itself may have a giver that is being buried.
        let for_certain = !by_taker || claim.is_err();
        let taken = became && (for_certain || self.settle_in(seat, from, to));
        // Each of the two, as either may have died or stand still before it came to this.
        self.control.roster_changed();
        taken
    }

    /// Whether the record, just taken over, is not cleared away together with its giver.
    fn settle_in(&self, seat: Seat, from: Identity, to: Identity) -> bool {
        let member = self.member(seat);
        // Whoever buries the giver marks first and then looks at the owner: one of us sees the other.
        // The mark is taken back as soon as it does.
        fence(SeqCst);
        let settled = member.is_live_of(to, seat);
        if !settled {
            // It stays the giver's, with whom it is buried. Else it would be a live end that nobody
            // has as soon as the mark is taken back. The undertaker may be dead: whoever looks anew
            // finds the giver.
            let _ = member.owner.compare_exchange(to.to_word(), from.to_word(), AcqRel, Acquire);
        }
        settled
    }

    /// Marks the record of a dead process, as it was seen to be.
    pub(crate) fn mark_dead(&self, member: &Member, seen: Status) {
        if seen.life() == Life::Live {
            let _ =
                member.status.compare_exchange(seen.0, seen.with(Life::Dead).0, AcqRel, Acquire);
            at(Step::MarkedDead);
        }
    }

    /// Takes the mark back from an end that was passed on in the last moment; by its reaper alone.
    pub(crate) fn unmark_dead(&self, member: &Member, seen: Status) {
        let _ = member.status.compare_exchange(seen.0, seen.with(Life::Live).0, AcqRel, Acquire);
        at(Step::MarkTakenBack);
    }

    /// Frees a record whose traces are gone, keeping what it counted.
    pub(crate) fn free(&self, index: u16) {
        let member = &self.members[usize::from(index)];
        let owner = member.owner.load(Acquire);
        let status = member.status();
        let base = if status.role() == Role::Sender { 0 } else { 4 };
        for (i, word) in member.statistics.iter().enumerate() {
            self.control.retired[base + i].fetch_add(word.load(Relaxed), Relaxed);
            word.store(0, Relaxed);
        }
        at(Step::StatisticsKept);
        let seat = Seat { index, generation: status.generation() };
        self.control.admission().free_lane(seat.word());
        member.status.store(Status::new(status.generation(), status.role(), Life::Free).0, Release);
        at(Step::SeatVacant);
        // Before the owner goes: who dies from here on either is found in its record, and told of, or
        // has told of it.
        self.control.roster_changed();
        member.reaper.store(0, Relaxed);
        at(Step::ReaperGone);
        // Last: it lets the next end in. Pairs with the claim in `join`.
        // Unless somebody has done it for us: then it may be another's by now.
        let _ = member.owner.compare_exchange(owner, 0, Release, Relaxed);
        at(Step::SeatFree);
    }

    /// How many live ends face this way, those included that are marked dead together with who had them
    /// before.
    pub(crate) fn live(&self, role: Role) -> usize {
        self.records()
            .map(|(_, member)| (member, member.status()))
            .filter(|(member, status)| status.role() == role && lives(member, status.life()))
            .count()
    }

    /// The sum of a statistic over the ends of one role, those that have left included.
    pub(crate) fn total(&self, role: Role, which: Statistic) -> u64 {
        let base = if role == Role::Sender { 0 } else { 4 };
        let live = self
            .records()
            .filter(|(_, member)| {
                member.status().life() != Life::Free && member.status().role() == role
            })
            .map(|(_, member)| member.counted(which))
            .fold(0u64, u64::wrapping_add);
        live.wrapping_add(self.control.retired[base + which as usize].load(Ordering::Relaxed))
    }
}

/// Whether there is a live end, one included that is marked dead together with who had it before.
fn lives(member: &Member, life: Life) -> bool {
    match life {
        Life::Free => false,
        Life::Live => true,
        Life::Dead => member.owner().is_some_and(|owner| !owner.is_dead()),
    }
}

impl Channel {
    /// Claims a record where there can be but one of the role at a time: of those that come at once one stays.
    pub(super) fn join_alone(&self, role: Role, owner: Identity, card: &Card) -> Option<Seat> {
        let block = &self.block;
        if block.live(role) > 0 {
            return None;
        }
        let seat = block.join(role, owner, card)?;
        let sole = &block.control.sole[role as usize - 1];
        let mut holder = sole.load(Acquire);
        for _ in 0..LOOKS {
            if !block.is_free(holder) {
                break;
            }
            match sole.compare_exchange(holder, seat.word(), AcqRel, Acquire) {
                Ok(_) => return Some(seat),
                Err(now) => holder = now,
            }
        }
        block.leave(seat);
        // Whoever looked meanwhile has counted it.
        self.left();
        None
    }

    /// Whether that seat is a live end of that role, of one of these processes.
    pub(crate) fn is_seat_of(&self, seat: Seat, role: Role, owners: [Identity; 2]) -> bool {
        let Some(member) = self.block.members.get(usize::from(seat.index)) else { return false };
        let status = member.status();
        status.life() == Life::Live
            && status.role() == role
            && status.generation() == seat.generation
            && member.owner().is_some_and(|owner| owners.iter().any(|&meant| owner.names(meant)))
    }

    /// Whether a process with a live record is known to be dead though nobody has buried it yet.
    pub(crate) fn is_lost(&self, member: &Member) -> bool {
        member.status().life() != Life::Live || member.owner().is_none_or(Identity::is_dead)
    }
}
