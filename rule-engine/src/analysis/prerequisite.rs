//! What an event must have for a condition to hold, derived from the condition.
//!
//! For each field that must have a value, the keys of which at least one must match; and where alternatives ask for
//! different fields, one more list of keys, of whatever fields, of which at least one must match. Keys are weaker than
//! the tests they come from, and what keys cannot express is left out: a condition may fail although its prerequisite is
//! met, but it never holds without it.

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
    Needs(Needs),
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Needs {
    /// A value of each of these fields, as [`RequiredValues`] say.
    pub each: Fields,
    /// A value of one of these fields, at least two; empty if that is not asked for.
    pub any: Fields,
}

pub(crate) type Fields = BTreeMap<FieldId, RequiredValues>;

/// What must be true of a field's values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RequiredValues {
    /// There is one.
    Any,
    /// One of them matches one of the keys.
    Keys(BTreeSet<RequiredKey>),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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

/// How often each key occurs in all rules: what many rules look for is likely to be common in events too.
#[derive(Default)]
pub(crate) struct KeyCounts(HashMap<FieldId, HashMap<RequiredKey, u64>>);

/// How little is ruled out by the presence of a field, as the square of a number of rules; by true or false; by a number.
const WEAKNESS_OF_PRESENCE: u64 = 1 << 40;
const WEAKNESS_OF_BOOLEAN: u64 = 1 << 30;
const WEAKNESS_OF_NUMBER: u64 = 1 << 12;
/// How much weaker a part is than a whole value, which needs no search.
const WEAKNESS_OF_PART: u64 = 4;

