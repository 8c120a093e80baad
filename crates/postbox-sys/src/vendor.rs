//! What differs between processors of different makers.

#![allow(unsafe_code)]

use std::sync::LazyLock;

/// Whether a look at a cache line hardly delays another core that is about to write it.
///
/// As measured by `postbox bench --targets --only latency`: what two cores write to each other in a line each takes 1.5 to 1.6 times
/// as long on AMD's as in one line to and fro, and 2.2 times on Intel's, where the one who looks seems to take the line along.
#[inline]
pub fn looks_are_cheap() -> bool {
    static CHEAP: LazyLock<bool> = LazyLock::new(|| vendor().is_some_and(|v| VENDORS.contains(&v)));
    *CHEAP
}

/// Whether PREFETCHW lets a line come that another core has read, so that it can be written.
///
/// On AMD's Zen 4 in a virtual machine it does not: lines that were fetched so, and given twenty microseconds to come, take a store as
/// long as if they had not been, where those that were written once before take it at once (a loop that is not part of this
/// repository).
#[inline]
pub fn fetches_for_writing() -> bool {
    !looks_are_cheap()
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
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn the_processor_has_the_maker_that_the_kernel_names() {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let named = cpus.lines().find(|line| line.starts_with("vendor_id")).unwrap();
        let vendor = vendor().unwrap();
        assert!(named.ends_with(std::str::from_utf8(&vendor).unwrap()), "{named}");
        assert_eq!(looks_are_cheap(), VENDORS.contains(&vendor));
        assert_eq!(fetches_for_writing(), !VENDORS.contains(&vendor));
    }
}
