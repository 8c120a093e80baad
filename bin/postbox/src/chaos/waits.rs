//! The longest wait in which work was possible.
//!
//! **The rule.** Work is possible from the moment at which
//! - some sender is inside a call that waits, and some receiver inside one that waits (by name:
//!   the receiver that the sender names, in a call that would take from that sender), and
//! - neither has got on since: no call of either side has sent or received anything (by name: of
//!   these two), and
//! - no victim is stopped, or has been meanwhile,
//!
//! because then either there is a message for the receiver, or room for the sender, whatever the
//! capacity. It lasts until one of these ends. Where a wait like that follows a death, what has to be noticed
//! and mended first counts. Also counted are: from a receiver's having a message until its
//! sender's having the receipt; from sending a message to receivers that do nothing but wait until
//! one has it; and from the death of the last partner, or of the owner, until each is told.
//!
//! From a wait is subtracted what the [`Canary`] overslept meanwhile, or, if that is more, what one of the
//! victims was kept from running, as the kernel counts it ([`Starvation`]). What is left must not
//! be longer than [`MOST`]. While one of those who wait is able to run, or is kept in the kernel (D: it waits
//! for all processors there when it registers for memory barriers), that is not judged yet; but for
//! [`EVER`] nobody is.
//!
//! The ledger looks after it has read all notes that there are, and takes a call to have begun
//! when its note was read: victims that wait for the ledger do not wait for Postbox.

use super::books::{Judged, Receipt, Rule, Seat, Victim, against};
use super::canary::Canary;
use super::note::{Call, Note, Refusal};
use super::starvation::{Starvation, is_held_up};
use super::table::duration;
use postbox_sys::clock;
use std::collections::{HashMap, VecDeque};

/// The longest that the contract allows, in nanoseconds.
pub const MOST: u64 = 200_000_000;
/// As long as that nobody waits for a processor, in nanoseconds: it spins.
pub const EVER: u64 = 5_000_000_000;
/// From that on it is looked at closely.
const NOTABLE: u64 = 10_000_000;
/// Stops are remembered for so long.
const MEMORY: u64 = 120_000_000_000;

/// What keeps track of waits.
#[derive(Debug)]
pub struct Waits<'c> {
    canary: &'c Canary,
    direct: bool,
    /// Who is inside which call.
    calls: HashMap<u32, Inside>,
    /// When anybody last got on.
    progress: u64,
    /// From when to when somebody was stopped.
    stops: VecDeque<(u64, u64)>,
    starvation: Starvation,
    longest: Wait,
}

#[derive(Debug, Clone)]
struct Inside {
    victim: Victim,
    call: Call,
    since: u64,
    /// The other's place, where it is named.
    partner: Option<u8>,
}

/// A wait, less what the machine starved everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// In nanoseconds.
    pub net: u64,
    /// What was subtracted.
    pub starved: u64,
    /// For what, and who waited.
    pub what: String,
}

impl<'c> Waits<'c> {
    /// Nobody waits yet.
    pub fn new(canary: &'c Canary, direct: bool) -> Self {
        let (calls, stops, longest) = (HashMap::new(), VecDeque::new(), Wait::default());
        let starvation = Starvation::default();
        Waits { canary, direct, calls, progress: 0, stops, starvation, longest }
    }

    /// Notes how much these processes were kept from running, every now and then.
    pub fn count_starvation(&mut self, pids: impl Iterator<Item = u32>, now: u64) {
        self.starvation.read(pids, now);
    }

    /// The longest so far.
    pub fn longest(&self) -> &Wait {
        &self.longest
    }

    /// Enters a note, read at `now`.
    pub fn enter(&mut self, victim: Victim, note: &Note, now: u64) {
        let (call, partner) = match note {
            Note::Sending(sending) => (sending.call, sending.to),
            Note::Receiving(receiving) => (receiving.call, receiving.from),
            Note::Sent(sent) => {
                self.ended(victim, sent.went > 0, sent.at);
                return;
            }
            Note::Received(received) => {
                self.ended(victim, !received.got.is_empty(), received.at);
                return;
            }
            _ => return,
        };
        if call.waits() {
            let inside = Inside { victim, call, since: now, partner };
            self.calls.insert(victim.number, inside);
        }
    }

    fn ended(&mut self, victim: Victim, got_on: bool, at: u64) {
        self.calls.remove(&victim.number);
        if got_on {
            self.progress = self.progress.max(at);
        }
    }

    /// A victim is no more.
    pub fn gone(&mut self, victim: Victim) {
        self.calls.remove(&victim.number);
    }

    /// Somebody is stopped, from `since` up to now at least.
    pub fn stopped(&mut self, since: u64, now: u64) {
        match self.stops.back_mut() {
            Some((begin, end)) if *end >= since => (*begin, *end) = (since.min(*begin), now),
            _ => self.stops.push_back((since, now)),
        }
        while self.stops.front().is_some_and(|(_, end)| end + MEMORY < now) {
            self.stops.pop_front();
        }
    }

