//! A domain directory of its own, and the programs that run in it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Starts `postbox` with those words.
    pub fn postbox(&self, words: &str) -> Run {
        self.start("postbox", words, Stdio::null(), Stdio::piped())
    }

    /// Starts `producer` with those words, to read `input`.
    pub fn producer(&self, words: &str, input: impl Into<Vec<u8>>) -> Run {
        let input = input.into();
        let mut run = self.start("producer", words, Stdio::piped(), Stdio::piped());
        let mut pipe = run.input();
        // It may end before it has read all of that.
        run.feeder = Some(thread::spawn(move || drop(pipe.write_all(&input))));
        run
    }

    /// Starts `consumer` with those words.
    pub fn consumer(&self, words: &str) -> Run {
        self.start("consumer", words, Stdio::null(), Stdio::piped())
    }

    /// Starts any of the programs. The words are separated by spaces.
    pub fn start(&self, program: &str, words: &str, input: Stdio, output: Stdio) -> Run {
        self.run(Command::new(executable(program)), words, input, output)
    }

    /// As [`Self::start`], in a bash that has run `limits` before.
    pub fn start_limited(
        &self,
        limits: &str,
        program: &str,
        words: &str,
        input: Stdio,
        output: Stdio,
    ) -> Run {
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\"")).arg(executable(program));
        self.run(command, words, input, output)
    }

    fn run(&self, mut command: Command, words: &str, input: Stdio, output: Stdio) -> Run {
        command
            .args(words.split_whitespace())
            .env("POSTBOX_DIR", self.directory())
            // What others have left in the usual place is not of the scene.
            .env("TMPDIR", self.directory())
            .env_remove("POSTBOX_DOMAIN")
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::piped())
            .process_group(0);
        Run::of(command.spawn().unwrap())
    }

    /// What `postbox … --json` prints.
    pub fn ask(&self, words: &str) -> Value {
        let said = self.postbox(&format!("{words} --json")).good();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Waits until what is asked is so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Scene) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "it never was so that {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until that process has joined.
    pub fn await_process(&self, name: &str) {
        self.until(&format!("{name} was there"), |scene| {
            let processes = scene.ask("processes");
            processes.as_array().unwrap().iter().any(|process| process["name"] == name)
        });
    }

    /// The process of the keeper.
    pub fn keeper(&self) -> Pid {
        let processes = self.ask("processes");
        let mut all = processes.as_array().unwrap().iter();
        let keeper = all.find(|process| process["name"] == "keeper").unwrap();
        Pid::from_raw(keeper["pid"].as_i64().unwrap() as i32)
    }

    /// Waits until so many ends are attached to the mailbox: `senders` or `receivers`.
    pub fn await_ends(&self, mailbox: &str, ends: &str, count: u64) {
        self.until(&format!("{mailbox} had {count} {ends}"), |scene| {
            scene.ask(&format!("mailbox inspect {mailbox}"))[ends] == count
        });
    }

    /// Processes of the scene that live.
    pub fn living(&self) -> Vec<i32> {
        let wanted = [b"POSTBOX_DIR=", self.directory().as_os_str().as_encoded_bytes()].concat();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let of_the_scene = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
        };
        pids.filter(of_the_scene).collect()
    }

    /// The end of a scene: nobody is left, and nothing in the directory.
    pub fn finish(self) {
        self.until("nobody was left", |scene| scene.living().is_empty());
        let left: Vec<PathBuf> =
            fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for pid in self.living() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The program's file: they are all built into one directory.
fn executable(program: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_postbox"));
    let path = own.with_file_name(program);
    if !path.exists() {
        // Only this package's tests were asked for; the whole workspace's builds all programs.
        let profile = own.parent().and_then(Path::file_name).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", &format!("postbox-{program}")]);
        if profile == "release" {
            build.arg("--release");
        }
        let directory = own.parent().and_then(Path::parent).unwrap();
        assert!(build.arg("--target-dir").arg(directory).status().unwrap().success());
    }
    path
}

/// A run under way.
pub struct Run {
    child: Child,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
    feeder: Option<JoinHandle<()>>,
}

impl Run {
    fn of(mut child: Child) -> Self {
        let out = child.stdout.take().map(drain);
        let err = child.stderr.take().map(drain);
        Run { child, out, err, feeder: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Whether it has ended, be it waited for or not.
    pub fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('Z')
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Ended {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                let err = self.err.take().map(|err| err.join().unwrap());
                panic!("stuck; it said {:?}", err.map(String::from_utf8));
            }
            thread::sleep(Duration::from_millis(1));
        };
        let said = |reader: Option<JoinHandle<Vec<u8>>>| {
            reader.map_or_else(Vec::new, |reader| reader.join().unwrap())
        };
        let (out, err) = (said(self.out.take()), said(self.err.take()));
        if let Some(feeder) = self.feeder.take() {
            feeder.join().unwrap();
        }
        Ended { status, out, err: String::from_utf8(err).unwrap() }
    }

    /// Its standard output, all having gone well.
    pub fn good(self) -> String {
        let ended = self.finish();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        String::from_utf8(ended.out).unwrap()
    }

    /// The one line that it says on standard error as it ends with that code.
    pub fn refused(self, code: i32) -> String {
        let ended = self.finish();
        assert_eq!((ended.code(), ended.out.len()), (Some(code), 0), "{ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
        ended.err
    }
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        said
    })
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ended {
    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The statistics that it printed as JSON.
    pub fn statistics(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of its output.
    pub fn lines(&self) -> Vec<&[u8]> {
        let text = self.out.strip_suffix(b"\n").unwrap_or(&self.out);
        if self.out.is_empty() { Vec::new() } else { text.split(|byte| *byte == b'\n').collect() }
    }
}

/// So many lines, all different; the last has no line end.
pub fn lines(count: usize) -> Vec<u8> {
    let line = |number: usize| match number % 4 {
        0 => format!("{number}"),
        1 => format!("{number}\r"),
        2 => format!("{number} {}", "x".repeat(number % 300)),
        _ => format!("{number} \u{fffd} \0 end"),
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

/// The lines of a text.
pub fn split(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'\n').collect()
}

/// Whether `part` is some of `whole`, in its order.
pub fn in_order(part: &[&[u8]], whole: &[&[u8]]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|line| rest.any(|other| other == line))
}
