//! Ours, driven as the references are: one call per message.

use super::arguments::Naming;
use super::crew::Part;
use super::ends::{Outcome, Receiving, Sending};
use super::figures::Figures;
use super::meeting::{Meeting, Way};
use super::ping_pong::{ping, pong};
use super::placement::Placement;
use super::stream::{Close, consume, produce};
use postbox::{
    Bytes, Capacity, Form, Mechanism, Options, Process, Receiver, Select, Sender, WaitStrategy,
};

/// A channel of ours, and who is at it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is made of.
    pub mechanism: Mechanism,
    /// How its two sides come together.
    pub naming: Naming,
    /// How many messages may wait.
    pub capacity: Capacity,
    /// What ends do before they sleep.
    pub wait: WaitStrategy,
    /// Bytes of a message.
    pub payload: usize,
    /// Processes that send.
    pub producers: u32,
    /// Processes that receive.
    pub consumers: u32,
    /// How it is made.
    pub made: Made,
}

/// How a channel is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// For its payload and, where there are but two that pass their ends on, for two.
    Fitted,
    /// With no option but its capacity and how its ends wait.
    AsItComes,
    /// For its payload; and two have tried to receive before, so that a mailbox's ring is one for many.
    Shared,
}

/// Processes of a run, and what has to stay until it is over.
pub type Staged = (Vec<Part<'static>>, Meeting);

impl Subject {
    /// What its channel is made with.
    pub fn options(&self) -> Options {
        let options = Options::new(self.mechanism).capacity(self.capacity).wait_strategy(self.wait);
        if self.made == Made::AsItComes {
            return options;
        }
        let alone = self.producers == 1 && self.consumers == 1;
        let options = match self.naming {
            Naming::Channel if alone => options.form(Form::OneToOne),
            _ => options,
        };
        match self.mechanism {
            Mechanism::SharedMemory => options.fixed_size(self.payload),
            _ => options.max_message(self.payload.max(1024)),
        }
    }

    fn meeting(&self, mailboxes: &[&str]) -> Outcome<Meeting> {
        let meeting = Meeting::prepare(self.naming, self.options(), mailboxes)?;
        if self.made == Made::Shared {
            meeting.share()?;
        }
        Ok(meeting)
    }

    /// Two processes, one of which measures for `budget` nanoseconds.
    pub fn ping_pong(&self, placement: &Placement, budget: u64) -> Outcome<Staged> {
        let (here, there) = placement.pair();
        let meeting = self.meeting(&["ping", "pong"])?;
        let payload = self.payload;
        let parts = match self.naming {
            Naming::Channel => {
                let (ping_tx, ping_rx) = self.options().channel()?;
                let (pong_tx, pong_rx) = self.options().channel()?;
                vec![
                    Part::with(here, (ping_tx, pong_rx), move |(tx, rx)| {
                        ping(&mut Ours(tx), &mut Ours(rx), payload, budget)
                    }),
                    Part::with(there, (pong_tx, ping_rx), move |(tx, rx)| {
                        pong(&mut Ours(tx), &mut Ours(rx), payload)
                    }),
                ]
            }
            naming => {
                let (way, other_way) = (meeting.way(), meeting.way());
                vec![
                    Part::new(here, move || {
                        let (mut tx, mut rx, _me) = meet(naming, &way, "ping", "pong")?;
                        ping(&mut tx, &mut rx, payload, budget)
                    }),
                    Part::new(there, move || {
                        let (mut tx, mut rx, _me) = meet(naming, &other_way, "pong", "ping")?;
                        pong(&mut tx, &mut rx, payload)
                    }),
                ]
            }
        };
        Ok((parts, meeting))
    }

    /// Producers that send for `budget` nanoseconds, and consumers.
    pub fn stream(&self, placement: &Placement, budget: u64, close: Close) -> Outcome<Staged> {
        let Subject { payload, naming, producers, consumers, .. } = *self;
        let meeting = self.meeting(&["stream"])?;
        let close = match naming {
            // Each link ends by itself.
            Naming::Direct => Close { last: 0, stops: 1, ..close },
            _ => Close { last: producers.into(), stops: consumers, ..close },
        };
        let (mut tx, mut rx) = match naming {
            Naming::Channel => {
                let (tx, rx) = self.options().channel()?;
                (several(tx, producers), several(rx, consumers))
            }
            _ => (Vec::new(), Vec::new()),
        };
        let mut parts = Vec::new();
        for index in 0..consumers {
            let way = meeting.way();
            let body = move |given: Option<_>| match naming {
                Naming::Channel => consume(&mut Ours(given.ok_or(NO_END)?), payload, 1),
                Naming::Direct => {
                    let me = way.join("consumer")?;
                    consume_links(&me, producers, payload)
                }
                Naming::Mailbox => {
                    let me = way.join(&format!("consumer-{index}"))?;
                    let rx = me.open_mailbox::<Bytes>("stream")?.receiver()?;
                    consume(&mut Ours(rx), payload, 1)
                }
            };
            parts.push(Part::with(placement.of(index), rx.pop(), body));
        }
        for index in 0..producers {
            let (way, close) = (meeting.way(), close.clone());
            let me = move || way.join(&producer(index));
            let body = move |given: Option<_>| match naming {
                Naming::Channel => {
                    produce(&mut Ours(given.ok_or(NO_END)?), payload, budget, &close)
                }
                Naming::Direct => {
                    let me = me()?;
                    let tx = me.sender_to::<Bytes>("consumer")?;
                    produce(&mut Ours(tx), payload, budget, &close)
                }
                Naming::Mailbox => {
                    let me = me()?;
                    let tx = me.open_mailbox::<Bytes>("stream")?.sender()?;
                    produce(&mut Ours(tx), payload, budget, &close)
                }
            };
            parts.push(Part::with(placement.of(consumers + index), tx.pop(), body));
        }
        Ok((parts, meeting))
    }
}

fn producer(index: u32) -> String {
    format!("producer-{index}")
}

/// The end itself where one is enough: some channels refuse a second one.
fn several<E: Clone>(end: E, count: u32) -> Vec<E> {
    let mut ends = vec![end];
    while ends.len() < count as usize {
        ends.push(ends[0].clone());
    }
    ends
}

type Ends = (Ours<Sender<Bytes>>, Ours<Receiver<Bytes>>, Process);

/// Both directions between two names, and the membership on which they rest.
fn meet(naming: Naming, way: &Way, own: &str, other: &str) -> Outcome<Ends> {
    let me = way.join(own)?;
    let (tx, rx) = if naming == Naming::Direct {
        (me.sender_to(other)?, me.receiver_from(other)?)
    } else {
        (me.open_mailbox(other)?.sender()?, me.open_mailbox(own)?.receiver()?)
    };
    Ok((Ours(tx), Ours(rx), me))
}

/// An end of ours.
pub struct Ours<E>(pub E);

/// As many ends were made as there are processes; a process without one says so.
const NO_END: &str = "no end was passed on";

impl Sending for Ours<Sender<Bytes>> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        Ok(self.0.send(message)?)
    }
}

impl Receiving for Ours<Receiver<Bytes>> {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        self.0.receive_into(buffer)?;
        Ok(())
    }
}

/// Several links of one receiver: whichever has something.
struct Links<'r>(Select<'r, Bytes>);

impl Receiving for Links<'_> {
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        loop {
            match self.0.receive() {
                // It has stopped before, and leaves while others send.
                Err(error) if error.disconnected().is_some() && !self.0.is_empty() => {}
                received => {
                    buffer.clear();
                    buffer.extend_from_slice(&received?.1);
                    return Ok(());
                }
            }
        }
    }
}

/// Takes from every producer's link.
fn consume_links(me: &Process, producers: u32, payload: usize) -> Outcome<Figures> {
    let links = (0..producers).map(|index| me.receiver_from(&producer(index)));
    let links = links.collect::<Result<Vec<Receiver<Bytes>>, _>>()?;
    match <[Receiver<Bytes>; 1]>::try_from(links) {
        Ok([link]) => consume(&mut Ours(link), payload, 1),
        Err(links) => {
            let mut select = Select::new()?;
            for link in &links {
                select.add(link)?;
            }
            consume(&mut Links(select), payload, producers)
        }
    }
}
