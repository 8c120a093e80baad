//! Processes that name each other: started separately, related by nothing but a domain.
//!
//! ```text
//!  case ──► this program again, as an actor: a name in the domain, orders by standard input,
//!           answers by standard output, a line each
//! ```

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};
use postbox::{
    Absence, Bytes, Capacity, Direction, Domain, DomainOptions, JoinError, JoinOptions, LinkError,
    LinkOptions, Mechanism, Options, Process, Wait, fork,
};
use postbox_tests::{
    Case, Chance, Gate, Outcome, bystander, cpu_time, eventually, over, over_capacities,
    own_thread, run, soon, switches, until_asleep,
};
use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Says what this program is to do as an actor: a directory, a name, and a part.
const PART: &str = "POSTBOX_TESTS_PART";

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(PART) {
        return match act(&part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{part}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut cases = vec![
        Case::new(
            "both sides opening at the same instant have one link, a thousand times",
            at_once,
        ),
        Case::new("whoever receives from anyone learns name, pid and user", from_anyone),
        Case::new("whoever names its partner gets that one's messages alone", symmetric),
        Case::new("two hundred senders reach one receiver in order", two_hundred),
        Case::new("a receive from anyone outlives every sender", never_ended),
        Case::new("a sleeping receive is woken by a link that is new", woken_by_new_link),
        Case::new("a link in one direction refuses the other", unidirectional),
        Case::new(
            "in a domain of one-way links a receive waits for the partner",
            waits_to_be_asked,
        ),
        Case::new("a second one that insists on other terms is refused", mismatch),
        Case::new("an absent partner is an error at once", absent),
        Case::new("an absent partner is waited for until it joins", waited_for),
        Case::new(
            "a partner killed and restarted is drained, then ended once, then new",
            restarted,
        ),
        Case::new("a sender finds the successor of a partner that was killed", successor),
        Case::new("two that one process has forked have links of their own", siblings),
        Case::new("a stopped partner keeps no deadline from being kept", stopped),
        Case::new("a link that its asker gave up waiting for carries messages", given_up),
        Case::new("a monitor tells of a death and of a leave", monitored),
        Case::new("a monitor costs nothing while it waits", monitor_is_free),
        Case::new("a name is free again when its last handle is dropped", name_is_free),
        Case::new("names that cannot be are refused", impossible_names),
        Case::new("a child of plain fork cannot use what it inherited", plain_child),
        Case::new("a forked child is in no domain, and may join", forked_child),
        Case::new("clones in threads are one member with ends of their own", clones),
        Case::new("a process under two names has a link with itself", two_names),
        Case::new("links tell what there is", links_told),
        Case::new(
            "what the gone have left stands in the way of more, and none of it is lost",
            undrained,
        ),
    ];
    let capacities = [Capacity::Zero, Capacity::Bounded(3), Capacity::Unbounded];
    cases.extend(over_capacities("messages go both ways in order", &capacities, both_ways));
    cases.extend(over("large and raw messages go over a link", raw));
    run(cases)
}

// What the cases stand on.

/// A directory for domains of one case.
struct Lab {
    place: TempDir,
}

impl Lab {
    fn new() -> std::io::Result<Self> {
        Ok(Lab { place: tempfile::tempdir()? })
    }

    fn domain(&self) -> Result<Domain, Box<dyn Error>> {
        open(self.place.path())
    }

    fn join(&self, name: &str) -> Result<Process, Box<dyn Error>> {
        Ok(self.domain()?.join(name)?)
    }

    /// Starts an actor of that name and part, and waits until it has joined.
    fn actor(&self, name: &str, part: &str) -> Result<Actor, Box<dyn Error>> {
        let mut actor = self.started(name, part)?;
        actor.hear("joined")?;
        Ok(actor)
    }

    fn started(&self, name: &str, part: &str) -> Result<Actor, Box<dyn Error>> {
        let place = self.place.path().display();
        let mut child = Command::new(std::env::current_exe()?)
            .env(PART, format!("{place} {name} {part}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, said) = (child.stdin.take(), child.stdout.take());
        let said = BufReader::new(said.ok_or("no output")?).lines();
        Ok(Actor { child, orders, said })
    }

    /// Whether nothing is left of any domain.
    fn is_bare(&self) -> bool {
        std::fs::read_dir(self.place.path()).is_ok_and(|mut entries| entries.next().is_none())
    }
}

fn open(place: &Path) -> Result<Domain, Box<dyn Error>> {
    Ok(DomainOptions::new().directory(place).open("lab")?)
}

/// Another process of the domain; killed when dropped.
struct Actor {
    child: Child,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn tell(&mut self, order: &str) -> Outcome {
        Ok(writeln!(self.orders.as_ref().ok_or("it was let go")?, "{order}")?)
    }

    fn next(&mut self) -> Result<String, Box<dyn Error>> {
        Ok(self.said.next().ok_or("it said no more")??)
    }

    fn hear(&mut self, expected: &str) -> Outcome {
        let said = self.next()?;
        if said == expected { Ok(()) } else { Err(format!("it said {said}").into()) }
    }

    /// One that is stopped stands still, with all its threads, when this returns.
    fn signal(&self, signal: Signal) -> Outcome {
        kill(Pid::from_raw(self.pid() as i32), signal)?;
        if signal == Signal::SIGSTOP {
            postbox_tests::until_stopped(self.pid());
        }
        Ok(())
    }

    fn killed(mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Lets it end, which it must do well.
    fn ended_well(mut self) -> Outcome {
        self.orders = None;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("an actor: {status}").into()) }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An actor's life.
fn act(part: &str) -> Outcome {
    let words: Vec<&str> = part.split(' ').collect();
    let [place, name, part @ ..] = &words[..] else { return Err("no part".into()) };
    let domain = open(Path::new(place))?;
    match part {
        ["meet", rounds] => return meet(&domain, name, rounds.parse()?),
        ["say", to, count] => return say(&domain.join(name)?, to, count.parse()?),
        _ => {}
    }
    let waits = JoinOptions::new().links(LinkOptions::default().absent(Absence::Wait));
    let me = domain.join_with(name, waits)?;
    say_line("joined");
    let orders = std::io::stdin().lines();
    match part {
        ["echo"] => loop {
            let message = me.receive::<String>()?;
            let to = message.sender().name().ok_or("no name")?.to_string();
            me.send(&to, &format!("{} by {name}", *message))?;
        },
        // Each line is sent on to that process.
        ["forward", to] => {
            for order in orders {
                me.send(to, &order?)?;
                say_line("sent");
            }
        }
        ["take"] => {
            for order in orders {
                let from = order?;
                say_line(&me.receive_from::<String>(&from)?);
            }
        }
        ["hold"] => {
            for order in orders {
                order?;
            }
        }
        _ => return Err("no such part".into()),
    }
    Ok(())
}

fn say_line(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

/// Sends numbers, the last one synchronously.
fn say(me: &Process, to: &str, count: u32) -> Outcome {
    for i in 0..count - 1 {
        me.send_with(to, &(me.name().to_string(), i), &soon())?;
    }
    let _ = me.deliver_with(to, &(me.name().to_string(), count - 1), &soon())?;
    Ok(())
}

// Cases.

fn at_once() -> Outcome {
    const ROUNDS: u32 = 1000;
    let lab = Lab::new()?;
    let part = format!("meet {ROUNDS}");
    let (mut one, mut other) = (lab.started("one", &part)?, lab.started("two", &part)?);
    for _ in 0..ROUNDS {
        one.hear("there")?;
        other.hear("there")?;
        one.tell("go")?;
        other.tell("go")?;
        one.hear("met")?;
        other.hear("met")?;
        one.tell("leave")?;
        other.tell("leave")?;
    }
    one.ended_well()?;
    other.ended_well()?;
    assert!(lab.is_bare(), "something is left");
    Ok(())
}

/// One side of many first encounters.
fn meet(domain: &Domain, own: &str, rounds: u32) -> Outcome {
    const EACH: u32 = 3;
    let mut orders = std::io::stdin().lines();
    let mut chance = Chance::seeded(u64::from(std::process::id()));
    let other = if own == "one" { "two" } else { "one" };
    for round in 0..rounds {
        // Either is the one with the smaller name.
        let rank = |name: &str| if (name == "one") == (round % 2 == 0) { "a" } else { "b" };
        let name = |of: &str| format!("{}-{of}-{round}", rank(of));
        let me = domain.join(&name(own))?;
        let them = name(other);
        say_line("there");
        orders.next().ok_or("no order")??;
        for _ in 0..chance.below(3000) {
            std::hint::spin_loop();
        }
        if chance.once_in(4) {
            // Begins by receiving.
            let early = me.receive_from_with::<u32>(&them, &Wait::timeout(Duration::ZERO));
            assert!(
                early.as_ref().is_ok_and(|n| **n == 0)
                    || early.as_ref().is_err_and(|e| e.is_timeout()),
                "{early:?}"
            );
            if early.is_ok() {
                send_and_receive(&me, &them, 1..EACH, EACH)?;
            } else {
                send_and_receive(&me, &them, 0..EACH, EACH)?;
            }
        } else {
            send_and_receive(&me, &them, 0..EACH, EACH)?;
        }
        let links = me.links()?;
        assert_eq!(links.len(), 1, "{links:?}");
        assert_eq!(links[0].partner().name().map(|n| n.as_str()), Some(&*them));
        let (_, out) = links[0].outgoing().ok_or("no way out")?;
        let (_, back) = links[0].incoming().ok_or("no way back")?;
        assert_eq!((out.sent, back.received), (EACH.into(), EACH.into()));
        say_line("met");
        orders.next().ok_or("no order")??;
    }
    Ok(())
}

fn send_and_receive(
    me: &Process,
    them: &str,
    expected: std::ops::Range<u32>,
    count: u32,
) -> Outcome {
    for i in 0..count {
        me.send_with(them, &i, &soon())?;
    }
    for i in expected {
        let message = me.receive_from_with::<u32>(them, &soon())?;
        assert_eq!(*message, i);
    }
    Ok(())
}

fn from_anyone() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut actors = Vec::new();
    for name in ["alpha", "zeta"] {
        let mut actor = lab.actor(name, "forward me")?;
        actor.tell(&format!("I am {name}"))?;
        actors.push((name, actor));
    }
    for _ in 0..2 {
        let message = me.receive_with::<String>(&soon())?;
        let sender = message.sender();
        let name = sender.name().ok_or("no name")?.as_str();
        let (_, actor) = actors.iter().find(|(n, _)| *n == name).ok_or("a stranger")?;
        assert_eq!(*message, format!("I am {name}"));
        assert_eq!((sender.pid(), sender.uid()), (actor.pid(), Some(getuid().as_raw())));
    }
    assert!(me.try_receive::<String>()?.is_none());
    Ok(())
}

fn symmetric() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut alpha = lab.actor("alpha", "forward me")?;
    let mut zeta = lab.actor("zeta", "forward me")?;
    assert!(me.try_receive_from::<String>("alpha")?.is_none());
    for i in 0..5 {
        alpha.tell(&format!("a{i}"))?;
        alpha.hear("sent")?;
        zeta.tell(&format!("z{i}"))?;
        zeta.hear("sent")?;
    }
    for i in 0..5 {
        assert_eq!(*me.receive_from_with::<String>("zeta", &soon())?, format!("z{i}"));
    }
    assert!(me.try_receive_from::<String>("zeta")?.is_none());
    let late = me.receive_from_with::<String>("zeta", &Wait::timeout(Duration::from_millis(5)));
    assert!(late.unwrap_err().is_timeout());
    for i in 0..5 {
        let message = me.try_receive_from::<String>("alpha")?.ok_or("nothing")?;
        assert_eq!((message.as_str(), message.sender().pid()), (&*format!("a{i}"), alpha.pid()));
    }
    // Synchronous, and the other way.
    let mut taker = lab.actor("taker", "take")?;
    taker.tell("me")?;
    let receipt = me.deliver_with("taker", &"for you".to_string(), &soon())?;
    assert_eq!(receipt.receiver().pid(), taker.pid());
    assert_eq!(receipt.receiver().name().map(|name| name.as_str()), Some("taker"));
    taker.hear("for you")?;
    let refused =
        me.deliver_with("taker", &"no".to_string(), &Wait::timeout(Duration::from_millis(5)));
    assert!(refused.unwrap_err().is_timeout());
    Ok(())
}

fn all_descriptors() -> Outcome {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

fn two_hundred() -> Outcome {
    const SENDERS: usize = 200;
    const EACH: u32 = 5;
    all_descriptors()?;
    let lab = Lab::new()?;
    let me = lab.join("hub")?;
    let actors = (0..SENDERS)
        .map(|i| lab.started(&format!("sender-{i}"), &format!("say hub {EACH}")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut next = HashMap::new();
    for _ in 0..SENDERS as u32 * EACH {
        let message = me.receive_with::<(String, u32)>(&soon())?;
        assert_eq!(message.sender().name().map(|n| n.as_str()), Some(&*message.0));
        let expected = next.entry(message.0.clone()).or_insert(0);
        assert_eq!(message.1, *expected);
        *expected += 1;
    }
    assert_eq!(next.len(), SENDERS);
    for actor in actors {
        actor.ended_well()?;
    }
    assert!(me.try_receive::<(String, u32)>()?.is_none());
    eventually("the links' end", || me.links().unwrap().is_empty().then_some(()));
    Ok(())
}

fn never_ended() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for round in 0..5 {
        let mut actor = lab.actor("other", "forward me")?;
        actor.tell(&format!("round {round}"))?;
        assert_eq!(*me.receive_with::<String>(&soon())?, format!("round {round}"));
        let own = own_thread();
        let death = thread::spawn(move || {
            until_asleep(own);
            actor.killed().unwrap();
        });
        let late = me.receive_with::<String>(&Wait::timeout(Duration::from_millis(30)));
        assert!(late.unwrap_err().is_timeout());
        death.join().unwrap();
    }
    Ok(())
}

fn woken_by_new_link() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut actor = lab.actor("other", "forward me")?;
    let own = own_thread();
    let order = thread::spawn(move || {
        until_asleep(own);
        let before = cpu_time(std::process::id());
        thread::sleep(Duration::from_millis(50));
        assert!(cpu_time(std::process::id()) - before < Duration::from_millis(20));
        actor.tell("hello").unwrap();
        actor
    });
    assert_eq!(*me.receive::<String>()?, "hello");
    let mut actor = order.join().unwrap();
    // By name, and while the partner is known but silent.
    let own = own_thread();
    let order = thread::spawn(move || {
        until_asleep(own);
        actor.tell("again").unwrap();
        actor
    });
    assert_eq!(*me.receive_from::<String>("other")?, "again");
    drop(order.join().unwrap());
    Ok(())
}

fn unidirectional() -> Outcome {
    let lab = Lab::new()?;
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let (me, other) = (lab.join(mine)?, lab.join(theirs)?);
        let outward = LinkOptions::default().direction(Direction::Outward);
        let info = me.link_with(theirs, outward.clone())?;
        assert_eq!(info.direction(), Some(Direction::Outward));
        me.send(theirs, &1)?;
        assert_eq!(*other.receive_from::<i32>(mine)?, 1);
        let error = other.send(mine, &2).unwrap_err();
        assert!(error.is_unidirectional() && error.to_string().contains(mine), "{error}");
        assert!(me.receive_from::<i32>(theirs).unwrap_err().is_unidirectional());
        assert!(me.try_receive_from::<i32>(theirs).unwrap_err().is_unidirectional());
        assert!(matches!(other.sender_to::<i32>(mine), Err(LinkError::Unidirectional { .. })));
        // Again the same: fine. Both ways: not any more.
        me.link_with(theirs, outward)?;
        assert!(other.link_with(mine, LinkOptions::default()).unwrap_err().is_mismatch());
        me.send(theirs, &3)?;
        assert_eq!(*other.receive::<i32>()?, 3);
    }
    Ok(())
}

fn waits_to_be_asked() -> Outcome {
    let lab = Lab::new()?;
    let outward = JoinOptions::new().links(LinkOptions::default().direction(Direction::Outward));
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let me = lab.domain()?.join_with(mine, outward.clone())?;
        let absent = me.receive_from::<i32>(theirs).unwrap_err();
        assert!(absent.is_absent(), "{absent}");
        let other = lab.domain()?.join_with(theirs, outward.clone())?;
        let patience = Wait::timeout(Duration::from_millis(10));
        assert!(me.receive_from_with::<i32>(theirs, &patience).unwrap_err().is_timeout());
        assert!(me.links()?.is_empty());
        let own = own_thread();
        let name = mine.to_string();
        let sending = thread::spawn(move || {
            until_asleep(own);
            other.send(&name, &7).unwrap();
            other
        });
        assert_eq!(*me.receive_from_with::<i32>(theirs, &soon())?, 7);
        let other = sending.join().unwrap();
        assert!(me.send(theirs, &1).unwrap_err().is_unidirectional());
        drop(other);
    }
    Ok(())
}

fn mismatch() -> Outcome {
    let lab = Lab::new()?;
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let (me, other) = (lab.join(mine)?, lab.join(theirs)?);
        let terms =
            |n| LinkOptions::new(Options::new(Mechanism::Pipe).capacity(Capacity::Bounded(n)));
        me.link_with(theirs, terms(5))?;
        me.link_with(theirs, terms(5))?;
        other.link_with(mine, terms(5))?;
        let error = other.link_with(mine, terms(6)).unwrap_err();
        let text = error.to_string();
        assert!(error.is_mismatch() && text.contains("capacity 6") && text.contains("capacity 5"));
        assert!(me.link_with(theirs, terms(7)).unwrap_err().is_mismatch());
        // What does not insist takes it as it is.
        other.send(mine, &1)?;
        let tx = other.sender_to::<i32>(mine)?;
        assert_eq!((tx.mechanism(), tx.capacity()), (Mechanism::Pipe, Capacity::Bounded(5)));
        assert_eq!(*me.receive::<i32>()?, 1);
    }
    let schema = |s: &str| JoinOptions::new().links(LinkOptions::default().schema(s));
    for (mine, theirs) in [("e", "f"), ("h", "g")] {
        let me = lab.domain()?.join_with(mine, schema("job/1"))?;
        let other = lab.domain()?.join_with(theirs, schema("job/2"))?;
        let error = me.send(theirs, &1).unwrap_err();
        assert!(error.is_mismatch() && error.to_string().contains("job/2"), "{error}");
        drop(other);
        // Who states none takes any.
        let other = lab.join(theirs)?;
        me.send(theirs, &1)?;
        assert_eq!(*other.receive::<i32>()?, 1);
        let insists = LinkOptions::default().schema("job/3");
        assert!(other.link_with(mine, insists).unwrap_err().is_mismatch());
    }
    let long = LinkOptions::default().schema("s".repeat(65));
    assert!(lab.domain()?.join_with("x", JoinOptions::new().links(long)).is_err());
    Ok(())
}

fn absent() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-nobody", "z-nobody"] {
        let error = me.send(name, &1).unwrap_err();
        let text = error.to_string();
        assert!(error.is_absent(), "{error}");
        assert!(text.contains(name) && text.contains("'lab'") && text.contains("Absence::Wait"));
        assert!(me.try_send(name, &1).unwrap_err().is_absent());
        assert!(me.deliver(name, &1).unwrap_err().is_absent());
        assert!(me.receive_from::<i32>(name).unwrap_err().is_absent());
        assert!(me.try_receive_from::<i32>(name).unwrap_err().is_absent());
        assert!(me.monitor(name).unwrap_err().is_absent());
        assert!(me.sender_to::<i32>(name).unwrap_err().is_absent());
    }
    Ok(())
}

