use super::*;
use crate::slots::{ClaimCache, ClaimError, SlotLayout, SlotMemory, SlotRing, Take};
use crate::spsc::{SpscReceiver, SpscSender};
use crate::{Region, slots::MappedSlots};
use std::sync::atomic::AtomicBool;
use std::thread;

const SENDER: u16 = 7;
const RECEIVER: u16 = 9;

/// One end of a pair that may be widened at any time, and goes on as one of many.
struct Bench {
    region: Region,
    ring: SlotRing,
    pairing: RingPairing,
}

impl Bench {
    fn new(slots: u32, window: u32) -> Bench {
        let layout = SlotLayout { offset: 0, slots, window, stride: 64 };
        let region = Region::heap(layout.bytes_needed().unwrap());
        let ring = SlotRing::new(&region, layout).unwrap();
        let pairing = Pairing::over(&ring);
        pairing.begin();
        assert!(pairing.enter(Side::Sending, SENDER) && pairing.enter(Side::Receiving, RECEIVER));
        Bench { region, ring, pairing }
    }

    fn ends(&self) -> (SpscSender<MappedSlots>, SpscReceiver<MappedSlots>) {
        let two = self.pairing.two();
        (SpscSender::attach(two.clone()).unwrap(), SpscReceiver::attach(two.clone()).unwrap())
    }

    fn write(&self, claim: &Claim, value: u64) {
        self.region.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
    }

    fn read(&self, taken: &Taken) -> u64 {
        let mut value = [0; 8];
        self.region.read(taken.body_offset(), &mut value).unwrap();
        u64::from_le_bytes(value)
    }

