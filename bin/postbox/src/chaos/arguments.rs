//! What to do to whom.

use super::naming::Naming;
use super::setting::Setting;
use postbox::{Capacity, Mechanism, Policy};
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::Ending;
use std::fmt::Write;
use std::time::Duration;

/// One that is met all the time, one that the kernel objects hold, one beyond a POSIX queue, and
/// the two that are none.
const DEFAULT_CAPACITIES: [Capacity; 4] =
    [Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Zero, Capacity::Unbounded];
/// Processes of either side.
const PROCESSES: u8 = 4;
/// The shortest round: less is hardly one.
const LEAST: Duration = Duration::from_millis(50);

/// Columns and rules, for `--help`.
const COLUMNS: &str = "\
Each row is one mechanism under one naming: processes send and receive in every way there is, and are
killed (SIGKILL) and stopped (SIGSTOP) at random moments, and started again. A ledger outside
compares what they wrote down. After every 5 s all is drained, and what is missing and how much
room there is are counted. In the end all of one side, or the mailbox's owner or keeper, are killed
at once, and the others have to be told. --seconds are those of traffic per mechanism; its
namings, and their capacities, share them.

Columns:
  naming       channel: ends are passed on by a common parent; pair: one sends and one receives, until
               one is killed and the next pair comes, and some clone their end meanwhile; direct:
               processes name each other; mailbox: one of them owns a mailbox; keeper: it belongs to
               a keeper
  messages     that were received
  repairs      of room after a death, as the channels counted them (links and pairs do not tell;
               shared memory needs none)
  losses       messages that killed receivers had taken (or, direct: that waited in the link that
  explained    ended with them); --json names each, and who can have had it
  longest wait the longest in which work was possible, less what the machine starved everybody; the
               contract allows 200 ms
  verdict      kept, or VIOLATED: then the first violation is told, and how to repeat it

The rules in full are in docs/faults.md.";

/// The arguments of `chaos`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{COLUMNS}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// pipe, socket, mqueue or shm; may be repeated [default: all]
    #[arg(long = "mechanism", value_name = "NAME")]
    mechanisms: Vec<Mechanism>,
    /// channel, pair, direct, mailbox or keeper; may be repeated [default: all]
    #[arg(long = "naming", value_name = "NAME", value_enum, hide_possible_values = true)]
    namings: Vec<Naming>,
    /// 0, a number of messages, or unbounded; may be repeated [default: 1, 64, 0 and unbounded]
    #[arg(long = "capacity", value_name = "0|N|unbounded", allow_hyphen_values = true)]
    capacities: Vec<Capacity>,
    /// Who gets a message of a mailbox when several receive: any or one-at-a-time; for the namings
    /// mailbox and keeper [default: both in turns]
    #[arg(long, value_name = "POLICY")]
    policy: Option<Policy>,
    /// How many processes send; one of a pair [default: 4]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(1..=64))]
    producers: Option<u8>,
    /// How many processes receive; one of a pair [default: 4]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u8).range(1..=64))]
    consumers: Option<u8>,
    /// How many seconds of traffic each mechanism gets
    #[arg(long, value_name = "SECONDS", default_value = "20")]
    seconds: Length,
    /// Do all of it that many times, each time differently
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
    /// How many processes are killed a second
    #[arg(long, value_name = "N", default_value = "10")]
    kills: Rate,
    /// How many processes are stopped a second, for up to 60 ms each
    #[arg(long, value_name = "N", default_value = "2")]
    stops: Rate,
    /// What all choices come from: when whom is struck, and what everybody does [default: some]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    pub json: bool,
}

/// A number of seconds, fractions included.
#[derive(Debug, Clone, Copy)]
struct Length(Duration);

impl std::str::FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse().unwrap_or(-1.0);
        match Duration::try_from_secs_f64(seconds) {
            Ok(length) if (0.1..=1e8).contains(&seconds) => Ok(Length(length)),
            _ => Err("give a number of seconds from 0.1 up, such as 20".into()),
        }
    }
}

/// How often a second something happens.
#[derive(Debug, Clone, Copy)]
struct Rate(f64);

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(rate) if (0.0..=1000.0).contains(&rate) => Ok(Rate(rate)),
            _ => Err("give a number from 0 to 1000, such as 10 or 0.5".into()),
        }
    }
}

