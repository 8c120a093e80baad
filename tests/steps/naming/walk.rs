//! The walk: a run in which the victim comes to the end of its part says which steps it came to. Then
//! there is a run for each of them, in which it meets its fate exactly there.
//!
//! ```text
//!  survivors ── join, wait ──────────────────────────────────────────────┬─ finale ─► leave
//!  victim              ── plays its part, dies at the step ──► †         │
//!  the same once more                       joins at once, plays it all ─┘
//! ```

use super::judge;
use super::part::{Failure, Part, Task};
use super::stage::{Mark, Stage, Yardstick, now};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use postbox::{Child, Mechanism, fork};
use postbox_steps::{Fate, Step, arm, forget};
use postbox_tests::{Outcome, PATIENCE, descriptors};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// One of the processes of a cast.
#[derive(Clone, Copy)]
pub struct Role {
    pub name: &'static str,
    /// With whom it has to do, where that is one.
    pub partner: &'static str,
    pub life: fn(&Part) -> Outcome,
    pub lot: Lot,
}

/// What may become of a role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lot {
    /// It is the victim of some runs.
    Mortal,
    /// It never is.
    Spared,
}

/// Processes that play together.
pub struct Cast {
    pub sentence: &'static str,
    /// In the order in which they begin; they end in the opposite one.
    pub roles: &'static [Role],
    /// What is done before the victim begins.
    pub prologue: fn(&Stage) -> Outcome,
    /// What is to be true of the messages.
    pub judge: fn(&Stage, &Run) -> Outcome,
    /// Over which mechanisms it is played.
    pub mechanisms: &'static [Mechanism],
}

/// One run of a cast.
#[derive(Debug)]
pub struct Run {
    pub victim: &'static str,
    /// The victim's process, and the one that did the same once more.
    pub victims: [u32; 2],
    /// When the victim died.
    pub death: Option<Duration>,
    /// How late the machine was meanwhile.
    pub late: Duration,
}

/// How often a run is tried in which the victim does not come by as often as it did before.
const TRIES: u32 = 3;

/// Walks one victim of a cast.
pub fn walk(cast: &'static Cast, victim: &'static Role, mechanism: Mechanism) -> Outcome {
    let yardstick = Yardstick::new()?;
    let runs = itinerary(cast, victim, mechanism, &yardstick)?;
    let mut missed = Vec::new();
    for &(step, hit, fate) in &runs {
        println!("{:?}: {} meets {fate:?} at {step}, time {hit}", now(), victim.name);
        let play = || play(cast, victim, mechanism, Some((step, hit, fate)), &yardstick);
        let mut met = false;
        for _ in 0..TRIES {
            met = met || play()?.is_some();
        }
        if !met {
            missed.push((step, hit));
        }
    }
    // To some steps one comes only where another has not been quicker.
    match missed.len() * 4 > runs.len() {
        true => Err(format!("{} does not come any more to {missed:?}", victim.name).into()),
        false => Ok(()),
    }
}

/// The steps that a victim comes to.
pub fn steps(
    cast: &'static Cast,
    victim: &'static Role,
    mechanism: Mechanism,
    yardstick: &Yardstick,
) -> Result<Vec<(Step, u64)>, Failure> {
    let counted = play(cast, victim, mechanism, None, yardstick)?;
    counted.ok_or_else(|| "a run without a fate has no end".into())
}

/// What is to be walked: what shows the most in the time of a test; with `POSTBOX_WALK=all` everything,
/// and with the name of a step that one.
fn itinerary(
    cast: &'static Cast,
    victim: &'static Role,
    mechanism: Mechanism,
    yardstick: &Yardstick,
) -> Result<Vec<(Step, u64, Fate)>, Failure> {
    let wanted = std::env::var("POSTBOX_WALK").unwrap_or_default();
    let one: Option<Step> = wanted.parse().ok();
    let all = wanted == "all" || one.is_some();
    let main = mechanism == Mechanism::SharedMemory;
    let mut runs = Vec::new();
    for (step, count) in steps(cast, victim, mechanism, yardstick)? {
        if one.is_some_and(|one| one != step) {
            continue;
        }
        // Names know no mechanism: over one they are walked in every cast, and stopped at in their own.
        let of_names = step < Step::Joined;
        if all || main || !of_names {
            runs.push((step, 1, Fate::Dies));
        }
        if count > 1 && (all || main) {
            runs.push((step, count, Fate::Dies));
        }
        if all || main && (!of_names || cast.mechanisms.len() == 1) {
            runs.push((step, 1, Fate::Stops));
        }
    }
    Ok(runs)
}

