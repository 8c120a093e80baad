//! The senders' pages: what became of each message.

use super::losses::Missing;
use super::{Judged, Rule, Victim, Violation, against};
use crate::chaos::note::{Sending, Sent};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;

/// Messages that are settled stay on their page until so many came after them: what comes a second
/// time can be told with its history.
const MEMORY: usize = 1024;

/// All senders since the books were last settled.
#[derive(Debug, Default)]
pub struct Senders {
    pages: HashMap<u32, Page>,
    /// The sender that has a pid.
    of_pid: HashMap<u32, u32>,
}

/// One sender.
#[derive(Debug)]
struct Page {
    victim: Victim,
    alive: bool,
    /// The call that has not ended, as far as is noted.
    call: Option<Sending>,
    /// The number of the first message in the window; what came before is settled.
    base: u64,
    window: VecDeque<Message>,
    empty: Empties,
}

/// What is known of a message.
#[derive(Debug, Clone, Copy, Default)]
struct Message {
    /// When the call that sends it began, once that is noted.
    begun: Option<u64>,
    to: Option<u8>,
    fate: Fate,
    taken: Option<Taken>,
    /// It has no content, and so is counted instead.
    empty: bool,
    /// By a call that never waits.
    tried: bool,
}

/// What its sender says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// Nothing yet.
    #[default]
    Open,
    /// It went; a receipt names a process.
    Sent { at: u64, receipt: Option<u32> },
    /// It did not go: nobody may ever see it.
    Refused,
}

/// Empty messages, which are all alike.
#[derive(Debug, Clone, Copy, Default)]
struct Empties {
    begun: u64,
    sent: u64,
    refused: u64,
    received: u64,
}

/// A message that came.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Who had it.
    pub by: Victim,
    /// When the call began.
    pub began: u64,
    /// When it had ended.
    pub ended: u64,
}

/// What both sides say of a message.
#[derive(Debug, Clone, Copy)]
pub struct Both {
    pub from: Victim,
    /// When the call that sent it had ended.
    pub ended: u64,
    pub receipt: Option<u32>,
    /// By a call that never waits.
    pub tried: bool,
    pub taken: Taken,
}

/// What a call that has ended has done.
#[derive(Debug)]
pub struct Ended {
    pub seqs: Range<u64>,
    pub sent: u32,
    pub refused: u32,
}

impl Senders {
    pub fn enlist(&mut self, victim: Victim) {
        self.of_pid.insert(victim.pid, victim.number);
        let page = Page {
            victim,
            alive: true,
            call: None,
            base: 0,
            window: VecDeque::new(),
            empty: Empties::default(),
        };
        self.pages.insert(victim.number, page);
    }

    pub fn killed(&mut self, number: u32) {
        if let Some(page) = self.pages.get_mut(&number) {
            page.alive = false;
        }
    }

    pub fn begin(&mut self, victim: Victim, sending: &Sending) -> Judged {
        let page = self.page(victim)?;
        page.retire();
        page.call = Some(sending.clone());
        for (nth, seq) in (sending.first..).take(sending.count.into()).enumerate() {
            let empty = sending.empty & 1_u64 << nth != 0;
            page.empty.begun += u64::from(empty);
            if let Some(message) = page.message(seq) {
                message.begun = Some(sending.at);
                message.to = sending.to;
                message.empty = empty;
                message.tried = !sending.call.waits();
            }
        }
        Ok(())
    }

    /// Its call has ended.
    pub fn end(&mut self, victim: Victim, sent: &Sent) -> Result<Ended, Violation> {
        let page = self.page(victim)?;
        let Some(call) = page.call.take() else {
            return against(Rule::Failed, format!("{victim} noted the end of no call"));
        };
        let seqs = call.first..call.first + u64::from(call.count);
        let went = sent.went.min(call.count);
        for seq in seqs.clone() {
            let fate = match seq < call.first + u64::from(went) {
                true => Fate::Sent { at: sent.at, receipt: sent.receipt },
                false => Fate::Refused,
            };
            let Some(message) = page.message(seq) else { continue };
            message.fate = fate;
            let message = *message;
            if message.empty {
                page.empty.sent += u64::from(fate != Fate::Refused);
                page.empty.refused += u64::from(fate == Fate::Refused);
                page.empties_add_up()?;
            } else if let (Fate::Refused, Some(taken)) = (fate, message.taken) {
                return page.failed_but_seen(seq, taken.by);
            }
        }
        Ok(Ended { seqs, sent: went.into(), refused: (call.count - went).into() })
    }

    /// A message came.
    pub fn take(&mut self, sender: u32, seq: u64, taken: Taken) -> Judged {
        let by = taken.by;
        let Some(page) = self.pages.get_mut(&sender) else {
            let account = format!(
                "{by} received message {seq} of sender {sender}, all of whose messages were settled"
            );
            return against(Rule::FromNowhere, account);
        };
        let from = page.victim;
        let Some(message) = page.message(seq) else {
            let account = format!("message {seq} of {from}, settled long ago, came to {by}");
            return against(Rule::Doubled, account);
        };
        if let Some(before) = message.taken {
            let account = format!("message {seq} of {from} came to {} and to {by}", before.by);
            return against(Rule::Doubled, account);
        }
        message.taken = Some(taken);
        match message.fate {
            Fate::Refused => page.failed_but_seen(seq, by),
            _ => Ok(()),
        }
    }

