//! Why a matcher holds, or what it would take: made only after a match or when somebody asks, so it may allocate;
//! bounded, because an event's values are not ours.

use super::value::FieldMatcher;
use super::{Evaluation, Node, NodeId, Operands};
use crate::condition::Test;
use crate::limits::{MAX_REASON_LINES, MAX_REASON_VALUE_CHARACTERS, MAX_REASON_VALUES};
use crate::record::{Record, Value};
use crate::value::FoldBuffer;
use crate::value::{Number, Order, Pattern, timestamp};

/// What is to be explained: that the matcher holds, or that it fails (below a `not`).
#[derive(Copy, Clone)]
enum Outcome {
    Holds,
    Fails,
}

impl NodeId {
    /// The conditions that made the matcher hold for the record, one a line.
    pub(crate) fn reason(self, event: &Evaluation<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        self.explain(event, Outcome::Holds, &mut lines);
        lines
    }

    fn explain(self, event: &Evaluation<'_>, outcome: Outcome, lines: &mut Vec<String>) {
        let line = match (event.node(self), outcome) {
            (Node::Always | Node::Never, _) => return,
            (Node::Not(operand), Outcome::Holds) => return operand.explain(event, Outcome::Fails, lines),
            (Node::Not(operand), Outcome::Fails) => return operand.explain(event, Outcome::Holds, lines),
            (Node::All(operands) | Node::Any(operands), _) => {
                let decisive = operands
                    .as_written
                    .iter()
                    .filter(|operand| operand.matches(event) == matches!(outcome, Outcome::Holds));
                return decisive.for_each(|operand| operand.explain(event, outcome, lines));
            }
            (Node::Field(matcher), _) => matcher.describe(event.record, &event.scratch.folded, outcome),
            (Node::Computed(matcher), _) => matcher.describe(event),
        };
        if lines.len() < MAX_REASON_LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }
}

impl NodeId {
    /// With how many of its tests the other way round the matcher would hold: 0 if it does.
    pub(crate) fn distance(self, event: &Evaluation<'_>) -> u32 {
        self.distance_to(event, Outcome::Holds)
    }

    fn distance_to(self, event: &Evaluation<'_>, wanted: Outcome) -> u32 {
        if self.matches(event) == matches!(wanted, Outcome::Holds) {
            return 0;
        }
        let each = |operands: &Operands| {
            let distances = operands
                .as_written
                .iter()
                .map(|operand| operand.distance_to(event, wanted));
            distances.collect::<Vec<u32>>()
        };
        match (event.node(self), wanted) {
            (Node::Always | Node::Never, _) => u32::MAX,
            (Node::Not(operand), _) => operand.distance_to(event, wanted.opposite()),
            (Node::All(operands), Outcome::Holds) | (Node::Any(operands), Outcome::Fails) => {
                each(operands).into_iter().fold(0, u32::saturating_add)
            }
            (Node::Any(operands), Outcome::Holds) | (Node::All(operands), Outcome::Fails) => {
                each(operands).into_iter().min().unwrap_or(u32::MAX)
            }
            (Node::Field(_) | Node::Computed(_), _) => 1,
        }
    }

    /// The tests that would have to come out otherwise for the matcher to hold, as few as possible, one a line.
    pub(crate) fn failures(self, event: &Evaluation<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        self.add_failures(event, Outcome::Holds, &mut lines);
        lines
    }

