use core::sync::atomic::Ordering::Relaxed;
use std::collections::VecDeque;

use super::*;
use crate::{ClaimError, LayoutError, Region};

const UNITS: u32 = 1024;

fn log(soft: u32) -> (Region, Log) {
    let layout =
        LogLayout { offset: 4096, units: UNITS, unit: 64, soft, restart: Restart::WhenEmpty };
    let region = Region::heap(4096 + layout.bytes_needed().unwrap());
    let log = Log::new(&region, layout).unwrap();
    (region, log)
}

fn no_jump(range: core::ops::Range<u32>) {
    panic!("jumped over {range:?}");
}

fn push(log: &Log, units: u32) -> Result<Run, ClaimError> {
    let run = log.claim(units, 1, |_| {})?;
    Ok(log.publish(run, 7).unwrap())
}

fn pop(log: &Log) -> Option<u32> {
    match log.take(2).unwrap() {
        Head::Entry(run) => {
            assert!(log.release(run));
            Some(run.units())
        }
        Head::Empty => None,
        Head::Busy { member } => panic!("busy by {member}"),
    }
}

#[test]
fn data_of_a_run_lies_in_the_region_and_page_aligned_at_the_start() {
    let (region, log) = log(UNITS);
    let run = log.claim(3, 1, no_jump).unwrap();
    let range = log.data_range(&run);
    assert_eq!((range.start % 4096, range.len()), (0, 3 * 64));
    region.write(range.start, &[7; 3 * 64]).unwrap();
    let last = log.claim(UNITS - 3, 1, no_jump).unwrap();
    assert_eq!(log.data_range(&last), range.end..region.len());
}

#[test]
fn runs_freed_in_any_order_are_room_again() {
    let (_region, log) = log(UNITS);
    let runs = [600, 200, 224].map(|units| push(&log, units).unwrap());
    assert_eq!(log.units_in_use(), u64::from(UNITS));
    assert_eq!(push(&log, 1), Err(ClaimError::Full));
    assert!(log.release(runs[1]));
    assert_eq!(push(&log, 1), Err(ClaimError::Full), "the oldest is in use");
    assert!(!log.release(runs[1]), "a second time");
    assert!(log.release(runs[0]));
    assert_eq!(log.units_in_use(), 224);
    push(&log, 800).unwrap();
    assert_eq!(push(&log, 1), Err(ClaimError::Full));
    assert_eq!(log.run(runs[1].position()), None, "freed");
}

#[test]
fn a_run_that_does_not_fit_before_the_end_jumps_to_the_start() {
    let (_region, log) = log(UNITS);
    let first = push(&log, 1000).unwrap();
    assert_eq!(push(&log, 30), Err(ClaimError::Full), "the start is in use");
    push(&log, 10).unwrap();
    assert!(log.release(first));
    let mut jumped = None;
    let run = log.claim(30, 1, |range| assert_eq!(jumped.replace(range), None)).unwrap();
    assert_eq!(jumped, Some(1010..1024));
    assert_eq!(run.position(), 1024);
}

#[test]
fn the_longest_run_fits_from_wherever_an_empty_log_stands() {
    let (_region, log) = log(UNITS);
    assert_eq!(push(&log, UNITS), Err(ClaimError::Full));
    assert_eq!(push(&log, 0), Err(ClaimError::Full));
    for first in [1, 400, 512, 513, 1023] {
        let run = push(&log, first).unwrap();
        assert!(log.release(run));
        let run = push(&log, UNITS - 1).unwrap();
        assert!(log.release(run));
        assert_eq!(log.units_in_use(), 0);
    }
}

#[test]
fn a_log_used_little_stays_at_the_start_of_the_circle() {
    let (_region, log) = log(100);
    for lap in 0..50u64 {
        for at in [0, 40, 80] {
            let run = push(&log, 40).unwrap();
            assert_eq!(run.position(), lap * 1024 + at);
            assert!(log.release(run));
        }
    }
}

#[test]
fn a_log_restarts_when_empty_whatever_was_given_back_first() {
    let (_region, log) = log(100);
    for lap in 0..50u64 {
        for at in [0, 80] {
            let runs = [push(&log, 40).unwrap(), push(&log, 40).unwrap()];
            assert_eq!(runs[0].position(), lap * 1024 + at);
            let [first, second] = [2, 3].map(|member| log.take(member).unwrap());
            let (Head::Entry(first), Head::Entry(second)) = (first, second) else { panic!() };
            assert!(log.release(second) && log.release(first));
        }
    }
}

#[test]
fn what_comes_from_a_peer_is_a_run_only_if_one_is_there() {
    let (_region, log) = log(UNITS);
    let run = push(&log, 5).unwrap();
    assert_eq!(log.run(0), Some(run));
    for wrong in [1, 4, 5, 1024, u64::MAX, 1 << 63, 1 << 40] {
        assert_eq!(log.run(wrong), None);
    }
    let reading = log.capture(run, 3).unwrap();
    assert_eq!(reading.state(), RunState::Reading(3));
    assert_eq!(log.capture(run, 4), None);
    assert_eq!(log.run(0), Some(reading));
    assert!(!log.release(run), "it is not FULL any more");
    assert!(log.release(reading));
}

