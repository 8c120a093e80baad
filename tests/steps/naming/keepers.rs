//! Casts about keepers, what they keep, and the rights to it.

use super::judge;
use super::mailboxes::{BOX, WAITER, options};
use super::owners::{new, status};
use super::part::{Failure, Message, Part};
use super::stage::{Mark, now};
use super::walk::{Cast, Lot, Role};
use postbox::{
    Access, Existing, Keeper, KeeperError, Mailbox, MailboxError, MailboxOptions, Ownership,
    Process, WhenIdle,
};
use postbox_tests::{MECHANISMS, Outcome};
use std::time::Duration;

const KEEPER: Role = Role { name: Keeper::NAME, partner: "", life: keeper, lot: Lot::Mortal };
const HEIR: Role = Role { name: "heir", partner: "", life: new, lot: Lot::Mortal };

const fn cast(sentence: &'static str, roles: &'static [Role]) -> Cast {
    Cast {
        sentence,
        roles,
        prologue: |_| Ok(()),
        judge: judge::nothing_more,
        mechanisms: &MECHANISMS,
    }
}

pub const CASTS: &[Cast] = &[
    cast(
        "a keeper creates for others and gives away",
        &[
            KEEPER,
            HEIR,
            Role { name: "creator", partner: "heir", life: creator, lot: Lot::Mortal },
            WAITER,
        ],
    ),
    cast(
        "a keeper takes over",
        &[
            KEEPER,
            Role { name: "old", partner: Keeper::NAME, life: old, lot: Lot::Mortal },
            Role { lot: Lot::Spared, ..WAITER },
        ],
    ),
    cast(
        "a right is given and taken",
        &[
            Role { life: keeper_of_rights, ..KEEPER },
            Role { name: "clerk", partner: "guest", life: clerk, lot: Lot::Mortal },
            Role { name: "guest", partner: "clerk", life: guest, lot: Lot::Mortal },
        ],
    ),
];

/// Keeps what there is to be kept; as the victim until it has had something and has nothing more.
fn keeper(part: &Part) -> Outcome {
    let when_idle = match part.plays_once() {
        true => WhenIdle::End(Duration::ZERO),
        false => WhenIdle::Stay,
    };
    let keeper = Keeper::start(&part.stage.domain()?, when_idle)?;
    part.mark(Mark::Named)?;
    part.ready()?;
    match keeper.run(&part.wait()) {
        Ok(()) | Err(KeeperError::Cancelled) => {}
        Err(error) => return Err(error.into()),
    }
    part.mark(Mark::Ending)?;
    part.mark(Mark::Leaving)?;
    drop(keeper);
    part.done();
    Ok(())
}

/// Keeps what there is to be kept; as the victim until a right was given and taken.
fn keeper_of_rights(part: &Part) -> Outcome {
    let keeper = Keeper::start(&part.stage.domain()?, WhenIdle::Stay)?;
    part.mark(Mark::Named)?;
    part.ready()?;
    let before = refusals(part);
    part.until("that a right is taken", || {
        let taken = part.plays_once() && refusals(part) >= before + 3;
        Ok(taken.then_some(()))
    })?;
    part.mark(Mark::Ending)?;
    part.mark(Mark::Leaving)?;
    drop(keeper);
    part.done();
    Ok(())
}

/// Whether an error means that the keeper, or what it kept, has just gone.
fn has_gone(error: &MailboxError) -> bool {
    error.is_no_keeper() || error.is_absent() || error.is_destroyed() || error.is_taken()
}

/// What a call came to that needs a keeper; nothing where it has gone.
fn kept<R>(part: &Part, result: Result<R, MailboxError>) -> Result<Option<R>, Failure> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(MailboxError::Cancelled) => Ok(None),
        Err(error) if has_gone(&error) => {
            part.nap();
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", part.name).into()),
    }
}

/// Has the keeper create a mailbox, and give it away.
fn creator(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        let options = options(part).owner(Ownership::Keeper).existing(Existing::OpenOrCreate);
        let Some(jobs) = kept(part, me.create_mailbox::<Message>(BOX, options))? else { continue };
        let gave = part.until("that it is given", || given(part, &jobs))?;
        if gave == Some(true) {
            part.done();
        }
    }
    part.leave(me)
}

