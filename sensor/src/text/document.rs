//! Lookup in ECS documents, whose keys may be nested (`{"process": {"pid": 1}}`), dotted (`{"process.pid": 1}`) or
//! both.

use serde_json::{Map, Value};

/// An event or an alert as JSON.
pub(crate) type Document = Map<String, Value>;

/// The value of a field, under nested or dotted keys.
pub(crate) fn get<'a>(document: &'a Document, field: &str) -> Option<&'a Value> {
    if let Some(value) = document.get(field) {
        return Some(value);
    }
    field
        .match_indices('.')
        .find_map(|(dot, _)| match document.get(&field[..dot]) {
            Some(Value::Object(inner)) => get(inner, &field[dot + 1..]),
            _ => None,
        })
}

/// The first text of a field.
pub(crate) fn text<'a>(document: &'a Document, field: &str) -> Option<&'a str> {
    match get(document, field)? {
        Value::Array(values) => values.iter().find_map(Value::as_str),
        value => value.as_str(),
    }
}

/// All texts of a field.
pub(crate) fn texts<'a>(document: &'a Document, field: &str) -> Vec<&'a str> {
    match get(document, field) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(value) => value.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

/// The integer of a field.
pub(crate) fn integer(document: &Document, field: &str) -> Option<i64> {
    get(document, field)?.as_i64()
}

/// Puts `addition` into `document`, objects into objects of the same name.
pub(crate) fn merge(document: &mut Document, addition: Document) {
    for (key, value) in addition {
        match (document.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(value)) => merge(known, value),
            (_, value) => {
                document.insert(key, value);
            }
        }
    }
}

/// The memory that a document takes, about.
pub(crate) fn memory(document: &Document) -> usize {
    let entry = |(key, value): (&String, &Value)| key.capacity() + 2 * size_of::<String>() + memory_of(value);
    document.iter().map(entry).sum()
}

fn memory_of(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.capacity(),
            Value::Array(values) => values.iter().map(memory_of).sum(),
            Value::Object(inner) => memory(inner),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// Every field below `prefix`, by the rest of its name. Whatever is not an object is a value.
pub(crate) fn fields_below<'a>(document: &'a Document, prefix: &str) -> Vec<(String, &'a Value)> {
    let mut found = Vec::new();
    for (key, value) in document {
        collect_fields(key.clone(), value, &mut found);
    }
    found.retain_mut(
        |(name, _)| match name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => {
                *name = rest.to_owned();
                true
            }
            None => false,
        },
    );
    found
}

fn collect_fields<'a>(name: String, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(inner) => {
            inner
                .iter()
                .for_each(|(key, value)| collect_fields(format!("{name}.{key}"), value, found));
        }
        _ => found.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> Document {
        let Value::Object(document) = value else {
            panic!("not an object")
        };
        document
    }

    #[test]
    fn nested_dotted_and_mixed_keys_are_the_same_field() {
        for written in [
            json!({"process": {"parent": {"pid": 7}}}),
            json!({"process.parent.pid": 7}),
            json!({"process.parent": {"pid": 7}}),
            json!({"process": {"parent.pid": 7}}),
        ] {
            let document = document(written);
            assert_eq!(integer(&document, "process.parent.pid"), Some(7));
            assert_eq!(integer(&document, "process.pid"), None);
            assert_eq!(
                fields_below(&document, "process"),
                [("parent.pid".to_owned(), &json!(7))]
            );
        }
    }

    #[test]
    fn a_single_text_and_a_list_of_texts_read_alike() {
        let document = document(json!({"event": {"category": ["process", 3, "x"], "kind": "event"}}));
        assert_eq!(text(&document, "event.category"), Some("process"));
        assert_eq!(texts(&document, "event.category"), ["process", "x"]);
        assert_eq!(texts(&document, "event.kind"), ["event"]);
        assert_eq!(texts(&document, "event.action"), [""; 0]);
    }
}
