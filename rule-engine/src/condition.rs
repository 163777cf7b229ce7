//! What rules mean, checked: the one form that all query languages and rule types end in.
//!
//! Made only by the readers in [`crate::language`] and [`crate::rule`], so every field exists and every literal fits
//! its field. Conditions are two-valued: a test of a missing field is false, and its negation is true.

mod alert_limits;
mod call;
mod detection;
pub(crate) mod functions;
mod key_field;
mod new_terms;
mod sequence;
mod test;
mod threshold;
mod tree;

pub(crate) use alert_limits::{AlertLimits, ListKeys, SuppressedMatches, Suppression};
pub(crate) use call::{Argument, Call};
pub(crate) use detection::{Detection, Then};
pub(crate) use key_field::{KeyField, MissingKey};
pub(crate) use new_terms::NewTerms;
pub(crate) use sequence::{Sequence, SequenceTerm};
pub(crate) use test::Test;
pub(crate) use threshold::{Cardinality, Threshold};
pub(crate) use tree::{ComputedCondition, Condition, FieldCondition};
