//! Running the program in a process group of its own, as a shell does.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a run may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// The program, to be told what to do.
pub fn postbox() -> Command {
    Command::new(env!("CARGO_BIN_EXE_postbox"))
}

/// The program, under limits of the shell's `ulimit`.
pub fn limited(limits: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(postbox().get_program());
    command
}

/// A run under way.
pub struct Run {
    child: Child,
    group: Pid,
}

impl Run {
    /// Starts a program that reads nothing and whose output is looked at when it is over.
    pub fn of(command: &mut Command) -> Self {
        Run::with(command, Stdio::null(), Stdio::piped())
    }

    /// As [`of`](Self::of), with other standard streams.
    pub fn with(command: &mut Command, input: Stdio, output: Stdio) -> Self {
        command.stdin(input).stdout(output).stderr(Stdio::piped());
        let child = command.process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id() as i32);
        Run { child, group }
    }

    /// The program's process, which leads its group.
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// Its standard input.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// The processes that it has started, now.
    pub fn children(&self) -> BTreeSet<i32> {
        let tasks = format!("/proc/{}/task", self.group);
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let children = tasks.flat_map(|task| fs::read_to_string(task.path().join("children")));
        let pids: Vec<String> = children.collect();
        let pids = pids.iter().flat_map(|pids| pids.split_whitespace());
        pids.map(|pid| pid.parse().unwrap()).collect()
    }

    /// Waits until its children are as they ought to be.
    pub fn await_children(
        &self,
        what: &str,
        mut suit: impl FnMut(&BTreeSet<i32>) -> bool,
    ) -> BTreeSet<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let children = self.children();
            if suit(&children) {
                return children;
            }
            assert!(Instant::now() < deadline, "there never were {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until somebody has made that file.
    pub fn await_file(&self, path: &Path) {
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < deadline, "nobody made {}", path.display());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What Ctrl-C does on a terminal: the signal goes to every process of the group.
    pub fn signal_all(&self, signal: Signal) {
        killpg(self.group, signal).unwrap();
    }

    /// The signal for the program alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.group, signal).unwrap();
    }

    /// Its end, and proof that nothing is left of it.
    pub fn finish(self) -> Ended {
        self.finish_watched(|_| {})
    }

    /// As [`finish`](Self::finish), looking at its processes every now and then.
    pub fn finish_watched(mut self, mut look: impl FnMut(&BTreeSet<i32>)) -> Ended {
        drop(self.child.stdin.take());
        let out = self.child.stdout.take().map(read);
        let err = read(self.child.stderr.take().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            let mut all = self.children();
            all.insert(self.group.as_raw());
            look(&all);
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.signal_all(Signal::SIGKILL);
                panic!("stuck for {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let leftovers = living(self.group);
        let _ = killpg(self.group, Signal::SIGKILL);
        assert!(leftovers.is_empty(), "it left processes behind: {leftovers:?}");
        let said = |stream: Receiver<Vec<u8>>| stream.recv_timeout(PATIENCE).expect("all is said");
        Ended(Output { status, stdout: out.map(said).unwrap_or_default(), stderr: said(err) })
    }
}

/// Reads a stream to its end, in a thread of its own.
fn read(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, all) = channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        done.send(said)
    });
    all
}

/// The processes of that group that live: those that nobody has reaped yet do not.
pub fn living(group: Pid) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let statuses = processes.flat_map(|process| fs::read_to_string(process.path().join("stat")));
    let member = |status: String| {
        // `pid (name) state parent group ...`, and the name may have anything in it.
        let fields: Vec<&str> = status.rsplit_once(") ")?.1.split(' ').collect();
        let lives = fields[0] != "Z" && fields[2] == group.to_string();
        lives.then(|| status.split(' ').next()?.parse().ok()).flatten()
    };
    statuses.filter_map(member).collect()
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended(Output);

impl Ended {
    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// What it said on standard output.
    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// What it said on standard error.
    pub fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The rows of its JSON.
    pub fn rows(&self) -> Vec<Value> {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