/// Whether it was given away, or has gone; nothing if it is to be tried again.
fn given(part: &Part, jobs: &Mailbox<Message>) -> Result<Option<bool>, Failure> {
    match jobs.transfer_to_with(part.partner, &part.wait()) {
        Ok(()) => Ok(Some(true)),
        // The heir has just left or has not come yet; or the keeper has gone, be it after it gave.
        Err(MailboxError::NoSuchProcess { .. } | MailboxError::Cancelled) => Ok(None),
        Err(MailboxError::Refused { .. }) if !part.goes_on() => Ok(None),
        Err(MailboxError::NotOwner { .. }) => Ok(Some(true)),
        Err(error) if has_gone(&error) => Ok(Some(false)),
        Err(error) => Err(error.into()),
    }
}

/// Creates a mailbox of its own, gives it to the keeper and ends it there.
fn old(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        if let Some(status) = status(me.domain())? {
            // What an earlier one has left to the keeper, whole: no right is needed to end it.
            if status.owner.name.as_str() == Keeper::NAME {
                part.mark(Mark::Ending)?;
                kept(part, me.domain().mailbox(BOX)?.destroy())?;
            }
        }
        let created = me.create_mailbox::<Message>(BOX, options(part));
        let Some(jobs) = kept(part, created)? else { continue };
        let given = part.until("that it is given", || given(part, &jobs))?;
        let Some(true) = given else { continue };
        part.mark(Mark::Ending)?;
        if kept(part, me.domain().mailbox(BOX)?.destroy())?.is_some() {
            part.done();
        }
    }
    part.leave(me)
}

/// Lets the guest in and shuts it out again.
fn clerk(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        if let Some(jobs) = kept(part, open_or_create(part, &me))?
            && let Some(()) = kept(part, let_in_and_out(part, &jobs))?
        {
            part.done();
        }
    }
    part.leave(me)
}

fn open_or_create(part: &Part, me: &Process) -> Result<Mailbox<Message>, MailboxError> {
    let options: MailboxOptions = options(part).receivers(Access::Listed(Vec::new()));
    let options = options.owner(Ownership::Keeper).existing(Existing::OpenOrCreate);
    me.create_mailbox(BOX, options)
}

/// How often the guest was refused so far.
fn refusals(part: &Part) -> usize {
    let moments = part.stage.moments().unwrap_or_default();
    moments.iter().filter(|moment| moment.mark == Mark::Denied).count()
}

fn let_in_and_out(part: &Part, jobs: &Mailbox<Message>) -> Result<(), MailboxError> {
    // As one who died at any step has left it: either the guest is in or it is not.
    stands_whole(part, jobs)?;
    jobs.grant_receive(part.partner)?;
    stands_whole(part, jobs)?;
    let (before, start) = (refusals(part), now());
    jobs.revoke_receive(part.partner)?;
    // One that waited is told.
    while part.goes_on() && refusals(part) == before {
        assert!(now() - start < postbox_tests::PATIENCE, "a receive went on without its right");
        part.nap();
    }
    stands_whole(part, jobs)
}

/// The guest waits in a receive where the table says that it may, and is refused where it may not.
fn stands_whole(part: &Part, jobs: &Mailbox<Message>) -> Result<(), MailboxError> {
    let (before, start) = (refusals(part), now());
    while part.goes_on() {
        let status = jobs.status()?;
        let granted = status.may_receive.granted();
        assert!(granted.iter().all(|grant| grant.name.as_str() == part.partner), "{status:?}");
        let stands = match granted.len() {
            0 => refusals(part) > before,
            1 => status.receivers == 1,
            _ => panic!("it was granted twice: {status:?}"),
        };
        if stands {
            break;
        }
        assert!(now() - start < postbox_tests::PATIENCE, "{status:?}");
        part.nap();
    }
    Ok(())
}

/// Receives for as long as it may, again and again.
fn guest(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    let mut let_in = 0;
    while part.goes_on() {
        let Some(jobs) = super::mailboxes::open(part, &me)? else { continue };
        while part.goes_on() {
            let before = now();
            let refused = refusals(part);
            part.over(|| jobs.receive_with(&part.wait()))?;
            if refusals(part) == refused {
                break;
            }
            // A refusal of one that had waited: it had been let in.
            let_in += u32::from(now() - before > Duration::from_millis(2));
            if let_in == 2 {
                part.done();
            }
        }
    }
    part.leave(me)
}
