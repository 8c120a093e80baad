//! The processes of one run: forked, pinned, heard, and ended.

use super::ends::Outcome;
use super::figures::Figures;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use postbox::{
    Capacity, Child, Ends, ForkError, Mechanism, Options, ReceiveError, Receiver, Sender, Wait,
    fork,
};
use postbox_program::stop::Stop;
use postbox_sys::cpu;
use std::error::Error;
use std::time::{Duration, Instant};

/// How often the parent looks whether a process has died.
const TICK: Duration = Duration::from_millis(50);
/// How long a run may take; it is planned to take a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a run did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A signal came.
    Stopped,
    /// Something failed.
    Failed(String),
}

impl<E: Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Trouble::Failed(error.to_string())
    }
}

/// Forks the process, which tells what it finds.
type Launch<'b> = Box<dyn FnOnce(Sender<Figures>) -> Result<Child, ForkError> + 'b>;

/// One process of a run.
pub struct Part<'b>(Launch<'b>);

impl<'b> Part<'b> {
    /// One on that processor that needs no ends passed.
    pub fn new(cpu: usize, body: impl FnOnce() -> Outcome<Figures> + 'b) -> Self {
        Part::with(cpu, (), |()| body())
    }

    /// One that is given ends of channels of ours.
    pub fn with<E: Ends + 'b>(
        cpu: usize,
        ends: E,
        body: impl FnOnce(E) -> Outcome<Figures> + 'b,
    ) -> Self {
        let life = move |(ends, report): (E, Sender<Figures>)| {
            // A parent that is gone already does not hear the report.
            set_pdeathsig(Signal::SIGKILL)?;
            cpu::pin_to(cpu)?;
            let figures = body(ends);
            // Whoever does not hear it has ended this process, or is about to.
            let _ = report.send(&figures.unwrap_or_else(|e| Figures::Failed(e.to_string())));
            Ok(())
        };
        Part(Box::new(move |reporter| fork((ends, reporter), life)))
    }
}

/// Runs all parts at once; what each has to tell, in no order.
pub fn run(parts: Vec<Part<'_>>, stop: &Stop) -> Result<Vec<Figures>, Trouble> {
    run_within(PATIENCE, parts, stop)
}

/// The same with more patience, for what takes long to prepare.
pub fn run_within(
    patience: Duration,
    parts: Vec<Part<'_>>,
    stop: &Stop,
) -> Result<Vec<Figures>, Trouble> {
    let count = parts.len();
    // A pipe: nobody spins on it beside those that are measured.
    let (reporter, reports) = Options::new(Mechanism::Pipe)
        .capacity(Capacity::Bounded(64))
        .wait_strategy(postbox::WaitStrategy::Block)
        .channel::<Figures>()?;
    let mut children: Vec<Child> = Vec::with_capacity(count);
    for Part(launch) in parts {
        children.push(launch(reporter.clone())?);
    }
    drop(reporter);
    let told = hear(&reports, count, patience, stop, &mut children)?;
    for child in children {
        child.wait()?;
    }
    Ok(told)
}

fn hear(
    reports: &Receiver<Figures>,
    count: usize,
    patience: Duration,
    stop: &Stop,
    children: &mut [Child],
) -> Result<Vec<Figures>, Trouble> {
    let deadline = Instant::now() + patience;
    let mut told = Vec::with_capacity(count);
    while told.len() < count {
        let wait = Wait::timeout(TICK).cancelled_by(stop.cancel());
        match reports.receive_with(&wait).map(|delivery| delivery.into_inner()) {
            Ok(Figures::Failed(reason)) => return Err(blame(stop, reason)),
            Ok(figures) => told.push(figures),
            Err(ReceiveError::Cancelled) => return Err(Trouble::Stopped),
            Err(ReceiveError::TimedOut) if Instant::now() < deadline => {
                for child in children.iter_mut() {
                    let died = child.try_wait()?.filter(|status| !status.success());
                    if let Some(status) = died {
                        let reason = format!("its process {} ended early: {status}", child.pid());
                        return Err(blame(stop, reason));
                    }
                }
            }
            Err(ReceiveError::TimedOut) => {
                let reason =
                    format!("not done after {} s: is the machine busy?", patience.as_secs());
                return Err(Trouble::Failed(reason));
            }
            Err(error) => return Err(blame(stop, error.to_string())),
        }
    }
    Ok(told)
}

/// A signal from the terminal is meant for all of us, and may have reached the others first.
fn blame(stop: &Stop, reason: String) -> Trouble {
    if stop.code_soon().is_some() { Trouble::Stopped } else { Trouble::Failed(reason) }
}
