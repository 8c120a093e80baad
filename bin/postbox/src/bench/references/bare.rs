//! The kernel's objects with nothing around them, in blocking loops: one call per message.

use super::super::ends::{Outcome, Receiving, Sending, message};
use super::refused;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{MsgFlags, getsockopt, recv, send, setsockopt};
use nix::unistd::{pipe2, read, write};
use postbox::Mechanism;
use postbox_sys::limits::page_size;
use postbox_sys::{Errno, mqueue, pipe, socket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

/// One packet of a pipe.
const PAGE: usize = 4096;
/// Capacity of the pipe that takes what no packet holds.
const WIDE: usize = 1 << 20;
/// Packets that a pipe holds unless asked otherwise.
const PIPE_DEPTH: u32 = 64;
/// Messages that a queue holds where the administrator has not changed it.
const QUEUE_DEPTH: u64 = 10;

/// What the taker does when nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Sleeps in the call that takes.
    Blocking,
    /// Polls first, then takes without blocking.
    Polled,
}

/// Which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Packets,
    Bytes,
    Socket,
    Queue,
}

/// One kernel object: two descriptors, the same one twice for a queue.
#[derive(Clone)]
pub struct Bare {
    kind: Kind,
    read: Rc<OwnedFd>,
    write: Rc<OwnedFd>,
    payload: usize,
}

impl Bare {
    /// The object of that mechanism, of `depth` messages as far as it can be; if it cannot hold
    /// one of `payload` bytes, and for shared memory, a pipe of bytes, 1 MiB wide.
    pub fn create(mechanism: Mechanism, payload: usize, depth: Option<u32>) -> Outcome<Self> {
        let (kind, read, write) = match mechanism {
            Mechanism::Pipe if payload <= PAGE => {
                let (read, write) = pipe::packet_pipe().map_err(refused("pipe2"))?;
                widen(&write, depth.unwrap_or(PIPE_DEPTH).max(1) as usize * page_size())?;
                (Kind::Packets, read, write)
            }
            Mechanism::Socket if fits_socket(payload)? => {
                let (write, read) = socket_pair()?;
                if let Some(depth) = depth {
                    hold(&write, depth, payload)?;
                }
                (Kind::Socket, read, write)
            }
            Mechanism::MessageQueue if payload as u64 <= mqueue::limits()?.max_message_size => {
                let most = mqueue::limits()?.max_messages.min(QUEUE_DEPTH);
                let depth = depth.map_or(most, |depth| most.min(u64::from(depth.max(1))));
                let depth = depth as usize;
                let queue = mqueue::create("postbox-bench", depth, payload);
                let queue = queue.map_err(refused("mq_open"))?;
                (Kind::Queue, queue.try_clone()?, queue)
            }
            _ => {
                let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(refused("pipe2"))?;
                widen(&write, WIDE)?;
                (Kind::Bytes, read, write)
            }
        };
        Ok(Bare { kind, read: Rc::new(read), write: Rc::new(write), payload })
    }

    /// Whether it holds whole messages, so that several processes can share an end.
    pub fn keeps_messages_whole(&self) -> bool {
        self.kind != Kind::Bytes
    }

