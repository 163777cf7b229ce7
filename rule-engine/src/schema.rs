//! The fields that events carry and rules may name.
//!
//! First stage of everything: a rule's field names and a document's keys become [`FieldId`]s here, and nothing after
//! this room looks a field up by its name. The fields of ECS and of Elastic's agents come from `schema/fields.tsv`; a
//! [`Schema`] may declare others beside them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use crate::value::hash::HashMap;

mod nearest;
mod reference;

pub(crate) use nearest::nearest;
pub(crate) use reference::FieldReference;

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// A field of a [`Schema`]. [`fields::OTHERS`] comes first, then the fields of `schema/fields.tsv` in the order of their
/// names; these have the same ids in every schema. Then come the declared ones, in the order of their declaration.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FieldId(u16);

impl FieldId {
    /// The field that a schema declares at this position behind those of the table, from 0. A group that is declared with
    /// the first field below it takes a position as well.
    pub const fn declared(position: u16) -> FieldId {
        FieldId(ECS.len() as u16 + position)
    }

    /// The position in the schema, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What the values of a field are.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum FieldType {
    /// Text compared as a whole.
    Keyword,
    /// Text meant for searching by word.
    Text,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Float,
    /// True or false.
    Boolean,
    /// A point in time, in nanoseconds since the epoch, UTC.
    Date,
    /// An address in its textual form.
    Ip,
    /// Keys that are not known in advance, each with a text: `container.labels`.
    Object,
    /// Only a name for the fields below it; never holds a value.
    Group,
}

/// As an index's mapping names types.
impl FromStr for FieldType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<FieldType, UnknownType> {
        Ok(match name {
            "keyword" | "constant_keyword" | "wildcard" => FieldType::Keyword,
            "text" | "match_only_text" => FieldType::Text,
            "long" | "integer" | "short" | "byte" => FieldType::Long,
            "float" | "double" | "half_float" | "scaled_float" => FieldType::Float,
            "boolean" => FieldType::Boolean,
            "date" => FieldType::Date,
            "ip" => FieldType::Ip,
            _ => return Err(UnknownType(name.to_owned())),
        })
    }
}

/// A name of no type that a field can be declared with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no type of a field: `keyword`, `text`, `long`, `float`, `boolean`, `date` or `ip`")]
pub struct UnknownType(String);

/// What a schema says of one field.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Definition {
    pub name: Cow<'static, str>,
    pub field_type: FieldType,
    /// Whether documents carry the field as a list even when it has one value.
    pub is_array: bool,
}

/// Which fields there are, and which name the owner of an event. Cheap to clone; two schemas are equal if they declare
/// the same fields in the same order, with the same further values, and name the owner alike.
#[derive(Clone)]
pub struct Schema(Arc<Declared>);

#[derive(Clone)]
struct Declared {
    fields: Vec<Definition>,
    by_name: HashMap<String, FieldId>,
    /// Fields without a slot of their own in records.
    own: BTreeMap<String, FieldType>,
    owner: Box<[FieldId]>,
    /// By field, see [`Schema::with_further_values`].
    further: Vec<Option<FieldId>>,
}

impl Default for Declared {
    fn default() -> Self {
        Declared {
            fields: Vec::new(),
            by_name: HashMap::default(),
            own: BTreeMap::new(),
            owner: [fields::CONTAINER_ID].into(),
            further: Vec::new(),
        }
    }
}

/// Why a field cannot be declared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The name is no name of a field.
    #[error("`{name}` is not a field's name: its parts between `.` are letters, digits, `_`, `-` and `@`")]
    BadName {
        /// The name that was to be declared.
        name: String,
    },
    /// There is a field of the name already.
    #[error("there is a field `{name}` already")]
    Duplicate {
        /// The name that was to be declared.
        name: String,
    },
    /// A field that holds values cannot have fields below it.
    #[error("`{name}` lies below `{holder}`, which holds values itself")]
    BelowValue {
        /// The name that was to be declared.
        name: String,
        /// The field above it.
        holder: String,
    },
    /// The field has another type already.
    #[error("`{name}` is declared with another type already")]
    OtherType {
        /// The name that was to be declared.
        name: String,
    },
    /// A schema holds no more fields.
    #[error("a schema has at most {} fields", Schema::MAX_FIELDS)]
    TooMany,
}

