//! Bodies that an end of this process writes or reads where they lie.
//!
//! ```text
//!  lend ──► written by the application ──► push_lent: ticket or slot ──► published
//!   └─────────────── give back ──────────────────────────────────────────► free
//!
//!  popped ──► take_body: kept, its entry gone and its room back ──► read by the application ──► free
//! ```
//!
//! Nothing but the body's own run is held in between, and no one stands in line behind it: a lender or
//! reader may take its time, stop, or die, which frees the run as any other of the dead's.

use super::{InSlot, NotPushed, Outbox};
use crate::channel::end::End;
use crate::channel::envelope::Envelope;
use crate::channel::layout::INLINE_MAX;
use crate::channel::members::{Doing, Statistic};
use crate::channel::spool::Body;
use crate::channel::{Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::Capacity;
use crate::queue::KernelQueue;
use postbox_ring::admission::Ticket;
use postbox_ring::region::{SharedSlice, SharedSliceMut};
use postbox_ring::slots::SlotRing;
use postbox_steps::{Step, at};
use std::cell::Cell;

/// What an end has of bodies.
#[derive(Default)]
pub(crate) struct Lending {
    /// Whether the call under way wants its message where it lies.
    in_place: Cell<bool>,
    /// What it got.
    kept: Cell<Option<Kept>>,
    /// Bodies that the end's callers have, or have forgotten.
    out: Cell<u32>,
}

/// A message that was left where it lies.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    /// The end's until it is given back, and how long the message is.
    Body(Body, usize),
    /// The end's until it takes the next message.
    Slot(InSlot),
}

impl Lending {
    /// What `receive` returns, and where the message lies unless it was copied.
    pub(crate) fn in_place<R>(&self, receive: impl FnOnce() -> R) -> (R, Option<Kept>) {
        self.in_place.set(true);
        let received = receive();
        self.in_place.set(false);
        (received, self.kept.take())
    }

    /// Whether the call under way wants its message in its slot, which it then has.
    #[inline(always)]
    pub(super) fn keep(&self, lies: InSlot) -> bool {
        let wanted = self.in_place.get();
        if wanted {
            self.kept.set(Some(Kept::Slot(lies)));
        }
        wanted
    }

    /// Whether somebody has forgotten a body: asked when nobody can have one any more.
    pub(crate) fn is_owed(&self) -> bool {
        self.out.get() > 0
    }

    /// What was forgotten has been freed.
    fn settled(&self) {
        self.out.set(0);
    }

    /// A body is no longer the end's.
    fn returned(&self) {
        self.out.set(self.out.get() - 1);
    }

    fn gone_out(&self) {
        self.out.set(self.out.get() + 1);
    }
}

impl Channel {
    /// Whether a message that long is written to a body, where it is read. A short one goes into its entry,
    /// which is quicker, and by a copy, unless [its slot](Self::lend_slot) can be lent: that keeps nobody waiting
    /// behind it. One that takes longer to copy is not copied because its slot happens to be large enough. In a
    /// rendezvous the bytes may have to be offered again.
    pub(crate) fn lends(&self, len: usize) -> bool {
        self.config.capacity != Capacity::Zero
            && match &self.carrier {
                Carrier::Kernel(_) => {
                    Envelope::entry_overhead(false) + len > self.config.entry_limit
                }
                Carrier::Ring(ring) => {
                    len > INLINE_MAX || Envelope::slot_overhead(false) + len > ring.body_len()
                }
            }
    }

    /// Room for a body that the application writes. It does not count as a message.
    pub(crate) fn lend(&self, end: &End, len: usize) -> Result<Body, NotPushed> {
        let body = self.bodies.claim(&self.memory, end.seat.index, len);
        let body = body.map_err(|no_space| self.no_space(no_space))?;
        end.lending.gone_out();
        at(Step::BodyLent);
        Ok(body)
    }

