//! What a rule looks for, checked: one place for all rule types.

use super::new_terms::NewTerms;
use super::sequence::Sequence;
use super::threshold::Threshold;
use super::tree::Condition;
use crate::schema::FieldReference;

/// What a rule looks for.
#[derive(Clone, Debug)]
pub(crate) enum Detection {
    /// Single events.
    Single { condition: Condition, then: Then },
    /// Events that follow one another.
    Sequence(Sequence),
}

/// What an event that satisfies the condition leads to.
#[derive(Clone, Hash, Debug)]
pub(crate) enum Then {
    Alert,
    /// An alert for terms not seen before.
    NewTerms(NewTerms),
    /// An alert for a number of events.
    Threshold(Threshold),
}

impl Detection {
    /// The conditions; the rule takes an event in if any of them holds.
    pub(crate) fn conditions(&self) -> Vec<&Condition> {
        match self {
            Detection::Single { condition, .. } => vec![condition],
            Detection::Sequence(sequence) => sequence.all_terms().map(|term| &term.condition).collect(),
        }
    }

    /// Calls `visit` for every field that the verdict depends on.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        for condition in self.conditions() {
            condition.visit_fields(visit);
        }
        match self {
            Detection::Single { then, .. } => then.visit_fields(visit),
            Detection::Sequence(sequence) => sequence.visit_fields(visit),
        }
    }
}

impl Then {
    fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        match self {
            Then::Alert => {}
            Then::NewTerms(new_terms) => new_terms.fields.iter().for_each(visit),
            Then::Threshold(threshold) => threshold.visit_fields(visit),
        }
    }
}
