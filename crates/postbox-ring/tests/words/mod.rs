//! The words of one channel's admission, of loom's.

use postbox_ring::admission::{Admission, LANES, Lane};
use postbox_ring::sync::AtomicU64;

pub struct Words {
    admit: AtomicU64,
    gone: [AtomicU64; 2],
    lanes: [(AtomicU64, [AtomicU64; 2]); LANES],
    repair: AtomicU64,
    debt: AtomicU64,
    mark: AtomicU64,
}

impl Words {
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Words {
            admit: zero(),
            gone: [zero(), zero()],
            lanes: std::array::from_fn(|_| (zero(), [zero(), zero()])),
            repair: zero(),
            debt: zero(),
            mark: zero(),
        }
    }

    pub fn admission(&self) -> Admission<'_> {
        Admission {
            admit: &self.admit,
            gone: [&self.gone[0], &self.gone[1]],
            lanes: self
                .lanes
                .each_ref()
                .map(|(owner, [even, odd])| Lane { owner, gone: [even, odd] }),
            repair: &self.repair,
            debt: &self.debt,
            mark: &self.mark,
        }
    }
}
