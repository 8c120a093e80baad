//! The processes of one run: forked, pinned, heard, and ended.

use super::ends::Outcome;
use super::figures::Figures;
use crate::shrinkage;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use postbox::{
    Capacity, Child, Ends, ForkError, Mechanism, Options, ReceiveError, Receiver, SendError,
    Sender, Wait, fork,
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
            let _ = report.send(&figures.unwrap_or_else(|error| excuse(&*error)));
            Ok(())
        };
        Part(Box::new(move |reporter| fork((ends, reporter), life)))
    }
}

/// Why a process cannot go on.
fn excuse(error: &(dyn Error + 'static)) -> Figures {
    let sent = error.downcast_ref().is_some_and(SendError::is_disconnected);
    let received = error.downcast_ref().is_some_and(ReceiveError::is_disconnected);
    let reason = shrinkage::told(error);
    if sent || received { Figures::Deserted(reason) } else { Figures::Failed(reason) }
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
    // Whoever left may yet say why.
    let soon = || Instant::now() + 4 * TICK;
    let mut deserted = None;
    while told.len() < count {
        let wait = Wait::timeout(TICK).cancelled_by(stop.cancel());
        match reports.receive_with(&wait).map(|delivery| delivery.into_inner()) {
            Ok(Figures::Failed(reason)) => return Err(blame(stop, reason)),
            Ok(Figures::Deserted(reason)) => deserted = deserted.or(Some((reason, soon()))),
            Ok(figures) => told.push(figures),
            Err(ReceiveError::Cancelled) => return Err(Trouble::Stopped),
            Err(ReceiveError::TimedOut) if Instant::now() < deadline => {
                look(children, stop)?;
                match &deserted {
                    Some((reason, late)) if Instant::now() > *late => {
                        return Err(blame(stop, reason.clone()));
                    }
                    _ => {}
                }
            }
            Err(ReceiveError::TimedOut) => {
                let reason =
                    format!("not done after {} s: is the machine busy?", patience.as_secs());
                return Err(Trouble::Failed(reason));
            }
            Err(error) => {
                look(children, stop)?;
                let reason = deserted.map_or_else(|| error.to_string(), |(reason, _)| reason);
                return Err(blame(stop, reason));
            }
        }
    }
    Ok(told)
}

/// Finds processes that have died.
fn look(children: &mut [Child], stop: &Stop) -> Result<(), Trouble> {
    for child in children {
        if let Some(status) = child.try_wait()?.filter(|status| !status.success()) {
            let remedy = shrinkage::of_end(status);
            let reason = format!("its process {} ended early: {status}{remedy}", child.pid());
            return Err(blame(stop, reason));
        }
    }
    Ok(())
}

/// A signal from the terminal is meant for all of us, and may have reached the others first.
fn blame(stop: &Stop, reason: String) -> Trouble {
    if stop.code_soon().is_some() { Trouble::Stopped } else { Trouble::Failed(reason) }
}
