//! The one table of fields that events carry and rules may name.
//!
//! First stage of everything: a rule's field names and a document's keys become [`FieldId`]s here, and nothing behind
//! this module handles a field by its name. The rows come from `schema/fields.tsv`, sorted by name, so comparing two
//! `FieldId`s compares their names; which of them the sensor fills is in `schema/produced.tsv`.

use std::sync::LazyLock;

use crate::value::hash::HashMap;

mod nearest;
mod reference;

pub(crate) use nearest::nearest;
pub(crate) use reference::FieldReference;

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// A field of the schema.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FieldId(u16);

/// What the values of a field are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FieldType {
    /// Text compared as a whole.
    Keyword,
    /// Text meant for searching by word.
    Text,
    Long,
    Float,
    Boolean,
    Date,
    /// An address in its textual form.
    Ip,
    /// Keys that are not known in advance, each with a text: `container.labels`.
    Object,
    /// Only a name for the fields below it; never holds a value.
    Group,
}

struct Row {
    name: &'static str,
    field_type: FieldType,
    is_array: bool,
    is_produced: bool,
    produced_values: &'static [&'static str],
}

static BY_NAME: LazyLock<HashMap<&'static str, FieldId>> =
    LazyLock::new(|| FieldId::all().map(|field| (field.name(), field)).collect());

impl FieldId {
    /// How many fields there are.
    pub const COUNT: usize = ROWS.len();

    pub fn by_name(name: &str) -> Option<FieldId> {
        BY_NAME.get(name).copied()
    }

    /// Splits a dotted name into an object field and the key below it.
    pub(crate) fn split_object_key(name: &str) -> Option<(FieldId, &str)> {
        name.match_indices('.').find_map(|(at, _)| {
            let field = FieldId::by_name(&name[..at])?;
            (field.field_type() == FieldType::Object).then_some((field, &name[at + 1..]))
        })
    }

    /// Every field, in the order of the names.
    pub fn all() -> impl Iterator<Item = FieldId> {
        (0..Self::COUNT as u16).map(FieldId)
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn field_type(self) -> FieldType {
        self.row().field_type
    }

    /// Whether documents carry the field as a list even when it has one value.
    pub fn is_array(self) -> bool {
        self.row().is_array
    }

    /// Whether the sensor fills the field. Recorded documents of other producers may have any.
    pub fn is_produced(self) -> bool {
        self.row().is_produced
    }

    /// All values that the sensor gives the field, where these are few; none where they are many.
    pub fn produced_values(self) -> &'static [&'static str] {
        self.row().produced_values
    }

    /// Position in the table, below [`FieldId::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    fn row(self) -> &'static Row {
        &ROWS[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in FieldId::all() {
            assert_eq!(FieldId::by_name(field.name()), Some(field));
        }
        assert_eq!(FieldId::by_name("process.nam"), None);
    }

    #[test]
    fn constants_carry_the_names_they_are_called_by() {
        assert_eq!(fields::TIMESTAMP.name(), "@timestamp");
        assert_eq!(
            fields::PROCESS_ENTRY_LEADER_ENTRY_META_TYPE.name(),
            "process.entry_leader.entry_meta.type"
        );
        assert_eq!(fields::USER_EXT_REAL_ID.name(), "user.Ext.real.id");
    }

    #[test]
    fn what_the_sensor_fills_is_told_from_what_it_does_not() {
        assert!(fields::PROCESS_NAME.is_produced());
        assert!(fields::TIDEWAITER_CONTAINER_METADATA.is_produced());
        assert!(!fields::FILE_PATH.is_produced());
        assert_eq!(fields::EVENT_ACTION.produced_values(), ["fork", "exec", "end"]);
        assert!(fields::PROCESS_NAME.produced_values().is_empty());
    }

    #[test]
    fn types_and_lists_follow_the_table() {
        assert_eq!(fields::PROCESS_PID.field_type(), FieldType::Long);
        assert_eq!(fields::PROCESS_COMMAND_LINE.field_type(), FieldType::Keyword);
        assert_eq!(fields::CONTAINER_LABELS.field_type(), FieldType::Object);
        assert_eq!(fields::PROCESS_TTY.field_type(), FieldType::Group);
        assert!(fields::PROCESS_ARGS.is_array());
        assert!(!fields::PROCESS_NAME.is_array());
    }
}
