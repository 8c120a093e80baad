//! Repair of room: a death leaks tickets, and whoever is idle gives them back together.
//!
//! ```text
//! bury     record Live -> Dead; due := max(due, admit.epoch); offers Open -> Withdrawn, cells and record free
//! Idle     due >= e: CAS (Idle, e) -> (Flip, e)
//! Flip     debt := (e, t - gone[other parity] - returned) by CAS, then CAS admit (e, t) -> (e + 1, t)
//! SendersPass   every live member passed an idle point: no entry of epoch e is pushed any more
//! Mark     mark := (e, ticket) by CAS
//! Drain    kernel queue seen empty and overflow seen empty, or an entry with ticket >= mark was popped:
//!          no entry of epoch e is in the channel; offers of epoch e that are still open are lost: CAS each
//! MembersPass   every live member passed an idle point, and none says that it holds any of epoch e: every
//!          count of epoch e is made, or died with its maker
//! Apply    CAS (Apply, e, r) -> (Idle, e + 1, r + debt - gone[parity of e])
//! ```
//!
//! A step that reads and then changes only the repair word is one step here: had the word changed in
//! between, the CAS would fail. What is written elsewhere keeps what it read and may come late.

use crate::plan::{Broken, Flip, Passage, Plan, Pumping};
use crate::protocol::{Act, Turn};
use crate::state::{
    Admit, At, Cell, CellState, Life, Member, Operation, Pass, Phase, Pump, State, Tagged,
};

/// An idle member notices a death, or looks after the repair on its own account.
pub fn wake(turn: &mut Turn) {
    if !matches!(turn.own().at, At::Rest | At::Wait) {
        return;
    }
    if turn.before.members.iter().any(|member| member.life == Life::Killed) {
        turn.step("notices a death", |state, act| {
            record_death(state);
            let alone = act.plan.is_broken(Broken::BuryAlone);
            act.own(state).pump = if alone { Pump::Bury } else { Pump::Loop };
        });
    } else if turn.plan.pumping == Pumping::AnyTime
        && turn.before.repair_is_active()
        && moves(turn.plan, turn.before)
    {
        turn.step("looks after the repair", |state, act| act.own(state).pump = Pump::Loop);
    }
}

/// At most `pumpers` work at a time; whoever has begun goes on.
pub fn has_turn(plan: &Plan, state: &State, member: u8) -> bool {
    let begun = |pump: Pump| !matches!(pump, Pump::Off | Pump::Loop);
    let own = begun(state.members[usize::from(member)].pump);
    let others =
        state.members.iter().filter(|other| other.life == Life::Live && begun(other.pump)).count();
    own || others < usize::from(plan.pumpers)
}

