//! Bad input: one line that says what is wrong, exit code 2, nothing left running.

use super::scene::Scene;

#[test]
fn a_name_is_checked_before_anything_else() {
    let scene = Scene::new();
    for name in ["..", ".hidden", "a/b", "ä", &"x".repeat(65)] {
        for words in [
            format!("--mailbox {name}"),
            format!("--to {name}"),
            format!("--to a --as {name}"),
            format!("--to a --domain {name}"),
        ] {
            let said = scene.producer(&words, "record").refused(2);
            assert!(said.starts_with("producer: ") && said.contains("name"), "{said}");
        }
        scene.postbox(&format!("mailbox create {name}")).refused(2);
        scene.consumer(&format!("--from {name}")).refused(2);
    }
    scene.finish();
}

#[test]
fn a_usage_error_says_what_to_choose() {
    let scene = Scene::new();
    let refused = |words: &str, hint: &str| {
        let (program, words) = words.split_once(' ').unwrap_or((words, ""));
        let null = std::process::Stdio::null;
        let said = scene.start(program, words, null(), std::process::Stdio::piped()).refused(2);
        assert!(said.starts_with(program) && said.contains(hint), "{program} {words}: {said}");
    };
    refused("producer", "--to");
    refused("producer --to a --mailbox b", "--mailbox");
    refused("producer --to a --framing words", "bytes:N");
    refused("producer --to a --framing bytes:0", "bytes:N");
    refused("producer --to a --rate 0", "records per second");
    refused("producer --to a --rate fast", "records per second");
    refused("producer --to a --timeout -1", "--timeout");
    refused("producer --to a --timeout soon", "seconds");
    refused("producer --to a --count x", "--count");
    refused("producer --to a --mechanism pigeon", "mqueue");
    refused("producer --to a --capacity some", "unbounded");
    refused("producer --to a --max-message big", "64K");
    refused("producer --to a --json --quiet", "--quiet");
    refused("producer --to a /no/such/file", "'/no/such/file'");
    refused("producer --to a /", "directory");
    refused("consumer --from a --mailbox b", "--mailbox");
    refused("consumer --count -1", "--count");
    refused("consumer --framing lines:3", "bytes:N");
    refused("postbox", "command");
    refused("postbox mailbox", "command");
    refused("postbox mailbox create", "<MAILBOX>");
    refused("postbox mailbox create jobs --policy first", "one-at-a-time");
    refused("postbox mailbox create jobs --receivers ../a", "members");
    refused("postbox mailbox create jobs --schema=", "--schema");
    refused("postbox mailbox grant jobs alice --right own", "receive");
    refused("postbox send hello", "--to");
    refused("postbox receive --try --timeout 1", "--timeout");
    refused("postbox doctor --colour", "--colour");
    scene.finish();
}

#[test]
fn options_out_of_range_leave_no_keeper_behind() {
    let scene = Scene::new();
    let said = scene.postbox("mailbox create jobs --max-message 2G").refused(2);
    assert!(said.contains("--max-message"), "{said}");
    scene.finish();
}

#[test]
fn a_record_that_the_channel_does_not_take_is_named() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --max-message 10").good();
    let said = scene.producer("--mailbox jobs --quiet", "short\nmuch too long\n").refused(2);
    assert!(said.contains("record 2 ") && said.contains("10 bytes"), "{said}");
    let said =
        scene.producer("--mailbox jobs --framing prefixed --quiet", "\x09\0\0\0x").refused(2);
    assert!(said.contains("record 1 "), "{said}");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_directory_that_others_may_write_to_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(scene.directory(), open).unwrap();
    for words in ["mailbox create jobs", "processes", "mailbox list"] {
        let said = scene.postbox(words).refused(1);
        assert!(said.contains("trusted"), "{said}");
    }
    scene.finish();
}

#[test]
fn what_is_not_there_is_told_in_words_of_the_command_line() {
    let scene = Scene::new();
    let said = |words: &str| scene.postbox(words).refused(3);
    for words in [
        "send --to x hi",
        "send --mailbox x hi",
        "receive --mailbox x",
        "receive --mailbox x --try",
    ] {
        let said = said(words);
        assert!(said.contains("'x' in domain 'default'"), "{words}: {said}");
        assert!(said.contains("wait for it with --timeout SECONDS"), "{words}: {said}");
    }
    for words in ["inspect x", "destroy x", "grant x a", "revoke x a", "transfer x a"] {
        let said = said(&format!("mailbox {words}"));
        assert!(said.contains("there is no mailbox 'x' in domain 'default'"), "{words}: {said}");
        assert!(said.contains("postbox mailbox list") && !said.contains("wait"), "{words}: {said}");
    }
    let none = said("links x");
    assert!(none.contains("'x' in domain") && none.contains("postbox processes"), "{none}");
    let own = scene.postbox("send --as x --to x hi").refused(2);
    assert!(own.contains("is this process itself") && !own.contains("channel"), "{own}");
    scene.postbox("mailbox create jobs").good();
    assert!(scene.postbox("mailbox create jobs").refused(1).contains("--or-open"));
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}
