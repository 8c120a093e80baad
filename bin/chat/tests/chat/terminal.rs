//! In real terminals: panes of a tmux server of its own.

use crate::scene::{PATIENCE, Scene};
use nix::sys::signal::Signal;
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

    /// A terminal in which somebody chats; it then shows the exit code. First and last it shows how
    /// it is set.
    fn enter(&self, name: &str) -> Pane<'_> {
        let domains = format!("POSTBOX_DIR={}", self.scene.directory().display());
        let script = "stty -g; \"$@\"; echo code $?; stty -g; exec cat";
        let shell = ["sh", "-c", script, "sh", "env", "-u", "POSTBOX_DOMAIN", &domains];
        let chat = [env!("CARGO_BIN_EXE_chat"), "--as", name];
        let new = ["new-window", "-d", "-P", "-F", "#{pane_id}", "--"];
        Pane { tmux: self, id: self.run(&[&new[..], &shell, &chat].concat()) }
    }

    /// A terminal with a shell in it that has jobs, in which somebody chats.
    fn enter_as_job(&self, name: &str) -> Pane<'_> {
        let domains = format!("POSTBOX_DIR={}", self.scene.directory().display());
        let shell = ["env", "-u", "POSTBOX_DOMAIN", &domains, "PS1=$ ", "bash", "--norc", "-i"];
        let new = ["new-window", "-d", "-P", "-F", "#{pane_id}", "--"];
        let pane = Pane { tmux: self, id: self.run(&[&new[..], &shell].concat()) };
        pane.ends_with("$");
        pane.types(&format!("{} --as {name}", env!("CARGO_BIN_EXE_chat")));
        pane.presses("Enter");
        pane
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

    scene.signal("bob", Signal::SIGKILL);
    bob.shows_line("code 137");
    ann.shows_line("* bob has died");

    let bob = tmux.enter("bob");
    let joined = |lines: &[&str]| lines.iter().filter(|l| **l == "* bob has joined").count();
    ann.shows("bob again", |lines| joined(lines) == 2);
    bob.types("not to be said");
    bob.presses("C-c");
    bob.shows_line("code 130");
    ann.shows_line("* bob has left");
    ann.presses("C-d");
    ann.shows_line("code 0");
    assert!(!ann.content().contains("not to be said"));
    drop(tmux);
    scene.finish();
}

#[test]
fn a_terminal_is_left_as_it_was_found_when_a_signal_ends_the_chat() {
    let scene = Scene::new();
    let Some(tmux) = Tmux::start(&scene) else { return };
    let pane = tmux.enter("ann");
    pane.shows_line("* you are the first: the lobby is yours");
    pane.types("half a li");
    pane.ends_with("ann> half a li");
    scene.signal("ann", Signal::SIGTERM);
    // Not behind the half line, and the settings of before after it.
    pane.shows("the settings of before", |lines| {
        let code = lines.iter().position(|line| *line == "code 143");
        code.is_some_and(|code| lines.len() == code + 2 && lines.first() == lines.last())
    });
    drop(tmux);
    scene.finish();
}

#[test]
fn a_half_line_is_there_again_when_a_stopped_chat_goes_on() {
    let scene = Scene::new();
    let Some(tmux) = Tmux::start(&scene) else { return };
    let pane = tmux.enter_as_job("ann");
    pane.shows_line("* you are the first: the lobby is yours");
    for typed in ["h", "ha", "hal"] {
        pane.types(typed.get(typed.len() - 1..).unwrap());
        pane.ends_with(&format!("ann> {typed}"));
        pane.presses("C-z");
        pane.ends_with("$");
        pane.types("fg");
        pane.presses("Enter");
        pane.ends_with(&format!("ann> {typed}"));
    }
    // By a signal of which the editor knows nothing.
    scene.signal("ann", Signal::SIGSTOP);
    pane.ends_with("$");
    pane.types("fg");
    pane.presses("Enter");
    pane.ends_with("ann> hal");
    pane.types("f a line");
    pane.ends_with("ann> half a line");
    pane.presses("Enter");
    pane.shows_line("ann: half a line");
    pane.presses("C-d");
    pane.ends_with("$");
    drop(tmux);
    scene.finish();
}
