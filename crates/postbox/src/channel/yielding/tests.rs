use super::*;
use crate::{Bytes, Mechanism, Options, ReceiveError};
use postbox_sys::cpu;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SLICE: u64 = 4_000_000;
const BEGAN: u64 = 7_000_000_000;

/// After turns that began then and took so long.
fn after(turns: &[(u64, Option<u64>)]) -> Yielding {
    let yielding = Yielding::new();
    turns.iter().for_each(|&(took, carried)| yielding.learn(BEGAN, took, carried));
    yielding
}

#[test]
fn short_turns_are_no_matter() {
    let yielding = after(&[(LONG - 1, None), (LONG - 1, Some(0))]);
    assert!(!yielding.suspects(BEGAN + LONG) && !yielding.abstains(BEGAN + LONG));
}

#[test]
fn the_next_long_turn_is_judged_if_it_comes_soon() {
    let (yielding, soon) = (after(&[(SLICE, None)]), BEGAN + FORGOTTEN);
    assert!(yielding.suspects(soon - 1) && !yielding.suspects(soon));
    assert!(!yielding.abstains(soon - 1));
}

#[test]
fn either_judgement_is_remembered_and_then_the_next_turn_is_judged_anew() {
    for (carried, abstains) in [(SLICE / WORTH, false), (SLICE / WORTH - 1, true)] {
        let judged = (SLICE, Some(carried));
        let yielding = after(&[(SLICE, None), judged, judged]);
        let until = BEGAN + SLICE * REMEMBERED;
        assert_eq!(yielding.abstains(until - 1), abstains, "{carried}");
        assert!(!yielding.suspects(until - 1), "{carried}");
        yielding.learn(until - 1, SLICE, None);
        assert!(!yielding.abstains(until) && yielding.suspects(until), "{carried}");
    }
}

#[test]
fn one_turn_in_vain_is_none_and_after_two_every_one_counts() {
    let (vain, paid) = ((SLICE, Some(0)), (SLICE, Some(SLICE)));
    let abstains = |turns: &[_]| after(turns).abstains(BEGAN + 1);
    assert!(!abstains(&[vain]) && !abstains(&[vain, paid, vain]));
    assert!(abstains(&[vain, vain]) && abstains(&[vain, vain, vain]));
    assert!(!abstains(&[vain, vain, paid]));
    assert!(after(&[vain]).suspects(BEGAN + 1), "the next one is judged, too");
}

#[test]
fn what_is_in_vain_again_and_again_is_remembered_longer() {
    let (vain, first) = ((SLICE, Some(0)), SLICE * REMEMBERED);
    for (times, span) in [(2, first), (3, 8 * first), (4, 64 * first), (9, 64 * first)] {
        let yielding = after(&vec![vain; times]);
        assert!(yielding.abstains(BEGAN + span - 1), "{times}");
        assert!(!yielding.abstains(BEGAN + span), "{times}");
    }
}

#[test]
fn what_was_in_vain_long_ago_does_not_count() {
    let yielding = after(&[(SLICE, Some(0))]);
    let later = BEGAN + FORGOTTEN;
    yielding.learn(later, SLICE, None);
    yielding.learn(later, SLICE, Some(0));
    assert!(!yielding.abstains(later + 1));
}

#[test]
fn a_process_that_is_forked_learns_for_itself() {
    let yielding = after(&[(SLICE, Some(0)), (SLICE, Some(0))]);
    yielding.belongs_to(1);
    assert!(!yielding.abstains(BEGAN + 1) && !yielding.suspects(BEGAN + 1));
    yielding.learn(BEGAN, SLICE, Some(0));
    yielding.learn(BEGAN, SLICE, Some(0));
    yielding.belongs_to(1);
    assert!(yielding.abstains(BEGAN + 1));
}

#[test]
fn turns_that_nobody_has_are_left_out_until_somebody_has_one() {
    let yielding = Yielding::new();
    let in_vain =
        || (0..).take_while(|_| !yielding.is_unwanted()).map(|_| yielding.note(false)).count();
    assert_eq!(in_vain(), UNWANTED as usize);
    let left_out = (1..).find(|_| !yielding.is_unwanted());
    yielding.note(false);
    assert_eq!(left_out, Some(63), "one was left out above");
    assert!(yielding.is_unwanted());
    yielding.note(true);
    assert_eq!(in_vain(), UNWANTED as usize);
    assert_eq!((1..).find(|_| !yielding.is_unwanted()), Some(63));
    // Another process may be another's neighbour.
    yielding.belongs_to(1);
    assert_eq!(in_vain(), UNWANTED as usize);
    assert_eq!((1..).find(|_| !yielding.is_unwanted()), Some(63), "not twice as many");
}

