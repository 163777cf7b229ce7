//! The parts of an event that keys are built from: values as texts of bounded length, and whose event it is.

use std::hash::Hash;

use uuid::Uuid;

use super::{Record, Value};
use crate::limits::MAX_TERM_BYTES;
use crate::schema::{FieldId, FieldReference};
use crate::value::hash::digest;
use crate::value::timestamp;

/// A value of the field as text; `None` for another key of an object field.
pub(crate) fn text(value: Value<'_>, field: &FieldReference) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_owned()),
        Value::Long(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Date(nanoseconds) => Some(timestamp::format(nanoseconds)),
        Value::Label { key, value } => (field.key.as_deref() == Some(key)).then(|| value.to_owned()),
    }
}

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
