//! A worker: a process of its own, started by `compare` with ends of channels.

use super::arguments::Manner;
use super::chunks::ChunkSize;
use super::naming::Way;
use super::report::{Go, REPORTS, Report, START};
use super::{consumer, producer};
use crate::{NAME, shrinkage};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;
use postbox::{Receiver, Sender, inherited};
use postbox_program::ending::complain;
use postbox_program::records::Framing;
use postbox_program::stop::ignore_interrupts;
use std::error::Error;
use std::process::ExitCode;

/// What a worker's parts return; an error goes to the parent in words.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

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
    Producer {
        #[command(flatten)]
        share: Share,
        #[arg(long)]
        manner: Manner,
        #[command(flatten)]
        way: Way,
    },
    /// Receives until the last producer is gone.
    Consumer {
        #[arg(long)]
        index: u32,
        #[arg(long)]
        producers: u32,
        #[command(flatten)]
        way: Way,
    },
    /// Fills the shared buffer.
    Filler {
        #[command(flatten)]
        share: Share,
        #[arg(long)]
        chunks: ChunkSize,
    },
    /// Empties the shared buffer until its last chunk.
    Emptier {
        #[arg(long)]
        chunks: ChunkSize,
        #[arg(long)]
        max_message: usize,
    },
}

/// What a producer sends: the records i with i mod `producers` = `index`.
#[derive(Debug, clap::Args)]
pub struct Share {
    #[arg(long)]
    pub index: u32,
    #[arg(long)]
    pub producers: u32,
    #[arg(long)]
    pub length: u64,
    #[arg(long)]
    pub records: Framing,
    #[arg(long)]
    pub repeat: u32,
}

/// The `main` of a worker. What goes wrong is told to the parent; once that is gone, nobody minds.
pub fn work(arguments: &Arguments) -> ExitCode {
    let reports: Sender<Report> = match inherited(REPORTS) {
        Ok(reports) => reports,
        Err(error) => {
            complain(NAME, &format!("a worker is started by compare, not by hand: {error}"));
            return ExitCode::from(2);
        }
    };
    let outcome = prepare().and_then(|()| match &arguments.part {
        Part::Producer { share, manner, way } => {
            producer::produce(share, *manner, way, &reports).map(Report::Sent)
        }
        Part::Filler { share, chunks } => {
            producer::fill(share, *chunks, &reports).map(Report::Sent)
        }
        Part::Consumer { index, producers, way } => {
            consumer::consume(*index, *producers, way, &reports).map(Report::Received)
        }
        Part::Emptier { chunks, max_message } => {
            consumer::empty(*chunks, *max_message, &reports).map(Report::Received)
        }
    });
    let failed = outcome.is_err();
    let report = outcome.unwrap_or_else(|error| Report::Failed(shrinkage::told(&*error)));
    let unheard = reports.send(&report).is_err();
    if failed || unheard { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Ends with the parent, and not before.
fn prepare() -> Outcome<()> {
    ignore_interrupts()?;
    // A parent that is gone already does not hear the first report.
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// Processor time since the start signal.
pub struct Stopwatch(u64);

impl Stopwatch {
    /// Tells that all is ready, and waits for the start signal.
    pub fn start(reports: &Sender<Report>) -> Outcome<Self> {
        let start: Receiver<Go> = inherited(START)?;
        reports.send(&Report::Ready)?;
        start.receive()?;
        Ok(Stopwatch(processor_time()?))
    }

    /// User and system time, in nanoseconds.
    pub fn elapsed(&self) -> Outcome<u64> {
        Ok(processor_time()?.saturating_sub(self.0))
    }
}

fn processor_time() -> Outcome<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let nanoseconds =
        |time: TimeVal| time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1000;
    Ok(nanoseconds(usage.user_time()) + nanoseconds(usage.system_time()))
}
