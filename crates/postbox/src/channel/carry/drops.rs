//! What a receive comes upon that is no message for it: how much of that one call puts up with.

use crate::channel::end::End;
use crate::error::Fault;

/// Entries that one call has dropped on the way to a message.
///
/// Each was a corpse, of which an honest channel holds a thousand or so, or was taken by another in
/// the last moment, which then has a message. A member that puts corpses in as fast as they are
/// taken out would keep the call here for ever.
#[derive(Default)]
pub(in crate::channel) struct Drops {
    corpses: u32,
    sent_back: u32,
}

impl Drops {
    const MOST: u32 = 1 << 16;
    /// So many offers are sent back at a time: what they are sent back for may be in the hands of somebody who stands
    /// still, while the call has a deadline.
    const MOST_SENT_BACK: u32 = 64;

    pub(in crate::channel) fn one_more(&mut self) -> Result<(), Fault> {
        self.corpses += 1;
        match self.corpses {
            ..Self::MOST => Ok(()),
            _ => Err(Fault::Corrupt("there is no end of entries that are no messages")),
        }
    }

    /// An offer went back to its sender, who offers it again; whether the next is to be looked at now.
    #[cold]
    pub(in crate::channel) fn sent_back(&mut self, end: &End) -> bool {
        // Who has the message that this end is bound to may be dead. What fails here does not keep it from that.
        let _ = end.look_around();
        self.sent_back += 1;
        self.sent_back < Self::MOST_SENT_BACK
    }
}
