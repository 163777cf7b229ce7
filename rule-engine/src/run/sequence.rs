//! Sequences of EQL: events that follow one another and share a key.
//!
//! Works on a stream of events. Each key has one slot per stage, for the partial sequence that ends there. An event
//! tries the stages from last to first: a stage takes the partial sequence out of the slot before it and, extended by
//! the event, puts it into its own slot, replacing an older one. This finds what Elastic's batch algorithm finds, with
//! state that grows only with the number of keys, which [`Groups`] limits.
//!
//! Events that must be missing take no part in this: once the other events are complete, whether one of them came at a
//! forbidden time decides if there is a match. So a spoiled partial sequence stays in its slot and spoils only itself.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::compile::graph::Evaluation;
use crate::compile::sequence::{CompiledSequence, CompiledTerm};
use crate::limits::EngineLimits;
use crate::record::Record;
use crate::record::key::owner;
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, keys};

mod missing;

pub(crate) use missing::{EarlierEvents, LateMatch};
use missing::{Sightings, Waiting, WaitingSequences};

/// A sequence and what it remembers.
#[derive(Debug)]
pub(crate) struct SequenceState {
    /// Refers to the graph that events are evaluated with, so a reload replaces it.
    sequence: Arc<CompiledSequence>,
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
struct Partial {
    first_ns: i64,
    last_ns: i64,
    /// When the last event came that must not come before the first one.
    unwanted_before_ns: Option<i64>,
    /// Whether an event came in between that must be missing there.
    is_spoiled: bool,
    events: EarlierEvents,
}

impl SequenceState {
    pub(crate) fn new(sequence: &Arc<CompiledSequence>, limits: &EngineLimits) -> SequenceState {
        SequenceState {
            keys: Groups::new(
                limits
                    .groups
                    .min(limits.remembered_events / sequence.stages.len().max(1)),
            ),
            sequence: Arc::clone(sequence),
            waiting: WaitingSequences::new(limits.waiting_sequences),
        }
    }

    /// Continues with the same sequence, compiled again.
    pub(crate) fn run_on(&mut self, sequence: &Arc<CompiledSequence>) {
        self.sequence = Arc::clone(sequence);
    }

    /// The matches that are certain at this time, whatever events come later.
    pub(crate) fn take_due(&mut self, time_ns: i64) -> Vec<LateMatch> {
        self.waiting.take_due(time_ns)
    }

    /// When the next waiting match becomes certain.
    pub(crate) fn next_due_ns(&self) -> Option<i64> {
        self.waiting.next_due_ns()
    }

    /// Takes the event in and returns the matches that it completes.
    pub(crate) fn observe(
        &mut self,
        event: &Evaluation<'_>,
        time_ns: i64,
        counters: &mut EngineCounters,
    ) -> Vec<EarlierEvents> {
        if self.keys.is_empty() && self.waiting.is_empty() && !self.sequence.begins_with(event) {
            return Vec::new();
        }
        let sequence = Arc::clone(&self.sequence);
        let terms = sequence.terms.iter();
        let event_keys: Vec<Vec<String>> = terms.map(|term| term_keys(term, event, counters)).collect();
        let summary = Arc::new(event.record.summary());
        let mut matches = Vec::new();
        for stage in (0..sequence.stages.len()).rev() {
            for key in &event_keys[sequence.stages[stage]] {
                let Some(partial) = self.extended(stage, key, time_ns) else {
                    continue;
                };
                if stage + 1 < sequence.stages.len() {
                    self.put(stage, key, partial, &summary, event.record, counters);
                } else if let Some(deadline_ns) = self.waits_until(&partial) {
                    let found = LateMatch {
                        event: Arc::clone(&summary),
                        earlier_events: partial.events,
                        reason: sequence.reason(event),
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
        if let Some(until) = &sequence.until {
            for key in term_keys(until, event, counters) {
                self.end(&key);
            }
        }
        matches
    }

    /// The partial sequence that the event extends or begins; `None` if there is none within maxspan.
    fn extended(&mut self, stage: usize, key: &str, time_ns: i64) -> Option<Partial> {
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
            .sequence
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
        let (span, stages) = (self.sequence.max_span_ns, self.sequence.stages.len());
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

    /// Until when an unwanted event after a complete sequence spoils it; `None` if none can.
    fn waits_until(&self, partial: &Partial) -> Option<i64> {
        if partial.is_spoiled || !self.sequence.may_wait() {
            return None;
        }
        // If an event must be missing before the sequence too, only both within maxspan of each other spoil it.
        let from_ns = if self.sequence.missing[0].is_empty() {
            partial.first_ns
        } else {
            partial.unwanted_before_ns?
        };
        let deadline_ns = from_ns.saturating_add(self.sequence.max_span_ns?);
        (deadline_ns > partial.last_ns).then_some(deadline_ns)
    }

    /// Whether a complete sequence that does not have to wait is a match.
    fn is_match(&self, partial: &Partial) -> bool {
        let unwanted_in_time = partial
            .unwanted_before_ns
            .zip(self.sequence.max_span_ns)
            .is_some_and(|(unwanted_ns, span)| partial.last_ns.saturating_sub(unwanted_ns) <= span);
        !partial.is_spoiled && (self.sequence.may_wait() || !unwanted_in_time)
    }

    fn note_unwanted(
        &mut self,
        event_keys: &[Vec<String>],
        record: &Record,
        time_ns: i64,
        counters: &mut EngineCounters,
    ) {
        let stages = self.sequence.stages.len();
        let places = self.sequence.missing.iter().enumerate();
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
        if self.sequence.missing[0].is_empty() {
            self.keys.forget(key);
        } else if let Some(state) = self.keys.get_mut(key) {
            state.partials.fill_with(|| None);
        }
    }
}

/// The keys of the event; none if the term does not match it.
fn term_keys(term: &CompiledTerm, event: &Evaluation<'_>, counters: &mut EngineCounters) -> Vec<String> {
    if !term.condition.matches(event) {
        return Vec::new();
    }
    keys(&term.keys, event.record, &mut counters.group_keys_cut)
}

#[cfg(test)]
mod tests;
