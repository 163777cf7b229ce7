//! What a source of events fills: for warnings of rules that none of its events can match.
//!
//! The engine knows no source; whoever embeds it describes their own. Only warnings come of the description, and which
//! categories a rule's `index` patterns name: recorded documents of other producers may have what it leaves out.

use std::collections::HashMap;

use super::streams::{Categories, DataStreams};
use crate::schema::{FieldId, FieldType, Schema, SchemaError};

/// The events that rules will be run over: which fields they have, with which values, in which data streams.
#[derive(Clone, Debug)]
pub struct Producer {
    schema: Schema,
    streams: DataStreams,
    categories: Categories,
    /// The fields that are filled, each with all its values where these are few; `None` if any may be.
    fields: Option<HashMap<FieldId, Vec<String>>>,
}

impl Producer {
    /// A producer that may fill every field of the schema with any value, in events of every category, in the data
    /// streams of the agents that Elastic's rules are written for.
    pub fn new(schema: Schema) -> Producer {
        Producer {
            schema,
            streams: DataStreams::default(),
            categories: Categories::ALL,
            fields: None,
        }
    }

    /// Its events are in these data streams.
    pub fn with_streams(mut self, streams: DataStreams) -> Producer {
        self.streams = streams;
        self
    }

    /// Its events have one of these values of `event.category`. One that ECS does not know may be any.
    pub fn with_categories(mut self, names: &[&str]) -> Producer {
        self.categories = Categories::from_names(names.iter().copied());
        self
    }

    /// It fills these fields and no others, each with one of the values listed or, if none is, with any.
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = (FieldId, Vec<String>)>) -> Producer {
        self.fields = Some(fields.into_iter().collect());
        self
    }

    /// Rules may also look at a field that has no place of its own in records ([`Schema::with_own_field`]).
    pub(crate) fn declare_own(&mut self, name: &str, field_type: FieldType) -> Result<(), SchemaError> {
        self.schema.declare_own(name, field_type)
    }

    /// The schema of its events.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether some of its events have the field.
    pub fn fills(&self, field: FieldId) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains_key(&field))
    }

    /// All values that it gives the field, where these are few; none where they are many.
    pub fn values(&self, field: FieldId) -> &[String] {
        let values = self.fields.as_ref().and_then(|fields| fields.get(&field));
        values.map_or(&[], Vec::as_slice)
    }

    pub(crate) fn streams(&self) -> &DataStreams {
        &self.streams
    }

    /// Whether some of its events are of one of the categories.
    pub(crate) fn makes(&self, categories: Categories) -> bool {
        self.categories.overlaps(categories)
    }

    /// The names of the streams that its events are in; `{category}` stands for any category.
    pub(crate) fn stream_names(&self) -> Vec<String> {
        self.streams.names_for(self.categories)
    }
}
