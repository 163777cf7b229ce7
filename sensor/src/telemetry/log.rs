//! The lines on stderr.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Our own messages at the level asked for, those of libraries only from warnings up.
pub fn start(level: LevelFilter) {
    let filter = Targets::new()
        .with_target("sensor", level)
        .with_target("rule_engine", level)
        .with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
