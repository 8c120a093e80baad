//! The `producer` program: records in, messages out.
//!
//! In reading order: [`arguments`], [`produce`] (the loop).

mod arguments;
mod produce;

use arguments::Arguments;
use clap::Parser;
use postbox_program::command_line::refuse;
use std::process::ExitCode;

/// What it calls itself.
const NAME: &str = "producer";

fn main() -> ExitCode {
    let ending = match Arguments::try_parse() {
        Ok(arguments) => produce::run(&arguments),
        Err(error) => refuse(&error),
    };
    ending.conclude(NAME)
}
