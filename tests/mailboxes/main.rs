//! Mailboxes between processes that are related by nothing but a domain.

mod actor;
mod handing;
mod keeping;
mod owners;
mod rights;
mod sharing;
mod users;

use postbox_tests::{Case, over, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(actor::PART) {
        return match actor::act(&part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{part}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut cases = vec![
        Case::new("a receipt names the taker and a delivery the sender", sharing::named),
        Case::new("four receivers share 100000 messages and none starves", sharing::none_starves),
        Case::new("a mailbox is waited for until it is there", sharing::waited_for),
        Case::new("of twenty that open or create, one creates", sharing::raced),
        Case::new("what exists is opened or refused, as was asked", sharing::existing),
        Case::new("a place in a pair goes to whoever gets the last end", sharing::pair_passed),
        Case::new("another schema is refused", sharing::schemas),
        Case::new("a forked child cannot use its parent's mailbox", sharing::forked),
        Case::new("the owner alone receives unless asked otherwise", rights::owner_alone),
        Case::new("listed processes receive, and nobody else", rights::listed),
        Case::new("a grant survives a restart", rights::survives_restart),
        Case::new(
            "a revocation ends a receive that waits, and a grant lets in again",
            rights::revoked,
        ),
        Case::new(
            "a right that was revoked before an end was made is missed",
            rights::revoked_early,
        ),
        Case::new("the right to send can be limited", rights::send_limited),
        Case::new("a mailbox is changed by its owner alone", rights::changed_by_owner),
        Case::new("destruction is told to all who wait, and frees the name", owners::destroyed),
        Case::new("the owner's leaving is told to all who wait", owners::left),
        Case::new("the owner's death is told within 200 ms, and frees the name", owners::killed),
        Case::new("what was transferred outlives its first owner, not its second", owners::heirs),
        Case::new("a transfer that nobody takes leaves all as it was", owners::not_taken),
        Case::new("a mailbox can be transferred again and again", owners::again),
        Case::new("who opens a mailbox while its owner changes gets it", owners::visited),
        Case::new("a handle does nothing to the next mailbox of the name", handing::namesakes),
        Case::new("a second transfer waits for the first", handing::two_at_once),
        Case::new("a mailbox survives owners without patience", handing::bounced),
        Case::new("a mailbox passes within one process", handing::within_one_process),
        Case::new("a mailbox is found while its name goes to and fro", handing::opened_in_passing),
        Case::new("who creates a pair's mailbox is one of the two", handing::first_of_a_pair),
        Case::new("a keeper's mailbox outlives those who use it", keeping::outlives),
        Case::new("a keeper's death is told, and its successor begins anew", keeping::killed),
        Case::new("traffic goes on while the keeper is stopped", keeping::one_hop),
        Case::new("without a keeper the error says how to have one", keeping::none),
        Case::new("a keeper's mailboxes are administered without a name", keeping::administered),
        Case::new("mailboxes pass to a keeper and from it", keeping::passed),
        Case::new("a keeper survives those who misbehave", keeping::misbehaviour),
        Case::new("a keeper that is asked in vain does not stay for it", keeping::asked_in_vain),
        Case::new("a keeper that ends takes nothing with it", keeping::comes_and_goes),
        Case::new("a domain has one keeper", keeping::one),
        Case::new(
            "a keeper whose directory is removed ends with the last who uses its mailboxes",
            keeping::directory_removed,
        ),
        Case::new(
            "a keeper whose sockets are removed ends when nobody can open what it keeps",
            keeping::sockets_removed,
        ),
        Case::new("another user is refused unless its group is let in", users::second_user),
    ];
    cases.extend(over("two processes share several mailboxes", sharing::several));
    cases.extend(over("receivers that wait take turns", sharing::take_turns));
    cases.extend(over("senders that wait take turns", sharing::senders_take_turns));
    cases.extend(over("a pair's third waits for a death", sharing::pair));
    cases.extend(over(
        "one at a time receives, and a death passes the turn",
        sharing::one_at_a_time,
    ));
    cases.extend(over("a transfer amid traffic loses and doubles nothing", owners::amid_traffic));
    cases.extend(over("another user that may only send holds no reading side", users::write_only));
    run(cases)
}
