//! How many messages wait: exactly as many as was asked for.

use postbox::{Bytes, Capacity, Form, Mechanism, Options, SendError, TrySendError, Wait, fork};
use postbox_tests::{
    BOUNDED, CAPACITIES, Case, Chance, Gate, Outcome, across, across_capacities, channel, connect,
    over, over_capacities, soon,
};
use serde::{Deserialize, Serialize, Serializer};
use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [
        across_capacities(
            "exactly n try_send succeed with no receiver and each receive makes room for one",
            &BOUNDED,
            exactly_n,
        ),
        over_capacities(
            "exactly n try_send succeed in the one to one form too",
            &BOUNDED,
            exactly_n_one_to_one,
        ),
        across_capacities(
            "a receive in another process makes room for exactly one",
            &BOUNDED,
            room_from_another_process,
        ),
        across_capacities(
            "a random walk of tries agrees with a plain queue",
            &CAPACITIES,
            walk_agrees_with_a_queue,
        ),
        across_capacities(
            "a message over the limit is refused before anything is sent",
            &CAPACITIES,
            too_large,
        ),
        across_capacities("a fixed size takes that size alone", &CAPACITIES, fixed_size),
        across_capacities(
            "a message put back comes after those already waiting",
            &CAPACITIES[2..],
            put_back,
        ),
        across_capacities("batches say how many went and how many came", &CAPACITIES, batches),
        across_capacities("statistics count messages and bytes", &CAPACITIES, statistics),
        over_capacities(
            "a message is encoded once, whether it goes or not",
            &CAPACITIES[..3],
            encoded_once,
        ),
        across("an unbounded channel is never full", never_full),
        over("what the options do not allow is refused with the range", options_out_of_range),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn number(capacity: Capacity) -> u32 {
    match capacity {
        Capacity::Bounded(n) => n,
        Capacity::Zero | Capacity::Unbounded => panic!("{capacity} is no number"),
    }
}

fn fill_and_turn_over(options: Options, n: u32) -> Outcome {
    let (tx, rx) = connect::<u32>(&options)?;
    for i in 0..n {
        assert_eq!(tx.len(), i as usize);
        tx.try_send(&i)?;
    }
    for k in 0..2 * n {
        for _ in 0..2 {
            assert!(tx.try_send(&u32::MAX).unwrap_err().is_full());
        }
        assert_eq!((tx.len(), rx.len()), (n as usize, n as usize));
        assert_eq!(*rx.try_receive()?.unwrap(), k);
        assert_eq!(rx.len(), n as usize - 1);
        tx.try_send(&(n + k))?;
    }
    for k in 2 * n..3 * n {
        assert_eq!(*rx.try_receive()?.unwrap(), k);
    }
    assert!(rx.try_receive()?.is_none());
    assert!(rx.is_empty() && tx.is_empty());
    Ok(())
}

fn exactly_n(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    fill_and_turn_over(Options::new(mechanism).capacity(capacity), number(capacity))
}

fn exactly_n_one_to_one(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let options = Options::new(mechanism).capacity(capacity).form(Form::OneToOne);
    fill_and_turn_over(options, number(capacity))
}

fn room_from_another_process(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let n = number(capacity);
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (go, done) = (Gate::new()?, Gate::new()?);
    let rounds = n.min(20);
    let child = fork(rx, |rx| {
        for i in 0..rounds {
            go.pass()?;
            assert_eq!(*rx.try_receive()?.ok_or("nothing waits")?, i);
            done.open()?;
        }
        go.pass()?;
        Ok(())
    })?;
    for i in 0..n {
        tx.try_send(&i)?;
    }
    for i in 0..rounds {
        assert!(tx.try_send(&0).unwrap_err().is_full());
        go.open()?;
        done.pass()?;
        tx.try_send(&(n + i))?;
    }
    assert!(tx.try_send(&0).unwrap_err().is_full());
    go.open()?;
    child.wait()?;
    Ok(())
}

fn walk_agrees_with_a_queue(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const LENGTHS: [usize; 12] = [0, 1, 8, 40, 63, 64, 500, 4050, 4097, 8192, 9000, 20_000];
    let mut chance = Chance::new();
    let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
    let second = tx.clone();
    let mut queue = VecDeque::new();
    // Phases of mostly sending and of mostly receiving.
    let mut sends_of_ten = 5;
    for step in 0u32..4000 {
        if chance.once_in(200) {
            sends_of_ten = chance.pick(&[1, 5, 9]);
        }
        if chance.below(10) < sends_of_ten {
            let from = if chance.once_in(2) { &tx } else { &second };
            let mut message = vec![step as u8; chance.pick(&LENGTHS)];
            message.extend(step.to_le_bytes());
            let room = match capacity {
                Capacity::Zero => false,
                Capacity::Bounded(n) => queue.len() < n as usize,
                Capacity::Unbounded => true,
            };
            match from.try_send(&message) {
                Ok(()) => {
                    assert!(room, "accepted with {} waiting", queue.len());
                    queue.push_back(message);
                }
                Err(error) => {
                    assert!(!room && error.is_full(), "{error} with {} waiting", queue.len());
                }
            }
        } else {
            let taken = rx.try_receive()?.map(|delivery| delivery.into_inner().into_vec());
            assert!(taken == queue.pop_front(), "step {step}: another message than a queue's");
        }
        assert_eq!(rx.len(), queue.len());
    }
    Ok(())
}

fn too_large(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for limit in [0, 100, 5000, 70_000] {
        let (tx, rx) =
            connect::<Bytes>(&Options::new(mechanism).capacity(capacity).max_message(limit))?;
        let (fits, over) = (vec![7; limit], vec![7; limit + 1]);
        for error in [
            tx.send(&over).unwrap_err(),
            tx.send_with(&over, &soon()).unwrap_err(),
            tx.deliver(&over).unwrap_err().reason().clone(),
            tx.send_batch([&over[..]]).unwrap_err().reason,
            match tx.try_send(&over).unwrap_err() {
                TrySendError::Send(error) => error,
                other => panic!("{other}"),
            },
        ] {
            let SendError::TooLarge(too_large) = error else { panic!("{error}") };
            assert_eq!((too_large.len, too_large.max), (limit + 1, limit));
        }
        assert!(tx.is_empty() && rx.try_receive()?.is_none());
        assert_eq!(tx.statistics().sent, 0);
        if let Capacity::Bounded(n) = capacity {
            for _ in 0..n {
                tx.try_send(&fits)?;
            }
            assert!(tx.try_send(&fits).unwrap_err().is_full());
        }
    }
    Ok(())
}

fn fixed_size(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for size in [0, 64, 5000, 20_000] {
        let options = Options::new(mechanism).capacity(capacity).fixed_size(size);
        let (tx, rx) = connect::<Bytes>(&options)?;
        let wrong = [size.wrapping_sub(1), size + 1];
        for len in wrong.into_iter().filter(|len| *len <= size + 1) {
            let error = tx.try_send(&vec![0; len]).unwrap_err();
            let TrySendError::Send(SendError::TooLarge(error)) = error else { panic!("{error}") };
            assert!(error.to_string().contains(&format!("exactly {size}")), "{error}");
        }
        assert!(rx.try_receive()?.is_none());
        if capacity != Capacity::Zero {
            tx.try_send(&vec![9; size])?;
            assert_eq!(rx.receive()?.into_inner().into_vec(), vec![9; size]);
        }
    }
    Ok(())
}

thread_local! {
    static ENCODED: Cell<u32> = const { Cell::new(0) };
}

/// Text that counts how often it is encoded.
#[derive(Debug, Deserialize)]
struct Counted(String);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ENCODED.set(ENCODED.get() + 1);
        self.0.serialize(to)
    }
}

