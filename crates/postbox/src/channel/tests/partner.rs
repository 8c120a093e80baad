//! Another process that takes part in a channel and does what it is told, line by line.

use crate::channel::{Channel, End, Receiver, Role, Sender};
use crate::mechanism::WaitStrategy;
use crate::name::Name;
use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox_sys::{inherited, signals, wipe_on_fork};
use std::fmt::Display;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Says how many descriptors of a channel the partner finds.
const VARIABLE: &str = "POSTBOX_PARTNER";
const ORDERS: i32 = 10;
const ANSWERS: i32 = 11;
const FIRST: i32 = 12;

/// A partner, killed when dropped.
pub(super) struct Partner {
    child: Child,
    orders: PipeWriter,
    answers: BufReader<PipeReader>,
}

impl Partner {
    /// Starts one that has all descriptors of the channel.
    pub(super) fn of(channel: &Channel) -> Self {
        let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        Partner::with(channel.fds().into_iter().map(copy).collect())
    }

    /// Starts one that has these.
    pub(super) fn with(fds: Vec<OwnedFd>) -> Self {
        let (orders_in, orders) = pipe().unwrap();
        let (answers, answers_out) = pipe().unwrap();
        let count = fds.len();
        let mut mappings = vec![
            FdMapping { parent_fd: orders_in.into(), child_fd: ORDERS },
            FdMapping { parent_fd: answers_out.into(), child_fd: ANSWERS },
        ];
        mappings.extend((FIRST..).zip(fds).map(|(child_fd, fd)| FdMapping {
            parent_fd: fd.as_fd().try_clone_to_owned().unwrap(),
            child_fd,
        }));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "channel::tests::partner::obeys", "--nocapture"])
            .env(VARIABLE, count.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .fd_mappings(mappings)
            .unwrap()
            .spawn()
            .unwrap();
        let mut partner = Partner { child, orders, answers: BufReader::new(answers) };
        assert_eq!(partner.answer(), "here");
        partner
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order without waiting for its answer.
    pub(super) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    pub(super) fn answer(&mut self) -> String {
        let mut line = String::new();
        let patience = PollTimeout::try_from(super::PATIENCE).unwrap();
        let mut fds = [PollFd::new(self.answers.get_ref().as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, patience), Ok(1), "the partner does not answer");
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(super) fn ask(&mut self, order: &str) -> String {
        self.order(order);
        self.answer()
    }

    /// Stops it, and returns when all its threads stand still.
    pub(super) fn stop(&self) {
        signals::kill(self.pid(), signals::Signal::SIGSTOP).unwrap();
        let tasks = format!("/proc/{}/task", self.pid());
        let stands = |entry: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(entry.unwrap().path().join("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        super::until("standing still", || std::fs::read_dir(&tasks).unwrap().all(stands));
    }

    pub(super) fn resume(&self) {
        signals::kill(self.pid(), signals::Signal::SIGCONT).unwrap();
    }

    pub(super) fn kill(&mut self) {
        self.kill_unreaped();
        self.child.wait().unwrap();
    }

    /// It stays a zombie.
    pub(super) fn kill_unreaped(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Ends {
    sender: Option<Sender<u64>>,
    receiver: Option<Receiver<u64>>,
    pollable: Option<crate::Pollable>,
}

/// The partner itself; in an ordinary run there is nothing to do.
#[test]
fn obeys() {
    let Ok(count) = std::env::var(VARIABLE) else { return };
    wipe_on_fork::renew().unwrap();
    let take = |number| inherited::duplicate(number).unwrap();
    let orders = BufReader::new(PipeReader::from(take(ORDERS)));
    let mut answers = PipeWriter::from(take(ANSWERS));
    let fds = (FIRST..).take(count.parse().unwrap()).map(take).collect();
    // Its ends are this process's alone from here on, and go with it.
    for number in ORDERS..FIRST + count.parse::<i32>().unwrap() {
        assert!(inherited::close(number));
    }
    let channel = Arc::new(Channel::from_fds(fds).unwrap());
    let mut ends = Ends::default();
    writeln!(answers, "here").unwrap();
    for order in orders.lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let answer = obey(&channel, &mut ends, &words).unwrap_or_else(|error| error);
        writeln!(answers, "{answer}").unwrap();
    }
}

/// Gives up all privileges, where there are any.
fn become_user(user: u32) -> nix::Result<()> {
    if nix::unistd::getuid().is_root() {
        nix::unistd::setgroups(&[])?;
        nix::unistd::setgid(nix::unistd::Gid::from_raw(user))?;
        nix::unistd::setuid(nix::unistd::Uid::from_raw(user))?;
    }
    Ok(())
}

/// How many of its pipes, sockets and queues this process can open for reading by way of `/proc`.
fn reopened() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let target = std::fs::read_link(path).unwrap_or_default();
            let target = target.to_string_lossy();
            ["pipe:", "socket:", "/postbox-"].iter().any(|kind| target.starts_with(kind))
        })
        .filter(|path| std::fs::File::open(path).is_ok())
        .count()
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn obey(channel: &Arc<Channel>, ends: &mut Ends, order: &[&str]) -> Result<String, String> {
    let join = |role, name: &str| {
        let name = Name::new(name).unwrap();
        End::join_as(channel.clone(), role, WaitStrategy::Block, Some(&name)).map_err(said)
    };
    let number = |text: &str| text.parse::<u64>().unwrap();
    let shown =
        |delivery: &crate::Delivery<u64>| format!("{} from {}", **delivery, delivery.sender());
    match (order, &ends.sender, &ends.receiver) {
        (["sender", name], ..) => ends.sender = Some(Sender::new(join(Role::Sender, name)?)),
        (["receiver", name], ..) => {
            ends.receiver = Some(Receiver::new(join(Role::Receiver, name)?));
        }
        (["leave"], ..) => *ends = Ends::default(),
        (["exit"], ..) => std::process::exit(0),
        (["become", user], ..) => become_user(number(user) as u32).map_err(said)?,
        (["default", "SIGPIPE"], ..) => {
            signals::default_action(signals::Signal::SIGPIPE).map_err(said)?;
        }
        (["reopen"], ..) => return Ok(format!("{} opened", reopened())),
        (["send_many", count], Some(tx), _) => {
            (0..number(count)).try_for_each(|n| tx.send(&n)).map_err(said)?;
        }
        (["attach", nonce], ..) => {
            let own = crate::process::Identity::own();
            return Ok(channel.accept_ownership(number(nonce), own).to_string());
        }
        (["send", n], Some(tx), _) => tx.send(&number(n)).map_err(said)?,
        (["try_send", n], Some(tx), _) => tx.try_send(&number(n)).map_err(said)?,
        (["deliver", n], Some(tx), _) => {
            return tx.deliver(&number(n)).map(|r| said(r.receiver())).map_err(said);
        }
        (["receive"], _, Some(rx)) => return rx.receive().map(|d| shown(&d)).map_err(said),
        (["receive_for", ms], _, Some(rx)) => {
            let wait = crate::Wait::timeout(std::time::Duration::from_millis(number(ms)));
            return rx.receive_with(&wait).map(|d| shown(&d)).map_err(said);
        }
        (["batch", most], _, Some(rx)) => {
            let batch = rx.receive_batch(number(most) as usize).map_err(said)?;
            let numbers: Vec<String> = batch.iter().map(|d| d.to_string()).collect();
            return Ok(numbers.join(" "));
        }
        (["try_receive"], _, Some(rx)) => {
            let taken = rx.try_receive().map_err(said)?;
            return Ok(taken.map_or("nothing".into(), |d| shown(&d)));
        }
        (["poll", ms], _, Some(rx)) => {
            let pollable = ends.pollable.take().map_or_else(|| rx.pollable(), Ok).map_err(said)?;
            let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, number(ms) as u16).map_err(said)?;
            ends.pollable = Some(pollable);
            return Ok(if ready > 0 { "readable" } else { "unreadable" }.into());
        }
        _ => return Err(format!("no such order: {order:?}")),
    }
    Ok("done".into())
}
