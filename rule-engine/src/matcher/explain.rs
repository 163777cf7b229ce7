//! Why a matcher holds: made only after a match, so it may allocate; bounded, because an event's values are not ours.

use super::{Evaluation, FieldMatcher, Matcher};
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
    pub fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        self.explain(event, Outcome::Holds, &mut lines);
        lines
    }

    fn explain(&self, event: &Evaluation<'_>, outcome: Outcome, lines: &mut Vec<String>) {
        match (self, outcome) {
            (Matcher::Always | Matcher::Never, _) => {}
            (Matcher::Not(matcher), Outcome::Holds) => matcher.explain(event, Outcome::Fails, lines),
            (Matcher::Not(matcher), Outcome::Fails) => matcher.explain(event, Outcome::Holds, lines),
            (Matcher::All(matchers), Outcome::Holds) | (Matcher::Any(matchers), Outcome::Fails) => {
                matchers
                    .iter()
                    .for_each(|matcher| matcher.explain(event, outcome, lines));
            }
            (Matcher::Any(matchers), Outcome::Holds) => matchers
                .iter()
                .filter(|matcher| matcher.matches(event))
                .for_each(|matcher| matcher.explain(event, outcome, lines)),
            (Matcher::All(matchers), Outcome::Fails) => matchers
                .iter()
                .filter(|matcher| !matcher.matches(event))
                .for_each(|matcher| matcher.explain(event, outcome, lines)),
            (Matcher::Field(_) | Matcher::Computed(_), outcome) => {
                let line = match self {
                    Matcher::Field(matcher) => matcher.describe(event.record, outcome),
                    Matcher::Computed(matcher) => matcher.describe(event),
                    _ => return,
                };
                if lines.len() < MAX_REASON_LINES && !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
}

impl FieldMatcher {
    fn describe(&self, record: &Record, outcome: Outcome) -> String {
        let name = match &self.key {
            None => self.field.name().to_owned(),
            Some(key) => format!("{}.{key}", self.field.name()),
        };
        match outcome {
            Outcome::Holds => format!("{name} is {}", list(self.matching_values(record))),
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
