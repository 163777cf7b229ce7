//! The lines on stderr that say what the sensor does.
//!
//! A thread of its own writes them, so that nobody who has something to say waits for stderr: past the room for
//! waiting lines they are dropped and counted.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait for stderr.
const QUEUE_LENGTH: usize = 32 * 1024;

/// Writes what is still waiting when it is dropped, unless stderr takes none of it.
pub(crate) struct Log {
    _writer: WorkerGuard,
    pub(crate) dropped: DroppedLines,
}

/// How many lines stderr was too slow for.
#[derive(Clone)]
pub(crate) struct DroppedLines(ErrorCounter);

impl DroppedLines {
    pub(crate) fn count(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

/// Has our own messages written at the level asked for, those of libraries only from warnings up.
pub(crate) fn start(level: LevelFilter) -> Log {
    let filter = Targets::new()
        .with_target("sensor", level)
        .with_target("container_engines", level)
        .with_target("rule_engine", level)
        .with_default(level.min(LevelFilter::WARN));
    let (stderr, writer) = without_signals(|| {
        NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUE_LENGTH)
            .thread_name("log")
            .finish(io::stderr())
    });
    let dropped = DroppedLines(stderr.error_counter());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_target(false)
        .with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    Log {
        _writer: writer,
        dropped,
    }
}

/// Threads that are started in here leave all signals to the others.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let started = start();
    // It was the thread's own mask, so it can be set again.
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    started
}
