//! Traffic, and the blows that fall meanwhile.

use super::{LOOK, Round, Trouble, ended_early};
use crate::chaos::books::Seat;
use crate::chaos::schedule::{Blow, Strike};
use crate::chaos::starvation::is_running;
use postbox_sys::clock;
use std::hint;
use std::iter::Peekable;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// How long a blow waits until its victim is busy.
const AIM: Duration = Duration::from_millis(2);

impl Round<'_> {
    /// Traffic until there was so much of it, and what is due meanwhile.
    pub(super) fn traffic(
        &mut self,
        until: Duration,
        strikes: &mut Peekable<impl Iterator<Item = Strike>>,
    ) -> Result<(), Trouble> {
        let (played, began) = (self.findings.traffic, clock::now());
        loop {
            let now = played + Duration::from_nanos(clock::now() - began);
            // All that is due before the rest, even if the ledger comes late to it.
            let due = now.min(until);
            while let Some(strike) = strikes.next_if(|strike| strike.at <= due) {
                self.strike(strike.seat, strike.blow, strike.busy)?;
            }
            if now >= until || self.interrupt()? {
                self.findings.traffic = now.min(until);
                return Ok(());
            }
            self.progress.at(now);
            let next = strikes.peek().map_or(until, |strike| strike.at.min(until));
            self.listen(LOOK.min(next.saturating_sub(now)))?;
        }
    }

    /// Whoever is cloning an end is struck in the middle of it, or its partner is; true if that is the
    /// end of both.
    fn interrupt(&mut self) -> Result<bool, Trouble> {
        let Some(encounter) = &mut self.schedule.encounter else { return Ok(false) };
        let Some(cloning) = self.cloning else { return Ok(false) };
        let Some((delay, blow)) = encounter.interruption.take() else { return Ok(false) };
        while clock::now() - cloning < delay.as_nanos() as u64 {
            hint::spin_loop();
        }
        match blow {
            None => Ok(true),
            Some((seat, blow)) => self.strike(seat, blow, false).map(|()| false),
        }
    }

    /// Does that to whoever sits there.
    fn strike(&mut self, seat: Seat, blow: Blow, busy: bool) -> Result<(), Trouble> {
        let at = self.crew.iter().position(|member| member.victim.seat == seat);
        let Some(at) = at else { return Ok(()) };
        let began = clock::now();
        while busy
            && !is_running(self.crew[at].victim.pid)
            && clock::now() - began < AIM.as_nanos() as u64
        {
            std::thread::yield_now();
        }
        match blow {
            Blow::Stop(length) => {
                self.findings.stops += 1;
                if self.crew[at].stopped.is_none() {
                    self.crew[at].stop(length)?;
                }
                Ok(())
            }
            Blow::Kill => {
                self.findings.kills += 1;
                self.kill(at)?;
                self.enlist(seat)
            }
        }
    }

    pub(super) fn kill(&mut self, at: usize) -> Result<(), Trouble> {
        let mut member = self.crew.swap_remove(at);
        let (when, status) = member.kill()?;
        if let Some((since, _)) = member.stopped {
            self.waits.stopped(since, clock::now());
        }
        self.hear_out(&mut member)?;
        if status.signal().is_none() {
            return Err(ended_early(&member, &status.to_string()).into());
        }
        self.waits.gone(member.victim);
        self.books.killed(member.victim, when);
        self.last_killed = self.last_killed.max(when);
        Ok(())
    }
}
