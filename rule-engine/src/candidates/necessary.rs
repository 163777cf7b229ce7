//! What an event must have for a condition to hold: read off the condition, never too much.
//!
//! For each field that has to have a value, the keys of which one has to be among its values. A key says less than the
//! test it was made from, and what cannot be said in keys is left out, so a condition may fail though its keys are
//! there; it never holds without them.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Condition, FieldCondition, Number, Pattern, Symbol, Test};
use crate::schema::FieldId;

/// Letters that a part of a pattern needs to be worth looking for.
const MIN_PART_BYTES: usize = 3;
/// More keys than this say little.
const MAX_KEYS: usize = 1_024;

/// What is necessary for a condition to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Necessary {
    /// It never holds.
    Impossible,
    /// A value of each of these fields, as [`Values`] say.
    Fields(BTreeMap<FieldId, Values>),
}

/// What is necessary of a field's values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Values {
    /// That there is one.
    Any,
    /// That one has one of the keys.
    Keys(BTreeSet<Key>),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    /// The whole text, in lower case.
    Text(Box<str>),
    /// A part of the text, in lower case.
    Part(Box<str>),
    Number(i64),
    Boolean(bool),
}

impl Values {
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let keys = match self {
            Values::Any => None,
            Values::Keys(keys) => Some(keys),
        };
        keys.into_iter().flatten()
    }

    /// The length of the shortest part that has to be searched for; 0 if none has to.
    pub fn shortest_part(&self) -> usize {
        let parts = self.keys().filter_map(|key| match key {
            Key::Part(part) => Some(part.len()),
            _ => None,
        });
        parts.min().unwrap_or(0)
    }

    /// The one that says more: whole values before parts, fewer before more.
    fn stronger(self, other: Values) -> Values {
        let weakness = |values: &Values| match values {
            Values::Any => (true, true, 0),
            Values::Keys(keys) => (false, values.shortest_part() > 0, keys.len()),
        };
        if weakness(&other) < weakness(&self) {
            other
        } else {
            self
        }
    }

    fn either(self, other: Values) -> Values {
        match (self, other) {
            (Values::Keys(mut keys), Values::Keys(others)) if keys.len() + others.len() <= MAX_KEYS => {
                keys.extend(others);
                Values::Keys(keys)
            }
            _ => Values::Any,
        }
    }
}

impl Necessary {
    pub fn nothing() -> Necessary {
        Necessary::Fields(BTreeMap::new())
    }

    pub fn of(condition: &Condition) -> Necessary {
        match condition {
            Condition::Always | Condition::Computed(_) => Necessary::nothing(),
            Condition::Never => Necessary::Impossible,
            Condition::All(conditions) => Necessary::all(conditions.iter().map(Necessary::of)),
            Condition::Any(conditions) => Necessary::any(conditions.iter().map(Necessary::of)),
            Condition::Not(condition) => Necessary::of_negation(condition),
            Condition::Field(condition) => {
                Necessary::Fields(BTreeMap::from([(condition.field.field, values(condition))]))
            }
        }
    }

    fn of_negation(condition: &Condition) -> Necessary {
        match condition {
            Condition::Always => Necessary::Impossible,
            Condition::Never | Condition::Field(_) | Condition::Computed(_) => Necessary::nothing(),
            Condition::All(conditions) => Necessary::any(conditions.iter().map(Necessary::of_negation)),
            Condition::Any(conditions) => Necessary::all(conditions.iter().map(Necessary::of_negation)),
            Condition::Not(condition) => Necessary::of(condition),
        }
    }

    /// For all of them to hold.
    pub fn all(conditions: impl Iterator<Item = Necessary>) -> Necessary {
        let mut all = BTreeMap::new();
        for necessary in conditions {
            let Necessary::Fields(fields) = necessary else {
                return Necessary::Impossible;
            };
            for (field, values) in fields {
                let stronger = match all.remove(&field) {
                    None => values,
                    Some(known) => values.stronger(known),
                };
                all.insert(field, stronger);
            }
        }
        Necessary::Fields(all)
    }

    /// For any of them to hold.
    pub fn any(conditions: impl Iterator<Item = Necessary>) -> Necessary {
        let possible = conditions.filter_map(|necessary| match necessary {
            Necessary::Impossible => None,
            Necessary::Fields(fields) => Some(fields),
        });
        let common = possible.reduce(|mut common, mut fields| {
            let both = common.iter_mut().filter_map(|(field, values)| {
                let known = std::mem::replace(values, Values::Any);
                fields.remove(field).map(|values| (*field, known.either(values)))
            });
            both.collect()
        });
        common.map_or(Necessary::Impossible, Necessary::Fields)
    }
}

fn values(condition: &FieldCondition) -> Values {
    let is_key = condition.field.key.is_some();
    let keys: Option<BTreeSet<Key>> = match &condition.test {
        Test::TextIn(texts, _) if !is_key => Some(texts.iter().map(|text| Key::Text(lower(text))).collect()),
        Test::Like(patterns, _) if !is_key => patterns.iter().map(pattern_key).collect(),
        Test::NumberIn(numbers) => numbers
            .iter()
            .map(|number| match number {
                Number::Long(number) => Some(Key::Number(*number)),
                Number::Float(_) => None,
            })
            .collect(),
        Test::Boolean(truth) => Some(BTreeSet::from([Key::Boolean(*truth)])),
        _ => None,
    };
    keys.filter(|keys| keys.len() <= MAX_KEYS)
        .map_or(Values::Any, Values::Keys)
}

/// The longest text that every text of the pattern has; `None` if it is short.
fn pattern_key(pattern: &Pattern) -> Option<Key> {
    if let Some(text) = pattern.exact_text() {
        return Some(Key::Text(lower(&text)));
    }
    let is_character = |symbol: &Symbol| matches!(symbol, Symbol::Character(_));
    let parts = pattern.symbols().split(|symbol| !is_character(symbol));
    let text = |symbols: &[Symbol]| Pattern::new(symbols.iter().copied()).exact_text();
    let longest = parts.filter_map(text).max_by_key(String::len)?;
    (longest.len() >= MIN_PART_BYTES).then(|| Key::Part(lower(&longest)))
}

fn lower(text: &str) -> Box<str> {
    text.to_ascii_lowercase().into()
}
