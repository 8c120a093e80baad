//! The protocol as a machine: one step is one access to a shared word, or several of which all but one
//! cannot be told apart from accesses at the same instant (the reason is given where it is done).

use std::fmt;

use crate::explorer::Machine;
use crate::plan::{Broken, Passage, Plan};
use crate::state::{At, Entry, Fate, Life, Member, Operation, Outrage, Pass, Phase, Pump, State};
use crate::{invariants, receiver, repair, sender, symmetry};

/// Who does what.
#[derive(Clone, Copy)]
pub struct Step {
    pub member: u8,
    pub what: &'static str,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", char::from(b'A' + self.member), self.what)
    }
}

/// The steps possible in one state.
pub type Steps = Vec<(Step, State)>;

impl Machine for Plan {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        let mut state = State { deaths_left: self.deaths, ..State::default() };
        state.repair.epoch = 1;
        state.admit.epoch = 1;
        for member in &mut state.members[..usize::from(self.members())] {
            member.life = Life::Live;
        }
        state
    }

    fn steps(&self, state: &State, into: &mut Steps) {
        for member in 0..self.members() {
            let own = &state.members[usize::from(member)];
            if own.life != Life::Live {
                continue;
            }
            let mut turn = Turn { plan: self, before: state, member, into };
            if own.pump != Pump::Off {
                if repair::has_turn(turn.plan, state, member) {
                    repair::pump(&mut turn);
                }
            } else {
                if self.is_receiver(member) {
                    receiver::work(&mut turn)
                } else {
                    sender::work(&mut turn)
                }
                if own.operation != Operation::Busy {
                    repair::wake(&mut turn);
                }
            }
            if state.deaths_left > 0 && self.mortals.contains(&member) {
                turn.kill();
            }
        }
    }

    fn is_misfortune(&self, step: &Step) -> bool {
        step.what == KILLED
    }

    fn check(&self, state: &State) -> Result<(), String> {
        invariants::always(self, state)
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        invariants::at_the_end(self, state)
    }
}

pub const KILLED: &str = "is killed";

/// One member's choice of steps in one state.
pub struct Turn<'a> {
    pub plan: &'a Plan,
    pub before: &'a State,
    pub member: u8,
    into: &'a mut Steps,
}

impl Turn<'_> {
    pub fn own(&self) -> &Member {
        &self.before.members[usize::from(self.member)]
    }

    /// Adds one step: `change` says what it does to the state.
    pub fn step(&mut self, what: &'static str, change: impl FnOnce(&mut State, &mut Act)) {
        let mut after = *self.before;
        change(&mut after, &mut Act { plan: self.plan, member: self.member });
        symmetry::canonical(self.plan, &mut after);
        self.into.push((Step { member: self.member, what }, after));
    }

    fn kill(&mut self) {
        self.step(KILLED, |state, act| {
            state.deaths_left -= 1;
            if act.plan.is_receiver(act.member) {
                mark_lost(state, act.member);
            }
            let own = act.own(state);
            // An idle member that was helping nobody leaves nothing to repair and no one waiting for it.
            let idle = own.operation == Operation::Idle && own.says.value == 0;
            let harmless = idle && own.pump == Pump::Off;
            *own = Member {
                life: if harmless { Life::Buried } else { Life::Killed },
                operation: own.operation,
                cell: own.cell,
                // Its record keeps what it said of the ticket popped last.
                last: own.last,
                says: own.says,
                ..Default::default()
            };
        });
    }
}

/// The judge notes that what a dying receiver had taken is lost with it, as the contract allows.
fn mark_lost(state: &mut State, member: u8) {
    let own = state.members[usize::from(member)];
    if let Some(rest) = own.held {
        state.messages[usize::from(rest.message)].lost = true;
    }
    if let Some(entry) = own.hand {
        let taken = matches!(own.at, At::Hold | At::Count | At::Hand | At::Unsay)
            || (own.at == At::Settle && entry.turn == 0);
        state.messages[usize::from(entry.message)].lost |= taken;
    }
}

/// The member at work, inside one step.
pub struct Act<'a> {
    pub plan: &'a Plan,
    pub member: u8,
}

impl Act<'_> {
    pub fn own<'s>(&self, state: &'s mut State) -> &'s mut Member {
        &mut state.members[usize::from(self.member)]
    }

    pub fn go(&self, state: &mut State, at: At) {
        self.own(state).at = at;
    }

    /// A new operation: its number changes, so a snapshot of the one before no longer fits.
    pub fn busy(&self, state: &mut State, at: At) {
        let own = self.own(state);
        own.operation = Operation::Busy;
        own.at = at;
    }

    /// An idle point: passed, and whoever passes while a repair is under way works on it.
    ///
    /// Reading the repair word at the same instant is the earliest that the real code can read it; later
    /// it could only find more to do.
    pub fn idle(&self, state: &mut State, operation: Operation, at: At) {
        let active = state.repair_is_active();
        let scanned = self.plan.passage == Passage::Scan;
        let passing = matches!(state.repair.phase, Phase::SendersPass | Phase::MembersPass);
        let own = self.own(state);
        own.operation = operation;
        own.at = at;
        own.hand = if operation == Operation::Offering { own.hand } else { None };
        own.saw_head = false;
        if passing && (own.pass == Pass::Noted || !scanned) {
            own.pass = Pass::Passed;
        }
        if active && !self.plan.is_broken(Broken::LeaveWithoutPumping) {
            own.pump = Pump::Loop;
        }
    }

    pub fn hand(&self, state: &State) -> Entry {
        state.members[usize::from(self.member)].hand.expect("an entry in hand")
    }

    pub fn fate(&self, state: &mut State, message: u8, fate: Fate) {
        let message = &mut state.messages[usize::from(message)];
        message.fate = fate;
        if fate == Fate::TimedOut && message.seen_by != 0 {
            state.outrage = Some(Outrage::SeenAfterTimeout);
        }
    }
}