pub fn pump(turn: &mut Turn) {
    match turn.own().pump {
        Pump::Off => {}
        Pump::Loop => next(turn),
        Pump::Bury => turn.step("reports the death", |state, act| {
            report(state, act.plan);
            act.own(state).pump = Pump::Loop;
        }),
        Pump::Debt { seen, new, ticket } => turn.step("repair: writes the debt", |state, act| {
            if state.debt == seen || act.plan.is_broken(Broken::StoreDebt) {
                state.debt = new;
            }
            let wrote = state.debt == new;
            act.own(state).pump =
                if wrote { Pump::Turn { epoch: new.epoch, ticket } } else { Pump::Loop };
        }),
        Pump::Turn { epoch, ticket } => turn.step("repair: steps the epoch", |state, act| {
            let torn = act.plan.is_broken(Broken::TornFlip) && state.admit.epoch == epoch;
            let frozen = act.plan.flip == Flip::Frozen;
            let admit = &mut state.admit;
            if torn || (admit.epoch, admit.ticket, admit.frozen) == (epoch, ticket, frozen) {
                *admit = Admit { epoch: epoch + 1, ticket: admit.ticket, frozen: false };
                if act.plan.is_broken(Broken::SkipMark) {
                    state.mark = Tagged { epoch, value: ticket };
                }
            }
            act.own(state).pump = Pump::Loop;
        }),
        Pump::Scan { phase, epoch, member } => scan(turn, phase, epoch, member),
        Pump::Mark { seen, new } => turn.step("repair: sets the mark", |state, act| {
            if state.mark == seen {
                state.mark = new;
            }
            act.own(state).pump = Pump::Loop;
        }),
        Pump::SeeOverflow { epoch } => turn.step("repair: looks at the overflow", |state, act| {
            state.settle_overflow();
            act.own(state).pump =
                if state.overflow.is_empty() { Pump::Lose { epoch } } else { Pump::Off };
        }),
        Pump::Lose { epoch } => lose(turn, epoch),
        Pump::SeeHeld { epoch } => turn.step("repair: looks whether any is held", |state, act| {
            let held = state.is_held(epoch);
            if !held && (state.repair.phase, state.repair.epoch) == (Phase::MembersPass, epoch) {
                move_to(state, act.plan, Phase::Apply);
            }
            act.own(state).pump = if held { Pump::Off } else { Pump::Loop };
        }),
        Pump::Move { epoch, returned } => turn.step("repair: is done", |state, act| {
            if (state.repair.phase, state.repair.epoch, state.repair.returned)
                == (Phase::Apply, epoch, returned)
            {
                move_to(state, act.plan, Phase::Idle);
                state.repair.epoch += 1;
            }
            act.own(state).pump = Pump::Loop;
        }),
    }
}

/// The first thing to do, as the words stand.
fn next(turn: &mut Turn) {
    let (plan, before) = (turn.plan, turn.before);
    let epoch = before.repair.epoch;
    if before.members.iter().any(|member| member.life == Life::Killed) {
        return turn.step("notices a death", |state, _| record_death(state));
    }
    if before.members.iter().any(|member| member.life == Life::Dead)
        && !plan.is_broken(Broken::BuryAlone)
    {
        return turn.step("reports the death", |state, _| report(state, plan));
    }
    if before.members.iter().any(|member| member.life == Life::Reported) {
        return turn.step("buries the dead", |state, _| bury(state, plan));
    }
    if !moves(plan, before) {
        return turn.step("leaves the repair", |state, act| act.own(state).pump = Pump::Off);
    }
    match before.repair.phase {
        Phase::Idle => turn.step("repair: begins", |state, _| move_to(state, plan, Phase::Flip)),
        Phase::Flip => flip(turn, epoch),
        phase @ (Phase::SendersPass | Phase::MembersPass) if plan.passage == Passage::Scan => {
            scan(turn, phase, epoch, 0);
        }
        Phase::SendersPass | Phase::MembersPass => {
            turn.step("repair: all have passed", |state, act| have_passed(state, act, epoch));
        }
        Phase::Mark if before.mark.epoch == epoch => {
            turn.step("repair: waits for the drain", |state, _| move_to(state, plan, Phase::Drain));
        }
        Phase::Mark => turn.step("repair: reads the ticket", |state, act| {
            let new = Tagged { epoch, value: state.admit.ticket };
            act.own(state).pump = Pump::Mark { seen: state.mark, new };
        }),
        Phase::Drain if plan.is_broken(Broken::SkipDrain) || is_beyond_mark(before) => {
            turn.step("repair: finds the mark passed", |state, act| {
                act.own(state).pump = Pump::Lose { epoch }
            });
        }
        Phase::Drain => turn.step("repair: sees the kernel queue empty", |state, act| {
            act.own(state).pump = Pump::SeeOverflow { epoch };
        }),
        Phase::Apply => turn.step("repair: gives the leak back", |state, act| {
            give_back(state, act, epoch);
        }),
    }
}

/// Whether `next` would do more than leave. An open scan finds out by itself.
fn moves(plan: &Plan, state: &State) -> bool {
    match state.repair.phase {
        Phase::Idle => state.repair_is_active(),
        Phase::SendersPass => plan.passage == Passage::Scan || all_passed(state),
        Phase::MembersPass => {
            let held = state.is_held(state.repair.epoch) && !plan.is_broken(Broken::GiveBackHeld);
            !held && (plan.passage == Passage::Scan || all_passed(state))
        }
        Phase::Drain => {
            state.kernel.is_empty() || is_beyond_mark(state) || plan.is_broken(Broken::SkipDrain)
        }
        Phase::Flip | Phase::Mark | Phase::Apply => true,
    }
}

