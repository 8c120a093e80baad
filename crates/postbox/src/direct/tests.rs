//! What others may ask of a switchboard, rightly and wrongly.

use super::link::Partner;
use super::options::{Direction, LinkOptions};
use super::switchboard::Switchboard;
use crate::domain::links::{Flow, Insists, LinkOffer, LinkReply, LinkRequest, LinkTerms, WireSeat};
use crate::domain::protocol::{Reply, Request};
use crate::domain::{Answer, Caller, Service};
use crate::mechanism::Mechanism;
use crate::name::Name;
use crate::process::Identity;
use std::os::fd::OwnedFd;

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn board() -> Switchboard {
    postbox_sys::wipe_on_fork::renew().unwrap();
    Switchboard::new(name("me"), None).unwrap()
}

fn asked_by(board: &Switchboard, caller: Option<&str>, request: LinkRequest) -> Answer {
    asked_with(board, caller, request, Vec::new())
}

fn asked_with(
    board: &Switchboard,
    caller: Option<&str>,
    request: LinkRequest,
    fds: Vec<OwnedFd>,
) -> Answer {
    let pid = std::process::id();
    let caller = Caller { pid, uid: 0, name: caller.map(name) };
    board.answer(&caller, Request::Link(request), fds)
}

fn terms() -> LinkTerms {
    LinkTerms::of(&LinkOptions::default()).unwrap()
}

fn make() -> LinkRequest {
    LinkRequest::Make { instance: 7, terms: terms(), insists: Insists::No }
}

fn take(link: LinkOffer) -> LinkRequest {
    LinkRequest::Take { to: Identity::own().to_word(), link }
}

fn offer(forth: Option<WireSeat>) -> LinkOffer {
    LinkOffer { id: 1, instance: 7, schema: None, forth, back: None }
}

