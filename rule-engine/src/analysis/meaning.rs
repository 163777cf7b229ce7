//! Whether rules mean the same, however they are written: the order of what `and` and `or` join does not count, nor
//! does what is joined twice.

use crate::condition::{Condition, Detection, SequenceTerm};
use crate::value::hash::fingerprint;

/// The same for conditions of one meaning.
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

/// The same for detections of one meaning.
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
