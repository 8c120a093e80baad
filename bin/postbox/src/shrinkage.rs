//! A channel that holds less than it was made for: a low limit on memory has made it smaller.

use postbox_sys::limits::{self, Resource};

/// The limits, and how they are raised.
const LIMITS: [(Resource, &str, &str); 2] = [
    (Resource::RLIMIT_AS, "RLIMIT_AS", "ulimit -v"),
    (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", "ulimit -f"),
];

/// The end of a sentence that says which limit it was, from its colon on; empty if none is set.
pub fn remedy() -> String {
    let set = LIMITS.into_iter().filter_map(|(resource, name, raise)| {
        let (soft, _) = limits::rlimit(resource).ok().filter(|&(soft, _)| soft != u64::MAX)?;
        Some(format!(": {name} is {soft} bytes, which makes channels smaller: raise it ({raise})"))
    });
    set.collect()
}
