//! The parts of an event that keys are built from: texts of bounded length, and whose event it is.

use std::hash::Hash;

use uuid::Uuid;

use super::Record;
use crate::limits::MAX_TERM_BYTES;
use crate::schema::FieldId;
use crate::value::hash::digest;

/// What the events of one group share: a digest of the values, so that it is small whatever they are.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key(u128);

impl Key {
    /// Of events that have to share nothing.
    pub(crate) fn any() -> Key {
        Key::of(&())
    }

    /// Of events that share the value.
    pub(crate) fn of(value: &impl Hash) -> Key {
        Key(digest(value))
    }

    /// Of events that share another value too.
    pub(crate) fn and(self, value: &impl Hash) -> Key {
        Key(digest(&(self.0, value)))
    }
}

/// The text, or if it is longer than [`MAX_TERM_BYTES`] its beginning and a digest of the whole.
pub(crate) fn bounded(text: String) -> String {
    if text.len() <= MAX_TERM_BYTES {
        return text;
    }
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    let beginning = &text[..text.floor_char_boundary(MAX_TERM_BYTES / 2)];
    format!("{beginning}…{digest}")
}

/// Whose event it is, by the schema's fields for that; empty for the host.
pub(crate) fn owner(record: &Record) -> &str {
    let fields = record.schema().owner().iter();
    let named = |field: &FieldId| record.first_text(*field).filter(|text| !text.is_empty());
    fields.filter_map(named).next().unwrap_or("")
}
