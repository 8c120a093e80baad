//! The books of a case, and what has to be true of them, whoever died.

use crate::{Entry, Ledger};
use std::collections::HashMap;
use std::io;

/// What the members write down, each fact after it has become one: a member that is killed may
/// leave its last unwritten.
#[derive(Debug)]
pub struct Books {
    /// `send` or `try_send` has returned well.
    pub sent: Ledger,
    /// `deliver` has returned with a receipt, of the process `by`.
    pub delivered: Ledger,
    /// It has failed: nobody may ever see that message.
    pub refused: Ledger,
    /// The receiver `by` has it.
    pub received: Ledger,
}

/// The receivers that there were.
#[derive(Debug, Default)]
pub struct Receivers {
    /// Which ones a process id stood for.
    pub of_pid: HashMap<u32, Vec<u32>>,
    /// How many messages each of the killed may have taken without writing it down.
    pub killed: HashMap<u32, usize>,
}

impl Books {
    /// Empty ones, to be made before the fork.
    pub fn new() -> io::Result<Self> {
        Ok(Books {
            sent: Ledger::new()?,
            delivered: Ledger::new()?,
            refused: Ledger::new()?,
            received: Ledger::new()?,
        })
    }

    /// Finds every contradiction between the books; how many messages were received.
    pub fn judge(&self, receivers: &Receivers) -> io::Result<usize> {
        let key = |entry: &Entry| (entry.sender, entry.seq);
        let received = self.received.in_order_and_nothing_twice()?;
        let taker: HashMap<_, _> = received.iter().map(|entry| (key(entry), entry.by)).collect();

        for entry in self.refused.entries()? {
            let by = taker.get(&key(&entry));
            assert!(by.is_none(), "{entry:?} had failed, and was received by {by:?}");
        }
        let sent = self.sent.entries()?;
        let delivered = self.delivered.entries()?;
        let mut lost = 0;
        for entry in sent.iter().chain(&delivered) {
            lost += usize::from(!taker.contains_key(&key(entry)));
        }
        for entry in &delivered {
            let named = receivers.of_pid.get(&entry.by).map_or(&[][..], Vec::as_slice);
            let fits = match taker.get(&key(entry)) {
                Some(by) => named.contains(by),
                None => named.iter().any(|by| receivers.killed.contains_key(by)),
            };
            assert!(fits, "the receipt {entry:?} names none that took it and died or told");
        }
        let most = receivers.killed.values().sum();
        println!(
            "{} sent, {} delivered, {} received, {lost} lost and at most {most} in dead hands",
            sent.len(),
            delivered.len(),
            received.len()
        );
        assert!(lost <= most, "{lost} were lost, but the dead held at most {most}");
        Ok(received.len())
    }
}
