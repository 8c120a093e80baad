//! The two sides, whatever their naming: one way to call, one set of reasons why not.
//!
//! Whoever is to clone its end has two of them at times, and uses now the one, now the other.

use crate::chaos::message::{self, Content};
use crate::chaos::naming::{Naming, Outcome};
use crate::chaos::note::{Call, Got, Note, Refusal};
use crate::chaos::victims::{Cast, DATA, Desk};
use postbox::{
    Bytes, DeliverError, Delivery, DirectError, LinkError, Process, ReceiveError, Receiver,
    SendError, Sender, TrySendError, Wait, inherited,
};
use std::error::Error;

/// What a victim sends through.
pub enum Outlet {
    /// What it was given, or opened, and the membership by which it came.
    End { ends: Ends<Sender<Bytes>>, _me: Option<Process> },
    /// Its name in the domain.
    Direct(Process),
}

/// What a victim receives from.
pub enum Inlet {
    /// What it was given, or opened, and the membership by which it came.
    End { ends: Ends<Receiver<Bytes>>, _me: Option<Process> },
    /// Its name in the domain.
    Direct(Process),
}

/// An end, and at times a clone of it.
pub struct Ends<E> {
    all: Vec<E>,
    /// Which is used.
    at: usize,
    /// After how many calls there is one more, or one less.
    every: Option<u32>,
    calls: u32,
}

impl<E: Clone> Ends<E> {
    fn of(end: E, cast: &Cast) -> Self {
        Ends { all: vec![end], at: 0, every: cast.clones_every, calls: 0 }
    }

    fn get(&self) -> &E {
        &self.all[self.at]
    }

    /// Chooses one for the next call.
    fn choose(&mut self, rng: &mut fastrand::Rng, desk: &mut Desk) -> Outcome<()> {
        let Some(every) = self.every else { return Ok(()) };
        self.calls += 1;
        if self.calls.is_multiple_of(every) {
            if let [only] = &self.all[..] {
                // Whoever reads it at once finds this one in the middle of it.
                desk.say(&Note::Cloning)?;
                self.all.push(only.clone());
            } else {
                self.all.swap_remove(rng.usize(..self.all.len()));
            }
        }
        self.at = rng.usize(..self.all.len());
        Ok(())
    }
}

/// How many went, the receipt's pid, and why the rest did not.
pub type Went = (usize, Option<u32>, Option<Refusal>);

pub fn producer_name(place: u8) -> String {
    format!("producer-{place}")
}

pub fn consumer_name(place: u8) -> String {
    format!("consumer-{place}")
}

impl Outlet {
    pub fn open(cast: &Cast) -> Outcome<Self> {
        let way = &cast.way;
        if way.naming.is_inherited() {
            return Ok(Outlet::End { ends: Ends::of(inherited(DATA)?, cast), _me: None });
        }
        let me = way.join(&producer_name(cast.place))?;
        if way.naming == Naming::Direct {
            return Ok(Outlet::Direct(me));
        }
        Ok(Outlet::End { ends: Ends::of(way.open(&me)?.sender()?, cast), _me: Some(me) })
    }

    /// Gets ready for the next call.
    pub fn choose(&mut self, rng: &mut fastrand::Rng, desk: &mut Desk) -> Outcome<()> {
        match self {
            Outlet::End { ends, .. } => ends.choose(rng, desk),
            Outlet::Direct(_) => Ok(()),
        }
    }

    /// Makes that call with these messages, of which only batches have more than one.
    pub fn send(
        &self,
        call: Call,
        to: Option<u8>,
        messages: &[Vec<u8>],
        wait: &Wait<'_>,
    ) -> Outcome<Went> {
        let first = &messages[0];
        match self {
            Outlet::End { ends, .. } => send_to(ends.get(), call, messages, wait),
            Outlet::Direct(me) => {
                let to = &consumer_name(to.unwrap_or_default());
                match call {
                    Call::Send => whole(me.send_bytes(to, first)),
                    Call::SendWith => whole(me.send_bytes_with(to, first, wait)),
                    Call::TrySend => whole(me.try_send_bytes(to, first)),
                    Call::Deliver => receipted(me.deliver_bytes(to, first)),
                    Call::DeliverWith => receipted(me.deliver_bytes_with(to, first, wait)),
                    _ => match me.sender_to(to) {
                        Ok(tx) => send_to(&tx, call, messages, wait),
                        Err(error) => Ok((0, None, Some(error.refusal()?))),
                    },
                }
            }
        }
    }
}

