//! ZeroMQ over `ipc://`, by libzmq: a PUSH and a PULL socket each way, over a Unix socket that has no
//! file. Its I/O threads gather small messages by themselves.

use postbox_peers::Outcome;
use postbox_peers::halves::{self, Ends, Invitation, Peer};
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::work::{Receiving, Sending};
use std::process::{self, ExitCode};
use zmq::{Context, Socket, SocketType};

/// Messages that wait on either side unless somebody says otherwise.
const USUAL: usize = 1000;
/// Bytes that may wait on either side.
const MOST: usize = 64 << 20;

struct ZeroMq;

struct Push(Socket);

struct Pull {
    socket: Socket,
    payload: usize,
}

impl Peer for ZeroMq {
    const HELLO: Hello = Hello { name: "zeromq", version: "4.3", subjects: &["ipc"] };
    type Sender = Push;
    type Receiver = Pull;
    type Prepared = Ends<Push, Pull>;

    fn prepare(run: &Run) -> Outcome<(Self::Prepared, Invitation)> {
        let words = format!("ipc://@postbox-peer-{}", process::id());
        let ends = ends(run, Socket::bind, there(run, &words), Some(back(&words)))?;
        Ok((ends, Invitation { words, ..Invitation::default() }))
    }

    fn near(ends: Self::Prepared, _run: &Run) -> Outcome<Ends<Push, Pull>> {
        Ok(ends)
    }

    fn far(invitation: Invitation, run: &Run) -> Outcome<Ends<Push, Pull>> {
        let words = &invitation.words;
        ends(run, Socket::connect, Some(back(words)), there(run, words))
    }
}

/// The endpoint of messages from the near half to the far one, if there are any.
fn there(run: &Run, words: &str) -> Option<String> {
    run.there().then(|| format!("{words}-there"))
}

/// The endpoint of those from the far half to the near one.
fn back(words: &str) -> String {
    format!("{words}-back")
}

/// What one half needs to send to one endpoint and to receive from another.
fn ends(
    run: &Run,
    join: fn(&Socket, &str) -> zmq::Result<()>,
    to: Option<String>,
    from: Option<String>,
) -> Outcome<Ends<Push, Pull>> {
    let context = Context::new();
    let waiting = USUAL.min(MOST / run.payload).max(run.depth);
    let open = |kind: SocketType, endpoint: String| -> Outcome<Socket> {
        let socket = context.socket(kind)?;
        socket.set_sndhwm(waiting.try_into()?)?;
        socket.set_rcvhwm(waiting.try_into()?)?;
        join(&socket, &endpoint)?;
        Ok(socket)
    };
    let tx = to.map(|endpoint| open(zmq::PUSH, endpoint)).transpose()?;
    let rx = from.map(|endpoint| open(zmq::PULL, endpoint)).transpose()?;
    Ok(Ends { tx: tx.map(Push), rx: rx.map(|socket| Pull { socket, payload: run.payload }) })
}

impl Sending for Push {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        Ok(self.0.send(message, 0)?)
    }
}

impl Receiving for Pull {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.resize(self.payload, 0);
        let came = self.socket.recv_into(buffer, 0)?;
        if came == self.payload { Ok(()) } else { Err(format!("{came} bytes came").into()) }
    }
}

fn main() -> ExitCode {
    halves::main::<ZeroMq>()
}
