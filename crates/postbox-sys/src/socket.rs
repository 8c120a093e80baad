//! Sequenced-packet sockets: connected, reliable, and each message stays whole.
//!
//! No call here waits (`MSG_DONTWAIT`, so the flags of the shared description do not matter) and
//! none raises SIGPIPE (`MSG_NOSIGNAL`). See
//! [`unix(7)`](https://man7.org/linux/man-pages/man7/unix.7.html).

#![allow(unsafe_code)]

use crate::{Errno, Result, calls};
use nix::sys::socket::sockopt::{PeerCredentials, SndBuf};
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use nix::sys::socket::{getsockopt, setsockopt, socketpair};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What [`recv`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes now in the buffer. Zero is an empty message or the end of the connection: the kernel
    /// does not tell which.
    pub bytes: usize,
    /// Length of the message as it was sent.
    pub message: usize,
}

impl Received {
    /// Whether the buffer was too short, so that the rest of the message is lost.
    pub fn is_truncated(&self) -> bool {
        self.message > self.bytes
    }
}

/// Who made the other end: kernel-checked, fixed when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id, 0 if that process is not visible in this pid namespace.
    pub pid: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Creates two connected sequenced-packet sockets, close-on-exec.
///
/// See [`socketpair(2)`](https://man7.org/linux/man-pages/man2/socketpair.2.html).
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: no descriptor left in this process, in the system. `ENOMEM`.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Lets nobody send descriptors to the socket, where the kernel can do that (`SO_PASSRIGHTS`, from Linux 6.16):
/// who sends some gets `EPERM`. Whoever has the same description can undo it.
///
/// # Errors
///
/// `ENOTSOCK`: not a socket.
pub fn refuse_descriptors(socket: impl AsFd) -> Result<()> {
    let no: libc::c_int = 0;
    let length = size_of_val(&no) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the option is one number, and it is there.
    let set = unsafe {
        libc::setsockopt(fd, libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const no).cast(), length)
    };
    match Errno::result(set) {
        Ok(_) | Err(Errno::ENOPROTOOPT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// As `asm/socket.h` has it.
const SO_PASSRIGHTS: libc::c_int = if cfg!(target_arch = "sparc64") { 0x5c } else { 83 };

/// Sends one message.
///
/// See [`send(2)`](https://man7.org/linux/man-pages/man2/send.2.html).
///
/// # Errors
///
/// `EAGAIN`: the send buffer is used up. (Polling for `POLLOUT` then waits for far more than room
/// for one message: the kernel reports it only once three quarters of the buffer are free.)
/// `EMSGSIZE`: larger than the send buffer can ever take. `EPIPE`: the other end is closed or shut
/// down. `ECONNRESET`: it was closed with messages unread. `ENOBUFS`, `ENOMEM`.
#[inline]
pub fn send(socket: impl AsFd, message: &[u8]) -> Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    calls::send(socket.as_fd(), message, flags).map(drop)
}

/// Receives one message into `buffer`.
///
/// See [`recv(2)`](https://man7.org/linux/man-pages/man2/recv.2.html).
///
/// # Errors
///
/// `EAGAIN`: no message waits. `ECONNRESET`: the other end was closed with messages unread.
/// `ENOTCONN`.
#[inline]
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    let message = calls::recv(socket.as_fd(), buffer, flags)?;
    Ok(Received { bytes: message.min(buffer.len()), message })
}

/// The size of the send buffer in bytes, the kernel's own overhead included.
///
/// # Errors
///
/// `ENOTSOCK`: not a socket.
pub fn send_buffer(socket: impl AsFd) -> Result<usize> {
    getsockopt(&socket, SndBuf)
}

/// Asks for a send buffer of `bytes`; returns what it is now.
///
/// The kernel doubles the number to cover its overhead, and silently keeps it below twice
/// `/proc/sys/net/core/wmem_max`.
///
/// # Errors
///
/// `ENOTSOCK`: not a socket.
pub fn set_send_buffer(socket: impl AsFd, bytes: usize) -> Result<usize> {
    // The option is an `int`; the kernel caps it far below.
    setsockopt(&socket, SndBuf, &bytes.min(libc::c_int::MAX as usize))?;
    send_buffer(socket)
}

