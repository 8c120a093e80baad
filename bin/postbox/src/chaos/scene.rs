//! What the ledger itself holds of the channel that its victims use: the ends that it passes on, or
//! a name in their domain. With it, it sends receivers to rest, counts the room, and asks how many
//! repairs there were.

use super::books::{Judged, Rule, Violation, against};
use super::crew::Given;
use super::message::{self, Content};
use super::naming::{Naming, Outcome, Way};
use super::table::duration;
use crate::scratch::User;
use postbox::{
    Bytes, Capacity, Mailbox, Ownership, Process, Receipt, Receiver, Sender, TrySendError, Wait,
};
use postbox_sys::clock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a full channel is watched: longer than a repair takes that would give back too much.
const WATCH: Duration = Duration::from_millis(50);
/// How long room may take to come back. The contract says 200 ms after everything is received.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often it is tried at least, whatever the clock says: the machine may be busy.
const TRIES: u64 = 1000;
/// How many go into an unbounded channel.
const SOME: u64 = 500;

/// The ledger's hold on the channel. The directory goes last.
#[derive(Debug)]
pub struct Scene {
    pub sender: Option<Sender<Bytes>>,
    pub receiver: Option<Receiver<Bytes>>,
    mailbox: Option<Mailbox<Bytes>>,
    me: Option<Process>,
    directory: Option<TempDir>,
    probes: u64,
}

impl Scene {
    /// Makes what there is to be before the victims come; for a mailbox this is their domain alone.
    pub fn set(way: &mut Way) -> Outcome<Self> {
        let mut scene = Scene {
            sender: None,
            receiver: None,
            mailbox: None,
            me: None,
            directory: None,
            probes: 0,
        };
        if way.naming.is_inherited() {
            let (sender, receiver) = way.options().channel()?;
            (scene.sender, scene.receiver) = (Some(sender), Some(receiver));
        } else {
            let directory = User::Chaos.directory()?;
            way.directory = Some(directory.path().to_owned());
            scene.me = Some(way.join("ledger")?);
            scene.directory = Some(directory);
        }
        Ok(scene)
    }

    /// Opens the mailbox, whose owner is there now.
    pub fn open(&mut self, way: &Way) -> Outcome<()> {
        let Some(me) = &self.me else { return Ok(()) };
        let mailbox = match way.naming {
            Naming::Keeper => way.create(me, Ownership::Keeper)?,
            _ => way.open(me)?,
        };
        (self.sender, self.receiver) = (Some(mailbox.sender()?), Some(mailbox.receiver()?));
        self.mailbox = Some(mailbox);
        Ok(())
    }

    /// An end for a producer; the one of a pair has the ledger's.
    pub fn for_producer(&mut self, naming: Naming) -> Given {
        given(&mut self.sender, naming).map_or(Given::Nothing, Given::Sender)
    }

    /// An end for a consumer; the one of a pair has the ledger's.
    pub fn for_consumer(&mut self, naming: Naming) -> Given {
        given(&mut self.receiver, naming).map_or(Given::Nothing, Given::Receiver)
    }

    /// Sees to it that there is a link to that process, if that is how they meet: making one takes the
    /// machine a while.
    pub fn reach(&self, name: &str) -> Outcome<()> {
        if let (None, Some(me)) = (&self.sender, &self.me) {
            me.sender_to::<Bytes>(name)?;
        }
        Ok(())
    }

    /// Sends some receiver to rest, or the one of that name; who it was, if one did it in time.
    pub fn probe(&mut self, name: &str, patience: Duration) -> Outcome<Receipt> {
        self.probes += 1;
        let (message, wait) = (message::probe(self.probes), Wait::timeout(patience));
        match (&self.sender, &self.me) {
            (Some(sender), _) => Ok(sender.deliver_with(&message, &wait)?),
            (None, Some(me)) => Ok(me.deliver_bytes_with(name, &message, &wait)?),
            (None, None) => Err("the scene is over".into()),
        }
    }

    /// How many repairs the channel has carried out.
    pub fn repairs(&self) -> u64 {
        self.sender.as_ref().map_or(0, |sender| sender.statistics().repairs)
    }

