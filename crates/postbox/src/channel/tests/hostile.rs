//! What a hostile owner hands out, and what a hostile member puts in.

use super::super::carry::{Drops, Outbox};
use super::super::control::Member;
use super::super::envelope::{Envelope, PacketHeader};
use super::super::{Awaited, Carrier, Channel, End, Role};
use super::partner::Partner;
use super::soon;
use crate::error::{Fault, ReceiveError};
use crate::process::Identity;
use crate::{Bytes, Mechanism, Options, Receiver, Sender, Wait, WaitStrategy};
use postbox_ring::sync::Ordering::{Relaxed, Release};
use postbox_sys::pipe;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

fn pipe_channel() -> Channel {
    Channel::create(Options::new(Mechanism::Pipe).max_message(100).config()).unwrap()
}

/// The descriptors of a channel, one of them replaced.
fn with(place: usize, other: impl Into<OwnedFd>) -> Vec<OwnedFd> {
    let mut fds = pipe_channel().fds_to_give().unwrap();
    fds[place] = other.into();
    fds
}

fn is_refused(fds: Vec<OwnedFd>) -> bool {
    matches!(Channel::from_fds(fds), Err(Fault::Corrupt(_) | Fault::System { .. }))
}

#[test]
fn a_bell_on_which_ringing_would_raise_a_signal_is_refused() {
    assert!(!is_refused(pipe_channel().fds_to_give().unwrap()));
    for place in 1..=6 {
        let (reader, writer) = pipe::packet_pipe().unwrap();
        drop(reader);
        assert!(is_refused(with(place, writer)), "a pipe without a reader, at {place}");
        let (socket, _) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        assert!(is_refused(with(place, socket)), "a socket, at {place}");
    }
}

#[test]
fn ends_of_two_pipes_are_refused() {
    let (reader, writer) = pipe::packet_pipe().unwrap();
    assert!(is_refused(with(7, reader)));
    assert!(is_refused(with(8, writer)));
}

#[test]
fn the_flags_that_a_member_sets_are_its_own() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let owner = pipe_channel();
    let member = Channel::from_fds(owner.fds_to_give().unwrap()).unwrap();
    for fd in member.fds().into_iter().skip(7) {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    }
    for fd in owner.fds().into_iter().skip(7) {
        assert_eq!(pipe::is_nonblocking(fd.as_fd()), Ok(true));
    }
}

#[test]
fn a_message_that_is_longer_than_agreed_is_none() {
    let receiver = |channel: &Arc<Channel>| {
        let end = End::join(channel.clone(), Role::Receiver, WaitStrategy::Block).unwrap();
        Receiver::<Bytes>::new(end)
    };
    let channel = Arc::new(pipe_channel());
    let rx = receiver(&channel);
    let Carrier::Kernel(queue) = &channel.carrier else { panic!("a pipe") };
    let put = |len: usize| {
        let envelope = Envelope {
            epoch: 0,
            ticket: 0,
            sender_pid: 1,
            len: len as u32,
            cell: None,
            engaging: false,
            body: None,
        };
        let mut entry = Vec::new();
        envelope.write_entry(&vec![7; len], &mut entry);
        queue.push(&entry).unwrap();
    };
    put(100);
    assert_eq!(rx.try_receive().unwrap().unwrap().len(), 100);
    put(101);
    assert!(matches!(rx.try_receive(), Err(ReceiveError::Fault(Fault::Corrupt(_)))));
}

#[test]
fn a_packet_that_makes_no_sense_is_none_and_one_that_does_is_held() {
    let (tx, rx) = Options::new(Mechanism::Pipe).max_message(5).channel::<Bytes>().unwrap();
    let Carrier::Kernel(queue) = &tx.end().channel.carrier else { panic!("a pipe") };
    let put = |count: u32, bodies: &[&[u8]]| {
        let header = PacketHeader { epoch: 0, ticket: 7, sender_pid: 1, count };
        let mut entry = header.to_bytes().to_vec();
        for body in bodies {
            entry.extend_from_slice(&(body.len() as u16).to_le_bytes());
            entry.extend_from_slice(body);
        }
        queue.push(&entry).unwrap();
    };
    let refused: [(u32, &[&[u8]]); 6] = [
        (0, &[]),
        (2, &[b"one"]),
        (1, &[b"one", b"two"]),
        (2, &[b"one", b"longer"]),
        (u32::MAX, &[&b""[..]; 200]),
        (129, &[&b""[..]; 129]),
    ];
    for (count, bodies) in refused {
        put(count, bodies);
        assert!(
            matches!(rx.try_receive(), Err(ReceiveError::Fault(Fault::Corrupt(_)))),
            "{count} of {}",
            bodies.len()
        );
    }
    put(3, &[b"one", b"", b"three"]);
    for expected in [&b"one"[..], b"", b"three"] {
        assert_eq!(&**rx.try_receive().unwrap().unwrap(), expected);
    }
    assert!(rx.try_receive().unwrap().is_none());
}

