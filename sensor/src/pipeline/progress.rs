//! How far the event thread is, for threads that must know without asking it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::telemetry::counts::PipelineCounts;

const NOT_BEGUN: i64 = i64::MIN;

/// Shared between the event thread, which never waits for the others, and those.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Shared>);

struct Shared {
    counted: Mutex<Counted>,
    handled_until_ns: AtomicI64,
    waits_for_output: AtomicBool,
}

/// What the event thread said last.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) at: Instant,
    pub(crate) counts: PipelineCounts,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress(Arc::new(Shared {
            counted: Mutex::new(Counted {
                at: Instant::now(),
                counts: PipelineCounts::default(),
            }),
            handled_until_ns: AtomicI64::new(NOT_BEGUN),
            waits_for_output: AtomicBool::new(false),
        }))
    }

    /// What was counted last.
    pub(crate) fn counted(&self) -> Counted {
        *self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel side is attached and its records are awaited.
    pub(crate) fn has_begun(&self) -> bool {
        self.handled_until_ns() != NOT_BEGUN
    }

    /// Every record from before this time of the boot clock has been handled.
    pub(crate) fn handled_until_ns(&self) -> i64 {
        self.0.handled_until_ns.load(Relaxed)
    }

    /// Whether events wait in the ring buffer because of an output that takes too little.
    pub(crate) fn waits_for_output(&self) -> bool {
        self.0.waits_for_output.load(Relaxed)
    }

    /// Says what is counted, unless somebody is looking just now.
    pub(super) fn count(&self, counts: PipelineCounts) {
        if let Ok(mut counted) = self.0.counted.try_lock() {
            *counted = Counted {
                at: Instant::now(),
                counts,
            };
        }
    }

    pub(super) fn begin(&self) {
        self.handled_until(0);
    }

    pub(super) fn wait_for_output(&self, waits: bool) {
        self.0.waits_for_output.store(waits, Relaxed);
    }

    pub(super) fn handled_until(&self, boot_clock_ns: i64) {
        self.0.handled_until_ns.store(boot_clock_ns, Relaxed);
    }
}
