//! Send and deliver: admission, then the entry, then (deliver) the receipt.

use crate::plan::{Broken, Grain, Kind, Plan};
use crate::protocol::{Act, Turn};
use crate::state::{At, Cell, CellState, Entry, Fate, Member, Operation, Slot, State};

pub fn work(turn: &mut Turn) {
    let Some(message) = turn.plan.programme(turn.member, turn.own().next) else { return };
    match turn.own().at {
        At::Rest => rest(turn, message),
        At::Admit => {
            turn.step(takes(turn.plan, message).0, |state, act| admit(state, act, message))
        }
        At::Place => turn.step("looks at the overflow", |state, act| {
            state.settle_overflow();
            let at = if state.overflow.is_empty() { At::Push } else { At::Claim };
            act.go(state, at);
        }),
        At::Push => turn.step(pushes(turn.own()), |state, act| {
            if state.kernel.items().len() < usize::from(act.plan.native) {
                let entry = act.hand(state);
                state.kernel.push(entry);
                act.go(state, At::Finish);
            } else {
                act.go(state, At::Claim);
            }
        }),
        At::Claim => {
            turn.step("claims a position of the overflow", |state, act| {
                state.overflow.push(Slot::Claimed(act.member));
                act.go(state, At::Publish);
            });
            // What waits takes up the byte cap: a batch stops here, a send waits and tries again.
            if turn.plan.byte_cap && turn.own().again == 0 {
                turn.step("finds the byte cap reached, counts itself gone", |state, act| {
                    if !act.plan.is_broken(Broken::KeepRefusedRoom) {
                        give_back(state, act);
                    }
                    act.own(state).again = 1;
                    over(state, act, At::Refused);
                });
            }
        }
        At::Publish => turn.step("publishes in the overflow", |state, act| {
            // The overflow knows no packets.
            let entry = act.hand(state);
            let (first, second) = entry.opened();
            let claims = state.overflow.items_mut().iter_mut();
            for slot in claims.filter(|slot| **slot == Slot::Claimed(act.member)) {
                *slot = Slot::Published(first);
            }
            act.go(state, At::Finish);
            if entry.more {
                act.fate(state, message, Fate::Completed);
                let own = act.own(state);
                own.next += 1;
                own.hand = Some(second);
                own.at = At::Claim;
            }
        }),
        At::Finish => finish(turn, message),
        At::Wait => wait(turn, message),
        At::Withdraw => turn.step("tries to withdraw", |state, act| withdraw(state, act, message)),
        At::StoreWithdrawn => turn.step("stores that it withdrew the offer", |state, act| {
            act.own(state).cell.state = CellState::Withdrawn;
            act.go(state, At::GiveBack);
        }),
        At::GiveBack => {
            if turn.plan.kind_of(message) == Kind::DeliverTimed {
                turn.step("gives room back, timed out", |state, act| {
                    give_back(state, act);
                    act.fate(state, message, Fate::TimedOut);
                    over(state, act, At::Close);
                });
            }
            if turn.own().again == 0 {
                turn.step("gives room back, offers again", |state, act| {
                    give_back(state, act);
                    act.own(state).again = 1;
                    over(state, act, At::Refused);
                });
            }
        }
        At::Refused => turn.step("closes its cell, tries again", |state, act| {
            close(state, act);
            act.idle(state, Operation::Idle, At::Rest);
        }),
        At::Close => turn.step("closes its cell", |state, act| next(state, act)),
        _ => unreachable!("a receiver's step"),
    }
}

/// Waiting for room is idle: the announcement comes before the attempt.
fn rest(turn: &mut Turn, message: u8) {
    if turn.before.room(turn.plan.capacity) <= 0 && !turn.before.admit.frozen {
        return;
    }
    if turn.plan.is_broken(Broken::SenderUnannounced) {
        return turn.step("takes a ticket unannounced", |state, act| admit(state, act, message));
    }
    if turn.plan.grain == Grain::Coarse && !turn.before.admit.frozen {
        return turn.step(takes(turn.plan, message).1, |state, act| {
            act.busy(state, At::Admit);
            admit(state, act, message);
        });
    }
    turn.step("is about to send", |state, act| act.busy(state, At::Admit));
}

