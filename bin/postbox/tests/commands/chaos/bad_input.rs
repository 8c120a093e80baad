//! What cannot be asked for.

use super::support::start;

fn is_refused(arguments: &[&str], named: &str) {
    let ended = start(arguments).finish();
    let said = ended.err();
    assert_eq!((ended.code(), said.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(said.contains(named) && ended.out().is_empty(), "{ended:?}");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    is_refused(&["--mechanism=telepathy"], "pipe, socket, mqueue or shm");
    is_refused(&["--naming=nobody"], "--naming");
    is_refused(&["--capacity=-1"], "--capacity");
    is_refused(&["--kills=often"], "0 to 1000");
    is_refused(&["--seconds=0"], "0.1");
    is_refused(&["--seconds=0.1"], "too little");
    is_refused(&["--producers=0"], "--producers");
    is_refused(&["--passes=0"], "--passes");
    is_refused(&["--policy=pair"], "a pair is two");
    is_refused(&["--naming=pair", "--producers=3"], "--producers 1");
    is_refused(&["--naming=pair", "--naming=channel", "--consumers=2"], "--consumers 1");
    for naming in ["channel", "pair", "direct"] {
        let naming = format!("--naming={naming}");
        is_refused(&[&naming, "--policy=any"], "leave --policy out");
    }
}

#[test]
fn a_victim_is_not_started_by_hand() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_postbox"))
        .args(["victim", "producer"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
