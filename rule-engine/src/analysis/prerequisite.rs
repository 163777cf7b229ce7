//! What an event must have for a condition to hold, derived from the condition.
//!
//! For each field that must have a value, the keys of which at least one must match. Keys are weaker than the tests
//! they come from, and what keys cannot express is left out: a condition may fail although its prerequisite is met, but
//! it never holds without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Condition, FieldCondition, Test};
use crate::schema::{FieldId, FieldType};
use crate::value::hash::HashMap;
use crate::value::{Number, Pattern, Symbol};

/// The shortest part of a pattern that is worth searching for.
const MIN_PART_BYTES: usize = 3;
/// More keys than this say little.
const MAX_KEYS: usize = 1_024;

/// What must be true of an event for a condition to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Prerequisite {
    /// It never holds.
    Impossible,
    /// A value of each of these fields, as [`RequiredValues`] say.
    Fields(BTreeMap<FieldId, RequiredValues>),
}

/// What must be true of a field's values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RequiredValues {
    /// There is one.
    Any,
    /// One of them matches one of the keys.
    Keys(BTreeSet<RequiredKey>),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum RequiredKey {
    /// The whole text, in lower case.
    Text(Box<str>),
    /// A part of the text, in lower case.
    Part(Box<str>),
    Number(i64),
    Boolean(bool),
}

impl RequiredValues {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &RequiredKey> {
        let keys = match self {
            RequiredValues::Any => None,
            RequiredValues::Keys(keys) => Some(keys),
        };
        keys.into_iter().flatten()
    }

    /// Whether some key is a part of a text, which takes a search to find.
    pub(crate) fn have_parts(&self) -> bool {
        self.keys().any(|key| matches!(key, RequiredKey::Part(_)))
    }

    /// The more selective one: whole values before parts, fewer keys before more.
    fn stronger(self, other: RequiredValues) -> RequiredValues {
        let weakness = |values: &RequiredValues| match values {
            RequiredValues::Any => (true, true, 0),
            RequiredValues::Keys(keys) => (false, values.have_parts(), keys.len()),
        };
        if weakness(&other) < weakness(&self) {
            other
        } else {
            self
        }
    }

    fn either(self, other: RequiredValues) -> RequiredValues {
        match (self, other) {
            (RequiredValues::Keys(mut keys), RequiredValues::Keys(others)) if keys.len() + others.len() <= MAX_KEYS => {
                keys.extend(others);
                RequiredValues::Keys(keys)
            }
            _ => RequiredValues::Any,
        }
    }
}

/// How often each part of a pattern occurs in all rules: what many rules look for is likely to be common in events too.
#[derive(Default)]
pub(crate) struct PartCounts(HashMap<Box<str>, usize>);

impl PartCounts {
    /// Counts the parts of every pattern in the condition.
    pub(crate) fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|condition| self.add(condition));
            }
            Condition::Not(condition) => self.add(condition),
            Condition::Field(FieldCondition {
                test: Test::Like(patterns, _),
                ..
            }) => {
                for part in patterns.iter().flat_map(parts) {
                    *self.0.entry(part).or_default() += 1;
                }
            }
            Condition::Always | Condition::Never | Condition::Field(_) | Condition::Computed(_) => {}
        }
    }

    /// The rarest literal part of the pattern; among equally rare ones the longest.
    fn key(&self, pattern: &Pattern) -> Option<RequiredKey> {
        if let Some(text) = pattern.exact_text() {
            return Some(RequiredKey::Text(lower(&text)));
        }
        let count = |part: &str| self.0.get(part).copied().unwrap_or(0);
        let rarest = parts(pattern).min_by_key(|part| (count(part), usize::MAX - part.len()));
        rarest.map(RequiredKey::Part)
    }

    fn values(&self, condition: &FieldCondition) -> RequiredValues {
        // An event's labels and its numbers with a fraction are not looked up by keys.
        let field_type = condition.field.definition.field_type;
        let keys: Option<BTreeSet<RequiredKey>> = match &condition.test {
            _ if field_type == FieldType::Object => None,
            Test::TextIn(texts, _) => Some(texts.iter().map(|text| RequiredKey::Text(lower(text))).collect()),
            Test::Like(patterns, _) => patterns.iter().map(|pattern| self.key(pattern)).collect(),
            Test::NumberIn(numbers) => numbers
                .iter()
                .map(|number| match number {
                    Number::Long(number) if field_type == FieldType::Long => Some(RequiredKey::Number(*number)),
                    Number::Long(_) | Number::Float(_) => None,
                })
                .collect(),
            Test::Boolean(truth) => Some(BTreeSet::from([RequiredKey::Boolean(*truth)])),
            Test::Exists
            | Test::Regex(_)
            | Test::Phrase(_)
            | Test::AnyWord(_)
            | Test::Within(_)
            | Test::AddressOrder(..)
            | Test::TextOrder(..)
            | Test::NumberOrder(..)
            | Test::DateIn(_)
            | Test::DateOrder(..) => None,
        };
        keys.filter(|keys| keys.len() <= MAX_KEYS)
            .map_or(RequiredValues::Any, RequiredValues::Keys)
    }
}

