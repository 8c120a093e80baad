//! shmem-ipc: a ring of bytes in a memfd, with an eventfd each way. `polled` uses the ring alone and
//! spins; `woken` is the library's own way to wait, with a signal whenever a side may sleep.

use postbox_peers::Outcome;
use postbox_peers::halves::{self, Ends, Invitation, Peer};
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::serve::refuse_to_share_a_core;
use postbox_peers::work::{Receiving, Sending};
use shmem_ipc::sharedring::{Receiver, Sender};
use std::fs::File;
use std::hint::spin_loop;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

/// The subject that spins.
const POLLED: &str = "polled";

struct ShmemIpc;

struct Tx {
    ring: Sender<u8>,
    polls: bool,
}

struct Rx {
    ring: Receiver<u8>,
    polls: bool,
    payload: usize,
}

impl Peer for ShmemIpc {
    const HELLO: Hello = Hello { name: "shmem-ipc", version: "0.3", subjects: &[POLLED, "woken"] };
    type Sender = Tx;
    type Receiver = Rx;
    type Prepared = Ends<Tx, Rx>;

    fn refuses(run: &Run) -> Option<String> {
        if polls(run) { refuse_to_share_a_core(run) } else { None }
    }

    fn prepare(run: &Run) -> Outcome<(Self::Prepared, Invitation)> {
        let mut descriptors = Vec::new();
        let mut pass = |files: [&File; 3]| -> Outcome<()> {
            for file in files {
                descriptors.push(file.try_clone()?.into());
            }
            Ok(())
        };
        let ring: Receiver<u8> = Receiver::new(capacity(run))?;
        pass([ring.memfd().as_file(), ring.empty_signal(), ring.full_signal()])?;
        let rx = Rx { ring, polls: polls(run), payload: run.payload };
        let mut tx = None;
        if run.there() {
            let ring: Sender<u8> = Sender::new(capacity(run))?;
            pass([ring.memfd().as_file(), ring.empty_signal(), ring.full_signal()])?;
            tx = Some(Tx { ring, polls: polls(run) });
        }
        let invitation = Invitation { descriptors, ..Invitation::default() };
        Ok((Ends { tx, rx: Some(rx) }, invitation))
    }

    fn near(ends: Self::Prepared, _run: &Run) -> Outcome<Ends<Tx, Rx>> {
        Ok(ends)
    }

    fn far(invitation: Invitation, run: &Run) -> Outcome<Ends<Tx, Rx>> {
        let mut came = invitation.descriptors.into_iter();
        let mut three = || -> Outcome<[File; 3]> {
            let mut next = || -> Outcome<File> {
                let descriptor: OwnedFd = came.next().ok_or("a descriptor is lacking")?;
                Ok(descriptor.into())
            };
            Ok([next()?, next()?, next()?])
        };
        let [memory, empty, full] = three()?;
        let ring = Sender::open(capacity(run), memory, empty, full)?;
        let tx = Tx { ring, polls: polls(run) };
        let mut rx = None;
        if run.there() {
            let [memory, empty, full] = three()?;
            let ring = Receiver::open(capacity(run), memory, empty, full)?;
            rx = Some(Rx { ring, polls: polls(run), payload: run.payload });
        }
        Ok(Ends { tx: Some(tx), rx })
    }
}

fn polls(run: &Run) -> bool {
    run.subject == POLLED
}

/// Bytes that may wait.
fn capacity(run: &Run) -> usize {
    run.depth * run.payload
}

impl Sending for Tx {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        let mut rest = message;
        while !rest.is_empty() {
            let mut written = 0;
            let write = |into: *mut u8, room: usize| {
                written = room.min(rest.len());
                copy_in(&rest[..written], into);
                written
            };
            if self.polls {
                self.ring.sender_mut().send(write)?;
            } else {
                self.ring.send_raw(write)?;
            }
            match written {
                0 if self.polls => spin_loop(),
                0 => drop(self.ring.block_until_writable()?),
                _ => rest = &rest[written..],
            }
        }
        Ok(())
    }
}

impl Receiving for Rx {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.resize(self.payload, 0);
        let mut at = 0;
        while at < self.payload {
            let mut taken = 0;
            let rest = &mut buffer[at..];
            let read = |from: *const u8, waiting: usize| {
                taken = waiting.min(rest.len());
                copy_out(from, &mut rest[..taken]);
                taken
            };
            if self.polls {
                self.ring.receiver_mut().recv(read)?;
            } else {
                self.ring.receive_raw(read)?;
            }
            match taken {
                0 if self.polls => spin_loop(),
                0 => drop(self.ring.block_until_readable()?),
                _ => at += taken,
            }
        }
        Ok(())
    }
}

/// Into the ring, which the library gives out as a pointer since the other process can write to it.
#[inline]
#[allow(unsafe_code)]
fn copy_in(bytes: &[u8], into: *mut u8) {
    // SAFETY: `into` is what `send` gave out, with room for at least so many bytes, which nobody
    // reads until it returns; it is no part of `bytes`, which are this process's own.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), into, bytes.len()) }
}

/// Out of the ring.
#[inline]
#[allow(unsafe_code)]
fn copy_out(from: *const u8, bytes: &mut [u8]) {
    // SAFETY: `from` is what `recv` gave out, with at least so many bytes, which nobody writes until
    // it returns; it is no part of `bytes`, which are this process's own.
    unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) }
}

fn main() -> ExitCode {
    halves::main::<ShmemIpc>()
}
