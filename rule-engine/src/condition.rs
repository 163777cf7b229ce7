//! What rules mean, checked: the one form that all query languages and rule types end in.
//!
//! Made only by the readers in [`crate::language`] and [`crate::rule`], so every field exists and every literal fits its
//! field. Conditions are two-valued: a test of a missing field is false, and its negation is true.

mod alert_limits;
mod call;
mod detection;
pub(crate) mod functions;
mod tree;

pub(crate) use alert_limits::{AlertLimits, Grouping, Suppression};
pub(crate) use call::{Call, Term};
pub(crate) use detection::{
    Cardinality, Detection, GroupField, MissingKey, NewTerms, Sequence, SequenceTerm, Threshold,
};
pub(crate) use tree::{ComputedCondition, Condition, FieldCondition, Test};
