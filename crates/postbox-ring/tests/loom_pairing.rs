//! A ring for two that becomes one for many, under loom: whoever stands still where, nothing is lost, sent
//! twice, or written while it is read.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p postbox-ring --test 'loom_*'`
#![cfg(loom)]

mod explore;
mod ring_model;

use explore::explore;
use loom::thread;
use postbox_ring::pairing::{Fenced, Found, Held, Pairing, Side};
use postbox_ring::{ClaimError, SpscReceiver, SpscSender};
use ring_model::{Modelled, Ring};

const SENDER: u16 = 7;
const RECEIVER: u16 = 9;

/// A ring that is a pair's.
fn paired(slots: usize, window: u32) -> Ring {
    let ring = Ring::new(slots, window);
    let pairing = Pairing::over(&ring.slots);
    pairing.begin();
    assert!(pairing.enter(Side::Sending, SENDER) && pairing.enter(Side::Receiving, RECEIVER));
    ring
}

/// The sender of the two, whatever the ring is by then.
struct Sender {
    ring: Ring,
    member: u16,
    pairing: Pairing<Modelled>,
    end: SpscSender<Modelled>,
}

impl Sender {
    fn new(ring: &Ring) -> Sender {
        Sender::of(ring, SENDER)
    }

    fn of(ring: &Ring, member: u16) -> Sender {
        let pairing = Pairing::over(&ring.slots);
        // Whoever entered, and finds the ring widened before it has looked, has nothing in it.
        let end = SpscSender::attach(pairing.two().clone()).unwrap();
        Sender { ring: ring.clone(), member, pairing, end }
    }

    fn send(&self, value: u64) -> bool {
        match self.pairing.claim(&self.end, self.member, &Fenced) {
            Ok(Some(held)) => {
                self.ring.write(held.slot().body_offset(), value);
                let of_two = matches!(held, Held::OfTwo(_));
                self.pairing.publish(&self.end, held);
                if of_two {
                    self.pairing
                        .touch_ahead(&self.end, self.member, &Fenced)
                        .expect("honest memory");
                }
                true
            }
            Ok(None) => self.ring.send(self.member, value),
            Err(ClaimError::Full) => false,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }
}

/// The receiver of the two.
struct Receiver {
    ring: Ring,
    member: u16,
    pairing: Pairing<Modelled>,
    end: SpscReceiver<Modelled>,
}

impl Receiver {
    fn new(ring: &Ring) -> Receiver {
        Receiver::of(ring, RECEIVER)
    }

    fn of(ring: &Ring, member: u16) -> Receiver {
        let pairing = Pairing::over(&ring.slots);
        let end = SpscReceiver::attach(pairing.two().clone()).unwrap();
        Receiver { ring: ring.clone(), member, pairing, end }
    }

    fn receive(&self) -> Option<u64> {
        match self.pairing.take(&self.end, self.member, &Fenced).expect("honest memory") {
            Found::Entry(held) => {
                let value = self.ring.read(held.slot());
                self.pairing.release(&self.end, self.member, held, &Fenced).expect("honest memory");
                Some(value)
            }
            Found::Empty => None,
            Found::Wide => self.ring.receive(self.member),
        }
    }
}

fn widen(ring: &Ring) {
    Pairing::over(&ring.slots).widen(&Fenced).expect("honest memory");
}

/// What is left, by one of many.
fn rest(ring: &Ring) -> Vec<u64> {
    widen(ring);
    ring.drain()
}

#[test]
fn a_sender_in_the_middle_of_a_message_and_one_that_comes_send_each_once() {
    explore(3, || {
        let ring = paired(3, 2);
        let sender = Sender::new(&ring);
        assert!(sender.send(1));
        let pair = thread::spawn(move || sender.send(2));
        widen(&ring);
        let ours = ring.send(3, 9);
        let theirs = pair.join().unwrap();
        assert!(ours ^ theirs, "there was room for one");
        assert_eq!(rest(&ring), [1, if ours { 9 } else { 2 }]);
        assert!(ring.send(3, 4) && ring.send(3, 5) && !ring.send(3, 6));
        assert_eq!((rest(&ring), ring.slots.held()), (vec![4, 5], 0));
    });
}

#[test]
fn a_slot_that_the_receiver_reads_is_written_by_nobody() {
    explore(3, || {
        let ring = paired(2, 1);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1));
        let pair = thread::spawn(move || {
            receiver.receive().into_iter().chain(receiver.receive()).collect()
        });
        widen(&ring);
        // Once round the ring.
        let sent = [2, 3].into_iter().filter(|value| ring.send(3, *value)).collect::<Vec<_>>();
        let mut got: Vec<u64> = pair.join().unwrap();
        got.extend(rest(&ring));
        assert_eq!(got, [&[1], &sent[..]].concat());
        assert_eq!(ring.slots.held(), 0);
    });
}

