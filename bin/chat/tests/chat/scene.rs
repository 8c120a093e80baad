//! A domain directory of its own, and those who chat in it, over pipes.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A domain directory, empty at first, and in the end.
pub struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Scene { directory: tempfile::tempdir().unwrap() }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The program, in this domain.
    pub fn chat(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command
            .args(["--as", name])
            .env("POSTBOX_DIR", self.directory())
            .env_remove("POSTBOX_DOMAIN");
        command
    }

    /// Somebody comes, and is in.
    pub fn enter(&self, name: &str) -> Person {
        let person = self.start(name);
        let joined = format!("* {name} has joined");
        person.await_line("is in the lobby", |line| {
            line.starts_with("* you are the first") || line == joined
        });
        person
    }

    /// Somebody comes.
    pub fn start(&self, name: &str) -> Person {
        let mut command = self.chat(name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let heard = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (input, out) = (child.stdin.take(), child.stdout.take().unwrap());
        let (mut err, ears) = (child.stderr.take().unwrap(), heard.clone());
        let listening = thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                ears.0.lock().unwrap().push(line.unwrap());
                ears.1.notify_all();
            }
            let mut complaint = String::new();
            err.read_to_string(&mut complaint).unwrap();
            complaint
        });
        Person { name: name.into(), child, input, heard, listening: Some(listening) }
    }

    /// Signals the process of that name, which is in.
    pub fn signal(&self, name: &str, signal: Signal) {
        let processes = self.directory().join("default/processes").read_dir().unwrap();
        let mut files = processes.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pid = files.find_map(|file| file.strip_prefix(name)?.strip_prefix('.')?.parse().ok());
        kill(Pid::from_raw(pid.unwrap()), signal).unwrap();
    }

    /// The end of a scene: nothing is left in the directory.
    pub fn finish(self) {
        let left: Vec<_> = self.directory().read_dir().unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Somebody who chats.
pub struct Person {
    pub name: String,
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<(Mutex<Vec<String>>, Condvar)>,
    /// Yields what was said on standard error.
    listening: Option<JoinHandle<String>>,
}

impl Person {
    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.types_bytes(format!("{line}\n").as_bytes());
    }

    /// Types anything.
    pub fn types_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Types no more.
    pub fn closes(&mut self) {
        self.input = None;
    }

    /// Waits until that line has been shown.
    pub fn sees(&self, line: &str) {
        self.await_line(line, |shown| shown == line);
    }

    /// Waits until a line has been shown that is so.
    pub fn await_line(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let found = |lines: &[String]| lines.iter().find(|line| is_so(line)).cloned();
        self.until(what, |lines| found(lines).is_some());
        found(&self.heard.0.lock().unwrap()).unwrap()
    }

    /// Waits until so many lines have been shown that are so; those lines.
    pub fn await_lines(&self, count: usize, is_so: impl Fn(&str) -> bool) -> Vec<String> {
        let found =
            |lines: &[String]| lines.iter().filter(|line| is_so(line)).cloned().collect::<Vec<_>>();
        self.until(&format!("{count} lines"), |lines| found(lines).len() >= count);
        found(&self.heard.0.lock().unwrap())
    }

    fn until(&self, what: &str, mut is_so: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.heard.0.lock().unwrap();
        while !is_so(&lines) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} never saw '{what}', but {lines:#?}", self.name);
            lines = self.heard.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Every line shown so far.
    pub fn lines(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Stops them, every thread, so that they read no more.
    pub fn stops(&self) {
        self.signal(Signal::SIGSTOP);
        let deadline = Instant::now() + PATIENCE;
        let stopped = |task: std::io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        };
        let tasks = || fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        while !tasks().all(stopped) {
            assert!(Instant::now() < deadline, "{} never stopped", self.name);
            thread::yield_now();
        }
    }

    /// Waits for their end: the exit code, if no signal ended them, and what they complained of.
    pub fn ends(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} is stuck: {:#?}", self.name, self.lines());
            thread::sleep(Duration::from_millis(1));
        };
        let complaint = self.listening.take().map(|listening| listening.join().unwrap());
        (status.code(), complaint.unwrap_or_default())
    }

    /// Leaves by command.
    pub fn quits(&mut self) {
        self.types("/quit");
        assert_eq!(self.ends(), (Some(0), String::new()), "{:#?}", self.lines());
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
