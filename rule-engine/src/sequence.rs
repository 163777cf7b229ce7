//! Sequences of EQL: events that follow one another and share a key.
//!
//! Runs as the events come. For each key there is one place a stage for a partial sequence that ends there. An event
//! tries the stages from the last to the first: a stage takes the partial before it, whatever comes of it, and puts
//! the longer one into its own place, over an older one. That finds what Elastic's batch algorithm finds, with state
//! that only the number of keys can grow, which [`Groups`] limits.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::condition::Condition;
use crate::engine::EngineCounters;
use crate::field_reference::FieldReference;
use crate::grouping::{GroupField, Groups, keys};
use crate::matcher::{Evaluation, Matcher};

/// The checked form. Each term names as many keys as the others.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub terms: Vec<SequenceTerm>,
    /// For each stage its term; a term with `runs=3` is three stages. At least two.
    pub stages: Vec<usize>,
    pub until: Option<SequenceTerm>,
    /// From the first event of a match to each later one, inclusive, in nanoseconds.
    pub max_span_ns: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct SequenceTerm {
    pub condition: Condition,
    pub keys: Vec<GroupField>,
}

impl Sequence {
    /// Calls `visit` for every field that the sequence reads.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        for term in self.terms.iter().chain(&self.until) {
            term.condition.visit_fields(visit);
            term.keys
                .iter()
                .filter_map(|key| key.field.as_ref())
                .for_each(&mut *visit);
        }
    }
}

/// The compiled form with what it remembers.
#[derive(Debug)]
pub(crate) struct SequenceMatcher {
    terms: Vec<CompiledTerm>,
    stages: Vec<usize>,
    until: Option<CompiledTerm>,
    max_span_ns: Option<i64>,
    /// For each key and each stage but the last.
    partials: Groups<Box<[Option<Partial>]>>,
}

#[derive(Debug)]
struct CompiledTerm {
    matcher: Matcher,
    keys: Vec<GroupField>,
}

#[derive(Debug)]
struct Partial {
    first_ns: i64,
    last_ns: i64,
    events: Vec<Arc<Map<String, Json>>>,
}

/// The events of a match before its last one, oldest first.
pub(crate) type EarlierEvents = Vec<Arc<Map<String, Json>>>;

impl SequenceMatcher {
    pub fn compile(sequence: &Sequence) -> SequenceMatcher {
        SequenceMatcher {
            terms: sequence.terms.iter().map(CompiledTerm::compile).collect(),
            stages: sequence.stages.clone(),
            until: sequence.until.as_ref().map(CompiledTerm::compile),
            max_span_ns: sequence.max_span_ns,
            partials: Groups::new(),
        }
    }

    /// Whether the event belongs to some stage, or ends sequences: only then its time is asked for.
    pub fn concerns(&self, event: &Evaluation<'_>) -> bool {
        self.terms
            .iter()
            .chain(&self.until)
            .any(|term| term.matcher.matches(event))
    }

    /// Takes the event in and returns the matches that it completes.
    pub fn observe(
        &mut self,
        event: &Evaluation<'_>,
        time_ns: i64,
        counters: &mut EngineCounters,
    ) -> Vec<EarlierEvents> {
        let event_keys: Vec<Vec<String>> = self.terms.iter().map(|term| term.event_keys(event, counters)).collect();
        let summary = Arc::new(event.record.summary());
        let mut matches = Vec::new();
        for stage in (0..self.stages.len()).rev() {
            for key in &event_keys[self.stages[stage]] {
                matches.extend(self.reach(stage, key, time_ns, &summary, counters));
            }
        }
        if let Some(until) = &self.until {
            for key in until.event_keys(event, counters) {
                self.partials.forget(&key);
            }
        }
        matches
    }

    /// The reason why the event, which completed a match, is its last one.
    pub fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        self.stages
            .last()
            .map(|term| self.terms[*term].matcher.reason(event))
            .unwrap_or_default()
    }

    fn reach(
        &mut self,
        stage: usize,
        key: &str,
        time_ns: i64,
        summary: &Arc<Map<String, Json>>,
        counters: &mut EngineCounters,
    ) -> Option<EarlierEvents> {
        let mut partial = Partial {
            first_ns: time_ns,
            last_ns: time_ns,
            events: Vec::new(),
        };
        if stage > 0 {
            partial = self.partials.get_mut(key)?[stage - 1].take_if(|partial| partial.last_ns <= time_ns)?;
            if self
                .max_span_ns
                .is_some_and(|span| time_ns.saturating_sub(partial.first_ns) > span)
            {
                return None;
            }
        }
        if stage + 1 == self.stages.len() {
            return Some(partial.events);
        }
        partial.last_ns = time_ns;
        partial.events.push(Arc::clone(summary));
        let (span, stages) = (self.max_span_ns, self.stages.len() - 1);
        let make = || std::iter::repeat_with(|| None).take(stages).collect();
        let in_time = |partial: &Partial| span.is_none_or(|span| time_ns.saturating_sub(partial.first_ns) <= span);
        let evicted = &mut counters.groups_evicted;
        let stages = self
            .partials
            .use_state(key, make, |stages| !stages.iter().flatten().any(in_time), evicted);
        stages[stage] = Some(partial);
        None
    }
}

impl CompiledTerm {
    fn compile(term: &SequenceTerm) -> CompiledTerm {
        CompiledTerm {
            matcher: Matcher::compile(&term.condition),
            keys: term.keys.clone(),
        }
    }

    /// The keys under which the event joins; none if it is no event of this term.
    fn event_keys(&self, event: &Evaluation<'_>, counters: &mut EngineCounters) -> Vec<String> {
        if !self.matcher.matches(event) {
            return Vec::new();
        }
        keys(&self.keys, event.record, &mut counters.group_keys_cut)
    }
}

#[cfg(test)]
mod tests;
