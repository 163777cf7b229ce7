//! Sequences of EQL: events that follow one another and share a key.
//!
//! Runs as the events come. For each key there is one place a stage for a partial sequence that ends there. An event
//! tries the stages from the last to the first: a stage takes the partial before it, whatever comes of it, and puts
//! the longer one into its own place, over an older one. That finds what Elastic's batch algorithm finds, with state
//! that only the number of keys can grow, which [`Groups`] limits.
//!
//! Events that have to be missing take no part in that: whether one came at a forbidden time decides, once the others
//! are complete, if they are a match. So a spoiled partial sequence stays in its place and spoils nothing but itself.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::compile::graph::{Evaluation, GraphBuilder, Matcher};
use crate::condition::GroupField;
use crate::condition::{Sequence, SequenceTerm};
use crate::limits::{MAX_GROUPS, MAX_REMEMBERED_EVENTS};
use crate::record::Record;
use crate::record::key::owner;
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, keys};

mod missing;

pub(crate) use missing::LateMatch;
use missing::{Sightings, Waiting, WaitingSequences};

/// The compiled form with what it remembers.
#[derive(Debug)]
pub(crate) struct SequenceMatcher {
    terms: Vec<CompiledTerm>,
    stages: Vec<usize>,
    until: Option<CompiledTerm>,
    missing: Vec<Vec<usize>>,
    max_span_ns: Option<i64>,
    keys: Groups<KeyState>,
    waiting: WaitingSequences,
}

/// What is remembered for a key.
#[derive(Debug)]
struct KeyState {
    /// For each stage but the last.
    partials: Box<[Option<Partial>]>,
    /// For each stage the events that must be missing before it.
    unwanted: Box<[Sightings]>,
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
    /// When the last event came that must be missing before the first one.
    unwanted_before_ns: Option<i64>,
    /// Whether an event came between these that must be missing there.
    is_spoiled: bool,
    events: EarlierEvents,
}

/// The events of a match before its last one, oldest first.
pub(crate) type EarlierEvents = Vec<Arc<Map<String, Json>>>;

impl SequenceMatcher {
    pub fn compile(sequence: &Sequence, graph: &mut GraphBuilder) -> SequenceMatcher {
        let mut compile = |term| CompiledTerm::compile(term, graph);
        SequenceMatcher {
            terms: sequence.terms.iter().map(&mut compile).collect(),
            stages: sequence.stages.clone(),
            until: sequence.until.as_ref().map(compile),
            missing: sequence.missing.clone(),
            max_span_ns: sequence.max_span_ns,
            keys: Groups::new(MAX_GROUPS.min(MAX_REMEMBERED_EVENTS / sequence.stages.len().max(1))),
            waiting: WaitingSequences::default(),
        }
    }

    /// Whether a match may become known only after its last event.
    pub fn may_wait(&self) -> bool {
        self.missing.last().is_some_and(|terms| !terms.is_empty())
    }

    /// The matches that are certain now that an event of this time has come, whatever event it is.
    pub fn take_due(&mut self, time_ns: i64) -> Vec<LateMatch> {
        self.waiting.take_due(time_ns)
    }

