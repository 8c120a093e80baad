//! `postbox mailbox`: rights, owners, lists.

use super::scene::Scene;
use serde_json::json;

#[test]
fn a_new_mailbox_is_what_was_asked_for() {
    let scene = Scene::new();
    let words = "mailbox create jobs --mechanism mqueue --capacity 3 --policy one-at-a-time \
                 --receivers alice,bob --max-message 4K --schema job/1";
    let created = scene.ask(words);
    for (key, value) in [
        ("name", json!("jobs")),
        ("mechanism", json!("mqueue")),
        ("capacity", json!("3")),
        ("policy", json!("one-at-a-time")),
        ("max_message", json!(4096)),
        ("schema", json!("job/1")),
        ("queued", json!(0)),
    ] {
        assert_eq!(created[key], value, "{key} of {created}");
    }
    assert_eq!(created["owner"]["name"], "keeper");
    assert_eq!(scene.ask("mailbox inspect jobs"), created);
    let page = scene.postbox("mailbox inspect jobs").good();
    for word in ["mqueue", "one-at-a-time", "alice, bob", "4,096", "job/1", "keeper"] {
        assert!(page.contains(word), "{page}");
    }
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn what_others_say_does_not_draw_on_the_screen() {
    let scene = Scene::new();
    let schema = "bad\u{1b}[31m\u{7}\u{202e}x";
    let created = scene.ask(&format!("mailbox create jobs --schema {schema}"));
    assert_eq!(created["schema"], schema);
    let page = scene.postbox("mailbox inspect jobs").good();
    assert!(page.contains("bad�[31m��x") && !page.contains('\u{1b}'), "{page:?}");
    let said = scene.postbox("mailbox create jobs --schema good --or-open").refused(1);
    assert!(said.contains("schema bad�[31m��x instead of good"), "{said:?}");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn mailboxes_are_listed_with_their_owners() {
    let scene = Scene::new();
    assert_eq!(scene.ask("mailbox list"), json!([]));
    scene.postbox("mailbox create one").good();
    scene.postbox("mailbox create two --receivers members").good();
    let list = scene.ask("mailbox list");
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|mailbox| mailbox["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    let table = scene.postbox("mailbox list").good();
    for word in ["one", "two", "keeper", "members", "shm", "64"] {
        assert!(table.contains(word), "{table}");
    }
    scene.postbox("mailbox destroy one").good();
    scene.postbox("mailbox destroy two").good();
    scene.finish();
}

#[test]
fn who_has_no_right_is_refused_and_told_who_has() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs").good();
    let said = scene.consumer("--mailbox jobs --as alice").refused(1);
    assert!(said.contains("receive") && said.contains("jobs"), "{said}");
    scene.postbox("mailbox grant jobs alice").good();
    scene.postbox("send --mailbox jobs hello").good();
    assert_eq!(scene.consumer("--mailbox jobs --as alice --count 1 --quiet").good(), "hello\n");
    scene.consumer("--mailbox jobs --as bob").refused(1);
    scene.postbox("mailbox revoke jobs alice").good();
    scene.consumer("--mailbox jobs --as alice").refused(1);
    scene.postbox("mailbox revoke jobs mallory --right send").good();
    scene.producer("--mailbox jobs --as mallory", "spam").refused(1);
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_second_mailbox_of_a_name_is_refused_unless_it_is_to_be_opened() {
    let scene = Scene::new();
    let first = scene.ask("mailbox create jobs");
    assert!(scene.postbox("mailbox create jobs").refused(1).contains("'jobs' exists already"));
    assert_eq!(scene.ask("mailbox create jobs --or-open")["id"], first["id"]);
    scene.postbox("mailbox destroy jobs").good();
    assert!(scene.postbox("mailbox inspect jobs").refused(3).contains("'jobs'"));
    scene.postbox("mailbox destroy jobs").refused(3);
    scene.postbox("mailbox grant jobs alice").refused(3);
    scene.finish();
}

#[test]
fn a_mailbox_that_is_opened_instead_of_created_is_what_was_asked_for() {
    let scene = Scene::new();
    let jobs = "mailbox create jobs --or-open";
    let all = "--mechanism pipe --capacity 3 --max-message 4K --policy pair --schema one";
    let first = scene.ask(&format!("{jobs} {all} --receivers b,a"));
    for (words, why) in [
        ("--schema two", "schema one instead of two"),
        ("--mechanism shm", "mechanism pipe instead of shm"),
        ("--capacity unbounded", "capacity 3 instead of unbounded"),
        ("--max-message 8K", "max-message 4096 instead of 8192"),
        ("--policy any --capacity 4", "capacity 3 instead of 4, policy pair instead of any"),
    ] {
        let said = scene.postbox(&format!("{jobs} {words}")).refused(1);
        assert!(said.contains("'jobs' exists already, with ") && said.contains(why), "{said}");
    }
    // What was not said may be as it is, and rights change.
    for words in ["", all, "--receivers a,b,a --senders members"] {
        let opened = scene.postbox(&format!("{jobs} --json {words}")).finish();
        assert_eq!((opened.code(), &*opened.err), (Some(0), ""), "{words}: {opened:?}");
        let status: serde_json::Value = serde_json::from_slice(&opened.out).unwrap();
        assert_eq!(status["id"], first["id"], "{words}");
    }
    let opened = scene.postbox(&format!("{jobs} --receivers members")).finish();
    assert_eq!(opened.code(), Some(0), "{opened:?}");
    assert!(opened.err.contains("may receive: b, a instead of members"), "{opened:?}");
    // Nobody who has the right, and somebody of that name.
    scene.postbox("mailbox revoke jobs a").good();
    scene.postbox("mailbox revoke jobs b").good();
    let opened = scene.postbox(&format!("{jobs} --receivers nobody")).finish();
    assert_eq!(opened.code(), Some(0), "{opened:?}");
    assert!(opened.err.contains("may receive: nobody instead of 'nobody'"), "{opened:?}");
    scene.postbox("mailbox create plain").good();
    let said = scene.postbox("mailbox create plain --schema one --or-open").refused(1);
    assert!(said.contains("schema any instead of one"), "{said}");
    scene.postbox("mailbox destroy plain").good();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_mailbox_that_is_made_over_to_a_process_lives_and_dies_with_it() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs").good();
    scene.postbox("send --mailbox jobs before").good();
    scene.postbox("mailbox transfer jobs nobody").refused(3);
    let heir = scene.consumer("--as heir --count 1 --quiet");
    scene.await_process("heir");
    scene.postbox("mailbox transfer jobs heir").good();
    let status = scene.ask("mailbox inspect jobs");
    assert_eq!((&status["owner"]["name"], &status["queued"]), (&json!("heir"), &json!(1)));
    scene.producer("--to heir --quiet", "that is all").good();
    heir.good();
    scene.postbox("mailbox inspect jobs").refused(3);
    scene.finish();
}
