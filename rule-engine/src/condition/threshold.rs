//! Threshold rules, checked.

use super::key_field::KeyField;
use crate::schema::FieldReference;

/// The `threshold` part of a rule, checked.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Threshold {
    /// Empty if all events are one group.
    pub fields: Vec<KeyField>,
    /// Events within the window, at least 1.
    pub events: usize,
    pub cardinality: Option<Cardinality>,
    pub window_ns: i64,
}

/// A number of distinct values of a field, at least 1.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Cardinality {
    pub field: FieldReference,
    pub values: usize,
}

impl Threshold {
    /// Calls `visit` for every field that the threshold reads.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        self.fields.iter().map(|group| &group.field).for_each(&mut *visit);
        self.cardinality
            .iter()
            .for_each(|cardinality| visit(&cardinality.field));
    }
}
