//! Asking a registrar.
//!
//! ```text
//!  who holds the name? ─► pin that process ─► does it still? ─► connect to NAME.PID ─► is it the
//!  process that listens there? ─► ask ─► its answer, or its death, the deadline, the cancel
//! ```
//!
//! A socket alone proves nothing: a forked child may have it open long after its process died, and
//! a pid may be used again.

use super::Domain;
use super::address::{Address, file_name};
use super::protocol::{self, Envelope, MAX_DESCRIPTORS, MAX_PACKET, Reply, Request};
use crate::error::Fault;
use crate::name::Name;
use crate::process::Identity;
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use postbox_sys::descriptors::{recv_with_fds, send_with_fds};
use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::socket::peer_credentials;
use postbox_sys::{Errno, listener, pidfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// An answer, and who gave it: kernel-checked.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody holds the name. Nothing was asked.
    #[error("nobody has that name")]
    Absent,
    /// The deadline passed; whether the request was carried out is unknown.
    #[error("timed out")]
    TimedOut,
    /// The cancel fired; whether the request was carried out is unknown.
    #[error("cancelled")]
    Cancelled,
    /// The process died, or let go of the name, while it was asked; whether the request was carried
    /// out is unknown.
    #[error("process {pid} was gone before it answered")]
    Gone { pid: u32 },
    /// The process, the machine or the peer is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Ended> for AskError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => AskError::TimedOut,
            Ended::Cancelled => AskError::Cancelled,
        }
    }
}

/// How long one waits before one looks again whether a process that is there can be asked.
const TICK: Duration = Duration::from_millis(2);

/// How often registrars may hang up on us, and for how long, before one is at fault. They do so for want of room,
/// and where the address is given up, which it may be again and again.
const HANG_UPS: u32 = 8;
const HANGING_UP: Duration = Duration::from_secs(1);

