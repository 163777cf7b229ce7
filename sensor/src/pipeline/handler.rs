//! The stage downstream of the process table, as the event thread sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::{alert::loss::Losses, event::Event, kernel::Environment, telemetry::counts::PipelineCounts};

/// How long the thread sleeps without events before it checks whether to stop. An exec whose further arguments have not
/// arrived by then is emitted without them.
pub(crate) const IDLE: Duration = Duration::from_millis(100);

/// For how long events are kept while another sensor does the work: longer than that one takes to end, from when it
/// detaches until its state is written.
pub(crate) const HELD_FOR: Duration = Duration::from_secs(20);

/// Whether the event thread is to end; whoever wants that says so and never waits.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn request(&self) {
        self.0.store(true, Relaxed);
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Takes events, on the event thread.
pub(crate) trait EventHandler {
    /// What other threads may send to the handler.
    type Update;

    /// Whether it looks at processes' environments, as far as is known at the start.
    fn environment(&self) -> Environment;

    /// Whether another sensor still does the work of this one: events come late then, and only so that the process table
    /// is right; what came within the last [`HELD_FOR`] is still to come when that has ended.
    fn stands_by(&self) -> bool {
        false
    }

    /// Takes one event.
    fn event(&mut self, event: &Event<'_>, losses: &Losses);

    /// Whether it can take an event at present. If not, events stay in the ring buffer, and it is asked again soon.
    fn has_room(&mut self) -> bool {
        true
    }

    /// From now on there has to be room for each event, whatever has to be lost instead: the end is near.
    fn wait_no_longer(&mut self) {}

    /// Takes an update.
    fn update(&mut self, losses: &Losses, update: Self::Update);

    /// Called when the ring buffer is empty, and at least once a second. If it is empty, every event before
    /// `handled_until_ns` of the boot clock has been passed in.
    fn idle(&mut self, losses: &Losses, handled_until_ns: Option<i64>);

    /// The hooks are about to be detached, at this time of the boot clock: all events from before will have been passed in.
    fn detaching(&mut self, _boot_clock_ns: i64) {}

    /// Called after the last event.
    fn finish(&mut self, losses: &Losses);

    /// Called about once a second with the counts so far.
    fn counted(&mut self, _counts: &PipelineCounts) {}

    /// How long the thread may sleep without events, at most [`IDLE`].
    fn may_sleep(&self) -> Duration {
        IDLE
    }
}
