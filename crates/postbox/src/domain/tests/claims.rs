use super::{Bench, mailbox, process};
use crate::domain::protocol::{Reply, Request};
use crate::domain::{Answer, Caller, Service};
use crate::domain::{Claim, ClaimError, Registrar};
use std::os::fd::OwnedFd;
use std::sync::Arc;

fn taken_by(outcome: Result<Claim, ClaimError>) -> u32 {
    match outcome {
        Err(ClaimError::Taken { pid }) => pid,
        other => panic!("not taken but {other:?}"),
    }
}

#[test]
fn a_name_has_one_holder_even_within_a_process() {
    let bench = Bench::new();
    let (one, other) = (bench.open(), bench.open());
    let own = std::process::id();
    assert_eq!(one.holder(&process("a")).unwrap(), None);
    let claim = one.claim(&process("a")).unwrap();
    assert_eq!(taken_by(other.claim(&process("a"))), own);
    assert_eq!(taken_by(other.claim_successor(&process("a"))), own);
    assert_eq!(other.holder(&process("a")).unwrap(), Some(own));
    // Another name and another kind are other names.
    let _b = other.claim(&process("b")).unwrap();
    let _mailbox = other.claim(&mailbox("a")).unwrap();
    drop(claim);
    assert_eq!(one.holder(&process("a")).unwrap(), None);
    let _again = other.claim(&process("a")).unwrap();
}

#[test]
fn a_name_is_handed_over_without_ever_being_free() {
    let bench = Bench::new();
    let domain = bench.open();
    let own = Some(std::process::id());
    let mut giver = domain.claim(&mailbox("jobs")).unwrap();
    giver.yield_half().unwrap();
    taken_by(domain.claim(&mailbox("jobs")));
    let mut taker = domain.claim_successor(&mailbox("jobs")).unwrap();
    taken_by(domain.claim_successor(&mailbox("jobs")));
    assert!(!taker.retake().unwrap());
    assert_eq!(domain.holders(&mailbox("jobs")).unwrap(), [own, own]);
    drop(giver);
    assert_eq!(domain.holders(&mailbox("jobs")).unwrap(), [None, own]);
    taken_by(domain.claim(&mailbox("jobs")));
    // Holding one half is enough to hand it on.
    taker.yield_half().unwrap();
    let mut heir = domain.claim_successor(&mailbox("jobs")).unwrap();
    drop(taker);
    assert!(heir.retake().unwrap());
    heir.yield_half().unwrap();
    assert!(heir.retake().unwrap(), "nobody took it, so it is taken back");
}

#[test]
fn nothing_is_left_of_a_domain_that_nobody_uses() {
    let bench = Bench::new();
    let domain = bench.open();
    let claim = domain.claim(&process("a")).unwrap();
    assert_eq!(bench.names(""), ["lab"]);
    drop(claim);
    assert_eq!(bench.names(""), [""; 0]);
    // The handle is as good as before.
    assert!(domain.processes().unwrap().is_empty());
    assert_eq!(domain.holder(&process("a")).unwrap(), None);
    assert_eq!(bench.names(""), [""; 0]);
    let claim = domain.claim(&process("a")).unwrap();
    assert_eq!(bench.names(""), ["lab"]);
    drop(domain);
    assert_eq!(bench.names(""), ["lab"], "a name is held there");
    drop(claim);
    assert_eq!(bench.names(""), [""; 0]);
    drop(bench.open());
    assert_eq!(bench.names(""), [""; 0]);
}

#[test]
fn a_handle_finds_the_domain_that_others_have_made_anew() {
    let bench = Bench::new();
    let (one, other) = (bench.open(), bench.open());
    drop(one.claim(&process("a")).unwrap());
    let _b = other.claim(&process("b")).unwrap();
    assert_eq!(one.holder(&process("b")).unwrap(), Some(std::process::id()));
    taken_by(one.claim(&process("b")));
}

#[test]
fn a_domain_whose_remover_was_killed_halfway_is_made_anew() {
    let bench = Bench::new();
    let (one, other) = (bench.open(), bench.open());
    // No pid is greater than 2^22.
    std::fs::rename(bench.path("lab"), bench.path(".postbox-4194305-0")).unwrap();
    assert!(one.processes().unwrap().is_empty());
    let _a = one.claim(&process("a")).unwrap();
    assert_eq!(bench.names(""), ["lab"]);
    taken_by(other.claim(&process("a")));
    taken_by(bench.open().claim(&process("a")));
    assert_eq!(other.holder(&process("a")).unwrap(), Some(std::process::id()));
}

#[test]
fn what_only_looks_like_something_temporary_stays() {
    let bench = Bench::new();
    let domain = bench.open();
    let own = std::process::id();
    let alike = [".4194305-10", ".postbox-04194305-0", ".postbox-4194305-+0", ".postbox-4194305-"];
    for name in alike {
        std::fs::create_dir(bench.path(name)).unwrap();
    }
    std::fs::create_dir(bench.path(&format!(".postbox-{own}-99"))).unwrap();
    std::fs::create_dir(bench.path(".postbox-4194305-10")).unwrap();
    let claim = domain.claim(&process("a")).unwrap();
    assert!(alike.iter().all(|name| bench.path(name).exists()), "{:?}", bench.names(""));
    assert!(bench.path(&format!(".postbox-{own}-99")).exists());
    assert!(!bench.path(".postbox-4194305-10").exists());
    drop(claim);
}

struct Mute;

impl Service for Mute {
    fn answer(&self, _: &Caller, _: Request, _: Vec<OwnedFd>) -> Answer {
        Reply::NotUnderstood.into()
    }
}

#[test]
fn what_the_dead_have_left_is_swept_up_and_nothing_else() {
    let bench = Bench::new();
    let domain = bench.open();
    let first = domain.claim(&process("first")).unwrap();
    let registrar = Registrar::start(&domain).unwrap();
    let _served = registrar.serve(process("first"), Arc::new(Mute)).unwrap();
    let own = std::process::id();
    let beyond = 4_194_305; // No pid is greater than 2^22.
    let touch = |path: String| std::fs::write(domain.path().join(path), "").unwrap();
    touch(format!("processes/first.{beyond}"));
    touch(format!("processes/gone.{own}"));
    touch(format!("mailboxes/gone.{beyond}"));
    touch(format!("processes/.postbox-{beyond}-0"));
    touch(format!("processes/.postbox-{own}-9999999"));
    touch("processes/strange".into());
    std::fs::create_dir(bench.path(&format!(".postbox-{beyond}-3"))).unwrap();
    std::fs::create_dir(bench.path(&format!(".postbox-{beyond}-3/processes"))).unwrap();
    std::fs::create_dir(bench.path("mine")).unwrap();
    assert_eq!(domain.processes().unwrap().len(), 1);
    let second = domain.claim(&process("second")).unwrap();
    let kept = [format!(".postbox-{own}-9999999"), format!("first.{own}"), "strange".into()];
    assert_eq!(bench.names("lab/processes"), kept);
    assert_eq!(bench.names("lab/mailboxes"), [""; 0]);
    assert_eq!(bench.names(""), ["lab", "mine"]);
    drop((first, second, registrar));
    assert_eq!(bench.names(""), ["mine"], "with the last name all goes");
}
