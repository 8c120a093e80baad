//! A victim that sends: every kind of send, messages of every length.

use super::ends::Outlet;
use super::{Cast, Desk, Order, choose, is_the_end};
use crate::chaos::message::{HEADER, LARGEST, Maker};
use crate::chaos::naming::{Naming, Outcome};
use crate::chaos::note::{BATCH, BURST, Call, Note, Refusal, Sending, Sent};
use postbox::{Capacity, Wait};
use postbox_sys::clock;
use std::thread;
use std::time::Duration;

/// The calls, and how often each is chosen.
const CALLS: [(Call, u32); 8] = [
    (Call::Send, 8),
    (Call::TrySend, 4),
    (Call::SendWith, 3),
    (Call::Deliver, 3),
    (Call::DeliverWith, 3),
    (Call::TryDeliver, 1),
    (Call::SendBatch, 2),
    (Call::TrySendBatch, 2),
];
/// How long it leaves a channel alone that holds as many bytes as it can, or a partner that is not
/// there.
const PAUSE: Duration = Duration::from_micros(500);
/// More than this go into no link of a bounded capacity that is to be counted.
const TOO_MANY: u32 = 3;

/// Sends until it is killed, or told that there is no use.
pub fn run(cast: &Cast, desk: &mut Desk) -> Outcome<()> {
    let mut producer = Producer {
        cast,
        outlet: Outlet::open(cast)?,
        rng: fastrand::Rng::with_seed(cast.seed),
        maker: Maker::new(),
        messages: vec![Vec::new(); BURST],
        next: 0,
    };
    desk.say(&Note::Ready)?;
    loop {
        let end = match desk.order()? {
            None => producer.send(desk)?,
            Some(Order::Rest) => producer.rest(desk)?,
            Some(_) => false,
        };
        if end {
            return desk.say(&Note::Resting);
        }
    }
}

struct Producer<'c> {
    cast: &'c Cast,
    outlet: Outlet,
    rng: fastrand::Rng,
    maker: Maker,
    messages: Vec<Vec<u8>>,
    /// The number of the next message.
    next: u64,
}

impl Producer<'_> {
    /// One call of some kind; true if it was the last.
    fn send(&mut self, desk: &mut Desk) -> Outcome<bool> {
        let pair = self.cast.way.naming == Naming::Pair;
        let call = match pair && self.rng.bool() {
            true => Call::SendBurst,
            false => choose(&mut self.rng, &CALLS),
        };
        let (count, least) = match call {
            Call::SendBatch | Call::TrySendBatch => (self.rng.usize(2..=BATCH), 0),
            Call::SendBurst => (self.rng.usize(2..=BURST), HEADER),
            _ => (1, 0),
        };
        let mut lens = [0; BURST];
        let largest = self.cast.way.largest();
        for len in &mut lens[..count] {
            *len = some_length(&mut self.rng).clamp(least, largest);
        }
        self.outlet.choose(&mut self.rng, desk)?;
        let direct = self.cast.way.naming == Naming::Direct;
        let to = direct.then(|| self.rng.u8(..self.cast.partners));
        let refusal = self.call(desk, call, to, &lens[..count])?;
        if let Some(Refusal::ByteCap | Refusal::Absent) = refusal {
            desk.flush()?;
            thread::sleep(PAUSE);
        }
        Ok(is_the_end(refusal, self.cast.way.naming))
    }

    /// That call with messages of these lengths.
    fn call(
        &mut self,
        desk: &mut Desk,
        call: Call,
        to: Option<u8>,
        lens: &[usize],
    ) -> Outcome<Option<Refusal>> {
        let first = self.next;
        let mut empty = 0;
        for (nth, &len) in lens.iter().enumerate() {
            let seq = first + nth as u64;
            self.maker.traffic(&mut self.messages[nth], self.cast.number, seq, len);
            empty |= u64::from(self.messages[nth].is_empty()) << nth;
        }
        self.next += lens.len() as u64;
        let patience = Duration::from_micros(self.rng.u64(..2000));
        let count = lens.len() as u8;
        desk.say(&Note::Sending(Sending { at: clock::now(), call, first, count, empty, to }))?;
        let wait = Wait::timeout(patience);
        let (went, receipt, refusal) =
            self.outlet.send(call, to, &self.messages[..lens.len()], &wait)?;
        let went = went as u8;
        desk.note(&Note::Sent(Sent { at: clock::now(), went, receipt, refusal }))?;
        Ok(refusal)
    }

    /// Does as it is told until it is to go on.
    fn rest(&mut self, desk: &mut Desk) -> Outcome<bool> {
        desk.say(&Note::Resting)?;
        loop {
            match desk.next_order()? {
                Some(Order::Go) => return Ok(false),
                Some(Order::Count(place)) => self.count(desk, place)?,
                Some(Order::Rest) => {}
                // The ledger is gone.
                None => return Ok(true),
            }
        }
    }

    /// Fills the link to that consumer, and counts.
    fn count(&mut self, desk: &mut Desk, place: u8) -> Outcome<()> {
        let most = match self.cast.way.capacity {
            Capacity::Zero => TOO_MANY,
            Capacity::Bounded(n) => n + TOO_MANY,
            Capacity::Unbounded => 100,
        };
        let mut went = 0;
        while went < most {
            match self.call(desk, Call::TrySend, Some(place), &[HEADER])? {
                None => went += 1,
                Some(Refusal::NotNow) => break,
                // A link that is new, or that of a predecessor.
                Some(_) => thread::sleep(PAUSE),
            }
        }
        desk.say(&Note::Counted(went))
    }
}

/// Mostly short, often longer than a slot or an entry, sometimes large; some are nothing at all.
fn some_length(rng: &mut fastrand::Rng) -> usize {
    match rng.u32(..400) {
        0 => rng.usize(65_536..=LARGEST),
        1..16 => 0,
        16..48 => rng.usize(4000..10_000),
        48..128 => rng.usize(1000..2000),
        _ => rng.usize(HEADER..200),
    }
}
