//! Loom, bounded, and checked that it had something to explore.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Tries every interleaving of `model` in which threads are interrupted up to `interruptions` times,
/// or as often as `LOOM_MAX_PREEMPTIONS` says: as many as end within seconds.
pub fn explore(interruptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let tried = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(interruptions);
    builder.check({
        let tried = tried.clone();
        move || {
            tried.fetch_add(1, Relaxed);
            model();
        }
    });
    // Loom finds by itself what to try: a model of one interleaving is one that explored nothing.
    let tried = tried.load(Relaxed);
    assert!(tried > 5, "only {tried} interleavings");
    println!("{tried} interleavings");
}