/// One run. Without a fate: how often the victim came to which step. With one: none if the victim did
/// not meet it.
fn play(
    cast: &'static Cast,
    victim: &'static Role,
    mechanism: Mechanism,
    fate: Option<(Step, u64, Fate)>,
    yardstick: &Yardstick,
) -> Result<Option<Vec<(Step, u64)>>, Failure> {
    let stage = Stage::new(mechanism)?;
    let late = yardstick.late()?;
    let mut survivors = Vec::new();
    for role in cast.roles.iter().filter(|role| role.name != victim.name) {
        survivors.push(start(&stage, *role, Task::UntilFinale, None)?);
        stage.ready.pass()?;
    }
    (cast.prologue)(&stage)?;
    let mut first = start(&stage, *victim, Task::Once, fate)?;
    let (met, death) = meet(&stage, victim, &mut first, fate)?;
    let counted = if fate.is_none() { stage.counted()? } else { Vec::new() };
    let second = start(&stage, *victim, Task::Once, None)?;
    let victims = [first.pid(), second.pid()];
    second.wait()?;
    while let Some(survivor) = survivors.pop() {
        // One that is stopped goes on to hear of it.
        for signal in [nix::libc::SIGUSR1, nix::libc::SIGCONT] {
            survivor.signal(signal)?;
        }
        survivor.wait()?;
    }
    let late = yardstick.late()? - late;
    let run = Run { victim: victim.name, victims, death, late };
    let judged = judge::of_all(&stage, &run).and_then(|()| (cast.judge)(&stage, &run));
    judged.map_err(|error| format!("{error}, in {run:?}"))?;
    Ok(met.then_some(counted))
}

/// A process that plays a role.
fn start(
    stage: &Stage,
    role: Role,
    task: Task,
    fate: Option<(Step, u64, Fate)>,
) -> Result<Child, postbox::ForkError> {
    fork((), move |()| {
        let part = Part::begin(stage, role.name, role.partner, task)?;
        let before = descriptors();
        forget();
        if let Some((step, hit, fate)) = fate {
            arm(step, hit, fate);
        }
        (role.life)(&part).map_err(|error| format!("{}: {error}", role.name))?;
        if task == Task::Once {
            stage.count_steps()?;
        }
        // A keeper's thread may still be telling somebody that it gives nothing away any more.
        let deadline = now() + PATIENCE;
        while descriptors() != before {
            if now() > deadline {
                return Err(format!("{} leaked: {:?}", role.name, descriptors()).into());
            }
            part.nap();
        }
        Ok(())
    })
}

/// Waits until the victim has met its fate, or is through without; when it died.
fn meet(
    stage: &Stage,
    victim: &Role,
    child: &mut Child,
    fate: Option<(Step, u64, Fate)>,
) -> Result<(bool, Option<Duration>), Failure> {
    let pid = Pid::from_raw(child.pid() as i32);
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT;
    let mut met = fate.is_none();
    loop {
        match waitid(Id::Pid(pid), flags)? {
            WaitStatus::Stopped(..) => {
                met = true;
                robbed_by_nobody(stage, victim, child.pid())?;
                child.signal(nix::libc::SIGCONT)?;
                // Taken note of: it is not reported again.
                while let Ok(WaitStatus::Stopped(..)) =
                    waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG)
                {
                }
            }
            _ => {
                let death = now();
                let status = child.wait_status()?;
                return match (status.signal(), fate) {
                    (Some(nix::libc::SIGKILL), Some((_, _, Fate::Dies))) => Ok((true, Some(death))),
                    (None, _) if status.success() => Ok((met, None)),
                    _ => Err(format!("{}: {status}", victim.name).into()),
                };
            }
        }
    }
}

/// While the victim is stopped nobody gets its name, if it has that.
fn robbed_by_nobody(stage: &Stage, victim: &Role, pid: u32) -> Outcome {
    let moments = stage.moments()?;
    let of_victim = |mark| moments.iter().filter(|m| m.by == pid && m.mark == mark).count();
    if of_victim(Mark::Named) == of_victim(Mark::Leaving) {
        return Ok(());
    }
    let name = victim.name;
    let thief = fork((), move |()| match stage.domain()?.join(name) {
        Err(postbox::JoinError::Taken { pid: holder, .. }) if holder == pid => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(format!("the name of {name} was stolen while it was stopped").into()),
    })?;
    Ok(thief.wait()?)
}
