//! The two ends that use a ring first, and those that come after them.

use super::*;
use crate::channel::Carrier;
use crate::channel::carry::Missed;
use crate::mechanism::Form;
use crate::message::Bytes;
use crate::select::Select;
use postbox_ring::slots::ClaimCache;

type Ends = (Sender<Bytes>, Receiver<Bytes>);

/// Both have been used, and a message waits.
fn pair() -> Ends {
    let options = Options::new(Mechanism::SharedMemory).capacity(Capacity::Bounded(4));
    let (tx, rx) = options.channel::<Bytes>().unwrap();
    tx.send(b"first").unwrap();
    assert_eq!(**rx.receive().unwrap(), *b"first");
    tx.send(b"second").unwrap();
    (tx, rx)
}

#[test]
fn a_ring_is_a_pairs_until_another_end_sends() {
    let (tx, rx) = pair();
    let another = tx.clone();
    assert!(rx.end().channel.is_for_two());
    another.send(b"third").unwrap();
    assert!(!rx.end().channel.is_for_two());
    tx.send(b"fourth").unwrap();
    for expected in ["second", "third", "fourth"] {
        assert_eq!(**rx.receive().unwrap(), *expected.as_bytes());
    }
    assert!(rx.try_receive().unwrap().is_none());
}

#[test]
fn one_after_the_other_sends_and_receives_and_the_ring_stays_for_two() {
    let (tx, rx) = pair();
    let (next, after) = (tx.clone(), rx.clone());
    drop(tx);
    next.send(b"third").unwrap();
    assert_eq!(**rx.receive().unwrap(), *b"second");
    drop(rx);
    next.send(b"fourth").unwrap();
    for expected in ["third", "fourth"] {
        assert_eq!(**after.receive().unwrap(), *expected.as_bytes());
    }
    assert!(after.try_receive().unwrap().is_none() && after.end().channel.is_for_two());
}

#[test]
fn a_standing_end_of_each_kind_takes_no_place() {
    let options = Options::new(Mechanism::SharedMemory).capacity(Capacity::Zero);
    let (tx, rx) = options.channel::<Bytes>().unwrap();
    let (standing_tx, standing_rx) = (tx.clone(), rx.clone());
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(**rx.receive().unwrap(), *b"met"));
        tx.send(b"met").unwrap();
    });
    assert!(tx.end().channel.is_for_two());
    assert_eq!((standing_tx.len(), standing_rx.try_receive().unwrap().is_none()), (0, true));
    assert!(standing_tx.end().channel.is_for_two(), "its place was free again");
}

#[test]
fn of_two_that_come_to_a_place_for_one_at_once_one_stays() {
    let config = Options::new(Mechanism::SharedMemory).form(Form::OneToOne).config();
    let channel = Arc::new(Channel::create(config).unwrap());
    let met = std::sync::Barrier::new(2);
    for _ in 0..2_000 {
        let come = || {
            met.wait();
            let end = End::join(channel.clone(), Role::Sender, WaitStrategy::Block);
            let came = end.is_ok();
            met.wait();
            came
        };
        let came: Vec<bool> = std::thread::scope(|scope| {
            let both = [scope.spawn(come), scope.spawn(come)];
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(came.iter().filter(|came| **came).count(), 1);
    }
}

#[test]
fn who_was_about_to_look_when_the_ring_was_widened_takes_nothing_twice() {
    let (_tx, rx) = pair();
    let channel = &rx.end().channel;
    assert!(channel.glances());
    channel.widen().unwrap();
    let mut bytes = Vec::new();
    let glance = channel.glance(rx.end(), &rx.bytes.inbox, &mut bytes);
    assert!(matches!(glance, Ok(Err(Missed::Unusual))) && bytes.is_empty());
    assert_eq!(**rx.receive().unwrap(), *b"second");
    assert!(rx.try_receive().unwrap().is_none());
}

#[test]
fn a_message_that_is_still_being_written_does_not_outlast_a_deadline() {
    let (tx, rx) = Options::new(Mechanism::SharedMemory).channel::<Bytes>().unwrap();
    let channel = &rx.end().channel;
    channel.widen().unwrap();
    let Carrier::Ring(ring) = &channel.carrier else { panic!("over shared memory") };
    let claim = ring.claim(tx.end().seat.index, &mut ClaimCache::new()).unwrap();
    let mut select = Select::new().unwrap();
    select.add(&rx).unwrap();
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        let ended = select.receive_with(&Wait::timeout(wait)).unwrap_err();
        assert!(ended.is_timeout());
    }
    ring.abandon(claim);
    tx.send(b"written").unwrap();
    assert_eq!(**select.try_receive().unwrap().unwrap().1, *b"written");
}
