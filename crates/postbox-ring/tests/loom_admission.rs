//! Admission and the arithmetic of a repair under loom: every interleaving of a few operations.
//!
//! The very code that runs in a channel, over words of loom's. What a judge outside notes (`Judge`) is
//! no part of it: loom changes threads only at accesses to its own words, so a note that follows an
//! access at once is as good as one with it.
#![cfg(loom)]

mod explore;

use explore::explore;
use loom::thread;
use postbox_ring::admission::debt::{Phase, Repair};
use postbox_ring::admission::{Admission, OwnLane, Ticket, Words};
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{Acquire, Release};
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// A channel for as many messages as `window` says.
struct Channel {
    words: Box<Words>,
    window: u64,
    judge: Mutex<Judge>,
}

/// What is true whatever the words say.
#[derive(Default)]
struct Judge {
    inside: u64,
    tickets: HashSet<u64>,
}

impl Channel {
    fn new(window: u64) -> Arc<Self> {
        Arc::new(Channel { words: Words::on_heap(), window, judge: Mutex::default() })
    }

    fn words(&self) -> Admission<'_> {
        Admission(&self.words)
    }

    /// One more message, if there is room.
    fn admit(&self, seen: &Cell<u64>) -> Option<Ticket> {
        let ticket = self.words().admit(Some(self.window), seen)?;
        let mut judge = self.judge.lock().unwrap();
        judge.inside += 1;
        assert!(judge.inside <= self.window, "{} inside", judge.inside);
        assert!(judge.tickets.insert(ticket.number), "ticket {} twice", ticket.number);
        Some(ticket)
    }

    /// As many as there is room for, up to `most`.
    fn admit_many(&self, most: u64) -> u64 {
        let taken = self.words().admit_many(Some(self.window), &Cell::new(0), most);
        let Some((first, count)) = taken else { return 0 };
        let mut judge = self.judge.lock().unwrap();
        judge.inside += count;
        assert!(judge.inside <= self.window, "{} inside", judge.inside);
        for number in first.number..first.number + count {
            assert!(judge.tickets.insert(number), "ticket {number} twice");
        }
        count
    }

    /// It was taken.
    fn leave(&self, ticket: Ticket) {
        self.leave_by(ticket, None);
    }

    fn leave_by(&self, ticket: Ticket, lane: Option<OwnLane>) {
        self.words().count_gone(ticket.epoch, lane);
        self.judge.lock().unwrap().inside -= 1;
    }

    /// Its sender has died with it: it is inside no more, and nobody counts it.
    fn leak(&self) {
        assert!(self.admit(&Cell::new(0)).is_some());
        self.judge.lock().unwrap().inside -= 1;
    }

    /// Moves the repair from one phase to the next.
    fn advance(&self, from: Phase, to: Phase) {
        let repair = Repair::read(self.words());
        assert_eq!(repair.phase(), from);
        assert!(self.words().advance(repair, to));
    }

    /// One attempt to end the epoch that is being closed.
    fn flip(&self) -> bool {
        let repair = Repair::read(self.words());
        repair.phase() == Phase::Flip && self.words().end_epoch(repair)
    }

    /// As one member that has nothing else to do: flips, and gives back.
    fn close_epoch(&self) {
        while !self.flip() {}
        self.advance(Phase::Flip, Phase::MembersPass);
        assert!(self.words().give_back(Repair::read(self.words())));
    }

    fn room(&self) -> u64 {
        let words = self.words();
        words.limit(self.window) - words.so_far().number()
    }
}

#[test]
fn never_more_than_n_are_inside_and_each_ticket_is_given_out_once() {
    explore(3, || {
        let channel = Channel::new(2);
        let first = channel.admit(&Cell::new(0)).unwrap();
        let senders = [(); 2].map(|()| {
            let channel = channel.clone();
            thread::spawn(move || {
                let seen = Cell::new(0);
                [channel.admit(&seen), channel.admit(&seen)].into_iter().flatten().count()
            })
        });
        channel.leave(first);
        let admitted: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
        assert!((1..=2).contains(&admitted), "there was room for one at least");
        assert_eq!(channel.room(), 2 - admitted as u64);
        assert_eq!(channel.words().inside(), admitted as u64);
    });
}

#[test]
fn ranges_of_tickets_never_overlap_and_are_never_longer_than_there_is_room() {
    explore(3, || {
        let channel = Channel::new(3);
        let first = channel.admit(&Cell::new(0)).unwrap();
        let packer = {
            let channel = channel.clone();
            thread::spawn(move || channel.admit_many(2))
        };
        let single = {
            let channel = channel.clone();
            thread::spawn(move || u64::from(channel.admit(&Cell::new(0)).is_some()))
        };
        channel.leave(first);
        let (packed, alone) = (packer.join().unwrap(), single.join().unwrap());
        assert!(packed >= 1 && packed + alone >= 2, "there was room for two at least");
        assert_eq!(channel.room(), 3 - packed - alone);
    });
}

