//! What an engine counts.

use serde::Serialize;

/// What the engine did and what it cut, since it was made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct EngineCounters {
    /// Events evaluated.
    pub events: u64,
    /// Matches that were reported: all but those in `rules`.
    pub matches: u64,
    /// New terms that raised no alert because the rule was still learning.
    pub terms_learned: u64,
    /// Combinations of values past the limit for one event that were not looked at.
    pub term_combinations_cut: u64,
    /// Combinations of the values of several fields that a function was not computed for.
    pub function_combinations_cut: u64,
    /// Times that a sequence, threshold or suppression dropped the key that was unused the longest, or a waiting
    /// sequence, for lack of room.
    pub groups_evicted: u64,
    /// Times that an event had more values in the keys of a sequence, threshold or suppression than are looked at.
    pub group_keys_cut: u64,
    /// Times that an event without `@timestamp` could not be placed in time for a rule.
    pub events_without_time: u64,
    /// The rules of which some matches were not reported.
    pub rules: Vec<RuleCounters>,
}

/// Matches of a rule that became no alerts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleCounters {
    /// The rule's id.
    pub rule_id: String,
    /// The rule's name.
    pub name: String,
    /// Alike to an alert before them, by the rule's `alert_suppression`.
    pub suppressed: u64,
    /// Past the rule's `max_signals` in an interval.
    pub held_back: u64,
}
