//! What a match says of the group that it is of, as Kibana's alerts do.

use serde::Serialize;
use serde_json::Value as Json;

use crate::condition::KeyField;
use crate::schema::FieldType;

/// A field, and what the events of a group share of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct GroupTerm {
    /// The field's name.
    pub field: String,
    /// One value; a list, where whole lists are compared; null where events without the field are a group.
    pub value: Json,
}

/// How the events of a group reached a threshold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ThresholdResult {
    /// What the events share; empty where all events are one group.
    pub terms: Vec<GroupTerm>,
    /// The field of which different values are counted, and of how many that makes at least.
    pub cardinality: Option<(String, u64)>,
    /// How many events there were from `from_ns` on.
    pub count: u64,
    /// The `@timestamp` of the first, in nanoseconds since the epoch, as far as it follows from that of the last.
    pub from_ns: Option<i64>,
}

impl GroupTerm {
    /// With the one value, or none.
    pub(super) fn single(key: &KeyField, value: Option<String>) -> GroupTerm {
        GroupTerm::of(key, |field_type| {
            value.map_or(Json::Null, |text| typed(text, field_type))
        })
    }

    /// With all values, in order.
    pub(super) fn list(key: &KeyField, values: Vec<Option<String>>) -> GroupTerm {
        let mut texts: Vec<String> = values.into_iter().flatten().collect();
        texts.sort_unstable();
        GroupTerm::of(key, |field_type| match texts.is_empty() {
            true => Json::Null,
            false => texts.into_iter().map(|text| typed(text, field_type)).collect(),
        })
    }

    fn of(key: &KeyField, value: impl FnOnce(FieldType) -> Json) -> GroupTerm {
        GroupTerm {
            field: key.field.name(),
            value: value(key.field.value_type),
        }
    }
}

fn typed(text: String, field_type: FieldType) -> Json {
    match field_type {
        FieldType::Long | FieldType::Float | FieldType::Boolean => serde_json::from_str(&text).ok(),
        _ => None,
    }
    .unwrap_or(Json::String(text))
}
