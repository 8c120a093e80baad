//! Connections on which nothing has been said yet.

use postbox_sys::descriptors::hang_up;
use postbox_sys::directory::own_uid;
use postbox_sys::epoll::Epoll;
use postbox_sys::socket::Credentials;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How many there are at most.
const MOST: usize = 256;

/// How many there are at most of any one user but the own one.
const MOST_OF_ANOTHER: usize = 64;

/// How long one may say nothing.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection on which nothing has been said yet.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) peer: Credentials,
    /// The token of the address that it was made to.
    pub(super) post: u64,
    pub(super) since: Instant,
}

/// All of them, by token: the longest silent first.
#[derive(Default)]
pub(super) struct Connections(BTreeMap<u64, Connection>);

impl Connections {
    pub(super) fn get(&self, token: u64) -> Option<&Connection> {
        self.0.get(&token)
    }

    /// Keeps one, and closes the longest silent one where that makes too many.
    pub(super) fn keep(&mut self, epoll: &Epoll, token: u64, connection: Connection) {
        let uid = connection.peer.uid;
        self.0.insert(token, connection);
        let same: Vec<u64> =
            self.0.iter().filter(|(_, c)| c.peer.uid == uid).map(|(&token, _)| token).collect();
        if uid != own_uid() && same.len() > MOST_OF_ANOTHER {
            self.close(epoll, same[0]);
        } else if self.0.len() > MOST {
            self.close_oldest(epoll);
        }
    }

    /// Closes the longest silent one, if there is any.
    pub(super) fn close_oldest(&mut self, epoll: &Epoll) -> bool {
        let oldest = self.0.keys().next().copied();
        oldest.inspect(|&token| self.close(epoll, token)).is_some()
    }

    /// Closes one. A forked child may have a copy of it, which would keep it in the set.
    pub(super) fn close(&mut self, epoll: &Epoll, token: u64) {
        if let Some(connection) = self.0.remove(&token) {
            let _ = epoll.remove(&connection.socket);
            hang_up(connection.socket);
        }
    }

    /// Closes those that have been silent for too long.
    pub(super) fn close_silent(&mut self, epoll: &Epoll, now: Instant) {
        while self.deadline().is_some_and(|deadline| now >= deadline) {
            self.close_oldest(epoll);
        }
    }

    /// When the next one will have been silent for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().next().map(|connection| connection.since + SILENCE)
    }

    pub(super) fn close_all(&mut self, epoll: &Epoll) {
        while self.close_oldest(epoll) {}
    }
}
