//! What must be true of every run, and of the messages of some.

use super::part::Failure;
use super::stage::{Mark, Stage};
use super::walk::Run;
use postbox_tests::{Entry, Outcome};
use std::collections::HashSet;
use std::time::Duration;

/// How soon everybody who waits is told.
const TOLD: Duration = Duration::from_millis(200);

/// Nothing was taken twice or out of order, everybody was told in time, and nothing is left.
pub fn of_all(stage: &Stage, run: &Run) -> Outcome {
    stage.taken.in_order_and_nothing_twice()?;
    told_in_time(stage, run)?;
    match stage.leftovers()? {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left behind: {left:?}").into()),
    }
}

/// Whoever was told that something is over was told so within the time after its end, or after it
/// began to wait. (Who is never told does not come to its end either.)
fn told_in_time(stage: &Stage, run: &Run) -> Outcome {
    let moments = stage.moments()?;
    let endings = moments.iter().filter(|moment| moment.mark == Mark::Ending);
    let causes: Vec<Duration> = endings.map(|ending| ending.at).chain(run.death).collect();
    for told in moments.iter().filter(|moment| moment.mark == Mark::Told) {
        let began = told.at - told.waited;
        let bound = TOLD + run.late;
        let in_time = causes.iter().any(|cause| {
            let since = (*cause).max(began);
            told.at.abs_diff(since) <= bound
        });
        if !in_time {
            return Err(format!("{} was told late: {told:?}", told.by).into());
        }
    }
    Ok(())
}

/// Nothing else: there are no messages, or they go with what they are in.
pub fn nothing_more(_: &Stage, _: &Run) -> Outcome {
    Ok(())
}

fn messages(entries: Vec<Entry>) -> HashSet<(u32, u64)> {
    entries.into_iter().map(|entry| (entry.sender, entry.seq)).collect()
}

/// What was lost and what came unasked for, by whom it was sent.
struct Difference {
    lost: Vec<(u32, u64)>,
    unasked: Vec<(u32, u64)>,
}

fn difference(stage: &Stage) -> Result<Difference, Failure> {
    let (sent, taken) = (messages(stage.sent.entries()?), messages(stage.taken.entries()?));
    Ok(Difference {
        lost: sent.difference(&taken).copied().collect(),
        unasked: taken.difference(&sent).copied().collect(),
    })
}

/// For messages that survive their sender and their receiver: nothing is lost but what the dead had
/// in its hands, and what comes unasked for is what the dead had no time to write down.
pub fn nothing_lost(stage: &Stage, run: &Run) -> Outcome {
    let Difference { lost, unasked } = difference(stage)?;
    written_by_the_dead(run, &unasked)?;
    if lost.len() > usize::from(run.death.is_some()) {
        return Err(format!("lost: {lost:?}").into());
    }
    nothing_lost_by(stage, run, &run.victims)
}

/// As [`nothing_lost`], for what those processes sent: nothing of theirs is lost at all.
pub fn nothing_lost_by(stage: &Stage, run: &Run, senders: &[u32]) -> Outcome {
    let Difference { lost, unasked } = difference(stage)?;
    written_by_the_dead(run, &unasked)?;
    match lost.into_iter().find(|(sender, _)| senders.contains(sender)) {
        None => Ok(()),
        Some(lost) => Err(format!("lost: {lost:?}").into()),
    }
}

/// What was taken and not written down by its sender: at most one message of the dead.
fn written_by_the_dead(run: &Run, unasked: &[(u32, u64)]) -> Outcome {
    let by_the_dead = |(sender, _): &(u32, u64)| run.death.is_some() && *sender == run.victims[0];
    match unasked.len() <= usize::from(run.death.is_some()) && unasked.iter().all(by_the_dead) {
        true => Ok(()),
        false => Err(format!("taken and not sent: {unasked:?}").into()),
    }
}
