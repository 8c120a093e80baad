//! How long a mailbox lives, who owns it, and who its users are.

use super::*;

#[test]
fn absence_does_not_end_a_mailbox() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        drop(rx);
        if capacity != Capacity::Zero {
            tx.send(&1).unwrap();
        }
        assert!(tx.deliver_with(&2, &Wait::timeout(Duration::from_millis(1))).is_err());
        drop(tx);
        let rx = receiver(&channel, "b");
        if capacity != Capacity::Zero {
            assert_eq!(*rx.receive().unwrap(), 1);
        }
        assert!(rx.try_receive().unwrap().is_none());
        let late = rx.receive_with(&Wait::timeout(Duration::from_millis(1)));
        assert!(late.unwrap_err().is_timeout());
    });
}

#[test]
fn until_drained_a_mailbox_ends_with_its_last_sender() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let rx = receiver(&channel, "b").until_drained();
        assert!(rx.try_receive().unwrap().is_none(), "nobody has been there yet");
        let mut partner = Partner::of(&channel);
        assert_eq!(partner.ask("sender a"), "done");
        if capacity != Capacity::Zero {
            assert_eq!(partner.ask("send 1"), "done");
        }
        let other = rx.clone();
        let waits = std::thread::spawn(move || {
            if capacity != Capacity::Zero {
                other.receive().unwrap();
            }
            other.receive_with(&soon()).unwrap_err()
        });
        until_asleep(&channel, 1);
        partner.kill();
        assert!(waits.join().unwrap().is_disconnected());
        assert!(rx.try_receive().unwrap_err().is_disconnected());
        assert!(receiver(&channel, "c").try_receive().unwrap().is_none());
    });
}

#[test]
fn the_death_of_the_owner_is_told_to_everyone_who_waits() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        // The owner takes no part.
        let mut owner = Partner::of(&channel);
        channel.set_owner(Identity::of(owner.pid()));
        let mut waiting = Partner::of(&channel);
        assert_eq!(waiting.ask("sender a"), "done");
        waiting.order("deliver 1");
        until_asleep(&channel, 1);
        let second = mailbox(mechanism, capacity, Policy::Any);
        second.set_owner(Identity::of(owner.pid()));
        let rx = receiver(&second, "b");
        let asleep = second.clone();
        let receives =
            std::thread::spawn(move || (rx.receive_with(&soon()).unwrap_err(), Instant::now()));
        until_asleep(&asleep, 1);
        let killed = Instant::now();
        owner.kill();
        let (error, told) = receives.join().unwrap();
        assert!(error.is_destroyed(), "{error}");
        assert!(told - killed < Duration::from_secs(2));
        assert!(waiting.answer().contains("no longer exists"));
        assert!(waiting.ask("try_send 3").contains("no longer exists"));
        assert!(receiver(&channel, "c").try_receive().unwrap_err().is_destroyed());
    });
}

#[test]
fn ends_that_only_try_learn_of_the_owners_death() {
    for mechanism in Mechanism::ALL {
        let channel = mailbox(mechanism, Capacity::Bounded(2), Policy::Any);
        let mut owner = Partner::of(&channel);
        channel.set_owner(Identity::of(owner.pid()));
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        tx.send(&1).unwrap();
        owner.kill();
        until("the news", || tx.try_send(&2).is_err_and(|error| error.is_destroyed()));
        // What waits in a mailbox goes with it.
        assert!(rx.try_receive().unwrap_err().is_destroyed());
    }
}

#[test]
fn destruction_ends_every_call() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        let pollable = rx.pollable().unwrap();
        let mut partner = Partner::of(&channel);
        assert_eq!(partner.ask("receiver c"), "done");
        partner.order("receive");
        until_asleep(&channel, 1);
        channel.destroy();
        assert!(partner.answer().contains("no longer exists"));
        assert!(tx.send(&1).unwrap_err().is_destroyed());
        assert!(tx.try_send(&1).unwrap_err().is_destroyed());
        assert!(tx.deliver(&1).unwrap_err().is_destroyed());
        assert!(tx.send_batch([&1]).unwrap_err().reason.is_destroyed());
        for _ in 0..2 {
            let fd = std::os::fd::AsFd::as_fd(&pollable);
            let mut fds = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
            assert_eq!(nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO), Ok(1));
            assert!(rx.try_receive().unwrap_err().is_destroyed());
            assert!(rx.receive().unwrap_err().is_destroyed());
            assert!(rx.receive_batch(3).unwrap_err().is_destroyed());
        }
        assert!(receiver(&channel, "d").receive().unwrap_err().is_destroyed());
    });
}

