//! Sequences of EQL, checked.

use super::key_field::KeyField;
use super::tree::Condition;
use crate::schema::FieldReference;

/// Events that follow one another. Each term names as many keys as the others.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Sequence {
    pub terms: Vec<SequenceTerm>,
    /// The term of each stage; a term with `runs=3` is three stages. At least one stage, two without missing events.
    pub stages: Vec<usize>,
    /// The terms of events that must be missing: those before each stage, then those after the last. Requires a maxspan
    /// if there are any.
    pub missing: Vec<Vec<usize>>,
    pub until: Option<SequenceTerm>,
    /// Longest time from the first event of a match to each later one, inclusive, in nanoseconds.
    pub max_span_ns: Option<i64>,
}

#[derive(Clone, Hash, Debug)]
pub(crate) struct SequenceTerm {
    pub condition: Condition,
    pub keys: Vec<KeyField>,
}

impl Sequence {
    /// Calls `visit` for every field that the sequence reads beside its conditions.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        let keys = self.all_terms().flat_map(|term| &term.keys);
        keys.map(|key| &key.field).for_each(visit);
    }

    /// Whether a match may become certain only after its last event.
    pub(crate) fn awaits_missing(&self) -> bool {
        self.missing.iter().any(|terms| !terms.is_empty())
    }

    /// The terms, `until` last.
    pub(crate) fn all_terms(&self) -> impl Iterator<Item = &SequenceTerm> {
        self.terms.iter().chain(&self.until)
    }
}
