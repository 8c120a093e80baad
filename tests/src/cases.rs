//! Running cases, each in a process of its own.

use crate::{Outcome, leaks, naming};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, available_parallelism};
use std::time::Duration;

/// Names the case that this process is to run.
const CASE: &str = "POSTBOX_CASE";
/// How many seconds a case may take, where it is not what it is by default: enough on a busy machine.
const PATIENCE: &str = "POSTBOX_PATIENCE";
const SECONDS: u64 = 120;
/// Set where the first failure of a case counts, though it has a second chance by default.
const ONCE: &str = "POSTBOX_ONCE";

/// One test: a sentence and what proves it.
pub struct Case {
    name: String,
    proof: Box<dyn Fn() -> Outcome + Send + Sync>,
}

impl Case {
    /// A case with that sentence for a name.
    pub fn new(
        name: impl Into<String>,
        proof: impl Fn() -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Case { name: name.into(), proof: Box::new(proof) }
    }
}

/// The `main` of a test program.
pub fn run(cases: Vec<Case>) -> ExitCode {
    run_by(cases, Arguments::from_args, watch)
}

/// The same for cases that wait half of their time, and stand it if others run beside them: two are run at a time
/// on each processor.
pub fn run_side_by_side(cases: Vec<Case>) -> ExitCode {
    run_by(cases, two_on_each_processor, watch)
}

/// The same for cases of thousands of short scenes with time limits, on whose order the scheduler has a
/// say: one that fails is run once more, what it said is shown, and the second time counts.
pub fn run_twice(cases: Vec<Case>) -> ExitCode {
    run_by(cases, two_on_each_processor, watch_twice)
}

fn two_on_each_processor() -> Arguments {
    let mut arguments = Arguments::from_args();
    let processors = available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(2 * processors);
    arguments
}

/// The same for cases of random blows with limits of processor time: one at a time on each processor.
pub fn run_again(cases: Vec<Case>) -> ExitCode {
    run_by(cases, Arguments::from_args, watch_twice)
}

fn watch_twice(name: &str) -> Result<(), Failed> {
    let first = watch(name);
    if std::env::var_os(ONCE).is_some() {
        return first;
    }
    first.or_else(|failed| {
        let said = failed.message().unwrap_or_default();
        eprintln!("'{name}' failed, and is run once more: {said}");
        watch(name)
    })
}

fn run_by(
    cases: Vec<Case>,
    arguments: fn() -> Arguments,
    watch: fn(&str) -> Result<(), Failed>,
) -> ExitCode {
    match std::env::var(CASE) {
        Ok(name) => prove(&cases, &name),
        Err(_) => {
            let trials = cases
                .into_iter()
                .map(|case| Trial::test(case.name.clone(), move || watch(&case.name)))
                .collect();
            libtest_mimic::run(&arguments(), trials).exit_code()
        }
    }
}

/// Runs one case here.
fn prove(cases: &[Case], name: &str) -> ExitCode {
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        eprintln!("there is no case '{name}'");
        return ExitCode::from(2);
    };
    let before = leaks::count();
    if let Err(error) = (case.proof)().and_then(|()| naming::clear_up()) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let after = leaks::count();
    if before != after {
        eprintln!("leaked: {before:?} before, {after:?} after");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs one case in a process group of its own, for as long as our patience lasts.
fn watch(name: &str) -> Result<(), Failed> {
    let asked = std::env::var(PATIENCE).ok().map(|seconds| seconds.parse());
    let patience = Duration::from_secs(asked.transpose()?.unwrap_or(SECONDS));
    let mut output = tempfile::tempfile()?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(CASE, name)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(child.id() as i32);
    let (ended, end) = channel();
    let waiter = thread::spawn(move || ended.send(child.wait()));
    let status = match end.recv_timeout(patience) {
        Ok(status) => Some(status?),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
    };
    // Whatever is left of the group is a leak, or stuck.
    let leftovers = killpg(group, Signal::SIGKILL) != Err(Errno::ESRCH);
    let _ = waiter.join();
    let mut said = String::new();
    output.rewind()?;
    output.read_to_string(&mut said)?;
    match status {
        None => Err(format!("stuck for {patience:?}; it said: {said}").into()),
        Some(status) if !status.success() => Err(format!("{status}; it said: {said}").into()),
        Some(_) if leftovers => Err("it left processes behind".into()),
        Some(_) => Ok(()),
    }
}
