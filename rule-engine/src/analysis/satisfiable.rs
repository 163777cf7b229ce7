//! Whether a condition can hold at all: what `rules check` warns of.
//!
//! The checkers of both query languages build conditions through [`AnalyzedCondition`], which compares them with what
//! the producer's events have: fields that nothing here fills, values that a field never has, tests that exclude one
//! another. Only warnings come of it, never another meaning: recorded documents of other producers may have what is
//! missing here.

use std::ops::RangeInclusive;

use super::holds::passes;
use crate::condition::{Condition, FieldCondition, Test};
use crate::diagnostic::{Code, Findings, Span};
use crate::record::{Producer, Value};
use crate::schema::{FieldReference, FieldType, fields};
use crate::value::case::fold;
use crate::value::hash::{HashMap, HashSet};
use crate::value::{Case, Number, Order, Pattern};

/// More than this is not done to find out whether tests exclude one another; they then count as compatible.
const MAX_STEPS: usize = 1 << 24;

/// A condition and whether it can hold.
#[derive(Debug)]
pub(crate) struct AnalyzedCondition {
    pub condition: Condition,
    pub satisfiability: Satisfiability,
}

/// Whether a condition holds on the producer's events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Satisfiability {
    /// It depends on the event.
    Sometimes,
    Always(Reason),
    Never(Reason),
}

/// Why, and at which place of the query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// Already reported, or obvious.
    Reported,
    New(Span, String),
}

impl AnalyzedCondition {
    /// A condition without operands.
    pub(crate) fn leaf(producer: &Producer, condition: Condition, span: Span) -> AnalyzedCondition {
        let satisfiability = satisfiability(producer, &condition, span);
        AnalyzedCondition {
            condition,
            satisfiability,
        }
    }

    /// A condition that has been reported if it never holds.
    pub(crate) fn reported(producer: &Producer, condition: Condition, span: Span) -> AnalyzedCondition {
        let satisfiability = match &condition {
            Condition::Never => Satisfiability::Never(Reason::Reported),
            other => satisfiability(producer, other, span),
        };
        AnalyzedCondition {
            condition,
            satisfiability,
        }
    }

    pub(crate) fn negate(self) -> AnalyzedCondition {
        AnalyzedCondition {
            condition: self.condition.negate(),
            satisfiability: self.satisfiability.negate(),
        }
    }

    pub(crate) fn all(parts: Vec<AnalyzedCondition>, span: Span) -> AnalyzedCondition {
        let (conditions, all) = split(parts);
        let mut satisfiability = Satisfiability::all(all);
        if satisfiability == Satisfiability::Sometimes
            && let Some(message) = contradiction(&conditions)
        {
            satisfiability = Satisfiability::Never(Reason::New(span, message));
        }
        AnalyzedCondition {
            condition: Condition::All(conditions),
            satisfiability,
        }
    }

    /// Warns of operands that never hold if others can.
    pub(crate) fn any(parts: Vec<AnalyzedCondition>, findings: &mut Findings) -> AnalyzedCondition {
        let (conditions, all) = split(parts);
        let satisfiability = Satisfiability::any(&all);
        if !matches!(satisfiability, Satisfiability::Never(_)) {
            all.iter().for_each(|part| part.warn("this part", findings));
        }
        AnalyzedCondition {
            condition: Condition::Any(conditions),
            satisfiability,
        }
    }

    /// The condition of a whole query or of an event of a sequence; warns if it never holds.
    pub(crate) fn whole(self, findings: &mut Findings) -> Condition {
        self.satisfiability.warn("the rule", findings);
        self.condition
    }
}

fn split(parts: Vec<AnalyzedCondition>) -> (Vec<Condition>, Vec<Satisfiability>) {
    parts
        .into_iter()
        .map(|part| (part.condition, part.satisfiability))
        .unzip()
}

impl Satisfiability {
    fn negate(self) -> Satisfiability {
        match self {
            Satisfiability::Sometimes => Satisfiability::Sometimes,
            Satisfiability::Always(reason) => Satisfiability::Never(reason),
            Satisfiability::Never(reason) => Satisfiability::Always(reason),
        }
    }

    fn all(parts: Vec<Satisfiability>) -> Satisfiability {
        let mut all = None;
        for part in parts {
            match part {
                Satisfiability::Never(_) => return part,
                Satisfiability::Sometimes => all = Some(Satisfiability::Sometimes),
                Satisfiability::Always(_) => {
                    all.get_or_insert(part);
                }
            }
        }
        all.unwrap_or(Satisfiability::Always(Reason::Reported))
    }

