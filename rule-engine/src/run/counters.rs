//! What an engine counts.

use serde::Serialize;

/// What the engine did and what it cut off, since it was created.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct EngineCounters {
    /// Events evaluated.
    pub events: u64,
    /// Rules that were evaluated, over all events: those that the index could not rule out.
    pub candidates: u64,
    /// Matches that were reported: all but those in `rules`.
    pub matches: u64,
    /// New terms that raised no alert because the rule was still learning.
    pub terms_learned: u64,
    /// Combinations of new terms beyond the limit per event.
    pub term_combinations_cut: u64,
    /// Combinations of field values beyond the limit, for which a function was not computed.
    pub function_combinations_cut: u64,
    /// Times that a sequence, threshold or suppression dropped the key that was unused the longest, or a waiting
    /// sequence, for lack of room.
    pub groups_evicted: u64,
    /// Events with more keys for a sequence, threshold or suppression than the limit.
    pub group_keys_cut: u64,
    /// Times that a rule could not use an event because it has no `@timestamp`.
    pub events_without_time: u64,
    /// The rules with matches that were not reported, or that forgot or cut something.
    pub rules: Vec<RuleCounters>,
}

/// What a rule did not tell, or forgot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleCounters {
    /// The rule's id.
    pub rule_id: String,
    /// The rule's name.
    pub name: String,
    /// Suppressed by the rule's `alert_suppression`.
    pub suppressed: u64,
    /// Beyond the rule's `max_signals` in an interval.
    pub held_back: u64,
    /// Keys of its sequence, groups of its threshold or suppression, and waiting sequences that were forgotten for want
    /// of room.
    pub groups_evicted: u64,
    /// Events with more keys than it looks at.
    pub group_keys_cut: u64,
}

/// What a [`Screen`](crate::Screen) found of events that no rule takes in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ScreenCounts {
    /// As [`EngineCounters::function_combinations_cut`].
    pub function_combinations_cut: u64,
    /// Events in data streams that no rule reads.
    pub unread_events: u64,
    /// The names of these streams, sorted, a thousand at most.
    pub unread_streams: Vec<String>,
}
