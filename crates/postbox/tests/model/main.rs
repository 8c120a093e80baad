//! Admission, receipts and repair, explored exhaustively as a small model.
//!
//! Two senders and two receivers, a handful of messages and up to two deaths at any step, also of those who
//! repair: every interleaving of accesses to the shared words is visited. Held against each state: no more
//! messages than the capacity and never more room than is left; no message seen twice, out of its sender's
//! order, or after its sender was told that it timed out. Held against each state in which nothing moves: no
//! message of a finished send is missing unless a receiver died with it, no live sender waits, every cell is
//! free, the repair is over and the room is exact. And such a state stays within reach from everywhere: nobody
//! waits for ever, and nobody runs in circles.
//!
//! A model that cannot fail proves nothing: the second half takes the safeguards away one by one, and each
//! time a violation must be found.
//!
//! **Modelled**, each access to a shared word by itself (`Grain::Fine`) or several that nobody can tell apart
//! together (`Grain::Coarse`): tickets and epochs; the kernel object, which holds `native` entries; the overflow
//! behind it, its claims and its order; entries that find the byte cap reached after they were admitted; offers,
//! their receipts and their withdrawal by a sender that times out, or by one that takes its offer back and
//! offers again; the drop of corpses; death of any member between any two steps, of a repairer and of the one
//! that takes its place; who notices, reports and buries it; the repair, by any number of helpers, late ones
//! too. A batch is its messages one by one, or two of them in a packet, whose second is held by whoever opens it.
//!
//! **Not modelled**: shared memory as a mechanism (loom explores its slots, and it has no repair); bodies that
//! lie elsewhere; capacity zero with its engagements, so nothing is declined or committed; joining and passing
//! on of ends; the table of cells (here each sender has a cell of its own: who claims which is explored by loom
//! in `postbox-ring/tests/loom_receipts.rs`); the order of memory accesses (loom's as well: here an access is
//! seen by all at once); sleeping and waking (`loom_sleepers.rs`: here whoever could go on does, sooner or
//! later); wrapping of counters.
//!
//! Which line of the code a step stands for is listed in `code`, and a test holds the list against the steps
//! and the files. Where the two differ: what a step of the code reads and changes in one word alone is one step
//! here; the code sets the mark on entering the drain and gives back by the compare-and-swap that ends the
//! members' passage, where the model has phases of their own (`Mark`, `Apply`); one process at a time buries a
//! record, while here each step of a burial is done by anybody; and `Flip::Frozen` is a design that the code
//! does not have, kept because it holds too.
//!
//! Read `state` (the words), `sender`, `receiver`, `repair` (the steps), `invariants`; `plan` says what a
//! world consists of, `protocol` makes it a machine, `symmetry` and `explorer` make it finish. In a trace
//! members are letters, senders first; two receivers may swap letters from one line to the next.
//!
//! `POSTBOX_MODEL=large cargo test --release -p postbox --test model` explores larger worlds (a minute, half a gigabyte).

mod code;
mod explorer;
mod invariants;
mod plan;
mod protocol;
mod receiver;
mod repair;
mod sender;
mod state;
mod symmetry;

use explorer::explore;
use plan::Kind::{Deliver, DeliverTimed, Pair, Second, Send};
use plan::{Broken, Flip, Grain, Passage, Plan, Pumping};

const A: u8 = 0;
const B: u8 = 1;
const C: u8 = 2;
const D: u8 = 3;

/// Two senders, two receivers, room for one, three messages, two deaths.
const PLAN: Plan = Plan {
    capacity: 1,
    native: 1,
    byte_cap: false,
    senders: 2,
    receivers: 2,
    messages: &[(A, Send), (B, Send), (B, Send)],
    deaths: 2,
    mortals: &[A, B, C, D],
    flip: Flip::Candidate,
    passage: Passage::Oracle,
    pumping: Pumping::WhenWoken,
    grain: Grain::Coarse,
    pumpers: 2,
    broken: None,
};

/// One sender, two receivers, two messages, one death.
const NARROW: Plan = Plan { senders: 1, messages: &[(A, Send), (A, Send)], deaths: 1, ..PLAN };

/// Two senders, one receiver, three messages, one death.
const FUNNEL: Plan = Plan { receivers: 1, deaths: 1, ..PLAN };

