//! The walk: every step, every mechanism, every role.

use postbox::{Capacity, Mechanism, channel, fork};
use postbox_steps::{Fate, Step, arm};
use postbox_tests::{Case, over};
use std::os::unix::process::ExitStatusExt;

pub fn cases() -> Vec<Case> {
    over("an armed step kills a sender", |mechanism| {
        if mechanism == Mechanism::SharedMemory {
            return Ok(());
        }
        let (tx, rx) = channel::<u64>(mechanism, Capacity::Bounded(2))?;
        let mut child = fork(tx, |tx| {
            arm(Step::TicketTaken, 2, Fate::Dies);
            tx.send(&1)?;
            tx.send(&2)?;
            Ok(())
        })?;
        assert_eq!(child.wait_status()?.signal(), Some(9));
        assert_eq!(*rx.receive()?, 1);
        assert!(rx.receive().is_err());
        Ok(())
    })
}
