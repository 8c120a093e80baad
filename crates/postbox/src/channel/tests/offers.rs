//! How offers are counted, and who is woken for a receipt.

use super::*;
use postbox_ring::sync::Ordering::SeqCst;
use std::thread::{self, JoinHandle};

fn ends(
    mechanism: Mechanism,
    capacity: Capacity,
    strategy: WaitStrategy,
) -> (Arc<Channel>, Sender<u64>, Receiver<u64>) {
    let options = Options::new(mechanism).capacity(capacity);
    let channel = Arc::new(Channel::create(options.config()).unwrap());
    let end = |role| End::join(channel.clone(), role, strategy).unwrap();
    let (tx, rx) = (Sender::new(end(Role::Sender)), Receiver::new(end(Role::Receiver)));
    (channel, tx, rx)
}

fn receive_elsewhere(rx: Receiver<u64>) -> JoinHandle<(Receiver<u64>, u64)> {
    thread::spawn(move || {
        let taken = *rx.receive_with(&soon()).unwrap();
        (rx, taken)
    })
}

fn offers(channel: &Channel) -> u64 {
    channel.block.control.offers.word.load(SeqCst)
}

#[test]
fn an_offer_counts_until_its_sender_knows_or_its_corpse_is_popped() {
    over_all(|mechanism, capacity| {
        let (channel, tx, rx) = ends(mechanism, capacity, WaitStrategy::Block);
        let receiving = receive_elsewhere(rx);
        let receipt = tx.deliver_with(&1, &soon());
        assert!(receipt.is_ok() && offers(&channel) == 0, "{receipt:?}");
        let (rx, taken) = receiving.join().unwrap();
        assert_eq!(taken, 1);
        for corpses in 1..=3 {
            assert!(tx.try_deliver(&2).is_err());
            assert_eq!(offers(&channel), corpses, "{mechanism}, {capacity:?}");
        }
        assert!(rx.try_receive().unwrap().is_none());
        assert_eq!(offers(&channel), 0, "{mechanism}, {capacity:?}");
        if capacity != Capacity::Zero {
            return;
        }
        // Nobody stays behind who could take it off.
        let receiving = receive_elsewhere(rx);
        until("a meeting", || tx.try_send(&3).is_ok());
        assert_eq!((receiving.join().unwrap().1, offers(&channel)), (3, 0));
    });
}

#[test]
fn a_count_that_the_dead_left_too_high_keeps_nobody_from_offering() {
    over_all(|mechanism, capacity| {
        for strategy in [WaitStrategy::Block, WaitStrategy::Spin] {
            let (channel, tx, rx) = ends(mechanism, capacity, strategy);
            channel.block.control.offers.word.store(channel.config.most_offers(), SeqCst);
            let receiving = receive_elsewhere(rx);
            let receipt = tx.deliver_with(&1, &soon());
            assert!(receipt.is_ok(), "{mechanism}, {capacity:?}, {strategy:?}: {receipt:?}");
            assert_eq!(receiving.join().unwrap().1, 1);
        }
    });
}

#[test]
fn a_sender_asks_to_be_woken_for_its_receipt_only_when_it_is_to_sleep() {
    over_all(|mechanism, capacity| {
        for (strategy, asks) in [(WaitStrategy::Spin, false), (WaitStrategy::Block, true)] {
            let (channel, tx, rx) = ends(mechanism, capacity, strategy);
            thread::scope(|scope| {
                scope.spawn(move || tx.deliver_with(&1, &soon()).unwrap());
                until("an offer", || offers(&channel) == 1);
                if asks {
                    until_asleep(&channel, 1);
                }
                let asked =
                    channel.block.cells.iter().any(|cell| cell.words().asleep.load(SeqCst) != 0);
                assert_eq!(asked, asks, "{mechanism}, {capacity:?}, {strategy:?}");
                assert_eq!(*rx.receive_with(&soon()).unwrap(), 1);
            });
        }
    });
}

#[test]
fn what_is_put_right_leaves_offers_whose_senders_have_yet_to_take_them_off() {
    over_all(|mechanism, capacity| {
        let (channel, tx, _rx) = ends(mechanism, capacity, WaitStrategy::Block);
        let under_way = channel.block.open_cell(tx.end().seat).unwrap();
        for (counted, right) in [(5, 1), (1, 1), (0, 0)] {
            channel.block.control.offers.word.store(counted, SeqCst);
            channel.right_offers();
            assert_eq!(offers(&channel), right, "{mechanism}, {capacity:?}");
        }
        channel.block.close_cell(under_way);
        channel.block.control.offers.word.store(1, SeqCst);
        channel.right_offers();
        assert_eq!(offers(&channel), 0, "{mechanism}, {capacity:?}");
    });
}
