//! In real terminals: panes of a tmux server of its own.

use crate::scene::{PATIENCE, Scene};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A tmux server of its own.
struct Tmux<'s> {
    scene: &'s Scene,
    /// Where its socket is.
    directory: tempfile::TempDir,
}

impl<'s> Tmux<'s> {
    /// None, with a word, where there is no tmux.
    fn start(scene: &'s Scene) -> Option<Self> {
        let version = Command::new("tmux").arg("-V").stdout(Stdio::null()).status();
        if version.is_err() {
            eprintln!("left out: there is no tmux on this machine");
            return None;
        }
        let tmux = Tmux { scene, directory: tempfile::tempdir().unwrap() };
        // Keeps the server: panes come and go.
        tmux.run(&["new-session", "-d", "-x", "90", "-y", "24", "cat"]);
        tmux.run(&["set-option", "-g", "remain-on-exit", "on"]);
        Some(tmux)
    }

    /// What a command of tmux prints.
    fn run(&self, words: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", "postbox-chat", "-f", "/dev/null"])
            .args(words)
            .env_remove("TMUX")
            .env("TMUX_TMPDIR", self.directory.path())
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A pane in which somebody chats.
    fn enter(&self, name: &str) -> Pane<'_> {
        let directory = format!("POSTBOX_DIR={}", self.scene.directory().display());
        let chat = [&directory, env!("CARGO_BIN_EXE_chat"), "--as", name];
        self.pane(&[&["env", "-u", "POSTBOX_DOMAIN"], &chat[..]].concat())
    }

    /// A pane in which that runs.
    fn pane(&self, command: &[&str]) -> Pane<'_> {
        let new = ["new-window", "-d", "-P", "-F", "#{pane_id}", "--"];
        Pane { tmux: self, id: self.run(&[&new, command].concat()) }
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// One terminal.
struct Pane<'t> {
    tmux: &'t Tmux<'t>,
    id: String,
}

impl Pane<'_> {
    /// What stands in it.
    fn content(&self) -> String {
        self.tmux.run(&["capture-pane", "-p", "-t", &self.id])
    }

    /// Waits until it shows what is so.
    fn shows(&self, what: &str, is_so: impl Fn(&[&str]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let content = self.content();
            let lines: Vec<&str> = content.lines().collect();
            if is_so(&lines) {
                return;
            }
            assert!(Instant::now() < deadline, "it never showed {what}, but\n{content}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a line of it is that.
    fn shows_line(&self, line: &str) {
        self.shows(line, |lines| lines.contains(&line));
    }

    /// Waits until its last line is that.
    fn ends_with(&self, line: &str) {
        self.shows(line, |lines| lines.last() == Some(&line));
    }

    fn types(&self, text: &str) {
        self.tmux.run(&["send-keys", "-t", &self.id, "-l", text]);
    }

    fn presses(&self, key: &str) {
        self.tmux.run(&["send-keys", "-t", &self.id, key]);
    }

    fn pid(&self) -> Pid {
        let pid = self.tmux.run(&["display-message", "-p", "-t", &self.id, "#{pane_pid}"]);
        Pid::from_raw(pid.parse().unwrap())
    }

    /// Waits until what ran in it has ended; its exit code.
    fn status(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let form = "#{pane_dead} #{pane_dead_status}";
            let status = self.tmux.run(&["display-message", "-p", "-t", &self.id, form]);
            if let Some(status) = status.strip_prefix("1 ") {
                return status.to_owned();
            }
            assert!(Instant::now() < deadline, "it never ended:\n{}", self.content());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn two_terminals_see_each_others_lines_and_ends() {
    let scene = Scene::new();
    let Some(tmux) = Tmux::start(&scene) else { return };
    let ann = tmux.enter("ann");
    ann.shows_line("* you are the first: the lobby is yours");
    let bob = tmux.enter("bob");
    bob.shows("who is here", |lines| lines.iter().any(|line| line.starts_with("* here are: ann")));
    ann.shows_line("* bob has joined");

    // What arrives does not tear the line that is being typed.
    bob.types("half a li");
    bob.ends_with("bob> half a li");
    ann.types("hello, bob");
    ann.presses("Enter");
    bob.shows_line("ann: hello, bob");
    bob.ends_with("bob> half a li");
    bob.types("ne");
    bob.presses("Enter");
    ann.shows_line("bob: half a line");
    ann.types("/to bob between us");
    ann.presses("Enter");
    bob.shows_line("[from ann] between us");
    // The last line again, by the editor's history.
    bob.presses("Up");
    bob.ends_with("bob> half a line");

    kill(bob.pid(), Signal::SIGKILL).unwrap();
    ann.shows_line("* bob has died");

    let bob = tmux.enter("bob");
    ann.shows("bob again", |lines| {
        lines.iter().filter(|line| **line == "* bob has joined").count() == 2
    });
    bob.types("not to be said");
    bob.presses("C-c");
    assert_eq!(bob.status(), "130");
    ann.shows_line("* bob has left");
    ann.presses("C-d");
    assert_eq!(ann.status(), "0");
    assert!(!ann.content().contains("not to be said"));
    drop(tmux);
    scene.finish();
}

#[test]
fn a_terminal_is_left_as_it_was_found_when_a_signal_ends_the_chat() {
    let scene = Scene::new();
    let Some(tmux) = Tmux::start(&scene) else { return };
    let domains = format!("POSTBOX_DIR={}", scene.directory().display());
    let script = "stty -g; env \"$0\" \"$1\" --as ann; echo code $?; stty -g";
    let pane = tmux.pane(&["sh", "-c", script, &domains, env!("CARGO_BIN_EXE_chat")]);
    pane.shows_line("* you are the first: the lobby is yours");
    pane.types("/who");
    pane.presses("Enter");
    pane.shows("who is here", |lines| lines.iter().any(|line| line.starts_with("* here are: ")));
    pane.types("half a li");
    pane.ends_with("ann> half a li");

    let content = pane.content();
    let (_, who) = content.split_once("* here are: ann (process ").unwrap();
    let pid = who.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(pane.status(), "0");
    let content = pane.content();
    let lines: Vec<&str> = content.lines().filter(|line| !line.starts_with("Pane is")).collect();
    assert!(lines.contains(&"code 143"), "{content}");
    assert_eq!(lines.first(), lines.iter().rev().find(|line| !line.is_empty()), "{content}");
    drop(tmux);
    scene.finish();
}
