//! How the sensor does: what each stage counts, and how that is told: metrics, log, last lines.

pub(crate) mod backoff;
pub(crate) mod counts;
pub(crate) mod log;
pub(crate) mod prometheus;
pub(crate) mod report;
