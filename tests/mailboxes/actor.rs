//! Separate processes that do with mailboxes what they are told.
//!
//! ```text
//!  case ──► this program again, as an actor: a name in the domain, orders by standard input,
//!           answers by standard output, a line each
//! ```

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postbox::{
    Access, Bytes, Domain, DomainOptions, Existing, Keeper, Mailbox, MailboxOptions, Opening,
    Ownership, Process, Wait, WhenIdle,
};
use postbox_tests::{Outcome, soon, until_stopped};
use std::collections::HashMap;
use std::error::Error;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

type Failure = Box<dyn Error>;

/// Says what this program is to do as an actor: a directory, a group or `-`, and a name.
pub const PART: &str = "POSTBOX_TESTS_PART";
/// So many messages are in the file that they are written to as soon as they have come.
pub const ENOUGH: u32 = 1000;

/// A directory for the domain of one case.
pub struct Stage {
    _place: TempDir,
    /// Where the domains lie.
    base: PathBuf,
    group: Option<u32>,
}

impl Stage {
    /// For this user alone.
    pub fn new() -> std::io::Result<Self> {
        let place = tempfile::tempdir()?;
        Ok(Stage { base: place.path().join("base"), _place: place, group: None })
    }

    /// For this user alone, in a directory that others may pass through.
    pub fn for_all() -> std::io::Result<Self> {
        let passable = |place: &PathBuf| {
            let open = |path: &Path| path.metadata().is_ok_and(|found| found.mode() & 1 == 1);
            place.ancestors().all(open)
        };
        let places = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
        let place = places.into_iter().find(passable).ok_or(std::io::ErrorKind::NotFound)?;
        let place = tempfile::tempdir_in(place)?;
        std::fs::set_permissions(place.path(), Permissions::from_mode(0o755))?;
        Ok(Stage { base: place.path().join("base"), _place: place, group: None })
    }

    /// For the members of a group, too.
    pub fn for_group(group: u32) -> std::io::Result<Self> {
        Ok(Stage { group: Some(group), ..Stage::for_all()? })
    }

    pub fn path(&self) -> &Path {
        &self.base
    }

    /// A file beside the domains.
    pub fn file(&self, name: &str) -> String {
        self._place.path().join(name).display().to_string()
    }

    pub fn domain(&self) -> Result<Domain, Failure> {
        open(&self.base, self.group)
    }

    pub fn join(&self, name: &str) -> Result<Process, Failure> {
        Ok(self.domain()?.join(name)?)
    }

    /// A process of that name, once it has joined.
    pub fn actor(&self, name: &str) -> Result<Actor, Failure> {
        self.actor_as(name, None)
    }

