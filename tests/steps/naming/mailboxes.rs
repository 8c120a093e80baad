//! Casts about a mailbox in use: its owner, who opens it, who sends and who receives.

use super::judge;
use super::part::{Failure, Message, Part, ROOM};
use super::stage::{Mark, Stage, now};
use super::walk::{Cast, Lot, Role, Run};
use postbox::{
    Access, Capacity, Delivery, Mailbox, MailboxError, MailboxOptions, Mechanism, Opening, Process,
    ReceiveError, Receiver, Select,
};
use postbox_tests::{MECHANISMS, Outcome};
use std::time::Instant;

pub const BOX: &str = "jobs";

pub const GIVER: Role = Role { name: "giver", partner: "", life: giver, lot: Lot::Mortal };
pub const TAKER: Role = Role { name: "taker", partner: "", life: taker, lot: Lot::Mortal };
/// One that waits in a receive until it is told that the mailbox is no more.
pub const WAITER: Role = Role { name: "waiter", partner: "", life: waiter, lot: Lot::Mortal };
const BOSS: Role = Role { name: "boss", partner: "taker", life: boss, lot: Lot::Mortal };
const SELECTOR: Role = Role { name: "selector", partner: "boss", life: selector, lot: Lot::Mortal };

pub const CASTS: &[Cast] = &[
    Cast {
        sentence: "a mailbox in use",
        roles: &[BOSS, GIVER, TAKER],
        prologue: |_| Ok(()),
        judge: nothing_lost,
        mechanisms: &MECHANISMS,
    },
    Cast {
        sentence: "a receiver from several",
        roles: &[
            Role { lot: Lot::Spared, partner: "selector", ..BOSS },
            Role { lot: Lot::Spared, ..GIVER },
            SELECTOR,
        ],
        prologue: |_| Ok(()),
        judge: nothing_lost,
        mechanisms: &MECHANISMS,
    },
];

/// How many messages make a part.
const MESSAGES: u32 = 4;

pub fn options(part: &Part) -> MailboxOptions {
    let options = MailboxOptions::new(part.stage.mechanism).receivers(Access::Members);
    options.capacity(Capacity::Bounded(ROOM))
}

/// Opens the mailbox as soon as there is one; nothing if all is over before.
pub fn open(part: &Part, me: &Process) -> Result<Option<Mailbox<Message>>, Failure> {
    let opening = Opening::new().wait(part.wait());
    match me.open_mailbox_with(BOX, &opening) {
        Ok(mailbox) => Ok(Some(mailbox)),
        // It was there, and went while it was opened.
        Err(MailboxError::Destroyed { .. } | MailboxError::Cancelled) => Ok(None),
        Err(error) => Err(format!("{}: {error}", part.name).into()),
    }
}

/// Nobody still waits at a mailbox that is no more: what its owner says and what an end says agree,
/// within the time in which one is to be told.
fn not_left_waiting(part: &Part, jobs: &Mailbox<Message>) -> Outcome {
    let deadline = now() + postbox_tests::PATIENCE / 10;
    while let Err(MailboxError::Destroyed { .. }) = jobs.status() {
        match jobs.try_receive() {
            Err(ReceiveError::Destroyed) => break,
            Ok(Some(message)) => part.note_taken(*message)?,
            Err(error) if !error.is_denied() => return Err(error.into()),
            _ if now() > deadline => {
                return Err(format!("{} waits at what is no more", part.name).into());
            }
            _ => part.nap(),
        }
    }
    Ok(())
}

/// Creates it and sees it used. As the victim it takes a right, gives it back and destroys it; as a
/// survivor it finds at the end that the mailbox holds exactly as many as it should.
fn boss(part: &Part) -> Outcome {
    let me = part.join()?;
    while part.goes_on() {
        // At once, even though the last owner was killed an instant ago.
        let jobs = me.create_mailbox::<Message>(BOX, options(part))?;
        part.ready()?;
        if part.plays_once() {
            let before = part.stage.taken.entries()?.len();
            part.until("that messages are taken", || {
                Ok((part.stage.taken.entries()?.len() >= before + 2).then_some(()))
            })?;
            jobs.revoke_receive(part.partner)?;
            jobs.grant_receive(part.partner)?;
            part.mark(Mark::Ending)?;
            jobs.destroy()?;
            part.done();
        } else {
            part.until("the finale", || Ok(None::<()>))?;
            rest(part, &jobs)?;
            exact_room(&jobs)?;
        }
    }
    part.leave(me)
}