    /// What each term looks for, `until` last.
    pub fn terms(&self) -> impl Iterator<Item = Matcher> + '_ {
        self.terms.iter().chain(&self.until).map(|term| term.matcher)
    }

    /// Whether the event belongs to some stage, or ends sequences: only then its time is asked for.
    pub fn concerns(&self, event: &Evaluation<'_>) -> bool {
        self.terms().any(|matcher| matcher.matches(event))
    }

    /// Takes the event in and returns the matches that it completes.
    pub fn observe(
        &mut self,
        event: &Evaluation<'_>,
        time_ns: i64,
        counters: &mut EngineCounters,
    ) -> Vec<EarlierEvents> {
        if self.keys.is_empty() && self.waiting.is_empty() && !self.begins_with(event) {
            return Vec::new();
        }
        let event_keys: Vec<Vec<String>> = self.terms.iter().map(|term| term.event_keys(event, counters)).collect();
        let summary = Arc::new(event.record.summary());
        let mut matches = Vec::new();
        for stage in (0..self.stages.len()).rev() {
            for key in &event_keys[self.stages[stage]] {
                let Some(partial) = self.reach(stage, key, time_ns) else {
                    continue;
                };
                if stage + 1 < self.stages.len() {
                    self.put(stage, key, partial, &summary, event.record, counters);
                } else if let Some(deadline_ns) = self.waits_until(&partial) {
                    let found = LateMatch {
                        event: Arc::clone(&summary),
                        earlier_events: partial.events,
                        reason: self.reason(event),
                    };
                    let waiting = Waiting {
                        key: key.clone(),
                        owner: owner(event.record).into(),
                        last_ns: time_ns,
                        found,
                    };
                    self.waiting.add(deadline_ns, waiting, &mut counters.groups_evicted);
                } else if self.is_match(&partial) {
                    matches.push(partial.events);
                }
            }
        }
        self.note_unwanted(&event_keys, event.record, time_ns, counters);
        if let Some(until) = &self.until {
            for key in until.event_keys(event, counters) {
                self.end(&key);
            }
        }
        matches
    }

    /// Whether there is something to remember of the event though nothing is remembered yet.
    fn begins_with(&self, event: &Evaluation<'_>) -> bool {
        let first = self.stages.first().into_iter().chain(&self.missing[0]);
        first.into_iter().any(|term| self.terms[*term].matcher.matches(event))
    }

    /// The reason why the event, which completed a match, is its last one.
    pub fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        self.stages
            .last()
            .map(|term| self.terms[*term].matcher.reason(event))
            .unwrap_or_default()
    }

    /// The partial sequence that the event makes longer, or begins; `None` if there is none in time.
    fn reach(&mut self, stage: usize, key: &str, time_ns: i64) -> Option<Partial> {
        let state = self.keys.get_mut(key);
        let unwanted_ns = state
            .as_ref()
            .and_then(|state| state.unwanted[stage].last_before(time_ns));
        if stage == 0 {
            return Some(Partial {
                first_ns: time_ns,
                last_ns: time_ns,
                unwanted_before_ns: unwanted_ns,
                is_spoiled: false,
                events: Vec::new(),
            });
        }
        let mut partial = state?.partials[stage - 1].take_if(|partial| partial.last_ns <= time_ns)?;
        partial.is_spoiled |= unwanted_ns > Some(partial.last_ns);
        partial.last_ns = time_ns;
        let in_time = self
            .max_span_ns
            .is_none_or(|span| time_ns.saturating_sub(partial.first_ns) <= span);
        in_time.then_some(partial)
    }

    fn put(
        &mut self,
        stage: usize,
        key: &str,
        mut partial: Partial,
        summary: &Arc<Map<String, Json>>,
        record: &Record,
        counters: &mut EngineCounters,
    ) {
        partial.events.push(Arc::clone(summary));
        let time_ns = partial.last_ns;
        self.state(key, record, time_ns, counters).partials[stage] = Some(partial);
    }

    fn state(&mut self, key: &str, record: &Record, time_ns: i64, counters: &mut EngineCounters) -> &mut KeyState {
        let (span, stages) = (self.max_span_ns, self.stages.len());
        let make = || KeyState {
            partials: std::iter::repeat_with(|| None).take(stages - 1).collect(),
            unwanted: vec![Sightings::default(); stages].into(),
        };
        let in_time = |from_ns: i64| span.is_none_or(|span| time_ns.saturating_sub(from_ns) <= span);
        let is_over = |state: &KeyState| {
            let mut begun = state.partials.iter().flatten().map(|partial| partial.first_ns);
            let mut unwanted = state.unwanted.iter().filter_map(Sightings::newest);
            !begun.any(in_time) && !unwanted.any(in_time)
        };
        self.keys
            .use_state(key, owner(record), make, is_over, &mut counters.groups_evicted)
    }

    /// Until when an unwanted event behind the last one of a complete sequence spoils it; `None` if none can.
    fn waits_until(&self, partial: &Partial) -> Option<i64> {
        if partial.is_spoiled || !self.may_wait() {
            return None;
        }
        // If one must be missing before the sequence too, both together within maxspan spoil it.
        let from_ns = if self.missing[0].is_empty() {
            partial.first_ns
        } else {
            partial.unwanted_before_ns?
        };
        let deadline_ns = from_ns.saturating_add(self.max_span_ns?);
        (deadline_ns > partial.last_ns).then_some(deadline_ns)
    }

    /// Whether a complete sequence that does not have to wait is a match.
    fn is_match(&self, partial: &Partial) -> bool {
        let unwanted_in_time = partial
            .unwanted_before_ns
            .zip(self.max_span_ns)
            .is_some_and(|(unwanted_ns, span)| partial.last_ns.saturating_sub(unwanted_ns) <= span);
        !partial.is_spoiled && (self.may_wait() || !unwanted_in_time)
    }

    fn note_unwanted(
        &mut self,
        event_keys: &[Vec<String>],
        record: &Record,
        time_ns: i64,
        counters: &mut EngineCounters,
    ) {
        let stages = self.stages.len();
        let places = self.missing.iter().enumerate();
        let unwanted: Vec<(usize, usize)> = places
            .flat_map(|(place, terms)| terms.iter().map(move |term| (place, *term)))
            .collect();
        for (place, term) in unwanted {
            let keys = &event_keys[term];
            if place == stages {
                self.waiting.spoil(keys, time_ns);
            }
            for key in keys {
                if place == 0 {
                    self.state(key, record, time_ns, counters).unwanted[0].note(time_ns);
                } else if let Some(state) = self.keys.get_mut(key).filter(|_| place < stages) {
                    state.unwanted[place].note(time_ns);
                }
            }
        }
    }

    /// Ends the partial sequences of a key.
    fn end(&mut self, key: &str) {
        if self.missing[0].is_empty() {
            self.keys.forget(key);
        } else if let Some(state) = self.keys.get_mut(key) {
            state.partials.fill_with(|| None);
        }
    }
}

impl CompiledTerm {
    fn compile(term: &SequenceTerm, graph: &mut GraphBuilder) -> CompiledTerm {
        CompiledTerm {
            matcher: graph.add_indexed(&term.condition),
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
