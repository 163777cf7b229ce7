//! Rules over events: the last stage before an alert.
//!
//! An [`Engine`] holds the state; the [`Rules`] it runs are immutable and may be shared with other engines.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::alert_limiter::{Candidate, HeldBack, Verdict};
use super::clock::{EventClock, Moment};
use super::counters::{EngineCounters, RuleCounters};
use super::grouped::{GroupTerm, ThresholdResult};
use super::groups::Room;
use super::history::TermHistory;
use super::intervals::Intervals;
use super::options::EngineOptions;
use super::pool::Pool;
use super::sequence::Summary;
use super::state::{MatchDetails, Observed, Rooms, RuleState};
use crate::compile::graph::Scratch;
use crate::compile::index::Candidates;
use crate::compile::rules::{CompiledRule, Rules};
use crate::record::Record;
use crate::record::key::owner;
use crate::rule::RuleInfo;
use crate::schema::fields;
use crate::value::hash::{HashMap, HashSet};

/// Runs rules over records, one after the other. Never refuses an event: what it cannot do is counted. Never panics,
/// except on a record of another schema (see `Panics` of [`Engine::evaluate`]).
pub struct Engine {
    rules: Arc<Rules>,
    /// The state of each rule, in the order of the rules.
    states: Vec<RuleState>,
    options: EngineOptions,
    counters: EngineCounters,
    candidates: Candidates,
    scratch: Scratch,
    clock: EventClock,
    /// Since when all rules run; `None` until the first event after they were replaced.
    running_since_ns: Option<i64>,
    intervals: Intervals,
    pool: Pool,
    /// What was held back of rules that run no more, to be told next.
    untold: Vec<(Arc<RuleInfo>, HeldBack)>,
}

/// A rule that matched the event, or what is to be told of matches that were held back.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Match<'a> {
    /// What the rule says of itself.
    pub rule: &'a Arc<RuleInfo>,
    /// The event that matched, as a short ECS document, if it is not the current one: the last event of a sequence
    /// after which another had to be missing.
    pub past_event: Option<Arc<Map<String, Json>>>,
    /// The values that had not been seen together before, one for each field of a new-terms rule; empty otherwise.
    pub new_terms: Vec<String>,
    /// How a threshold was reached.
    pub threshold: Option<ThresholdResult>,
    /// What the event shares with those that its alert suppresses, of a rule with `alert_suppression`; `None` for an
    /// event that lacks what it would share.
    pub suppression: Option<Vec<GroupTerm>>,
    /// The events of a sequence before the one that completes it, oldest first, each as a short ECS document; empty
    /// for other rules.
    pub earlier_events: Vec<Arc<Map<String, Json>>>,
    /// The conditions that held, each with the values of the event that made it hold.
    pub reason: Vec<String>,
    /// This is no match, but says that so many of an owner's were held back: at once when the first is, and again when
    /// the interval is over. Everything else is empty then.
    pub held_back: Option<HeldBack>,
}

impl Match<'_> {
    /// A match of the rule by the present event, with nothing more to say: for tests of what becomes of matches.
    pub fn new(rule: &Arc<RuleInfo>) -> Match<'_> {
        Match {
            rule,
            past_event: None,
            new_terms: Vec::new(),
            threshold: None,
            suppression: None,
            earlier_events: Vec::new(),
            reason: Vec::new(),
            held_back: None,
        }
    }

    fn summary(rule: &Arc<RuleInfo>, held_back: HeldBack) -> Match<'_> {
        Match {
            held_back: Some(held_back),
            ..Match::new(rule)
        }
    }
}

/// What happened to each rule when an engine's rules were replaced.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct RuleChanges {
    /// Rules that kept their state.
    pub kept: Vec<Arc<RuleInfo>>,
    /// Rules whose meaning has changed, so their state was dropped. What a new-terms rule has seen is not state of the
    /// engine: its [`TermHistory`] keeps that by `rule_id` and fields.
    pub changed: Vec<Arc<RuleInfo>>,
    /// Rules with a new `rule_id`.
    pub added: Vec<Arc<RuleInfo>>,
    /// Rules whose `rule_id` is gone.
    pub removed: Vec<Arc<RuleInfo>>,
}

