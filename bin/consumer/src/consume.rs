//! From the first record to the last.

use crate::NAME;
use crate::arguments::Arguments;
use postbox_program::ending::Ending;
use postbox_program::output::Output;
use postbox_program::peers::Peers;
use postbox_program::records::{Framing, Misfits};
use postbox_program::source::{self, Source, Until};
use postbox_program::stop::Stop;
use postbox_program::summary::{Form, Tally};
use serde::Serialize;
use std::time::Instant;

/// What the statistics have beside the counts.
#[derive(Debug, Serialize)]
struct Details<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox: Option<&'d str>,
    /// Who sent how many.
    from: &'d Peers,
}

/// Receives what the arguments say.
pub fn run(arguments: &Arguments) -> Ending {
    match Stop::install() {
        Err(ending) => ending,
        Ok(stop) => stop.explain(start(arguments, &stop).unwrap_or_else(|ending| ending)),
    }
}

fn start(arguments: &Arguments, stop: &Stop) -> Result<Ending, Ending> {
    let deadline = arguments.timeout.and_then(|timeout| timeout.from_now());
    let output = Output::open(arguments.framing)?;
    stop.when_output_closes();
    let me = arguments.member.join(NAME, source::links())?;
    let until = if arguments.until_drained { Until::Drained } else { Until::Asked };
    let source = arguments.source.open(&me, until, stop, deadline)?;
    let (tally, senders) = (Tally::default(), Peers::default());
    let mut work = Work { arguments, stop, deadline, source, output, tally, senders };
    let received = work.receive_all();
    // Whatever ended it: what was taken is written out.
    let written = work.output.flush();
    let ending = received.and(written).err().unwrap_or_else(|| work.judge());
    let ending = stop.explain(ending);
    let details = Details {
        mailbox: arguments.source.mailbox.as_ref().map(AsRef::as_ref),
        from: &work.senders,
    };
    let form = Form::chosen(arguments.json, arguments.quiet);
    let words = work.senders.words("from");
    Ok(work.tally.show(form, (NAME, me.name().as_str()), (details, &words), ending))
}

/// One run under way.
struct Work<'w> {
    arguments: &'w Arguments,
    stop: &'w Stop,
    deadline: Option<Instant>,
    source: Source,
    output: Output,
    tally: Tally,
    senders: Peers,
}

impl Work<'_> {
    fn receive_all(&mut self) -> Result<(), Ending> {
        let mut record = Vec::new();
        while self.arguments.count.is_none_or(|count| self.tally.records < count) {
            if self.stop.cancel().is_fired() {
                return Err(Ending::Cancelled);
            }
            if self.deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(self.late());
            }
            if !self.receive(&mut record)? {
                return Ok(());
            }
            self.output.write(&record)?;
            self.tally.add(&record);
        }
        Ok(())
    }

    /// The next record; false at the end of all. Before it is waited for, those before it are
    /// written out.
    fn receive(&mut self, record: &mut Vec<u8>) -> Result<bool, Ending> {
        let mut sender = self.source.try_receive(record).map_err(|end| self.told(end))?;
        if sender.is_none() {
            self.output.flush()?;
            let received = self.source.receive(record, self.stop, self.deadline);
            sender = received.map_err(|end| self.told(end))?;
        }
        if let Some(sender) = &sender {
            self.senders.note(sender);
        }
        Ok(sender.is_some())
    }

    /// Why nothing comes, with the name of where it was to come from.
    fn told(&self, ending: Ending) -> Ending {
        match ending {
            Ending::Nothing(_) => self.late(),
            ending => ending.at(&self.source.name),
        }
    }

    fn late(&self) -> Ending {
        let received = self.tally.records;
        Ending::Nothing(format!("timed out; {received} records came from {}", self.source.name))
    }

    /// All is well, unless a reader cannot tell the records apart.
    fn judge(&self) -> Ending {
        match (self.arguments.framing, self.output.misfits()) {
            (Framing::Bytes(bytes), Misfits(misfits)) if misfits > 1 => Ending::Failure(format!(
                "{misfits} records had other than {bytes} bytes, so where they begin cannot be \
                 told: choose --framing prefixed"
            )),
            _ => Ending::Done,
        }
    }
}
