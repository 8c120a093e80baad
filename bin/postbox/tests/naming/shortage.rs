//! Something is used up: one line that says what, how much there is of it and what to do, exit code
//! 1, nothing left running and nothing left behind; and with enough of it the same words work.

use super::scene::Scene;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// What each program is asked to do, which no other has to be there for.
const ALONE: [&str; 4] = [
    "postbox mailbox create jobs --mechanism mqueue",
    "postbox receive --from nobody --as me --timeout 0",
    "consumer --as me --from nobody --timeout 0",
    "producer --to nobody --as me --timeout 0 --mechanism mqueue",
];

impl Scene {
    /// Runs a program under limits of the shell's `ulimit`.
    fn limited(&self, limits: &str, line: &str) -> super::scene::Ended {
        let (program, words) = line.split_once(' ').unwrap_or((line, ""));
        self.start_limited(limits, program, words, Stdio::null(), Stdio::piped()).finish()
    }
}

/// What it said, having failed with code 1 and in one line.
#[track_caller]
fn failed(ended: &super::scene::Ended, line: &str) -> String {
    assert_eq!((ended.code(), ended.out.len()), (Some(1), 0), "{line}: {ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{line}: {ended:?}");
    let program = line.split_whitespace().next().unwrap();
    assert!(ended.err.starts_with(&format!("{program}: ")), "{line}: {ended:?}");
    ended.err.clone()
}

#[test]
fn without_descriptors_a_program_names_the_limit_and_its_value() {
    let scene = Scene::new();
    for line in ALONE {
        let mut failures = 0;
        for most in [7, 9, 12, 16, 64] {
            let ended = scene.limited(&format!("ulimit -n {most}"), line);
            if matches!(ended.code(), Some(0 | 3)) {
                assert!(most > 7, "{line} with {most}: {ended:?}");
            } else {
                let said = failed(&ended, line);
                assert!(said.contains("descriptors: raise it (ulimit -n)"), "{line}: {said}");
                assert!(said.contains(&format!("RLIMIT_NOFILE is {most}")), "{line}: {said}");
                // A keeper that it has started ends, and is not there for the next.
                scene.until("the keeper had ended", |scene| scene.living().is_empty());
                failures += 1;
            }
        }
        assert!((1..5).contains(&failures), "{line}: {failures}");
        // A keeper that was started meanwhile ends with its last mailbox.
        let _ = scene.postbox("mailbox destroy jobs").finish();
    }
    scene.finish();
}

#[test]
fn without_a_queue_quota_a_keeper_is_not_left_behind() {
    let scene = Scene::new();
    let create = "postbox mailbox create jobs --mechanism mqueue";
    let said = failed(&scene.limited("ulimit -q 0", create), create);
    assert!(said.contains("RLIMIT_MSGQUEUE is 0 bytes"), "{said}");
    scene.until("the keeper had ended", |scene| scene.living().is_empty());
    assert_eq!(scene.limited("true", create).code(), Some(0));
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn what_a_keeper_is_short_of_is_told_as_the_keepers() {
    let scene = Scene::new();
    for (most, name) in [(30, "a"), (40, "b"), (50, "c")] {
        let first = format!("postbox mailbox create {name}0");
        assert_eq!(scene.limited(&format!("ulimit -n {most}"), &first).code(), Some(0));
        let keeper = scene.keeper();
        let mut made = 1;
        let said = loop {
            let create = format!("postbox mailbox create {name}{made}");
            let ended = scene.limited("true", &create);
            if ended.code() != Some(0) {
                break failed(&ended, &create);
            }
            made += 1;
            assert!(made < most, "nothing ran short");
        };
        for words in [
            &format!("RLIMIT_NOFILE is {most} descriptors"),
            &format!("that is the limit of the keeper (process {keeper})"),
            "end that process",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(said.matches(&format!("mailbox '{name}{made}'")).count(), 1, "{said}");
        (0..made).for_each(|i| drop(scene.postbox(&format!("mailbox destroy {name}{i}")).good()));
        scene.until("the keeper had ended", |scene| scene.living().is_empty());
    }
    scene.finish();
}

#[test]
fn beyond_a_file_size_limit_nothing_is_killed() {
    let scene = Scene::new();
    let create = "postbox mailbox create jobs";
    let said = failed(&scene.limited("ulimit -f 0", create), create);
    assert!(said.contains("RLIMIT_FSIZE is 0 bytes"), "{said}");
    scene.until("the keeper had ended", |scene| scene.living().is_empty());
    scene.postbox("mailbox create jobs").good();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_directory_that_cannot_be_written_to_is_named() {
    if nix::unistd::geteuid().is_root() {
        // Nothing is closed to root; a directory of procfs is, to everybody.
        let scene = Scene::new();
        for line in ALONE {
            let ended = scene.limited("POSTBOX_DIR=/proc/self/nowhere; export POSTBOX_DIR", line);
            let said = failed(&ended, line);
            assert!(said.contains("/proc/self/nowhere"), "{said}");
        }
        return scene.finish();
    }
    let scene = Scene::new();
    fs::set_permissions(scene.directory(), fs::Permissions::from_mode(0o500)).unwrap();
    for line in ALONE {
        let said = failed(&scene.limited("true", line), line);
        assert!(said.contains("EACCES") && said.contains("POSTBOX_DIR"), "{said}");
    }
    fs::set_permissions(scene.directory(), fs::Permissions::from_mode(0o700)).unwrap();
    scene.postbox("mailbox create jobs").good();
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}
