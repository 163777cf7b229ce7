//! Sequences of EQL: events that follow one another and share a key.
//!
//! Runs as the events come. For each key there is one place a stage for a partial sequence that ends there. An event
//! tries the stages from the last to the first: a stage takes the partial before it, whatever comes of it, and puts
//! the longer one into its own place, over an older one. That finds what Elastic's batch algorithm finds, with state
//! that only the number of keys can grow; past [`MAX_SEQUENCE_KEYS`] the key unused the longest is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::condition::Condition;
use crate::engine::EngineCounters;
use crate::field_reference::FieldReference;
use crate::limits::{MAX_KEY_COMBINATIONS, MAX_SEQUENCE_KEYS};
use crate::matcher::{Evaluation, Matcher};
use crate::new_terms::text;
use crate::record::Record;

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
    pub keys: Vec<SequenceKey>,
}

/// A field whose value the events of a sequence share.
#[derive(Clone, Debug)]
pub(crate) struct SequenceKey {
    /// `None` for `?f` of which the schema knows nothing.
    pub field: Option<FieldReference>,
    pub missing: MissingKey,
}

/// What an event without the key's field does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum MissingKey {
    /// It never joins.
    Excludes,
    /// `?f`: it joins others that lack the field.
    Joins,
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
    partials: HashMap<Arc<str>, KeyState>,
    /// The keys by when they were last used.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
}

#[derive(Debug)]
struct CompiledTerm {
    matcher: Matcher,
    keys: Vec<SequenceKey>,
}

#[derive(Debug)]
struct KeyState {
    used: u64,
    /// For each stage but the last.
    stages: Box<[Option<Partial>]>,
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
            partials: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
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
        let keys: Vec<Vec<String>> = self.terms.iter().map(|term| term.event_keys(event, counters)).collect();
        let summary = Arc::new(event.record.summary());
        let mut matches = Vec::new();
        for stage in (0..self.stages.len()).rev() {
            for key in &keys[self.stages[stage]] {
                matches.extend(self.reach(stage, key, time_ns, &summary, counters));
            }
        }
        if let Some(until) = &self.until {
            for key in until.event_keys(event, counters) {
                self.forget(&key);
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
            partial = self.partials.get_mut(key)?.stages[stage - 1].take_if(|partial| partial.last_ns <= time_ns)?;
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
        self.state(key, time_ns, counters).stages[stage] = Some(partial);
        None
    }

    /// The state of a key, which counts as used now.
    fn state(&mut self, key: &str, time_ns: i64, counters: &mut EngineCounters) -> &mut KeyState {
        if !self.partials.contains_key(key) {
            self.make_room(time_ns, counters);
        }
        self.uses += 1;
        let stages = self.stages.len() - 1;
        let name: Arc<str> = key.into();
        let state = self.partials.entry(Arc::clone(&name)).or_insert_with(|| KeyState {
            used: 0,
            stages: std::iter::repeat_with(|| None).take(stages).collect(),
        });
        self.by_use.remove(&state.used);
        state.used = self.uses;
        self.by_use.insert(self.uses, name);
        state
    }

    /// Forgets the keys unused the longest: those whose time is over, and one more if that is not enough.
    fn make_room(&mut self, time_ns: i64, counters: &mut EngineCounters) {
        while let Some((_, oldest)) = self.by_use.first_key_value() {
            let oldest = Arc::clone(oldest);
            let is_over = self
                .partials
                .get(&oldest)
                .is_none_or(|state| self.is_over(state, time_ns));
            if !is_over && self.partials.len() < MAX_SEQUENCE_KEYS {
                return;
            }
            counters.sequence_keys_evicted += u64::from(!is_over);
            self.forget(&oldest);
        }
    }

    fn is_over(&self, state: &KeyState, time_ns: i64) -> bool {
        let in_time = |partial: &Partial| {
            self.max_span_ns
                .is_none_or(|span| time_ns.saturating_sub(partial.first_ns) <= span)
        };
        !state.stages.iter().flatten().any(in_time)
    }

    fn forget(&mut self, key: &str) {
        if let Some(state) = self.partials.remove(key) {
            self.by_use.remove(&state.used);
        }
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
        let mut keys: Vec<Vec<Json>> = vec![Vec::new()];
        for key in &self.keys {
            let values = key.values(event.record);
            keys = keys
                .iter()
                .flat_map(|begun| {
                    values
                        .iter()
                        .map(|value| [begun.as_slice(), std::slice::from_ref(value)].concat())
                })
                .take(MAX_KEY_COMBINATIONS + 1)
                .collect();
            if keys.len() > MAX_KEY_COMBINATIONS {
                keys.truncate(MAX_KEY_COMBINATIONS);
                counters.sequence_key_combinations_cut += 1;
            }
        }
        keys.into_iter().map(|key| Json::Array(key).to_string()).collect()
    }
}

impl SequenceKey {
    fn values(&self, record: &Record) -> Vec<Json> {
        let mut values: Vec<Json> = Vec::new();
        if let Some(field) = &self.field {
            let texts = record
                .values(field.field)
                .filter_map(|value| text(value, field))
                .map(Json::from);
            for text in texts.take(MAX_KEY_COMBINATIONS + 1) {
                if !values.contains(&text) {
                    values.push(text);
                }
            }
        }
        if values.is_empty() && self.missing == MissingKey::Joins {
            values.push(Json::Null);
        }
        values
    }
}

#[cfg(test)]
mod tests;