/// A packet of one sender, two messages of the other, one receiver, one death.
const PACKETS: Plan = Plan {
    capacity: 2,
    native: 2,
    messages: &[(A, Pair), (A, Second), (B, Send), (B, Send)],
    ..FUNNEL
};

#[test]
fn room_is_exact_whoever_dies() {
    holds(PLAN);
    holds_at_large(Plan { pumpers: 4, pumping: Pumping::AnyTime, ..PLAN });
}

#[test]
fn room_is_exact_when_the_channel_overflows() {
    holds(Plan { capacity: 2, ..FUNNEL });
    holds(Plan { capacity: 2, messages: &[(A, Send), (A, Send), (A, Send)], deaths: 2, ..NARROW });
    holds_at_large(Plan { capacity: 2, ..PLAN });
    holds_at_large(Plan { capacity: 2, native: 2, ..PLAN });
}

#[test]
fn a_deliver_without_timeout_outlives_every_receiver_that_dies_with_it() {
    holds(Plan { messages: &[(A, Deliver), (B, Deliver)], ..PLAN });
    holds_at_large(Plan { messages: &[(A, Deliver), (B, Deliver), (B, Send)], ..PLAN });
}

#[test]
fn a_deliver_that_timed_out_is_never_seen() {
    holds(Plan { messages: &[(A, Send), (B, DeliverTimed)], deaths: 1, ..PLAN });
    holds_at_large(Plan { messages: &[(A, Send), (B, DeliverTimed)], ..PLAN });
    holds_at_large(Plan {
        messages: &[(A, DeliverTimed), (B, Send), (B, Deliver)],
        deaths: 1,
        ..PLAN
    });
}

#[test]
fn corpses_that_overflow_neither_take_room_nor_disturb_the_order() {
    let mixed = &[(A, Send), (A, DeliverTimed), (A, Send)];
    holds(Plan { capacity: 2, messages: mixed, deaths: 2, ..NARROW });
    holds_at_large(Plan { capacity: 2, messages: &[(A, Send), (B, DeliverTimed)], ..PLAN });
    holds_at_large(Plan {
        capacity: 2,
        messages: &[(A, Send), (B, DeliverTimed), (B, Send)],
        deaths: 1,
        ..PLAN
    });
}

#[test]
fn an_entry_that_finds_the_byte_cap_reached_gives_its_room_back() {
    holds(Plan { byte_cap: true, native: 1, capacity: 2, deaths: 1, ..FUNNEL });
    holds_at_large(Plan {
        byte_cap: true,
        capacity: 2,
        messages: &[(A, Send), (B, Deliver)],
        ..PLAN
    });
}

#[test]
fn a_batch_is_its_messages_one_by_one_and_a_death_in_its_middle_costs_no_room() {
    let batch = &[(A, Send), (A, Send), (A, Send), (A, Send)];
    holds(Plan { capacity: 2, native: 1, messages: batch, deaths: 1, ..NARROW });
    holds_at_large(Plan { capacity: 3, native: 2, messages: batch, deaths: 2, ..NARROW });
}

#[test]
fn a_packet_is_its_messages_one_by_one_and_what_is_held_is_no_leak() {
    holds(PACKETS);
    let fine = Plan { grain: Grain::Fine, passage: Passage::Scan, ..PACKETS };
    holds(Plan { messages: &[(A, Pair), (A, Second), (B, Send)], ..fine });
    holds_at_large(Plan { deaths: 2, receivers: 2, ..PACKETS });
    holds_at_large(Plan { pumpers: 4, pumping: Pumping::AnyTime, receivers: 2, ..PACKETS });
    holds_at_large(Plan { capacity: 3, native: 1, ..PACKETS });
    holds_at_large(Plan { messages: &[(A, Pair), (A, Second), (B, DeliverTimed)], ..PACKETS });
}

#[test]
fn with_what_is_held_given_back_it_admits_too_many() {
    breaks(Broken::GiveBackHeld, PACKETS, "room for 2 beside");
}

#[test]
fn with_less_said_than_counted_it_comes_back_twice() {
    breaks(Broken::SayLessFirst, PACKETS, "room for");
}

#[test]
fn with_a_holder_taken_as_idle_its_death_loses_the_room() {
    let two = Plan { receivers: 2, mortals: &[C, D], ..PACKETS };
    breaks(Broken::HolderIdle, two, "room for 1 at rest");
}

