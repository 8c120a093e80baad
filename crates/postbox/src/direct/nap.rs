//! Sleeping outside any channel: for a partner that is not there, or a link that it is to ask for.

use crate::error::Fault;
use crate::wait::Wait;
use postbox_sys::epoll::{Epoll, Event, Interest};
use std::os::fd::{AsFd, BorrowedFd};

/// Descriptors to sleep on.
pub(super) struct Nap(Epoll);

impl Nap {
    pub(super) fn new() -> Result<Self, Fault> {
        Epoll::new().map(Nap).map_err(Fault::system("epoll_create1"))
    }

    /// Wakes while this one is readable.
    pub(super) fn level(&self, fd: impl AsFd) -> Result<(), Fault> {
        self.0.add(fd, Interest::EPOLLIN, 0).map_err(Fault::system("epoll_ctl"))
    }

    /// Wakes each time this one becomes readable, and once at first if it is.
    pub(super) fn edge(&self, fd: impl AsFd) -> Result<(), Fault> {
        let edge = Interest::EPOLLIN.union(Interest::EPOLLET);
        self.0.add(fd, edge, 0).map_err(Fault::system("epoll_ctl"))
    }

    /// Forgets one. It must be in the set no more before it is closed.
    pub(super) fn forget(&self, fd: impl AsFd) {
        let _ = self.0.remove(fd);
    }

    /// Sleeps until one of them wakes it, or the wait is over: look again.
    pub(super) fn sleep(&self, wait: &Wait) -> Result<(), Fault> {
        if let Some(cancel) = wait.cancel {
            self.level(cancel.bell())?;
        }
        let slept = self.0.wait(&mut [Event::empty(); 8], wait.deadline);
        if let Some(cancel) = wait.cancel {
            self.forget(cancel.bell());
        }
        slept.map(drop).map_err(Fault::system("epoll_pwait2"))
    }
}

impl AsFd for Nap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
