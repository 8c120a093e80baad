//! Members that were given the way in alone.

use super::*;

/// A partner that can only send, of another user where this one can make it so.
fn narrow(channel: &Channel) -> Partner {
    let mut partner = Partner::with(channel.fds_for_sending().unwrap());
    assert_eq!(partner.ask("become 54321"), "done");
    partner
}

#[test]
fn who_may_only_send_sends_as_everybody_does() {
    over_all(|mechanism, capacity| {
        let channel = mailbox(mechanism, capacity, Policy::Any);
        let rx = receiver(&channel, "b");
        let mut partner = narrow(&channel);
        assert_eq!(partner.ask("sender a"), "done");
        for n in 0..3 {
            partner.order(&format!("deliver {n}"));
            let delivery = rx.receive_with(&soon()).unwrap();
            assert_eq!((*delivery, delivery.sender().pid()), (n, partner.pid()));
            assert!(partner.answer().starts_with("b (process "));
        }
        if let Capacity::Bounded(n) = capacity {
            for i in 0..u64::from(n) {
                assert_eq!(partner.ask(&format!("try_send {i}")), "done");
            }
            assert!(partner.ask("try_send 9").contains("is full"));
            let asleep = channel.statistics().waits;
            partner.order("send 9");
            until_asleep(&channel, asleep + 1);
            assert_eq!(*rx.receive().unwrap(), 0);
            assert_eq!(partner.answer(), "done");
        }
        if capacity == Capacity::Unbounded {
            // More than any kernel object holds, so that some of it overflows.
            assert_eq!(partner.ask("send_many 700"), "done");
            assert!((0..700).all(|i| *rx.receive().unwrap() == i));
        }
    });
}

#[test]
fn who_may_only_send_cannot_receive() {
    for mechanism in Mechanism::ALL {
        let channel = mailbox(mechanism, Capacity::Bounded(2), Policy::Any);
        let mut partner = narrow(&channel);
        // Over shared memory there is no way out to keep from it: the library alone refuses.
        if mechanism != Mechanism::SharedMemory {
            assert!(partner.ask("receiver a").contains("may not receive from mailbox 'box'"));
        }
        if postbox_sys::directory::own_uid() == 0 {
            let opened = partner.ask("reopen");
            assert_eq!(opened, "0 opened", "{mechanism}");
        }
    }
}

#[test]
fn the_room_of_one_that_could_only_send_comes_back() {
    for mechanism in Mechanism::ALL {
        let channel = mailbox(mechanism, Capacity::Bounded(2), Policy::Any);
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        for _ in 0..5 {
            let mut partner = narrow(&channel);
            assert_eq!(partner.ask("sender c"), "done");
            assert_eq!(partner.ask("send 1"), "done");
            let asleep = channel.statistics().waits;
            partner.order("deliver 2");
            until_asleep(&channel, asleep + 1);
            partner.kill();
            assert_eq!(*rx.receive().unwrap(), 1);
            until("the room comes back", || {
                // Until its death is noticed, the offer stands.
                assert!(rx.try_receive().unwrap().is_none_or(|message| *message == 2));
                tx.try_send(&3).is_ok()
            });
            until("all of it", || tx.try_send(&4).is_ok());
            assert!(tx.try_send(&5).unwrap_err().is_full());
            assert_eq!(*rx.receive().unwrap(), 3);
            assert_eq!(*rx.receive().unwrap(), 4);
        }
    }
}

#[test]
fn who_is_left_alone_with_the_way_in_learns_that_the_mailbox_is_gone() {
    for mechanism in Mechanism::ALL {
        let channel = mailbox(mechanism, Capacity::Bounded(2), Policy::Any);
        let mut owner = Partner::of(&channel);
        channel.set_owner(Identity::of(owner.pid()));
        let mut alone = narrow(&channel);
        assert_eq!(alone.ask("default SIGPIPE"), "done");
        drop(channel);
        owner.kill();
        assert_eq!(alone.ask("sender a"), "done");
        alone.ask("try_send 1");
        assert!(alone.ask("deliver 2").contains("no longer exists"), "{mechanism}");
    }
}
