//! The kernel: its version, and what an older one does without.

use super::finding::Finding;
use nix::sys::utsname::uname;
use postbox::{Bytes, Capacity, Mechanism, Options};

/// A version of Linux, as far as it matters.
type Version = (u32, u32);

/// The version that Postbox cannot do without.
const OLDEST: Version = (5, 4);

/// What newer kernels add, since when, and what is done before that.
const NEWER: [(&str, Version, &str); 2] = [
    ("epoll_pwait2", (5, 11), "deadlines are kept to the millisecond, not to the microsecond"),
    ("MFD_NOEXEC_SEAL", (6, 3), "the memory of a channel does not say that it holds no program"),
];

/// The version, and what follows from it.
pub fn version() -> Vec<Finding> {
    let Some((text, version)) = running() else {
        let unknown = Finding::ok("kernel", "unknown", "its version cannot be read");
        return vec![unknown.note("see whether the mechanisms work")];
    };
    let kernel = Finding::ok("kernel", text, "Linux 5.4 or later is needed");
    let mut findings =
        vec![if version < OLDEST { kernel.problem("run a newer kernel") } else { kernel }];
    for (call, since, otherwise) in NEWER.into_iter().filter(|(_, since, _)| version < *since) {
        let (major, minor) = since;
        let missing = Finding::ok(call, "missing", otherwise);
        findings.push(missing.note(format!("Linux {major}.{minor} has it")));
    }
    findings
}

fn running() -> Option<(String, Version)> {
    let text = uname().ok()?.release().to_str()?.to_owned();
    let version = parse(&text)?;
    Some((text, version))
}

fn parse(release: &str) -> Option<Version> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether each mechanism carries a message.
pub fn mechanisms() -> Vec<Finding> {
    Mechanism::ALL.into_iter().map(mechanism).collect()
}

fn mechanism(mechanism: Mechanism) -> Finding {
    let name = mechanism.name();
    match carries(mechanism) {
        Ok(0) => Finding::ok(name, "works", "8 messages of 64 bytes went through it"),
        Ok(spilled) => {
            let meaning = format!(
                "of 8 messages of 64 bytes, {spilled} went through shared memory beside it"
            );
            Finding::ok(name, "works in part", meaning).note("see the limits below")
        }
        Err(error) => Finding::ok(name, "does not work", error)
            .problem("see the limits below, or use another mechanism"),
    }
}

/// How many of the messages went beside it.
fn carries(mechanism: Mechanism) -> Result<u64, String> {
    const MESSAGES: u32 = 8;
    let options = Options::new(mechanism).capacity(Capacity::Bounded(MESSAGES)).max_message(64);
    let (sender, receiver) = options.channel::<Bytes>().map_err(|error| error.to_string())?;
    for number in 0..MESSAGES {
        sender.try_send(&[number as u8; 64]).map_err(|error| error.to_string())?;
    }
    for number in 0..MESSAGES {
        let message = receiver.try_receive().map_err(|error| error.to_string())?;
        if message.is_none_or(|message| **message != [number as u8; 64]) {
            return Err(format!("message {number} did not come back as it went"));
        }
    }
    Ok(sender.statistics().spilled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_its_version() {
        assert_eq!(parse("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse("5.4.0"), Some((5, 4)));
        assert_eq!(parse("5.4+"), Some((5, 4)));
        assert_eq!(parse("unknown"), None);
    }

    #[test]
    fn every_mechanism_carries_its_messages_here() {
        for mechanism in [Mechanism::Pipe, Mechanism::Socket, Mechanism::SharedMemory] {
            assert_eq!(carries(mechanism), Ok(0), "{mechanism}");
        }
    }
}
