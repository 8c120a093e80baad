//! Descriptors sent to another process along with a message (`SCM_RIGHTS`).
//!
//! The receiver gets descriptors of its own for the same open descriptions. See
//! [`unix(7)`](https://man7.org/linux/man-pages/man7/unix.7.html) and
//! [`cmsg(3)`](https://man7.org/linux/man-pages/man3/cmsg.3.html). Works on stream and
//! sequenced-packet Unix sockets; never waits, never raises SIGPIPE.

#![allow(unsafe_code)]

use crate::{Errno, Result, listener};
use nix::sys::socket::sockopt::{Linger, PassCred};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, setsockopt};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that one message can carry (the kernel's `SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// A message and what came with it.
#[derive(Debug)]
pub struct Received {
    /// Bytes now in the buffer; zero without descriptors is the end of the connection.
    pub bytes: usize,
    /// Length of the message as it was sent. On a stream the same as `bytes`.
    pub message: usize,
    /// The descriptors, in the order they were sent, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Sends `message` together with `descriptors`, which stay open here too; returns the bytes sent.
///
/// On a stream, `message` must hold at least one byte, and fewer bytes than asked may be sent.
///
/// See [`sendmsg(2)`](https://man7.org/linux/man-pages/man2/send.2.html).
///
/// # Errors
///
/// `EAGAIN`: no room. `EMSGSIZE`: larger than the send buffer can ever take. `EPIPE`,
/// `ECONNRESET`: the other end is closed. `EINVAL`: more than [`MAX_DESCRIPTORS`].
/// `ETOOMANYREFS`: too many of this user's descriptors are in flight (`RLIMIT_NOFILE`), or sockets
/// nested too deeply.
pub fn send_with_fds(
    socket: impl AsFd,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(Errno::EINVAL);
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let socket = socket.as_fd().as_raw_fd();
    sendmsg::<()>(socket, &[IoSlice::new(message)], control, flags, None)
}

/// Receives a message with up to `max` descriptors.
///
/// No descriptor can leak: those of a message that is refused are closed.
///
/// See [`recvmsg(2)`](https://man7.org/linux/man-pages/man2/recv.2.html).
///
/// # Errors
///
/// All but the first of these have consumed the message.
/// `EAGAIN`: no message waits. `EOVERFLOW`: more than `max` descriptors came with it. `EMFILE`: the
/// kernel cut the descriptors short, which it does when this process has none left. `ECONNRESET`:
/// the other end was closed with messages unread.
pub fn recv_with_fds(socket: impl AsFd, buffer: &mut [u8], max: usize) -> Result<Received> {
    take(socket.as_fd(), buffer, max).map(|(received, _)| received)
}

/// Ends a connection. What was sent on it and nobody has taken is taken here first: the kernel would close the
/// descriptors in it, and that might take as long as their sender has set (`SO_LINGER`).
pub fn hang_up(connection: OwnedFd) {
    // From now on each message comes with its sender's credentials, and the end does not.
    let _ = setsockopt(&connection, PassCred, &true);
    // The end is seen although a forked child may have a copy; and no more is sent.
    let _ = listener::shut(&connection);
    for _ in 0..MOST_UNREAD {
        match take(connection.as_fd(), &mut [0], MAX_DESCRIPTORS) {
            Ok((_, is_message)) if is_message => {}
            Err(Errno::EINTR | Errno::EMFILE | Errno::EOVERFLOW) => {}
            Ok(_) | Err(_) => break,
        }
    }
}

/// More messages than a socket has room for, however short they are.
const MOST_UNREAD: usize = 4096;

/// What came, and whether control data came with it.
fn take(socket: BorrowedFd<'_>, buffer: &mut [u8], max: usize) -> Result<(Received, bool)> {
    // Room for the most that can come, so that only a lack of descriptors cuts them short.
    let mut control = ControlBuffer([0; CONTROL_LENGTH]);
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `msghdr` is plain numbers and pointers, for which all zeros is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut piece;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // Of one type or another, as the C library has it.
    header.msg_controllen = CONTROL_LENGTH as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;
    // SAFETY: the header leads to one writable piece and one writable, aligned control buffer.
    let message =
        Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) })?
            as usize;
    // Owned before anything is judged: whatever is refused below is closed.
    // SAFETY: the kernel has just filled in this header and its control buffer.
    let descriptors = unsafe { own_descriptors(&header) };
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE);
    }
    if descriptors.len() > max {
        return Err(Errno::EOVERFLOW);
    }
    let received = Received { bytes: message.min(buffer.len()), message, descriptors };
    Ok((received, header.msg_controllen > 0))
}

/// Bytes of control data for one message of [`MAX_DESCRIPTORS`].
const CONTROL_LENGTH: usize = {
    // SAFETY: the macro only computes with its argument.
    unsafe {
        let descriptors = libc::CMSG_SPACE((MAX_DESCRIPTORS * size_of::<RawFd>()) as u32);
        (descriptors + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32)) as usize
    }
};

/// Aligned as the headers inside it need.
#[repr(C, align(8))]
struct ControlBuffer([u8; CONTROL_LENGTH]);

/// Whoever closes the last descriptor of a connection over the network with `SO_LINGER` set waits until
/// all is sent, for as long as whoever set it likes: not us, for a stranger.
fn do_not_linger(fd: &OwnedFd) {
    // Refused, as of what is no socket: there is nothing to wait for, then.
    let _ = setsockopt(fd, Linger, &libc::linger { l_onoff: 0, l_linger: 0 });
}