#[test]
fn cells_come_back_whoever_dies() {
    holds(Plan { messages: &[(A, DeliverTimed), (A, Deliver)], deaths: 2, ..NARROW });
    holds_at_large(Plan { messages: &[(A, Deliver), (B, DeliverTimed)], ..PLAN });
}

#[test]
fn every_step_stands_for_code_that_is_there() {
    code::check();
}

#[test]
fn it_holds_with_every_access_a_step_of_its_own_and_scanned_passages() {
    let fine = |plan| Plan { grain: Grain::Fine, passage: Passage::Scan, ..plan };
    holds(fine(Plan { messages: &[(A, Send), (B, DeliverTimed)], ..FUNNEL }));
    holds(fine(Plan { messages: &[(A, Deliver)], deaths: 2, ..NARROW }));
    holds_at_large(fine(Plan { messages: &[(A, Send), (B, Send)], ..PLAN }));
    holds_at_large(fine(Plan { messages: &[(A, DeliverTimed)], deaths: 2, ..NARROW }));
    let crowded =
        Plan { byte_cap: true, capacity: 2, messages: &[(A, Send), (A, Deliver)], ..NARROW };
    holds_at_large(fine(crowded));
}

#[test]
fn it_holds_with_any_number_of_helpers_at_any_time() {
    let helped = |plan| Plan { pumpers: 4, pumping: Pumping::AnyTime, ..plan };
    holds(helped(Plan { messages: &[(A, Send), (B, Send)], ..PLAN }));
    holds_at_large(helped(Plan { messages: &[(A, Send), (B, DeliverTimed)], deaths: 1, ..PLAN }));
}

#[test]
fn it_holds_with_admission_frozen_for_the_flip() {
    holds(Plan { flip: Flip::Frozen, messages: &[(A, Send), (B, Send)], ..PLAN });
    holds_at_large(Plan { flip: Flip::Frozen, ..PLAN });
}

#[test]
fn without_the_senders_passage_it_admits_too_many() {
    breaks(Broken::SkipSendersPass, FUNNEL, "room for 1 beside 1");
}

#[test]
fn with_the_flip_for_a_mark_it_admits_too_many() {
    let stalled = &[(A, Send), (A, Send), (B, Send)];
    let plan = Plan { capacity: 3, native: 3, messages: stalled, deaths: 1, mortals: &[C], ..PLAN };
    holds(plan);
    breaks(Broken::SkipMark, plan, "room for 3 beside 1");
}

#[test]
fn without_the_drain_it_admits_too_many() {
    breaks(Broken::SkipDrain, FUNNEL, "room for 1 beside 1");
}

#[test]
fn without_the_members_passage_it_admits_too_many() {
    breaks(Broken::SkipMembersPass, FUNNEL, "room for 1 beside 1");
}

#[test]
fn without_one_step_for_epoch_and_ticket_room_is_lost() {
    breaks(Broken::TornFlip, FUNNEL, "less than nothing");
}

#[test]
fn with_corpses_counted_it_admits_too_many() {
    breaks(
        Broken::CountCorpses,
        Plan { messages: &[(A, DeliverTimed)], ..NARROW },
        "room for 2 beside 0",
    );
}

#[test]
fn with_a_stored_receipt_it_admits_too_many() {
    breaks(
        Broken::StoreTaken,
        Plan { messages: &[(A, DeliverTimed)], ..NARROW },
        "room for 1 beside 1",
    );
}

#[test]
fn with_a_stored_withdrawal_it_admits_too_many() {
    let plan = Plan { messages: &[(A, DeliverTimed)], deaths: 0, ..NARROW };
    holds(plan);
    breaks(Broken::StoreWithdrawn, plan, "room for 1 beside 1");
}

#[test]
fn with_the_generation_kept_a_corpse_settles_the_next_offer() {
    let plan = Plan { messages: &[(A, DeliverTimed), (A, Deliver)], deaths: 0, ..NARROW };
    holds(plan);
    breaks(Broken::KeepGeneration, plan, "2 messages in a channel of capacity 1");
}

#[test]
fn with_the_cells_of_the_dead_left_alone_they_never_come_back() {
    let plan = Plan { messages: &[(A, Deliver)], mortals: &[A], ..NARROW };
    breaks(Broken::LeaveCellsOfTheDead, plan, "a cell in use");
}

