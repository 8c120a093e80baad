//! The finale: amid traffic all of one side die, or the owner does, and everybody else is told.

use super::{LOOK, Round, Trouble};
use crate::chaos::books::Seat;
use crate::chaos::naming::Naming;
use crate::chaos::schedule::Finale;
use postbox_sys::clock;
use std::time::Duration;

/// How long traffic goes on before.
const PRELUDE: Duration = Duration::from_millis(100);

impl Finale {
    /// Whether whoever sits there is killed.
    fn strikes(self, seat: Seat) -> bool {
        match seat {
            Seat::Producer(_) => self == Finale::Senders,
            Seat::Consumer(_) => self == Finale::Receivers,
        }
    }
}

impl Round<'_> {
    /// Plays it, and settles the books for the last time.
    pub(super) fn finale(&mut self) -> Result<(), Trouble> {
        // A pair is in the middle of it.
        if self.setting.naming != Naming::Pair {
            let until = clock::now() + PRELUDE.as_nanos() as u64;
            while clock::now() < until {
                self.listen(LOOK)?;
            }
        }
        self.findings.repairs = self.scene.repairs();
        let finale = match self.setting.naming {
            // Receivers from anyone are not told of anything.
            Naming::Direct => Finale::Receivers,
            _ => self.schedule.finale,
        };
        self.scene.let_go();
        // Who stands still is told when it goes on.
        let stopped = self.crew.iter().filter_map(|member| member.stopped).map(|(_, until)| until);
        let stopped = stopped.max().unwrap_or_default();
        // From here on whoever is told may be told rightly; how late, is seen below.
        self.finale = Some(clock::now());
        let killed = self.kill_all(finale)?;
        self.await_all("everybody to be told", |round| {
            round.crew.iter().all(|member| round.told.contains_key(&member.victim.number))
        })?;
        // Receivers take what is left first.
        let from = match finale {
            Finale::Senders => killed.max(self.books.last_taken()),
            Finale::Receivers | Finale::Owner => killed,
        };
        for member in &self.crew {
            let victim = member.victim;
            // One that was just being started is told by its first call.
            let from = from.max(member.ready_since).max(stopped);
            let told = self.told.get(&victim.number).copied().unwrap_or(from);
            self.waits.waited(from, told, || format!("until {victim} was told of the end"))?;
        }
        match finale {
            Finale::Senders => self.settle(),
            // What was in the channel went with it.
            Finale::Receivers | Finale::Owner => Ok(self.books.close()?),
        }
    }

    /// All of them at one instant; when they had ended.
    fn kill_all(&mut self, finale: Finale) -> Result<u64, Trouble> {
        for member in self.crew.iter_mut().filter(|member| finale.strikes(member.victim.seat)) {
            member.shoot()?;
        }
        if let Some(owner) = self.owner.iter_mut().find(|_| finale == Finale::Owner) {
            owner.shoot()?;
        }
        while let Some(at) = self.crew.iter().position(|member| finale.strikes(member.victim.seat))
        {
            self.findings.kills += 1;
            self.kill(at)?;
        }
        if let Some(mut owner) = self.owner.take_if(|_| finale == Finale::Owner) {
            self.findings.kills += 1;
            owner.kill()?;
        }
        Ok(clock::now())
    }
}
