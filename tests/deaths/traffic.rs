//! Three senders and three receivers in full traffic, and a conductor that kills them.

use postbox::{
    Capacity, Child, Mechanism, Receiver, SendError, Sender, TrySendError, Wait, channel, fork,
};
use postbox_tests::{
    Books, CAPACITIES, Case, Chance, Entry, Gate, Numbered as Message, Outcome, Receivers,
    eventually, is_running, over_capacities, room_is_exact,
};
use std::thread;
use std::time::{Duration, Instant};

/// How many die per case, in episodes after each of which the room is counted.
const KILLS: u64 = 240;
const EPISODES: u64 = 4;
const MEMBERS: usize = 6;
/// For a repair that would give back too much.
const LONG_ENOUGH: Duration = Duration::from_millis(60);

pub fn cases() -> Vec<Case> {
    [
        over_capacities(
            "killed senders and receivers harm nobody and leave exactly the room there was",
            &CAPACITIES,
            |mechanism, capacity| conduct(mechanism, capacity, Style::Sends),
        ),
        over_capacities(
            "killed and stopped members harm no delivery",
            &CAPACITIES,
            |mechanism, capacity| conduct(mechanism, capacity, Style::Everything),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Plain sends, and kills.
    Sends,
    /// Every kind of send, and kills of running and of stopped members.
    Everything,
}

/// What an episode is about, as its members see it.
struct Scene<'s> {
    books: &'s Books,
    senders_end: &'s Gate,
    receivers_end: &'s Gate,
    style: Style,
}

#[derive(Debug)]
struct Member {
    child: Child,
    number: u32,
    sends: bool,
    stopped: bool,
}

fn conduct(mechanism: Mechanism, capacity: Capacity, style: Style) -> Outcome {
    let mut chance = Chance::new();
    let kills = std::env::var("POSTBOX_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills = kills.unwrap_or(KILLS) / 2 / EPISODES;
    let (tx, rx) = channel::<Message>(mechanism, capacity)?;
    let books = Books::new()?;
    let mut receivers = Receivers::default();
    let mut next_number = 0;
    for episode in 0..EPISODES {
        let (senders_end, receivers_end) = (Gate::new()?, Gate::new()?);
        let scene = Scene {
            books: &books,
            senders_end: &senders_end,
            receivers_end: &receivers_end,
            style,
        };
        let mut enlist = |sends: bool, chance: &mut Chance, receivers: &mut Receivers| {
            next_number += 1;
            let number = next_number;
            let chance = chance.branch();
            let child = match sends {
                true => fork(tx.clone(), |tx| send_on(&tx, number, &scene, chance))?,
                false => fork(rx.clone(), |rx| receive_on(&rx, number, &scene))?,
            };
            if !sends {
                receivers.of_pid.entry(child.pid()).or_default().push(number);
            }
            Ok::<_, Box<dyn std::error::Error>>(Member { child, number, sends, stopped: false })
        };
        let mut members = Vec::new();
        for place in 0..MEMBERS {
            members.push(enlist(place % 2 == 0, &mut chance, &mut receivers)?);
        }
        for _ in 0..kills {
            // Not an order of events but a random moment.
            thread::sleep(Duration::from_micros(chance.below(4000)));
            let place = victim(&members, &mut chance);
            if style == Style::Everything && chance.once_in(3) {
                let member = &mut members[place];
                member.child.signal(if member.stopped { 18 } else { 19 })?;
                member.stopped = !member.stopped;
                continue;
            }
            kill(&mut members[place], &mut receivers)?;
            members[place] = enlist(members[place].sends, &mut chance, &mut receivers)?;
        }
        // Some die at the very end, with nobody in their place.
        for _ in 0..2 {
            let place = chance.below(members.len() as u64) as usize;
            kill(&mut members[place], &mut receivers)?;
            members.remove(place);
        }
        come_to_an_end(members, &scene, &tx, &rx)
            .map_err(|error| format!("in episode {episode}: {error}"))?;
        room_is_exact(&tx, &rx, capacity, LONG_ENOUGH)
            .map_err(|error| format!("after episode {episode}: {error}"))?;
    }
    assert!(books.judge(&receivers)? > 0, "there was no traffic");
    Ok(())
}

/// Mostly one that is in the middle of something: those asleep in a wait leave nothing behind.
fn victim(members: &[Member], chance: &mut Chance) -> usize {
    let any = chance.below(MEMBERS as u64) as usize;
    if chance.once_in(4) {
        return any;
    }
    let busy = |place: &usize| is_running(members[*place].child.pid());
    (any..MEMBERS).chain(0..any).find(busy).unwrap_or(any)
}

fn kill(member: &mut Member, receivers: &mut Receivers) -> Outcome {
    member.child.signal(9)?;
    if !member.sends {
        receivers.killed.insert(member.number, 1);
    }
    member.child.wait_status()?;
    Ok(())
}

/// Sends until the gate opens or it is killed.
fn send_on(tx: &Sender<Message>, number: u32, scene: &Scene, mut chance: Chance) -> Outcome {
    for seq in 0.. {
        if scene.senders_end.is_open()? {
            return Ok(());
        }
        // Some are larger than any entry.
        let len = if chance.once_in(10) { 9000 } else { chance.below(100) };
        let message = (number, seq, vec![seq as u8; len as usize]);
        let patience = Wait::timeout(Duration::from_micros(chance.below(300)));
        let kind = if scene.style == Style::Sends { 0 } else { chance.below(6) };
        let mut entry = Entry { by: number, sender: number, seq };
        let outcome = match kind {
            0 | 1 => tx.send(&message).map(|()| false),
            2 => match tx.try_send(&message) {
                Ok(()) => Ok(false),
                Err(TrySendError::Send(error)) => Err(error),
                Err(_) => Err(SendError::TimedOut),
            },
            3 => tx.send_with(&message, &patience).map(|()| false),
            _ => {
                let receipt = match kind {
                    4 => tx.deliver(&message),
                    _ => tx.deliver_with(&message, &patience),
                };
                receipt
                    .map(|receipt| {
                        entry.by = receipt.receiver().pid();
                        true
                    })
                    .map_err(|error| error.reason().clone())
            }
        };
        match outcome {
            Ok(true) => scene.books.delivered.note(entry)?,
            Ok(false) => scene.books.sent.note(entry)?,
            Err(SendError::TimedOut | SendError::ByteCap { .. }) => {
                scene.books.refused.note(entry)?;
            }
            Err(error) => return Err(format!("sender {number}, message {seq}: {error}").into()),
        }
    }
    Ok(())
}

/// Receives until the gate opens and nothing comes, or it is killed.
fn receive_on(rx: &Receiver<Message>, number: u32, scene: &Scene) -> Outcome {
    loop {
        match rx.receive_with(&Wait::timeout(Duration::from_millis(20))) {
            Ok(delivery) => {
                let (sender, seq, filling) = delivery.into_inner();
                assert!(filling.iter().all(|byte| *byte == seq as u8), "spoilt on the way");
                scene.books.received.note(Entry { by: number, sender, seq })?;
            }
            Err(error) if error.is_timeout() && scene.receivers_end.is_open()? => return Ok(()),
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(format!("receiver {number}: {error}").into()),
        }
    }
}

/// The senders stop, the receivers take what is left, and this process the rest.
fn come_to_an_end(
    members: Vec<Member>,
    scene: &Scene,
    tx: &Sender<Message>,
    rx: &Receiver<Message>,
) -> Outcome {
    for member in &members {
        member.child.signal(18)?;
    }
    let (senders, receivers): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| member.sends);
    scene.senders_end.open()?;
    // With no receiver left alive, this process is the one.
    let alone = receivers.is_empty();
    let mut unwell = None;
    for mut sender in senders {
        let status = eventually("the end of a sender", || {
            if alone {
                receive_rest(rx, scene).unwrap();
            }
            sender.child.try_wait().unwrap()
        });
        if !status.success() {
            unwell = Some(format!("sender {} ended with {status}", sender.number));
        }
    }
    scene.receivers_end.open()?;
    for mut receiver in receivers {
        let status = eventually("the end of a receiver", || receiver.child.try_wait().unwrap());
        if !status.success() {
            unwell = Some(format!("receiver {} ended with {status}", receiver.number));
        }
    }
    unwell.map_or(Ok(()), Err)?;
    // Deaths are noticed within 200 ms; what the dead left is gone then.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        receive_rest(rx, scene)?;
        if tx.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{} are left that nobody can receive", tx.len()).into());
        }
        thread::yield_now();
    }
}

fn receive_rest(rx: &Receiver<Message>, scene: &Scene) -> Outcome {
    while let Some(delivery) = rx.try_receive()? {
        scene.books.received.note(Entry { by: 0, sender: delivery.0, seq: delivery.1 })?;
    }
    Ok(())
}