    /// Sends a body that was lent; it is still the lender's if that fails.
    pub(crate) fn push_lent(
        &self,
        end: &End,
        outbox: &Outbox,
        body: Body,
        len: usize,
    ) -> Result<(), NotPushed> {
        let envelope = Envelope {
            epoch: 0,
            ticket: 0,
            sender_pid: end.pid(),
            len: len as u32,
            cell: None,
            engaging: false,
            body: Some(body.position()),
        };
        match &self.carrier {
            Carrier::Kernel(queue) => {
                let member = end.member();
                member.begin();
                let pushed = self
                    .admit(outbox, None)
                    .and_then(|ticket| self.put_lent(queue, end, outbox, envelope, ticket, body));
                member.end(Doing::Idle);
                end.mend();
                if self.queues {
                    self.fence_and_raise_level();
                }
                pushed?;
            }
            Carrier::Ring(ring) => {
                self.push_lent_slot(ring, end, outbox, &envelope, body)?;
                self.published();
            }
        }
        end.lending.returned();
        Ok(())
    }

    /// Pushes the entry of an admitted body; gives the room back if that fails.
    fn put_lent(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        envelope: Envelope,
        ticket: Ticket,
        body: Body,
    ) -> Result<(), NotPushed> {
        let label = ticket.epoch as u8;
        let envelope = Envelope { epoch: label, ticket: ticket.number, ..envelope };
        let mut entry = outbox.entry.borrow_mut();
        envelope.write_entry(&[], &mut entry);
        match self.put_entry(queue, end, &entry) {
            Ok(_) => {
                end.count(Statistic::Spilled, 1);
                self.lent_sent(body, label);
                Ok(())
            }
            Err(refused) => {
                self.not_sent(end, ticket.epoch, 1);
                Err(refused)
            }
        }
    }

    fn push_lent_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        outbox: &Outbox,
        envelope: &Envelope,
        body: Body,
    ) -> Result<(), NotPushed> {
        let unbounded = self.config.capacity == Capacity::Unbounded;
        let filled = match unbounded && !self.overflow.is_empty() {
            true => Err(NotPushed::Full),
            false => self.fill_slot(ring, end, outbox, envelope, &[]).map(drop),
        };
        match filled {
            Err(NotPushed::Full) if unbounded => {
                let mut entry = outbox.entry.borrow_mut();
                envelope.write_entry(&[], &mut entry);
                self.overflow_entry(end, &entry)?;
                at(Step::EntrySpilled);
                end.count(Statistic::Spilled, 1);
            }
            filled => filled?,
        }
        self.lent_sent(body, 0);
        Ok(())
    }

    fn lent_sent(&self, body: Body, label: u8) {
        at(Step::LentBodySent);
        self.bodies.publish(body, label);
    }

    /// Copies a body out and frees it, or keeps it where it lies if the call wants it there. False if
    /// it is gone, its sender having died.
    pub(super) fn take_body(
        &self,
        end: &End,
        position: u64,
        len: u32,
        into: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let member = end.seat.index;
        if !end.lending.in_place.get() {
            return self.bodies.take(&self.region, position, len, member, into);
        }
        let kept = self.bodies.capture(position, len, member)?;
        if kept.is_some() {
            end.lending.gone_out();
            at(Step::BodyKept);
        }
        end.lending.kept.set(kept.map(|body| Kept::Body(body, len as usize)));
        Ok(kept.is_some())
    }

    /// Frees a body that was lent or kept. In a child that merely inherited the end by `fork` it is not
    /// the child's to free.
    pub(crate) fn give_back(&self, end: &End, body: Body) {
        if end.check().is_ok() {
            end.lending.returned();
            self.bodies.abandon(body);
            at(Step::BodyGivenBack);
            self.freed();
        }
    }

    /// Frees what an end that leaves has lent or kept, and its callers have forgotten.
    #[cold]
    pub(crate) fn forget_bodies(&self, end: &End) {
        self.bodies.settle(end.seat.index);
        end.lending.settled();
        self.freed();
    }

    /// The first `len` bytes of a body.
    pub(crate) fn body(&self, body: &Body, len: usize) -> SharedSlice<'_> {
        let start = self.bodies.range(body).start;
        self.region.slice(start, len).unwrap_or(SharedSlice::from(&[][..]))
    }

    /// The first `len` bytes of a body, for its lender.
    pub(crate) fn body_mut(&self, body: &Body, len: usize) -> SharedSliceMut<'_> {
        let start = self.bodies.range(body).start;
        self.region.slice_mut(start, len).unwrap_or(SharedSliceMut::from(&mut [][..]))
    }
}
