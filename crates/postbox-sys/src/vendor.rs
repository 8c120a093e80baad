//! What differs between processors of different makers.

#![allow(unsafe_code)]

use std::sync::LazyLock;

/// Whether a core that reads a line which another has written leaves it to that one to be written again.
///
/// So it is in AMD's processors, where the writer stays the line's owner (the O of MOESI). In others the reader takes
/// it along, and to write it again is to fetch it back.
#[inline]
pub fn reading_leaves_lines() -> bool {
    static LEAVES: LazyLock<bool> =
        LazyLock::new(|| vendor().is_some_and(|v| VENDORS.contains(&v)));
    *LEAVES
}

const VENDORS: [[u8; 12]; 2] = [*b"AuthenticAMD", *b"HygonGenuine"];

/// Who has made the processor, by `cpuid`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
fn vendor() -> Option<[u8; 12]> {
    // SAFETY: every processor that runs this has the instruction.
    let name = unsafe { core::arch::x86_64::__cpuid(0) };
    let mut vendor = [0; 12];
    for (four, register) in vendor.chunks_exact_mut(4).zip([name.ebx, name.edx, name.ecx]) {
        four.copy_from_slice(&register.to_le_bytes());
    }
    Some(vendor)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn vendor() -> Option<[u8; 12]> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_processor_has_the_maker_that_the_kernel_names() {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let named = cpus.lines().find(|line| line.starts_with("vendor_id")).unwrap();
        let vendor = vendor().unwrap();
        assert!(named.ends_with(std::str::from_utf8(&vendor).unwrap()), "{named}");
        assert_eq!(reading_leaves_lines(), VENDORS.contains(&vendor));
    }
}