    fn add_failures(self, event: &Evaluation<'_>, wanted: Outcome, lines: &mut Vec<String>) {
        if self.matches(event) == matches!(wanted, Outcome::Holds) || lines.len() == MAX_REASON_LINES {
            return;
        }
        match (event.node(self), wanted) {
            (Node::Always | Node::Never, _) => lines.push("the condition is constant".to_owned()),
            (Node::Not(operand), _) => operand.add_failures(event, wanted.opposite(), lines),
            (Node::All(operands), Outcome::Holds) | (Node::Any(operands), Outcome::Fails) => {
                let operands = operands.as_written.iter();
                operands.for_each(|operand| operand.add_failures(event, wanted, lines));
            }
            (Node::Any(operands), Outcome::Holds) | (Node::All(operands), Outcome::Fails) => {
                let nearest = operands
                    .as_written
                    .iter()
                    .min_by_key(|operand| operand.distance_to(event, wanted));
                nearest
                    .into_iter()
                    .for_each(|operand| operand.add_failures(event, wanted, lines));
            }
            (Node::Field(matcher), Outcome::Holds) => {
                let values = list(matcher.values(event.record));
                let is = if values.is_empty() { "missing" } else { &values };
                lines.push(format!("{} is {is}, wanted {}", matcher.name, matcher.wanted));
            }
            (Node::Field(matcher), Outcome::Fails) => {
                let values = list(matcher.matching_values(event.record, &event.scratch.folded));
                lines.push(format!("{} is {values}, excluded by {}", matcher.name, matcher.wanted));
            }
            (Node::Computed(matcher), Outcome::Holds) => {
                lines.push(format!("{}, wanted {}", matcher.describe(event), matcher.wanted));
            }
            (Node::Computed(matcher), Outcome::Fails) => {
                lines.push(format!("{}, excluded by {}", matcher.describe(event), matcher.wanted));
            }
        }
    }
}

impl Outcome {
    fn opposite(self) -> Outcome {
        match self {
            Outcome::Holds => Outcome::Fails,
            Outcome::Fails => Outcome::Holds,
        }
    }
}

/// What a test wants, in words.
pub(super) fn wanted(test: &Test) -> Box<str> {
    let texts = |texts: &[String]| list(texts.iter().map(|text| Value::Text(text)));
    let number = |number: &Number| match number {
        Number::Long(number) => Value::Long(*number),
        Number::Float(number) => Value::Float(*number),
    };
    let order = |order: &Order| match order {
        Order::Less => "<",
        Order::LessOrEqual => "<=",
        Order::Greater => ">",
        Order::GreaterOrEqual => ">=",
    };
    let words = match test {
        Test::Exists => "any value".to_owned(),
        Test::TextIn(wanted, _) => texts(wanted),
        Test::Like(patterns, _) => {
            let patterns: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
            format!("like {}", texts(&patterns))
        }
        Test::Regex(_) => "what the regular expression describes".to_owned(),
        Test::Within(networks) => format!("an address in {} networks", networks.len()),
        Test::TextOrder(by, text) => format!("{} {}", order(by), show(Value::Text(text))),
        Test::NumberIn(numbers) => list(numbers.iter().map(number)),
        Test::NumberOrder(by, limit) => format!("{} {}", order(by), show(number(limit))),
        Test::Boolean(truth) => truth.to_string(),
        Test::DateIn(dates) => list(dates.iter().map(|date| Value::Date(*date))),
        Test::DateOrder(by, date) => format!("{} {}", order(by), show(Value::Date(*date))),
    };
    words.into()
}

impl FieldMatcher {
    fn describe(&self, record: &Record, scratch: &FoldBuffer, outcome: Outcome) -> String {
        let name = &self.name;
        match outcome {
            Outcome::Holds => format!("{name} is {}", list(self.matching_values(record, scratch))),
            Outcome::Fails if self.values(record).next().is_none() => format!("{name} is missing"),
            Outcome::Fails => format!("{name} is {}, which is not excluded", list(self.values(record))),
        }
    }
}

fn list<'a>(values: impl Iterator<Item = Value<'a>>) -> String {
    let mut values = values.peekable();
    let shown: Vec<String> = values.by_ref().take(MAX_REASON_VALUES).map(show).collect();
    let left = values.count();
    if left == 0 {
        shown.join(", ")
    } else {
        format!("{} and {left} more", shown.join(", "))
    }
}

pub(super) fn show(value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Label { value: text, .. } => {
            match text.char_indices().nth(MAX_REASON_VALUE_CHARACTERS) {
                None => format!("`{text}`"),
                Some((end, _)) => format!("`{}…`", &text[..end]),
            }
        }
        Value::Long(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Date(nanoseconds) => timestamp::format(nanoseconds),
    }
}