impl KeyCounts {
    /// Counts the texts in the condition and the parts of its patterns.
    pub(crate) fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|condition| self.add(condition));
            }
            Condition::Not(condition) => self.add(condition),
            Condition::Field(FieldCondition { field, test }) => match test {
                Test::Like(patterns, _) => {
                    for pattern in patterns {
                        match pattern.exact_text() {
                            Some(text) => self.count(field.field, RequiredKey::Text(lower(&text))),
                            None => parts(pattern).for_each(|part| self.count(field.field, RequiredKey::Part(part))),
                        }
                    }
                }
                Test::TextIn(texts, _) => {
                    let keys = texts.iter().map(|text| RequiredKey::Text(lower(text)));
                    keys.for_each(|key| self.count(field.field, key));
                }
                _ => {}
            },
            Condition::Always | Condition::Never | Condition::Computed(_) => {}
        }
    }

    fn count(&mut self, field: FieldId, key: RequiredKey) {
        *self.0.entry(field).or_default().entry(key).or_default() += 1;
    }

    fn of(&self, field: FieldId, key: &RequiredKey) -> u64 {
        let counts = self.0.get(&field);
        counts.and_then(|counts| counts.get(key)).copied().unwrap_or(0)
    }

    /// The rarest literal part of the pattern; among equally rare ones the longest.
    fn key(&self, field: FieldId, pattern: &Pattern) -> Option<RequiredKey> {
        if let Some(text) = pattern.exact_text() {
            return Some(RequiredKey::Text(lower(&text)));
        }
        let rarity = |key: &RequiredKey| match key {
            RequiredKey::Part(part) => (self.of(field, key), usize::MAX - part.len()),
            _ => (0, 0),
        };
        parts(pattern).map(RequiredKey::Part).min_by_key(rarity)
    }

    /// How likely it is, by the rules, that an event has one of the keys.
    fn weakness(&self, field: FieldId, values: &RequiredValues) -> u64 {
        let RequiredValues::Keys(keys) = values else {
            return WEAKNESS_OF_PRESENCE;
        };
        let weakness = |key| match key {
            RequiredKey::Boolean(_) => WEAKNESS_OF_BOOLEAN,
            RequiredKey::Number(_) => WEAKNESS_OF_NUMBER,
            RequiredKey::Text(_) => (self.of(field, &key) + 1).pow(2),
            RequiredKey::Part(_) => WEAKNESS_OF_PART * (self.of(field, &key) + 1).pow(2),
        };
        keys.iter().cloned().map(weakness).sum()
    }

    fn weakness_of_any(&self, fields: &Fields) -> u64 {
        let weakness = |(field, values): (&FieldId, &RequiredValues)| self.weakness(*field, values);
        fields.iter().map(weakness).sum()
    }

    /// The more selective one: whole values before parts, fewer keys before more.
    fn stronger(one: RequiredValues, other: RequiredValues) -> RequiredValues {
        let weakness = |values: &RequiredValues| match values {
            RequiredValues::Any => (true, true, 0),
            RequiredValues::Keys(keys) => (false, values.have_parts(), keys.len()),
        };
        if weakness(&other) < weakness(&one) { other } else { one }
    }

    /// The strongest list of keys of which one must match.
    fn strongest(&self, needs: &Needs) -> Option<Fields> {
        let each = needs.each.iter();
        let single = each.map(|(field, values)| BTreeMap::from([(*field, values.clone())]));
        let any = Some(needs.any.clone()).filter(|any| !any.is_empty());
        single.chain(any).min_by_key(|fields| self.weakness_of_any(fields))
    }

    fn values(&self, condition: &FieldCondition) -> RequiredValues {
        // An event's labels and its numbers with a fraction are not looked up by keys.
        let field_type = condition.field.definition.field_type;
        let keys: Option<BTreeSet<RequiredKey>> = match &condition.test {
            _ if field_type == FieldType::Object => None,
            Test::TextIn(texts, _) => Some(texts.iter().map(|text| RequiredKey::Text(lower(text))).collect()),
            Test::Like(patterns, _) => patterns
                .iter()
                .map(|pattern| self.key(condition.field.field, pattern))
                .collect(),
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
        Prerequisite::Needs(Needs::default())
    }

    pub(crate) fn of(condition: &Condition, counts: &KeyCounts) -> Prerequisite {
        let prerequisite = |condition| Prerequisite::of(condition, counts);
        match condition {
            Condition::Always | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::Never => Prerequisite::Impossible,
            Condition::All(conditions) => Prerequisite::all(conditions.iter().map(prerequisite), counts),
            Condition::Any(conditions) => Prerequisite::any(conditions.iter().map(prerequisite), counts),
            Condition::Not(condition) => Prerequisite::of_negation(condition, counts),
            Condition::Field(condition) => Prerequisite::Needs(Needs {
                each: BTreeMap::from([(condition.field.field, counts.values(condition))]),
                any: Fields::new(),
            }),
        }
    }

    fn of_negation(condition: &Condition, counts: &KeyCounts) -> Prerequisite {
        let of_negation = |condition| Prerequisite::of_negation(condition, counts);
        match condition {
            Condition::Always => Prerequisite::Impossible,
            Condition::Never | Condition::Field(_) | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::All(conditions) => Prerequisite::any(conditions.iter().map(of_negation), counts),
            Condition::Any(conditions) => Prerequisite::all(conditions.iter().map(of_negation), counts),
            Condition::Not(condition) => Prerequisite::of(condition, counts),
        }
    }

    /// The prerequisite of all conditions holding.
    pub(crate) fn all(conditions: impl Iterator<Item = Prerequisite>, counts: &KeyCounts) -> Prerequisite {
        let mut all = Needs::default();
        for prerequisite in conditions {
            let Prerequisite::Needs(needs) = prerequisite else {
                return Prerequisite::Impossible;
            };
            for (field, values) in needs.each {
                let stronger = match all.each.remove(&field) {
                    None => values,
                    Some(known) => KeyCounts::stronger(known, values),
                };
                all.each.insert(field, stronger);
            }
            let is_stronger = |any: &Fields| counts.weakness_of_any(any) < counts.weakness_of_any(&all.any);
            if !needs.any.is_empty() && (all.any.is_empty() || is_stronger(&needs.any)) {
                all.any = needs.any;
            }
        }
        Prerequisite::Needs(all)
    }

    /// The prerequisite of any condition holding.
    pub(crate) fn any(conditions: impl Iterator<Item = Prerequisite>, counts: &KeyCounts) -> Prerequisite {
        let possible = conditions.filter_map(|prerequisite| match prerequisite {
            Prerequisite::Impossible => None,
            Prerequisite::Needs(needs) => Some((counts.strongest(&needs), needs.each)),
        });
        let common = possible.reduce(|(any, each), (other_any, mut other_each)| {
            let both = each.into_iter().filter_map(|(field, values)| {
                let others = other_each.remove(&field)?;
                Some((field, values.either(others)))
            });
            (any.zip(other_any).map(either), both.collect())
        });
        let Some((any, each)) = common else {
            return Prerequisite::Impossible;
        };
        // Of one field, it is among `each`.
        let any = any.filter(|any| any.len() > 1).unwrap_or_default();
        Prerequisite::Needs(Needs { each, any })
    }
}

/// Fields of which one has what one of the lists says.
fn either((mut one, other): (Fields, Fields)) -> Fields {
    for (field, values) in other {
        let values = match one.remove(&field) {
            None => values,
            Some(known) => known.either(values),
        };
        one.insert(field, values);
    }
    one
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
