//! The example `chat` in a real terminal: three participants in windows of a tmux server of their
//! own. Left out where there is no tmux.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tmux server, and a directory for the domain.
struct Terminals {
    socket: String,
    directory: tempfile::TempDir,
}

impl Terminals {
    /// None where there is no tmux.
    fn open() -> Option<Self> {
        let present = Command::new("tmux").arg("-V").output().is_ok();
        let socket = format!("postbox-chat-{}", std::process::id());
        present.then(|| Terminals { socket, directory: tempfile::tempdir().unwrap() })
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env("POSTBOX_DIR", self.directory.path()).output().unwrap()
    }

    /// Opens a terminal in which that one chats.
    fn start(&self, name: &str) {
        let program = example();
        let command = format!("exec {} {name}", program.display());
        let size = ["-x", "80", "-y", "24"];
        let session = [&["new-session", "-d", "-s", name][..], &size, &[&command]].concat();
        let started = self.tmux(&session);
        assert!(started.status.success(), "{started:?}");
        self.shows(name, ">");
    }

    /// Types that text.
    fn types(&self, name: &str, text: &str) {
        assert!(self.tmux(&["send-keys", "-t", name, "-l", text]).status.success());
    }

    /// Presses that key.
    fn presses(&self, name: &str, key: &str) {
        assert!(self.tmux(&["send-keys", "-t", name, key]).status.success());
    }

    /// Types a line.
    fn says(&self, name: &str, line: &str) {
        self.types(name, line);
        self.presses(name, "Enter");
    }

    fn screen(&self, name: &str) -> String {
        let captured = self.tmux(&["capture-pane", "-p", "-t", name]);
        String::from_utf8_lossy(&captured.stdout).into_owned()
    }

    /// Waits until the terminal shows that.
    fn shows(&self, name: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen(name).contains(text) {
            assert!(Instant::now() < deadline, "{name} never saw {text:?}:\n{}", self.screen(name));
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until its program has ended, and its terminal with it.
    fn closes(&self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.tmux(&["has-session", "-t", name]).status.success() {
            assert!(Instant::now() < deadline, "{name} stayed:\n{}", self.screen(name));
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process in that terminal.
    fn pid(&self, name: &str) -> i32 {
        let told = self.tmux(&["display-message", "-p", "-t", name, "#{pane_pid}"]);
        String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Examples are built into a folder beside that of the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(|folder| folder.parent()).unwrap().join("examples/chat")
}

#[test]
fn participants_talk_to_all_and_to_one_and_notice_who_comes_leaves_and_dies() {
    let Some(terminals) = Terminals::open() else {
        eprintln!("left out: there is no tmux");
        return;
    };
    let t = &terminals;
    t.start("alice");
    t.shows("alice", "nobody else is here");
    t.start("bob");
    t.shows("bob", "here: alice");
    t.shows("alice", "bob is here");
    t.start("carol");
    t.shows("carol", "here: alice, bob");
    t.shows("alice", "carol is here");
    t.shows("bob", "carol is here");

    t.says("alice", "hello everyone");
    t.shows("bob", "alice: hello everyone");
    t.shows("carol", "alice: hello everyone");
    t.says("bob", "/to alice psst");
    t.shows("alice", "bob (to you): psst");
    // And nobody else does: what bob says next comes after it.
    t.says("bob", "good morning");
    t.shows("carol", "bob: good morning");
    assert!(!t.screen("carol").contains("psst"));
    t.says("bob", "/who");
    t.shows("bob", "here: alice, carol");
    t.says("bob", "/to nobody are you there");
    t.shows("bob", "not sent to nobody");

    // A name belongs to one.
    let again = Command::new(example())
        .arg("alice")
        .env("POSTBOX_DIR", terminals.directory.path())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&again.stderr), "chat: 'alice' is here already\n");

    // What comes in leaves what is being typed alone.
    t.types("alice", "half a li");
    t.shows("alice", "> half a li");
    t.says("carol", "in between");
    t.shows("alice", "carol: in between");
    t.types("alice", "ne");
    t.shows("alice", "> half a line");
    t.presses("alice", "Enter");
    t.shows("bob", "alice: half a line");

    let carol = nix::unistd::Pid::from_raw(t.pid("carol"));
    nix::sys::signal::kill(carol, nix::sys::signal::Signal::SIGKILL).unwrap();
    t.shows("alice", "carol has died");
    t.shows("bob", "carol has died");
    // Her name is free again at once.
    t.closes("carol");
    t.start("carol");
    t.shows("alice", "carol is here\n");
    t.says("carol", "/quit");
    t.closes("carol");
    t.shows("alice", "carol has left");

    t.presses("bob", "C-d");
    t.closes("bob");
    t.shows("alice", "bob has left");
    t.presses("alice", "C-c");
    t.closes("alice");
    assert_eq!(terminals.directory.path().read_dir().unwrap().count(), 0);
}
