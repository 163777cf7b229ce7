//! By which values events are told apart whose ways are remembered: those of fields that have few, as far as rules tell
//! them apart.
//!
//! A program has the same names and paths each time it is run by the same program. Of any other field that rules only
//! compare with whole values, all values that no rule names are one.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Condition, Test};
use crate::record::{Record, Value};
use crate::schema::{FieldId, FieldType, Schema, fields};
use crate::value::hash::{TextMap, digest};
use crate::value::{Case, FoldBuffer, Number};

/// What a program has each time it is run by the same program.
const OF_PROGRAMS: [FieldId; 10] = [
    fields::PROCESS_NAME,
    fields::PROCESS_EXECUTABLE,
    fields::PROCESS_PARENT_NAME,
    fields::PROCESS_PARENT_EXECUTABLE,
    fields::PROCESS_GROUP_LEADER_NAME,
    fields::PROCESS_GROUP_LEADER_EXECUTABLE,
    fields::PROCESS_SESSION_LEADER_NAME,
    fields::PROCESS_SESSION_LEADER_EXECUTABLE,
    fields::PROCESS_ENTRY_LEADER_NAME,
    fields::PROCESS_ENTRY_LEADER_EXECUTABLE,
];
/// An event with more values of a field, or with longer ones, is not remembered.
const MAX_VALUES: usize = 64;
const MAX_KEY_BYTES: usize = 4 << 10;

/// A field, and how its values are told apart.
#[derive(Debug)]
pub(super) struct KeyField {
    pub field: FieldId,
    /// The field whose values are tested too.
    further: Option<FieldId>,
    told_apart: ToldApart,
}

#[derive(Debug)]
enum ToldApart {
    Present,
    Boolean,
    /// By which of these it is, or between which.
    Number(Box<[i64]>),
    /// Only if it is one of these, in lower case where case does not count.
    Named(TextMap<()>, Case),
    Text,
}

/// What rules do with a field.
#[derive(Default)]
struct Tests {
    /// One of them needs more than whole values.
    has_other: bool,
    case: Option<Case>,
    texts: BTreeSet<String>,
    numbers: BTreeSet<i64>,
}

impl Tests {
    fn add(&mut self, test: &Test) {
        match test {
            Test::Exists | Test::Boolean(_) => {}
            Test::TextIn(texts, case) => {
                self.texts.extend(texts.iter().cloned());
                self.case = Some(self.case.map_or(*case, |known| known.or(*case)));
            }
            Test::NumberIn(numbers) => numbers.iter().for_each(|number| self.add_number(*number)),
            Test::NumberOrder(_, number) => self.add_number(*number),
            Test::Like(..)
            | Test::Regex(_)
            | Test::Phrase(_)
            | Test::AnyWord(_)
            | Test::Within(_)
            | Test::AddressOrder(..)
            | Test::TextOrder(..)
            | Test::DateIn(_)
            | Test::DateOrder(..) => self.has_other = true,
        }
    }

    fn add_number(&mut self, number: Number) {
        match number {
            Number::Long(number) => {
                self.numbers.insert(number);
            }
            Number::Float(_) => self.has_other = true,
        }
    }

    fn told_apart(self, field: FieldId, field_type: FieldType) -> Option<ToldApart> {
        if self.has_other {
            return OF_PROGRAMS.contains(&field).then_some(ToldApart::Text);
        }
        match field_type {
            FieldType::Boolean => Some(ToldApart::Boolean),
            FieldType::Long => Some(ToldApart::Number(self.numbers.into_iter().collect())),
            FieldType::Keyword => {
                let case = self.case.unwrap_or(Case::Sensitive);
                let text = |text: &String| (crate::value::case::fold(text.as_bytes(), case), ());
                Some(ToldApart::Named(self.texts.iter().map(text).collect(), case))
            }
            _ if self.texts.is_empty() && self.numbers.is_empty() => Some(ToldApart::Present),
            _ => None,
        }
    }
}

/// Of all fields that the conditions test, those by which events can be told apart.
pub(super) fn fields_of<'a>(conditions: impl Iterator<Item = &'a Condition>, schema: &Schema) -> Vec<KeyField> {
    let mut tested = BTreeMap::new();
    conditions.for_each(|condition| collect(condition, &mut tested));
    let key_field = |(field, (field_type, tests)): (FieldId, (FieldType, Tests))| {
        let told_apart = tests.told_apart(field, field_type)?;
        Some(KeyField {
            field,
            further: schema.further_values(field),
            told_apart,
        })
    };
    tested.into_iter().filter_map(key_field).collect()
}

fn collect(condition: &Condition, tested: &mut BTreeMap<FieldId, (FieldType, Tests)>) {
    match condition {
        Condition::Always | Condition::Never | Condition::Computed(_) => {}
        Condition::All(conditions) | Condition::Any(conditions) => {
            conditions.iter().for_each(|condition| collect(condition, tested));
        }
        Condition::Not(condition) => collect(condition, tested),
        Condition::Field(condition) => {
            let (_, tests) = tested
                .entry(condition.field.field)
                .or_insert_with(|| (condition.field.definition.field_type, Tests::default()));
            tests.add(&condition.test);
            // Labels are values of a kind of their own.
            tests.has_other |= condition.field.key.is_some();
        }
    }
}

/// What is told apart of the event, of those fields of which `wanted` has the numbers; `None` if that is too much to be
/// remembered. `bytes` is scratch space.
pub(super) fn of_event(
    record: &Record,
    kind: usize,
    all: &[KeyField],
    wanted: &[u32],
    folded: &FoldBuffer,
    bytes: &mut Vec<u8>,
) -> Option<u128> {
    bytes.clear();
    bytes.push(kind as u8);
    // Of most fields an event has no value. Each value goes with the number of its field, so that none is another's.
    for number in wanted {
        let KeyField {
            field,
            further,
            told_apart,
        } = &all[*number as usize];
        if record.is_missing(*field) && further.is_none_or(|further| record.is_missing(further)) {
            continue;
        }
        let mut has_unnamed = false;
        for (value, position) in record.tested_values(*field).zip(1..) {
            if position > MAX_VALUES || bytes.len() > MAX_KEY_BYTES {
                return None;
            }
            let tag = (*number as u16).to_le_bytes();
            match (told_apart, value) {
                (ToldApart::Present, _) => {
                    bytes.extend_from_slice(&tag);
                    break;
                }
                (ToldApart::Boolean, Value::Boolean(truth)) => bytes.extend_from_slice(&[tag[0], tag[1], truth.into()]),
                (ToldApart::Number(limits), Value::Long(value)) => {
                    let below = limits.partition_point(|limit| *limit < value);
                    let class = 2 * below + usize::from(limits.get(below) == Some(&value));
                    bytes.extend_from_slice(&tag);
                    bytes.extend_from_slice(&(class as u32).to_le_bytes());
                }
                (ToldApart::Named(named, case), Value::Text(text)) => {
                    let is_named =
                        text.len() <= named.longest() && folded.folded(text, *case, |text| named.get(text).is_some());
                    if is_named {
                        push_text(bytes, tag, text);
                    } else if !has_unnamed {
                        has_unnamed = true;
                        bytes.extend_from_slice(&tag);
                        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
                    }
                }
                (ToldApart::Text, Value::Text(text)) => push_text(bytes, tag, text),
                _ => return None,
            }
        }
    }
    Some(digest(bytes))
}

fn push_text(bytes: &mut Vec<u8>, tag: [u8; 2], text: &str) {
    bytes.extend_from_slice(&tag);
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
