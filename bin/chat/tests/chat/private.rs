//! Messages for one.

use crate::scene::Scene;
use nix::sys::signal::Signal;

#[test]
fn a_private_message_is_seen_by_its_two_and_nobody_else() {
    let scene = Scene::new();
    let (mut ann, mut bob, mut cat) = (scene.enter("ann"), scene.enter("bob"), scene.enter("cat"));
    bob.types("/to cat between us");
    bob.sees("[to cat] between us");
    cat.sees("[from bob] between us");
    cat.types("/to ann and us");
    ann.sees("[from cat] and us");
    bob.types("for all");
    for person in [&ann, &bob, &cat] {
        person.sees("bob: for all");
    }
    assert!(!ann.lines().iter().any(|line| line.contains("between")));
    assert!(!bob.lines().iter().any(|line| line.contains("and us")));
    for person in [&mut cat, &mut bob, &mut ann] {
        person.quits();
    }
    scene.finish();
}

#[test]
fn whoever_cannot_be_reached_is_one_line() {
    let scene = Scene::new();
    let (mut ann, mut bob) = (scene.enter("ann"), scene.enter("bob"));
    ann.types("/to zed hello");
    ann.sees("! not sent: nobody here is called 'zed'; /who lists who is here");
    ann.types("/to ann hello");
    ann.sees("! not sent: that is you");
    ann.types("/to ../bob hello");
    ann.await_line("no name", |line| line.starts_with("! not sent: \"../bob\" is no name"));
    ann.types("/to bob");
    ann.sees("! to whom, and what? /to NAME TEXT");
    ann.types("/shout");
    ann.await_line("no command", |line| line.starts_with("! there is no command '/shout'"));
    ann.types("/to bob you there?");
    bob.sees("[from ann] you there?");
    bob.quits();
    ann.types("/to bob still?");
    ann.sees("! not sent: nobody here is called 'bob'; /who lists who is here");
    ann.quits();
    scene.finish();
}

#[test]
fn who_does_not_read_is_full_in_the_end() {
    let scene = Scene::new();
    let (mut ann, mut bob) = (scene.enter("ann"), scene.enter("bob"));
    ann.types("/to bob line 0");
    bob.sees("[from ann] line 0");
    bob.stops();
    for n in 1..=65 {
        ann.types(&format!("/to bob line {n}"));
    }
    ann.sees("! not sent: bob does not read, and as much as there is room for waits already");
    assert_eq!(ann.lines().iter().filter(|line| line.starts_with("[to bob]")).count(), 65);
    bob.signal(Signal::SIGCONT);
    bob.sees("[from ann] line 64");
    bob.quits();
    ann.quits();
    scene.finish();
}

#[test]
fn nobody_draws_on_anothers_screen() {
    let scene = Scene::new();
    let (mut ann, mut bob) = (scene.enter("ann"), scene.enter("bob"));
    ann.types("/to bob \x1b[2Jboo\x07");
    bob.sees("[from ann] \u{fffd}[2Jboo\u{fffd}");
    ann.types("\x1b]0;title\x1b\\");
    bob.sees("ann: \u{fffd}]0;title\u{fffd}\\");
    ann.types_bytes(b"not \xff text\n");
    bob.sees("ann: not \u{fffd} text");
    ann.types(&"x".repeat(4097));
    ann.sees("! not said: a line has at most 4096 bytes");
    ann.types(&"y".repeat(4096));
    bob.sees(&format!("ann: {}", "y".repeat(4096)));
    bob.quits();
    ann.quits();
    scene.finish();
}