fn waited_for() -> Outcome {
    let lab = Lab::new()?;
    let waits = JoinOptions::new().links(LinkOptions::default().absent(Absence::Wait));
    let me = lab.domain()?.join_with("me", waits)?;
    for name in ["a-late", "z-late"] {
        assert!(me.try_send(name, &1).unwrap_err().is_absent(), "it never waits");
        let start = Instant::now();
        let patience = Duration::from_millis(20);
        let late = me.send_with(name, &"x".to_string(), &Wait::timeout(patience));
        assert!(late.unwrap_err().is_timeout() && start.elapsed() >= patience);
        let late = me.receive_from_with::<String>(name, &Wait::timeout(patience));
        assert!(late.unwrap_err().is_timeout());
        let cancel = postbox::Cancel::new()?;
        let (own, firing) = (own_thread(), cancel.clone());
        let canceller = thread::spawn(move || {
            until_asleep(own);
            firing.fire();
        });
        let cancelled = me.send_with(name, &"x".to_string(), &soon().cancelled_by(&cancel));
        assert!(cancelled.unwrap_err().is_cancelled());
        canceller.join().unwrap();
        // It joins while we sleep, and an unrelated one before it.
        let own = own_thread();
        let place = lab.place.path().to_owned();
        let joining = thread::spawn(move || {
            until_asleep(own);
            let domain = open(&place).unwrap();
            let other = domain.join("unrelated").unwrap();
            until_asleep(own);
            let late = domain.join(name).unwrap();
            drop(other);
            assert_eq!(*late.receive_from::<String>("me").unwrap(), "at last");
        });
        let _ = me.deliver_with(name, &"at last".to_string(), &soon())?;
        joining.join().unwrap();
    }
    Ok(())
}

