//! New-terms rules, checked.

use crate::schema::FieldReference;

/// The `new_terms` part of a rule, checked.
#[derive(Clone, Hash, Debug)]
pub(crate) struct NewTerms {
    /// One to three.
    pub fields: Vec<FieldReference>,
    pub window_ms: i64,
    /// The rule's own learning period; `None` takes the engine's.
    pub learn_for_ms: Option<i64>,
}
