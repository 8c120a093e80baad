//! The books: what victims have noted, and everything in it that the contract forbids.
//!
//! Notes of different victims may come in any order; those of one come in theirs. So a message may
//! be received, as far as the books know, before it was sent: each fact is entered when it comes
//! and compared with the others about the same message. What only the whole can tell (what is
//! missing, whether there ever were too many) is judged when the books are
//! [settled](Books::settle), while nothing is under way. That is every few seconds, and then the
//! books are empty again: their size is bounded by what passes through the channel in between.
//!
//! | rule | found |
//! | --- | --- |
//! | no message twice | as the second is noted |
//! | a message that failed is never seen | as the other of the two facts is noted |
//! | order per sender for each receiver | as it is noted |
//! | a receipt names who had it, and not before | as both are noted; where the taker died without noting it, when settled |
//! | nothing is lost but what the killed explain | when settled ([`losses`]) |
//! | never more than n | when settled ([`crowd`]) |
//! | nothing comes that nobody sent | when settled |

mod crowd;
mod losses;
mod receivers;
mod senders;
#[cfg(test)]
mod tests;

pub use losses::{Loss, NOTICE, Place};

use super::note::{Got, Note, Received, Receiving, Sending, Sent};
use crowd::{Crowd, Which};
use postbox::Capacity;
use receivers::Receivers;
use senders::Senders;
use std::fmt;

/// A victim: one process, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Victim {
    /// No other of the run has it.
    pub number: u32,
    /// Its process.
    pub pid: u32,
    /// What it does there, and where.
    pub seat: Seat,
    /// When it was started, in nanoseconds of the monotonic clock.
    pub since: u64,
}

/// A place that victims take one after the other, under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seat {
    /// A sender.
    Producer(u8),
    /// A receiver.
    Consumer(u8),
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seat::Producer(place) => write!(f, "producer-{place}"),
            Seat::Consumer(place) => write!(f, "consumer-{place}"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}, number {})", self.seat, self.pid, self.number)
    }
}

/// Something that the contract forbids, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, in a few words.
    pub rule: Rule,
    /// What, which message, who.
    pub account: String,
}

/// The rules of the contract that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Doubled,
    FailedButSeen,
    OutOfOrder,
    WrongReceipt,
    Lost,
    TooMany,
    Room,
    Spoilt,
    FromNowhere,
    WaitedTooLong,
    NotTold,
    Failed,
    LeftBehind,
}

impl Rule {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Doubled => "received twice",
            Rule::FailedButSeen => "failed, but received",
            Rule::OutOfOrder => "out of order",
            Rule::WrongReceipt => "wrong receipt",
            Rule::Lost => "lost",
            Rule::TooMany => "more than the capacity",
            Rule::Room => "not exactly the room there was",
            Rule::Spoilt => "not what was sent",
            Rule::FromNowhere => "received, but never sent",
            Rule::WaitedTooLong => "waited too long",
            Rule::NotTold => "not told in time",
            Rule::Failed => "a call failed",
            Rule::LeftBehind => "left behind",
        }
    }
}

/// A violation, or nothing.
pub type Judged = Result<(), Violation>;

/// A [`Violation`] of that rule.
pub fn against<T>(rule: Rule, account: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { rule, account: account.into() })
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that calls have sent.
    pub sent: u64,
    /// Those of them with a receipt.
    pub delivered: u64,
    /// Messages that calls refused.
    pub refused: u64,
    /// Messages that came.
    pub received: u64,
}

/// A receipt that came after the message had been noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// When the receiver had it.
    pub taken: u64,
    /// When the sender knew.
    pub told: u64,
    /// The sender's number.
    pub sender: u32,
    /// The receiver's number.
    pub receiver: u32,
}

/// What the victims of a round have noted.
#[derive(Debug)]
pub struct Books {
    senders: Senders,
    receivers: Receivers,
    crowd: Crowd,
    capacity: Capacity,
    direct: bool,
    totals: Totals,
    receipts: Vec<Receipt>,
    last_taken: u64,
}

impl Books {
    /// Of a channel with that capacity; `direct`ly each pair has a channel of its own.
    pub fn new(capacity: Capacity, direct: bool) -> Self {
        let most = match capacity {
            Capacity::Zero => Some(0),
            Capacity::Bounded(n) => Some(n),
            Capacity::Unbounded => None,
        };
        Books {
            senders: Senders::default(),
            receivers: Receivers::default(),
            crowd: Crowd::new(most),
            capacity,
            direct,
            totals: Totals::default(),
            receipts: Vec::new(),
            last_taken: 0,
        }
    }

    /// A victim was started.
    pub fn enlist(&mut self, victim: Victim) {
        match victim.seat {
            Seat::Producer(_) => self.senders.enlist(victim),
            Seat::Consumer(_) => self.receivers.enlist(victim),
        }
    }