fn restarted() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-worker", "z-worker"] {
        let mut first = lab.actor(name, "forward me")?;
        for i in 0..3 {
            first.tell(&format!("first {i}"))?;
            first.hear("sent")?;
        }
        assert_eq!(*me.receive_from_with::<String>(name, &soon())?, "first 0");
        let pid = first.pid();
        first.killed()?;
        let mut second = lab.actor(name, "forward me")?;
        second.tell("second")?;
        second.hear("sent")?;
        for i in 1..3 {
            let message = me.receive_from_with::<String>(name, &soon())?;
            assert_eq!((message.as_str(), message.sender().pid()), (&*format!("first {i}"), pid));
        }
        let end = me.receive_from_with::<String>(name, &soon()).unwrap_err();
        assert!(end.is_disconnected(), "{end}");
        let message = me.receive_from_with::<String>(name, &soon())?;
        assert_eq!((message.as_str(), message.sender().pid()), ("second", second.pid()));
        // A handle that never looked gets what is left and no more than that.
        assert!(me.clone().try_receive_from::<String>(name)?.is_none());
    }
    // Asleep in a receive when it happens.
    let mut actor = lab.actor("late", "forward me")?;
    actor.tell("x")?;
    assert_eq!(*me.receive_from_with::<String>("late", &soon())?, "x");
    let own = own_thread();
    let death = thread::spawn(move || {
        until_asleep(own);
        actor.killed().unwrap();
        Instant::now()
    });
    assert!(me.receive_from_with::<String>("late", &soon()).unwrap_err().is_disconnected());
    let told = Instant::now();
    assert!(told.saturating_duration_since(death.join().unwrap()) < Duration::from_millis(200));
    assert!(me.receive_from::<String>("late").unwrap_err().is_absent());
    Ok(())
}

