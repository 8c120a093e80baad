//! The `chat` program: the textbook's own example of message passing, over both kinds of naming.
//!
//! ```text
//!            /to bob …                                     a private message: a link, directly
//!   ann ═══════════════════════════════════════════► bob
//!    │                                                ▲
//!    │ what is said   ┌──────────────┐  who receives  ║
//!    └───────────────►│ mailbox lobby│────► ann, bob ═╬═  passes it on: a link to each
//!    bob, cat ───────►└──────────────┘      or cat    ▼
//!                                          the holder    cat
//! ```
//!
//! A mailbox gives each message to one receiver. So the first to come creates the mailbox `lobby`,
//! and as its owner receives what everybody sends to it: the holder of the lobby. It passes each line
//! on to everyone present, over the link to each. All lines go through one hand, so everyone sees
//! them in one order, those who spoke them too. Private messages do not pass through it.
//!
//! Joining and leaving are said in the lobby like anything else. A death is noticed by the holder,
//! which watches everyone by a [monitor](postbox::Monitor), and says so after the last lines of the
//! dead. All others watch the holder. When it goes, the mailbox goes with it, and whoever creates it
//! again first is the next holder.
//!
//! # What is exact, and what is not
//!
//! - A line is *delivered* to the lobby: either its holder has taken it, or nobody has, and it is
//!   delivered to the next one or its speaker is told.
//! - A holder that dies amid passing a line on leaves some with it and some without. Its speaker sees
//!   by the line not coming back that this may be so.
//! - Who stops reading holds nobody up for longer than half a second. Beyond what a link holds, lines
//!   pass them by; the others are told, and they are told how many it were when they read again.
//! - The sender of a private message is the one that the kernel names. Who spoke a line in the lobby
//!   is what its holder says: everyone in the domain trusts the others to be this program.
//!
//! In reading order: [`arguments`], [`message`] (what is sent), [`command`], [`keyboard`],
//! [`continuation`] and [`screen`] (the person), [`talk`] (what is typed), [`room`] (what everyone knows), [`attend`] and
//! [`entrance`] (what arrives), [`lobby`] (its holder).

mod arguments;
mod attend;
mod command;
mod continuation;
mod entrance;
mod keyboard;
mod lobby;
mod message;
mod room;
mod screen;
mod talk;

use arguments::Arguments;
use clap::Parser;
use postbox_program::command_line::refuse;
use std::process::ExitCode;

/// What it calls itself.
const NAME: &str = "chat";

fn main() -> ExitCode {
    let ending = match Arguments::try_parse() {
        Ok(arguments) => talk::run(&arguments),
        Err(error) => refuse(&error),
    };
    ending.conclude(NAME)
}