    fn any(parts: &[Satisfiability]) -> Satisfiability {
        let negated = parts.iter().cloned().map(Satisfiability::negate).collect();
        Satisfiability::all(negated).negate()
    }

    pub(crate) fn warn(&self, what: &str, findings: &mut Findings) {
        if let Satisfiability::Never(Reason::New(span, reason)) = self {
            findings.add(*span, Code::NeverMatches, format!("{what} can never match: {reason}"));
        }
    }
}

/// Whether a condition that stands at one place can hold.
pub(crate) fn satisfiability(producer: &Producer, condition: &Condition, span: Span) -> Satisfiability {
    let never = |reason| Satisfiability::Never(Reason::New(span, reason));
    match condition {
        Condition::Always => Satisfiability::Always(Reason::Reported),
        Condition::Never => never("it is always false".to_owned()),
        Condition::All(conditions) => Satisfiability::all(
            conditions
                .iter()
                .map(|part| satisfiability(producer, part, span))
                .collect(),
        ),
        Condition::Any(conditions) => {
            let parts: Vec<Satisfiability> = conditions
                .iter()
                .map(|part| satisfiability(producer, part, span))
                .collect();
            Satisfiability::any(&parts)
        }
        Condition::Not(condition) => satisfiability(producer, condition, span).negate(),
        Condition::Field(tested) => match not_produced(producer, &tested.field) {
            Some(reason) => never(reason),
            None => match no_produced_value_passes(producer, tested) {
                Some(reason) => never(reason),
                None => Satisfiability::Sometimes,
            },
        },
        Condition::Computed(computed) => {
            let mut missing = None;
            computed.call.visit_fields(&mut |field| {
                missing = missing.take().or_else(|| not_produced(producer, field));
            });
            missing.map_or(Satisfiability::Sometimes, never)
        }
    }
}

/// Why a field is always missing, if it is.
fn not_produced(producer: &Producer, field: &FieldReference) -> Option<String> {
    // What documents may have beside the fields of the schema, nobody knows.
    let is_missing = field.field != fields::OTHERS && !producer.fills(field.field);
    is_missing.then(|| format!("no source here fills `{}`", field.definition.name))
}

/// Warns of a rule that needs a value of the field, if that is always missing.
pub(crate) fn warn_of_missing(producer: &Producer, field: &FieldReference, span: Span, findings: &mut Findings) {
    if let Some(reason) = not_produced(producer, field) {
        Satisfiability::Never(Reason::New(span, reason)).warn("the rule", findings);
    }
}

fn no_produced_value_passes(producer: &Producer, tested: &FieldCondition) -> Option<String> {
    let values = producer.values(tested.field.field);
    if values.is_empty() || matches!(tested.test, Test::Exists) {
        return None;
    }
    if values.iter().any(|value| passes(&tested.test, Value::Text(value))) {
        return None;
    }
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    Some(format!(
        "`{}` is {} in events from here",
        tested.field.definition.name,
        values.join(" or ")
    ))
}

/// Why the conditions exclude one another, if they do, for an event that has each field once.
fn contradiction(conditions: &[Condition]) -> Option<String> {
    let mut tests: HashMap<&FieldReference, Vec<Wanted<'_>>> = HashMap::default();
    let mut waiting: Vec<&Condition> = conditions.iter().collect();
    while let Some(condition) = waiting.pop() {
        match condition {
            Condition::All(inner) => waiting.extend(inner),
            Condition::Not(inner) => {
                if let Condition::Field(tested) = &**inner {
                    let wanted = Wanted {
                        test: &tested.test,
                        outcome: false,
                    };
                    tests.entry(&tested.field).or_default().push(wanted);
                }
            }
            Condition::Field(tested) => {
                let wanted = Wanted {
                    test: &tested.test,
                    outcome: true,
                };
                tests.entry(&tested.field).or_default().push(wanted);
            }
            Condition::Always | Condition::Never | Condition::Any(_) | Condition::Computed(_) => {}
        }
    }
    let single =
        |field: &FieldReference| !field.definition.is_array && field.definition.field_type != FieldType::Object;
    let mut found: Vec<&FieldReference> = tests
        .iter()
        .filter(|(field, tests)| single(field) && tests.len() > 1 && cannot_all_come_out(field, tests))
        .map(|(field, _)| *field)
        .collect();
    found.sort_by_key(|field| field.field);
    found
        .first()
        .map(|field| format!("no one value of `{}` passes all of its tests", field.name()))
}