fn encoded_once(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in [Form::OneToOne, Form::ManyToMany] {
        // The second does not fit a slot: they are the smaller the less the byte cap.
        let options = Options::new(mechanism).capacity(capacity).form(form).byte_cap(1 << 16);
        let (tx, rx) = options.channel::<Counted>()?;
        for message in [Counted("a".into()), Counted("b".repeat(150))] {
            let mut tried = 0;
            // The second round finds everything as the first has left it.
            for _ in 0..2 {
                loop {
                    let outcome = tx.try_send(&message);
                    tried += 1;
                    assert_eq!(ENCODED.take(), 1, "attempt {tried}: {outcome:?}");
                    match outcome {
                        Ok(()) => {}
                        Err(error) if error.is_full() => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                while let Some(taken) = rx.try_receive()? {
                    assert_eq!(taken.0, message.0);
                }
            }
            if capacity != Capacity::Zero {
                tx.send(&message)?;
                assert_eq!(ENCODED.take(), 1);
                assert_eq!(rx.receive()?.0, message.0);
            }
            let gone = tx.deliver_with(&message, &Wait::timeout(Duration::from_millis(1)));
            assert!(gone.is_err_and(|error| error.is_timeout()) && ENCODED.take() == 1);
        }
    }
    Ok(())
}

fn put_back(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let waiting = match capacity {
        Capacity::Bounded(n) => n,
        _ => 3000,
    };
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let filler = fork(tx.clone(), |tx| {
        for i in 0..waiting {
            tx.try_send(&i)?;
        }
        Ok(())
    })?;
    filler.wait()?;
    let worker = fork((tx, rx), |(tx, rx)| {
        let first = rx.receive()?;
        tx.send(&first)?;
        for i in 1..waiting {
            assert_eq!(*rx.receive()?, i);
        }
        assert_eq!(*rx.receive()?, 0);
        Ok(())
    })?;
    Ok(worker.wait()?)
}

fn batches(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let numbers: Vec<u32> = (0..1500).collect();
    let room = match capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) => n as usize,
        Capacity::Unbounded => numbers.len(),
    };
    assert!(rx.try_receive_batch(10)?.is_empty());
    assert!(rx.receive_batch(0)?.is_empty());
    assert_eq!(tx.try_send_batch(&numbers)?, room);
    let half = room / 2;
    let taken = rx.try_receive_batch(half)?;
    assert!(taken.iter().map(|delivery| **delivery).eq(0..half as u32));
    let taken = rx.try_receive_batch(usize::MAX)?;
    assert!(taken.iter().map(|delivery| **delivery).eq(half as u32..room as u32));

    let child = fork(tx, |tx| {
        assert_eq!(tx.send_batch(&numbers)?, numbers.len());
        Ok(())
    })?;
    let mut next = 0;
    while next < 1500 {
        let batch = rx.receive_batch(100)?;
        assert!((1..=100).contains(&batch.len()));
        for delivery in batch {
            assert_eq!(*delivery, next);
            next += 1;
        }
    }
    assert!(rx.receive_batch(100).unwrap_err().is_disconnected());
    assert!(rx.try_receive_batch(100).unwrap_err().is_disconnected());
    Ok(child.wait()?)
}

