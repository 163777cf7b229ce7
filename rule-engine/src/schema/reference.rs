//! What a name in a rule refers to: a field, a key of an object field, or a multi-field of a field.

use super::nearest::nearest;
use crate::diagnostic::{Code, Findings, Span};
use crate::schema::{FieldId, FieldType};
use crate::value::Case;

/// A field of the schema as a rule names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldReference {
    pub field: FieldId,
    /// For an object field, the key whose values are meant.
    pub key: Option<Box<str>>,
    /// `NAME.caseless` means the values of `NAME`, compared without regard to case.
    pub case: Case,
}

impl FieldReference {
    pub fn resolve(name: &str) -> Option<FieldReference> {
        if let Some(base) = name.strip_suffix(".caseless").and_then(keyword) {
            return Some(FieldReference {
                field: base,
                key: None,
                case: Case::Insensitive,
            });
        }
        let base = name.strip_suffix(".text").and_then(keyword);
        if let Some(field) = base.or_else(|| FieldId::by_name(name)) {
            return Some(FieldReference {
                field,
                key: None,
                case: Case::Sensitive,
            });
        }
        let (field, key) = FieldId::split_object_key(name)?;
        Some(FieldReference {
            field,
            key: Some(key.into()),
            case: Case::Sensitive,
        })
    }

    /// Resolves the name or notes an error with the nearest names.
    pub fn check(name: &str, span: Span, findings: &mut Findings) -> Option<FieldReference> {
        let reference = FieldReference::resolve(name);
        match &reference {
            None => {
                let nearest = if findings.is_full() { None } else { nearest_name(name) };
                let finding = findings.add(span, Code::UnknownField, format!("unknown field `{name}`"));
                if let Some(nearest) = nearest {
                    finding.help(format!("did you mean `{nearest}`?"));
                }
            }
            Some(reference) if reference.field.field_type() == FieldType::Group => {
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

    /// The type of the values that are compared.
    pub fn value_type(&self) -> FieldType {
        match self.field.field_type() {
            FieldType::Object => FieldType::Keyword,
            other => other,
        }
    }

    pub fn name(&self) -> String {
        match &self.key {
            None => self.field.name().to_owned(),
            Some(key) => format!("{}.{key}", self.field.name()),
        }
    }
}

fn keyword(name: &str) -> Option<FieldId> {
    FieldId::by_name(name).filter(|field| field.field_type() == FieldType::Keyword)
}

fn nearest_name(name: &str) -> Option<&'static str> {
    nearest(name, FieldId::all().map(FieldId::name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::fields;

    #[test]
    fn multi_fields_and_object_keys_lead_to_their_field() {
        let resolve = |name| FieldReference::resolve(name).map(|found| (found.field, found.key, found.case));
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
        assert_eq!(nearest_name("process.nam"), Some("process.name"));
        assert_eq!(nearest_name("process.parrent.name"), Some("process.parent.name"));
        assert_eq!(nearest_name("container.Id"), Some("container.id"));
        assert_eq!(nearest_name("x.y"), None);
        assert_eq!(nearest_name(&"x".repeat(100_000)), None);
    }
}
