//! Where the cases work, and asking a process whether it is there.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr};
use nix::sys::socket::{connect, recv, send, socket};
use postbox::{Domain, DomainOptions};
use std::fs::Permissions;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory of domains of its own for each case.
pub struct Bench(tempfile::TempDir);

impl Bench {
    /// An empty one.
    pub fn new() -> std::io::Result<Self> {
        tempfile::tempdir().map(Bench)
    }

    /// One that every user may pass through, wherever there is such a place for it.
    pub fn for_all() -> std::io::Result<Self> {
        let passable = |path: &PathBuf| {
            let open = |path: &Path| path.metadata().is_ok_and(|found| found.mode() & 1 == 1);
            path.ancestors().all(open)
        };
        let places = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
        let place = places.into_iter().find(passable).ok_or(std::io::ErrorKind::NotFound)?;
        let bench = tempfile::tempdir_in(place).map(Bench)?;
        std::fs::set_permissions(bench.path(), Permissions::from_mode(0o755))?;
        Ok(bench)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// To open a domain in it.
    pub fn options(&self) -> DomainOptions {
        DomainOptions::new().directory(self.path())
    }

    /// The domain that most cases use.
    pub fn open(&self) -> Domain {
        self.options().open("lab").expect("the domain opens")
    }

    /// The paths of everything in there.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest = vec![self.path().to_owned()];
        while let Some(directory) = rest.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    rest.push(entry.path());
                }
                found.push(entry.path().display().to_string());
            }
        }
        found
    }
}

/// A connection to a process of the domain, by the plain system calls. Waits for its turn.
pub fn connection(domain: &Domain, name: &str, pid: u32) -> nix::Result<OwnedFd> {
    connection_at(&domain.path().join("processes").join(format!("{name}.{pid}")))
}

/// Likewise, by the path of its socket.
pub fn connection_at(path: &Path) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let connection = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(connection.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(connection)
}

/// Sends one packet.
pub fn say(connection: &OwnedFd, packet: &[u8]) -> nix::Result<usize> {
    send(connection.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL)
}

/// Waits for an answer; it is empty if there is none and the connection is closed.
pub fn hear(connection: &OwnedFd) -> nix::Result<Vec<u8>> {
    let mut polled = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::from(30_000_u16)), Ok(1), "no answer");
    let mut answer = [0; 64];
    let bytes = recv(connection.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    Ok(answer[..bytes].to_vec())
}

/// Asks that process whether it is there.
pub fn greet(domain: &Domain, name: &str, pid: u32) -> nix::Result<()> {
    // Version 1, from nobody, hello; version 1, hello, nobody.
    exchange(domain, name, pid, &[1, 0, 0], &[1, 0, 0])
}

/// Likewise, under a name that is not the caller's, which the other has to look up to know.
pub fn greet_as(domain: &Domain, false_name: &str, name: &str, pid: u32) -> nix::Result<()> {
    let length = false_name.len() as u8;
    let packet = [&[1, 1, length], false_name.as_bytes(), &[0]].concat();
    exchange(domain, name, pid, &packet, &[1, 0, 0])
}

fn exchange(
    domain: &Domain,
    name: &str,
    pid: u32,
    packet: &[u8],
    answer: &[u8],
) -> nix::Result<()> {
    let connection = connection(domain, name, pid)?;
    say(&connection, packet)?;
    assert_eq!(hear(&connection)?, answer);
    Ok(())
}
