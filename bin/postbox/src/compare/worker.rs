//! A producer or consumer: a process of its own, started by `compare` with ends of channels.

use super::arguments::Manner;
use super::message::Header;
use super::records::{Cut, RecordError, Records};
use super::report::{DATA, Go, REPORTS, Received, Report, START, Sent};
use super::tally::Tally;
use crate::ending::complain;
use crate::stop::ignore_interrupts;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use postbox::{Bytes, Receiver, SendError, Sender, inherited};
use postbox_sys::clock;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a consumer tells how far it is, in nanoseconds.
const PROGRESS: u64 = 100_000_000;
/// How long a producer waits at the byte cap before it tries again.
const PAUSE: Duration = Duration::from_micros(200);
/// How long it does so while nobody takes anything.
const PATIENCE: Duration = Duration::from_secs(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The arguments of a worker.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Part,
}

/// What a worker does.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Sends its share of the file on standard input.
    Producer(Share),
    /// Receives until the last producer is gone.
    Consumer {
        #[arg(long)]
        producers: u32,
    },
}

/// What a producer sends: the records i with i mod `producers` = `index`.
#[derive(Debug, clap::Args)]
pub struct Share {
    #[arg(long)]
    index: u64,
    #[arg(long)]
    producers: u64,
    #[arg(long)]
    length: u64,
    #[arg(long)]
    records: Cut,
    #[arg(long)]
    repeat: u32,
    #[arg(long)]
    manner: Manner,
}

/// The `main` of a worker. What goes wrong is told to the parent; once that is gone, nobody minds.
pub fn work(arguments: &Arguments) -> ExitCode {
    let reports: Sender<Report> = match inherited(REPORTS) {
        Ok(reports) => reports,
        Err(error) => {
            complain(&format!("a worker is started by compare, not by hand: {error}"));
            return ExitCode::from(2);
        }
    };
    let outcome = prepare().and_then(|()| match &arguments.part {
        Part::Producer(share) => produce(share, &reports).map(Report::Sent),
        Part::Consumer { producers } => consume(*producers, &reports).map(Report::Received),
    });
    let failed = outcome.is_err();
    let report = outcome.unwrap_or_else(|error| Report::Failed(error.to_string()));
    let unheard = reports.send(&report).is_err();
    if failed || unheard { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Ends with the parent, and not before.
fn prepare() -> Outcome<()> {
    ignore_interrupts()?;
    set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

/// Tells that all is ready, and waits for the start; CPU time used until then.
fn start(reports: &Sender<Report>) -> Outcome<u64> {
    let start: Receiver<Go> = inherited(START)?;
    reports.send(&Report::Ready)?;
    start.receive()?;
    cpu()
}

/// User and system time of this process, in nanoseconds.
fn cpu() -> Outcome<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let (user, system) = (usage.user_time(), usage.system_time());
    let microseconds = |time: nix::sys::time::TimeVal| {
        time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64
    };
    Ok((microseconds(user) + microseconds(system)) * 1000)
}

/// The records of the file on standard input.
fn records(share: &Share) -> io::Result<Records> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(Records::new(file, share.length, share.records))
}

fn produce(share: &Share, reports: &Sender<Report>) -> Outcome<Sent> {
    let data: Sender<Bytes> = inherited(DATA)?;
    let mut records = records(share)?;
    let mut message = Vec::new();
    let mut takers = BTreeMap::new();
    let mut sent = Sent::default();
    let before = start(reports)?;
    let mut number = 0;
    for _ in 0..share.repeat {
        records.rewind()?;
        loop {
            if number % share.producers != share.index {
                if !records.skip()? {
                    break;
                }
                number += 1;
                continue;
            }
            Header { number, sent: 0 }.begin(&mut message);
            match records.next(&mut message) {
                Ok(true) => {}
                Ok(false) => break,
                Err(RecordError::Read(error)) => return Err(error.into()),
                Err(RecordError::TooLarge) => return Err("the file changed meanwhile".into()),
            }
            number += 1;
            Header::stamp(&mut message, clock::now());
            if let Some(taker) = send(&data, &message, share.manner)? {
                *takers.entry(taker).or_default() += 1;
            }
            sent.messages += 1;
        }
    }
    drop(data);
    sent.cpu = cpu()?.saturating_sub(before);
    sent.takers = takers.into_iter().collect();
    Ok(sent)
}

/// Sends one message; who took it, if that was asked. Waits at the byte cap as for room, unless
/// nobody takes anything any more.
fn send(data: &Sender<Bytes>, message: &[u8], manner: Manner) -> Result<Option<u32>, SendError> {
    let mut stuck: Option<(u64, Instant)> = None;
    loop {
        let sent = match manner {
            Manner::Send => data.send(message).map(|()| None),
            Manner::Deliver => match data.deliver(message) {
                Ok(receipt) => Ok(Some(receipt.receiver().pid())),
                Err(error) => Err(error.reason().clone()),
            },
        };
        let Err(SendError::ByteCap { .. }) = sent else { return sent };
        let received = data.statistics().received;
        match stuck {
            Some((then, since)) if then == received => {
                if since.elapsed() > PATIENCE {
                    return sent;
                }
            }
            _ => stuck = Some((received, Instant::now())),
        }
        std::thread::sleep(PAUSE);
    }
}

fn consume(producers: u32, reports: &Sender<Report>) -> Outcome<Received> {
    let data: Receiver<Bytes> = inherited(DATA)?;
    let mut tally = Tally::new(producers);
    let mut message = Vec::new();
    let before = start(reports)?;
    let mut told = (clock::now(), 0, 0);
    loop {
        match data.receive_into(&mut message) {
            Err(error) if error.is_disconnected() => break,
            received => received?,
        };
        let now = clock::now();
        tally.take(&message, now);
        if now.saturating_sub(told.0) > PROGRESS {
            let (messages, bytes) = (tally.total.messages, tally.total.bytes);
            // What does not fit now is told next time.
            let progress =
                Report::Progress { messages: messages - told.1, bytes: bytes - told.2 };
            told.0 = now;
            if reports.try_send(&progress).is_ok() {
                (told.1, told.2) = (messages, bytes);
            }
        }
    }
    let drained = clock::now();
    let mut received = Received {
        pid: std::process::id(),
        total: tally.total,
        out_of_order: tally.out_of_order,
        latencies: tally.latencies.counts(),
        drained,
        cpu: cpu()?.saturating_sub(before),
        waits: 0,
        spilled: 0,
    };
    received.note(data.statistics());
    Ok(received)
}
