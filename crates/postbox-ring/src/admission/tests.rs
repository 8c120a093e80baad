use super::debt::{Phase, Repair};
use super::*;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use std::thread;

const EACH: usize = if cfg!(miri) { 40 } else { 20_000 };

#[test]
fn epoch_and_number_share_a_word_to_their_last_bits() {
    let last = Dated::new(u16::MAX, TICKET_MASK);
    assert_eq!((last.epoch(), last.number()), (u16::MAX, TICKET_MASK));
    let cut = Dated::new(1, TICKET_MASK + 1);
    assert_eq!((cut.epoch(), cut.number()), (1, 0));
}

#[test]
fn exactly_n_are_admitted_and_one_more_for_each_that_is_gone() {
    let words = Words::on_heap();
    let seen = Cell::new(0);
    let first = Admission(&words).admit(Some(3), &seen).unwrap();
    assert_eq!(std::iter::from_fn(|| Admission(&words).admit(Some(3), &seen)).count(), 2);
    assert_eq!(Admission(&words).inside(), 3);
    Admission(&words).count_gone(first.epoch, None);
    assert_eq!(Admission(&words).admit(Some(3), &seen).map(|ticket| ticket.number), Some(3));
    assert_eq!(Admission(&words).admit(Some(3), &seen), None);
}

#[test]
fn a_range_is_as_long_as_there_is_room_and_counts_one_by_one() {
    let words = Words::on_heap();
    let (admission, seen) = (Admission(&words), Cell::new(0));
    let (first, count) = admission.admit_many(Some(5), &seen, 3).unwrap();
    assert_eq!((first.number, count), (0, 3));
    let (next, count) = admission.admit_many(Some(5), &seen, 3).unwrap();
    assert_eq!((next.number, count), (3, 2));
    assert_eq!(admission.admit_many(Some(5), &seen, 3), None);
    assert_eq!(admission.room(Some(5)), 0);
    admission.count_gone(first.epoch, None);
    assert_eq!(admission.room(Some(5)), 1);
    assert_eq!(admission.admit_many(Some(5), &seen, 3).map(|(_, count)| count), Some(1));
    admission.count_many_gone(first.epoch, 5, None);
    assert_eq!(admission.inside(), 0);
    assert_eq!(admission.admit_many(None, &seen, 9).map(|(_, count)| count), Some(9));
    assert_eq!(admission.room(None), u64::MAX);
}

#[test]
fn threads_at_full_speed_through_epoch_after_epoch_never_have_more_than_n_inside() {
    let (words, inside, most) = (Words::on_heap(), AtomicU64::new(0), 3);
    thread::scope(|scope| {
        for thread in 1..=4 {
            let (words, inside) = (&words, &inside);
            scope.spawn(move || {
                let seen = Cell::new(0);
                // Two count alone, two share.
                let lane = (thread % 2 == 0).then(|| Admission(words).own_lane(thread).unwrap());
                for round in 0..EACH {
                    // One by one and two at a time.
                    let admission = Admission(words);
                    let taken = match round % 2 {
                        0 => admission.admit(Some(most), &seen).map(|ticket| (ticket, 1)),
                        _ => admission.admit_many(Some(most), &seen, 2),
                    };
                    if let Some((ticket, count)) = taken {
                        let now = inside.fetch_add(count, Relaxed) + count;
                        assert!(now <= most, "{now} inside");
                        inside.fetch_sub(count, Relaxed);
                        admission.count_many_gone(ticket.epoch, count, lane);
                    }
                    thread::yield_now();
                }
            });
        }
        // Nobody dies, so what an epoch owes is counted sooner or later, and nothing is given back.
        for _ in 0..EACH / 20 {
            let at = |phase| {
                let repair = Repair::read(Admission(&words));
                assert!(Admission(&words).advance(repair, phase));
            };
            at(Phase::Flip);
            while !Admission(&words).end_epoch(Repair::read(Admission(&words))) {}
            at(Phase::MembersPass);
            let counted = || {
                let repair = Repair::read(Admission(&words));
                let owed = Dated(words.debt.load(Relaxed)).number();
                Admission(&words).gone(repair.epoch(), SeqCst) == owed
            };
            while !counted() {
                thread::yield_now();
            }
            assert!(Admission(&words).give_back(Repair::read(Admission(&words))));
        }
    });
    assert_eq!(Admission(&words).inside(), 0);
    assert_eq!(Repair::read(Admission(&words)).returned(), 0);
}

#[test]
fn a_lane_is_one_seats_until_it_is_freed_and_keeps_what_it_has_counted() {
    let words = Words::on_heap();
    let admission = Admission(&words);
    let lanes: Vec<_> = (1..=LANES as u64).map(|seat| admission.own_lane(seat).unwrap()).collect();
    assert_eq!(admission.own_lane(9), None);
    assert_eq!(admission.own_lane(2), Some(lanes[1]));
    let seen = Cell::new(0);
    for lane in [Some(lanes[1]), None] {
        let ticket = admission.admit(Some(1), &seen).unwrap();
        assert_eq!(admission.admit(Some(1), &seen), None);
        admission.count_gone(ticket.epoch, lane);
    }
    admission.free_lane(2);
    assert_eq!(admission.own_lane(9), Some(lanes[1]));
    let ticket = admission.admit(Some(1), &seen).unwrap();
    assert_eq!(ticket.number, 2);
    admission.count_gone(ticket.epoch, Some(lanes[1]));
    assert_eq!(admission.inside(), 0);
}
