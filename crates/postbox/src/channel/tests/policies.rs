//! How the processes of a mailbox share it: two at most, or one at a time.

use super::*;
use crate::channel::floor::Floor;
use crate::channel::members::Life;
use crate::error::Fault;

#[test]
fn a_pair_is_two_processes_however_many_ends_they_have() {
    let channel = mailbox(Mechanism::SharedMemory, Capacity::Bounded(4), Policy::Pair);
    // The keeper of a mailbox uses it as little as this process does so far.
    let (mut a, mut b, mut c) =
        (Partner::of(&channel), Partner::of(&channel), Partner::of(&channel));
    assert_eq!(a.ask("sender a"), "done");
    assert_eq!(b.ask("sender b"), "done");
    assert_eq!(b.ask("receiver b"), "done");
    let taken = format!("and {} and {} use it already", a.pid(), b.pid());
    assert!(c.ask("receiver c").contains(&taken));
    let refused = End::join(channel.clone(), Role::Sender, WaitStrategy::Block);
    assert!(matches!(refused, Err(Fault::PairTaken { .. })));
    // The last handle frees the place, and so does death.
    assert_eq!(b.ask("leave"), "done");
    assert_eq!(c.ask("receiver c"), "done");
    assert!(b.ask("sender b").contains("use it already"));
    a.kill();
    assert_eq!(b.ask("sender b"), "done");
}

#[test]
fn the_threads_and_handles_of_a_process_count_once() {
    let channel = mailbox(Mechanism::Pipe, Capacity::Bounded(4), Policy::Pair);
    let again = || {
        let fds = channel.fds().into_iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
        Arc::new(Channel::from_fds(fds).unwrap())
    };
    let mut other = Partner::of(&channel);
    assert_eq!(other.ask("sender a"), "done");
    let handle = channel.attach().unwrap();
    let ends: Vec<_> = std::thread::scope(|scope| {
        let joins: Vec<_> = (0..8).map(|_| scope.spawn(|| sender(&again(), "x"))).collect();
        joins.into_iter().map(|join| join.join().unwrap()).collect()
    });
    let mut third = Partner::of(&channel);
    drop(ends);
    assert!(third.ask("sender c").contains("use it already"));
    drop(handle);
    assert_eq!(third.ask("sender c"), "done");
}

fn queueing(mechanism: Mechanism, capacity: Capacity) -> Arc<Channel> {
    mailbox(mechanism, capacity, Policy::OneAtATime)
}

/// How many calls wait for the floor.
fn in_line(channel: &Channel) -> usize {
    let waits = |place: &postbox_ring::sync::AtomicU64| {
        place.load(postbox_ring::sync::Ordering::SeqCst) != 0
    };
    channel.block.records().filter(|(_, member)| waits(&member.place)).count()
}

#[test]
fn receivers_have_the_floor_in_the_order_in_which_they_asked() {
    over_all(|mechanism, capacity| {
        let channel = queueing(mechanism, capacity);
        let tx = sender(&channel, "a");
        let mut line: Vec<Partner> = (0..4)
            .map(|i| {
                let mut partner = Partner::of(&channel);
                assert_eq!(partner.ask(&format!("receiver r{i}")), "done");
                partner
            })
            .collect();
        for round in 0..3 {
            for (i, partner) in line.iter_mut().enumerate() {
                partner.order("receive");
                until("the floor is taken", || !channel.floor_is_free());
                until("it stands in line", || in_line(&channel) == i);
            }
            for (i, partner) in line.iter_mut().enumerate() {
                let number = round * 10 + i as u64;
                let receipt = tx.deliver_with(&number, &soon()).unwrap();
                assert_eq!(receipt.receiver().name(), Some(&name(&format!("r{i}"))));
                assert!(partner.answer().starts_with(&format!("{number} from a ")));
            }
        }
    });
}