fn send_to(tx: &Sender<Bytes>, call: Call, messages: &[Vec<u8>], wait: &Wait<'_>) -> Outcome<Went> {
    let first = &messages[0];
    let batch = || messages.iter().map(Vec::as_slice);
    match call {
        Call::TrySend => whole(tx.try_send(first)),
        Call::SendWith => whole(tx.send_with(first, wait)),
        Call::Deliver => receipted(tx.deliver(first)),
        Call::DeliverWith => receipted(tx.deliver_with(first, wait)),
        Call::TryDeliver => receipted(tx.try_deliver(first)),
        Call::SendBatch | Call::TrySendBatch => {
            let sent = match call {
                Call::SendBatch => tx.send_batch(batch()),
                _ => tx.try_send_batch(batch()),
            };
            match sent {
                Ok(went) if went == messages.len() => Ok((went, None, None)),
                Ok(went) => Ok((went, None, Some(Refusal::NotNow))),
                Err(error) => Ok((error.sent, None, Some(error.reason.refusal()?))),
            }
        }
        Call::SendBurst => {
            for (went, message) in messages.iter().enumerate() {
                if let (_, _, Some(refusal)) = whole(tx.send(message))? {
                    return Ok((went, None, Some(refusal)));
                }
            }
            Ok((messages.len(), None, None))
        }
        _ => whole(tx.send(first)),
    }
}

fn whole<E: Refused>(sent: Result<(), E>) -> Outcome<Went> {
    match sent {
        Ok(()) => Ok((1, None, None)),
        Err(error) => Ok((0, None, Some(error.refusal()?))),
    }
}

fn receipted<E: Refused>(sent: Result<postbox::Receipt, E>) -> Outcome<Went> {
    match sent {
        Ok(receipt) => Ok((1, Some(receipt.receiver().pid()), None)),
        Err(error) => Ok((0, None, Some(error.refusal()?))),
    }
}

impl Inlet {
    pub fn open(cast: &Cast) -> Outcome<Self> {
        let way = &cast.way;
        if way.naming.is_inherited() {
            return Ok(Inlet::End { ends: Ends::of(inherited(DATA)?, cast), _me: None });
        }
        let me = way.join(&consumer_name(cast.place))?;
        if way.naming == Naming::Direct {
            return Ok(Inlet::Direct(me));
        }
        Ok(Inlet::End { ends: Ends::of(way.open(&me)?.receiver()?, cast), _me: Some(me) })
    }

    /// Gets ready for the next call.
    pub fn choose(&mut self, rng: &mut fastrand::Rng, desk: &mut Desk) -> Outcome<()> {
        match self {
            Inlet::End { ends, .. } => ends.choose(rng, desk),
            Inlet::Direct(_) => Ok(()),
        }
    }

    /// Makes that call, for `most` messages where it is a batch.
    pub fn receive(
        &self,
        call: Call,
        from: Option<u8>,
        most: usize,
        wait: &Wait<'_>,
    ) -> Outcome<(Vec<Got>, Option<Refusal>)> {
        match self {
            Inlet::End { ends, .. } => receive_from(ends.get(), call, most, wait),
            Inlet::Direct(me) => match (call, from) {
                (Call::ReceiveFrom, Some(from)) => {
                    one(me.receive_from_with(&producer_name(from), wait))
                }
                (Call::TryReceive, _) => tried(me.try_receive()),
                (Call::ReceiveWith, _) => one(me.receive_with(wait)),
                _ => one(me.receive()),
            },
        }
    }
}

fn receive_from(
    rx: &Receiver<Bytes>,
    call: Call,
    most: usize,
    wait: &Wait<'_>,
) -> Outcome<(Vec<Got>, Option<Refusal>)> {
    match call {
        Call::TryReceive => tried(rx.try_receive()),
        Call::ReceiveWith => one(rx.receive_with(wait)),
        Call::ReceiveBatch => several(rx.receive_batch(most)),
        Call::TryReceiveBatch => several(rx.try_receive_batch(most)),
        Call::ReceiveBurst => several(receive_one_by_one(rx, most)),
        _ => one(rx.receive()),
    }
}