    /// How many messages of that size it holds: found out by filling it, after which it is of no
    /// other use. None for a pipe of bytes.
    pub fn depth(&self) -> Outcome<Option<u32>> {
        let message = message(self.payload)?;
        let mut held = 0;
        loop {
            let sent = match self.kind {
                Kind::Bytes => return Ok(None),
                Kind::Packets => pipe::write(&*self.write, &message).map(drop),
                Kind::Socket => socket::send(&*self.write, &message),
                Kind::Queue => mqueue::send_nowait(&*self.write, &message),
            };
            match sent {
                Ok(()) => held += 1,
                Err(Errno::EAGAIN) => return Ok(Some(held)),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// What it is called.
    pub fn name(&self) -> Outcome<String> {
        Ok(match self.kind {
            Kind::Packets => "packet pipe".into(),
            Kind::Bytes => match pipe::capacity(&*self.write)? {
                WIDE => "1 MiB pipe".into(),
                narrow => format!("{} KiB pipe", narrow >> 10),
            },
            Kind::Socket => "seqpacket socket".into(),
            Kind::Queue => "POSIX queue".into(),
        })
    }

    /// Its two sides, whose calls block.
    pub fn sides(self, taking: Taking) -> Outcome<(BareSender, BareReceiver)> {
        for fd in [&self.read, &self.write] {
            let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
            fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK))?;
        }
        Ok((BareSender(self.clone()), BareReceiver(self, taking)))
    }
}

/// Gives a pipe that many bytes, or as many as the system lets it have.
fn widen(pipe: &OwnedFd, mut bytes: usize) -> Outcome<()> {
    loop {
        match pipe::set_capacity(pipe, bytes) {
            // More than fs.pipe-max-size, or than is left to the user's pipes, or to any.
            Err(Errno::EPERM | Errno::EINVAL) if bytes > page_size() => bytes /= 2,
            set => return Ok(set.map(drop).map_err(refused("F_SETPIPE_SZ"))?),
        }
    }
}

fn socket_pair() -> Outcome<(OwnedFd, OwnedFd)> {
    Ok(socket::seqpacket_pair().map_err(refused("socketpair"))?)
}

/// Lets a socket hold `depth` messages of that size, as far as its buffer can be that small or large.
fn hold(socket: &OwnedFd, depth: u32, payload: usize) -> Outcome<()> {
    let usual = Bare::create(Mechanism::Socket, payload, None)?.depth()?.unwrap_or(1).max(1);
    if depth != usual {
        let bytes = getsockopt(socket, SndBuf)? / usual as usize * depth as usize;
        // The kernel doubles what it is given, for what it adds to each message, and takes an int.
        setsockopt(socket, SndBuf, &(bytes / 2).min(i32::MAX as usize))?;
    }
    Ok(())
}

fn fits_socket(payload: usize) -> Outcome<bool> {
    let (one, _other) = socket_pair()?;
    Ok(socket::send(&one, &message(payload)?).is_ok())
}

/// The side that sends.
#[derive(Clone)]
pub struct BareSender(Bare);
/// The side that takes.
#[derive(Clone)]
pub struct BareReceiver(Bare, Taking);

impl Sending for BareSender {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        let fd = &*self.0.write;
        match self.0.kind {
            Kind::Packets => write(fd, message).map(drop)?,
            Kind::Socket => send(fd.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL).map(drop)?,
            Kind::Queue => mqueue::send(fd, message)?,
            Kind::Bytes => {
                let mut rest = message;
                while !rest.is_empty() {
                    rest = &rest[write(fd, rest)?..];
                }
            }
        }
        Ok(())
    }
}

impl Receiving for BareReceiver {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        let BareReceiver(Bare { kind, read: fd, payload, .. }, taking) = self;
        if buffer.len() != *payload {
            buffer.resize(*payload, 0);
        }
        if *taking == Taking::Polled {
            poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        }
        match kind {
            Kind::Packets => read_some(fd, buffer)?,
            Kind::Socket => recv(fd.as_raw_fd(), buffer, MsgFlags::empty())?,
            Kind::Queue => mqueue::receive(fd, buffer)?,
            Kind::Bytes => {
                let mut at = 0;
                while at < *payload {
                    at += read_some(fd, &mut buffer[at..])?;
                }
                at
            }
        };
        Ok(())
    }
}

/// Never nothing: that would be the end of the stream, and whoever counts on more waits forever.
fn read_some(fd: &OwnedFd, buffer: &mut [u8]) -> Outcome<usize> {
    match read(fd, buffer)? {
        0 => Err("the other side has closed the pipe".into()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of 64 bytes an object holds that is to hold so many.
    fn held(mechanism: Mechanism, wanted: u32) -> u32 {
        Bare::create(mechanism, 64, Some(wanted)).unwrap().depth().unwrap().unwrap()
    }

    #[test]
    fn an_object_is_as_deep_as_it_is_asked_to_be() {
        for wanted in [8, 32] {
            assert_eq!(held(Mechanism::Pipe, wanted), wanted);
        }
        assert_eq!(held(Mechanism::MessageQueue, 7), 7);
        for wanted in [8, 20, 100] {
            assert_eq!(held(Mechanism::Socket, wanted), wanted);
        }
        // As near as the kernel lets it be.
        assert_eq!(held(Mechanism::Pipe, 5), 8);
        assert!((2..8).contains(&held(Mechanism::Socket, 1)));
        for beyond in [1 << 20, u32::MAX] {
            assert!(held(Mechanism::Pipe, beyond) >= 2);
            assert!(held(Mechanism::Socket, beyond) > 100);
        }
        // What was found out is asked for the next time.
        for mechanism in [Mechanism::Pipe, Mechanism::Socket, Mechanism::MessageQueue] {
            let usual = Bare::create(mechanism, 64, None).unwrap().depth().unwrap().unwrap();
            assert_eq!(held(mechanism, usual), usual);
        }
    }
}
