//! A record as an ECS document, and back.
//!
//! Documents leave the program (alerts, recorded events) and come in again (replay, rules' examples). Reading takes
//! nested and dotted keys alike and any mixture; writing nests. What a record holds survives the way out and back.

use serde_json::{Map, Value as Json};

use super::coerce::{Coerced, Scalar};
use super::{Record, Value};
use crate::limits::{MAX_SUMMARY_ARGUMENT_BYTES, MAX_SUMMARY_TEXT_BYTES, MAX_UNFIT_SHOWN, MAX_UNFIT_TEXT_BYTES};
use crate::schema::{FieldId, FieldType, fields};
use crate::value::timestamp;

/// The fields of a summary: single-valued texts, numbers and dates.
pub(crate) const SUMMARY: [FieldId; 10] = [
    fields::TIMESTAMP,
    fields::CONTAINER_ID,
    fields::EVENT_ACTION,
    fields::EVENT_ID,
    fields::PROCESS_COMMAND_LINE,
    fields::PROCESS_ENTITY_ID,
    fields::PROCESS_EXECUTABLE,
    fields::PROCESS_NAME,
    fields::PROCESS_PID,
    fields::USER_NAME,
];

/// What an alert says of its event beside the fields of the summary, if it is no longer there.
pub(crate) const OF_ALERT: [FieldId; 14] = [
    fields::CONTAINER_IMAGE_NAME,
    fields::CONTAINER_NAME,
    fields::EVENT_CATEGORY,
    fields::EVENT_TYPE,
    fields::HOST_ID,
    fields::HOST_NAME,
    fields::ORCHESTRATOR_NAMESPACE,
    fields::ORCHESTRATOR_RESOURCE_NAME,
    fields::PROCESS_ARGS_COUNT,
    fields::PROCESS_INTERACTIVE,
    fields::PROCESS_PARENT_NAME,
    fields::PROCESS_PARENT_PID,
    fields::PROCESS_WORKING_DIRECTORY,
    fields::USER_ID,
];

/// What a document held that the record does not.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct DocumentCounts {
    /// Values under a key that the schema does not know.
    pub unknown_fields: u64,
    /// Values that could not be read as their field's type, or that were too long.
    pub unfit_values: u64,
    /// The first ten of these.
    pub unfit: Vec<UnfitValue>,
}

/// A value of a document that its field cannot hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnfitValue {
    /// The field.
    pub field: FieldId,
    /// The value as the document has it, a long text cut.
    pub value: String,
}

impl DocumentCounts {
    fn add_unfit(&mut self, field: FieldId, scalar: &Scalar<'_>) {
        self.unfit_values += 1;
        if self.unfit.len() < MAX_UNFIT_SHOWN {
            let value = match scalar {
                Scalar::Text(text) => text[..text.floor_char_boundary(MAX_UNFIT_TEXT_BYTES)].to_owned(),
                other => other.to_string(),
            };
            self.unfit.push(UnfitValue { field, value });
        }
    }
}

impl Record {
    /// The record as a nested ECS document, fields in the schema's order. A list where the schema says so or where
    /// there is more than one value; dates in RFC 3339, UTC.
    pub fn to_document(&self) -> Map<String, Json> {
        let mut present: Vec<FieldId> = self.fields().collect();
        present.sort_unstable();
        let mut document = Map::new();
        for field in present.into_iter().filter(|field| *field != fields::OTHERS) {
            let value = if self.schema.field_type(field) == FieldType::Object {
                self.labels(field)
            } else {
                self.list(field)
            };
            insert_nested(&mut document, self.schema.name(field), value);
        }
        if let Json::Object(others) = self.labels(fields::OTHERS) {
            for (name, value) in others {
                insert_nested(&mut document, &name, value);
            }
        }
        document
    }

    /// The fields by which a person recognises the event, of each the first value, texts cut to
    /// [`MAX_SUMMARY_TEXT_BYTES`].
    pub(crate) fn summary(&self) -> Map<String, Json> {
        self.firsts(&SUMMARY)
    }

    /// The summary with whose event it is, on which host, and as many of its arguments as fit into
    /// [`MAX_SUMMARY_ARGUMENT_BYTES`]: what an alert is made of when the event is no longer there.
    pub(crate) fn alert_summary(&self) -> Map<String, Json> {
        let mut document = self.firsts(&[&SUMMARY[..], &OF_ALERT, self.schema.owner()].concat());
        let mut room = MAX_SUMMARY_ARGUMENT_BYTES;
        let mut args = Vec::new();
        for value in self.values(fields::PROCESS_ARGS) {
            let Value::Text(text) = value else { continue };
            let Some(left) = room.checked_sub(text.len()) else {
                break;
            };
            room = left;
            args.push(Json::from(text.to_owned()));
        }
        if !args.is_empty() {
            insert_nested(&mut document, self.schema.name(fields::PROCESS_ARGS), args.into());
        }
        document
    }

    fn firsts(&self, fields: &[FieldId]) -> Map<String, Json> {
        let mut document = Map::new();
        for field in fields.iter().copied() {
            let Some(mut value) = self.values(field).next().map(json) else {
                continue;
            };
            if let Json::String(text) = &mut value {
                text.truncate(text.floor_char_boundary(MAX_SUMMARY_TEXT_BYTES));
                text.shrink_to_fit();
            }
            if self.schema.is_array(field) {
                value = Json::Array(vec![value]);
            }
            insert_nested(&mut document, self.schema.name(field), value);
        }
        document
    }

