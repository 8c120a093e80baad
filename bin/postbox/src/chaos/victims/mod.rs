//! The victims: processes that send and receive at random, and write down what comes of it.
//!
//! A victim's standard output is the pipe for its notes, its standard input the one for orders. What
//! it does next comes from its own part of the seed.

mod consumer;
mod ends;
mod producer;

use super::naming::{Naming, Outcome, Way};
use super::note::{Call, Note, Refusal, Scribe};
use crate::NAME;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use postbox::{Keeper, Ownership, Wait, WhenIdle};
use postbox_program::ending::complain;
use postbox_program::stop::ignore_interrupts;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The name under which a victim finds its end of a channel.
pub const DATA: &str = "data";

/// The arguments of a victim.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Part,
}

/// What a victim does.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Sends.
    Producer(Cast),
    /// Receives.
    Consumer(Cast),
    /// Owns the mailbox.
    Owner {
        #[command(flatten)]
        way: Way,
    },
}

/// Who a victim is.
#[derive(Debug, Clone, clap::Args)]
pub struct Cast {
    /// No other of the run has it.
    #[arg(long)]
    pub number: u32,
    /// Its place among those of its kind.
    #[arg(long)]
    pub place: u8,
    /// How many of the other kind there are.
    #[arg(long)]
    pub partners: u8,
    /// What its doings come from.
    #[arg(long)]
    pub seed: u64,
    /// After so many calls it clones its end, after as many more it lets one of the two go, and so on.
    #[arg(long)]
    pub clones_every: Option<u32>,
    #[command(flatten)]
    pub way: Way,
}

/// What the ledger orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To do nothing until the next order.
    Rest,
    /// To go on.
    Go,
    /// To fill the link to the consumer of that place, and say how many went in.
    Count(u8),
}

impl Order {
    /// As one byte.
    pub fn byte(self) -> u8 {
        match self {
            Order::Rest => 0xff,
            Order::Go => 0xfe,
            Order::Count(place) => place,
        }
    }

    fn parse(byte: u8) -> Self {
        match byte {
            0xff => Order::Rest,
            0xfe => Order::Go,
            place => Order::Count(place),
        }
    }
}

/// The `main` of a victim.
pub fn work(arguments: &Arguments) -> ExitCode {
    let mut desk = match prepare().and_then(|()| Desk::of_standard_streams()) {
        Ok(desk) => desk,
        Err(error) => {
            complain(NAME, &format!("a victim is started by chaos, not by hand: {error}"));
            return ExitCode::from(2);
        }
    };
    let outcome = match &arguments.part {
        Part::Producer(cast) => producer::run(cast, &mut desk),
        Part::Consumer(cast) => consumer::run(cast, &mut desk),
        Part::Owner { way } => own(way, &mut desk),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody left to read it, nobody minds.
            let _ = desk.scribe.fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Ends with the ledger, and not before.
fn prepare() -> Outcome<()> {
    ignore_interrupts()?;
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// Owns the mailbox until it is killed.
fn own(way: &Way, desk: &mut Desk) -> Outcome<()> {
    if way.naming == Naming::Keeper {
        let keeper = Keeper::start(&way.domain()?, WhenIdle::Stay)?;
        desk.say(&Note::Ready)?;
        return Ok(keeper.run(&Wait::forever())?);
    }
    let me = way.join("owner")?;
    let _mailbox = way.create(&me, Ownership::Process)?;
    desk.say(&Note::Ready)?;
    while desk.next_order()?.is_some() {}
    Ok(())
}

/// Where a victim gets its orders and writes its notes.
#[derive(Debug)]
pub struct Desk {
    orders: File,
    scribe: Scribe,
}

impl Desk {
    fn of_standard_streams() -> Outcome<Self> {
        let orders = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let notes = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Desk { orders, scribe: Scribe::new(notes) })
    }

    /// Notes what a call has done, to be written together with what comes next.
    pub fn note(&mut self, note: &Note) -> Outcome<()> {
        Ok(self.scribe.note(note)?)
    }

    /// Notes that, and writes all.
    pub fn say(&mut self, note: &Note) -> Outcome<()> {
        self.scribe.note(note)?;
        Ok(self.scribe.write()?)
    }

    /// Writes what was noted.
    pub fn flush(&mut self) -> Outcome<()> {
        Ok(self.scribe.write()?)
    }

    /// An order that has come.
    pub fn order(&mut self) -> Outcome<Option<Order>> {
        let mut polled = [PollFd::new(self.orders.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::ZERO)? {
            0 => Ok(None),
            _ => self.next_order(),
        }
    }

    /// Waits for an order; none: there will be no more.
    pub fn next_order(&mut self) -> Outcome<Option<Order>> {
        let mut byte = [0];
        let read = self.orders.read(&mut byte)?;
        Ok((read > 0).then_some(Order::parse(byte[0])))
    }
}

/// The kinds of calls among which a victim chooses, each as often as it is weighed.
fn choose(rng: &mut fastrand::Rng, calls: &[(Call, u32)]) -> Call {
    let all: u32 = calls.iter().map(|(_, weight)| weight).sum();
    let mut at = rng.u32(..all);
    for &(call, weight) in calls {
        if at < weight {
            return call;
        }
        at -= weight;
    }
    calls[0].0
}

/// Whether whoever is refused like that has nothing more to do.
fn is_the_end(refusal: Option<Refusal>, naming: Naming) -> bool {
    match refusal {
        Some(Refusal::Destroyed) => true,
        Some(Refusal::Disconnected) => naming != Naming::Direct,
        _ => false,
    }
}