#[test]
fn a_claim_can_be_captured_before_it_is_published() {
    let (_region, log) = log(UNITS);
    let claim = log.claim(2, 1, no_jump).unwrap();
    let reading = log.capture(log.run(claim.position()).unwrap(), 3).unwrap();
    assert_eq!(log.publish(claim, 7), None);
    assert!(log.release(reading));
}

#[test]
fn a_queue_gives_entries_in_order_lap_after_lap() {
    let (_region, log) = log(300);
    for round in 0..40 {
        let lengths = [1, 2 + round, 90, 7].map(|units| push(&log, units).unwrap().units());
        for units in lengths {
            assert!(!log.is_empty_queue());
            assert_eq!(pop(&log), Some(units));
        }
        assert!(log.is_empty_queue());
        assert_eq!(pop(&log), None);
    }
}

#[test]
fn the_head_is_taken_only_if_it_still_is_the_head() {
    let (_region, log) = log(UNITS);
    assert_eq!(log.first(), Ok(Head::Empty));
    let claim = log.claim(1, 1, no_jump).unwrap();
    assert_eq!(log.first(), Ok(Head::Busy { member: 1 }));
    log.publish(claim, 0).unwrap();
    push(&log, 2).unwrap();
    let Ok(Head::Entry(first)) = log.first() else { panic!() };
    assert_eq!(log.first(), Ok(Head::Entry(first)));
    let taken = log.take_if(first, 2).unwrap();
    assert_eq!(log.take_if(first, 3), None);
    assert_eq!(log.take_if(taken, 3), None);
    assert_eq!(pop(&log), Some(2));
    assert!(log.is_empty_queue());
    assert_eq!(log.units_in_use(), 3);
    assert!(log.release(taken));
    assert_eq!(log.units_in_use(), 2, "given back out of turn: left to the next");
    push(&log, 1).unwrap();
    assert_eq!(pop(&log), Some(1));
    assert_eq!(log.units_in_use(), 0);
}

#[test]
fn what_a_dead_member_was_in_the_middle_of_is_settled() {
    let (_region, log) = log(UNITS);
    for units in [3, 4] {
        push(&log, units).unwrap();
    }
    let Ok(Head::Entry(_)) = log.take(9) else { panic!() };
    log.claim(5, 9, no_jump).unwrap();
    push(&log, 6).unwrap();
    // Killed before it moved the tail over its claim.
    log.claim(2, 9, no_jump).unwrap();
    log.memory.tail().fetch_sub(2, Relaxed);
    let mut seen = vec![];
    log.settle(9, 1, |run| seen.push(run.units())).unwrap();
    log.settle(9, 2, |_| panic!("settled twice")).unwrap();
    assert_eq!(seen, [3]);
    assert_eq!([pop(&log), pop(&log), pop(&log)], [Some(4), Some(6), None]);
    assert!(log.is_empty_queue());
    assert_eq!(log.units_in_use(), 0);
}

#[test]
fn runs_with_a_label_are_reclaimed() {
    let (_region, log) = log(UNITS);
    let runs = [1, 2, 3, 4].map(|label| {
        let run = log.claim(10, 1, no_jump).unwrap();
        log.publish(run, label % 2).unwrap()
    });
    log.reclaim_labelled(1).unwrap();
    let left: Vec<_> = runs.iter().filter(|run| log.run(run.position()).is_some()).collect();
    assert_eq!(left, [&runs[1], &runs[3]]);
}

#[test]
fn a_head_that_lags_behind_is_helped_on() {
    let (_region, log) = log(UNITS);
    for _ in 0..3 {
        push(&log, 300).unwrap();
    }
    let Ok(Head::Entry(first)) = log.take(2) else { panic!() };
    log.memory.head().store(0, Relaxed);
    assert_eq!(pop(&log), Some(300));
    assert!(log.release(first));
    // Behind `free`, with the place in use again.
    push(&log, 200).unwrap();
    log.memory.head().store(0, Relaxed);
    assert_eq!([pop(&log), pop(&log), pop(&log)], [Some(300), Some(200), None]);
    log.memory.head().store(0, Relaxed);
    assert!(log.is_empty_queue());
}

#[test]
fn laps_beyond_what_a_word_holds_do_not_confuse_it() {
    let (_region, log) = log(UNITS);
    let run = push(&log, 100).unwrap();
    assert!(log.release(run));
    // 2^26 laps later, minus one: word 0 now seems freed in this lap. And 2^25: in the future.
    for lap in [1 << 25, 1 << 26, (1 << 26) + 1] {
        for counter in [log.memory.tail(), log.memory.head(), log.memory.free()] {
            counter.store(lap << 10, Relaxed);
        }
        for units in [10, 1000, 500] {
            push(&log, units).unwrap();
            assert_eq!(pop(&log), Some(units));
        }
        assert_eq!(log.units_in_use(), 0);
    }
}

