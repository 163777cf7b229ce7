//! Whether a condition can hold at all: what `rules check` warns of.
//!
//! Stands beside the checkers of both query languages, which make conditions through [`Judged`]. It judges by what the
//! sensor's events have: fields that nothing here fills, values that a field never has, tests that exclude one another.
//! Only warnings come of it, never another meaning: recorded documents of other producers may have what is missing here.

use std::collections::HashMap;

use crate::compile::graph::{Evaluation, GraphBuilder, Scratch};
use crate::condition::{Condition, FieldCondition, Number, Order, Test};
use crate::diagnostic::{Findings, Span};
use crate::record::{Record, Value};
use crate::schema::reference::{Case, FieldReference};
use crate::schema::{FieldId, FieldType};

/// A condition and whether it can hold.
#[derive(Debug)]
pub(crate) struct Judged {
    pub condition: Condition,
    pub fate: Fate,
}

/// What becomes of a condition on the sensor's events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It depends on the event.
    Open,
    Always(Reason),
    Never(Reason),
}

/// Why, and where that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// Already told, or plain to see.
    Told,
    Because(Span, String),
}

impl Judged {
    /// A condition that no other is part of.
    pub fn leaf(condition: Condition, span: Span) -> Judged {
        let fate = fate(&condition, span);
        Judged { condition, fate }
    }

    /// A condition of which the user has been told why it never holds, if it never does.
    pub fn told(condition: Condition, span: Span) -> Judged {
        let fate = match &condition {
            Condition::Never => Fate::Never(Reason::Told),
            other => fate(other, span),
        };
        Judged { condition, fate }
    }

    pub fn negate(self) -> Judged {
        Judged {
            condition: self.condition.negate(),
            fate: self.fate.negate(),
        }
    }

    pub fn all(parts: Vec<Judged>, span: Span) -> Judged {
        let (conditions, fates) = split(parts);
        let mut fate = Fate::all(fates);
        if fate == Fate::Open
            && let Some(message) = contradiction(&conditions)
        {
            fate = Fate::Never(Reason::Because(span, message));
        }
        Judged {
            condition: Condition::All(conditions),
            fate,
        }
    }

    /// Warns of parts that never hold beside others that may.
    pub fn any(parts: Vec<Judged>, findings: &mut Findings) -> Judged {
        let (conditions, fates) = split(parts);
        let fate = Fate::any(&fates);
        if !matches!(fate, Fate::Never(_)) {
            fates.iter().for_each(|fate| fate.warn("this part", findings));
        }
        Judged {
            condition: Condition::Any(conditions),
            fate,
        }
    }

    /// The condition of a whole query or of an event of a sequence; warns if it never holds.
    pub fn whole(self, findings: &mut Findings) -> Condition {
        self.fate.warn("the rule", findings);
        self.condition
    }
}

fn split(parts: Vec<Judged>) -> (Vec<Condition>, Vec<Fate>) {
    parts.into_iter().map(|part| (part.condition, part.fate)).unzip()
}

impl Fate {
    fn negate(self) -> Fate {
        match self {
            Fate::Open => Fate::Open,
            Fate::Always(reason) => Fate::Never(reason),
            Fate::Never(reason) => Fate::Always(reason),
        }
    }

    fn all(fates: Vec<Fate>) -> Fate {
        let mut all = None;
        for fate in fates {
            match fate {
                Fate::Never(_) => return fate,
                Fate::Open => all = Some(Fate::Open),
                Fate::Always(_) => {
                    all.get_or_insert(fate);
                }
            }
        }
        all.unwrap_or(Fate::Always(Reason::Told))
    }

    fn any(fates: &[Fate]) -> Fate {
        let negated = fates.iter().cloned().map(Fate::negate).collect();
        Fate::all(negated).negate()
    }

    pub fn warn(&self, what: &str, findings: &mut Findings) {
        if let Fate::Never(Reason::Because(span, reason)) = self {
            findings.warning(*span, "never-matches", format!("{what} can never match: {reason}"));
        }
    }
}

/// The fate of a condition that stands at one place.
pub(crate) fn fate(condition: &Condition, span: Span) -> Fate {
    let never = |reason| Fate::Never(Reason::Because(span, reason));
    match condition {
        Condition::Always => Fate::Always(Reason::Told),
        Condition::Never => never("it is always false".to_owned()),
        Condition::All(conditions) => Fate::all(conditions.iter().map(|part| fate(part, span)).collect()),
        Condition::Any(conditions) => {
            let fates: Vec<Fate> = conditions.iter().map(|part| fate(part, span)).collect();
            Fate::any(&fates)
        }
        Condition::Not(condition) => fate(condition, span).negate(),
        Condition::Field(tested) => match not_produced(tested.field.field) {
            Some(reason) => never(reason),
            None => match no_produced_value_passes(tested) {
                Some(reason) => never(reason),
                None => Fate::Open,
            },
        },
        Condition::Computed(computed) => {
            let mut missing = None;
            computed.call.visit_fields(&mut |field| {
                missing = missing.take().or_else(|| not_produced(field.field));
            });
            missing.map_or(Fate::Open, never)
        }
    }
}

/// Why a field is always missing, if it is.
fn not_produced(field: FieldId) -> Option<String> {
    (!field.is_produced()).then(|| format!("no source here fills `{}`", field.name()))
}

