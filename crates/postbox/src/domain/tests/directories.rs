use super::{Bench, names, process};
use crate::domain::{Domain, DomainError, DomainOptions};
use nix::unistd::{Uid, chown, geteuid};
use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn open(base: &Path) -> Result<Domain, DomainError> {
    DomainOptions::new().directory(base).open("lab")
}

fn distrusted(outcome: Result<Domain, DomainError>, why: &str) {
    match outcome {
        Err(error @ DomainError::Unsafe { .. }) => {
            assert!(error.to_string().contains(why), "{error}");
        }
        other => panic!("not distrusted but {other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_missing_directory_is_made_for_its_user_alone() {
    let bench = Bench::new();
    let base = bench.path("base");
    let domain = open(&base).unwrap();
    assert_eq!((domain.name().as_str(), domain.path()), ("lab", base.join("lab")));
    for path in [&base, &base.join("lab"), &base.join("lab/processes"), &base.join("lab/mailboxes")]
    {
        assert_eq!(mode(path), 0o700, "{path:?}");
    }
    assert_eq!(mode(&base.join("lab/claims")), 0o600);
    let missing = open(&bench.path("neither/nor")).unwrap_err();
    assert!(matches!(missing, DomainError::System { errno: postbox_sys::Errno::ENOENT, .. }));
}

#[test]
fn a_directory_must_be_given_from_the_root() {
    let relative = open(Path::new("some/where")).unwrap_err();
    assert!(matches!(relative, DomainError::Relative { .. }), "{relative}");
    assert!(matches!(Domain::open("../lab"), Err(DomainError::Name(_))));
}

#[test]
fn a_file_or_a_link_is_no_directory() {
    let bench = Bench::new();
    write(bench.path("file"), "").unwrap();
    distrusted(open(&bench.path("file")), "no directory");
    create_dir(bench.path("real")).unwrap();
    set_mode(&bench.path("real"), 0o700);
    symlink(bench.path("real"), bench.path("link")).unwrap();
    distrusted(open(&bench.path("link")), "symbolic link");
    symlink(bench.path("real"), bench.path("real/lab")).unwrap();
    distrusted(open(&bench.path("real")), "symbolic link");
    assert_eq!(names(&bench.path("real")), ["lab"]);
    symlink(bench.path("nowhere"), bench.path("dangling")).unwrap();
    distrusted(open(&bench.path("dangling")), "symbolic link");
    // Further up, links are the system's own affair.
    open(&bench.path("link/below")).unwrap();
}

#[test]
fn what_others_may_write_to_is_not_trusted_unless_it_is_sticky() {
    let bench = Bench::new();
    set_mode(&bench.0, 0o770);
    distrusted(open(&bench.0), "others may write");
    set_mode(&bench.0, 0o707);
    distrusted(open(&bench.0), "others may write");
    set_mode(&bench.0, 0o1777);
    let domain = open(&bench.0).unwrap();
    set_mode(&domain.path(), 0o722);
    distrusted(open(&bench.0), "others may write");
    set_mode(&domain.path(), 0o755);
    open(&bench.0).unwrap();
}

#[test]
fn what_belongs_to_another_user_is_not_trusted() {
    if !geteuid().is_root() {
        return; // Nobody else can give a directory away.
    }
    let bench = Bench::new();
    let domain = open(&bench.0).unwrap();
    chown(&domain.path(), Some(Uid::from_raw(4321)), None).unwrap();
    distrusted(open(&bench.0), "another user");
    chown(&bench.0, Some(Uid::from_raw(4321)), None).unwrap();
    distrusted(open(&bench.0), "another user");
}

#[test]
fn what_a_process_of_ours_with_a_narrow_umask_has_left_is_repaired() {
    let bench = Bench::new();
    let base = bench.path("base");
    create_dir(&base).unwrap();
    set_mode(&base, 0);
    let _domain = open(&base).unwrap();
    assert_eq!(mode(&base), 0o700);
}

#[test]
fn a_domain_with_a_part_missing_is_an_error_that_says_so() {
    let bench = Bench::new();
    let domain = open(&bench.0).unwrap();
    let _claim = domain.claim(&process("a")).unwrap();
    std::fs::remove_dir(domain.path().join("mailboxes")).unwrap();
    distrusted(open(&bench.0), "part of it is missing");
}

#[test]
fn a_domain_is_opened_to_a_group_only_by_that_option() {
    let bench = Bench::new();
    let base = bench.path("base");
    let own = nix::unistd::getegid().as_raw();
    let with = |group: u32| DomainOptions::new().directory(&base).group(group).open("lab");
    let domain = with(own).unwrap();
    for path in [&base, &base.join("lab"), &base.join("lab/processes"), &base.join("lab/mailboxes")]
    {
        assert_eq!(mode(path), 0o3770, "{path:?}");
    }
    assert_eq!(mode(&base.join("lab/claims")), 0o660);
    distrusted(with(own + 1), "not open to that group");
    // Its owner may leave the option out.
    let _again = open(&base).unwrap();
    drop((domain, _again));
    let _private = open(&base).unwrap();
    distrusted(with(own), "not open to that group");
    let none = DomainOptions::new().group("no such group, surely").open("lab").unwrap_err();
    assert!(matches!(none, DomainError::NoGroup(_)), "{none}");
}

#[test]
fn a_domain_that_is_open_is_passed_over_by_those_who_clean_up_old_files() {
    let bench = Bench::new();
    let domain = bench.open();
    let clean = || std::fs::File::open(domain.path()).unwrap().try_lock();
    assert!(clean().is_err());
    // Several do not keep each other out.
    let _claim = domain.claim(&process("a")).unwrap();
    let other = bench.open();
    drop(domain.claim(&process("b")).unwrap());
    drop(other);
    assert!(clean().is_err(), "a name is held there");
}
