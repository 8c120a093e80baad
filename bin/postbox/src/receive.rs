//! `postbox receive`: one message, or some.

use crate::NAME;
use postbox::Peer;
use postbox_program::command_line::{EXIT_CODES, Seconds};
use postbox_program::ending::{Ending, print};
use postbox_program::output::Output;
use postbox_program::place::Member;
use postbox_program::records::Framing;
use postbox_program::source::{self, ReceiveFrom, Source, Until};
use postbox_program::stop::Stop;
use postbox_program::tables::json_object;
use serde::Serialize;
use std::time::Instant;

/// The arguments of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    source: ReceiveFrom,
    #[command(flatten)]
    member: Member,
    /// How many messages
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    count: u64,
    /// Do not wait: where there is no message, exit code 3
    #[arg(long = "try", conflicts_with = "timeout")]
    try_: bool,
    /// Wait that long, then exit code 3
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<Seconds>,
    /// How messages are written
    #[arg(long, value_name = "lines|bytes:N|prefixed|whole", default_value_t)]
    framing: Framing,
    /// Print one JSON object per message: the text, or the bytes as hexadecimal digits, and who
    /// sent it
    #[arg(long, conflicts_with = "framing")]
    json: bool,
}

/// A message, for JSON.
#[derive(Debug, Serialize)]
struct Message<'m> {
    /// If it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'m str>,
    /// Otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    bytes: usize,
    sender: Option<&'m str>,
    sender_pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_uid: Option<u32>,
}

/// Receives them.
pub fn run(arguments: &Arguments, stop: &Stop) -> Result<(), Ending> {
    let deadline = arguments.timeout.and_then(|timeout| timeout.from_now());
    let mut output = Output::open(arguments.framing)?;
    stop.when_output_closes();
    let me = arguments.member.join(NAME, source::links())?;
    // Not to wait is not to wait for a partner; a mailbox that is there takes a moment to open.
    let at_once = arguments.try_ && arguments.source.mailbox.is_none();
    let opening = if at_once { Some(Instant::now()) } else { deadline };
    let mut source = arguments.source.open(&me, Until::Asked, stop, opening)?;
    let mut message = Vec::new();
    for received in 0..arguments.count {
        let sender = arguments.next(&mut source, &mut message, stop, deadline);
        let sender = sender.map_err(|ending| ending.at(&source.name))?;
        let sender = sender.ok_or_else(|| arguments.nothing_after(received, &source.name))?;
        if arguments.json {
            print(&json_object(&shown(&message, &sender)))?;
        } else {
            // The next one may be long in coming.
            output.write(&message)?;
            output.flush()?;
        }
    }
    Ok(())
}

impl Arguments {
    fn next(
        &self,
        source: &mut Source,
        message: &mut Vec<u8>,
        stop: &Stop,
        deadline: Option<Instant>,
    ) -> Result<Option<Peer>, Ending> {
        if self.try_ {
            source.try_receive(message)
        } else {
            source.receive(message, stop, deadline)
        }
    }

    /// Why there is no next message: whoever waits for one sees the end of its process alone.
    fn nothing_after(&self, received: u64, source: &str) -> Ending {
        Ending::Nothing(match (self.try_, received, self.count) {
            (true, ..) => format!("{source}: there is no message"),
            (false, 0, 1) => format!("{source} has gone without a message"),
            (false, _, count) => format!("{source} has gone after {received} of {count} messages"),
        })
    }
}

fn shown<'m>(message: &'m [u8], sender: &'m Peer) -> Message<'m> {
    let text = std::str::from_utf8(message).ok();
    let hex = || message.iter().map(|byte| format!("{byte:02x}")).collect();
    Message {
        text,
        hex: text.is_none().then(hex),
        bytes: message.len(),
        sender: sender.name().map(AsRef::as_ref),
        sender_pid: sender.pid(),
        sender_uid: sender.uid(),
    }
}
