//! A run of two threads of one process: a mirror of what processes could reach at best.

use crate::Outcome;
use crate::protocol::{Hello, Metric, Run};
use crate::serve::{self, Abilities, refuse_to_share_a_core};
use crate::work::{Figures, Receiving, Sending, consume, ping, pong, produce};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use postbox_sys::cpu;
use std::process::ExitCode;
use std::thread;

/// A library whose two sides are threads.
pub trait Mirror {
    /// Who it is.
    const HELLO: Hello;
    /// The end that sends.
    type Sender: Sending + Send + 'static;
    /// The end that receives.
    type Receiver: Receiving + Send + 'static;

    /// A channel, one way.
    fn channel(run: &Run) -> (Self::Sender, Self::Receiver);
}

/// The `main` of its program.
pub fn main<M: Mirror>() -> ExitCode {
    serve::main(&Abilities {
        hello: M::HELLO,
        refuses: refuse_to_share_a_core,
        near: near::<M>,
        far: |_| Err("its other half is a thread".into()),
    })
}

fn near<M: Mirror>(run: &Run) -> Outcome<Figures> {
    set_pdeathsig(Signal::SIGKILL)?;
    cpu::pin_to(run.near)?;
    let (mut tx, mut rx) = M::channel(run);
    let far = run.clone();
    let (figures, thread) = match run.metric {
        Metric::Throughput => {
            let thread = start(move || {
                cpu::pin_to(far.far)?;
                produce(&mut tx, &far)
            });
            (consume(&mut rx, run)?, thread)
        }
        Metric::Latency => {
            let (mut back, mut came) = M::channel(run);
            let thread = start(move || {
                cpu::pin_to(far.far)?;
                pong(&mut back, &mut rx, &far)
            });
            (ping(&mut tx, &mut came, run)?, thread)
        }
    };
    thread.join().map_err(|_| "the other thread panicked")??;
    Ok(figures)
}

/// With its error in words, which can leave the thread.
fn start(
    body: impl FnOnce() -> Outcome<()> + Send + 'static,
) -> thread::JoinHandle<Result<(), String>> {
    thread::spawn(|| body().map_err(|error| error.to_string()))
}
