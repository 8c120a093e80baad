//! What the machine grants, and what Postbox makes of it.

use super::finding::Finding;
use postbox_program::tables::grouped;
use postbox_sys::limits::{self, Resource};
use postbox_sys::mqueue;
use std::fs;

/// Descriptors of a channel in one process, at most; a link is two channels.
const PER_CHANNEL: u64 = 8;
/// What the kernel charges for a POSIX queue of ten messages of 8 KiB, its own book-keeping
/// included.
const USUAL_QUEUE: u64 = 10 * (8192 + 64);
/// The smallest queue that is ever asked for.
const SMALLEST_QUEUE: u64 = 128 + 64;
/// Address space of a channel with the default limits.
const CHANNEL_SPACE: u64 = 580 << 20;

/// All limits.
pub fn findings() -> Vec<Finding> {
    let mut findings = vec![descriptors()];
    findings.extend(queues());
    findings.extend(pipes());
    findings.extend(socket_buffer());
    findings.extend([file_size(), address_space()]);
    findings.extend(memory());
    findings.extend(watches());
    findings
}

/// The soft and hard limit; none for what the kernel does not know.
fn limit(resource: Resource) -> (u64, u64) {
    limits::rlimit(resource).unwrap_or((u64::MAX, u64::MAX))
}

fn shown(amount: u64) -> String {
    if amount >= u64::MAX >> 1 { "unlimited".to_owned() } else { amount.to_string() }
}

/// How to raise a limit of the shell.
fn ulimit(option: &str, hard: u64, needed: u64) -> String {
    if hard >= needed {
        format!(
            "ulimit -{option} {}",
            if hard > u64::MAX >> 1 { "unlimited".into() } else { hard.to_string() }
        )
    } else {
        format!(
            "raise the hard limit (limits.conf, or LimitXXX= of the service), then ulimit -{option}"
        )
    }
}

fn descriptors() -> Finding {
    let (soft, hard) = limit(Resource::RLIMIT_NOFILE);
    let links = soft / (2 * PER_CHANNEL);
    let meaning = format!("descriptors of a process: room for about {} links", grouped(links));
    let finding = Finding::ok("RLIMIT_NOFILE", shown(soft), meaning);
    match soft {
        0..64 => finding.problem(ulimit("n", hard, 1024)),
        64..1024 => finding.note(ulimit("n", hard, 1024)),
        _ => finding,
    }
}

fn queues() -> Vec<Finding> {
    let Ok(queue) = mqueue::limits() else {
        let meaning = "no /proc/sys/fs/mqueue here: a queue is taken to hold 10 messages of 8 KiB";
        let none = Finding::ok("fs.mqueue", "not to be seen", meaning);
        return vec![none.note("mount /proc whole, or use a kernel with CONFIG_POSIX_MQUEUE")];
    };
    let (soft, hard) = limit(Resource::RLIMIT_MSGQUEUE);
    let meaning = format!(
        "bytes of all POSIX queues of a user: room for {} of 10 messages of 8 KiB",
        shown(soft / USUAL_QUEUE)
    );
    let quota = Finding::ok("RLIMIT_MSGQUEUE", shown(soft), meaning);
    let quota = match soft {
        0..SMALLEST_QUEUE => quota.problem(ulimit("q", hard, 819_200)),
        SMALLEST_QUEUE..USUAL_QUEUE => quota.note(ulimit("q", hard, 819_200)),
        _ => quota,
    };
    let sysctl = |name: &str, value: u64, enough: u64, meaning: &str| {
        let finding = Finding::ok(name, value, meaning);
        if value < enough { finding.note(format!("sysctl {name}={enough}")) } else { finding }
    };
    vec![
        quota,
        sysctl(
            "fs.mqueue.msg_max",
            queue.max_messages,
            8,
            "messages in a POSIX queue; what is beyond waits in shared memory",
        ),
        sysctl(
            "fs.mqueue.msgsize_max",
            queue.max_message_size,
            4096,
            "bytes of a message in a POSIX queue; larger ones go through shared memory",
        ),
        sysctl("fs.mqueue.queues_max", queue.max_queues, 16, "POSIX queues in the system"),
    ]
}

fn pipes() -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(bytes) = limits::pipe_max_size() {
        let meaning = format!("packets in a pipe: {}", grouped(bytes / limits::page_size() as u64));
        let finding = Finding::ok("fs.pipe-max-size", bytes, meaning);
        let shallow = bytes < 1 << 20;
        findings.push(if shallow {
            finding.note("sysctl fs.pipe-max-size=1048576")
        } else {
            finding
        });
    }
    if let Ok(pages) = limits::pipe_user_pages_soft() {
        let (name, enough) = ("fs.pipe-user-pages-soft", 16_384);
        let meaning =
            "pages of all pipes of a user, 0 for no limit; beyond it new pipes are shallow";
        let finding = Finding::ok(name, pages, meaning);
        let tight = (1..enough).contains(&pages);
        findings.push(if tight {
            finding.note(format!("sysctl {name}={enough}"))
        } else {
            finding
        });
    }
    findings
}

fn socket_buffer() -> Option<Finding> {
    let (name, enough) = ("net.core.wmem_max", 212_992);
    let bytes = sysctl_number(name)?;
    let meaning = "bytes that a socket may buffer; what is beyond waits in shared memory";
    let finding = Finding::ok(name, bytes, meaning);
    Some(if bytes < enough { finding.note(format!("sysctl {name}={enough}")) } else { finding })
}

fn file_size() -> Finding {
    let (soft, hard) = limit(Resource::RLIMIT_FSIZE);
    let meaning =
        "bytes of a file, a channel's memory included; a low one makes the byte cap smaller";
    let finding = Finding::ok("RLIMIT_FSIZE", shown(soft), meaning);
    if soft < CHANNEL_SPACE { finding.note(ulimit("f", hard, CHANNEL_SPACE)) } else { finding }
}

fn address_space() -> Finding {
    let (soft, hard) = limit(Resource::RLIMIT_AS);
    let meaning = "bytes of address space; a default channel maps 580 MiB of it, mostly unused";
    let finding = Finding::ok("RLIMIT_AS", shown(soft), meaning);
    if soft < 8 * CHANNEL_SPACE {
        finding.note(ulimit("v", hard, 8 * CHANNEL_SPACE))
    } else {
        finding
    }
}

fn memory() -> Option<Finding> {
    let bytes = limits::cgroup_memory_max()?;
    let meaning =
        "bytes of memory that the control group allows; a quarter is the default byte cap";
    let finding = Finding::ok("memory.max", bytes, meaning);
    let tight = bytes < 1 << 30;
    Some(if tight { finding.note("raise it, or keep less waiting in channels") } else { finding })
}

fn watches() -> Option<Finding> {
    let (name, enough) = ("fs.inotify.max_user_instances", 128);
    let instances = sysctl_number(name)?;
    let meaning = "how many processes of a user may wait for a partner who is not there yet";
    let finding = Finding::ok(name, instances, meaning);
    Some(if instances < enough { finding.note(format!("sysctl {name}={enough}")) } else { finding })
}

fn sysctl_number(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
