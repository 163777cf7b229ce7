//! What a rule looks for, checked.

use super::tree::Condition;
use crate::schema::FieldReference;

/// What a rule looks for.
#[derive(Clone, Debug)]
pub(crate) enum Detection {
    /// Each event that satisfies the condition.
    Event(Condition),
    /// Events that satisfy the condition and carry terms not seen before.
    NewTerms(Condition, NewTerms),
    Sequence(Sequence),
    /// So many events that satisfy the condition.
    Threshold(Condition, Threshold),
}

impl Detection {
    /// Calls `visit` for every field that the verdict depends on.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        match self {
            Detection::Event(condition) => condition.visit_fields(visit),
            Detection::NewTerms(condition, new_terms) => {
                condition.visit_fields(visit);
                new_terms.fields.iter().for_each(visit);
            }
            Detection::Sequence(sequence) => sequence.visit_fields(visit),
            Detection::Threshold(condition, threshold) => {
                condition.visit_fields(visit);
                threshold.visit_fields(visit);
            }
        }
    }
}

/// The checked form. Each term names as many keys as the others.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub terms: Vec<SequenceTerm>,
    /// For each stage its term; a term with `runs=3` is three stages. At least one, and two if nothing is missing.
    pub stages: Vec<usize>,
    /// The terms of events that must be missing: for each stage those before it, then those behind the last. Where
    /// there are any, there is a maxspan.
    pub missing: Vec<Vec<usize>>,
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

/// The `new_terms` part of a rule, checked.
#[derive(Clone, Debug)]
pub(crate) struct NewTerms {
    /// One to three.
    pub fields: Vec<FieldReference>,
    pub window_ms: i64,
    /// The rule's own learning period; `None` takes the engine's.
    pub learn_for_ms: Option<i64>,
}

impl NewTerms {
    /// Under which name the history keeps the rule's terms. Terms of other fields are other terms.
    pub fn history_key(&self, rule_id: &str) -> String {
        let fields: Vec<String> = self.fields.iter().map(FieldReference::name).collect();
        format!("{rule_id}/{}", fields.join(","))
    }
}

/// The `threshold` part of a rule, checked.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    /// None: all events are one group.
    pub fields: Vec<GroupField>,
    /// Events within the window, at least 1.
    pub events: usize,
    pub cardinality: Option<Cardinality>,
    pub window_ns: i64,
}

/// So many different values of a field, at least 1.
#[derive(Clone, Debug)]
pub(crate) struct Cardinality {
    pub field: FieldReference,
    pub values: usize,
}

impl Threshold {
    /// Calls `visit` for every field that the threshold reads.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        self.fields
            .iter()
            .filter_map(|group| group.field.as_ref())
            .for_each(&mut *visit);
        self.cardinality
            .iter()
            .for_each(|cardinality| visit(&cardinality.field));
    }
}

/// A field whose value the events of a group share.
#[derive(Clone, Debug)]
pub(crate) struct GroupField {
    /// `None` for `?f` of which the schema knows nothing.
    pub field: Option<FieldReference>,
    pub missing: MissingKey,
}

/// What an event without the field does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum MissingKey {
    /// It never joins.
    Excludes,
    /// `?f`: it joins others that lack the field.
    Joins,
}
