//! Starting `postbox bench`.

use crate::run::{Run, postbox};
use std::process::Command;

/// Starts it with those arguments.
pub fn start(arguments: &[&str]) -> Run {
    Run::of(postbox().arg("bench").args(arguments))
}

/// Starts it so that it may use the first processor only.
pub fn start_on_one_core(arguments: &[&str]) -> Run {
    let mut command = Command::new("taskset");
    Run::of(command.args(["-c", "0"]).arg(postbox().get_program()).arg("bench").args(arguments))
}
