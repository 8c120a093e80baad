//! The receiving processes.

use super::chunks::{self, Chunk, ChunkSize};
use super::naming::Way;
use super::report::{DATA, Received, Report};
use super::tally::Tally;
use super::worker::{Outcome, Stopwatch};
use crate::shrinkage;
use postbox::{Bytes, Receiver, Select, Sender, SharedBuffer, Statistics, inherited_fd};
use postbox_sys::clock;

/// How often a consumer tells how far it is, in nanoseconds.
const PROGRESS: u64 = 100_000_000;

/// Receives until the last producer is gone.
pub fn consume(
    index: u32,
    producers: u32,
    way: &Way,
    reports: &Sender<Report>,
) -> Outcome<Received> {
    let (_membership, data) = way.receivers(index, producers)?;
    // Before anything is sent: what cannot be had later ends the process without a word. Several links have no use for it.
    let message = shrinkage::room(if data.len() == 1 { way.max_message } else { 0 })?;
    let mut account = Account::new(producers, reports);
    let stopwatch = Stopwatch::start(reports)?;
    match &data[..] {
        [data] => consume_one(data, message, &mut account)?,
        several => consume_several(several, &mut account)?,
    }
    let drained = clock::now();
    let statistics = data.iter().map(Receiver::statistics).reduce(add).unwrap_or_default();
    account.close(drained, stopwatch.elapsed()?, statistics)
}

fn consume_one(
    data: &Receiver<Bytes>,
    mut message: Vec<u8>,
    account: &mut Account<'_>,
) -> Outcome<()> {
    loop {
        match data.receive_into(&mut message) {
            Err(error) if error.is_disconnected() => return Ok(()),
            received => received?,
        };
        account.enter(&message);
    }
}

/// Of several links, whichever has something first.
fn consume_several(data: &[Receiver<Bytes>], account: &mut Account<'_>) -> Outcome<()> {
    let mut select = Select::new()?;
    for link in data {
        select.add(link)?;
    }
    while !select.is_empty() {
        match select.receive() {
            Err(error) if error.disconnected().is_some() => {}
            received => account.enter(&received?.1),
        }
    }
    Ok(())
}

/// Two channels' counts together.
fn add(one: Statistics, other: Statistics) -> Statistics {
    Statistics { waits: one.waits + other.waits, spilled: one.spilled + other.spilled, ..one }
}

/// Empties the shared buffer until the producer's last chunk.
pub fn empty(size: ChunkSize, max_message: usize, reports: &Sender<Report>) -> Outcome<Received> {
    match size {
        ChunkSize::Small => empty_with::<chunks::Small>(max_message, reports),
        ChunkSize::Medium => empty_with::<chunks::Medium>(max_message, reports),
        ChunkSize::Large => empty_with::<chunks::Large>(max_message, reports),
    }
}

fn empty_with<C: Chunk>(max_message: usize, reports: &Sender<Report>) -> Outcome<Received> {
    let mut buffer = SharedBuffer::<C>::attach(inherited_fd(DATA)?)?.into_consumer()?;
    let mut account = Account::new(1, reports);
    let mut message = shrinkage::room(max_message)?;
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
