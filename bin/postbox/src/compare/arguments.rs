//! What to compare.

use super::naming::Naming;
use postbox::{Capacity, Mechanism};
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::Ending;
use postbox_program::records::Framing;
use std::path::PathBuf;
use std::str::FromStr;

/// Lies within what every mechanism's kernel object holds (a POSIX queue: 10 messages), so that it
/// is the kernel object that is measured.
const DEFAULT_CAPACITY: Capacity = Capacity::Bounded(8);

/// Columns and units, for `--help`.
const COLUMNS: &str = "\
Columns:
  naming       how the two sides come together: ends passed on by a common parent (channel),
               unrelated programs that name each other (direct; one consumer), or that name a
               mailbox (mailbox)
  capacity     messages that may wait: 0 (the two sides meet), a number, or unbounded
  P×M          producer and consumer processes
  bytes        of the records alone, without line ends and headers
  seconds      from the start signal, given when all processes are ready, until the last
               consumer has drained the channel
  MB/s         10^6 bytes per second
  p50, p99     latency of the median message and of the slowest hundredth, in microseconds: from
               the moment the sender calls send until the receiver holds the message; waiting
               for room counts
  CPU s        user and system time of all producers and consumers in those seconds
  waits        how often a process went to sleep
  spilled      messages that went through shared memory beside the mechanism: larger than one
               entry of the kernel object, or more than it holds
  verified     count, order per sender and content are those of the file
  taken by     with --deliver: which consumer took how many, as the senders' receipts say

The row `buffer` is the textbook's shared buffer: one producer, one consumer, both busy waiting;
a record above 4 KiB takes several of its items, of which it holds --capacity. It knows no names and
no receipts, and has a number for its capacity: asked for more, it is left out, or refused where
--mechanism names it.
Line ends are no part of a record; a carriage return before one is. Producer p of P sends the
records i with i mod P = p. --json has seconds, nanoseconds (p50_ns, p99_ns) and bytes.";

/// The arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{COLUMNS}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// The file whose records are sent; - for standard input
    pub file: PathBuf,
    /// pipe, socket, mqueue, shm or buffer; may be repeated [default: all]
    #[arg(long = "mechanism", value_name = "NAME")]
    mechanisms: Vec<Choice>,
    /// 0, a number of messages, or unbounded; may be repeated [default: 8]
    #[arg(long = "capacity", value_name = "0|N|unbounded", allow_hyphen_values = true)]
    capacities: Vec<Capacity>,
    /// channel, direct or mailbox; may be repeated [default: all that apply]
    #[arg(long = "naming", value_name = "NAME", value_enum)]
    namings: Vec<Naming>,
    /// How many processes send
    #[arg(long, value_name = "P", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=128))]
    producers: u32,
    /// How many processes receive
    #[arg(long, value_name = "M", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=128))]
    consumers: u32,
    /// How the file is cut into records: every line, the whole file, every N bytes, or each after
    /// its length (4 bytes, the lowest first)
    #[arg(long, value_name = "lines|whole|bytes:N|prefixed", default_value_t = Framing::Lines)]
    pub records: Framing,
    /// Send the file that many times
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Send synchronously: each send waits for the receipt that says who took the message
    #[arg(long)]
    deliver: bool,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    pub json: bool,
}

/// What can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Channel(Mechanism),
    Buffer,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match (name, name.parse()) {
            ("buffer", _) => Ok(Choice::Buffer),
            (_, Ok(mechanism)) => Ok(Choice::Channel(mechanism)),
            (_, Err(_)) => Err("choose pipe, socket, mqueue, shm or buffer".into()),
        }
    }
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Manner {
    /// `send`: returns when the channel holds the message.
    Send,
    /// `deliver`: returns with the receipt of whoever took it.
    Deliver,
}

/// One row to be run.
#[derive(Debug, Clone, Copy)]
pub struct Contest {
    /// What carries the messages.
    pub carrier: Carrier,
    /// How the two sides come together.
    pub naming: Naming,
    /// Processes that send.
    pub producers: u32,
    /// Processes that receive.
    pub consumers: u32,
    /// How messages are sent.
    pub manner: Manner,
}

