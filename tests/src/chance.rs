//! Random numbers that can be had again.

use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that sets the seed of every test.
const SEED: &str = "POSTBOX_SEED";

/// Random numbers (xorshift64*). The seed is printed when the case fails, and set by
/// `POSTBOX_SEED`.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A new seed, or the one that was asked for.
    pub fn new() -> Self {
        let asked = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
        });
        // The output of a case is shown if it fails.
        println!("{SEED}={seed}");
        Chance::seeded(seed)
    }

    /// From that seed.
    pub fn seeded(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Independent numbers for a child or thread.
    pub fn branch(&mut self) -> Self {
        Chance::seeded(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

impl Default for Chance {
    fn default() -> Self {
        Chance::new()
    }
}
