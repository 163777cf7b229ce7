//! The parts of an event that keys are built from: values as texts of bounded length, and the container it is from.

use uuid::Uuid;

use super::{Record, Value};
use crate::limits::MAX_TERM_BYTES;
use crate::schema::{FieldReference, fields};
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

/// The text, or if it is longer than [`MAX_TERM_BYTES`] its beginning and a digest of the whole.
pub(crate) fn bounded(text: String) -> String {
    if text.len() <= MAX_TERM_BYTES {
        return text;
    }
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    let beginning = &text[..text.floor_char_boundary(MAX_TERM_BYTES / 2)];
    format!("{beginning}…{digest}")
}

/// The container that the event is from, empty for the host.
pub(crate) fn owner(record: &Record) -> &str {
    record.first_text(fields::CONTAINER_ID).unwrap_or("")
}
