//! Many messages between many processes: all of them, once, in order, unharmed.

use postbox::{
    Bytes, Capacity, Form, Group, Mechanism, Options, Receiver, Sender, WaitStrategy, fork,
};
use postbox_tests::{
    CAPACITIES, Case, Chance, Entry, Ledger, Outcome, STRATEGIES, across, across_capacities,
    channel, connect, over_capacities, soon,
};
use std::collections::BTreeSet;

pub fn cases() -> Vec<Case> {
    [
        across_capacities(
            "four senders and four receivers lose and double nothing and keep each sender's order",
            &CAPACITIES,
            four_by_four,
        ),
        across_capacities(
            "four by four with senders and receivers that never spin",
            &CAPACITIES,
            four_by_four_asleep,
        ),
        across_capacities(
            "a slow receiver gets everything in order across the overflow",
            &CAPACITIES,
            across_the_overflow,
        ),
        across_capacities("messages of all lengths intermixed arrive whole", &CAPACITIES, lengths),
        over_capacities("one to one keeps order and content", &CAPACITIES, one_to_one),
        across_capacities(
            "iteration ends when the last sender is gone",
            &CAPACITIES,
            iteration_ends,
        ),
        across("two spinning ends keep order and content", spinning),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const PER_SENDER: u64 = 1200;

fn stream(options: Options, senders: u32, receivers: u32) -> Outcome {
    let (tx, rx) = connect::<(u32, u64, Vec<u8>)>(&options)?;
    let ledger = Ledger::new()?;
    let mut chance = Chance::new();
    let mut group = Group::new();
    for _ in 0..receivers {
        let ledger = &ledger;
        group.fork(rx.clone(), move |rx| {
            let by = std::process::id();
            let mut entries = Vec::new();
            for delivery in &rx {
                let (sender, seq, filling) = delivery?.into_inner();
                assert!(filling.iter().all(|byte| *byte == seq as u8), "spoilt on the way");
                entries.push(Entry { by, sender, seq });
            }
            Ok(ledger.note_all(&entries)?)
        })?;
    }
    drop(rx);
    for sender in 0..senders {
        let mut chance = chance.branch();
        group.fork(tx.clone(), move |tx| {
            for seq in 0..PER_SENDER {
                // One in a hundred is larger than any entry.
                let len = if chance.once_in(100) { 9000 } else { chance.below(100) as usize };
                tx.send(&(sender, seq, vec![seq as u8; len]))?;
            }
            Ok(())
        })?;
    }
    drop(tx);
    group.wait()?;
    Ok(ledger.all_exactly_once(senders, PER_SENDER)?)
}

fn four_by_four(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    stream(Options::new(mechanism).capacity(capacity), 4, 4)
}

fn four_by_four_asleep(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    stream(Options::new(mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block), 4, 4)
}

fn one_to_one(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for wait in [WaitStrategy::Block, WaitStrategy::Adaptive] {
        let options = Options::new(mechanism).capacity(capacity).wait_strategy(wait);
        let (tx, rx) = options.form(Form::OneToOne).channel::<(u64, Vec<u8>)>()?;
        let child = fork(tx, |tx| {
            for seq in 0..3000 {
                let len = if seq % 97 == 0 { 9000 } else { seq as usize % 100 };
                tx.send(&(seq, vec![seq as u8; len]))?;
            }
            Ok(())
        })?;
        for expected in 0..3000 {
            let (seq, filling) = rx.receive_with(&soon())?.into_inner();
            assert_eq!(seq, expected);
            assert!(filling.iter().all(|byte| *byte == seq as u8), "spoilt on the way");
        }
        assert!(rx.receive().unwrap_err().is_disconnected());
        child.wait()?;
    }
    Ok(())
}

fn across_the_overflow(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u64, Vec<u8>)>(mechanism, capacity)?;
    let mut chance = Chance::new();
    let mut group = Group::new();
    let senders = 3u32;
    for sender in 0..senders {
        let mut chance = chance.branch();
        group.fork(tx.clone(), move |tx| {
            for seq in 0..800 {
                let len = chance.pick(&[0, 10, 3000, 6000]);
                tx.send(&(sender, seq, vec![seq as u8; len]))?;
            }
            Ok(())
        })?;
    }
    drop(tx);
    let mut next = vec![0; senders as usize];
    let mut taken = 0;
    while next.iter().sum::<u64>() < u64::from(senders) * 800 {
        if taken == 0 {
            // Lets them run far ahead, then follows for a while.
            taken = chance.below(300);
            for _ in 0..chance.below(200_000) {
                std::hint::spin_loop();
            }
        }
        taken = taken.saturating_sub(1);
        let (sender, seq, filling) = rx.receive_with(&soon())?.into_inner();
        assert_eq!(seq, next[sender as usize], "sender {sender} out of order");
        assert!(filling.iter().all(|byte| *byte == seq as u8), "spoilt on the way");
        next[sender as usize] += 1;
    }
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(group.wait()?)
}

const LENGTHS: [usize; 14] =
    [0, 1, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193, 65_537, 1 << 20, 16 << 20];

/// Bytes whose every stretch differs from the stretches that begin elsewhere nearby.
fn pattern() -> Vec<u8> {
    let mut pattern: Vec<u8> = (0..251).collect();
    while pattern.len() < (16 << 20) + 251 {
        pattern.extend_from_within(..);
    }
    pattern
}

fn lengths(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
    let pattern = pattern();
    let mut group = Group::new();
    for sender in 0..2usize {
        let pattern = &pattern;
        group.fork(tx.clone(), move |tx: Sender<Bytes>| {
            // Each sends them in an order of its own.
            for i in 0..LENGTHS.len() {
                let which = if sender == 0 { i } else { (i * 3 + 5) % LENGTHS.len() };
                tx.send(&pattern[sender + which..][..LENGTHS[which]])?;
            }
            Ok(())
        })?;
    }
    drop(tx);
    // How many of each sender's may have come so far: an empty message may be either's.
    let mut come = BTreeSet::from([[0; 2]]);
    let mut buffer = Vec::new();
    for _ in 0..2 * LENGTHS.len() {
        rx.receive_into_with(&mut buffer, &soon())?;
        let mut after = BTreeSet::new();
        for numbers in come {
            for sender in 0..2 {
                let i = numbers[sender];
                let which = if sender == 0 { i } else { (i * 3 + 5) % LENGTHS.len() };
                if i < LENGTHS.len() && buffer == pattern[sender + which..][..LENGTHS[which]] {
                    let mut next = numbers;
                    next[sender] += 1;
                    after.insert(next);
                }
            }
        }
        assert!(!after.is_empty(), "{} bytes are nobody's next", buffer.len());
        come = after;
    }
    assert!(rx.receive_into(&mut buffer).unwrap_err().is_disconnected());
    Ok(group.wait()?)
}

fn iteration_ends(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let child = fork(tx, |tx| {
        (0..100).try_for_each(|i| tx.send(&i))?;
        Ok(())
    })?;
    let taken: Vec<u32> =
        rx.iter().map(|delivery| delivery.map(|delivery| *delivery)).collect::<Result<_, _>>()?;
    assert!(taken.into_iter().eq(0..100));
    assert!(rx.iter().next().is_none() && (&rx).into_iter().next().is_none());
    Ok(child.wait()?)
}

/// Sends on, number by number, what comes back.
fn ping(there: &Sender<u32>, back: &Receiver<u32>, rounds: u32) -> Outcome {
    for i in 0..rounds {
        there.send_with(&i, &soon())?;
        assert_eq!(*back.receive_with(&soon())?, i);
    }
    Ok(())
}

fn spinning(mechanism: Mechanism) -> Outcome {
    for wait in STRATEGIES {
        for form in [Form::OneToOne, Form::ManyToMany] {
            let options = Options::new(mechanism).wait_strategy(wait).form(form);
            let (there, server_in) = connect::<u32>(&options)?;
            let (server_out, back) = connect::<u32>(&options)?;
            let child = fork((server_in, server_out), |(requests, answers)| {
                for request in &requests {
                    answers.send(&*request?)?;
                }
                Ok(())
            })?;
            ping(&there, &back, if wait == WaitStrategy::Spin { 200 } else { 1000 })?;
            drop(there);
            child.wait()?;
        }
    }
    Ok(())
}