/// What nobody has taken.
fn rest(part: &Part, jobs: &Mailbox<Message>) -> Outcome {
    while let Some(message) = jobs.try_receive()? {
        part.note_taken(*message)?;
    }
    Ok(())
}

/// Once it is drained and those who had a part in it are gone, there is room for so many and no more.
fn exact_room(jobs: &Mailbox<Message>) -> Outcome {
    let deadline = Instant::now() + postbox_tests::PATIENCE;
    loop {
        let mut held = 0;
        while jobs.try_send(&(0, 0)).is_ok() {
            held += 1;
        }
        if held == ROOM {
            return Ok(());
        }
        if held > ROOM || Instant::now() > deadline {
            return Err(format!("there is room for {held}").into());
        }
        while jobs.try_receive()?.is_some() {}
    }
}

/// Sends to it, by turns with and without a receipt.
fn giver(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        let Some(jobs) = open(part, &me)? else { continue };
        give(part, &jobs)?;
    }
    part.leave(me)
}

fn give(part: &Part, jobs: &Mailbox<Message>) -> Outcome {
    let mut given = 0;
    while part.goes_on() {
        let message = part.message();
        let sent = match given % 2 {
            0 => part.over(|| jobs.deliver_with(&message, &part.wait()))?.map(drop),
            _ => part.over(|| jobs.send_with(&message, &part.wait()))?,
        };
        if sent.is_none() {
            return Ok(());
        }
        part.note_sent(message)?;
        given += 1;
        match given == MESSAGES {
            true => part.done(),
            false => part.nap(),
        }
    }
    Ok(())
}

/// Receives from it.
fn taker(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    let mut taken = 0;
    while part.goes_on() {
        let Some(jobs) = open(part, &me)? else { continue };
        loop {
            let received = part.over(|| jobs.receive_with(&part.wait()))?;
            let Some(message) = received else {
                not_left_waiting(part, &jobs)?;
                break;
            };
            part.note_taken(*message)?;
            taken += 1;
            if taken >= MESSAGES && part.plays_once() {
                part.done();
                break;
            }
        }
    }
    part.leave(me)
}

fn waiter(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        let Some(jobs) = open(part, &me)? else { continue };
        while part.over(|| jobs.receive_with(&part.wait()))?.is_some() {}
        not_left_waiting(part, &jobs)?;
        part.done();
    }
    part.leave(me)
}

/// Receives from the mailbox and from a link with its owner, whichever has something.
fn selector(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        let Some(jobs) = open(part, &me)? else { continue };
        let Some(from_jobs) = part.over(|| jobs.receiver())? else { continue };
        let Some(from_boss) = part.over(|| me.receiver_from_with(part.partner, &part.wait()))?
        else {
            continue;
        };
        select(part, &from_jobs, &from_boss)?;
    }
    part.leave(me)
}

fn select(part: &Part, jobs: &Receiver<Message>, boss: &Receiver<Message>) -> Outcome {
    let (nobody, from_nobody) = postbox::channel::<Message>(Mechanism::Pipe, Capacity::Zero)?;
    let mut several = Select::new()?;
    for receiver in [jobs, boss, &from_nobody] {
        several.add(receiver)?;
    }
    // Left out from the first look on.
    drop(nobody);
    let mut taken = 0;
    while part.goes_on() && taken < MESSAGES {
        let received = part.over(|| several.receive_with(&part.wait()))?;
        let Some((_, message)): Option<(usize, Delivery<Message>)> = received else {
            if several.is_empty() {
                return Ok(());
            }
            continue;
        };
        part.note_taken(*message)?;
        taken += 1;
    }
    part.done();
    Ok(())
}

/// What a mailbox held when its owner died is gone. Otherwise all has come.
fn nothing_lost(stage: &Stage, run: &Run) -> Outcome {
    match run.victim {
        "boss" => judge::nothing_more(stage, run),
        _ => judge::nothing_lost(stage, run),
    }
}
