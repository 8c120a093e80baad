//! Who took, or sent, how many.

use postbox::Peer;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Records by the process at the other side.
#[derive(Debug, Default)]
pub struct Peers {
    /// By process id.
    shares: BTreeMap<u32, Share>,
}

/// One process's.
#[derive(Debug, Serialize)]
struct Share {
    /// Its name in the domain.
    name: Option<String>,
    pid: u32,
    records: u64,
}

impl Peers {
    /// One more record from, or to, that process.
    pub fn note(&mut self, peer: &Peer) {
        let share = self.shares.entry(peer.pid()).or_insert_with(|| Share {
            name: peer.name().map(ToString::to_string),
            pid: peer.pid(),
            records: 0,
        });
        share.records += 1;
    }

    /// For people, after `what`; nothing if there is nobody.
    pub fn words(&self, what: &str) -> String {
        let each = self.shares.values().map(|share| match &share.name {
            Some(name) => format!("{name} {}", share.records),
            None => format!("process {} {}", share.pid, share.records),
        });
        let each: Vec<String> = each.collect();
        if each.is_empty() { String::new() } else { format!("; {what} {}", each.join(", ")) }
    }
}

impl Serialize for Peers {
    /// As an array.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.shares.values())
    }
}