/// Whether no value of the field passes all tests; where it has further values each may be for another test.
fn cannot_all_come_out(field: &FieldReference, tests: &[Wanted<'_>]) -> bool {
    if !field.has_further_values {
        return exclude_each_other(field, tests);
    }
    let (positive, negative): (Vec<Wanted<'_>>, Vec<Wanted<'_>>) = tests.iter().partition(|wanted| wanted.outcome);
    positive
        .into_iter()
        .any(|wanted| exclude_each_other(field, &[&[wanted], &negative[..]].concat()))
}

/// A test and the outcome that the condition needs.
#[derive(Copy, Clone)]
struct Wanted<'a> {
    test: &'a Test,
    outcome: bool,
}

/// A value to try tests on.
#[derive(Clone)]
enum Candidate {
    Text(String),
    Number(Number),
    Boolean(bool),
    Date(i64),
}

impl Candidate {
    fn length(&self) -> usize {
        match self {
            Candidate::Text(text) => text.len().max(1),
            Candidate::Number(_) | Candidate::Boolean(_) | Candidate::Date(_) => 1,
        }
    }

    fn value(&self, field: &FieldReference) -> Value<'_> {
        match self {
            Candidate::Text(text) => Value::Text(text),
            Candidate::Number(number) if field.value_type == FieldType::Float => Value::Float(number.as_float()),
            Candidate::Number(number) => Value::Long(number.as_float() as i64),
            Candidate::Boolean(truth) => Value::Boolean(*truth),
            Candidate::Date(date) => Value::Date(*date),
        }
    }
}

/// Whether no value passes all tests, as far as trying the values they name can tell.
fn exclude_each_other(field: &FieldReference, tests: &[Wanted<'_>]) -> bool {
    let positive: Vec<&Test> = tests
        .iter()
        .filter(|wanted| wanted.outcome)
        .map(|wanted| wanted.test)
        .collect();
    if positive.is_empty() {
        return false;
    }
    let must_be_missing = tests
        .iter()
        .any(|wanted| !wanted.outcome && matches!(wanted.test, Test::Exists));
    if must_be_missing {
        return true;
    }
    let folds = |test: &Test| match test {
        Test::TextIn(_, case) | Test::Like(_, case) => *case == Case::Insensitive,
        Test::Exists
        | Test::Regex(_)
        | Test::Within(_)
        | Test::Phrase(_)
        | Test::AnyWord(_)
        | Test::AddressOrder(..)
        | Test::TextOrder(..)
        | Test::NumberIn(_)
        | Test::NumberOrder(..)
        | Test::Boolean(_)
        | Test::DateIn(_)
        | Test::DateOrder(..) => false,
    };
    // Only one spelling of a case-insensitive text is tried, so all other tests must ignore case too.
    let all_fold = tests.iter().all(|wanted| folds(wanted.test));
    let named = positive
        .iter()
        .filter(|test| !folds(test) || all_fold)
        .find_map(|test| values_named(test));
    let Some(candidates) = named.or_else(|| bounds(field, &positive)) else {
        return false;
    };
    let tests: Vec<PreparedTest> = tests
        .iter()
        .map(|wanted| PreparedTest::new(*wanted, field.value_type))
        .collect();
    // A pattern costs at most its length for each byte of a text.
    let one_by_one: usize = tests.iter().map(|test| test.one_by_one).sum();
    let length: usize = candidates.iter().map(Candidate::length).sum();
    length.saturating_mul(one_by_one) <= MAX_STEPS
        && !candidates
            .iter()
            .any(|candidate| tests.iter().all(|test| test.comes_out(candidate.value(field))))
}

/// A test prepared for many values: the values it names are hashed, so that comparing two long lists is not quadratic.
struct PreparedTest<'a> {
    wanted: Wanted<'a>,
    texts: HashSet<Box<[u8]>>,
    patterns: Vec<&'a Pattern>,
    whole: HashSet<i64>,
    /// What remains to be done for each byte of a value.
    one_by_one: usize,
}

