//! What rules are checked against.

use crate::limits::{LimitError, RuleLimits};
use crate::record::Producer;
use crate::schema::{FieldType, Schema, SchemaError};

/// What rules are checked against: the fields there are, the events to expect, and how large a rule may be.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    producer: Producer,
    limits: RuleLimits,
    own_table: String,
}

impl Default for ParseOptions {
    fn default() -> Self {
        ParseOptions::new(Producer::new(Schema::ecs()))
    }
}

impl ParseOptions {
    /// Rules for the events of this producer, which are read with its schema.
    pub fn new(producer: Producer) -> ParseOptions {
        ParseOptions {
            producer,
            limits: RuleLimits::default(),
            own_table: "engine".to_owned(),
        }
    }

    /// With these limits instead of the default ones.
    ///
    /// # Errors
    /// A limit that cannot be kept.
    pub fn with_limits(mut self, limits: RuleLimits) -> Result<ParseOptions, LimitError> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// The table of a rule file that holds what Elastic's rules have no key for, such as the rule's own examples;
    /// `engine` unless said otherwise.
    pub fn with_own_table(mut self, name: impl Into<String>) -> ParseOptions {
        self.own_table = name.into();
        self
    }

    /// Rules may also name this field, which records have no place of their own for: see [`Schema::with_own_field`]. A
    /// rule file declares such fields for itself in the table `schema` of its own table.
    ///
    /// # Errors
    /// As there.
    pub fn with_own_field(mut self, name: &str, field_type: FieldType) -> Result<ParseOptions, SchemaError> {
        self.declare_own(name, field_type)?;
        Ok(self)
    }

    pub(crate) fn declare_own(&mut self, name: &str, field_type: FieldType) -> Result<(), SchemaError> {
        self.producer.declare_own(name, field_type)
    }

    /// The fields that rules may name.
    pub fn schema(&self) -> &Schema {
        self.producer.schema()
    }

    /// The events that rules are for.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    pub(crate) fn limits(&self) -> &RuleLimits {
        &self.limits
    }

    pub(crate) fn own_table(&self) -> &str {
        &self.own_table
    }
}