#[test]
fn whoever_was_stopped_for_an_hour_abstains_for_seconds() {
    let hour = (3_600_000_000_000, Some(0));
    assert!(!after(&[hour, hour]).abstains(BEGAN + LONGEST * REMEMBERED));
    assert!(!after(&[hour; 9]).abstains(BEGAN + FORGOTTEN));
}

#[test]
fn who_has_little_time_does_not_give_it_away() {
    let soon = |wait: &Wait| ends_soon(wait, 1_000_000_000);
    assert!(!soon(&Wait::forever()));
    assert!(!soon(&Wait::timeout(Duration::from_secs(60))));
    assert!(soon(&Wait::timeout(Duration::from_millis(900))));
    assert!(soon(&Wait::timeout(Duration::ZERO)));
}

#[test]
fn those_who_are_waited_for_are_counted() {
    assert_eq!(others(Role::Sender, Awaited::Room), Role::Receiver);
    assert_eq!(others(Role::Sender, Awaited::Receipt), Role::Receiver);
    assert_eq!(others(Role::Receiver, Awaited::Message), Role::Sender);
    assert_eq!(others(Role::Receiver, Awaited::Floor), Role::Receiver);
}

/// Attempts that a receiver makes of a channel with that strategy while it gives turns away.
fn attempts(strategy: WaitStrategy, wait: &Wait) -> u32 {
    let options = Options::new(Mechanism::SharedMemory).wait_strategy(strategy);
    let (_tx, rx) = options.channel::<Bytes>().unwrap();
    let mut attempts = 0;
    let outcome = rx.end().give_turns_away(wait, &mut |_| {
        attempts += 1;
        Ok::<Option<()>, ReceiveError>(None)
    });
    assert!(matches!(outcome, Ok(None)));
    attempts
}

/// While somebody else on this thread's processor wants each turn.
fn beside_another(act: impl FnOnce()) {
    let one = cpu::available().unwrap()[0];
    let over = AtomicBool::new(false);
    // Before there is another thread, which inherits it.
    cpu::pin_to(one).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            while !over.load(Relaxed) {
                let began = clock::now();
                while clock::now() < began + 2 * BRIEF {}
                std::thread::yield_now();
            }
        });
        let outcome = catch_unwind(AssertUnwindSafe(act));
        over.store(true, Relaxed);
        other.join().unwrap();
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn an_end_tries_after_each_turn_that_somebody_took_and_gives_none_away_where_it_does_not_pay() {
    let forever = Wait::forever();
    beside_another(|| {
        let in_vain = |generation| {
            let now = clock::now();
            OWN.with(|own| {
                own.belongs_to(generation);
                (0..CERTAIN).for_each(|_| own.learn(now, LONGEST, Some(0)));
            });
        };
        // What another process has learnt is no matter.
        let once = |strategy| {
            in_vain(u64::MAX);
            attempts(strategy, &forever)
        };
        // Now and then the scheduler keeps to who has just run, or has run others for long.
        let most = |strategy| (0..100).map(|_| once(strategy)).max();
        assert_eq!(most(WaitStrategy::Adaptive), Some(MOST));
        assert_eq!(most(WaitStrategy::Block), Some(ONE));
        assert_eq!(most(WaitStrategy::Spin), Some(0));
        let makes_up = || {
            OWN.with(|own| {
                own.belongs_to(u64::MAX);
                own.belongs_to(wipe_on_fork::generation());
                own.note(false);
            });
            let taken = attempts(WaitStrategy::Block, &forever) == ONE;
            taken && OWN.with(|own| own.unwanted.get() == 0)
        };
        assert!(
            (0..100).any(|_| makes_up()),
            "a turn that somebody has, for those that nobody had"
        );
        let soon = |nanoseconds| Wait::timeout(Duration::from_nanos(nanoseconds));
        assert_eq!(attempts(WaitStrategy::Adaptive, &soon(MOST_AWAY)), 0);
        assert_eq!(attempts(WaitStrategy::Block, &soon(NEAR)), 0);
        // It is the thread that has learnt it, and no other test runs on this one.
        in_vain(wipe_on_fork::generation());
        assert_eq!(attempts(WaitStrategy::Adaptive, &forever), 0);
        OWN.with(|own| {
            own.granted_until.set(0);
            (0..UNWANTED).for_each(|_| own.note(false));
        });
        assert_eq!(attempts(WaitStrategy::Block, &forever), 0);
    });
}
