//! Members that are killed while they have a loan, or a message that they read where it lies.

use postbox::{Bytes, Capacity, Form, Mechanism, Options, Receiver, Sender, fork};
use postbox_tests::{
    Case, Chance, Entry, Gate, Ledger, Outcome, eventually, over_capacities, soon,
};
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [
        over_capacities(
            "two hundred killed with a loan or a message in place leave nothing behind",
            &WAITING,
            killed_with_bytes,
        ),
        over_capacities(
            "everything that a killed lender had sent arrives and then the end",
            &ALL,
            |mechanism, capacity| {
                killed_lender(mechanism, capacity, Form::ManyToMany)?;
                killed_lender(mechanism, capacity, Form::OneToOne)
            },
        ),
        over_capacities(
            "what a killed reader in place had is seen by nobody else",
            &ALL,
            killed_reader,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const WAITING: [Capacity; 3] = [Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
const ALL: [Capacity; 4] =
    [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
const LARGE: usize = 40_000;
const ROUNDS: usize = 15;

/// How many loans the channel has bytes for.
fn loans(tx: &Sender<Bytes>) -> Result<usize, postbox::SendError> {
    let mut lenders: Vec<_> = (0..20).map(|_| tx.clone()).collect();
    let taken: Vec<_> = lenders.iter_mut().filter_map(|tx| tx.try_loan(LARGE).ok()).collect();
    Ok(taken.len())
}

fn killed_with_bytes(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let options = Options::new(mechanism).capacity(capacity).byte_cap(1 << 19);
    let (tx, rx) = options.channel::<Bytes>()?;
    let all = loans(&tx)?;
    assert!((10..20).contains(&all), "{all} loans at a time");
    for round in 0..20 {
        let mut doomed = Vec::new();
        let ready = Gate::new()?;
        for _ in 0..5 {
            tx.send_with(&[round; LARGE], &soon())?;
            doomed.push(fork(rx.clone(), |mut rx| {
                let message = rx.receive_in_place_with(&soon())?;
                ready.open()?;
                nix::unistd::pause();
                drop(message);
                Ok(())
            })?);
            ready.pass()?;
            doomed.push(fork(tx.clone(), |mut tx| {
                let mut loan = tx.loan_with(LARGE, &soon())?;
                loan.bytes_mut().fill(round);
                ready.open()?;
                nix::unistd::pause();
                Ok(loan.send()?)
            })?);
            ready.pass()?;
        }
        assert!(loans(&tx)? < all, "they had none");
        for mut child in doomed {
            child.signal(9)?;
            child.wait_status()?;
        }
        eventually("the bytes of the dead to come back", || {
            assert!(rx.try_receive().unwrap().is_none(), "a message of the dead was seen");
            (loans(&tx).unwrap() == all).then_some(())
        });
    }
    if let Capacity::Bounded(n) = capacity {
        (0..n).try_for_each(|_| tx.try_send(b"short"))?;
        assert!(tx.try_send(b"short").unwrap_err().is_full());
    }
    Ok(())
}

fn some_length(chance: &mut Chance) -> usize {
    8 + (if chance.once_in(2) { 9000 } else { chance.below(100) }) as usize
}

fn lend(tx: &mut Sender<Bytes>, seq: u64, len: usize) -> Outcome {
    let mut loan = tx.loan_with(len, &soon())?;
    let mut rest = loan.bytes_mut();
    rest.write_all(&seq.to_le_bytes())?;
    rest.fill(seq as u8);
    Ok(loan.send_with(&soon())?)
}

/// The number of the next message, which is whole.
fn read(rx: &mut Receiver<Bytes>) -> Result<u64, postbox::ReceiveError> {
    let message = rx.receive_in_place_with(&soon())?;
    let (mut rest, mut seq) = (message.bytes(), [0; 8]);
    rest.read_exact(&mut seq).expect("a message that long");
    let seq = u64::from_le_bytes(seq);
    assert!(rest.to_vec().iter().all(|byte| *byte == seq as u8), "spoilt on the way");
    Ok(seq)
}

fn killed_lender(mechanism: Mechanism, capacity: Capacity, form: Form) -> Outcome {
    let mut chance = Chance::new();
    for round in 0..ROUNDS {
        let options = Options::new(mechanism).capacity(capacity).form(form);
        let (tx, mut rx) = options.channel()?;
        let sent = Ledger::new()?;
        let mut of_sender = chance.branch();
        let mut sender = fork(tx, |mut tx| {
            for seq in 0.. {
                lend(&mut tx, seq, some_length(&mut of_sender))?;
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
            match read(&mut rx) {
                Ok(seq) => assert_eq!(seq, next, "in round {round}"),
                Err(error) if error.is_disconnected() => break,
                Err(error) => return Err(format!("in round {round}: {error}").into()),
            }
            next += 1;
        }
        death.join().unwrap();
        let sent = sent.entries()?.len() as u64;
        // The last one may have gone without being noted.
        assert!(next == sent || next == sent + 1, "{sent} were sent, {next} arrived");
    }
    Ok(())
}

fn killed_reader(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let mut chance = Chance::new();
    let (tx, mut rx) = Options::new(mechanism).capacity(capacity).channel::<Bytes>()?;
    let mut of_sender = chance.branch();
    let received = Ledger::new()?;
    // Until it is told that nobody is left.
    let sender = fork(tx, |mut tx| {
        (0..3000).try_for_each(|seq| lend(&mut tx, seq, some_length(&mut of_sender)))
    })?;
    let deaths = ROUNDS as u64;
    for _ in 0..deaths {
        let mut reader = fork(rx.clone(), |mut rx| {
            loop {
                let seq = match read(&mut rx) {
                    Ok(seq) => seq,
                    Err(error) if error.is_disconnected() => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
                received.note(Entry { by: std::process::id(), sender: 0, seq })?;
            }
        })?;
        thread::sleep(Duration::from_micros(chance.below(3000)));
        reader.signal(9)?;
        reader.wait_status()?;
    }
    loop {
        match read(&mut rx) {
            Ok(seq) => received.note(Entry { by: std::process::id(), sender: 0, seq })?,
            Err(error) if error.is_disconnected() => break,
            Err(error) => return Err(error.into()),
        }
    }
    sender.wait()?;
    // Each of the dead may have had one that it did not note.
    let seen = received.in_order_and_nothing_twice()?.len() as u64;
    assert!(seen + deaths >= 3000, "{seen} of 3000 were received, and {deaths} died");
    Ok(())
}
