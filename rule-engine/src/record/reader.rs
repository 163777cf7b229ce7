//! Documents read straight into records: the way of a recorded event, which makes no JSON values in between.
//!
//! Knows which fields are wanted and passes over everything else without looking into it. What a wanted field holds
//! comes out as from [`Record::fill_from_document`]; of a key that stands twice in one object, both values count.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Record;
use super::coerce::Scalar;
use super::document::DocumentCounts;
use crate::schema::{FieldId, FieldType, fields};
use crate::value::hash::LookupMap;

/// Reads documents into records that take certain fields.
pub struct DocumentReader {
    /// The names of the wanted fields as a tree, a node for each part of a name; the first is the root.
    nodes: Vec<Node>,
    /// Whether what stands under names of no field is wanted too.
    takes_others: bool,
}

#[derive(Default)]
struct Node {
    /// The name so far.
    path: Box<str>,
    below: LookupMap<Box<str>, usize>,
    field: Option<(FieldId, FieldType)>,
}

const ROOT: usize = 0;

impl DocumentReader {
    /// A reader for records like this one.
    pub fn new(record: &Record) -> DocumentReader {
        let schema = record.schema();
        let takes_others = record.wants(fields::OTHERS);
        let holds_values = |field: &FieldId| schema.field_type(*field) != FieldType::Group;
        let mut nodes = vec![Node::default()];
        // Which names are of no field is known only with all that are.
        for field in schema
            .fields()
            .filter(|field| *field != fields::OTHERS)
            .filter(|field| takes_others || (record.wants(*field) && holds_values(field)))
        {
            let name = schema.name(field);
            let mut node = ROOT;
            let mut end = 0;
            for part in name.split('.') {
                end += part.len();
                let new = nodes.len();
                node = *nodes[node].below.entry(part.into()).or_insert(new);
                if node == new {
                    nodes.push(Node {
                        path: name[..end].into(),
                        ..Node::default()
                    });
                }
                end += 1;
            }
            nodes[node].field = Some((field, schema.field_type(field)));
        }
        DocumentReader { nodes, takes_others }
    }

    /// Makes the record hold what the document holds of the wanted fields, and nothing else.
    ///
    /// # Errors
    /// The text is no JSON, or no object. What the record then holds is of no use.
    pub fn read(&self, json: &str, record: &mut Record) -> serde_json::Result<DocumentCounts> {
        record.clear();
        let mut target = Target {
            reader: self,
            record,
            counts: DocumentCounts::default(),
        };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        deserializer.deserialize_map(At {
            place: &Place::At(ROOT),
            target: &mut target,
        })?;
        deserializer.end()?;
        Ok(target.counts)
    }

    /// Where a key leads that stands in an object at `node`.
    fn place(&self, node: usize, key: &str) -> Place {
        // Most keys are one part of a name.
        if let Some(next) = self.nodes[node].below.get(key) {
            return Place::At(*next);
        }
        if !key.as_bytes().contains(&b'.') {
            return self.other(node, key);
        }
        let above = node;
        let mut node = node;
        let mut rest = key;
        loop {
            let (part, behind) = match rest.split_once('.') {
                Some((part, behind)) => (part, Some(behind)),
                None => (rest, None),
            };
            let Some(next) = self.nodes[node].below.get(part) else {
                return self.other(above, key);
            };
            node = *next;
            match (self.nodes[node].field, behind) {
                (_, None) => return Place::At(node),
                (Some((field, FieldType::Object)), Some(behind)) => {
                    return Place::Label(field, behind.to_owned());
                }
                (_, Some(behind)) => rest = behind,
            }
        }
    }

    /// Where a key leads that is no part of a field's name.
    fn other(&self, node: usize, key: &str) -> Place {
        if !self.takes_others || key.is_empty() {
            return Place::Unwanted;
        }
        Place::Other(match &*self.nodes[node].path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        })
    }
}

/// What a value is a value of.
enum Place {
    Unwanted,
    /// A node of the tree.
    At(usize),
    /// A key of an object field.
    Label(FieldId, String),
    /// A name of no field.
    Other(String),
}

/// What the values go into.
struct Target<'r> {
    reader: &'r DocumentReader,
    record: &'r mut Record,
    counts: DocumentCounts,
}

/// A value in its place.
struct At<'a, 'r> {
    place: &'a Place,
    target: &'a mut Target<'r>,
}

