//! Running the program in a process group of its own, as a shell does.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long a run may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// A run under way.
pub struct Run {
    child: Child,
    group: Pid,
}

impl Run {
    /// Starts `postbox chaos` with those arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbox"));
        command.arg("chaos").args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id() as i32);
        Run { child, group }
    }

    /// Waits until it has that many victims at least.
    pub fn await_victims(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        // Those of the group, less the ledger.
        while living(self.group).len() <= count {
            assert!(Instant::now() < deadline, "there never were {count} victims");
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

    /// The group, to be looked at when the program is gone.
    pub fn group(&self) -> Pid {
        self.group
    }

    /// Its end, and proof that nothing is left of it.
    pub fn finish(mut self) -> Ended {
        let (mut out, mut err) =
            (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let (done, complaints) = channel();
        thread::spawn(move || {
            let mut said = Vec::new();
            err.read_to_end(&mut said).unwrap();
            done.send(said)
        });
        let group = self.group;
        let (over, watched) = channel::<()>();
        let watchdog = thread::spawn(move || {
            let stuck = watched.recv_timeout(PATIENCE).is_err();
            if stuck {
                let _ = killpg(group, Signal::SIGKILL);
            }
            stuck
        });
        let mut stdout = Vec::new();
        out.read_to_end(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let leftovers = living(self.group);
        let _ = killpg(self.group, Signal::SIGKILL);
        let stderr = complaints.recv().unwrap();
        let _ = over.send(());
        let ended = Ended(Output { status, stdout, stderr });
        assert!(!watchdog.join().unwrap(), "stuck for {PATIENCE:?}: {ended:?}");
        assert!(leftovers.is_empty(), "it left processes behind: {leftovers:?}");
        ended
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

    /// The rows of a run in which the contract was kept. All that it says besides is the seed.
    pub fn good_rows(&self) -> Vec<Value> {
        assert_eq!((self.code(), self.err().lines().count()), (Some(0), 1), "{self:?}");
        let rows = self.rows();
        assert!(rows.iter().all(|row| row["verdict"] == "kept"), "{rows:?}");
        rows
    }
}