fn record_death(state: &mut State) {
    if let Some(member) = state.members.iter_mut().find(|member| member.life == Life::Killed) {
        member.life = Life::Dead;
    }
}

/// All that the dead did, it did in epochs up to the present one. The epoch is read after the death.
fn report(state: &mut State, plan: &Plan) {
    let epoch = if plan.is_broken(Broken::ForgetLateDeaths) {
        state.repair.epoch
    } else {
        state.admit.epoch
    };
    if let Some(member) = state.members.iter_mut().find(|member| member.life == Life::Dead) {
        let holds = member.says.value > 0 && !plan.is_broken(Broken::HolderIdle);
        if member.operation != Operation::Idle || holds {
            state.due = state.due.max(epoch);
        }
        member.life = Life::Reported;
    }
}

/// An offer of the dead that is still open is withdrawn and not counted: the repair finds its room. The
/// cell and the record are free then.
fn bury(state: &mut State, plan: &Plan) {
    if let Some(member) = state.members.iter_mut().find(|member| member.life == Life::Reported) {
        member.life = Life::Buried;
        member.operation = Operation::Idle;
        member.says = Tagged::default();
        member.pass = Pass::Unknown;
        if !plan.is_broken(Broken::LeaveCellsOfTheDead) {
            member.cell = Cell { turn: member.cell.turn, ..Cell::default() };
        }
    }
}

/// Of the other parity only epochs up to e - 1 are counted before the flip, and those are final since the
/// last repair. So the debt read before the flip is exact, provided the admission word is read last.
fn flip(turn: &mut Turn, epoch: u8) {
    let plan = turn.plan;
    let admit = turn.before.admit;
    if admit.epoch != epoch {
        return turn.step("repair: finds the epoch stepped", |state, _| {
            let skip = plan.is_broken(Broken::SkipSendersPass);
            move_to(state, plan, if skip { Phase::Mark } else { Phase::SendersPass });
        });
    }
    if plan.flip == Flip::Frozen && !admit.frozen {
        return turn.step("repair: freezes admission", |state, _| state.admit.frozen = true);
    }
    turn.step("repair: reads counts and ticket", |state, act| {
        let seen = state.debt;
        let accounted = state.gone[usize::from(!epoch & 1)] + state.repair.returned;
        let accounted =
            if plan.is_broken(Broken::OneCounter) { state.repair.returned } else { accounted };
        let new = Tagged { epoch, value: admit.ticket.wrapping_sub(accounted) };
        let written = seen == new || (plan.flip == Flip::Frozen && seen.epoch == epoch);
        let ticket = admit.ticket;
        act.own(state).pump =
            if written { Pump::Turn { epoch, ticket } } else { Pump::Debt { seen, new, ticket } };
    });
}

/// Looks at one member; the snapshot is taken of an operation that began before or in this phase, so any
/// other operation's number proves an idle point since.
fn scan(turn: &mut Turn, phase: Phase, epoch: u8, member: u8) {
    if member == turn.plan.members() {
        return turn.step("repair: has seen all pass", |state, act| {
            if (state.repair.phase, state.repair.epoch) == (phase, epoch) {
                have_passed(state, act, epoch);
            } else {
                act.own(state).pump = Pump::Loop;
            }
        });
    }
    turn.step("repair: looks whether one has passed", |state, act| {
        let current = (state.repair.phase, state.repair.epoch) == (phase, epoch);
        let other = &mut state.members[usize::from(member)];
        let passed = !stands(other) || (current && other.pass == Pass::Passed);
        if !passed && current {
            other.pass = Pass::Noted;
        }
        act.own(state).pump = match (passed, current) {
            (true, _) => Pump::Scan { phase, epoch, member: member + 1 },
            (false, true) => Pump::Off,
            (false, false) => Pump::Loop,
        };
    });
}

