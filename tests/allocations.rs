//! What a message costs beside its bytes: no heap allocation, and over shared memory with both
//! ends busy no system call.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use postbox::{
    Batch, Bytes, Capacity, Form, Mechanism, Options, Receiver, Sender, Wait, WaitStrategy, fork,
};
use postbox_tests::{Case, Outcome, across_capacities, connect, run, soon};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");
const COUNT: u64 = 500;
/// How often what is counted is done: the first time, and in as many as there are things to sleep for, an end may sleep
/// for the first time for one of them.
const RUNS: u32 = 6;
/// In an entry, at its edge, beyond it, and far beyond.
const LENGTHS: [usize; 6] = [0, 64, 4096, 9000, 100_000, 64];

fn main() -> ExitCode {
    let waiting = [Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
    let all = [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
    let parts = [
        across_capacities("nothing is allocated per message within a process", &waiting, alone),
        across_capacities("nothing is allocated per message of a batch", &waiting, batched),
        across_capacities("nothing is allocated per message in place", &waiting, in_place),
        across_capacities("nothing is allocated per message between processes", &all, between),
        across_capacities("nothing is allocated per message by ends that sleep", &all, asleep),
        across_capacities("nothing is allocated by waits that are in vain", &all, in_vain),
        across_capacities("nothing is allocated to send a batch", &waiting, batches),
        across_capacities("a batch allocates its messages and the list of them", &waiting, taken),
        vec![Case::new("shm::both ends busy make no system call per message", system_calls)],
    ];
    run(parts.into_iter().flatten().collect())
}

/// What `body` allocates each time that it runs: what is made once, whenever that is, is not in the least of several.
fn allocated(mut body: impl FnMut() -> Outcome) -> Result<u64, Box<dyn std::error::Error>> {
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        body()?;
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    Ok(least)
}

fn alone(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in [Form::ManyToMany, Form::OneToOne] {
        let (tx, rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity).form(form))?;
        let mut buffer = Vec::with_capacity(1 << 20);
        let message = vec![1; 100_000];
        let count = allocated(|| {
            for i in 0..COUNT {
                let message = &message[..LENGTHS[i as usize % LENGTHS.len()]];
                match i % 2 {
                    0 => tx.send(message)?,
                    _ => tx.try_send(message)?,
                }
                let _sender = match i % 3 {
                    0 => rx.try_receive_into(&mut buffer)?.ok_or("nothing came")?,
                    _ => rx.receive_into(&mut buffer)?,
                };
                assert_eq!(buffer.len(), message.len());
            }
            Ok(())
        })?;
        assert_eq!(count, 0, "allocations for {COUNT} messages, {form:?}");
    }
    Ok(())
}

fn batched(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity))?;
    let message = vec![1; 100_000];
    let messages = || LENGTHS.iter().cycle().take(30).map(|len| &message[..*len]);
    let mut batch = Batch::new();
    let count = allocated(|| {
        for _ in 0..COUNT / 30 {
            let mut taken = 0;
            let sent = tx.try_send_batch(messages())?;
            while taken < sent {
                assert!(rx.receive_batch_into(&mut batch, 20)? > 0);
                assert!(batch.iter().eq(messages().skip(taken).take(batch.len())));
                taken += batch.len();
            }
        }
        Ok(())
    })?;
    assert_eq!(count, 0, "allocations for {COUNT} messages");
    Ok(())
}

fn in_place(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in [Form::ManyToMany, Form::OneToOne] {
        let options = Options::new(mechanism).capacity(capacity).form(form);
        let (mut tx, mut rx) = connect::<Bytes>(&options)?;
        let count = allocated(|| {
            for i in 0..COUNT {
                let len = LENGTHS[i as usize % LENGTHS.len()];
                let mut loan = tx.loan(len)?;
                loan.bytes_mut().fill(1);
                match i % 2 {
                    0 => loan.send()?,
                    _ => loan.try_send()?,
                }
                assert_eq!(rx.receive_in_place()?.len(), len);
            }
            Ok(())
        })?;
        assert_eq!(count, 0, "allocations for {COUNT} messages, {form:?}");
    }
    Ok(())
}

/// Sends to a child and has everything back, in one form of waiting.
fn echoed(mechanism: Mechanism, capacity: Capacity, wait: WaitStrategy) -> Outcome {
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(wait);
    let (there, requests) = connect::<Bytes>(&options)?;
    let (answers, back) = connect::<Bytes>(&options)?;
    let child = fork((requests, answers), |(requests, answers)| {
        let mut buffer = Vec::with_capacity(1 << 20);
        let allocations = allocated(|| {
            (0..COUNT).try_for_each(|_| {
                requests.receive_into(&mut buffer)?;
                Ok(answers.send(&buffer)?)
            })
        })?;
        assert_eq!(allocations, 0, "for {COUNT} messages in the child");
        Ok(())
    })?;
    let mut buffer = Vec::with_capacity(1 << 20);
    let message = vec![1; 100_000];
    let allocations = allocated(|| round_trips(&there, &back, &message, &mut buffer))?;
    assert_eq!(allocations, 0, "for {COUNT} messages in the parent");
    Ok(child.wait()?)
}