#[test]
fn a_circle_that_restarts_after_room_for_eight_always_holds_eight() {
    // How far the circle is used by whoever is behind by so many at one time, and by so many at the next.
    let used = |behind: u32| {
        let restart = Restart::WhenStartIsFree { behind };
        let layout = LogLayout { offset: 0, units: UNITS, unit: 64, soft: 64, restart };
        let region = Region::heap(layout.bytes_needed().unwrap());
        let log = Log::new(&region, layout).unwrap();
        let mut under_way = VecDeque::new();
        let mut furthest = 0;
        for depth in (1..=8).flat_map(|low| (1..=8).flat_map(move |high| [low, high, low])) {
            for _ in 0..20 {
                while under_way.len() >= depth {
                    log.release(under_way.pop_front().unwrap());
                }
                let run = log.claim(32, 1, |_| {}).ok()?;
                furthest = furthest.max(log.unit_range(&run).end);
                under_way.push_back(run);
            }
        }
        Some(furthest)
    };
    assert_eq!(used(8), Some(8 * 32), "no further than it must be");
    assert_eq!(used(4), None, "one that is used for four does not hold eight");
}

#[test]
fn chunks_are_missing_until_marked() {
    let layout = LogLayout {
        offset: 0,
        units: 4 * UNITS_PER_CHUNK,
        unit: 64,
        soft: u32::MAX,
        restart: Restart::WhenEmpty,
    };
    // Words and data are mostly untouched; under Miri every byte would cost.
    if cfg!(miri) {
        return;
    }
    let region = Region::heap(layout.bytes_needed().unwrap());
    let log = Log::new(&region, layout).unwrap();
    let missing = |range| log.chunks_missing(range).collect::<Vec<_>>();
    let held = |range| log.chunks_held(range).collect::<Vec<_>>();
    assert_eq!(missing(0..1), [0]);
    assert_eq!(missing(16383..16385), [0, 1]);
    assert_eq!(missing(16384..16384), []);
    log.mark_allocated(1);
    log.mark_allocated(2);
    log.mark_allocated(99);
    assert_eq!(missing(0..4 * 16384), [0, 3]);
    assert_eq!(held(1..4 * 16384), [1, 2]);
    assert_eq!(held(16385..4 * 16384), [2]);
    assert_eq!(held(16385..3 * 16384 - 1), []);
    log.mark_returned(1);
    assert_eq!(held(0..4 * 16384), [2]);
    assert_eq!(log.chunk_range(3).end, region.len());
    assert_eq!(log.chunk_range(3).len(), 1 << 20);
    assert!(log.chunk_range(4).is_empty());
}

#[test]
fn nonsense_in_memory_is_an_error_and_never_a_panic() {
    let nonsense =
        [u64::MAX, 1, 2 << 36 | 5, 1 << 63, u64::MAX >> 1, 7 << 35, 1 << 38, 1 << 38 | 2000];
    let (_region, log) = log(100);
    let memory = &log.memory;
    let cells = [memory.tail(), memory.head(), memory.free(), memory.word(0), memory.word(5)];
    for bad in nonsense.into_iter().take(if cfg!(miri) { 2 } else { usize::MAX }) {
        for target in cells.into_iter().take(if cfg!(miri) { 2 } else { usize::MAX }) {
            for index in 0..UNITS {
                memory.word(index).store(0, Relaxed);
            }
            for cell in cells {
                cell.store(0, Relaxed);
            }
            push(&log, 5).unwrap();
            push(&log, 5).unwrap();
            // Bounded loops are long ones under Miri where every exchange fails.
            if cfg!(miri) && bad >> 63 == 1 {
                continue;
            }
            target.store(bad, Relaxed);
            let _ = (log.units_in_use(), log.is_empty_queue(), log.run(bad), log.first());
            let _ = log.settle(1, 2, |_| {});
            let _ = log.reclaim_labelled(7);
            for _ in 0..4 {
                let _ = push(&log, 5);
                if let Ok(Head::Entry(run)) = log.take(2) {
                    log.data_range(&run);
                    log.release(run);
                }
            }
        }
    }
}

#[test]
fn a_layout_that_makes_no_sense_is_refused() {
    let region = Region::heap(1 << 20);
    let good =
        LogLayout { offset: 0, units: UNITS, unit: 64, soft: 1, restart: Restart::WhenEmpty };
    let of = |layout| Log::new(&region, layout).map(|_| ());
    assert_eq!(of(good), Ok(()));
    for bad in [
        LogLayout { units: 512, ..good },
        LogLayout { units: 1025, ..good },
        LogLayout { units: 1 << 23, ..good },
        LogLayout { unit: 32, ..good },
        LogLayout { unit: 96, ..good },
        LogLayout { soft: 0, ..good },
        LogLayout { offset: 128, ..good },
    ] {
        assert!(matches!(of(bad), Err(LayoutError::Invalid(_))), "{bad:?}");
    }
    assert_eq!(of(LogLayout { unit: 1 << 20, ..good }), Err(LayoutError::TooShort));
    assert_eq!(of(LogLayout { unit: 1 << 62, ..good }), Err(LayoutError::TooShort));
    assert_eq!(of(LogLayout { offset: usize::MAX - 4095, ..good }), Err(LayoutError::TooShort));
}
