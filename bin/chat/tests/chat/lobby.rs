//! What is said to everyone, and who comes and goes.

use crate::scene::{Person, Scene};
use nix::sys::signal::Signal;
use std::thread;

#[test]
fn everyone_sees_the_lines_of_the_lobby_in_one_order() {
    const LINES: usize = 60;
    let scene = Scene::new();
    let mut people = ["ann", "bob", "cat"].map(|name| scene.enter(name));
    for person in &people {
        person.await_line("cat", |line| line.contains("cat"));
    }
    thread::scope(|scope| {
        for person in &mut people {
            scope.spawn(move || (0..LINES).for_each(|n| person.types(&format!("line {n}"))));
        }
    });
    let said = |line: &str| line.contains(": line ");
    let seen = people.each_ref().map(|person| person.await_lines(3 * LINES, said));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    for person in &people {
        let own = format!("{}: ", person.name);
        let theirs: Vec<&String> = seen[0].iter().filter(|line| line.starts_with(&own)).collect();
        let typed: Vec<String> = (0..LINES).map(|n| format!("{own}line {n}")).collect();
        assert!(theirs.into_iter().eq(&typed));
    }
    people.iter_mut().rev().for_each(Person::quits);
    scene.finish();
}

#[test]
fn leaving_and_dying_are_told_apart() {
    let scene = Scene::new();
    let (mut ann, mut bob) = (scene.enter("ann"), scene.enter("bob"));
    ann.sees("* bob has joined");
    let (mut cat, mut dan) = (scene.enter("cat"), scene.enter("dan"));
    let (mut eve, fay) = (scene.enter("eve"), scene.enter("fay"));
    bob.sees("* fay has joined");
    cat.quits();
    dan.closes();
    assert_eq!(dan.ends(), (Some(0), String::new()));
    eve.signal(Signal::SIGINT);
    assert_eq!(eve.ends(), (Some(130), String::new()));
    fay.signal(Signal::SIGKILL);
    for person in [&ann, &bob] {
        person.sees("* cat has left");
        person.sees("* dan has left");
        person.sees("* eve has left");
        person.sees("* fay has died");
    }
    // Told once, and they are not here any more.
    bob.types("/who");
    let who = bob.await_lines(2, |line| line.starts_with("* here are: ")).pop().unwrap();
    let (ann_pid, bob_pid) = (ann.pid(), bob.pid());
    assert_eq!(
        who,
        format!(
            "* here are: ann (process {ann_pid}, holds the lobby), bob (process {bob_pid}, you)"
        )
    );
    let went = |line: &str| line.ends_with(" has left") || line.ends_with(" has died");
    assert_eq!(bob.lines().iter().filter(|line| went(line)).count(), 4);
    bob.quits();
    ann.quits();
    scene.finish();
}

#[test]
fn a_name_is_free_again_after_a_death() {
    let scene = Scene::new();
    let (mut ann, bob) = (scene.enter("ann"), scene.enter("bob"));
    bob.signal(Signal::SIGKILL);
    ann.sees("* bob has died");
    let mut bob = scene.enter("bob");
    ann.await_lines(2, |line| line == "* bob has joined");
    ann.types("/to bob back again?");
    bob.sees("[from ann] back again?");
    bob.quits();
    ann.quits();
    scene.finish();
}

#[test]
fn what_was_typed_before_the_end_of_input_is_said_and_shown() {
    let scene = Scene::new();
    let mut ann = scene.enter("ann");
    let mut bob = scene.start("bob");
    bob.types("one");
    bob.types_bytes(b"two, without a line end");
    bob.closes();
    assert_eq!(bob.ends().0, Some(0));
    bob.sees("bob: two, without a line end");
    ann.sees("* bob has left");
    let lines = ann.lines();
    let expected =
        ["* bob has joined", "bob: one", "bob: two, without a line end", "* bob has left"];
    assert_eq!(lines[1..], expected);
    ann.quits();
    scene.finish();
}

#[test]
fn who_does_not_read_is_passed_by_and_told_so() {
    let scene = Scene::new();
    let (mut ann, mut bob, mut cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    ann.sees("* cat has joined");
    bob.sees("* cat has joined");
    cat.stops();
    for n in 0..100 {
        bob.types(&format!("line {n}"));
    }
    ann.sees("bob: line 99");
    bob.sees("bob: line 99");
    bob.sees("* cat does not read: what is said passes them by");
    cat.signal(Signal::SIGCONT);
    cat.sees("bob: line 63");
    bob.types("are you back?");
    cat.sees("bob: are you back?");
    // Each line was seen or counted, and so was the word that she does not read.
    let lines = cat.lines();
    let seen = lines.iter().filter(|line| line.starts_with("bob: line ")).count();
    let missed = lines.iter().filter_map(|line| line.strip_prefix("* you did not read: "));
    let missed = missed.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(seen + missed.sum::<usize>(), 101, "{lines:#?}");
    cat.quits();
    bob.quits();
    ann.quits();
    scene.finish();
}
