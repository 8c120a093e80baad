//! The `consumer` program: messages in, records out.
//!
//! In reading order: [`arguments`], [`consume`] (the loop).

mod arguments;
mod consume;

use arguments::Arguments;
use clap::Parser;
use postbox_program::command_line::refuse;
use std::process::ExitCode;

/// What it calls itself.
const NAME: &str = "consumer";

fn main() -> ExitCode {
    let ending = match Arguments::try_parse() {
        Ok(arguments) => consume::run(&arguments),
        Err(error) => refuse(&error),
    };
    ending.conclude(NAME)
}
