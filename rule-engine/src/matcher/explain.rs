//! Why a matcher holds: made only after a match, so it may allocate; bounded, because an event's values are not ours.

use super::text::FoldBuffer;
use super::value::FieldMatcher;
use super::{Evaluation, Matcher, Node};
use crate::limits::{MAX_REASON_LINES, MAX_REASON_VALUE_CHARACTERS, MAX_REASON_VALUES};
use crate::record::{Record, Value};
use crate::timestamp;

/// What is to be explained: that the matcher holds, or that it fails (below a `not`).
#[derive(Copy, Clone)]
enum Outcome {
    Holds,
    Fails,
}

impl Matcher {
    /// The conditions that made the matcher hold for the record, one a line.
    pub fn reason(self, event: &Evaluation<'_>) -> Vec<String> {
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

impl FieldMatcher {
    fn describe(&self, record: &Record, scratch: &FoldBuffer, outcome: Outcome) -> String {
        let name = match &self.key {
            None => self.field.name().to_owned(),
            Some(key) => format!("{}.{key}", self.field.name()),
        };
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
