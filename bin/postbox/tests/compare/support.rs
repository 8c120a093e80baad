//! Running the program in a process group of its own, as a shell does.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long a run may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of those bytes, gone when it is dropped.
pub fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// `count` lines: empty ones, short ones, binary ones, some with a carriage return; the last has no
/// line end. And the bytes of the records.
pub fn lines(count: usize) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    for line in 0..count {
        match line % 5 {
            0 => {}
            1 => text.extend(line.to_string().bytes()),
            2 => text.extend((0..=255).filter(|&byte| byte != b'\n')),
            3 => text.extend(b"carriage return\r"),
            _ => text.extend(vec![b'x'; line % 300]),
        }
        text.push(b'\n');
    }
    text.extend(b"last");
    let bytes = text.iter().filter(|&&byte| byte != b'\n').count() as u64;
    (text, bytes)
}

/// A run under way.
pub struct Run {
    child: Child,
    group: Pid,
}

impl Run {
    /// Starts `postbox compare` with those arguments.
    pub fn start<A: Into<PathBuf>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Run::with(arguments, Stdio::null(), Stdio::piped())
    }

    /// As [`start`](Self::start), with other standard streams.
    pub fn with<A: Into<PathBuf>>(
        arguments: impl IntoIterator<Item = A>,
        input: Stdio,
        output: Stdio,
    ) -> Self {
        let mut command = Run::command(arguments);
        Run::of(command.stdin(input).stdout(output))
    }

    /// As [`start`](Self::start), with those variables in the environment.
    pub fn started(arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let mut command = Run::command(arguments.iter().copied());
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        Run::of(&mut command)
    }

    fn command<A: Into<PathBuf>>(arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbox"));
        command.arg("compare").args(arguments.into_iter().map(Into::into));
        command
    }

    fn of(command: &mut Command) -> Self {
        let child = command.stderr(Stdio::piped()).process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id() as i32);
        Run { child, group }
    }

    /// The program's process.
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// Its standard input.
    pub fn input(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Its worker processes now.
    pub fn workers(&self) -> BTreeSet<i32> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let children = tasks.flat_map(|task| fs::read_to_string(task.path().join("children")));
        let pids: Vec<String> = children.collect();
        pids.iter()
            .flat_map(|pids| pids.split_whitespace())
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// Waits until it has that many workers, none of them `other`.
    pub fn await_workers(&self, count: usize, other: &BTreeSet<i32>) -> BTreeSet<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let workers = self.workers();
            if workers.len() == count && workers.is_disjoint(other) {
                return workers;
            }
            assert!(Instant::now() < deadline, "there never were {count} workers");
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

    /// As [`finish`](Self::finish), looking at the processes every now and then.
    pub fn finish_watched(mut self, mut look: impl FnMut(&BTreeSet<i32>)) -> Ended {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (self.child.stdout.take(), self.child.stderr.take().unwrap());
        let (done, output) = channel();
        let reader = thread::spawn(move || {
            let mut said = Vec::new();
            if let Some(out) = &mut out {
                out.read_to_end(&mut said).unwrap();
            }
            said
        });
        thread::spawn(move || {
            let mut said = Vec::new();
            err.read_to_end(&mut said).unwrap();
            done.send(said)
        });
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            let mut all = self.workers();
            all.insert(self.group.as_raw());
            look(&all);
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = killpg(self.group, Signal::SIGKILL);
                panic!("stuck for {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let leftovers = living(self.group);
        let _ = killpg(self.group, Signal::SIGKILL);
        assert!(leftovers.is_empty(), "it left processes behind: {leftovers:?}");
        let named = |directory: &str| {
            let names = fs::read_dir(directory).into_iter().flatten().flatten();
            let pid = self.group.to_string();
            names.filter(|name| name.file_name().to_string_lossy().contains(&pid)).count()
        };
        assert_eq!(named("/dev/shm") + named("/dev/mqueue"), 0, "it left names behind");
        let (stdout, stderr) = (reader.join().unwrap(), output.recv().unwrap());
        Ended(Output { status, stdout, stderr })
    }
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

    /// The rows of a run in which all went well.
    pub fn good_rows(&self) -> Vec<Value> {
        assert_eq!((self.code(), self.err()), (Some(0), String::new()), "{self:?}");
        let rows = self.rows();
        assert!(rows.iter().all(|row| row["verified"] == true), "{rows:?}");
        rows
    }
}
