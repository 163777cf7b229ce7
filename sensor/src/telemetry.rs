//! How the sensor does: what each stage counts, and how that is told: metrics, log, last lines.

pub mod backoff;
pub mod counts;
pub mod log;
pub mod prometheus;
pub mod report;
