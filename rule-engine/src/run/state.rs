//! What a rule remembers of earlier events, whatever its type.

use super::alert_limiter::AlertLimiter;
use super::clock::Moment;
use super::counters::EngineCounters;
use super::grouped::ThresholdResult;
use super::groups::Room;
use super::history::TermHistory;
use super::new_terms::NewTermsObserver;
use super::options::EngineOptions;
use super::sequence::{EarlierEvents, LateMatch, SequenceState};
use super::threshold::ThresholdState;
use crate::compile::graph::Evaluation;
use crate::compile::rules::{CompiledDetection, CompiledRule};
use crate::condition::Then;
use crate::limits::EngineLimits;
use crate::record::key::Key;

#[derive(Debug)]
pub(super) struct RuleState {
    pub detection: DetectionState,
    pub limiter: AlertLimiter,
    /// What it forgot for want of room, and the events of which not all keys were looked at.
    pub groups_evicted: u64,
    pub group_keys_cut: u64,
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
    /// The group that reached a threshold, and how.
    pub group: Option<(Key, ThresholdResult)>,
}

/// How much an engine and each of its rules may remember.
#[derive(Copy, Clone, Debug)]
pub(super) struct Rooms {
    limits: EngineLimits,
    /// For sequences, counts and groups of alerts, of all rules together; one rule may have it all.
    pub room: Room,
    /// Of how many owners alerts are counted, of all rules together and of one.
    pub intervals: usize,
    pub intervals_of_rule: usize,
}

impl Rooms {
    /// Of the memory an eighth is for counting alerts, the rest for what rules remember of events.
    pub(super) fn of(limits: EngineLimits) -> Rooms {
        /// So that no rule takes what all need.
        const INTERVALS_OF_RULE: usize = 2_048;
        let for_alerts = limits.state_bytes / 8;
        Rooms {
            limits,
            room: Room {
                keys: limits.groups,
                bytes: limits.state_bytes - for_alerts,
            },
            intervals: for_alerts / AlertLimiter::INTERVAL_BYTES,
            intervals_of_rule: limits.groups.min(INTERVALS_OF_RULE),
        }
    }
}

/// An event that a rule takes in, and what it is judged by.
pub(super) struct Observed<'a, 'e> {
    pub event: &'a Evaluation<'e>,
    /// Without it, only a rule that remembers nothing can use the event.
    pub moment: Option<Moment>,
    /// How many alerts may come of it.
    pub places: u64,
}

impl RuleState {
    pub(super) fn new(rule: &CompiledRule, rooms: &Rooms) -> RuleState {
        RuleState {
            detection: DetectionState::new(rule, rooms),
            limiter: AlertLimiter::new(rule.limits.clone(), rooms.room),
            groups_evicted: 0,
            group_keys_cut: 0,
        }
    }

    /// Whether it ever remembers events or groups.
    pub(super) fn remembers(&self) -> bool {
        match self.detection {
            DetectionState::Sequence(_) | DetectionState::Threshold(_) => true,
            DetectionState::Alert | DetectionState::NewTerms(_) => self.limiter.suppresses(),
        }
    }

    /// What it remembers of events and groups takes at most, in bytes as allocated.
    pub(super) fn bytes(&self) -> usize {
        self.detection.bytes() + self.limiter.bytes()
    }

