//! Who has the barriers before a sleep, under loom: whatever the word says, of a publisher and a sleeper
//! one sees the other.
#![cfg(loom)]

mod explore;

use explore::explore;
use loom::sync::Notify;
use loom::thread;
use postbox_ring::fences::Fences;
use postbox_ring::sleepers::Sleepers;
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use postbox_ring::sync::fence;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// One publisher, and those who sleep for what it publishes.
struct Place {
    messages: AtomicU64,
    count: AtomicU64,
    fences: AtomicU64,
    /// Barriers that were asked of the publisher, one for each sleeper, and whether it has ended.
    asked: [AtomicU64; 2],
    passed: [Notify; 2],
    ended: AtomicU64,
    /// No word that anybody waits on: the judge's.
    rings: AtomicUsize,
}

impl Place {
    fn new() -> Arc<Place> {
        let zero = || AtomicU64::new(0);
        Arc::new(Place {
            messages: zero(),
            count: zero(),
            fences: zero(),
            asked: [zero(), zero()],
            passed: [(); 2].map(|()| Notify::new()),
            ended: zero(),
            rings: AtomicUsize::new(0),
        })
    }

    fn fences(&self) -> Fences<'_> {
        Fences(&self.fences)
    }

    /// Between two instructions of the publisher: where a barrier of another's making may reach it.
    fn point(&self) {
        for (asked, passed) in self.asked.iter().zip(&self.passed) {
            if asked.load(Relaxed) == 1 {
                asked.store(2, Relaxed);
                fence(SeqCst);
                passed.notify();
            }
        }
    }

    /// As `Channel::barrier_after_store` and `Bells::ring_one`.
    fn publish(&self) {
        self.messages.fetch_add(1, Release);
        self.point();
        if !self.fences().are_spared() {
            fence(SeqCst);
        }
        self.point();
        if self.sleepers().count().asleep() > 0 && self.sleepers().take_one(u32::MAX) {
            self.rings.fetch_add(1, Ordering::Relaxed);
        }
        self.point();
    }

    /// No barrier is asked of one that does not run.
    fn end(&self) {
        self.ended.fetch_add(1, SeqCst);
        fence(SeqCst);
        self.passed.iter().for_each(Notify::notify);
    }

    /// As membarrier(2).
    fn for_all(&self, sleeper: usize) -> bool {
        self.asked[sleeper].fetch_add(1, SeqCst);
        if self.ended.load(SeqCst) == 0 {
            self.passed[sleeper].wait();
        }
        fence(SeqCst);
        true
    }

    fn sleepers(&self) -> Sleepers<'_> {
        Sleepers(&self.count)
    }

    /// True if it sees a message, false if it sleeps now.
    fn wait(&self) -> bool {
        self.sleepers().announce(|| self.fences().rely(|| self.for_all(0)));
        self.messages.load(Acquire) > 0
    }

    fn judge(&self, saw: bool) {
        let rung = self.rings.load(Ordering::Relaxed) > 0;
        assert!(saw || rung, "it sleeps beside a message, and nobody wakes it");
    }
}

#[test]
fn a_sleeper_sees_what_was_published_or_is_rung_whoever_has_the_barrier() {
    one_sees_the_other(|_| {}, Place::publish);
}

#[test]
fn who_relies_on_the_publishers_is_seen_by_them() {
    one_sees_the_other(sure, Place::publish);
}

#[test]
fn who_relies_on_the_publishers_is_seen_by_one_that_is_spared_barriers_again() {
    one_sees_the_other(sure, |place| {
        place.fences().spare();
        place.publish();
    });
}

/// Sleepers are sure of the publishers.
fn sure(place: &Place) {
    place.fences().rely(|| true);
}

fn one_sees_the_other(before: fn(&Place), publish: fn(&Place)) {
    explore(3, move || {
        let place = Place::new();
        before(&place);
        let publisher = {
            let place = place.clone();
            thread::spawn(move || {
                publish(&place);
                place.end();
            })
        };
        let saw = place.wait();
        publisher.join().unwrap();
        place.judge(saw);
    });
}

#[test]
fn the_second_who_sleeps_relies_on_nothing_before_it_is_sure() {
    explore(2, || {
        let place = Place::new();
        let publisher = {
            let place = place.clone();
            thread::spawn(move || {
                place.publish();
                place.end();
            })
        };
        let first = {
            let place = place.clone();
            thread::spawn(move || place.fences().rely(|| place.for_all(1)))
        };
        let saw = place.wait();
        first.join().unwrap();
        publisher.join().unwrap();
        place.judge(saw);
    });
}