impl<'a> PreparedTest<'a> {
    fn new(wanted: Wanted<'a>, value_type: FieldType) -> PreparedTest<'a> {
        let (mut texts, mut patterns) = (HashSet::default(), Vec::new());
        let (mut whole, mut one_by_one) = (HashSet::default(), 1);
        match wanted.test {
            Test::TextIn(named, case) => texts.extend(named.iter().map(|text| fold(text.as_bytes(), *case))),
            Test::Like(named, case) => {
                for pattern in named {
                    match pattern.exact_text() {
                        Some(text) => drop(texts.insert(fold(text.as_bytes(), *case))),
                        None => patterns.push(pattern),
                    }
                }
                one_by_one += patterns.iter().map(|pattern| pattern.symbols().len()).sum::<usize>();
            }
            Test::DateIn(dates) => one_by_one = dates.len(),
            Test::NumberIn(numbers) => {
                let whole_numbers = numbers.iter().map(|number| match number {
                    Number::Long(number) if value_type == FieldType::Long => Some(*number),
                    Number::Long(_) | Number::Float(_) => None,
                });
                match whole_numbers.collect() {
                    Some(all) => whole = all,
                    None => one_by_one = numbers.len(),
                }
            }
            Test::Within(networks) => one_by_one = networks.len(),
            Test::Phrase(phrases) => one_by_one += phrases.iter().map(Vec::len).sum::<usize>(),
            Test::AnyWord(test) => {
                let word = Wanted { test, outcome: true };
                let word = PreparedTest::new(word, value_type);
                one_by_one += word.one_by_one + word.texts.len();
            }
            Test::Exists
            | Test::Regex(_)
            | Test::TextOrder(..)
            | Test::AddressOrder(..)
            | Test::NumberOrder(..)
            | Test::Boolean(_)
            | Test::DateOrder(..) => {}
        }
        PreparedTest {
            wanted,
            texts,
            patterns,
            whole,
            one_by_one,
        }
    }

    fn comes_out(&self, value: Value<'_>) -> bool {
        let passes = match (self.wanted.test, value) {
            (Test::TextIn(_, case) | Test::Like(_, case), Value::Text(text)) => {
                self.texts.contains(&fold(text.as_bytes(), *case))
                    || self.patterns.iter().any(|pattern| pattern.matches(text, *case))
            }
            (Test::NumberIn(_), Value::Long(number)) if !self.whole.is_empty() => self.whole.contains(&number),
            (test, value) => passes(test, value),
        };
        passes == self.wanted.outcome
    }
}

/// The only values that pass the test, if it names them.
fn values_named(test: &Test) -> Option<Vec<Candidate>> {
    match test {
        Test::TextIn(texts, _) => Some(texts.iter().cloned().map(Candidate::Text).collect()),
        Test::Like(patterns, _) => patterns
            .iter()
            .map(|pattern| pattern.exact_text().map(Candidate::Text))
            .collect(),
        Test::NumberIn(numbers) => Some(numbers.iter().copied().map(Candidate::Number).collect()),
        Test::Boolean(truth) => Some(vec![Candidate::Boolean(*truth)]),
        Test::DateIn(dates) => {
            let only =
                |date: &RangeInclusive<i64>| (date.start() == date.end()).then_some(Candidate::Date(*date.start()));
            dates.iter().map(only).collect()
        }
        Test::Exists
        | Test::Regex(_)
        | Test::Within(_)
        | Test::Phrase(_)
        | Test::AnyWord(_)
        | Test::AddressOrder(..)
        | Test::TextOrder(..)
        | Test::NumberOrder(..)
        | Test::DateOrder(..) => None,
    }
}

/// For tests that only compare numbers or dates with limits, the values next to those limits: if any value passes all
/// tests, one of these does.
fn bounds(field: &FieldReference, tests: &[&Test]) -> Option<Vec<Candidate>> {
    if field.value_type == FieldType::Float {
        return None;
    }
    let beside = |test: &&Test| match test {
        Test::NumberOrder(order, Number::Long(limit)) => Some([
            Candidate::Number(Number::Long(*limit)),
            Candidate::Number(Number::Long(step(*order, *limit))),
        ]),
        Test::DateOrder(order, limit) => Some([Candidate::Date(*limit), Candidate::Date(step(*order, *limit))]),
        Test::NumberOrder(_, Number::Float(_))
        | Test::Exists
        | Test::TextIn(..)
        | Test::Like(..)
        | Test::Regex(_)
        | Test::Within(_)
        | Test::Phrase(_)
        | Test::AnyWord(_)
        | Test::AddressOrder(..)
        | Test::TextOrder(..)
        | Test::NumberIn(_)
        | Test::Boolean(_)
        | Test::DateIn(_) => None,
    };
    let pairs: Option<Vec<[Candidate; 2]>> = tests.iter().map(beside).collect();
    pairs.map(|pairs| pairs.into_iter().flatten().collect())
}

fn step(order: Order, limit: i64) -> i64 {
    match order {
        Order::Less | Order::LessOrEqual => limit.saturating_sub(1),
        Order::Greater | Order::GreaterOrEqual => limit.saturating_add(1),
    }
}

#[cfg(test)]
mod tests;