#[test]
fn slots_that_the_sender_touches_are_nobody_elses_and_come_back() {
    explore(2, || {
        // Room for those as well.
        let ring = paired(11, 10);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        for value in 1..4 {
            assert!(sender.send(value) && receiver.receive() == Some(value));
        }
        // With the next one the sender comes to where it touches those that follow.
        let pair = thread::spawn(move || sender.send(4));
        widen(&ring);
        let sent = [5, 6].into_iter().filter(|value| ring.send(3, *value)).collect::<Vec<_>>();
        assert!(pair.join().unwrap());
        let mut got = rest(&ring);
        got.sort_unstable();
        assert_eq!(got, [&[4], &sent[..]].concat());
        assert_eq!(ring.slots.held(), 0);
        assert!((0..10).all(|value| ring.send(3, value)) && !ring.send(3, 10), "all room is back");
    });
}

#[test]
fn receivers_of_the_pair_and_of_many_take_each_once() {
    explore(2, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1) && sender.send(2));
        let pair = thread::spawn(move || receiver.receive());
        widen(&ring);
        let mut got: Vec<u64> = ring.receive(3).into_iter().collect();
        got.extend(pair.join().unwrap());
        got.extend(rest(&ring));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        assert_eq!(ring.slots.held(), 0);
    });
}

#[test]
fn two_that_widen_at_once_and_the_pair_itself_come_to_the_same_ring() {
    explore(1, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1));
        let another = {
            let ring = ring.clone();
            thread::spawn(move || {
                widen(&ring);
                ring.send(3, 3)
            })
        };
        let pair = thread::spawn(move || (sender.send(2), sender));
        let mut got: Vec<u64> = receiver.receive().into_iter().collect();
        widen(&ring);
        let (theirs, _sender) = pair.join().unwrap();
        let others = another.join().unwrap();
        got.extend(rest(&ring));
        assert_eq!(got.remove(0), 1);
        got.sort_unstable();
        let sent = [(theirs, 2), (others, 3)]
            .into_iter()
            .filter_map(|(sent, value)| sent.then_some(value));
        assert_eq!(got, sent.collect::<Vec<_>>());
        assert_eq!(ring.slots.held(), 0);
    });
}

#[test]
fn who_dies_in_a_message_is_settled_while_another_helps_to_widen() {
    explore(1, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1));
        // Both are dead: one has claimed, the other has taken.
        let _claim = sender.pairing.claim(&sender.end, SENDER, &Fenced).unwrap().unwrap();
        let _taken = receiver.pairing.take(&receiver.end, RECEIVER, &Fenced).unwrap();
        let undertaker = {
            let ring = ring.clone();
            thread::spawn(move || {
                widen(&ring);
                ring.slots.settle(SENDER, 1, |_| panic!("it wrote")).unwrap();
                ring.slots.settle(RECEIVER, 1, |taken| assert_eq!(ring.read(taken), 1)).unwrap();
            })
        };
        widen(&ring);
        let early = ring.send(2, 5);
        undertaker.join().unwrap();
        assert!(early || ring.send(2, 5));
        assert_eq!((rest(&ring), ring.slots.held()), (vec![5], 0));
        assert!(ring.send(2, 6) && ring.send(2, 7) && !ring.send(2, 8), "all room is back");
    });
}