    /// A victim had been killed by that time, and all its notes have been entered.
    pub fn killed(&mut self, victim: Victim, at: u64) {
        match victim.seat {
            Seat::Producer(_) => self.senders.killed(victim.number),
            Seat::Consumer(_) => self.receivers.killed(victim.number, at),
        }
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// When the last message was received.
    pub fn last_taken(&self) -> u64 {
        self.last_taken
    }

    /// Receipts that came since this was last asked.
    pub fn take_receipts(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
    }

    /// Enters a note of that victim.
    ///
    /// # Errors
    ///
    /// What it contradicts.
    pub fn enter(&mut self, victim: Victim, note: &Note) -> Judged {
        match note {
            Note::Sending(sending) => self.sending(victim, sending),
            Note::Sent(sent) => self.sent(victim, sent),
            Note::Receiving(receiving) => self.receiving(victim, receiving),
            Note::Received(received) => self.received(victim, received),
            Note::Failed(reason) => against(Rule::Failed, format!("{victim}: {reason}")),
            Note::Ready | Note::Cloning | Note::Resting | Note::Counted(_) => Ok(()),
        }
    }

    fn sending(&mut self, victim: Victim, sending: &Sending) -> Judged {
        self.senders.begin(victim, sending)
    }

    fn sent(&mut self, victim: Victim, sent: &Sent) -> Judged {
        let ended = self.senders.end(victim, sent)?;
        self.totals.sent += u64::from(ended.sent);
        self.totals.refused += u64::from(ended.refused);
        self.totals.delivered += u64::from(sent.receipt.is_some());
        for seq in ended.seqs {
            self.compare(victim.number, seq)?;
        }
        Ok(())
    }

    fn receiving(&mut self, victim: Victim, receiving: &Receiving) -> Judged {
        self.receivers.begin(victim, receiving)
    }

    fn received(&mut self, victim: Victim, received: &Received) -> Judged {
        let began = self.receivers.end(victim)?;
        for got in &received.got {
            match *got {
                Got::Probe => continue,
                Got::Spoilt => {
                    return against(Rule::Spoilt, format!("{victim} received what nobody sent so"));
                }
                Got::Empty { pid } => self.senders.take_empty(victim, pid)?,
                Got::Traffic { sender, seq } => {
                    self.receivers.in_order(victim, sender, seq)?;
                    let taken = senders::Taken { by: victim, began, ended: received.at };
                    self.senders.take(sender, seq, taken)?;
                    self.compare(sender, seq)?;
                }
            }
            self.totals.received += 1;
            self.last_taken = self.last_taken.max(received.at);
        }
        Ok(())
    }

    /// Compares what both sides say of a message, once both have spoken.
    fn compare(&mut self, sender: u32, seq: u64) -> Judged {
        let Some(both) = self.senders.both_sides(sender, seq) else { return Ok(()) };
        let senders::Both { from, ended, receipt, tried, taken } = both;
        if let Some(pid) = receipt {
            if pid != taken.by.pid {
                return against(
                    Rule::WrongReceipt,
                    format!(
                        "message {seq} of {from}: {} had it, the receipt names {pid}",
                        taken.by
                    ),
                );
            }
            if ended < taken.began {
                return against(
                    Rule::WrongReceipt,
                    format!(
                        "message {seq} of {from}: the receipt came {} before {} called receive",
                        super::table::duration(taken.began - ended),
                        taken.by
                    ),
                );
            }
            let (taken, receiver) = (taken.ended, taken.by.number);
            self.receipts.push(Receipt { taken, told: ended, sender, receiver });
        } else {
            let link = self.direct.then_some((sender, taken.by.number));
            let met = tried && self.capacity == Capacity::Zero;
            self.crowd.waited(Which { link, met }, ended, taken.began);
        }
        Ok(())
    }

    /// Judges the whole at that time, while nothing is under way: every living victim rests. The losses
    /// that killed receivers explain; then the books are empty, but for receivers whose death need not
    /// have been noticed yet: by name, what is sent to one of them in the next moment is lost with
    /// the link, too.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn settle(&mut self, now: u64) -> Result<Vec<Loss>, Violation> {
        self.crowd.judge(self.receivers.len())?;
        let missing = self.senders.missing()?;
        let losses =
            losses::explain(&missing, self.receivers.killed_ones(), self.capacity, self.direct)?;
        self.clear(if self.direct { now.saturating_sub(losses::NOTICE) } else { u64::MAX });
        Ok(losses)
    }

    /// As [`settle`](Self::settle), where what was lost went with the channel: its end took place
    /// with messages in it.
    ///
    /// # Errors
    ///
    /// What is wrong with the rest.
    pub fn close(&mut self) -> Judged {
        self.crowd.judge(self.receivers.len())?;
        self.senders.missing()?;
        self.clear(u64::MAX);
        Ok(())
    }

    fn clear(&mut self, noticed: u64) {
        self.senders.clear();
        self.receivers.clear(noticed);
        self.receivers.forget(|sender| self.senders.is_gone(sender));
    }
}
