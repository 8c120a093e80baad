//! The sending end without its type: what it does with the bytes of a message.

use super::loan::Lent;
use crate::channel::Awaited;
use crate::channel::batch::Behind;
use crate::channel::carry::{NotPushed, Outbox};
use crate::channel::end::End;
use crate::channel::names::Partners;
use crate::error::{SendError, TooLarge};
use crate::peer::Peer;
use crate::wait::Wait;
use std::cell::RefCell;

/// All of a [`Sender`](super::Sender) that does not depend on what it sends, and is built once for all of them.
pub(in crate::channel) struct ByteSender {
    pub(in crate::channel) end: End,
    pub(in crate::channel) outbox: Outbox,
    /// What is being encoded, or was lent.
    pub(super) encoded: RefCell<Vec<u8>>,
    pub(in crate::channel) behind: Behind,
    /// What a [`Loan`](super::Loan) of this end stands for.
    pub(super) lent: Lent,
    pub(super) partners: Partners,
}

impl ByteSender {
    pub(super) fn new(end: End) -> Self {
        ByteSender {
            behind: Behind::default(),
            partners: Partners::of(&end.channel),
            end,
            outbox: Outbox::default(),
            encoded: RefCell::default(),
            lent: Lent::default(),
        }
    }

    /// One more end.
    pub(super) fn another(&self) -> Self {
        ByteSender { partners: self.partners.clone(), ..ByteSender::new(self.end.another()) }
    }

    pub(super) fn with_partner(self, partner: Peer) -> Self {
        ByteSender { partners: Partners::One(partner), ..self }
    }

    /// Whether a message that long may be sent by this end now.
    #[inline]
    pub(super) fn may_send(&self, len: usize) -> Result<(), SendError> {
        self.end.check()?;
        self.allows(len)?;
        Ok(self.end.look_around()?)
    }

    #[inline(always)]
    pub(super) fn allows(&self, len: usize) -> Result<(), SendError> {
        let config = &self.end.channel.config;
        if config.allows(len) {
            return Ok(());
        }
        let fixed = config.fixed_size.is_some();
        Err(TooLarge { len, max: config.max_message, fixed }.into())
    }

    pub(super) fn has_receivers(&self) -> Result<(), SendError> {
        Ok(self.end.partners()?)
    }

    /// Nothing, if it is a matter of waiting; notes for what.
    pub(super) fn refused(&self, refused: NotPushed, len: usize) -> Result<(), SendError> {
        match refused {
            NotPushed::Full => {
                self.end.awaits.set(Awaited::Room);
                Ok(())
            }
            NotPushed::NoSpace => {
                self.end.awaits.set(Awaited::Space);
                Ok(())
            }
            NotPushed::TooLarge(max) => Err(TooLarge { len, max, fixed: false }.into()),
            NotPushed::ByteCap => Err(SendError::ByteCap { cap: self.end.channel.config.byte_cap }),
            NotPushed::Fault(fault) => Err(fault.into()),
        }
    }

    /// A sender that is shut out while it waits may have been woken in another's place.
    #[inline(always)]
    pub(in crate::channel) fn wait_for_room<R>(
        &self,
        wait: &Wait,
        attempt: impl FnMut() -> Result<Option<R>, SendError>,
    ) -> Result<R, SendError> {
        let outcome = self.end.wait_for(Awaited::Room, wait, attempt);
        if let Err(SendError::Denied(_)) = outcome {
            self.end.pass_on_wakeups();
        }
        outcome
    }

    #[cold]
    pub(in crate::channel) fn not_pushed<R>(
        &self,
        refused: NotPushed,
        len: usize,
    ) -> Result<Option<R>, SendError> {
        self.end.mend();
        self.refused(refused, len).map(|()| None)
    }
}
