//! Starting `postbox chaos`.

use crate::run::{Ended, Run, living, postbox};
use serde_json::Value;

/// Starts it with those arguments.
pub fn start(arguments: &[&str]) -> Run {
    Run::of(postbox().arg("chaos").args(arguments))
}

/// Waits until it has that many victims at least.
pub fn await_victims(run: &Run, count: usize) {
    // Those of the group, less the ledger.
    run.await_children(&format!("{count} victims"), |_| living(run.pid()).len() > count);
}

/// The rows of a run in which the contract was kept. All that it says besides is the seed.
pub fn good_rows(ended: &Ended) -> Vec<Value> {
    assert_eq!((ended.code(), ended.err().lines().count()), (Some(0), 1), "{ended:?}");
    let rows = ended.rows();
    assert!(rows.iter().all(|row| row["verdict"] == "kept"), "{rows:?}");
    rows
}