#[test]
fn who_is_taken_for_dead_and_lives_is_there() {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = Options::new(mechanism).channel::<u64>().unwrap();
        let (block, member) = (&tx.end().channel.block, tx.end().member());
        // As when its end was passed on while somebody was about to bury the giver.
        block.mark_dead(member, member.status());
        block.control.roster_changed();
        assert!(rx.try_receive().unwrap().is_none(), "{mechanism}");
        block.unmark_dead(member, member.status());
        tx.send(&1).unwrap();
        drop(tx);
        assert_eq!(*rx.receive().unwrap(), 1);
        assert!(rx.receive().unwrap_err().is_disconnected());
    }
}

#[test]
fn deliveries_and_receipts_name_the_other_side() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let rx = receiver(&channel, "taker");
        let mut partner = Partner::of(&channel);
        assert_eq!(partner.ask("sender sensor"), "done");
        partner.order("deliver 7");
        let delivery = rx.receive().unwrap();
        assert_eq!(delivery.sender().name(), Some(&name("sensor")));
        assert_eq!(delivery.sender().pid(), partner.pid());
        assert_eq!(delivery.sender().uid(), Some(postbox_sys::directory::own_uid()));
        assert_eq!(partner.answer(), format!("taker (process {})", std::process::id()));
        if capacity != Capacity::Zero {
            // Also when it has left before its message is received.
            assert_eq!(partner.ask("send 8"), "done");
            assert_eq!(partner.ask("leave"), "done");
            assert_eq!(channel.live(Role::Sender), 0);
            assert_eq!(rx.receive().unwrap().sender().name(), Some(&name("sensor")));
        }
    });
}

#[test]
fn a_link_names_its_partner_whatever_its_envelopes_say() {
    use crate::peer::Peer;
    let (tx, rx) = Options::default().channel::<u64>().unwrap();
    let partner = Peer::known(std::process::id(), Some(7), Some(name("partner")));
    let (tx, rx) = (tx.with_partner(partner.clone()), rx.with_partner(partner.clone()));
    let (tx, rx) = (tx.clone(), rx.clone());
    let taker = std::thread::spawn(move || rx.receive().unwrap().sender().clone());
    assert_eq!(tx.deliver(&1).unwrap().receiver(), &partner);
    assert_eq!(taker.join().unwrap(), partner);
}

#[test]
fn ownership_passes_by_one_decision() {
    let channel = mailbox(Mechanism::Pipe, Capacity::Bounded(1), Policy::Any);
    let own = Identity::own();
    let mut heir = Partner::of(&channel);
    let nonce = channel.offer_ownership();
    assert!(channel.cancel_offer(nonce));
    assert_eq!(heir.ask(&format!("attach {nonce}")), "false");
    assert_eq!(channel.owner(), Some(own));
    let nonce = channel.offer_ownership();
    assert_eq!(heir.ask(&format!("attach {nonce}")), "true");
    assert_eq!(channel.owner(), Some(Identity::of(heir.pid())));
    assert!(!channel.cancel_offer(nonce));
    // The mailbox now lives as long as the heir, in the eyes of those who wait already.
    let rx = receiver(&channel, "b");
    let receives = std::thread::spawn(move || rx.receive_with(&soon()).unwrap_err());
    until_asleep(&channel, 1);
    heir.kill();
    assert!(receives.join().unwrap().is_destroyed());
}

#[test]
fn a_sleeper_watches_the_heir_after_the_transfer() {
    let channel = mailbox(Mechanism::SharedMemory, Capacity::Bounded(1), Policy::Any);
    let mut giver = Partner::of(&channel);
    let mut heir = Partner::of(&channel);
    channel.set_owner(Identity::of(giver.pid()));
    let rx = receiver(&channel, "b");
    let receives = std::thread::spawn(move || rx.receive_with(&soon()).map(|message| *message));
    until_asleep(&channel, 1);
    let nonce = channel.offer_ownership();
    assert_eq!(heir.ask(&format!("attach {nonce}")), "true");
    giver.kill();
    until_asleep(&channel, 2);
    assert!(!channel.is_destroyed());
    heir.kill();
    assert!(matches!(receives.join().unwrap(), Err(crate::ReceiveError::Destroyed)));
}

