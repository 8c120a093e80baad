//! One sender and one receiver, one of which is killed at a random moment of their traffic.

use postbox::{Bytes, Capacity, Form, Mechanism, Options, channel, fork};
use postbox_tests::{
    CAPACITIES, Case, Chance, Entry, Ledger, Outcome, eventually, over_capacities, soon,
    until_asleep,
};
use std::thread;
use std::time::Duration;

const ROUNDS: u64 = 15;

pub fn cases() -> Vec<Case> {
    [
        over_capacities(
            "everything that a killed sender had sent arrives and then the end",
            &CAPACITIES,
            |mechanism, capacity| killed_sender(mechanism, capacity, Form::ManyToMany),
        ),
        over_capacities(
            "a sender whose receiver is killed at any moment is told",
            &CAPACITIES,
            |mechanism, capacity| killed_receiver(mechanism, capacity, Form::ManyToMany),
        ),
        over_capacities(
            "killed one to one partners leave the other with all that was sent and the end",
            &CAPACITIES,
            |mechanism, capacity| {
                killed_sender(mechanism, capacity, Form::OneToOne)?;
                killed_receiver(mechanism, capacity, Form::OneToOne)
            },
        ),
        over_capacities(
            "three hundred senders killed in deliver leave nothing behind",
            &CAPACITIES,
            killed_in_deliver,
        ),
        over_capacities(
            "large messages of senders killed in deliver give their memory back",
            &CAPACITIES,
            large_killed_in_deliver,
        ),
        over_capacities(
            "a hundred receivers killed in receive leave nothing behind",
            &CAPACITIES,
            killed_in_receive,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn some_length(chance: &mut Chance) -> usize {
    (if chance.once_in(20) { 9000 } else { chance.below(100) }) as usize
}

fn killed_sender(mechanism: Mechanism, capacity: Capacity, form: Form) -> Outcome {
    let mut chance = Chance::new();
    for round in 0..ROUNDS {
        let (tx, rx) =
            Options::new(mechanism).capacity(capacity).form(form).channel::<(u64, Vec<u8>)>()?;
        let sent = Ledger::new()?;
        let mut of_sender = chance.branch();
        let mut sender = fork(tx, |tx| {
            for seq in 0.. {
                let message = (seq, vec![seq as u8; some_length(&mut of_sender)]);
                match of_sender.below(3) {
                    0 => drop(tx.deliver(&message)?),
                    _ => tx.send(&message)?,
                }
                sent.note(Entry { by: 0, sender: 0, seq })?;
            }
            Ok(())
        })?;
        let moment = Duration::from_micros(chance.below(5000));
        let death = thread::spawn(move || {
            thread::sleep(moment);
            sender.signal(9).unwrap();
            sender.wait_status().unwrap();
        });
        let mut next = 0;
        loop {
            match rx.receive_with(&soon()) {
                Ok(delivery) => {
                    let (seq, filling) = delivery.into_inner();
                    assert_eq!(seq, next, "in round {round}");
                    assert!(filling.iter().all(|byte| *byte == seq as u8), "spoilt on the way");
                    next += 1;
                }
                Err(error) if error.is_disconnected() => break,
                Err(error) => return Err(format!("in round {round}: {error}").into()),
            }
        }
        death.join().unwrap();
        let sent = sent.entries()?.len() as u64;
        // The last one may have gone without being noted.
        assert!(next == sent || next == sent + 1, "{sent} were sent, {next} arrived");
    }
    Ok(())
}

fn killed_in_deliver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    for _ in 0..10 {
        let mut senders = (0..30)
            .map(|i| fork(tx.clone(), move |tx| Ok(tx.deliver(&i).map(drop)?)))
            .collect::<Result<Vec<_>, _>>()?;
        // Each waits for its receipt, or for room to offer.
        senders.iter().for_each(|sender| until_asleep(sender.pid()));
        for sender in &mut senders {
            sender.signal(9)?;
            sender.wait_status()?;
        }
        // Or else those to come would wait behind a thousand.
        while rx.try_receive()?.is_some() {}
    }
    // Whether the last offers of the dead are seen before they are withdrawn is a matter of time.
    eventually("the end of the dead", || {
        while rx.try_receive().unwrap().is_some() {}
        rx.is_empty().then_some(())
    });
    if let Capacity::Bounded(n) = capacity {
        (0..n).try_for_each(|i| {
            eventually("room", || tx.try_send(&i).ok());
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
        assert!(tx.try_send(&0).unwrap_err().is_full());
        for i in 0..n {
            assert_eq!(*rx.try_receive()?.ok_or("one was lost")?, i);
        }
    }
    let living = fork(tx, |tx| {
        (0..300).try_for_each(|i| tx.deliver_with(&i, &soon()).map(drop))?;
        Ok(())
    })?;
    for i in 0..300 {
        assert_eq!(*rx.receive_with(&soon())?, i);
    }
    Ok(living.wait()?)
}

fn large_killed_in_deliver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    // What is leaked by a tenth of them fills the channel.
    let options = Options::new(mechanism).capacity(capacity).byte_cap(2 << 20);
    let (tx, rx) = options.channel::<Bytes>()?;
    let message = vec![7; 200_000];
    for _ in 0..6 {
        let mut senders = (0..4)
            .map(|_| fork(tx.clone(), |tx| Ok(tx.deliver(&message).map(drop)?)))
            .collect::<Result<Vec<_>, _>>()?;
        senders.iter().for_each(|sender| until_asleep(sender.pid()));
        for sender in &mut senders {
            sender.signal(9)?;
            sender.wait_status()?;
        }
        eventually("the end of the dead", || {
            while rx.try_receive().unwrap().is_some() {}
            rx.is_empty().then_some(())
        });
    }
    let living = fork(tx, |tx| {
        (0..30).try_for_each(|_| tx.deliver_with(&message, &soon()).map(drop))?;
        Ok(())
    })?;
    for _ in 0..30 {
        assert!(rx.receive_with(&soon())?[..] == message);
    }
    Ok(living.wait()?)
}

fn killed_in_receive(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    for round in 0..10 {
        let mut receivers = (0..10)
            .map(|_| fork(rx.clone(), |rx| Ok(rx.receive().map(drop)?)))
            .collect::<Result<Vec<_>, _>>()?;
        receivers.iter().for_each(|receiver| until_asleep(receiver.pid()));
        let living = fork(rx.clone(), |rx| {
            assert_eq!(*rx.receive_with(&soon())?, 7);
            Ok(())
        })?;
        until_asleep(living.pid());
        for receiver in &mut receivers {
            receiver.signal(9)?;
            receiver.wait_status()?;
        }
        // The dead wait no more: who lives is woken, in every kind of send.
        match round % 3 {
            0 => tx.send_with(&7, &soon())?,
            1 => drop(tx.deliver_with(&7, &soon())?),
            _ => eventually("the one that waits", || tx.try_send(&7).ok()),
        }
        living.wait()?;
        if capacity == Capacity::Zero {
            // Told at once or within 200 ms, but never taken for sent.
            assert!(tx.try_send(&8).unwrap_err().is_full(), "a dead receiver was counted on");
        }
    }
    assert!(rx.try_receive()?.is_none());
    Ok(())
}

fn killed_receiver(mechanism: Mechanism, capacity: Capacity, form: Form) -> Outcome {
    let mut chance = Chance::new();
    for round in 0..ROUNDS {
        let (tx, rx) =
            Options::new(mechanism).capacity(capacity).form(form).channel::<(u64, Vec<u8>)>()?;
        let received = Ledger::new()?;
        let mut receiver = fork(rx, |rx| {
            for next in 0.. {
                let seq = rx.receive()?.0;
                assert_eq!(seq, next);
                received.note(Entry { by: 0, sender: 0, seq })?;
            }
            Ok(())
        })?;
        let moment = Duration::from_micros(chance.below(5000));
        let death = thread::spawn(move || {
            thread::sleep(moment);
            receiver.signal(9).unwrap();
            receiver.wait_status().unwrap();
        });
        let mut delivered = 0;
        for seq in 0.. {
            let message = (seq, vec![seq as u8; some_length(&mut chance)]);
            // An unbounded channel takes what nobody receives, until it is told.
            let outcome = match chance.below(3) {
                0 => tx
                    .deliver_with(&message, &soon())
                    .map(|_| delivered = seq + 1)
                    .map_err(|e| e.reason().clone()),
                _ => tx.send_with(&message, &soon()),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_disconnected() => break,
                Err(error) => return Err(format!("in round {round}: {error}").into()),
            }
        }
        death.join().unwrap();
        let received = received.entries()?.len() as u64;
        // The last one may have been taken without being noted.
        assert!(received + 1 >= delivered, "{delivered} had receipts, {received} were received");
    }
    Ok(())
}
