//! From the first record to the last.

use crate::NAME;
use crate::arguments::Arguments;
use postbox::SendError;
use postbox_program::ending::Ending;
use postbox_program::input::{Input, Interruptible, unreadable};
use postbox_program::pace::Pace;
use postbox_program::peers::Peers;
use postbox_program::records::{RecordError, Records};
use postbox_program::stop::Stop;
use postbox_program::summary::{Form, Tally};
use postbox_program::target::{Patience, Target};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long it waits at the byte cap of an unbounded channel before it tries again.
const PAUSE: Duration = Duration::from_millis(1);

/// What the statistics have beside the counts.
#[derive(Debug, Serialize)]
struct Details<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox: Option<&'d str>,
    /// With synchronous sends: who took how many, as the receipts say.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<&'d Peers>,
}

/// Sends what the arguments say.
pub fn run(arguments: &Arguments) -> Ending {
    match Stop::install() {
        Err(ending) => ending,
        Ok(stop) => stop.explain(start(arguments, &stop).unwrap_or_else(|ending| ending)),
    }
}

fn start(arguments: &Arguments, stop: &Stop) -> Result<Ending, Ending> {
    let deadline = arguments.timeout.and_then(|timeout| timeout.from_now());
    // What is wrong with the input is told before anybody hears of this process.
    let input = Input::open(&arguments.file)?;
    let patience = Patience::until(deadline);
    let me = arguments.member.join(NAME, arguments.carriage.links(patience.absence()))?;
    let target = arguments.target.open(&me, arguments.carriage, stop, patience)?;
    let (tally, takers) = (Tally::default(), Peers::default());
    let mut work = Work { arguments, stop, deadline, target, tally, takers };
    let sent = work.send_all(input);
    let ending = stop.explain(sent.err().unwrap_or(Ending::Done));
    let details = Details {
        to: arguments.target.to.as_ref().map(AsRef::as_ref),
        mailbox: arguments.target.mailbox.as_ref().map(AsRef::as_ref),
        taken: arguments.deliver.then_some(&work.takers),
    };
    let form = Form::chosen(arguments.json, arguments.quiet);
    let words = work.takers.words("taken by");
    Ok(work.tally.show(form, (NAME, me.name().as_str()), (details, &words), ending))
}

/// One run under way.
struct Work<'w> {
    arguments: &'w Arguments,
    stop: &'w Stop,
    deadline: Option<Instant>,
    target: Target,
    tally: Tally,
    takers: Peers,
}

impl Work<'_> {
    fn send_all(&mut self, input: Input) -> Result<(), Ending> {
        let Input { name, file } = input;
        let file = Interruptible::new(file, self.stop, self.deadline);
        let largest = self.target.sender.max_message();
        let mut records = Records::new(file, self.arguments.framing, largest);
        let mut pace = self.arguments.rate.map(Pace::new);
        let mut record = Vec::new();
        while self.arguments.count.is_none_or(|count| self.tally.records < count) {
            record.clear();
            match records.next(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(self.no_record(&name, error)),
            }
            if pace.as_mut().is_some_and(|pace| !pace.wait(self.stop, self.deadline)) {
                return Err(self.early());
            }
            self.send(&record)?;
            self.tally.add(&record);
        }
        Ok(())
    }

    fn send(&mut self, record: &[u8]) -> Result<(), Ending> {
        loop {
            let wait = self.stop.wait(self.deadline);
            let sender = &self.target.sender;
            let sent = if self.arguments.deliver {
                match sender.deliver_with(record, &wait) {
                    Ok(receipt) => {
                        self.takers.note(receipt.receiver());
                        Ok(())
                    }
                    Err(error) => Err(error.reason().clone()),
                }
            } else {
                sender.send_with(record, &wait)
            };
            match sent {
                Ok(()) => return Ok(()),
                // An unbounded channel makes nobody wait; this program has the time.
                Err(SendError::ByteCap { .. }) if !self.is_over() => {
                    self.stop.pause(PAUSE);
                }
                Err(SendError::ByteCap { .. } | SendError::TimedOut | SendError::Cancelled) => {
                    return Err(self.early());
                }
                Err(error) => return Err(Ending::from(error).at(&self.target.name)),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.cancel().is_fired() || self.deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// Why it ends before the last record.
    fn early(&self) -> Ending {
        if self.stop.cancel().is_fired() {
            return Ending::Cancelled;
        }
        let sent = self.tally.records;
        Ending::Nothing(format!("timed out; {sent} records were sent to {}", self.target.name))
    }

    fn no_record(&self, input: &str, error: RecordError) -> Ending {
        let number = self.tally.records + 1;
        match error {
            RecordError::Read(_) if self.is_over() => self.early(),
            RecordError::Read(error) => unreadable(input, &error),
            RecordError::Truncated => {
                Ending::BadInput(format!("record {number} of {input} {error}"))
            }
            RecordError::TooLarge(limit) => Ending::BadInput(format!(
                "record {number} of {input} has more than the {limit} bytes that {} takes: cut \
                 the input into smaller ones (--framing), or have a larger --max-message",
                self.target.name
            )),
        }
    }
}
