//! The keeper.

use super::scene::Scene;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getsid;
use serde_json::json;
use std::fs::remove_dir_all;
use std::io::Write;
use std::process::Stdio;

#[test]
fn the_first_mailbox_brings_the_keeper_and_the_last_takes_it_away() {
    let scene = Scene::new();
    assert_eq!(scene.ask("processes"), json!([]));
    scene.postbox("mailbox create one").good();
    let keeper = scene.ask("processes")[0].clone();
    assert_eq!(keeper["name"], "keeper");
    scene.postbox("mailbox create two").good();
    assert_eq!(scene.ask("processes"), json!([keeper]));
    scene.postbox("mailbox destroy one").good();
    scene.postbox("mailbox destroy two").good();
    scene.finish();
}

#[test]
fn ten_at_once_share_one_keeper() {
    let scene = Scene::new();
    let runs: Vec<_> =
        (0..10).map(|number| scene.postbox(&format!("mailbox create m{number}"))).collect();
    runs.into_iter().for_each(|run| drop(run.good()));
    assert_eq!(scene.ask("mailbox list").as_array().unwrap().len(), 10);
    assert_eq!(scene.ask("processes").as_array().unwrap().len(), 1);
    for number in 0..10 {
        scene.postbox(&format!("mailbox destroy m{number}")).good();
    }
    scene.finish();
}

#[test]
fn a_keeper_in_the_foreground_stays_until_ctrl_c() {
    let scene = Scene::new();
    let keeper = scene.postbox("keeper");
    scene.await_process("keeper");
    assert!(scene.postbox("keeper").refused(1).contains("keeper"));
    scene.postbox("mailbox create jobs --receivers members").good();
    let consumer = scene.consumer("--mailbox jobs --quiet");
    scene.await_ends("jobs", "receivers", 1);
    keeper.signal(Signal::SIGINT);
    let ended = keeper.finish();
    assert_eq!((ended.code(), ended.out.len()), (Some(130), 0), "{ended:?}");
    consumer.refused(1);
    scene.finish();
}

#[test]
fn a_keeper_in_the_background_leaves_the_shell_that_started_it() {
    let scene = Scene::new();
    // As in an interactive shell, each program leads a group of its own.
    let run = scene.postbox("keeper --background");
    let started = run.pid() as i32;
    assert_eq!(run.good(), "ready\n");
    let keeper = scene.keeper();
    assert_ne!(keeper.as_raw(), started);
    assert_eq!(getsid(Some(keeper)), Ok(keeper));
    // The one that is there is as good as another.
    assert_eq!(scene.postbox("keeper --background").good(), "ready\n");
    assert_eq!(scene.keeper(), keeper);
    scene.postbox("mailbox create jobs").good();
    assert_eq!(scene.keeper(), keeper);
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_keeper_in_the_background_that_cannot_start_says_why_and_fails() {
    let scene = Scene::new();
    let limited = |most| {
        let limits = format!("ulimit -n {most}");
        let (input, output) = (Stdio::null(), Stdio::piped());
        scene.start_limited(&limits, "postbox", "keeper --background", input, output)
    };
    for most in [8, 12, 14] {
        let said = limited(most).refused(1);
        assert!(said.contains(&format!("RLIMIT_NOFILE is {most}")), "{said}");
    }
    assert_eq!(limited(100).good(), "ready\n");
    scene.postbox("mailbox create jobs").good();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn the_death_of_the_keeper_is_noticed_and_the_next_mailbox_brings_another() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    let consumer = scene.consumer("--mailbox jobs --quiet");
    scene.await_ends("jobs", "receivers", 1);
    kill(scene.keeper(), Signal::SIGKILL).unwrap();
    consumer.refused(1);
    scene.postbox("mailbox create jobs").good();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn messages_do_not_pass_through_the_keeper() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    let mut producer =
        scene.start("producer", "--mailbox jobs --quiet", Stdio::piped(), Stdio::piped());
    let consumer = scene.consumer("--mailbox jobs --count 1000 --quiet");
    scene.await_ends("jobs", "receivers", 1);
    scene.await_ends("jobs", "senders", 1);
    let keeper = scene.keeper();
    kill(keeper, Signal::SIGSTOP).unwrap();
    producer.input().write_all(&b"record\n".repeat(1000)).unwrap();
    producer.good();
    assert_eq!(consumer.good().lines().count(), 1000);
    kill(keeper, Signal::SIGCONT).unwrap();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_keeper_whose_directory_is_removed_ends_and_says_what_to_do() {
    let scene = Scene::new();
    let keeper = scene.postbox("keeper");
    scene.await_process("keeper");
    let directory = scene.directory().join("default");
    remove_dir_all(&directory).unwrap();
    let ended = keeper.finish();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.err.lines().last().unwrap();
    assert!(said.contains(directory.to_str().unwrap()) && said.contains("start another"), "{said}");
    // One in the background goes as well, with what nobody can receive any more.
    scene.postbox("mailbox create jobs").good();
    scene.postbox("send --mailbox jobs 1").good();
    remove_dir_all(&directory).unwrap();
    scene.finish();
}
