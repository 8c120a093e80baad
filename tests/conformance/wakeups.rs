//! Who is woken: one for each message, never all, and nobody is forgotten.

use postbox::{
    Bytes, Cancel, Capacity, Group, Mechanism, Options, Receiver, Sender, Wait, WaitStrategy, fork,
};
use postbox_sys::cpu;
use postbox_tests::{
    BOUNDED, Case, Chance, Gate, Ledger, Outcome, across, across_capacities, channel, connect,
    cpu_time, destroy_mailboxes, holder, is_asleep, over_capacities, soon, switches, until_asleep,
    until_settled,
};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    let few = [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
    [
        across_capacities(
            "with two hundred receivers waiting a message wakes at most two",
            &[Capacity::Bounded(64)],
            two_hundred_receivers,
        ),
        // Whom a rendezvous wakes does not depend on the naming.
        over_capacities(
            "with two hundred receivers waiting a message wakes at most two",
            &[Capacity::Zero],
            two_hundred_receivers,
        ),
        across_capacities(
            "with a hundred senders waiting a receive wakes at most two",
            &BOUNDED[..1],
            hundred_senders,
        ),
        across_capacities("a waiting receiver costs no cpu time", &few, waiting_is_free),
        across_capacities(
            "two sleepers that answer each other never miss a wake-up",
            &few,
            ping_pong,
        ),
        across_capacities(
            "two that share a processor step aside for each other",
            &few,
            sharing_a_processor,
        ),
        across_capacities("a wake-up that came to one who leaves is passed on", &few, passed_on),
        across_capacities(
            "room that came to a sender who leaves is passed on",
            &BOUNDED[..3],
            room_passed_on,
        ),
        across_capacities(
            "every waiting receiver is woken when each has a message",
            &few,
            all_of_them,
        ),
        across_capacities(
            "every waiting sender is woken when there is room for each",
            &BOUNDED[2..5],
            all_senders,
        ),
        across("senders that lack bytes let each other sleep", lacking_bytes),
        across("a killed sleeper takes no wake-up with it", killed_sleepers),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Receivers that each wait for one message, then stay aside until the gate opens.
fn waiting_receivers(
    group: &mut Group,
    rx: &Receiver<u32>,
    count: usize,
    taken: &Gate,
    end: &Gate,
) -> Outcome {
    for _ in 0..count {
        group.fork(rx.clone(), |rx| {
            rx.receive()?;
            taken.open()?;
            Ok(end.pass()?)
        })?;
    }
    group.children().iter().for_each(|child| until_asleep(child.pid()));
    Ok(())
}

fn two_hundred_receivers(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const MESSAGES: u64 = 30;
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block);
    let (tx, rx) = connect::<u32>(&options)?;
    let (taken, end) = (Gate::new()?, Gate::new()?);
    let mut group = Group::new();
    waiting_receivers(&mut group, &rx, 200, &taken, &end)?;
    drop(rx);
    let pids: Vec<u32> = group.children().iter().map(|child| child.pid()).collect();
    let before = until_settled(&pids);
    let waits = tx.statistics().waits;
    for i in 0..MESSAGES {
        tx.send(&(i as u32))?;
        taken.pass()?;
    }
    // Takers sleep at the gate now; whoever was woken in vain sleeps again.
    for pid in &pids {
        postbox_tests::eventually("sleep", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(')')?.1.trim_start().starts_with('S').then_some(())
        });
    }
    let woken: u64 = pids.iter().zip(&before).map(|(pid, before)| switches(*pid) - before).sum();
    let again = tx.statistics().waits - waits;
    println!("{MESSAGES} messages: {woken} switches, {again} went back to sleep");
    // A taker switches twice: it sleeps at the gate afterwards. The sender may wait in a rendezvous.
    let senders = if capacity == Capacity::Zero { MESSAGES } else { 0 };
    assert!(again <= MESSAGES + senders, "{again} went back to sleep for {MESSAGES} messages");
    assert!(woken <= 4 * MESSAGES, "{woken} switches for {MESSAGES} messages");
    for _ in MESSAGES..200 {
        tx.send(&0)?;
    }
    (0..200).try_for_each(|_| end.open())?;
    Ok(group.wait()?)
}

fn hundred_senders(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const SENDERS: u64 = 100;
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block);
    let (tx, rx) = connect::<u32>(&options)?;
    let (sent, end) = (Gate::new()?, Gate::new()?);
    tx.try_send(&0)?;
    let mut group = Group::new();
    for _ in 0..SENDERS {
        group.fork(tx.clone(), |tx| {
            tx.send(&1)?;
            sent.open()?;
            Ok(end.pass()?)
        })?;
    }
    let pids: Vec<u32> = group.children().iter().map(|child| child.pid()).collect();
    until_settled(&pids);
    let before = rx.statistics().waits;
    for _ in 0..SENDERS {
        rx.receive_with(&soon())?;
        sent.pass()?;
    }
    let again = rx.statistics().waits - before;
    println!("{again} went back to sleep for {SENDERS} places");
    assert!(again <= SENDERS, "{again} went back to sleep for {SENDERS} places");
    assert_eq!(*rx.receive()?, 1);
    (0..SENDERS).try_for_each(|_| end.open())?;
    Ok(group.wait()?)
}

