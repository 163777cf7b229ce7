//! What a rule remembers of earlier events, whatever its type.

use super::alert_limiter::AlertLimiter;
use super::counters::EngineCounters;
use super::history::TermHistory;
use super::new_terms::NewTermsObserver;
use super::options::EngineOptions;
use super::sequence::{EarlierEvents, LateMatch, SequenceState};
use super::threshold::ThresholdState;
use crate::compile::graph::Evaluation;
use crate::compile::rules::{CompiledDetection, CompiledRule};
use crate::condition::Then;
use crate::limits::EngineLimits;
use crate::schema::fields;

#[derive(Debug)]
pub(super) struct RuleState {
    pub detection: DetectionState,
    pub limiter: AlertLimiter,
}

#[derive(Debug)]
pub(super) enum DetectionState {
    Alert,
    NewTerms(NewTermsObserver),
    Sequence(SequenceState),
    Threshold(ThresholdState),
}

/// The details of one match.
#[derive(Default)]
pub(super) struct MatchDetails {
    pub new_terms: Vec<String>,
    pub earlier_events: EarlierEvents,
    /// The group that reached a threshold.
    pub group: Option<String>,
}

impl RuleState {
    pub(super) fn new(rule: &CompiledRule, limits: &EngineLimits) -> RuleState {
        RuleState {
            detection: DetectionState::new(rule, limits),
            limiter: AlertLimiter::new(rule.limits.clone(), limits.groups),
        }
    }

    /// The state, continued by the same rule compiled again.
    pub(super) fn continued_by(mut self, rule: &CompiledRule) -> RuleState {
        if let (DetectionState::Sequence(state), CompiledDetection::Sequence(sequence)) =
            (&mut self.detection, &rule.detection)
        {
            state.run_on(sequence);
        }
        self
    }
}

impl DetectionState {
    fn new(rule: &CompiledRule, limits: &EngineLimits) -> DetectionState {
        match &rule.detection {
            CompiledDetection::Single { then, .. } => match then {
                Then::Alert => DetectionState::Alert,
                Then::NewTerms(new_terms) => DetectionState::NewTerms(NewTermsObserver::new(
                    new_terms.clone(),
                    &rule.info.rule_id,
                    limits.term_combinations,
                )),
                Then::Threshold(threshold) => {
                    DetectionState::Threshold(ThresholdState::new(threshold.clone(), limits.groups))
                }
            },
            CompiledDetection::Sequence(sequence) => DetectionState::Sequence(SequenceState::new(sequence, limits)),
        }
    }

    /// Takes in an event that concerns the rule; returns the matches it leads to.
    pub(super) fn observe(
        &mut self,
        event: &Evaluation<'_>,
        options: EngineOptions,
        terms: &mut dyn TermHistory,
        counters: &mut EngineCounters,
    ) -> Vec<MatchDetails> {
        match (self, event.record.first_date(fields::TIMESTAMP)) {
            (DetectionState::Alert, _) => vec![MatchDetails::default()],
            (_, None) => {
                counters.events_without_time += 1;
                Vec::new()
            }
            (DetectionState::NewTerms(observer), Some(now_ns)) => {
                let (now_ms, learn_for_ms) = (now_ns.div_euclid(1_000_000), options.learn_for_ms);
                let new = observer.observe(event.record, now_ms, learn_for_ms, terms, counters);
                let details = |new_terms| MatchDetails {
                    new_terms,
                    ..MatchDetails::default()
                };
                new.into_iter().map(details).collect()
            }
            (DetectionState::Sequence(state), Some(now_ns)) => {
                let details = |earlier_events| MatchDetails {
                    earlier_events,
                    ..MatchDetails::default()
                };
                let completed = state.observe(event, now_ns, counters);
                completed.into_iter().map(details).collect()
            }
            (DetectionState::Threshold(state), Some(now_ns)) => {
                let details = |group| MatchDetails {
                    group: Some(group),
                    ..MatchDetails::default()
                };
                let reached = state.observe(event.record, now_ns, counters);
                reached.into_iter().map(details).collect()
            }
        }
    }

    /// The matches that only needed time to pass.
    pub(super) fn take_due(&mut self, time_ns: i64) -> Vec<LateMatch> {
        match self {
            DetectionState::Sequence(state) => state.take_due(time_ns),
            DetectionState::Alert | DetectionState::NewTerms(_) | DetectionState::Threshold(_) => Vec::new(),
        }
    }

    /// When the next match becomes certain.
    pub(super) fn next_due_ns(&self) -> Option<i64> {
        match self {
            DetectionState::Sequence(state) => state.next_due_ns(),
            DetectionState::Alert | DetectionState::NewTerms(_) | DetectionState::Threshold(_) => None,
        }
    }
}
