//! What it takes until the sender knows that its message was taken.

use crate::bench::contender::{Terms, close, failed};
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::{Outcome, Sending};
use crate::bench::figures::Measured;
use crate::bench::references::line;
use crate::bench::stream::{consume, produce};
use crate::bench::subjects::{Ours, Subject};
use postbox::{Bytes, Sender};

/// `deliver`, one after another, into a channel with room: nanoseconds for each.
pub fn deliver(terms: &Terms<'_>, subject: &Subject) -> Result<Measured, Trouble> {
    let parts = || -> Outcome<Vec<Part<'static>>> {
        let ((here, there), budget) = (terms.placement.pair(), terms.budget);
        let (payload, close) = (subject.payload, close()?);
        let (tx, rx) = subject.options().channel::<Bytes>()?;
        Ok(vec![
            Part::with(here, rx, move |rx| consume(&mut Ours(rx), payload, 1)),
            Part::with(there, tx, move |tx| produce(&mut Delivering(tx), payload, budget, &close)),
        ])
    };
    terms.figures(parts().map_err(failed)?).map(Measured::each)
}

/// A cache line, there and back.
pub fn round_trip(terms: &Terms<'_>) -> Result<Measured, Trouble> {
    let parts = line::parts(terms.placement.pair(), line::Lines::Shared, line::REFERENCE)
        .map_err(failed)?;
    terms.figures(parts).map(|one_way| Measured::of(2.0 * one_way.value))
}

struct Delivering(Sender<Bytes>);

impl Sending for Delivering {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        let _receipt = self.0.deliver(message)?;
        Ok(())
    }
}
