//! The compiled form of a condition: what runs for each event.
//!
//! Made from a [`Condition`] when a rule set is compiled; reads a [`Record`]'s slots and nothing else, allocates
//! nothing and always ends. Tests are specialised by the kind of their literals.

use std::cell::Cell;
use std::cmp::Ordering;

use crate::condition::{Condition, FieldCondition, Number, Order, Pattern, Test};
use crate::field_reference::Case;
use crate::network::Network;
use crate::record::{Record, Value};
use crate::regex::Regex;
use crate::schema::FieldId;

mod computed;
mod explain;
mod text;

use computed::ComputedMatcher;
use text::TextSet;
pub(crate) use text::Wildcard;

#[derive(Debug)]
pub(crate) enum Matcher {
    Always,
    Never,
    All(Box<[Matcher]>),
    Any(Box<[Matcher]>),
    Not(Box<Matcher>),
    Field(FieldMatcher),
    Computed(ComputedMatcher),
}

/// One event under evaluation, with what had to be cut.
pub(crate) struct Evaluation<'a> {
    pub record: &'a Record,
    combinations_cut: Cell<u64>,
}

impl<'a> Evaluation<'a> {
    pub fn new(record: &'a Record) -> Evaluation<'a> {
        Evaluation {
            record,
            combinations_cut: Cell::new(0),
        }
    }

    /// Combinations of values that no function was computed for, because there were too many.
    pub fn combinations_cut(&self) -> u64 {
        self.combinations_cut.get()
    }

    fn note_cut(&self, combinations: usize) {
        self.combinations_cut
            .set(self.combinations_cut.get().saturating_add(combinations as u64));
    }
}

/// Holds when any value of the field, or of the key of an object field, passes.
#[derive(Debug)]
pub(crate) struct FieldMatcher {
    field: FieldId,
    key: Option<Box<str>>,
    test: ValueTest,
}

#[derive(Debug)]
enum ValueTest {
    Exists,
    Text(TextTest),
    Number(NumberTest),
    Boolean(bool),
    DateIn(Box<[i64]>),
    DateOrder(Order, i64),
}

#[derive(Debug)]
enum TextTest {
    Is(Box<str>),
    IsIgnoringCase(Box<str>),
    OneOf(TextSet),
    /// Patterns without wildcards are in the set.
    Like(TextSet, Box<[Wildcard]>),
    Regex(Regex),
    Within(Box<[Network]>),
    Order(Order, Box<str>),
}

#[derive(Debug)]
enum NumberTest {
    OneOf(Box<[Number]>),
    Order(Order, Number),
}

impl Matcher {
    pub fn compile(condition: &Condition) -> Matcher {
        match condition {
            Condition::Always => Matcher::Always,
            Condition::Never => Matcher::Never,
            Condition::All(conditions) => Matcher::All(conditions.iter().map(Matcher::compile).collect()),
            Condition::Any(conditions) => Matcher::Any(conditions.iter().map(Matcher::compile).collect()),
            Condition::Not(condition) => Matcher::Not(Box::new(Matcher::compile(condition))),
            Condition::Field(condition) => Matcher::Field(FieldMatcher::compile(condition)),
            Condition::Computed(condition) => Matcher::Computed(ComputedMatcher::compile(condition)),
        }
    }

    pub fn matches(&self, event: &Evaluation<'_>) -> bool {
        match self {
            Matcher::Always => true,
            Matcher::Never => false,
            Matcher::All(matchers) => matchers.iter().all(|matcher| matcher.matches(event)),
            Matcher::Any(matchers) => matchers.iter().any(|matcher| matcher.matches(event)),
            Matcher::Not(matcher) => !matcher.matches(event),
            Matcher::Field(matcher) => matcher.matching_values(event.record).next().is_some(),
            Matcher::Computed(matcher) => matcher.matches(event),
        }
    }
}

impl FieldMatcher {
    fn compile(condition: &FieldCondition) -> FieldMatcher {
        FieldMatcher {
            field: condition.field.field,
            key: condition.field.key.clone(),
            test: ValueTest::compile(&condition.test),
        }
    }

