//! A ring for two that becomes one for many, under loom: whoever stands still where, nothing is lost, sent
//! twice, or written while it is read.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p postbox-ring --test 'loom_*'`
#![cfg(loom)]

mod explore;
mod ring_model;

use explore::explore;
use loom::thread;
use postbox_ring::pairing::{Fenced, Found, Held, Pairing};
use postbox_ring::{ClaimError, SpscReceiver, SpscSender};
use ring_model::{Modelled, Ring};

const SENDER: u16 = 7;
const RECEIVER: u16 = 9;

/// A ring that is a pair's.
fn paired(slots: usize, window: u32) -> Ring {
    let ring = Ring::new(slots, window);
    Pairing::over(&ring.slots).begin(SENDER, RECEIVER);
    ring
}

/// The sender of the two, whatever the ring is by then.
struct Sender {
    ring: Ring,
    pairing: Pairing<Modelled>,
    end: SpscSender<Modelled>,
}

impl Sender {
    fn new(ring: &Ring) -> Sender {
        let pairing = Pairing::over(&ring.slots);
        let end = SpscSender::attach(pairing.two().clone()).unwrap();
        Sender { ring: ring.clone(), pairing, end }
    }

    fn send(&self, value: u64) -> bool {
        match self.pairing.claim(&self.end, SENDER, &Fenced) {
            Ok(Some(held)) => {
                self.ring.write(held.slot().body_offset(), value);
                let of_two = matches!(held, Held::OfTwo(_));
                self.pairing.publish(&self.end, held);
                if of_two {
                    self.pairing.touch_ahead(&self.end, SENDER, &Fenced).expect("honest memory");
                }
                true
            }
            Ok(None) => self.ring.send(SENDER, value),
            Err(ClaimError::Full) => false,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }
}

/// The receiver of the two.
struct Receiver {
    ring: Ring,
    pairing: Pairing<Modelled>,
    end: SpscReceiver<Modelled>,
}

impl Receiver {
    fn new(ring: &Ring) -> Receiver {
        let pairing = Pairing::over(&ring.slots);
        let end = SpscReceiver::attach(pairing.two().clone()).unwrap();
        Receiver { ring: ring.clone(), pairing, end }
    }

    fn receive(&self) -> Option<u64> {
        match self.pairing.take(&self.end, RECEIVER, &Fenced).expect("honest memory") {
            Found::Entry(held) => {
                let value = self.ring.read(held.slot());
                self.pairing.release(&self.end, RECEIVER, held, &Fenced).expect("honest memory");
                Some(value)
            }
            Found::Empty => None,
            Found::Wide => self.ring.receive(RECEIVER),
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