/// In the middle of an operation, for all that anyone knows.
fn stands(member: &Member) -> bool {
    matches!(member.life, Life::Live | Life::Killed) && member.operation == Operation::Busy
}

fn all_passed(state: &State) -> bool {
    state.members.iter().all(|member| !stands(member) || member.pass == Pass::Passed)
}

fn have_passed(state: &mut State, act: &Act, epoch: u8) {
    let late = act.plan.is_broken(Broken::LoseOffersLate);
    act.own(state).pump = Pump::Loop;
    match state.repair.phase {
        Phase::SendersPass if act.plan.is_broken(Broken::SkipMark) => {
            move_to(state, act.plan, Phase::Drain)
        }
        Phase::SendersPass => move_to(state, act.plan, Phase::Mark),
        _ if late => act.own(state).pump = Pump::Lose { epoch },
        _ if act.plan.is_broken(Broken::GiveBackHeld) => move_to(state, act.plan, Phase::Apply),
        _ => act.own(state).pump = Pump::SeeHeld { epoch },
    }
}

fn is_beyond_mark(state: &State) -> bool {
    let marked = state.mark.epoch == state.repair.epoch;
    let popped = |member: &Member| member.last > 0;
    marked && state.members.iter().any(|member| popped(member) && member.last >= state.mark.value)
}

/// Offers of this epoch that are open although their entries are gone were popped by the dead, or are about
/// to be settled: either way the sender offers again.
fn lose(turn: &mut Turn, epoch: u8) {
    let plan = turn.plan;
    let late = plan.is_broken(Broken::LoseOffersLate);
    let open = |state: &State| {
        let mut cells = state.members.iter().map(|member| member.cell);
        cells.position(|cell| cell.state == CellState::Open && cell.epoch == epoch)
    };
    let spare = plan.is_broken(Broken::LeaveOffersOpen)
        || (late && turn.before.repair.phase == Phase::Drain && turn.before.repair.epoch == epoch);
    if !spare && open(turn.before).is_some() {
        return turn.step("repair: declares an offer lost", |state, _| {
            let owner = open(state).expect("an open offer");
            state.members[owner].cell.state = CellState::Lost;
        });
    }
    turn.step("repair: leaves no offer open", |state, act| {
        if state.repair.epoch == epoch {
            match state.repair.phase {
                Phase::Drain if plan.is_broken(Broken::SkipMembersPass) => {
                    move_to(state, plan, Phase::Apply)
                }
                Phase::Drain => move_to(state, plan, Phase::MembersPass),
                Phase::MembersPass if late => move_to(state, plan, Phase::Apply),
                _ => {}
            }
        }
        act.own(state).pump = Pump::Loop;
    });
}

fn give_back(state: &mut State, act: &Act, epoch: u8) {
    let mut leaked = state.debt.value.wrapping_sub(state.gone[usize::from(epoch & 1)]);
    if act.plan.is_broken(Broken::OneCounter) {
        leaked = leaked.wrapping_sub(state.gone[usize::from(!epoch & 1)]);
    }
    state.repair.returned = state.repair.returned.wrapping_add(leaked);
    if act.plan.is_broken(Broken::GiveBackThenMove) {
        act.own(state).pump = Pump::Move { epoch, returned: state.repair.returned };
    } else {
        move_to(state, act.plan, Phase::Idle);
        state.repair.epoch += 1;
    }
}

/// Old snapshots and tickets mean nothing in another phase; the real ones carry the phase's number.
fn move_to(state: &mut State, plan: &Plan, phase: Phase) {
    state.repair.phase = phase;
    let passing = matches!(phase, Phase::SendersPass | Phase::MembersPass);
    for member in &mut state.members {
        let oracle = passing && plan.passage == Passage::Oracle && member.life == Life::Live;
        let passed = oracle && member.operation != Operation::Busy;
        member.pass = if passed { Pass::Passed } else { Pass::Unknown };
        if phase != Phase::Drain {
            member.last = 0;
        }
    }
}
