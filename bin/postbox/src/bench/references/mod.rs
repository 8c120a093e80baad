//! What ours is measured against: bare loops of the same system calls, one cache line, plain
//! copying, and hand-written rings.

pub mod bare;
pub mod copy;
pub mod line;
pub mod mirror;
pub mod ring;
pub mod slots;

use super::ends::Outcome;
use postbox::Fault;
use postbox_ring::Region;
use postbox_sys::{Errno, limits, memfd};

/// Zeroed memory that processes forked from this one share.
pub fn memory(bytes: usize) -> Outcome<Region> {
    let bytes = bytes.max(4096) as u64;
    // Touching more than there is is no error: the kernel kills for it.
    if let Some(available) = limits::memory_available().filter(|&available| bytes > available) {
        let remedy = "take a smaller --payload or --capacity";
        return Err(
            format!("{bytes} bytes of memory, of which {available} are free: {remedy}").into()
        );
    }
    let mapped = memfd::create_sealed("postbox-bench", bytes).and_then(memfd::map);
    let region = mapped.map_err(refused("the bench's shared memory"))?;
    // Touched here, so that no run pays for the first use of a page.
    let zeros = [0; 4096];
    let len = region.len();
    for page in (0..len).step_by(zeros.len()) {
        region.write(page, &zeros[..zeros.len().min(len - page)])?;
    }
    Ok(region)
}

/// In the words of the library, which name the limit and what to do about it.
fn refused(call: &'static str) -> impl FnOnce(Errno) -> Fault {
    move |errno| Fault::System { call, errno }
}
