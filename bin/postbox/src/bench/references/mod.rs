//! What ours is measured against: bare loops of the same system calls, one cache line, plain
//! copying, and hand-written rings.

pub mod bare;
pub mod copy;
pub mod line;
pub mod mirror;
pub mod ring;

use super::ends::Outcome;
use postbox_ring::Region;
use postbox_sys::memfd;

/// Zeroed memory that processes forked from this one share.
pub fn memory(bytes: usize) -> Outcome<Region> {
    let region = memfd::map(memfd::create_sealed("postbox-bench", bytes.max(4096) as u64)?)?;
    // Touched here, so that no run pays for the first use of a page.
    let zeros = [0; 4096];
    let len = region.len();
    for page in (0..len).step_by(zeros.len()) {
        region.write(page, &zeros[..zeros.len().min(len - page)])?;
    }
    Ok(region)
}
