//! What two owners in one process can show: instants that several processes hit by luck only.

use super::desk::Moved;
use super::host::Host;
use super::owned::Owned;
use super::transfer::Offer;
use super::wire::{MailboxReply, MailboxRequest, Refusal};
use super::{Access, Mailbox, MailboxOptions};
use crate::channel::Channel;
use crate::direct::Process;
use crate::domain::protocol::Reply;
use crate::domain::{Address, Claim, DomainOptions, Member, ask};
use crate::mechanism::Mechanism;
use crate::message::Bytes;
use crate::name::Name;
use crate::wait::Wait;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A directory of its own for each test, removed when dropped.
struct Bench(PathBuf);

impl Bench {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Pairs with nothing: a number for each.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Bench(
            std::env::temp_dir().join(format!("postbox-indirect-{}-{number}", std::process::id())),
        )
    }

    fn join(&self, name: &str) -> Process {
        DomainOptions::new().directory(&self.0).open("lab").unwrap().join(name).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn owned(process: &Process) -> Arc<Owned> {
    Owned::of(process).unwrap()
}

/// A mailbox `jobs` of that process.
fn jobs(of: &Process) -> (Mailbox<Bytes>, Arc<Host>) {
    let options = MailboxOptions::new(Mechanism::Pipe).receivers(Access::Members);
    let jobs = of.create_mailbox("jobs", options).unwrap();
    let host = owned(of).find(jobs.name()).unwrap();
    (jobs, host)
}

/// What `to` has received when it is offered the mailbox of `from`.
fn offered(host: &Host, from: &Process, to: &Process, nonce: u64) -> (Offer, Claim) {
    let fds = super::host::copies(&host.channel.fds()).unwrap();
    let terms = host.desk().terms().clone();
    let rights = host.desk().rights().clone();
    let asker = super::desk::Asker { pid: std::process::id(), uid: 0, name: Some(from.name()) };
    Offer::receive(to.domain(), asker, host.name.clone(), terms, rights, nonce, fds).unwrap()
}

fn let_half_go(host: &Host) {
    host.tenure().as_mut().unwrap().claim.yield_half().unwrap();
}

#[test]
fn an_owner_that_ends_it_takes_its_offer_back() {
    let bench = Bench::new();
    let (a, b) = (bench.join("a"), bench.join("b"));
    let (jobs, host) = jobs(&a);
    let moving = host.begin_move(b.name()).unwrap();
    let_half_go(&host);
    let nonce = host.offer(&moving).unwrap();
    let (offer, claim) = offered(&host, &a, &b, nonce);
    let owned = owned(&b);
    let serving = b.membership().registrar().serving();
    let member = Member { domain: b.domain(), name: b.name(), serving: &serving };
    let (arrived, arriving) = Host::arrive(&owned, member, offer, claim).unwrap();
    // The other has got so far when its owner ends it.
    Owned::of(&a).unwrap().close();
    let refused = arrived.take_over(arriving, nonce).unwrap_err();
    assert!(matches!(refused, Refusal::Cannot(_)), "{refused:?}");
    assert!(owned.find(&host.name).is_none());
    assert!(jobs.sender().is_err() && jobs.status().unwrap_err().is_destroyed());
    host.settle(moving, Moved::Here);
    // Nothing of the name is held.
    b.create_mailbox::<Bytes>("jobs", Mechanism::Pipe).unwrap();
}

#[test]
fn an_owner_ends_nothing_that_was_taken_over() {
    let bench = Bench::new();
    let (a, b) = (bench.join("a"), bench.join("b"));
    let (jobs, host) = jobs(&a);
    jobs.send(b"x").unwrap();
    let moving = host.begin_move(b.name()).unwrap();
    let_half_go(&host);
    let nonce = host.offer(&moving).unwrap();
    let (offer, claim) = offered(&host, &a, &b, nonce);
    let serving = b.membership().registrar().serving();
    let member = Member { domain: b.domain(), name: b.name(), serving: &serving };
    Host::adopt(&owned(&b), member, offer, claim).unwrap();
    Owned::of(&a).unwrap().close();
    let received = b.open_mailbox::<Bytes>("jobs").unwrap().receive().unwrap();
    assert_eq!(received[..], *b"x");
    assert_eq!(jobs.status().unwrap().owner.name, "b");
}

#[test]
fn who_leaves_takes_nothing_over() {
    let bench = Bench::new();
    let (a, b) = (bench.join("a"), bench.join("b"));
    let (jobs, host) = jobs(&a);
    let moving = host.begin_move(b.name()).unwrap();
    let_half_go(&host);
    let nonce = host.offer(&moving).unwrap();
    let (offer, claim) = offered(&host, &a, &b, nonce);
    let owned = owned(&b);
    let serving = b.membership().registrar().serving();
    let member = Member { domain: b.domain(), name: b.name(), serving: &serving };
    let (arrived, arriving) = Host::arrive(&owned, member, offer, claim).unwrap();
    owned.close();
    assert_eq!(arrived.take_over(arriving, nonce), Err(Refusal::AskAgain));
    assert!(host.channel.cancel_offer(nonce));
    host.settle(moving, Moved::Here);
    jobs.send(b"x").unwrap();
    assert_eq!(jobs.receive().unwrap()[..], *b"x");
}

#[test]
fn a_mailbox_that_is_ended_is_offered_no_more() {
    let bench = Bench::new();
    let a = bench.join("a");
    let (jobs, host) = jobs(&a);
    let moving = host.begin_move(&name("b")).unwrap();
    host.destroy();
    assert_eq!(host.offer(&moving), Err(Refusal::AskAgain));
    assert!(jobs.status().unwrap_err().is_destroyed());
}

/// What `b` answers when it is offered a mailbox of `name` with those descriptors.
fn adopt(a: &Process, b: &Process, host: &Host, of: &str, fds: &[BorrowedFd<'_>]) -> MailboxReply {
    let terms = host.desk().terms().clone();
    let rights = host.desk().rights().clone();
    let request = MailboxRequest::Adopt { name: name(of), terms, rights, nonce: 1 };
    let to = Address::process(b.name());
    let wait = Wait::timeout(Duration::from_secs(20));
    let request = request.pack().unwrap();
    let answered = ask(b.domain(), &to, Some(a.name()), &request, fds, &wait).unwrap();
    let Reply::Mailbox(bytes) = answered.reply else { panic!("{:?}", answered.reply) };
    MailboxReply::unpack(&bytes).unwrap()
}

fn refused(reply: MailboxReply, why: &str) {
    match reply {
        MailboxReply::Refused(Refusal::Cannot(reason)) if reason.contains(why) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_mailbox_is_not_taken_over() {
    let bench = Bench::new();
    let (a, b) = (bench.join("a"), bench.join("b"));
    let (jobs, host) = jobs(&a);
    let_half_go(&host);
    let fds = host.channel.fds();
    refused(adopt(&a, &b, &host, "jobs", &[]), "too few");
    refused(adopt(&a, &b, &host, "jobs", &fds[1..]), "memory");
    // A bell on which whoever rings it waits for ever.
    let (_reading, full): (OwnedFd, OwnedFd) = pipe2(OFlag::O_NONBLOCK).unwrap();
    while write(&full, &[0; 4096]).is_ok() {}
    nix::fcntl::fcntl(&full, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut bells = fds.clone();
    bells[1..7].fill(full.as_fd());
    refused(adopt(&a, &b, &host, "jobs", &bells), "not those of a channel");
    refused(adopt(&a, &b, &host, "others", &fds), "not the asker's");
    // An ordinary channel.
    let plain = crate::Options::new(Mechanism::Pipe).config();
    let plain = Channel::create(plain).unwrap();
    refused(adopt(&a, &b, &host, "jobs", &plain.fds()), "no mailbox");
    // Never offered.
    refused(adopt(&a, &b, &host, "jobs", &fds), "withdrawn");
    assert!(jobs.status().is_ok());
    // After all that it takes over what is in order.
    jobs.transfer_to("b").unwrap();
    assert_eq!(jobs.status().unwrap().owner.name, "b");
}
