//! One end of a channel: its seat among the members and its private state.

use super::carry::Lending;
use super::control::Member;
use super::envelope::CellRef;
use super::members::{Doing, Role, Seat, Statistic};
use super::names::Card;
use super::pair::Attached;
use super::patience::Patience;
use super::wait_set::WaitSet;
use super::{Awaited, Carrier, Channel, Lifetime};
use crate::error::Fault;
use crate::mechanism::{Form, WaitStrategy};
use crate::name::Name;
use crate::process::Identity;
use postbox_ring::admission::OwnLane;
use postbox_ring::region::View;
use postbox_steps::{Step, at};
use postbox_sys::{clock, wipe_on_fork};
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

/// How long an end that only ever tries may leave a death unnoticed, in nanoseconds.
const LOOK_EVERY: u64 = 50_000_000;

/// Calls without sleeping after which an end counts as awake.
const AWAKE: u32 = 32;

/// A generation that no process has.
const NOBODY: u64 = u64::MAX;

/// A sending or receiving end. Dropping it leaves the channel, but only in the process that it was
/// given to: in a child that merely inherited it by `fork` it is dead wood.
pub(crate) struct End {
    pub(crate) channel: Arc<Channel>,
    pub(crate) seat: Seat,
    /// Where it counts what it takes, if it does so alone.
    pub(crate) lane: Option<OwnLane>,
    /// The record behind the seat.
    record: View<Member>,
    pub(crate) role: Role,
    /// The pid that goes into envelopes.
    pid: Cell<u32>,
    pub(crate) patience: Patience,
    /// The fork generation of the process that the end belongs to.
    born: Cell<u64>,
    /// Why every operation is refused, if the end could not be made (a clone too many).
    refused: OnceCell<Fault>,
    /// This process's use of a channel for two.
    pub(super) attached: RefCell<Attached>,
    /// What this end sleeps on, per thing awaited; made when it first sleeps.
    pub(crate) sets: RefCell<[Option<WaitSet>; Awaited::COUNT]>,
    /// What the last attempt lacked.
    pub(crate) awaits: Cell<Awaited>,
    /// The offer whose receipt it waits for.
    pub(crate) offering: Cell<Option<CellRef>>,
    /// Calls since the last one that slept, up to [`AWAKE`].
    pub(crate) awake_for: Cell<u32>,
    /// When this end last looked for deaths, in nanoseconds of the coarse clock.
    looked: Cell<u64>,
    /// The roster at which the other side was last seen to be there.
    pub(crate) partners_at: Cell<u64>,
    /// The roster at which it was asked for, and whether it was the only one that faces its way.
    alone: Cell<(u64, bool)>,
    /// Whether somebody can take the channel, or the turn to receive, away: in a mailbox.
    pub(crate) guarded: bool,
    /// A mailbox's receiver that ends when no sender is left; see `Receiver::until_drained`.
    pub(crate) drains: Cell<bool>,
    /// Whether it holds messages of a packet; see `carry::held`.
    pub(crate) holds: Cell<bool>,
    /// Bodies that this end's callers read and write where they lie.
    pub(crate) lending: Lending,
    /// Whether a call of this end has the floor.
    pub(crate) has_floor: Cell<bool>,
    /// Whether the end has told the others that it takes no part any more.
    pub(crate) parted: Cell<bool>,
}

impl End {
    /// Takes a seat in the channel.
    pub(crate) fn join(
        channel: Arc<Channel>,
        role: Role,
        strategy: WaitStrategy,
    ) -> Result<Self, Fault> {
        End::join_as(channel, role, strategy, None)
    }

    /// Takes a seat under the name that this process has in its domain.
    pub(crate) fn join_as(
        channel: Arc<Channel>,
        role: Role,
        strategy: WaitStrategy,
        name: Option<&Name>,
    ) -> Result<Self, Fault> {
        Identity::establish()?;
        let limit = match channel.config.form {
            Form::OneToOne => 1,
            Form::ManyToMany => super::layout::MEMBERS,
        };
        channel.take_part_in_barriers();
        if role == Role::Receiver && !channel.can_receive() {
            return Err(Fault::Denied(channel.denial(role)));
        }
        let attached = channel.attach()?;
        let card = Card::own(name);
        let seat = match channel.config.form {
            Form::OneToOne => channel.join_alone(role, Identity::own(), &card),
            Form::ManyToMany => channel.block.join(role, Identity::own(), &card),
        };
        let seat = seat.ok_or(Fault::TooManyEnds { role: role.name(), limit })?;
        // Those asleep now have one more to watch.
        channel.bells.ring_news();
        let end = End::seated(channel, seat, role, strategy)?;
        end.attached.replace(attached);
        Ok(end)
    }