/// Bytes of the send buffer in use by messages that the other end has not received, overhead
/// included (`SIOCOUTQ`).
///
/// # Errors
///
/// `ENOTTY`, `EINVAL`: not a socket, or one that does not listen to this.
pub fn unsent_bytes(socket: impl AsFd) -> Result<usize> {
    // SIOCOUTQ is another name for this request.
    ask(socket, libc::TIOCOUTQ)
}

/// Bytes of the messages that wait to be received here (`SIOCINQ`).
///
/// # Errors
///
/// `ENOTTY`, `EINVAL`: not a socket, or one that does not listen to this.
pub fn unread_bytes(socket: impl AsFd) -> Result<usize> {
    // SIOCINQ is another name for this request.
    ask(socket, libc::FIONREAD)
}

/// Who made the other end of this Unix socket.
///
/// # Errors
///
/// `ENOTSOCK`: not a socket. `ENODATA`, `EINVAL`: not a Unix socket.
pub fn peer_credentials(socket: impl AsFd) -> Result<Credentials> {
    let peer = getsockopt(&socket, PeerCredentials)?;
    Ok(Credentials { pid: peer.pid() as u32, uid: peer.uid(), gid: peer.gid() })
}

fn ask(socket: impl AsFd, request: libc::Ioctl) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests store one `int`.
    Errno::result(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), request, &raw mut bytes) })?;
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::tests::until_hung_up;

    #[test]
    fn messages_stay_whole_in_both_directions() {
        let (left, right) = seqpacket_pair().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(recv(&right, &mut buffer), Err(Errno::EAGAIN));
        send(&left, b"one").unwrap();
        send(&left, b"four").unwrap();
        send(&right, b"back").unwrap();
        assert_eq!(unread_bytes(&right), Ok(7));
        assert!(unsent_bytes(&left).unwrap() >= 7);
        assert_eq!(recv(&right, &mut buffer), Ok(Received { bytes: 3, message: 3 }));
        assert_eq!(recv(&right, &mut buffer), Ok(Received { bytes: 4, message: 4 }));
        assert_eq!(recv(&left, &mut buffer), Ok(Received { bytes: 4, message: 4 }));
        assert_eq!(unsent_bytes(&left), Ok(0));
    }

    #[test]
    fn a_socket_that_refuses_descriptors_still_takes_messages() {
        let (left, right) = seqpacket_pair().unwrap();
        refuse_descriptors(&right).unwrap();
        let sent = crate::descriptors::send_with_fds(&left, b"with", &[left.as_fd()]);
        // Older kernels let it pass.
        assert!(matches!(sent, Err(Errno::EPERM) | Ok(4)), "{sent:?}");
        let mut buffer = [0; 8];
        let with = recv(&right, &mut buffer);
        assert_eq!(with.is_err(), sent.is_err());
        send(&left, b"without").unwrap();
        assert_eq!(recv(&right, &mut buffer), Ok(Received { bytes: 7, message: 7 }));
        let (_, pipe) = crate::pipe::packet_pipe().unwrap();
        assert_eq!(refuse_descriptors(pipe), Err(Errno::ENOTSOCK));
    }

    #[test]
    fn a_short_buffer_is_told_the_whole_length() {
        let (left, right) = seqpacket_pair().unwrap();
        send(&left, b"truncated").unwrap();
        let received = recv(&right, &mut [0; 4]).unwrap();
        assert_eq!(received, Received { bytes: 4, message: 9 });
        assert!(received.is_truncated());
    }

    #[test]
    fn a_full_socket_is_eagain_and_an_impossible_message_emsgsize() {
        let (left, _right) = seqpacket_pair().unwrap();
        let size = set_send_buffer(&left, 16 << 10).unwrap();
        assert!(size >= 16 << 10);
        assert_eq!(send(&left, &vec![0; size]), Err(Errno::EMSGSIZE));
        let full = (0..100_000).find_map(|_| send(&left, &[0; 64]).err());
        assert_eq!(full, Some(Errno::EAGAIN));
    }

    #[test]
    fn a_closed_peer_ends_both_ways_without_a_signal() {
        let (left, right) = seqpacket_pair().unwrap();
        drop(right);
        until_hung_up(&left);
        assert_eq!(send(&left, b"x"), Err(Errno::EPIPE));
        assert_eq!(recv(&left, &mut [0; 4]), Ok(Received { bytes: 0, message: 0 }));
    }

    #[test]
    fn the_peer_of_a_pair_is_its_maker() {
        let (left, _right) = seqpacket_pair().unwrap();
        let peer = peer_credentials(&left).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
    }
}
