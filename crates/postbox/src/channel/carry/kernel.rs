//! Through a kernel object: admission by ticket, and the overflow behind it.

use super::open::One;
use super::{Drops, Inbox, NotPushed, Outbox, Outgoing, Place, Popped, Pushed};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::{CellRef, Envelope};
use crate::channel::members::{Doing, Statistic};
use crate::channel::turn::Engagement;
use crate::error::Fault;
use crate::queue::{KernelQueue, Refused};
use postbox_ring::admission::Ticket;
use postbox_steps::{Step, at};

impl Channel {
    #[inline(always)]
    pub(super) fn push_entry(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let overhead = Envelope::entry_overhead(message.cell.is_some());
        if overhead + message.bytes.len() > self.config.entry_limit {
            return self.push_large(queue, end, outbox, message);
        }
        let ticket = self.admit(outbox, message.cell)?;
        self.put_message(queue, end, outbox, message, ticket, None)
    }

    /// A message whose body does not fit an entry.
    #[cold]
    fn push_large(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        // No body is written for a channel that is full anyway.
        if self.config.window().is_some_and(|n| self.block.control.admission().inside() >= n) {
            return Err(NotPushed::Full);
        }
        let body = self.store_body(end, message.bytes)?;
        let pushed = self.admit(outbox, message.cell).and_then(|ticket| {
            self.put_message(queue, end, outbox, message, ticket, Some(body.position()))
                .map(|pushed| (pushed, ticket.epoch as u8))
        });
        match pushed {
            Ok((pushed, label)) => {
                at(Step::BodySent);
                self.bodies.publish(body, label);
                Ok(pushed)
            }
            Err(refused) => {
                self.bodies.abandon(body);
                Err(refused)
            }
        }
    }

    #[inline(always)]
    pub(super) fn admit(
        &self,
        outbox: &Outbox,
        cell: Option<CellRef>,
    ) -> Result<Ticket, NotPushed> {
        let admission = self.block.control.admission();
        let ticket = match self.one_to_one {
            true => admission.admit_alone(self.window, &outbox.limit),
            false => admission.admit(self.window, &outbox.limit),
        };
        let ticket = ticket.ok_or(NotPushed::Full)?;
        if let Some(cell) = cell {
            self.block.date_cell(cell, ticket.epoch);
            at(Step::CellDated);
        }
        Ok(ticket)
    }

    /// Pushes the entry of an admitted message; gives the room back if that fails.
    #[inline(always)]
    fn put_message(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
        ticket: Ticket,
        body: Option<u64>,
    ) -> Result<Pushed, NotPushed> {
        let envelope = Envelope {
            epoch: ticket.epoch as u8,
            ticket: ticket.number,
            sender_pid: end.pid(),
            len: message.bytes.len() as u32,
            cell: message.cell,
            engaging: message.engaging,
            body,
        };
        let mut entry = outbox.entry.borrow_mut();
        envelope.write_entry(message.bytes, &mut entry);
        match self.put_entry(queue, end, &entry) {
            Ok(spilled) => {
                if spilled || body.is_some() {
                    end.count(Statistic::Spilled, 1);
                }
                Ok(Pushed { place: Place::Ticket(ticket.epoch), body })
            }
            Err(refused) => {
                self.not_sent(end, ticket.epoch, 1);
                Err(refused)
            }
        }
    }

    /// Puts an entry into the kernel object, or behind what overflows; true if it overflowed.
    #[inline(always)]
    pub(super) fn put_entry(
        &self,
        queue: &KernelQueue,
        end: &End,
        entry: &[u8],
    ) -> Result<bool, NotPushed> {
        // The overflow is looked at after the ticket was taken: a repair relies on it.
        if self.overflow.is_empty() {
            match queue.push(entry) {
                Ok(()) => {
                    at(Step::EntryPushed);
                    return Ok(false);
                }
                Err(Refused::Full) => {}
                Err(Refused::Fault(fault)) => return Err(fault.into()),
            }
        }
        self.spill(end, entry)
    }

    #[cold]
    pub(super) fn spill(&self, end: &End, entry: &[u8]) -> Result<bool, NotPushed> {
        self.overflow_entry(end, entry)?;
        at(Step::EntrySpilled);
        self.published();
        Ok(true)
    }

    #[inline(always)]
    pub(super) fn pop_entry(
        &self,
        queue: &KernelQueue,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        if inbox.ahead.get()
            && let Some(popped) = self.pop_ahead(end, inbox, into, engagement)?
        {
            return Ok(Some(popped));
        }
        let member = end.member();
        let mut buffer = inbox.entry.borrow_mut();
        if buffer.len() != self.config.entry_limit {
            // Not resized: fresh zeros are not touched, and most entries are much shorter.
            *buffer = vec![0; self.config.entry_limit];
        }
        let mut drops = Drops::default();
        loop {
            member.begin();
            let outcome = self.pop_one(queue, end, inbox, &mut buffer, into, engagement);
            member.end(Doing::Idle);
            end.mend();
            match outcome? {
                One::None => return Ok(None),
                One::Dropped => drops.one_more()?,
                One::SentBack if drops.sent_back(end) => {}
                // The kernel object is still there to be asked, by others as well.
                One::SentBack => return Ok(None),
                One::Message(popped) => return Ok(Some(popped)),
            }
        }
    }

    #[inline(always)]
    fn pop_one(
        &self,
        queue: &KernelQueue,
        end: &End,
        inbox: &Inbox,
        buffer: &mut [u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        if !self.overflow.is_empty() {
            return self.pop_overflowing(queue, end, inbox, buffer, into, engagement);
        }
        match queue.pop(buffer)? {
            Some(len) => {
                at(Step::EntryPopped);
                self.open_entry(end, inbox, &buffer[..len], into, engagement)
            }
            None if self.overflow.is_empty() => Ok(One::None),
            // Published just now: look again, in the right order.
            None => self.pop_overflowing(queue, end, inbox, buffer, into, engagement),
        }
    }

    /// Something overflows: it comes after what is in the kernel object.
    #[cold]
    fn pop_overflowing(
        &self,
        queue: &KernelQueue,
        end: &End,
        inbox: &Inbox,
        buffer: &mut [u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        // The head is seen before the object is seen empty: see the order across the overflow.
        let claimed = self.overflow.claimed_to();
        let head = self.overflow.first()?;
        let cleared = head.is_some_and(|head| head.position() < inbox.cleared.get());
        let popped = if cleared { None } else { queue.pop(buffer)? };
        if popped.is_none() && !cleared {
            inbox.cleared.set(claimed);
        }
        if let Some(len) = popped {
            at(Step::EntryPoppedBeforeOverflow);
            return self.open_entry(end, inbox, &buffer[..len], into, engagement);
        }
        // One that is still being written: whoever writes it rings.
        let Some(head) = head else { return Ok(One::None) };
        let Some(entry) = self.overflow.take_if(head, end.seat.index) else {
            return Ok(One::Dropped);
        };
        at(Step::OverflowTaken);
        self.open_overflowing(end, inbox, entry, buffer, into, engagement)
    }
}