    /// An end whose seat has been taken already.
    pub(crate) fn seated(
        channel: Arc<Channel>,
        seat: Seat,
        role: Role,
        strategy: WaitStrategy,
    ) -> Result<Self, Fault> {
        Ok(End {
            record: channel.record(seat)?,
            lane: own_lane(&channel, seat, role),
            guarded: channel.config.lifetime == Lifetime::Owned || channel.queues,
            channel,
            seat,
            pid: Cell::new(Identity::own().pid()),
            role,
            patience: Patience::new(strategy),
            born: Cell::new(wipe_on_fork::generation()),
            refused: OnceCell::new(),
            attached: RefCell::default(),
            sets: RefCell::default(),
            awaits: Cell::new(Awaited::Room),
            offering: Cell::new(None),
            awake_for: Cell::new(0),
            looked: Cell::new(clock::coarse()),
            partners_at: Cell::new(u64::MAX),
            alone: Cell::new((u64::MAX, false)),
            drains: Cell::new(false),
            holds: Cell::new(false),
            lending: Lending::default(),
            has_floor: Cell::new(false),
            parted: Cell::new(false),
        })
    }

    /// One more end of the same kind; one that refuses everything if there can be no more.
    pub(crate) fn another(&self) -> Self {
        self.another_after(|| Ok(()))
    }

    /// The same, when the channel has been prepared for it.
    pub(crate) fn another_after(&self, prepare: impl FnOnce() -> Result<(), Fault>) -> Self {
        let strategy = self.patience.strategy();
        let joined = self.check().and_then(|()| prepare()).and_then(|()| {
            let name = self.channel.card(self.seat).name;
            let end = End::join_as(self.channel.clone(), self.role, strategy, name.as_ref())?;
            end.bar_like(self);
            end.drains.set(self.drains.get());
            Ok(end)
        });
        joined.unwrap_or_else(|fault| End {
            channel: self.channel.clone(),
            seat: self.seat,
            lane: None,
            record: self.record.clone(),
            role: self.role,
            pid: self.pid.clone(),
            patience: Patience::new(strategy),
            born: Cell::new(NOBODY),
            refused: OnceCell::from(fault),
            attached: RefCell::default(),
            sets: RefCell::default(),
            awaits: Cell::new(Awaited::Room),
            offering: Cell::new(None),
            awake_for: Cell::new(0),
            looked: self.looked.clone(),
            partners_at: Cell::new(u64::MAX),
            alone: Cell::new((u64::MAX, false)),
            guarded: self.guarded,
            drains: self.drains.clone(),
            holds: Cell::new(false),
            lending: Lending::default(),
            has_floor: Cell::new(false),
            parted: Cell::new(false),
        })
    }

