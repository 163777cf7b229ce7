//! Why a condition holds, or what it would take to hold. Computed only after a match or on request, so it may allocate;
//! bounded, because an event's values are untrusted.

use super::value::FieldMatcher;
use super::words::list;
use super::{Evaluation, Node, NodeId, Operands};
use crate::limits::MAX_REASON_LINES;
use crate::record::Record;
use crate::value::FoldBuffer;

/// What is explained: that the condition holds, or that it fails (below a `not`).
#[derive(Copy, Clone)]
enum Outcome {
    Holds,
    Fails,
}

impl NodeId {
    /// The tests that made the condition hold, one per line.
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
            (Node::Computed(matcher), _) => matcher.describe(event.record, event.scratch),
        };
        if lines.len() < MAX_REASON_LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }
}

impl NodeId {
    /// How many tests would have to come out differently for the condition to hold; 0 if it does.
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

    /// The fewest tests that would have to come out differently for the condition to hold, one per line.
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
                lines.push(format!(
                    "{}, wanted {}",
                    matcher.describe(event.record, event.scratch),
                    matcher.wanted
                ));
            }
            (Node::Computed(matcher), Outcome::Fails) => {
                lines.push(format!(
                    "{}, excluded by {}",
                    matcher.describe(event.record, event.scratch),
                    matcher.wanted
                ));
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
