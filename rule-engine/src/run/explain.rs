//! What an event lacks to match a rule, for authors of rules.

use serde::Serialize;

use super::engine::Engine;
use crate::compile::graph::{Evaluation, NodeId};
use crate::compile::rules::CompiledDetection;
use crate::record::Record;

/// What an event lacks for a rule to take it in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct NearMiss {
    /// For a sequence, which of its events this would be, from 1; `until` comes last.
    pub term: Option<usize>,
    /// How many tests would have to come out differently, at least 1.
    pub distance: u32,
    /// Those tests, with what the event has and what is wanted.
    pub failed: Vec<String>,
}

impl Engine {
    /// For each event that the rule looks for, what this one lacks; nothing if it lacks nothing, or for an unknown
    /// rule.
    pub fn near_misses(&self, rule_id: &str, record: &Record) -> Vec<NearMiss> {
        let rules = self.rules();
        let Some(rule) = rules.rules.iter().find(|rule| rule.info.rule_id == rule_id) else {
            return Vec::new();
        };
        let mut scratch = rules.graph.scratch();
        let event = Evaluation::new(record, &rules.graph, &mut scratch);
        let terms: Vec<(Option<usize>, NodeId)> = match &rule.detection {
            CompiledDetection::Single { condition, .. } => vec![(None, *condition)],
            CompiledDetection::Sequence(sequence) => (1..).map(Some).zip(sequence.conditions()).collect(),
        };
        let near_miss = |(term, condition): (Option<usize>, NodeId)| NearMiss {
            term,
            distance: condition.distance(&event).saturating_add(rule.filter.distance(&event)),
            failed: [condition.failures(&event), rule.filter.failures(&event)].concat(),
        };
        let misses = terms.into_iter().map(near_miss);
        misses.filter(|miss| miss.distance > 0).collect()
    }
}