fn round_trips(
    there: &Sender<Bytes>,
    back: &Receiver<Bytes>,
    message: &[u8],
    buffer: &mut Vec<u8>,
) -> Outcome {
    for i in 0..COUNT {
        let message = &message[..LENGTHS[i as usize % LENGTHS.len()]];
        match i % 2 {
            0 => there.send_with(message, &soon())?,
            _ => drop(there.deliver_with(message, &soon())?),
        }
        back.receive_into_with(buffer, &soon())?;
        assert_eq!(buffer.len(), message.len());
    }
    Ok(())
}

fn between(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    echoed(mechanism, capacity, WaitStrategy::Adaptive)
}

fn asleep(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    echoed(mechanism, capacity, WaitStrategy::Block)
}

fn in_vain(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity))?;
    let mut buffer = Vec::with_capacity(100);
    let allocations = allocated(|| {
        for micros in 0..50 {
            let patience = Wait::timeout(Duration::from_micros(micros * 10));
            assert!(rx.receive_into_with(&mut buffer, &patience).unwrap_err().is_timeout());
            assert!(tx.deliver_with(b"never", &patience).unwrap_err().is_timeout());
            assert!(rx.try_receive_into(&mut buffer)?.is_none());
        }
        Ok(())
    })?;
    assert_eq!(allocations, 0);
    Ok(())
}

/// Messages of a batch; a capacity of one takes them one at a time.
const BATCH: usize = 16;

/// How many fit in at once.
fn room(capacity: Capacity) -> usize {
    match capacity {
        Capacity::Bounded(messages) => BATCH.min(messages as usize),
        _ => BATCH,
    }
}

fn batches(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in [Form::ManyToMany, Form::OneToOne] {
        let (tx, rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity).form(form))?;
        let (message, mut buffer) = (vec![1; 100_000], Vec::with_capacity(1 << 20));
        let room = room(capacity);
        let count = allocated(|| {
            for i in 0..COUNT as usize / BATCH {
                let batch = (i..i + room).map(|i| &message[..LENGTHS[i % LENGTHS.len()]]);
                let sent = match i % 2 {
                    0 => tx.send_batch(batch)?,
                    _ => tx.try_send_batch(batch)?,
                };
                assert_eq!(sent, room);
                for i in i..i + room {
                    rx.receive_into(&mut buffer)?;
                    assert_eq!(buffer.len(), LENGTHS[i % LENGTHS.len()]);
                }
            }
            Ok(())
        })?;
        assert_eq!(count, 0, "allocations for {} batches, {form:?}", COUNT as usize / BATCH);
    }
    Ok(())
}

fn taken(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const BATCHES: usize = 20;
    let (tx, rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity))?;
    let room = room(capacity);
    let count = allocated(|| {
        for _ in 0..BATCHES {
            tx.send_batch(std::iter::repeat_n(&[1; 64][..], room))?;
            assert_eq!(rx.receive_batch(room)?.len(), room);
        }
        Ok(())
    })?;
    // Each message is a vector of its own, and so is the batch, which doubles as it grows.
    let most = BATCHES * (room + 1 + room.ilog2() as usize);
    assert!(count as usize <= most, "{count} allocations for {BATCHES} batches of {room}");
    Ok(())
}

fn system_calls() -> Outcome {
    const MESSAGES: usize = 200_000;
    if Command::new("strace").arg("-V").output().is_err() {
        println!("not shown: strace is not installed");
        return Ok(());
    }
    let trace = tempfile::NamedTempFile::new()?;
    let status = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(trace.path())
        .args([PEER, "traffic", &MESSAGES.to_string(), "1000"])
        .status()?;
    assert!(status.success(), "{status}");
    let trace = std::fs::read_to_string(trace.path())?;
    let lines = || trace.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let mut processes: Vec<&str> = lines().map(|(pid, _)| pid).collect();
    processes.sort();
    processes.dedup();
    assert_eq!(processes.len(), 2, "{processes:?}");
    for process in processes {
        let calls: Vec<&str> =
            lines().filter(|(pid, _)| *pid == process).map(|(_, call)| call.trim()).collect();
        let marks: Vec<usize> =
            (0..calls.len()).filter(|i| calls[*i].starts_with("getppid")).collect();
        assert_eq!(marks.len(), 2, "{process} did not say where the messages begin and end");
        let between = &calls[marks[0] + 1..marks[1]];
        println!("{process}: {} system calls for {MESSAGES} messages", between.len());
        // Now and then it looks whether its partner still lives.
        assert!(between.len() < MESSAGES / 100, "{:?}", &between[..20]);
    }
    Ok(())
}
