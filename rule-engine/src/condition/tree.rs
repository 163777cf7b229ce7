//! The condition as a tree.

use super::call::Call;
use super::test::Test;
use crate::schema::FieldReference;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Condition {
    Always,
    Never,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(FieldCondition),
    Computed(ComputedCondition),
}

/// Holds when any value of the field passes the test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldCondition {
    pub field: FieldReference,
    pub test: Test,
}

/// Holds when the result of a call passes the test for some combination of the values of its fields.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ComputedCondition {
    pub call: Call,
    pub test: Test,
}

impl Condition {
    /// Any of the conditions; a single one is returned as it is.
    pub(crate) fn any(mut conditions: Vec<Condition>) -> Condition {
        if conditions.len() == 1 {
            conditions.remove(0)
        } else {
            Condition::Any(conditions)
        }
    }

    /// The same with nested conditions of one kind merged.
    pub(crate) fn flattened(self) -> Condition {
        fn flatten(conditions: Vec<Condition>, inner: fn(Condition) -> Vec<Condition>) -> Vec<Condition> {
            conditions
                .into_iter()
                .map(Condition::flattened)
                .flat_map(inner)
                .collect()
        }
        match self {
            Condition::All(conditions) => Condition::All(flatten(conditions, |condition| match condition {
                Condition::All(inner) => inner,
                other => vec![other],
            })),
            Condition::Any(conditions) => Condition::any(flatten(conditions, |condition| match condition {
                Condition::Any(inner) => inner,
                other => vec![other],
            })),
            Condition::Not(condition) => condition.flattened().negate(),
            other => other,
        }
    }

    pub(crate) fn is_never(&self) -> bool {
        matches!(self, Condition::Never)
    }

    pub(crate) fn negate(self) -> Condition {
        Condition::Not(Box::new(self))
    }

    pub(crate) fn field(field: FieldReference, test: Test) -> Condition {
        Condition::Field(FieldCondition { field, test })
    }

    /// Calls `visit` for every field that the condition reads.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        match self {
            Condition::Always | Condition::Never => {}
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.visit_fields(visit));
            }
            Condition::Not(condition) => condition.visit_fields(visit),
            Condition::Field(condition) => visit(&condition.field),
            Condition::Computed(condition) => condition.call.visit_fields(visit),
        }
    }
}
