//! What to measure.

use super::placement::Cores;
use postbox::{Capacity, Mechanism, WaitStrategy};
use postbox_program::command_line::EXIT_CODES;
use std::path::PathBuf;
use std::str::FromStr;

/// What is measured and how, for `--help`.
const METHOD: &str = "\
What a row says:
  latency      one way of a message in nanoseconds: half of a round trip between two processes.
               p50, p99 and p99.9 are of all single trips; the value is the mean of a round
  throughput   messages per second between processes that do nothing else
  value        the median of the rounds, and the spread from the lowest to the highest
  ratio        the median of ours divided by the reference, round by round: below 1 is better for
               latency, above 1 for throughput
  line         one way of a cache line between the two cores, PAUSE in the loop, as probed before
               and after every round. Virtual machines move their cores: a case in which the probe
               changed by more than 40 % is repeated, twice at most, and then marked `moved`

References take turns with ours, with the same payload, depth and cores: bare loops of the same
system calls (a pipe in packet mode; 1 MiB of pipe for what no packet, socket or queue holds), the
cache line, hand-written rings in shared memory, and two processes that copy with nothing between
them. The copying ring counts only where it reaches 0.9 of rtrb between threads in the same run.
Each message is copied in and out, so each of its bytes is written and read.

With --targets a row is one thing to reach. `wanted` is where its ratio is to lie, or its value where
nothing is measured beside it; a row without it is shown for comparison. `met` if the median lies
there, and with > or < if every round does; `within the spread` if one round does, `not met`, or
`not measured`, with the reason below.
All of them run with two processes, adaptive waiting and different cores unless they say otherwise:
ping-pong over kernel objects with sides that never spin, on one core (block-same) and on two
(block-apart), and by default on one (adaptive-same); batches of 64; what a synchronous send takes;
links of which one is busy; processes that only wait. No verdict changes the exit code.

Peers are other libraries, each in a program that --peers finds (scripts/peers.sh builds some;
bin/peers/README.md says what a program has to answer). They take turns with ours in shared memory,
or in what --mechanism names without it, where there is one producer and one consumer; their
processes are pinned to the same cores. In a peer's row the reference is ours, and the ratio is ours
divided by the peer, as in all rows. What a peer refuses is noted. One that dies, hangs or talks
nonsense is left out of that case, and after the second time out of all others; then the exit code
is 1.

--json prints an array of objects, one for each reference of a case: subject, metric, payload
(bytes), value, unit, reference, ratio, and more; for targets also name, target and met.";