    /// An empty message came from that process.
    pub fn take_empty(&mut self, by: Victim, pid: u32) -> Judged {
        let page = self.of_pid.get(&pid).and_then(|number| self.pages.get_mut(number));
        let Some(page) = page else {
            let account = format!("{by} received an empty message of process {pid}, no sender");
            return against(Rule::FromNowhere, account);
        };
        page.empty.received += 1;
        page.empties_add_up()
    }

    /// What both sides say, if both have spoken.
    pub fn both_sides(&self, sender: u32, seq: u64) -> Option<Both> {
        let page = self.pages.get(&sender)?;
        let message = page.window.get(usize::try_from(seq.checked_sub(page.base)?).ok()?)?;
        match (message.fate, message.taken) {
            (Fate::Sent { at, receipt }, Some(taken)) => {
                let (from, tried) = (page.victim, message.tried);
                Some(Both { from, ended: at, receipt, tried, taken })
            }
            _ => None,
        }
    }

    /// What was sent and did not come, while nothing is under way.
    ///
    /// # Errors
    ///
    /// Something came that nobody had begun to send.
    pub fn missing(&self) -> Result<Vec<Missing>, Violation> {
        let mut missing = Vec::new();
        for page in self.pages.values() {
            let from = page.victim;
            for (seq, message) in (page.base..).zip(&page.window) {
                match (message.begun, message.fate, message.taken) {
                    (None, _, Some(taken)) => {
                        let by = taken.by;
                        let account = format!("{by} received message {seq} of {from}");
                        return against(Rule::FromNowhere, account);
                    }
                    (Some(begun), Fate::Sent { at, receipt }, None) if !message.empty => {
                        let (seq, to) = (Some(seq), message.to);
                        let tried = message.tried;
                        missing.push(Missing { from, seq, to, begun, ended: at, tried, receipt });
                    }
                    _ => {}
                }
            }
            let empty = page.empty;
            if empty.received > empty.begun - empty.refused {
                return page.empties_from_nowhere();
            }
            for _ in empty.received..empty.sent {
                // When and whither is not known of one that is like all others.
                let (begun, ended) = (from.since, u64::MAX);
                let (seq, to, tried, receipt) = (None, None, false, None);
                missing.push(Missing { from, seq, to, begun, ended, tried, receipt });
            }
        }
        missing.sort_by_key(|missing| (missing.from.number, missing.seq));
        Ok(missing)
    }

    /// Everything is settled: the dead and what the living have sent so far are forgotten.
    pub fn clear(&mut self) {
        self.pages.retain(|_, page| page.alive);
        self.of_pid.retain(|_, number| self.pages.contains_key(number));
        for page in self.pages.values_mut() {
            page.base += page.window.len() as u64;
            page.window.clear();
            page.window.shrink_to(2 * MEMORY);
            page.empty = Empties::default();
        }
    }

    /// Whether that sender is known no more.
    pub fn is_gone(&self, sender: u32) -> bool {
        !self.pages.contains_key(&sender)
    }

    fn page(&mut self, victim: Victim) -> Result<&mut Page, Violation> {
        match self.pages.get_mut(&victim.number) {
            Some(page) => Ok(page),
            None => against(Rule::Failed, format!("{victim} notes what only senders do")),
        }
    }
}

impl Page {
    /// Its entry; none if it is settled and forgotten.
    fn message(&mut self, seq: u64) -> Option<&mut Message> {
        let place = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        if place >= self.window.len() {
            self.window.resize_with(place + 1, Message::default);
        }
        self.window.get_mut(place)
    }

    /// Forgets what is settled and was long ago.
    fn retire(&mut self) {
        while self.window.len() > MEMORY && self.window.front().is_some_and(Message::is_settled) {
            self.window.pop_front();
            self.base += 1;
        }
    }

    fn failed_but_seen<T>(&self, seq: u64, by: Victim) -> Result<T, Violation> {
        let from = self.victim;
        against(
            Rule::FailedButSeen,
            format!("message {seq} of {from} had failed, and came to {by}"),
        )
    }

    /// More of them than were begun and did not fail cannot have come. Those that came may not be
    /// noted as begun yet, so that alone is judged when all is settled.
    fn empties_add_up(&self) -> Judged {
        let Empties { begun, refused, received, .. } = self.empty;
        // Only once all that it does is noted is the number of the begun final.
        if self.call.is_none() && !self.alive && received > begun - refused {
            return self.empties_from_nowhere();
        }
        Ok(())
    }

    fn empties_from_nowhere<T>(&self) -> Result<T, Violation> {
        let Empties { begun, refused, received, .. } = self.empty;
        let account = format!(
            "{received} empty messages of {} came; it began to send {begun}, of which {refused} failed",
            self.victim
        );
        against(if refused > 0 { Rule::FailedButSeen } else { Rule::Doubled }, account)
    }
}

impl Message {
    fn is_settled(&self) -> bool {
        match self.fate {
            Fate::Open => false,
            Fate::Sent { .. } => self.empty || self.taken.is_some(),
            Fate::Refused => true,
        }
    }
}