#[test]
fn with_refused_room_kept_it_is_lost() {
    let plan = Plan { byte_cap: true, capacity: 2, deaths: 0, ..FUNNEL };
    breaks(Broken::KeepRefusedRoom, plan, "room for 1 at rest");
}

#[test]
fn with_vanished_offers_left_open_their_room_comes_back_twice() {
    breaks(
        Broken::LeaveOffersOpen,
        Plan { messages: &[(A, DeliverTimed)], ..NARROW },
        "room for 2 beside 0",
    );
}

#[test]
fn with_vanished_offers_left_open_a_deliver_waits_for_ever() {
    breaks(Broken::LeaveOffersOpen, Plan { messages: &[(A, Deliver)], ..NARROW }, "waits for ever");
}

#[test]
fn with_offers_lost_after_the_members_passage_their_room_comes_back_twice() {
    breaks(
        Broken::LoseOffersLate,
        Plan { messages: &[(A, DeliverTimed)], ..NARROW },
        "room for 2 beside 0",
    );
}

#[test]
fn with_the_amount_given_back_before_the_phase_moves_it_is_given_twice() {
    breaks(Broken::GiveBackThenMove, FUNNEL, "room for 2 beside 0");
}

#[test]
fn with_a_stored_debt_a_late_helper_spoils_it() {
    breaks(Broken::StoreDebt, FUNNEL, "less than nothing");
    breaks(Broken::StoreDebt, Plan { flip: Flip::Frozen, ..PLAN }, "room for 2 beside 0");
}

#[test]
fn with_one_counter_for_all_epochs_room_is_lost() {
    breaks(Broken::OneCounter, FUNNEL, "less than nothing");
}

#[test]
fn without_a_second_look_at_the_kernel_queue_order_is_lost() {
    let plan = Plan { capacity: 2, grain: Grain::Fine, deaths: 0, ..NARROW };
    holds(plan);
    breaks(Broken::TakeHeadBlindly, plan, "OutOfOrder");
    // What a sender that was slow puts in front of what has overflowed since.
    let messages = &[(A, Send), (A, Send), (B, Send), (B, Send)];
    let plan = Plan { capacity: 3, messages, grain: Grain::Fine, deaths: 0, ..FUNNEL };
    holds(plan);
    breaks(Broken::ClearLate, plan, "OutOfOrder");
}

#[test]
fn with_senders_unannounced_room_is_lost() {
    breaks(Broken::SenderUnannounced, FUNNEL, "room for 0 at rest");
}

#[test]
fn with_receivers_unannounced_it_admits_too_many() {
    breaks(Broken::ReceiverUnannounced, FUNNEL, "room for 1 beside 1");
}

#[test]
fn with_one_burier_alone_its_own_death_loses_room() {
    breaks(Broken::BuryAlone, PLAN, "nobody accounts for");
}

#[test]
fn with_a_death_in_mid_repair_taken_as_covered_room_is_lost() {
    breaks(
        Broken::ForgetLateDeaths,
        Plan { messages: &[(A, Send), (B, Send)], ..PLAN },
        "room for 0 at rest",
    );
}

#[test]
fn without_a_look_at_the_repair_after_an_operation_it_stands_still() {
    breaks(Broken::LeaveWithoutPumping, NARROW, "stands still");
}

fn holds(plan: Plan) {
    let found = explore(&plan);
    println!("{} states, {} steps, {} ends: {plan:?}", found.states, found.steps, found.ends);
    if let Some(violation) = found.violation {
        panic!("{plan:?}\n{violation}");
    }
}

fn holds_at_large(plan: Plan) {
    if std::env::var("POSTBOX_MODEL").is_ok_and(|size| size == "large") {
        holds(plan);
    }
}

fn breaks(broken: Broken, plan: Plan, expected: &str) {
    let found = explore(&Plan { broken: Some(broken), ..plan });
    let violation = found
        .violation
        .unwrap_or_else(|| panic!("{broken:?}: nothing found in {} states", found.states));
    println!("{broken:?}, {} states:\n{violation}", found.states);
    assert!(
        violation.what.contains(expected),
        "{broken:?}: another violation than expected\n{violation}"
    );
}
