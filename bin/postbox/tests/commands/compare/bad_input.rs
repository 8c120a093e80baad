//! Bad input: one line that says what is wrong, exit code 2, nothing left running.

use super::support::{file, start, with};
use crate::run::{Run, limited};
use std::fs::File;
use std::io::Write;
use std::process::Stdio;

/// The one line on standard error.
fn refused<const N: usize>(arguments: [&str; N]) -> String {
    let ended = start(arguments).finish();
    assert_eq!((ended.code(), ended.out()), (Some(2), String::new()), "{ended:?}");
    let said = ended.err();
    assert!(said.starts_with("postbox: ") && said.ends_with('\n'), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    assert!(refused(["/no/such/file"]).contains("'/no/such/file'"));
    assert!(refused(["/"]).contains("'/' is a directory"));
    assert!(refused([""]).contains("<FILE>"));
    // Readable by nobody, not even by root: address 0 is not mapped.
    assert!(refused(["/proc/self/mem"]).contains("'/proc/self/mem'"));
}

#[test]
fn a_directory_is_no_standard_input() {
    let root = Stdio::from(File::open("/").unwrap());
    let ended = with(["-"], root, Stdio::piped()).finish();
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert_eq!(ended.err().lines().count(), 1);
}

#[test]
fn a_usage_error_says_what_to_choose() {
    let file = file(b"line\n");
    let path = file.path().to_str().unwrap();
    assert!(refused([]).contains("<FILE>"));
    assert!(refused([path, "--mechanism=carrier-pigeon"]).contains("mqueue"));
    for nonsense in ["-1", "many", "", "1.5", "4294967296", "1048577"] {
        assert!(refused([path, "--capacity", nonsense]).contains("unbounded"), "{nonsense}");
    }
    for none in ["--producers=0", "--consumers=0", "--repeat=0"] {
        assert!(refused([path, none]).contains("1.."));
    }
    for nonsense in ["-1", "x", "129"] {
        assert!(refused([path, "--producers", nonsense]).contains("--producers"));
    }
    for nonsense in ["words", "bytes", "bytes:", "bytes:0", "bytes:-1", "bytes:67108865"] {
        assert!(refused([path, "--records", nonsense]).contains("bytes:N"));
    }
    assert!(refused([path, "--naming=postman"]).contains("mailbox"));
    assert!(refused([path, "--naming=direct", "--consumers=2"]).contains("--consumers 1"));
    assert!(refused([path, "--naming=direct", "--mechanism=buffer"]).contains("no name"));
    for (beyond, remedy) in [
        ("--capacity=0", "--capacity 1"),
        ("--capacity=unbounded", "--capacity 1"),
        ("--producers=2", "--producers 1"),
        ("--consumers=2", "--consumers 1"),
        ("--deliver", "leave --deliver out"),
    ] {
        let said = refused([path, "--mechanism=pipe", "--mechanism=buffer", beyond]);
        assert!(said.contains("a shared buffer ") && said.contains(remedy), "{said}");
    }
    assert!(refused([path, "--colour"]).contains("--colour"));
    assert!(refused([path, path]).contains(path));
}

#[test]
fn a_record_over_the_limit_is_refused_before_anything_runs() {
    let file = file(b"short\n");
    // A hole: it takes no room on the disk.
    file.as_file().set_len((64 << 20) + 10).unwrap();
    let path = file.path().to_str().unwrap();
    assert!(refused([path]).contains("record 2 "));
    assert!(refused([path, "--records=whole"]).contains("67108864 bytes"));
}

#[test]
fn a_record_without_an_end_is_refused_while_it_is_kept() {
    for records in ["lines", "whole"] {
        let mut command = limited("ulimit -f 100000");
        command.args(["compare", "-", "--mechanism=pipe", "--records", records]);
        let (zeroes, mut input) = std::io::pipe().unwrap();
        let feeder = std::thread::spawn(move || {
            // Until it is refused.
            while input.write_all(&[0; 1 << 16]).is_ok() {}
        });
        let ended = Run::with(&mut command, zeroes.into(), Stdio::piped()).finish();
        drop(command);
        feeder.join().unwrap();
        assert_eq!((ended.code(), ended.out()), (Some(2), String::new()), "{ended:?}");
        assert!(ended.err().contains("record 1 of standard input is over the limit"), "{ended:?}");
    }
}

#[test]
fn a_device_without_an_end_is_refused_however_it_is_cut() {
    for device in ["/dev/zero", "/dev/urandom", "/dev/full"] {
        for records in ["lines", "whole", "prefixed", "bytes:1000"] {
            for (file, name) in [(device, device), ("-", "standard input")] {
                // It must not fill the disk where it is taken.
                let mut command = limited("ulimit -f 10000");
                command.args(["compare", file, "--mechanism=pipe", "--records", records]);
                let input = Stdio::from(File::open(device).unwrap());
                let ended = Run::with(&mut command, input, Stdio::piped()).finish();
                assert_eq!((ended.code(), ended.out()), (Some(2), String::new()), "{ended:?}");
                let said = ended.err();
                assert!(said.contains(name) && said.contains("may have no end"), "{said}");
                assert!(said.contains("head -c"), "{said}");
            }
        }
    }
}

#[test]
fn a_device_with_an_end_is_sent() {
    let ended = start(["/dev/null", "--mechanism=pipe", "--naming=channel"]).finish();
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
}