    /// By the sender of the two, whatever the ring is by then.
    fn send(&self, sender: &SpscSender<MappedSlots>, value: u64) -> bool {
        match self.pairing.claim(sender, SENDER, &Fenced) {
            Ok(Some(held)) => {
                self.write(held.slot(), value);
                let of_two = matches!(held, Held::OfTwo(_));
                self.pairing.publish(sender, held);
                if of_two {
                    self.pairing.touch_ahead(sender, SENDER, &Fenced).unwrap();
                }
                true
            }
            Ok(None) => self.send_among_many(SENDER, value),
            Err(ClaimError::Full) => false,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }

    /// By one that may be the sender of the two.
    fn send_to_whatever_it_is(&self, member: u16, value: u64) -> bool {
        match self.pairing.is_paired() {
            true => self.send(&self.ends().0, value),
            false => self.send_among_many(member, value),
        }
    }

    fn send_among_many(&self, member: u16, value: u64) -> bool {
        match self.ring.claim(member, &mut ClaimCache::new()) {
            Ok(claim) => {
                self.write(&claim, value);
                self.ring.publish(claim);
                true
            }
            Err(ClaimError::Full) => false,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }

    /// By the receiver of the two.
    fn receive(&self, receiver: &SpscReceiver<MappedSlots>) -> Option<u64> {
        match self.pairing.take(receiver, RECEIVER, &Fenced).unwrap() {
            Found::Entry(held) => {
                let value = self.read(held.slot());
                self.pairing.release(receiver, RECEIVER, held, &Fenced).unwrap();
                Some(value)
            }
            Found::Empty => None,
            Found::Wide => self.receive_among_many(RECEIVER),
        }
    }

    fn receive_among_many(&self, member: u16) -> Option<u64> {
        match self.ring.take(member).unwrap() {
            Take::Entry(taken) => {
                let value = self.read(&taken);
                self.ring.release(taken);
                Some(value)
            }
            Take::Empty | Take::Busy { .. } => None,
        }
    }
}

#[test]
fn what_waits_is_taken_in_order_wherever_in_its_lap_the_ring_is_widened() {
    for (slots, window) in [(1, 1), (2, 1), (4, 3), (5, 5), (9, 4), (16, 9)] {
        for (passed, waiting) in (0..3 * slots).flat_map(|p| (0..=window).map(move |w| (p, w))) {
            let bench = Bench::new(slots, window);
            let (sender, receiver) = bench.ends();
            for value in 0..u64::from(passed) {
                assert!(bench.send(&sender, value));
                assert_eq!(bench.receive(&receiver), Some(value));
            }
            let waits = 100..100 + u64::from(waiting);
            for value in waits.clone() {
                assert!(bench.send(&sender, value));
            }
            let full = waiting == window;
            assert_eq!(bench.send(&sender, 900), !full, "{slots} {window} {passed}");
            bench.pairing.widen(&Fenced).unwrap();
            assert!(bench.pairing.is_wide());
            assert_eq!(bench.send_among_many(3, 901), waiting + 1 < window);
            let rest = waits.chain([900, 901].into_iter().take((window - waiting).min(2) as usize));
            let got: Vec<u64> = std::iter::from_fn(|| bench.receive(&receiver)).collect();
            assert_eq!(got, rest.collect::<Vec<_>>(), "{slots} {window} {passed} {waiting}");
            assert_eq!((bench.ring.held(), bench.ring.len().unwrap()), (0, 0));
            for value in 0..u64::from(window) {
                assert!(bench.send_among_many(3, value), "all room is there");
            }
            assert!(!bench.send(&sender, 0));
        }
    }
}

#[test]
fn a_sender_that_stands_still_in_a_message_has_its_slot_and_publishes_it() {
    for passed in [0, 2, 3, 7] {
        let bench = Bench::new(4, 3);
        let (sender, receiver) = bench.ends();
        for value in 0..passed {
            assert!(bench.send(&sender, value) && bench.receive(&receiver) == Some(value));
        }
        let claim = bench.pairing.claim(&sender, SENDER, &Fenced).unwrap().unwrap();
        bench.write(claim.slot(), 50);
        bench.pairing.widen(&Fenced).unwrap();
        assert!(bench.send_among_many(3, 51) && bench.send_among_many(3, 52));
        assert!(!bench.send_among_many(3, 53), "its claim counts");
        assert_eq!(bench.receive(&receiver), None, "what is in front is being written");
        bench.pairing.publish(&sender, claim);
        let got: Vec<u64> = std::iter::from_fn(|| bench.receive(&receiver)).collect();
        assert_eq!(got, [50, 51, 52]);
        assert_eq!(bench.ring.held(), 0);
    }
}

#[test]
fn who_dies_in_a_message_is_settled_as_one_of_many() {
    let bench = Bench::new(4, 3);
    let (sender, receiver) = bench.ends();
    assert!(bench.send(&sender, 1) && bench.send(&sender, 2));
    let _taken = bench.pairing.take(&receiver, RECEIVER, &Fenced).unwrap();
    let _claim = bench.pairing.claim(&sender, SENDER, &Fenced).unwrap();
    bench.pairing.widen(&Fenced).unwrap();
    let mut lost = vec![];
    bench.ring.settle(SENDER, 3, |_| panic!("it wrote")).unwrap();
    bench.ring.settle(RECEIVER, 3, |taken| lost.push(bench.read(taken))).unwrap();
    assert_eq!(lost, [1]);
    assert_eq!(bench.receive_among_many(3), Some(2));
    assert_eq!(bench.receive_among_many(3), None);
    assert_eq!((bench.ring.held(), bench.ring.len().unwrap()), (0, 0));
}

#[test]
fn what_the_receiver_holds_while_the_ring_is_widened_is_written_by_nobody() {
    let bench = Bench::new(4, 3);
    let (sender, receiver) = bench.ends();
    assert!(bench.send(&sender, 1));
    let taken = bench.pairing.take(&receiver, RECEIVER, &Fenced).unwrap();
    let Found::Entry(taken @ Held::OfTwo(_)) = taken else { panic!("they are a pair") };
    bench.pairing.widen(&Fenced).unwrap();
    for value in 2..5 {
        assert!(bench.send(&sender, value), "its room is back");
    }
    assert!(!bench.send(&sender, 5));
    assert_eq!(bench.read(taken.slot()), 1);
    assert_eq!(bench.ring.held(), 4);
    bench.pairing.release(&receiver, RECEIVER, taken, &Fenced).unwrap();
    assert_eq!(bench.ring.held(), 3);
}

#[test]
fn whoever_comes_first_has_a_place_until_it_leaves() {
    let bench = Bench::new(4, 3);
    let pairing = &bench.pairing;
    for (side, own) in [(Side::Sending, SENDER), (Side::Receiving, RECEIVER)] {
        assert!(pairing.enter(side, own), "it has it already");
        assert!(!pairing.enter(side, 3));
        assert_eq!(pairing.holder(side), Some(own));
    }
    assert_eq!(pairing.leave(3), Ok(true), "it had none");
    assert_eq!((pairing.leave(SENDER), pairing.holder(Side::Sending)), (Ok(true), None));
    assert!(pairing.enter(Side::Sending, 3) && !pairing.enter(Side::Sending, SENDER));
    assert!(!pairing.enter(Side::Receiving, 4), "this one is still there");
    pairing.widen(&Fenced).unwrap();
    for member in [3, RECEIVER, 4] {
        assert_eq!(pairing.leave(member), Ok(false));
        assert!(!pairing.enter(Side::Sending, member));
    }
}

#[test]
fn one_after_the_other_goes_on_where_the_last_one_was() {
    for (slots, window) in [(1, 1), (3, 2), (9, 8)] {
        let bench = Bench::new(slots, window);
        let (mut from, mut to) = (SENDER, RECEIVER);
        for round in 20..30 {
            let values: Vec<u64> = (0..u64::from(window)).map(|n| n + u64::from(round)).collect();
            assert_eq!(bench.pairing.leave(from), Ok(true));
            from = round;
            assert!(bench.pairing.enter(Side::Sending, from));
            let (sender, _) = bench.ends();
            assert!(values.iter().all(|value| bench.send(&sender, *value)));
            assert_eq!(bench.pairing.leave(to), Ok(true));
            to = 100 + round;
            assert!(bench.pairing.enter(Side::Receiving, to));
            let (_, receiver) = bench.ends();
            assert_eq!(std::iter::from_fn(|| bench.receive(&receiver)).collect::<Vec<_>>(), values);
        }
        assert!(bench.pairing.is_paired());
    }
}

#[test]
fn what_the_dead_had_not_published_does_not_exist_and_the_next_one_writes_there() {
    for (passed, of_two) in [(0, true), (2, true), (3, false), (7, false)] {
        let bench = Bench::new(4, 3);
        let (sender, receiver) = bench.ends();
        for value in 0..passed {
            assert!(bench.send(&sender, value) && bench.receive(&receiver) == Some(value));
        }
        let claim = bench.pairing.claim(&sender, SENDER, &Fenced).unwrap().unwrap();
        bench.write(claim.slot(), 66);
        assert_eq!(bench.pairing.leave(SENDER), Ok(true));
        if !of_two {
            bench.pairing.widen(&Fenced).unwrap();
            assert!(bench.send_among_many(3, 50));
        } else {
            assert!(bench.pairing.enter(Side::Sending, 3));
            assert!(bench.send(&bench.ends().0, 50));
        }
        assert_eq!((bench.receive(&receiver), bench.receive(&receiver)), (Some(50), None));
        assert!((0..3).all(|value| bench.send_to_whatever_it_is(3, value)), "all room is there");
    }
}

#[test]
fn what_the_dead_had_published_is_there_although_its_tail_does_not_tell() {
    let bench = Bench::new(4, 3);
    let (sender, receiver) = bench.ends();
    let Ok(Some(Held::OfTwo(claim))) = bench.pairing.claim(&sender, SENDER, &Fenced) else {
        panic!("they are a pair")
    };
    bench.write(&claim, 1);
    // Dead between the word and the tail.
    bench.pairing.two().publish_at(claim.position());
    assert_eq!(bench.pairing.leave(SENDER), Ok(true));
    assert!(bench.pairing.enter(Side::Sending, 3) && bench.send(&bench.ends().0, 2));
    bench.pairing.widen(&Fenced).unwrap();
    assert_eq!([bench.receive(&receiver), bench.receive(&receiver)], [Some(1), Some(2)]);
}

#[test]
fn what_the_dead_had_not_given_back_is_the_next_ones() {
    for widened in [false, true] {
        let bench = Bench::new(4, 3);
        let (sender, receiver) = bench.ends();
        assert!(bench.send(&sender, 1) && bench.send(&sender, 2));
        let _taken = bench.pairing.take(&receiver, RECEIVER, &Fenced).unwrap();
        assert_eq!(bench.pairing.leave(RECEIVER), Ok(true));
        if widened {
            bench.pairing.widen(&Fenced).unwrap();
            bench.ring.settle(RECEIVER, 3, |_| panic!("nothing of it is left")).unwrap();
            assert_eq!([1, 2], [(); 2].map(|()| bench.receive_among_many(4).unwrap()));
        } else {
            assert!(bench.pairing.enter(Side::Receiving, 4));
            let (_, next) = bench.ends();
            assert_eq!([1, 2], [(); 2].map(|()| bench.receive(&next).unwrap()));
        }
    }
}

#[test]
fn memory_that_makes_no_sense_is_found_out() {
    let bench = Bench::new(4, 3);
    let memory = bench.ring.memory();
    let tail = bench.pairing.two().memory().tail();
    tail.store(77, Relaxed);
    assert_eq!(bench.pairing.leave(SENDER), Err(Corrupt));
    tail.store(0, Relaxed);
    memory.sending().store(77, Relaxed);
    assert_eq!(bench.pairing.widen(&Fenced), Err(Corrupt));
    memory.phase().store(3, Relaxed);
    assert_eq!(bench.pairing.widen(&Fenced), Err(Corrupt));
}

#[test]
fn a_pair_at_full_speed_and_the_others_that_come_lose_nothing() {
    const EACH: u64 = if cfg!(miri) { 30 } else { 1_000 };
    for round in 0..if cfg!(miri) { 2 } else { 40 } {
        let bench = if round % 2 == 0 { Bench::new(6, 4) } else { Bench::new(20, 16) };
        let done = AtomicBool::new(false);
        let got = thread::scope(|scope| {
            let (sender, receiver) = bench.ends();
            let (bench, done) = (&bench, &done);
            let pair = scope.spawn(move || {
                for value in 0..EACH {
                    while !bench.send(&sender, value) {
                        thread::yield_now();
                    }
                }
            });
            let ours = scope.spawn(move || {
                let mut got = vec![];
                while !(done.load(Acquire) && bench.pairing.is_wide() && bench.ring.is_empty()) {
                    match bench.receive(&receiver) {
                        Some(value) => got.push(value),
                        None => thread::yield_now(),
                    }
                }
                got
            });
            let widener = scope.spawn(move || {
                for _ in 0..round * 10 {
                    thread::yield_now();
                }
                bench.pairing.widen(&Fenced).unwrap();
                for value in EACH..2 * EACH {
                    while !bench.send_among_many(3, value) {
                        thread::yield_now();
                    }
                }
            });
            let other = scope.spawn(move || {
                let mut got = vec![];
                while !bench.pairing.is_wide() {
                    thread::yield_now();
                }
                while !(done.load(Acquire) && bench.ring.is_empty()) {
                    match bench.receive_among_many(4) {
                        Some(value) => got.push(value),
                        None => thread::yield_now(),
                    }
                }
                got
            });
            pair.join().unwrap();
            widener.join().unwrap();
            done.store(true, Release);
            [ours.join().unwrap(), other.join().unwrap()]
        });
        for got in &got {
            for from in [0..EACH, EACH..2 * EACH] {
                let of = got.iter().filter(|value| from.contains(value));
                assert!(of.is_sorted(), "a sender's messages in order");
            }
        }
        let mut all = got.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..2 * EACH));
        assert_eq!(bench.ring.held(), 0);
    }
}