/// A key of an object at a node of the tree.
struct Key<'a> {
    reader: &'a DocumentReader,
    node: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Place;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Place;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Place, E> {
        Ok(self.reader.place(self.node, key))
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.place {
            Place::Unwanted => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl At<'_, '_> {
    fn scalar<E>(self, scalar: Scalar<'_>) -> Result<(), E> {
        let Target { reader, record, counts } = self.target;
        match self.place {
            Place::Unwanted => {}
            Place::Label(field, key) => record.fill_label(*field, key, &scalar, counts),
            Place::Other(name) => record.fill_other(name, &scalar, counts),
            Place::At(node) => match &reader.nodes[*node] {
                Node {
                    field: Some((field, _)),
                    ..
                } => record.fill_scalar(*field, &scalar, counts),
                Node { path, .. } if reader.takes_others => record.fill_other(path, &scalar, counts),
                _ => {}
            },
        }
        Ok(())
    }

    /// An object's values at the keys below a label or a name of no field.
    fn labels<'de, A: MapAccess<'de>>(
        self,
        above: &str,
        mut map: A,
        place: impl Fn(String) -> Place,
    ) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let place = &match (name.is_empty(), above.is_empty()) {
                (true, _) => Place::Unwanted,
                (false, true) => place(name),
                (false, false) => place(format!("{above}.{name}")),
            };
            let target = &mut *self.target;
            map.next_value_seed(At { place, target })?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.scalar(Scalar::Boolean(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Scalar::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(Scalar::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // JSON has no other numbers than those.
        serde_json::Number::from_f64(number).map_or(Ok(()), |number| self.scalar(Scalar::Number(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let place = self.place;
        loop {
            let target = &mut *self.target;
            if values.next_element_seed(At { place, target })?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.target.reader;
        let node = match self.place {
            Place::At(node) => *node,
            Place::Label(field, key) => return self.labels(key, map, |key| Place::Label(*field, key)),
            Place::Other(name) => return self.labels(name, map, Place::Other),
            Place::Unwanted => return Ok(()),
        };
        if let Some((field, FieldType::Object)) = reader.nodes[node].field {
            return self.labels("", map, |key| Place::Label(field, key));
        }
        while let Some(place) = map.next_key_seed(Key { reader, node })? {
            let target = &mut *self.target;
            map.next_value_seed(At { place: &place, target })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json, json};

    use super::*;

    fn scalar() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "[a\"\\\\\u{e9}\n]{0,4}".prop_map(Json::from),
            Just(json!("2026-11-20T10:00:00.5Z")),
            Just(json!("17")),
        ]
    }

    fn key() -> impl Strategy<Value = String> {
        let keys = [
            "process",
            "process.name",
            "name",
            "pid",
            "args",
            "parent",
            "parent.name",
            "container",
            "container.labels",
            "labels",
            "labels.app.tier",
            "app",
            "@timestamp",
            "interactive",
            "text",
            "name.text",
            "unknown",
            "",
            ".",
        ];
        prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
    }

    fn document() -> impl Strategy<Value = Map<String, Json>> {
        let value = scalar().prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                prop::collection::btree_map(key(), inner, 0..5)
                    .prop_map(|object| Json::Object(object.into_iter().collect())),
            ]
        });
        prop::collection::btree_map(key(), value, 0..5).prop_map(|object| object.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_document_gives_the_record_that_its_values_give(document in document()) {
            let json = serde_json::to_string(&document).expect("a document can be written");
            let document = serde_json::from_str(&json).expect("what was written can be read");
            let mut expected = Record::new();
            let counts = expected.fill_from_document(&document);
            let mut record = Record::new();
            let read = DocumentReader::new(&record).read(&json, &mut record).expect("what was written can be read");
            prop_assert_eq!(record.to_document(), expected.to_document());
            prop_assert_eq!((read.unfit_values, read.unfit), (counts.unfit_values, counts.unfit));
        }
    }

    #[test]
    fn what_is_not_wanted_is_passed_over() {
        use crate::schema::Schema;
        let mut record = Record::only(&Schema::ecs(), |field| field == fields::PROCESS_NAME);
        let reader = DocumentReader::new(&record);
        let read = reader.read(r#"{"process":{"name":"sh","pid":"no number"},"x":[{}]}"#, &mut record);
        assert_eq!(read.expect("JSON").unfit_values, 0);
        assert_eq!(Json::Object(record.to_document()), json!({"process": {"name": "sh"}}));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        let mut record = Record::new();
        let reader = DocumentReader::new(&record);
        for text in ["", "[]", "1", "{", "{} {}", "{\"a\":}"] {
            assert!(reader.read(text, &mut record).is_err(), "{text}");
        }
    }
}