/// One row to be run.
#[derive(Debug, Clone)]
pub struct Ordeal {
    /// Its rounds.
    pub rounds: Vec<Setting>,
    /// How long each is.
    pub length: Duration,
}

impl Arguments {
    /// The rows, in the order in which they are run and shown.
    ///
    /// # Errors
    ///
    /// Bad input: what was asked for does not go together.
    pub fn ordeals(&self, seed: u64) -> Result<Vec<Ordeal>, Ending> {
        let mechanisms = chosen(&Mechanism::ALL, &self.mechanisms);
        let namings = chosen(&Naming::ALL, &self.namings);
        let capacities = match self.capacities.is_empty() {
            true => DEFAULT_CAPACITIES.to_vec(),
            false => self.capacities.clone(),
        };
        self.refuse()?;
        let (producers, consumers) =
            (self.producers.unwrap_or(PROCESSES), self.consumers.unwrap_or(PROCESSES));
        let length = self.seconds.0 / (namings.len() * capacities.len()) as u32;
        if length < LEAST {
            let remedy = "give more --seconds, or choose fewer namings and capacities";
            return Err(Ending::BadInput(format!(
                "each capacity would get {length:?}, which is too little: {remedy}"
            )));
        }
        let mut ordeals = Vec::new();
        for (row, &mechanism) in mechanisms.iter().enumerate() {
            for &naming in &namings {
                let (producers, consumers) = match naming {
                    Naming::Pair => (1, 1),
                    _ => (producers, consumers),
                };
                let round = |(column, &capacity): (usize, &Capacity)| Setting {
                    mechanism,
                    naming,
                    capacity,
                    policy: self.policy.unwrap_or(match (row + column) % 2 {
                        0 => Policy::Any,
                        _ => Policy::OneAtATime,
                    }),
                    producers,
                    consumers,
                    kills: self.kills.0,
                    stops: self.stops.0,
                    seed,
                };
                let rounds = capacities.iter().enumerate().map(round).collect();
                ordeals.push(Ordeal { rounds, length });
            }
        }
        Ok(ordeals)
    }

    /// What some naming that was asked for would take no notice of.
    fn refuse(&self) -> Result<(), Ending> {
        let paired = self.policy == Some(Policy::Pair);
        let several = |count: Option<u8>, usual| count.unwrap_or(usual) > 1;
        if paired && (several(self.producers, PROCESSES) || several(self.consumers, PROCESSES)) {
            let remedy = "take --producers 1 and --consumers 1, or another --policy";
            return Err(Ending::BadInput(format!("a pair is two processes: {remedy}")));
        }
        let pair = self.namings.contains(&Naming::Pair);
        if pair && (several(self.producers, 1) || several(self.consumers, 1)) {
            let remedy = "take --producers 1 and --consumers 1, or another --naming";
            return Err(Ending::BadInput(format!("a pair is two processes: {remedy}")));
        }
        let without = self.namings.iter().find(|naming| !naming.has_owner());
        if let (Some(_), Some(naming)) = (self.policy, without) {
            let remedy = "take --naming mailbox or keeper, or leave --policy out";
            return Err(Ending::BadInput(format!(
                "a policy is that of a mailbox, and {} has none: {remedy}",
                naming.name()
            )));
        }
        Ok(())
    }

    /// The seed that was asked for, or some.
    pub fn seed(&self) -> u64 {
        // Short enough to be typed.
        self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32))
    }
}

impl Setting {
    /// The command that does the same once more.
    pub fn command(&self, length: Duration) -> String {
        let mut command = format!(
            "postbox chaos --mechanism {} --naming {} --capacity {} --producers {} --consumers {} \
             --seconds {} --kills {} --stops {} --seed {}",
            self.mechanism,
            self.naming.name(),
            self.capacity,
            self.producers,
            self.consumers,
            length.as_secs_f64(),
            self.kills,
            self.stops,
            self.seed,
        );
        if self.naming.has_owner() {
            // A String takes whatever is written to it.
            let _ = write!(command, " --policy {}", self.policy);
        }
        command
    }
}

/// Those of `all` that were asked for; all if none was.
fn chosen<T: Copy + PartialEq>(all: &[T], asked: &[T]) -> Vec<T> {
    all.iter().copied().filter(|one| asked.is_empty() || asked.contains(one)).collect()
}
