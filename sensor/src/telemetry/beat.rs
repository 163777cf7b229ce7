//! When a thread last did its round, for others to see that it does not hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Shared between a thread and who looks after it; neither waits.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    since: Instant,
    milliseconds: Arc<AtomicU64>,
}

impl Beat {
    /// Beaten now.
    pub(crate) fn new() -> Self {
        Beat {
            since: Instant::now(),
            milliseconds: Arc::default(),
        }
    }

    pub(crate) fn note(&self) {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.store(elapsed, Relaxed);
    }

    /// How long ago it was.
    pub(crate) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.milliseconds.load(Relaxed));
        self.since.elapsed().saturating_sub(last)
    }
}