/// Takes possession of every descriptor in the control data.
///
/// # Safety
///
/// `header` was filled in by a successful `recvmsg`, and this is called once for it.
unsafe fn own_descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut owned = Vec::new();
    // SAFETY: the kernel wrote a well-formed sequence of control messages, which these macros walk
    // within `msg_controllen`.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so a whole header lies there.
        let found = unsafe { control.read() };
        if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the data begins behind the header, within the same control message.
            let data = unsafe { libc::CMSG_DATA(control) }.cast::<RawFd>();
            // SAFETY: the macro only computes with its argument.
            let bytes = found.cmsg_len as usize - unsafe { libc::CMSG_LEN(0) } as usize;
            for index in 0..bytes / size_of::<RawFd>() {
                // SAFETY: the kernel put this many descriptors there, installed in this process and
                // known to nobody else yet.
                let fd = unsafe { OwnedFd::from_raw_fd(data.add(index).read_unaligned()) };
                do_not_linger(&fd);
                owned.push(fd);
            }
        }
        // SAFETY: as for the first one.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    owned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::tests::until_hung_up;
    use crate::socket::seqpacket_pair;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::sys::socket::getsockopt;

    #[test]
    fn descriptors_arrive_in_order_close_on_exec_and_lead_to_the_same_objects() {
        let (left, right) = seqpacket_pair().unwrap();
        let (rx, tx) = crate::pipe::packet_pipe().unwrap();
        assert_eq!(send_with_fds(&left, b"both", &[rx.as_fd(), tx.as_fd()]), Ok(4));
        let mut buffer = [0; 16];
        let received = recv_with_fds(&right, &mut buffer, 2).unwrap();
        assert_eq!((received.bytes, received.message), (4, 4));
        let [their_rx, their_tx] = &received.descriptors[..] else { panic!("not two") };
        let flags = FdFlag::from_bits_retain(fcntl(their_rx, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        crate::pipe::write(their_tx, b"hello").unwrap();
        assert_eq!(crate::pipe::read(&rx, &mut buffer), Ok(5));
    }

    #[test]
    fn as_many_as_a_message_can_carry_arrive_and_one_more_is_refused() {
        let (left, right) = seqpacket_pair().unwrap();
        let many = vec![left.as_fd(); MAX_DESCRIPTORS];
        send_with_fds(&left, b"many", &many).unwrap();
        let received = recv_with_fds(&right, &mut [0; 16], MAX_DESCRIPTORS).unwrap();
        assert_eq!(received.descriptors.len(), MAX_DESCRIPTORS);
        let over = vec![left.as_fd(); MAX_DESCRIPTORS + 1];
        assert_eq!(send_with_fds(&left, b"over", &over), Err(Errno::EINVAL));
    }

    #[test]
    fn unwanted_descriptors_are_closed() {
        let (left, right) = seqpacket_pair().unwrap();
        let (rx, tx) = crate::pipe::packet_pipe().unwrap();
        send_with_fds(&left, b"unwanted", &[tx.as_fd()]).unwrap();
        drop(tx);
        assert_eq!(recv_with_fds(&right, &mut [0; 16], 0).unwrap_err(), Errno::EOVERFLOW);
        // The pipe ends only when no write end is left anywhere.
        until_hung_up(&rx);
        assert_eq!(crate::pipe::read(&rx, &mut [0; 4]), Ok(0));
    }

    #[test]
    fn no_close_of_a_strangers_connection_waits() {
        let (left, right) = seqpacket_pair().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stranger = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        setsockopt(&stranger, Linger, &libc::linger { l_onoff: 1, l_linger: 3600 }).unwrap();
        send_with_fds(&left, b"here", &[stranger.as_fd()]).unwrap();
        let received = recv_with_fds(&right, &mut [0; 4], 1).unwrap();
        assert_eq!(getsockopt(&received.descriptors[0], Linger).unwrap().l_onoff, 0);
    }

    #[test]
    fn whoever_hangs_up_takes_what_was_sent_and_closes_what_came_with_it() {
        let (left, right) = seqpacket_pair().unwrap();
        let (rx, tx) = crate::pipe::packet_pipe().unwrap();
        // A message without bytes is no end.
        send_with_fds(&left, b"", &[]).unwrap();
        send_with_fds(&left, b"unread", &[tx.as_fd()]).unwrap();
        drop(tx);
        let copy = right.try_clone().unwrap();
        hang_up(right);
        // Not by the last close: there is a copy.
        until_hung_up(&rx);
        assert_eq!(send_with_fds(&left, b"late", &[]), Err(Errno::EPIPE));
        drop(copy);
    }

    #[test]
    fn a_message_without_descriptors_and_an_end_are_ordinary() {
        let (left, right) = seqpacket_pair().unwrap();
        assert_eq!(recv_with_fds(&right, &mut [0; 4], 1).unwrap_err(), Errno::EAGAIN);
        send_with_fds(&left, b"plain message", &[]).unwrap();
        let received = recv_with_fds(&right, &mut [0; 4], 1).unwrap();
        assert_eq!((received.bytes, received.message), (4, 13));
        assert!(received.descriptors.is_empty());
        drop(left);
        until_hung_up(&right);
        assert_eq!(recv_with_fds(&right, &mut [0; 4], 1).unwrap().bytes, 0);
    }
}
