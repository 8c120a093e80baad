//! The textbook's other model between real processes: forked children, and this program started
//! again with a buffer passed to it by name.

use postbox::bytemuck::{Pod, Zeroable};
use postbox::{
    AttachError, Child, Consumer, Group, InheritError, Producer, SharedBuffer, Spawn, fork,
    inherited_fd,
};
use postbox_tests::{Case, Outcome, run};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

/// How many items go through.
const MANY: u64 = 1_000_000;

/// The first argument of a started program: what it is to do.
const PRODUCE: &str = "--produce";
const CONSUME: &str = "--consume";
const PICK_UP: &str = "--pick-up";

/// Plain data with more than one word, so that a torn item shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[bytemuck(crate = "postbox::bytemuck")]
#[repr(C)]
struct Item {
    number: u64,
    inverse: u64,
    thrice: [u32; 3],
    last: u32,
}

fn item(number: u64) -> Item {
    Item { number, inverse: !number, thrice: [number as u32; 3], last: 7 }
}

fn produce_all(mut producer: Producer<Item>) -> Outcome {
    for number in 0..MANY {
        producer.produce(item(number))?;
    }
    Ok(())
}

fn consume_all(mut consumer: Consumer<Item>) -> Outcome {
    for number in 0..MANY {
        let found = consumer.consume()?;
        if found != item(number) {
            return Err(format!("{found:?} where {number} was due").into());
        }
    }
    match consumer.try_consume()? {
        None => Ok(()),
        Some(more) => Err(format!("{more:?} was never produced").into()),
    }
}

fn order_from_a_child() -> Outcome {
    let (producer, consumer) = SharedBuffer::create(1000)?.split()?;
    let child = fork(producer, produce_all)?;
    consume_all(consumer)?;
    Ok(child.wait()?)
}

fn order_to_a_child() -> Outcome {
    let (producer, consumer) = SharedBuffer::create(64)?.split()?;
    let child = fork(consumer, consume_all)?;
    produce_all(producer)?;
    Ok(child.wait()?)
}

fn order_between_children() -> Outcome {
    let (producer, consumer) = SharedBuffer::create(2)?.split()?;
    let mut group = Group::new();
    group.fork(producer, |mut producer| Ok((0..20_000).try_for_each(|n| producer.produce(n))?))?;
    group.fork((Some(consumer), ()), |(consumer, ())| {
        let mut consumer: Consumer<u64> = consumer.ok_or("it was passed on")?;
        for n in 0..20_000 {
            assert_eq!(consumer.consume()?, n);
        }
        Ok(())
    })?;
    Ok(group.wait()?)
}

fn exactly_one_less() -> Outcome {
    for buffer_size in [2, 3, 7, 64, 1000] {
        let (producer, mut consumer) = SharedBuffer::<u32>::create(buffer_size)?.split()?;
        let child = fork(producer, move |mut producer| {
            for n in 1..buffer_size {
                producer.try_produce(n)?;
            }
            assert!(producer.try_produce(0).unwrap_err().is_full());
            Ok(())
        })?;
        child.wait()?;
        for n in 1..buffer_size {
            assert_eq!(consumer.try_consume()?, Some(n));
        }
        assert_eq!(consumer.try_consume()?, None);
    }
    Ok(())
}

fn a_killed_producer_is_followed() -> Outcome {
    let buffer = SharedBuffer::<u64>::create(16)?;
    let mut consumer =
        SharedBuffer::<u64>::attach(buffer.as_fd().try_clone_to_owned()?)?.into_consumer()?;
    for round in 0..50 {
        let producer =
            SharedBuffer::<u64>::attach(buffer.as_fd().try_clone_to_owned()?)?.into_producer()?;
        let mut child = fork(producer, |mut producer| {
            for n in 0.. {
                producer.produce(n)?;
            }
            Ok(())
        })?;
        for n in 0..100 * round {
            assert_eq!(consumer.consume()?, n);
        }
        child.signal(9)?;
        assert!(!child.wait_status()?.success());
        // What it had produced is there still, whole and in order; then nothing more comes.
        let mut next = 100 * round;
        while let Some(n) = consumer.try_consume()? {
            assert_eq!(n, next);
            next += 1;
        }
    }
    Ok(())
}

