//! Throw-away.
use super::*;
use crate::channel::floor::Floor;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

fn queueing(mechanism: Mechanism, capacity: Capacity) -> Arc<Channel> {
    mailbox(mechanism, capacity, Policy::OneAtATime)
}

/// publish races with the giving up of the floor: is the pollable readable after it?
#[test]
fn zz_level_race() {
    for mechanism in [Mechanism::SharedMemory] {
        let channel = queueing(mechanism, Capacity::Bounded(4));
        let rx = receiver(&channel, "p");
        let pollable = rx.pollable().unwrap();
        let other = receiver(&channel, "o");
        let tx = sender(&channel, "s");
        let round = Arc::new(AtomicU64::new(0));
        let done = Arc::new(AtomicU64::new(0));
        let r2 = round.clone();
        let d2 = done.clone();
        const N: u64 = 400_000;
        let t = std::thread::spawn(move || {
            for i in 1..=N {
                while r2.load(Acquire) < i {
                    std::hint::spin_loop();
                }
                for _ in 0..(i * 7 % 401) {
                    std::hint::spin_loop();
                }
                tx.send(&i).unwrap();
                d2.store(i, Release);
            }
        });
        let mut lost = 0;
        let mut hit = 0;
        for i in 1..=N {
            let floor = Floor::try_take(other.end()).unwrap();
            round.store(i, Release);
            for _ in 0..(i * 13 % 307) {
                std::hint::spin_loop();
            }
            drop(floor);
            while done.load(Acquire) < i {
                std::hint::spin_loop();
            }
            let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO) != Ok(1) {
                lost += 1;
            } else {
                hit += 1;
            }
            while rx.try_receive().unwrap().is_some() {}
            assert!(rx.try_receive().unwrap().is_none());
        }
        t.join().unwrap();
        eprintln!("lost {lost} hit {hit}");
        assert_eq!(lost, 0);
    }
}

/// everybody mixes calls; no deliver may wait long.
#[test]
fn zz_mix() {
    for mechanism in [Mechanism::SharedMemory, Mechanism::Pipe] {
        for capacity in CAPACITIES {
            let channel = queueing(mechanism, capacity);
            let stop = Arc::new(AtomicBool::new(false));
            let inside = Arc::new(AtomicU64::new(0));
            let rs: Vec<_> = (0..4)
                .map(|i| {
                    let rx = receiver(&channel, &format!("r{i}"));
                    let stop = stop.clone();
                    let _inside = inside.clone();
                    std::thread::spawn(move || {
                        let mut x = 12345u64 + i * 77;
                        let mut n = 0u64;
                        while !stop.load(Relaxed) {
                            x ^= x << 13;
                            x ^= x >> 7;
                            x ^= x << 17;
                            match (i, x % 8) {
                                // one that always waits long
                                (0, _) | (1, _) => {
                                    match rx
                                        .receive_with(&Wait::timeout(Duration::from_millis(3000)))
                                    {
                                        Ok(_) => n += 1,
                                        Err(e) => {
                                            assert!(e.is_timeout() || e.is_destroyed(), "{e}")
                                        }
                                    }
                                }
                                (_, 0) => {
                                    if rx.try_receive().unwrap().is_some() {
                                        n += 1
                                    }
                                }
                                (_, 1) => n += rx.try_receive_batch(3).unwrap().len() as u64,
                                (_, 2..4) => {
                                    if rx
                                        .receive_with(&Wait::timeout(Duration::from_micros(
                                            x >> 8 & 1023,
                                        )))
                                        .is_ok()
                                    {
                                        n += 1
                                    }
                                }
                                _ => {
                                    match rx.receive_with(&Wait::timeout(Duration::from_millis(
                                        x >> 8 & 15,
                                    ))) {
                                        Ok(_) => n += 1,
                                        Err(e) => {
                                            assert!(e.is_timeout() || e.is_destroyed(), "{e}")
                                        }
                                    }
                                }
                            }
                        }
                        n
                    })
                })
                .collect();
            let tx = sender(&channel, "s");
            let start = Instant::now();
            let mut worst = Duration::ZERO;
            let mut sent = 0;
            while start.elapsed() < Duration::from_secs(4) {
                let t = Instant::now();
                let r = tx.deliver_with(&sent, &Wait::timeout(Duration::from_secs(2)));
                worst = worst.max(t.elapsed());
                if let Err(e) = r {
                    eprintln!(
                        "{mechanism} {capacity}: {e} free {} drained {} ",
                        channel.floor_is_free(),
                        channel.is_drained()
                    );
                    for (i, m) in channel.block.records() {
                        eprintln!("{i} {:?} place {}", m.status(), m.place.load(SeqCst));
                    }
                    panic!("lost");
                }
                sent += 1;
                if sent % 3 == 0 {
                    std::thread::sleep(Duration::from_micros(sent * 37 % 900));
                }
            }
            stop.store(true, Relaxed);
            channel.destroy();
            let n: u64 = rs.into_iter().map(|t| t.join().unwrap_or(0)).sum();
            eprintln!("{mechanism} {capacity}: {sent} sent {n} worst {worst:?}");
        }
    }
}
