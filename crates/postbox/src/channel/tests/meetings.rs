//! Capacity zero, where one of the two is late, stands still, or cannot go on.

use super::*;
use crate::channel::carry::{Inbox, Outbox, Outgoing};
use crate::channel::envelope::CellRef;
use crate::channel::rendezvous::obliged_until;
use crate::channel::spool::WARM;
use crate::channel::turn::Turn;
use crate::error::Fault;
use crate::message::Bytes;
use postbox_ring::receipt::Standing;
use postbox_ring::turn::Meeting;

fn ends(mechanism: Mechanism) -> (Sender<Bytes>, Receiver<Bytes>) {
    ends_for(mechanism, 64)
}

/// With so many offers at a time, as far as the kernel's object has room for them.
fn ends_for(mechanism: Mechanism, offers: u32) -> (Sender<Bytes>, Receiver<Bytes>) {
    let mut config = Options::new(mechanism).capacity(Capacity::Zero).config();
    config.zero_window = offers;
    let channel = Arc::new(Channel::create(config).unwrap());
    let end = |role| End::join(channel.clone(), role, WaitStrategy::Block).unwrap();
    (Sender::new(end(Role::Sender)), Receiver::new(end(Role::Receiver)))
}

/// Binds the receiver, which waits, to an offer that is nowhere to be popped.
fn bind(rx: &Receiver<Bytes>, tx: &Sender<Bytes>) -> CellRef {
    let offer = rx.end().channel.block.open_cell(tx.end().seat).unwrap();
    assert!(rx.end().member().turn().engage(offer));
    offer
}

#[test]
fn who_is_bound_looks_once_however_late_it_is() {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = ends(mechanism);
        let looks = |turn: &Turn<'_>, late: bool, comes_at: u32| {
            let mut looks = 0;
            let look = || {
                looks += 1;
                Ok::<_, Fault>((looks == comes_at).then_some(()))
            };
            (obliged_until(turn, || late, look).unwrap(), looks)
        };
        let turn = Turn::wait(rx.end());
        assert_eq!(looks(&turn, false, 1), (None, 0), "nobody counts on it");
        drop(turn);
        let turn = Turn::wait(rx.end());
        let offer = bind(&rx, &tx);
        assert!(rx.end().channel.block.commit_offer(offer));
        assert_eq!(looks(&turn, true, 1), (Some(()), 1), "{mechanism}");
        assert_eq!(looks(&turn, true, 2), (None, 1), "{mechanism}: late, it looks no more");
        assert_eq!(looks(&turn, false, 3), (Some(()), 3), "{mechanism}");
    }
}

/// Its sender withdrew, and stands still before it has said so.
#[test]
fn who_is_bound_to_an_offer_that_is_over_can_be_counted_on() {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = ends(mechanism);
        let turn = Turn::wait(rx.end());
        let over = bind(&rx, &tx);
        assert!(rx.end().channel.block.withdraw_offer(over));
        tx.try_send(b"counted on").unwrap();
        assert!(!turn.may_leave(), "{mechanism}");
        let taken = rx.try_receive().unwrap().unwrap();
        assert_eq!(taken.as_ref(), b"counted on", "{mechanism}");
        assert!(turn.may_leave(), "{mechanism}");
    }
}

/// Whoever is bound to a message that is in the hands of somebody who stands still sends the others' offers back, but
/// not for ever: their senders offer them again.
#[test]
fn one_look_sends_so_many_offers_back() {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = ends_for(mechanism, 200);
        let channel = &rx.end().channel;
        let turn = Turn::wait(rx.end());
        let mine = bind(&rx, &tx);
        let outbox = Outbox::default();
        let mut offers = Vec::new();
        loop {
            let offer = channel.block.open_cell(tx.end().seat).unwrap();
            let outgoing = Outgoing { bytes: b"offer", cell: Some(offer), engaging: true };
            if channel.push(tx.end(), &outbox, outgoing).is_err() {
                channel.block.close_cell(offer);
                break;
            }
            offers.push(offer);
        }
        let waiting = || {
            let pending = |offer: &&CellRef| channel.block.standing(**offer) == Standing::Open;
            offers.iter().filter(pending).count()
        };
        assert_eq!(waiting(), offers.len());
        let (inbox, mut into) = (Inbox::default(), Vec::new());
        let mut looked = 0;
        while waiting() > 0 {
            let before = waiting();
            assert!(channel.pop(rx.end(), &inbox, &mut into).unwrap().is_none());
            assert_eq!(before - waiting(), before.min(64), "{mechanism}");
            looked += 1;
        }
        assert!(into.is_empty() && looked == offers.len().div_ceil(64), "{mechanism}");
        assert!(
            looked > 1 || mechanism == Mechanism::MessageQueue,
            "{mechanism}: {}",
            offers.len()
        );
        // It waits on as before.
        assert!(rx.end().member().turn().is_begun() && channel.block.binds(mine));
        drop(turn);
    }
}

/// Its sender died before it had left the message to whoever has it, and somebody freed the body.
#[test]
fn who_takes_an_offer_whose_body_is_gone_waits_on() {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = ends(mechanism);
        let channel = &rx.end().channel;
        let turn = Turn::wait(rx.end());
        let offer = channel.block.open_cell(tx.end().seat).unwrap();
        let outgoing = Outgoing { bytes: &[1; 100_000], cell: Some(offer), engaging: false };
        channel.push(tx.end(), &Outbox::default(), outgoing).unwrap();
        // The first there ever was, in the log for warm ones if there is one.
        channel.bodies.discard(WARM);
        channel.bodies.discard(0);
        let (inbox, mut into) = (Inbox::default(), Vec::new());
        assert!(channel.pop(rx.end(), &inbox, &mut into).unwrap().is_none(), "{mechanism}");
        assert!(matches!(channel.block.standing(offer), Standing::Taken(_)), "{mechanism}");
        assert!(rx.end().member().turn().is_waiting(), "{mechanism}");
        tx.try_send(b"counted on").unwrap();
        assert_eq!(rx.try_receive().unwrap().unwrap().as_ref(), b"counted on", "{mechanism}");
        drop(turn);
    }
}
