//! One that takes part in a play: what it sends and receives, it writes down.

use super::stage::{Failure, STOP, Stage};
use postbox::{Receiver, SendError, Sender, Wait};
use postbox_tests::{Entry, Numbered, Outcome, soon};
use std::time::Instant;

/// One that takes part, and writes down what it does.
pub struct Member<'s> {
    pub stage: &'s Stage,
    pub number: u32,
}

impl Member<'_> {
    fn message(&self, seq: u64, len: usize) -> Numbered {
        (self.number, seq, vec![seq as u8; len])
    }

    pub fn entry(&self, seq: u64) -> Entry {
        Entry { by: self.number, sender: self.number, seq }
    }

    /// Writes down that it has received that.
    pub fn note(&self, message: &Numbered) -> Outcome {
        let (sender, seq, filling) = message;
        assert!(filling.iter().all(|byte| *byte == *seq as u8), "spoilt on the way");
        Ok(self.stage.books.received.note(Entry { by: self.number, sender: *sender, seq: *seq })?)
    }

    pub fn send(&self, tx: &Sender<Numbered>, seq: u64, len: usize) -> Outcome {
        tx.send_with(&self.message(seq, len), &soon())?;
        Ok(self.stage.books.sent.note(self.entry(seq))?)
    }

    /// Whether it went; nobody may see it if it did not.
    pub fn send_within(
        &self,
        tx: &Sender<Numbered>,
        seq: u64,
        len: usize,
        wait: &Wait,
    ) -> Result<bool, Failure> {
        match tx.send_with(&self.message(seq, len), wait) {
            Ok(()) => self.stage.books.sent.note(self.entry(seq)).map(|()| true)?,
            Err(SendError::TimedOut) => {
                self.stage.books.refused.note(self.entry(seq))?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(true)
    }

    /// Whether it went at once.
    pub fn try_send(&self, tx: &Sender<Numbered>, seq: u64, len: usize) -> Result<bool, Failure> {
        match tx.try_send(&self.message(seq, len)) {
            Ok(()) => {
                self.stage.books.sent.note(self.entry(seq))?;
                Ok(true)
            }
            Err(error) if error.is_full() => {
                self.stage.books.refused.note(self.entry(seq))?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends so many from `first` on, in one batch.
    pub fn send_batch(&self, tx: &Sender<Numbered>, first: u64, count: u64) -> Outcome {
        let messages: Vec<_> = (first..first + count).map(|seq| self.message(seq, 10)).collect();
        assert_eq!(tx.send_batch_with(&messages, &soon())?, messages.len());
        Ok((first..first + count)
            .try_for_each(|seq| self.stage.books.sent.note(self.entry(seq)))?)
    }

    /// The same as far as there is room; nobody may see the others.
    pub fn try_send_batch(&self, tx: &Sender<Numbered>, first: u64, count: u64) -> Outcome {
        let messages: Vec<_> = (first..first + count).map(|seq| self.message(seq, 10)).collect();
        let went = first + tx.try_send_batch(&messages)? as u64;
        let books = &self.stage.books;
        (first..went).try_for_each(|seq| books.sent.note(self.entry(seq)))?;
        Ok((went..first + count).try_for_each(|seq| books.refused.note(self.entry(seq)))?)
    }

    /// Tries, with one number after another, until one goes; the number after it.
    pub fn try_until_sent(&self, tx: &Sender<Numbered>, mut seq: u64) -> Result<u64, Failure> {
        let deadline = Instant::now() + postbox_tests::PATIENCE;
        while !self.try_send(tx, seq, 10)? {
            seq += 1;
            if Instant::now() > deadline {
                return Err("no try_send succeeds".into());
            }
            std::thread::yield_now();
        }
        Ok(seq + 1)
    }

    pub fn deliver(&self, tx: &Sender<Numbered>, seq: u64, len: usize, wait: &Wait) -> Outcome {
        match tx.deliver_with(&self.message(seq, len), wait) {
            Ok(receipt) => {
                let by = receipt.receiver().pid();
                self.stage.books.delivered.note(Entry { by, ..self.entry(seq) })?;
            }
            Err(error) if matches!(error.reason(), SendError::TimedOut) => {
                self.stage.books.refused.note(self.entry(seq))?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Receives so many.
    pub fn receive(&self, rx: &Receiver<Numbered>, count: usize) -> Outcome {
        (0..count).try_for_each(|_| {
            let delivery = rx.receive_with(&soon())?;
            self.note(&delivery)
        })
    }

    /// Receives until there is nothing.
    pub fn try_receive_all(&self, rx: &Receiver<Numbered>) -> Outcome {
        while let Some(delivery) = rx.try_receive()? {
            self.note(&delivery)?;
        }
        Ok(())
    }

    /// Receives until it is told to stop.
    pub fn receive_on(&self, rx: &Receiver<Numbered>) -> Outcome {
        loop {
            let delivery = rx.receive_with(&soon())?;
            if delivery.0 == STOP {
                return Ok(());
            }
            self.note(&delivery)?;
        }
    }
}
