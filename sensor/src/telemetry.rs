//! What the sensor says about itself: the counts of each stage, as metrics and as lines on stderr.
//!
//! Stands before all stages, which count here and log through here, and imports none of them.

pub(crate) mod backoff;
pub(crate) mod beat;
pub(crate) mod counts;
pub(crate) mod log;
pub(crate) mod prometheus;
pub(crate) mod report;