/// The arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{METHOD}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// Fewer cases and shorter rounds: done within a minute
    #[arg(long)]
    pub quick: bool,
    /// latency or throughput; may be repeated [default: both]
    #[arg(long = "metric", value_name = "NAME", value_enum, value_delimiter = ',')]
    pub metrics: Vec<Metric>,
    /// pipe, socket, mqueue or shm; may be repeated [default: all]
    #[arg(long = "mechanism", value_name = "NAME", value_delimiter = ',')]
    pub mechanisms: Vec<Mechanism>,
    /// Bytes of a message, such as 64,4K,1M; 8 to 16M [default: 8,64,512,4K,64K,1M,16M; with
    /// --quick 64,4K,1M]
    #[arg(long = "payload", value_name = "BYTES", value_delimiter = ',')]
    pub payloads: Vec<Payload>,
    /// channel, direct or mailbox; may be repeated [default: channel]
    #[arg(long = "naming", value_name = "NAME", value_enum, value_delimiter = ',')]
    pub namings: Vec<Naming>,
    /// Messages that may wait: 0, a number, or unbounded; may be repeated [default: what the kernel
    /// object holds; 4 to 256 in shared memory, by payload]
    #[arg(
        long = "capacity",
        value_name = "0|N|unbounded",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub capacities: Vec<Capacity>,
    /// What ends do before they sleep: spin, adaptive or block; may be repeated [default: adaptive]
    #[arg(long = "wait", value_name = "NAME", value_enum, value_delimiter = ',')]
    pub waits: Vec<Waiting>,
    /// Processes that send, for throughput; may be a list [default: 1, and at 64 bytes 2 and 4, too]
    #[arg(long, value_name = "P", value_delimiter = ',', allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub producers: Vec<u32>,
    /// Processes that receive, for throughput
    #[arg(long, value_name = "M", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub consumers: u32,
    /// Whether both sides share a core [default: different, where there are two]
    #[arg(long, value_name = "WHICH", value_enum)]
    pub cores: Option<Cores>,
    /// Measure what Postbox is to reach, each beside what it is to be measured against, and say
    /// whether it does; some ten minutes, with --quick one, with --peers some five more
    #[arg(long, conflicts_with_all = [
        "metrics", "mechanisms", "payloads", "namings", "capacities", "waits", "producers",
        "consumers", "cores",
    ])]
    pub targets: bool,
    /// Of the targets those of that group or name; may be repeated [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "targets")]
    pub only: Vec<String>,
    /// How often each case is measured [default: 7; with --quick 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Measure other libraries beside ours: a directory with programs called postbox-peer-NAME, or
    /// one such program by whatever name; may be repeated
    #[arg(long, value_name = "PATH")]
    pub peers: Vec<PathBuf>,
    /// Seconds after which a peer's program that has not answered counts as hung
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub peer_patience: u64,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    pub json: bool,
    /// Write a report with plots, too: one file that needs no other
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the table of the targets in Markdown, too
    #[arg(long, value_name = "FILE", requires = "targets")]
    pub markdown: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Metric {
    /// One way of a message
    Latency,
    /// Messages in a second
    Throughput,
}

impl Metric {
    /// `latency` or `throughput`.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Latency => "latency",
            Metric::Throughput => "throughput",
        }
    }

    /// Of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::Latency => "ns",
            Metric::Throughput => "messages/s",
        }
    }
}

/// How the two sides come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Naming {
    /// Ends are passed on from parent to child
    Channel,
    /// Processes name each other
    Direct,
    /// Processes name a mailbox
    Mailbox,
}

impl Naming {
    /// `channel`, `direct` or `mailbox`.
    pub fn name(self) -> &'static str {
        match self {
            Naming::Channel => "channel",
            Naming::Direct => "direct",
            Naming::Mailbox => "mailbox",
        }
    }
}

/// What ends do before they sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Waiting {
    /// Never sleep
    Spin,
    /// Spin while that pays
    Adaptive,
    /// Give one turn away where that pays, then sleep
    Block,
}

impl From<Waiting> for WaitStrategy {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting::Spin => WaitStrategy::Spin,
            Waiting::Adaptive => WaitStrategy::Adaptive,
            Waiting::Block => WaitStrategy::Block,
        }
    }
}

/// Bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload(pub usize);

impl Payload {
    const LEAST: usize = 8;
    const MOST: usize = 16 << 20;
}

impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, shift) = match text.strip_suffix(['K', 'k']) {
            Some(digits) => (digits, 10),
            None => match text.strip_suffix(['M', 'm']) {
                Some(digits) => (digits, 20),
                None => (text, 0),
            },
        };
        let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
        bytes
            .filter(|bytes| (Payload::LEAST..=Payload::MOST).contains(bytes))
            .map(Payload)
            .ok_or_else(|| "give bytes from 8 to 16M, such as 64, 4K or 1M".into())
    }
}

/// Bytes as people write them: 64, 4K, 1M.
pub fn bytes(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{}K", bytes >> 10),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_bytes_kibibytes_or_mebibytes() {
        for (text, expected) in [("8", 8), ("4K", 4096), ("1m", 1 << 20), ("16M", 16 << 20)] {
            assert_eq!(text.parse(), Ok(Payload(expected)));
        }
        for text in ["", "7", "K", "17M", "-1", "1G", "18446744073709551615K", "4 K"] {
            text.parse::<Payload>().unwrap_err();
        }
        assert_eq!([64, 4096, 1 << 20, 1000].map(bytes), ["64", "4K", "1M", "1000"]);
    }
}
