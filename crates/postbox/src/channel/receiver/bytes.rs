//! The receiving end without its type: what it does with the bytes of a message.

use crate::channel::carry::{Inbox, Popped};
use crate::channel::end::End;
use crate::channel::names::Partners;
use crate::channel::pollable::PollSet;
use crate::error::ReceiveError;
use crate::peer::Peer;
use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// All of a [`Receiver`](super::Receiver) that does not depend on what it receives, and is built once for all of them.
pub(in crate::channel) struct ByteReceiver {
    pub(in crate::channel) end: End,
    pub(in crate::channel) inbox: Inbox,
    /// Of the message that was taken last.
    pub(super) taken: RefCell<Vec<u8>>,
    pub(super) polled: RefCell<Weak<PollSet>>,
    partners: Partners,
    /// The error that ended a batch: the next call's.
    pub(in crate::channel) pending: RefCell<Option<ReceiveError>>,
}

impl ByteReceiver {
    pub(super) fn new(end: End) -> Self {
        ByteReceiver {
            partners: Partners::of(&end.channel),
            end,
            inbox: Inbox::default(),
            taken: RefCell::default(),
            polled: RefCell::default(),
            pending: RefCell::default(),
        }
    }

    /// One more end.
    pub(super) fn another(&self) -> Self {
        let stop_packing = || self.end.channel.stop_packing(&self.end, &self.inbox);
        let end = self.end.another_after(stop_packing);
        ByteReceiver { partners: self.partners.clone(), ..ByteReceiver::new(end) }
    }

    pub(super) fn with_partner(self, partner: Peer) -> Self {
        ByteReceiver { partners: Partners::One(partner), ..self }
    }

    /// The set behind this end's pollable, while somebody holds one.
    pub(super) fn polled(&self) -> Option<Arc<PollSet>> {
        self.polled.borrow().upgrade().filter(|polled| polled.is_ours())
    }

    pub(in crate::channel) fn settle_pending(&self) -> Result<(), ReceiveError> {
        if self.pending.borrow().is_none() { Ok(()) } else { self.return_pending() }
    }

    #[cold]
    fn return_pending(&self) -> Result<(), ReceiveError> {
        self.pending.take().map_or(Ok(()), Err)
    }

    #[inline(always)]
    pub(in crate::channel) fn peer(&self, popped: Popped) -> Peer {
        self.partners.sender(&self.end.channel, popped.sender_pid)
    }
}
