//! A run of two processes. The near half measures, and starts the far one with a socket for its
//! standard input: over that comes what it takes to meet, and its end says that the run is over.

use crate::Outcome;
use crate::protocol::{Hello, Metric, Run, failed};
use crate::serve::{self, Abilities, FAR, OWN};
use crate::work::{Figures, Receiving, Sending, consume, ping, pong, produce};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use postbox_sys::{cpu, descriptors, socket};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Descriptors and bytes of an invitation at most.
const DESCRIPTORS: usize = 16;
const WORDS: usize = 4096;

/// What the far half is told so that it can meet the near one.
#[derive(Debug, Default)]
pub struct Invitation {
    /// A name or so.
    pub words: String,
    /// Whatever has no name.
    pub descriptors: Vec<OwnedFd>,
}

/// The ends of one half. For throughput messages go from the far half to the near one only.
#[derive(Debug)]
pub struct Ends<S, R> {
    /// To the other half.
    pub tx: Option<S>,
    /// From the other half.
    pub rx: Option<R>,
}

/// A library whose two sides are processes.
pub trait Peer {
    /// Who it is.
    const HELLO: Hello;
    /// The end that sends.
    type Sender: Sending;
    /// The end that receives.
    type Receiver: Receiving;
    /// What the near half has before the far one is there.
    type Prepared;

    /// Why that run is not possible, if so.
    fn refuses(_run: &Run) -> Option<String> {
        None
    }

    /// The near half, before the far one starts.
    fn prepare(run: &Run) -> Outcome<(Self::Prepared, Invitation)>;

    /// The near half, once the far one has started.
    fn near(prepared: Self::Prepared, run: &Run) -> Outcome<Ends<Self::Sender, Self::Receiver>>;

    /// The far half.
    fn far(invitation: Invitation, run: &Run) -> Outcome<Ends<Self::Sender, Self::Receiver>>;
}

impl Run {
    /// Whether messages go from the near half to the far one, too.
    pub fn there(&self) -> bool {
        self.metric == Metric::Latency
    }
}

/// The `main` of its program.
pub fn main<P: Peer>() -> ExitCode {
    serve::main(&Abilities { hello: P::HELLO, refuses: P::refuses, near: near::<P>, far: far::<P> })
}

fn near<P: Peer>(run: &Run) -> Outcome<Figures> {
    begin(run.near)?;
    let (prepared, invitation) = P::prepare(run)?;
    let (leash, far) = Far::start(run, &invitation)?;
    let Ends { tx, rx } = P::near(prepared, run)?;
    let mut rx = rx.ok_or(LACKING)?;
    let figures = match run.metric {
        Metric::Latency => ping(&mut tx.ok_or(LACKING)?, &mut rx, run)?,
        Metric::Throughput => consume(&mut rx, run)?,
    };
    drop(leash);
    far.end()?;
    Ok(figures)
}

fn far<P: Peer>(run: &Run) -> Outcome<()> {
    begin(run.far)?;
    let mut words = vec![0; WORDS];
    let came = descriptors::recv_with_fds(io::stdin().as_fd(), &mut words, DESCRIPTORS)?;
    words.truncate(came.bytes);
    let invitation = Invitation { words: String::from_utf8(words)?, descriptors: came.descriptors };
    let Ends { tx, rx } = P::far(invitation, run)?;
    let mut tx = tx.ok_or(LACKING)?;
    match run.metric {
        Metric::Latency => pong(&mut tx, &mut rx.ok_or(LACKING)?, run)?,
        Metric::Throughput => produce(&mut tx, run)?,
    }
    // What was sent may need its sender until it has been taken.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

const LACKING: &str = "one end is lacking";

/// Nobody is left if whoever started this half is killed.
fn begin(cpu: usize) -> Outcome<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    cpu::pin_to(cpu)?;
    Ok(())
}

/// The far half, as the near one sees it.
struct Far {
    ended: Receiver<()>,
}

impl Far {
    /// Starts it. It ends once it is done and the socket is dropped.
    fn start(run: &Run, invitation: &Invitation) -> Outcome<(OwnedFd, Self)> {
        let (leash, theirs) = socket::seqpacket_pair()?;
        let descriptors: Vec<_> = invitation.descriptors.iter().map(AsFd::as_fd).collect();
        // Never empty: that would be the end.
        let words = if invitation.words.is_empty() { " " } else { &invitation.words };
        descriptors::send_with_fds(&leash, words.as_bytes(), &descriptors)?;
        let mut command = Command::new(OWN);
        command.args([FAR, &run.to_string()]).stdin(theirs).stdout(Stdio::null());
        let mut child = command.spawn()?;
        // The command holds the far half's socket.
        drop(command);
        let (end, ended) = channel();
        let run = run.clone();
        // Asleep all the time. If the other half fails, this one waits for it in vain.
        thread::spawn(move || {
            let status = child.wait();
            if !status.as_ref().is_ok_and(|status| status.success()) {
                println!("{}", failed(&run, &format!("its other half ended: {status:?}")));
                std::process::exit(1);
            }
            let _ = end.send(());
        });
        Ok((leash, Far { ended }))
    }

    fn end(self) -> Outcome<()> {
        Ok(self.ended.recv()?)
    }
}
