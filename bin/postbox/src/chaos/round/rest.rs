//! Rest: what is under way comes to its end, and everything is counted.

use super::{PATIENCE, Round, Trouble};
use crate::chaos::books::{NOTICE, Rule, Seat, Violation};
use crate::chaos::crew::Member;
use crate::chaos::naming::Naming;
use crate::chaos::victims::Order;
use postbox::Capacity;
use postbox_sys::clock;
use std::time::Duration;

impl Round<'_> {
    /// The senders rest, the receivers take what is left, and rest too.
    pub(super) fn rest(&mut self) -> Result<(), Trouble> {
        for member in &mut self.crew {
            if let Some((_, until)) = &mut member.stopped {
                *until = 0;
            }
        }
        self.let_go_on()?;
        self.await_all("everybody to begin", |round| round.crew.iter().all(|member| member.ready))?;
        let sends = |member: &Member| matches!(member.victim.seat, Seat::Producer(_));
        self.crew.iter_mut().filter(|member| sends(member)).for_each(|member| {
            member.order(Order::Rest);
        });
        self.await_all("the senders to rest", |round| {
            round.crew.iter().filter(|member| sends(member)).all(|member| member.rests)
        })?;
        for place in 0..self.setting.consumers {
            self.probe(&Seat::Consumer(place).to_string())?;
        }
        Ok(())
    }

    /// Sends one receiver to rest, which has nothing else to do.
    fn probe(&mut self, name: &str) -> Result<(), Trouble> {
        self.scene.reach(name)?;
        let began = clock::now();
        let receipt = match self.scene.probe(name, PATIENCE) {
            Ok(receipt) => receipt,
            Err(error) => {
                // Whoever has ended by itself says more about it.
                self.listen(Duration::ZERO)?;
                let account =
                    format!("nobody took what the ledger sent: {error}; {}", self.waits.describe());
                return Err(Violation { rule: Rule::WaitedTooLong, account }.into());
            }
        };
        let ended = clock::now();
        let pid = receipt.receiver().pid();
        self.waits.waited(began, ended, || {
            format!("until {pid} took a message that nobody else could send")
        })?;
        self.await_all("a receiver to rest", |round| {
            round.crew.iter().any(|member| member.victim.pid == pid && member.rests)
        })
    }

    /// Nothing is under way: all that was sent is accounted for.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
        // What was written before the last one rested.
        self.listen(Duration::ZERO)?;
        let losses = self.books.settle(clock::now())?;
        self.findings.losses.extend(losses);
        Ok(())
    }

    /// A sender may take the link to one that has died for that to its successor until it has had time
    /// to notice.
    fn until_noticed(&mut self) -> Result<(), Trouble> {
        let noticed = self.last_killed + NOTICE;
        loop {
            let now = clock::now();
            if now >= noticed {
                return Ok(());
            }
            self.listen(Duration::from_nanos(noticed - now))?;
        }
    }

    pub(super) fn count_room(&mut self) -> Result<(), Trouble> {
        if self.setting.naming != Naming::Direct {
            return Ok(self.scene.count_room()?);
        }
        self.until_noticed()?;
        // Each sender fills the link to one receiver.
        let consumers = self.setting.consumers;
        for member in &mut self.crew {
            if let Seat::Producer(place) = member.victim.seat {
                member.counted = None;
                member.order(Order::Count(place % consumers));
            }
        }
        let counted = |member: &Member| {
            matches!(member.victim.seat, Seat::Consumer(_)) || member.counted.is_some()
        };
        self.await_all("links to be filled", |round| round.crew.iter().all(counted))?;
        for member in &self.crew {
            if let (Some(went), Capacity::Bounded(n)) = (member.counted, self.setting.capacity)
                && went != n
            {
                let account = format!(
                    "{} filled an empty link with {went}; there is room for {n}",
                    member.victim
                );
                return Err(Violation { rule: Rule::Room, account }.into());
            }
        }
        Ok(())
    }
}