fn successor() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-taker", "z-taker"] {
        let mut first = lab.actor(name, "take")?;
        first.tell("me")?;
        let _ = me.deliver_with(name, &"1".to_string(), &soon())?;
        first.hear("1")?;
        first.killed()?;
        let mut second = lab.actor(name, "take")?;
        second.tell("me")?;
        let mut ends = 0;
        let receipt = loop {
            match me.deliver_with(name, &"2".to_string(), &soon()) {
                Ok(receipt) => break receipt,
                Err(error) if error.is_disconnected() => ends += 1,
                Err(error) => return Err(error.into()),
            }
        };
        assert!(ends <= 1, "told {ends} times of one end");
        assert_eq!(receipt.receiver().pid(), second.pid());
        second.hear("2")?;
    }
    Ok(())
}

/// Both make the link, since theirs is the smaller name. Should the second one be taken for the first,
/// it is forgotten when that one is seen to be over.
fn siblings() -> Outcome {
    let lab = Lab::new()?;
    // Drawn here, the keys of hash maps are the children's too.
    drop(HashMap::<(), ()>::new());
    let (joined, taken, replaced) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let watcher = fork((), |()| {
        let me = lab.join("watcher")?;
        joined.open()?;
        assert_eq!(*me.receive_with::<u32>(&soon())?, 1);
        taken.open()?;
        replaced.pass()?;
        assert_eq!(*me.receive_with::<u32>(&soon())?, 2);
        Ok(taken.open()?)
    })?;
    joined.pass()?;
    let mut first = fork((), |()| {
        lab.join("sensor")?.send("watcher", &1u32)?;
        loop {
            nix::unistd::pause();
        }
    })?;
    taken.pass()?;
    first.signal(9)?;
    first.wait_status()?;
    let second = fork((), |()| {
        let me = lab.join("sensor")?;
        me.send("watcher", &2u32)?;
        replaced.open()?;
        Ok(taken.pass()?)
    })?;
    watcher.wait()?;
    second.wait()?;
    assert!(lab.is_bare());
    Ok(())
}