/// Asks whoever holds `to`. `from` is the process name that the caller holds itself, if any. A
/// process that is just joining, or too busy to be asked, is waited for.
///
/// Never from a [`Service`](super::Service): two that ask each other would wait for ever.
pub(crate) fn ask(
    domain: &Domain,
    to: &Address,
    from: Option<&Name>,
    request: &Request,
    fds: &[BorrowedFd<'_>],
    wait: &Wait<'_>,
) -> Result<Answered, AskError> {
    let packet = protocol::encode(&Envelope { from: from.cloned(), request })?;
    let (mut asked, mut hang_ups, mut first) = (None, 0, None);
    loop {
        let pid = match (domain.holder(to)?, asked) {
            (Some(holder), None) => holder,
            (Some(holder), Some(pid)) if pid == holder => pid,
            (_, Some(pid)) => return Err(AskError::Gone { pid }),
            (None, None) => return Err(AskError::Absent),
        };
        let Some(patience) = Patience::with(pid, wait)? else {
            // Just dead, and its locks go with it, unless it shared its descriptors with another.
            if let Some(ended) = wait.over() {
                return Err(ended.into());
            }
            std::thread::sleep(TICK);
            continue;
        };
        match connect(domain, to, pid)? {
            None => patience.pause()?,
            Some((connection, uid)) => match exchange(&connection, &packet, fds, &patience)? {
                Exchange::Answered(reply, fds) => return Ok(Answered { reply, fds, pid, uid }),
                Exchange::HungUp { was_asked } => {
                    hang_ups += 1;
                    let since = first.get_or_insert_with(Instant::now).elapsed();
                    if hang_ups > HANG_UPS && since > HANGING_UP {
                        let call = "asking a registrar, which hangs up";
                        return Err(Fault::System { call, errno: Errno::ECONNRESET }.into());
                    }
                    asked = asked.or(was_asked.then_some(pid));
                    patience.pause()?;
                }
            },
        }
    }
}

/// A connection to the process `pid` under that name, and the user that it runs as; `None` if it
/// cannot be had yet.
fn connect(domain: &Domain, to: &Address, pid: u32) -> Result<Option<(OwnedFd, u32)>, Fault> {
    // Pinned by now: if it still holds the name, it is the one that did.
    if !domain.holders(to)?.contains(&Some(pid)) {
        return Ok(None);
    }
    let directory = domain.place_now();
    match listener::connect(directory.sockets(to.kind), &file_name(&to.name, pid)) {
        Ok(connection) => {
            at(Step::RegistrarReached);
            let peer = peer_credentials(&connection).map_err(Fault::system("getsockopt"))?;
            // Otherwise an older process with that pid has left its socket.
            Ok((peer.pid == pid).then_some((connection, peer.uid)))
        }
        // Not there yet, not there any more, or with too many others before us.
        Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(Fault::System { call: "connecting to a registrar", errno }),
    }
}

/// How talking to a registrar ended.
enum Exchange {
    Answered(Reply, Vec<OwnedFd>),
    /// It closed the connection; whether the request had reached it by then.
    HungUp {
        was_asked: bool,
    },
}

fn exchange(
    connection: &OwnedFd,
    packet: &[u8],
    fds: &[BorrowedFd<'_>],
    patience: &Patience<'_>,
) -> Result<Exchange, AskError> {
    match send_with_fds(connection, packet, fds) {
        Ok(_) => at(Step::RequestSent),
        Err(Errno::EPIPE | Errno::ECONNRESET) => return Ok(Exchange::HungUp { was_asked: false }),
        Err(errno) => return Err(Fault::System { call: "asking a registrar", errno }.into()),
    }
    patience.listen_to(connection)?;
    loop {
        let is_dead = patience.is_dead();
        let mut answer = [0; MAX_PACKET];
        match recv_with_fds(connection, &mut answer, MAX_DESCRIPTORS) {
            Ok(received) if received.message == 0 => {
                return Ok(Exchange::HungUp { was_asked: true });
            }
            Ok(received) => {
                at(Step::AnswerHeard);
                let whole = received.message == received.bytes;
                return match protocol::decode(&answer[..received.bytes]).filter(|_| whole) {
                    Some(reply) => Ok(Exchange::Answered(reply, received.descriptors)),
                    None => {
                        let call = "an answer of another version of Postbox";
                        Err(Fault::System { call, errno: Errno::EPROTO }.into())
                    }
                };
            }
            Err(Errno::ECONNRESET) => return Ok(Exchange::HungUp { was_asked: true }),
            // What it answered before it died has been looked for after that.
            Err(Errno::EAGAIN) if is_dead => return Err(AskError::Gone { pid: patience.pid }),
            Err(Errno::EAGAIN | Errno::EINTR) => patience.sleep(None)?,
            Err(errno) => return Err(Fault::System { call: "an answer", errno }.into()),
        }
    }
}

/// What one waits for besides an answer: the end of the process, the deadline, the cancel.
struct Patience<'w> {
    pid: u32,
    pinned: std::sync::Arc<OwnedFd>,
    wait: &'w Wait<'w>,
    epoll: Epoll,
}

impl<'w> Patience<'w> {
    /// Pins the process that has that pid now; `None` if it is dead.
    fn with(pid: u32, wait: &'w Wait<'w>) -> Result<Option<Self>, Fault> {
        if pid == 0 {
            let call = "the name is held in another pid namespace; pidfd_open";
            return Err(Fault::System { call, errno: Errno::ESRCH });
        }
        let watched = Identity::of(pid).watch().map_err(Fault::system("pidfd_open"))?;
        let Some(pinned) = watched else { return Ok(None) };
        let epoll = Epoll::new().map_err(Fault::system("epoll_create"))?;
        let patience = Patience { pid, pinned, wait, epoll };
        patience.listen_to(&*patience.pinned)?;
        if let Some(cancel) = wait.cancel {
            patience.listen_to(cancel.bell())?;
        }
        Ok(Some(patience))
    }

    fn listen_to(&self, fd: impl AsFd) -> Result<(), Fault> {
        self.epoll.add(fd, Interest::EPOLLIN, 0).map_err(Fault::system("epoll_ctl"))
    }

    fn is_dead(&self) -> bool {
        pidfd::is_dead(&*self.pinned).unwrap_or(false)
    }

    /// Waits a little, or until it is dead.
    fn pause(&self) -> Result<(), AskError> {
        self.sleep(Some(Instant::now() + TICK))
    }

    /// Waits until something happens or `until`.
    fn sleep(&self, until: Option<Instant>) -> Result<(), AskError> {
        if let Some(ended) = self.wait.over() {
            return Err(ended.into());
        }
        let deadline = self.wait.deadline.into_iter().chain(until).min();
        let slept = self.epoll.wait(&mut [Event::empty(); 1], deadline);
        slept.map(drop).map_err(|errno| Fault::System { call: "epoll_wait", errno }.into())
    }
}
