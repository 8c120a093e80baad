//! The `postbox` program: a thin shell over the library of the same name.

mod bench;
mod chaos;
mod command_line;
mod compare;
mod doctor;
mod keeper;
mod listing;
mod mailbox;
mod receive;
mod scratch;
mod send;
mod shrinkage;

use clap::Parser;
use command_line::{Arguments, Command};
use postbox_program::command_line::refuse;
use postbox_program::ending::Ending;
use postbox_program::stop::Stop;
use std::process::ExitCode;

/// What it calls itself.
const NAME: &str = "postbox";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error).conclude(NAME),
    };
    let ending = match &arguments.command {
        Command::Bench(arguments) => bench::run(arguments),
        Command::Exchange(arguments) => bench::exchange(arguments),
        Command::Chaos(arguments) => chaos::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Mailbox(arguments) => mailbox::run(arguments),
        Command::Keeper(arguments) => keeper::run(arguments),
        Command::Send(arguments) => stoppable(|stop| send::run(arguments, stop)),
        Command::Receive(arguments) => stoppable(|stop| receive::run(arguments, stop)),
        Command::Processes(arguments) => arguments.run(),
        Command::Links(arguments) => arguments.run(),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Victim(arguments) => return chaos::work(arguments),
        Command::Worker(arguments) => return compare::work(arguments),
    };
    ending.conclude(NAME)
}

/// Runs what a signal may end early.
fn stoppable(run: impl FnOnce(&Stop) -> Result<(), Ending>) -> Ending {
    match Stop::install() {
        Err(ending) => ending,
        Ok(stop) => stop.explain(run(&stop).err().unwrap_or(Ending::Done)),
    }
}
