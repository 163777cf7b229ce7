//! What a name in a rule refers to: a field, a key of an object field, or a multi-field of a field.

use crate::diagnostic::{Findings, Span};
use crate::schema::{FieldId, FieldType};

/// A field of the schema as a rule names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldReference {
    pub field: FieldId,
    /// For an object field, the key whose values are meant.
    pub key: Option<Box<str>>,
    /// `NAME.caseless` means the values of `NAME`, compared without regard to case.
    pub case: Case,
}

/// Whether letters of ASCII that differ only in case are the same. Other letters always differ, as in Elasticsearch.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

impl Case {
    /// Insensitive if either is.
    pub fn or(self, other: Case) -> Case {
        if self == Case::Insensitive { self } else { other }
    }
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
                let finding = findings.error(span, "unknown-field", format!("unknown field `{name}`"));
                if let Some(nearest) = nearest {
                    finding.help(format!("did you mean `{nearest}`?"));
                }
            }
            Some(reference) if reference.field.field_type() == FieldType::Group => {
                findings.error(
                    span,
                    "field-group",
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

/// Longest name for which a nearest one is looked for.
const MAX_SUGGESTED_NAME: usize = 100;

/// The known name with the fewest edits to `name`, if that is few for its length.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_SUGGESTED_NAME {
        return None;
    }
    let most = (name.len() / 4).clamp(1, 4);
    known
        .filter(|known| known.len().abs_diff(name.len()) <= most)
        .map(|known| (edit_distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, nearest)| nearest)
}

fn nearest_name(name: &str) -> Option<&'static str> {
    nearest(name, FieldId::all().map(FieldId::name))
}

/// Levenshtein's distance, without regard to case.
fn edit_distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
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