#[test]
fn who_leaves_and_who_widens_come_to_the_same_ring() {
    explore(3, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1));
        // It is dead, in the middle of a message.
        let _claim = sender.pairing.claim(&sender.end, SENDER, &Fenced).unwrap().unwrap();
        let undertaker = {
            let ring = ring.clone();
            thread::spawn(move || {
                if !Pairing::over(&ring.slots).leave(SENDER).expect("honest memory") {
                    widen(&ring);
                    ring.slots.settle(SENDER, 1, |_| panic!("it wrote")).unwrap();
                }
            })
        };
        widen(&ring);
        let early = ring.send(3, 5);
        let first = receiver.receive();
        undertaker.join().unwrap();
        assert!(early || ring.send(3, 5));
        assert_eq!((first, rest(&ring), ring.slots.held()), (Some(1), vec![5], 0));
        assert!(ring.send(3, 6) && ring.send(3, 7) && !ring.send(3, 8), "all room is back");
    });
}

#[test]
fn what_a_receiver_had_not_given_back_is_taken_once_whoever_comes() {
    explore(3, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1) && sender.send(2));
        // It is dead, and has read.
        let _taken = receiver.pairing.take(&receiver.end, RECEIVER, &Fenced).unwrap();
        let undertaker = {
            let ring = ring.clone();
            thread::spawn(move || {
                let mut lost = vec![];
                if !Pairing::over(&ring.slots).leave(RECEIVER).expect("honest memory") {
                    widen(&ring);
                    ring.slots.settle(RECEIVER, 1, |taken| lost.push(ring.read(taken))).unwrap();
                }
                lost
            })
        };
        let next = Pairing::over(&ring.slots);
        let mut got: Vec<u64> = match next.enter(Side::Receiving, 4) {
            true => Receiver::of(&ring, 4).receive().into_iter().collect(),
            false => {
                widen(&ring);
                ring.receive(4).into_iter().collect()
            }
        };
        got.extend(undertaker.join().unwrap());
        got.extend(rest(&ring));
        got.sort_unstable();
        assert_eq!((got, ring.slots.held()), (vec![1, 2], 0));
    });
}

#[test]
fn a_place_is_passed_on_while_the_other_side_goes_on_and_a_third_comes() {
    explore(2, || {
        let ring = paired(3, 2);
        let (sender, receiver) = (Sender::new(&ring), Receiver::new(&ring));
        assert!(sender.send(1));
        let leaves = {
            let ring = ring.clone();
            thread::spawn(move || {
                let pairing = Pairing::over(&ring.slots);
                pairing.leave(SENDER).expect("honest memory");
                // Its record is free, and the next one has the same number.
                match pairing.enter(Side::Sending, SENDER) {
                    true => Sender::new(&ring).send(2),
                    false => {
                        widen(&ring);
                        ring.send(SENDER, 2)
                    }
                }
            })
        };
        let third = {
            let ring = ring.clone();
            thread::spawn(move || {
                widen(&ring);
                ring.send(3, 3)
            })
        };
        let mut got: Vec<u64> = receiver.receive().into_iter().collect();
        let sent = [(leaves.join().unwrap(), 2), (third.join().unwrap(), 3)];
        got.extend(rest(&ring));
        assert_eq!(got.remove(0), 1);
        got.sort_unstable();
        let sent = sent.into_iter().filter_map(|(sent, value)| sent.then_some(value));
        assert_eq!(got, sent.collect::<Vec<_>>());
        assert_eq!(ring.slots.held(), 0);
    });
}

#[test]
fn of_two_that_come_at_once_one_has_the_place() {
    explore(3, || {
        let ring = Ring::new(3, 2);
        Pairing::over(&ring.slots).begin();
        let comes = |member: u16| {
            let ring = ring.clone();
            move || match Pairing::over(&ring.slots).enter(Side::Sending, member) {
                true => Sender::of(&ring, member).send(member.into()),
                false => {
                    widen(&ring);
                    ring.send(member, member.into())
                }
            }
        };
        let other = thread::spawn(comes(4));
        assert!(comes(3)() && other.join().unwrap(), "there is room for both");
        let mut got = rest(&ring);
        got.sort_unstable();
        assert_eq!((got, ring.slots.held()), (vec![3, 4], 0));
    });
}
