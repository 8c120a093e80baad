use super::debt::{Phase, Repair};
use super::*;
use crate::sync::Ordering::Relaxed;
use std::thread;

const EACH: usize = if cfg!(miri) { 40 } else { 20_000 };

#[derive(Default)]
struct Words {
    admit: AtomicU64,
    gone: [AtomicU64; 2],
    repair: AtomicU64,
    debt: AtomicU64,
    mark: AtomicU64,
    lanes: [LaneWords; LANES],
}

#[derive(Default)]
struct LaneWords {
    owner: AtomicU64,
    gone: [AtomicU64; 2],
}

impl Words {
    fn admission(&self) -> Admission<'_> {
        let Words { admit, gone: [even, odd], repair, debt, mark, lanes } = self;
        let lanes = lanes
            .each_ref()
            .map(|LaneWords { owner, gone: [even, odd] }| Lane { owner, gone: [even, odd] });
        Admission { admit, gone: [even, odd], lanes, repair, debt, mark }
    }
}

#[test]
fn epoch_and_number_share_a_word_to_their_last_bits() {
    let last = Dated::new(u16::MAX, TICKET_MASK);
    assert_eq!((last.epoch(), last.number()), (u16::MAX, TICKET_MASK));
    let cut = Dated::new(1, TICKET_MASK + 1);
    assert_eq!((cut.epoch(), cut.number()), (1, 0));
}

#[test]
fn exactly_n_are_admitted_and_one_more_for_each_that_is_gone() {
    let words = Words::default();
    let seen = Cell::new(0);
    let first = words.admission().admit(Some(3), &seen).unwrap();
    assert_eq!(std::iter::from_fn(|| words.admission().admit(Some(3), &seen)).count(), 2);
    assert_eq!(words.admission().inside(), 3);
    words.admission().count_gone(first.epoch, None);
    assert_eq!(words.admission().admit(Some(3), &seen).map(|ticket| ticket.number), Some(3));
    assert_eq!(words.admission().admit(Some(3), &seen), None);
}

#[test]
fn threads_at_full_speed_through_epoch_after_epoch_never_have_more_than_n_inside() {
    let (words, inside, most) = (Words::default(), AtomicU64::new(0), 3);
    thread::scope(|scope| {
        for thread in 1..=4 {
            let (words, inside) = (&words, &inside);
            scope.spawn(move || {
                let seen = Cell::new(0);
                // Two count alone, two share.
                let lane = (thread % 2 == 0).then(|| words.admission().own_lane(thread).unwrap());
                for _ in 0..EACH {
                    if let Some(ticket) = words.admission().admit(Some(most), &seen) {
                        let now = inside.fetch_add(1, Relaxed) + 1;
                        assert!(now <= most, "{now} inside");
                        inside.fetch_sub(1, Relaxed);
                        words.admission().count_gone(ticket.epoch, lane);
                    }
                    thread::yield_now();
                }
            });
        }
        // Nobody dies, so what an epoch owes is counted sooner or later, and nothing is given back.
        for _ in 0..EACH / 20 {
            let at = |phase| {
                let repair = Repair::read(words.admission());
                assert!(words.admission().advance(repair, phase));
            };
            at(Phase::Flip);
            while !words.admission().end_epoch(Repair::read(words.admission())) {}
            at(Phase::MembersPass);
            let counted = || {
                let repair = Repair::read(words.admission());
                let owed = Dated(words.debt.load(Relaxed)).number();
                words.admission().gone(repair.epoch(), SeqCst) == owed
            };
            while !counted() {
                thread::yield_now();
            }
            assert!(words.admission().give_back(Repair::read(words.admission())));
        }
    });
    assert_eq!(words.admission().inside(), 0);
    assert_eq!(Repair::read(words.admission()).returned(), 0);
}

#[test]
fn a_lane_is_one_seats_until_it_is_freed_and_keeps_what_it_has_counted() {
    let words = Words::default();
    let admission = words.admission();
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
