//! What a report says of the machine that it was made on.

use nix::sys::utsname::uname;
use std::fs;
use std::process::Command;

/// Kernel, processors and date, a line each.
pub fn describe() -> Vec<(&'static str, String)> {
    let kernel = uname().map_or_else(
        |_| unknown(),
        |name| format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
    );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        ("kernel", kernel),
        ("processor", processor()),
        ("cores that this process may use", cores.to_string()),
        ("date", date()),
        ("command", std::env::args().collect::<Vec<_>>().join(" ")),
    ]
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(unknown, |(_, name)| name.to_owned())
}

/// As `date(1)` tells it, who knows calendars.
fn date() -> String {
    let said = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    said.map_or_else(|_| unknown(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