    fn matching_values<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Value<'a>> {
        self.values(record).filter(|value| self.test.passes(*value))
    }

    /// The values that are compared; those of an object field's key as texts.
    fn values<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Value<'a>> {
        record.values(self.field).filter_map(|value| match value {
            Value::Label { key, value } => match &self.key {
                Some(wanted) => (**wanted == *key).then_some(Value::Text(value)),
                None => Some(Value::Text(value)),
            },
            other => Some(other),
        })
    }
}

impl ValueTest {
    fn compile(test: &Test) -> ValueTest {
        match test {
            Test::Exists => ValueTest::Exists,
            Test::TextIn(texts, case) => ValueTest::Text(TextTest::one_of(TextSet::new(texts, *case))),
            Test::Like(patterns, case) => ValueTest::Text(TextTest::like(patterns, *case)),
            Test::Regex(regex) => ValueTest::Text(TextTest::Regex(regex.clone())),
            Test::Within(networks) => ValueTest::Text(TextTest::Within(networks.as_slice().into())),
            Test::TextOrder(order, text) => ValueTest::Text(TextTest::Order(*order, text.as_str().into())),
            Test::NumberIn(numbers) => ValueTest::Number(NumberTest::OneOf(numbers.as_slice().into())),
            Test::NumberOrder(order, number) => ValueTest::Number(NumberTest::Order(*order, *number)),
            Test::Boolean(truth) => ValueTest::Boolean(*truth),
            Test::DateIn(dates) => ValueTest::DateIn(dates.as_slice().into()),
            Test::DateOrder(order, date) => ValueTest::DateOrder(*order, *date),
        }
    }

    fn passes(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (ValueTest::Exists, _) => true,
            (ValueTest::Text(test), Value::Text(text)) => test.passes(text),
            (ValueTest::Number(test), Value::Long(number)) => test.passes(Number::Long(number)),
            (ValueTest::Number(test), Value::Float(number)) => test.passes(Number::Float(number)),
            (ValueTest::Boolean(wanted), Value::Boolean(truth)) => *wanted == truth,
            (ValueTest::DateIn(dates), Value::Date(date)) => dates.contains(&date),
            (ValueTest::DateOrder(order, limit), Value::Date(date)) => order.holds(date.cmp(limit)),
            _ => false,
        }
    }
}

impl TextTest {
    fn one_of(set: TextSet) -> TextTest {
        match set.single() {
            Some((text, Case::Sensitive)) => TextTest::Is(text),
            Some((text, Case::Insensitive)) => TextTest::IsIgnoringCase(text),
            None => TextTest::OneOf(set),
        }
    }

    fn like(patterns: &[Pattern], case: Case) -> TextTest {
        let (exact, wildcards): (Vec<_>, Vec<_>) = patterns
            .iter()
            .partition(|pattern| Wildcard::exact_text(pattern).is_some());
        let exact: Vec<String> = exact.into_iter().filter_map(Wildcard::exact_text).collect();
        let set = TextSet::new(&exact, case);
        if wildcards.is_empty() {
            return TextTest::one_of(set);
        }
        TextTest::Like(
            set,
            wildcards
                .into_iter()
                .map(|pattern| Wildcard::compile(pattern, case))
                .collect(),
        )
    }

    fn passes(&self, text: &str) -> bool {
        match self {
            TextTest::Is(wanted) => **wanted == *text,
            TextTest::IsIgnoringCase(wanted) => wanted.eq_ignore_ascii_case(text),
            TextTest::OneOf(set) => set.contains(text),
            TextTest::Like(set, wildcards) => {
                set.contains(text) || wildcards.iter().any(|wildcard| wildcard.matches(text))
            }
            TextTest::Regex(regex) => regex.matches(text),
            TextTest::Within(networks) => networks.iter().any(|network| network.contains(text)),
            TextTest::Order(order, limit) => order.holds(text.cmp(limit)),
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
