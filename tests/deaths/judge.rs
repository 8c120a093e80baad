//! What has to be true of the books, whoever died.

use postbox_tests::{Entry, Ledger};
use std::collections::{HashMap, HashSet};
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
    pub killed: HashSet<u32>,
}

impl Books {
    pub fn new() -> io::Result<Self> {
        Ok(Books {
            sent: Ledger::new()?,
            delivered: Ledger::new()?,
            refused: Ledger::new()?,
            received: Ledger::new()?,
        })
    }

    /// Finds every contradiction between the books.
    pub fn judge(&self, receivers: &Receivers) -> io::Result<()> {
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
                None => named.iter().any(|by| receivers.killed.contains(by)),
            };
            assert!(fits, "the receipt {entry:?} names none that took it and died or told");
        }
        let killed = receivers.killed.len();
        println!(
            "{} sent, {} delivered, {} received, {lost} lost with {killed} killed receivers",
            sent.len(),
            delivered.len(),
            received.len()
        );
        assert!(lost <= killed, "{lost} were lost, but only {killed} receivers were killed");
        assert!(!received.is_empty(), "there was no traffic");
        Ok(())
    }
}
