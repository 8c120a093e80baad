//! When to try again what did not pay.

use std::cell::Cell;

/// After so many times without it, at first.
const AFTER: u32 = 64;
/// And at most.
const MOST: u32 = 1024;

/// What did not pay is left out so many times before it is tried again; then twice as many times, and so on up to a
/// limit, until it pays.
pub(super) struct Retry {
    left: Cell<u32>,
    after: Cell<u32>,
}

impl Retry {
    pub(super) const fn new() -> Self {
        Retry { left: Cell::new(AFTER), after: Cell::new(AFTER) }
    }

    /// Whether this time it is tried.
    pub(super) fn is_due(&self) -> bool {
        let left = self.left.get() - 1;
        let due = left == 0;
        if due {
            self.after.set((2 * self.after.get()).min(MOST));
        }
        self.left.set(if due { self.after.get() } else { left });
        due
    }

    /// It has paid.
    pub(super) fn reset(&self) {
        self.left.set(AFTER);
        self.after.set(AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pay_is_tried_less_and_less_often_until_it_does() {
        let retry = Retry::new();
        let left_out = || (0..).find(|_| retry.is_due()).unwrap();
        let times: Vec<u32> = (0..6).map(|_| left_out()).collect();
        assert_eq!(times, [63, 127, 255, 511, 1023, 1023]);
        retry.reset();
        assert_eq!((left_out(), left_out()), (63, 127));
    }
}
