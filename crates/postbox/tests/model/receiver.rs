//! Receive: pop, settle the offer's cell, count, and only then show the message to the application.

use crate::plan::{Broken, Grain, Plan};
use crate::protocol::{Act, Turn};
use crate::state::{At, CellState, Fate, Operation, Outrage, Phase, Slot, State, Tagged};

pub fn work(turn: &mut Turn) {
    match turn.own().at {
        At::Rest => rest(turn),
        At::Look => turn.step("looks at the overflow's head", |state, act| {
            look(state, act);
            act.go(state, At::Pop);
        }),
        At::Pop => turn.step("pops from the kernel queue", pop),
        At::TakeHead => turn.step("takes the overflow's head", |state, act| {
            if act.plan.is_broken(Broken::ClearLate) {
                act.own(state).cleared = state.overflow.items().len() as u8;
            }
            if !act.own(state).saw_head {
                return act.idle(state, Operation::Idle, At::Rest);
            }
            if let Some(Slot::Published(entry)) = state.drop_head() {
                act.own(state).hand = Some(entry);
                act.go(state, At::Settle);
            }
        }),
        At::Hold => turn.step("says that it holds a packet", |state, act| {
            let own = act.own(state);
            let epoch = own.held.map_or(0, |rest| rest.epoch);
            own.says = Tagged { epoch, value: 2 };
            own.at = At::Settle;
        }),
        At::Unsay => turn.step("says that it holds less", |state, act| {
            if act.plan.is_broken(Broken::SayLessFirst) {
                count(state, act);
            } else {
                say_less(state, act);
            }
            show(state, act);
            act.idle(state, Operation::Idle, At::Rest);
        }),
        At::Settle => turn.step("settles what it popped", settle),
        At::StoreTaken => turn.step("stores that it took the offer", |state, act| {
            let sender = act.plan.sender_of(act.hand(state).message);
            state.members[sender].cell.state = CellState::Taken;
            act.go(state, At::Count);
        }),
        At::Count => turn.step("counts the message as gone", |state, act| {
            count(state, act);
            // Nobody looks at its record before it has passed an idle point.
            if act.own(state).held.is_some() {
                say_less(state, act);
            }
            if act.plan.grain == Grain::Coarse {
                show(state, act);
                act.idle(state, Operation::Idle, At::Rest);
            } else {
                act.go(state, At::Hand);
            }
        }),
        At::Hand => turn.step("is idle, the application sees the message", |state, act| {
            show(state, act);
            act.idle(state, Operation::Idle, At::Rest);
        }),
        _ => unreachable!("a sender's step"),
    }
}

fn count(state: &mut State, act: &Act) {
    let epoch = act.hand(state).epoch;
    state.gone[usize::from(epoch & 1)] += 1;
}

fn say_less(state: &mut State, act: &Act) {
    let own = act.own(state);
    own.says.value -= 1;
    if own.says.value == 0 {
        own.says = Tagged::default();
    }
}

/// Nothing to take: it waits, idle. What it holds it takes without a word: its record says enough.
fn rest(turn: &mut Turn) {
    if turn.own().held.is_some() {
        return turn.step("takes what it holds, counts it gone", |state, act| {
            let own = act.own(state);
            own.hand = own.held.take();
            own.at = At::Unsay;
            if act.plan.is_broken(Broken::SayLessFirst) {
                say_less(state, act);
            } else {
                count(state, act);
            }
        });
    }
    let mut view = *turn.before;
    view.settle_overflow();
    if view.kernel.is_empty() && !matches!(view.overflow.items().first(), Some(Slot::Published(_)))
    {
        return;
    }
    if turn.plan.is_broken(Broken::ReceiverUnannounced) {
        return turn.step("looks at the overflow's head unannounced", |state, act| {
            look(state, act);
            act.go(state, At::Pop);
        });
    }
    if turn.plan.grain == Grain::Fine {
        return turn.step("is about to receive", |state, act| act.busy(state, At::Look));
    }
    let cleared =
        turn.own().cleared > 0 && matches!(view.overflow.items().first(), Some(Slot::Published(_)));
    if !turn.before.kernel.is_empty() && !cleared {
        return turn.step("announces itself, pops from the kernel queue", |state, act| {
            act.busy(state, At::Pop);
            pop(state, act);
        });
    }
    turn.step("announces itself, sees the overflow's head", |state, act| {
        act.busy(state, At::Pop);
        look(state, act);
    });
}

