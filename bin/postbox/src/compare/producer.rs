//! The sending processes.

use super::arguments::Manner;
use super::chunks::{self, Chunk, ChunkSize};
use super::message::Header;
use super::naming::Way;
use super::report::{DATA, Report, Sent};
use super::window::{FileRecords, Window};
use super::worker::{Outcome, Share, Stopwatch};
use postbox::{Bytes, SendError, Sender, SharedBuffer, inherited_fd};
use postbox_program::records::RecordError;
use postbox_sys::clock;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a producer waits at the byte cap before it tries again.
const PAUSE: Duration = Duration::from_micros(200);
/// How long it does so while nobody takes anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends its share through the channel.
pub fn produce(
    share: &Share,
    manner: Manner,
    way: &Way,
    reports: &Sender<Report>,
) -> Outcome<Sent> {
    let (membership, data) = way.sender(share.index)?;
    let records = share.records()?;
    let mut takers = BTreeMap::new();
    let stopwatch = Stopwatch::start(reports)?;
    let messages = share.send(records, |message| {
        if let Some(taker) = send(&data, message, manner)? {
            *takers.entry(taker).or_default() += 1;
        }
        Ok(())
    })?;
    // The consumers are done once this is gone.
    drop((data, membership));
    Ok(Sent { messages, takers: takers.into_iter().collect(), cpu: stopwatch.elapsed()? })
}

/// Sends all through the shared buffer.
pub fn fill(share: &Share, size: ChunkSize, reports: &Sender<Report>) -> Outcome<Sent> {
    match size {
        ChunkSize::Small => fill_with::<chunks::Small>(share, reports),
        ChunkSize::Medium => fill_with::<chunks::Medium>(share, reports),
        ChunkSize::Large => fill_with::<chunks::Large>(share, reports),
    }
}

fn fill_with<C: Chunk>(share: &Share, reports: &Sender<Report>) -> Outcome<Sent> {
    let mut buffer = SharedBuffer::<C>::attach(inherited_fd(DATA)?)?.into_producer()?;
    let records = share.records()?;
    let stopwatch = Stopwatch::start(reports)?;
    let messages = share.send(records, |message| Ok(chunks::produce(&mut buffer, message)?))?;
    chunks::produce_end(&mut buffer)?;
    Ok(Sent { messages, takers: Vec::new(), cpu: stopwatch.elapsed()? })
}

impl Share {
    /// The records of the file on standard input.
    fn records(&self) -> io::Result<FileRecords> {
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Window::records(file, self.length, self.records))
    }

    /// Makes each of its records a message, stamped with the time, and passes it to `send`; how
    /// many there were.
    fn send(
        &self,
        mut records: FileRecords,
        mut send: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<u64> {
        let mut message = Vec::new();
        let mut sent = 0;
        let mut number = 0;
        for _ in 0..self.repeat {
            records.stream().rewind()?;
            loop {
                if number % u64::from(self.producers) != u64::from(self.index) {
                    match records.skip() {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => return Err(changed(error)),
                    }
                } else {
                    Header { number, sent: 0 }.begin(&mut message);
                    match records.next(&mut message) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => return Err(changed(error)),
                    }
                    Header::stamp(&mut message, clock::now());
                    send(&message)?;
                    sent += 1;
                }
                number += 1;
            }
        }
        Ok(sent)
    }
}

/// The survey found all records good.
fn changed(error: RecordError) -> Box<dyn Error> {
    match error {
        RecordError::Read(error) => {
            io::Error::new(error.kind(), format!("the file cannot be read: {error}")).into()
        }
        RecordError::TooLarge(_) | RecordError::Truncated => "the file has changed".into(),
    }
}

/// Sends one message; who took it, if that was asked. At the byte cap it waits as for room, unless
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
