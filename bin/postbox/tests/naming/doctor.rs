//! `postbox doctor`.

use super::scene::Scene;
use serde_json::Value;
use std::fs;
use std::process::Stdio;

fn verdicts<'f>(findings: &'f Value, check: &str) -> Vec<&'f str> {
    let all = findings.as_array().unwrap().iter();
    all.filter(|finding| finding["check"] == check)
        .map(|finding| finding["verdict"].as_str().unwrap())
        .collect()
}

fn of_the_directory(findings: &Value) -> &Value {
    let mut all = findings.as_array().unwrap().iter();
    all.find(|finding| finding["check"] == "POSTBOX_DIR").unwrap()
}

#[test]
fn it_knows_the_limits_of_this_machine() {
    let scene = Scene::new();
    let findings = scene.ask("doctor");
    for check in ["kernel", "pipe", "socket", "shm", "POSTBOX_DIR"] {
        assert_eq!(verdicts(&findings, check), ["ok"], "{check}");
    }
    for check in ["RLIMIT_NOFILE", "RLIMIT_MSGQUEUE", "fs.pipe-max-size"] {
        assert_eq!(verdicts(&findings, check).len(), 1, "{check}");
    }
    let table = scene.postbox("doctor").good();
    assert!(table.contains("RLIMIT_NOFILE") && table.contains("mqueue"), "{table}");
    scene.finish();
}

#[test]
fn an_unsafe_directory_is_a_problem_with_a_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    fs::set_permissions(scene.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = scene.postbox("doctor --json").finish();
    assert_eq!((ended.code(), &ended.err[..]), (Some(1), ""), "{ended:?}");
    let findings: Value = serde_json::from_slice(&ended.out).unwrap();
    assert_eq!(verdicts(&findings, "POSTBOX_DIR"), ["problem"]);
    let directory = of_the_directory(&findings);
    assert!(directory["remedy"].as_str().unwrap().contains("only you can write to"), "{directory}");
    scene.finish();
}

#[test]
fn a_directory_that_is_not_at_fault_has_no_remedy_but_the_one_of_the_error() {
    let scene = Scene::new();
    for (limits, remedy) in [
        ("export POSTBOX_DIR=/proc/self/nowhere/", "make the directory above it"),
        ("export POSTBOX_DIR=here", "set POSTBOX_DIR to one"),
        ("ulimit -n 7", "RLIMIT_NOFILE is 7 descriptors: raise it"),
    ] {
        let (input, output) = (Stdio::null(), Stdio::piped());
        let ended = scene.start_limited(limits, "postbox", "doctor --json", input, output).finish();
        assert_eq!((ended.code(), &ended.err[..]), (Some(1), ""), "{limits}: {ended:?}");
        let findings: Value = serde_json::from_slice(&ended.out).unwrap();
        let directory = of_the_directory(&findings);
        assert_eq!(directory["verdict"], "problem", "{limits}: {directory}");
        assert!(directory["meaning"].as_str().unwrap().contains(remedy), "{limits}: {directory}");
        assert_eq!(directory["remedy"], Value::Null, "{limits}: {directory}");
    }
    // A domain that was begun, for want of descriptors no more than that.
    scene.ask("doctor --clean");
    scene.finish();
}

#[test]
fn what_was_left_behind_is_shown_and_removed_when_asked() {
    let scene = Scene::new();
    // A process that is killed leaves its socket.
    let consumer = scene.consumer("--as sink --quiet");
    scene.await_process("sink");
    consumer.signal(nix::sys::signal::Signal::SIGKILL);
    consumer.finish();
    assert!(fs::read_dir(scene.directory()).unwrap().next().is_some());
    assert!(!verdicts(&scene.ask("doctor"), "left behind").is_empty());
    scene.ask("doctor --clean");
    assert!(verdicts(&scene.ask("doctor"), "left behind").is_empty());
    scene.finish();
}

#[test]
fn what_was_left_unfinished_is_shown_and_removed_when_asked() {
    let scene = Scene::new();
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let temporary = format!(".postbox-{}-0", dead.id());
    let consumer = scene.consumer("--as sink --quiet");
    scene.await_process("sink");
    let domain = fs::read_dir(scene.directory()).unwrap().map(|entry| entry.unwrap().path());
    let domain = domain.into_iter().find(|path| path.join("processes").is_dir()).unwrap();
    let socket = domain.join("processes").join(&temporary);
    // As if killed while a socket was made, and while a domain was: whoever joins sweeps.
    fs::write(&socket, "").unwrap();
    fs::create_dir(scene.directory().join(&temporary)).unwrap();
    let findings = scene.ask("doctor");
    assert_eq!(verdicts(&findings, "left behind").len(), 2, "{findings}");
    scene.ask("doctor --clean");
    assert!(verdicts(&scene.ask("doctor"), "left behind").is_empty());
    assert!(!socket.exists());
    consumer.signal(nix::sys::signal::Signal::SIGTERM);
    consumer.finish();
    scene.finish();
}

#[test]
fn the_directory_of_a_run_that_was_killed_is_shown_and_removed_when_asked() {
    let scene = Scene::new();
    let of_runs = |scene: &Scene| {
        let entries = fs::read_dir(scene.directory()).unwrap().map(|entry| entry.unwrap());
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("postbox-chaos-")).count()
    };
    let words = "chaos --mechanism pipe --naming direct --capacity 1 --seconds 60 --kills 0";
    let chaos = [scene.postbox(words), scene.postbox(words)];
    scene.until("both had a directory", |scene| of_runs(scene) == 2);
    let [killed, living] = chaos;
    killed.signal(nix::sys::signal::Signal::SIGKILL);
    killed.finish();
    let findings = scene.ask("doctor");
    assert_eq!(verdicts(&findings, "left behind"), ["note"], "{findings}");
    scene.ask("doctor --clean");
    assert!(verdicts(&scene.ask("doctor"), "left behind").is_empty());
    // The other's is in use.
    assert_eq!(of_runs(&scene), 1);
    living.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(living.finish().code(), Some(130));
    scene.finish();
}
