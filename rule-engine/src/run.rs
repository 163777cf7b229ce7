//! What runs on events and keeps state: sequences, thresholds, terms, alerts.

pub(crate) mod alert_limiter;
mod clock;
pub(crate) mod counters;
pub(crate) mod engine;
pub(crate) mod explain;
pub(crate) mod fair_quota;
pub(crate) mod grouped;
pub(crate) mod groups;
pub(crate) mod growth;
pub(crate) mod history;
mod intervals;
pub(crate) mod matched;
pub(crate) mod new_terms;
pub(crate) mod options;
mod pool;
pub(crate) mod screen;
pub(crate) mod sequence;
mod state;
pub(crate) mod threshold;
