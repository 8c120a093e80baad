//! The registrar's thread: accepting, hearing, answering.

use super::super::protocol::{self, Envelope, MAX_DESCRIPTORS, MAX_PACKET, Reply, Request};
use super::super::{Address, Kind};
use super::connections::{Connection, Connections};
use super::{Answer, BELL, Caller, Desk, Post, next_token};
use crate::error::Fault;
use crate::process::quiet;
use postbox_steps::{Step, at};
use postbox_sys::descriptors::{hang_up, recv_with_fds, send_with_fds};
use postbox_sys::epoll::{Event, Interest};
use postbox_sys::socket::{Credentials, peer_credentials};
use postbox_sys::{Errno, eventfd, listener};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How many connections are accepted before others are heard.
const ACCEPTS: usize = 64;

/// How long nothing is accepted where descriptors are short and no connection could make room.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of hearing a connection.
#[derive(PartialEq, Eq)]
enum Heard {
    /// Nothing yet.
    Nothing,
    /// All that there was to be heard.
    All,
}

/// The thread's whole life. Outside the waiting it works, in the sense of [`quiet`].
pub(super) fn run(desk: Arc<Desk>, ready: Sender<()>) {
    let mut working = Some(quiet::begin_work());
    let mut state = State {
        desk: &desk,
        connections: Connections::default(),
        spare: eventfd::create().ok(),
        paused: Vec::new(),
        resume: None,
    };
    let _ = ready.send(());
    drop(ready);
    let mut events = [Event::empty(); 64];
    // Pairs with the store where the registrar is dropped.
    while !desk.ended.load(Ordering::Acquire) {
        let deadline = state.deadline();
        drop(working.take());
        let ready = desk.epoll.wait(&mut events, deadline);
        working = Some(quiet::begin_work());
        for event in &events[..ready.unwrap_or(0)] {
            state.turn_to(event.data());
        }
        state.pass_time();
    }
    state.connections.close_all(&desk.epoll);
    // This may be the last use of the domain, which then takes locks: that is work too.
    drop(state);
    drop(desk);
    drop(working);
}

struct State<'d> {
    desk: &'d Desk,
    connections: Connections,
    /// A descriptor that is given up where there is no other, for one conversation at a time.
    spare: Option<OwnedFd>,
    /// Listeners taken out of the set until `resume`.
    paused: Vec<u64>,
    resume: Option<Instant>,
}