    /// Makes the record hold what the document holds, and nothing else.
    pub fn fill_from_document(&mut self, document: &Map<String, Json>) -> DocumentCounts {
        self.clear();
        let mut counts = DocumentCounts::default();
        let mut path = String::new();
        self.fill(document, &mut path, &mut counts);
        counts
    }

    fn list(&self, field: FieldId) -> Json {
        let mut values: Vec<Json> = self.values(field).map(json).collect();
        if values.len() == 1 && !self.schema.is_array(field) {
            values.remove(0)
        } else {
            Json::Array(values)
        }
    }

    fn labels(&self, field: FieldId) -> Json {
        let mut labels = Map::new();
        for value in self.values(field) {
            let Value::Label { key, value } = value else {
                continue;
            };
            match labels.get_mut(key) {
                None => {
                    labels.insert(key.to_owned(), value.into());
                }
                Some(Json::Array(values)) => values.push(value.into()),
                Some(single) => *single = Json::Array(vec![single.take(), value.into()]),
            }
        }
        Json::Object(labels)
    }

    fn fill(&mut self, object: &Map<String, Json>, path: &mut String, counts: &mut DocumentCounts) {
        for (key, value) in object {
            if key.is_empty() {
                counts.unknown_fields += 1;
                continue;
            }
            let parent = path.len();
            if parent > 0 {
                path.push('.');
            }
            path.push_str(key);
            self.fill_value(value, path, counts);
            path.truncate(parent);
        }
    }

    fn fill_value(&mut self, value: &Json, path: &mut String, counts: &mut DocumentCounts) {
        match value {
            Json::Null => {}
            Json::Array(values) => values.iter().for_each(|value| self.fill_value(value, path, counts)),
            Json::Object(object) => match self.schema.field(path) {
                Some(field) if self.schema.field_type(field) == FieldType::Object => {
                    self.fill_labels(field, object, &mut String::new(), counts);
                }
                _ => self.fill(object, path, counts),
            },
            value => {
                let Some(scalar) = &scalar(value) else { return };
                match self.schema.field(path) {
                    Some(field) => self.fill_scalar(field, scalar, counts),
                    None => match self.schema.split_object_key(path) {
                        Some((field, key)) => self.fill_label(field, key, scalar, counts),
                        None => self.fill_other(path, scalar, counts),
                    },
                }
            }
        }
    }

    pub(super) fn fill_scalar(&mut self, field: FieldId, scalar: &Scalar<'_>, counts: &mut DocumentCounts) {
        let mut text = String::new();
        let fits = match Coerced::new(self.schema.field_type(field), scalar, &mut text) {
            Coerced::Value(value) => self.push(field, value),
            Coerced::Nothing => true,
            Coerced::Unfit => false,
        };
        if !fits {
            counts.add_unfit(field, scalar);
        }
    }

    fn fill_labels(
        &mut self,
        field: FieldId,
        object: &Map<String, Json>,
        key: &mut String,
        counts: &mut DocumentCounts,
    ) {
        for (name, value) in object {
            if name.is_empty() {
                counts.unknown_fields += 1;
                continue;
            }
            let parent = key.len();
            if parent > 0 {
                key.push('.');
            }
            key.push_str(name);
            self.fill_label_value(field, value, key, counts);
            key.truncate(parent);
        }
    }

    fn fill_label_value(&mut self, field: FieldId, value: &Json, key: &mut String, counts: &mut DocumentCounts) {
        match value {
            Json::Null => {}
            Json::Array(values) => values
                .iter()
                .for_each(|value| self.fill_label_value(field, value, key, counts)),
            Json::Object(object) => self.fill_labels(field, object, key, counts),
            value => {
                if let Some(scalar) = &scalar(value) {
                    self.fill_label(field, key, scalar, counts);
                }
            }
        }
    }

    /// A value under a name of no field: rules may look at it all the same.
    pub(super) fn fill_other(&mut self, name: &str, scalar: &Scalar<'_>, counts: &mut DocumentCounts) {
        counts.unknown_fields += u64::from(self.schema.own_field(name).is_none());
        if self.wants(fields::OTHERS) {
            self.fill_label(fields::OTHERS, name, scalar, counts);
        }
    }

    pub(super) fn fill_label(&mut self, field: FieldId, key: &str, scalar: &Scalar<'_>, counts: &mut DocumentCounts) {
        let stored = match scalar {
            Scalar::Text(value) => self.push(field, Value::Label { key, value }),
            other => {
                let value = &other.to_string();
                self.push(field, Value::Label { key, value })
            }
        };
        if !stored {
            counts.add_unfit(field, scalar);
        }
    }
}

fn scalar(value: &Json) -> Option<Scalar<'_>> {
    match value {
        Json::String(text) => Some(Scalar::Text(text)),
        Json::Number(number) => Some(Scalar::Number(number.clone())),
        Json::Bool(truth) => Some(Scalar::Boolean(*truth)),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn json(value: Value<'_>) -> Json {
    match value {
        Value::Text(text) => text.into(),
        Value::Long(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(truth) => truth.into(),
        Value::Date(nanoseconds) => timestamp::format(nanoseconds).into(),
        Value::Label { value, .. } => value.into(),
    }
}

/// Puts `value` at the dotted `name`. Where a value stands in the way (`process.name` and its multi-field
/// `process.name.text`), the rest of the name stays dotted.
fn insert_nested(object: &mut Map<String, Json>, name: &str, value: Json) {
    if let Some((first, rest)) = name.split_once('.')
        && !(first.is_empty() || rest.split('.').any(str::is_empty))
        && let Json::Object(child) = object.entry(first).or_insert_with(|| Json::Object(Map::new()))
    {
        insert_nested(child, rest, value);
    } else {
        object.entry(name).or_insert(value);
    }
}