    /// The same, as another user and group.
    pub fn actor_as(&self, name: &str, user: Option<(u32, u32)>) -> Result<Actor, Failure> {
        let group = self.group.map_or("-".into(), |group| group.to_string());
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env(PART, format!("{} {group} {name}", self.base.display()))
            .env_remove("POSTBOX_CASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        let mut child = command.spawn()?;
        let (orders, said) = (child.stdin.take(), child.stdout.take());
        let said = BufReader::new(said.ok_or("no output")?).lines();
        let mut actor = Actor { child, orders, said };
        actor.hear("joined")?;
        Ok(actor)
    }

    /// A keeper of the domain, in a process of its own.
    pub fn keeper(&self) -> Result<Actor, Failure> {
        self.actor("keeper")
    }

    /// Whether nothing is left of any domain.
    pub fn is_bare(&self) -> bool {
        std::fs::read_dir(&self.base).map_or(true, |mut entries| entries.next().is_none())
    }
}

fn open(base: &Path, group: Option<u32>) -> Result<Domain, Failure> {
    let options = DomainOptions::new().directory(base);
    Ok(match group {
        Some(group) => options.group(group).open("lab")?,
        None => options.open("lab")?,
    })
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

    /// Gives an order, and does not wait for it to be carried out.
    pub fn tell(&mut self, order: &str) -> Outcome {
        Ok(writeln!(self.orders.as_ref().ok_or("it was let go")?, "{order}")?)
    }

    /// What it says next.
    pub fn next(&mut self) -> Result<String, Failure> {
        Ok(self.said.next().ok_or("it said no more")??)
    }

    pub fn hear(&mut self, expected: &str) -> Outcome {
        let said = self.next()?;
        if said == expected { Ok(()) } else { Err(format!("it said {said}").into()) }
    }

    /// Gives an order; what it says when that is done.
    pub fn ask(&mut self, order: &str) -> Result<String, Failure> {
        self.tell(order)?;
        self.next()
    }

    /// Gives an order that must go well.
    pub fn does(&mut self, order: &str) -> Outcome {
        match &*self.ask(order)? {
            "done" => Ok(()),
            said => Err(format!("{order}: {said}").into()),
        }
    }

    pub fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill(Pid::from_raw(self.pid() as i32), signal)?)
    }

    /// Stops it, and returns when all its threads stand still.
    pub fn stopped(&self) -> Outcome {
        self.signal(Signal::SIGSTOP)?;
        until_stopped(self.pid());
        Ok(())
    }

    pub fn killed(mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Lets it end, which it must do well.
    pub fn ended_well(mut self) -> Outcome {
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

fn say(line: &str) -> Outcome {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}

/// An actor's life.
pub fn act(part: &str) -> Outcome {
    let words: Vec<&str> = part.split(' ').collect();
    let [base, group, name] = words[..] else { return Err("no part".into()) };
    let domain = open(Path::new(base), group.parse().ok())?;
    if name == Keeper::NAME {
        let keeper = Keeper::start(&domain, WhenIdle::End(Duration::ZERO))?;
        say("joined")?;
        return Ok(keeper.run(&Wait::forever())?);
    }
    let mut actor = Part { me: domain.join(name)?, held: HashMap::new() };
    say("joined")?;
    for order in std::io::stdin().lines() {
        let order = order?;
        let words: Vec<&str> = order.split(' ').collect();
        let said = actor.carry_out(&words).unwrap_or_else(|error| format!("error: {error}"));
        say(&said)?;
    }
    Ok(())
}

/// What an actor has.
struct Part {
    me: Process,
    held: HashMap<String, Mailbox<Bytes>>,
}

impl Part {
    fn held(&self, name: &str) -> Result<&Mailbox<Bytes>, Failure> {
        Ok(self.held.get(name).ok_or("it was not opened")?)
    }

    fn hold(&mut self, mailbox: Mailbox<Bytes>) {
        self.held.insert(mailbox.name().to_string(), mailbox);
    }

    fn carry_out(&mut self, words: &[&str]) -> Result<String, Failure> {
        match *words {
            ["create", name, ref options @ ..] => {
                let mailbox = self.me.create_mailbox(name, parse(options)?)?;
                self.hold(mailbox);
            }
            ["open", name] => {
                let mailbox = self.me.open_mailbox(name)?;
                self.hold(mailbox);
            }
            ["open", name, schema] => {
                let mailbox = self.me.open_mailbox_with(name, &Opening::new().schema(schema))?;
                self.hold(mailbox);
            }
            ["await", name] => {
                let mailbox = self.me.open_mailbox_with(name, &Opening::new().wait(soon()))?;
                self.hold(mailbox);
            }
            ["leave", name] => drop(self.held.remove(name)),
            ["send", name, text] => self.held(name)?.send_with(text.as_bytes(), &soon())?,
            ["deliver", name, text] => {
                let receipt = self.held(name)?.deliver_with(text.as_bytes(), &soon())?;
                let taker = receipt.receiver();
                let name = taker.name().map_or("nobody", |name| name.as_str());
                return Ok(format!("taken by {name} {}", taker.pid()));
            }
            ["receive", name] => {
                let message = self.held(name)?.receive_with(&soon())?;
                let sender = message.sender().name().map_or("nobody", |name| name.as_str());
                return Ok(format!("{} from {sender}", String::from_utf8_lossy(&message)));
            }
            ["try_receive", name] => {
                return Ok(match self.held(name)?.try_receive()? {
                    Some(message) => String::from_utf8_lossy(&message).into_owned(),
                    None => "nothing".into(),
                });
            }
            ["flood", name, count] => self.flood(name, 0..count.parse()?)?,
            ["flood", name, first, end] => self.flood(name, first.parse()?..end.parse()?)?,
            ["visit", name, times] => {
                for i in 0..times.parse::<u32>()? {
                    let mailbox = self.me.open_mailbox::<Bytes>(name)?;
                    mailbox.send_with(format!("{} {i}", self.me.name()).as_bytes(), &soon())?;
                }
            }
            ["drain", name, file] => return self.drain(name, file, None),
            ["drain", name, file, "give", to, "after", count] => {
                return self.drain(name, file, Some((to, count.parse()?)));
            }
            ["grant", name, to] => self.held(name)?.grant_receive(to)?,
            ["revoke", name, from] => self.held(name)?.revoke_receive(from)?,
            ["grant_send", name, to] => self.held(name)?.grant_send(to)?,
            ["revoke_send", name, from] => self.held(name)?.revoke_send(from)?,
            ["transfer", name, to] => self.held(name)?.transfer_to(to)?,
            ["bounce", name, to, tries] => return self.bounce(name, to, tries.parse()?),
            ["status", name] => {
                self.held(name)?.status()?;
            }
            ["destroy", name] => self.held(name)?.destroy()?,
            ["sender", name] => {
                self.held(name)?.sender()?;
            }
            ["receiver", name] => {
                self.held(name)?.receiver()?;
            }
            ["readable"] => return Ok(crate::users::readable()),
            _ => return Err("no such order".into()),
        }
        Ok("done".into())
    }

    /// Sends numbered messages under the own name.
    fn flood(&self, name: &str, numbers: Range<u32>) -> Outcome {
        let sender = self.held(name)?.sender()?;
        for i in numbers {
            sender.send_with(format!("{} {i}", self.me.name()).as_bytes(), &soon())?;
        }
        Ok(())
    }

    /// Tries to give it away, mostly with too little patience; the owner's being another is no error.
    fn bounce(&self, name: &str, to: &str, tries: u64) -> Result<String, Failure> {
        let mailbox = self.held(name)?;
        let mut given = 0;
        for i in 0..tries {
            let hurry = Wait::timeout(Duration::from_micros(i * 37 % 1000));
            given += u32::from(mailbox.transfer_to_with(to, &hurry).is_ok());
        }
        Ok(format!("gave {given}"))
    }

    /// Writes down what comes until it ends, and says how it ended; the first [`ENOUGH`] messages at once. May give the
    /// mailbox away after some messages.
    fn drain(
        &self,
        name: &str,
        file: &str,
        mut give: Option<(&str, u32)>,
    ) -> Result<String, Failure> {
        let mailbox = self.held(name)?;
        let receiver = mailbox.receiver()?.until_drained();
        let mut file = BufWriter::new(File::create(file)?);
        let mut taken = 0;
        let end = loop {
            if let Some((to, _)) = give.take_if(|(_, after)| *after == taken) {
                mailbox.transfer_to(to)?;
            }
            match receiver.receive_with(&soon()) {
                Ok(message) => {
                    taken += 1;
                    writeln!(file, "{}", String::from_utf8_lossy(&message))?;
                    if taken == ENOUGH {
                        file.flush()?;
                    }
                }
                Err(error) => break error,
            }
        };
        file.flush()?;
        Ok(format!("{taken} then {end}"))
    }
}

/// Options by words, such as `mechanism=pipe`.
fn parse(words: &[&str]) -> Result<MailboxOptions, Failure> {
    let mut options = MailboxOptions::default();
    for word in words {
        let (key, value) = word.split_once('=').ok_or("no option")?;
        options = match key {
            "mechanism" => {
                // It comes first.
                MailboxOptions::new(value.parse()?)
            }
            "capacity" => options.capacity(value.parse()?),
            "policy" => options.policy(value.parse()?),
            "receivers" => options.receivers(value.parse::<Access>()?),
            "senders" => options.senders(value.parse::<Access>()?),
            "schema" => options.schema(value),
            "existing" => options.existing(match value {
                "open" => Existing::Open,
                "either" => Existing::OpenOrCreate,
                _ => Existing::Create,
            }),
            "owner" => options.owner(match value {
                "keeper" => Ownership::Keeper,
                _ => Ownership::Process,
            }),
            _ => return Err(format!("no option {key}").into()),
        };
    }
    Ok(options)
}
