//! The compiled form of a sequence: its terms are conditions of the graph.

use super::graph::{Evaluation, GraphBuilder, NodeId};
use crate::condition::{KeyField, Sequence, SequenceTerm};

#[derive(Debug)]
pub(crate) struct CompiledSequence {
    pub terms: Vec<CompiledTerm>,
    /// For each stage its term, as in [`Sequence::stages`].
    pub stages: Vec<usize>,
    pub until: Option<CompiledTerm>,
    /// As in [`Sequence::missing`].
    pub missing: Vec<Vec<usize>>,
    pub max_span_ns: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct CompiledTerm {
    pub condition: NodeId,
    pub keys: Vec<KeyField>,
}

impl CompiledSequence {
    pub(crate) fn compile(sequence: &Sequence, graph: &mut GraphBuilder) -> CompiledSequence {
        let mut compile = |term: &SequenceTerm| CompiledTerm {
            condition: graph.add_indexed(&term.condition),
            keys: term.keys.clone(),
        };
        CompiledSequence {
            terms: sequence.terms.iter().map(&mut compile).collect(),
            stages: sequence.stages.clone(),
            until: sequence.until.as_ref().map(compile),
            missing: sequence.missing.clone(),
            max_span_ns: sequence.max_span_ns,
        }
    }

    /// What each term looks for, `until` last.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.terms.iter().chain(&self.until).map(|term| term.condition)
    }

    /// Whether the event belongs to some stage or ends sequences; only then does its time matter.
    pub(crate) fn concerns(&self, event: &Evaluation<'_>) -> bool {
        self.conditions().any(|condition| condition.matches(event))
    }

    /// Whether a match may become certain only after its last event.
    pub(crate) fn may_wait(&self) -> bool {
        self.missing.last().is_some_and(|terms| !terms.is_empty())
    }

    /// Whether the event is worth remembering although nothing is remembered yet.
    pub(crate) fn begins_with(&self, event: &Evaluation<'_>) -> bool {
        let first = self.stages.first().into_iter().chain(&self.missing[0]);
        first.into_iter().any(|term| self.terms[*term].condition.matches(event))
    }

    /// Why the event that completed a match is its last one.
    pub(crate) fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        self.stages
            .last()
            .map(|term| self.terms[*term].condition.reason(event))
            .unwrap_or_default()
    }
}
