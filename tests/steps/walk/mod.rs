//! The walk over channels: every step, on every mechanism, in every role.
//!
//! ```text
//!  a play on a mechanism ── once without a death ──► how often its victim comes to each step
//!        └── once for each of those steps ──► the victim dies there, or stops and goes on
//! ```
//!
//! After each the survivors go on, and everything that the contract promises is looked at: see
//! [`stage`]. By default the victim dies at its first time at each step and stops at some of them;
//! `POSTBOX_WALK=all` has it die and stop at the first, the second and the last time everywhere, and
//! `POSTBOX_WALK=SlotTaken` is for one step alone.

mod batching;
mod burying;
mod floor;
mod loans;
mod meeting;
mod member;
mod passing;
mod receiving;
mod sending;
mod sleeping;
mod stage;
mod standing;
mod widening;

use postbox::Mechanism;
use postbox_steps::{Fate, Step};
use postbox_tests::{Case, Chance, MECHANISMS, Outcome};
use stage::{Doom, Scene, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// What happens on the stage; the victim's part is played by [`Stage::victim`].
#[derive(Clone, Copy)]
pub struct Play {
    pub name: &'static str,
    pub on: &'static [Mechanism],
    pub act: fn(&Stage) -> Outcome,
}

impl Play {
    /// On every mechanism.
    pub const fn new(name: &'static str, act: fn(&Stage) -> Outcome) -> Self {
        Play { name, on: &MECHANISMS, act }
    }

    /// On some.
    pub const fn only(
        on: &'static [Mechanism],
        name: &'static str,
        act: fn(&Stage) -> Outcome,
    ) -> Self {
        Play { name, on, act }
    }
}

/// The mechanisms that are kernel objects.
pub const KERNEL: &[Mechanism] = &[Mechanism::Pipe, Mechanism::Socket, Mechanism::MessageQueue];

fn plays() -> Vec<Play> {
    [
        sending::PLAYS,
        batching::PLAYS,
        receiving::PLAYS,
        loans::PLAYS,
        meeting::PLAYS,
        sleeping::PLAYS,
        burying::PLAYS,
        floor::PLAYS,
        passing::PLAYS,
    ]
    .concat()
}

/// Those whose rings may be left to the two that use them first.
fn plays_for_two() -> Vec<Play> {
    [
        sending::PLAYS,
        batching::PLAYS,
        receiving::PLAYS,
        loans::PLAYS,
        meeting::PLAYS,
        passing::PLAYS,
        widening::PLAYS,
    ]
    .concat()
}

const FOR_TWO: Scene = Scene { mechanism: Mechanism::SharedMemory, for_two: true };

/// Each play, everywhere where it is performed.
fn performances() -> impl Iterator<Item = (Play, Scene)> {
    let on_each = plays()
        .into_iter()
        .flat_map(|play| play.on.iter().map(move |mechanism| (play, Scene::of(*mechanism))));
    let for_two = plays_for_two().into_iter().map(|play| (play, FOR_TWO));
    let for_two = for_two.filter(|(play, _)| play.on.contains(&FOR_TWO.mechanism));
    on_each.chain(for_two)
}

/// The walk over the steps of channels.
pub fn cases() -> Vec<Case> {
    let walks = performances().map(|(play, scene)| {
        Case::new(format!("{scene}::{}", play.name), move || walk(play, scene))
    });
    let reached = MECHANISMS.into_iter().map(|mechanism| {
        Case::new(format!("{mechanism}::every step of a channel is come by"), move || {
            every_step_is_reached(mechanism)
        })
    });
    walks.chain(reached).collect()
}

/// How much of the walk is walked.
enum Extent {
    /// Every step once.
    Steps,
    /// Every step the first, the second and the last time.
    All,
    /// One step, as far as in `All`.
    One(Step),
}

impl Extent {
    fn asked() -> Result<Self, String> {
        match std::env::var("POSTBOX_WALK").as_deref() {
            Err(_) => Ok(Extent::Steps),
            Ok("all") => Ok(Extent::All),
            Ok(step) => step.parse().map(Extent::One),
        }
    }
}

/// How often a deterministic play may miss its step before that is taken for a miss.
const TRIES: usize = 3;

fn walk(play: Play, scene: Scene) -> Outcome {
    let extent = Extent::asked()?;
    let mut chance = Chance::new();
    let reached = record(play, scene)?;
    let (mut walked, mut missed) = (0, BTreeSet::new());
    let mut at = BTreeSet::new();
    for (step, times) in reached {
        let (whens, stops): (Vec<u64>, bool) = match extent {
            Extent::Steps => (vec![1], chance.once_in(4)),
            Extent::One(only) if only != step => continue,
            Extent::All | Extent::One(_) => {
                (BTreeSet::from([1, times.min(2), times]).into_iter().collect(), true)
            }
        };
        for when in whens {
            for fate in [Fate::Dies, Fate::Stops] {
                if fate == Fate::Stops && !stops {
                    continue;
                }
                let doom = Doom { step, when, fate };
                println!("{doom:?}");
                let met = (0..TRIES).try_fold(false, |met, _| match met {
                    true => Ok(true),
                    false => Stage::new(scene, Some(doom))?.perform(play),
                });
                match met.map_err(|error| format!("{doom:?}: {error}"))? {
                    true => {
                        walked += 1;
                        at.insert(step);
                    }
                    false => {
                        missed.insert(format!("{step}/{when}"));
                    }
                }
            }
        }
    }
    stage::tally(&format!("{scene}::{}", play.name), walked, at.len(), &missed)?;
    Ok(())
}

/// How often the victim comes to each step when it lives.
fn record(play: Play, scene: Scene) -> Result<BTreeMap<Step, u64>, Box<dyn std::error::Error>> {
    let stage = Stage::new(scene, None)?;
    stage.perform(play)?;
    let times = stage.times()?;
    Ok(times
        .into_iter()
        .filter(|(step, times)| *times > 0 && Step::channels().contains(step))
        .collect())
}

/// Whether only rings have it.
fn is_of_slots(step: Step) -> bool {
    (Step::SlotClaimed..=Step::Widened).contains(&step) || step == Step::SlotsBuried
}

/// Those that no play on that mechanism can come to, and why.
fn out_of_reach(step: Step, mechanism: Mechanism) -> bool {
    use Step as S;
    let of_tickets = (S::TicketTaken..=S::EntryPoppedBeforeOverflow).contains(&step)
        || (S::MessageCopied..=S::OperationBegun).contains(&step)
        || step == S::DeathReported
        || (S::RepairBegun..=S::RoomGivenBack).contains(&step);
    match mechanism {
        Mechanism::SharedMemory => of_tickets,
        _ => is_of_slots(step),
    }
}

fn every_step_is_reached(mechanism: Mechanism) -> Outcome {
    let mut missing: BTreeSet<Step> =
        Step::channels().iter().copied().filter(|step| !out_of_reach(*step, mechanism)).collect();
    // What depends on who is first may take another time.
    for _ in 0..TRIES {
        for (play, scene) in performances().filter(|(_, scene)| scene.mechanism == mechanism) {
            let reached = record(play, scene).map_err(|error| format!("{}: {error}", play.name))?;
            missing.retain(|step| !reached.contains_key(step));
        }
        if missing.is_empty() {
            return Ok(());
        }
    }
    Err(format!("no play comes to {missing:?}").into())
}
