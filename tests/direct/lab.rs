//! Where a case happens, and the other processes in it: this program again, as actors.

use crate::encounters::meet;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postbox::{Absence, Domain, DomainOptions, JoinOptions, LinkOptions, Process};
use postbox_tests::{Outcome, soon};
use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Says what this program is to do as an actor: a directory, a name, and a part.
pub const PART: &str = "POSTBOX_TESTS_PART";

/// A directory for domains of one case.
pub struct Lab {
    pub place: TempDir,
}

impl Lab {
    pub fn new() -> std::io::Result<Self> {
        Ok(Lab { place: tempfile::tempdir()? })
    }

    pub fn domain(&self) -> Result<Domain, Box<dyn Error>> {
        open(self.place.path())
    }

    pub fn join(&self, name: &str) -> Result<Process, Box<dyn Error>> {
        Ok(self.domain()?.join(name)?)
    }

    /// Starts an actor of that name and part, and waits until it has joined.
    pub fn actor(&self, name: &str, part: &str) -> Result<Actor, Box<dyn Error>> {
        let mut actor = self.started(name, part)?;
        actor.hear("joined")?;
        Ok(actor)
    }

    pub fn started(&self, name: &str, part: &str) -> Result<Actor, Box<dyn Error>> {
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
    pub fn is_bare(&self) -> bool {
        std::fs::read_dir(self.place.path()).is_ok_and(|mut entries| entries.next().is_none())
    }
}

pub fn open(place: &Path) -> Result<Domain, Box<dyn Error>> {
    Ok(DomainOptions::new().directory(place).open("lab")?)
}

/// Another process of the domain; killed when dropped.
pub struct Actor {
    child: Child,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, order: &str) -> Outcome {
        Ok(writeln!(self.orders.as_ref().ok_or("it was let go")?, "{order}")?)
    }

    pub fn next(&mut self) -> Result<String, Box<dyn Error>> {
        Ok(self.said.next().ok_or("it said no more")??)
    }

    pub fn hear(&mut self, expected: &str) -> Outcome {
        let said = self.next()?;
        if said == expected { Ok(()) } else { Err(format!("it said {said}").into()) }
    }

    /// One that is stopped stands still, with all its threads, when this returns.
    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(Pid::from_raw(self.pid() as i32), signal)?;
        if signal == Signal::SIGSTOP {
            postbox_tests::until_stopped(self.pid());
        }
        Ok(())
    }

    pub fn killed(mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// It gets no more orders, and so comes to its end.
    pub fn let_go(&mut self) {
        self.orders = None;
    }

    /// Lets it end, which it must do well.
    pub fn ended_well(mut self) -> Outcome {
        self.let_go();
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
pub fn act(part: &str) -> Outcome {
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

pub fn say_line(line: &str) {
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