static ECS_BY_NAME: LazyLock<HashMap<&'static str, FieldId>> = LazyLock::new(|| {
    let ids = (0..).map(FieldId);
    let named = ECS.iter().map(|field| field.name.as_ref()).zip(ids);
    named.filter(|(name, _)| !name.is_empty()).collect()
});

static ECS_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema(Arc::default()));

impl Schema {
    /// How many fields a schema can have. A record keeps two numbers of 16 bits for itself.
    pub const MAX_FIELDS: usize = u16::MAX as usize - 1;

    /// The fields of `schema/fields.tsv`: Elastic Common Schema and what Elastic's agents write beyond it.
    pub fn ecs() -> Schema {
        ECS_SCHEMA.clone()
    }

    /// The schema with one field more, and with the groups that its name begins with.
    ///
    /// # Errors
    /// The name is none, is taken, or lies below a field that holds values; or the schema is full.
    pub fn with_field(self, name: &str, field_type: FieldType) -> Result<Schema, SchemaError> {
        self.with_definition(name, field_type, false)
    }

    /// [`Schema::with_field`] for a field that documents carry as a list even when it has one value.
    ///
    /// # Errors
    /// As there.
    pub fn with_list_field(self, name: &str, field_type: FieldType) -> Result<Schema, SchemaError> {
        self.with_definition(name, field_type, true)
    }

    fn with_definition(mut self, name: &str, field_type: FieldType, is_array: bool) -> Result<Schema, SchemaError> {
        self.check_new(name)?;
        for (end, _) in name.match_indices('.') {
            let above = &name[..end];
            match self.field(above).map(|field| self.field_type(field)) {
                None if ecs_has_fields_below(above) => {}
                None => self.declare(above, FieldType::Group, false)?,
                Some(FieldType::Group) => {}
                Some(_) => {
                    return Err(SchemaError::BelowValue {
                        name: name.to_owned(),
                        holder: above.to_owned(),
                    });
                }
            }
        }
        self.declare(name, field_type, is_array)?;
        Ok(self)
    }

    /// The schema with a field for which records have no place of their own: rules read it from what documents have
    /// beside the other fields, or from the labels that it names (`container.labels.team`). So records of both schemas
    /// are alike, and the schemas are equal.
    ///
    /// # Errors
    /// The name is none, is taken, or lies below a field with values that are no labels; or the field has another type.
    pub fn with_own_field(mut self, name: &str, field_type: FieldType) -> Result<Schema, SchemaError> {
        self.declare_own(name, field_type)?;
        Ok(self)
    }

    /// [`Schema::with_own_field`] in place.
    pub(crate) fn declare_own(&mut self, name: &str, field_type: FieldType) -> Result<(), SchemaError> {
        self.check_new(name)?;
        let mut above = name.match_indices('.').filter_map(|(end, _)| self.field(&name[..end]));
        let holds_values = |field: &FieldId| !matches!(self.field_type(*field), FieldType::Group | FieldType::Object);
        if let Some(holder) = above.rfind(holds_values) {
            return Err(SchemaError::BelowValue {
                name: name.to_owned(),
                holder: self.name(holder).to_owned(),
            });
        }
        if self.own_field(name).is_some_and(|other| other != field_type) {
            return Err(SchemaError::OtherType { name: name.to_owned() });
        }
        Arc::make_mut(&mut self.0).own.insert(name.to_owned(), field_type);
        Ok(())
    }

    /// What the values are of a field that has no place of its own in records, if there is one of this name.
    pub(crate) fn own_field(&self, name: &str) -> Option<FieldType> {
        self.0.own.get(name).copied()
    }

