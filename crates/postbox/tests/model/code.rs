//! Which line of the code each step of the model stands for.
//!
//! Kept in step by a test: every step that an exploration takes is listed here, and every line listed
//! is in the file named. Whoever changes such a line looks at the model's step, and the other way round.

use crate::explorer::{Machine, explore};
use crate::plan::Kind::{Deliver, DeliverTimed, Pair, Second, Send};
use crate::plan::{Grain, Passage, Plan, Pumping};
use crate::protocol::{KILLED, Step};
use crate::state::State;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

const KERNEL: &str = "src/channel/carry/kernel.rs";
const CARRY: &str = "src/channel/carry/mod.rs";
const PACKET: &str = "src/channel/carry/packet.rs";
const HELD: &str = "src/channel/carry/held.rs";
const OPEN: &str = "src/channel/carry/open.rs";
const DELIVERY: &str = "src/channel/sender/delivery.rs";
const SPOOL: &str = "src/channel/spool.rs";
const REAP: &str = "src/channel/reap.rs";
const END: &str = "src/channel/end.rs";
const REPAIR: &str = "src/channel/repair.rs";
const DEBT: &str = "../postbox-ring/src/admission/debt.rs";

/// Step of the model, file, line of the code.
const LINES: &[(&str, &str, &str)] = &[
    // Send: `Channel::push_entry`, then, of an offer, `Sender::await_receipt`.
    ("is about to send", CARRY, "member.begin();"),
    ("takes a ticket", KERNEL, "admission.admit(self.window, &outbox.limit)"),
    ("announces itself, takes a ticket", KERNEL, "admission.admit(self.window, &outbox.limit)"),
    (
        "takes tickets for a packet",
        PACKET,
        "admission.admit_many(self.window, &outbox.limit, most as u64)",
    ),
    (
        "announces itself, takes tickets for a packet",
        PACKET,
        "admission.admit_many(self.window, &outbox.limit, most as u64)",
    ),
    ("pushes a packet into the kernel queue", PACKET, "match queue.push(packet) {"),
    ("looks at the overflow", KERNEL, "if self.overflow.is_empty() {"),
    ("pushes into the kernel queue", KERNEL, "match queue.push(entry) {"),
    (
        "claims a position of the overflow",
        SPOOL,
        "self.0.claim(memory, member, PREFIX + entry.len())",
    ),
    ("publishes in the overflow", SPOOL, "self.0.log.publish(run, 0)"),
    (
        "finds the byte cap reached, counts itself gone",
        KERNEL,
        "self.not_sent(end, ticket.epoch, 1);",
    ),
    ("has sent", CARRY, "member.end(if offering { Doing::Offering } else { Doing::Idle });"),
    (
        "waits for its receipt",
        CARRY,
        "member.end(if offering { Doing::Offering } else { Doing::Idle });",
    ),
    ("has its receipt", DELIVERY, "Standing::Taken(taker) => Ok(Some(Outcome::Taken(taker))),"),
    (
        "learns that its offer was lost, offers again",
        DELIVERY,
        "Standing::Declined | Standing::Lost => Ok(Some(Outcome::Again)),",
    ),
    ("is about to withdraw", DELIVERY, "member.begin();"),
    ("tries to withdraw", DELIVERY, "if block.withdraw_offer(offer) {"),
    ("gives room back, timed out", DELIVERY, "channel.withdrawn(&self.end, pushed);"),
    ("gives room back, offers again", DELIVERY, "channel.withdrawn(&self.end, pushed);"),
    ("closes its cell", DELIVERY, "block.close_cell(offer);"),
    ("closes its cell, tries again", DELIVERY, "channel.block.close_cell(cell);"),
    // Receive: `Channel::pop_entry`.
    ("is about to receive", KERNEL, "member.begin();"),
    ("looks at the overflow's head", KERNEL, "let head = self.overflow.first()?;"),
    ("announces itself, sees the overflow's head", KERNEL, "let head = self.overflow.first()?;"),
    (
        "pops from the kernel queue",
        KERNEL,
        "let popped = if cleared { None } else { queue.pop(buffer)? };",
    ),
    ("announces itself, pops from the kernel queue", KERNEL, "match queue.pop(buffer)? {"),
    ("takes the overflow's head", KERNEL, "self.overflow.take_if(head, end.seat.index)"),
    ("says that it holds a packet", HELD, "end.says_it_holds(rest.held());"),
    ("takes what it holds, counts it gone", HELD, "self.many_gone(end, rest.epoch.into(), count);"),
    ("says that it holds less", HELD, "end.says_it_holds(rest.held());"),
    ("settles what it popped", OPEN, "match self.block.claim(engagement.turn(), offer, taker) {"),
    ("counts the message as gone", OPEN, "self.gone(end, envelope.epoch.into());"),
    ("is idle, the application sees the message", KERNEL, "member.end(Doing::Idle);"),
    // After a death: `Channel::bury`.
    ("notices a death", REAP, "self.block.mark_dead(member, status)"),
    ("reports the death", REAP, "self.block.report_death();"),
    ("buries the dead", REAP, "self.block.bury_offers(index);"),
    // Repair: `ControlBlock::pump`.
    ("looks after the repair", END, "self.channel.mend();"),
    ("leaves the repair", REPAIR, "if !moved {"),
    ("repair: begins", REPAIR, "admission.advance(repair, Phase::Flip);"),
    ("repair: reads counts and ticket", DEBT, "let admit = self.so_far();"),
    ("repair: writes the debt", DEBT, "self.debt.compare_exchange(seen, note.0, AcqRel, Acquire)"),
    (
        "repair: steps the epoch",
        DEBT,
        "self.admit.compare_exchange(admit.0, next.0, AcqRel, Acquire)",
    ),
    ("repair: finds the epoch stepped", REPAIR, "admission.advance(repair, Phase::SendersPass)"),
    ("repair: all have passed", REPAIR, "self.all_passed(repair) && {"),
    ("repair: has seen all pass", REPAIR, "self.all_passed(repair) && {"),
    ("repair: looks whether one has passed", REPAIR, "has_passed(member, passage)"),
    ("repair: reads the ticket", DEBT, "self.admit.fetch_add(0, AcqRel)"),
    ("repair: sets the mark", DEBT, "self.mark.compare_exchange(noted.0, note.0, AcqRel, Acquire)"),
    ("repair: waits for the drain", REPAIR, "admission.advance(repair, Phase::Drain);"),
    ("repair: finds the mark passed", REPAIR, "self.popped_past_mark(epoch)"),
    ("repair: sees the kernel queue empty", REAP, "queue.is_empty() && self.overflow.is_empty()"),
    ("repair: looks at the overflow", REAP, "queue.is_empty() && self.overflow.is_empty()"),
    ("repair: declares an offer lost", REAP, "self.block.lose_offers(epoch)"),
    ("repair: leaves no offer open", REPAIR, "admission.advance(repair, Phase::MembersPass)"),
    ("repair: looks whether any is held", REPAIR, "self.all_passed(repair) && !held(epoch) && {"),
    ("repair: gives the leak back", REPAIR, "admission.give_back(repair)"),
];

