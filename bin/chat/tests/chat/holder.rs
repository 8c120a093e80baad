//! The holder of the lobby goes.

use crate::scene::{Person, Scene};
use nix::sys::signal::Signal;
use std::thread;

#[test]
fn another_takes_the_lobby_over_when_its_holder_dies() {
    let scene = Scene::new();
    let (ann, mut bob, mut cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    bob.sees("* cat has joined");
    ann.signal(Signal::SIGKILL);
    let taken = |line: &str| line == "* the lobby is yours now" || line.ends_with(" now");
    for person in [&bob, &cat] {
        person.sees("* ann has died");
        person.await_line("another lobby", taken);
    }
    bob.types("still there?");
    for person in [&bob, &cat] {
        person.sees("bob: still there?");
    }
    cat.types("yes");
    for person in [&bob, &cat] {
        person.sees("cat: yes");
        let lines = person.lines();
        let at = |text: &str| lines.iter().position(|line| line == text).unwrap();
        assert!(at("* ann has died") < at("bob: still there?"));
        assert!(!lines.iter().any(|line| line == "* cat has died" || line == "* bob has died"));
        assert_eq!(lines.iter().filter(|line| *line == "* cat has joined").count(), 1);
    }
    let mut ann = scene.enter("ann");
    bob.sees("* ann has joined");
    ann.quits();
    cat.quits();
    bob.quits();
    scene.finish();
}

#[test]
fn one_holder_after_another_dies_and_the_lobby_goes_on() {
    let scene = Scene::new();
    let names = ["ann", "bob", "cat", "dan", "eve"];
    let mut people: Vec<Person> = names.iter().map(|name| scene.enter(name)).collect();
    people.iter().for_each(|person| drop(person.await_line("eve", |line| line.contains("eve"))));
    while people.len() > 1 {
        let holds = |person: &Person| person.lines().iter().any(|line| line.contains("yours"));
        let holder = loop {
            match people.iter().position(holds) {
                Some(holder) => break people.remove(holder),
                None => thread::yield_now(),
            }
        };
        holder.signal(Signal::SIGKILL);
        let round = people.len();
        people.iter().for_each(|person| person.sees(&format!("* {} has died", holder.name)));
        people.iter_mut().for_each(|person| person.types(&format!("round {round}")));
        let said = |line: &str| line.ends_with(&format!(": round {round}"));
        let seen: Vec<_> = people.iter().map(|person| person.await_lines(round, said)).collect();
        assert!(seen.iter().all(|lines| *lines == seen[0]), "{seen:#?}");
    }
    people[0].quits();
    scene.finish();
}

#[test]
fn another_takes_the_lobby_over_when_its_holder_leaves() {
    let scene = Scene::new();
    let (mut ann, mut bob, mut cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    bob.sees("* cat has joined");
    ann.quits();
    // Said while nobody may hold the lobby: it waits for the next one.
    bob.types("gone, is she");
    for person in [&bob, &cat] {
        person.sees("* ann has left");
        person.sees("bob: gone, is she");
        assert!(!person.lines().contains(&"* ann has died".to_owned()));
    }
    bob.quits();
    cat.sees("* bob has left");
    cat.quits();
    scene.finish();
}

#[test]
fn who_dies_with_the_holder_is_missed_too() {
    let scene = Scene::new();
    let (ann, mut bob, cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    bob.sees("* cat has joined");
    // Stopped, the holder cannot tell of it.
    ann.stops();
    cat.signal(Signal::SIGKILL);
    drop(cat);
    ann.signal(Signal::SIGKILL);
    bob.sees("* ann has died");
    bob.sees("* cat has died");
    bob.quits();
    scene.finish();
}

#[test]
fn a_stopped_holder_stops_the_lobby_and_nothing_else() {
    let scene = Scene::new();
    let (mut ann, mut bob, mut cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    bob.sees("* cat has joined");
    ann.stops();
    bob.types("/to cat directly, past ann");
    cat.sees("[from bob] directly, past ann");
    bob.types("to everyone");
    bob.sees("! not said: ann, who holds the lobby, does not answer");
    // Who comes now is let in later.
    let mut dan = scene.start("dan");
    dan.sees("! ann does not answer: the lobby stands still");
    dan.types("/to bob good evening");
    bob.sees("[from dan] good evening");
    ann.signal(Signal::SIGCONT);
    dan.types("hello");
    for person in [&ann, &bob, &cat, &dan] {
        person.sees("dan: hello");
        assert!(!person.lines().contains(&"bob: to everyone".to_owned()));
    }
    for person in [&mut dan, &mut cat, &mut bob, &mut ann] {
        person.quits();
    }
    scene.finish();
}