fn given_up() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    // With the smaller name it makes the link, at this process's request.
    let mut actor = lab.actor("a-forwarder", "forward me")?;
    actor.signal(Signal::SIGSTOP)?;
    let soon_over = Wait::timeout(Duration::from_millis(30));
    let error = me.send_with("a-forwarder", &"x".to_string(), &soon_over).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    actor.signal(Signal::SIGCONT)?;
    // What was asked before has been answered, to nobody.
    assert_eq!(lab.domain()?.links_of("a-forwarder")?.len(), 1);
    assert_eq!(me.links()?.len(), 0);
    actor.tell("hello")?;
    actor.hear("sent")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "hello");
    assert_eq!(me.links()?.len(), 1);
    actor.ended_well()
}

fn stopped() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-idler", "z-idler"] {
        let mut actor = lab.actor(name, "take")?;
        actor.signal(Signal::SIGSTOP)?;
        for patience in [1, 30] {
            let patience = Duration::from_millis(patience);
            let start = Instant::now();
            let error = me.send_with(name, &"x".to_string(), &Wait::timeout(patience)).unwrap_err();
            let took = start.elapsed();
            assert!(error.is_timeout(), "{error}");
            assert!(took >= patience && took < Duration::from_secs(1), "{took:?}");
        }
        let cancel = postbox::Cancel::new()?;
        cancel.fire();
        let wait = soon().cancelled_by(&cancel);
        assert!(me.receive_from_with::<String>(name, &wait).unwrap_err().is_cancelled());
        let full = me.try_send(name, &"x".to_string()).unwrap_err();
        assert!(matches!(full, postbox::DirectError::Link(LinkError::TimedOut)), "{full}");
        actor.signal(Signal::SIGCONT)?;
        actor.tell("me")?;
        me.send_with(name, &"after all".to_string(), &soon())?;
        actor.hear("after all")?;
        assert_eq!(me.links()?.len(), 1);
        // Now that there is a link, its registrar is not needed.
        actor.signal(Signal::SIGSTOP)?;
        me.send_with(name, &"meanwhile".to_string(), &soon())?;
        actor.signal(Signal::SIGCONT)?;
        actor.tell("me")?;
        actor.hear("meanwhile")?;
        actor.ended_well()?;
        eventually("the link's end", || me.links().unwrap().is_empty().then_some(()));
    }
    Ok(())
}

