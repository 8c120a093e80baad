//! Going to sleep and waking under loom: nobody sleeps while what it waits for is there and no ring
//! on its way.
#![cfg(loom)]

mod explore;

use explore::explore;
use loom::thread;
use postbox_ring::admission::debt::{Phase, Repair};
use postbox_ring::admission::{Admission, Words};
use postbox_ring::sleepers::Sleepers;
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use postbox_ring::sync::fence;
use std::cell::Cell;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What is awaited, who sleeps for it, and how often the bell was rung.
struct Place {
    /// Messages that lie here.
    messages: AtomicU64,
    count: AtomicU64,
    /// No word that anybody waits on: the judge's.
    rings: AtomicUsize,
}

fn barrier() {
    fence(SeqCst);
}

impl Place {
    fn new() -> Arc<Place> {
        let zero = || AtomicU64::new(0);
        Arc::new(Place { messages: zero(), count: zero(), rings: AtomicUsize::new(0) })
    }

    fn sleepers(&self) -> Sleepers<'_> {
        Sleepers(&self.count)
    }

    /// As `Channel::published`: publish, barrier, ring.
    fn publish(&self) {
        self.messages.fetch_add(1, Release);
        barrier();
        self.ring_one();
    }

    /// As `Bells::ring_one`.
    fn ring_one(&self) {
        if self.sleepers().count().asleep() > 0 && self.sleepers().take_one(u32::MAX) {
            self.rings.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn asleep(&self) -> u32 {
        self.sleepers().count().asleep()
    }

    /// Takes a message if it finds one.
    fn attempt(&self) -> bool {
        let mut found = self.messages.load(Acquire);
        while found > 0 {
            match self.messages.compare_exchange(found, found - 1, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => found = now,
            }
        }
        false
    }

    /// As `End::wait_on` up to its sleep: true if it has a message, false if it sleeps now.
    fn wait(&self) -> bool {
        self.sleepers().announce(barrier);
        let got = self.attempt();
        if got {
            self.sleepers().leave();
        }
        got
    }

    fn rings(&self) -> usize {
        self.rings.load(Ordering::Relaxed)
    }
}

#[test]
fn who_goes_to_sleep_is_rung_if_a_message_is_published() {
    explore(3, || {
        let place = Place::new();
        let publisher = {
            let place = place.clone();
            thread::spawn(move || place.publish())
        };
        let got = place.wait();
        publisher.join().unwrap();
        assert!(got || place.rings() == 1, "it sleeps, and nobody wakes it");
    });
}

#[test]
fn of_two_sleepers_one_is_rung_for_each_message() {
    explore(2, || {
        let place = Place::new();
        let sleeper = {
            let place = place.clone();
            thread::spawn(move || place.wait())
        };
        let publisher = {
            let place = place.clone();
            thread::spawn(move || {
                place.publish();
                place.publish();
            })
        };
        let ours = place.wait();
        let theirs = sleeper.join().unwrap();
        publisher.join().unwrap();
        let asleep = [ours, theirs].into_iter().filter(|got| !got).count();
        let left = place.messages.load(Relaxed) as usize;
        assert!(place.rings() >= asleep.min(left), "{asleep} asleep, {left} messages");
    });
}

#[test]
fn two_publishers_ring_for_two_sleepers_and_no_ring_is_spent_twice() {
    explore(2, || {
        let place = Place::new();
        // Both are asleep already.
        place.sleepers().announce(barrier);
        place.sleepers().announce(barrier);
        let publisher = {
            let place = place.clone();
            thread::spawn(move || place.publish())
        };
        let third = {
            let place = place.clone();
            thread::spawn(move || place.wait())
        };
        place.publish();
        publisher.join().unwrap();
        let got = third.join().unwrap();
        assert_eq!(place.rings(), 2, "each message rings");
        // The third has taken one of the two messages and left its place, or is still counted: so
        // whoever sleeps and is not rung can be.
        assert_eq!(place.asleep(), if got { 0 } else { 1 });
    });
}

#[test]
fn a_sleeper_that_leaves_takes_no_other_off_the_count() {
    explore(3, || {
        let place = Place::new();
        let other = {
            let place = place.clone();
            thread::spawn(move || place.wait())
        };
        // This one leaves again: its time is over.
        place.sleepers().announce(barrier);
        place.sleepers().leave();
        let got = other.join().unwrap();
        assert!(!got);
        assert_eq!(place.asleep(), 1);
        place.publish();
        assert_eq!(place.rings(), 1, "the other still sleeps and is rung");
    });
}

#[test]
fn all_are_taken_off_and_rung_for_what_each_must_see_for_itself() {
    explore(3, || {
        let place = Place::new();
        let freed = {
            let place = place.clone();
            // As `Bells::ring_freed` does for space.
            thread::spawn(move || {
                place.messages.fetch_add(1, Release);
                barrier();
                let somebody = place.sleepers().count().asleep() > 0;
                if somebody {
                    place.sleepers().take_all();
                    place.rings.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        place.sleepers().announce(barrier);
        let seen = place.messages.load(Acquire) > 0;
        freed.join().unwrap();
        assert!(seen || place.rings() == 1, "it sleeps, and nobody wakes it");
    });
}

/// Room of one, and one sender that waits for it.
struct Room {
    words: Box<Words>,
    place: Arc<Place>,
}

impl Room {
    /// One message is inside already.
    fn full() -> Arc<Room> {
        let room = Room { words: Words::on_heap(), place: Place::new() };
        assert!(room.words().admit(Some(1), &Cell::new(0)).is_some());
        Arc::new(room)
    }

    fn words(&self) -> Admission<'_> {
        Admission(&self.words)
    }

    /// Whether it got in; otherwise it sleeps now.
    fn wait(&self) -> bool {
        self.place.sleepers().announce(barrier);
        self.words().admit(Some(1), &Cell::new(0)).is_some()
    }
}

#[test]
fn a_sender_that_goes_to_sleep_is_rung_when_a_message_counts_no_more() {
    // As `Channel::gone`: without a barrier of its own where it shares the counter.
    rung_when_a_message_counts_no_more(|room| room.words().count_gone(0, None));
}

#[test]
fn a_sender_that_goes_to_sleep_is_rung_by_a_receiver_that_counts_alone() {
    rung_when_a_message_counts_no_more(|room| {
        let words = room.words();
        words.count_gone(0, words.own_lane(7));
        // Here for both: in a channel the sleeper's reaches the receiver, too.
        barrier();
    });
}

fn rung_when_a_message_counts_no_more(count: fn(&Room)) {
    explore(3, move || {
        let room = Room::full();
        let receiver = {
            let room = room.clone();
            thread::spawn(move || {
                count(&room);
                room.place.ring_one();
            })
        };
        let got = room.wait();
        receiver.join().unwrap();
        assert!(got || room.place.rings() == 1, "it sleeps, and nobody wakes it");
    });
}

#[test]
fn a_sender_that_goes_to_sleep_finds_the_room_of_the_dead_or_hears_that_it_is_back() {
    explore(3, || {
        let room = Room::full();
        let words = room.words();
        assert!(words.advance(Repair::read(words), Phase::Flip));
        while !words.end_epoch(Repair::read(words)) {}
        assert!(words.advance(Repair::read(words), Phase::MembersPass));
        let repairer = {
            let room = room.clone();
            // The end of a repair rings the news, for everybody who sleeps at all.
            thread::spawn(move || {
                let done = room.words().give_back(Repair::read(room.words()));
                assert!(done);
                room.place.asleep() > 0
            })
        };
        let got = room.wait();
        let somebody_asleep = repairer.join().unwrap();
        assert!(got || somebody_asleep, "it sleeps, and the news came before");
    });
}

/// Senders that wait for room while at most one ring is on its way to any of them.
struct Crowd {
    room: AtomicU64,
    count: AtomicU64,
    /// Rings that nobody has heard yet.
    rings: AtomicU64,
}

impl Crowd {
    /// Two of them, asleep.
    fn asleep() -> Arc<Crowd> {
        let zero = || AtomicU64::new(0);
        let crowd = Crowd { room: zero(), count: zero(), rings: zero() };
        crowd.sleepers().announce(barrier);
        crowd.sleepers().announce(barrier);
        Arc::new(crowd)
    }

    fn sleepers(&self) -> Sleepers<'_> {
        Sleepers(&self.count)
    }

    /// As `Channel::freed`.
    fn free(&self) {
        self.room.fetch_add(1, Release);
        barrier();
        self.ring();
    }

    /// As `Bells::ring_for_room`.
    fn ring(&self) {
        let count = self.sleepers().count();
        if count.asleep() > 0 && count.rung() == 0 && self.sleepers().take_one(1) {
            self.rings.fetch_add(1, Release);
        }
    }

    /// Whether there was a ring to be heard.
    fn hear(&self) -> bool {
        take(&self.rings)
    }

    /// As `End::wait_on` when its bell was heard: whether this one has its room, or sleeps again.
    fn wake(&self) -> bool {
        self.sleepers().arrive();
        if take(&self.room) {
            self.leave_room();
            return true;
        }
        self.sleepers().announce(barrier);
        let got = take(&self.room);
        if got {
            self.sleepers().leave();
        }
        got
    }

    /// As `End::leave_room`.
    fn leave_room(&self) {
        if self.sleepers().count().asleep() == 0 {
            return;
        }
        if self.room.load(Acquire) == 0 {
            barrier();
            if self.room.load(Acquire) == 0 {
                return;
            }
        }
        self.ring();
    }
}

/// One off a number, if it has one.
fn take(number: &AtomicU64) -> bool {
    number.fetch_update(AcqRel, Acquire, |number| number.checked_sub(1)).is_ok()
}

/// Whoever is rung in the end wakes: then nobody sleeps beside room.
fn settle(crowd: &Crowd, mut asleep: usize) {
    while asleep > 0 && crowd.hear() {
        asleep -= usize::from(crowd.wake());
    }
    let room = crowd.room.load(Relaxed);
    assert!(
        asleep == 0 || room == 0,
        "{asleep} sleep beside room for {room}, and nobody wakes them"
    );
}

#[test]
fn of_a_crowd_each_is_woken_for_whom_there_is_room_by_the_one_woken_before() {
    explore(3, || {
        let crowd = Crowd::asleep();
        let receiver = {
            let crowd = crowd.clone();
            thread::spawn(move || {
                crowd.free();
                crowd.free();
            })
        };
        // One of the two wakes while that goes on, if it is rung in time.
        let got = crowd.hear() && crowd.wake();
        receiver.join().unwrap();
        settle(&crowd, if got { 1 } else { 2 });
    });
}

#[test]
fn rings_that_the_dead_were_to_hear_are_sent_again() {
    explore(3, || {
        let crowd = Crowd::asleep();
        crowd.free();
        assert!(crowd.hear(), "by one that dies of it, and whose room is not taken");
        let receiver = {
            let crowd = crowd.clone();
            thread::spawn(move || crowd.free())
        };
        // As `Channel::bury`, which wakes everybody who sleeps: the other looks.
        crowd.sleepers().recall();
        let got = take(&crowd.room);
        if got {
            crowd.sleepers().leave();
        } else {
            unreachable!("there was room all the time");
        }
        receiver.join().unwrap();
        // The dead one's place is still counted; who comes now is rung nevertheless.
        assert!(take(&crowd.room));
        crowd.sleepers().announce(barrier);
        let stale = crowd.hear();
        crowd.free();
        assert!(stale || crowd.hear(), "it sleeps beside room, and nobody wakes it");
    });
}

/// Two that wait for messages, each with a bell of its own that every ring reaches while nobody sleeps yet.
struct Couple {
    messages: AtomicU64,
    count: AtomicU64,
    bells: [AtomicU64; 2],
}

impl Couple {
    fn new() -> Arc<Couple> {
        let zero = || AtomicU64::new(0);
        Arc::new(Couple { messages: zero(), count: zero(), bells: [zero(), zero()] })
    }

    fn sleepers(&self) -> Sleepers<'_> {
        Sleepers(&self.count)
    }

    /// As `Channel::published`.
    fn publish(&self) {
        self.messages.fetch_add(1, Release);
        barrier();
        if self.sleepers().count().asleep() > 0 && self.sleepers().take_one(u32::MAX) {
            self.sound(0);
            self.sound(1);
        }
    }

    /// The kernel has a lock for each, whoever rings it or adds it.
    fn sound(&self, which: usize) {
        let _ = self.bells[which].fetch_update(AcqRel, Acquire, |_| Some(1));
    }

    fn hears(&self, which: usize) -> bool {
        take(&self.bells[which])
    }

    /// As `End::wait_on` of one that is counted in: whether it has a message, or sleeps now.
    fn wait(&self, which: usize) -> bool {
        if !take(&self.messages) {
            return self.hears(which) && self.wake(which);
        }
        match self.hears(which) {
            true => self.sleepers().arrive(),
            false => self.sleepers().leave(),
        }
        true
    }

    /// As `End::wait_on` when its bell was heard: whether it has a message, or sleeps again.
    fn wake(&self, which: usize) -> bool {
        self.sleepers().arrive();
        if take(&self.messages) {
            return true;
        }
        self.sleepers().announce(barrier);
        self.wait(which)
    }
}

#[test]
fn who_adds_its_bell_anew_hears_the_ring_for_one_that_leaves_without_it() {
    explore(3, || {
        let couple = Couple::new();
        couple.sleepers().announce(barrier);
        let first = {
            let couple = couple.clone();
            thread::spawn(move || couple.wait(0))
        };
        let publisher = {
            let couple = couple.clone();
            thread::spawn(move || {
                couple.publish();
                couple.publish();
            })
        };
        // What it has heard goes with the bell that it takes out, and sounds again as it adds it.
        couple.sound(1);
        couple.sleepers().announce(barrier);
        let second = couple.wait(1);
        let first = first.join().unwrap();
        publisher.join().unwrap();
        let first = first || couple.hears(0) && couple.wake(0);
        let second = second || couple.hears(1) && couple.wake(1);
        assert!(first && second, "it sleeps beside a message, and nobody wakes it");
    });
}
