//! Casts about a mailbox that changes its owner while it is in use.

use super::judge;
use super::mailboxes::{BOX, GIVER, TAKER, WAITER, options};
use super::part::{Message, Part};
use super::stage::Mark;
use super::walk::{Cast, Lot, Role};
use nix::sys::signal::{Signal, raise};
use nix::unistd::pause;
use postbox::{Domain, MailboxError, MailboxStatus, Mechanism, Ownership, Process, Wait, fork};
use postbox_steps::{Fate, Step, arm, times};
use postbox_tests::{MECHANISMS, Outcome};
use std::collections::VecDeque;
use std::time::Duration;

const OLD: Role = Role { name: "old", partner: "new", life: old, lot: Lot::Mortal };
const NEW: Role = Role { name: "new", partner: "old", life: new, lot: Lot::Mortal };

const fn cast(sentence: &'static str, roles: &'static [Role]) -> Cast {
    Cast {
        sentence,
        roles,
        prologue: |_| Ok(()),
        judge: judge::nothing_more,
        mechanisms: &MECHANISMS,
    }
}

const fn spared(role: Role) -> Role {
    Role { lot: Lot::Spared, ..role }
}

pub const CASTS: &[Cast] = &[
    cast("a mailbox is given away", &[OLD, NEW, GIVER, TAKER]),
    // Whoever sleeps all the while looks at nothing by itself.
    cast("a mailbox nobody sends to is given away", &[spared(OLD), NEW, spared(WAITER)]),
    cast(
        "a mailbox is given to an heir who dies of it",
        &[OLD, Role { life: dying_heir, ..spared(NEW) }, WAITER],
    ),
    cast(
        "a mailbox is given by one who dies of it",
        &[Role { life: dying_giver, ..spared(OLD) }, NEW, WAITER],
    ),
    Cast {
        mechanisms: &[Mechanism::SharedMemory],
        ..cast(
            "a mailbox is offered to one who does not answer",
            &[
                Role { name: "mute", partner: "", life: mute, lot: Lot::Spared },
                Role { name: "old", partner: "mute", life: hurried, lot: Lot::Mortal },
            ],
        )
    },
    Cast {
        mechanisms: &[Mechanism::SharedMemory],
        ..cast(
            "a process gives to itself",
            &[
                spared(WAITER),
                Role { name: "twin", partner: "other-twin", life: twin, lot: Lot::Mortal },
            ],
        )
    },
];

