//! Tickets, and numbers that belong to an epoch.

/// Bits of a ticket. At three million messages a second they last three years.
pub const TICKET_BITS: u32 = 48;
/// The bits of a word that are a ticket's.
pub const TICKET_MASK: u64 = (1 << TICKET_BITS) - 1;

/// Proof of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// How many were admitted before.
    pub number: u64,
    /// In which epoch it was given out.
    pub epoch: u16,
}

/// A number that belongs to an epoch: epoch (16 bits) · number (48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated(pub u64);

impl Dated {
    /// Both in one word; what does not fit the number's bits is cut off.
    #[inline]
    pub fn new(epoch: u16, number: u64) -> Self {
        Dated(u64::from(epoch) << TICKET_BITS | number & TICKET_MASK)
    }

    /// The epoch.
    #[inline]
    pub fn epoch(self) -> u16 {
        (self.0 >> TICKET_BITS) as u16
    }

    /// The number.
    #[inline]
    pub fn number(self) -> u64 {
        self.0 & TICKET_MASK
    }

    /// The one after it in the same epoch.
    #[inline]
    pub(super) fn next(self) -> Self {
        Dated::new(self.epoch(), self.number() + 1)
    }

    /// The ticket that whoever moves on from here has taken.
    #[inline]
    pub(super) fn ticket(self) -> Ticket {
        Ticket { number: self.number(), epoch: self.epoch() }
    }
}
