//! Helpers that add values to a record if there is a field for them and the record wants it.

use rule_engine::{FieldId, Record, Value};

/// Adds a value if there is a field for it.
pub(super) fn put(record: &mut Record, field: Option<FieldId>, value: Value<'_>) {
    if let Some(field) = field {
        record.push(field, value);
    }
}

/// Adds a text, which is built only if the record wants it.
pub(super) fn text_from(record: &mut Record, field: Option<FieldId>, text: impl FnOnce() -> String) {
    if let Some(field) = field.filter(|field| record.wants(*field)) {
        record.text(field, &text());
    }
}

/// Adds texts, which are built only if the record wants them.
pub(super) fn texts_from<'a>(record: &mut Record, field: Option<FieldId>, texts: impl Iterator<Item = &'a str>) {
    if let Some(field) = field.filter(|field| record.wants(*field)) {
        for text in texts {
            record.text(field, text);
        }
    }
}
