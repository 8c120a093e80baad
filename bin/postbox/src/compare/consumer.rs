//! The receiving processes.

use super::chunks::{self, Chunk, ChunkSize};
use super::report::{DATA, Received, Report};
use super::tally::Tally;
use super::worker::{Outcome, Stopwatch};
use postbox::{Bytes, Receiver, Sender, SharedBuffer, Statistics, inherited, inherited_fd};
use postbox_sys::clock;

/// How often a consumer tells how far it is, in nanoseconds.
const PROGRESS: u64 = 100_000_000;

/// Receives from the channel until the last producer is gone.
pub fn consume(producers: u32, reports: &Sender<Report>) -> Outcome<Received> {
    let data: Receiver<Bytes> = inherited(DATA)?;
    let mut account = Account::new(producers, reports);
    let mut message = Vec::new();
    let stopwatch = Stopwatch::start(reports)?;
    loop {
        match data.receive_into(&mut message) {
            Err(error) if error.is_disconnected() => break,
            received => received?,
        };
        account.enter(&message);
    }
    let drained = clock::now();
    account.close(drained, stopwatch.elapsed()?, data.statistics())
}

/// Empties the shared buffer until the producer's last chunk.
pub fn empty(size: ChunkSize, reports: &Sender<Report>) -> Outcome<Received> {
    match size {
        ChunkSize::Small => empty_with::<chunks::Small>(reports),
        ChunkSize::Medium => empty_with::<chunks::Medium>(reports),
        ChunkSize::Large => empty_with::<chunks::Large>(reports),
    }
}

fn empty_with<C: Chunk>(reports: &Sender<Report>) -> Outcome<Received> {
    let mut buffer = SharedBuffer::<C>::attach(inherited_fd(DATA)?)?.into_consumer()?;
    let mut account = Account::new(1, reports);
    let mut message = Vec::new();
    let stopwatch = Stopwatch::start(reports)?;
    while chunks::consume(&mut buffer, &mut message)? {
        account.enter(&message);
    }
    let drained = clock::now();
    account.close(drained, stopwatch.elapsed()?, Statistics::default())
}

/// What has been received, and the word of it.
struct Account<'r> {
    tally: Tally,
    reports: &'r Sender<Report>,
    /// When the parent was last told.
    told: u64,
}

impl<'r> Account<'r> {
    fn new(producers: u32, reports: &'r Sender<Report>) -> Self {
        Account { tally: Tally::new(producers), reports, told: clock::now() }
    }

    /// A message has come.
    fn enter(&mut self, message: &[u8]) {
        let now = clock::now();
        self.tally.take(message, now);
        if now.saturating_sub(self.told) > PROGRESS {
            self.told = now;
            let total = &self.tally.total;
            let progress = Report::Progress { messages: total.messages, bytes: total.bytes };
            // If there is no room now, there will be a next time.
            let _ = self.reports.try_send(&progress);
        }
    }

    fn close(self, drained: u64, cpu: u64, statistics: Statistics) -> Outcome<Received> {
        Ok(Received {
            pid: std::process::id(),
            total: self.tally.total,
            out_of_order: self.tally.out_of_order,
            latencies: self.tally.latencies.counts(),
            drained,
            cpu,
            waits: statistics.waits,
            spilled: statistics.spilled,
        })
    }
}
