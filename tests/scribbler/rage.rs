//! A hostile member rages while honest ones work, and beside them a channel that it has no part in.

use crate::honest;
use crate::hostile;
use crate::plan::{Plan, seconds};
use postbox::{Bytes, Child, Group, Receiver, Sender, Spawn, Wait, channel, fork};
use postbox_tests::{Chance, Entry, Ledger, Outcome, cpu_time, soon};
use std::process::Command;
use std::time::{Duration, Instant};

/// Messages of each honest sender through the channel beside.
const BESIDE: u64 = 300;
/// Members that are killed in the middle of their calls while it lasts.
const VICTIMS: u32 = 4;

pub fn rage(plan: Plan) -> Outcome {
    let mut chance = Chance::new();
    let (tx, rx) = plan.options().channel::<Bytes>()?;
    // A channel for one sender and one receiver leaves one of them to the hostile member.
    let sends = !plan.single || chance.once_in(2);
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    let command = Command::new(std::env::current_exe()?);
    let mut spawn = hostile_program(command, &mut chance);
    if plan.single {
        match sends {
            true => {
                spawn = spawn.pass("tx", tx)?;
                receivers.push(rx);
            }
            false => {
                spawn = spawn.pass("rx", rx)?;
                senders.push(tx);
            }
        }
    } else {
        spawn = spawn.pass("tx", tx.clone())?.pass("rx", rx.clone())?;
        senders.extend([tx.clone(), tx]);
        receivers.extend([rx.clone(), rx]);
    }
    let victims = senders.first().cloned().zip(receivers.first().cloned());
    let mut hostile = spawn.spawn()?;

    let ledger = Ledger::new()?;
    let (beside_tx, beside_rx) = channel::<(u32, u64)>(plan.mechanism, plan.capacity)?;
    let end = Instant::now() + seconds();
    let mut group = Group::new();
    let parts = senders.len().max(receivers.len()) as u32;
    let (mut senders, mut receivers) = (senders.into_iter(), receivers.into_iter());
    for part in 0..parts {
        let branch = chance.branch();
        group.fork((senders.next(), beside_tx.clone()), |(tx, beside)| {
            send(tx, &beside, part, branch, end)
        })?;
        let branch = chance.branch();
        group.fork((receivers.next(), beside_rx.clone()), |(rx, beside)| {
            receive(rx, &beside, part, &ledger, branch, end)
        })?;
    }
    drop((beside_tx, beside_rx));
    if let Some((tx, rx)) = victims {
        for _ in 0..VICTIMS {
            let victim = victim(tx.clone(), rx.clone(), chance.branch());
            std::thread::sleep(seconds() / VICTIMS / 2);
            match victim {
                Ok(victim) => victim.end(),
                // A clone looks at the channel that the hostile member writes in, and may be refused.
                Err(error) => assert!(error.to_string().contains("corrupt"), "{error}"),
            }
        }
    }
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    assert!(hostile.try_wait()?.is_none(), "the hostile member fell into its own trap");
    hostile.end();
    group.wait_with(&Wait::timeout(Duration::from_secs(60)))?;
    ledger.all_exactly_once(parts, BESIDE)?;
    Ok(())
}

/// This program as the hostile member.
pub fn hostile_program(mut command: Command, chance: &mut Chance) -> Spawn {
    command.env_remove("POSTBOX_CASE").env(hostile::PART, chance.below(1 << 50).to_string());
    Spawn::from(command)
}

/// One that calls until it is killed.
fn victim(
    tx: Sender<Bytes>,
    rx: Receiver<Bytes>,
    mut chance: Chance,
) -> Result<Child, postbox::ForkError> {
    fork((tx, rx), |(tx, rx)| {
        honest::limit_memory()?;
        loop {
            honest::send(&tx, &mut chance);
            honest::receive(&rx, &mut chance);
        }
    })
}

fn send(
    tx: Option<Sender<Bytes>>,
    beside: &Sender<(u32, u64)>,
    part: u32,
    mut chance: Chance,
    end: Instant,
) -> Outcome {
    honest::limit_memory()?;
    let mut seq = 0;
    while Instant::now() < end {
        if let Some(tx) = &tx {
            (0..5).for_each(|_| honest::send(tx, &mut chance));
        }
        if seq < BESIDE {
            beside.send_with(&(part, seq), &soon())?;
            seq += 1;
        }
    }
    for seq in seq..BESIDE {
        beside.send_with(&(part, seq), &soon())?;
    }
    if let Some(tx) = tx {
        rests(|wait| drop(tx.deliver_with(b"is anybody there?", wait)));
        honest::drop_in_time(tx);
    }
    Ok(())
}

fn receive(
    rx: Option<Receiver<Bytes>>,
    beside: &Receiver<(u32, u64)>,
    part: u32,
    ledger: &Ledger,
    mut chance: Chance,
    end: Instant,
) -> Outcome {
    honest::limit_memory()?;
    let note = |(sender, seq): (u32, u64)| ledger.note(Entry { by: part, sender, seq });
    while Instant::now() < end {
        if let Some(rx) = &rx {
            (0..5).for_each(|_| honest::receive(rx, &mut chance));
        }
        if let Ok(message) = beside.receive_with(&Wait::timeout(Duration::from_micros(200))) {
            note(*message)?;
        }
    }
    loop {
        match beside.receive_with(&soon()) {
            Ok(message) => note(*message)?,
            Err(error) if error.is_disconnected() => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(rx) = rx {
        rests(|wait| drop(rx.receive_with(wait)));
        honest::drop_in_time(rx);
    }
    Ok(())
}

/// Whoever waits on what the hostile member has left behind sleeps: it does not go round in circles.
fn rests(call: impl Fn(&Wait)) {
    const AWHILE: Duration = Duration::from_millis(200);
    for _ in 0..3 {
        let (begun, before) = (Instant::now(), cpu_time(std::process::id()));
        call(&Wait::timeout(AWHILE));
        let busy = cpu_time(std::process::id()) - before;
        // A call may end at once, by an error: then it has not waited.
        let waited = begun.elapsed() >= AWHILE;
        assert!(!waited || busy < AWHILE / 2, "it waited for {AWHILE:?} and was busy for {busy:?}");
    }
}