/// Notes which steps were taken.
struct Noting {
    plan: Plan,
    taken: RefCell<BTreeSet<&'static str>>,
}

impl Machine for Noting {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        self.plan.start()
    }
    fn steps(&self, state: &State, into: &mut Vec<(Step, State)>) {
        self.plan.steps(state, into);
        self.taken.borrow_mut().extend(into.iter().map(|(step, _)| step.what));
    }
    fn is_misfortune(&self, step: &Step) -> bool {
        self.plan.is_misfortune(step)
    }
    fn check(&self, state: &State) -> Result<(), String> {
        self.plan.check(state)
    }
    fn check_end(&self, state: &State) -> Result<(), String> {
        self.plan.check_end(state)
    }
}

pub fn check() {
    let mut taken = BTreeSet::from([KILLED]);
    let coarse = Plan { capacity: 2, byte_cap: true, deaths: 1, ..crate::NARROW };
    let fine = Plan { grain: Grain::Fine, pumping: Pumping::AnyTime, ..coarse };
    let scanned = Plan { passage: Passage::Scan, pumping: Pumping::WhenWoken, ..fine };
    for plan in [
        Plan { messages: &[(crate::A, Send), (crate::A, Deliver)], ..coarse },
        Plan { messages: &[(crate::A, DeliverTimed)], ..fine },
        Plan { messages: &[(crate::A, Send), (crate::A, Send)], receivers: 1, ..scanned },
        Plan { messages: &[(crate::A, Pair), (crate::A, Second)], native: 1, ..fine },
        Plan { messages: &[(crate::A, Pair), (crate::A, Second)], ..coarse },
        // Somebody is popped past the mark while others still wait.
        Plan { capacity: 1, byte_cap: false, ..crate::FUNNEL },
    ] {
        let noting = Noting { plan, taken: RefCell::default() };
        if let Some(violation) = explore(&noting).violation {
            panic!("{plan:?}\n{violation}");
        }
        taken.extend(noting.taken.into_inner());
    }
    let lines: BTreeMap<_, _> =
        LINES.iter().map(|(step, file, line)| (*step, (file, line))).collect();
    let listed: BTreeSet<_> = lines.keys().copied().chain([KILLED]).collect();
    assert_eq!(taken, listed, "steps taken, and steps listed here");
    for (step, (file, line)) in lines {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(line), "\"{step}\" stands for `{line}`, which is not in {file}");
    }
}
