//! How many slots serve best: of a stream over shared memory the footprint decides, by whether the
//! lines that were just written are still in a cache that both sides see.

use crate::bench::crew::Trouble;
use crate::bench::figures::Measured;

/// Runs of each candidate; the best one counts.
const RUNS: usize = 3;

/// The candidate with the highest figure.
pub fn best(
    candidates: &[u32],
    mut run: impl FnMut(u32) -> Result<Measured, Trouble>,
) -> Result<u32, Trouble> {
    let mut best = (0.0, 1);
    for _ in 0..RUNS {
        for &candidate in candidates {
            let value = run(candidate)?.value;
            if value > best.0 {
                best = (value, candidate);
            }
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_run_of_all_decides() {
        let mut turn = 0.0;
        let run = |candidate| {
            turn += 1.0;
            Ok(Measured::of(if candidate == 16 { 3.5 } else { turn % 3.0 }))
        };
        assert_eq!(best(&[4, 16, 64], run), Ok(16));
        let stopped = best(&[4], |_| Err(Trouble::Stopped));
        assert_eq!(stopped, Err(Trouble::Stopped));
    }
}
