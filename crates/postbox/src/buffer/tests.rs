//! One process, memory on the heap: what Miri can run too.

use super::*;
use postbox_ring::Region;
use postbox_ring::sync::Ordering::Relaxed;
use proptest::prelude::*;
use std::collections::VecDeque;

const MANY: u32 = if cfg!(miri) { 300 } else { 200_000 };

fn memory<T: Pod>(buffer_size: u32) -> Memory<T> {
    let length = Memory::<T>::length(buffer_size).unwrap();
    Memory::format(Region::heap(length as usize), buffer_size).unwrap()
}

fn sides<T: Pod>(memory: &Memory<T>) -> (Producer<T>, Consumer<T>) {
    (Producer::new(memory.clone()).unwrap(), Consumer::new(memory.clone()).unwrap())
}

#[test]
fn exactly_one_item_less_than_slots_fits_in_every_lap() {
    for buffer_size in [2, 3, 4, 7, 64] {
        let (mut producer, mut consumer) = sides(&memory::<u64>(buffer_size));
        for next in 0..2 * u64::from(buffer_size) {
            for n in 1..buffer_size {
                producer.try_produce(u64::from(n)).unwrap();
            }
            assert!(producer.try_produce(0).unwrap_err().is_full());
            for n in 1..buffer_size {
                assert_eq!(consumer.try_consume(), Ok(Some(u64::from(n))));
            }
            assert_eq!(consumer.try_consume(), Ok(None));
            // One along, so that the next lap begins at another slot.
            producer.try_produce(next).unwrap();
            assert_eq!(consumer.consume(), Ok(next));
        }
    }
}

#[test]
fn two_threads_see_whole_items_in_order() {
    for buffer_size in [2, 3, 64] {
        let (mut producer, mut consumer) = sides(&memory::<[u32; 5]>(buffer_size));
        std::thread::scope(|scope| {
            scope.spawn(move || (0..MANY).for_each(|n| producer.produce([n; 5]).unwrap()));
            for n in 0..MANY {
                assert_eq!(consumer.consume(), Ok([n; 5]));
            }
        });
    }
}

#[test]
fn items_without_a_byte_are_counted_all_the_same() {
    let (mut producer, mut consumer) = sides(&memory::<()>(3));
    producer.try_produce(()).unwrap();
    producer.try_produce(()).unwrap();
    assert!(producer.try_produce(()).unwrap_err().is_full());
    assert_eq!(consumer.try_consume(), Ok(Some(())));
    assert_eq!(consumer.try_consume(), Ok(Some(())));
    assert_eq!(consumer.try_consume(), Ok(None));
}

#[test]
fn an_index_beyond_the_slots_is_corrupt() {
    let memory = memory::<u64>(4);
    let (mut producer, mut consumer) = sides(&memory);
    for wrong in [4, 5, 1 << 31, u32::MAX] {
        memory.shared.r#in.slot.store(wrong, Relaxed);
        assert_eq!(consumer.try_consume(), Err(CorruptBuffer));
        assert_eq!(consumer.consume(), Err(CorruptBuffer));
        assert_eq!(Consumer::new(memory.clone()).unwrap_err(), CorruptBuffer);
        assert_eq!(Producer::new(memory.clone()).unwrap_err(), CorruptBuffer);
    }
    (0..3).for_each(|n| producer.try_produce(n).unwrap());
    for wrong in [4, 5, 1 << 31, u32::MAX] {
        memory.shared.out.slot.store(wrong, Relaxed);
        assert_eq!(producer.try_produce(9), Err(CorruptBuffer.into()));
        assert_eq!(producer.produce(9), Err(CorruptBuffer));
    }
}

#[test]
fn a_header_that_does_not_fit_its_memory_is_refused() {
    let length = Memory::<u64>::length(8).unwrap() as usize;
    let region = Region::heap(length);
    let open = || Memory::<u64>::open(region.clone()).map(|memory| memory.buffer_size());
    assert_eq!(open(), Err(AttachError::Foreign));
    let memory = Memory::<u64>::format(region.clone(), 8).unwrap();
    assert_eq!(open(), Ok(8));
    let other = Memory::<u32>::open(region.clone()).map(|memory| memory.buffer_size());
    assert_eq!(other, Err(AttachError::ItemSize { expected: 4, found: 8 }));
    for wrong in [0, 1, 9, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        memory.shared.header.buffer_size.store(wrong, Relaxed);
        assert_eq!(open(), Err(CorruptBuffer.into()), "{wrong}");
    }
    let small = Memory::<u64>::open(Region::heap(64)).map(|memory| memory.buffer_size());
    assert_eq!(small, Err(AttachError::Foreign));
}

#[test]
fn sizes_beyond_an_address_space_have_no_length() {
    assert_eq!(Memory::<u64>::length(0), None);
    assert_eq!(Memory::<u64>::length(1), None);
    assert_eq!(Memory::<u64>::length(2), Some(384 + 16));
    assert!(Memory::<u64>::length(u32::MAX).is_some());
    assert_eq!(Memory::<[u8; 1 << 33]>::length(u32::MAX), None);
    assert_eq!(
        Memory::<[u8; 1 << 31]>::length(u32::MAX),
        Some(384 + (u32::MAX as u64) * (1 << 31))
    );
}

/// What a process does next.
#[derive(Debug, Clone)]
enum Step {
    Produce(u32),
    Consume,
    /// Another process goes on as producer, or as consumer.
    NewProducer,
    NewConsumer,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u32>().prop_map(Step::Produce),
        8 => Just(Step::Consume),
        1 => Just(Step::NewProducer),
        1 => Just(Step::NewConsumer),
    ]
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 4 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn it_behaves_as_a_queue_of_that_length(
        buffer_size in 2..12u32,
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 40 } else { 400 }),
    ) {
        let memory = memory::<u32>(buffer_size);
        let (mut producer, mut consumer) = sides(&memory);
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Step::Produce(item) if model.len() + 1 < buffer_size as usize => {
                    prop_assert_eq!(producer.try_produce(item), Ok(()));
                    model.push_back(item);
                }
                Step::Produce(item) => {
                    prop_assert_eq!(producer.try_produce(item), Err(TryProduceError::Full));
                }
                Step::Consume => prop_assert_eq!(consumer.try_consume(), Ok(model.pop_front())),
                Step::NewProducer => producer = Producer::new(memory.clone()).unwrap(),
                Step::NewConsumer => consumer = Consumer::new(memory.clone()).unwrap(),
            }
        }
    }

    #[test]
    fn whatever_a_hostile_process_writes_is_an_error_or_an_item(
        buffer_size in 2..6u32,
        scribbles in prop::collection::vec((0..48u32, any::<u64>(), any::<bool>()), 1..60),
    ) {
        let length = Memory::<u64>::length(buffer_size).unwrap() as usize;
        let region = Region::heap(length);
        let memory = Memory::<u64>::format(region.clone(), buffer_size).unwrap();
        let (mut producer, mut consumer) = sides(&memory);
        for (word, wild, tame) in scribbles {
            let value = if tame { wild % u64::from(buffer_size + 1) } else { wild };
            let _ = region.write(word as usize * 8, &value.to_ne_bytes());
            let _ = producer.try_produce(value);
            let _ = consumer.try_consume();
            let _ = Memory::<u64>::open(region.clone()).map(|memory| {
                let _ = Producer::new(memory.clone()).map(|mut other| other.try_produce(1));
                let _ = Consumer::new(memory).map(|mut other| other.try_consume());
            });
        }
    }
}