impl Engine {
    /// An engine that remembers nothing yet.
    pub fn new(rules: Arc<Rules>, options: EngineOptions) -> Engine {
        let rooms = Rooms::of(options.limits);
        let states: Vec<RuleState> = rules.rules.iter().map(|rule| RuleState::new(rule, &rooms)).collect();
        Engine {
            intervals: Intervals::of(&states, &rooms),
            pool: Pool::of(&states, rooms.room.bytes),
            states,
            candidates: rules.index.scratch(),
            scratch: rules.graph.scratch(),
            rules,
            options,
            counters: EngineCounters::default(),
            clock: EventClock::default(),
            running_since_ns: None,
            untold: Vec::new(),
        }
    }

    /// The rules run from this time on, by a clock that nobody sets, of which the events have times too
    /// ([`Record::set_steady_time`]): the learning period of a new-terms rule that never ran before begins. Without this,
    /// it begins with the first event, whatever that is.
    pub fn begin(&mut self, time_ns: i64, terms: &mut dyn TermHistory) {
        self.clock.follow(time_ns);
        self.start_rules(time_ns, terms);
    }

    fn start_rules(&mut self, time_ns: i64, terms: &mut dyn TermHistory) {
        self.running_since_ns = Some(time_ns);
        for state in &self.states {
            state.detection.begin(time_ns, terms);
        }
    }

    /// Calls `on_match` for each match, after those that only waited for this time, in the order of the rules; for a
    /// new-terms rule once per new combination. Matches beyond a rule's limits are counted instead, and told of in
    /// summaries ([`Match::held_back`]). Allocates nothing for an event that no rule takes in.
    ///
    /// What rules remember goes by [`Record::time`]. One event whose time is wrong changes nothing for the others; where
    /// the times of all go back or ahead, what was remembered before is as long ago as they say.
    ///
    /// # Panics
    /// The record was made for another schema than the rules.
    pub fn evaluate(&mut self, record: &Record, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        assert!(
            record.schema() == self.rules.schema(),
            "the record is of another schema than the rules"
        );
        let moment = self.clock.place(record.steady_time(), record.time());
        self.begin_event(moment, terms, on_match);
        let Engine {
            rules,
            states,
            options,
            counters,
            candidates,
            scratch,
            intervals,
            pool,
            ..
        } = self;
        let event = rules.begin(record, candidates, scratch);
        for position in candidates.rules() {
            counters.candidates += 1;
            let rule = &rules.rules[position];
            let state = &mut states[position];
            if !state.detection.has_use_for(&event, moment) || !rule.takes_in(&event) {
                continue;
            }
            let before = state.bytes();
            let counted = (counters.groups_evicted, counters.group_keys_cut);
            let RuleState { detection, limiter, .. } = state;
            detection.set_room(&options.limits, detection.bytes() + pool.left());
            let owner = owner(record);
            let observed = Observed {
                event: &event,
                moment,
                places: limiter.places(owner, moment),
            };
            let found = detection.observe(&observed, *options, terms, counters);
            let grown = (detection.bytes() + limiter.bytes()).saturating_sub(before);
            limiter.set_room(Room {
                keys: options.limits.groups,
                bytes: limiter.bytes() + pool.left().saturating_sub(grown),
            });
            for details in found {
                let MatchDetails {
                    new_terms,
                    earlier_events,
                    group,
                } = details;
                let groups = match &group {
                    Some((group, _)) => vec![*group],
                    None => limiter.groups(record, counters),
                };
                let threshold = group.map(|(_, result)| result);
                let candidate = Candidate {
                    groups: &groups,
                    owner,
                    moment,
                    timestamp_ns: record.first_date(fields::TIMESTAMP),
                };
                let mut tell = |held_back| on_match(Match::summary(&rule.info, held_back));
                let verdict = intervals.follow(position, limiter, |limiter, most| {
                    limiter.judge(&candidate, most, counters, &mut tell)
                });
                let Verdict::Alert(alerted) = verdict else {
                    continue;
                };
                let suppression = alerted.filter(|_| limiter.suppresses()).map(|group| match &threshold {
                    Some(result) => result.terms.clone(),
                    None => limiter.terms(group, record),
                });
                counters.matches += 1;
                on_match(Match {
                    new_terms,
                    threshold,
                    suppression,
                    earlier_events: documents(&earlier_events),
                    reason: rule.detection.reason(&event),
                    ..Match::new(&rule.info)
                });
            }
            state.groups_evicted += counters.groups_evicted - counted.0;
            state.group_keys_cut += counters.group_keys_cut - counted.1;
            pool.changed(before, state.bytes());
            if let Some(Moment { now_ns, .. }) = moment {
                pool.make_room(states, now_ns, counters);
            }
        }
        counters.function_combinations_cut += event.combinations_cut();
    }