/// The limit may be read long before: it only grows. Opening the cell is the owner's own write; nobody looks
/// for it before the owner has passed an idle point or pushed.
fn admit(state: &mut State, act: &Act, message: u8) {
    if state.admit.frozen || state.room(act.plan.capacity) <= 0 {
        return act.idle(state, Operation::Idle, At::Rest);
    }
    let epoch = state.admit.epoch;
    let ticket = state.admit.ticket;
    let more = act.plan.kind_of(message) == Kind::Pair && state.room(act.plan.capacity) > 1;
    state.admit.ticket += 1 + u8::from(more);
    let own = act.own(state);
    let mut turn = 0;
    if act.plan.kind_of(message).is_offer() {
        let same = act.plan.is_broken(Broken::KeepGeneration) && own.cell.turn != 0;
        turn = if same { own.cell.turn } else { own.cell.turn + 1 };
        own.cell = Cell { turn, state: CellState::Open, epoch };
    }
    own.hand = Some(Entry { message, ticket, epoch, turn, more });
    own.at = At::Place;
}

/// What it is called, by itself and with the announcement: alone, or with the next one.
fn takes(plan: &Plan, message: u8) -> (&'static str, &'static str) {
    match plan.kind_of(message) {
        Kind::Pair => {
            ("takes tickets for a packet", "announces itself, takes tickets for a packet")
        }
        _ => ("takes a ticket", "announces itself, takes a ticket"),
    }
}

fn pushes(own: &Member) -> &'static str {
    match own.hand {
        Some(entry) if entry.more => "pushes a packet into the kernel queue",
        _ => "pushes into the kernel queue",
    }
}

fn finish(turn: &mut Turn, message: u8) {
    if !turn.plan.kind_of(message).is_offer() {
        turn.step("has sent", |state, act| {
            if act.hand(state).more {
                act.fate(state, message + 1, Fate::Completed);
                act.own(state).next += 1;
            }
            complete(state, act, message, Fate::Completed)
        });
    } else {
        turn.step("waits for its receipt", |state, act| {
            act.idle(state, Operation::Offering, At::Wait)
        });
    }
}

fn wait(turn: &mut Turn, message: u8) {
    match turn.own().cell.state {
        CellState::Taken => {
            turn.step("has its receipt", |state, act| {
                act.busy(state, At::Close);
                complete(state, act, message, Fate::Completed)
            });
        }
        CellState::Lost => {
            turn.step("learns that its offer was lost, offers again", |state, act| {
                act.busy(state, At::Refused);
                over(state, act, At::Refused);
            })
        }
        _ => {}
    }
    if turn.plan.kind_of(message) == Kind::DeliverTimed {
        turn.step("is about to withdraw", |state, act| act.busy(state, At::Withdraw));
    }
}

fn withdraw(state: &mut State, act: &Act, message: u8) {
    let cell = &mut act.own(state).cell;
    match cell.state {
        CellState::Open if act.plan.is_broken(Broken::StoreWithdrawn) => {
            act.go(state, At::StoreWithdrawn);
        }
        CellState::Open => {
            cell.state = CellState::Withdrawn;
            act.go(state, At::GiveBack);
        }
        CellState::Lost => complete(state, act, message, Fate::TimedOut),
        _ => complete(state, act, message, Fate::Completed),
    }
}

fn give_back(state: &mut State, act: &Act) {
    let epoch = act.hand(state).epoch;
    state.gone[usize::from(epoch & 1)] += 1;
}

/// The sender is told, and its offer is over.
fn complete(state: &mut State, act: &Act, message: u8, fate: Fate) {
    act.fate(state, message, fate);
    over(state, act, At::Close);
}

/// What is left to do before the idle point; a cell that nobody looks for is closed with it.
fn over(state: &mut State, act: &Act, at: At) {
    if act.plan.grain == Grain::Fine {
        return act.go(state, at);
    }
    if at == At::Close {
        return next(state, act);
    }
    close(state, act);
    act.idle(state, Operation::Idle, At::Rest);
}

/// The message is done with.
fn next(state: &mut State, act: &Act) {
    close(state, act);
    let own = act.own(state);
    own.next += 1;
    own.again = 0;
    act.idle(state, Operation::Idle, At::Rest);
}

fn close(state: &mut State, act: &Act) {
    let own = act.own(state);
    own.cell = Cell { turn: own.cell.turn, ..Cell::default() };
}
