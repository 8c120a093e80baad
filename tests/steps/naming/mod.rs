//! The naming layer's steps: names, links, mailboxes, owners, keepers, and a death at each.
//!
//! In reading order: `stage` (where a run takes place), `part` (one process of it), `walk` (all runs of
//! a victim), `judge` (what must be true of each), then the casts: `names`, `links`, `mailboxes`,
//! `owners`, `keepers`.

mod judge;
mod keepers;
mod links;
mod mailboxes;
mod names;
mod owners;
mod part;
mod stage;
mod walk;

use nix::sys::wait::waitpid;
use postbox::Mechanism;
use postbox_steps::Step;
use postbox_tests::{Case, Outcome};
use std::collections::HashSet;
use walk::{Cast, Lot};

fn casts() -> impl Iterator<Item = &'static Cast> {
    [names::CASTS, links::CASTS, mailboxes::CASTS, owners::CASTS, keepers::CASTS]
        .into_iter()
        .flatten()
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("naming::somebody comes to every step", every_step)];
    for cast in casts() {
        for victim in cast.roles.iter().filter(|role| role.lot == Lot::Mortal) {
            for &mechanism in cast.mechanisms {
                let name = format!("naming::{mechanism}::{}::{}", cast.sentence, victim.name);
                cases.push(Case::new(name, move || walk::walk(cast, victim, mechanism)));
            }
        }
    }
    cases
}

/// A step that nobody comes to is walked by nobody.
fn every_step() -> Outcome {
    let yardstick = stage::Yardstick::new()?;
    let mut seen = HashSet::new();
    for cast in casts() {
        // Where there is a ring, there is more to come to.
        let has_ring = cast.mechanisms.contains(&Mechanism::SharedMemory);
        let mechanism = if has_ring { Mechanism::SharedMemory } else { cast.mechanisms[0] };
        for victim in cast.roles.iter().filter(|role| role.lot == Lot::Mortal) {
            println!("{}: {}", cast.sentence, victim.name);
            let steps = walk::steps(cast, victim, mechanism, &yardstick)?;
            seen.extend(steps.into_iter().map(|(step, _)| step));
        }
    }
    drop(yardstick);
    let _ = waitpid(None, None);
    let unseen: Vec<_> = Step::naming().iter().filter(|step| !seen.contains(step)).collect();
    match unseen[..] {
        [] => Ok(()),
        _ => Err(format!("nobody comes to {unseen:?}").into()),
    }
}