    /// The names of all fields that a rule may look at.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields()
            .map(|field| self.name(field))
            .chain(self.0.own.keys().map(String::as_str))
    }

    fn check_new(&self, name: &str) -> Result<(), SchemaError> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "_-@".contains(letter))
        };
        if !name.split('.').all(is_part) {
            return Err(SchemaError::BadName { name: name.to_owned() });
        }
        if self.field(name).is_some() || ecs_has_fields_below(name) {
            return Err(SchemaError::Duplicate { name: name.to_owned() });
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, field_type: FieldType, is_array: bool) -> Result<(), SchemaError> {
        let count = self.field_count();
        let id = u16::try_from(count).ok().filter(|_| count < Self::MAX_FIELDS);
        let id = id.map(FieldId).ok_or(SchemaError::TooMany)?;
        let declared = Arc::make_mut(&mut self.0);
        declared.by_name.insert(name.to_owned(), id);
        declared.fields.push(Definition {
            name: name.to_owned().into(),
            field_type,
            is_array,
        });
        Ok(())
    }

    /// The schema with other fields that name the owner of an event: what rules remember is shared out fairly among
    /// owners, and `max_signals` counts for each. The first field with a value counts, an event without any is the
    /// host's; `container.id` unless said otherwise.
    ///
    /// # Panics
    /// A field is one of another schema.
    pub fn with_owner(mut self, fields: &[FieldId]) -> Schema {
        fields.iter().for_each(|field| {
            self.definition(*field);
        });
        Arc::make_mut(&mut self.0).owner = fields.into();
        self
    }

    /// The fields that name the owner of an event.
    pub fn owner(&self) -> &[FieldId] {
        &self.0.owner
    }

    /// The schema with a field whose values count as further ones of another: what compares the other compares these
    /// too, as if the other had them all. Documents show each where it is, and where values are no tests' (keys, function
    /// arguments) each field has its own alone.
    ///
    /// # Panics
    /// A field is one of another schema, or their types differ.
    pub fn with_further_values(mut self, of: FieldId, further: FieldId) -> Schema {
        assert_eq!(
            self.field_type(of),
            self.field_type(further),
            "the types of both fields"
        );
        let all = &mut Arc::make_mut(&mut self.0).further;
        all.resize(all.len().max(of.index() + 1), None);
        all[of.index()] = Some(further);
        self
    }

    /// The field whose values count as further ones of this field.
    pub(crate) fn further_values(&self, of: FieldId) -> Option<FieldId> {
        self.0.further.get(of.index()).copied().flatten()
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<FieldId> {
        let declared = || self.0.by_name.get(name);
        ECS_BY_NAME.get(name).or_else(declared).copied()
    }

    /// Every field, in the order of the ids.
    pub fn fields(&self) -> impl Iterator<Item = FieldId> + use<> {
        // There are never more than `MAX_FIELDS`.
        (0..self.field_count() as u16).map(FieldId)
    }

    /// How many fields there are.
    pub fn field_count(&self) -> usize {
        ECS.len() + self.0.fields.len()
    }

    /// The field's name, such as `process.name`.
    ///
    /// # Panics
    /// The field is one of another schema. So do the other questions about a field.
    pub fn name(&self, field: FieldId) -> &str {
        &self.definition(field).name
    }

    /// What the field's values are.
    pub fn field_type(&self, field: FieldId) -> FieldType {
        self.definition(field).field_type
    }

    /// Whether documents carry the field as a list even when it has one value.
    pub fn is_array(&self, field: FieldId) -> bool {
        self.definition(field).is_array
    }

    pub(crate) fn definition(&self, field: FieldId) -> &Definition {
        match ECS.get(field.index()) {
            Some(definition) => definition,
            None => &self.0.fields[field.index() - ECS.len()],
        }
    }

    /// Splits a dotted name into an object field and the key below it.
    pub(crate) fn split_object_key<'a>(&self, name: &'a str) -> Option<(FieldId, &'a str)> {
        name.match_indices('.').find_map(|(at, _)| {
            let field = self.field(&name[..at])?;
            (self.field_type(field) == FieldType::Object).then_some((field, &name[at + 1..]))
        })
    }
}

/// Whether the table has fields whose names begin with this one.
fn ecs_has_fields_below(name: &str) -> bool {
    let prefix = format!("{name}.");
    let first = ECS.partition_point(|field| *field.name < *prefix);
    ECS.get(first).is_some_and(|field| field.name.starts_with(&prefix))
}

impl Default for Schema {
    fn default() -> Self {
        Schema::ecs()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Schema) -> bool {
        let (one, two) = (&self.0, &other.0);
        Arc::ptr_eq(one, two) || (one.fields == two.fields && one.owner == two.owner && one.further == two.further)
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let declared = self.0.fields.iter().map(|field| &field.name);
        write!(formatter, "ECS and ")?;
        formatter.debug_list().entries(declared).finish()
    }
}

#[cfg(test)]
mod tests;