fn look(state: &mut State, act: &mut Act) {
    state.settle_overflow();
    let claims = state.overflow.items();
    let (claimed, saw_head) =
        (claims.len() as u8, matches!(claims.first(), Some(Slot::Published(_))));
    let own = act.own(state);
    (own.claimed, own.saw_head) = (claimed, saw_head);
}

fn pop(state: &mut State, act: &mut Act) {
    let own = act.own(state);
    let cleared = own.cleared > 0 || act.plan.is_broken(Broken::TakeHeadBlindly);
    if own.saw_head && cleared {
        return act.go(state, At::TakeHead);
    }
    if state.kernel.is_empty() {
        let own = act.own(state);
        own.cleared = own.claimed;
    }
    if let Some(entry) = state.kernel.pop() {
        let own = act.own(state);
        let (first, second) = entry.opened();
        own.hand = Some(first);
        own.saw_head = false;
        if entry.more {
            own.held = Some(second);
            return act.go(state, At::Hold);
        }
        act.go(state, At::Settle);
        if act.plan.grain == Grain::Coarse && entry.turn == 0 && !keeps_tickets(act.plan, state) {
            act.go(state, At::Count);
        }
    } else if act.own(state).saw_head {
        act.go(state, At::TakeHead);
    } else {
        act.idle(state, Operation::Idle, At::Rest);
    }
}

/// The ticket is published right after the pop. Before the mark is set nobody can use it: the mark will be
/// read later and be greater. So it is kept only from then on.
fn settle(state: &mut State, act: &mut Act) {
    let entry = act.hand(state);
    let marked = keeps_tickets(act.plan, state);
    let own = act.own(state);
    if marked {
        own.last = own.held.map_or(entry.ticket, |rest| rest.ticket);
    }
    own.at = At::Count;
    if entry.turn == 0 {
        return;
    }
    let cell = &mut state.members[act.plan.sender_of(entry.message)].cell;
    if (cell.turn, cell.state) == (entry.turn, CellState::Open) {
        if act.plan.is_broken(Broken::StoreTaken) {
            return act.go(state, At::StoreTaken);
        }
        cell.state = CellState::Taken;
    } else {
        if act.plan.is_broken(Broken::CountCorpses) {
            state.gone[usize::from(entry.epoch & 1)] += 1;
        }
        act.idle(state, Operation::Idle, At::Rest);
    }
}

fn keeps_tickets(plan: &Plan, state: &State) -> bool {
    let early = plan.is_broken(Broken::SkipMark) && state.repair.phase == Phase::SendersPass;
    matches!(state.repair.phase, Phase::Mark | Phase::Drain) || early
}

/// The judge compares with what the applications saw before.
fn show(state: &mut State, act: &Act) {
    let seen = act.hand(state).message;
    let message = &mut state.messages[usize::from(seen)];
    if message.seen_by != 0 {
        state.outrage = Some(Outrage::SeenTwice);
    }
    if message.fate == Fate::TimedOut {
        state.outrage = Some(Outrage::SeenAfterTimeout);
    }
    message.seen_by = act.member + 1;
    let sender = act.plan.sender_of(seen);
    for later in usize::from(seen) + 1..act.plan.messages.len() {
        let same = act.plan.sender_of(later as u8) == sender;
        if same && state.messages[later].seen_by == act.member + 1 {
            state.outrage = Some(Outrage::OutOfOrder);
        }
    }
}
