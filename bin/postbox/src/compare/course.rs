//! One row: workers are started, all get the start signal together, and what they report is
//! compared with the file.

use super::arguments::{Carrier, Contest, Manner};
use super::chunks::{self, ChunkSize};
use super::crew::{Crew, Trouble};
use super::message::HEADER;
use super::naming::{Meeting, Naming, Way};
use super::progress::Progress;
use super::report::{DATA, Received, Report, Sent};
use super::row::{Row, Taken};
use super::source::Source;
use super::tally::{Latencies, Total};
use clap::ValueEnum;
use postbox::{Bytes, SharedBuffer};
use postbox_program::stop::Stop;
use postbox_sys::clock;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::Stdio;

/// Runs the row to its end, or to what ends it early.
pub fn run(contest: &Contest, source: &Source, stop: &Stop, progress: &Progress) -> Row {
    let mut course = Course::of(contest);
    let outcome = course.run(source, stop, progress);
    let mut row = course.row();
    row.error = match outcome {
        Ok(()) => course.judge(&source.survey).err(),
        Err(Trouble::Stopped) => Some("interrupted".into()),
        Err(Trouble::Failed(reason)) => Some(reason),
    };
    row.verified = row.error.is_none();
    progress.end(source.survey.messages);
    row
}

/// What is known of a row while it runs.
struct Course<'c> {
    contest: &'c Contest,
    /// Processes that send, and that receive, in the order of their start.
    producers: Vec<u32>,
    consumers: Vec<u32>,
    ready: usize,
    /// When the start signal was given, in nanoseconds of the monotonic clock.
    started: Option<u64>,
    /// When the last report came, or what ended it early.
    ended: Option<u64>,
    sent: Vec<Sent>,
    received: Vec<Received>,
    /// Messages and bytes that each consumer has taken, as last told.
    seen: BTreeMap<u32, (u64, u64)>,
    /// Where the workers meet, if they find each other by name.
    meeting: Option<Meeting>,
}

impl<'c> Course<'c> {
    fn of(contest: &'c Contest) -> Self {
        Course {
            contest,
            producers: Vec::new(),
            consumers: Vec::new(),
            ready: 0,
            started: None,
            ended: None,
            sent: Vec::new(),
            received: Vec::new(),
            seen: BTreeMap::new(),
            meeting: None,
        }
    }

    fn run(&mut self, source: &Source, stop: &Stop, progress: &Progress) -> Result<(), Trouble> {
        let mut crew = Crew::new(self.contest.producers + self.contest.consumers)?;
        let outcome = self.follow(&mut crew, source, stop, progress);
        // Before those that are left are ended, which may take a while.
        self.ended = Some(clock::now());
        outcome.and_then(|()| crew.dismiss(stop))
    }

    /// From the start of the workers to their last reports.
    fn follow(
        &mut self,
        crew: &mut Crew,
        source: &Source,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        match self.contest.carrier {
            Carrier::Channel(mechanism, capacity) => {
                let (naming, max_message) = (self.contest.naming, source.largest + HEADER);
                let mut way = Way { naming, mechanism, capacity, max_message, directory: None };
                if naming != Naming::Channel {
                    let meeting =
                        Meeting::prepare(&way).map_err(|e| Trouble::Failed(e.to_string()))?;
                    way.directory = Some(meeting.directory().to_owned());
                    self.meeting = Some(meeting);
                }
                self.start_workers(crew, source, &way)?;
            }
            Carrier::Buffer(items) => self.start_buffer(crew, source, items)?,
        }
        while self.ready < self.producers.len() + self.consumers.len() {
            self.hear(crew, stop)?;
        }
        self.started = Some(clock::now());
        crew.go()?;
        while self.sent.len() < self.producers.len() || self.received.len() < self.consumers.len() {
            self.hear(crew, stop)?;
            progress.at(self.messages());
        }
        Ok(())
    }

    /// Starts producers and consumers. If they are passed the ends of a channel, this process keeps
    /// none, so that the channel ends with theirs.
    fn start_workers(
        &mut self,
        crew: &mut Crew,
        source: &Source,
        way: &Way,
    ) -> Result<(), Trouble> {
        let Contest { producers, consumers, manner, .. } = *self.contest;
        let (sender, receiver) = match way.naming {
            Naming::Channel => way.options().channel::<Bytes>().map(|(s, r)| (Some(s), Some(r)))?,
            Naming::Direct | Naming::Mailbox => (None, None),
        };
        for index in 0..consumers {
            let mut part: Vec<OsString> = vec!["consumer".into()];
            part.push(format!("--index={index}").into());
            part.push(format!("--producers={producers}").into());
            part.extend(way.arguments());
            let end = receiver.clone();
            let pid = crew.start(&part, Stdio::null(), |spawn| match end {
                Some(end) => spawn.pass(DATA, end),
                None => Ok(spawn),
            })?;
            self.consumers.push(pid);
        }
        for index in 0..producers {
            let mut part = share("producer", source, index, producers);
            part.push(choice("manner", manner).into());
            part.extend(way.arguments());
            let input = Stdio::from(source.file.try_clone()?);
            let end = sender.clone();
            let pid = crew.start(&part, input, |spawn| match end {
                Some(end) => spawn.pass(DATA, end),
                None => Ok(spawn),
            })?;
            self.producers.push(pid);
        }
        Ok(())
    }