fn monitored() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for _ in 0..5 {
        let actor = lab.actor("watched", "hold")?;
        let monitor = me.monitor("watched")?;
        let pid = actor.pid();
        assert!(monitor.try_wait()?.is_none());
        let patience = Wait::timeout(Duration::from_millis(5));
        assert!(monitor.wait_with(&patience).unwrap_err().is_timeout());
        let own = own_thread();
        let death = thread::spawn(move || {
            until_asleep(own);
            actor.killed().unwrap();
            Instant::now()
        });
        let departed = monitor.wait_with(&soon())?;
        let told = Instant::now();
        assert!(told.saturating_duration_since(death.join().unwrap()) < Duration::from_millis(200));
        assert_eq!((departed.name().as_str(), departed.pid()), ("watched", pid));
        assert!(monitor.try_wait()?.is_some());
        // For whoever polls.
        let mut fds = [nix::poll::PollFd::new(monitor.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO)?, 1);
    }
    // Leaving is departing too, though nothing but the domain tells.
    for _ in 0..20 {
        let other = lab.join("leaver")?;
        let monitor = me.monitor("leaver")?;
        let own = own_thread();
        let leave = thread::spawn(move || {
            until_asleep(own);
            let moment = Instant::now();
            drop(other);
            moment
        });
        let left = monitor.wait_with(&Wait::timeout(Duration::from_secs(5)))?;
        let told = Instant::now();
        assert_eq!(left.pid(), std::process::id());
        assert!(told.saturating_duration_since(leave.join().unwrap()) < Duration::from_millis(200));
    }
    // Its successor is another.
    let _successor = lab.join("leaver")?;
    Ok(())
}

fn monitor_is_free() -> Outcome {
    let lab = Lab::new()?;
    let (me, _watched) = (lab.join("me")?, lab.actor("watched", "hold")?);
    let monitor = me.monitor("watched")?;
    let patience = Wait::timeout(Duration::from_millis(500));
    let before = switches(own_thread());
    assert!(monitor.wait_with(&patience).unwrap_err().is_timeout());
    let switched = switches(own_thread()) - before;
    assert!(switched <= 3, "woken {switched} times");
    Ok(())
}

