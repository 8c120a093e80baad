//! Synchronous sends: a receipt, or the certainty that nobody has seen the message or ever will.

use postbox::{Bytes, Cancel, Capacity, Group, Mechanism, Sender, Wait, fork};
use postbox_tests::{
    BOUNDED, CAPACITIES, Case, Chance, Entry, Gate, Ledger, Outcome, across, across_capacities,
    channel, holder, own_thread, soon, until_asleep, where_senders_are_told,
};
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [
        across_capacities("deliver names the process that took the message", &CAPACITIES, taker),
        across_capacities(
            "a deliver that ends early and a receiver never disagree",
            &CAPACITIES,
            raced,
        ),
        across_capacities(
            "four deliverers and three receivers never disagree",
            &CAPACITIES,
            raced_by_many,
        ),
        across_capacities("room is back at once after a timed out deliver", &BOUNDED, room_is_back),
        across_capacities(
            "thousands of withdrawn messages are never seen and take no room",
            &CAPACITIES,
            corpses,
        ),
        across_capacities(
            "a deliver that waits behind thousands of withdrawn ones is taken by who comes",
            &CAPACITIES,
            behind_corpses,
        ),
        across_capacities("a cancelled deliver leaves nothing behind", &CAPACITIES, cancelled),
        across_capacities(
            "deliver comes after what waits and returns only when taken",
            &CAPACITIES[1..],
            waits_its_turn,
        ),
        where_senders_are_told(
            "a deliver whose only receiver dies is disconnected and unseen",
            &CAPACITIES,
            receiver_dies,
        ),
        across("large messages that were withdrawn give their memory back", large_corpses),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn taker(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u64>(mechanism, capacity)?;
    let ledger = Ledger::new()?;
    let mut group = Group::new();
    for _ in 0..2 {
        let ledger = &ledger;
        group.fork(rx.clone(), move |rx| {
            let by = std::process::id();
            for delivery in &rx {
                ledger.note(Entry { by, sender: 0, seq: *delivery? })?;
            }
            Ok(())
        })?;
    }
    drop(rx);
    let mut receipts = Vec::new();
    for seq in 0..500 {
        let receipt = tx.deliver_with(&seq, &soon())?;
        receipts.push(Entry { by: receipt.receiver().pid(), sender: 0, seq });
    }
    drop(tx);
    group.wait()?;
    let mut taken = ledger.in_order_and_nothing_twice()?;
    taken.sort_by_key(|entry| entry.seq);
    assert!(taken == receipts, "the receipts name others than those who took");
    Ok(())
}

/// Delivers `count` messages with little patience; those that a receipt came for.
fn deliver_impatiently(
    tx: &Sender<(u32, u64)>,
    sender: u32,
    count: u64,
    chance: &mut Chance,
) -> Result<Vec<Entry>, Box<dyn std::error::Error>> {
    let mut delivered = Vec::new();
    for seq in 0..count {
        let wait = Wait::timeout(Duration::from_micros(chance.below(120)));
        match tx.deliver_with(&(sender, seq), &wait) {
            Ok(receipt) => delivered.push(Entry { by: receipt.receiver().pid(), sender, seq }),
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(delivered)
}

/// Receives in all ways until the senders are gone.
fn receive_somehow(
    rx: &postbox::Receiver<(u32, u64)>,
    chance: &mut Chance,
) -> Result<Vec<Entry>, Box<dyn std::error::Error>> {
    let by = std::process::id();
    let mut taken = Vec::new();
    loop {
        let patience = Wait::timeout(Duration::from_micros(chance.below(120)));
        let received = match chance.below(3) {
            0 => rx.receive().map(Some),
            1 => rx.try_receive(),
            _ => rx.receive_with(&patience).map(Some),
        };
        match received {
            Ok(Some(message)) => taken.push(Entry { by, sender: message.0, seq: message.1 }),
            Ok(None) => {}
            Err(error) if error.is_timeout() => {}
            Err(error) if error.is_disconnected() => return Ok(taken),
            Err(error) => return Err(error.into()),
        }
        // Now and then it lets the offers time out.
        for _ in 0..chance.pick(&[0, 0, 100, 3000]) {
            std::hint::spin_loop();
        }
    }
}

fn agree(delivered: Vec<Entry>, taken: Vec<Entry>) {
    let (mut delivered, mut taken) = (delivered, taken);
    println!("{} were delivered", delivered.len());
    delivered.sort();
    taken.sort();
    for entry in &delivered {
        assert!(taken.binary_search(entry).is_ok(), "{entry:?} has a receipt but was not received");
    }
    for entry in &taken {
        let known = delivered.binary_search(entry).is_ok();
        assert!(known, "{entry:?} was received but has no receipt");
    }
    assert_eq!(delivered.len(), taken.len());
}

/// Nobody else uses the channel any more: exactly n fit, and nothing else is there.
fn room_is_exact(
    tx: &Sender<(u32, u64)>,
    rx: &postbox::Receiver<(u32, u64)>,
    capacity: Capacity,
) -> Outcome {
    let Capacity::Bounded(n) = capacity else {
        assert!(rx.try_receive()?.is_none());
        return Ok(());
    };
    for seq in 0..u64::from(n) {
        tx.try_send(&(99, seq)).map_err(|error| format!("after {seq} of {n}: {error}"))?;
    }
    assert!(tx.try_send(&(99, 0)).unwrap_err().is_full(), "more than {n} fit");
    for seq in 0..u64::from(n) {
        assert_eq!(*rx.try_receive()?.ok_or("fewer came than went")?, (99, seq));
    }
    assert!(rx.try_receive()?.is_none());
    Ok(())
}

fn raced(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, capacity)?;
    let mut chance = Chance::new();
    let ledger = Ledger::new()?;
    let mut of_child = chance.branch();
    let child = fork(rx.clone(), |rx| Ok(ledger.note_all(&receive_somehow(&rx, &mut of_child)?)?))?;
    let delivering = tx.clone();
    drop(tx);
    let delivered = deliver_impatiently(&delivering, 0, 3000, &mut chance)?;
    let again = delivering.clone();
    // The child drains and ends when the last sender is gone.
    drop(delivering);
    drop(again);
    child.wait()?;
    agree(delivered, ledger.in_order_and_nothing_twice()?);
    assert!(rx.try_receive().unwrap_err().is_disconnected());
    Ok(())
}

fn raced_by_many(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, capacity)?;
    let mut chance = Chance::new();
    let (receipts, taken, stay) = (Ledger::new()?, Ledger::new()?, Gate::new()?);
    let mut senders = Group::new();
    for sender in 0..4 {
        let (mut chance, receipts) = (chance.branch(), &receipts);
        senders.fork(tx.clone(), move |tx| {
            let delivered = deliver_impatiently(&tx, sender, 600, &mut chance)?;
            Ok(receipts.note_all(&delivered)?)
        })?;
    }
    let mut receivers = Group::new();
    for _ in 0..3 {
        let (mut chance, taken, stay) = (chance.branch(), &taken, &stay);
        receivers.fork(rx.clone(), move |rx| {
            let by = std::process::id();
            let mut entries = Vec::new();
            while !stay.is_open()? {
                let patience = Wait::timeout(Duration::from_micros(chance.below(500)));
                match rx.receive_with(&patience) {
                    Ok(message) => entries.push(Entry { by, sender: message.0, seq: message.1 }),
                    Err(error) if error.is_timeout() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(taken.note_all(&entries)?)
        })?;
    }
    senders.wait()?;
    stay.open()?;
    receivers.wait()?;
    agree(receipts.entries()?, taken.in_order_and_nothing_twice()?);
    assert_eq!(tx.len(), 0);
    room_is_exact(&tx, &rx, capacity)
}

fn room_is_back(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let Capacity::Bounded(n) = capacity else { return Ok(()) };
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    for i in 1..n {
        tx.try_send(&i)?;
    }
    for round in 0..60 {
        let patience = Wait::timeout(Duration::from_micros(round % 5 * 30));
        assert!(tx.deliver_with(&0, &patience).unwrap_err().is_timeout());
        assert_eq!(tx.len(), n as usize - 1);
    }
    tx.try_send(&n)?;
    assert!(tx.try_send(&0).unwrap_err().is_full());
    assert!(
        tx.deliver_with(&0, &Wait::timeout(Duration::from_millis(1))).unwrap_err().is_timeout()
    );
    for i in 1..=n {
        assert_eq!(*rx.try_receive()?.ok_or("one was lost")?, i);
    }
    assert!(rx.try_receive()?.is_none());
    Ok(())
}

fn corpses(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, capacity)?;
    for seq in 0..3000 {
        let error = tx.deliver_with(&(0, seq), &Wait::timeout(Duration::ZERO)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(tx.len(), 0);
    }
    room_is_exact(&tx, &rx, capacity)?;
    // However many there were: now that somebody receives, all is as at the beginning.
    let child = fork(rx, |rx| {
        for seq in 0..50 {
            assert_eq!(*rx.receive_with(&soon())?, (1, seq));
        }
        Ok(())
    })?;
    for seq in 0..50 {
        let receipt = tx.deliver_with(&(1, seq), &soon())?;
        assert_eq!(receipt.receiver().pid(), child.pid());
    }
    Ok(child.wait()?)
}

fn behind_corpses(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    for _ in 0..3000 {
        assert!(tx.try_deliver(&0).unwrap_err().is_timeout());
    }
    let child = fork(tx, |tx| {
        let receipt = tx.deliver_with(&1, &soon())?;
        assert_eq!(receipt.receiver().pid(), nix::unistd::getppid().as_raw() as u32);
        Ok(())
    })?;
    until_asleep(child.pid());
    assert_eq!(*rx.receive_with(&soon())?, 1);
    Ok(child.wait()?)
}

fn cancelled(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, capacity)?;
    let own = own_thread();
    for seq in 0..20 {
        let cancel = Cancel::new()?;
        let firing = cancel.clone();
        let canceller = thread::spawn(move || {
            until_asleep(own);
            firing.fire();
        });
        let error = tx.deliver_with(&(0, seq), &soon().cancelled_by(&cancel)).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        canceller.join().unwrap();
        assert_eq!(tx.len(), 0);
    }
    room_is_exact(&tx, &rx, capacity)
}

fn waits_its_turn(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let waiting = match capacity {
        Capacity::Bounded(n) => n,
        _ => 300,
    };
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    for i in 0..waiting {
        tx.try_send(&i)?;
    }
    let returned = Gate::new()?;
    let child = fork(tx, |tx| {
        let receipt = tx.deliver(&waiting)?;
        assert_eq!(receipt.receiver().pid(), nix::unistd::getppid().as_raw() as u32);
        returned.open()?;
        Ok(())
    })?;
    for i in 0..waiting {
        assert!(!returned.is_open()?, "it returned before it was taken");
        assert_eq!(*rx.receive()?, i);
    }
    until_asleep(child.pid());
    assert!(!returned.is_open()?, "it returned before it was taken");
    assert_eq!(*rx.receive_with(&soon())?, waiting);
    child.wait()?;
    Ok(())
}

fn receiver_dies(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for _ in 0..5 {
        let (tx, rx) = channel::<u32>(mechanism, capacity)?;
        let mut child = holder(rx)?;
        let own = own_thread();
        let death = thread::spawn(move || {
            until_asleep(own);
            child.signal(9).unwrap();
            child.wait_status().unwrap();
        });
        let error = tx.deliver_with(&1, &soon()).unwrap_err();
        assert!(error.is_disconnected(), "{error}");
        death.join().unwrap();
    }
    Ok(())
}

fn large_corpses(mechanism: Mechanism) -> Outcome {
    // A thousand of them are four times what the channel may hold.
    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(4))?;
    let message = vec![5; 1 << 20];
    for _ in 0..1000 {
        let error = tx.deliver_with(&message, &Wait::timeout(Duration::ZERO)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    for _ in 0..4 {
        tx.try_send(&message)?;
    }
    for _ in 0..4 {
        assert!(rx.try_receive()?.is_some_and(|delivery| delivery[..] == message));
    }
    assert!(rx.try_receive()?.is_none());
    Ok(())
}
