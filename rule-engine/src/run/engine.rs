//! Rules over events: the last stage before an alert.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::compile::graph::{Evaluation, Matcher, Scratch};
use crate::compile::index::Candidates;
use crate::compile::rules::{CompiledDetection, CompiledRule, RuleSet};
use crate::record::Record;
use crate::record::key::owner;
use crate::record::streams::Categories;
use crate::rule::RuleInfo;
use crate::run::counters::{EngineCounters, RuleCounters};
use crate::run::history::TermHistory;
use crate::run::sequence::EarlierEvents;
use crate::schema::fields;

/// Runs a rule set over records, one after the other. Never panics and never refuses an event: trouble is a counter.
pub struct Engine {
    rules: RuleSet,
    options: EngineOptions,
    counters: EngineCounters,
    candidates: Candidates,
    scratch: Scratch,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct EngineOptions {
    /// How long a new-terms rule only learns after its first event, in milliseconds; a rule's own `learn_for` counts
    /// instead where it has one.
    pub learn_for_ms: i64,
}

/// A rule that matched the event.
pub struct Match<'a> {
    pub rule: &'a Arc<RuleInfo>,
    /// The event that matched, as a short ECS document, if it is an earlier one than the present: the last event of a
    /// sequence behind which another had to be missing.
    pub past_event: Option<Arc<Map<String, Json>>>,
    /// The values that had not been seen together before, one for each field of a new-terms rule; empty otherwise.
    pub new_terms: Vec<String>,
    /// The events of a sequence before the one that completes it, oldest first, each as a short ECS document; empty
    /// for other rules.
    pub earlier_events: Vec<Arc<Map<String, Json>>>,
    /// The conditions that held, each with the values of the event that made it hold.
    pub reason: Vec<String>,
}

/// What an event lacks for a rule to take it in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NearMiss {
    /// Of a sequence, which of its events this would be, from 1; `until` comes last.
    pub term: Option<usize>,
    /// How many tests would have to come out otherwise, at least 1.
    pub distance: u32,
    /// Those tests, with what the event has and what is wanted.
    pub failed: Vec<String>,
}

/// What is particular to one match of a rule.
#[derive(Default)]
struct Alert {
    new_terms: Vec<String>,
    earlier_events: EarlierEvents,
    /// The group that reached a threshold.
    group: Option<String>,
}

impl CompiledDetection {
    /// Whether the rule takes the event in, unless an exception keeps it out.
    fn concerns(&self, event: &Evaluation<'_>) -> bool {
        match self {
            CompiledDetection::Event(matcher)
            | CompiledDetection::NewTerms { matcher, .. }
            | CompiledDetection::Threshold { matcher, .. } => matcher.matches(event),
            CompiledDetection::Sequence(sequence) => sequence.concerns(event),
        }
    }

    /// Takes in an event that concerns the rule; gives what it makes the rule say.
    fn take_in(
        &mut self,
        event: &Evaluation<'_>,
        options: EngineOptions,
        terms: &mut dyn TermHistory,
        counters: &mut EngineCounters,
    ) -> Vec<Alert> {
        match (self, event.record.first_date(fields::TIMESTAMP)) {
            (CompiledDetection::Event(_), _) => vec![Alert::default()],
            (_, None) => {
                counters.events_without_time += 1;
                Vec::new()
            }
            (
                CompiledDetection::NewTerms {
                    new_terms, history_key, ..
                },
                Some(now_ns),
            ) => {
                let (now_ms, learn_for_ms) = (now_ns.div_euclid(1_000_000), options.learn_for_ms);
                let new = new_terms.observe(history_key, event.record, now_ms, learn_for_ms, terms, counters);
                let alert = |new_terms| Alert {
                    new_terms,
                    ..Alert::default()
                };
                new.into_iter().map(alert).collect()
            }
            (CompiledDetection::Sequence(sequence), Some(now_ns)) => {
                let alert = |earlier_events| Alert {
                    earlier_events,
                    ..Alert::default()
                };
                let completed = sequence.observe(event, now_ns, counters);
                completed.into_iter().map(alert).collect()
            }
            (CompiledDetection::Threshold { counter, .. }, Some(now_ns)) => {
                let alert = |group| Alert {
                    group: Some(group),
                    ..Alert::default()
                };
                let reached = counter.observe(event.record, now_ns, counters);
                reached.into_iter().map(alert).collect()
            }
        }
    }
}

impl Engine {
    pub fn new(rules: RuleSet, options: EngineOptions) -> Engine {
        Engine {
            candidates: rules.index.scratch(),
            scratch: Scratch::new(&rules.graph),
            rules,
            options,
            counters: EngineCounters::default(),
        }
    }

