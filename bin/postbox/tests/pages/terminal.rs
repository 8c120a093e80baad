//! A shell that types what a page says, and what it printed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ends the output of each command, followed by its status.
const END: &str = "-- end of a command:";

#[derive(Debug)]
pub struct Outcome {
    pub printed: Vec<String>,
    pub status: i32,
}

pub struct Terminal {
    shell: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    printed: Vec<String>,
    outcomes: Vec<Outcome>,
    entered: usize,
}

impl Terminal {
    pub fn open(directory: &Path) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(directory)
            .env("PATH", format!("{}:{path}", programs().display()))
            .env("POSTBOX_DIR", directory.join(".domains"))
            .env_remove("POSTBOX_DOMAIN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut input = shell.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        let output = BufReader::new(shell.stdout.take().unwrap());
        let (said, lines) = channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        Terminal { shell, input: Some(input), lines, printed: vec![], outcomes: vec![], entered: 0 }
    }

    pub fn enter(&mut self, line: &str) {
        // A command that reads its standard input would read the page's next commands.
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{{ {line}\n}} </dev/null; s=$?; echo \"{END} $s\"; (exit $s)").unwrap();
        self.entered += 1;
    }

    /// Waits until all that was entered is done, but for the last `running`.
    pub fn wait_for_all_but(&mut self, running: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.outcomes.len() + running < self.entered {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.take(line),
                Err(error) => panic!("{error}; done: {:?}; now: {:?}", self.outcomes, self.printed),
            }
        }
    }

    fn take(&mut self, line: String) {
        match line.split_once(END) {
            Some((rest, status)) => {
                // Of a line without an end.
                if !rest.is_empty() {
                    self.printed.push(rest.to_owned());
                }
                let status = status.trim().parse().unwrap();
                self.outcomes.push(Outcome { printed: std::mem::take(&mut self.printed), status });
            }
            None => self.printed.push(line),
        }
    }

    pub fn close(mut self) -> Vec<Outcome> {
        self.wait_for_all_but(0);
        self.input = None;
        self.shell.wait().unwrap();
        std::mem::take(&mut self.outcomes)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whatever the page has left running.
        let group = nix::unistd::Pid::from_raw(self.shell.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}

/// Where the programs are: beside `postbox`.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_postbox")).parent().unwrap().to_owned()
}