#[test]
fn who_has_not_the_floor_finds_nothing_and_polls_nothing() {
    over_all(|mechanism, capacity| {
        let channel = queueing(mechanism, capacity);
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        let mut polls = Partner::of(&channel);
        assert_eq!(polls.ask("receiver c"), "done");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        // Nobody executes a receive: the message is for whoever comes.
        if capacity != Capacity::Zero {
            tx.send(&1).unwrap();
            assert_eq!(polls.ask("poll 20000"), "readable");
            assert!(polls.ask("try_receive").starts_with("1 from a "));
        }
        assert_eq!(polls.ask("try_receive"), "nothing");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        // Somebody does.
        let floor = Floor::try_take(rx.end()).unwrap();
        let offer = std::thread::spawn(move || {
            let _ = tx.deliver_with(&2, &soon()).unwrap();
            tx
        });
        until("the offer is there", || !channel.is_drained());
        assert_eq!(polls.ask("poll 50"), "unreadable");
        assert_eq!(polls.ask("try_receive"), "nothing");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        drop(floor);
        assert_eq!(polls.ask("poll 20000"), "readable");
        assert!(polls.ask("try_receive").starts_with("2 from a "));
        let tx = offer.join().unwrap();
        // Inside a waiting call it is the same.
        let waits = channel.statistics().waits;
        let receives = std::thread::spawn(move || rx.receive().map(|message| *message).unwrap());
        until_asleep(&channel, waits + 1);
        assert_eq!(polls.ask("try_receive"), "nothing");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        tx.try_send(&3).unwrap();
        assert_eq!(receives.join().unwrap(), 3);
        assert_eq!(polls.ask("try_receive"), "nothing");
    });
}

#[test]
fn death_passes_the_floor_on() {
    over_all(|mechanism, capacity| {
        let channel = queueing(mechanism, capacity);
        let tx = sender(&channel, "a");
        let mut line: Vec<Partner> = (0..5)
            .map(|i| {
                let mut partner = Partner::of(&channel);
                assert_eq!(partner.ask(&format!("receiver r{i}")), "done");
                partner.order("receive");
                until("the floor is taken", || !channel.floor_is_free());
                until("it stands in line", || in_line(&channel) == i);
                partner
            })
            .collect();
        // One that only waits dies as well, without harm to the others; all of them hear of it.
        line[1].kill();
        line[0].kill();
        let killed = Instant::now();
        let receipt = tx.deliver_with(&1, &soon()).unwrap();
        assert!(killed.elapsed() < Duration::from_secs(2));
        assert_eq!(receipt.receiver().name(), Some(&name("r2")));
        assert!(line[2].answer().starts_with("1 from a "));
        line.clear();
        // Nobody is left who waits.
        if capacity != Capacity::Zero {
            tx.send(&2).unwrap();
            let rx = receiver(&channel, "b");
            until("the death is seen", || {
                rx.try_receive().unwrap().is_some_and(|message| *message == 2)
            });
        }
    });
}

#[test]
fn who_gives_up_waiting_leaves_the_line() {
    over_all(|mechanism, capacity| {
        let channel = queueing(mechanism, capacity);
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        let mut holder = Partner::of(&channel);
        assert_eq!(holder.ask("receiver r"), "done");
        holder.order("receive");
        until_asleep(&channel, 1);
        let late = rx.receive_with(&Wait::timeout(Duration::from_millis(20)));
        assert!(late.unwrap_err().is_timeout());
        assert!(rx.receive_with(&Wait::timeout(Duration::ZERO)).unwrap_err().is_timeout());
        let _ = tx.deliver_with(&1, &soon()).unwrap();
        assert!(holder.answer().starts_with("1 from a "));
        until("the floor is free", || channel.floor_is_free());
        // Had the place stayed, nobody would come to the floor any more.
        assert_eq!(holder.ask("try_receive"), "nothing");
        holder.order("receive");
        let _ = tx.deliver_with(&2, &soon()).unwrap();
        assert!(holder.answer().starts_with("2 from a "));
    });
}

#[test]
fn a_batch_is_one_receive() {
    for mechanism in Mechanism::ALL {
        let channel = queueing(mechanism, Capacity::Bounded(9));
        let tx = sender(&channel, "a");
        let mut line = [Partner::of(&channel), Partner::of(&channel)];
        for (i, partner) in line.iter_mut().enumerate() {
            assert_eq!(partner.ask(&format!("receiver r{i}")), "done");
        }
        tx.send_batch(&[1, 2, 3]).unwrap();
        assert_eq!(line[0].ask("batch 9"), "1 2 3");
        // Also while another waits for its turn.
        let rx = receiver(&channel, "b");
        let floor = Floor::try_take(rx.end()).unwrap();
        for (i, partner) in line.iter_mut().enumerate() {
            partner.order("batch 9");
            until("it stands in line", || in_line(&channel) == i + 1);
        }
        tx.send_batch(&[4, 5, 6]).unwrap();
        drop(floor);
        assert_eq!(line[0].answer(), "4 5 6");
        tx.send(&7).unwrap();
        assert_eq!(line[1].answer(), "7");
    }
}