    /// Creates the shared buffer and starts its producer and its consumer.
    fn start_buffer(
        &mut self,
        crew: &mut Crew,
        source: &Source,
        items: u32,
    ) -> Result<(), Trouble> {
        // One slot stays free.
        let slots = items + 1;
        let size = ChunkSize::fitting(source.largest);
        let buffer: OwnedFd = match size {
            ChunkSize::Small => SharedBuffer::<chunks::Small>::create(slots)?.into(),
            ChunkSize::Medium => SharedBuffer::<chunks::Medium>::create(slots)?.into(),
            ChunkSize::Large => SharedBuffer::<chunks::Large>::create(slots)?.into(),
        };
        let max_message = format!("--max-message={}", source.largest + HEADER);
        let part = ["emptier".into(), choice("chunks", size).into(), max_message.into()];
        let same = buffer.try_clone()?;
        let pid = crew.start(&part, Stdio::null(), |spawn| spawn.pass_fd(DATA, same))?;
        self.consumers.push(pid);
        let mut part = share("filler", source, 0, 1);
        part.push(choice("chunks", size).into());
        let input = Stdio::from(source.file.try_clone()?);
        let pid = crew.start(&part, input, |spawn| spawn.pass_fd(DATA, buffer))?;
        self.producers.push(pid);
        Ok(())
    }

    fn hear(&mut self, crew: &mut Crew, stop: &Stop) -> Result<(), Trouble> {
        let Some((pid, report)) = crew.hear(stop)? else { return Ok(()) };
        match report {
            Report::Ready => self.ready += 1,
            Report::Progress { messages, bytes } => {
                self.seen.insert(pid, (messages, bytes));
            }
            Report::Sent(sent) => self.sent.push(sent),
            Report::Received(received) => {
                self.seen.insert(pid, (received.total.messages, received.total.bytes));
                self.received.push(received);
            }
            Report::Failed(reason) => return Err(Trouble::Failed(reason)),
        }
        Ok(())
    }

    fn messages(&self) -> u64 {
        self.seen.values().map(|(messages, _)| messages).sum()
    }

    /// What is known, as a row.
    fn row(&self) -> Row {
        let mut row = Row {
            mechanism: self.contest.mechanism(),
            naming: self.contest.naming.name(),
            capacity: self.contest.capacity(),
            producers: self.contest.producers,
            consumers: self.contest.consumers,
            messages: self.messages(),
            bytes: self.seen.values().map(|(_, bytes)| bytes).sum(),
            // The counts only grow: whoever looked last saw all of them.
            waits: self.received.iter().map(|received| received.waits).max().unwrap_or(0),
            spilled: self.received.iter().map(|received| received.spilled).max().unwrap_or(0),
            taken: (self.contest.manner == Manner::Deliver).then(|| self.taken()),
            ..Row::default()
        };
        if let (Some(started), Some(ended)) = (self.started, self.ended) {
            let drained = self.received.iter().map(|received| received.drained).max();
            let complete = self.received.len() == self.consumers.len();
            let end = drained.filter(|_| complete).unwrap_or(ended);
            row.took(end.saturating_sub(started));
        }
        let mut latencies = Latencies::new();
        self.received.iter().for_each(|received| latencies.merge(&received.latencies));
        (row.p50_ns, row.p99_ns) = (latencies.quantile(0.5), latencies.quantile(0.99));
        let sending: u64 = self.sent.iter().map(|sent| sent.cpu).sum();
        let receiving: u64 = self.received.iter().map(|received| received.cpu).sum();
        row.cpu_seconds = (sending + receiving) as f64 / 1e9;
        row
    }

    /// Who took how many, as the receipts say.
    fn taken(&self) -> Vec<Taken> {
        let of = |pid: u32| {
            let takers = self.sent.iter().flat_map(|sent| &sent.takers);
            takers.filter(|(taker, _)| *taker == pid).map(|(_, messages)| messages).sum()
        };
        let each = self.consumers.iter().enumerate();
        each.map(|(consumer, &pid)| Taken { consumer, pid, messages: of(pid) }).collect()
    }

    /// Whether all that the file holds arrived, once, in order, and as it was.
    fn judge(&self, survey: &Total) -> Result<(), String> {
        let sent: u64 = self.sent.iter().map(|sent| sent.messages).sum();
        if sent != survey.messages {
            let expected = survey.messages;
            return Err(format!("{sent} of {expected} records were sent: did the file change?"));
        }
        let mut total = Total::default();
        self.received.iter().for_each(|received| total.merge(&received.total));
        if total.messages != sent {
            return Err(format!("{sent} messages were sent and {} received", total.messages));
        }
        let strays: u64 = self.received.iter().map(|received| received.out_of_order).sum();
        if strays > 0 {
            return Err(format!("{strays} messages came out of their sender's order"));
        }
        if total != *survey {
            return Err("what was received is not what the file held: did it change?".into());
        }
        if self.contest.manner == Manner::Deliver {
            self.judge_receipts()?;
        }
        Ok(())
    }

    /// Whether the receipts name who really took the messages.
    fn judge_receipts(&self) -> Result<(), String> {
        let taken = self.taken();
        for received in &self.received {
            let (pid, took) = (received.pid, received.total.messages);
            if !taken.iter().any(|taken| taken.pid == pid && taken.messages == took) {
                return Err(format!("process {pid} took {took} messages, the receipts disagree"));
            }
        }
        Ok(())
    }
}

/// The arguments of a producer.
fn share(part: &str, source: &Source, index: u32, producers: u32) -> Vec<OsString> {
    let arguments = [
        part.to_owned(),
        format!("--index={index}"),
        format!("--producers={producers}"),
        format!("--length={}", source.length),
        format!("--records={}", source.cut),
        format!("--repeat={}", source.repeat),
    ];
    arguments.into_iter().map(OsString::from).collect()
}

fn choice(option: &str, value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    format!("--{option}={}", value.as_ref().map_or("", |value| value.get_name()))
}