#[test]
fn takers_that_count_alone_and_together_make_room_for_exactly_what_they_take() {
    explore(3, || {
        let channel = Channel::new(2);
        let tickets = [(); 2].map(|()| channel.admit(&Cell::new(0)).unwrap());
        let takers = [(Some(7), tickets[0]), (None, tickets[1])].map(|(seat, ticket)| {
            let channel = channel.clone();
            thread::spawn(move || {
                let lane = seat.map(|seat| channel.words().own_lane(seat).unwrap());
                channel.leave_by(ticket, lane);
            })
        });
        let seen = Cell::new(0);
        let admitted = [channel.admit(&seen), channel.admit(&seen)].into_iter().flatten().count();
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(channel.room(), 2 - admitted as u64);
    });
}

#[test]
fn a_limit_seen_once_is_never_too_high_while_messages_come_and_go() {
    explore(3, || {
        let channel = Channel::new(1);
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || {
                let seen = Cell::new(0);
                for _ in 0..2 {
                    if let Some(ticket) = channel.admit(&seen) {
                        channel.leave(ticket);
                    }
                }
            })
        };
        let seen = Cell::new(0);
        for _ in 0..2 {
            if let Some(ticket) = channel.admit(&seen) {
                channel.leave(ticket);
            }
        }
        sender.join().unwrap();
        assert_eq!(channel.room(), 1);
    });
}

#[test]
fn an_epoch_ends_with_a_true_note_of_what_it_owes_while_tickets_are_taken() {
    explore(2, || {
        let channel = Channel::new(2);
        channel.leak();
        channel.advance(Phase::Idle, Phase::Flip);
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || {
                let seen = Cell::new(0);
                while let Some(ticket) = channel.admit(&seen) {
                    channel.leave(ticket);
                    if ticket.number == 2 {
                        break;
                    }
                }
            })
        };
        let helper = {
            let channel = channel.clone();
            thread::spawn(move || channel.flip())
        };
        channel.flip();
        channel.flip();
        helper.join().unwrap();
        sender.join().unwrap();
        // All that the living had is counted by now, in whichever epoch it was: the one ticket of the
        // dead is missing, and no more.
        assert_eq!(channel.room(), 1);
        channel.close_epoch();
        assert_eq!(channel.room(), 2);
    });
}

#[test]
fn what_the_dead_have_leaked_is_given_back_once_however_many_do_it() {
    explore(3, || {
        let channel = Channel::new(1);
        channel.leak();
        channel.advance(Phase::Idle, Phase::Flip);
        while !channel.flip() {}
        channel.advance(Phase::Flip, Phase::MembersPass);
        let give_back = |channel: &Channel| {
            let repair = Repair::read(channel.words());
            repair.phase() == Phase::MembersPass && channel.words().give_back(repair)
        };
        let helper = {
            let channel = channel.clone();
            thread::spawn(move || give_back(&channel))
        };
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || {
                let seen = Cell::new(0);
                [channel.admit(&seen), channel.admit(&seen)].into_iter().flatten().count()
            })
        };
        let ours = give_back(&channel);
        assert!(ours ^ helper.join().unwrap(), "exactly one");
        let admitted = sender.join().unwrap();
        assert_eq!(channel.room() + admitted as u64, 1);
    });
}

#[test]
fn a_late_helper_of_the_last_repair_disturbs_neither_the_next_nor_the_room() {
    explore(3, || {
        let channel = Channel::new(3);
        channel.leak();
        channel.advance(Phase::Idle, Phase::Flip);
        let late = {
            let channel = channel.clone();
            // Reads at some moment, and acts at some other.
            thread::spawn(move || channel.flip())
        };
        channel.close_epoch();
        // More than before, so that the note of one epoch would be wrong for the other.
        channel.leak();
        channel.leak();
        channel.advance(Phase::Idle, Phase::Flip);
        channel.close_epoch();
        late.join().unwrap();
        assert_eq!(channel.room(), 3);
        let repair = Repair::read(channel.words());
        assert_eq!((repair.phase(), repair.epoch(), repair.returned()), (Phase::Idle, 2, 3));
    });
}

#[test]
fn who_is_admitted_past_the_mark_sees_the_overflow_as_empty_as_it_was_seen_before() {
    explore(3, || {
        let channel = Channel::new(2);
        let overflowing = Arc::new(AtomicU64::new(1));
        let receiver = {
            let overflowing = overflowing.clone();
            thread::spawn(move || overflowing.store(0, Release))
        };
        let sender = {
            let (channel, overflowing) = (channel.clone(), overflowing.clone());
            thread::spawn(move || {
                let ticket = channel.admit(&Cell::new(0)).unwrap();
                (ticket.number, overflowing.load(Acquire))
            })
        };
        let empty = overflowing.load(Acquire) == 0;
        let mark = channel.words().mark(0).unwrap();
        let (ticket, overflowed) = sender.join().unwrap();
        receiver.join().unwrap();
        assert!(!(empty && ticket >= mark && overflowed == 1), "an older look at the overflow");
        assert_eq!(channel.words().mark(0), Some(mark), "it stays");
    });
}
