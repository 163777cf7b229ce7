//! What a record has of a field that a rule names: the one place that knows of keys of objects, of types that labels are
//! read as, and of case that does not count.

use std::borrow::Cow;

use super::coerce::{Coerced, Scalar};
use super::{Record, Value, Values};
use crate::schema::{FieldId, FieldReference, FieldType};
use crate::value::case::folded;
use crate::value::{Address, timestamp};

/// The values that are compared; those of an object field's key as values of this type.
pub(crate) fn tested_values<'a>(
    record: &'a Record,
    field: FieldId,
    key: Option<&'a str>,
    value_type: FieldType,
) -> impl Iterator<Item = Value<'a>> {
    typed(record.tested_values(field), key, value_type)
}

fn typed<'a>(values: Values<'a>, key: Option<&'a str>, value_type: FieldType) -> impl Iterator<Item = Value<'a>> {
    values.filter_map(move |value| match value {
        Value::Label { key: of_value, value } => match key {
            Some(wanted) if wanted != of_value => None,
            _ => label(value, value_type),
        },
        other => Some(other),
    })
}

fn label(text: &str, value_type: FieldType) -> Option<Value<'_>> {
    match value_type {
        FieldType::Keyword | FieldType::Text | FieldType::Object | FieldType::Group => Some(Value::Text(text)),
        FieldType::Ip => Address::parse(text).map(|_| Value::Text(text)),
        FieldType::Long | FieldType::Float | FieldType::Boolean | FieldType::Date => {
            match Coerced::new(value_type, &Scalar::Text(text), &mut String::new()) {
                Coerced::Value(Value::Long(number)) => Some(Value::Long(number)),
                Coerced::Value(Value::Float(number)) => Some(Value::Float(number)),
                Coerced::Value(Value::Boolean(truth)) => Some(Value::Boolean(truth)),
                Coerced::Value(Value::Date(date)) => Some(Value::Date(date)),
                Coerced::Value(Value::Text(_) | Value::Label { .. }) | Coerced::Nothing | Coerced::Unfit => None,
            }
        }
    }
}

impl FieldReference {
    /// The field's own values as they are computed with; whoever does knows whether case counts.
    pub(crate) fn values<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Value<'a>> {
        typed(record.values(self.field), self.key.as_deref(), self.value_type)
    }

    /// A text as it is where it is a key or an argument: in lower case if case does not count, an address in its one
    /// spelling.
    pub(crate) fn plain<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.value_type {
            FieldType::Ip => {
                Address::parse(text).map_or(Cow::Borrowed(text), |address| Cow::Owned(address.to_string()))
            }
            _ => folded(text, self.case),
        }
    }

    /// The values as keys, each as text.
    pub(crate) fn keys<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Cow<'a, str>> {
        self.values(record).map(|value| match value {
            Value::Text(text) | Value::Label { value: text, .. } => self.plain(text),
            Value::Long(number) => Cow::Owned(number.to_string()),
            Value::Float(number) => Cow::Owned(number.to_string()),
            Value::Boolean(truth) => Cow::Owned(truth.to_string()),
            Value::Date(nanoseconds) => Cow::Owned(timestamp::format(nanoseconds)),
        })
    }
}
