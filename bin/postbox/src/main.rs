//! The `postbox` program: a thin shell over the library of the same name.

mod command_line;
mod compare;
mod ending;
mod stop;

use clap::Parser;
use command_line::{Arguments, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return command_line::refuse(&error).conclude(),
    };
    match arguments.command {
        Command::Compare(arguments) => compare::run(&arguments).conclude(),
        Command::Worker(arguments) => compare::work(&arguments),
    }
}