fn start(what: &str, buffer: OwnedFd) -> Result<Child, Box<dyn std::error::Error>> {
    Ok(Spawn::new(std::env::current_exe()?).arg(what).pass_fd("items", buffer)?.spawn()?)
}

fn programs() -> Outcome {
    let buffer = SharedBuffer::<Item>::create(128)?;
    let mut group = Group::new();
    group.adopt(start(PRODUCE, buffer.as_fd().try_clone_to_owned()?)?);
    group.adopt(start(CONSUME, buffer.into())?);
    Ok(group.wait()?)
}

fn ends_and_descriptors_together() -> Outcome {
    let (tx, rx) =
        postbox::channel::<u32>(postbox::Mechanism::Pipe, postbox::Capacity::Bounded(4))?;
    let (reading, writing) = std::io::pipe()?;
    let child = Spawn::new(std::env::current_exe()?)
        .arg(PICK_UP)
        .pass_fd("before", writing)?
        .pass("end", tx)?
        .pass_fd("after", SharedBuffer::<u32>::create(2)?)?
        .spawn()?;
    let mut said = String::new();
    // Up to the end of file: no copy of the writing end is left here or there.
    { reading }.read_to_string(&mut said)?;
    assert_eq!(said, "picked up");
    assert_eq!(*rx.receive()?, 3);
    Ok(child.wait()?)
}

fn pick_up() -> Outcome {
    let mut before = std::fs::File::from(inherited_fd("before")?);
    for name in ["before", "end", "nobody"] {
        assert!(matches!(inherited_fd(name), Err(InheritError::Missing(_))), "{name}");
    }
    let after = SharedBuffer::<u32>::attach(inherited_fd("after")?)?;
    assert_eq!(after.buffer_size(), 2);
    // Other descriptors of the same file take the numbers that were given up; they stay ours.
    let others = (0..20).map(|_| before.try_clone()).collect::<Result<Vec<_>, _>>()?;
    assert!(matches!(inherited_fd("before"), Err(InheritError::Missing(_))));
    others.iter().try_for_each(|other| other.metadata().map(drop))?;
    let end: postbox::Sender<u32> = postbox::inherited("end")?;
    end.send(&3)?;
    Ok(before.write_all(b"picked up")?)
}

fn what_is_no_buffer() -> Outcome {
    let attach = |fd: OwnedFd| SharedBuffer::<u64>::attach(fd).map(drop);
    assert_eq!(attach(std::io::pipe()?.0.into()), Err(AttachError::Foreign));
    assert_eq!(attach(std::fs::File::open("/proc/self/exe")?.into()), Err(AttachError::Foreign));
    let other = SharedBuffer::<u32>::create(8)?.into();
    assert_eq!(attach(other), Err(AttachError::ItemSize { expected: 8, found: 4 }));
    Ok(())
}

fn sizes_that_cannot_be() -> Outcome {
    for buffer_size in [0, 1] {
        let error = SharedBuffer::<u64>::create(buffer_size).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the buffer size is {buffer_size}, outside 2 to")));
    }
    let huge = SharedBuffer::<[u8; 1 << 30]>::create(u32::MAX).unwrap_err().to_string();
    assert!(huge.contains("the buffer"), "{huge}");
    Ok(())
}

fn main() -> ExitCode {
    let program: fn() -> Outcome = match std::env::args().nth(1).as_deref() {
        Some(PRODUCE) => {
            || produce_all(SharedBuffer::attach(inherited_fd("items")?)?.into_producer()?)
        }
        Some(CONSUME) => {
            || consume_all(SharedBuffer::attach(inherited_fd("items")?)?.into_consumer()?)
        }
        Some(PICK_UP) => pick_up,
        _ => return run(cases()),
    };
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a million items of a forked producer arrive whole and in order",
            order_from_a_child,
        ),
        Case::new("a million items reach a forked consumer whole and in order", order_to_a_child),
        Case::new("two children share a buffer that holds one item", order_between_children),
        Case::new("another process can put in exactly one item less than slots", exactly_one_less),
        Case::new("a producer goes on where a killed one stopped", a_killed_producer_is_followed),
        Case::new("two started programs attach one buffer", programs),
        Case::new("ends and descriptors go to a program together", ends_and_descriptors_together),
        Case::new("what is no buffer of these items is not attached", what_is_no_buffer),
        Case::new("a size that cannot be is refused with the limit", sizes_that_cannot_be),
    ]
}
