//! The slot ring under loom: every interleaving of a few operations, bodies modelled as cells that
//! report any race.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p postbox-ring --test 'loom_*'`
#![cfg(loom)]

mod explore;
mod ring_model;

use std::sync::{Arc, Mutex};

use explore::explore;
use loom::thread;
use postbox_ring::{ClaimCache, ClaimError, SpscReceiver, SpscSender, Take, slots::Taken};
use ring_model::Ring;

fn sorted(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values
}

#[test]
fn two_producers_and_two_consumers_pass_each_message_once() {
    explore(1, || {
        let ring = Ring::new(2, 2);
        // The lap turns inside the model.
        assert!(ring.send(0, 1));
        let producers = [2, 3].map(|value| {
            let ring = ring.clone();
            thread::spawn(move || ring.send(value as u16, value).then_some(value))
        });
        let consumer = {
            let ring = ring.clone();
            thread::spawn(move || ring.receive(5))
        };
        let mut got: Vec<u64> = ring.receive(4).into_iter().collect();
        let sent = producers.map(|producer| producer.join().unwrap());
        got.extend(consumer.join().unwrap());
        assert!(sent.iter().any(Option::is_some), "there was room for one at least");
        got.extend(ring.drain());
        let expected = [1].into_iter().chain(sent.into_iter().flatten()).collect();
        assert_eq!(sorted(got), sorted(expected));
        assert!(ring.slots.is_empty());
    });
}

#[test]
fn a_ring_of_one_slot_passes_messages_lap_after_lap_in_order() {
    explore(3, || {
        let ring = Ring::new(1, 1);
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || (1..4).filter(|&value| ring.send(0, value)).collect::<Vec<_>>())
        };
        let mut got: Vec<u64> = (0..2).filter_map(|_| ring.receive(1)).collect();
        let sent = producer.join().unwrap();
        got.extend(ring.drain());
        assert_eq!(got, sent);
    });
}

#[test]
fn two_producers_never_get_more_than_the_window_in() {
    explore(3, || {
        let ring = Ring::new(3, 1);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || ring.send(0, 1))
        };
        let ours = ring.send(1, 2);
        assert!(ours ^ other.join().unwrap(), "exactly one");
        assert_eq!(ring.slots.len(), Ok(1));
    });
}

#[test]
fn room_of_a_withdrawn_entry_is_given_out_once_while_it_is_taken() {
    explore(2, || {
        let ring = Ring::new(3, 1);
        let claim = ring.slots.claim(0, &mut ClaimCache::new()).unwrap();
        let position = claim.position();
        ring.slots.publish(claim);
        let consumer = {
            let ring = ring.clone();
            thread::spawn(move || ring.receive(1).is_some())
        };
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || ring.send(2, 1))
        };
        ring.slots.withdraw(position).unwrap();
        let ours = ring.send(3, 2);
        let (took, theirs) = (consumer.join().unwrap(), producer.join().unwrap());
        assert!(ours || theirs, "withdrawn: there was room");
        let sent = usize::from(ours) + usize::from(theirs);
        let live = ring.slots.len().unwrap();
        assert!(live <= 1, "never more than the window");
        // The consumer takes one at most: the withdrawn one, or (after it) none.
        assert_eq!(live + usize::from(took && sent > live), sent);
    });
}

#[test]
fn a_producer_that_dies_at_any_step_is_settled_by_two_members_at_once() {
    explore(1, || {
        let ring = Ring::new(2, 2);
        // Dead in the middle of its first message: claimed, never published.
        let claim = ring.slots.claim(9, &mut ClaimCache::new()).unwrap();
        ring.write(claim.body_offset(), 99);
        drop(claim);
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || ring.send(0, 1))
        };
        let settler = {
            let ring = ring.clone();
            thread::spawn(move || ring.slots.settle(9, 1, |_| panic!("took nothing")).unwrap())
        };
        ring.slots.settle(9, 2, |_| panic!("took nothing")).unwrap();
        let early = ring.receive(2);
        settler.join().unwrap();
        assert!(producer.join().unwrap());
        let mut got: Vec<u64> = early.into_iter().collect();
        got.extend(ring.drain());
        assert_eq!(got, [1]);
        assert!(ring.send(0, 2) && ring.send(0, 3), "all room is back");
        assert_eq!(ring.drain(), [2, 3]);
    });
}

#[test]
fn what_a_dead_consumer_took_is_handed_to_one_settler_and_its_slot_used_again() {
    explore(2, || {
        let ring = Ring::new(1, 1);
        assert!(ring.send(0, 1));
        let Ok(Take::Entry(_dead)) = ring.slots.take(9) else { panic!() };
        let settled = Arc::new(Mutex::new(vec![]));
        let settle = |by| {
            let (ring, settled) = (ring.clone(), settled.clone());
            move || {
                let take = |taken: &Taken| settled.lock().unwrap().push(ring.read(taken));
                ring.slots.settle(9, by, take).unwrap();
            }
        };
        let settler = thread::spawn(settle(1));
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || ring.send(0, 2))
        };
        settle(2)();
        settler.join().unwrap();
        let sent = producer.join().unwrap();
        assert_eq!(*settled.lock().unwrap(), [1]);
        assert_eq!(ring.drain().len(), usize::from(sent));
    });
}

#[test]
fn one_producer_and_one_consumer_pass_messages_in_order_without_exchanges() {
    // With slack the head tells that a slot was released; without, its word alone may.
    for (slots, window) in [(2, 2), (2, 1)] {
        explore(3, move || {
            let ring = Ring::new(slots, window);
            let sender = SpscSender::attach(ring.slots.clone()).unwrap();
            let receiver = SpscReceiver::attach(ring.slots.clone()).unwrap();
            let producer = {
                let ring = ring.clone();
                thread::spawn(move || {
                    let mut sent = vec![];
                    for value in 1..5 {
                        match sender.claim() {
                            Ok(claim) => {
                                ring.write(claim.body_offset(), value);
                                sender.publish(claim);
                                sent.push(value);
                            }
                            Err(ClaimError::Full) => thread::yield_now(),
                            Err(ClaimError::Corrupt) => panic!("corrupt"),
                        }
                    }
                    sent
                })
            };
            let mut got = vec![];
            let mut receive = |got: &mut Vec<u64>| {
                let taken = receiver.take().expect("honest memory");
                if let Some(taken) = taken {
                    // With slack it stays as it is until the next is released.
                    let body = taken.body_offset();
                    if slots == window as usize {
                        got.push(ring.read_at(body));
                        receiver.release(taken);
                    } else {
                        receiver.release(taken);
                        got.push(ring.read_at(body));
                    }
                }
            };
            for _ in 0..4 {
                receive(&mut got);
            }
            let sent = producer.join().unwrap();
            for _ in 0..4 {
                receive(&mut got);
            }
            assert_eq!(got, sent);
            assert!(ring.slots.is_empty());
        });
    }
}
