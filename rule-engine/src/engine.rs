//! Rules over events: the last stage before an alert.

use std::sync::Arc;

use crate::history::TermHistory;
use crate::matcher::Evaluation;
use crate::record::Record;
use crate::rule::RuleInfo;
use crate::ruleset::RuleSet;
use crate::schema::fields;
use crate::streams::Categories;

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
    /// Combinations of the values of several fields that a function was not computed for.
    pub function_combinations_cut: u64,
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
    pub fn evaluate(&mut self, record: &Record, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        self.counters.events += 1;
        let categories = Categories::of(record);
        let event = Evaluation::new(record);
        for rule in &self.rules.rules {
            if !rule.categories.overlaps(categories) || !rule.matcher.matches(&event) {
                continue;
            }
            let alerts = match &rule.new_terms {
                None => vec![Vec::new()],
                Some((history_key, new_terms)) => {
                    let Some(time) = record.first_date(fields::TIMESTAMP) else {
                        self.counters.events_without_time += 1;
                        continue;
                    };
                    let now_ms = time.div_euclid(1_000_000);
                    let learn_for_ms = self.options.learn_for_ms;
                    new_terms.observe(history_key, record, now_ms, learn_for_ms, terms, &mut self.counters)
                }
            };
            for new_terms in alerts {
                self.counters.matches += 1;
                on_match(Match {
                    rule: &rule.info,
                    new_terms,
                    reason: rule.matcher.reason(&event),
                });
            }
        }
        self.counters.function_combinations_cut += event.combinations_cut();
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    pub fn counters(&self) -> EngineCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests;