    /// Calls `on_match` for each rule that the event satisfies, in the order of the rules and behind the matches that
    /// waited for an event of this time; for a new-terms rule once for each new combination. As far as the rule's own
    /// limits let alerts through. Allocates nothing for an event that no rule takes in.
    pub fn evaluate(&mut self, record: &Record, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        self.counters.events += 1;
        if !self.rules.waiting.is_empty() {
            self.tell_due(record, on_match);
        }
        let Engine {
            rules,
            options,
            counters,
            candidates,
            scratch,
        } = self;
        rules.index.find(record, Categories::of(record), candidates);
        let event = Evaluation::new(record, &rules.graph, scratch);
        for rule in candidates.rules() {
            let rule = &mut rules.rules[rule];
            if !rule.detection.concerns(&event) || !rule.admits.matches(&event) {
                continue;
            }
            for alert in rule.detection.take_in(&event, *options, terms, counters) {
                let groups = match alert.group {
                    Some(group) => vec![group],
                    None => rule.gate.groups(record, counters),
                };
                let time_ns = record.first_date(fields::TIMESTAMP);
                if !rule.gate.admits(&groups, owner(record), time_ns, counters) {
                    continue;
                }
                counters.matches += 1;
                on_match(Match {
                    rule: &rule.info,
                    past_event: None,
                    new_terms: alert.new_terms,
                    earlier_events: alert.earlier_events,
                    reason: rule.detection.reason(&event),
                });
            }
        }
        counters.function_combinations_cut += event.combinations_cut();
    }

    /// Whether evaluating an event can have an effect, of which only the values in `kind` are known, those of
    /// `event.category`, `event.type` and `event.action`; if not, it may be left out.
    pub fn may_concern(&self, kind: &Record) -> bool {
        !self.rules.waiting.is_empty() || self.rules.index.any_of_kind(kind)
    }

    /// Tells the matches of sequences that waited for this time.
    fn tell_due(&mut self, record: &Record, on_match: &mut dyn FnMut(Match<'_>)) {
        let Some(now_ns) = record.first_date(fields::TIMESTAMP) else {
            return;
        };
        for position in &self.rules.waiting {
            let rule = &mut self.rules.rules[*position];
            let CompiledDetection::Sequence(sequence) = &mut rule.detection else {
                continue;
            };
            for late in sequence.take_due(now_ns) {
                if !rule.gate.admits(&[], "", Some(now_ns), &mut self.counters) {
                    continue;
                }
                self.counters.matches += 1;
                on_match(Match {
                    rule: &rule.info,
                    past_event: Some(late.event),
                    new_terms: Vec::new(),
                    earlier_events: late.earlier_events,
                    reason: late.reason,
                });
            }
        }
    }

    /// For each event that the rule looks for, what this one lacks; nothing for one that it takes in, or for a rule that
    /// there is not.
    pub fn near_misses(&mut self, rule_id: &str, record: &Record) -> Vec<NearMiss> {
        let Some(rule) = self.rules.rules.iter().find(|rule| rule.info.rule_id == rule_id) else {
            return Vec::new();
        };
        let event = Evaluation::new(record, &self.rules.graph, &mut self.scratch);
        let terms: Vec<(Option<usize>, Matcher)> = match &rule.detection {
            CompiledDetection::Event(matcher)
            | CompiledDetection::NewTerms { matcher, .. }
            | CompiledDetection::Threshold { matcher, .. } => vec![(None, *matcher)],
            CompiledDetection::Sequence(sequence) => (1..).map(Some).zip(sequence.terms()).collect(),
        };
        let near_miss = |(term, matcher): (Option<usize>, Matcher)| NearMiss {
            term,
            distance: matcher.distance(&event).saturating_add(rule.admits.distance(&event)),
            failed: [matcher.failures(&event), rule.admits.failures(&event)].concat(),
        };
        let misses = terms.into_iter().map(near_miss);
        misses.filter(|miss| miss.distance > 0).collect()
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    pub fn counters(&self) -> EngineCounters {
        let count = |rule: &CompiledRule| RuleCounters {
            rule_id: rule.info.rule_id.clone(),
            name: rule.info.name.clone(),
            suppressed: rule.gate.suppressed,
            held_back: rule.gate.held_back,
        };
        let rules = self.rules.rules.iter().map(count);
        EngineCounters {
            rules: rules.filter(|rule| rule.suppressed + rule.held_back > 0).collect(),
            ..self.counters.clone()
        }
    }
}

#[cfg(test)]
mod tests;