fn name_is_free() -> Outcome {
    let lab = Lab::new()?;
    let domain = lab.domain()?;
    for _ in 0..20 {
        let me = domain.join("me")?;
        let again = domain.join("me").unwrap_err();
        assert!(
            matches!(&again, JoinError::Taken { pid, .. } if *pid == std::process::id()),
            "{again}"
        );
        let second = me.clone();
        drop(me);
        assert!(domain.join("me").is_err(), "a clone holds it still");
        drop(second);
    }
    drop(domain);
    assert!(lab.is_bare());
    Ok(())
}

fn impossible_names() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let oneself = me.send("me", &1).unwrap_err().to_string();
    assert!(oneself.contains("itself"), "{oneself}");
    for name in ["", "..", "a/b", "-x", &"n".repeat(65)] {
        assert!(matches!(me.sender_to::<i32>(name), Err(LinkError::InvalidName(_))), "{name}");
        assert!(matches!(lab.domain()?.join(name), Err(JoinError::InvalidName(_))), "{name}");
    }
    Ok(())
}

fn refused_to_children(me: &Process) {
    let error = me.send("other", &1).unwrap_err().to_string();
    assert!(error.contains("joined the domain in another process"), "{error}");
    assert!(me.try_receive::<i32>().is_err());
    assert!(me.receive_from::<i32>("other").is_err());
    assert!(me.links().is_err());
    assert!(me.monitor("other").is_err());
    assert!(me.clone().sender_to::<i32>("other").is_err());
}

fn plain_child() -> Outcome {
    let lab = Lab::new()?;
    let mut actor = lab.actor("other", "forward me")?;
    let me = lab.join("me")?;
    actor.tell("one")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "one");
    let inherited = me.clone();
    bystander(move || {
        refused_to_children(&inherited);
        drop(inherited);
    })?
    .ended_well();
    // Nothing that the child did, dropped or closed has touched the membership.
    actor.tell("two")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "two");
    assert!(lab.domain()?.join("me").is_err());
    // Nor does a child that outlives us keep the name.
    Ok(())
}

fn forked_child() -> Outcome {
    let lab = Lab::new()?;
    let mut actor = lab.actor("other", "take")?;
    let domain = lab.domain()?;
    let waits = JoinOptions::new().links(LinkOptions::default().absent(Absence::Wait));
    let me = domain.join_with("me", waits)?;
    let child = fork((), |()| {
        refused_to_children(&me);
        assert!(matches!(domain.join("me"), Err(JoinError::Taken { .. })));
        let own = domain.join("child")?;
        own.send_with("other", &"from the child".to_string(), &soon())?;
        own.receive_from_with::<String>("me", &soon())?;
        Ok(())
    })?;
    actor.tell("child")?;
    actor.hear("from the child")?;
    me.send_with("child", &"go".to_string(), &soon())?;
    child.wait()?;
    actor.tell("me")?;
    me.send("other", &"from me".to_string())?;
    actor.hear("from me")
}