#[test]
fn the_destruction_of_a_mailbox_is_told_along_the_line() {
    over_all(|mechanism, capacity| {
        let channel = queueing(mechanism, capacity);
        let mut line = [Partner::of(&channel), Partner::of(&channel), Partner::of(&channel)];
        for (i, partner) in line.iter_mut().enumerate() {
            assert_eq!(partner.ask(&format!("receiver r{i}")), "done");
            partner.order("receive");
            until_asleep(&channel, i as u64 + 1);
        }
        let out = name("r1");
        assert_eq!(channel.revoke(Role::Receiver, |_, name| name != Some(&out)), 1);
        assert!(line[1].answer().contains("may not receive"));
        channel.destroy();
        assert!(line[0].answer().contains("no longer exists"));
        assert!(line[2].answer().contains("no longer exists"));
    });
}

#[test]
fn each_message_is_taken_once_by_receivers_that_queue() {
    for mechanism in Mechanism::ALL {
        for capacity in CAPACITIES {
            const EACH: u64 = 200;
            let channel = queueing(mechanism, capacity);
            let takers: Vec<_> = (0..4)
                .map(|i| {
                    let rx = receiver(&channel, &format!("r{i}")).until_drained();
                    std::thread::spawn(move || {
                        rx.iter().map(|message| *message.unwrap()).collect::<Vec<u64>>()
                    })
                })
                .collect();
            let senders: Vec<_> = (0..2)
                .map(|i| {
                    let tx = sender(&channel, &format!("s{i}"));
                    std::thread::spawn(move || {
                        (0..EACH).for_each(|n| tx.send(&(i * EACH + n)).unwrap());
                        tx
                    })
                })
                .collect();
            // Gone together, so that nobody ends early.
            drop(senders.into_iter().map(|s| s.join().unwrap()).collect::<Vec<_>>());
            let mut all: Vec<u64> =
                takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..2 * EACH), "{mechanism} {capacity}");
        }
    }
}

#[test]
fn who_may_yet_turn_out_to_live_keeps_the_floor() {
    let channel = queueing(Mechanism::SharedMemory, Capacity::Bounded(1));
    let rx = receiver(&channel, "a");
    let floor = Floor::try_take(rx.end()).unwrap();
    // As when its end was passed on while somebody was about to bury the giver.
    let member = rx.end().member();
    channel.block.mark_dead(member, member.status());
    assert_eq!(member.status().life(), Life::Dead);
    assert!(!channel.floor_is_free());
    channel.block.unmark_dead(member, member.status());
    assert!(!channel.floor_is_free());
    drop(floor);
    assert!(channel.floor_is_free());
}

#[test]
fn who_polls_is_not_woken_for_what_the_first_in_line_is_to_have() {
    for mechanism in Mechanism::ALL {
        let channel = queueing(mechanism, Capacity::Bounded(2));
        let (tx, rx) = (sender(&channel, "a"), receiver(&channel, "b"));
        let (mut first, mut polls) = (Partner::of(&channel), Partner::of(&channel));
        assert_eq!(first.ask("receiver r"), "done");
        assert_eq!(polls.ask("receiver p"), "done");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        let floor = Floor::try_take(rx.end()).unwrap();
        first.order("receive");
        until("it stands in line", || in_line(&channel) == 1);
        first.stop();
        drop(floor);
        tx.send_batch(&[1, 2]).unwrap();
        assert_eq!(polls.ask("try_receive"), "nothing");
        assert_eq!(polls.ask("poll 0"), "unreadable");
        first.resume();
        assert!(first.answer().starts_with("1 from a "));
        assert_eq!(polls.ask("poll 20000"), "readable");
        assert!(polls.ask("try_receive").starts_with("2 from a "));
    }
}

#[test]
fn who_ends_with_the_last_sender_is_told_though_another_has_the_floor() {
    for mechanism in Mechanism::ALL {
        let channel = queueing(mechanism, Capacity::Bounded(2));
        let (stays, ends) = (receiver(&channel, "a"), receiver(&channel, "b").until_drained());
        let pollable = ends.pollable().unwrap();
        let readable = || {
            let fd = std::os::fd::AsFd::as_fd(&pollable);
            let mut fds = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO) == Ok(1)
        };
        let _floor = Floor::try_take(stays.end()).unwrap();
        sender(&channel, "s").send(&1).unwrap();
        // One message is left, and it is not this one's to take.
        assert!(ends.try_receive().unwrap().is_none());
        assert!(!readable());
        assert_eq!(*stays.receive().unwrap(), 1);
        assert!(readable());
        assert!(ends.try_receive().unwrap_err().is_disconnected());
        assert!(ends.receive_batch(2).unwrap_err().is_disconnected());
    }
}