    /// Whether this process may use the end.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.is_ours() { Ok(()) } else { Err(self.not_ours()) }
    }

    /// The same, without saying why not.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.born.get() == wipe_on_fork::generation()
    }

    #[cold]
    fn not_ours(&self) -> Fault {
        self.refused.get().cloned().unwrap_or(Fault::NotPassed)
    }

    /// Whether a message that long may be sent, and nothing is to be done before.
    #[inline(always)]
    pub(crate) fn sends_at_once(&self, len: usize) -> bool {
        self.is_ours()
            && self.channel.config.allows(len)
            && !self.is_to_look()
            && self.has_known_partners()
    }

    /// Whether nothing that a mailbox's owner can take away is to be looked at before a message is taken.
    #[inline(always)]
    pub(crate) fn receives_at_once(&self) -> bool {
        !self.guarded || !self.is_to_look() && self.has_known_partners()
    }

    #[inline]
    pub(crate) fn member(&self) -> &Member {
        &self.record
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.get()
    }

    /// So many messages, and bytes of theirs, have gone out or come in.
    pub(crate) fn count_messages(&self, messages: usize, bytes: usize) {
        self.count(Statistic::Messages, messages as u64);
        self.count(Statistic::Bytes, bytes as u64);
        self.patience.passed(bytes / messages.max(1));
    }

    /// One message of that length has gone out, or come in.
    #[inline]
    pub(crate) fn count_message(&self, len: usize) {
        self.count(Statistic::Messages, 1);
        self.count(Statistic::Bytes, len as u64);
        self.patience.passed(len);
    }

    #[inline(always)]
    pub(crate) fn count(&self, which: Statistic, by: u64) {
        self.member().count(which, by);
    }

    /// Whether it is the only one that faces its way. Where somebody has come or gone since it was last asked, a habit of waiting
    /// without a look is over.
    pub(crate) fn is_alone(&self) -> bool {
        let roster = self.channel.block.control.roster();
        if self.alone.get().0 != roster {
            // Others may have been woken for what is there, and died: it does not go by what wakes this one.
            self.patience.was_awake();
            self.alone.set((roster, self.channel.block.live(self.role) == 1));
        }
        self.alone.get().1
    }

    /// How often it looks again for a message, where there is none, before it waits.
    #[inline(never)]
    pub(crate) fn glances(&self) -> u32 {
        self.patience.glances(&self.channel, self.member().counted(Statistic::Messages))
    }

    /// A call was done without sleeping: after a few of them the kernel object is told that nobody
    /// sleeps on it.
    #[inline]
    pub(crate) fn was_awake(&self) {
        self.patience.was_awake();
        // Whatever is written for each message takes a place in the processor's store buffer, where slots wait for
        // their lines: the fewer there are, the more slots are on their way at a time.
        let calls = self.awake_for.get();
        if calls < AWAKE {
            self.awake_for.set(calls + 1);
            if calls + 1 == AWAKE {
                self.stay_awake();
            }
        }
    }

    #[cold]
    fn stay_awake(&self) {
        if let Some(set) = &mut self.sets.borrow_mut()[Awaited::Message as usize] {
            set.without_queue(&self.channel);
        }
    }

    /// Looks for deaths if it has not for a while: what makes ends that never sleep notice them.
    #[inline]
    pub(crate) fn look_around(&self) -> Result<(), Fault> {
        if self.is_to_look() { self.look_now() } else { Ok(()) }
    }

    /// Whether it has not for a while.
    #[inline]
    pub(crate) fn is_to_look(&self) -> bool {
        clock::coarse().wrapping_sub(self.looked.get()) >= LOOK_EVERY
    }

    #[cold]
    fn look_now(&self) -> Result<(), Fault> {
        self.looked.set(clock::coarse());
        let awaited = match self.role {
            Role::Sender => Awaited::Room,
            Role::Receiver => Awaited::Message,
        };
        self.with_set(awaited, |set| set.look(&self.channel, self.seat))
    }

    /// Does what can be done of a repair, at an idle point.
    #[inline]
    pub(crate) fn mend(&self) {
        if self.channel.block.repair_due() {
            self.channel.mend();
        }
    }

    /// Frees what the callers of this end have lent or kept and forgotten, when none of them can have it any more.
    pub(crate) fn forget_bodies(&self) {
        if self.lending.is_owed() {
            self.channel.forget_bodies(self);
        }
    }

    /// Makes the end over to another process; what is left here is dead wood.
    pub(crate) fn hand_over(&self, to: Identity) -> bool {
        let from = Identity::own();
        let handed = self.channel.block.transfer(self.seat, from, to);
        at(Step::EndHandedOver);
        self.born.set(NOBODY);
        self.channel.bells.ring_news();
        handed
    }

    /// Takes over an end that `from` passed to this process.
    pub(crate) fn take_over(&self, from: Identity) -> bool {
        // The descriptors of the epoll sets are the giver's: closing ours leaves them alone.
        self.sets.take();
        self.channel.take_part_in_barriers();
        self.pid.set(Identity::own().pid());
        self.partners_at.set(u64::MAX);
        self.has_floor.set(false);
        self.await_place_from(from);
        let mut taken = self.channel.block.transfer(self.seat, from, Identity::own());
        at(Step::EndTakenOver);
        match self.channel.attach() {
            Ok(attached) => drop(self.attached.replace(attached)),
            Err(fault) if taken => {
                let _ = self.refused.set(fault);
                self.channel.leave_ring(self.seat);
                self.channel.block.leave(self.seat);
                taken = false;
            }
            Err(_) => {}
        }
        self.born.set(if taken { wipe_on_fork::generation() } else { NOBODY });
        self.channel.bells.ring_news();
        taken
    }
}

/// Where a receiver counts what it takes from a kernel object, while there is a lane for it.
fn own_lane(channel: &Channel, seat: Seat, role: Role) -> Option<OwnLane> {
    match (role, &channel.carrier) {
        (Role::Receiver, Carrier::Kernel(_)) => {
            channel.block.control.admission().own_lane(seat.word())
        }
        _ => None,
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.check().is_err() {
            return;
        }
        self.member().end(Doing::Idle);
        self.forget_bodies();
        self.channel.leave_ring(self.seat);
        self.channel.block.leave(self.seat);
        self.channel.left();
    }
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("End")
            .field("role", &self.role)
            .field("seat", &self.seat.index)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