    /// Looks whether anybody waits, after all notes were read.
    ///
    /// # Errors
    ///
    /// Somebody has waited too long.
    pub fn look(&mut self, now: u64) -> Judged {
        let free = self.stops.back().map_or(0, |(_, end)| *end);
        let inside = |sends: bool| {
            self.calls
                .values()
                .filter(move |inside| matches!(inside.victim.seat, Seat::Producer(_)) == sends)
        };
        let pairs: Vec<(u64, &Inside, &Inside)> = if self.direct {
            let fits = |sender: &Inside, receiver: &Inside| {
                let (Seat::Producer(from), Seat::Consumer(to)) =
                    (sender.victim.seat, receiver.victim.seat)
                else {
                    return false;
                };
                sender.partner == Some(to) && receiver.partner.is_none_or(|named| named == from)
            };
            let all = inside(true).flat_map(|sender| {
                inside(false)
                    .filter(move |receiver| fits(sender, receiver))
                    .map(move |receiver| (sender.since.max(receiver.since), sender, receiver))
            });
            all.collect()
        } else {
            let first = |sends| inside(sends).min_by_key(|inside| inside.since);
            first(true)
                .zip(first(false))
                .map(|(sender, receiver)| {
                    (sender.since.max(receiver.since).max(self.progress), sender, receiver)
                })
                .into_iter()
                .collect()
        };
        let longest = pairs.into_iter().min_by_key(|(since, ..)| *since);
        let Some((since, sender, receiver)) = longest else { return Ok(()) };
        let since = since.max(free);
        if (MOST..EVER).contains(&now.saturating_sub(since))
            && self.calls.values().any(|inside| is_held_up(inside.victim.pid))
        {
            return Ok(());
        }
        let what = format!(
            "{} is in {}, {} in {}",
            sender.victim,
            sender.call.name(),
            receiver.victim,
            receiver.call.name()
        );
        self.waited(since, now, || what)
    }