fn waiting_is_free(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let mut group = Group::new();
    for _ in 0..5 {
        group.fork(rx.clone(), |rx| {
            rx.receive()?;
            Ok(())
        })?;
    }
    drop(rx);
    // Others are busy meanwhile.
    let (other_tx, other_rx) = channel::<u32>(mechanism, capacity)?;
    let busy = fork(other_tx, |tx| (0..5000).try_for_each(|i| Ok(tx.send(&i)?)))?;
    let pids: Vec<u32> = group.children().iter().map(|child| child.pid()).collect();
    until_settled(&pids);
    let costs = || pids.iter().map(|pid| (cpu_time(*pid), switches(*pid))).collect::<Vec<_>>();
    let before = costs();
    assert_eq!(other_rx.iter().filter(Result::is_ok).count(), 5000);
    busy.wait()?;
    let after = costs();
    for ((cpu, slept), (cpu_after, slept_after)) in before.iter().zip(&after) {
        assert_eq!(slept_after, slept, "it woke although there was nothing for it");
        assert!(*cpu_after - *cpu < Duration::from_millis(1), "it cost {:?}", *cpu_after - *cpu);
    }
    (0..5).try_for_each(|i| tx.send(&i))?;
    Ok(group.wait()?)
}

fn ping_pong(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    trips(mechanism, capacity, WaitStrategy::Block)
}

/// An end that spun for the other until the scheduler took the processor from it would use up a slice of some
/// milliseconds for each message.
fn sharing_a_processor(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    cpu::pin_to(cpu::available()?[0])?;
    let before = cpu_time(std::process::id());
    trips(mechanism, capacity, WaitStrategy::Adaptive)?;
    let spent = cpu_time(std::process::id()) - before;
    assert!(spent < TRIPS * Duration::from_micros(500), "{TRIPS} trips took {spent:?}");
    Ok(())
}

/// Round trips of a pair.
const TRIPS: u32 = 3000;

fn trips(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(strategy);
    let (there, requests) = connect::<u32>(&options)?;
    let (answers, back) = connect::<u32>(&options)?;
    let child = fork((requests, answers), |(requests, answers)| {
        for request in &requests {
            answers.send_with(&*request?, &soon())?;
        }
        Ok(())
    })?;
    for i in 0..TRIPS {
        there.send_with(&i, &soon())?;
        assert_eq!(*back.receive_with(&soon())?, i);
    }
    drop(there);
    Ok(child.wait()?)
}

fn passed_on(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block);
    let (tx, rx) = connect::<u32>(&options)?;
    let (round, taken, left) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let mut chance = Chance::new();
    const ROUNDS: u32 = 400;
    let mut group = Group::new();
    // Leaves when its time is over and does not come back before somebody has the message.
    let mut of_leaver = chance.branch();
    group.fork(rx.clone(), |rx| {
        for _ in 0..ROUNDS {
            round.pass()?;
            let patience = Duration::from_micros(of_leaver.below(400));
            match rx.receive_with(&Wait::timeout(patience)) {
                Ok(_) => taken.open()?,
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
            left.open()?;
        }
        Ok(())
    })?;
    let stayer = group.fork(rx, |rx| {
        for delivery in &rx {
            delivery?;
            taken.open()?;
        }
        Ok(())
    })?;
    for i in 0..ROUNDS {
        until_asleep(stayer);
        round.open()?;
        for _ in 0..chance.below(20_000) {
            std::hint::spin_loop();
        }
        tx.send_with(&i, &soon())?;
        taken.pass()?;
        left.pass()?;
    }
    drop(tx);
    Ok(group.wait()?)
}

