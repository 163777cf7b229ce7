//! What a name in a rule refers to: a field, a key of an object field, or a multi-field of a field.

use super::nearest::nearest;
use super::{Definition, FieldId, FieldType, Schema, fields};
use crate::diagnostic::{Code, Findings, Span};
use crate::value::Case;

/// A field of the schema as a rule names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldReference {
    pub field: FieldId,
    /// What the schema says of the field.
    pub definition: Definition,
    /// Whether a test of it is one of another field's values too.
    pub has_further_values: bool,
    /// For an object field, the key whose values are meant.
    pub key: Option<Box<str>>,
    /// What the values are that are compared.
    pub value_type: FieldType,
    /// `NAME.caseless` means the values of `NAME`, compared without regard to case.
    pub case: Case,
}

impl FieldReference {
    /// The field itself.
    pub(crate) fn new(schema: &Schema, field: FieldId) -> FieldReference {
        let definition = schema.definition(field).clone();
        FieldReference {
            field,
            key: None,
            value_type: match definition.field_type {
                FieldType::Object => FieldType::Keyword,
                other => other,
            },
            case: Case::Sensitive,
            has_further_values: schema.further_values(field).is_some(),
            definition,
        }
    }

    /// A field that is declared nowhere, of which documents may have values of this type all the same.
    pub(crate) fn undeclared(schema: &Schema, name: &str) -> FieldReference {
        FieldReference::of_key(schema, fields::OTHERS, name)
    }

    fn of_key(schema: &Schema, object: FieldId, key: &str) -> FieldReference {
        FieldReference {
            key: Some(key.into()),
            ..FieldReference::new(schema, object)
        }
    }

    pub(crate) fn resolve(schema: &Schema, name: &str) -> Option<FieldReference> {
        let keyword =
            |name| FieldReference::declared(schema, name).filter(|found| found.value_type == FieldType::Keyword);
        if let Some(base) = name.strip_suffix(".caseless").and_then(keyword) {
            return Some(FieldReference {
                case: Case::Insensitive,
                ..base
            });
        }
        let base = name.strip_suffix(".text").and_then(keyword);
        let of_words = base.map(|base| FieldReference {
            value_type: FieldType::Text,
            ..base
        });
        let declared = of_words.or_else(|| FieldReference::declared(schema, name));
        declared.or_else(|| {
            let (object, key) = schema.split_object_key(name)?;
            Some(FieldReference::of_key(schema, object, key))
        })
    }

    fn declared(schema: &Schema, name: &str) -> Option<FieldReference> {
        if let Some(field) = schema.field(name) {
            return Some(FieldReference::new(schema, field));
        }
        let value_type = schema.own_field(name)?;
        let (object, key) = schema.split_object_key(name).unwrap_or((fields::OTHERS, name));
        Some(FieldReference {
            value_type,
            ..FieldReference::of_key(schema, object, key)
        })
    }

    /// Resolves the name, or reports an error with the nearest name.
    pub(crate) fn check(schema: &Schema, name: &str, span: Span, findings: &mut Findings) -> Option<FieldReference> {
        let reference = FieldReference::resolve(schema, name);
        match &reference {
            None => {
                let nearest = if findings.is_full() {
                    None
                } else {
                    FieldReference::nearest_name(schema, name)
                };
                let finding = findings.add(span, Code::UnknownField, format!("unknown field `{name}`"));
                if let Some(nearest) = nearest {
                    finding.help(format!("did you mean `{nearest}`?"));
                }
            }
            Some(reference) if reference.definition.field_type == FieldType::Group => {
                findings.add(
                    span,
                    Code::FieldGroup,
                    format!("`{name}` has no value of its own, only fields below it"),
                );
                return None;
            }
            _ => {}
        }
        reference
    }

    /// The known field whose name is nearest, if one is near.
    pub(crate) fn nearest_name<'a>(schema: &'a Schema, name: &str) -> Option<&'a str> {
        nearest(name, schema.names().filter(|known| !known.is_empty()))
    }

    pub(crate) fn name(&self) -> String {
        match &self.key {
            None => self.definition.name.clone().into_owned(),
            Some(key) if self.field == fields::OTHERS => key.clone().into_string(),
            Some(key) => format!("{}.{key}", self.definition.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::fields;

    #[test]
    fn multi_fields_and_object_keys_lead_to_their_field() {
        let resolve =
            |name| FieldReference::resolve(&Schema::ecs(), name).map(|found| (found.field, found.key, found.case));
        assert_eq!(
            resolve("process.name"),
            Some((fields::PROCESS_NAME, None, Case::Sensitive))
        );
        assert_eq!(
            resolve("process.name.caseless"),
            Some((fields::PROCESS_NAME, None, Case::Insensitive))
        );
        assert_eq!(
            resolve("process.name.text"),
            Some((fields::PROCESS_NAME, None, Case::Sensitive))
        );
        let label = Some((fields::CONTAINER_LABELS, Some("com.example.x".into()), Case::Sensitive));
        assert_eq!(resolve("container.labels.com.example.x"), label);
        assert_eq!(resolve("process.pid.caseless"), None);
        assert_eq!(resolve("proces.name"), None);
    }

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let schema = Schema::ecs();
        let nearest_name = |name: &str| FieldReference::nearest_name(&schema, name);
        assert_eq!(nearest_name("process.nam"), Some("process.name"));
        assert_eq!(nearest_name("process.parrent.name"), Some("process.parent.name"));
        assert_eq!(nearest_name("container.Id"), Some("container.id"));
        assert_eq!(nearest_name("x.y"), None);
        assert_eq!(nearest_name(&"x".repeat(100_000)), None);
    }
}
