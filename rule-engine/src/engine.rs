//! Rules over events: the last stage before an alert.

use std::sync::Arc;

use crate::history::TermHistory;
use crate::record::Record;
use crate::rule::RuleInfo;
use crate::ruleset::RuleSet;

/// Runs a rule set over records, one after the other. Never panics and never refuses an event: trouble is a counter.
pub struct Engine {
    rules: RuleSet,
    options: EngineOptions,
    counters: EngineCounters,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct EngineOptions {
    /// How long a new-terms rule only learns after its first event, in milliseconds; a rule's own `learn_for` counts
    /// instead where it has one.
    pub learn_for_ms: i64,
}

/// What the engine did and what it cut, since it was made.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct EngineCounters {
    pub events: u64,
    pub matches: u64,
    /// New terms that raised no alert because the rule was still learning.
    pub terms_learned: u64,
    /// Combinations of values past the limit for one event that were not looked at.
    pub term_combinations_cut: u64,
    /// Events without `@timestamp`, which new-terms rules cannot place in time.
    pub events_without_time: u64,
}

/// A rule that matched the event.
pub struct Match<'a> {
    pub rule: &'a Arc<RuleInfo>,
    /// The values that had not been seen together before, one for each field of a new-terms rule; empty otherwise.
    pub new_terms: Vec<String>,
    /// The conditions that held, each with the values of the event that made it hold.
    pub reason: Vec<String>,
}

impl Engine {
    pub fn new(rules: RuleSet, options: EngineOptions) -> Engine {
        Engine {
            rules,
            options,
            counters: EngineCounters::default(),
        }
    }

    /// Calls `on_match` for each rule that the event satisfies; a new-terms rule once for each new combination.
    pub fn evaluate(&mut self, _record: &Record, _terms: &mut dyn TermHistory, _on_match: &mut dyn FnMut(Match<'_>)) {
        let _ = self.options;
        self.counters.events += 1;
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    pub fn counters(&self) -> EngineCounters {
        self.counters
    }
}
