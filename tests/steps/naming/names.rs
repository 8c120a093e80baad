//! Casts about names alone: joining, looking, leaving, and what the dead leave.

use super::judge::nothing_more;
use super::part::{Failure, Part};
use super::stage::Stage;
use super::walk::{Cast, Lot, Role};
use nix::unistd::pause;
use postbox::{Mechanism, fork};
use postbox_steps::{Fate, Step, arm};
use postbox_tests::{Gate, Outcome};
use std::os::unix::process::ExitStatusExt;

/// Names know no mechanism.
const ONE: &[Mechanism] = &[Mechanism::SharedMemory];

pub const CASTS: &[Cast] = &[
    Cast {
        sentence: "alone",
        roles: &[Role { name: "loner", partner: "", life: visitor, lot: Lot::Mortal }],
        prologue: |_| Ok(()),
        judge: nothing_more,
        mechanisms: ONE,
    },
    Cast {
        sentence: "among others and the leavings of the dead",
        roles: &[
            Role { name: "resident", partner: "", life: resident, lot: Lot::Spared },
            Role { name: "newcomer", partner: "resident", life: visitor, lot: Lot::Mortal },
        ],
        prologue: ghosts,
        judge: nothing_more,
        mechanisms: ONE,
    },
];

/// Joins, looks round and leaves.
fn visitor(part: &Part) -> Outcome {
    let me = part.join()?;
    let there = part.stage.domain()?.processes()?;
    let names: Vec<&str> = there.iter().map(|entry| entry.name().as_str()).collect();
    for name in [part.name, part.partner].into_iter().filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            return Err(format!("{name} is not among {names:?}").into());
        }
    }
    if !part.partner.is_empty() {
        me.domain().links_of(part.partner)?;
        match me.domain().join(part.partner) {
            Err(postbox::JoinError::Taken { .. }) => {}
            other => return Err(format!("a live name was to be had: {other:?}").into()),
        }
    }
    part.done();
    part.leave(me)
}

/// Is there, and sees to it that it always seems so.
fn resident(part: &Part) -> Outcome {
    let me = part.join()?;
    part.ready()?;
    while part.goes_on() {
        let there = me.domain().processes()?;
        if !there.iter().any(|entry| entry.name() == me.name()) {
            return Err("the resident is not among the processes".into());
        }
        part.nap();
    }
    part.leave(me)
}

/// What the dead leave: a socket with a name, one under a temporary name, and half of a domain.
fn ghosts(stage: &Stage) -> Outcome {
    let there = Gate::new()?;
    let mut joined = fork((), |()| {
        let _me = stage.domain()?.join("ghost")?;
        there.open()?;
        loop {
            pause();
        }
    })?;
    there.pass()?;
    for (step, domain) in [(Step::SocketBound, "lab"), (Step::DomainAside, "other")] {
        let mut dying = fork((), |()| {
            arm(step, 1, Fate::Dies);
            stage.domain_named(domain)?.join("spectre")?;
            Ok(())
        })?;
        killed(dying.wait_status()?)?;
    }
    joined.signal(nix::libc::SIGKILL)?;
    killed(joined.wait_status()?)
}

fn killed(status: std::process::ExitStatus) -> Result<(), Failure> {
    match status.signal() {
        Some(nix::libc::SIGKILL) => Ok(()),
        _ => Err(format!("it was to be killed: {status}").into()),
    }
}
