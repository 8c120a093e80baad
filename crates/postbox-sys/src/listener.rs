//! Listening for sequenced-packet connections at a name in an open directory, and connecting there.
//!
//! The name is reached through `/proc/self/fd`, so it may lie as deep as it likes although an
//! address holds 108 bytes, and what the directory's path leads to meanwhile does not matter.

#![allow(unsafe_code)]

use crate::directory::by_descriptor;
use crate::{Errno, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket as sys;
use nix::sys::socket::{AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

fn socket() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    sys::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

fn address(directory: BorrowedFd<'_>, name: &str) -> Result<UnixAddr> {
    UnixAddr::new(&by_descriptor(directory).join(name))
}

/// Creates the socket file `name` and listens there; close-on-exec and nonblocking. As many
/// connections wait to be accepted as the system lets (`/proc/sys/net/core/somaxconn`).
///
/// The file's permission bits are what the umask leaves; connecting takes that for writing.
///
/// # Errors
///
/// `EADDRINUSE`: the name is taken. `ENOENT`: the directory has been removed, or `/proc` is not
/// mounted. `ENAMETOOLONG`, `EACCES`, `EMFILE`, `ENFILE`, `ENOSPC`.
pub fn listen(directory: impl AsFd, name: &str) -> Result<OwnedFd> {
    let listener = socket()?;
    sys::bind(listener.as_raw_fd(), &address(directory.as_fd(), name)?)?;
    sys::listen(&listener, Backlog::MAXCONN)?;
    Ok(listener)
}

/// Takes the next connection; close-on-exec and nonblocking. Does not wait.
///
/// See [`accept(2)`](https://man7.org/linux/man-pages/man2/accept.2.html).
///
/// # Errors
///
/// `EAGAIN`: none waits. `EMFILE`, `ENFILE`, `ENOMEM`: the connection goes on waiting.
pub fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let raw = sys::accept4(listener.as_fd().as_raw_fd(), flags)?;
    // SAFETY: the call has just opened this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Whether a connection waits to be [accepted](accept): what `EMFILE` of that call does not tell.
pub fn has_waiting(listener: impl AsFd) -> bool {
    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Ends a listener or a connection in every process that has a copy of it. Nobody can connect to the
/// listener any more; who has done so and waits to be [accepted](accept) still can be. The other
/// side of the connection reads what was sent and then the end.
///
/// See [`shutdown(2)`](https://man7.org/linux/man-pages/man2/shutdown.2.html).
///
/// # Errors
///
/// `ENOTCONN`: neither of the two.
pub fn shut(listener: impl AsFd) -> Result<()> {
    sys::shutdown(listener.as_fd().as_raw_fd(), Shutdown::Both)
}

/// Connects to the socket `name`; close-on-exec and nonblocking. Does not wait: connections are
/// made at once or not at all.
///
/// # Errors
///
/// `EAGAIN`: too many others wait to be accepted. `ECONNREFUSED`: nobody listens there. `ENOENT`.
/// `EACCES`: the file's or the directory's permissions. `EPROTOTYPE`: a socket of another kind.
/// `ENAMETOOLONG`, `EMFILE`, `ENFILE`.
pub fn connect(directory: impl AsFd, name: &str) -> Result<OwnedFd> {
    let connection = socket()?;
    loop {
        match sys::connect(connection.as_raw_fd(), &address(directory.as_fd(), name)?) {
            Err(Errno::EINTR) => (),
            outcome => return outcome.map(|()| connection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{peer_credentials, recv, send};

    fn directory() -> (std::path::PathBuf, OwnedFd) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique =
            format!("postbox-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir(&path).unwrap();
        let directory = crate::directory::open_path(&path).unwrap();
        (path, directory)
    }

    #[test]
    fn a_connection_knows_the_process_that_listens() {
        let (path, directory) = directory();
        let listener = listen(&directory, &"n".repeat(75)).unwrap();
        assert_eq!(accept(&listener).unwrap_err(), Errno::EAGAIN);
        assert!(!has_waiting(&listener));
        let client = connect(&directory, &"n".repeat(75)).unwrap();
        assert!(has_waiting(&listener));
        let server = accept(&listener).unwrap();
        assert_eq!(peer_credentials(&client).unwrap().pid, std::process::id());
        assert_eq!(peer_credentials(&server).unwrap().pid, std::process::id());
        send(&client, b"hello").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(recv(&server, &mut buffer).unwrap().bytes, 5);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_was_shut_is_at_an_end_although_a_duplicate_is_open() {
        let (path, directory) = directory();
        let listener = listen(&directory, "name").unwrap();
        let _duplicate = listener.try_clone().unwrap();
        let waiting = connect(&directory, "name").unwrap();
        shut(&listener).unwrap();
        assert_eq!(connect(&directory, "name").unwrap_err(), Errno::ECONNREFUSED);
        let accepted = accept(&listener).unwrap();
        assert_eq!(accept(&listener).unwrap_err(), Errno::EAGAIN);
        let _another_duplicate = accepted.try_clone().unwrap();
        send(&accepted, b"goodbye").unwrap();
        shut(&accepted).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(recv(&waiting, &mut buffer).unwrap().bytes, 7);
        assert_eq!(recv(&waiting, &mut buffer).unwrap().bytes, 0);
        std::fs::remove_dir_all(path).unwrap();
    }
}
