//! Events that wait in the ring buffer because an output takes too little: since when, and what is said of it.
//!
//! Only a handler that asks for it has events wait ([`EventHandler::has_room`](super::handler::EventHandler::has_room)). All else
//! that the event thread does goes on meanwhile, and what no longer fits into the ring buffer the kernel side counts.

use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::clock::wall_clock_ns;
use crate::notice::{self, Notice};

/// How long events may wait before anything is said of it.
const UNTOLD: Duration = Duration::from_secs(1);
/// The shortest time between two lines about it.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Since when events wait, until all have been taken.
#[derive(Default)]
pub(super) struct Backlog(Option<Waiting>);

struct Waiting {
    since: Instant,
    since_ns: i64,
    told: Option<Instant>,
}

impl Backlog {
    /// Notes that there was no room for an event.
    pub(super) fn begin(&mut self, now: Instant, progress: &Progress) {
        if self.0.is_none() {
            progress.wait_for_output(true);
            self.0 = Some(Waiting {
                since: now,
                since_ns: wall_clock_ns(),
                told: None,
            });
        }
    }

    /// Notes that the ring buffer is empty.
    pub(super) fn end(&mut self, now: Instant, progress: &Progress) {
        if let Some(waiting) = self.0.take() {
            progress.wait_for_output(false);
            if waiting.told.is_some() {
                let lasted = now.duration_since(waiting.since).as_secs_f64();
                tracing::info!("the output has taken all events that waited for it, after {lasted:.1} s");
            }
        }
    }

    /// Says that events wait, if they do. Call it about once a second.
    pub(super) fn tell(&mut self, now: Instant) {
        let Some(waiting) = &mut self.0 else { return };
        let lasting = now.duration_since(waiting.since);
        if lasting < UNTOLD {
            return;
        }
        notice::raise_since(Notice::OutputBehind, waiting.since_ns);
        if waiting
            .told
            .is_none_or(|told| now.duration_since(told) >= REPORT_INTERVAL)
        {
            waiting.told = Some(now);
            tracing::warn!(
                "the output takes too little (for {} s now): events wait in the kernel's ring buffer, and are lost where \
                 that is full",
                lasting.as_secs()
            );
        }
    }
}
