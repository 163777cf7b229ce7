//! Conditions on what a function computes, for each combination of the values of its fields up to a limit.

use std::borrow::Cow;
use std::cell::Cell;

use smallvec::SmallVec;

use super::scratch::Scratch;
use super::value::ValueTest;
use super::words::{show, wanted};
use crate::condition::functions::Computed;
use crate::condition::{Call, ComputedCondition};
use crate::limits::{MAX_FUNCTION_BYTES, MAX_FUNCTION_COMBINATIONS};
use crate::record::{Record, Value};
use crate::schema::FieldReference;
use crate::value::{Number, timestamp};

/// Values of a field, and how many there are in all.
type FieldValues<'a> = (SmallVec<[Computed<'a>; 2]>, usize);

#[derive(Debug)]
pub(super) struct ComputedMatcher {
    call: Call,
    /// The distinct fields of the call; a combination assigns each of them one value.
    fields: Vec<FieldReference>,
    /// What the test wants, in words.
    pub wanted: Box<str>,
    test: ValueTest,
}

impl ComputedMatcher {
    pub(super) fn compile(condition: &ComputedCondition) -> ComputedMatcher {
        let mut fields = Vec::new();
        condition.call.visit_fields(&mut |field| {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        });
        ComputedMatcher {
            call: condition.call.clone(),
            fields,
            wanted: wanted(&condition.test),
            test: ValueTest::compile(&condition.test),
        }
    }

    pub(super) fn matches(&self, record: &Record, scratch: &Scratch) -> bool {
        self.find(record, scratch, |computed| self.passes(computed, scratch))
            .is_some()
    }

    /// `CALL is VALUE`: the value that passed, or that of the first combination.
    pub(super) fn describe(&self, record: &Record, scratch: &Scratch) -> String {
        let found = self
            .find(record, scratch, |computed| self.passes(computed, scratch))
            .or_else(|| self.find(record, scratch, |_| true));
        match found.as_ref().and_then(value) {
            Some(value) => format!("{} is {}", self.call, show(value)),
            None => format!("{} is missing", self.call),
        }
    }

    fn passes(&self, computed: &Computed<'_>, scratch: &Scratch) -> bool {
        value(computed).is_some_and(|value| self.test.passes(value, &scratch.folded))
    }

    /// The first computed value that passes.
    fn find<'a>(
        &'a self,
        record: &'a Record,
        scratch: &Scratch,
        wanted: impl Fn(&Computed<'a>) -> bool,
    ) -> Option<Computed<'a>> {
        // A single field costs as much as it has values; only several together can explode.
        if let [field] = &self.fields[..] {
            let mut computed = values(field, record).map(|value| {
                #[cfg(test)]
                crate::value::steps::add(value.text_bytes());
                self.call.compute(&|_| value.clone())
            });
            return computed.find(|computed| wanted(computed));
        }
        // Of each field the values that come first in the combinations, and how many there are.
        let fields: SmallVec<[FieldValues<'a>; 4]> = self
            .fields
            .iter()
            .map(|field| {
                let first = values(field, record).take(MAX_FUNCTION_COMBINATIONS).collect();
                (first, values(field, record).count())
            })
            .collect();
        let counts = fields.iter().map(|(_, count)| *count);
        let combinations = counts.fold(1_usize, usize::saturating_mul);
        let bytes = Cell::new(0);
        for number in 0..combinations {
            if number == MAX_FUNCTION_COMBINATIONS || bytes.get() > MAX_FUNCTION_BYTES {
                scratch.note_cut(combinations - number);
                return None;
            }
            let computed = self.call.compute(&|field| {
                let value = self.value(field, &fields, number);
                bytes.set(bytes.get() + value.text_bytes());
                #[cfg(test)]
                crate::value::steps::add(value.text_bytes());
                value
            });
            if wanted(&computed) {
                return Some(computed);
            }
        }
        None
    }

    /// The field's value in a combination, whose number has one digit per field, in the base of that field's value
    /// count.
    fn value<'a>(&self, field: &FieldReference, values: &[FieldValues<'a>], number: usize) -> Computed<'a> {
        let mut rest = number;
        for (candidate, (values, count)) in self.fields.iter().zip(values) {
            if candidate == field {
                return values.get(rest % count).cloned().unwrap_or(Computed::Null);
            }
            rest /= count;
        }
        Computed::Null
    }
}

/// The values of a field, at least one: a missing field is null.
fn values<'a>(field: &'a FieldReference, record: &'a Record) -> impl Iterator<Item = Computed<'a>> {
    let computed = |value| match value {
        Value::Text(text) | Value::Label { value: text, .. } => Computed::Text(field.plain(text)),
        Value::Long(number) => Computed::Number(Number::Long(number)),
        Value::Float(number) => Computed::Number(Number::Float(number)),
        Value::Boolean(truth) => Computed::Boolean(truth),
        Value::Date(nanoseconds) => Computed::Text(Cow::Owned(timestamp::format(nanoseconds))),
    };
    let mut values = field.values(record).map(computed).peekable();
    let missing = values.peek().is_none().then_some(Computed::Null);
    values.chain(missing)
}

fn value<'c>(computed: &'c Computed<'_>) -> Option<Value<'c>> {
    match computed {
        Computed::Null => None,
        Computed::Text(text) => Some(Value::Text(text)),
        Computed::Number(Number::Long(number)) => Some(Value::Long(*number)),
        Computed::Number(Number::Float(number)) => Some(Value::Float(*number)),
        Computed::Boolean(truth) => Some(Value::Boolean(*truth)),
    }
}
