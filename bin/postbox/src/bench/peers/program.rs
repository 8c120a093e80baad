//! A peer's program: started, asked, and ended, whatever it does. It can die, hang, and say
//! anything of any length; none of that holds the bench up for longer than its patience.

use super::protocol::{Answer, Hello, LONGEST, Request, VERSION, Waited};
use crate::bench::crew::Trouble;
use crate::bench::figures::Measured;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use postbox_program::stop::Stop;
use postbox_sys::{Errno, clock};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often the bench looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long a program that has been told to leave may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often a program may fail, in the sense of not even saying so, before it is left out.
const CHANCES: u32 = 2;

/// A program that has introduced itself.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    patience: Duration,
    hello: Hello,
    running: Option<Running>,
    failures: u32,
}

/// What a program made of a run.
#[derive(Debug)]
pub enum Heard {
    /// It measured.
    Figures(Measured),
    /// It cannot do that.
    Refused(String),
    /// It failed, or is at fault itself.
    Failed(String),
}

impl Program {
    /// Starts the one at `path` and asks who it is.
    pub fn meet(path: &Path, patience: Duration, stop: &Stop) -> Result<Self, Trouble> {
        let (running, hello) = Running::start(path, patience, stop)?;
        let path = path.to_owned();
        Ok(Program { path, patience, hello, running: Some(running), failures: 0 })
    }

    /// Who it is.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether it has failed too often.
    pub fn is_out(&self) -> bool {
        self.failures >= CHANCES
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`].
    pub fn run(&mut self, request: &Request, stop: &Stop) -> Result<Heard, Trouble> {
        if self.is_out() {
            return Ok(Heard::Failed("left out after what it did before".into()));
        }
        match self.attempt(request, stop) {
            Ok(heard) => Ok(heard),
            Err(Trouble::Stopped) => Err(Trouble::Stopped),
            Err(Trouble::Failed(mut reason)) => {
                // Whatever state it is in, nothing more is heard from this one.
                self.running = None;
                self.failures += 1;
                if self.is_out() {
                    reason.push_str("; it is left out from here on");
                }
                Ok(Heard::Failed(format!("{}: {reason}", file_name(&self.path))))
            }
        }
    }

    fn attempt(&mut self, request: &Request, stop: &Stop) -> Result<Heard, Trouble> {
        let running = match &mut self.running {
            Some(running) => running,
            none => {
                let (running, hello) = Running::start(&self.path, self.patience, stop)?;
                if hello != self.hello {
                    return Err(Trouble::Failed("it has become another one".into()));
                }
                none.insert(running)
            }
        };
        let from = clock::now();
        let line = running.ask(&request.to_string(), self.patience, stop)?;
        let waited = Waited { from, to: clock::now() };
        match Answer::parse(&line, request).map_err(Trouble::Failed)? {
            Answer::Refused(reason) => Ok(Heard::Refused(reason)),
            Answer::Failed(reason) => Ok(Heard::Failed(reason)),
            answer => answer.believed(waited).map(Heard::Figures).map_err(Trouble::Failed),
        }
    }
}

/// What a program is called before it has said so.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Its process, which leads a group of its own, so that what it starts ends with it.
#[derive(Debug)]
struct Running {
    child: Child,
    /// Dropped to tell it to leave.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// Asked, and not yet answered.
    busy: bool,
}

impl Running {
    fn start(path: &Path, patience: Duration, stop: &Stop) -> Result<(Self, Hello), Trouble> {
        let mut command = Command::new(path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        // Both were asked for.
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdout), stdin @ Some(_)) = (stdout, stdin) else {
            return Err(Trouble::Failed("its input and output are not to be had".into()));
        };
        let mut running = Running { child, stdin, stdout, busy: false };
        let line = running.ask(&format!("hello {VERSION}"), patience, stop)?;
        let hello = Hello::parse(&line).map_err(Trouble::Failed)?;
        Ok((running, hello))
    }

    /// One line there and one back.
    fn ask(&mut self, request: &str, patience: Duration, stop: &Stop) -> Result<String, Trouble> {
        self.busy = true;
        // It fits: whoever has not read the one before has not answered it, and is asked no more.
        let said =
            self.stdin.as_mut().map(|stdin| stdin.write_all(format!("{request}\n").as_bytes()));
        if !matches!(said, Some(Ok(()))) {
            return Err(Trouble::Failed(self.end()));
        }
        let deadline = Instant::now() + patience;
        let mut line = Vec::new();
        loop {
            if stop.cancel().is_fired() {
                return Err(Trouble::Stopped);
            }
            if Instant::now() >= deadline {
                let reason = format!("no answer within {} s", patience.as_secs());
                return Err(Trouble::Failed(reason));
            }
            if !readable(&self.stdout)? {
                continue;
            }
            let mut bytes = [0; 4096];
            let read = self.stdout.read(&mut bytes)?;
            if read == 0 {
                return Err(Trouble::Failed(self.end()));
            }
            line.extend_from_slice(&bytes[..read]);
            match line.iter().position(|&byte| byte == b'\n') {
                None if line.len() <= LONGEST => {}
                Some(end) if end + 1 == line.len() => {
                    line.pop();
                    break;
                }
                Some(_) => return Err(Trouble::Failed("it says more than was asked".into())),
                None => {
                    let reason = format!("its line has more than {LONGEST} bytes");
                    return Err(Trouble::Failed(reason));
                }
            }
        }
        self.busy = false;
        String::from_utf8(line).map_err(|_| Trouble::Failed("its line is no UTF-8".into()))
    }

    /// How it ended, once it has closed its output.
    fn end(&self) -> String {
        match self.await_end() {
            Some(WaitStatus::Exited(_, code)) => format!("it ended with exit code {code}"),
            Some(WaitStatus::Signaled(_, signal, _)) => format!("it was ended by {signal}"),
            _ => "it closed its input or output".into(),
        }
    }

    /// Its end, if that comes soon; it stays a zombie, so that its number is nobody else's.
    fn await_end(&self) -> Option<WaitStatus> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let deadline = Instant::now() + FAREWELL;
        loop {
            match waitid(Id::Pid(self.pid()), flags) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                Ok(status) => return Some(status),
                Err(_) => return None,
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if !self.busy {
            self.await_end();
        }
        // Nobody is left of it. It is not reaped yet, so that the group cannot be another's.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Whether there is something to read, or nothing to come; waits a little for it.
fn readable(stdout: &ChildStdout) -> Result<bool, Trouble> {
    let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    let tick = PollTimeout::try_from(TICK).unwrap_or(PollTimeout::ZERO);
    match poll(&mut polled, tick) {
        Ok(0) | Err(Errno::EINTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}