impl State<'_> {
    /// When something has to be done although nothing happens.
    fn deadline(&self) -> Option<Instant> {
        self.connections.deadline().into_iter().chain(self.resume).min()
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        if self.spare.is_none() {
            self.spare = eventfd::create().ok();
        }
        self.connections.close_silent(&self.desk.epoll, now);
        if self.resume.is_some_and(|resume| now >= resume) {
            let desk = self.desk;
            // What cannot be resumed now, for want of kernel memory, is tried again.
            self.paused.retain(|&token| {
                desk.post(token).is_some_and(|post| {
                    desk.epoll.add(&*post.listener, Interest::EPOLLIN, token).is_err()
                })
            });
            self.resume = (!self.paused.is_empty()).then(|| now + PAUSE);
        }
    }

    fn turn_to(&mut self, token: u64) {
        if token == BELL {
            // Rung once, to end the loop.
        } else if let Some(post) = self.desk.post(token) {
            self.accept(token, &post);
        } else if let Some(connection) = self.connections.get(token) {
            // One whose address is no more answered for has nobody to talk to.
            let post = self.desk.post(connection.post);
            let heard = post.map(|post| self.hear(&connection.socket, &connection.peer, &post));
            if heard != Some(Heard::Nothing) {
                self.connections.close(&self.desk.epoll, token);
            }
        }
    }

    fn accept(&mut self, token: u64, post: &Post) {
        for _ in 0..ACCEPTS {
            match listener::accept(&*post.listener) {
                Ok(socket) => {
                    at(Step::CallerAccepted);
                    self.receive(socket, token, post);
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR | Errno::ECONNABORTED) => (),
                // A descriptor is asked for before it is known that nobody waits.
                Err(_) if !listener::has_waiting(&*post.listener) => return,
                // Mostly descriptors are short. Those of the silent are given up first, then the
                // spare one; others may be in a moment.
                Err(_) if self.connections.close_oldest(&self.desk.epoll) => (),
                Err(_) if self.spare.take().is_some() => (),
                Err(_) => return self.pause(token, post),
            }
        }
    }

    fn pause(&mut self, token: u64, post: &Post) {
        let _ = self.desk.epoll.remove(&*post.listener);
        self.paused.push(token);
        self.resume.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// Hears a new connection at once: whoever knows what to ask is never among the silent.
    fn receive(&mut self, socket: OwnedFd, post_token: u64, post: &Post) {
        let Ok(peer) = peer_credentials(&socket) else { return };
        if !post.listener.admits(peer.uid) || self.hear(&socket, &peer, post) == Heard::All {
            return hang_up(socket);
        }
        let token = next_token();
        let added = self.desk.epoll.add(&socket, Interest::EPOLLIN, token);
        if added.is_ok() {
            let connection = Connection { socket, peer, post: post_token, since: Instant::now() };
            self.connections.keep(&self.desk.epoll, token, connection);
        }
    }

    fn hear(&self, socket: &OwnedFd, peer: &Credentials, post: &Post) -> Heard {
        let mut packet = [0; MAX_PACKET];
        let received = match recv_with_fds(socket, &mut packet, MAX_DESCRIPTORS) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Heard::Nothing,
            Err(errno @ (Errno::EMFILE | Errno::ENFILE)) => {
                // The request is lost together with its descriptors, but not who has asked.
                let fault = Fault::System { call: "taking descriptors", errno };
                reply(socket, &failed(fault.to_string()));
                return Heard::All;
            }
            Err(_) => return Heard::All,
            Ok(received) if received.message == 0 || received.message > MAX_PACKET => {
                return Heard::All;
            }
            Ok(received) => received,
        };
        at(Step::RequestHeard);
        let answer = match protocol::decode::<Envelope<Request>>(&packet[..received.bytes]) {
            Some(envelope) => self.answer(peer, post, envelope, received.descriptors),
            None => Reply::NotUnderstood.into(),
        };
        reply(socket, &answer);
        at(Step::AnswerSent);
        Heard::All
    }

    fn answer(
        &self,
        peer: &Credentials,
        post: &Post,
        envelope: Envelope<Request>,
        fds: Vec<OwnedFd>,
    ) -> Answer {
        let is_holder = |name: &_| {
            let address = Address { kind: Kind::Process, name: Clone::clone(name) };
            peer.pid != 0
                && self.desk.domain.holder(&address).is_ok_and(|pid| pid == Some(peer.pid))
        };
        let name = envelope.from.filter(is_holder);
        let caller = Caller { pid: peer.pid, uid: peer.uid, name };
        match envelope.request {
            Request::Hello => Reply::Hello { caller: caller.name }.into(),
            request => {
                // A service that panics has failed one caller and no other.
                catch_unwind(AssertUnwindSafe(|| post.service.answer(&caller, request, fds)))
                    .unwrap_or_else(|_| failed("it panicked".into()))
            }
        }
    }
}

fn failed(why: String) -> Answer {
    Reply::Failed { why }.into()
}

/// Sends an answer, or else why it cannot be sent. A caller that does not take it is not waited for.
fn reply(socket: &OwnedFd, answer: &Answer) {
    if let Err(fault) = try_reply(socket, answer) {
        let _ = try_reply(socket, &failed(fault.to_string()));
    }
}

fn try_reply(socket: &OwnedFd, answer: &Answer) -> Result<(), Fault> {
    let packet = protocol::encode(&answer.reply)?;
    let fds: Vec<_> = answer.fds.iter().map(|fd| fd.as_fd()).collect();
    if fds.len() > MAX_DESCRIPTORS {
        return Err(Fault::System { call: "descriptors of an answer", errno: Errno::EINVAL });
    }
    match send_with_fds(socket, &packet, &fds) {
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET | Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(Fault::System { call: "sending descriptors", errno }),
    }
}
