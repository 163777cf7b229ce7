//! A fingerprint of what a rule means, however it is written: neither the order of the operands of `and` and `or` nor
//! repeated operands change it.

use crate::condition::{Condition, Detection, SequenceTerm};
use crate::value::hash::fingerprint;

/// Equal for conditions that mean the same.
pub(crate) fn of_condition(condition: &Condition) -> u64 {
    match condition {
        Condition::All(conditions) => fingerprint(&("all", joined(conditions))),
        Condition::Any(conditions) => fingerprint(&("any", joined(conditions))),
        Condition::Not(condition) => fingerprint(&("not", of_condition(condition))),
        Condition::Always | Condition::Never | Condition::Field(_) | Condition::Computed(_) => fingerprint(condition),
    }
}

fn joined(conditions: &[Condition]) -> Vec<u64> {
    let mut parts: Vec<u64> = conditions.iter().map(of_condition).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// Equal for detections that mean the same.
pub(crate) fn of_detection(detection: &Detection) -> u64 {
    match detection {
        Detection::Single { condition, then } => fingerprint(&(of_condition(condition), then)),
        Detection::Sequence(sequence) => {
            let term = |term: &SequenceTerm| (of_condition(&term.condition), fingerprint(&term.keys));
            let terms: Vec<(u64, u64)> = sequence.terms.iter().map(term).collect();
            let until = sequence.until.as_ref().map(term);
            fingerprint(&(terms, until, &sequence.stages, &sequence.missing, sequence.max_span_ns))
        }
    }
}
