//! Whether the hand-written ring is good enough to be measured against: beside rtrb, in this run.

use super::contender::Terms;
use super::crew::Trouble;
use super::references::mirror;
use super::row::{Figure, Row};
use super::statistics::Spread;

/// What it must reach of rtrb.
pub const ENOUGH: f64 = 0.9;
/// How often it may try.
const ATTEMPTS: usize = 3;

/// Both take turns; the row of the ring against rtrb. If it falls short thrice, the row says so.
pub fn judge(terms: &Terms<'_>, rounds: u32) -> Result<Row, Trouble> {
    let mut row = Row::default();
    for _ in 0..ATTEMPTS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            if round % 2 == 0 {
                ours.push(terms.mirrored()?.value);
                theirs.push(terms.mirror()?.value);
            } else {
                theirs.push(terms.mirror()?.value);
                ours.push(terms.mirrored()?.value);
            }
        }
        row = Row { rounds: ours.len(), ..unmeasured() };
        row.set(Figure::Ours, Spread::of(ours.iter().copied()));
        row.set(Figure::Theirs, Spread::of(theirs.iter().copied()));
        row.set(Figure::Ratio, Spread::of_ratios(&ours, &theirs));
        if row.ratio.is_some_and(|ratio| ratio >= ENOUGH) {
            return Ok(row);
        }
    }
    row.note = Some(format!("below {ENOUGH} of rtrb: no ratio against the rings is given"));
    Ok(row)
}

/// What is known of it beforehand.
pub fn unmeasured() -> Row {
    Row {
        subject: format!("copying ring, {} slots", mirror::SLOTS),
        mechanism: "ring",
        naming: "none",
        capacity: mirror::SLOTS.to_string(),
        wait: "spin",
        producers: 1,
        consumers: 1,
        metric: "throughput",
        payload: mirror::PAYLOAD,
        unit: "messages/s",
        reference: Some("rtrb between threads".into()),
        ..Row::default()
    }
}