impl Prerequisite {
    pub(crate) fn nothing() -> Prerequisite {
        Prerequisite::Fields(BTreeMap::new())
    }

    pub(crate) fn of(condition: &Condition, counts: &PartCounts) -> Prerequisite {
        let prerequisite = |condition| Prerequisite::of(condition, counts);
        match condition {
            Condition::Always | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::Never => Prerequisite::Impossible,
            Condition::All(conditions) => Prerequisite::all(conditions.iter().map(prerequisite)),
            Condition::Any(conditions) => Prerequisite::any(conditions.iter().map(prerequisite)),
            Condition::Not(condition) => Prerequisite::of_negation(condition, counts),
            Condition::Field(condition) => {
                Prerequisite::Fields(BTreeMap::from([(condition.field.field, counts.values(condition))]))
            }
        }
    }

    fn of_negation(condition: &Condition, counts: &PartCounts) -> Prerequisite {
        let of_negation = |condition| Prerequisite::of_negation(condition, counts);
        match condition {
            Condition::Always => Prerequisite::Impossible,
            Condition::Never | Condition::Field(_) | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::All(conditions) => Prerequisite::any(conditions.iter().map(of_negation)),
            Condition::Any(conditions) => Prerequisite::all(conditions.iter().map(of_negation)),
            Condition::Not(condition) => Prerequisite::of(condition, counts),
        }
    }

    /// The prerequisite of all conditions holding.
    pub(crate) fn all(conditions: impl Iterator<Item = Prerequisite>) -> Prerequisite {
        let mut all = BTreeMap::new();
        for prerequisite in conditions {
            let Prerequisite::Fields(fields) = prerequisite else {
                return Prerequisite::Impossible;
            };
            for (field, values) in fields {
                let stronger = match all.remove(&field) {
                    None => values,
                    Some(known) => values.stronger(known),
                };
                all.insert(field, stronger);
            }
        }
        Prerequisite::Fields(all)
    }

    /// The prerequisite of any condition holding.
    pub(crate) fn any(conditions: impl Iterator<Item = Prerequisite>) -> Prerequisite {
        let possible = conditions.filter_map(|prerequisite| match prerequisite {
            Prerequisite::Impossible => None,
            Prerequisite::Fields(fields) => Some(fields),
        });
        let common = possible.reduce(|mut common, mut fields| {
            let both = common.iter_mut().filter_map(|(field, values)| {
                let known = std::mem::replace(values, RequiredValues::Any);
                fields.remove(field).map(|values| (*field, known.either(values)))
            });
            both.collect()
        });
        common.map_or(Prerequisite::Impossible, Prerequisite::Fields)
    }
}

/// The literal parts of a pattern that are worth looking for, in lower case.
fn parts(pattern: &Pattern) -> impl Iterator<Item = Box<str>> {
    let is_character = |symbol: &Symbol| matches!(symbol, Symbol::Character(_));
    let parts = pattern.symbols().split(move |symbol| !is_character(symbol));
    let text = |symbols: &[Symbol]| Pattern::new(symbols.iter().copied()).exact_text();
    let long = parts.filter_map(text).filter(|part| part.len() >= MIN_PART_BYTES);
    long.map(|part| lower(&part))
}

fn lower(text: &str) -> Box<str> {
    text.to_ascii_lowercase().into()
}
