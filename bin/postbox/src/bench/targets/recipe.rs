//! How targets are put together.

use super::bound::Bound;
use super::{Against, Contender, Contest, Kind, Target};
use crate::bench::arguments::{Metric, Naming};
use crate::bench::contender::{self, Terms, failed};
use crate::bench::course;
use crate::bench::crew::Trouble;
use crate::bench::figures::Measured;
use crate::bench::placement::Cores::{self, Different};
use crate::bench::plan::{self, Case, Reference};
use crate::bench::row::Row;
use crate::bench::subjects::{Made, Subject};
use postbox::{Capacity, Mechanism, WaitStrategy};
use std::rc::Rc;

/// A channel between two processes, waiting adaptively; its capacity is yet to be found.
pub fn subject(mechanism: Mechanism, payload: usize) -> Subject {
    Subject {
        mechanism,
        naming: Naming::Channel,
        capacity: Capacity::Zero,
        wait: WaitStrategy::Adaptive,
        payload,
        producers: 1,
        consumers: 1,
        made: Made::Fitted,
    }
}

/// The case with the capacity asked for, or that of the kernel object.
pub fn prepared(
    metric: Metric,
    subject: &Subject,
    asked: Option<Capacity>,
) -> Result<Case, Trouble> {
    let found = plan::depth(subject.mechanism, subject.payload, asked);
    let (capacity, depth) = found.map_err(failed)?;
    let subject = Subject { capacity, ..subject.clone() };
    Ok(Case { metric, subject, references: Vec::new(), depth })
}

/// One that is built when its turn comes.
pub fn target(
    name: String,
    cores: Cores,
    build: impl Fn(&Terms<'_>) -> Result<Contest, Trouble> + 'static,
) -> Target {
    Target { name, cores, build: Box::new(build) }
}

/// A plain ping-pong or stream on different cores, beside references of the plain bench.
pub fn case(
    name: String,
    metric: Metric,
    subject: Subject,
    references: Vec<(Reference, Option<Bound>)>,
) -> Target {
    target(name, Different, move |_| {
        let case = Rc::new(prepared(metric, &subject, None)?);
        let row = course::row(&case);
        let all = references.iter().map(|&(reference, bound)| against(&case, reference, bound));
        let all = all.collect::<Result<_, _>>()?;
        Ok(contest(row, move |terms| terms.subject(&case), all))
    })
}

/// As many rounds as there are, and a bound for the ratios alone.
pub fn contest(
    row: Row,
    ours: impl Fn(&Terms<'_>) -> Result<Measured, Trouble> + 'static,
    against: Vec<Against>,
) -> Contest {
    Contest {
        row,
        ours: Box::new(ours),
        rounds: u32::MAX,
        bound: None,
        against,
        absent: Vec::new(),
    }
}

/// A reference of the plain bench.
pub fn against(
    case: &Rc<Case>,
    reference: Reference,
    bound: Option<Bound>,
) -> Result<Against, Trouble> {
    let name = contender::name(case, reference).map_err(failed)?;
    let ring = matches!(reference, Reference::Copying | Reference::InPlace);
    let case = case.clone();
    let run: Contender = Box::new(move |terms| terms.reference(&case, reference));
    Ok(Against { name, bound, kind: if ring { Kind::Ring } else { Kind::Plain }, run })
}

/// Something else.
pub fn plain(
    name: String,
    bound: Bound,
    run: impl Fn(&Terms<'_>) -> Result<Measured, Trouble> + 'static,
) -> Against {
    Against { name, bound: Some(bound), kind: Kind::Plain, run: Box::new(run) }
}
