//! What an event must have for a condition to hold, derived from the condition.
//!
//! One or more alternatives, each of which names for fields that must have a value the keys of which at least one must
//! match. Keys are weaker than the tests they come from, and what keys cannot express is left out: a condition may fail
//! although its prerequisite is met, but it never holds without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Condition, FieldCondition, Test};
use crate::schema::{FieldId, FieldType};
use crate::value::hash::HashMap;
use crate::value::{Number, Pattern, Symbol};

/// The shortest part of a pattern that is worth searching for.
const MIN_PART_BYTES: usize = 3;
/// More keys than this say little.
const MAX_KEYS: usize = 1_024;
/// Where there are more alternatives, some are made one that asks for less.
const MAX_ALTERNATIVES: usize = 32;

/// What must be true of an event for a condition to hold: all that one of the alternatives says. Without any, it never
/// holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Prerequisite(Vec<Needs>);

/// What values an event must have.
pub(crate) type Needs = BTreeMap<Need, RequiredValues>;

/// Of which field, and how that is found out. A field may have to have one of some whole values and one of some parts.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Need {
    pub field: FieldId,
    pub search: Search,
}

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Search {
    /// Values are looked up as a whole.
    Whole,
    /// They are searched for parts.
    Parts,
}

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

    fn search(&self) -> Search {
        // What takes a search to find.
        if self.keys().any(|key| matches!(key, RequiredKey::Part(_))) {
            Search::Parts
        } else {
            Search::Whole
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

    /// The most selective one.
    fn stronger(&self, field: FieldId, one: RequiredValues, other: RequiredValues) -> RequiredValues {
        if self.weakness(field, &other) < self.weakness(field, &one) {
            other
        } else {
            one
        }
    }

    /// How likely it is that one of the alternatives is met.
    fn weakness_of(&self, alternatives: &[Needs]) -> u64 {
        let of_need = |(need, values): (&Need, &RequiredValues)| self.weakness(need.field, values);
        let of_one = |needs: &Needs| needs.iter().map(of_need).min().unwrap_or(u64::MAX);
        alternatives
            .iter()
            .map(of_one)
            .fold(0, |sum, weakness| sum.saturating_add(weakness))
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
            Test::Regex(regex) => {
                let parts = regex.required_parts();
                parts.map(|parts| parts.iter().cloned().map(RequiredKey::Part).collect())
            }
            Test::Exists
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
    /// Each by itself is enough.
    pub(crate) fn alternatives(&self) -> &[Needs] {
        &self.0
    }

    fn nothing() -> Prerequisite {
        Prerequisite(vec![Needs::new()])
    }

    fn impossible() -> Prerequisite {
        Prerequisite(Vec::new())
    }

    pub(crate) fn of(condition: &Condition, counts: &KeyCounts) -> Prerequisite {
        let prerequisite = |condition| Prerequisite::of(condition, counts);
        match condition {
            Condition::Always | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::Never => Prerequisite::impossible(),
            Condition::All(conditions) => Prerequisite::all(conditions.iter().map(prerequisite), counts),
            Condition::Any(conditions) => Prerequisite::any(conditions.iter().map(prerequisite), counts),
            Condition::Not(condition) => Prerequisite::of_negation(condition, counts),
            Condition::Field(condition) => {
                let values = counts.values(condition);
                let need = Need {
                    field: condition.field.field,
                    search: values.search(),
                };
                Prerequisite(vec![Needs::from([(need, values)])])
            }
        }
    }

    fn of_negation(condition: &Condition, counts: &KeyCounts) -> Prerequisite {
        let of_negation = |condition| Prerequisite::of_negation(condition, counts);
        match condition {
            Condition::Always => Prerequisite::impossible(),
            Condition::Never | Condition::Field(_) | Condition::Computed(_) => Prerequisite::nothing(),
            Condition::All(conditions) => Prerequisite::any(conditions.iter().map(of_negation), counts),
            Condition::Any(conditions) => Prerequisite::all(conditions.iter().map(of_negation), counts),
            Condition::Not(condition) => Prerequisite::of(condition, counts),
        }
    }

    /// The prerequisite of all conditions holding.
    pub(crate) fn all(conditions: impl Iterator<Item = Prerequisite>, counts: &KeyCounts) -> Prerequisite {
        let mut conditions: Vec<Prerequisite> = conditions.collect();
        // What rules out the most is left as it is.
        conditions.sort_by_cached_key(|Prerequisite(alternatives)| {
            (alternatives.len() > 1, counts.weakness_of(alternatives))
        });
        let both = |one: Prerequisite, other: Prerequisite| {
            let other = if one.0.len() * other.0.len() > MAX_ALTERNATIVES {
                other.in_one(counts)
            } else {
                other
            };
            let pairs = one
                .0
                .iter()
                .flat_map(|one| other.0.iter().map(move |other| (one, other)));
            Prerequisite(pairs.map(|(one, other)| counts.both(one, other)).collect())
        };
        conditions.into_iter().fold(Prerequisite::nothing(), both)
    }

    /// The prerequisite of any condition holding.
    pub(crate) fn any(conditions: impl Iterator<Item = Prerequisite>, counts: &KeyCounts) -> Prerequisite {
        let mut alternatives: Vec<Needs> = Vec::new();
        for needs in conditions.flat_map(|Prerequisite(alternatives)| alternatives) {
            if needs.is_empty() {
                return Prerequisite::nothing();
            }
            if !alternatives.iter_mut().any(|known| take_in(known, &needs)) {
                alternatives.push(needs);
            }
        }
        if alternatives.len() <= MAX_ALTERNATIVES {
            return Prerequisite(alternatives);
        }
        // Those that ask for the same fields lose the least.
        let mut by_fields: BTreeMap<Vec<FieldId>, Vec<Needs>> = BTreeMap::new();
        for needs in alternatives {
            let fields = needs.keys().map(|need| need.field).collect();
            by_fields.entry(fields).or_default().push(needs);
        }
        let groups = by_fields.into_values();
        let merged = Prerequisite(groups.flat_map(|group| Prerequisite(group).in_one(counts).0).collect());
        if merged.0.len() <= MAX_ALTERNATIVES {
            merged
        } else {
            merged.in_one(counts)
        }
    }

    /// The same as a single alternative, which asks for what all of them do.
    fn in_one(self, counts: &KeyCounts) -> Prerequisite {
        let common = self
            .0
            .into_iter()
            .map(|needs| counts.by_field(needs))
            .reduce(|one, mut other| {
                let both = one.into_iter().filter_map(|(field, values)| {
                    let others = other.remove(&field)?;
                    Some((field, values.either(others)))
                });
                both.collect()
            });
        let needs = common.map(|common| {
            let need = |(field, values): (FieldId, RequiredValues)| {
                let search = values.search();
                (Need { field, search }, values)
            };
            common.into_iter().map(need).collect()
        });
        Prerequisite(needs.into_iter().collect())
    }
}

impl KeyCounts {
    /// What both ask for.
    fn both(&self, one: &Needs, other: &Needs) -> Needs {
        let mut both = one.clone();
        for (need, values) in other {
            self.demand(&mut both, *need, need.field, values.clone());
        }
        // Who needs a part needs a value.
        let has_part = |need: &&Need| need.search == Search::Parts;
        let with_parts: BTreeSet<FieldId> = both.keys().filter(has_part).map(|need| need.field).collect();
        both.retain(|need, values| *values != RequiredValues::Any || !with_parts.contains(&need.field));
        both
    }

    /// Adds what is asked for of a field; the most selective values stay.
    fn demand<K: Ord>(&self, asked: &mut BTreeMap<K, RequiredValues>, key: K, field: FieldId, values: RequiredValues) {
        let stronger = match asked.remove(&key) {
            None => values,
            Some(known) => self.stronger(field, known, values),
        };
        asked.insert(key, stronger);
    }

    /// Of each field the most selective values.
    fn by_field(&self, needs: Needs) -> BTreeMap<FieldId, RequiredValues> {
        let mut fields = BTreeMap::new();
        for (Need { field, .. }, values) in needs {
            self.demand(&mut fields, field, field, values);
        }
        fields
    }
}

/// Makes of needs that differ in the keys of one field alone needs for which either will do; returns whether they do.
fn take_in(known: &mut Needs, other: &Needs) -> bool {
    if known.len() != other.len() || !known.keys().eq(other.keys()) {
        return false;
    }
    let mut different = known
        .iter_mut()
        .zip(other.values())
        .filter(|((_, one), other)| **one != **other);
    match (different.next(), different.next()) {
        (None, _) => true,
        (Some(((_, RequiredValues::Keys(keys)), RequiredValues::Keys(others))), None)
            if keys.len() + others.len() <= MAX_KEYS =>
        {
            keys.extend(others.iter().cloned());
            true
        }
        _ => false,
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
