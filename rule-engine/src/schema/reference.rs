//! What a name in a rule refers to: a field, a key of an object field, or a multi-field of a field.

use super::nearest::nearest;
use super::{Definition, FieldId, FieldType, Schema};
use crate::diagnostic::{Code, Findings, Span};
use crate::value::Case;

/// A field of the schema as a rule names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldReference {
    pub field: FieldId,
    /// What the schema says of the field.
    pub definition: Definition,
    /// For an object field, the key whose values are meant.
    pub key: Option<Box<str>>,
    /// `NAME.caseless` means the values of `NAME`, compared without regard to case.
    pub case: Case,
}

impl FieldReference {
    /// The field itself.
    pub(crate) fn new(schema: &Schema, field: FieldId) -> FieldReference {
        FieldReference {
            field,
            definition: schema.definition(field).clone(),
            key: None,
            case: Case::Sensitive,
        }
    }

    pub(crate) fn resolve(schema: &Schema, name: &str) -> Option<FieldReference> {
        let keyword = |name: &str| {
            let field = schema.field(name)?;
            (schema.field_type(field) == FieldType::Keyword).then_some(field)
        };
        if let Some(base) = name.strip_suffix(".caseless").and_then(keyword) {
            return Some(FieldReference {
                case: Case::Insensitive,
                ..FieldReference::new(schema, base)
            });
        }
        let base = name.strip_suffix(".text").and_then(keyword);
        if let Some(field) = base.or_else(|| schema.field(name)) {
            return Some(FieldReference::new(schema, field));
        }
        let (field, key) = schema.split_object_key(name)?;
        Some(FieldReference {
            key: Some(key.into()),
            ..FieldReference::new(schema, field)
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
        nearest(name, schema.fields().map(|field| schema.name(field)))
    }

    /// The type of the values that are compared.
    pub(crate) fn value_type(&self) -> FieldType {
        match self.definition.field_type {
            FieldType::Object => FieldType::Keyword,
            other => other,
        }
    }

    pub(crate) fn name(&self) -> String {
        match &self.key {
            None => self.definition.name.clone().into_owned(),
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
