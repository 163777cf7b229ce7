//! Capabilities of the calling thread.

use std::thread;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

/// Keeps these as far as they are there, and gives up all others for good.
pub(super) fn keep(wanted: Vec<Capability>) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = wanted.into_iter().filter(|one| permitted.contains(one)).collect();
    // What is inheritable could be had again by starting a program. Dropping it drops what is ambient.
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// Calls `start` so that the threads that it starts have no capabilities, where a thread for that can be had.
pub(crate) fn without_capabilities<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    let dropping = || {
        // A thread that keeps what the others have is no worse than they are.
        let _ = keep(Vec::new());
        start()
    };
    thread::scope(|scope| match scope.spawn(dropping).join() {
        Ok(started) => started,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