fn clones() -> Outcome {
    const EACH: u32 = 500;
    let lab = Lab::new()?;
    let hub = lab.join("hub")?;
    let me = lab.join("me")?;
    let threads: Vec<_> = (0..4u32)
        .map(|thread| {
            let me = me.clone();
            thread::spawn(move || {
                (0..EACH).for_each(|i| me.send_with("hub", &(thread, i), &soon()).unwrap());
            })
        })
        .collect();
    let takers: Vec<_> = (0..3)
        .map(|taker| {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                loop {
                    // Some by name, some from anyone.
                    let message = match taker {
                        0 => hub.receive_from_with::<(u32, u32)>("me", &soon()),
                        _ => hub.receive_with::<(u32, u32)>(&soon()),
                    }
                    .unwrap()
                    .into_inner();
                    if message.0 == u32::MAX {
                        return taken;
                    }
                    taken.push(message);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    (0..3).for_each(|_| me.send("hub", &(u32::MAX, 0u32)).unwrap());
    let mut all: Vec<_> = takers
        .into_iter()
        .flat_map(|taker| {
            let taken = taker.join().unwrap();
            for thread in 0..4 {
                assert!(taken.iter().filter(|(t, _)| *t == thread).is_sorted());
            }
            taken
        })
        .collect();
    all.sort();
    let expected = (0..4).flat_map(|thread| (0..EACH).map(move |i| (thread, i)));
    assert!(all.into_iter().eq(expected));
    assert_eq!((me.links()?.len(), hub.links()?.len()), (1, 1));
    Ok(())
}

fn two_names() -> Outcome {
    let lab = Lab::new()?;
    let (one, two) = (lab.join("one")?, lab.join("two")?);
    for i in 0..100 {
        one.send("two", &i)?;
        let message = two.receive::<u32>()?;
        assert_eq!((*message, message.sender().name().unwrap().as_str()), (i, "one"));
        two.send("one", &i)?;
        assert_eq!(*one.receive_from::<u32>("two")?, i);
    }
    // One leaves: the other is told, once.
    one.send("two", &100u32)?;
    drop(one);
    assert_eq!(*two.receive_from::<u32>("one")?, 100);
    assert!(two.receive_from::<u32>("one").unwrap_err().is_disconnected());
    assert!(two.receive_from::<u32>("one").unwrap_err().is_absent());
    // And comes back, in the same process: another member.
    let one = lab.join("one")?;
    one.send("two", &7u32)?;
    assert_eq!(*two.receive_from::<u32>("one")?, 7);
    two.send("one", &8u32)?;
    assert_eq!(*one.receive::<u32>()?, 8);
    assert_eq!((one.links()?.len(), two.links()?.len()), (1, 1));
    Ok(())
}

fn links_told() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let actor = lab.actor("other", "hold")?;
    assert!(me.links()?.is_empty());
    let options = Options::new(Mechanism::Socket).capacity(Capacity::Bounded(9));
    me.link_with("other", LinkOptions::new(options).schema("text/1"))?;
    me.send("other", &"waits".to_string())?;
    let links = me.links()?;
    let [link] = &links[..] else { return Err(format!("{links:?}").into()) };
    assert_eq!(link.partner().name().unwrap().as_str(), "other");
    assert_eq!(
        (link.partner().pid(), link.partner().uid()),
        (actor.pid(), Some(getuid().as_raw()))
    );
    assert_eq!((link.mechanism(), link.capacity()), (Mechanism::Socket, Capacity::Bounded(9)));
    assert_eq!((link.schema(), link.direction()), (Some("text/1"), Some(Direction::Both)));
    let (waiting, statistics) = link.outgoing().ok_or("no way out")?;
    assert_eq!((waiting, statistics.sent), (1, 1));
    assert_eq!(link.incoming().ok_or("no way back")?.0, 0);
    Ok(())
}

fn both_ways(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let lab = Lab::new()?;
    let options = Options::new(mechanism).capacity(capacity);
    let me = lab.domain()?.join_with("me", JoinOptions::new().links(options))?;
    for name in ["alpha", "zeta"] {
        let mut echo = lab.actor(name, "echo")?;
        for i in 0..200 {
            me.send_with(name, &format!("{i}"), &soon())?;
            let answer = me.receive_from_with::<String>(name, &soon())?;
            assert_eq!(*answer, format!("{i} by {name}"));
        }
        let links = me.links()?;
        let link = links.iter().find(|l| l.partner().pid() == echo.pid()).ok_or("no link")?;
        assert_eq!((link.mechanism(), link.capacity()), (mechanism, capacity));
        if let Capacity::Bounded(n) = capacity {
            echo.signal(Signal::SIGSTOP)?;
            (0..n).try_for_each(|_| me.try_send(name, &String::new()))?;
            assert!(me.try_send(name, &String::new()).unwrap_err().is_full());
            echo.signal(Signal::SIGCONT)?;
        }
        echo.orders = None;
        echo.killed()?;
    }
    Ok(())
}

fn raw(mechanism: Mechanism) -> Outcome {
    let lab = Lab::new()?;
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).max_message(1 << 20);
    let me = lab.domain()?.join_with("me", JoinOptions::new().links(options))?;
    let other = lab.join("other")?;
    for len in [0, 1, 100, 5000, 1 << 20] {
        let message = vec![len as u8; len];
        me.send_bytes("other", &message)?;
        let taken = other.receive::<Bytes>()?;
        assert_eq!(taken[..], message);
        other.try_send_bytes("me", &message)?;
        assert_eq!(me.receive_from::<Bytes>("other")?[..], message);
    }
    assert!(me.send_bytes("other", &vec![0; (1 << 20) + 1]).is_err());
    let (tx, rx) = (me.sender_to::<Bytes>("other")?, other.receiver_from::<Bytes>("me")?);
    tx.send(b"by its own end")?;
    let mut buffer = Vec::new();
    let peer = rx.receive_into(&mut buffer)?;
    assert_eq!((&buffer[..], peer.name().unwrap().as_str()), (&b"by its own end"[..], "me"));
    Ok(())
}

fn undrained() -> Outcome {
    let lab = Lab::new()?;
    let hub = lab.join("hub")?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 600, hard)?;
    // The one makes its link itself, the other asks for it; the third is always another.
    let comes_and_goes = |i: u32| -> Result<(), Box<dyn Error>> {
        let name = match i % 3 {
            0 => "a".to_owned(),
            1 => "z".to_owned(),
            _ => format!("p{i}"),
        };
        Ok(lab.join(&name)?.send("hub", &i)?)
    };
    for _ in 0..2 {
        let mut left = 0;
        let refusal = loop {
            match comes_and_goes(left) {
                Ok(()) => left += 1,
                Err(error) => break error.to_string(),
            }
            assert!(left < 300, "nothing stands in the way");
        };
        assert!(
            refusal.contains(&format!("{left} links of processes that have gone")),
            "{refusal}"
        );
        for name in ["a", "b", "z"] {
            let process = lab.join(name)?;
            let refused = process.link_with("hub", Options::default()).unwrap_err();
            assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
            let refused = hub.link_with(name, Options::default()).unwrap_err();
            assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
        }
        let mut received = Vec::new();
        while let Some(message) = hub.try_receive::<u32>()? {
            received.push(*message);
        }
        received.sort();
        assert!(received.into_iter().eq(0..left), "something was lost");
        println!("{left} were kept");
    }
    Ok(())
}
