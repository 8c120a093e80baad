//! A number of messages between two processes, and nothing else: for those who count what the
//! processes do meanwhile, such as `scripts/calls.sh` its system calls.

use super::crew::{Part, Trouble, run_within};
use super::ends::{Outcome, Receiving, Sending, message};
use super::figures::Figures;
use super::placement::{Cores, Placement};
use super::plan;
use super::references::bare::{Bare, Taking};
use super::subjects::{Made, Ours, Subject};
use crate::bench::arguments::{Naming, Payload, Waiting};
use crate::shrinkage::room;
use postbox::{Bytes, Capacity, Mechanism, Receiver, Sender};
use postbox_program::ending::Ending;
use postbox_program::stop::Stop;
use std::time::Duration;

/// The arguments of `exchange`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What carries the messages
    mechanism: Mechanism,
    /// By whom
    #[arg(value_enum)]
    by: By,
    /// In which order
    #[arg(value_enum)]
    shape: Shape,
    /// How many there and, in a ping-pong, back
    messages: u64,
    /// What ends of ours do before they sleep
    #[arg(long, value_enum, default_value_t = Waiting::Adaptive)]
    wait: Waiting,
    /// Bytes of a message
    #[arg(long, default_value = "64")]
    payload: Payload,
    /// Whether both sides share a core
    #[arg(long, value_enum)]
    cores: Option<Cores>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Postbox
    Ours,
    /// A loop of calls that block
    Bare,
    /// A loop that polls, then takes
    Polled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// As fast as it goes
    Stream,
    /// 64 to a call, as fast as it goes
    Batch,
    /// One there, one back
    PingPong,
}

/// Whoever counts may slow both sides down, and asks for as many messages as suits.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Messages of one call in a batch.
const BATCH: u64 = 64;
/// Room for batches: both sides can be in the middle of one.
const BATCHED: Capacity = Capacity::Bounded(256);

/// Exchanges them.
pub fn run_exchange(arguments: &Arguments) -> Ending {
    exchange(arguments).err().unwrap_or(Ending::Done)
}

fn exchange(arguments: &Arguments) -> Result<(), Ending> {
    let batch = arguments.shape == Shape::Batch;
    if batch && arguments.by != By::Ours {
        let reason = "a bare loop makes a call for each message: take stream for it";
        return Err(Ending::BadInput(reason.into()));
    }
    let placement = Placement::find(arguments.cores)?;
    let stop = Stop::install()?;
    let failed = |error: Box<dyn std::error::Error>| Ending::Failure(error.to_string());
    let asked = batch.then_some(BATCHED);
    let payload = arguments.payload.0;
    let (capacity, depth) = plan::depth(arguments.mechanism, payload, asked).map_err(failed)?;
    let subject = Subject {
        mechanism: arguments.mechanism,
        naming: Naming::Channel,
        capacity,
        wait: arguments.wait.into(),
        payload,
        producers: 1,
        consumers: 1,
        made: Made::Fitted,
    };
    let cpus = placement.pair();
    let parts = match arguments.by {
        By::Ours => ours(arguments, &subject, cpus),
        By::Bare => bare(arguments, depth, Taking::Blocking, cpus),
        By::Polled => bare(arguments, depth, Taking::Polled, cpus),
    };
    match run_within(PATIENCE, parts.map_err(failed)?, &stop) {
        Ok(_) => Ok(()),
        Err(Trouble::Stopped) => Err(Ending::Silent(stop.code().unwrap_or(1))),
        Err(Trouble::Failed(reason)) => Err(Ending::Failure(reason)),
    }
}

fn ours(
    arguments: &Arguments,
    subject: &Subject,
    (here, there): (usize, usize),
) -> Outcome<Vec<Part<'static>>> {
    let (messages, payload) = (arguments.messages, subject.payload);
    let (tx, rx) = subject.options().channel::<Bytes>()?;
    Ok(match arguments.shape {
        Shape::Stream => vec![
            Part::with(here, rx, move |rx| take(&mut Ours(rx), payload, messages)),
            Part::with(there, tx, move |tx| give(&mut Ours(tx), payload, messages)),
        ],
        Shape::Batch => vec![
            Part::with(here, rx, move |rx| take_batches(&rx, messages)),
            Part::with(there, tx, move |tx| give_batches(&tx, payload, messages)),
        ],
        Shape::PingPong => {
            let (back_tx, back_rx) = subject.options().channel::<Bytes>()?;
            vec![
                Part::with(here, (tx, back_rx), move |(tx, rx)| {
                    serve(&mut Ours(tx), &mut Ours(rx), payload, messages)
                }),
                Part::with(there, (back_tx, rx), move |(tx, rx)| {
                    answer(&mut Ours(tx), &mut Ours(rx), payload, messages)
                }),
            ]
        }
    })
}

fn bare(
    arguments: &Arguments,
    depth: Option<u32>,
    taking: Taking,
    (here, there): (usize, usize),
) -> Outcome<Vec<Part<'static>>> {
    let (messages, payload) = (arguments.messages, arguments.payload.0);
    let object = || Bare::create(arguments.mechanism, payload, depth)?.sides(taking);
    let (mut tx, mut rx) = object()?;
    if arguments.shape == Shape::Stream {
        return Ok(vec![
            Part::new(here, move || take(&mut rx, payload, messages)),
            Part::new(there, move || give(&mut tx, payload, messages)),
        ]);
    }
    let (mut back_tx, mut back_rx) = object()?;
    Ok(vec![
        Part::new(here, move || serve(&mut tx, &mut back_rx, payload, messages)),
        Part::new(there, move || answer(&mut back_tx, &mut rx, payload, messages)),
    ])
}

fn give(tx: &mut impl Sending, payload: usize, messages: u64) -> Outcome<Figures> {
    let message = message(payload)?;
    (0..messages).try_for_each(|_| tx.send(&message))?;
    Ok(Figures::Done)
}

fn take(rx: &mut impl Receiving, payload: usize, messages: u64) -> Outcome<Figures> {
    let mut buffer = room(payload)?;
    (0..messages).try_for_each(|_| rx.receive(&mut buffer))?;
    Ok(Figures::Done)
}

fn give_batches(tx: &Sender<Bytes>, payload: usize, messages: u64) -> Outcome<Figures> {
    let message = message(payload)?;
    let mut left = messages;
    while left > 0 {
        let batch = left.min(BATCH);
        tx.send_batch(std::iter::repeat_n(&message[..], batch as usize))?;
        left -= batch;
    }
    Ok(Figures::Done)
}

fn take_batches(rx: &Receiver<Bytes>, messages: u64) -> Outcome<Figures> {
    let mut left = messages;
    while left > 0 {
        left -= rx.receive_batch(left.min(BATCH) as usize)?.len() as u64;
    }
    Ok(Figures::Done)
}

fn serve(
    tx: &mut impl Sending,
    rx: &mut impl Receiving,
    payload: usize,
    messages: u64,
) -> Outcome<Figures> {
    let message = message(payload)?;
    let mut buffer = room(payload)?;
    for _ in 0..messages {
        tx.send(&message)?;
        rx.receive(&mut buffer)?;
    }
    Ok(Figures::Done)
}

fn answer(
    tx: &mut impl Sending,
    rx: &mut impl Receiving,
    payload: usize,
    messages: u64,
) -> Outcome<Figures> {
    let mut buffer = room(payload)?;
    for _ in 0..messages {
        rx.receive(&mut buffer)?;
        tx.send(&buffer[..payload])?;
    }
    Ok(Figures::Done)
}
