//! Threads at full speed over one ring: every message arrives once, those of one producer in order.
#![cfg(not(loom))]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use postbox_ring::{
    ClaimCache, ClaimError, Log, LogLayout, Region, Restart, SlotLayout, SlotRing, SpscReceiver,
    SpscSender, Take, log::Head,
};

const EACH: u64 = if cfg!(miri) { 30 } else { 50_000 };
const PEERS: u64 = 4;

/// Runs producers and consumers; a consumer is given a place for the value and says whether it got one.
fn exactly_once_and_in_order(
    produce: impl Fn(u16, u64) -> bool + Sync,
    consume: impl Fn(u16) -> Option<u64> + Sync,
) {
    let left = AtomicU64::new(PEERS * EACH);
    let all = Mutex::new(vec![]);
    thread::scope(|scope| {
        for producer in 0..PEERS {
            let produce = &produce;
            scope.spawn(move || {
                for n in 0..EACH {
                    while !produce(producer as u16, producer << 32 | n) {
                        thread::yield_now();
                    }
                }
            });
        }
        for consumer in 0..PEERS {
            let (consume, left, all) = (&consume, &left, &all);
            scope.spawn(move || {
                let mut mine = vec![];
                while left.load(SeqCst) > 0 {
                    match consume(10 + consumer as u16) {
                        Some(value) => {
                            left.fetch_sub(1, SeqCst);
                            mine.push(value);
                        }
                        None => thread::yield_now(),
                    }
                }
                for producer in 0..PEERS {
                    let of_one = mine.iter().filter(|&&value| value >> 32 == producer);
                    assert!(of_one.is_sorted_by(|a, b| a < b), "out of order from {producer}");
                }
                all.lock().unwrap().extend(mine);
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort_unstable();
    let expected = (0..PEERS).flat_map(|p| (0..EACH).map(move |n| p << 32 | n));
    assert!(all.into_iter().eq(expected), "lost or doubled");
}

fn ring(slots: u32, window: u32) -> (Region, SlotRing) {
    let layout = SlotLayout { offset: 0, slots, window, stride: 64 };
    let region = Region::heap(layout.bytes_needed().unwrap());
    let ring = SlotRing::new(&region, layout).unwrap();
    (region, ring)
}

#[test]
fn many_producers_and_consumers_share_a_slot_ring() {
    for (slots, window) in [(1, 1), (3, 2), (64, 64), (100, 64)] {
        let (region, ring) = ring(slots, window);
        let attempts = AtomicU64::new(0);
        exactly_once_and_in_order(
            |member, value| match ring.claim(member, &mut ClaimCache::new()) {
                Ok(claim) if attempts.fetch_add(1, SeqCst).is_multiple_of(17) => {
                    ring.abandon(claim);
                    false
                }
                Ok(claim) => {
                    region.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
                    ring.publish(claim);
                    true
                }
                Err(ClaimError::Full) => false,
                Err(ClaimError::Corrupt) => panic!("corrupt"),
            },
            |member| match ring.take(member).unwrap() {
                Take::Entry(taken) => {
                    let mut bytes = [0; 8];
                    region.read(taken.body_offset(), &mut bytes).unwrap();
                    ring.release(taken);
                    Some(u64::from_le_bytes(bytes))
                }
                Take::Empty | Take::Busy { .. } => None,
            },
        );
        assert!(ring.is_empty());
        assert_eq!(ring.len(), Ok(0));
    }
}

#[test]
fn many_producers_and_consumers_share_a_queue_of_runs() {
    let restarts = [Restart::WhenEmpty, Restart::WhenStartIsFree { behind: 1 }];
    for (soft, restart) in [(100, restarts[0]), (100, restarts[1]), (1024, restarts[0])] {
        let layout = LogLayout { offset: 0, units: 1024, unit: 64, soft, restart };
        let region = Region::heap(layout.bytes_needed().unwrap());
        let log = Log::new(&region, layout).unwrap();
        exactly_once_and_in_order(
            |member, value| match log.claim(1 + (value % 61) as u32, member, |_| {}) {
                Ok(run) => {
                    region.write(log.data_range(&run).start, &value.to_le_bytes()).unwrap();
                    log.publish(run, 0).expect("nobody settles");
                    true
                }
                Err(ClaimError::Full) => false,
                Err(ClaimError::Corrupt) => panic!("corrupt"),
            },
            |member| match log.take(member).unwrap() {
                Head::Entry(run) => {
                    let mut bytes = [0; 8];
                    region.read(log.data_range(&run).start, &mut bytes).unwrap();
                    assert!(log.release(run));
                    Some(u64::from_le_bytes(bytes))
                }
                Head::Empty | Head::Busy { .. } => None,
            },
        );
        assert!(log.is_empty_queue());
    }
}

#[test]
fn one_producer_and_one_consumer_share_a_ring() {
    for (slots, window) in [(1, 1), (7, 7), (64, 3), (64, 63)] {
        let (region, ring) = ring(slots, window);
        let sender = SpscSender::attach(ring.clone()).unwrap();
        let receiver = SpscReceiver::attach(ring).unwrap();
        thread::scope(|scope| {
            let to = region.clone();
            scope.spawn(move || {
                for value in 0..EACH {
                    let claim = loop {
                        match sender.claim() {
                            Ok(claim) => break claim,
                            Err(ClaimError::Full) => thread::yield_now(),
                            Err(ClaimError::Corrupt) => panic!("corrupt"),
                        }
                    };
                    to.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
                    sender.publish(claim);
                    sender.touch_ahead();
                }
            });
            for value in 0..EACH {
                let taken = loop {
                    match receiver.take().unwrap() {
                        Some(taken) => break taken,
                        None => thread::yield_now(),
                    }
                };
                let mut bytes = [0; 8];
                region.read(taken.body_offset(), &mut bytes).unwrap();
                assert_eq!(u64::from_le_bytes(bytes), value);
                receiver.release(taken);
            }
        });
    }
}
