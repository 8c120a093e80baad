//! Answers that take longer than a registrar may: a thread finds them out, a socket brings them.

use super::error::MailboxError;
use super::wire::{MailboxReply, Refusal, cannot};
use crate::domain::protocol::MAX_PACKET;
use crate::error::Fault;
use crate::wait::Wait;
use postbox_steps::{Step, at};
use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::{Errno, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

/// Starts to find the answer out; what comes back is where it can be received. `engaged` is dropped
/// once it has been sent.
pub(super) fn answer(
    engaged: impl Send + 'static,
    find_out: impl FnOnce() -> MailboxReply + Send + 'static,
) -> Result<OwnedFd, Refusal> {
    let (here, there) =
        socket::seqpacket_pair().map_err(Fault::system("socketpair")).map_err(cannot)?;
    thread::Builder::new()
        .name("postbox-later".into())
        .spawn(move || {
            // Whoever asked may have gone in the meantime.
            let _ = socket::send(&here, &find_out().to_bytes());
            at(Step::PromiseKept);
            drop(engaged);
        })
        .map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw);
            cannot(Fault::System { call: "a new thread", errno })
        })?;
    at(Step::AnswerPromised);
    Ok(there)
}

/// Waits for an answer; none if the one who was to give it died.
pub(super) fn receive(
    from: &OwnedFd,
    wait: &Wait<'_>,
    whom: impl Fn() -> String,
) -> Result<Option<MailboxReply>, MailboxError> {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        match socket::recv(from, &mut buffer) {
            Ok(received) if received.bytes == 0 => return Ok(None),
            Ok(received) => return Ok(MailboxReply::unpack(&buffer[..received.bytes])),
            Err(Errno::EAGAIN) => {
                if let Some(ended) = wait.over() {
                    return Err(MailboxError::ended(ended, whom));
                }
                sleep(from.as_fd(), wait)?;
            }
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(errno) => return Err(Fault::System { call: "recv", errno }.into()),
        }
    }
}

/// Sleeps until that descriptor is readable, perhaps, or the patience is over.
pub(super) fn sleep(until: BorrowedFd<'_>, wait: &Wait<'_>) -> Result<(), Fault> {
    let set = Epoll::new().map_err(Fault::system("epoll_create1"))?;
    let add =
        |fd: BorrowedFd<'_>| set.add(fd, Interest::EPOLLIN, 0).map_err(Fault::system("epoll_ctl"));
    add(until)?;
    if let Some(cancel) = wait.cancel {
        add(cancel.bell())?;
    }
    set.wait(&mut [Event::empty(); 2], wait.deadline).map_err(Fault::system("epoll_wait")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn whom() -> String {
        "somebody".into()
    }

    #[test]
    fn a_later_answer_arrives() {
        let from = answer((), || MailboxReply::Done).unwrap();
        let wait = Wait::timeout(Duration::from_secs(10));
        assert_eq!(receive(&from, &wait, whom).unwrap(), Some(MailboxReply::Done));
    }

    #[test]
    fn nobody_waits_for_the_dead_nor_longer_than_asked() {
        let (here, there) = socket::seqpacket_pair().unwrap();
        let late = receive(&there, &Wait::timeout(Duration::from_millis(1)), whom);
        assert!(late.unwrap_err().to_string().contains("somebody"));
        drop(here);
        assert_eq!(receive(&there, &Wait::forever(), whom).unwrap(), None);
    }
}