    /// Forgets one of these; returns whether there was one.
    pub(super) fn give_up(&mut self, now_ns: i64, counters: &mut EngineCounters) -> bool {
        let before = counters.groups_evicted;
        let evicted = &mut counters.groups_evicted;
        let was_one = if self.limiter.bytes() > self.detection.bytes() {
            self.limiter.give_up(now_ns, evicted)
        } else {
            self.detection.give_up(now_ns, evicted)
        };
        self.groups_evicted += counters.groups_evicted - before;
        was_one
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
    fn new(rule: &CompiledRule, rooms: &Rooms) -> DetectionState {
        match &rule.detection {
            CompiledDetection::Single { then, .. } => match then {
                Then::Alert => DetectionState::Alert,
                Then::NewTerms(new_terms) => DetectionState::NewTerms(NewTermsObserver::new(
                    new_terms.clone(),
                    &rule.info.rule_id,
                    rooms.limits.term_combinations,
                )),
                Then::Threshold(threshold) => {
                    DetectionState::Threshold(ThresholdState::new(threshold.clone(), rooms.room))
                }
            },
            CompiledDetection::Sequence(sequence) => {
                DetectionState::Sequence(SequenceState::new(sequence, &rooms.limits, rooms.room))
            }
        }
    }

    /// What is remembered of events takes at most, in bytes as allocated.
    pub(super) fn bytes(&self) -> usize {
        match self {
            DetectionState::Sequence(state) => state.bytes(),
            DetectionState::Threshold(state) => state.bytes(),
            DetectionState::Alert | DetectionState::NewTerms(_) => 0,
        }
    }

    /// Forgets something of it; returns whether there was anything.
    fn give_up(&mut self, now_ns: i64, evicted: &mut u64) -> bool {
        match self {
            DetectionState::Sequence(state) => state.give_up(now_ns, evicted),
            DetectionState::Threshold(state) => state.give_up(now_ns, evicted),
            DetectionState::Alert | DetectionState::NewTerms(_) => false,
        }
    }

    /// What is remembered may take so much.
    pub(super) fn set_room(&mut self, limits: &EngineLimits, bytes: usize) {
        let room = Room {
            keys: limits.groups,
            bytes,
        };
        match self {
            DetectionState::Sequence(state) => state.set_room(limits, room),
            DetectionState::Threshold(state) => state.set_room(room),
            DetectionState::Alert | DetectionState::NewTerms(_) => {}
        }
    }

    /// The rule runs at this time, whether it takes anything in or not.
    pub(super) fn begin(&self, time_ns: i64, terms: &mut dyn TermHistory) {
        match self {
            DetectionState::NewTerms(observer) => observer.begin(time_ns, terms),
            DetectionState::Alert | DetectionState::Sequence(_) | DetectionState::Threshold(_) => {}
        }
    }

    /// Whether it can lead to anything if the rule takes the event in.
    pub(super) fn has_use_for(&self, event: &Evaluation<'_>, moment: Option<Moment>) -> bool {
        match self {
            DetectionState::Sequence(state) => moment.is_none() || state.has_use_for(event),
            DetectionState::Alert | DetectionState::NewTerms(_) | DetectionState::Threshold(_) => true,
        }
    }

    /// Takes in an event that concerns the rule; returns the matches it leads to.
    pub(super) fn observe(
        &mut self,
        observed: &Observed<'_, '_>,
        options: EngineOptions,
        terms: &mut dyn TermHistory,
        counters: &mut EngineCounters,
    ) -> Vec<MatchDetails> {
        let Observed { event, moment, places } = *observed;
        match (self, moment) {
            (DetectionState::Alert, _) => vec![MatchDetails::default()],
            (_, None) => {
                counters.events_without_time += 1;
                Vec::new()
            }
            (DetectionState::NewTerms(observer), Some(moment)) => {
                let learn_for_ms = options.learn_for_ms;
                let new = observer.observe(event.record, moment, learn_for_ms, places, terms, counters);
                let details = |new_terms| MatchDetails {
                    new_terms,
                    ..MatchDetails::default()
                };
                new.into_iter().map(details).collect()
            }
            (DetectionState::Sequence(state), Some(moment)) => {
                let details = |earlier_events| MatchDetails {
                    earlier_events,
                    ..MatchDetails::default()
                };
                let completed = state.observe(event, moment, counters);
                completed.into_iter().map(details).collect()
            }
            (DetectionState::Threshold(state), Some(moment)) => {
                let details = |group| MatchDetails {
                    group: Some(group),
                    ..MatchDetails::default()
                };
                let reached = state.observe(event.record, moment, counters);
                reached.into_iter().map(details).collect()
            }
        }
    }

    /// New terms of an earlier event have been told.
    pub(super) fn see(&self, new_terms: &[String], owner: &str, time_ns: i64, terms: &mut dyn TermHistory) {
        match self {
            DetectionState::NewTerms(observer) => observer.see(new_terms, owner, time_ns, terms),
            DetectionState::Alert | DetectionState::Sequence(_) | DetectionState::Threshold(_) => {}
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
