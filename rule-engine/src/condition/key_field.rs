//! Fields whose values group events.

use crate::schema::FieldReference;

/// A field whose value the events of one group share.
#[derive(Clone, Hash, Debug)]
pub(crate) struct KeyField {
    pub field: FieldReference,
    pub missing: MissingKey,
}

/// What an event without the field does.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum MissingKey {
    /// It never joins.
    Excludes,
    /// `?f`: it joins others that lack the field.
    Joins,
}
