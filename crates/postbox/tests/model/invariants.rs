//! What must hold: in every state, and where nothing moves any more.

use crate::plan::Plan;
use crate::state::{At, CellState, Entry, Fate, Life, Member, Phase, Slot, State};

pub fn always(plan: &Plan, state: &State) -> Result<(), String> {
    if let Some(outrage) = state.outrage {
        return Err(format!("{outrage:?}"));
    }
    let inside = inside(plan, state);
    if inside > plan.capacity {
        return Err(format!("{inside} messages in a channel of capacity {}", plan.capacity));
    }
    let room = state.room(plan.capacity);
    if room > plan.capacity as i8 - inside as i8 {
        return Err(format!(
            "room for {room} beside {inside} messages at capacity {}",
            plan.capacity
        ));
    }
    if room < 0 {
        return Err(format!("room is {room}: given back less than nothing"));
    }
    let stale = |owner: usize| {
        let cell = state.members[owner].cell;
        cell.state == CellState::Open && cell.epoch < state.repair.epoch
    };
    if (0..state.members.len()).any(stale) && plan.broken.is_none() {
        return Err("an offer of a closed epoch is still open".into());
    }
    Ok(())
}

/// Messages in the channel: admitted, and not yet counted, withdrawn, lost, or gone down with a process.
fn inside(plan: &Plan, state: &State) -> u8 {
    let live = |entry: &Entry| {
        let cell = state.members[plan.sender_of(entry.message)].cell;
        entry.turn == 0 || (cell.turn, cell.state) == (entry.turn, CellState::Open)
    };
    let entries = state.kernel.items().iter().filter(|entry| live(entry));
    let kernel: u8 = entries.map(|entry| entry.count()).sum();
    let published = state.overflow.items().iter();
    let published =
        published.filter(|slot| matches!(slot, Slot::Published(entry) if live(entry))).count();
    let in_hand = state.members.iter().filter_map(|member| {
        let entry = member.hand?;
        let counts = match member.at {
            At::Place | At::Push | At::Claim | At::Publish | At::Hold | At::Count => true,
            At::Settle | At::StoreTaken => live(&entry),
            _ => false,
        };
        counts.then_some(entry.count())
    });
    let held = state.members.iter().filter(|member| member.held.is_some()).count();
    kernel + published as u8 + in_hand.sum::<u8>() + held as u8
}

pub fn at_the_end(plan: &Plan, state: &State) -> Result<(), String> {
    let members = &state.members[..usize::from(plan.members())];
    let lives = |member: &&Member| member.life == Life::Live;
    if members.iter().filter(lives).count() == 0 {
        return Ok(());
    }
    if members
        .iter()
        .any(|member| matches!(member.life, Life::Killed | Life::Dead | Life::Reported))
    {
        return Err("a death that nobody accounts for".into());
    }
    let empty = state.kernel.is_empty() && state.overflow.is_empty();
    if members[usize::from(plan.senders)..].iter().filter(lives).count() == 0 {
        if empty && state.repair_is_active() {
            return Err("nothing in the channel and the repair stands still".into());
        }
        return Ok(());
    }
    if !state.kernel.is_empty()
        || state.overflow.items().iter().any(|slot| matches!(slot, Slot::Published(_)))
    {
        return Err("a message that nobody receives".into());
    }
    if state.repair.phase != Phase::Idle || state.repair_is_active() {
        return Err("the repair stands still".into());
    }
    if state.room(plan.capacity) != plan.capacity as i8 {
        return Err(format!(
            "room for {} at rest, capacity {}",
            state.room(plan.capacity),
            plan.capacity
        ));
    }
    for (number, member) in (0..plan.senders).zip(members) {
        if member.life == Life::Live && plan.programme(number, member.next).is_some() {
            return Err(format!("{} waits for ever", char::from(b'A' + number)));
        }
    }
    if members.iter().any(|member| member.cell.state != CellState::Free) {
        return Err("a cell in use although nobody offers anything".into());
    }
    for (number, message) in state.messages[..plan.messages.len()].iter().enumerate() {
        if message.fate == Fate::Completed && message.seen_by == 0 && !message.lost {
            return Err(format!("message {number} was sent and is nowhere"));
        }
    }
    Ok(())
}
