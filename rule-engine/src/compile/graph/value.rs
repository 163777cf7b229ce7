//! Tests of a field's values, specialised by the kind of their literals.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::text::TextTest;
use super::words::wanted;
use crate::condition::{FieldCondition, Test};
use crate::record::values::tested_values;
use crate::record::{Record, Value};
use crate::schema::{FieldId, FieldType};
use crate::value::FoldBuffer;
use crate::value::{Number, Order};

/// Holds when any value of the field, or of the key of an object field, passes.
#[derive(Debug)]
pub(super) struct FieldMatcher {
    pub field: FieldId,
    pub key: Option<Box<str>>,
    value_type: FieldType,
    /// The field as a rule names it.
    pub name: Box<str>,
    /// What the test wants, in words.
    pub wanted: Box<str>,
    /// Where all tests of the field are decided at once, if an event has very many values of it.
    pub scan: Option<usize>,
    test: ValueTest,
}

#[derive(Debug)]
pub(super) enum ValueTest {
    Exists,
    Text(TextTest),
    Number(NumberTest),
    Boolean(bool),
    DateIn(Box<[RangeInclusive<i64>]>),
    DateOrder(Order, i64),
}

#[derive(Debug)]
pub(super) enum NumberTest {
    OneOf(Box<[Number]>),
    Order(Order, Number),
}

impl FieldMatcher {
    pub(super) fn compile(condition: &FieldCondition) -> FieldMatcher {
        FieldMatcher {
            field: condition.field.field,
            key: condition.field.key.clone(),
            value_type: condition.field.value_type,
            name: condition.field.name().into(),
            wanted: wanted(&condition.test),
            scan: None,
            test: ValueTest::compile(&condition.test),
        }
    }

    pub(super) fn passes(&self, value: Value<'_>, scratch: &FoldBuffer) -> bool {
        self.test.passes(value, scratch)
    }

    pub(super) fn matches(&self, record: &Record, scratch: &FoldBuffer) -> bool {
        self.matching_values(record, scratch).next().is_some()
    }

    pub(super) fn matching_values<'a>(
        &'a self,
        record: &'a Record,
        scratch: &'a FoldBuffer,
    ) -> impl Iterator<Item = Value<'a>> {
        self.values(record).filter(|value| self.test.passes(*value, scratch))
    }

    /// The values that are compared.
    pub(super) fn values<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Value<'a>> {
        tested_values(record, self.field, self.key.as_deref(), self.value_type)
    }

    /// The relative cost of the test, by which operands are ordered.
    pub(super) fn cost(&self) -> u32 {
        match &self.test {
            ValueTest::Text(test) => match test {
                TextTest::Is(_) | TextTest::IsIgnoringCase(_) | TextTest::Order(..) => 2,
                TextTest::OneOf(..) => 3,
                TextTest::Within(_) | TextTest::AddressOrder(..) => 6,
                TextTest::Like(_) => 8,
                TextTest::Regex(_) | TextTest::Phrases(_) | TextTest::AnyWord(_) => 20,
            },
            ValueTest::Exists
            | ValueTest::Number(_)
            | ValueTest::Boolean(_)
            | ValueTest::DateIn(_)
            | ValueTest::DateOrder(..) => 1,
        }
    }

    /// Whether the test only asks for presence or for one of some whole values.
    pub(super) fn is_of_whole_values(&self) -> bool {
        match &self.test {
            ValueTest::Exists | ValueTest::Boolean(_) | ValueTest::Number(NumberTest::OneOf(_)) => true,
            ValueTest::Text(test) => match test {
                TextTest::Is(_) | TextTest::IsIgnoringCase(_) | TextTest::OneOf(..) => true,
                TextTest::Like(_)
                | TextTest::Regex(_)
                | TextTest::Phrases(_)
                | TextTest::AnyWord(_)
                | TextTest::Within(_)
                | TextTest::AddressOrder(..)
                | TextTest::Order(..) => false,
            },
            ValueTest::Number(NumberTest::Order(..)) | ValueTest::DateIn(_) | ValueTest::DateOrder(..) => false,
        }
    }
}

impl ValueTest {
    pub(super) fn compile(test: &Test) -> ValueTest {
        match test {
            Test::Exists => ValueTest::Exists,
            Test::Phrase(phrases) => ValueTest::Text(TextTest::phrases(phrases)),
            Test::AnyWord(test) => match ValueTest::compile(test) {
                ValueTest::Text(test) => ValueTest::Text(TextTest::AnyWord(Box::new(test))),
                // Words are texts.
                other => other,
            },
            Test::TextIn(texts, case) => ValueTest::Text(TextTest::one_of(texts, *case)),
            Test::Like(patterns, case) => ValueTest::Text(TextTest::like(patterns, *case)),
            Test::Regex(regex) => ValueTest::Text(TextTest::Regex(regex.clone())),
            Test::Within(networks) => ValueTest::Text(TextTest::Within(networks.as_slice().into())),
            Test::AddressOrder(order, limit) => ValueTest::Text(TextTest::AddressOrder(*order, *limit)),
            Test::TextOrder(order, text) => ValueTest::Text(TextTest::Order(*order, text.as_str().into())),
            Test::NumberIn(numbers) => ValueTest::Number(NumberTest::OneOf(numbers.as_slice().into())),
            Test::NumberOrder(order, number) => ValueTest::Number(NumberTest::Order(*order, *number)),
            Test::Boolean(truth) => ValueTest::Boolean(*truth),
            Test::DateIn(dates) => ValueTest::DateIn(dates.as_slice().into()),
            Test::DateOrder(order, date) => ValueTest::DateOrder(*order, *date),
        }
    }

    pub(super) fn passes(&self, value: Value<'_>, scratch: &FoldBuffer) -> bool {
        match self {
            ValueTest::Exists => true,
            ValueTest::Text(test) => matches!(value, Value::Text(text) if test.passes(text, scratch)),
            ValueTest::Number(test) => match value {
                Value::Long(number) => test.passes(Number::Long(number)),
                Value::Float(number) => test.passes(Number::Float(number)),
                Value::Text(_) | Value::Boolean(_) | Value::Date(_) | Value::Label { .. } => false,
            },
            ValueTest::Boolean(wanted) => matches!(value, Value::Boolean(truth) if truth == *wanted),
            ValueTest::DateIn(dates) => {
                matches!(value, Value::Date(date) if dates.iter().any(|wanted| wanted.contains(&date)))
            }
            ValueTest::DateOrder(order, limit) => matches!(value, Value::Date(date) if order.holds(date.cmp(limit))),
        }
    }
}

impl NumberTest {
    fn passes(&self, number: Number) -> bool {
        match self {
            NumberTest::OneOf(wanted) => wanted
                .iter()
                .any(|wanted| number.compare(*wanted) == Some(Ordering::Equal)),
            NumberTest::Order(order, limit) => number.compare(*limit).is_some_and(|ordering| order.holds(ordering)),
        }
    }
}
