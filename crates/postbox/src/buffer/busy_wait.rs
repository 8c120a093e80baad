//! Busy waiting: the textbook's `while (condition) ; /* do nothing */`.

/// How often to look before the processor is offered to others between two looks: some tens of
/// microseconds, in which a partner that runs on another core answers.
const LOOKS: u32 = 2_000;

/// One wait.
#[derive(Default)]
pub(super) struct BusyWait {
    looks: u32,
}

impl BusyWait {
    /// Between two looks.
    #[inline]
    pub(super) fn again(&mut self) {
        if self.looks < LOOKS {
            self.looks += 1;
            std::hint::spin_loop();
        } else {
            // Perhaps the partner waits for this very core.
            std::thread::yield_now();
        }
    }
}