fn link_reply(answer: &Answer) -> &LinkReply {
    match &answer.reply {
        Reply::Link(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_maker_makes_one_link_however_often_it_is_asked() {
    let board = board();
    let first = asked_by(&board, Some("other"), make());
    let again = asked_by(&board, Some("other"), make());
    let (LinkReply::Made { link: one }, LinkReply::Made { link: two }) =
        (link_reply(&first), link_reply(&again))
    else {
        panic!("{first:?} {again:?}");
    };
    assert_eq!(one, two);
    assert_eq!(board.all().len(), 1);
    let descriptors = one.forth.unwrap().descriptors + one.back.unwrap().descriptors;
    assert_eq!(first.fds.len(), usize::from(descriptors));
}

#[test]
fn another_membership_of_the_same_process_gets_another_link() {
    let board = board();
    asked_by(&board, Some("other"), make());
    let before = board.all()[0].id;
    let successor = LinkRequest::Make { instance: 8, terms: terms(), insists: Insists::No };
    asked_by(&board, Some("other"), successor);
    let all = board.all();
    assert_eq!(all.len(), 1, "nothing was left in the first one");
    assert_ne!(all[0].id, before);
}

#[test]
fn who_has_no_name_or_has_no_business_to_ask_is_not_understood() {
    let board = board();
    let asks = [
        (None, make()),
        (Some("me"), make()),
        // The smaller name makes, the larger one asks.
        (Some("a"), make()),
        (Some("z"), take(offer(None))),
    ];
    for (caller, request) in asks {
        let answer = asked_by(&board, caller, request);
        assert!(matches!(answer.reply, Reply::NotUnderstood), "{answer:?}");
    }
    assert!(board.all().is_empty());
}

#[test]
fn an_offer_that_is_none_is_refused() {
    let board = board();
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let seat = |descriptors| Some(WireSeat { index: u16::MAX, generation: 1, descriptors });
    for (offer, fds) in [
        (offer(None), 0),
        (offer(seat(0)), 0),
        (offer(seat(9)), 3),
        (offer(seat(8)), 8),
        (offer(seat(255)), 64),
    ] {
        let fds = (0..fds).map(|_| null()).collect();
        let answer = asked_with(&board, Some("a"), take(offer), fds);
        assert!(matches!(link_reply(&answer), LinkReply::Cannot { .. }), "{answer:?}");
    }
    let stranger = LinkRequest::Take { to: 1, link: offer(None) };
    assert_eq!(*link_reply(&asked_by(&board, Some("a"), stranger)), LinkReply::Stranger);
    assert!(board.all().is_empty());
}

#[test]
fn a_seat_that_is_not_ours_is_refused() {
    let (maker, board) = (board(), board());
    let stranger = Partner { name: name("me"), identity: Identity::from_word(1).unwrap() };
    let Ok(link) = maker.make(stranger, None, terms(), Insists::No) else { panic!("not made") };
    let (offer, fds) = link.offer(1).unwrap();
    let fds = fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
    let answer = asked_with(&board, Some("a"), take(offer), fds);
    let LinkReply::Cannot { why } = link_reply(&answer) else { panic!("{answer:?}") };
    assert!(why.contains("seat"), "{why}");
}

#[test]
fn an_offer_that_comes_again_when_its_maker_has_gone_is_no_error() {
    let (maker, board) = (board(), board());
    let own = Partner { name: name("me"), identity: Identity::own() };
    let Ok(link) = maker.make(own, None, terms(), Insists::No) else { panic!("not made") };
    let (offer, fds) = link.offer(1).unwrap();
    let again = |offer| {
        let fds = fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
        asked_with(&board, Some("a"), take(offer), fds)
    };
    assert!(matches!(link_reply(&again(offer.clone())), LinkReply::Taken { .. }));
    maker.close();
    assert!(board.current(&name("a")).is_none(), "its maker has gone");
    // It was on its way by two ways: as an answer, too.
    assert_eq!(*link_reply(&again(offer)), LinkReply::Stranger);
    assert!(board.all().is_empty());
}

#[test]
fn terms_that_cannot_be_are_refused() {
    let board = board();
    let wrong: [fn(&mut LinkTerms); 5] = [
        |terms| terms.mechanism = 99,
        |terms| terms.capacity = Some(u32::MAX),
        |terms| terms.max_message = u64::MAX,
        |terms| terms.byte_cap = u64::MAX,
        |terms| terms.fixed_size = Some(u64::MAX),
    ];
    for spoil in wrong {
        let mut terms = terms();
        spoil(&mut terms);
        let request = LinkRequest::Make { instance: 7, terms, insists: Insists::Yes };
        let answer = asked_by(&board, Some("z"), request);
        assert!(matches!(link_reply(&answer), LinkReply::Cannot { .. }), "{answer:?}");
    }
    assert!(board.all().is_empty());
}

#[test]
fn whoever_has_left_makes_and_takes_nothing() {
    let board = board();
    asked_by(&board, Some("z"), make());
    let version = board.version();
    board.close();
    assert!(board.all().is_empty() && board.version() > version);
    assert_eq!(*link_reply(&asked_by(&board, Some("z"), make())), LinkReply::Leaving);
}

#[test]
fn partners_that_have_gone_do_not_pile_up() {
    let board = board();
    let gone = Identity::from_word(1 << 22 | 0x3f_fffe).unwrap();
    for i in 0..100 {
        let partner = Partner { name: name(&format!("p{i}")), identity: gone };
        assert!(board.make(partner, None, terms(), Insists::No).is_ok());
    }
    assert!(board.all().len() <= 40, "{} links are kept", board.all().len());
}

#[test]
fn terms_are_the_same_from_both_sides() {
    let options = LinkOptions::default().direction(Direction::Outward);
    let outward = LinkTerms::of(&options).unwrap();
    assert_eq!(outward.clone().turned().flow, Flow::Inward);
    assert!(outward.agree_with(&outward.clone().turned().turned()));
    assert!(!outward.agree_with(&outward.clone().turned()));
    assert!(outward.to_string().starts_with(Mechanism::SharedMemory.to_string().as_str()));
}