/// What carries the messages of a row.
#[derive(Debug, Clone, Copy)]
pub enum Carrier {
    /// A channel over that mechanism, with that capacity.
    Channel(Mechanism, Capacity),
    /// The textbook's shared buffer, of so many items.
    Buffer(u32),
}

impl Contest {
    /// `pipe`, `socket`, `mqueue`, `shm` or `buffer`.
    pub fn mechanism(&self) -> String {
        match self.carrier {
            Carrier::Channel(mechanism, _) => mechanism.to_string(),
            Carrier::Buffer(_) => "buffer".to_owned(),
        }
    }

    /// `0`, a number or `unbounded`.
    pub fn capacity(&self) -> String {
        match self.carrier {
            Carrier::Channel(_, capacity) => capacity.to_string(),
            Carrier::Buffer(items) => items.to_string(),
        }
    }
}

impl Arguments {
    /// The rows, in the order in which they are run and shown.
    ///
    /// # Errors
    ///
    /// Bad input: what was asked for does not apply.
    pub fn contests(&self) -> Result<Vec<Contest>, Ending> {
        let (producers, consumers) = (self.producers, self.consumers);
        let manner = if self.deliver { Manner::Deliver } else { Manner::Send };
        let mut capacities = self.capacities.clone();
        if capacities.is_empty() {
            capacities.push(DEFAULT_CAPACITY);
        }
        let chosen = |choice| self.mechanisms.is_empty() || self.mechanisms.contains(&choice);
        let namings = self.namings()?;
        let mut contests = Vec::new();
        for mechanism in Mechanism::ALL.into_iter().filter(|&m| chosen(Choice::Channel(m))) {
            for &capacity in &capacities {
                let carrier = Carrier::Channel(mechanism, capacity);
                for &naming in &namings {
                    contests.push(Contest { carrier, naming, producers, consumers, manner });
                }
            }
        }
        if self.mechanisms.contains(&Choice::Buffer)
            && let Some(reason) = self.beyond_a_buffer(&capacities, &namings)
        {
            return Err(Ending::BadInput(format!("a shared buffer {reason}")));
        }
        if chosen(Choice::Buffer) && self.beyond_a_buffer(&[], &namings).is_none() {
            for items in capacities.iter().copied().filter_map(items) {
                let (carrier, naming) = (Carrier::Buffer(items), Naming::Channel);
                contests.push(Contest { carrier, naming, producers, consumers, manner });
            }
        }
        Ok(contests)
    }

    /// Why the shared buffer cannot do all that was asked for, and what to ask for.
    fn beyond_a_buffer(&self, capacities: &[Capacity], namings: &[Naming]) -> Option<&'static str> {
        if !namings.contains(&Naming::Channel) {
            return Some("has no name: add --naming channel, or leave it out");
        }
        if self.producers > 1 || self.consumers > 1 {
            return Some(
                "has one producer and one consumer: take --producers 1 and --consumers 1, or \
                 another --mechanism",
            );
        }
        if self.deliver {
            return Some("knows no receipts: leave --deliver out, or take another --mechanism");
        }
        let all = capacities.iter().copied().all(|capacity| items(capacity).is_some());
        (!all).then_some("holds a number of items: take --capacity 1 or more")
    }

    /// The ways to come together that apply; a link has one receiver.
    fn namings(&self) -> Result<Vec<Naming>, Ending> {
        let applies = |naming: &Naming| *naming != Naming::Direct || self.consumers == 1;
        if self.namings.is_empty() {
            return Ok(Naming::ALL.into_iter().filter(applies).collect());
        }
        if !self.namings.iter().all(applies) {
            let remedy = "take --consumers 1, or another --naming";
            return Err(Ending::BadInput(format!("a link has one receiver: {remedy}")));
        }
        Ok(Naming::ALL.into_iter().filter(|naming| self.namings.contains(naming)).collect())
    }
}

/// How many items a shared buffer of that capacity holds; none if there can be none.
fn items(capacity: Capacity) -> Option<u32> {
    match capacity {
        Capacity::Bounded(items) => Some(items),
        _ => None,
    }
}