fn room_passed_on(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let Capacity::Bounded(n) = capacity else { return Ok(()) };
    let options = Options::new(mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block);
    let (tx, rx) = connect::<u32>(&options)?;
    (0..n).try_for_each(|i| tx.try_send(&i))?;
    let (round, sent, left) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let mut chance = Chance::new();
    const ROUNDS: u32 = 400;
    let mut of_leaver = chance.branch();
    let mut group = Group::new();
    group.fork(tx.clone(), |tx| {
        for i in 0..ROUNDS {
            round.pass()?;
            let patience = Wait::timeout(Duration::from_micros(of_leaver.below(400)));
            let outcome = match i % 2 {
                0 => tx.send_with(&i, &patience),
                _ => leave_cancelled(&tx, &patience),
            };
            match outcome {
                Ok(()) => sent.open()?,
                Err(error) if error.is_timeout() || error.is_cancelled() => {}
                Err(error) => return Err(error.into()),
            }
            left.open()?;
        }
        Ok(())
    })?;
    let stayer = group.fork(tx, |tx| {
        loop {
            match tx.send(&0) {
                Ok(()) => sent.open()?,
                Err(error) if error.is_disconnected() || error.is_destroyed() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    })?;
    for _ in 0..ROUNDS {
        until_asleep(stayer);
        round.open()?;
        for _ in 0..chance.below(20_000) {
            std::hint::spin_loop();
        }
        rx.receive_with(&soon())?;
        sent.pass()?;
        left.pass()?;
    }
    drop(rx);
    // Which do not end for want of a receiver.
    destroy_mailboxes()?;
    Ok(group.wait()?)
}

/// As a send that is cancelled from the start would do: it tries once more and leaves.
fn leave_cancelled(tx: &Sender<u32>, patience: &Wait<'_>) -> Result<(), postbox::SendError> {
    let cancel = Cancel::new().expect("an eventfd");
    cancel.fire();
    tx.send_with(&0, &patience.cancelled_by(&cancel))
}

fn all_of_them(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (taken, end) = (Gate::new()?, Gate::new()?);
    for _ in 0..10 {
        let mut group = Group::new();
        waiting_receivers(&mut group, &rx, 20, &taken, &end)?;
        // As fast as the channel takes them: one ring may not stand for two messages.
        (0..20).try_for_each(|i| tx.send_with(&i, &soon()))?;
        (0..20).try_for_each(|_| taken.pass())?;
        (0..20).try_for_each(|_| end.open())?;
        group.wait()?;
    }
    Ok(())
}

/// Whoever takes messages as fast as they come may ring for the first of them alone, and never comes back.
fn all_senders(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let Capacity::Bounded(n) = capacity else { return Ok(()) };
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (sent, end) = (Gate::new()?, Gate::new()?);
    let senders = n.min(20);
    for round in 0..10 {
        (0..n).try_for_each(|_| tx.try_send(&round))?;
        let mut group = Group::new();
        for _ in 0..senders {
            group.fork(tx.clone(), |tx| {
                tx.send(&round)?;
                sent.open()?;
                Ok(end.pass()?)
            })?;
        }
        group.children().iter().for_each(|child| until_asleep(child.pid()));
        (0..n).try_for_each(|_| rx.receive().map(drop))?;
        (0..senders).try_for_each(|_| sent.pass())?;
        (0..senders).try_for_each(|_| end.open())?;
        group.wait()?;
        (0..senders).try_for_each(|_| rx.receive().map(drop))?;
    }
    Ok(())
}

/// There are places, of which each takes one again and again, and gives it back.
fn lacking_bytes(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(5000)).max_message(1 << 14);
    let options = options.byte_cap(1 << 16).wait_strategy(WaitStrategy::Block);
    let (tx, rx) = connect::<Bytes>(&options)?;
    let message = [7; 1000];
    while tx.try_send(&message).is_ok() {}
    let full = rx.len();
    let mut group = Group::new();
    for _ in 0..3 {
        group.fork(tx.clone(), |tx| {
            let wait = Wait::timeout(Duration::from_millis(300));
            assert!(tx.send_with(&message, &wait).unwrap_err().is_timeout());
            Ok(())
        })?;
    }
    group.wait()?;
    let waits = rx.statistics().waits;
    println!("{full} messages and no more; three senders slept {waits} times");
    assert!(waits < 30, "three senders went to sleep {waits} times");
    Ok(())
}

fn killed_sleepers(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u64>(mechanism, Capacity::Bounded(8))?;
    let ledger = Ledger::new()?;
    let _hold = holder(rx.clone())?;
    let mut chance = Chance::new();
    for round in 0..30 {
        let mut dying = fork(rx.clone(), |rx| {
            let delivery = rx.receive()?;
            ledger.note(postbox_tests::Entry { by: 1, sender: 0, seq: *delivery })?;
            Ok(())
        })?;
        until_asleep(dying.pid());
        let living = fork(rx.clone(), |rx| {
            let delivery = rx.receive_with(&soon())?;
            ledger.note(postbox_tests::Entry { by: 2, sender: 0, seq: *delivery })?;
            Ok(())
        })?;
        until_asleep(living.pid());
        // It may be the one that is woken, and dies of it.
        if chance.once_in(2) {
            tx.send(&(2 * round))?;
            dying.signal(9)?;
        } else {
            dying.signal(9)?;
            tx.send(&(2 * round))?;
        }
        dying.wait_status()?;
        // One of the two messages may have been taken by the dead.
        tx.send(&(2 * round + 1))?;
        living.wait()?;
        while rx.try_receive()?.is_some() {}
        assert!(!is_asleep(std::process::id()));
    }
    ledger.in_order_and_nothing_twice()?;
    Ok(())
}