/// How the mailbox stands, if it is there.
pub fn status(domain: &Domain) -> Result<Option<MailboxStatus>, MailboxError> {
    match domain.mailbox(BOX)?.status() {
        Ok(status) => Ok(Some(status)),
        Err(MailboxError::Absent { .. } | MailboxError::Destroyed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many mailboxes that are gone one keeps a handle of: there is a quota of message queues.
const KEPT: usize = 6;

/// Creates the mailbox, once an earlier one is gone, and gives it away.
fn old(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    // Kept for a while: a handle that is dropped would make others look round, and hide that they were
    // not told.
    let mut gone = VecDeque::new();
    while part.goes_on() {
        let jobs = match me.create_mailbox::<Message>(BOX, options(part)) {
            // The last one is just being ended by whoever has it now.
            Err(MailboxError::Exists { .. }) => {
                part.nap();
                continue;
            }
            jobs => jobs?,
        };
        let in_use = |status: MailboxStatus| status.receivers > 0;
        part.until("that it is used", || Ok(jobs.status().map(in_use)?.then_some(())))?;
        let given = part.until("that it is given", || {
            match jobs.transfer_to_with(part.partner, &part.wait()) {
                Ok(()) => Ok(Some(())),
                Err(MailboxError::NoSuchProcess { .. } | MailboxError::Cancelled) => {
                    // It has stayed, and is as good as before.
                    let stands = jobs.status()?;
                    match stands.owner.pid == std::process::id()
                        && jobs.try_send(&part.message()).is_ok_or_full()
                    {
                        true => Ok(None),
                        false => Err(format!("it was not given, and stands so: {stands:?}").into()),
                    }
                }
                Err(MailboxError::Refused { .. }) if !part.goes_on() => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        gone.push_back(jobs);
        if gone.len() > KEPT {
            gone.pop_front();
        }
        if given.is_some() {
            part.done();
        }
    }
    drop(gone);
    part.leave(me)
}

/// Whether a message was sent, or found no room.
trait OkOrFull {
    fn is_ok_or_full(&self) -> bool;
}

impl OkOrFull for Result<(), postbox::TrySendError> {
    fn is_ok_or_full(&self) -> bool {
        self.as_ref().err().is_none_or(|error| error.is_full())
    }
}

/// Becomes the owner of whatever it is given, and ends it.
pub fn new(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        if end_what_is_ours(part, &me)? {
            part.done();
        }
        part.nap();
    }
    part.leave(me)
}

/// Whether there was anything.
fn end_what_is_ours(part: &Part, me: &Process) -> Result<bool, super::part::Failure> {
    let Some(status) = status(me.domain())? else { return Ok(false) };
    if status.owner.pid != std::process::id() {
        return Ok(false);
    }
    if status.owner.name != *me.name() || status.owner.ownership != Ownership::Process {
        return Err(format!("it is another's, who is this process: {status:?}").into());
    }
    let jobs = me.open_mailbox::<Message>(BOX)?;
    // It is whole: what is sent to it can be taken from it.
    if let Err(error) = jobs.try_receive() {
        return Err(format!("what was given is not to be used: {error}").into());
    }
    part.mark(Mark::Ending)?;
    jobs.destroy()?;
    Ok(true)
}

/// A process in whose place another comes when it has died.
fn succeeded(part: &Part, life: impl Fn(&Part, Process) -> Outcome) -> Outcome {
    let mut announced = false;
    while part.goes_on() {
        let mut mortal = fork((), |()| {
            let me = part.join()?;
            if !announced {
                part.ready()?;
            }
            life(part, me)
        })?;
        announced = true;
        part.until("its death", || Ok(mortal.try_wait()?))?;
        part.mark(Mark::Ending)?;
    }
    // Whoever is next removes what the dead have left.
    part.leave(part.join()?)
}

/// Accepts what it is given, and that is its end.
fn dying_heir(part: &Part) -> Outcome {
    succeeded(part, |_, me| {
        arm(Step::OfferAccepted, 1, Fate::Dies);
        loop {
            pause();
            let _ = &me;
        }
    })
}

/// Gives its mailbox away, and dies before it has heard of that.
fn dying_giver(part: &Part) -> Outcome {
    succeeded(part, |part, me| {
        let jobs =
            part.until("a free name", || match me.create_mailbox::<Message>(BOX, options(part)) {
                Err(MailboxError::Exists { .. }) => Ok(None),
                jobs => Ok(Some(jobs?)),
            })?;
        let Some(jobs) = jobs else { return Ok(()) };
        part.until("that it is used", || {
            Ok(jobs.status().map(|status| status.receivers > 0)?.then_some(()))
        })?;
        arm(Step::RequestSent, 1, Fate::Dies);
        while part.goes_on() {
            let _ = jobs.transfer_to_with(part.partner, &part.wait());
            part.nap();
        }
        Ok(())
    })
}

/// Has joined, and answers nobody until it is told to go on.
fn mute(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    raise(Signal::SIGSTOP)?;
    part.leave(me)
}

/// Loses its patience with the heir, and keeps what it has.
fn hurried(part: &Part) -> Outcome {
    let me = part.join()?;
    let jobs = me.create_mailbox::<Message>(BOX, options(part))?;
    for _ in 0..2 {
        let given = jobs.transfer_to_with(part.partner, &Wait::timeout(Duration::from_millis(5)));
        if given.is_ok() {
            return Err("it was given to one who does not answer".into());
        }
        let status = jobs.status()?;
        if status.owner.pid != std::process::id() || !jobs.try_send(&(0, 0)).is_ok_or_full() {
            return Err(format!("it was not given, and stands so: {status:?}").into());
        }
    }
    part.mark(Mark::Ending)?;
    jobs.destroy()?;
    part.done();
    part.leave(me)
}

/// Has two names, and gives a mailbox from one to the other and back.
fn twin(part: &Part) -> Outcome {
    let me = part.join()?;
    let other = part.stage.domain()?.join(part.partner)?;
    let jobs = me.create_mailbox::<Message>(BOX, options(part))?;
    part.until("that it is used", || {
        Ok(jobs.status().map(|status| status.receivers > 0)?.then_some(()))
    })?;
    let its = other.open_mailbox::<Message>(BOX)?;
    // With ever more patience: some offers are taken back when all but the acceptance is done.
    for patience in 0..200 {
        let hurry = Wait::timeout(Duration::from_micros(20 * patience));
        if jobs.transfer_to_with(part.partner, &hurry).is_ok() {
            its.transfer_to(part.name)?;
        }
        if times(Step::SocketGivenBack) > 0 {
            break;
        }
    }
    jobs.transfer_to(part.partner)?;
    its.transfer_to(part.name)?;
    jobs.send_with(&part.message(), &part.wait())?;
    part.mark(Mark::Ending)?;
    jobs.destroy()?;
    part.done();
    drop((its, other));
    part.leave(me)
}
