//! Casts about links: who makes them, who takes part, who sends and who receives.

use super::judge;
use super::part::{Failure, Message, Part};
use super::stage::Stage;
use super::walk::{Cast, Lot, Role, Run};
use postbox::Process;
use postbox_tests::{MECHANISMS, Outcome};

const fn role(name: &'static str, partner: &'static str, life: fn(&Part) -> Outcome) -> Role {
    Role { name, partner, life, lot: Lot::Mortal }
}

const fn cast(sentence: &'static str, roles: &'static [Role]) -> Cast {
    Cast { sentence, roles, prologue: |_| Ok(()), judge: nothing_lost, mechanisms: &MECHANISMS }
}

/// Of two names the smaller one makes the link.
pub const CASTS: &[Cast] = &[
    cast(
        "the caller makes the link",
        &[role("partner", "caller", from_anyone), role("caller", "partner", caller)],
    ),
    cast(
        "the caller asks for the link",
        &[role("partner", "visitor", from_one), role("visitor", "partner", caller)],
    ),
    cast("both call at once", &[role("left", "right", peer), role("right", "left", peer)]),
];

/// How many messages make a part.
const MESSAGES: u64 = 4;

/// Sends, by turns without and with a receipt, and waits for the echo of each second message.
fn caller(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        if call(part, &me)?.is_some() {
            part.done();
        }
    }
    part.leave(me)
}

/// One round; nothing where the partner has gone meanwhile.
fn call(part: &Part, me: &Process) -> Result<Option<()>, Failure> {
    for _ in 0..MESSAGES {
        let message = part.message();
        let is_echoed = message.1 % 2 == 1;
        let sent = match is_echoed {
            true => part.over(|| me.deliver_with(part.partner, &message, &part.wait()))?.map(drop),
            false => part.over(|| me.send_with(part.partner, &message, &part.wait()))?,
        };
        if sent.is_none() {
            return Ok(None);
        }
        part.note_sent(message)?;
        if is_echoed && hear_echo(part, me, message)?.is_none() {
            return Ok(None);
        }
    }
    one_link(me)?;
    Ok(Some(()))
}

/// Waits for the echo of that message. Those of before a partner's death may still be on their way.
fn hear_echo(part: &Part, me: &Process, message: Message) -> Result<Option<()>, Failure> {
    loop {
        let heard = part.over(|| me.receive_from_with::<Message>(part.partner, &part.wait()))?;
        match heard.map(postbox::Delivery::into_inner) {
            None => return Ok(None),
            Some(echo) if echo == message => return Ok(Some(())),
            Some(echo) if echo > message => {
                return Err(format!("{echo:?} is no echo of {message:?}").into());
            }
            Some(_) => {}
        }
    }
}

fn one_link(me: &Process) -> Outcome {
    match me.links()?.len() {
        0 | 1 => Ok(()),
        more => Err(format!("{more} links with one partner").into()),
    }
}

/// Receives from anyone.
fn from_anyone(part: &Part) -> Outcome {
    echo(part, |me| part.over(|| me.receive_with(&part.wait())), |me| Ok(me.try_receive()?))
}

/// Receives from its partner and no other.
fn from_one(part: &Part) -> Outcome {
    let partner = part.partner;
    echo(
        part,
        |me| part.over(|| me.receive_from_with(partner, &part.wait())),
        |me| match me.try_receive_from(partner) {
            Err(error) if error.is_disconnected() => Ok(None),
            received => Ok(received?),
        },
    )
}

/// Echoes each second message, until it has done its part or everybody has.
fn echo(
    part: &Part,
    receive: impl Fn(&Process) -> Result<Option<postbox::Delivery<Message>>, Failure>,
    rest: impl Fn(&Process) -> Result<Option<postbox::Delivery<Message>>, Failure>,
) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    let mut taken = 0;
    while part.goes_on() {
        let Some(message) = receive(&me)? else { continue };
        part.note_taken(*message)?;
        taken += 1;
        if message.1 % 2 == 1 {
            part.over(|| me.send_with(part.partner, &*message, &part.wait()))?;
        }
        if taken == MESSAGES {
            part.done();
        }
    }
    while !part.plays_once()
        && let Some(message) = rest(&me)?
    {
        part.note_taken(*message)?;
    }
    part.leave(me)
}

/// Sends and receives by turns, as its partner does.
fn peer(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    let mut exchanged = 0;
    while part.goes_on() {
        let message = part.message();
        if part.over(|| me.send_with(part.partner, &message, &part.wait()))?.is_none() {
            continue;
        }
        part.note_sent(message)?;
        let heard = part.over(|| me.receive_from_with(part.partner, &part.wait()))?;
        let Some(heard) = heard else { continue };
        part.note_taken(*heard)?;
        one_link(&me)?;
        exchanged += 1;
        if exchanged == MESSAGES {
            part.done();
        }
    }
    while !part.plays_once()
        && let Ok(Some(message)) = me.try_receive_from::<Message>(part.partner)
    {
        part.note_taken(*message)?;
    }
    part.leave(me)
}

/// What was sent to a survivor has arrived. What was sent to the victim went with it.
fn nothing_lost(stage: &Stage, run: &Run) -> Outcome {
    judge::nothing_lost_by(stage, run, &run.victims)
}
