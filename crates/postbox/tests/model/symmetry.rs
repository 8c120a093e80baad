//! States that nothing can tell apart are one state.

use crate::plan::{Passage, Plan};
use crate::state::{Phase, State};

pub fn canonical(plan: &Plan, state: &mut State) {
    forget_receivers(plan, state);
    if state.repair.phase == Phase::Idle {
        fold_counts(state);
    }
    if plan.receivers == 2 && plan.passage == Passage::Oracle {
        swap_receivers(plan, state);
    }
}

/// Which receiver saw a message matters as long as an earlier one of the same sender may still be seen.
fn forget_receivers(plan: &Plan, state: &mut State) {
    for message in 0..plan.messages.len() {
        let own = plan.sender_of(message as u8);
        let before = (0..message).filter(|earlier| plan.sender_of(*earlier as u8) == own);
        let settled = before.into_iter().all(|earlier| state.messages[earlier].seen_by != 0);
        if settled && state.messages[message].seen_by != 0 {
            state.messages[message].seen_by = u8::MAX;
        }
    }
}

/// Between repairs the counts of closed epochs are final: as good as returned. Old debts and marks carry an
/// older epoch, so their amounts mean nothing.
fn fold_counts(state: &mut State) {
    let closed = usize::from(!state.repair.epoch & 1);
    state.repair.returned = state.repair.returned.wrapping_add(state.gone[closed]);
    state.gone[closed] = 0;
    state.debt.value = 0;
    state.mark.value = 0;
}

/// The receivers run the same programme: the state with their places swapped has the same future.
fn swap_receivers(plan: &Plan, state: &mut State) {
    let (one, two) = (usize::from(plan.senders), usize::from(plan.senders) + 1);
    let mortal = |member: usize| plan.mortals.contains(&(member as u8));
    if mortal(one) == mortal(two) && state.members[two] < state.members[one] {
        state.members.swap(one, two);
        for message in &mut state.messages {
            message.seen_by = match usize::from(message.seen_by) {
                seen if seen == one + 1 => two as u8 + 1,
                seen if seen == two + 1 => one as u8 + 1,
                _ => message.seen_by,
            };
        }
    }
}