    /// Receipts have come.
    ///
    /// # Errors
    ///
    /// One came too late.
    pub fn receipts(&mut self, receipts: &[Receipt]) -> Judged {
        for receipt in receipts {
            let (taken, told) = (receipt.taken, receipt.told);
            if told > taken && !self.was_stopped(taken, told) {
                self.waited(taken, told, || {
                    format!(
                        "the receipt of receiver {} for sender {}",
                        receipt.receiver, receipt.sender
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Somebody waited from then to then, and nobody was stopped.
    ///
    /// # Errors
    ///
    /// That was too long.
    pub fn waited(&mut self, from: u64, to: u64, what: impl FnOnce() -> String) -> Judged {
        let gross = to.saturating_sub(from);
        if gross <= self.longest.net {
            return Ok(());
        }
        if gross > MOST {
            self.starvation.refresh(clock::now());
        }
        let kept = if gross > NOTABLE { self.starvation.worst(from, to) } else { 0 };
        let starved = self.canary.starved(from, to).max(kept).min(gross);
        let net = gross - starved;
        if net > self.longest.net {
            self.longest = Wait { net, starved, what: what() };
        }
        if net <= MOST {
            return Ok(());
        }
        let Wait { what, .. } = &self.longest;
        let account = format!(
            "{what}: for {}, besides {} in which the machine let nobody run",
            duration(net),
            duration(starved)
        );
        against(Rule::WaitedTooLong, account)
    }

    fn was_stopped(&self, from: u64, to: u64) -> bool {
        // The last first, and none before the first that was over by then.
        self.stops.iter().rev().take_while(|(_, end)| *end > from).any(|(begin, _)| *begin < to)
    }

    /// The calls that wait, in words.
    pub fn describe(&self) -> String {
        let mut inside: Vec<&Inside> = self.calls.values().collect();
        inside.sort_by_key(|inside| inside.since);
        let each = |inside: &&Inside| format!("{} in {}", inside.victim, inside.call.name());
        match inside.is_empty() {
            true => "nobody waits".to_owned(),
            false => inside.iter().map(each).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Whether that says that there is no use.
pub fn is_told(note: &Note) -> Option<(u64, Refusal)> {
    let (at, refusal) = match note {
        Note::Sent(sent) => (sent.at, sent.refusal?),
        Note::Received(received) => (received.at, received.refusal?),
        _ => return None,
    };
    match refusal {
        Refusal::Disconnected | Refusal::Destroyed | Refusal::Absent => Some((at, refusal)),
        Refusal::NotNow | Refusal::TimedOut | Refusal::ByteCap => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::note::{Got, Received, Receiving, Sending, Sent};

    const MS: u64 = 1_000_000;

    fn victim(number: u32, seat: Seat) -> Victim {
        Victim { number, pid: number, seat, since: 0 }
    }

    fn sender() -> Victim {
        victim(1, Seat::Producer(0))
    }

    fn receiver() -> Victim {
        victim(2, Seat::Consumer(1))
    }

    fn sending(call: Call, to: Option<u8>) -> Note {
        Note::Sending(Sending { at: 0, call, first: 0, count: 1, empty: 0, to })
    }

    fn receiving(call: Call, from: Option<u8>) -> Note {
        Note::Receiving(Receiving { at: 0, call, most: 1, from })
    }

    fn received(at: u64, got: Vec<Got>) -> Note {
        Note::Received(Received { at, got, refusal: None })
    }

    /// How long both had waited at `now`, in milliseconds; none: too long.
    fn longest(direct: bool, now: u64, tell: impl FnOnce(&mut Waits<'_>)) -> Option<u64> {
        let canary = Canary::asleep();
        let mut waits = Waits::new(&canary, direct);
        tell(&mut waits);
        waits.look(now * MS).ok()?;
        Some(waits.longest().net / MS)
    }

    #[test]
    fn both_sides_wait_from_when_both_do() {
        let wait = |first: Note, second: Note| {
            longest(false, 150, |waits| {
                waits.enter(sender(), &first, 10 * MS);
                waits.enter(receiver(), &second, 50 * MS);
            })
        };
        assert_eq!(wait(sending(Call::Send, None), receiving(Call::Receive, None)), Some(100));
        assert_eq!(wait(sending(Call::TrySend, None), receiving(Call::Receive, None)), Some(0));
        assert_eq!(wait(sending(Call::Deliver, None), receiving(Call::TryReceive, None)), Some(0));
    }

    #[test]
    fn whoever_waits_too_long_is_named() {
        let canary = Canary::asleep();
        let mut waits = Waits::new(&canary, false);
        waits.enter(sender(), &sending(Call::Deliver, None), 0);
        waits.enter(receiver(), &receiving(Call::ReceiveBatch, None), 0);
        waits.look(MOST).unwrap();
        let violation = waits.look(MOST + MS).unwrap_err();
        assert_eq!(violation.rule, Rule::WaitedTooLong);
        for name in ["producer-0", "deliver", "consumer-1", "receive_batch", "201.0 ms"] {
            assert!(violation.account.contains(name), "{violation:?}");
        }
    }

    #[test]
    fn a_wait_ends_with_getting_on_and_not_with_a_call_that_did_nothing() {
        let other = victim(3, Seat::Consumer(0));
        let wait = |got: Vec<Got>| {
            longest(false, 150, |waits| {
                waits.enter(sender(), &sending(Call::Send, None), 0);
                waits.enter(receiver(), &receiving(Call::Receive, None), 0);
                waits.enter(other, &receiving(Call::ReceiveWith, None), 0);
                waits.enter(other, &received(90 * MS, got), 100 * MS);
            })
        };
        assert_eq!(wait(vec![Got::Probe]), Some(60));
        assert_eq!(wait(Vec::new()), Some(150));
    }

    #[test]
    fn nobody_waits_while_somebody_is_stopped_nor_for_the_dead() {
        let both = |waits: &mut Waits<'_>| {
            waits.enter(sender(), &sending(Call::Send, None), 0);
            waits.enter(receiver(), &receiving(Call::Receive, None), 0);
        };
        let stopped = longest(false, 300, |waits| {
            both(waits);
            waits.stopped(20 * MS, 60 * MS);
            waits.stopped(30 * MS, 250 * MS);
        });
        assert_eq!(stopped, Some(50));
        let dead = longest(false, 300, |waits| {
            both(waits);
            waits.gone(receiver());
        });
        assert_eq!(dead, Some(0));
        assert_eq!(longest(false, 300, both), None);
    }

    #[test]
    fn by_name_only_those_wait_for_each_other_who_name_each_other() {
        let wait = |to, from| {
            longest(true, 100, |waits| {
                waits.enter(sender(), &sending(Call::Send, Some(to)), 0);
                waits.enter(receiver(), &receiving(Call::Receive, from), 0);
            })
        };
        assert_eq!(wait(1, None), Some(100));
        assert_eq!(wait(1, Some(0)), Some(100));
        assert_eq!(wait(0, None), Some(0), "it waits for another");
        assert_eq!(wait(1, Some(3)), Some(0), "it listens to another");
    }

    #[test]
    fn a_receipt_counts_from_when_the_message_was_there() {
        let canary = Canary::asleep();
        let mut waits = Waits::new(&canary, false);
        let receipt = Receipt { taken: 10 * MS, told: 30 * MS, sender: 1, receiver: 2 };
        waits.receipts(&[receipt]).unwrap();
        assert_eq!(waits.longest().net, 20 * MS);
        waits.stopped(250 * MS, 260 * MS);
        waits.receipts(&[Receipt { told: 255 * MS, ..receipt }]).unwrap();
        let late = Receipt { taken: 270 * MS, told: 480 * MS, ..receipt };
        assert_eq!(waits.receipts(&[late]).unwrap_err().rule, Rule::WaitedTooLong);
    }

    #[test]
    fn what_a_call_was_told_of_the_end_is_known() {
        let sent = |refusal| Note::Sent(Sent { at: 7, went: 0, receipt: None, refusal });
        let gone = Refusal::Disconnected;
        assert_eq!(is_told(&sent(Some(gone))), Some((7, gone)));
        assert_eq!(is_told(&sent(Some(Refusal::NotNow))), None);
        assert_eq!(is_told(&sent(None)), None);
        assert_eq!(is_told(&Note::Ready), None);
    }
}