    /// Nobody sends or receives: exactly as many go in as there is room for, and come out in order.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn count_room(&mut self) -> Judged {
        let (Some(tx), Some(rx)) = (&self.sender, &self.receiver) else { return Ok(()) };
        await_emptiness(tx, rx)?;
        let first = self.probes;
        let n = match tx.capacity() {
            Capacity::Zero => 0,
            Capacity::Bounded(n) => n.into(),
            Capacity::Unbounded => SOME,
        };
        self.probes += n;
        fill(tx, first, n)?;
        if tx.capacity() != Capacity::Unbounded {
            overfill(tx, n)?;
        }
        drain(rx, first, n)
    }

    /// Lets go of the ends, so that nobody but the victims has any.
    pub fn let_go(&mut self) {
        (self.sender, self.receiver, self.mailbox) = (None, None, None);
    }

    /// Leaves the domain; the directory in which it was, to be looked at.
    pub fn leave(mut self) -> Option<TempDir> {
        self.let_go();
        self.me = None;
        self.directory.take()
    }
}

/// What a victim gets of an end of the ledger's.
fn given<E: Clone>(end: &mut Option<E>, naming: Naming) -> Option<E> {
    match naming {
        Naming::Channel => end.clone(),
        Naming::Pair => end.take(),
        Naming::Direct | Naming::Mailbox | Naming::Keeper => None,
    }
}

fn failed(error: impl std::error::Error) -> Violation {
    Violation { rule: Rule::Failed, account: format!("the ledger's own call: {error}") }
}

/// What the dead had has to be gone by now, or soon.
fn await_emptiness(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Judged {
    let (began, mut tries) = (Instant::now(), 0);
    loop {
        tries += 1;
        if let Some(delivery) = rx.try_receive().map_err(failed)? {
            let what = match message::read(&delivery) {
                Content::Traffic { sender, seq } => format!("message {seq} of sender {sender}"),
                other => format!("{other:?}"),
            };
            let account = format!("{what} was left after every receiver had found nothing more");
            return against(Rule::Room, account);
        }
        if tx.is_empty() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE + WATCH && tries > TRIES / 10 {
            let account = format!(
                "{} messages are counted {} after everything was received, and nobody can receive \
                 them",
                tx.len(),
                duration(began.elapsed().as_nanos() as u64)
            );
            return against(Rule::Room, account);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fill(tx: &Sender<Bytes>, first: u64, n: u64) -> Judged {
    let deadline = clock::now() + PATIENCE.as_nanos() as u64;
    let mut tries = 0;
    for nth in 0..n {
        loop {
            tries += 1;
            match tx.try_send(&message::probe(first + nth)) {
                Ok(()) => break,
                // What the dead held may still be coming back, and this process may have slept.
                Err(TrySendError::Full) if clock::now() < deadline || tries < n + TRIES => {
                    std::thread::yield_now();
                }
                Err(TrySendError::Full) => {
                    let account = format!(
                        "{nth} messages went into the empty channel, and no more in {}; there is \
                         room for {n}",
                        duration(PATIENCE.as_nanos() as u64)
                    );
                    return against(Rule::Room, account);
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(())
}

fn overfill(tx: &Sender<Bytes>, n: u64) -> Judged {
    let began = Instant::now();
    while began.elapsed() < WATCH {
        match tx.try_send(&message::probe(0)) {
            Err(TrySendError::Full) => std::thread::sleep(Duration::from_micros(200)),
            Err(error) => return Err(failed(error)),
            Ok(()) => {
                let account = format!("{} messages went in where there is room for {n}", n + 1);
                return against(Rule::Room, account);
            }
        }
    }
    Ok(())
}

fn drain(rx: &Receiver<Bytes>, first: u64, n: u64) -> Judged {
    for nth in 0..n {
        let content = match rx.try_receive().map_err(failed)? {
            Some(delivery) => message::read(&delivery),
            None => return against(Rule::Room, format!("{nth} came out where {n} went in")),
        };
        if content != (Content::Probe { seq: first + nth }) {
            let account = format!("{content:?} came out in place {nth}, not what went in there");
            return against(Rule::Room, account);
        }
    }
    match rx.try_receive().map_err(failed)? {
        Some(_) => against(Rule::Room, format!("more came out than the {n} that went in")),
        None => Ok(()),
    }
}
