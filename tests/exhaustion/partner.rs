//! Another process of the domain, which can be made to have too little.

use crate::scarce::all_but;
use nix::sys::signal::Signal;
use postbox::{
    Access, Bytes, Capacity, Child, Domain, JoinOptions, Mailbox, MailboxOptions, Mechanism,
    Options, Process, Wait, fork,
};
use postbox_tests::{Gate, Outcome, soon};
use std::cell::Cell;
use std::error::Error;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::time::Duration;

/// Its name; others come before it and after it.
pub const NAME: &str = "partner";
/// The mailbox that it owns.
pub const MAILBOX: &str = "its";
/// The order to have all descriptors again.
const FEED: u8 = u8::MAX;

/// Longer than any answer takes, shorter than any patience.
pub const PROMPT: Duration = Duration::from_secs(10);

fn prompt() -> Wait<'static> {
    Wait::timeout(PROMPT)
}

/// Small queues, with room for what a case sends and nobody receives: what POSIX queues take is counted against the user's quota.
pub fn small(mechanism: Mechanism) -> Options {
    Options::new(mechanism).capacity(Capacity::Bounded(8)).max_message(64)
}

/// A child that has joined as [`NAME`], owns [`MAILBOX`], and does what it is told.
pub struct Partner {
    child: Child,
    orders: PipeWriter,
    done: Gate,
}

impl Partner {
    pub fn start(domain: &Domain, mechanism: Mechanism) -> Result<Self, Box<dyn Error>> {
        let (read, orders) = pipe()?;
        let done = Gate::new()?;
        let child = fork((), |()| obey(domain, mechanism, read, &done))?;
        done.pass()?;
        Ok(Partner { child, orders, done })
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// It has so many descriptors left, and no more.
    pub fn starve(&mut self, left: u8) -> Outcome {
        self.order(left)
    }

    /// It has enough again.
    pub fn feed(&mut self) -> Outcome {
        self.order(FEED)
    }

    fn order(&mut self, order: u8) -> Outcome {
        self.orders.write_all(&[order])?;
        Ok(self.done.pass()?)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    pub fn end(mut self) -> Outcome {
        self.child.signal(Signal::SIGKILL as i32)?;
        self.child.wait_status()?;
        Ok(())
    }
}

fn obey(domain: &Domain, mechanism: Mechanism, mut orders: PipeReader, done: &Gate) -> Outcome {
    let links = JoinOptions::new().links(small(mechanism));
    let me = domain.join_with(NAME, links)?;
    let members = MailboxOptions::from(small(mechanism)).receivers(Access::Members);
    let _its = me.create_mailbox::<Bytes>(MAILBOX, members)?;
    let mut taken = Vec::new();
    done.open()?;
    loop {
        let mut order = [0];
        orders.read_exact(&mut order)?;
        taken.clear();
        if order[0] != FEED {
            taken = all_but(usize::from(order[0]))?;
        }
        done.open()?;
    }
}

/// What is tried, by what it is called.
pub type Call<'c> = (&'static str, Box<dyn Fn() -> Outcome + 'c>);

/// A call that is tried.
pub fn call<'c, T, E: Into<Box<dyn Error>>>(
    name: &'static str,
    act: impl Fn() -> Result<T, E> + 'c,
) -> Call<'c> {
    (name, Box::new(move || act().map(drop).map_err(Into::into)))
}

/// What concerns the partner, each for the first time: by a process whose name comes before its, so
/// that it makes the link, and by one whose name comes after it, so that it is given the link.
pub struct Callers {
    before: Process,
    after: Process,
    own: Mailbox<Bytes>,
    given_away: Cell<bool>,
    sending: Process,
}

impl Callers {
    pub fn join(domain: &Domain, mechanism: Mechanism, round: u8) -> Result<Self, Box<dyn Error>> {
        let join = |prefix: &str| {
            let links = JoinOptions::new().links(small(mechanism));
            domain.join_with(&format!("{prefix}-{round}"), links)
        };
        let before = join("before")?;
        let own = before.create_mailbox(&format!("own-{round}"), small(mechanism))?;
        Ok(Callers {
            after: join("x-after")?,
            sending: join("x-sending")?,
            before,
            own,
            given_away: Cell::default(),
        })
    }

    /// All of them hold once they succeed; the last one gives its mailbox away.
    pub fn calls(&self) -> Vec<Call<'_>> {
        // On whatever terms the caller's links have.
        vec![
            call("making a link", || self.before.sender_to_with::<u32>(NAME, &prompt())),
            call("asking for a link", || self.after.receiver_from_with::<u32>(NAME, &prompt())),
            // Without a bound: it must not hang.
            call("sending without a link", || self.sending.send(NAME, &1_u32)),
            call("watching", || self.before.monitor(NAME)),
            call("opening a mailbox", || self.before.open_mailbox::<Bytes>(MAILBOX)),
            call("an end of a mailbox", || {
                let its = self.before.open_mailbox::<Bytes>(MAILBOX)?;
                its.sender()?.try_send(b"1")?;
                its.receiver()?.receive_with(&soon())?;
                Ok::<_, Box<dyn Error>>(())
            }),
            call("giving a mailbox away", || match self.given_away.get() {
                true => Ok(()),
                false => self.own.transfer_to(NAME).map(|()| self.given_away.set(true)),
            }),
        ]
    }
}
