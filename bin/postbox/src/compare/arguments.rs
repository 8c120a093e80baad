//! What to compare.

use super::chunks;
use super::records::{Cut, RECORD_LIMIT};
use crate::command_line::EXIT_CODES;
use postbox::{Capacity, Mechanism};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Lies within what every mechanism's kernel object holds (a POSIX queue: 10 messages), so that it
/// is the kernel object that is measured.
const DEFAULT_CAPACITY: Capacity = Capacity::Bounded(8);

/// Columns and units, for `--help`.
const COLUMNS: &str = "\
Columns:
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
a record above 4 KiB takes several of its items.
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
    /// How many processes send
    #[arg(long, value_name = "P", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=128))]
    producers: u32,
    /// How many processes receive
    #[arg(long, value_name = "M", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=128))]
    consumers: u32,
    /// How the file is cut into records: every line, the whole file, or every N bytes
    #[arg(long, value_name = "lines|whole|bytes:N", default_value_t = Cut::Lines)]
    pub records: Cut,
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
    /// The textbook's shared buffer.
    Buffer,
}

impl Contest {
    /// `pipe`, `socket`, `mqueue`, `shm` or `buffer`.
    pub fn mechanism(&self) -> String {
        match self.carrier {
            Carrier::Channel(mechanism, _) => mechanism.to_string(),
            Carrier::Buffer => "buffer".to_owned(),
        }
    }

    /// `0`, a number or `unbounded`.
    pub fn capacity(&self) -> String {
        match self.carrier {
            Carrier::Channel(_, capacity) => capacity.to_string(),
            Carrier::Buffer => (chunks::BUFFER_SIZE - 1).to_string(),
        }
    }
}

impl Arguments {
    /// The rows, in the order in which they are run and shown.
    pub fn contests(&self) -> Vec<Contest> {
        let (producers, consumers) = (self.producers, self.consumers);
        let manner = if self.deliver { Manner::Deliver } else { Manner::Send };
        let mut capacities = self.capacities.clone();
        if capacities.is_empty() {
            capacities.push(DEFAULT_CAPACITY);
        }
        let chosen = |choice| self.mechanisms.is_empty() || self.mechanisms.contains(&choice);
        let mut contests = Vec::new();
        for mechanism in Mechanism::ALL.into_iter().filter(|&m| chosen(Choice::Channel(m))) {
            for &capacity in &capacities {
                let carrier = Carrier::Channel(mechanism, capacity);
                contests.push(Contest { carrier, producers, consumers, manner });
            }
        }
        if chosen(Choice::Buffer) {
            // One of each is all that it can do, and it knows no receipts.
            let manner = Manner::Send;
            contests.push(Contest { carrier: Carrier::Buffer, producers: 1, consumers: 1, manner });
        }
        contests
    }
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lines" => Ok(Cut::Lines),
            "whole" => Ok(Cut::Whole),
            _ => text
                .strip_prefix("bytes:")
                .and_then(|number| number.parse().ok())
                .filter(|bytes| (1..=RECORD_LIMIT).contains(bytes))
                .map(Cut::Bytes)
                .ok_or_else(|| {
                    format!("choose lines, whole, or bytes:N with N from 1 to {RECORD_LIMIT}")
                }),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Lines => f.write_str("lines"),
            Cut::Whole => f.write_str("whole"),
            Cut::Bytes(bytes) => write!(f, "bytes:{bytes}"),
        }
    }
}
