//! `postbox send`: one message.

use crate::NAME;
use postbox::{DeliverError, Peer};
use postbox_program::carriage::Carriage;
use postbox_program::command_line::{EXIT_CODES, Seconds};
use postbox_program::ending::{Ending, print};
use postbox_program::input::{Input, Interruptible, unreadable};
use postbox_program::place::Member;
use postbox_program::records::{Framing, RecordError, Records};
use postbox_program::stop::Stop;
use postbox_program::tables::json_object;
use postbox_program::target::{Patience, SendTo};
use serde::Serialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Instant;

/// The arguments of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The message [default: all of standard input]
    message: Option<OsString>,
    #[command(flatten)]
    target: SendTo,
    #[command(flatten)]
    member: Member,
    /// Wait until a receiver has taken it, and print who it was
    #[arg(long)]
    deliver: bool,
    /// Do not wait: where there is no room, or a process does not answer within a second, or a
    /// mailbox's owner within five, exit code 3; with --deliver, where nobody takes it at once,
    /// which may be so though a receiver waits
    #[arg(long = "try", conflicts_with = "timeout")]
    try_: bool,
    /// Wait that long for a partner, a mailbox, room, or a receiver; then exit code 3
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<Seconds>,
    #[command(flatten)]
    carriage: Carriage,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was sent, for JSON.
#[derive(Debug, Serialize)]
struct Sent<'s> {
    to: &'s str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<Taker<'s>>,
}

/// Who took it.
#[derive(Debug, Serialize)]
struct Taker<'s> {
    name: Option<&'s str>,
    pid: u32,
}

/// Sends it.
pub fn run(arguments: &Arguments, stop: &Stop) -> Result<(), Ending> {
    let deadline = arguments.timeout.and_then(|timeout| timeout.from_now());
    let message = arguments.message(stop, deadline)?;
    let patience = if arguments.try_ { Patience::Moment } else { Patience::until(deadline) };
    let me = arguments.member.join(NAME, arguments.carriage.links(patience.absence()))?;
    let target = arguments.target.open(&me, arguments.carriage, stop, patience)?;
    let wait = stop.wait(if arguments.try_ { Some(Instant::now()) } else { deadline });
    let told = |ending: Ending| ending.at(&target.name);
    let receipt = match (arguments.deliver, arguments.try_) {
        (true, _) => {
            let receipt = target.sender.deliver_with(&message, &wait);
            Some(receipt.map_err(|error| told(arguments.undelivered(error)))?)
        }
        (false, true) => {
            target.sender.try_send(&message).map_err(|error| told(error.into()))?;
            None
        }
        (false, false) => {
            target.sender.send_with(&message, &wait).map_err(|error| told(error.into()))?;
            None
        }
    };
    let taker = receipt.as_ref().map(postbox::Receipt::receiver);
    if arguments.json {
        let name = |taker: &Peer| taker.name().map(ToString::to_string);
        let named = taker.and_then(name);
        let taken = taker.map(|taker| Taker { name: named.as_deref(), pid: taker.pid() });
        return print(&json_object(&Sent { to: &target.name, bytes: message.len(), taken }));
    }
    match taker {
        Some(taker) => print(&format!("taken by {taker}\n")),
        None => Ok(()),
    }
}

impl Arguments {
    /// Why nobody has taken it. Who does not wait has not run out of time.
    fn undelivered(&self, error: DeliverError) -> Ending {
        if self.try_ && error.is_timeout() {
            return Ending::Nothing("nobody took it at once; nothing was sent".into());
        }
        error.into()
    }

    fn message(&self, stop: &Stop, deadline: Option<Instant>) -> Result<Vec<u8>, Ending> {
        if let Some(message) = &self.message {
            return Ok(message.clone().into_vec());
        }
        let Input { name, file } = Input::open(Path::new("-"))?;
        let file = Interruptible::new(file, stop, deadline);
        let limit = self.carriage.max_message.map_or(64 << 20, |size| size.0);
        let mut message = Vec::new();
        match Records::new(file, Framing::Whole, limit).next(&mut message) {
            // Nothing at all is a message, too.
            Ok(_) => Ok(message),
            Err(_) if stop.cancel().is_fired() => Err(Ending::Cancelled),
            Err(_) if deadline.is_some_and(|at| Instant::now() >= at) => {
                Err(Ending::Nothing(format!("timed out; {name} has not ended")))
            }
            Err(RecordError::Read(error)) => Err(unreadable(&name, &error)),
            Err(error) => Err(Ending::BadInput(format!("{name} {error}"))),
        }
    }
}