/// Warns of a rule that needs a value of the field, if that is always missing.
pub(crate) fn warn_of_missing(field: &FieldReference, span: Span, findings: &mut Findings) {
    if let Some(reason) = not_produced(field.field) {
        let fate = Fate::Never(Reason::Because(span, reason));
        fate.warn("the rule", findings);
    }
}

fn no_produced_value_passes(tested: &FieldCondition) -> Option<String> {
    let field = tested.field.field;
    let values = field.produced_values();
    if values.is_empty() || matches!(tested.test, Test::Exists) {
        return None;
    }
    let condition = Condition::Field(tested.clone());
    let passes = |value: &&str| {
        let mut record = Record::new();
        record.text(field, value);
        holds(&condition, &record)
    };
    if values.iter().any(passes) {
        return None;
    }
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    Some(format!(
        "`{}` is {} in events from here",
        field.name(),
        values.join(" or ")
    ))
}

fn holds(condition: &Condition, record: &Record) -> bool {
    let mut builder = GraphBuilder::default();
    let matcher = builder.add(condition);
    let graph = builder.finish();
    let mut scratch = Scratch::new(&graph);
    matcher.matches(&Evaluation::new(record, &graph, &mut scratch))
}

/// Why the conditions exclude one another, if they do, for an event that has each field once.
fn contradiction(conditions: &[Condition]) -> Option<String> {
    let mut tests: HashMap<&FieldReference, Vec<(&Condition, &Test)>> = HashMap::new();
    let mut waiting: Vec<&Condition> = conditions.iter().collect();
    while let Some(condition) = waiting.pop() {
        match condition {
            Condition::All(inner) => waiting.extend(inner),
            Condition::Not(inner) => {
                if let Condition::Field(tested) = &**inner {
                    tests.entry(&tested.field).or_default().push((condition, &tested.test));
                }
            }
            Condition::Field(tested) => tests.entry(&tested.field).or_default().push((condition, &tested.test)),
            _ => {}
        }
    }
    let single = |field: &FieldId| !field.is_array() && field.field_type() != FieldType::Object;
    let mut found: Vec<&FieldReference> = tests
        .iter()
        .filter(|(field, tests)| single(&field.field) && tests.len() > 1 && exclude_each_other(field, tests))
        .map(|(field, _)| *field)
        .collect();
    found.sort_by_key(|field| field.field);
    found
        .first()
        .map(|field| format!("no one value of `{}` passes all of its tests", field.name()))
}

/// A value that a test can be tried on.
#[derive(Clone)]
enum Candidate {
    Text(String),
    Number(Number),
    Boolean(bool),
    Date(i64),
}

/// Whether no value passes all tests, as far as trying the values that they name can tell.
fn exclude_each_other(field: &FieldReference, tests: &[(&Condition, &Test)]) -> bool {
    let is_negated = |condition: &Condition| matches!(condition, Condition::Not(_));
    let positive: Vec<&Test> = tests
        .iter()
        .filter(|(condition, _)| !is_negated(condition))
        .map(|(_, test)| *test)
        .collect();
    if positive.is_empty() {
        return false;
    }
    let must_be_missing = tests
        .iter()
        .any(|(condition, test)| is_negated(condition) && matches!(test, Test::Exists));
    if must_be_missing {
        return true;
    }
    let folds = |test: &Test| match test {
        Test::TextIn(_, case) | Test::Like(_, case) => *case == Case::Insensitive,
        _ => false,
    };
    // Of a text in any case only one spelling is tried, so all others have to take any too.
    let all_fold = tests.iter().all(|(_, test)| folds(test));
    let named = positive
        .iter()
        .filter(|test| !folds(test) || all_fold)
        .find_map(|test| values_named(test));
    let Some(candidates) = named.or_else(|| bounds(field, &positive)) else {
        return false;
    };
    let all = Condition::All(tests.iter().map(|(condition, _)| (*condition).clone()).collect());
    !candidates.iter().any(|candidate| {
        let mut record = Record::new();
        let value = match candidate {
            Candidate::Text(text) => Value::Text(text),
            Candidate::Number(Number::Float(number)) if field.value_type() == FieldType::Float => Value::Float(*number),
            Candidate::Number(number) if field.value_type() == FieldType::Float => Value::Float(number.as_float()),
            Candidate::Number(number) => Value::Long(number.as_float() as i64),
            Candidate::Boolean(truth) => Value::Boolean(*truth),
            Candidate::Date(date) => Value::Date(*date),
        };
        record.push(field.field, value);
        holds(&all, &record)
    })
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
        Test::DateIn(dates) => Some(dates.iter().copied().map(Candidate::Date).collect()),
        Test::Exists
        | Test::Regex(_)
        | Test::Within(_)
        | Test::TextOrder(..)
        | Test::NumberOrder(..)
        | Test::DateOrder(..) => None,
    }
}

/// Of tests that only say how large a number or date is, values of which one passes if any does: those beside the
/// limits.
fn bounds(field: &FieldReference, tests: &[&Test]) -> Option<Vec<Candidate>> {
    if field.value_type() == FieldType::Float {
        return None;
    }
    let beside = |test: &&Test| match test {
        Test::NumberOrder(order, Number::Long(limit)) => Some([
            Candidate::Number(Number::Long(*limit)),
            Candidate::Number(Number::Long(step(*order, *limit))),
        ]),
        Test::DateOrder(order, limit) => Some([Candidate::Date(*limit), Candidate::Date(step(*order, *limit))]),
        _ => None,
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
