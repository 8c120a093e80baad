use core::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::{Region, SpscReceiver, SpscSender};

fn layout(slots: u32, window: u32) -> SlotLayout {
    SlotLayout { offset: 128, slots, window, stride: 64 }
}

fn ring(slots: u32, window: u32) -> (Region, SlotRing) {
    let layout = layout(slots, window);
    let region = Region::heap(128 + layout.bytes_needed().unwrap());
    let ring = SlotRing::new(&region, layout).unwrap();
    (region, ring)
}

fn send(region: &Region, ring: &SlotRing, value: u64) -> Result<Position, ClaimError> {
    let claim = ring.claim(1, &mut ClaimCache::new())?;
    let position = claim.position();
    region.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
    ring.publish(claim);
    Ok(position)
}

fn value_of(region: &Region, taken: &Taken) -> u64 {
    let mut bytes = [0; 8];
    region.read(taken.body_offset(), &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

fn receive(region: &Region, ring: &SlotRing) -> Option<u64> {
    match ring.take(2).unwrap() {
        Take::Entry(taken) => {
            let value = value_of(region, &taken);
            ring.release(taken);
            Some(value)
        }
        Take::Empty => None,
        Take::Busy { member } => panic!("busy by {member}"),
    }
}

#[test]
fn exactly_n_wait_and_come_out_in_order_lap_after_lap() {
    for (slots, window) in [(1, 1), (2, 1), (3, 3), (5, 4), (8, 3)] {
        let (region, ring) = ring(slots, window);
        let mut next = 0;
        for _ in 0..10 {
            assert!(ring.is_empty());
            for i in 0..u64::from(window) {
                assert_eq!(ring.len(), Ok(i as usize));
                send(&region, &ring, next + i).unwrap();
            }
            assert_eq!(send(&region, &ring, 0), Err(ClaimError::Full));
            for i in 0..u64::from(window) {
                assert!(!ring.is_empty());
                assert_eq!(receive(&region, &ring), Some(next + i));
            }
            assert_eq!(receive(&region, &ring), None);
            next += u64::from(window);
        }
    }
}

#[test]
fn a_slot_being_read_does_not_count_where_there_is_slack() {
    let (region, ring) = ring(3, 1);
    send(&region, &ring, 1).unwrap();
    let Take::Entry(first) = ring.take(2).unwrap() else { panic!() };
    send(&region, &ring, 2).unwrap();
    let Take::Entry(second) = ring.take(2).unwrap() else { panic!() };
    send(&region, &ring, 3).unwrap();
    let Take::Entry(third) = ring.take(2).unwrap() else { panic!() };
    assert_eq!(send(&region, &ring, 4), Err(ClaimError::Full), "every slot is being read");
    assert_eq!(ring.len(), Ok(0));
    assert!(ring.is_empty());
    ring.release(second);
    assert_eq!(send(&region, &ring, 4), Err(ClaimError::Full), "the next slot is being read");
    ring.release(first);
    send(&region, &ring, 4).unwrap();
    ring.release(third);
    assert_eq!(receive(&region, &ring), Some(4));
}

#[test]
fn a_withdrawn_entry_gives_its_room_back_once() {
    let (region, ring) = ring(4, 2);
    let first = send(&region, &ring, 1).unwrap();
    send(&region, &ring, 2).unwrap();
    assert_eq!(send(&region, &ring, 3), Err(ClaimError::Full));
    ring.withdraw(first).unwrap();
    ring.withdraw(first).unwrap();
    assert_eq!(ring.len(), Ok(1));
    send(&region, &ring, 3).unwrap();
    assert_eq!(send(&region, &ring, 4), Err(ClaimError::Full));
    assert_eq!([receive(&region, &ring), receive(&region, &ring)], [Some(1), Some(2)]);
    ring.withdraw(first).unwrap();
    send(&region, &ring, 4).unwrap();
    assert_eq!(send(&region, &ring, 5), Err(ClaimError::Full), "an old mark counts no more");
    assert_eq!([receive(&region, &ring), receive(&region, &ring)], [Some(3), Some(4)]);
}

#[test]
fn an_abandoned_slot_is_passed_over_even_where_nobody_receives() {
    let (region, ring) = ring(1, 1);
    for value in 0..5 {
        let claim = ring.claim(1, &mut ClaimCache::new()).unwrap();
        assert!(matches!(ring.take(2), Ok(Take::Busy { member: 1 })));
        ring.abandon(claim);
        assert!(ring.is_empty());
        send(&region, &ring, value).unwrap();
        assert_eq!(ring.len(), Ok(1));
        assert_eq!(receive(&region, &ring), Some(value));
    }
}

#[test]
fn an_abandoned_slot_behind_others_gives_its_room_back() {
    let (region, ring) = ring(4, 2);
    send(&region, &ring, 1).unwrap();
    ring.abandon(ring.claim(1, &mut ClaimCache::new()).unwrap());
    assert_eq!(ring.len(), Ok(1));
    send(&region, &ring, 2).unwrap();
    assert_eq!(send(&region, &ring, 3), Err(ClaimError::Full));
    assert_eq!([receive(&region, &ring), receive(&region, &ring)], [Some(1), Some(2)]);
}

#[test]
fn what_a_dead_member_was_in_the_middle_of_is_settled() {
    let (region, ring) = ring(4, 3);
    send(&region, &ring, 1).unwrap();
    let Take::Entry(taken) = ring.take(9).unwrap() else { panic!() };
    drop(taken);
    drop(ring.claim(9, &mut ClaimCache::new()).unwrap());
    send(&region, &ring, 2).unwrap();
    let mut seen = vec![];
    ring.settle(9, 3, |taken| seen.push(value_of(&region, taken))).unwrap();
    ring.settle(9, 4, |_| panic!("settled twice")).unwrap();
    assert_eq!(seen, [1]);
    assert_eq!(ring.len(), Ok(1));
    for value in 3..5 {
        send(&region, &ring, value).unwrap();
    }
    assert_eq!(send(&region, &ring, 5), Err(ClaimError::Full));
    for value in 2..5 {
        assert_eq!(receive(&region, &ring), Some(value));
    }
    assert!(ring.is_empty());
}

#[test]
fn positions_that_lag_behind_are_helped_on() {
    let (region, ring) = ring(3, 2);
    send(&region, &ring, 1).unwrap();
    ring.memory.tail().store(Position::at(0, 0).raw(), Relaxed);
    assert_eq!(ring.len(), Ok(1));
    send(&region, &ring, 2).unwrap();
    let Take::Entry(taken) = ring.take(2).unwrap() else { panic!() };
    ring.memory.head().store(Position::at(0, 0).raw(), Relaxed);
    assert_eq!(ring.len(), Ok(1));
    send(&region, &ring, 3).unwrap();
    ring.release(taken);
    ring.memory.head().store(Position::at(0, 0).raw(), Relaxed);
    assert!(!ring.is_empty());
    assert_eq!([receive(&region, &ring), receive(&region, &ring)], [Some(2), Some(3)]);
    assert!(ring.is_empty());
}

#[test]
fn so_many_positions_on_are_as_many_steps_also_where_the_lap_wraps() {
    for slots in [1, 2, 3, 7, 256] {
        for (lap, index) in [(0, 0), (5, slots / 2), (5, slots - 1), ((1 << 40) - 1, slots - 1)] {
            let from = Position::at(lap, index);
            let mut stepped = from;
            for by in 0..=slots {
                assert_eq!(from.advanced(by, slots), stepped, "{by} on from {from:?} of {slots}");
                stepped = stepped.next(slots);
            }
        }
    }
}

/// A ring whose laps wrap after this one.
fn in_its_last_lap(slots: u32, window: u32) -> (Region, SlotRing) {
    let (region, ring) = ring(slots, window);
    let last = (1 << 40) - 1;
    for counter in [ring.memory.tail(), ring.memory.head(), ring.memory.withdrawals()] {
        counter.store(Position::at(last, 0).raw(), Relaxed);
    }
    for index in 0..slots {
        ring.memory.word(index).unwrap().store(SlotWord::free(last).raw(), Relaxed);
    }
    (region, ring)
}

#[test]
fn laps_wrap() {
    let (region, ring) = in_its_last_lap(2, 2);
    for value in 0..9 {
        let position = send(&region, &ring, value).unwrap();
        send(&region, &ring, value + 100).unwrap();
        assert_eq!(send(&region, &ring, 0), Err(ClaimError::Full));
        ring.withdraw(position).unwrap();
        assert_eq!(ring.len(), Ok(1));
        assert_eq!(receive(&region, &ring), Some(value));
        assert_eq!(receive(&region, &ring), Some(value + 100));
        assert!(ring.is_empty());
    }
    assert!(Position::from_raw(ring.memory.tail().load(Relaxed)).lap() < 100);
}

#[test]
fn a_ring_is_full_also_where_the_lap_has_wrapped() {
    let (region, ring) = in_its_last_lap(5, 3);
    (0..3).for_each(|value| send(&region, &ring, value).map(drop).unwrap());
    for value in 3..12 {
        assert_eq!(send(&region, &ring, 0), Err(ClaimError::Full), "before {value}");
        assert_eq!(receive(&region, &ring), Some(value - 3));
        send(&region, &ring, value).unwrap();
    }
    assert!(Position::from_raw(ring.memory.tail().load(Relaxed)).lap() < 100);
}

#[test]
fn an_spsc_ring_is_full_also_where_the_lap_has_wrapped() {
    let (_region, ring) = in_its_last_lap(4, 4);
    let sender = SpscSender::attach(ring.clone()).unwrap();
    let receiver = SpscReceiver::attach(ring).unwrap();
    let send = || sender.claim().map(|claim| sender.publish(claim));
    (0..4).for_each(|_| send().unwrap());
    for _ in 0..9 {
        assert_eq!(send(), Err(ClaimError::Full));
        for _ in 0..2 {
            receiver.release(receiver.take().unwrap().unwrap());
        }
        (0..2).for_each(|_| send().unwrap());
    }
    assert!(sender.position().lap() < 100);
}

#[test]
fn nonsense_in_memory_is_an_error_and_never_a_panic() {
    let nonsense = [u64::MAX, 3, 1 << 24, 1 << 63, 0xff << 16, 7 << 24 | 2 << 16 | 5];
    let (region, fresh) = ring(3, 2);
    let cells = || {
        let memory = &fresh.memory;
        let words = (0..3).flat_map(|i| [memory.word(i).unwrap(), memory.withdrawn(i).unwrap()]);
        [memory.tail(), memory.head(), memory.withdrawals()].into_iter().chain(words)
    };
    for bad in nonsense.into_iter().take(if cfg!(miri) { 2 } else { usize::MAX }) {
        for target in 0..cells().count() {
            for cell in cells() {
                cell.store(0, Relaxed);
            }
            send(&region, &fresh, 1).unwrap();
            cells().nth(target).unwrap().store(bad, Relaxed);
            let _ = (fresh.len(), fresh.is_empty());
            let _ = fresh.withdraw(Position::from_raw(bad));
            let _ = fresh.settle(5, 2, |_| {});
            for _ in 0..8 {
                let _ = fresh.claim(1, &mut ClaimCache::new()).map(|claim| fresh.publish(claim));
                if let Ok(Take::Entry(taken)) = fresh.take(2) {
                    fresh.release(taken);
                }
            }
            if let Ok(sender) = SpscSender::attach(fresh.clone()) {
                let _ = sender.claim().map(|claim| sender.publish(claim));
            }
            if let Ok(receiver) = SpscReceiver::attach(fresh.clone()) {
                let _ = receiver.take().map(|taken| taken.map(|taken| receiver.release(taken)));
            }
        }
    }
    fresh.memory.tail().store(3, Relaxed);
    assert_eq!(fresh.claim(1, &mut ClaimCache::new()).unwrap_err(), ClaimError::Corrupt);
    fresh.memory.head().store(u64::MAX, Relaxed);
    assert_eq!(fresh.take(1).unwrap_err(), Corrupt);
}

#[test]
fn a_layout_that_makes_no_sense_is_refused() {
    let region = Region::heap(1 << 16);
    let good = layout(4, 2);
    let of = |layout| SlotRing::new(&region, layout).map(|_| ());
    assert_eq!(of(good), Ok(()));
    for bad in [
        SlotLayout { slots: 0, ..good },
        SlotLayout { slots: (1 << 24) + 1, ..good },
        SlotLayout { window: 0, ..good },
        SlotLayout { window: 5, ..good },
        SlotLayout { stride: 0, ..good },
        SlotLayout { stride: 72, ..good },
        SlotLayout { offset: 64, ..good },
    ] {
        assert!(matches!(of(bad), Err(LayoutError::Invalid(_))), "{bad:?}");
    }
    assert_eq!(of(SlotLayout { stride: 1 << 20, ..good }), Err(LayoutError::TooShort));
    assert_eq!(of(SlotLayout { stride: 1 << 62, ..good }), Err(LayoutError::TooShort));
    assert_eq!(of(SlotLayout { offset: usize::MAX - 127, ..good }), Err(LayoutError::TooShort));
}

#[test]
fn an_spsc_end_goes_on_where_the_one_before_was_killed() {
    let (region, ring) = ring(3, 3);
    let send = |sender: &SpscSender<MappedSlots>, value: u64| {
        let claim = sender.claim()?;
        region.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
        sender.publish(claim);
        Ok::<(), ClaimError>(())
    };
    let sender = SpscSender::attach(ring.clone()).unwrap();
    send(&sender, 1).unwrap();
    let _killed_while_writing = sender.claim().unwrap();
    // Killed between the word and the tail.
    ring.memory.tail().store(0, Relaxed);
    assert_eq!(ring.len(), Ok(1));
    let sender = SpscSender::attach(ring.clone()).unwrap();
    send(&sender, 2).unwrap();
    send(&sender, 3).unwrap();
    assert_eq!(send(&sender, 4), Err(ClaimError::Full));

    let receiver = SpscReceiver::attach(ring.clone()).unwrap();
    let taken = receiver.take().unwrap().unwrap();
    assert_eq!(value_of(&region, &taken), 1);
    // Killed before it moved the head: the entry is the next receiver's.
    drop(taken);
    assert_eq!(ring.len(), Ok(3));
    let receiver = SpscReceiver::attach(ring.clone()).unwrap();
    for value in 1..3 {
        let taken = receiver.take().unwrap().unwrap();
        assert_eq!(value_of(&region, &taken), value);
        assert_eq!(send(&sender, 9), Err(ClaimError::Full), "nothing was released");
        receiver.release(taken);
        send(&sender, value + 3).unwrap();
    }
    for value in 3..6 {
        let taken = receiver.take().unwrap().unwrap();
        assert_eq!(value_of(&region, &taken), value);
        receiver.release(taken);
    }
    assert!(receiver.take().unwrap().is_none());
    assert!(ring.is_empty());
}

#[test]
fn what_an_spsc_receiver_released_last_stays_as_it_is() {
    // One slot more than may wait, withdrawn entries included.
    const WITHDRAWN: u64 = 2;
    let (region, ring) = ring(2 + WITHDRAWN as u32 + 1, 2);
    let sender = SpscSender::attach(ring.clone()).unwrap();
    let receiver = SpscReceiver::attach(ring.clone()).unwrap();
    let send = |value: u64| {
        let claim = sender.claim()?;
        let position = claim.position();
        region.write(claim.body_offset(), &value.to_le_bytes()).unwrap();
        sender.publish(claim);
        Ok::<Position, ClaimError>(position)
    };
    for lap in 0..20 {
        send(lap).unwrap();
        let taken = receiver.take().unwrap().unwrap();
        let body = taken.body_offset();
        receiver.release(taken);
        for _ in 0..WITHDRAWN {
            ring.withdraw(send(100).unwrap()).unwrap();
        }
        for _ in 0..2 {
            send(200).unwrap();
        }
        assert_eq!(send(300).unwrap_err(), ClaimError::Full);
        let mut bytes = [0; 8];
        region.read(body, &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), lap, "it was written over");
        for _ in 0..WITHDRAWN + 2 {
            let taken = receiver.take().unwrap().unwrap();
            receiver.release(taken);
        }
        assert!(receiver.take().unwrap().is_none());
    }
    // However many are withdrawn, the sender does not come round to it.
    send(400).unwrap();
    let taken = receiver.take().unwrap().unwrap();
    let body = taken.body_offset();
    receiver.release(taken);
    while let Ok(position) = send(500) {
        ring.withdraw(position).unwrap();
    }
    let mut bytes = [0; 8];
    region.read(body, &mut bytes).unwrap();
    assert_eq!(u64::from_le_bytes(bytes), 400);
}

#[test]
fn what_an_spsc_sender_touches_is_beside_the_words_of_free_slots() {
    const SLOTS: u32 = 16;
    let layout = SlotLayout { stride: 192, ..layout(SLOTS, SLOTS - 1) };
    let region = Region::heap(128 + layout.bytes_needed().unwrap());
    let ring = SlotRing::new(&region, layout).unwrap();
    let sender = SpscSender::attach(ring.clone()).unwrap();
    let receiver = SpscReceiver::attach(ring).unwrap();
    let begin = 128 + layout.slots_begin();
    let slots = || {
        let mut bytes = vec![0; layout.stride * SLOTS as usize];
        region.read(begin, &mut bytes).unwrap();
        bytes.chunks(layout.stride).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (mut next, mut touched) = (0u32, 0);
    for lap in 0..3 * SLOTS {
        // As many as there is room for, and all but `left` of them taken.
        let left = lap % (SLOTS - 1);
        while let Ok(claim) = sender.claim() {
            let offset = claim.body_offset();
            region.write(offset, &[next as u8 | 1; 184]).unwrap();
            sender.publish(claim);
            next += 1;
            let before = slots();
            sender.touch_ahead();
            for (index, (before, after)) in before.iter().zip(slots()).enumerate() {
                let changed = (0..192).filter(|&at| before[at] != after[at]).collect::<Vec<_>>();
                if changed.is_empty() {
                    continue;
                }
                touched += 1;
                let behind = (index as u32 + SLOTS - next % SLOTS) % SLOTS;
                assert!((1..=4).contains(&behind), "slot {index} before position {next}");
                assert_eq!(changed, [(8..16), (64..72)].into_iter().flatten().collect::<Vec<_>>());
                let room = SLOTS - 1 - receiver.ring().len().unwrap() as u32;
                assert!(behind < room, "slot {index} with room for {room}");
            }
        }
        while receiver.ring().len().unwrap() > left as usize {
            let taken = receiver.take().unwrap().unwrap();
            receiver.release(taken);
        }
    }
    assert!(touched > 4, "nothing was touched");
}
