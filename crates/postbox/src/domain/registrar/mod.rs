//! Registrars: the thread of a joined process that answers for its names.
//!
//! ```text
//!  any thread   Registrar::serve ── listener ──► Desk ──► epoll set ◄── connections   registrar's
//!               Served dropped   ◄─ listener ──    │                                    thread
//!                                                  └─ bell: ends the thread
//! ```
//!
//! One request per connection, one call of a service at a time. A connection that says nothing for
//! a second is closed; there are at most 256 (64 of any one other user), of which the one silent
//! for longest makes room. What makes no sense is answered so and closed.
//!
//! A process that has no descriptor left answers all the same: the registrar keeps a spare one, which
//! it gives up for the while of a conversation, so that whoever asks is told what is short.

mod connections;
mod thread;

use super::Domain;
use super::address::Address;
use super::protocol::{Reply, Request};
use super::socket::Listener;
use crate::error::Fault;
use crate::name::Name;
use crate::process::quiet;
use postbox_sys::epoll::{Epoll, Interest};
use postbox_sys::{Errno, eventfd, membarrier, signals, wipe_on_fork};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread::{Builder, JoinHandle};

/// Who asks, as the kernel tells it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    /// The process name that the caller says it holds, if the lock says so too.
    pub(crate) name: Option<Name>,
}

/// What a service answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// At most [`MAX_DESCRIPTORS`](super::protocol::MAX_DESCRIPTORS).
    pub(crate) fds: Vec<Arc<OwnedFd>>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer { reply, fds: Vec::new() }
    }
}

/// What answers for an address. It is called on the registrar's thread, one call at a time, and
/// never asks another registrar, nor waits for anything but a short lock.
pub(crate) trait Service: Send + Sync {
    /// Answers one request, with which those descriptors came.
    fn answer(&self, caller: &Caller, request: Request, fds: Vec<OwnedFd>) -> Answer;
}

/// A thread that answers for any number of addresses. Dropping it ends all that is served and the
/// thread; in a child of `fork` it is nothing.
pub(crate) struct Registrar {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// An address that is answered for. Dropping it removes its socket; a call of the service that has
/// begun may still be running then. In a child of `fork` it is nothing.
pub(crate) struct Served {
    desk: Arc<Desk>,
    token: u64,
}

/// What the thread shares with the others.
struct Desk {
    domain: Domain,
    epoll: Epoll,
    bell: OwnedFd,
    /// Set before the bell is rung for the last time.
    ended: AtomicBool,
    served: Mutex<HashMap<u64, Post>>,
    /// The fork generation in which the thread exists.
    born: u64,
}

/// An address and what answers for it.
#[derive(Clone)]
struct Post {
    listener: Arc<Listener>,
    service: Arc<dyn Service>,
}

/// The token of the bell in the epoll set.
const BELL: u64 = 0;

/// A number for a listener or a connection; the older the smaller.
fn next_token() -> u64 {
    // Pairs with nothing: a number for each, whatever the order.
    static NEXT: AtomicU64 = AtomicU64::new(BELL + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Registrar {
    /// Starts the thread.
    pub(crate) fn start(domain: &Domain) -> Result<Self, Fault> {
        let born = wipe_on_fork::renew().map_err(Fault::system("madvise"))?;
        let epoll = Epoll::new().map_err(Fault::system("epoll_create"))?;
        let bell = eventfd::create().map_err(Fault::system("eventfd"))?;
        epoll.add(&bell, Interest::EPOLLIN, BELL).map_err(Fault::system("epoll_ctl"))?;
        let (domain, served) = (domain.clone(), Mutex::default());
        let ended = AtomicBool::new(false);
        let desk = Arc::new(Desk { domain, epoll, bell, ended, served, born });
        let (ready, begun) = mpsc::channel();
        let body = {
            let desk = desk.clone();
            move || thread::run(desk, ready)
        };
        // While this may still be the only thread: with several, the kernel takes its time over it,
        // and a busy machine may take a fifth of a second. Who cannot take part finds out later.
        let _ = membarrier::register();
        let started = signals::blocked(|| Builder::new().name(quiet::THREAD.into()).spawn(body));
        let started = started.map_err(Fault::system("pthread_sigmask"))?;
        let thread = started.map_err(|error| Fault::System {
            call: "a new thread",
            errno: error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw),
        })?;
        // From now on the thread keeps to the rules by which this process may fork.
        let _ = begun.recv();
        Ok(Registrar { desk, thread: Some(thread) })
    }

    /// Answers for an address, which this process has claimed. Whoever sees its socket can connect.
    pub(crate) fn serve(
        &self,
        address: Address,
        service: Arc<dyn Service>,
    ) -> Result<Served, Fault> {
        self.desk.serve(address, service)
    }

    /// What a service needs to have further addresses answered for.
    pub(crate) fn serving(&self) -> Serving {
        Serving(Arc::downgrade(&self.desk))
    }
}

/// A registrar's thread, in the hands of one of its own services: it keeps nothing alive.
#[derive(Clone)]
pub(crate) struct Serving(Weak<Desk>);

impl Serving {
    /// As [`Registrar::serve`]; `ESHUTDOWN` once the registrar has ended.
    pub(crate) fn serve(
        &self,
        address: Address,
        service: Arc<dyn Service>,
    ) -> Result<Served, Fault> {
        let ended = Fault::System { call: "a registrar that has ended", errno: Errno::ESHUTDOWN };
        self.0.upgrade().ok_or(ended)?.serve(address, service)
    }
}

impl Desk {
    fn serve(
        self: &Arc<Self>,
        address: Address,
        service: Arc<dyn Service>,
    ) -> Result<Served, Fault> {
        let listener = Arc::new(Listener::bind(self.domain.place_now(), address)?);
        let token = next_token();
        self.served().insert(token, Post { listener: listener.clone(), service });
        // Dropped where that fails, and so withdrawn.
        let served = Served { desk: self.clone(), token };
        let added = self.epoll.add(&*listener, Interest::EPOLLIN, token);
        added.map_err(Fault::system("epoll_ctl"))?;
        Ok(served)
    }

    fn served(&self) -> MutexGuard<'_, HashMap<u64, Post>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, token: u64) -> Option<Post> {
        self.served().get(&token).cloned()
    }

    /// Whether this is the process that the thread runs in.
    fn is_own(&self) -> bool {
        self.born == wipe_on_fork::generation()
    }

    fn withdraw(&self, token: u64) {
        let post = self.served().remove(&token);
        if let Some(post) = &post {
            // It may be out already, while descriptors are short. Closing alone would not take it
            // out while a forked child has a copy.
            let _ = self.epoll.remove(&*post.listener);
            post.listener.end();
        }
        // The service may be the last to know its process: it goes without the lock held.
        drop(post);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.desk.is_own() {
            self.desk.withdraw(self.token);
        }
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if !self.desk.is_own() {
            // It does not exist here, and its handle would lead to nothing good.
            std::mem::forget(thread);
            return;
        }
        let tokens: Vec<u64> = self.desk.served().keys().copied().collect();
        tokens.into_iter().for_each(|token| self.desk.withdraw(token));
        // Pairs with the load in the thread's loop.
        self.desk.ended.store(true, Ordering::Release);
        let _ = eventfd::ring(&self.desk.bell);
        // A service may drop the last handle on its own process.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}