/// Waits for the first; what refuses another is met by the next call.
fn receive_one_by_one(
    rx: &Receiver<Bytes>,
    most: usize,
) -> Result<Vec<Delivery<Bytes>>, ReceiveError> {
    let mut deliveries = vec![rx.receive()?];
    while deliveries.len() < most
        && let Ok(Some(delivery)) = rx.try_receive()
    {
        deliveries.push(delivery);
    }
    Ok(deliveries)
}

fn got(delivery: &Delivery<Bytes>) -> Got {
    match message::read(delivery) {
        Content::Empty => Got::Empty { pid: delivery.sender().pid() },
        Content::Traffic { sender, seq } => Got::Traffic { sender, seq },
        Content::Probe { .. } => Got::Probe,
        Content::Spoilt => Got::Spoilt,
    }
}

fn one<E: Refused>(received: Result<Delivery<Bytes>, E>) -> Outcome<(Vec<Got>, Option<Refusal>)> {
    match received {
        Ok(delivery) => Ok((vec![got(&delivery)], None)),
        Err(error) => Ok((Vec::new(), Some(error.refusal()?))),
    }
}

fn tried<E: Refused>(
    received: Result<Option<Delivery<Bytes>>, E>,
) -> Outcome<(Vec<Got>, Option<Refusal>)> {
    match received.transpose() {
        Some(received) => one(received),
        None => Ok((Vec::new(), Some(Refusal::NotNow))),
    }
}

fn several(
    received: Result<Vec<Delivery<Bytes>>, ReceiveError>,
) -> Outcome<(Vec<Got>, Option<Refusal>)> {
    match received {
        Ok(deliveries) if deliveries.is_empty() => Ok((Vec::new(), Some(Refusal::NotNow))),
        Ok(deliveries) => Ok((deliveries.iter().map(got).collect(), None)),
        Err(error) => Ok((Vec::new(), Some(error.refusal()?))),
    }
}

/// Errors that may happen in the chaos; all others fail it.
trait Refused: Error + Sized + 'static {
    fn known(&self) -> Option<Refusal>;

    fn refusal(self) -> Outcome<Refusal> {
        match self.known() {
            Some(refusal) => Ok(refusal),
            None => Err(self.into()),
        }
    }
}

impl Refused for SendError {
    fn known(&self) -> Option<Refusal> {
        match self {
            SendError::Disconnected => Some(Refusal::Disconnected),
            SendError::Destroyed => Some(Refusal::Destroyed),
            SendError::TimedOut => Some(Refusal::TimedOut),
            SendError::ByteCap { .. } => Some(Refusal::ByteCap),
            _ => None,
        }
    }
}

impl Refused for TrySendError {
    fn known(&self) -> Option<Refusal> {
        match self {
            TrySendError::Full => Some(Refusal::NotNow),
            TrySendError::Send(error) => error.known(),
            _ => None,
        }
    }
}

impl Refused for DeliverError {
    fn known(&self) -> Option<Refusal> {
        self.reason().known()
    }
}

impl Refused for ReceiveError {
    fn known(&self) -> Option<Refusal> {
        match self {
            ReceiveError::Disconnected => Some(Refusal::Disconnected),
            ReceiveError::Destroyed => Some(Refusal::Destroyed),
            ReceiveError::TimedOut => Some(Refusal::TimedOut),
            _ => None,
        }
    }
}

impl Refused for LinkError {
    fn known(&self) -> Option<Refusal> {
        match self {
            LinkError::Absent { .. } => Some(Refusal::Absent),
            LinkError::TimedOut | LinkError::StillAbsent { .. } => Some(Refusal::TimedOut),
            _ => None,
        }
    }
}

impl<E: Refused> Refused for DirectError<E> {
    fn known(&self) -> Option<Refusal> {
        match self {
            DirectError::Link(error) => error.known(),
            DirectError::Call(error) => error.known(),
        }
    }
}
