//! Memory does not grow with the file.

use super::support::{file, good_rows, start};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

/// The most memory that the process has had resident, in bytes.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[test]
fn a_file_of_64_mib_takes_a_fraction_of_that() {
    let size = 64 << 20;
    let line = [&[b'm'; 4095][..], b"\n"].concat();
    let file = file(&line.repeat(size / line.len()));
    let path = file.path().to_str().unwrap();
    let run = start(["--json", path, "--producers=2", "--consumers=2"]);
    let mut peaks = BTreeMap::new();
    let ended = run.finish_watched(|processes| {
        for &process in processes {
            if let Some(peak) = peak(process) {
                peaks.insert(process, peak);
            }
        }
    });
    for row in good_rows(&ended) {
        assert_eq!(row["messages"], json!(size / line.len()), "{row}");
    }
    assert!(peaks.len() > 4, "{peaks:?}");
    let most = peaks.values().max().unwrap();
    assert!(*most < 24 << 20, "{peaks:?}");
}