#[test]
fn a_body_in_place_ends_where_its_room_does() {
    let options = Options::new(Mechanism::SharedMemory).max_message(100_000).byte_cap(1 << 16);
    let channel = Arc::new(Channel::create(options.config()).unwrap());
    let join = |role| End::join(channel.clone(), role, WaitStrategy::Block).unwrap();
    let (mut tx, mut rx) =
        (Sender::<Bytes>::new(join(Role::Sender)), Receiver::new(join(Role::Receiver)));
    for longer in [40_001 + 64, 99_999] {
        let lying = join(Role::Sender);
        let body = channel.lend(&lying, 40_000).unwrap();
        channel.push_lent(&lying, &Outbox::default(), body, longer).unwrap();
        let error = rx.try_receive_in_place().unwrap_err();
        assert!(matches!(error, ReceiveError::Fault(Fault::Corrupt(_))), "{error}");
        // Its room is anybody's again.
        tx.try_loan(40_000).unwrap().try_send().unwrap();
        assert_eq!(rx.try_receive_in_place().unwrap().unwrap().len(), 40_000);
    }
}

#[test]
fn whatever_is_overwritten_a_message_in_place_stays_where_it_is() {
    let channel = Channel::create(Options::new(Mechanism::SharedMemory).config()).unwrap();
    let channel = Arc::new(channel);
    let join = |role| End::join(channel.clone(), role, WaitStrategy::Block).unwrap();
    let tx = Sender::<Bytes>::new(join(Role::Sender));
    let (mut lender, mut rx) = (tx.clone(), Receiver::<Bytes>::new(join(Role::Receiver)));
    tx.try_send(&[7; 9000]).unwrap();
    let message = rx.try_receive_in_place().unwrap().unwrap();
    let mut loan = lender.try_loan(9000).unwrap();
    // The words of the log that both lie in, and then their bytes.
    let layout = channel.config.layout();
    let log = layout.warm_bodies.unwrap_or(layout.bodies);
    channel.region.write(log.offset, &vec![0xff; 4 << 20]).unwrap();
    assert_eq!((message.len(), message.bytes().to_vec()), (9000, vec![0xff; 9000]));
    loan.bytes_mut().fill(1);
    assert_eq!(loan.bytes().to_vec(), [1; 9000]);
    assert_eq!(message.bytes().to_vec(), [0xff; 9000]);
    drop((message, loan));
}

#[test]
fn corpses_without_end_are_given_up() {
    let mut drops = Drops::default();
    let honest = (0..10_000).all(|_| drops.one_more().is_ok());
    assert!(honest, "a thousand offers may lie in a queue, and more come");
    assert!((0..100_000).any(|_| drops.one_more().is_err()));
}

#[test]
fn attempts_that_take_long_do_not_outlast_the_deadline() {
    for strategy in [WaitStrategy::Adaptive, WaitStrategy::Spin, WaitStrategy::Block] {
        for mechanism in [Mechanism::Pipe, Mechanism::SharedMemory] {
            let channel = Channel::create(Options::new(mechanism).config()).unwrap();
            // Who has a ring for itself tries as often as it looks, since that is all the same.
            channel.widen().unwrap();
            let end = End::join(Arc::new(channel), Role::Receiver, strategy).unwrap();
            let mut attempts = 0;
            let waited = end.wait_for(
                Awaited::Message,
                &Wait::timeout(Duration::from_millis(40)),
                || -> Result<Option<()>, ReceiveError> {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(20));
                    Ok(None)
                },
            );
            assert!(matches!(waited, Err(ReceiveError::TimedOut)));
            assert!(attempts < 10, "{mechanism}, {strategy:?}: {attempts} attempts");
        }
    }
}

#[test]
fn repairs_that_are_due_without_end_are_one() {
    let (tx, rx) = Options::new(Mechanism::Pipe).channel::<Bytes>().unwrap();
    let control = &tx.end().channel.block.control;
    control.due.store(30_000, Relaxed);
    assert!(rx.try_receive().unwrap().is_none());
    assert!(rx.try_receive().unwrap().is_none());
    assert_eq!(control.repairs.load(Relaxed), 1);
    assert!(!tx.end().channel.block.repair_due());
}

#[test]
fn the_dead_whom_somebody_else_is_burying_let_others_sleep() {
    let options = Options::new(Mechanism::Pipe).wait_strategy(WaitStrategy::Block);
    let channel = Arc::new(Channel::create(options.config()).unwrap());
    let rx = End::join(channel.clone(), Role::Receiver, WaitStrategy::Block).unwrap();
    let rx: Receiver<u64> = Receiver::new(rx);
    let mut partner = Partner::of(&channel);
    assert_eq!(partner.ask("sender a"), "done");
    let dead = Identity::of(partner.pid());
    let of_the_dead = |member: &Member| member.owner() == Some(dead);
    let (_, record) = channel.block.records().find(|(_, member)| of_the_dead(member)).unwrap();
    record.reaper.store(Identity::own().to_word(), Release);
    partner.kill_unreaped();
    let late = rx.receive_with(&Wait::timeout(Duration::from_millis(300))).unwrap_err();
    assert!(late.is_timeout(), "{late}");
    let waits = rx.statistics().waits;
    assert!(waits < 10, "it went to sleep {waits} times");
    // Whoever was at it is done.
    record.reaper.store(0, Release);
    channel.bury(dead, rx.end().seat);
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
}