#[test]
fn an_heir_that_accepted_inherits_though_the_giver_died_first() {
    use postbox_ring::sync::Ordering::Relaxed;
    let channel = mailbox(Mechanism::Pipe, Capacity::Bounded(1), Policy::Any);
    let mut giver = Partner::of(&channel);
    channel.set_owner(Identity::of(giver.pid()));
    let nonce = channel.offer_ownership();
    assert!(channel.accept_ownership(nonce, Identity::own()));
    // As if the heir had been stopped before the word followed.
    channel.set_owner(Identity::of(giver.pid()));
    giver.kill();
    channel.check_owner();
    assert_eq!(channel.owner(), Some(Identity::own()));
    assert!(!channel.is_destroyed());
    // An offer that nobody accepted dies with its giver.
    let mut giver = Partner::of(&channel);
    channel.set_owner(Identity::of(giver.pid()));
    let nonce = channel.offer_ownership();
    giver.kill();
    channel.check_owner();
    assert!(channel.is_destroyed());
    assert!(!channel.accept_ownership(nonce, Identity::own()));
    assert_eq!(channel.block.control.offer.load(Relaxed) & 3, 0);
}

#[test]
fn who_is_barred_is_told_and_the_message_is_for_the_others() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let tx = sender(&channel, "a");
        let (mut out, mut stays) = (Partner::of(&channel), Partner::of(&channel));
        assert_eq!(out.ask("receiver out"), "done");
        assert_eq!(stays.ask("receiver stays"), "done");
        out.order("receive");
        until_asleep(&channel, 1);
        stays.order("receive");
        until_asleep(&channel, 2);
        let kept = name("stays");
        assert_eq!(channel.revoke(Role::Receiver, |_, name| name == Some(&kept)), 1);
        tx.send(&5).unwrap();
        let denied =
            "this process may not receive from mailbox 'box': whoever its owner lets in may";
        assert_eq!(out.answer(), denied);
        assert!(stays.answer().starts_with("5 from a "));
        assert_eq!(out.ask("try_receive"), denied);
        assert_eq!(channel.revoke(Role::Sender, |_, _| false), 1);
        assert!(tx.send(&1).unwrap_err().is_denied());
        assert!(tx.clone().try_send(&1).unwrap_err().is_denied());
        assert!(tx.deliver(&1).unwrap_err().is_denied());
    });
}

#[test]
fn the_members_are_known_by_name_and_counted() {
    let channel = mailbox(Mechanism::SharedMemory, Capacity::Bounded(1), Policy::Any);
    let (tx, _rx) = (sender(&channel, "a"), receiver(&channel, "b"));
    drop(tx.clone());
    let members: Vec<_> = channel
        .members()
        .into_iter()
        .map(|m| (m.identity, m.role, m.name.unwrap().to_string(), m.uid))
        .collect();
    let (own, user) = (Identity::own(), Some(postbox_sys::directory::own_uid()));
    let expected =
        [(own, Role::Sender, "a".to_owned(), user), (own, Role::Receiver, "b".to_owned(), user)];
    assert_eq!(members, expected);
    assert_eq!((channel.live(Role::Sender), channel.live(Role::Receiver)), (1, 1));
    assert_eq!(channel.senders_ever(), 2);
}

#[test]
fn an_end_cloned_in_the_moment_of_revocation_is_barred_too() {
    let channel = mailbox(Mechanism::SharedMemory, Capacity::Bounded(1), Policy::Any);
    // The clone's record comes before the other's.
    let place = receiver(&channel, "first");
    let out = receiver(&channel, "out");
    drop(place);
    let clones = std::cell::RefCell::new(Vec::new());
    let barred = channel.revoke(Role::Receiver, |_, _| {
        if clones.borrow().is_empty() {
            clones.borrow_mut().push(out.clone());
        }
        false
    });
    assert_eq!(barred, 2);
    assert!(out.try_receive().unwrap_err().is_denied());
    assert!(clones.borrow()[0].try_receive().unwrap_err().is_denied());
}

#[test]
fn who_takes_the_place_of_a_barred_end_is_not_barred() {
    let channel = mailbox(Mechanism::SharedMemory, Capacity::Bounded(1), Policy::Any);
    let out = std::cell::Cell::new(Some(receiver(&channel, "out")));
    let seat = |receiver: &Receiver<u64>| receiver.end().seat.index;
    let next = std::cell::RefCell::new(None);
    let kept = name("next");
    channel.revoke(Role::Receiver, |_, name| {
        if let Some(out) = out.take() {
            let left = seat(&out);
            drop(out);
            let joined = receiver(&channel, "next");
            assert_eq!(seat(&joined), left);
            *next.borrow_mut() = Some(joined);
        }
        name == Some(&kept)
    });
    assert!(next.take().unwrap().try_receive().unwrap().is_none());
}
