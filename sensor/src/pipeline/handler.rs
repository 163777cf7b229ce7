//! The stage downstream of the process table, as the event thread sees it.

use std::time::Duration;

use crate::{alert::loss::Losses, event::Event, kernel::Environment, telemetry::counts::PipelineCounts};

/// How long the thread sleeps without events before it checks for commands. An exec whose further arguments have not
/// arrived by then is emitted without them.
pub(crate) const IDLE: Duration = Duration::from_millis(100);

/// What other threads may send to the event thread.
pub(crate) enum Command<Update> {
    Stop,
    /// Something for the handler.
    Update(Update),
}

/// Takes events, on the event thread.
pub(crate) trait EventHandler {
    /// What other threads may send to the handler.
    type Update;

    /// Whether it looks at processes' environments, as far as is known at the start.
    fn environment(&self) -> Environment;

    /// Takes one event.
    fn event(&mut self, event: &Event<'_>, losses: &Losses);

    /// Takes an update.
    fn update(&mut self, losses: &Losses, update: Self::Update);

    /// Called when the ring buffer is empty, and at least once a second; returns whether to go on. If it is empty, every
    /// event before `handled_until_ns` of the wall clock has been passed in.
    fn idle(&mut self, losses: &Losses, handled_until_ns: Option<i64>) -> Flow;

    /// Called after the last event.
    fn finish(&mut self, losses: &Losses);

    /// Called about once a second with the counts so far.
    fn counted(&mut self, _counts: &PipelineCounts) {}

    /// How long the thread may sleep without events, at most [`IDLE`].
    fn may_sleep(&self) -> Duration {
        IDLE
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Stop,
}
