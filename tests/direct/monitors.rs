//! Being told that a process is gone.

use crate::lab::Lab;
use postbox::Wait;
use postbox_tests::{Case, Outcome, own_thread, soon, switches, until_asleep};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a monitor tells of a death and of a leave", monitored),
        Case::new("a monitor costs nothing while it waits", monitor_is_free),
    ]
}

fn monitored() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for _ in 0..5 {
        let actor = lab.actor("watched", "hold")?;
        let monitor = me.monitor("watched")?;
        let pid = actor.pid();
        assert!(monitor.try_wait()?.is_none());
        let patience = Wait::timeout(Duration::from_millis(5));
        assert!(monitor.wait_with(&patience).unwrap_err().is_timeout());
        let own = own_thread();
        let death = thread::spawn(move || {
            until_asleep(own);
            actor.killed().unwrap();
            Instant::now()
        });
        let departed = monitor.wait_with(&soon())?;
        let told = Instant::now();
        assert!(told.saturating_duration_since(death.join().unwrap()) < Duration::from_millis(200));
        assert_eq!((departed.name().as_str(), departed.pid()), ("watched", pid));
        assert!(monitor.try_wait()?.is_some());
        // For whoever polls.
        let mut fds = [nix::poll::PollFd::new(monitor.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO)?, 1);
    }
    // Leaving is departing too, though nothing but the domain tells.
    for _ in 0..20 {
        let other = lab.join("leaver")?;
        let monitor = me.monitor("leaver")?;
        let own = own_thread();
        let leave = thread::spawn(move || {
            until_asleep(own);
            let moment = Instant::now();
            drop(other);
            moment
        });
        let left = monitor.wait_with(&Wait::timeout(Duration::from_secs(5)))?;
        let told = Instant::now();
        assert_eq!(left.pid(), std::process::id());
        assert!(told.saturating_duration_since(leave.join().unwrap()) < Duration::from_millis(200));
    }
    // Its successor is another.
    let _successor = lab.join("leaver")?;
    Ok(())
}

fn monitor_is_free() -> Outcome {
    let lab = Lab::new()?;
    let (me, _watched) = (lab.join("me")?, lab.actor("watched", "hold")?);
    let monitor = me.monitor("watched")?;
    let patience = Wait::timeout(Duration::from_millis(500));
    let before = switches(own_thread());
    assert!(monitor.wait_with(&patience).unwrap_err().is_timeout());
    let switched = switches(own_thread()) - before;
    assert!(switched <= 3, "woken {switched} times");
    Ok(())
}
