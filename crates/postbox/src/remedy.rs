//! What to do about an error of the system: which limit was hit, how high it is now, how to raise it.

use postbox_sys::Errno;
use postbox_sys::limits::{self, Resource};
use postbox_sys::mqueue;
use std::fmt::Display;

/// What a call says of itself that makes the memory of a channel.
pub(crate) const CHANNEL_MEMORY: &str = "the channel's memory";

/// What a call says of itself that makes a name in a domain.
pub(crate) const LISTENING: &str = "listening in the domain";

/// The end of an error's sentence, from its colon on; empty where there is nothing to be done.
pub(crate) fn remedy(call: &str, errno: Errno) -> String {
    match (call, errno) {
        ("mq_open", Errno::EMFILE) => format!(
            ": RLIMIT_MSGQUEUE is {} for all queues of this user: raise it (ulimit -q), close other \
             queues, or use another mechanism",
            limit(Resource::RLIMIT_MSGQUEUE, "bytes")
        ),
        ("mq_open", Errno::ENOSPC) => format!(
            ": fs.mqueue.queues_max is {}: raise it (sysctl), close other queues, or use another \
             mechanism",
            or_unknown(mqueue::limits().ok().map(|limits| limits.max_queues))
        ),
        (_, Errno::EMFILE) => format!(
            ": RLIMIT_NOFILE is {}: raise it (ulimit -n), or keep fewer ends and files open",
            limit(Resource::RLIMIT_NOFILE, "descriptors")
        ),
        (_, Errno::ENFILE) => format!(
            ": fs.file-max is {}: raise it (sysctl), or end processes that keep files open",
            or_unknown(limits::file_max().ok())
        ),
        (_, Errno::ETOOMANYREFS) => format!(
            ": RLIMIT_NOFILE is {}, and more of this user's are on their way in messages: raise it \
             (ulimit -n), or have their receivers take them",
            limit(Resource::RLIMIT_NOFILE, "descriptors")
        ),
        ("fork" | "a new thread", Errno::EAGAIN) => format!(
            ": RLIMIT_NPROC is {} for this user: raise it (ulimit -u) or end some; a control group's \
             pids.max, if there is one, counts too",
            limit(Resource::RLIMIT_NPROC, "processes and threads")
        ),
        (CHANNEL_MEMORY, Errno::EFBIG) => format!(
            ": RLIMIT_FSIZE is {}, less than the smallest channel takes: raise it (ulimit -f)",
            limit(Resource::RLIMIT_FSIZE, "bytes")
        ),
        (CHANNEL_MEMORY, Errno::ENOMEM) => format!(
            ": RLIMIT_AS is {}: raise it (ulimit -v), free memory or lower the byte cap",
            limit(Resource::RLIMIT_AS, "bytes of address space")
        ),
        (_, Errno::EFBIG) => format!(
            ": RLIMIT_FSIZE is {}: raise it (ulimit -f)",
            limit(Resource::RLIMIT_FSIZE, "bytes")
        ),
        ("epoll_ctl", Errno::ENOSPC) => format!(
            ": fs.epoll.max_user_watches is {}: raise it (sysctl), or keep fewer ends open",
            or_unknown(limits::max_user_watches().ok())
        ),
        (LISTENING, Errno::ENOSPC | Errno::EDQUOT) => {
            ": the file system of the domain is full, of bytes or of inodes: make room there, or set \
             POSTBOX_DIR to a directory elsewhere"
                .into()
        }
        (LISTENING, Errno::EROFS | Errno::EACCES) => {
            ": the domain's directory cannot be written to: mend that, or set POSTBOX_DIR to one that \
             can"
            .into()
        }
        (LISTENING, Errno::ENOENT) => {
            ": the domain's directory was removed: open the domain anew, and leave its directory to \
             Postbox"
                .into()
        }
        (_, Errno::ENOMEM | Errno::ENOSPC) => {
            ": memory is short; free some or lower the byte cap".into()
        }
        _ => String::new(),
    }
}

/// What another process has said of itself, for one who has limits of its own: `whose` it is.
pub(crate) fn of_another(whose: &str, pid: u32, said: &str) -> String {
    if !said.contains("RLIMIT_") {
        return said.to_owned();
    }
    format!(
        "{said}; that is the limit of {whose} (process {pid}): to raise it, end that process, with \
         which its mailboxes go, and start one with more"
    )
}

/// What this process may have now.
fn limit(resource: Resource, of: &str) -> String {
    match limits::rlimit(resource) {
        Ok((u64::MAX, _)) => format!("unlimited {of}"),
        Ok((soft, _)) => format!("{soft} {of}"),
        Err(_) => format!("an unknown number of {of}"),
    }
}

/// Without a descriptor, nothing of `/proc` can be read.
fn or_unknown(value: Option<impl Display>) -> String {
    value.map_or("reached".into(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_names_the_limit_with_its_value() {
        let (descriptors, _) = limits::rlimit(Resource::RLIMIT_NOFILE).unwrap();
        let said = remedy("dup", Errno::EMFILE);
        assert!(
            said.starts_with(&format!(": RLIMIT_NOFILE is {descriptors} descriptors")),
            "{said}"
        );
        assert!(remedy("mq_open", Errno::EMFILE).contains("RLIMIT_MSGQUEUE is "));
        let queues = mqueue::limits().unwrap().max_queues;
        assert!(remedy("mq_open", Errno::ENOSPC).contains(&format!("queues_max is {queues}")));
        assert!(remedy("write", Errno::EFBIG).contains("RLIMIT_FSIZE is "));
        assert_eq!(remedy("dup", Errno::EBADF), "");
    }
}