    /// As [`Engine::evaluate`] of an event that no rule takes in ([`Screen`](crate::Screen), [`Engine::may_take_in`]):
    /// `steady_ns` is its [`Record::steady_time`], `timestamp_ns` its `@timestamp`, which counts where it has no other.
    pub fn pass(
        &mut self,
        steady_ns: Option<i64>,
        timestamp_ns: Option<i64>,
        terms: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        let moment = self.clock.place(steady_ns, timestamp_ns);
        self.begin_event(moment, terms, on_match);
    }

    fn begin_event(
        &mut self,
        moment: Option<Moment>,
        terms: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.counters.events += 1;
        let Some(Moment { now_ns, .. }) = moment else { return };
        if self.running_since_ns.is_none_or(|since_ns| now_ns < since_ns) {
            self.start_rules(now_ns, terms);
        }
        self.conclude(now_ns, on_match);
    }

    /// Calls `on_match` for what is certain once this time has passed, by the clock of the events: sequences that end
    /// with a missing event, and summaries of what was held back. [`Engine::evaluate`] does this with each event's time;
    /// call it when there are no events.
    pub fn advance_to(&mut self, time_ns: i64, on_match: &mut dyn FnMut(Match<'_>)) {
        let now_ns = self.clock.advance_to(time_ns);
        self.conclude(now_ns, on_match);
    }

    fn conclude(&mut self, now_ns: i64, on_match: &mut dyn FnMut(Match<'_>)) {
        for (rule, held_back) in self.untold.drain(..) {
            on_match(Match::summary(&rule, held_back));
        }
        while let Some((end_ns, position)) = self.intervals.next_end()
            && end_ns <= now_ns
        {
            let rule = &self.rules.rules[position].info;
            let mut tell = |held_back| on_match(Match::summary(rule, held_back));
            self.intervals
                .follow(position, &mut self.states[position].limiter, |limiter, _| {
                    limiter.end_those_over(now_ns, &mut tell);
                });
        }
        for position in &self.rules.deferred {
            let rule = &self.rules.rules[*position];
            let RuleState { detection, limiter, .. } = &mut self.states[*position];
            let before = detection.bytes();
            let due = detection.take_due(now_ns);
            self.pool.changed(before, detection.bytes());
            for late in due {
                let candidate = Candidate {
                    groups: &[],
                    owner: &late.owner,
                    moment: Some(Moment {
                        time_ns: now_ns,
                        now_ns,
                    }),
                    timestamp_ns: late.timestamp_ns,
                };
                let mut tell = |held_back| on_match(Match::summary(&rule.info, held_back));
                let verdict = self.intervals.follow(*position, limiter, |limiter, most| {
                    limiter.judge(&candidate, most, &mut self.counters, &mut tell)
                });
                if !matches!(verdict, Verdict::Alert(_)) {
                    continue;
                }
                self.counters.matches += 1;
                on_match(Match {
                    past_event: Some(late.event.document()),
                    earlier_events: documents(&late.earlier_events),
                    reason: late.reason,
                    ..Match::new(&rule.info)
                });
            }
        }
    }

    /// The next time at which [`Engine::advance_to`] will report something, unless an event prevents it.
    pub fn next_due_ns(&self) -> Option<i64> {
        let due = |position: &usize| self.states[*position].detection.next_due_ns();
        let ends = self.intervals.next_end().map(|(end_ns, _)| end_ns);
        self.rules.deferred.iter().filter_map(due).chain(ends).min()
    }

    /// Whether evaluating an event can have an effect, given only its `event.category`, `event.type` and `event.action`
    /// in `kind`; if not, it may be skipped.
    pub fn may_concern(&self, kind: &Record) -> bool {
        !self.rules.deferred.is_empty() || !self.rules.index.of_kind(kind).is_empty()
    }

    /// Whether a rule may take in an event of which the record has only what [`Rules::program_record`] takes. If not, the
    /// engine need be told no more of it than its time ([`Engine::pass`]).
    pub fn may_take_in(&mut self, program: &Record) -> bool {
        self.rules
            .may_concern_program(program, &mut self.candidates, &mut self.scratch)
    }

    /// Replaces the rules. A rule with the same `rule_id`, meaning and limits as before keeps its state and counters
    /// and takes on its new name and severity; the state of all others is dropped.
    pub fn replace_rules(&mut self, rules: Arc<Rules>) -> RuleChanges {
        let mut changes = RuleChanges::default();
        let old_rules = std::mem::replace(&mut self.rules, rules);
        let mut old_states: HashMap<(&str, u64), VecDeque<RuleState>> = HashMap::default();
        for (rule, state) in old_rules.rules.iter().zip(self.states.drain(..)) {
            old_states.entry(rule.identity()).or_default().push_back(state);
        }
        let ids =
            |rules: &'_ Rules| -> HashSet<String> { rules.infos().iter().map(|rule| rule.rule_id.clone()).collect() };
        let (old_ids, new_ids) = (ids(&old_rules), ids(&self.rules));
        let rooms = Rooms::of(self.options.limits);
        for rule in &self.rules.rules {
            let kept = old_states.get_mut(&rule.identity()).and_then(VecDeque::pop_front);
            let list = match &kept {
                Some(_) => &mut changes.kept,
                None if old_ids.contains(&rule.info.rule_id) => &mut changes.changed,
                None => &mut changes.added,
            };
            list.push(Arc::clone(&rule.info));
            self.states.push(match kept {
                Some(state) => state.continued_by(rule),
                None => RuleState::new(rule, &rooms),
            });
        }
        for rule in &old_rules.rules {
            let ended = old_states.get_mut(&rule.identity()).and_then(VecDeque::pop_front);
            if let Some(mut state) = ended {
                let untold = &mut self.untold;
                let mut tell = |held_back| untold.push((Arc::clone(&rule.info), held_back));
                state.limiter.end_all(&mut tell);
            }
        }
        self.intervals = Intervals::of(&self.states, &rooms);
        self.pool = Pool::of(&self.states, rooms.room.bytes);
        self.running_since_ns = None;
        let removed = old_rules.infos().iter().filter(|rule| !new_ids.contains(&rule.rule_id));
        changes.removed = removed.cloned().collect();
        self.candidates = self.rules.index.scratch();
        self.scratch = self.rules.graph.scratch();
        changes
    }

    /// The rules that it runs.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What it did since it was made.
    pub fn counters(&self) -> EngineCounters {
        let count = |(rule, state): (&CompiledRule, &RuleState)| RuleCounters {
            rule_id: rule.info.rule_id.clone(),
            name: rule.info.name.clone(),
            suppressed: state.limiter.suppressed,
            held_back: state.limiter.held_back,
            groups_evicted: state.groups_evicted,
            group_keys_cut: state.group_keys_cut,
        };
        let has_any =
            |rule: &RuleCounters| rule.suppressed + rule.held_back + rule.groups_evicted + rule.group_keys_cut > 0;
        let rules = self.rules.rules.iter().zip(&self.states).map(count);
        EngineCounters {
            rules: rules.filter(has_any).collect(),
            ..self.counters.clone()
        }
    }
}

fn documents(summaries: &[Summary]) -> Vec<Arc<Map<String, Json>>> {
    summaries.iter().map(Summary::document).collect()
}

#[cfg(test)]
mod tests;
