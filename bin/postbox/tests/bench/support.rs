//! Running the program in a process group of its own, as a shell does.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
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
    /// Starts `postbox bench` with those arguments.
    pub fn start(arguments: &[&str]) -> Self {
        Run::start_command("bench", arguments)
    }

    /// Starts another command of `postbox`.
    pub fn start_command(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbox"));
        command.arg(name).args(arguments);
        Run::of(&mut command)
    }

    /// Starts it so that it may use the first processor only.
    pub fn start_on_one_core(arguments: &[&str]) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", env!("CARGO_BIN_EXE_postbox"), "bench"]).args(arguments);
        Run::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id() as i32);
        Run { child, group }
    }

    /// Waits until it has a process of a run.
    pub fn await_processes(&self) {
        self.await_children(1);
    }

    /// Waits until it has that many.
    pub fn await_children(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let children = format!("/proc/{0}/task/{0}/children", self.group);
        while fs::read_to_string(&children).unwrap_or_default().split_whitespace().count() < count {
            assert!(Instant::now() < deadline, "it never forked");
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

    /// The signal for every process of the group, as a terminal sends it.
    pub fn signal_all(&self, signal: Signal) {
        killpg(self.group, signal).unwrap();
    }

    /// The signal for the program alone.
    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.group, signal).unwrap();
    }

    /// Its end, and proof that no process is left of it.
    pub fn finish(self) -> Ended {
        let group = self.group;
        let (over, watched) = std::sync::mpsc::channel::<()>();
        let watchdog = thread::spawn(move || {
            let stuck = watched.recv_timeout(PATIENCE).is_err();
            if stuck {
                let _ = killpg(group, Signal::SIGKILL);
            }
            stuck
        });
        // Both streams are read until the last process that holds them has ended.
        let output = self.child.wait_with_output().unwrap();
        let _ = over.send(());
        assert!(!watchdog.join().unwrap(), "stuck for {PATIENCE:?}: {output:?}");
        assert!(killpg(group, None).is_err(), "it left processes behind");
        Ended(output)
    }
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