fn statistics(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
    assert_eq!(tx.statistics(), Default::default());
    let child = fork(tx, |tx| {
        for len in 0..200 {
            tx.send(&vec![0; len])?;
        }
        let early = tx.clone();
        early.send(&[0; 100])?;
        Ok(())
    })?;
    assert_eq!(rx.iter().filter(Result::is_ok).count(), 201);
    child.wait()?;
    let statistics = rx.statistics();
    let bytes = (0..200).sum::<u64>() + 100;
    assert_eq!((statistics.sent, statistics.sent_bytes), (201, bytes));
    assert_eq!((statistics.received, statistics.received_bytes), (201, bytes));
    Ok(())
}

fn never_full(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Unbounded)?;
    for i in 0..50_000 {
        tx.try_send(&i)?;
    }
    assert_eq!(rx.len(), 50_000);
    for i in 0..50_000 {
        assert_eq!(*rx.try_receive()?.unwrap(), i);
    }
    assert!(rx.is_empty() && rx.try_receive()?.is_none());
    Ok(())
}

fn options_out_of_range(mechanism: Mechanism) -> Outcome {
    let options = || Options::new(mechanism);
    for (wrong, name) in [
        (options().capacity(Capacity::Bounded(0)), "capacity"),
        (options().capacity(Capacity::Bounded(postbox::MAX_BOUNDED + 1)), "capacity"),
        (options().max_message((1 << 30) + 1), "max_message"),
        (options().fixed_size((1 << 30) + 1), "fixed_size"),
        (options().byte_cap(1), "byte_cap"),
    ] {
        let error = wrong.channel::<Bytes>().unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains("outside"), "{error}");
    }
    let (tx, rx) = options().capacity(Capacity::Bounded(postbox::MAX_BOUNDED)).channel::<u32>()?;
    tx.try_send(&1)?;
    assert_eq!(*rx.receive()?, 1);
    assert_eq!((tx.capacity(), tx.mechanism()), (rx.capacity(), rx.mechanism()));
    assert_eq!(tx.mechanism(), mechanism);
    Ok(())
}
