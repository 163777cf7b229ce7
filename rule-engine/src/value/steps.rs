//! What looking at values costs, counted where it is done, for tests of how it grows.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts bytes that were looked at, or whatever else costs about as much.
pub(crate) fn add(steps: usize) {
    STEPS.set(STEPS.get() + steps as u64);
}

/// The steps that this thread's work takes.
pub(crate) fn of(work: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    work();
    STEPS.get() - before
}
