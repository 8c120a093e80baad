//! ipc-channel: bytes over a Unix socket, in fragments if they are many; or each message in shared
//! memory of its own, of which the socket carries the descriptor.

use ipc_channel::ipc::{
    self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender,
    IpcSharedMemory,
};
use postbox_peers::Outcome;
use postbox_peers::halves::{self, Ends, Invitation, Peer};
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::work::{Receiving, Sending};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// The subject that shares memory.
const SHARED: &str = "shared-memory";

struct IpcChannel;

#[derive(Serialize, Deserialize)]
enum Tx {
    Bytes(IpcBytesSender),
    Shared(IpcSender<IpcSharedMemory>),
}

#[derive(Serialize, Deserialize)]
enum Rx {
    Bytes(IpcBytesReceiver),
    Shared(IpcReceiver<IpcSharedMemory>),
}

/// The near half's ends. The far half makes all of them.
type Given = (Option<Tx>, Rx);

impl Peer for IpcChannel {
    const HELLO: Hello =
        Hello { name: "ipc-channel", version: "0.23", subjects: &["bytes", SHARED] };
    type Sender = Tx;
    type Receiver = Rx;
    type Prepared = IpcOneShotServer<Given>;

    fn prepare(_run: &Run) -> Outcome<(Self::Prepared, Invitation)> {
        let (server, words) = IpcOneShotServer::new()?;
        Ok((server, Invitation { words, ..Invitation::default() }))
    }

    fn near(server: Self::Prepared, _run: &Run) -> Outcome<Ends<Tx, Rx>> {
        let (_, (tx, rx)) = server.accept()?;
        Ok(Ends { tx, rx: Some(rx) })
    }

    fn far(invitation: Invitation, run: &Run) -> Outcome<Ends<Tx, Rx>> {
        let (tx, theirs) = channel(run)?;
        let (there, rx) = run.there().then(|| channel(run)).transpose()?.unzip();
        IpcSender::<Given>::connect(invitation.words)?.send((there, theirs))?;
        Ok(Ends { tx: Some(tx), rx })
    }
}

fn channel(run: &Run) -> Outcome<(Tx, Rx)> {
    if run.subject == SHARED {
        let (tx, rx) = ipc::channel()?;
        return Ok((Tx::Shared(tx), Rx::Shared(rx)));
    }
    let (tx, rx) = ipc::bytes_channel()?;
    Ok((Tx::Bytes(tx), Rx::Bytes(rx)))
}

impl Sending for Tx {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        match self {
            Tx::Bytes(tx) => Ok(tx.send(message)?),
            Tx::Shared(tx) => Ok(tx.send(IpcSharedMemory::from_bytes(message))?),
        }
    }
}

impl Receiving for Rx {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.clear();
        match self {
            Rx::Bytes(rx) => buffer.extend_from_slice(&rx.recv()?),
            Rx::Shared(rx) => buffer.extend_from_slice(&rx.recv()?),
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    halves::main::<IpcChannel>()
}
